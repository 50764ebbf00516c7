// SPDX-License-Identifier: Apache-2.0
// Microcode of constants, copies and bitwise operations.
#include "isa/micro_emit.h"

// One bit step for each bit of d, from a and b; `preset` fills d before (or AP_LIT_COUNT: in place).
static void each_bit(struct gen *g, enum ap_bit_step step, enum ap_lit_value preset) {
  unsigned width = gen_width(g, AP_SLOT_A);
  if (preset != AP_LIT_COUNT) {
    gen_write_range(g, AP_STEP_WRITE_ALL, 0, gen_width(g, AP_SLOT_D), preset, NULL);
  }
  for (unsigned i = 0; i < width; i++) {
    g->group++;
    STEP(step, {'a', A(i, 0)}, {'b', B(i, 0)}, {'d', D(i, 0)}, {'r', D(i, 0)});
  }
}

static void copy_signed(struct gen *g) {
  unsigned wa = gen_width(g, AP_SLOT_A);
  gen_clear(g);
  for (unsigned i = 0; i + 1 < wa; i++) {
    g->group++;
    STEP(AP_BIT_COPY, {'a', A(i, 0)}, {'r', D(i, 0)});
  }
  g->group++;
  COMPARE(A(wa - 1, 1));
  gen_write_range(g, AP_STEP_WRITE, wa - 1, gen_width(g, AP_SLOT_D), AP_LIT_1, NULL);
}

static void copy_if(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_D);
  COMPARE(B(0, 1));
  gen_write_range(g, AP_STEP_WRITE, 0, width, AP_LIT_0, NULL);
  g->guard = B(0, 1);
  g->guarded = true;
  for (unsigned i = 0; i < width; i++) {
    g->group++;
    STEP(AP_BIT_COPY, {'a', A(i, 0)}, {'r', D(i, 0)});
  }
  g->guarded = false;
}

// In place, a pass would match what the other one wrote; a flag marks the rows that are done. All four flags serve in turn,
// so that one write clears them for four bits.
static void exclusive_or(struct gen *g) {
  unsigned width = gen_width(g, AP_SLOT_D);
  for (unsigned i = 0; i < width; i++, g->group++) {
    unsigned flag = i % AP_FLAG_COLUMNS;
    STEP(AP_BIT_XOR, {'a', A(i, 0)}, {'d', D(i, 0)}, {'f', FLAG(flag, 0)});
    if (flag == AP_FLAG_COLUMNS - 1 || i == width - 1) {
      gen_clear_flags(g, flag + 1);
    }
  }
}

bool gen_logic(struct gen *g, enum ap_op op) {
  unsigned width = gen_width(g, AP_SLOT_D);
  switch (op) {
    case AP_OP_SETK: gen_write_range(g, AP_STEP_WRITE_ALL, 0, width, AP_LIT_K, NULL); return true;
    case AP_OP_SETKIF:
      COMPARE(A(0, 1));
      gen_write_range(g, AP_STEP_WRITE, 0, width, AP_LIT_K, NULL);
      return true;
    case AP_OP_COPY: each_bit(g, AP_BIT_COPY, AP_LIT_0); return true;
    case AP_OP_NOT: each_bit(g, AP_BIT_NOT, AP_LIT_0); return true;
    case AP_OP_COPYS: copy_signed(g); return true;
    case AP_OP_COPYIF: copy_if(g); return true;
    case AP_OP_AND: each_bit(g, AP_BIT_AND, AP_LIT_COUNT); return true;
    case AP_OP_OR: each_bit(g, AP_BIT_OR, AP_LIT_COUNT); return true;
    case AP_OP_XOR: exclusive_or(g); return true;
    case AP_OP_ANDO: each_bit(g, AP_BIT_ANDO, AP_LIT_0); return true;
    case AP_OP_ORO: each_bit(g, AP_BIT_ORO, AP_LIT_1); return true;
    case AP_OP_XORO: each_bit(g, AP_BIT_XORO, AP_LIT_0); return true;
    default: return false;
  }
}
