// SPDX-License-Identifier: Apache-2.0
#include "frontend/tflite_fixed.h"

#include <stdbool.h>

static int32_t saturate(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }

int32_t bf_tfl_high_mul(int32_t a, int32_t b) {
  int64_t product = (int64_t)a * b, half = product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
  return saturate((product + half) / ((int64_t)1 << 31));  // only INT32_MIN squared saturates
}

int32_t bf_tfl_round_shift(int32_t x, int exponent) {
  int64_t magnitude = x < 0 ? -(int64_t)x : x, half = exponent ? (int64_t)1 << (exponent - 1) : 0;
  magnitude = (magnitude + half) >> exponent;
  return (int32_t)(x < 0 ? -magnitude : magnitude);
}

int32_t bf_tfl_multiply(int32_t x, int64_t mult, int32_t shift) {
  int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  int64_t wide = left > 31 ? (x > 0 ? INT64_MAX : x < 0 ? INT64_MIN : 0) : (int64_t)x * ((int64_t)1 << left);
  return bf_tfl_round_shift(bf_tfl_high_mul(saturate(wide), (int32_t)mult), right > 31 ? 31 : right);
}

// exp(x) of x in [-1/4, 0), Q0: a Taylor series of four terms around -1/8.
static int32_t exp_small(int32_t a) {
  const int32_t exp_eighth = 1895147668, third = 715827883;  // exp(-1/8), 1/3
  int32_t x = a + (1 << 28), x2 = bf_tfl_high_mul(x, x);
  int32_t x3 = bf_tfl_high_mul(x2, x), x4 = bf_tfl_high_mul(x2, x2);
  int32_t tail = bf_tfl_high_mul(bf_tfl_round_shift(x4, 2) + x3, third) + x2;
  return exp_eighth + bf_tfl_high_mul(exp_eighth, x + bf_tfl_round_shift(tail, 1));
}

// exp(x) of x <= 0, `bits` integer bits, 4 or 5; result Q0. The fraction of a quarter by the series, each further
// binary digit of -x by a factor exp(-2^e), e from -2.
static int32_t exp_negative(int32_t a, int bits) {
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  int fraction = 31 - bits;
  int32_t quarter = (int32_t)1 << (fraction - 2), rest = (a & (quarter - 1)) - quarter;
  if (a == 0) return INT32_MAX;
  int32_t result = exp_small((int32_t)((int64_t)rest * ((int64_t)1 << bits)));  // at least -2^29: no overflow
  int32_t digits = (int32_t)((int64_t)rest - a);
  for (int e = -2; e < bits; e++)
    if (digits >> (fraction + e) & 1) result = bf_tfl_high_mul(result, factors[e + 2]);
  return result;
}

// x * 2^2, saturated: from Q4 to Q2, a product of two Q2 numbers.
static int32_t to_q2(int32_t x) { return saturate((int64_t)x * 4); }

// 2 / (1 + a) for a in (0, 1), Q0; result Q2: three steps of Newton and Raphson.
static int32_t reciprocal(int32_t a) {
  const int32_t start = 1515870810, slope = -1010580540, one = 1 << 29;  // 48/17, -32/17, 1: Q2
  int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);            // (1 + a) / 2, rounded
  int32_t x = start + bf_tfl_high_mul(half, slope);
  for (int i = 0; i < 3; i++) x += to_q2(bf_tfl_high_mul(x, one - bf_tfl_high_mul(half, x)));
  return x;
}

static int32_t negative(int32_t x) { return x > 0 ? -x : x; }

int32_t bf_tfl_logistic(int32_t x) {
  if (x == 0) return 1 << 30;
  // The reciprocal is of twice the value: halving it leaves a Q1 number, doubled to Q0.
  int32_t y = saturate((int64_t)reciprocal(exp_negative(negative(x), 4)) * 2);
  return x > 0 ? y : INT32_MAX - y;
}

int32_t bf_tfl_tanh(int32_t x) {
  if (x == 0) return 0;
  // Twice a Q4 number is the same integer in Q5.
  int32_t y = saturate(((int64_t)reciprocal(exp_negative(negative(x), 5)) - (1 << 29)) * 4);
  return x > 0 ? y : -y;
}
