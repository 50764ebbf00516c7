// SPDX-License-Identifier: Apache-2.0
// Microcode of sums, differences, negation and rounding, least significant bit first. The carry or borrow is flag C, or F in the
// negations; every last bit clears it.
#include "isa/micro_emit.h"

#define C_FLAG FLAG(FLAG_C, 0)

struct sum_steps {
  enum ap_bit_step first, middle, last, only, ripple, ripple_last;
};
static const struct sum_steps ADDS = {AP_BIT_ADD_FIRST, AP_BIT_ADD, AP_BIT_ADD_LAST, AP_BIT_ADD_ONLY,
                                      AP_BIT_INC, AP_BIT_INC_LAST};
// Without a carry to keep, adding and subtracting a bit are the same.
static const struct sum_steps SUBS = {AP_BIT_SUB_FIRST, AP_BIT_SUB, AP_BIT_ADD_LAST, AP_BIT_ADD_ONLY,
                                      AP_BIT_DEC, AP_BIT_DEC_LAST};
static const struct sum_steps REVERSED = {AP_BIT_SUBR_FIRST, AP_BIT_SUBR, AP_BIT_ADD_LAST, AP_BIT_ADD_ONLY, 0, 0};

static enum ap_bit_step step_of(const struct sum_steps *steps, unsigned i, unsigned width) {
  if (i == width - 1) {
    return i == 0 ? steps->only : steps->last;
  }
  return i == 0 ? steps->first : steps->middle;
}

// In place. Above a's bits the carry ripples alone, or a's sign column is added again.
static void in_place(struct gen *g, const struct sum_steps *steps, bool is_signed) {
  unsigned wd = gen_width(g, AP_SLOT_D), wa = gen_width(g, AP_SLOT_A);
  unsigned a_slot = g->pairs ? AP_SLOT_PARTNER : AP_SLOT_A;
  for (unsigned i = 0; i < wd; i++, g->group++) {
    if (i >= wa && !is_signed) {
      bool pairs = g->pairs;
      g->pairs = false;  // the carry is in heads alone
      STEP(i == wd - 1 ? steps->ripple_last : steps->ripple, {'d', D(i, 0)}, {'c', C_FLAG});
      g->pairs = pairs;
    } else {
      unsigned j = i < wa ? i : wa - 1;
      STEP(step_of(steps, i, wd), {'a', at(a_slot, j, 0)}, {'d', D(i, 0)}, {'c', C_FLAG});
    }
  }
}

static void add_constant(struct gen *g, enum ap_bit_step middle) {
  unsigned width = gen_width(g, AP_SLOT_D);
  for (unsigned i = 0; i < width; i++, g->group++) {
    STEP_K(i == width - 1 ? AP_BIT_ADDK_LAST : middle, i, {'d', D(i, 0)}, {'c', C_FLAG});
  }
}

// Columns of d above a: the carry of a sum is one bit, the borrow of a difference their sign.
static void top_out_of_place(struct gen *g, bool subtract) {
  unsigned wd = gen_width(g, AP_SLOT_D), wa = gen_width(g, AP_SLOT_A);
  struct ap_lit done = FLAG(FLAG_C, 0);
  COMPARE(FLAG(FLAG_C, 1));
  gen_write_range(g, AP_STEP_WRITE, wa, subtract ? wd : wa + 1, AP_LIT_1, &done);
}

static void out_of_place(struct gen *g, bool subtract) {
  unsigned wd = gen_width(g, AP_SLOT_D), wa = gen_width(g, AP_SLOT_A), wb = gen_width(g, AP_SLOT_B);
  gen_clear(g);
  for (unsigned i = 0; i < wa; i++) {
    bool last = i == wd - 1;
    g->group++;
    if (i >= wb) {
      STEP(last ? AP_BIT_INCO_LAST : subtract ? AP_BIT_DECO : AP_BIT_INCO, {'a', A(i, 0)}, {'c', C_FLAG}, {'r', D(i, 0)});
    } else if (i == 0 && last) {
      STEP(AP_BIT_XORO, {'a', A(0, 0)}, {'b', B(0, 0)}, {'r', D(0, 0)});
    } else {
      enum ap_bit_step first = subtract ? AP_BIT_SUBO_FIRST : AP_BIT_ADDO_FIRST;
      enum ap_bit_step middle = subtract ? AP_BIT_SUBO : AP_BIT_ADDO;
      STEP(i == 0 ? first : last ? AP_BIT_ADDO_LAST : middle, {'a', A(i, 0)}, {'b', B(i, 0)}, {'c', C_FLAG},
           {'r', D(i, 0)});
    }
  }
  if (wd > wa) {
    g->group++;
    top_out_of_place(g, subtract);
  }
}

// F: a lower 1 has been seen. One bit is its own negation.
static void negate_in_place(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_D);
  if (width == 1) {
    gen_clear_flags(g, 1);
  }
  for (unsigned i = 0; i < width && width > 1; i++, g->group++) {
    if (i == width - 1) {
      STEP(AP_BIT_INC_LAST, {'d', D(i, 0)}, {'c', FLAG(FLAG_F, 0)});
    } else {
      STEP(i == 0 ? AP_BIT_NEG_FIRST : AP_BIT_NEG, {'d', D(i, 0)}, {'f', FLAG(FLAG_F, 0)});
    }
  }
}

static void negate(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_D);
  gen_clear(g);
  for (unsigned i = 0; i < width; i++) {
    g->group++;
    if (width == 1) {
      STEP(AP_BIT_COPY, {'a', A(0, 0)}, {'r', D(0, 0)});
    } else if (i == width - 1) {
      STEP(AP_BIT_INCO_LAST, {'a', A(i, 0)}, {'c', FLAG(FLAG_F, 0)}, {'r', D(i, 0)});
    } else {
      STEP(i == 0 ? AP_BIT_NEGO_FIRST : AP_BIT_NEGO, {'a', A(i, 0)}, {'f', FLAG(FLAG_F, 0)}, {'r', D(i, 0)});
    }
  }
}

static void absolute(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_D), sign = width - 1;
  gen_clear(g);
  for (unsigned i = 0; i < width; i++) {
    struct ap_lit a = A(i, 0), s = A(sign, 0), r = D(i, 0), f = FLAG(FLAG_F, 0);
    g->group++;
    if (width == 1) {
      STEP(AP_BIT_COPY, {'a', a}, {'r', r});
    } else if (i == sign) {
      STEP(AP_BIT_ABSO_LAST, {'s', s}, {'f', f}, {'r', r});
    } else {
      STEP(i == 0 ? AP_BIT_ABSO_FIRST : AP_BIT_ABSO, {'a', a}, {'f', f}, {'s', s}, {'r', r});
    }
  }
}

// The bit below the cut is the carry into the rest.
static void round_shift(struct gen *g) {
  unsigned wd = gen_width(g, AP_SLOT_D), shift = gen_width(g, AP_SLOT_A) - wd;
  gen_clear(g);
  COMPARE(A(shift - 1, 1));
  WRITE(FLAG(FLAG_C, 1));
  for (unsigned i = 0; i < wd; i++) {
    g->group++;
    STEP(i == wd - 1 ? AP_BIT_INCO_LAST : AP_BIT_INCO, {'a', A(shift + i, 0)}, {'c', C_FLAG}, {'r', D(i, 0)});
  }
}

bool gen_arithmetic(struct gen *g, enum ap_op op) {
  switch (op) {
    case AP_OP_ADD: in_place(g, &ADDS, false); return true;
    case AP_OP_SUB: in_place(g, &SUBS, false); return true;
    case AP_OP_ADDS: in_place(g, &ADDS, true); return true;
    case AP_OP_SUBS: in_place(g, &SUBS, true); return true;
    case AP_OP_SUBR: in_place(g, &REVERSED, false); return true;
    case AP_OP_ADDPAIR:
      g->pairs = true;
      in_place(g, &ADDS, false);
      return true;
    case AP_OP_ADDK: add_constant(g, AP_BIT_ADDK); return true;
    case AP_OP_SUBK: add_constant(g, AP_BIT_SUBK); return true;
    case AP_OP_ADDO: out_of_place(g, false); return true;
    case AP_OP_SUBO: out_of_place(g, true); return true;
    case AP_OP_NEG: negate_in_place(g); return true;
    case AP_OP_NEGO: negate(g); return true;
    case AP_OP_ABSO: absolute(g); return true;
    case AP_OP_ROUND: round_shift(g); return true;
    default: return false;
  }
}
