// SPDX-License-Identifier: Apache-2.0
#include "runtime/passes.h"

#define RESOLVED_LITS 512  // literals at a time, some KiB; more than AP_MAX_LITS
_Static_assert(RESOLVED_LITS >= AP_MAX_LITS, "each step can be resolved");
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2 && AP_SLOT_FLAG == 3, "slots are indices");
_Static_assert(AP_STEP_COMPARE == 0 && AP_STEP_COMPARE_OR == 1 && AP_STEP_WRITE == 2 && AP_STEP_WRITE_ALL == 3,
               "plain compares and writes are told by their numbers");

struct ap_operands ap_operands_of(uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, size_t pitch, uint64_t imm,
                                  const struct ap_pattern *pattern) {
  uint64_t k = pattern != NULL ? pattern->key : imm, p = pattern != NULL ? pattern->base : 0;
  return (struct ap_operands){
      .slot = {d, a, b, flags},
      .pitch = pitch,
      .value = {[AP_LIT_0] = 0, [AP_LIT_1] = 1, [AP_LIT_K] = k, [AP_LIT_NOT_K] = ~k, [AP_LIT_S] = 0, [AP_LIT_P] = p},
      .distance = imm,
      .pattern = pattern,
  };
}

// The sum that the writes after this compare may write.
static void find_sum(const struct ap_lit *lits, unsigned count, struct ap_operands *o) {
  unsigned set = 0;
  for (unsigned i = 0; i < count; i++) {
    set |= lits[i].slot == AP_SLOT_A && ap_literal_value(o, &lits[i]) != 0 ? 1u << lits[i].bit : 0;
  }
  o->value[AP_LIT_P] = ap_pattern_sum(o->pattern, set);
}

static void resolve(const struct ap_lit *lits, const struct ap_step *step, struct ap_operands *o, struct ap_operand *to) {
  bool compares = step->kind <= AP_STEP_COMPARE_OR;
  // A compared column that must be 1 is taken as it is, one that must be 0 is flipped.
  uint64_t complement = compares ? ~(uint64_t)0 : 0;
  for (unsigned i = 0; i < step->nlits; i++) {
    to[i] = (struct ap_operand){ap_literal_column(o, &lits[i]), ap_literal_value(o, &lits[i]) ^ complement};
  }
  if (compares && o->pattern != NULL) {
    find_sum(lits, step->nlits, o);
  }
}

uint32_t ap_passes_run(const struct ap_steps *steps, const struct ap_micro *micro, uint32_t first, struct ap_operands *o,
                       const struct ap_rows *rows, struct ap_kernel_counts *counts) {
  struct ap_operand lits[RESOLVED_LITS];
  uint32_t next = first;
  while (next < micro->nsteps && micro->steps[next].kind <= AP_STEP_WRITE_ALL) {
    struct ap_passes passes = {&micro->steps[next], 0, lits, rows->mask, rows->tag, rows->words};
    uint32_t resolved = 0;
    for (; next < micro->nsteps && micro->steps[next].kind <= AP_STEP_WRITE_ALL; next++, passes.count++) {
      const struct ap_step *step = &micro->steps[next];
      if (resolved + step->nlits > RESOLVED_LITS) {
        break;
      }
      resolve(&micro->lits[step->first], step, o, &lits[resolved]);
      resolved += step->nlits;
    }
    if (counts != NULL) {
      steps->count(&passes, counts);
    } else {
      steps->run(&passes);
    }
  }
  return next;
}
