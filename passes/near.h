// SPDX-License-Identifier: Apache-2.0
// Multiplications whose steps come nearly at the right sums, with the sums where they don't: a compare and a write put these right,
// which costs less than another digit of the multiplier.
#ifndef BF_NEAR_H
#define BF_NEAR_H

#include "passes/steps.h"

// Sums from first to last get the output y (before zero point).
struct bf_fix { int64_t first, last, y; };
struct bf_fixes { struct bf_fix *items; size_t count, capacity; };

// Exactly the sums in [steps->first, steps->last] for which `affine` (with a->same), after the clamp, differs from the steps; in ascending
// order of the steps they belong to. Heap: free fixes->items.
void bf_fixes_of(const struct bf_steps *steps, const struct bf_affine *affine, struct bf_fixes *fixes);
// Aligned ranges of contents that make up [first, last]: visits (key, shift) with content >> shift == key.
unsigned bf_aligned_count(uint64_t first, uint64_t last);

// The map with one constant of the least digits * digit_cycles + ranges * fix_cycles, if that is less than `bound` cycles (else false) and
// it takes at most `most` ranges, for contents sum + bias. Sums and multipliers of more than 31 bits are left alone.
struct bf_near_costs { double digit_cycles, fix_cycles, bound; unsigned most; int64_t bias; };
bool bf_steps_near(const struct bf_steps *steps, double slope, const struct bf_near_costs *costs, struct bf_affine *out, double *cycles);

// Aligned range i of [first, last]: the one that begins at *first; moves *first behind it and returns its shift.
static inline unsigned bf_aligned_next(uint64_t *first, uint64_t last) {
  unsigned shift = 0;
  while (shift < 62 && !(*first >> shift & 1) && *first + ((uint64_t)2 << shift) - 1 <= last) shift++;
  *first += (uint64_t)1 << shift;
  return shift;
}

#endif
