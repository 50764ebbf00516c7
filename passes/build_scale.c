// SPDX-License-Identifier: Apache-2.0
// Requantization as field IR: exact scaling by constants, rounding, clamp. All numbers stay unsigned: a value is
// held with a bias that is chosen large enough, so that no sign extension is ever needed.
#include <math.h>
#include <stdlib.h>

#include "passes/builder.h"
#include "passes/digits.h"

// floor(p / 2^s) for a biased product: the constant that starts it and the bias of its quotient.
struct scale_plan {
  int64_t m;
  __int128 start;   // content of the product for v's content 0
  int64_t bias;     // of the final result
  unsigned s, e;
  bool signed_range;  // the quotient before the last rounding takes both signs
  uint64_t positive_from;  // content of the quotient that stands for 0, incl. rounding constant
};

static __int128 ceil_div_pow2(__int128 v, unsigned shift) {
  return (v + (((__int128)1 << shift) - 1)) >> shift;
}

static void drop_trailing_zeros(int64_t *m, int64_t *r, unsigned *s) {
  while (*s > 0 && *m && !(*m & 1) && !(*r & 1)) {
    *m /= 2;
    *r /= 2;
    (*s)--;
  }
}

static struct scale_plan plan_scale(struct bf_val v, int64_t m, int64_t r, unsigned s, unsigned e, int64_t want,
                                    unsigned want_bits) {
  drop_trailing_zeros(&m, &r, &s);
  struct scale_plan plan = {.m = m, .s = s, .e = e};
  __int128 start = (__int128)r - (__int128)m * v.bias;
  // Half away from zero: floor((h + 2^(e-1) - [h < 0]) / 2^e); the constant part joins the start value.
  __int128 low = start < start + (__int128)m * v.hi ? start : start + (__int128)m * (__int128)v.hi;
  __int128 z = low < 0 ? ceil_div_pow2(-low, s + e) : 0;
  if (want_bits) {
    __int128 modulus = (__int128)1 << want_bits;
    __int128 rest = ((__int128)want - z) % modulus;
    z += rest < 0 ? rest + modulus : rest;
  }
  plan.bias = (int64_t)z;
  plan.start = start + (z << (s + e));
  if (e) {
    uint64_t half = ((uint64_t)1 << (e - 1)) - 1;
    plan.start += (__int128)half << s;
    plan.positive_from = (uint64_t)(z << e) + half;
  }
  return plan;
}

struct bf_val bf_build_scale(struct bf_lower *l, struct bf_val v, int64_t m, int64_t r, unsigned s, unsigned e,
                             int64_t want, unsigned want_bits) {
  struct scale_plan plan = plan_scale(v, m, r, s, e, want, want_bits);
  if (plan.start >> 62) {
    bf_lower_fail(l, "use a requantization with a shorter multiplier", "requantization needs more than 62 bits");
    return v;
  }
  struct bf_val p;
  if (plan.m == 1) {
    p = bf_build_widen(l, v, "scaled");
    bf_build_addk(l, &p, (uint64_t)plan.start);
  } else {
    p = bf_build_const(l, (uint64_t)plan.start, 0, "scaled");
    bf_build_mack(l, &p, &v, plan.m, false);
  }
  struct bf_val h = {.field = p.field, .offset = (uint16_t)(p.offset + plan.s), .lo = p.lo >> plan.s, .hi = p.hi >> plan.s,
                     .bias = plan.bias};
  if (!plan.e) {
    bf_val_low(l, &h, bf_bits(h.hi));
    return h;
  }
  if (plan.positive_from <= h.lo) {
    bf_build_addk(l, &h, 1);
  } else if (plan.positive_from <= h.hi) {
    struct bf_val f = bf_build_gtk(l, &h, plan.positive_from - 1, "nonneg");
    bf_build_add(l, &h, &f);
  }
  struct bf_val y = {.field = h.field, .offset = (uint16_t)(h.offset + plan.e), .lo = h.lo >> plan.e, .hi = h.hi >> plan.e,
                     .bias = plan.bias};
  bf_val_low(l, &y, bf_bits(y.hi));
  return y;
}

// Number of thresholds not above the value.
static struct bf_val build_thresholds(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel) {
  const int64_t *t = rq->thresholds + (rq->count > 1 ? (uint64_t)channel * rq->nthresholds : 0);
  struct bf_val n = bf_build_const(l, 0, 0, "count");
  for (uint32_t i = 0; i < rq->nthresholds; i++) {
    __int128 content = (__int128)t[i] + v.bias;  // v >= t  <=>  content of v > content - 1
    if (content > (__int128)v.hi) break;
    if (content <= (__int128)v.lo) {
      bf_build_addk(l, &n, 1);
      continue;
    }
    struct bf_val f = bf_build_gtk(l, &v, (uint64_t)(content - 1), "above");
    bf_build_add(l, &n, &f);
  }
  return n;
}

// Smallest value in [first, last + 1] whose rounded product reaches y: the rounding is monotone for scales >= 0.
static int64_t first_reaching(float scale, int64_t first, int64_t last, int64_t y) {
  last++;
  while (first < last) {
    int64_t middle = first + (last - first) / 2;
    if (rintf((float)middle * scale) >= (float)y) last = middle;
    else first = middle + 1;
  }
  return first;
}

// Rounding of float32 products is no integer arithmetic; but it is a step function of the sum, hence thresholds.
static struct bf_val build_float(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t c) {
  int64_t lo = rq->lo - rq->out_zero, hi = rq->hi - rq->out_zero;
  float scale = rq->fscale[c];
  if (!(scale >= 0) || hi - lo > 4095) {
    bf_lower_fail(l, "use dyadic or tflite", "float_rne wants a scale of at least 0 and outputs of at most 12 bits");
    return v;
  }
  struct bf_requant steps = {.mode = BF_REQUANT_THRESHOLDS, .count = 1, .nthresholds = (uint32_t)(hi - lo)};
  steps.thresholds = bf_alloc((size_t)(hi - lo) + 1, sizeof *steps.thresholds);
  int64_t first = (int64_t)v.lo - v.bias, last = (int64_t)v.hi - v.bias;
  for (int64_t y = lo + 1; y <= hi; y++) steps.thresholds[y - lo - 1] = first_reaching(scale, first, last, y);
  struct bf_val n = build_thresholds(l, v, &steps, 0);
  n.bias = -lo;
  free(steps.thresholds);
  return n;
}

struct bf_val bf_build_requant(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                               int64_t want, unsigned want_bits) {
  uint32_t c = rq->count > 1 ? channel : 0;
  switch (rq->mode) {
  case BF_REQUANT_NONE: return v;
  case BF_REQUANT_TFLITE: {
    int32_t e = rq->shift[c];
    int64_t m = rq->mult[c];
    if (e > 0) {
      if (e > 30) {
        bf_lower_fail(l, NULL, "requantization shifts left by %d", e);
        return v;
      }
      m *= (int64_t)1 << e;
    }
    return bf_build_scale(l, v, m, (int64_t)1 << 30, 31, e < 0 ? (unsigned)-e : 0, want, want_bits);
  }
  case BF_REQUANT_TFLITE16: {
    int32_t e = rq->shift[c];
    int64_t m = rq->mult[c] >= 0x7FFF0000 ? 0x7FFF : (rq->mult[c] + (1 << 15)) >> 16;
    return bf_build_scale(l, v, m, (int64_t)1 << (14 - e), (unsigned)(15 - e), 0, want, want_bits);
  }
  case BF_REQUANT_DYADIC: {
    unsigned s = (unsigned)rq->shift[c];
    return bf_build_scale(l, v, rq->mult[c], s ? (int64_t)1 << (s - 1) : 0, s, 0, want, want_bits);
  }
  case BF_REQUANT_AFFINE_FLOOR:
    return bf_build_scale(l, v, rq->mult[c], rq->add[c], (unsigned)rq->shift[c], 0, want, want_bits);
  case BF_REQUANT_POW2: return bf_build_scale(l, v, 1, 0, (unsigned)rq->shift[c], 0, want, want_bits);
  case BF_REQUANT_FLOAT_RNE: return build_float(l, v, rq, c);
  case BF_REQUANT_THRESHOLDS: return build_thresholds(l, v, rq, c);
  default:
    bf_lower_fail(l, NULL, "internal: unknown requantization mode %d", (int)rq->mode);
    return v;
  }
}

// A clamp bound that a content may pass: the flag of the rows beyond it.
struct bound { bool needed; struct bf_val flag; uint64_t u; };

static void set_if(struct bf_lower *l, struct bf_slice d, const struct bound *bound) {
  if (!bound->needed) return;
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = d, .a = bf_val_slice(&bound->flag), .imm = bound->u});
}

void bf_build_requant_store(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                            struct bf_type type, uint32_t desc, uint32_t tap) {
  int64_t min = bf_type_min(type);
  unsigned bits = type.bits;
  struct bf_val y = bf_build_requant(l, v, rq, channel, rq->out_zero - min, bits);
  if (l->failed) return;
  // q = content - bias + out_zero; stored u = q - min; bounds in terms of the content:
  __int128 shift = (__int128)rq->out_zero - y.bias - min;
  __int128 below = (__int128)rq->lo - min - shift, above = (__int128)rq->hi - min - shift;
  struct bound low = {.u = (uint64_t)(rq->lo - min)}, high = {.u = (uint64_t)(rq->hi - min)};
  low.needed = below > (__int128)y.lo;
  high.needed = above < (__int128)y.hi;
  if (low.needed) {
    struct bf_val ge = below > (__int128)y.hi ? bf_build_const(l, 0, 0, "ge") : bf_build_gtk(l, &y, (uint64_t)(below - 1), "ge");
    low.flag = bf_build_not(l, &ge);
  }
  if (high.needed)
    high.flag = above < 0 ? bf_build_const(l, 1, 0, "gt") : bf_build_gtk(l, &y, (uint64_t)above, "gt");
  // Columns above a field that was loaded hold nothing yet; a copy clears them.
  if (l->region->fields[y.field].width < y.offset + bits) y = bf_build_widen(l, y, "out");
  struct bf_slice out = bf_val_low(l, &y, bits);
  uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
  if ((uint64_t)shift & mask)
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADDK, .d = out, .imm = (uint64_t)shift & mask});
  set_if(l, out, &low);
  set_if(l, out, &high);
  bf_build_store(l, out, desc, tap);
}
