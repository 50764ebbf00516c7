// SPDX-License-Identifier: Apache-2.0
// Microcode meets its operands: what the literals of an instruction stand for, and its plain compares and writes on given columns.
#ifndef AP_PASSES_H
#define AP_PASSES_H

#include "isa/program.h"
#include "runtime/steps.h"

struct ap_operands {
  uint64_t *slot[AP_SLOT_COUNT];     // first column; NULL where there is none
  size_t pitch;                      // words from a column to the next
  uint64_t value[AP_LIT_COUNT];      // bit kbit of it is the literal's value (kbit is 0 for the constants)
  uint64_t distance;                 // in rows, of the steps between rows
  const struct ap_pattern *pattern;  // NULL: none
};
// d, a, b and flags are the first columns; pattern: NULL for instructions without one, else its key stands for `imm`.
struct ap_operands ap_operands_of(uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, size_t pitch, uint64_t imm,
                                  const struct ap_pattern *pattern);
// ~0 if the literal stands for a 1, else 0.
static inline uint64_t ap_literal_value(const struct ap_operands *o, const struct ap_lit *lit) {
  return -(o->value[lit->value] >> lit->kbit & 1);
}
static inline uint64_t *ap_literal_column(const struct ap_operands *o, const struct ap_lit *lit) {
  return o->slot[lit->slot] + lit->bit * o->pitch;
}

// Rows that work on an instruction: `words` of mask and tag, and of each column.
struct ap_rows {
  const uint64_t *mask;
  uint64_t *tag;
  size_t words;
};
// Executes the steps of `micro` from `first` on, up to the first that is no plain compare or write; returns its number (nsteps: none).
// counts: NULL to count nothing.
uint32_t ap_passes_run(const struct ap_steps *steps, const struct ap_micro *micro, uint32_t first, struct ap_operands *o,
                       const struct ap_rows *rows, struct ap_kernel_counts *counts);

#endif
