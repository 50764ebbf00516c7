// SPDX-License-Identifier: Apache-2.0
// Fixed-point multipliers from real ones. The rule is TensorFlow Lite's, since networks recorded with
// it only come out equal if every multiplier is the same to the last bit.
#include "ir/graph.h"

#include <math.h>

#define Q31 ((int64_t)1 << 31)

void bf_quantize_multiplier(double real, int64_t *mult, int32_t *shift) {
  *mult = 0;
  *shift = 0;
  if (!isfinite(real) || real <= 0) return;  // no such requantization exists; 0 stays 0
  int exponent;
  double fraction = frexp(real, &exponent);  // 0.5 <= fraction < 1
  int64_t q = (int64_t)round(fraction * (double)Q31);
  if (q == Q31) {  // rounded up to 1.0: renormalise
    q /= 2;
    exponent++;
  }
  if (exponent < -31) return;  // every 32-bit product would be shifted out: flushed to zero
  *mult = q;
  *shift = exponent;
}

void bf_mean_multiplier(double real, uint64_t count, int64_t *mult, int32_t *shift) {
  bf_quantize_multiplier(real, mult, shift);
  int32_t more = 63 - __builtin_clzll(count);
  if (more > 32) more = 32;
  if (more > 31 + *shift) more = 31 + *shift;  // the exponent stays at least -31
  *mult = (int64_t)(((uint64_t)*mult << more) / count);  // below 2^63
  *shift -= more;
}

bool bf_softmax_result(struct bf_type in, struct bf_type out, float *scale, int32_t *zero) {
  bool bytes = (in.kind == BF_TYPE_S || in.kind == BF_TYPE_U) && in.bits == 8, words = in.kind == BF_TYPE_S && in.bits == 16;
  bool wide = out.kind == BF_TYPE_S && out.bits == 16;
  if (!(bytes && bf_type_equal(in, out)) && !(wide && (words || (bytes && in.kind == BF_TYPE_S)))) return false;
  // Of 8 bits the whole range stands for 0 to 1, of 16 to 16 bits the positive half.
  *scale = words ? 1.0f / 32768 : wide ? 1.0f / 65536 : 1.0f / 256;
  *zero = words ? 0 : (int32_t)bf_type_min(out);
  return true;
}
