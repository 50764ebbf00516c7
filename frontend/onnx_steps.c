// SPDX-License-Identifier: Apache-2.0
// Scalar steps, and the requantization that equals them. Steps are monotone in x for each channel, and so is every
// requantization: two such functions are equal on a range of integers if they change their value at the same places.
// That is how a candidate is proved, level by level, instead of trusting the algebra.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_lower.h"

#define MAX_LEVELS 65536  // results of 16 bits
#define MAX_THRESHOLDS 255
#define MAX_WORK ((uint64_t)1 << 27)  // of one search
#define FEW_LEVELS 3                  // up to this many thresholds are cheaper than a multiplication
#define ASSUMED_BITS 15               // of multipliers where nothing has to be exact

void bf_onx_push(struct bf_onx_lower *l, struct bf_onx_value *v, struct bf_onx_step step) {
  // Values that share a beginning share its memory; it is never changed.
  struct bf_onx_step *steps = bf_arena_alloc(&l->arena, v->nsteps + 1, sizeof *steps);
  if (v->nsteps) memcpy(steps, v->steps, v->nsteps * sizeof *steps);
  steps[v->nsteps++] = step;
  v->steps = steps;
}

void bf_onx_push_scalar(struct bf_onx_lower *l, struct bf_onx_value *v, enum bf_onx_step_kind kind, double c) {
  if ((kind == STEP_MUL || kind == STEP_DIV) && c == 1) return;
  if (kind == STEP_ADD && c == 0) return;
  double *v1 = bf_arena_alloc(&l->arena, 1, sizeof *v1);
  *v1 = c;
  bf_onx_push(l, v, (struct bf_onx_step){.kind = kind, .n = 1, .v = v1});
}

void bf_onx_push_clip(struct bf_onx_lower *l, struct bf_onx_value *v, double lo, double hi) {
  bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_CLIP, .lo = lo, .hi = hi});
}

static double apply(const struct bf_onx_step *s, uint64_t channel, double x) {
  double c = s->v && s->kind != STEP_COUNT ? s->v[s->n > 1 ? channel : 0] : 0;
  switch (s->kind) {
    case STEP_MUL: return x * c;
    case STEP_DIV: return x / c;
    case STEP_ADD: return x + c;
    case STEP_FLOOR: return floor(x);
    case STEP_CEIL: return ceil(x);
    case STEP_TRUNC: return trunc(x);
    case STEP_ROUND: return nearbyint(x);
    case STEP_CLIP: return x < s->lo ? s->lo : x > s->hi ? s->hi : x;
    case STEP_CURVE: return s->curve(x, s->lo, s->hi);
    case STEP_COUNT: break;
  }
  uint64_t count = 0;
  const double *t = s->v + (s->n > 1 ? channel : 0) * s->nthresholds;
  while (count < s->nthresholds && t[count] <= x) count++;
  return (double)count;
}

double bf_onx_apply(const struct bf_onx_step *steps, size_t n, uint64_t channel, double x) {
  for (size_t i = 0; i < n; i++) x = apply(&steps[i], channel, x);
  return x;
}

bool bf_onx_affine(const struct bf_onx_step *steps, size_t n, double *scale, double *offset) {
  *scale = 1;
  *offset = 0;
  for (size_t i = 0; i < n; i++) {
    const struct bf_onx_step *s = &steps[i];
    if (s->kind > STEP_ADD) return false;
    for (uint64_t k = 1; k < s->n; k++)
      if (s->v[k] != s->v[0]) return false;
    if (s->kind == STEP_MUL) *scale *= s->v[0], *offset *= s->v[0];
    else if (s->kind == STEP_DIV) *scale /= s->v[0], *offset /= s->v[0];
    else *offset += s->v[0];
  }
  return isfinite(*scale) && isfinite(*offset) && *scale != 0;
}

// ---- the search

struct search {
  struct bf_onx_lower *l;
  const struct bf_onx_source *source;
  const struct bf_onx_step *steps;
  size_t n;
  int64_t factor, offset;  // result = factor * steps(x) + offset
  struct bf_onx_requant *out;
  uint64_t work;      // evaluations that may still be made
  uint64_t channels;  // that differ: 1 if all steps are scalars and all ranges equal
  int64_t largest;    // |x|
};

static int64_t wanted(const struct search *s, uint64_t c, int64_t x) {
  double y = bf_onx_apply(s->steps, s->n, c, (double)x) * (double)s->factor + (double)s->offset;
  if (!(y > (double)s->out->lo)) return s->out->lo;  // also not a number
  return y >= (double)s->out->hi ? s->out->hi : (int64_t)y;
}

static int64_t given(const struct search *s, int64_t mult, int64_t add, int32_t shift, int64_t x) {
  int64_t y = (x * mult + add) >> shift;
  return y < s->out->lo ? s->out->lo : y > s->out->hi ? s->out->hi : y;
}

// Whether floor((x * mult + add) / 2^shift), clamped, equals the steps on the channel's range.
static bool proved(struct search *s, uint64_t c, int64_t mult, int64_t add, int32_t shift) {
  int64_t lo = s->source->lo[c], hi = s->source->hi[c];
  if (wanted(s, c, lo) != given(s, mult, add, shift, lo) || wanted(s, c, hi) != given(s, mult, add, shift, hi))
    return false;
  if (mult == 0) return true;
  uint64_t levels = (uint64_t)(s->out->hi - s->out->lo);
  if (levels > s->work) return false;
  s->work -= levels;
  for (int64_t y = s->out->lo + 1; y <= s->out->hi; y++) {
    // The smallest x with x * mult + add >= y * 2^shift (for falling functions: the largest).
    __int128 need = (__int128)y * ((int64_t)1 << shift) - add, m = mult < 0 ? -(__int128)mult : mult;
    if (mult < 0) need = -need;
    __int128 x128 = mult > 0 ? need / m + (need % m > 0) : need / m - (need % m < 0);
    if (x128 < lo || x128 > hi) continue;
    int64_t x = (int64_t)x128, before = mult > 0 ? x - 1 : x + 1;
    if (wanted(s, c, x) < y) return false;
    if (before >= lo && before <= hi && wanted(s, c, before) >= y) return false;
  }
  return true;
}

// The affine beginning of the steps, up to the first that rounds: (num * x + off) / den, and how it rounds.
struct beginning {
  double num, off, den;
  enum bf_onx_step_kind rounds;  // STEP_FLOOR if nothing does
};

static struct beginning begin_of(const struct search *s, uint64_t c) {
  struct beginning b = {1, 0, 1, STEP_FLOOR};
  for (size_t i = 0; i < s->n; i++) {
    const struct bf_onx_step *step = &s->steps[i];
    double v = step->v && step->kind != STEP_COUNT ? step->v[step->n > 1 ? c : 0] : 0;
    if (step->kind == STEP_MUL) b.num *= v, b.off *= v;
    else if (step->kind == STEP_DIV) b.den *= v;
    else if (step->kind == STEP_ADD) b.off += v * b.den;
    else if (step->kind != STEP_CLIP) {
      b.rounds = step->kind;
      // Integers added to the rounded result may as well be added before.
      for (i++; i < s->n && (s->steps[i].kind == STEP_ADD || s->steps[i].kind == STEP_CLIP); i++)
        if (s->steps[i].kind == STEP_ADD) b.off += s->steps[i].v[s->steps[i].n > 1 ? c : 0] * b.den;
      break;
    }
  }
  b.num *= (double)s->factor;
  b.off = b.off * (double)s->factor + (double)s->offset * b.den;
  if (b.den < 0) b.den = -b.den, b.num = -b.num, b.off = -b.off;
  return b;
}

static bool is_power_of_two(double v, int32_t *log) {
  int e;
  if (!(v >= 1) || v > 0x1p40 || frexp(v, &e) != 0.5) return false;
  *log = e - 1;
  return true;
}

static bool whole(double v) { return fabs(v) < 0x1p53 && v == floor(v); }

static bool in_64_bits(const struct search *s, int64_t mult, int64_t add) {
  __int128 m = mult < 0 ? -(__int128)mult : mult, a = add < 0 ? -(__int128)add : add;
  return m * s->largest + a < (__int128)1 << 62;
}

static int64_t round_add(enum bf_onx_step_kind rounds, int32_t shift) {
  int64_t one = (int64_t)1 << shift;
  return rounds == STEP_ROUND ? one >> 1 : rounds == STEP_CEIL ? one - 1 : 0;
}

// Factors of two that all numbers share.
static void reduce(struct search *s) {
  struct bf_onx_requant *out = s->out;
  for (;;) {
    bool even = out->shift > 0;
    for (uint64_t c = 0; c < s->channels; c++) even &= out->mult[c] % 2 == 0 && out->add[c] % 2 == 0;
    if (!even) break;
    out->shift--;
    for (uint64_t c = 0; c < s->channels; c++) {
      out->mult[c] /= 2;
      out->add[c] /= 2;
    }
  }
  if (s->channels == 1 && out->mult[0] == 1 && out->add[0] == 0 && out->shift == 0 && !out->has_zero)
    out->mode = BF_REQUANT_NONE;
}

// The numbers as the model has them, if the divisors are powers of two.
static bool exact_affine(struct search *s) {
  int32_t shift = 0, log;
  for (uint64_t c = 0; c < s->channels; c++) {
    struct beginning b = begin_of(s, c);
    if (!is_power_of_two(b.den, &log) || !whole(b.num) || !whole(b.off)) return false;
    if (log > shift) shift = log;
  }
  s->out->shift = shift;
  for (uint64_t c = 0; c < s->channels; c++) {
    struct beginning b = begin_of(s, c);
    double more = ldexp(1, shift) / b.den;
    if (!whole(b.num * more) || !whole(b.off * more)) return false;
    s->out->mult[c] = (int64_t)(b.num * more);
    s->out->add[c] = (int64_t)(b.off * more) + round_add(b.rounds, shift);
    if (!in_64_bits(s, s->out->mult[c], s->out->add[c]) || !proved(s, c, s->out->mult[c], s->out->add[c], shift))
      return false;
  }
  reduce(s);
  return true;
}

// Multiplier and addend of `shift` fractional bits; `nudge` in quarters of a step of x decides which way ties fall.
static bool rounded_affine(struct search *s, uint64_t c, int32_t shift, double nudge) {
  struct beginning b = begin_of(s, c);
  double m = ldexp(b.num / b.den, shift), a = ldexp(b.off / b.den, shift) + fabs(m) * nudge;
  if (!(fabs(m) < 0x1p46) || !(fabs(a) < 0x1p60)) return false;
  s->out->mult[c] = llround(m);
  s->out->add[c] = (int64_t)floor(a) + round_add(b.rounds, shift);
  return in_64_bits(s, s->out->mult[c], s->out->add[c]);
}

static bool search_affine(struct search *s) {
  static const double nudges[] = {0, 0x1p-10, 0x1p-2, -0x1p-10};
  for (int32_t shift = 0; shift <= 60; shift++) {
    bool ok = true;
    for (uint64_t c = 0; ok && c < s->channels; c++) {
      ok = false;
      for (size_t i = 0; !ok && i < BF_COUNT(nudges); i++) {
        if (!rounded_affine(s, c, shift, nudges[i])) break;
        ok = proved(s, c, s->out->mult[c], s->out->add[c], shift);
      }
    }
    s->out->shift = shift;
    if (ok) return true;
  }
  return false;
}

// Nothing to prove: as many bits as a multiplier is worth.
static bool assumed_affine(struct search *s) {
  double largest = 0;
  for (uint64_t c = 0; c < s->channels; c++) largest = fmax(largest, fabs(begin_of(s, c).num / begin_of(s, c).den));
  int e = 0;
  if (largest > 0 && isfinite(largest)) frexp(largest, &e);
  int32_t shift = ASSUMED_BITS - e;
  s->out->shift = shift < 0 ? 0 : shift > 46 ? 46 : shift;
  for (uint64_t c = 0; c < s->channels; c++)
    if (!rounded_affine(s, c, s->out->shift, 0)) return false;
  return true;
}

// All thresholds by bisection.
static bool search_thresholds(struct search *s) {
  struct bf_onx_requant *out = s->out;
  uint64_t n = (uint64_t)(out->hi - out->lo);
  if (n > MAX_THRESHOLDS || n * s->channels > s->work) return false;
  out->nthresholds = n;
  out->thresholds = bf_arena_alloc(&s->l->arena, s->channels * n + 1, sizeof *out->thresholds);
  for (uint64_t c = 0; c < s->channels; c++) {
    if (wanted(s, c, s->source->lo[c]) > wanted(s, c, s->source->hi[c])) return false;  // falls
    for (uint64_t i = 0; i < n; i++) {
      int64_t y = out->lo + 1 + (int64_t)i, a = s->source->lo[c], b = s->source->hi[c] + 1;
      while (a < b) {
        int64_t mid = a + (b - a) / 2;
        if (wanted(s, c, mid) >= y) b = mid;
        else a = mid + 1;
      }
      out->thresholds[c * n + i] = a;
    }
  }
  out->mode = BF_REQUANT_THRESHOLDS;
  out->zero = out->lo;
  return true;
}

// Products alone, rounded to nearest: what QLinear operators do, in float32.
static bool as_float(struct search *s) {
  struct bf_onx_requant *out = s->out;
  if (s->factor != 1) return false;
  size_t i = 0;
  out->fscale = bf_arena_alloc(&s->l->arena, s->channels, sizeof *out->fscale);
  for (uint64_t c = 0; c < s->channels; c++) {
    float f = 1;
    bool first = true;
    for (i = 0; i < s->n && s->steps[i].kind != STEP_ROUND; i++) {
      const struct bf_onx_step *step = &s->steps[i];
      if (step->kind == STEP_CLIP && step->lo == 0 && step->hi == INFINITY) continue;  // out->lo is it, rounded
      if (step->kind > STEP_DIV) return false;
      float v = (float)step->v[step->n > 1 ? c : 0];
      f = first && step->kind == STEP_MUL ? v : step->kind == STEP_MUL ? f * v : f / v;
      first = false;
    }
    if (i == s->n || !(f > 0) || !isfinite(f)) return false;
    out->fscale[c] = f;
  }
  out->zero = s->offset;
  for (i++; i < s->n; i++) {
    const struct bf_onx_step *step = &s->steps[i];
    if (step->kind == STEP_CLIP) continue;
    if (step->kind != STEP_ADD || step->n > 1 || step->v[0] != floor(step->v[0]) || fabs(step->v[0]) > 65536)
      return false;
    out->zero += (int64_t)step->v[0];
  }
  out->mode = BF_REQUANT_FLOAT_RNE;
  return true;
}

static bool equal_channels(const struct search *s) {
  for (size_t i = 0; i < s->n; i++)
    if (s->steps[i].n > 1) return false;
  return true;
}

// One channel that stands for all has the range of all.
static struct bf_onx_source *widened(struct bf_onx_lower *l, const struct bf_onx_source *s) {
  struct bf_onx_source *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *s;
  out->lo = bf_arena_alloc(&l->arena, 1, sizeof *out->lo);
  out->hi = bf_arena_alloc(&l->arena, 1, sizeof *out->hi);
  out->lo[0] = s->lo[0];
  out->hi[0] = s->hi[0];
  for (uint64_t c = 1; c < s->channels; c++) {
    if (s->lo[c] < out->lo[0]) out->lo[0] = s->lo[c];
    if (s->hi[c] > out->hi[0]) out->hi[0] = s->hi[c];
  }
  return out;
}

bool bf_onx_find_requant(struct bf_onx_lower *l, const struct bf_onx_value *v, size_t n, int64_t factor, int64_t offset,
                         struct bf_onx_requant *out) {
  struct search s = {.l = l,
                     .source = v->source,
                     .steps = v->steps,
                     .n = n,
                     .factor = factor,
                     .offset = offset,
                     .out = out,
                     .channels = v->source->channels};
  s.work = MAX_WORK;
  for (size_t i = 0; i < n; i++)
    if (s.steps[i].kind == STEP_CURVE) return false;
  if (out->hi - out->lo >= MAX_LEVELS || out->hi < out->lo) return false;
  if (equal_channels(&s)) {
    s.source = widened(l, v->source);
    s.channels = 1;
  }
  for (uint64_t c = 0; c < v->source->channels; c++) {
    if (-v->source->lo[c] > s.largest) s.largest = -v->source->lo[c];
    if (v->source->hi[c] > s.largest) s.largest = v->source->hi[c];
  }
  out->n = s.channels;
  bool assumed = out->assumed;
  if (!assumed && as_float(&s)) return true;
  if (!assumed && out->hi - out->lo <= FEW_LEVELS && search_thresholds(&s)) return true;
  out->mode = BF_REQUANT_AFFINE_FLOOR;
  out->mult = bf_arena_alloc(&l->arena, s.channels, sizeof *out->mult);
  out->add = bf_arena_alloc(&l->arena, s.channels, sizeof *out->add);
  if (assumed ? assumed_affine(&s) : exact_affine(&s) || search_affine(&s)) return true;
  return search_thresholds(&s);
}
