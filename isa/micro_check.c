// SPDX-License-Identifier: Apache-2.0
// Checks of microcode that came from a file: the door that engines rely on.
#include "isa/micro.h"

bool ap_micro_widths_legal(enum ap_op op, const uint8_t width[3]) {
  const struct ap_op_info *info = ap_op_info(op);
  if (info == NULL || info->op_class != AP_CLASS_COMPUTE) {
    return false;
  }
  for (unsigned i = 0; i < 3; i++) {
    bool wanted = i < info->micro_widths;
    if (wanted ? width[i] < 1 || width[i] > AP_MAX_WIDTH : width[i] != 0) {
      return false;
    }
  }
  unsigned d = width[0], a = width[1], b = width[2];
  switch (op) {
    case AP_OP_SETKIF: return a == 1;
    case AP_OP_COPY:
    case AP_OP_ADD:
    case AP_OP_SUB:
    case AP_OP_ADDS:
    case AP_OP_SUBS: return d >= a;
    case AP_OP_COPYIF: return b == 1 && d == a;
    case AP_OP_NOT:
    case AP_OP_MAX: return d == a;
    case AP_OP_MUL:
    case AP_OP_MULS: return d == a + b;
    case AP_OP_GTK: return d == 1;
    case AP_OP_GT: return d == 1 && a == b;
    default: return true;
  }
}

static const char *check_lit(const struct ap_micro *m, const struct ap_lit *lit, bool has_imm) {
  if (lit->slot >= AP_SLOT_COUNT) {
    return "unknown operand slot in microcode";
  }
  unsigned width = lit->slot == AP_SLOT_FLAG ? AP_FLAG_COLUMNS : m->width[lit->slot];
  if (lit->bit >= width) {
    return "microcode names a bit outside its operand";
  }
  if (lit->value >= AP_LIT_COUNT) {
    return "unknown literal value in microcode";
  }
  bool keyed = lit->value == AP_LIT_K || lit->value == AP_LIT_NOT_K;
  if (keyed && !has_imm) {
    return "microcode reads an immediate that the instruction lacks";
  }
  if (keyed ? lit->kbit >= 64 : lit->kbit != 0) {
    return "immediate bit out of range in microcode";
  }
  return NULL;
}

static const char *check_step(const struct ap_micro *m, const struct ap_step *step, bool has_imm) {
  if (step->nlits < 1 || step->nlits > AP_MAX_LITS) {
    return "bad number of literals in a microcode step";
  }
  if (step->first > m->nlits || m->nlits - step->first < step->nlits) {
    return "microcode literals out of range";
  }
  uint64_t seen[AP_SLOT_COUNT] = {0};
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &m->lits[step->first + i];
    const char *why = check_lit(m, lit, has_imm);
    if (why != NULL) {
      return why;
    }
    uint64_t bit = (uint64_t)1 << lit->bit;
    if (seen[lit->slot] & bit) {
      return "a microcode step names a column twice";
    }
    seen[lit->slot] |= bit;
  }
  return NULL;
}

const char *ap_micro_check(const struct ap_micro *micro) {
  if (!ap_micro_widths_legal(micro->op, micro->width)) {
    return "microcode for illegal operand widths";
  }
  if (micro->nsteps == 0) {
    return "microcode without steps";
  }
  bool has_imm = ap_format_info(ap_op_info(micro->op)->format)->has_imm;
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    const struct ap_step *step = &micro->steps[i], *before = i > 0 ? step - 1 : NULL;
    const char *why = check_step(micro, step, has_imm);
    if (why != NULL) {
      return why;
    }
    if (before != NULL && step->group < before->group) {
      return "microcode groups out of order";
    }
    switch (step->kind) {
      case AP_STEP_COMPARE:
      case AP_STEP_WRITE_ALL: break;
      case AP_STEP_COMPARE_OR:
        if (before == NULL || (before->kind != AP_STEP_COMPARE && before->kind != AP_STEP_COMPARE_OR)) {
          return "an accumulating compare must follow a compare";
        }
        break;
      case AP_STEP_WRITE:
        if (before == NULL) {
          return "microcode writes before it has compared";
        }
        break;
      default: return "unknown kind of microcode step";
    }
  }
  return NULL;
}
