// SPDX-License-Identifier: Apache-2.0
// Checks of microcode that came from a file: the door that engines rely on.
#include "isa/micro.h"

static const struct ap_step_info STEPS[AP_STEP_COUNT] = {
#define AP_STEP_KIND(id, number, words, lits, counts, features, meant) \
  [number] = {.text = words, .literals = AP_LITERALS_##lits, .event = AP_EVENT_##counts, .needs = features, .meaning = meant},
#include "isa/step_kinds.def"
};

const struct ap_step_info *ap_step_info(unsigned kind) { return kind < AP_STEP_COUNT ? &STEPS[kind] : NULL; }

bool ap_micro_widths_legal(enum ap_op op, const uint8_t width[3]) {
  const struct ap_op_info *info = ap_op_info(op);
  if (info == NULL || info->op_class != AP_CLASS_COMPUTE) {
    return false;
  }
  for (unsigned i = 0; i < 3; i++) {
    bool wanted = i < info->micro_widths, may_lack = i >= ap_format_info(info->format)->least;
    if (width[i] > AP_MAX_WIDTH || (wanted && !may_lack ? width[i] < 1 : width[i] != 0 && !wanted)) {
      return false;
    }
    if (i > 0 && width[i] != 0 && width[i - 1] == 0) {
      return false;
    }
  }
  return ap_widths_check(info, width) == NULL;
}

static unsigned slot_width(const struct ap_micro *m, const struct ap_lit *lit) {
  switch (lit->slot) {
    case AP_SLOT_FLAG: return AP_FLAG_COLUMNS;
    case AP_SLOT_PARTNER: return m->width[1];
    case AP_SLOT_SUM: return 64;
    default: return m->width[lit->slot];
  }
}

static bool slot_fits(unsigned slot, unsigned kind) {
  switch (slot) {
    case AP_SLOT_PARTNER: return kind == AP_STEP_PAIR || kind == AP_STEP_PAIR_OR;
    case AP_SLOT_SUM: return ap_step_info(kind)->literals == AP_LITERALS_SUM;
    default: return ap_step_info(kind)->literals != AP_LITERALS_SUM;
  }
}

static const char *check_lit(const struct ap_micro *m, unsigned kind, const struct ap_lit *lit, unsigned imm_bits) {
  if (lit->slot >= AP_SLOT_COUNT || !slot_fits(lit->slot, kind)) {
    return "an operand slot that this kind of microcode step does not have";
  }
  if (lit->bit >= slot_width(m, lit)) {
    return "microcode names a bit outside its operand";
  }
  if (lit->value >= AP_LIT_COUNT) {
    return "unknown literal value in microcode";
  }
  if (lit->slot == AP_SLOT_SUM && lit->value != AP_LIT_1) {
    return "a count step with another value than 1";
  }
  if (lit->value == AP_LIT_P) {
    bool fits = ap_op_info(m->op)->imm == AP_IMM_PATTERN && ap_step_info(kind)->literals == AP_LITERALS_VALUE;
    return fits && lit->kbit < m->width[0] ? NULL : "a bit of a pattern's sum that the instruction does not have, or that is not written";
  }
  if (lit->value == AP_LIT_S) {
    return ap_step_info(kind)->literals == AP_LITERALS_VALUE && lit->kbit < 64 ? NULL
                                                                               : "the sum register can only be written";
  }
  bool keyed = lit->value == AP_LIT_K || lit->value == AP_LIT_NOT_K;
  if (keyed ? lit->kbit >= imm_bits : lit->kbit != 0) {
    return "microcode reads a bit of the immediate that the instruction does not have";
  }
  return NULL;
}

static const char *check_step(const struct ap_micro *m, const struct ap_step *step, unsigned imm_bits) {
  enum ap_step_literals sort = ap_step_info(step->kind)->literals;
  unsigned low = sort == AP_LITERALS_NOTHING ? 0 : 1;
  unsigned high = sort == AP_LITERALS_NOTHING ? 0 : sort == AP_LITERALS_SUM ? 1 : AP_MAX_LITS;
  if (step->nlits < low || step->nlits > high) {
    return "bad number of literals in a microcode step";
  }
  if (step->first > m->nlits || m->nlits - step->first < step->nlits) {
    return "microcode literals out of range";
  }
  uint64_t seen[AP_SLOT_COUNT] = {0};
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &m->lits[step->first + i];
    const char *why = check_lit(m, step->kind, lit, imm_bits);
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

// An accumulating compare continues compares of its sort; what reads tags needs some that were set.
static const char *check_order(const struct ap_micro *m, uint32_t i) {
  const struct ap_step *step = &m->steps[i];
  enum ap_tag_use use = ap_op_info(m->op)->tag;
  bool given = use == AP_TAG_USES || use == AP_TAG_TAKES;  // tags from the instruction before
  unsigned before = i > 0 ? m->steps[i - 1].kind : AP_STEP_COUNT;
  switch (step->kind) {
    case AP_STEP_COMPARE:
    case AP_STEP_PAIR:
    case AP_STEP_WRITE_ALL: return NULL;
    case AP_STEP_COMPARE_OR:
      return before == AP_STEP_COMPARE || before == AP_STEP_COMPARE_OR || (i == 0 && given)
                 ? NULL : "an accumulating compare must follow a compare";
    case AP_STEP_PAIR_OR:
      return before == AP_STEP_PAIR || before == AP_STEP_PAIR_OR ? NULL : "an accumulating compare must follow a compare";
    default: return i > 0 || given ? NULL : "microcode uses the tags before it has set them";
  }
}

const char *ap_micro_check(const struct ap_micro *micro) {
  uint32_t step;
  return ap_micro_check_steps(micro, &step);
}

const char *ap_micro_check_steps(const struct ap_micro *micro, uint32_t *at) {
  *at = micro->nsteps;
  if (!ap_micro_widths_legal(micro->op, micro->width)) {
    return "microcode for illegal operand widths";
  }
  if (micro->nsteps == 0) {
    return "microcode without steps";
  }
  const struct ap_op_info *info = ap_op_info(micro->op);
  bool rows = info->imm == AP_IMM_ROWS;  // a distance, no bits
  unsigned imm_bits = rows ? 0 : ap_imm_width(info, micro->width);
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    const struct ap_step *step = &micro->steps[i];
    const struct ap_step_info *kind = ap_step_info(step->kind);
    *at = i;
    if (kind == NULL) {
      return "unknown kind of microcode step";
    }
    if ((kind->event == AP_EVENT_SHIFT || step->kind == AP_STEP_PAIR || step->kind == AP_STEP_PAIR_OR) && !rows) {
      return "microcode moves between rows, but the instruction has no row distance";
    }
    const char *why = check_step(micro, step, imm_bits);
    if (why == NULL) {
      why = check_order(micro, i);
    }
    if (why != NULL) {
      return why;
    }
    if (i > 0 && step->group < step[-1].group) {
      return "microcode groups out of order";
    }
  }
  return NULL;
}
