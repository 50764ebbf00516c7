// SPDX-License-Identifier: Apache-2.0
// Microcode of products. Rows of the product by multiplier bit p: where it is 1, the multiplicand is added to the product columns from
// p's place on; the carry lives in the product column above the row, which is still zero. The first row is a copy.
#include "isa/micro_emit.h"

struct product {
  unsigned y_slot, p_slot, wy, wp;
  bool p_signed;
};

static void row_bit(struct gen *g, const struct product *m, unsigned i, unsigned j) {
  struct ap_lit y = at(m->y_slot, j, 0), r = D(i + j, 0), carry = D(i + m->wy, 0);
  bool subtract = m->p_signed && i == m->wp - 1;
  g->guard = at(m->p_slot, i, 1);
  g->guarded = true;
  g->group++;
  if (i == 0 && subtract) {  // a one-bit signed multiplier: minus the multiplicand, into zeros
    STEP(j == 0 ? AP_BIT_NEGO_FIRST : AP_BIT_NEGO, {'a', y}, {'f', carry}, {'r', r});
  } else if (i == 0) {
    STEP(AP_BIT_COPY, {'a', y}, {'r', r});
  } else if (subtract) {
    STEP(j == 0 ? AP_BIT_SUB_FIRST : AP_BIT_SUB, {'a', y}, {'d', r}, {'c', carry});
  } else {
    STEP(j == 0 ? AP_BIT_ADD_FIRST : AP_BIT_ADD, {'a', y}, {'d', r}, {'c', carry});
  }
  g->guarded = false;
}

static void rows(struct gen *g, const struct product *m) {
  for (unsigned i = 0; i < m->wp; i++) {
    for (unsigned j = 0; j < m->wy; j++) {
      row_bit(g, m, i, j);
    }
  }
}

// Both signed: the lower bits of a times b, its sign extended by a column, minus b at the place of a's sign bit.
static void signed_signed(struct gen *g) {
  unsigned wa = gen_width(g, AP_SLOT_A), wb = gen_width(g, AP_SLOT_B), top = wa + wb - 1;
  if (wa > 1) {
    rows(g, &(struct product){AP_SLOT_A, AP_SLOT_B, wa - 1, wb, true});
    g->group++;
    COMPARE(D(top - 1, 1));
    WRITE(D(top, 1));
  }
  g->guard = A(wa - 1, 1);
  g->guarded = true;
  for (unsigned j = 0; j <= wb; j++) {
    enum ap_bit_step step = j == 0 ? AP_BIT_SUB_FIRST : j == wb ? AP_BIT_ADD_LAST : AP_BIT_SUB;
    g->group++;
    STEP(step, {'a', B(j < wb ? j : wb - 1, 0)}, {'d', D(wa - 1 + j, 0)}, {'c', FLAG(FLAG_C, 0)});
  }
  g->guarded = false;
}

bool gen_products(struct gen *g, enum ap_op op) {
  unsigned wa = gen_width(g, AP_SLOT_A), wb = gen_width(g, AP_SLOT_B);
  struct product a_by_b = {AP_SLOT_A, AP_SLOT_B, wa, wb, op == AP_OP_MULS};
  struct product b_by_a = {AP_SLOT_B, AP_SLOT_A, wb, wa, false};
  switch (op) {
    case AP_OP_MUL:  // the wider operand is the multiplicand, which is cheaper
      gen_clear(g);
      rows(g, wb > wa ? &b_by_a : &a_by_b);
      return true;
    case AP_OP_MULS:
      gen_clear(g);
      rows(g, &a_by_b);
      return true;
    case AP_OP_MULSS:
      gen_clear(g);
      signed_signed(g);
      return true;
    default: return false;
  }
}
