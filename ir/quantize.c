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
