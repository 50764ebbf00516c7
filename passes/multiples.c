// SPDX-License-Identifier: Apache-2.0
// Signed digits with odd multiples: from the lowest bit, the odd residue nearest to zero.
#include "passes/shared.h"

struct bf_multiples bf_multiples_of(int64_t k, unsigned largest) {
  struct bf_multiples out;
  out.count = 0;
  const int64_t modulus = 2 * ((int64_t)largest + 1);  // digits are odd and below half of it
  for (unsigned shift = 0; k; shift++, k /= 2) {
    if (!(k & 1)) continue;
    int64_t digit = k & (modulus - 1);
    if (digit > modulus / 2) digit -= modulus;
    out.at[out.count++] = (struct bf_multiple){(uint8_t)shift, (uint8_t)(digit < 0 ? -digit : digit), digit < 0 ? -1 : 1};
    k -= digit;
  }
  return out;
}
