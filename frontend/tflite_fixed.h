// SPDX-License-Identifier: Apache-2.0
// Fixed-point functions as tflite-micro's reference kernels compute them on 8-bit tensors: gemmlowp's arithmetic, to
// the last bit. "Qm" is a 32-bit integer with m integer bits: value / 2^(31-m). Internal to the importer.
#ifndef BF_TFLITE_FIXED_H
#define BF_TFLITE_FIXED_H

#include <stdint.h>

// (a*b) / 2^31 rounded to nearest, half away from zero below, up above; saturated.
int32_t bf_tfl_high_mul(int32_t a, int32_t b);
// x / 2^exponent rounded to nearest, half away from zero; exponent 0 to 31.
int32_t bf_tfl_round_shift(int32_t x, int exponent);
// x * mult / 2^31 * 2^shift by these two, as bf_quantize_multiplier gives mult and shift; saturated where x is shifted left.
int32_t bf_tfl_multiply(int32_t x, int64_t mult, int32_t shift);
// 1 / (1 + exp(-x)) and tanh(x): x in Q4, results in Q0.
int32_t bf_tfl_logistic(int32_t x);
int32_t bf_tfl_tanh(int32_t x);

#endif
