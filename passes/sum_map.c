// SPDX-License-Identifier: Apache-2.0
// All pairs: 65536 at most. A candidate is first looked at on a coarse grid, where most fail.
#include "passes/sum_map.h"

#include <math.h>
#include <stdlib.h>

#include "passes/digits.h"

#define LEAST_SHIFT 2
#define MOST_SHIFT 22
#define NEAR 1    // multipliers tried on either side of a slope
#define COARSE 15 // step of the grid of the first look
#define FAR 4     // the windows of two pairs may miss each other by 2^s / FAR

struct table {
  const struct bf_sum_operand *operands;
  const struct bf_steps *steps;
  uint32_t n[2];
  uint16_t *y;  // steps reached
};

static uint32_t reached(const struct bf_steps *st, int64_t sum) {
  uint32_t low = 0, high = st->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (st->at[middle] <= sum) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void fill(struct table *t) {
  for (uint32_t a = 0; a < t->n[0]; a++)
    for (uint32_t b = 0; b < t->n[1]; b++)
      t->y[a * t->n[1] + b] = (uint16_t)reached(t->steps, t->operands[0].value[a] + t->operands[1].value[b]);
}

// The r that are right for a pair: least..most.
struct window { int64_t least, most; };
static struct window window_of(const struct table *t, const struct bf_sum_map *m, uint32_t a, uint32_t b) {
  const struct bf_steps *st = t->steps;
  uint32_t n = t->y[a * t->n[1] + b];
  int64_t x = m->m[0] * (int64_t)(t->operands[0].lo + a) + m->m[1] * (int64_t)(t->operands[1].lo + b), unit = (int64_t)1 << m->s;
  struct window w = {(st->y0 + n) * unit - x, (st->y0 + n + 1) * unit - x - 1};
  if (n == 0 && st->low_clamped) w.least = INT64_MIN;
  if (n == st->count && st->high_clamped) w.most = INT64_MAX;
  return w;
}

// The middle of all windows on a grid; false if some miss each other by far.
static bool middle_r(const struct table *t, struct bf_sum_map *m, uint32_t step) {
  struct window all = {INT64_MIN, INT64_MAX};
  for (uint32_t a = 0; a < t->n[0]; a += step)
    for (uint32_t b = 0; b < t->n[1]; b += step) {
      struct window w = window_of(t, m, a, b);
      if (w.least > all.least) all.least = w.least;
      if (w.most < all.most) all.most = w.most;
      if (all.least > all.most && all.least - all.most > ((int64_t)1 << m->s) / FAR) return false;
    }
  if (all.least == INT64_MIN || all.most == INT64_MAX) return false;
  m->r = all.most + (all.least - all.most) / 2;
  return true;
}

static unsigned wrong(const struct table *t, struct bf_sum_map *m, unsigned limit, bool list) {
  unsigned count = 0;
  for (uint32_t a = 0; a < t->n[0]; a++)
    for (uint32_t b = 0; b < t->n[1]; b++) {
      struct window w = window_of(t, m, a, b);
      if (m->r >= w.least && m->r <= w.most) continue;
      if (++count > limit) return count;
      if (list)
        BF_PUSH(m->pairs, m->npairs, m->capacity) =
            (struct bf_sum_pair){{t->operands[0].lo + a, t->operands[1].lo + b}, t->steps->y0 + t->y[a * t->n[1] + b]};
    }
  return count;
}

static double slope_of(const struct bf_sum_operand *o) {
  return o->hi > o->lo ? (double)(o->value[o->hi - o->lo] - o->value[0]) / (double)(o->hi - o->lo) : 0;
}

// Tries the multipliers near the slopes at one shift.
static void try_shift(const struct table *t, const double slopes[2], const struct bf_sum_costs *costs, unsigned s, struct bf_sum_map *best, double *least) {
  const int side = 2 * NEAR + 1;
  for (int k = 0; k < side * side; k++) {
    struct bf_sum_map m = {.m = {(int64_t)nearbyint(ldexp(slopes[0], (int)s)) + k % side - NEAR, (int64_t)nearbyint(ldexp(slopes[1], (int)s)) + k / side - NEAR}, .s = s};
    double multiply = bf_digits_count(m.m[0]) * costs->digit_cycles[0] + bf_digits_count(m.m[1]) * costs->digit_cycles[1];
    if (multiply >= *least || !middle_r(t, &m, COARSE) || !middle_r(t, &m, 1)) continue;
    unsigned limit = (unsigned)fmin(costs->most, (*least - multiply) / costs->pair_cycles), count = wrong(t, &m, limit, false);
    if (count > limit || multiply + count * costs->pair_cycles >= *least) continue;
    *least = multiply + count * costs->pair_cycles;
    *best = m;
  }
}

bool bf_sum_map_of(const struct bf_sum_operand operands[2], const struct bf_steps *steps, double slope, const struct bf_sum_costs *costs, struct bf_sum_map *out) {
  struct table t = {.operands = operands, .steps = steps};
  double least = costs->bound, slopes[2];
  for (int i = 0; i < 2; i++) {
    t.n[i] = (uint32_t)(operands[i].hi - operands[i].lo + 1);
    slopes[i] = slope * slope_of(&operands[i]);
    if (!(fabs(slopes[i]) < 256)) return false;
  }
  if (steps->count > UINT16_MAX || llabs(steps->y0) > 1 << 24) return false;
  t.y = bf_alloc((size_t)t.n[0] * t.n[1] + 1, sizeof *t.y);
  fill(&t);
  for (unsigned s = LEAST_SHIFT; s <= MOST_SHIFT; s++) try_shift(&t, slopes, costs, s, out, &least);
  bool found = least < costs->bound;
  if (found) wrong(&t, out, costs->most, true);
  free(t.y);
  return found;
}
