// SPDX-License-Identifier: Apache-2.0
// Sums of constant multiples with what they have in common made once.
//
// A window of taps is resident in the row. Weights are signed digits; digit plane s of an output channel is a row of a ternary matrix
// whose columns are the activations of the window (and odd multiples of them, where digits 3, 5, 7 make fewer additions).
// Pairs that stand in several rows become values of their own (passes/cse.h), in all channels and planes alike: a shift is another slice. The
// terms of a channel meet in a narrow field, the lowest planes first, which then goes to the accumulator in one addition.
#ifndef BF_SHARED_H
#define BF_SHARED_H

#include "passes/conv.h"

#define BF_MAX_SHARED_TAPS 32
#define BF_MAX_SHARED_SLOTS 64
#define BF_MAX_SHARED_CHANNELS 64

// Signed digits of k, multiples of powers of two by 1, by 1 and 3, or by 1, 3, 5 and 7 (largest = 1, 3, 7): each is followed by at least 1, 2, 3
// zeros (the width-w nonadjacent form: Solinas, Designs, Codes and Cryptography 19, 2000).
struct bf_multiple { uint8_t shift, odd; int8_t sign; };
struct bf_multiples { unsigned count; struct bf_multiple at[33]; };
struct bf_multiples bf_multiples_of(int64_t k, unsigned largest);

// Part of a layer to be made: channels [oc, oc + count) over `taps`, in windows of `window` of them.
struct bf_shared {
  struct bf_region *region;
  const struct bf_conv *conv;
  uint32_t oc, count;
  struct bf_taps taps;
  uint32_t window, largest, slots;  // fields for multiples and common sums
  uint32_t desc;
  const bool *load;                 // taps that are loaded, used or not; NULL: those used
  bool both;                        // common sums are looked for both ways (-O3)
  uint32_t windows_most;            // at most so many windows are made, the others taken as being alike: for estimates; 0: all
};
// `loaded` taps, `slots` needed. fits: false if a value needs more than 62 columns. wrong: common sums that, multiplied back, aren't the
// weights (looked at in debug builds; never seen).
struct bf_shared_size { uint32_t windows, made, loaded, slots; bool fits, wrong; };
// Appends the code to the region. acc[i]: sum over the taps of (content of x) * w, plus its bias.
struct bf_shared_size bf_shared_accumulate(struct bf_shared *s, struct bf_val *acc);
// Columns of all fields of a region, flags included.
unsigned bf_region_columns(const struct bf_region *region);

#endif
