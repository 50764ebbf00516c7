// SPDX-License-Identifier: Apache-2.0
// Sums of two rescaled operands of few bits, rescaled again, as one map: the output is a function of two small numbers, and two
// short multipliers reach it for all pairs but a few, which can be listed.
#ifndef BF_SUM_MAP_H
#define BF_SUM_MAP_H

#include "passes/steps.h"

#define BF_SUM_MAP_BITS 8  // of an operand's contents, at most

// The rescaled values of an operand for its contents lo … hi: value[i] for content lo + i.
struct bf_sum_operand { uint64_t lo, hi; int64_t value[1u << BF_SUM_MAP_BITS]; };
struct bf_sum_pair { uint64_t content[2]; int64_t y; };
// y = floor((m[0] * a + m[1] * b + r) / 2^s) for contents a, b, clamped as the steps are, but for the pairs.
struct bf_sum_map { int64_t m[2], r; unsigned s; struct bf_sum_pair *pairs; size_t npairs, capacity; };
// What the map may cost in cycles: less than `bound` with digit_cycles[i] for a digit of m[i] and pair_cycles for a pair, at most `most` of these.
struct bf_sum_costs { double digit_cycles[2], pair_cycles, bound; unsigned most; };

// The cheapest map that gives what `steps` gives for value_a + value_b, for every pair of contents (all are tried). `slope` is that of the
// steps' rule. False if none is cheaper than the bound. Heap: free out->pairs.
bool bf_sum_map_of(const struct bf_sum_operand operands[2], const struct bf_steps *steps, double slope, const struct bf_sum_costs *costs, struct bf_sum_map *out);

#endif
