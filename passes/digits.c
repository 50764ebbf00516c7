// SPDX-License-Identifier: Apache-2.0
#include "passes/digits.h"

struct bf_digits bf_digits_of(int64_t k, bool canonical) {
  struct bf_digits out = {0};
  struct bf_digit_masks m = bf_digit_masks_of(k, canonical);
  for (uint64_t rest = m.positive | m.negative; rest; rest &= rest - 1) {
    unsigned shift = (unsigned)__builtin_ctzll(rest);
    out.at[out.count].sign = m.negative >> shift & 1 ? -1 : 1;
    out.at[out.count++].shift = (uint8_t)shift;
  }
  return out;
}
