// SPDX-License-Identifier: Apache-2.0
// The assembler's blocks of code: instructions, tables, streams, microcode.
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

static bool parse_field(struct ap_parser *p, struct ap_field *out) {
  uint64_t col, width;
  if (!ap_parse_prefixed(p, "c", AP_MAX_COLUMNS - 1, &col) || !ap_parse_expect(p, ':') ||
      !ap_parse_u64(p, AP_MAX_WIDTH, &width))
    return false;
  out->col = (uint16_t)col;
  out->width = (uint8_t)width;
  return true;
}

static bool parse_operands(struct ap_parser *p, const struct ap_format_info *format, struct ap_instr *out) {
  uint64_t value;
  for (unsigned i = 0; i < format->fields; i++)
    if ((i && !ap_parse_expect(p, ',')) || !parse_field(p, &out->f[i]))
      return false;
  if (format->has_tap) {
    if (!ap_parse_expect(p, ',') || !ap_parse_prefixed(p, "desc", UINT16_MAX, &value) || !ap_parse_expect(p, '['))
      return false;
    out->index = (uint32_t)value;
    if (!ap_parse_u64(p, UINT16_MAX, &value) || !ap_parse_expect(p, ']'))
      return false;
    out->tap = (uint16_t)value;
  } else if (format->has_index) {
    if (!ap_parse_expect(p, '#') || !ap_parse_u64(p, UINT32_MAX, &value))
      return false;
    out->index = (uint32_t)value;
  }
  if (format->has_imm)
    return ap_parse_expect(p, ',') && ap_parse_expect(p, '#') && ap_parse_u64(p, UINT64_MAX, &out->imm);
  return true;
}

static enum ap_op parse_mnemonic(struct ap_parser *p) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  enum ap_op op = p->token.kind == AP_TOKEN_WORD ? ap_op_find(text, length) : AP_OP_INVALID;
  if (op != AP_OP_INVALID) {
    ap_parse_next(p);
    return op;
  }
  static const char *const NAMES[] = {
#define AP_OP(id, code, name, ...) name,
#include "isa/ap_isa.def"
  };
  char *word = bf_strndup(text, length < 64 ? length : 64);
  const char *near = bf_nearest(word, NAMES, BF_COUNT(NAMES));
  char *hint = near ? bf_format("did you mean %s?", near) : NULL;
  ap_parse_error(p, p->token, hint, "unknown instruction");
  free(hint);
  free(word);
  return AP_OP_INVALID;
}

void ap_parse_instr(struct ap_parser *p, struct ap_instr *out) {
  struct ap_token where = p->token;
  memset(out, 0, sizeof *out);
  out->op = parse_mnemonic(p);
  if (out->op == AP_OP_INVALID) {
    ap_parse_end_of_line(p);
    return;
  }
  const struct ap_format_info *format = ap_format_info(ap_op_info((unsigned)out->op)->format);
  if (!parse_operands(p, format, out) && !p->line_bad)
    ap_parse_error(p, where, NULL, "wrong operands");
  // A legal line but for its operands' rules: show all of it.
  size_t end = where.end;
  for (size_t i = where.begin; i < p->token.begin; i++)
    if (p->source->text[i] > ' ')
      end = i + 1;
  where.end = end;
  unsigned columns = p->has_machine ? p->program->machine.columns : AP_MAX_COLUMNS;
  const char *why = p->line_bad ? NULL : ap_instr_check(out, columns);
  if (why)
    ap_parse_error(p, where, ap_op_info((unsigned)out->op)->semantics, "%s", why);
  ap_parse_end_of_line(p);
}

void ap_parse_code(struct ap_parser *p, struct ap_token opening) {
  while (ap_parse_block_line(p, opening)) {
    struct ap_instr instr;
    ap_parse_instr(p, &instr);
    BF_PUSH(p->code.items, p->code.count, p->code.capacity) = instr;
  }
}

// The arena keeps a finished list; the growing copy goes.
static void *keep(struct ap_parser *p, void *items, size_t count, size_t size) {
  void *copy = bf_arena_alloc(&p->program->arena, count, size);
  if (count)
    memcpy(copy, items, count * size);
  free(items);
  return copy;
}

void ap_parse_table(struct ap_parser *p, struct ap_token opening) {
  ap_parse_number_is(p, p->tables.count);
  ap_parse_end_of_line(p);
  struct { struct ap_instr *items; size_t count, capacity; } list = {0};
  while (ap_parse_block_line(p, opening)) {
    struct ap_instr instr;
    ap_parse_instr(p, &instr);
    BF_PUSH(list.items, list.count, list.capacity) = instr;
  }
  struct ap_table table = {keep(p, list.items, list.count, sizeof *list.items), (uint32_t)list.count};
  BF_PUSH(p->tables.items, p->tables.count, p->tables.capacity) = table;
}

void ap_parse_stream(struct ap_parser *p, struct ap_token opening) {
  uint64_t value = 0;
  if (ap_parse_number_is(p, p->streams.count)) {
    if (!ap_parse_word_is(p, "table"))
      ap_parse_error(p, p->token, "a stream begins like this: .stream 0 table=3", "expected table=");
    else
      ap_parse_next(p);
    if (!p->line_bad && ap_parse_expect(p, '='))
      ap_parse_u64(p, UINT32_MAX, &value);
  }
  ap_parse_end_of_line(p);
  struct ap_stream stream = {.table = (uint32_t)value};
  struct { uint16_t *items; size_t count, capacity; } list = {0};
  while (ap_parse_block_line(p, opening)) {
    while (p->token.kind == AP_TOKEN_WORD && ap_parse_u64(p, UINT16_MAX, &value))
      BF_PUSH(list.items, list.count, list.capacity) = (uint16_t)value;
    ap_parse_end_of_line(p);
  }
  stream.steps = keep(p, list.items, list.count, sizeof *list.items);
  stream.count = (uint32_t)list.count;
  BF_PUSH(p->streams.items, p->streams.count, p->streams.capacity) = stream;
}

// d[3]=0, flag1=k5, a[0]=~k5
static bool parse_literal(struct ap_parser *p, struct ap_lit *lit) {
  uint64_t value;
  if (ap_parse_word_is(p, "d") || ap_parse_word_is(p, "a") || ap_parse_word_is(p, "b")) {
    lit->slot = ap_parse_word_is(p, "d") ? AP_SLOT_D : ap_parse_word_is(p, "a") ? AP_SLOT_A : AP_SLOT_B;
    ap_parse_next(p);
    if (!ap_parse_expect(p, '[') || !ap_parse_u64(p, AP_MAX_WIDTH - 1, &value) || !ap_parse_expect(p, ']'))
      return false;
  } else {
    lit->slot = AP_SLOT_FLAG;
    if (!ap_parse_prefixed(p, "flag", AP_FLAG_COLUMNS - 1, &value))
      return false;
  }
  lit->bit = (uint8_t)value;
  if (!ap_parse_expect(p, '='))
    return false;
  bool inverted = ap_parse_accept(p, '~');
  if (!inverted && (ap_parse_word_is(p, "0") || ap_parse_word_is(p, "1"))) {
    lit->value = ap_parse_word_is(p, "1") ? AP_LIT_1 : AP_LIT_0;
    ap_parse_next(p);
    return true;
  }
  if (!ap_parse_prefixed(p, "k", 63, &value))
    return false;
  lit->value = inverted ? AP_LIT_NOT_K : AP_LIT_K;
  lit->kbit = (uint8_t)value;
  return true;
}

static bool parse_step_kind(struct ap_parser *p, struct ap_step *step) {
  static const char *const KINDS[AP_STEP_COUNT] = {"compare", "compare.or", "write", "write.all"};
  for (unsigned i = 0; i < AP_STEP_COUNT; i++)
    if (ap_parse_word_is(p, KINDS[i])) {
      step->kind = (uint8_t)i;
      ap_parse_next(p);
      return true;
    }
  ap_parse_error(p, p->token, "steps are compare, compare.or, write and write.all", "unknown microcode step");
  return false;
}

struct lits { struct ap_lit *items; size_t count, capacity; };

static struct ap_step parse_step(struct ap_parser *p, struct lits *lits) {
  struct ap_step step = {.first = (uint32_t)lits->count};
  uint64_t group = 0;
  if (ap_parse_u64(p, UINT16_MAX, &group) && ap_parse_expect(p, ':') && parse_step_kind(p, &step)) {
    while (p->token.kind == AP_TOKEN_WORD && !p->line_bad) {
      struct ap_lit lit = {0};
      if (step.nlits == AP_MAX_LITS)
        ap_parse_error(p, p->token, NULL, "more than %d literals", AP_MAX_LITS);
      else if (parse_literal(p, &lit)) {
        step.nlits++;
        BF_PUSH(lits->items, lits->count, lits->capacity) = lit;
      }
    }
  }
  step.group = (uint16_t)group;
  ap_parse_end_of_line(p);
  return step;
}

void ap_parse_micro(struct ap_parser *p, struct ap_token opening) {
  static const char *const SLOTS[3] = {"d", "a", "b"};
  struct ap_micro micro = {.op = parse_mnemonic(p)};
  for (unsigned i = 0; i < 3 && !p->line_bad; i++) {
    uint64_t width;
    if (!ap_parse_word_is(p, SLOTS[i]))
      continue;
    ap_parse_next(p);
    if (ap_parse_expect(p, ':') && ap_parse_u64(p, AP_MAX_WIDTH, &width))
      micro.width[i] = (uint8_t)width;
  }
  ap_parse_end_of_line(p);
  struct { struct ap_step *items; size_t count, capacity; } steps = {0};
  struct lits lits = {0};
  while (ap_parse_block_line(p, opening)) {
    struct ap_step step = parse_step(p, &lits);
    BF_PUSH(steps.items, steps.count, steps.capacity) = step;
  }
  micro.steps = keep(p, steps.items, steps.count, sizeof *steps.items);
  micro.nsteps = (uint32_t)steps.count;
  micro.lits = keep(p, lits.items, lits.count, sizeof *lits.items);
  micro.nlits = (uint32_t)lits.count;
  BF_PUSH(p->micros.items, p->micros.count, p->micros.capacity) = micro;
}
