// SPDX-License-Identifier: Apache-2.0
// Tables as code for an associative array: which aligned ranges of x to compare with, and what to write there.
#ifndef BF_COVER_H
#define BF_COVER_H

#include "base/bf_base.h"

#define BF_COVER_BITS 8  // widest x

// One aligned range: where x >> shift == key. `joins`: written together with the range before it (same y).
struct bf_cover_range {
  uint8_t shift, key;
  bool joins;
  uint64_t y;
};
struct bf_cover {
  uint64_t preset;  // y of all rows at first; later ranges override earlier ones
  unsigned count;
  struct bf_cover_range ranges[1u << BF_COVER_BITS];
};

// Plans y[x] for x in [lo, hi] (other x never occur) with the fewest ranges: the smallest set of nested aligned ranges
// (Draves, King, Venkatachary, Zill, INFOCOM 1999: optimal routing tables are the same problem). Wider ranges come before those
// inside them. With `accumulate` ranges of one y are put beside each other where that order allows it.
// bits: 1..BF_COVER_BITS, lo <= hi < 2^bits; y has 2^bits elements.
void bf_cover_plan(struct bf_cover *cover, unsigned bits, const uint64_t *y, unsigned lo, unsigned hi, bool accumulate);

#endif
