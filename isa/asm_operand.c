// SPDX-License-Identifier: Apache-2.0
// Operands: column fields and their names, instructions.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

// [lo], [lo:width] behind a field.
static bool parse_part(struct ap_parser *p, struct ap_field *field) {
  uint64_t low, width = 1;
  if (!ap_parse_accept(p, '['))
    return true;
  struct ap_token where = p->token;
  if (!ap_parse_u64(p, AP_MAX_WIDTH - 1, &low) || (ap_parse_accept(p, ':') && !ap_parse_u64(p, AP_MAX_WIDTH, &width)))
    return false;
  if (width < 1 || low + width > field->width) {
    ap_parse_error(p, where, "[lo:width] takes width bits from bit lo, the lowest being 0",
                   "bits %u..%u of a field of %u bits", (unsigned)low, (unsigned)(low + width - 1), field->width);
    return false;
  }
  field->col = (uint16_t)(field->col + low);
  field->width = (uint8_t)width;
  return ap_parse_expect(p, ']');
}

// c20:18 or c(20+2):18, the word at the current token being c…
static bool parse_columns(struct ap_parser *p, struct ap_field *out) {
  uint64_t col, width;
  if (ap_parse_word_is(p, "c")) {
    ap_parse_next(p);
    if (!ap_parse_expect(p, '(') || !ap_parse_u64(p, AP_MAX_COLUMNS - 1, &col) || !ap_parse_expect(p, ')'))
      return false;
  } else if (!ap_parse_prefixed(p, "c", AP_MAX_COLUMNS - 1, &col)) {
    return false;
  }
  if (!ap_parse_expect(p, ':') || !ap_parse_u64(p, AP_MAX_WIDTH, &width))
    return false;
  out->col = (uint16_t)col;
  out->width = (uint8_t)width;
  return true;
}

static bool is_columns(const char *text, size_t length) {
  size_t digits = 1;
  while (digits < length && text[digits] >= '0' && text[digits] <= '9')
    digits++;
  return text[0] == 'c' && digits == length;
}

bool ap_parse_field(struct ap_parser *p, struct ap_field *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  *out = (struct ap_field){0};
  if (p->token.kind != AP_TOKEN_WORD)
    return ap_parse_expected(p, "a field (c20:8 or a name)");
  if (is_columns(text, length))
    return parse_columns(p, out) && parse_part(p, out);
  const struct ap_symbol *symbol = ap_symbol_find(p, AP_NAME_FIELD, text, length);
  if (!symbol) {
    ap_symbol_unknown(p, AP_NAME_FIELD, p->token);
    return false;
  }
  *out = symbol->field;
  ap_parse_next(p);
  return parse_part(p, out);
}

// The first gap of columns that no named field uses.
static bool place(struct ap_parser *p, unsigned width, struct ap_field *out) {
  unsigned columns = p->has_machine ? p->program->machine.columns : AP_MAX_COLUMNS, run = 0;
  for (unsigned c = AP_FLAG_COLUMNS; c < columns && c < AP_MAX_COLUMNS; c++) {
    run = p->column_use[c] ? 0 : run + 1;
    if (run == width) {
      *out = (struct ap_field){(uint16_t)(c + 1 - width), (uint8_t)width};
      return true;
    }
  }
  return false;
}

static void use_columns(struct ap_parser *p, struct ap_field field, int change) {
  for (unsigned c = field.col; c < (unsigned)field.col + field.width && c < AP_MAX_COLUMNS; c++)
    p->column_use[c] = (uint16_t)(p->column_use[c] + change);
}

// .field acc 18 (placed), .field acc c20:18, .field low acc[0:8]; .temp t 8
void ap_parse_field_directive(struct ap_parser *p, bool temp) {
  struct ap_token name = p->token;
  struct ap_field field = {0};
  size_t length;
  uint64_t width;
  ap_parse_next(p);
  const char *text = ap_parse_text(p, &length);
  bool given = p->token.kind == AP_TOKEN_WORD &&
               (is_columns(text, length) || ap_symbol_find(p, AP_NAME_FIELD, text, length));
  bool ok = given ? ap_parse_field(p, &field) : ap_parse_u64(p, AP_MAX_WIDTH, &width);
  if (ok && !given && width == 0)
    ap_parse_error(p, name, NULL, "a field is 1 to 64 columns wide");
  else if (ok && !given && !place(p, (unsigned)width, &field))
    ap_parse_error(p, name, "fields of .temp are free again after their region or macro",
                   "no %u neighbouring columns are free", (unsigned)width);
  struct ap_symbol *symbol = ok && !p->line_bad ? ap_symbol_define(p, AP_NAME_FIELD, name) : NULL;
  if (symbol) {
    symbol->field = field;
    use_columns(p, field, 1);
    if (temp) {
      struct ap_temp entry = {(size_t)(symbol - p->symbols.items), p->frame};
      BF_PUSH(p->temps.items, p->temps.count, p->temps.capacity) = entry;
    }
  }
  ap_parse_end_of_line(p);
}

void ap_temps_end(struct ap_parser *p, bool all, uint32_t frame) {
  while (p->temps.count && (all || p->temps.items[p->temps.count - 1].frame == frame)) {
    struct ap_symbol *symbol = &p->symbols.items[p->temps.items[--p->temps.count].symbol];
    use_columns(p, symbol->field, -1);
    symbol->gone = true;
  }
}

enum ap_op ap_parse_mnemonic(struct ap_parser *p) {
  static const char *const NAMES[] = {
#define AP_OP(id, code, name, ...) name,
#include "isa/ap_isa.def"
  };
  size_t length;
  const char *text = ap_parse_text(p, &length);
  enum ap_op op = p->token.kind == AP_TOKEN_WORD ? ap_op_find(text, length) : AP_OP_INVALID;
  if (op != AP_OP_INVALID)
    ap_parse_next(p);
  else if (p->token.kind != AP_TOKEN_WORD)
    ap_parse_expected(p, "an instruction");
  else
    ap_parse_unknown(p, p->token, NAMES, BF_COUNT(NAMES), "unknown instruction");
  return op;
}

// desc0[2], lx[2], lx
static bool parse_tap(struct ap_parser *p, struct ap_instr *out) {
  size_t length;
  const char *text = ap_parse_text(p, &length);
  uint64_t value;
  if (p->token.kind != AP_TOKEN_WORD)
    return ap_parse_expected(p, "a descriptor (desc0[0] or a name)");
  const struct ap_symbol *symbol = ap_symbol_find(p, AP_NAME_DESC, text, length);
  if (symbol) {
    value = (uint64_t)symbol->value;
    ap_parse_next(p);
  } else if (length > 4 && memcmp(text, "desc", 4) == 0 && text[4] >= '0' && text[4] <= '9') {
    if (!ap_parse_prefixed(p, "desc", UINT16_MAX, &value))
      return false;
  } else {
    ap_symbol_unknown(p, AP_NAME_DESC, p->token);
    return false;
  }
  out->index = (uint32_t)value;
  if (!ap_parse_accept(p, '['))
    return true;
  if (!ap_parse_u64(p, UINT16_MAX, &value) || !ap_parse_expect(p, ']'))
    return false;
  out->tap = (uint16_t)value;
  return true;
}

static bool parse_index(struct ap_parser *p, struct ap_instr *out) {
  enum ap_name_space space = out->op == AP_OP_GRID      ? AP_NAME_GRID
                             : out->op == AP_OP_STEPS   ? AP_NAME_STREAM
                             : out->op == AP_OP_HOST    ? AP_NAME_HOST
                             : out->op == AP_OP_PATTERN ? AP_NAME_PATTERN
                                                        : AP_NAME_VALUE;
  uint64_t value;
  ap_parse_accept(p, '#');
  if (!ap_parse_item(p, space, UINT32_MAX, &value))
    return false;
  out->index = (uint32_t)value;
  return true;
}

// c20:1=1, c4:8=63: the fields' keys side by side, the first field's in the lowest bits.
static bool parse_keys(struct ap_parser *p, struct ap_instr *out) {
  unsigned bits = 0;
  for (unsigned i = 0; i < 3; i++) {
    uint64_t key;
    if (i && !ap_parse_accept(p, ','))
      return true;
    struct ap_token where = p->token;
    if (!ap_parse_field(p, &out->f[i]) || !ap_parse_expect(p, '=') || !ap_parse_bits(p, out->f[i].width, &key))
      return false;
    if (bits + out->f[i].width > 64) {
      ap_parse_error(p, where, NULL, "the fields of a key have more than 64 columns together");
      return false;
    }
    out->imm |= key << bits;
    bits += out->f[i].width;
  }
  return true;
}

static bool parse_imm(struct ap_parser *p, const struct ap_op_info *info, bool first, struct ap_instr *out) {
  uint8_t width[3] = {out->f[0].width, out->f[1].width, out->f[2].width};
  if (!first && !ap_parse_expect(p, ','))
    return false;
  ap_parse_accept(p, '#');
  if (info->imm == AP_IMM_ROWS)
    return ap_parse_u64(p, UINT64_MAX, &out->imm);
  return ap_parse_bits(p, ap_imm_width(info, width), &out->imm);
}

static bool parse_operands(struct ap_parser *p, const struct ap_op_info *info, struct ap_instr *out) {
  const struct ap_format_info *format = ap_format_info(info->format);
  if (info->format == AP_FORMAT_KEY)
    return parse_keys(p, out);
  for (unsigned i = 0; i < format->fields; i++) {
    if (i && !ap_parse_expect(p, ','))
      return false;
    if (i >= format->least && ap_parse_is(p, '#'))
      return parse_index(p, out);  // the fields from here on are absent
    if (!ap_parse_field(p, &out->f[i]))
      return false;
  }
  if (format->has_tap)
    return ap_parse_expect(p, ',') && parse_tap(p, out);
  if (format->has_index)
    return (format->fields == 0 || ap_parse_expect(p, ',')) && parse_index(p, out);
  return !format->has_imm || parse_imm(p, info, format->fields == 0, out);
}

void ap_parse_operation(struct ap_parser *p, struct ap_instr *out, struct ap_token *where) {
  *where = p->token;
  memset(out, 0, sizeof *out);
  out->op = ap_parse_mnemonic(p);
  if (out->op == AP_OP_INVALID)
    return;
  const struct ap_op_info *info = ap_op_info((unsigned)out->op);
  if (!parse_operands(p, info, out) && !p->line_bad)
    ap_parse_error(p, *where, NULL, "wrong operands");
  // A legal line but for its operands' rules: show all of it.
  const char *text = p->frames.items[where->frame].text;
  for (size_t i = where->end; p->token.frame == where->frame && i < p->token.begin && text[i] != ';'; i++)
    if (text[i] > ' ')
      where->end = i + 1;
  unsigned columns = p->has_machine ? p->program->machine.columns : AP_MAX_COLUMNS;
  const char *why = p->line_bad ? NULL : ap_instr_check(out, columns);
  if (why)
    ap_parse_error(p, *where, info->semantics, "%s", why);
}

void ap_parse_instr(struct ap_parser *p, struct ap_instr *out) {
  struct ap_token where;
  ap_parse_operation(p, out, &where);
  ap_parse_end_of_line(p);
}
