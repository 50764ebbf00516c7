// SPDX-License-Identifier: Apache-2.0
// Requantization, each mode as ir/requant_modes.def words it, in 128 bits so that nothing can wrap.
#include "ir/ref_ops.h"

#include <math.h>

typedef __int128 wide;

// floor(v / 2^shift); 0 <= shift < 127.
static wide floor_shift(wide v, int shift) {
  return v >> shift;  // arithmetic in both compilers we build with
}

static wide one_shl(int shift) { return (wide)1 << shift; }

static wide tflite(int64_t v, int64_t mult, int32_t e) {
  wide shifted = (wide)v * one_shl(e > 0 ? e : 0);
  wide high = floor_shift(shifted * mult + one_shl(30), 31);
  int right = e < 0 ? -e : 0;
  if (right == 0) return high;
  // To nearest, halves away from zero.
  wide half = one_shl(right - 1);
  return high >= 0 ? floor_shift(high + half, right) : -floor_shift(-high + half, right);
}

static wide tflite16(int64_t v, int64_t mult, int32_t e) {
  int64_t m = mult >= 0x7FFF0000 ? 0x7FFF : (mult + (1 << 15)) >> 16;
  return floor_shift((wide)v * m + one_shl(14 - e), 15 - e);
}

static wide dyadic(int64_t v, int64_t mult, int32_t shift) {
  wide product = (wide)v * mult;
  return shift ? floor_shift(product + one_shl(shift - 1), shift) : product;
}

static wide float_rne(int64_t v, float scale) {
  volatile float converted = (float)v;  // keeps excess precision out of the product
  volatile float product = converted * scale;
  float rounded = nearbyintf(product);
  if (rounded >= 0x1p62f) return one_shl(62);  // far outside every type: the clamp decides
  if (rounded <= -0x1p62f) return -one_shl(62);
  return (int64_t)rounded;
}

static wide thresholds(const struct bf_requant *rq, uint32_t channel, int64_t v) {
  const int64_t *t = rq->thresholds + (size_t)channel * rq->nthresholds;
  wide passed = 0;
  for (uint32_t i = 0; i < rq->nthresholds; i++) passed += v >= t[i];
  return passed;
}

static wide apply(const struct bf_requant *rq, uint32_t channel, int64_t v) {
  uint32_t c = rq->count > 1 ? channel : 0;
  switch (rq->mode) {
    case BF_REQUANT_NONE: return v;
    case BF_REQUANT_TFLITE: return tflite(v, rq->mult[c], rq->shift[c]);
    case BF_REQUANT_TFLITE16: return tflite16(v, rq->mult[c], rq->shift[c]);
    case BF_REQUANT_DYADIC: return dyadic(v, rq->mult[c], rq->shift[c]);
    case BF_REQUANT_AFFINE_FLOOR: return floor_shift((wide)v * rq->mult[c] + rq->add[c], rq->shift[c]);
    case BF_REQUANT_FLOAT_RNE: return float_rne(v, rq->fscale[c]);
    case BF_REQUANT_THRESHOLDS: return thresholds(rq, c, v);
    case BF_REQUANT_POW2: return floor_shift(v, rq->shift[c]);
    case BF_REQUANT_COUNT: break;
  }
  return v;
}

static int64_t clamp(wide v, int64_t lo, int64_t hi) {
  return v < lo ? lo : v > hi ? hi : (int64_t)v;
}

int64_t bf_ref_requant(const struct bf_requant *rq, uint32_t channel, int64_t v) {
  return clamp(apply(rq, channel, v) + rq->out_zero, rq->lo, rq->hi);
}

int64_t bf_ref_rescale(const struct bf_requant *rq, uint32_t channel, int64_t v) {
  return clamp(apply(rq, channel, v), -((int64_t)1 << 61), (int64_t)1 << 61);  // two of these still add up
}
