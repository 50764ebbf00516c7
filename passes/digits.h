// SPDX-License-Identifier: Apache-2.0
// Signed digits of constants: k = sum over i of sign_i * 2^shift_i.
#ifndef BF_DIGITS_H
#define BF_DIGITS_H

#include "base/bf_base.h"

struct bf_digits {
  unsigned count;
  struct { int8_t sign; uint8_t shift; } at[66];  // ascending shift
};
// Canonical signed digits (Reitwiesner 1960: no two adjacent nonzero digits, fewest nonzero digits);
// or the plain binary digits of |k|, all with the sign of k, if `canonical` is false.
struct bf_digits bf_digits_of(int64_t k, bool canonical);
// The same as two masks: bit i is set where the digit of weight 2^i is 1, is -1. So they are also the sums of the positive
// digits' weights and of the negative ones' (as a magnitude). 3k/2 - k/2 = k, and where both have a bit the digit is 0.
struct bf_digit_masks { uint64_t positive, negative; };
static inline struct bf_digit_masks bf_digit_masks_of(int64_t k, bool canonical) {
  uint64_t u = k < 0 ? -(uint64_t)k : (uint64_t)k, half = canonical ? u >> 1 : 0, more = u + half;
  struct bf_digit_masks m = {more & ~half, half & ~more};
  return k < 0 ? (struct bf_digit_masks){m.negative, m.positive} : m;
}
// Number of nonzero canonical signed digits of k.
static inline unsigned bf_digits_count(int64_t k) {
  struct bf_digit_masks m = bf_digit_masks_of(k, true);
  return (unsigned)__builtin_popcountll(m.positive | m.negative);
}

#endif
