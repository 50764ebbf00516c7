// SPDX-License-Identifier: Apache-2.0
// Requantization as a staircase: which sums reach which outputs, and the cheapest code that has the same steps.
#ifndef BF_STEPS_H
#define BF_STEPS_H

#include "ir/graph.h"

#define BF_MAX_STEPS 4096u

// The outputs y0 … y0 + count of a rule (before zero point) for sums in [first, last], clamped to [lo, hi]; at[i] is the
// smallest sum that gives more than y0 + i. Heap; free with bf_steps_free.
struct bf_steps {
  int64_t first, last, y0;
  bool low_clamped, high_clamped;  // the rule itself leaves [lo, hi] at first, at last
  uint32_t count;
  int64_t *at;
};
// False if the rule doesn't ascend, or has more than BF_MAX_STEPS steps between lo and hi.
bool bf_steps_of(struct bf_steps *steps, const struct bf_requant *rq, uint32_t channel, int64_t first, int64_t last);
// Where the clamp follows, what lies beyond its bounds is free, too, if the rule just reaches them.
void bf_steps_leave_to_clamp(struct bf_steps *steps, const struct bf_requant *rq);
void bf_steps_free(struct bf_steps *steps);

// floor((v * m + r) / 2^s), r[0] for v < 0, r[1] for v >= 0; `same`: they are equal.
struct bf_affine { int64_t m, r[2]; unsigned s; bool same; };
// The affine map with the fewest signed digits in m that gives the same outputs, after the same clamp, as the steps for
// all sums in [first, last]; with one constant if possible. (Rounding half away from zero wants two.) `slope` is the rule's.
// False if none was found.
bool bf_steps_affine(const struct bf_steps *steps, double slope, struct bf_affine *out);
// Whether floor((v * m + r) / 2^s) has these steps, after the same clamp, with this m > 0 and s and some constant *r.
bool bf_steps_fit(const struct bf_steps *steps, int64_t m, unsigned s, int64_t *r);
double bf_requant_slope(const struct bf_requant *rq, uint32_t channel);  // 0 if it has none

#endif
