// SPDX-License-Identifier: Apache-2.0
// Quantized numbers at fewer bits: how values, bounds, scales and requantizations change. Inside ir/ (ir/profile.c).
#ifndef BF_RESCALE_H
#define BF_RESCALE_H

#include "ir/graph.h"

// A tensor whose numbers lose `drop` bits: one new step stands for 2^drop old ones.
struct bf_narrowing {
  struct bf_type from, to;
  int64_t zero, new_zero;
  unsigned drop;
};
struct bf_narrowing bf_narrowing_of(struct bf_type type, int64_t zero, unsigned bits);
// floor((v + 2^(drop-1)) / 2^drop): to nearest, halves up.
int64_t bf_round_half_up(int64_t v, unsigned drop);
// The number of the narrower type that stands for `v`.
int64_t bf_narrow_value(const struct bf_narrowing *n, int64_t v);
// The same of the bound of a clamp; the ends of the type stay its ends.
int64_t bf_narrow_bound(const struct bf_narrowing *n, int64_t v);
// The old number that a new one stands for, kept within the old type.
int64_t bf_widen_value(const struct bf_narrowing *n, int64_t v);

// What a requantization gets to see: sums whose unit is 2^grow * ratio[channel] times what it was, for a result that is narrowed.
struct bf_rescaling {
  int grow;
  const double *ratio;  // by channel; NULL: 1
  uint64_t channels;
  const struct bf_narrowing *result;  // NULL: it stays as it is
};
// A requantization with new parameters in `arena`. NULL, or why the mode cannot follow.
const char *bf_rescale_requant(struct bf_arena *arena, const struct bf_requant *from, const struct bf_rescaling *how,
                               struct bf_requant *to);

#endif
