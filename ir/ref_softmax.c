// SPDX-License-Identifier: Apache-2.0
// Softmax as tflite-micro's reference kernels compute it. On 8 bits: fixed point after gemmlowp, a Taylor
// polynomial for exp on [-1/4, 0), a product of stored powers for the rest, Newton's method for the reciprocal. "Qm"
// below: a 32-bit number with m integer bits, so that raw = real * 2^(31-m). On 16 bits: tables of 513 points.
#include "ir/reference.h"

#include <math.h>

#define DIFF_BITS 5          // exp's argument: Q5
#define SUM_BITS 12          // the sum of exponentials: Q12
#define Q0_ONE INT32_MAX     // 1.0 saturates in Q0
#define Q0_EIGHTH (1 << 28)
#define Q0_THIRD 715827883
#define Q0_EXP_MINUS_EIGHTH 1895147668
#define Q2_ONE (1 << 29)
#define Q2_48_OVER_17 1515870810
#define Q2_MINUS_32_OVER_17 (-1010580540)

static int32_t saturate(int64_t v) {
  return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

// a*b as fractions of 2^31, rounded to nearest with halves up; -1 * -1 saturates.
static int32_t mul_high(int32_t a, int32_t b) {
  return saturate(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

// v / 2^shift to nearest, halves away from zero.
static int32_t round_shift(int32_t v, int shift) {
  int64_t half = shift ? (int64_t)1 << (shift - 1) : 0;
  return (int32_t)(v >= 0 ? (v + half) >> shift : -((-(int64_t)v + half) >> shift));
}

// v * 2^shift, saturating.
static int32_t saturating_shl(int32_t v, int shift) { return saturate((int64_t)v * ((int64_t)1 << shift)); }

// exp of a Q0 number in [-1/4, 0): Taylor's polynomial of degree 4 around -1/8.
static int32_t exp_last_quarter(int32_t a) {
  int32_t x = a + Q0_EIGHTH;
  int32_t x2 = mul_high(x, x), x3 = mul_high(x2, x), x4 = mul_high(x2, x2);
  int32_t thirds = mul_high(round_shift(x4, 2) + x3, Q0_THIRD);
  int32_t tail = round_shift(thirds + x2, 1);  // x^4/24 + x^3/6 + x^2/2
  return Q0_EXP_MINUS_EIGHTH + mul_high(Q0_EXP_MINUS_EIGHTH, x + tail);
}

// exp of a Q5 number <= 0, in Q0.
static int32_t exp_negative(int32_t a) {
  static const int32_t powers[] = {
      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242  // exp(-2^k), k = -2 … 4
  };
  if (a == 0) return Q0_ONE;
  const int32_t quarter = 1 << (31 - DIFF_BITS - 2);
  int32_t last = (a & (quarter - 1)) - quarter;
  int32_t result = exp_last_quarter(last * (1 << DIFF_BITS));
  int32_t rest = last - a;  // a multiple of one quarter
  for (unsigned k = 0; k < BF_COUNT(powers); k++)
    if (rest & (quarter << k)) result = mul_high(result, powers[k]);
  return result;
}

// 1 / (1 + a) for a Q0 number in [0, 1), in Q0.
static int32_t one_over_one_plus(int32_t a) {
  int32_t half_denominator = (int32_t)(((int64_t)a + Q0_ONE + 1) / 2);
  int32_t x = Q2_48_OVER_17 + mul_high(half_denominator, Q2_MINUS_32_OVER_17);
  for (int i = 0; i < 3; i++) {
    int32_t error = Q2_ONE - mul_high(half_denominator, x);
    x += saturating_shl(mul_high(x, error), 2);
  }
  return saturating_shl(x, 1);
}

struct softmax {
  int64_t mult;
  int32_t shift;
  int64_t diff_min;  // differences below this count as exp = 0
};

static struct softmax parameters(float in_scale, float beta) {
  struct softmax p;
  double real = (double)beta * in_scale * (double)(1 << (31 - DIFF_BITS));
  bf_quantize_multiplier(fmin(real, (double)INT32_MAX), &p.mult, &p.shift);
  double radius = (double)((1 << DIFF_BITS) - 1) * (double)((int64_t)1 << (31 - DIFF_BITS)) /
                  (double)((int64_t)1 << p.shift);
  p.diff_min = -(int64_t)floor(radius);
  return p;
}

static int32_t exp_of(const struct softmax *p, int64_t diff) {
  return exp_negative(mul_high((int32_t)(diff * ((int64_t)1 << p->shift)), (int32_t)p->mult));
}

static void softmax_bytes(const int64_t *in, int64_t *out, uint64_t depth, struct bf_type out_type, float in_scale,
                          float beta) {
  struct softmax p = parameters(in_scale, beta);
  int64_t largest = in[0];
  for (uint64_t i = 1; i < depth; i++)
    if (in[i] > largest) largest = in[i];

  uint32_t sum = 0;
  for (uint64_t i = 0; i < depth; i++)
    if (in[i] - largest >= p.diff_min) sum += (uint32_t)round_shift(exp_of(&p, in[i] - largest), SUM_BITS);

  // sum = 2^over * (1 + fraction), so 1/sum = 2^-over / (1 + fraction).
  int headroom = __builtin_clz(sum);
  int over = SUM_BITS - headroom;
  int32_t scale = one_over_one_plus((int32_t)((sum << headroom) - ((uint32_t)1 << 31)));
  int exponent = over + 31 - (int)out_type.bits;
  int64_t lo = bf_type_min(out_type), hi = bf_type_max(out_type);
  for (uint64_t i = 0; i < depth; i++) {
    out[i] = lo;
    if (in[i] - largest < p.diff_min) continue;
    int64_t y = lo + round_shift(mul_high(scale, exp_of(&p, in[i] - largest)), exponent);
    out[i] = y > hi ? hi : y;
  }
}

// ---- 16 bits

#define TABLE_STEPS 512
#define TABLE_INPUTS 65535  // steps of 16 bits from the least input to the largest

static float exponential(float v) { return expf(v); }

static float reciprocal(float v) { return 1.0f / (1.0f + v); }

static float kept_s16(float v) { return v < -32768 ? -32768 : v > 32767 ? 32767 : v; }

// `f` at 513 points between lo and hi, in 1/32768, each moved by half the error that interpolation makes in
// the middle of its step. All in float32, one operation a statement: nothing may be contracted.
static void fill_table(float (*f)(float), float lo, float hi, int32_t *table) {
  const float out_scale = 2.0f / TABLE_INPUTS;
  const float out_lo = out_scale * -32768, out_hi = out_scale * 32767;
  const float unit = 65536.0f / (out_hi - out_lo), step = (hi - lo) / TABLE_STEPS, half = step / 2;
  for (int i = 0; i < TABLE_STEPS; i++) {
    float offset = (float)i * step, next_offset = (float)(i + 1) * step;
    float at = lo + offset, middle_at = at + half, next_at = lo + next_offset;
    float here = f(at) * unit, middle = f(middle_at) * unit, next = f(next_at) * unit;
    float sample = roundf(here);
    float between = next + sample;
    float error = roundf(between / 2) - roundf(middle);
    table[i] = (int32_t)kept_s16(sample - roundf(error / 2));
  }
  float last = f(hi) * unit;
  table[TABLE_STEPS] = (int32_t)kept_s16(roundf(last));
}

// Between the points by a straight line, rounded.
static int32_t look_up(const int32_t *table, int64_t v) {
  int32_t at = (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v) + 32768;
  int32_t i = at >> 7, slope = table[i + 1] - table[i];
  return table[i] + ((slope * (at & 127) + 64) >> 7);
}

// v * mult / 2^31 * 2^e as a requantization by `tflite`.
static int64_t scaled(int64_t v, int64_t mult, int32_t e) {
  int32_t high = mul_high(saturate(v * ((int64_t)1 << (e > 0 ? e : 0))), (int32_t)mult);
  return round_shift(high, e < 0 ? -e : 0);
}

static void softmax_words(const int64_t *in, int64_t *out, uint64_t depth, float in_scale, float beta) {
  const float exp_scale = 10.0f / TABLE_INPUTS, one_scale = 1.0f / TABLE_INPUTS;
  int32_t exps[TABLE_STEPS + 1], reciprocals[TABLE_STEPS + 1], shift;
  int64_t mult, largest = in[0], sum = 0;
  fill_table(exponential, exp_scale * -TABLE_INPUTS, 0, exps);
  fill_table(reciprocal, 0, one_scale * TABLE_INPUTS, reciprocals);
  bf_quantize_multiplier((double)in_scale * (double)beta / (10.0 / TABLE_INPUTS), &mult, &shift);
  for (uint64_t i = 1; i < depth; i++)
    if (in[i] > largest) largest = in[i];
  for (uint64_t i = 0; i < depth; i++) sum += out[i] = look_up(exps, scaled(in[i] - largest, mult, shift) + 32767);

  // sum = 2^(17-headroom) * (1 + x) in 1/32768, 0 <= x < 1; the table holds 1/(1+x).
  int headroom = __builtin_clz((uint32_t)sum);
  int64_t one_and_x = ((sum << (headroom - 1)) + (1 << 13)) >> 14;
  int64_t factor = look_up(reciprocals, one_and_x - 32768 - 65536);
  int right = 31 - headroom;
  for (uint64_t i = 0; i < depth; i++) {
    int64_t y = (out[i] * factor + ((int64_t)1 << (right - 1))) >> right;
    out[i] = y < 0 ? 0 : y > 32767 ? 32767 : y;
  }
}

void bf_ref_softmax(const int64_t *in, int64_t *out, uint64_t depth, struct bf_type in_type, struct bf_type out_type,
                    float in_scale, float beta) {
  if (in_type.bits > 8)
    softmax_words(in, out, depth, in_scale, beta);
  else
    softmax_bytes(in, out, depth, out_type, in_scale, beta);  // the differences are all that matters
}
