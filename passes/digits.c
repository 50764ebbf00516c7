// SPDX-License-Identifier: Apache-2.0
#include "passes/digits.h"

struct bf_digits bf_digits_of(int64_t k, bool canonical) {
  struct bf_digits out = {0};
  int8_t sign = k < 0 ? -1 : 1;
  unsigned __int128 rest = k < 0 ? -(unsigned __int128)k : (unsigned __int128)k;
  rest &= ((unsigned __int128)1 << 64) - 1;
  for (unsigned shift = 0; rest; shift++, rest >>= 1) {
    if (!(rest & 1)) continue;
    bool minus = canonical && (rest & 3) == 3;
    out.at[out.count].sign = minus ? (int8_t)-sign : sign;
    out.at[out.count++].shift = (uint8_t)shift;
    rest = minus ? rest + 1 : rest - 1;
  }
  return out;
}

void bf_digits_parts(const struct bf_digits *digits, uint64_t *positive, uint64_t *negative) {
  *positive = *negative = 0;
  for (unsigned i = 0; i < digits->count; i++)
    *(digits->at[i].sign > 0 ? positive : negative) += (uint64_t)1 << digits->at[i].shift;
}
