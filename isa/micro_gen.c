// SPDX-License-Identifier: Apache-2.0
// The microcode generator: pass tables per bit step, strung together to programs.
//
// Each table is written as the classic form (every compare overwrites the tag, one write after each
// compare) and, where it is shorter, the form for arrays whose compare can OR into the tag. The pass
// order is part of a table: a row that one pass has written must not be matched by a later one of the same
// step. docs/isa.md gives the tables and their derivation; tests/unit/test_micro.c runs every
// program on all operand values.
#include <stdlib.h>
#include <string.h>

#include "isa/micro.h"

enum { FLAG_C, FLAG_F, FLAG_G };  // flag columns in use

struct gen {
  struct ap_micro *out;
  size_t steps_capacity, lits_capacity;
  unsigned features;
  uint16_t group;
};

// A literal in the making.
struct lit {
  uint8_t slot, bit, value, kbit;
};
static struct lit at(unsigned slot, unsigned bit, unsigned value) {
  return (struct lit){(uint8_t)slot, (uint8_t)bit, (uint8_t)value, 0};
}
static struct lit at_k(unsigned slot, unsigned bit, unsigned value, unsigned kbit) {
  return (struct lit){(uint8_t)slot, (uint8_t)bit, (uint8_t)value, (uint8_t)kbit};
}
#define D(i, v) at(AP_SLOT_D, (i), (v))
#define A(i, v) at(AP_SLOT_A, (i), (v))
#define B(i, v) at(AP_SLOT_B, (i), (v))
#define FLAG(f, v) at(AP_SLOT_FLAG, (f), (v))
#define DK(i) at_k(AP_SLOT_D, (i), AP_LIT_K, (i))
#define DN(i) at_k(AP_SLOT_D, (i), AP_LIT_NOT_K, (i))
#define CK(i) at_k(AP_SLOT_FLAG, FLAG_C, AP_LIT_K, (i))
#define CN(i) at_k(AP_SLOT_FLAG, FLAG_C, AP_LIT_NOT_K, (i))

static void push_step(struct gen *g, enum ap_step_kind kind, const struct lit *lits, size_t count) {
  struct ap_micro *m = g->out;
  struct ap_step step = {(uint8_t)kind, (uint8_t)count, g->group, m->nlits};
  m->steps = bf_grow(m->steps, m->nsteps, &g->steps_capacity, sizeof *m->steps);
  m->steps[m->nsteps++] = step;
  for (size_t i = 0; i < count; i++) {
    m->lits = bf_grow(m->lits, m->nlits, &g->lits_capacity, sizeof *m->lits);
    m->lits[m->nlits++] = (struct ap_lit){lits[i].slot, lits[i].bit, lits[i].value, lits[i].kbit};
  }
}
#define LITS(...) (const struct lit[]){__VA_ARGS__}, sizeof((const struct lit[]){__VA_ARGS__}) / sizeof(struct lit)
#define COMPARE(...) push_step(g, AP_STEP_COMPARE, LITS(__VA_ARGS__))
#define COMPARE_OR(...) push_step(g, AP_STEP_COMPARE_OR, LITS(__VA_ARGS__))
#define WRITE(...) push_step(g, AP_STEP_WRITE, LITS(__VA_ARGS__))
#define WRITE_ALL(...) push_step(g, AP_STEP_WRITE_ALL, LITS(__VA_ARGS__))

static bool has(const struct gen *g, unsigned feature) { return (g->features & feature) != 0; }

// Writes a whole field: one step if the write mask may cover many columns, else one a column.
static void write_field(struct gen *g, enum ap_step_kind kind, unsigned width, enum ap_lit_value value) {
  struct lit lits[AP_MAX_WIDTH];
  for (unsigned i = 0; i < width; i++) {
    lits[i] = at_k(AP_SLOT_D, i, value, value == AP_LIT_K ? i : 0);
  }
  if (has(g, AP_FEATURE_WIDE_WRITE)) {
    push_step(g, kind, lits, width);
  } else {
    for (unsigned i = 0; i < width; i++) {
      push_step(g, kind, &lits[i], 1);
    }
  }
}

static void clear_carry(struct gen *g) {
  g->group++;
  WRITE_ALL(FLAG(FLAG_C, 0));
}

// --- addition and subtraction --------------------------------------------------------------------------

// d_i := d_i + a_j + C, carry to C. The first bit knows C = 0 and needs two passes.
static void full_add(struct gen *g, unsigned i, unsigned j, bool first) {
  if (first) {
    COMPARE(A(j, 1), D(i, 1)), WRITE(D(i, 0), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 0), FLAG(FLAG_C, 0)), WRITE(D(i, 1));
  } else if (has(g, AP_FEATURE_ACCUMULATE)) {
    COMPARE(A(j, 1), D(i, 1), FLAG(FLAG_C, 0)), WRITE(D(i, 0), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 0), FLAG(FLAG_C, 0));
    COMPARE_OR(A(j, 0), D(i, 0), FLAG(FLAG_C, 1)), WRITE(D(i, 1), FLAG(FLAG_C, 0));
    COMPARE(A(j, 0), D(i, 1), FLAG(FLAG_C, 1)), WRITE(D(i, 0));
  } else {
    COMPARE(A(j, 1), D(i, 1), FLAG(FLAG_C, 0)), WRITE(D(i, 0), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 0), FLAG(FLAG_C, 0)), WRITE(D(i, 1));
    COMPARE(A(j, 0), D(i, 0), FLAG(FLAG_C, 1)), WRITE(D(i, 1), FLAG(FLAG_C, 0));
    COMPARE(A(j, 0), D(i, 1), FLAG(FLAG_C, 1)), WRITE(D(i, 0));
  }
}

// d_i := d_i - a_j - C, borrow to C.
static void full_sub(struct gen *g, unsigned i, unsigned j, bool first) {
  if (first) {
    COMPARE(A(j, 1), D(i, 0)), WRITE(D(i, 1), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 1), FLAG(FLAG_C, 0)), WRITE(D(i, 0));
  } else if (has(g, AP_FEATURE_ACCUMULATE)) {
    COMPARE(A(j, 1), D(i, 0), FLAG(FLAG_C, 0)), WRITE(D(i, 1), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 1), FLAG(FLAG_C, 0));
    COMPARE_OR(A(j, 0), D(i, 1), FLAG(FLAG_C, 1)), WRITE(D(i, 0), FLAG(FLAG_C, 0));
    COMPARE(A(j, 0), D(i, 0), FLAG(FLAG_C, 1)), WRITE(D(i, 1));
  } else {
    COMPARE(A(j, 1), D(i, 0), FLAG(FLAG_C, 0)), WRITE(D(i, 1), FLAG(FLAG_C, 1));
    COMPARE(A(j, 1), D(i, 1), FLAG(FLAG_C, 0)), WRITE(D(i, 0));
    COMPARE(A(j, 0), D(i, 1), FLAG(FLAG_C, 1)), WRITE(D(i, 0), FLAG(FLAG_C, 0));
    COMPARE(A(j, 0), D(i, 0), FLAG(FLAG_C, 1)), WRITE(D(i, 1));
  }
}

// The half adder or subtractor above the operand: d_i := d_i +/- C. In the last bit both passes also clear C
// (no row is matched twice), which saves the epilogue.
static void ripple(struct gen *g, unsigned i, bool subtract, bool last) {
  unsigned stops = subtract ? 1 : 0;  // value of d_i at which the carry or borrow ends
  COMPARE(D(i, stops), FLAG(FLAG_C, 1)), WRITE(D(i, !stops), FLAG(FLAG_C, 0));
  COMPARE(D(i, !stops), FLAG(FLAG_C, 1));
  if (last) {
    WRITE(D(i, stops), FLAG(FLAG_C, 0));
  } else {
    WRITE(D(i, stops));
  }
}

static void gen_add_sub(struct gen *g, bool subtract, bool is_signed) {
  unsigned wd = g->out->width[0], wa = g->out->width[1];
  for (unsigned i = 0; i < wd; i++, g->group++) {
    if (i >= wa && !is_signed) {
      ripple(g, i, subtract, i == wd - 1);
      continue;
    }
    unsigned j = i < wa ? i : wa - 1;  // above: the sign column of a
    if (subtract) {
      full_sub(g, i, j, i == 0);
    } else {
      full_add(g, i, j, i == 0);
    }
  }
  if (is_signed || wd == wa) {
    clear_carry(g);
  }
}

// K selects between the two-pass tables of adding a constant 0 or 1 bit:
//   K=0: (d,C) 01→d1,C0 11→d0    K=1: 10→d0,C1 00→d1
static void gen_addk(struct gen *g) {
  for (unsigned i = 0; i < g->out->width[0]; i++, g->group++) {
    COMPARE(DK(i), CN(i)), WRITE(DN(i), CK(i));
    COMPARE(DN(i), CN(i)), WRITE(DK(i));
  }
  clear_carry(g);
}

// --- constants, copies ---------------------------------------------------------------------------------

static void gen_setk(struct gen *g) { write_field(g, AP_STEP_WRITE_ALL, g->out->width[0], AP_LIT_K); }

static void gen_setk_if(struct gen *g) {
  COMPARE(A(0, 1));
  write_field(g, AP_STEP_WRITE, g->out->width[0], AP_LIT_K);
}

static void gen_copy(struct gen *g, unsigned one) {
  write_field(g, AP_STEP_WRITE_ALL, g->out->width[0], AP_LIT_0);
  for (unsigned i = 0; i < g->out->width[1]; i++) {
    g->group++;
    COMPARE(A(i, one)), WRITE(D(i, 1));
  }
}

static void gen_copy_if(struct gen *g) {
  COMPARE(B(0, 1));
  write_field(g, AP_STEP_WRITE, g->out->width[0], AP_LIT_0);
  for (unsigned i = 0; i < g->out->width[0]; i++) {
    g->group++;
    COMPARE(B(0, 1), A(i, 1)), WRITE(D(i, 1));
  }
}

// --- multiplication ------------------------------------------------------------------------------------

// One column of one row of the product: where multiplier bit p is 1, d_r := d_r + y + d_k, carry to d_k. The
// carry lives in the product column above the row, which is still zero.
static void mul_add_bit(struct gen *g, struct lit p, struct lit y1, unsigned r, unsigned k, bool first) {
  struct lit y0 = y1;
  y0.value = AP_LIT_0;
  if (first) {
    COMPARE(p, y1, D(r, 1)), WRITE(D(r, 0), D(k, 1));
    COMPARE(p, y1, D(r, 0), D(k, 0)), WRITE(D(r, 1));
    return;
  }
  COMPARE(p, y1, D(r, 1), D(k, 0)), WRITE(D(r, 0), D(k, 1));
  COMPARE(p, y1, D(r, 0), D(k, 0));
  if (has(g, AP_FEATURE_ACCUMULATE)) {
    COMPARE_OR(p, y0, D(r, 0), D(k, 1)), WRITE(D(r, 1), D(k, 0));
  } else {
    WRITE(D(r, 1));
    COMPARE(p, y0, D(r, 0), D(k, 1)), WRITE(D(r, 1), D(k, 0));
  }
  COMPARE(p, y0, D(r, 1), D(k, 1)), WRITE(D(r, 0));
}

// The same, subtracting: d_r := d_r - y - d_k, borrow to d_k.
static void mul_sub_bit(struct gen *g, struct lit p, struct lit y1, unsigned r, unsigned k, bool first) {
  struct lit y0 = y1;
  y0.value = AP_LIT_0;
  if (first) {
    COMPARE(p, y1, D(r, 0)), WRITE(D(r, 1), D(k, 1));
    COMPARE(p, y1, D(r, 1), D(k, 0)), WRITE(D(r, 0));
    return;
  }
  COMPARE(p, y1, D(r, 0), D(k, 0)), WRITE(D(r, 1), D(k, 1));
  COMPARE(p, y1, D(r, 1), D(k, 0)), WRITE(D(r, 0));
  COMPARE(p, y0, D(r, 1), D(k, 1)), WRITE(D(r, 0), D(k, 0));
  COMPARE(p, y0, D(r, 0), D(k, 1)), WRITE(D(r, 1));
}

// A one-bit signed multiplier: d (cleared) := -y where p. Two passes a bit, as d_r is known to be 0.
static void mul_negate(struct gen *g, unsigned width) {
  for (unsigned j = 0; j < width; j++) {
    g->group++;
    COMPARE(B(0, 1), A(j, 1), D(width, 0)), WRITE(D(j, 1), D(width, 1));
    if (j > 0) {
      COMPARE(B(0, 1), A(j, 0), D(width, 1)), WRITE(D(j, 1));
    }
  }
}

// Rows of the product by multiplier bit. The first row is a copy of the multiplicand; the sign row of a signed
// multiplier subtracts, and its borrow is the sign of the product. Unsigned, the wider operand is the
// multiplicand, which is cheaper.
static void gen_mul(struct gen *g, bool is_signed) {
  unsigned y_slot = AP_SLOT_A, p_slot = AP_SLOT_B;
  if (!is_signed && g->out->width[2] > g->out->width[1]) {
    y_slot = AP_SLOT_B, p_slot = AP_SLOT_A;
  }
  unsigned wy = g->out->width[y_slot], wp = g->out->width[p_slot];
  write_field(g, AP_STEP_WRITE_ALL, g->out->width[0], AP_LIT_0);
  if (is_signed && wp == 1) {
    mul_negate(g, wy);
    return;
  }
  for (unsigned i = 0; i < wp; i++) {
    for (unsigned j = 0; j < wy; j++) {
      struct lit p = at(p_slot, i, 1), y = at(y_slot, j, 1);
      g->group++;
      if (i == 0) {
        COMPARE(p, y), WRITE(D(j, 1));
      } else if (is_signed && i == wp - 1) {
        mul_sub_bit(g, p, y, i + j, i + wy, j == 0);
      } else {
        mul_add_bit(g, p, y, i + j, i + wy, j == 0);
      }
    }
  }
}

// --- comparisons ---------------------------------------------------------------------------------------

// From the most significant bit down; F: a wins, G: d wins.
//   (a,d,F,G) 10X0→d1,F1  010X→G1  011X→d0
// The first bit knows F = G = 0, the last need not note who wins.
static void gen_max(struct gen *g) {
  unsigned width = g->out->width[0];
  if (width == 1) {
    COMPARE(A(0, 1), D(0, 0)), WRITE(D(0, 1));
    return;
  }
  COMPARE(A(width - 1, 1), D(width - 1, 0)), WRITE(D(width - 1, 1), FLAG(FLAG_F, 1));
  COMPARE(A(width - 1, 0), D(width - 1, 1)), WRITE(FLAG(FLAG_G, 1));
  for (unsigned i = width - 1; i-- > 0;) {
    g->group++;
    COMPARE(A(i, 1), D(i, 0), FLAG(FLAG_G, 0));
    if (i > 0) {
      WRITE(D(i, 1), FLAG(FLAG_F, 1));
      COMPARE(A(i, 0), D(i, 1), FLAG(FLAG_F, 0)), WRITE(FLAG(FLAG_G, 1));
    } else {
      WRITE(D(i, 1));
    }
    COMPARE(A(i, 0), D(i, 1), FLAG(FLAG_F, 1)), WRITE(D(i, 0));
  }
  g->group++;
  WRITE_ALL(FLAG(FLAG_F, 0), FLAG(FLAG_G, 0));
}

// From the least significant bit up: the highest bit where a and k differ decides, by a's bit.
static void gen_gtk(struct gen *g) {
  WRITE_ALL(D(0, 0));
  for (unsigned i = 0; i < g->out->width[1]; i++) {
    g->group++;
    COMPARE(at_k(AP_SLOT_A, i, AP_LIT_NOT_K, i)), WRITE(at_k(AP_SLOT_D, 0, AP_LIT_NOT_K, i));
  }
}

static void gen_gt(struct gen *g) {
  WRITE_ALL(D(0, 0));
  for (unsigned i = 0; i < g->out->width[1]; i++) {
    g->group++;
    COMPARE(A(i, 1), B(i, 0)), WRITE(D(0, 1));
    if (i > 0) {  // below the first bit d is still 0
      COMPARE(A(i, 0), B(i, 1)), WRITE(D(0, 0));
    }
  }
}

static bool generate(struct gen *g, enum ap_op op) {
  switch (op) {
    case AP_OP_SETK: gen_setk(g); return true;
    case AP_OP_SETKIF: gen_setk_if(g); return true;
    case AP_OP_COPY: gen_copy(g, 1); return true;
    case AP_OP_COPYIF: gen_copy_if(g); return true;
    case AP_OP_NOT: gen_copy(g, 0); return true;
    case AP_OP_ADD: gen_add_sub(g, false, false); return true;
    case AP_OP_SUB: gen_add_sub(g, true, false); return true;
    case AP_OP_ADDS: gen_add_sub(g, false, true); return true;
    case AP_OP_SUBS: gen_add_sub(g, true, true); return true;
    case AP_OP_ADDK: gen_addk(g); return true;
    case AP_OP_MUL: gen_mul(g, false); return true;
    case AP_OP_MULS: gen_mul(g, true); return true;
    case AP_OP_MAX: gen_max(g); return true;
    case AP_OP_GTK: gen_gtk(g); return true;
    case AP_OP_GT: gen_gt(g); return true;
    default: return false;
  }
}

bool ap_micro_generate(enum ap_op op, const uint8_t width[3], unsigned features, struct ap_micro *out) {
  memset(out, 0, sizeof *out);
  if (!ap_micro_widths_legal(op, width)) {
    return false;
  }
  out->op = op;
  memcpy(out->width, width, sizeof out->width);
  struct gen g = {.out = out, .features = features};
  if (!generate(&g, op)) {
    ap_micro_free(out);
    return false;
  }
  return true;
}

void ap_micro_free(struct ap_micro *micro) {
  free(micro->steps);
  free(micro->lits);
  memset(micro, 0, sizeof *micro);
}
