// SPDX-License-Identifier: Apache-2.0
// How microcode programs are put together: steps of the array, and bit steps of isa/bit_steps.def bound to columns. Internal to the
// microcode generator.
#ifndef AP_MICRO_EMIT_H
#define AP_MICRO_EMIT_H

#include "isa/lut.h"

enum { FLAG_C, FLAG_F, FLAG_G, FLAG_H };  // flag columns

struct gen {
  struct ap_micro *out;
  size_t steps_capacity, lits_capacity;
  unsigned features;
  uint16_t group;         // bit step, for listings
  struct ap_lit guard;    // if `guarded`: a further literal of every compare of bit steps
  bool guarded;
  bool pairs;             // compares of bit steps are those of row pairs
};
static inline bool has(const struct gen *g, unsigned feature) { return (g->features & feature) != 0; }
static inline unsigned gen_width(const struct gen *g, unsigned slot) { return g->out->width[slot]; }

static inline struct ap_lit at(unsigned slot, unsigned bit, unsigned value) {
  return (struct ap_lit){(uint8_t)slot, (uint8_t)bit, (uint8_t)value, 0};
}
static inline struct ap_lit at_k(unsigned slot, unsigned bit, unsigned value, unsigned kbit) {
  return (struct ap_lit){(uint8_t)slot, (uint8_t)bit, (uint8_t)value, (uint8_t)kbit};
}
#define D(i, v) at(AP_SLOT_D, (i), (v))
#define A(i, v) at(AP_SLOT_A, (i), (v))
#define B(i, v) at(AP_SLOT_B, (i), (v))
#define FLAG(f, v) at(AP_SLOT_FLAG, (f), (v))

void gen_step(struct gen *g, enum ap_step_kind kind, const struct ap_lit *lits, size_t count);
#define LITS(...) (const struct ap_lit[]){__VA_ARGS__}, sizeof((const struct ap_lit[]){__VA_ARGS__}) / sizeof(struct ap_lit)
#define COMPARE(...) gen_step(g, AP_STEP_COMPARE, LITS(__VA_ARGS__))
#define COMPARE_OR(...) gen_step(g, AP_STEP_COMPARE_OR, LITS(__VA_ARGS__))
#define WRITE(...) gen_step(g, AP_STEP_WRITE, LITS(__VA_ARGS__))
#define WRITE_ALL(...) gen_step(g, AP_STEP_WRITE_ALL, LITS(__VA_ARGS__))

// A column of a bit step, by its name in the table, and where it lies (the literal's value is ignored).
struct bind {
  char name;
  struct ap_lit at;
};
// Emits a bit step at the columns; $k is bit `kbit` of the immediate.
void gen_bit_step(struct gen *g, enum ap_bit_step step, unsigned kbit, const struct bind *binds, size_t count);
#define STEP(step, ...)                                                      \
  gen_bit_step(g, (step), 0, (const struct bind[]){__VA_ARGS__}, \
               sizeof((const struct bind[]){__VA_ARGS__}) / sizeof(struct bind))
#define STEP_K(step, kbit, ...)                                              \
  gen_bit_step(g, (step), (kbit), (const struct bind[]){__VA_ARGS__}, \
               sizeof((const struct bind[]){__VA_ARGS__}) / sizeof(struct bind))

// Writes bits [first, end) of d, and `extra` if it is not NULL: one step if the write mask may cover many columns, else one a column.
// value K: bit i of the immediate; S: bit i of the sum register; P: bit i of the pattern's sum.
void gen_write_range(struct gen *g, enum ap_step_kind kind, unsigned first, unsigned end, enum ap_lit_value value,
                     const struct ap_lit *extra);
void gen_clear(struct gen *g);                           // d := 0 in all rows
void gen_clear_flags(struct gen *g, unsigned count);     // the first `count` flags := 0 in all rows

// The programs, by subject. False if the op is of another subject.
bool gen_arithmetic(struct gen *g, enum ap_op op);  // micro_arith.c
bool gen_products(struct gen *g, enum ap_op op);    // micro_mul.c
bool gen_logic(struct gen *g, enum ap_op op);       // micro_logic.c: constants, copies, bitwise
bool gen_order(struct gen *g, enum ap_op op);       // micro_order.c: comparisons, maxima, clamps
bool gen_rows(struct gen *g, enum ap_op op);        // micro_rows.c: raw steps, and between rows
bool gen_pattern(struct gen *g, enum ap_op op);     // micro_pattern.c

#endif
