// SPDX-License-Identifier: Apache-2.0
// A requantization of, say, 20-bit sums to 8 bits has at most 255 steps. A multiplier of 31 bits is far more than those
// steps need: any m, r, s with which each step comes at the same sum will do, and one with few digits is cheap.
#include "passes/steps.h"

#include <math.h>
#include <stdlib.h>

#include "passes/digits.h"

typedef __int128 wide;

static wide saturate(wide v) {
  const wide most = (wide)1 << 62;
  return v > most ? most : v < -most ? -most : v;
}

static wide tflite_rule(int64_t v, int64_t m, int32_t e) {
  wide x = (wide)v * ((wide)1 << (e > 0 ? e : 0)), h = (x * m + ((wide)1 << 30)) >> 31;
  if (e >= 0) return h;
  wide half = (wide)1 << (-e - 1);
  return (h + half - (h < 0)) >> -e;
}

static wide float_rule(int64_t v, float scale) {
  volatile float x = (float)v, y = x * scale;  // float32 at each point, whatever the compiler may keep in registers
  float rounded = rintf(y);
  return rounded >= 0x1p62f ? (wide)1 << 62 : rounded <= -0x1p62f ? -((wide)1 << 62) : (wide)(int64_t)rounded;
}

static wide rule(const struct bf_requant *rq, uint32_t c, int64_t v) {
  switch (rq->mode) {
  case BF_REQUANT_TFLITE: return tflite_rule(v, rq->mult[c], rq->shift[c]);
  case BF_REQUANT_TFLITE16: {
    wide m = rq->mult[c] >= 0x7FFF0000 ? 0x7FFF : (rq->mult[c] + (1 << 15)) >> 16;
    return (v * m + ((wide)1 << (14 - rq->shift[c]))) >> (15 - rq->shift[c]);
  }
  case BF_REQUANT_DYADIC: {
    wide product = (wide)v * rq->mult[c];
    return rq->shift[c] ? (product + ((wide)1 << (rq->shift[c] - 1))) >> rq->shift[c] : product;
  }
  case BF_REQUANT_AFFINE_FLOOR: return ((wide)v * rq->mult[c] + rq->add[c]) >> rq->shift[c];
  default: return float_rule(v, rq->fscale[c]);
  }
}

double bf_requant_slope(const struct bf_requant *rq, uint32_t channel) {
  uint32_t c = rq->count > 1 ? channel : 0;
  switch (rq->mode) {
  case BF_REQUANT_TFLITE: return ldexp((double)rq->mult[c], rq->shift[c] - 31);
  case BF_REQUANT_TFLITE16: return ldexp((double)rq->mult[c], rq->shift[c] - 31);
  case BF_REQUANT_DYADIC:
  case BF_REQUANT_AFFINE_FLOOR: return ldexp((double)rq->mult[c], -rq->shift[c]);
  case BF_REQUANT_FLOAT_RNE: return rq->fscale[c];
  default: return 0;
  }
}

// Smallest v in [from, last] whose output is at least y; there is one, probably near `guess`.
static int64_t first_reaching(const struct bf_requant *rq, uint32_t c, int64_t from, int64_t last, int64_t y, double guess) {
  for (int64_t reach = 2; reach < 1 << 20 && guess - (double)reach > (double)from && guess + (double)reach < (double)last; reach *= 16) {
    int64_t low = (int64_t)guess - reach, high = (int64_t)guess + reach;
    if (rule(rq, c, low) >= y) last = low;
    else if (rule(rq, c, high) < y) from = high + 1;
    else {
      from = low + 1;
      last = high;
      break;
    }
  }
  while (from < last) {
    int64_t middle = from + (last - from) / 2;
    if (rule(rq, c, middle) >= y) last = middle;
    else from = middle + 1;
  }
  return from;
}

bool bf_steps_of(struct bf_steps *steps, const struct bf_requant *rq, uint32_t channel, int64_t first, int64_t last) {
  uint32_t c = rq->count > 1 ? channel : 0;
  *steps = (struct bf_steps){.first = first, .last = last};
  double slope = bf_requant_slope(rq, channel);
  if (!(slope >= 0) || (slope == 0 && (rq->mode == BF_REQUANT_NONE || rq->mode == BF_REQUANT_THRESHOLDS || rq->mode == BF_REQUANT_POW2)))
    return false;
  wide lo = (wide)rq->lo - rq->out_zero, hi = (wide)rq->hi - rq->out_zero;
  wide low = saturate(rule(rq, c, first)), high = saturate(rule(rq, c, last));
  steps->low_clamped = low < lo;
  steps->high_clamped = high > hi;
  wide y0 = low < lo ? lo : low > hi ? hi : low, y1 = high < lo ? lo : high > hi ? hi : high;
  if (y1 - y0 > BF_MAX_STEPS) return false;
  steps->y0 = (int64_t)y0;
  steps->count = (uint32_t)(y1 - y0);
  steps->at = bf_alloc(steps->count + 1, sizeof *steps->at);
  for (uint32_t i = 0; i < steps->count; i++)
    steps->at[i] = first_reaching(rq, c, i ? steps->at[i - 1] : first, last, steps->y0 + i + 1,
                                  i ? (double)steps->at[i - 1] + 1 / slope : (double)first);
  return true;
}

void bf_steps_leave_to_clamp(struct bf_steps *steps, const struct bf_requant *rq) {
  if (steps->y0 == rq->lo - rq->out_zero) steps->low_clamped = true;
  if (steps->y0 + steps->count == rq->hi - rq->out_zero) steps->high_clamped = true;
}

void bf_steps_free(struct bf_steps *steps) {
  free(steps->at);
  steps->at = NULL;
}

// The constants r that put every step of v * m at its place; empty if least > most.
struct window { wide least, most; };

static wide shifted(wide v, unsigned s) { return v * ((wide)1 << s); }

static void at_least(struct window *w, wide y, int64_t v, int64_t m, unsigned s) {
  wide r = shifted(y, s) - (wide)v * m;
  if (r > w->least) w->least = r;
}
static void at_most(struct window *w, wide y, int64_t v, int64_t m, unsigned s) {
  wide r = shifted(y + 1, s) - (wide)v * m - 1;
  if (r < w->most) w->most = r;
}

// Whether all numbers of the windows fit in 63 bits, far from the 2^61 that stand for no bound.
static bool narrow(const struct bf_steps *st, int64_t m, unsigned s) {
  int64_t v = st->first < 0 ? -(st->first + 1) : st->first, u = st->last < 0 ? -(st->last + 1) : st->last;
  wide reach = v > u ? v : u, y = st->y0 < 0 ? -(wide)st->y0 : st->y0;
  return (reach + 2) * m + shifted(y + st->count + 2, s) < (wide)1 << 60;
}

// Steps [from, end) of one sign in 64 bits: the same windows, several times as fast. A step at v has
// r >= (y + 1) << s - v m, and r <= ((y + 1) << s) - (v - 1) m - 1.
static void add_steps(const struct bf_steps *st, uint32_t from, uint32_t end, int64_t m, unsigned s, struct window *below,
                      struct window *reached) {
  bool one = below == reached;  // then an empty window needs no more steps
  int64_t least = (int64_t)reached->least, most = (int64_t)below->most - (m - 1);
  for (uint32_t i = from; i < end && !(one && least > most + (m - 1)); i++) {
    int64_t r = (st->y0 + i + 1) * ((int64_t)1 << s) - st->at[i] * m;
    least = r > least ? r : least;
    most = r < most ? r : most;
  }
  reached->least = least;
  below->most = most + (m - 1);
}

// All steps, by whether v = at and v = at - 1, which is not reached yet, are negative.
static void add_all_steps(const struct bf_steps *st, int64_t m, unsigned s, uint32_t negative, struct window w[2]) {
  uint32_t zero = negative;
  while (zero < st->count && st->at[zero] == 0) zero++;
  add_steps(st, 0, negative, m, s, &w[0], &w[0]);
  add_steps(st, negative, zero, m, s, &w[0], &w[1]);
  add_steps(st, zero, st->count, m, s, &w[1], &w[1]);
}

// w[0] for v < 0, w[1] for v >= 0.
static void windows(const struct bf_steps *st, int64_t m, unsigned s, struct window w[2]) {
  w[0] = w[1] = (struct window){-((wide)1 << 61), (wide)1 << 61};
  if (!st->low_clamped) at_least(&w[st->first >= 0], st->y0, st->first, m, s);
  if (!st->high_clamped) at_most(&w[st->last >= 0], st->y0 + st->count, st->last, m, s);
  uint32_t negative = 0;  // steps reached by v = -1
  while (negative < st->count && st->at[negative] < 0) negative++;
  if (narrow(st, m, s)) {
    add_all_steps(st, m, s, negative, w);
  } else {
    for (uint32_t i = 0; i < st->count && w[0].least <= w[0].most && w[1].least <= w[1].most; i++) {
      at_least(&w[st->at[i] >= 0], st->y0 + i + 1, st->at[i], m, s);
      at_most(&w[st->at[i] > 0], st->y0 + i, st->at[i] - 1, m, s);
    }
  }
  if (st->first >= 0 || st->last < 0) return;
  // Where the pieces meet, neither may run ahead; a clamped end needs no care.
  uint32_t zero = negative;
  while (zero < st->count && st->at[zero] == 0) zero++;
  if (negative < st->count || !st->high_clamped) at_most(&w[0], st->y0 + negative, -1, m, s);
  if (zero > 0 || !st->low_clamped) at_least(&w[1], st->y0 + zero, 0, m, s);
}

// Constants from the windows; `same` if one is in both.
static bool choose(const struct bf_steps *st, struct window w[2], bool same, struct bf_affine *a) {
  if (st->first >= 0) w[0] = w[1];
  if (st->last < 0) w[1] = w[0];
  if (same)
    for (int i = 0; i < 2; i++) {
      if (w[1 - i].least > w[i].least) w[i].least = w[1 - i].least;
      if (w[1 - i].most < w[i].most) w[i].most = w[1 - i].most;
    }
  const wide far = (wide)1 << 61;
  for (int i = 0; i < 2; i++) {
    if (w[i].least > w[i].most) return false;
    a->r[i] = (int64_t)(w[i].least > -far ? w[i].least : w[i].most);
  }
  a->same = a->r[0] == a->r[1];
  return true;
}

bool bf_steps_fit(const struct bf_steps *steps, int64_t m, unsigned s, int64_t *r) {
  struct bf_affine a = {.m = m, .s = s};
  struct window w[2];
  windows(steps, m, s, w);
  if (!choose(steps, w, true, &a)) return false;
  *r = a.r[0];
  return true;
}

#define NEAR 2     // multipliers tried on either side of the slope, as long as none is precise enough
#define AROUND 16  // the same from then on
#define MORE 5     // shifts tried beyond the first that works
#define SPLIT 1    // two constants count as a digit: a comparison of v with 0

bool bf_steps_affine(const struct bf_steps *steps, double slope, struct bf_affine *out) {
  unsigned best = UINT32_MAX, found = UINT32_MAX;
  for (unsigned s = 0; s <= 48 && (found == UINT32_MAX || s <= found + MORE); s++) {
    double middle = nearbyint(ldexp(slope, (int)s));
    if (middle > 0x1p40) break;
    for (int i = 0; i <= 2 * (found == UINT32_MAX ? NEAR : AROUND); i++) {
      int64_t m = (int64_t)middle + (i & 1 ? -(i + 1) / 2 : i / 2);
      if (m <= 0) continue;
      unsigned digits = bf_digits_count(m);
      if (digits >= best) continue;
      struct bf_affine a = {.m = m, .s = s};
      struct window w[2], copy[2];
      windows(steps, m, s, w);
      copy[0] = w[0], copy[1] = w[1];
      if (!choose(steps, copy, true, &a)) {
        digits += SPLIT;
        if (digits >= best || !choose(steps, w, false, &a)) continue;
      }
      if (found == UINT32_MAX) found = s;
      best = digits;
      *out = a;
    }
  }
  return best != UINT32_MAX;
}
