// SPDX-License-Identifier: Apache-2.0
#include "runtime/rows.h"

#include <string.h>

void ap_rows_up(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words, uint64_t distance) {
  size_t skip = distance / 64 < words ? (size_t)(distance / 64) : words, left = words - skip;
  unsigned bits = (unsigned)(distance % 64);
  from += skip;
  mask += skip;
  for (size_t w = 0; w < left; w++) {
    to[w] = (from[w] & mask[w]) >> bits;
  }
  for (size_t w = 1; bits > 0 && w < left; w++) {
    to[w - 1] |= (from[w] & mask[w]) << (64 - bits);
  }
  memset(to + left, 0, skip * sizeof *to);
}

void ap_rows_down(uint64_t *to, const uint64_t *from, size_t words, uint64_t distance) {
  size_t skip = distance / 64 < words ? (size_t)(distance / 64) : words, left = words - skip;
  unsigned bits = (unsigned)(distance % 64);
  memset(to, 0, skip * sizeof *to);
  to += skip;
  for (size_t w = 0; w < left; w++) {
    to[w] = from[w] << bits;
  }
  for (size_t w = 1; bits > 0 && w < left; w++) {
    to[w] |= from[w - 1] >> (64 - bits);
  }
}

void ap_rows_multiples(uint64_t *to, size_t words, uint64_t rows, uint64_t period) {
  memset(to, 0, words * sizeof *to);
  for (uint64_t r = 0; r < rows; r += period) {
    to[r / 64] |= (uint64_t)1 << r % 64;
  }
}
