// SPDX-License-Identifier: Apache-2.0
// Microcode of the raw tag instructions and of those that move or sum between rows.
#include "isa/micro_emit.h"

// The fields of the instruction hold the immediate, d its lowest bits.
static void key(struct gen *g, enum ap_step_kind kind) {
  struct ap_lit lits[AP_MAX_WIDTH];
  unsigned count = 0;
  for (unsigned slot = 0; slot < 3; slot++) {
    for (unsigned i = 0; i < gen_width(g, slot); i++, count++) {
      lits[count] = at_k(slot, i, AP_LIT_K, count);
    }
  }
  bool narrow = kind == AP_STEP_WRITE && !has(g, AP_FEATURE_WIDE_WRITE);
  for (unsigned i = 0; i < count && narrow; i++) {
    gen_step(g, kind, &lits[i], 1);
  }
  if (!narrow) {
    gen_step(g, kind, lits, count);
  }
}

static void move(struct gen *g, enum ap_step_kind shift) {
  gen_clear(g);
  for (unsigned i = 0; i < gen_width(g, AP_SLOT_A); i++) {
    g->group++;
    COMPARE(A(i, 1));
    gen_step(g, shift, NULL, 0);
    WRITE(D(i, 1));
  }
}

static void write_sum(struct gen *g) {
  g->group++;
  gen_write_range(g, AP_STEP_WRITE_ALL, 0, gen_width(g, AP_SLOT_D), AP_LIT_S, NULL);
}

static void sum(struct gen *g) {
  for (unsigned i = 0; i < gen_width(g, AP_SLOT_A); i++, g->group++) {
    COMPARE(A(i, 1));
    gen_step(g, AP_STEP_TALLY, LITS(at(AP_SLOT_SUM, i, 1)));
  }
  write_sum(g);
}

bool gen_rows(struct gen *g, enum ap_op op) {
  switch (op) {
    case AP_OP_COMPARE: key(g, AP_STEP_COMPARE); return true;
    case AP_OP_COMPOR: key(g, AP_STEP_COMPARE_OR); return true;
    case AP_OP_WRITE: key(g, AP_STEP_WRITE); return true;
    case AP_OP_TAGUP: gen_step(g, AP_STEP_SHIFT_UP, NULL, 0); return true;
    case AP_OP_TAGDOWN: gen_step(g, AP_STEP_SHIFT_DOWN, NULL, 0); return true;
    case AP_OP_TALLY:
      gen_step(g, AP_STEP_TALLY, LITS(at(AP_SLOT_SUM, 0, 1)));
      write_sum(g);
      return true;
    case AP_OP_MOVEUP: move(g, AP_STEP_SHIFT_UP); return true;
    case AP_OP_MOVEDN: move(g, AP_STEP_SHIFT_DOWN); return true;
    case AP_OP_SUMROWS: sum(g); return true;
    default: return false;
  }
}
