// SPDX-License-Identifier: Apache-2.0
// Requantization as field IR: exact scaling by constants, rounding, clamp. All numbers stay unsigned: a value is
// held with a bias that is chosen large enough, so that no sign extension is ever needed.
#include <stdlib.h>

#include "passes/builder.h"
#include "passes/digits.h"
#include "passes/near.h"

// floor(p / 2^s) for a biased product: the constant that starts it and the bias of its quotient.
struct scale_plan {
  int64_t m;
  __int128 start;   // content of the product for v's content 0
  int64_t bias;     // of the final result
  unsigned s, e;
  uint64_t positive_from;  // content of the quotient that stands for 0, incl. rounding constant
};

static __int128 ceil_div_pow2(__int128 v, unsigned shift) {
  return (v + (((__int128)1 << shift) - 1)) >> shift;
}

static void drop_trailing_zeros(int64_t *m, int64_t *r, unsigned *s) {
  while (*s > 0 && *m && !(*m & 1)) {  // the lost bit of r can't carry
    *m /= 2;
    *r >>= 1;
    (*s)--;
  }
}

static struct scale_plan plan_scale(struct bf_val v, int64_t m, __int128 r, unsigned s, unsigned e, int64_t want,
                                    unsigned want_bits) {
  struct scale_plan plan = {.m = m, .s = s, .e = e};
  __int128 start = r - (__int128)m * v.bias;
  // Half away from zero: floor((h + 2^(e-1) - [h < 0]) / 2^e); the constant part joins the start value.
  __int128 low = m > 0 ? start : start + (__int128)m * (__int128)v.hi;
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

// Whether the sum of the shifted copies, and of a number up to `extra`, stays below 2^63 all along.
static bool product_fits(const struct bf_lower *l, __int128 start, int64_t m, uint64_t v_hi, uint64_t extra) {
  uint64_t positive = bf_digit_masks_of(m, l->unit->opt_level > 0).positive;
  return start >> 62 == 0 && ((unsigned __int128)start + (unsigned __int128)positive * v_hi + extra) >> 63 == 0;
}

// The quotient h of the first division, rounded as the plan says.
static struct bf_val round_off(struct bf_lower *l, struct bf_val h, const struct scale_plan *plan) {
  if (!plan->e) {
    bf_val_low(l, &h, bf_bits(h.hi));
    return h;
  }
  if (plan->positive_from <= h.lo) {
    bf_build_addk(l, &h, 1);
  } else if (plan->positive_from <= h.hi) {
    struct bf_val f = bf_build_gtk(l, &h, plan->positive_from - 1, "nonneg");
    bf_build_add(l, &h, &f);
  }
  struct bf_val y = {.field = h.field, .offset = (uint16_t)(h.offset + plan->e), .lo = h.lo >> plan->e, .hi = h.hi >> plan->e,
                     .bias = plan->bias};
  bf_val_low(l, &y, bf_bits(y.hi));
  return y;
}

static struct bf_val quotient(const struct bf_val *p, const struct scale_plan *plan) {
  return (struct bf_val){.field = p->field, .offset = (uint16_t)(p->offset + plan->s), .lo = p->lo >> plan->s,
                         .hi = p->hi >> plan->s, .bias = plan->bias};
}

static struct bf_val too_wide(struct bf_lower *l, struct bf_val v) {
  bf_lower_fail(l, "use a requantization with a shorter multiplier", "requantization needs more than 62 bits");
  return v;
}

#define LOW_BITS 16

// A product that is too wide, in two: for v = vh * 2^k + vl the quotient is
// floor((vh * m + floor((vl * m + r) / 2^k)) / 2^(s - k)). Both parts are slices of v's content, the bias joins r.
static struct bf_val scale_in_two(struct bf_lower *l, struct bf_val v, int64_t m, int64_t r, unsigned s, unsigned e,
                                  int64_t want, unsigned want_bits) {
  unsigned k = s < LOW_BITS ? s : LOW_BITS;
  if (!k || bf_bits(v.hi) <= k) return too_wide(l, v);
  uint64_t mask = ((uint64_t)1 << k) - 1;
  __int128 rest = (__int128)r - (__int128)m * v.bias;
  struct bf_val low = {.field = v.field, .offset = v.offset, .hi = mask};
  struct bf_val high = {.field = v.field, .offset = (uint16_t)(v.offset + k), .lo = v.lo >> k, .hi = v.hi >> k};
  struct scale_plan first = plan_scale(low, m, rest & mask, k, 0, 0, 0);
  if (!product_fits(l, first.start, m, low.hi, 0)) return too_wide(l, v);
  struct bf_val t = bf_build_const(l, (uint64_t)first.start, 0, "low");
  bf_build_mack(l, &t, &low, m, false);
  t = quotient(&t, &first);
  struct scale_plan second = plan_scale(high, m, (rest >> k) - t.bias, s - k, e, want, want_bits);
  if (!product_fits(l, second.start, m, high.hi, t.hi)) return too_wide(l, v);
  struct bf_val p = bf_build_const(l, (uint64_t)second.start, 0, "scaled");
  bf_build_mack(l, &p, &high, m, false);
  bf_build_add(l, &p, &t);
  struct bf_val h = quotient(&p, &second);
  return round_off(l, h, &second);
}

struct bf_val bf_build_scale(struct bf_lower *l, struct bf_val v, int64_t m, int64_t r, unsigned s, unsigned e,
                             int64_t want, unsigned want_bits) {
  drop_trailing_zeros(&m, &r, &s);
  struct scale_plan plan = plan_scale(v, m, r, s, e, want, want_bits);
  if (!product_fits(l, plan.start, plan.m, v.hi, 0)) return scale_in_two(l, v, m, r, s, e, want, want_bits);
  struct bf_val p;
  if (plan.m == 1) {
    p = bf_build_widen(l, v, "scaled");
    bf_build_addk(l, &p, (uint64_t)plan.start);
  } else {
    p = bf_build_const(l, (uint64_t)plan.start, 0, "scaled");
    bf_build_mack(l, &p, &v, plan.m, false);
  }
  struct bf_val h = quotient(&p, &plan);
  return round_off(l, h, &plan);
}

static struct bf_val build_rule(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel, int64_t want,
                                unsigned want_bits, struct bf_fixes *fixes) {
  uint32_t c = rq->count > 1 ? channel : 0;
  struct bf_val y;
  bool steps = l->unit->opt_level > 0 || rq->mode == BF_REQUANT_FLOAT_RNE;
  if (steps && bf_build_steps(l, v, rq, channel, want, want_bits, fixes, &y)) return y;
  switch (rq->mode) {
  case BF_REQUANT_NONE: return v;
  case BF_REQUANT_TFLITE: {
    int32_t e = rq->shift[c];
    int64_t m = rq->mult[c];
    if (e > 0) {
      m *= (int64_t)1 << e;  // e up to 31
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
  case BF_REQUANT_FLOAT_RNE:  // rounding of float32 products is no integer arithmetic: only its steps are
    bf_lower_fail(l, "use dyadic or tflite", "float_rne wants a scale of at least 0 and outputs of at most 12 bits");
    return v;
  case BF_REQUANT_THRESHOLDS: return bf_build_thresholds(l, v, rq, c, want, want_bits);
  default:
    bf_lower_fail(l, NULL, "internal: unknown requantization mode %d", (int)rq->mode);
    return v;
  }
}

struct bf_val bf_build_requant(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                               int64_t want, unsigned want_bits) {
  return build_rule(l, v, rq, channel, want, want_bits, NULL);
}

// Puts right what the fixes list, in `out`, which holds u = q - min.
static void apply_fixes(struct bf_lower *l, const struct bf_val *v, const struct bf_fixes *fixes, struct bf_slice out, int64_t zero) {
  struct bf_slice sv = bf_val_slice(v);
  for (size_t i = 0; i < fixes->count; i++) {
    uint64_t at = (uint64_t)(fixes->items[i].first + v->bias), last = (uint64_t)(fixes->items[i].last + v->bias);
    while (at <= last) {
      uint64_t first = at;
      unsigned shift = bf_aligned_next(&at, last);
      struct bf_slice upper = {sv.field, (uint16_t)(sv.offset + shift), (uint16_t)(sv.width - shift)};
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COMPARE, .a = upper, .imm = first >> shift});
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = out, .imm = (uint64_t)(fixes->items[i].y + zero)});
    }
  }
}

void bf_build_clamp_store(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type, uint32_t desc,
                          uint32_t tap) {
  bf_build_store(l, bf_build_clamp(l, y, rq, type), desc, tap);
}

void bf_build_requant_store(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                            struct bf_type type, uint32_t desc, uint32_t tap) {
  if (!l->region->tail) l->region->tail = l->region->nops;
  int64_t zero = rq->out_zero - bf_type_min(type);
  struct bf_fixes fixes = {0};
  struct bf_val y = build_rule(l, v, rq, channel, zero, bf_mem_bits(type), &fixes);
  if (!l->failed) {
    struct bf_slice out = bf_build_clamp(l, y, rq, type);
    apply_fixes(l, &v, &fixes, out, zero);
    bf_build_store(l, out, desc, tap);
  }
  free(fixes.items);
}
