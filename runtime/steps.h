// SPDX-License-Identifier: Apache-2.0
// The word-level loops behind compare and write, in variants for the instruction sets of the host.
#ifndef AP_STEPS_H
#define AP_STEPS_H

#include <stddef.h>
#include <stdint.h>

// Columns are arrays of `words` 64-bit words, a multiple of AP_BLOCK_WORDS, aligned to a block. Bits beyond the
// rows of a tile are 0 in `mask` and so never tagged.
#define AP_BLOCK_WORDS 8

// One literal, resolved: the column, and ~0 or 0. In a compare `flip` is ~0 where the column must be 0; in a
// write `flip` is the value to be written.
struct ap_operand {
  uint64_t *column;
  uint64_t flip;
};
struct ap_steps {
  const char *name;
  // tag := matches (or tag |= matches if `accumulate`); returns the number of matching rows, and of tagged
  // rows in *tagged.
  uint64_t (*compare)(uint64_t *tag, const uint64_t *mask, const struct ap_operand *lits, unsigned nlits, size_t words,
                      int accumulate, uint64_t *tagged);
  // Writes into the tagged rows; returns the number of cells that changed.
  uint64_t (*write)(const uint64_t *tag, const struct ap_operand *lits, unsigned nlits, size_t words);
};
// The best variant for this processor; all give the same results.
const struct ap_steps *ap_steps_select(void);
// Variant `i` (for tests), or NULL beyond the last or if this processor cannot run it.
const struct ap_steps *ap_steps_variant(unsigned i);

#endif
