// SPDX-License-Identifier: Apache-2.0
// The steps of v * m + r come where they should if r lies in a window of width m for each step (passes/steps.c). A multiplier of few digits has no
// r in all windows; but an r near most of them misplaces a few steps by one or two sums, and those sums can be listed.
#include "passes/near.h"

#include <math.h>
#include <stdlib.h>

#include "passes/digits.h"

#define MOST_BITS 31   // of sums and multipliers, so that products stay within 63 bits
#define MOST_SHIFT 40
#define NEAR 2         // multipliers tried on either side of the slope
#define FAR 6          // steps may be misplaced by so many sums at most

unsigned bf_aligned_count(uint64_t first, uint64_t last) {
  unsigned count = 0;
  while (first <= last) bf_aligned_next(&first, last), count++;
  return count;
}

// Step i leads from y0 + i to y0 + i + 1; the ends of the interval are steps, too, where no clamp cares for what lies beyond: -1 and count.
static bool is_step(const struct bf_steps *st, int64_t i) {
  return i < 0 ? !st->low_clamped : i >= st->count ? !st->high_clamped : true;
}
static int64_t place(const struct bf_steps *st, int64_t i) { return i < 0 ? st->first : i >= st->count ? st->last + 1 : st->at[i]; }

static int64_t ceil_div(__int128 a, int64_t b) {
  __int128 q = a / b;
  return (int64_t)(q + (q * b < a));
}

static void add_fix(struct bf_fixes *fixes, int64_t first, int64_t last, int64_t y) {
  if (first > last) return;
  BF_PUSH(fixes->items, fixes->count, fixes->capacity) = (struct bf_fix){first, last, y};
}

void bf_fixes_of(const struct bf_steps *st, const struct bf_affine *a, struct bf_fixes *fixes) {
  for (int64_t i = -1; i <= st->count; i++) {
    if (!is_step(st, i)) continue;
    int64_t y = st->y0 + i + 1, at = place(st, i);
    // The smallest v with v * m + r >= y * 2^s.
    int64_t there = ceil_div((__int128)y * ((__int128)1 << a->s) - a->r[0], a->m);
    int64_t before = i > 0 ? st->at[i - 1] : st->first, behind = i + 1 < st->count ? st->at[i + 1] : st->last + 1;
    if (there < at && i >= 0) add_fix(fixes, there > before ? there : before, at - 1, y - 1);
    if (there > at && i < st->count) add_fix(fixes, at, (there < behind ? there : behind) - 1, y);
  }
}

// The smallest r with which step i comes no later than it should.
static int64_t least_r(const struct bf_steps *st, int64_t i, int64_t m, unsigned s) {
  return (st->y0 + i + 1) * ((int64_t)1 << s) - place(st, i) * m;
}

// The middle of the windows of all steps; false if they lie too far apart.
static bool middle_r(const struct bf_steps *st, int64_t m, unsigned s, int64_t *r) {
  int64_t least = INT64_MAX, most = INT64_MIN;
  // From the ends to the middle: the farthest windows first.
  for (int64_t k = -1; k <= st->count; k++) {
    int64_t i = k & 1 ? (k - 1) / 2 : st->count - k / 2;
    if (!is_step(st, i)) continue;
    int64_t here = least_r(st, i, m, s);
    if (here < least) least = here;
    if (here > most) most = here;
    if (most - least > FAR * m) return false;
  }
  if (least > most) return false;
  *r = least + (most - least) / 2 + (m - 1) / 2;
  return true;
}

// Aligned ranges about, at most `limit` + 1.
static unsigned misplaced(const struct bf_steps *st, int64_t m, unsigned s, int64_t r, unsigned limit) {
  unsigned count = 0;
  for (int64_t i = -1; i <= st->count && count <= limit; i++) {
    if (!is_step(st, i)) continue;
    int64_t late = least_r(st, i, m, s) - r, early = -late - (m - 1), by = late > 0 ? late : early;
    if (by > 0) count += by <= m ? 1 : by <= 2 * m ? 2 : 3;
  }
  return count;
}

static unsigned ranges_of(const struct bf_steps *st, const struct bf_affine *a, int64_t bias) {
  struct bf_fixes fixes = {0};
  unsigned count = 0;
  bf_fixes_of(st, a, &fixes);
  for (size_t i = 0; i < fixes.count; i++) count += bf_aligned_count((uint64_t)(fixes.items[i].first + bias), (uint64_t)(fixes.items[i].last + bias));
  free(fixes.items);
  return count;
}

static bool small(int64_t v) { return v > -((int64_t)1 << MOST_BITS) && v < (int64_t)1 << MOST_BITS; }

bool bf_steps_near(const struct bf_steps *st, double slope, const struct bf_near_costs *costs, struct bf_affine *out, double *cycles) {
  double best = costs->bound;
  if (!(slope > 0) || !st->count || !small(st->first) || !small(st->last) || !small(st->y0)) return false;
  for (unsigned s = 0; s <= MOST_SHIFT; s++) {
    double middle = nearbyint(ldexp(slope, (int)s));
    if (middle > (double)((int64_t)1 << (MOST_BITS - 1)) || (double)(labs(st->y0) + (long)st->count + 1) * ldexp(1, (int)s) > 0x1p60) break;
    for (int i = 0; i <= 2 * NEAR; i++) {
      struct bf_affine a = {.m = (int64_t)middle + (i & 1 ? -(i + 1) / 2 : i / 2), .s = s, .same = true};
      double multiply = a.m > 0 ? bf_digits_count(a.m) * costs->digit_cycles : INFINITY;
      if (multiply >= best || !middle_r(st, a.m, s, &a.r[0])) continue;
      unsigned limit = (unsigned)fmin(costs->most, (best - multiply) / costs->fix_cycles);
      if (misplaced(st, a.m, s, a.r[0], limit) > limit) continue;
      a.r[1] = a.r[0];
      unsigned ranges = ranges_of(st, &a, costs->bias);
      if (ranges > costs->most || multiply + ranges * costs->fix_cycles >= best) continue;
      best = multiply + ranges * costs->fix_cycles;
      *out = a;
    }
  }
  *cycles = best;
  return best < costs->bound;
}
