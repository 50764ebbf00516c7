// SPDX-License-Identifier: Apache-2.0
// Operand rules of isa/ap_isa.def: widths, immediates, overlap.
#include "isa/isa.h"

static bool overlap(struct ap_field x, struct ap_field y) {
  return x.col < y.col + y.width && y.col < x.col + x.width;
}

const char *ap_widths_check(const struct ap_op_info *info, const uint8_t width[3]) {
  unsigned d = width[0], a = width[1], b = width[2];
  switch (info->rule) {
#define AP_WIDTH_RULE(id, condition, wrong) case AP_RULE_##id: return (condition) ? NULL : wrong;
#include "isa/width_rules.def"
  default: return "unknown rule";
  }
}

unsigned ap_imm_width(const struct ap_op_info *info, const uint8_t width[3]) {
  switch (info->imm) {
  case AP_IMM_D: return width[0];
  case AP_IMM_A: return width[1];
  case AP_IMM_KEY: return (unsigned)width[0] + width[1] + width[2];
  case AP_IMM_ROWS: return 16;
  case AP_IMM_PATTERN: return width[2];
  default: return 0;
  }
}

static const char *check_field(struct ap_field f, unsigned columns) {
  if (f.width < 1 || f.width > AP_MAX_WIDTH)
    return "field width outside 1..64";
  if (f.col < AP_FLAG_COLUMNS)
    return "field names a flag column (0..3)";
  if (f.col >= AP_MAX_COLUMNS || (unsigned)f.col + f.width > columns)
    return "field reaches beyond the machine's columns";
  return NULL;
}

// Every operand that the format has is in range, and every one that it has not is zero.
static const char *check_shape(const struct ap_instr *in, const struct ap_op_info *info, unsigned columns) {
  const struct ap_format_info *format = ap_format_info(info->format);
  for (unsigned i = 0; i < 3; i++) {
    struct ap_field f = in->f[i];
    bool may_lack = i >= format->least;
    if (i >= format->fields || (may_lack && f.width == 0)) {
      if (f.col || f.width)
        return "an operand that the format does not have";
      continue;
    }
    if (i && in->f[i - 1].width == 0)
      return "a field behind one that is absent";
    const char *why = check_field(f, columns);
    if (why)
      return why;
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

// The engines read sources while they write d bit by bit, so no source may share a column with d. setk.if is an exception: it
// reads its condition once, before the first write; add.pair reads other rows than it writes. The fields of a key
// are one set of columns.
static const char *check_overlap(const struct ap_instr *in, const struct ap_op_info *info) {
  if (in->op == AP_OP_SETKIF || in->op == AP_OP_ADDPAIR)
    return NULL;
  for (unsigned i = 1; i < 3; i++)
    if (in->f[i].width && overlap(in->f[0], in->f[i]))
      return info->format == AP_FORMAT_KEY ? "two fields overlap" : "the destination overlaps a source";
  if (info->format == AP_FORMAT_KEY && in->f[2].width && overlap(in->f[1], in->f[2]))
    return "two fields overlap";
  return NULL;
}

static const char *check_imm(const struct ap_instr *in, const struct ap_op_info *info) {
  uint8_t width[3] = {in->f[0].width, in->f[1].width, in->f[2].width};
  unsigned bits = ap_imm_width(info, width);
  if (in->op == AP_OP_LOOP)
    return in->index >= 1 && in->index <= INT32_MAX ? NULL : "loop count outside 1..2147483647";
  if (info->imm == AP_IMM_ROWS)
    return in->imm >= 1 && in->imm <= AP_MAX_ROW_DISTANCE ? NULL : "row distance outside 1..65535";
  if (bits && bits < 64 && in->imm >> bits)
    return info->imm == AP_IMM_D ? "immediate wider than d" : info->imm == AP_IMM_A ? "immediate wider than a"
                                                                                 : "key wider than its fields";
  return NULL;
}

const char *ap_instr_check(const struct ap_instr *instr, unsigned columns) {
  const struct ap_op_info *info = ap_op_info((unsigned)instr->op);
  if (!info)
    return "unknown opcode";
  uint8_t width[3] = {instr->f[0].width, instr->f[1].width, instr->f[2].width};
  const char *why = check_shape(instr, info, columns);
  if (!why)
    why = check_overlap(instr, info);
  if (!why)
    why = ap_widths_check(info, width);
  return why ? why : check_imm(instr, info);
}
