// SPDX-License-Identifier: Apache-2.0
// Microcode of the pattern instruction: for each value of field a one compare and one write of its sum.
#include "isa/micro_emit.h"

// The compares exclude each other and do not look at d, so their order does not matter: it is that of the numbers.
bool gen_pattern(struct gen *g, enum ap_op op) {
  if (op != AP_OP_PATTERN) {
    return false;
  }
  unsigned inputs = gen_width(g, AP_SLOT_A), keys = gen_width(g, AP_SLOT_B);
  for (unsigned pattern = 0; pattern < 1u << inputs; pattern++, g->group++) {
    struct ap_lit lits[AP_MAX_PATTERN_INPUTS + AP_MAX_PATTERN_KEY];
    for (unsigned i = 0; i < inputs; i++) {
      lits[i] = A(i, pattern >> i & 1);
    }
    for (unsigned i = 0; i < keys; i++) {
      lits[inputs + i] = at_k(AP_SLOT_B, i, AP_LIT_K, i);
    }
    gen_step(g, AP_STEP_COMPARE, lits, inputs + keys);
    gen_write_range(g, AP_STEP_WRITE, 0, gen_width(g, AP_SLOT_D), AP_LIT_P, NULL);
  }
  return true;
}
