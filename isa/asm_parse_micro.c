// SPDX-License-Identifier: Apache-2.0
// The assembler's microcode programs; those that the text leaves out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

// d[3], a[0], b[1], p[2] (field a of the partner row), sum[4], flag1
static bool parse_place(struct ap_parser *p, struct ap_lit *lit) {
  uint64_t value;
  static const struct { const char *text; enum ap_lit_slot slot; } SLOTS[] = {
      {"d", AP_SLOT_D}, {"a", AP_SLOT_A}, {"b", AP_SLOT_B}, {"p", AP_SLOT_PARTNER}, {"sum", AP_SLOT_SUM}};
  for (size_t i = 0; i < BF_COUNT(SLOTS); i++)
    if (ap_parse_word_is(p, SLOTS[i].text)) {
      lit->slot = SLOTS[i].slot;
      ap_parse_next(p);
      if (!ap_parse_expect(p, '[') || !ap_parse_u64(p, AP_MAX_WIDTH - 1, &value) || !ap_parse_expect(p, ']'))
        return false;
      lit->bit = (uint8_t)value;
      return true;
    }
  lit->slot = AP_SLOT_FLAG;
  if (!ap_parse_prefixed(p, "flag", AP_FLAG_COLUMNS - 1, &value))
    return false;
  lit->bit = (uint8_t)value;
  return true;
}

// 0, 1, k5, ~k5, s3, p7
static bool parse_lit_value(struct ap_parser *p, struct ap_lit *lit) {
  uint64_t value;
  size_t length;
  bool inverted = ap_parse_accept(p, '~');
  if (!inverted && (ap_parse_word_is(p, "0") || ap_parse_word_is(p, "1"))) {
    lit->value = ap_parse_word_is(p, "1") ? AP_LIT_1 : AP_LIT_0;
    ap_parse_next(p);
    return true;
  }
  char letter = !inverted && p->token.kind == AP_TOKEN_WORD ? *ap_parse_text(p, &length) : 'k';
  if (!ap_parse_prefixed(p, letter == 's' ? "s" : letter == 'p' ? "p" : "k", 63, &value))
    return false;
  lit->value = letter == 's' ? AP_LIT_S : letter == 'p' ? AP_LIT_P : inverted ? AP_LIT_NOT_K : AP_LIT_K;
  lit->kbit = (uint8_t)value;
  return true;
}

// d[3]=0, flag1=k5; sum[4] has no value.
static bool parse_literal(struct ap_parser *p, struct ap_lit *lit) {
  if (!parse_place(p, lit))
    return false;
  if (lit->slot == AP_SLOT_SUM) {
    lit->value = AP_LIT_1;
    return true;
  }
  return ap_parse_expect(p, '=') && parse_lit_value(p, lit);
}

static bool parse_step_kind(struct ap_parser *p, struct ap_step *step) {
  static const char *const NAMES[] = {
#define AP_STEP_KIND(id, number, text, ...) [number] = text,
#include "isa/step_kinds.def"
  };
  for (unsigned i = 0; i < BF_COUNT(NAMES); i++)
    if (ap_parse_word_is(p, NAMES[i])) {
      step->kind = (uint8_t)i;
      ap_parse_next(p);
      return true;
    }
  ap_parse_unknown(p, p->token, NAMES, BF_COUNT(NAMES), "unknown microcode step");
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
  struct ap_token where = p->token;
  struct ap_micro micro = {.op = ap_parse_mnemonic(p)};
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
  micro.steps = ap_parse_keep(p, steps.items, steps.count, sizeof *steps.items);
  micro.nsteps = (uint32_t)steps.count;
  micro.lits = ap_parse_keep(p, lits.items, lits.count, sizeof *lits.items);
  micro.nlits = (uint32_t)lits.count;
  BF_PUSH(p->micros.items, p->micros.count, p->micros.capacity) = micro;
  struct ap_micro_place place = {where, micro.op, {micro.width[0], micro.width[1], micro.width[2]}};
  BF_PUSH(p->micro_at.items, p->micro_at.count, p->micro_at.capacity) = place;
}

// ---- the programs of the finished list

static int order(const struct ap_micro *x, const struct ap_micro *y) {
  return x->op != y->op ? (x->op < y->op ? -1 : 1) : memcmp(x->width, y->width, 3);
}

static int order_any(const void *x, const void *y) { return order(x, y); }

static void sort(struct ap_program *p) {
  for (uint32_t i = 1; i < p->nmicros; i++)
    if (order(&p->micros[i - 1], &p->micros[i]) > 0) {
      qsort(p->micros, p->nmicros, sizeof *p->micros, order_any);
      return;
    }
}

// The place of the second of two programs for the same instruction and widths.
static void find_twice(struct ap_parser *p) {
  const struct ap_program *to = p->program;
  struct { struct ap_micro micro; struct ap_token where; } *all = bf_alloc(to->nmicros, sizeof *all);
  for (uint32_t i = 0; i < to->nmicros; i++) {
    all[i].micro = to->micros[i];
    all[i].where = p->micro_at.items[i].where;
  }
  qsort(all, to->nmicros, sizeof *all, order_any);  // the micro is the first member
  for (uint32_t i = 1; i < to->nmicros; i++)
    if (order(&all[i - 1].micro, &all[i].micro) == 0) {
      bool swapped = all[i].where.begin < all[i - 1].where.begin;
      p->line_bad = false;
      ap_parse_error(p, all[i - swapped].where, NULL, "a second microcode program for this instruction and these widths");
      ap_parse_note(p, all[i - !swapped].where, "the first one is here");
    }
  free(all);
}

struct made { struct ap_micro *items; size_t count, capacity; };

static bool has_key(const struct made *made, const struct ap_micro *key) {
  for (size_t i = 0; i < made->count; i++)
    if (order(&made->items[i], key) == 0)
      return true;
  return false;
}

// The program of an instruction if the text lacks it. Where the generator has none either, the validator says so.
static void supply(struct ap_parser *p, const struct ap_instr *instr, struct made *made) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  struct ap_program *to = p->program;
  struct ap_micro key = {.op = instr->op}, micro;
  if (!info || info->op_class != AP_CLASS_COMPUTE || ap_program_micro(to, instr))
    return;
  for (unsigned i = 0; i < info->micro_widths && i < 3; i++)
    key.width[i] = instr->f[i].width;
  if (has_key(made, &key) || !ap_micro_generate(key.op, key.width, to->machine.features, &micro))
    return;
  key = micro;
  key.steps = bf_arena_alloc(&to->arena, micro.nsteps, sizeof *key.steps);
  key.lits = bf_arena_alloc(&to->arena, micro.nlits, sizeof *key.lits);
  if (micro.nsteps)
    memcpy(key.steps, micro.steps, micro.nsteps * sizeof *key.steps);
  if (micro.nlits)
    memcpy(key.lits, micro.lits, micro.nlits * sizeof *key.lits);
  ap_micro_free(&micro);
  BF_PUSH(made->items, made->count, made->capacity) = key;
}

void ap_micros_complete(struct ap_parser *p) {
  struct ap_program *to = p->program;
  struct made made = {0};
  find_twice(p);
  sort(to);
  for (uint32_t i = 0; i < to->ncode; i++)
    supply(p, &to->code[i], &made);
  for (uint32_t t = 0; t < to->ntables; t++)
    for (uint32_t i = 0; i < to->tables[t].count; i++)
      supply(p, &to->tables[t].items[i], &made);
  if (made.count) {
    struct ap_micro *all = bf_arena_alloc(&to->arena, to->nmicros + made.count, sizeof *all);
    if (to->nmicros)
      memcpy(all, to->micros, to->nmicros * sizeof *all);
    memcpy(all + to->nmicros, made.items, made.count * sizeof *all);
    to->micros = all;
    to->nmicros += (uint32_t)made.count;
    sort(to);
  }
  free(made.items);
}
