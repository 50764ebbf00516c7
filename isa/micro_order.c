// SPDX-License-Identifier: Apache-2.0
// Microcode of comparisons, maxima and minima, clamps.
#include "isa/micro_emit.h"

// Comparisons go from the least significant bit up: the highest bit in which a and b differ decides. The sign bits of two's complement
// decide the other way round.
static void compare(struct gen *g, enum ap_bit_step first, enum ap_bit_step step, unsigned verdict, bool is_signed) {
  unsigned width = gen_width(g, AP_SLOT_A);
  WRITE_ALL(D(0, verdict));
  for (unsigned i = 0; i < width; i++) {
    struct ap_lit a = A(i, 0), b = B(i, 0);
    bool swap = is_signed && i == width - 1;
    g->group++;
    STEP(i == 0 ? first : step, {'a', swap ? b : a}, {'b', swap ? a : b}, {'d', D(0, 0)});
  }
}

// Where compares accumulate, all differing bits share one write.
static void equal(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_A);
  if (!has(g, AP_FEATURE_ACCUMULATE)) {
    compare(g, AP_BIT_EQ, AP_BIT_EQ, 1, false);
    return;
  }
  WRITE_ALL(D(0, 1));
  for (unsigned i = 0; i < width; i++) {
    g->group++;
    gen_step(g, i == 0 ? AP_STEP_COMPARE : AP_STEP_COMPARE_OR, LITS(A(i, 1), B(i, 0)));
    COMPARE_OR(A(i, 0), B(i, 1));
  }
  WRITE(D(0, 0));
}

static void equal_constant(struct gen *g) {
  struct ap_lit lits[AP_MAX_WIDTH];
  unsigned width = gen_width(g, AP_SLOT_A);
  for (unsigned i = 0; i < width; i++) {
    lits[i] = at_k(AP_SLOT_A, i, AP_LIT_K, i);
  }
  WRITE_ALL(D(0, 0));
  gen_step(g, AP_STEP_COMPARE, lits, width);
  WRITE(D(0, 1));
}

static void greater_constant(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_A);
  WRITE_ALL(D(0, 0));
  for (unsigned i = 0; i < width; i++) {
    g->group++;
    STEP_K(AP_BIT_GTK, i, {'a', A(i, 0)}, {'d', D(0, 0)});
  }
}

// F: d is beyond the constant, which then replaces it.
static void clamp(struct gen *g, enum ap_bit_step beyond) {
  unsigned width = gen_width(g, AP_SLOT_D);
  struct ap_lit done = FLAG(FLAG_F, 0);
  for (unsigned i = 0; i < width; i++, g->group++) {
    STEP_K(beyond, i, {'a', D(i, 0)}, {'d', FLAG(FLAG_F, 0)});
  }
  COMPARE(FLAG(FLAG_F, 1));
  gen_write_range(g, AP_STEP_WRITE, 0, width, AP_LIT_K, &done);
}

// From the most significant bit down; F: a wins, G: d wins.
static void extreme(struct gen *g, enum ap_bit_step first, enum ap_bit_step middle, enum ap_bit_step last,
                    enum ap_bit_step only) {
  unsigned width = gen_width(g, AP_SLOT_D);
  if (width == 1) {
    STEP(only, {'a', A(0, 0)}, {'d', D(0, 0)});
    return;
  }
  for (unsigned i = width; i-- > 0; g->group++) {
    STEP(i == width - 1 ? first : i == 0 ? last : middle, {'a', A(i, 0)}, {'d', D(i, 0)}, {'f', FLAG(FLAG_F, 0)},
         {'g', FLAG(FLAG_G, 0)});
  }
  WRITE_ALL(FLAG(FLAG_F, 0), FLAG(FLAG_G, 0));
}

bool gen_order(struct gen *g, enum ap_op op) {
  unsigned width = gen_width(g, AP_SLOT_D);
  switch (op) {
    case AP_OP_GT: compare(g, AP_BIT_GT_FIRST, AP_BIT_GT, 0, false); return true;
    case AP_OP_LT: compare(g, AP_BIT_LT_FIRST, AP_BIT_LT, 0, false); return true;
    case AP_OP_LE: compare(g, AP_BIT_LE_FIRST, AP_BIT_LT, 1, false); return true;
    case AP_OP_LTS: compare(g, AP_BIT_LT_FIRST, AP_BIT_LT, 0, true); return true;
    case AP_OP_LES: compare(g, AP_BIT_LE_FIRST, AP_BIT_LT, 1, true); return true;
    case AP_OP_EQ: equal(g); return true;
    case AP_OP_EQK: equal_constant(g); return true;
    case AP_OP_GTK: greater_constant(g); return true;
    case AP_OP_MINK: clamp(g, AP_BIT_GTK); return true;
    case AP_OP_MAXK: clamp(g, AP_BIT_LTK); return true;
    case AP_OP_MAX: extreme(g, AP_BIT_MAX_FIRST, AP_BIT_MAX, AP_BIT_MAX_LAST, AP_BIT_OR); return true;
    case AP_OP_MIN: extreme(g, AP_BIT_MIN_FIRST, AP_BIT_MIN, AP_BIT_MIN_LAST, AP_BIT_AND); return true;
    case AP_OP_RELU:
      COMPARE(D(width - 1, 1));
      gen_write_range(g, AP_STEP_WRITE, 0, width, AP_LIT_0, NULL);
      return true;
    default: return false;
  }
}
