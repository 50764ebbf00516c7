// SPDX-License-Identifier: Apache-2.0
// Softmax as a host op: the fixed-point arithmetic of tflite-micro's reference kernel for 8-bit inputs.
//
// Numbers are Q formats of 32 bits: a value with i integer bits has 31 - i fraction bits. Products are rounded
// and doubled high halves, so that i(a * b) = i(a) + i(b).
#include <math.h>
#include <string.h>

#include "isa/validate.h"
#include "runtime/host_softmax.h"

#define DIFF_BITS AP_SOFTMAX_DIFF_BITS  // integer bits of the scaled difference to the largest input
#define SUM_BITS 12    // integer bits of the sum of exponentials

static int32_t saturate(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }

// round(a * b / 2^31), halves away from zero, INT32_MIN² saturated.
static int32_t high_mul(int32_t a, int32_t b) {
  int64_t product = (int64_t)a * b;
  int64_t nudge = product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
  return saturate((product + nudge) / ((int64_t)1 << 31));
}

// round(v / 2^n), halves away from zero.
static int32_t divide_pow2(int32_t v, int n) {
  if (n == 0) {
    return v;
  }
  int64_t half = (int64_t)1 << (n - 1), magnitude = v < 0 ? -(int64_t)v : v;
  int64_t result = (magnitude + half) >> n;
  return (int32_t)(v < 0 ? -result : result);
}

static int32_t shift_left(int32_t v, int n) { return saturate((int64_t)v * ((int64_t)1 << n)); }

// e^a for -1/4 <= a < 0, no integer bits: Taylor series around -1/8.
static int32_t exp_quarter(int32_t a) {
  const int32_t exp_eighth = 1895147668, third = 715827883;  // e^(-1/8), 1/3
  int32_t x = a + (1 << 28);
  int32_t x2 = high_mul(x, x), x3 = high_mul(x2, x), x4 = high_mul(x2, x2);
  int32_t upper = high_mul(divide_pow2(x4, 2) + x3, third) + x2;
  return exp_eighth + high_mul(exp_eighth, x + divide_pow2(upper, 1));
}

// e^a for a <= 0 with DIFF_BITS integer bits; no integer bits in the result.
static int32_t exp_negative(int32_t a) {
  static const int32_t power[] = {// e^-(2^k), k = -2..4
                                  1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  if (a == 0) {
    return INT32_MAX;
  }
  const int fraction = 31 - DIFF_BITS;
  int32_t quarter = (int32_t)1 << (fraction - 2);
  int32_t low = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;  // in [-1/4, 0)
  uint32_t rest = (uint32_t)(low - a);                                      // a multiple of 1/4
  int32_t result = exp_quarter(shift_left(low, DIFF_BITS));
  for (int k = 0; k < 7; k++) {
    if (rest >> (fraction - 2 + k) & 1) {
      result = high_mul(result, power[k]);
    }
  }
  return result;
}

// 1 / (1 + x) for 0 <= x < 1, no integer bits: three Newton-Raphson steps with two integer bits.
static int32_t reciprocal_one_plus(int32_t x) {
  const int32_t c48_17 = 1515870810, c_neg32_17 = -1010580540, one = 1 << 29;
  int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  int32_t y = c48_17 + high_mul(half, c_neg32_17);
  for (int i = 0; i < 3; i++) {
    y += shift_left(high_mul(y, one - high_mul(half, y)), 2);
  }
  return shift_left(y, 1);
}

struct scaling {
  int32_t multiplier;
  int shift;
  int64_t least_diff;  // differences below give 0
};

static struct scaling prepare(float beta, float scale) {
  double real = fmin((double)beta * (double)scale * (double)(1 << (31 - DIFF_BITS)), 2147483647.0);
  struct scaling s;
  int64_t fixed = llround(frexp(real, &s.shift) * 2147483648.0);
  if (fixed == (int64_t)1 << 31) {
    fixed /= 2;
    s.shift++;
  }
  s.multiplier = (int32_t)fixed;
  s.least_diff = -(int64_t)floor(((1 << DIFF_BITS) - 1) * ldexp(1, 31 - DIFF_BITS) / ldexp(1, s.shift));
  return s;
}

static int32_t exp_of(const struct scaling *s, int64_t diff) {
  int32_t shifted = (int32_t)(diff * ((int64_t)1 << s->shift));
  return exp_negative(high_mul(shifted, s->multiplier));
}

static void softmax_row(const struct scaling *s, const struct ap_memory *in, const struct ap_memory *out,
                        uint64_t first, uint32_t depth, unsigned out_bits) {
  int64_t most = 0;
  for (uint32_t i = 0; i < depth; i++) {
    int64_t u = (int64_t)ap_memory_get(in, first + i);
    most = u > most ? u : most;
  }
  int32_t sum = 0;
  for (uint32_t i = 0; i < depth; i++) {
    int64_t diff = (int64_t)ap_memory_get(in, first + i) - most;
    if (diff >= s->least_diff) {
      sum = saturate((int64_t)sum + divide_pow2(exp_of(s, diff), SUM_BITS));
    }
  }
  int zeros = __builtin_clz((uint32_t)sum);
  int32_t scale = reciprocal_one_plus((int32_t)(((uint32_t)sum << zeros) - ((uint32_t)1 << 31)));
  int shift = SUM_BITS - zeros + 31 - (int)out_bits;
  int64_t limit = ((int64_t)1 << out_bits) - 1;
  for (uint32_t i = 0; i < depth; i++) {
    int64_t diff = (int64_t)ap_memory_get(in, first + i) - most, u = 0;
    if (diff >= s->least_diff) {
      u = divide_pow2(high_mul(scale, exp_of(s, diff)), shift);
    }
    ap_memory_set(out, first + i, (uint64_t)(u < 0 ? 0 : u > limit ? limit : u));
  }
}

void ap_host_softmax(const struct ap_run *run, const struct ap_host *host) {
  const struct ap_tensor *input = &run->program->tensors[host->input];
  if (input->bits == 16) {
    ap_host_softmax16(run, host);
    return;
  }
  const struct ap_memory *in = ap_run_memory(run, host->input), *out = ap_run_memory(run, host->output);
  struct scaling s = prepare(host->beta, host->in_scale);
  uint32_t depth = input->shape[3];
  for (uint64_t first = 0, n = ap_tensor_elements(input); first < n; first += depth) {
    softmax_row(&s, in, out, first, depth, run->program->tensors[host->output].bits);
  }
}
