// SPDX-License-Identifier: Apache-2.0
// The microcode generator: bit steps, found from their truth tables when the project was built, strung together to programs of
// whole vector instructions. tests/unit/test_micro.c runs every program on all operand values.
#include <stdlib.h>
#include <string.h>

#include "isa/micro_emit.h"

void gen_step(struct gen *g, enum ap_step_kind kind, const struct ap_lit *lits, size_t count) {
  struct ap_micro *m = g->out;
  struct ap_step step = {(uint8_t)kind, (uint8_t)count, g->group, m->nlits};
  m->steps = bf_grow(m->steps, m->nsteps, &g->steps_capacity, sizeof *m->steps);
  m->steps[m->nsteps++] = step;
  for (size_t i = 0; i < count; i++) {
    m->lits = bf_grow(m->lits, m->nlits, &g->lits_capacity, sizeof *m->lits);
    m->lits[m->nlits++] = lits[i];
  }
}

// The literal of a table's literal, at its bound column.
static struct ap_lit bound(char name, unsigned value, unsigned kbit, const struct bind *binds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (binds[i].name == name) {
      struct ap_lit lit = binds[i].at;
      lit.value = (uint8_t)value;
      lit.kbit = value == AP_LIT_K || value == AP_LIT_NOT_K ? (uint8_t)kbit : 0;
      return lit;
    }
  }
  abort();  // a column of the table that the caller does not bind: a slip in this generator
}

static void emit_compare(struct gen *g, unsigned kind, struct ap_lit *lits, size_t count) {
  if (g->guarded) {
    lits[count++] = g->guard;
  }
  if (g->pairs) {
    kind = kind == AP_STEP_COMPARE ? AP_STEP_PAIR : AP_STEP_PAIR_OR;
  }
  gen_step(g, kind, lits, count);
}

void gen_bit_step(struct gen *g, enum ap_bit_step step, unsigned kbit, const struct bind *binds, size_t count) {
  const char *names = ap_bit_step_columns(step);
  bool few_writes = has(g, AP_PREFER_FEW_WRITES);
  const struct ap_lut_program *program = ap_bit_step_program(step, g->features & AP_FEATURE_ACCUMULATE, few_writes);
  for (unsigned s = 0; s < program->nsteps; s++) {
    const struct ap_lut_step *from = &program->steps[s];
    struct ap_lit lits[AP_LUT_MAX_COLUMNS + 1];
    for (unsigned i = 0; i < from->nlits; i++) {
      lits[i] = bound(names[from->lits[i].column], from->lits[i].value, kbit, binds, count);
    }
    if (from->kind == AP_STEP_COMPARE || from->kind == AP_STEP_COMPARE_OR) {
      emit_compare(g, from->kind, lits, from->nlits);
      continue;
    }
    enum ap_step_kind kind = from->kind;
    if (kind == AP_STEP_WRITE_ALL && g->guarded) {  // all rows of the guard
      struct ap_lit none[1];
      emit_compare(g, AP_STEP_COMPARE, none, 0);
      kind = AP_STEP_WRITE;
    }
    gen_step(g, kind, lits, from->nlits);
  }
}

void gen_write_range(struct gen *g, enum ap_step_kind kind, unsigned first, unsigned end, enum ap_lit_value value,
                     const struct ap_lit *extra) {
  struct ap_lit lits[AP_MAX_WIDTH + 1];
  bool numbered = value == AP_LIT_K || value == AP_LIT_S || value == AP_LIT_P;
  unsigned count = 0;
  for (unsigned i = first; i < end; i++) {
    lits[count++] = at_k(AP_SLOT_D, i, value, numbered ? i : 0);
  }
  if (extra != NULL) {
    lits[count++] = *extra;
  }
  if (has(g, AP_FEATURE_WIDE_WRITE)) {
    gen_step(g, kind, lits, count);
    return;
  }
  for (unsigned i = 0; i < count; i++) {
    gen_step(g, kind, &lits[i], 1);
  }
}

void gen_clear(struct gen *g) { gen_write_range(g, AP_STEP_WRITE_ALL, 0, gen_width(g, AP_SLOT_D), AP_LIT_0, NULL); }

// Two columns a write are within every array's reach; more need the wide write.
void gen_clear_flags(struct gen *g, unsigned count) {
  struct ap_lit lits[AP_FLAG_COLUMNS];
  unsigned most = has(g, AP_FEATURE_WIDE_WRITE) ? AP_FLAG_COLUMNS : 2;
  g->group++;
  for (unsigned first = 0; first < count; first += most) {
    unsigned n = count - first < most ? count - first : most;
    for (unsigned i = 0; i < n; i++) {
      lits[i] = FLAG(first + i, 0);
    }
    gen_step(g, AP_STEP_WRITE_ALL, lits, n);
  }
}

bool ap_micro_generate(enum ap_op op, const uint8_t width[3], unsigned features, struct ap_micro *out) {
  memset(out, 0, sizeof *out);
  if (!ap_micro_widths_legal(op, width) || (ap_op_info(op)->needs & ~features)) {
    return false;
  }
  out->op = op;
  memcpy(out->width, width, sizeof out->width);
  struct gen g = {.out = out, .features = features};
  if (gen_arithmetic(&g, op) || gen_products(&g, op) || gen_logic(&g, op) || gen_order(&g, op) || gen_rows(&g, op) || gen_pattern(&g, op)) {
    return true;
  }
  ap_micro_free(out);
  return false;
}

void ap_micro_free(struct ap_micro *micro) {
  free(micro->steps);
  free(micro->lits);
  memset(micro, 0, sizeof *micro);
}
