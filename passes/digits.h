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
// Sum of the positive digits' weights, and of the negative ones' (as a magnitude).
void bf_digits_parts(const struct bf_digits *digits, uint64_t *positive, uint64_t *negative);

#endif
