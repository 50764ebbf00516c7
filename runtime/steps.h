// SPDX-License-Identifier: Apache-2.0
// Compare and write: successive steps on the rows of some blocks, one step after the other as the microcode has them. Both engines execute
// steps here: the interpreter all of them, the block engine those of programs without a compiled kernel.
#ifndef AP_STEPS_H
#define AP_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "isa/micro.h"

// Columns are arrays of words, a multiple of AP_BLOCK_WORDS, aligned to a block.
#define AP_BLOCK_WORDS 8

// One literal, resolved: the column, and ~0 or 0, the value that is searched for or written.
struct ap_operand {
  uint64_t *column;
  uint64_t value;
};
// Counters that depend on data (isa/ledger.h).
struct ap_kernel_counts { uint64_t match_cells, written_cells, changed_cells; };

// Steps of the kinds COMPARE, COMPARE_OR, WRITE and WRITE_ALL.
struct ap_passes {
  const struct ap_step *steps;
  uint32_t count;
  const struct ap_operand *lits;  // those of the first step, then those of the second, …
  const uint64_t *mask;           // rows that a compare may tag
  uint64_t *tag;                  // as the step before has left it, none outside the mask; set to what the last step leaves
  size_t words;                   // of mask, tag and each column
};
struct ap_steps {
  const char *name;
  // Executes the passes; adds to *counts.
  void (*count)(const struct ap_passes *passes, struct ap_kernel_counts *counts);
  // The same without counting.
  void (*run)(const struct ap_passes *passes);
};
// The best variant for this processor; all give the same results.
const struct ap_steps *ap_steps_select(void);
// Variant `i` (for tests), or NULL beyond the last or if this processor cannot run it.
const struct ap_steps *ap_steps_variant(unsigned i);

#endif
