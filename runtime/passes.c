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

static void resolve(const struct ap_operands *o, const struct ap_lit *lits, uint32_t count, struct ap_operand *to) {
  for (uint32_t i = 0; i < count; i++) {
    to[i] = (struct ap_operand){ap_literal_column(o, &lits[i]), ap_literal_value(o, &lits[i])};
  }
}

// Bits of field a that a compare searches for as 1.
static unsigned searched_bits(const struct ap_lit *lits, const struct ap_operand *resolved, unsigned count) {
  unsigned set = 0;
  for (unsigned i = 0; i < count; i++) {
    set |= lits[i].slot == AP_SLOT_A && resolved[i].value != 0 ? 1u << lits[i].bit : 0;
  }
  return set;
}

// What writes of an instruction with a pattern write depends on the compare before.
static void resolve_sums(struct ap_operands *o, const struct ap_step *steps, uint32_t count, const struct ap_lit *lits, struct ap_operand *to) {
  for (uint32_t i = 0; i < count; lits += steps[i].nlits, to += steps[i].nlits, i++) {
    if (steps[i].kind <= AP_STEP_COMPARE_OR) {
      o->value[AP_LIT_P] = ap_pattern_sum(o->pattern, searched_bits(lits, to, steps[i].nlits));
    } else {
      resolve(o, lits, steps[i].nlits, to);
    }
  }
}

static bool is_plain(const struct ap_micro *micro, uint32_t step) {
  return step < micro->nsteps && micro->steps[step].kind <= AP_STEP_WRITE_ALL;
}

uint32_t ap_passes_run(const struct ap_steps *steps, const struct ap_micro *micro, uint32_t first, struct ap_operands *o,
                       const struct ap_rows *rows, struct ap_kernel_counts *counts) {
  struct ap_operand resolved[RESOLVED_LITS];
  uint32_t next = first;
  while (is_plain(micro, next)) {
    struct ap_passes passes = {&micro->steps[next], 0, resolved, rows->mask, rows->tag, rows->words};
    uint32_t begin = micro->steps[next].first, end = begin;  // literals of steps that follow each other do so, too
    for (; is_plain(micro, next) && micro->steps[next].first == end; next++, passes.count++) {
      if (end + micro->steps[next].nlits - begin > RESOLVED_LITS) {
        break;
      }
      end += micro->steps[next].nlits;
    }
    resolve(o, &micro->lits[begin], end - begin, resolved);
    if (o->pattern != NULL) {
      resolve_sums(o, passes.steps, passes.count, &micro->lits[begin], resolved);
    }
    if (counts != NULL) {
      steps->count(&passes, counts);
    } else {
      steps->run(&passes);
    }
  }
  return next;
}
