// SPDX-License-Identifier: Apache-2.0
// Operand rules: what the semantics column of isa/ap_isa.def demands of widths and overlap.
#include "isa/isa.h"

static bool overlap(struct ap_field x, struct ap_field y) {
  return x.col < y.col + y.width && y.col < x.col + x.width;
}

static bool fits(uint64_t value, unsigned width) {
  return width >= 64 || value >> width == 0;
}

// Every operand that the format has is in range, and every one that it has not is zero.
static const char *check_shape(const struct ap_instr *in, const struct ap_format_info *format, unsigned columns) {
  for (unsigned i = 0; i < 3; i++) {
    struct ap_field f = in->f[i];
    if (i >= format->fields) {
      if (f.col || f.width)
        return "an operand that the format does not have";
      continue;
    }
    if (f.width < 1 || f.width > AP_MAX_WIDTH)
      return "field width outside 1..64";
    if (f.col < AP_FLAG_COLUMNS)
      return "field names a flag column (0..3)";
    if (f.col >= AP_MAX_COLUMNS || (unsigned)f.col + f.width > columns)
      return "field reaches beyond the machine's columns";
  }
  if (!format->has_index && in->index)
    return "an index that the format does not have";
  if (!format->has_tap && in->tap)
    return "a tap that the format does not have";
  if (!format->has_imm && in->imm)
    return "an immediate that the format does not have";
  if (format->has_tap && in->index > UINT16_MAX)
    return "descriptor number above 65535";
  return NULL;
}

// The engines read sources while they write d bit by bit, so no source may share a column with d.
// setk.if is the exception: it reads its condition once, before the first write.
static const char *check_overlap(const struct ap_instr *in, const struct ap_format_info *format) {
  if (in->op == AP_OP_SETKIF)
    return NULL;
  for (unsigned i = 1; i < format->fields; i++)
    if (overlap(in->f[0], in->f[i]))
      return "the destination overlaps a source";
  return NULL;
}

static const char *check_widths(const struct ap_instr *in) {
  unsigned d = in->f[0].width, a = in->f[1].width, b = in->f[2].width;
  switch (in->op) {
  case AP_OP_LOOP:
    return in->index >= 1 && in->index <= INT32_MAX ? NULL : "loop count outside 1..2147483647";
  case AP_OP_SETK:
  case AP_OP_ADDK:
    return fits(in->imm, d) ? NULL : "immediate wider than d";
  case AP_OP_SETKIF:
    if (a != 1)
      return "the condition a is not one bit wide";
    return fits(in->imm, d) ? NULL : "immediate wider than d";
  case AP_OP_COPY:
  case AP_OP_ADD:
  case AP_OP_SUB:
  case AP_OP_ADDS:
  case AP_OP_SUBS:
    return d >= a ? NULL : "d is narrower than a";
  case AP_OP_COPYIF:
    if (b != 1)
      return "the condition b is not one bit wide";
    return d == a ? NULL : "d and a differ in width";
  case AP_OP_NOT:
  case AP_OP_MAX:
    return d == a ? NULL : "d and a differ in width";
  case AP_OP_MUL:
  case AP_OP_MULS:
    return d == a + b ? NULL : "the width of d is not the sum of the widths of a and b";
  case AP_OP_GTK:
    if (d != 1)
      return "the result d is not one bit wide";
    return fits(in->imm, a) ? NULL : "immediate wider than a";
  case AP_OP_GT:
    if (d != 1)
      return "the result d is not one bit wide";
    return a == b ? NULL : "a and b differ in width";
  default:
    return NULL;
  }
}

const char *ap_instr_check(const struct ap_instr *instr, unsigned columns) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (!info)
    return "unknown opcode";
  const struct ap_format_info *format = ap_format_info(info->format);
  const char *why = check_shape(instr, format, columns);
  if (!why)
    why = check_overlap(instr, format);
  return why ? why : check_widths(instr);
}
