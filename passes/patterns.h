// SPDX-License-Identifier: Apache-2.0
// Distributed arithmetic by pattern writes: how sums of weights lie in columns.
//
// Of g taps, one bit of each activation is loaded (a bit plane). For every pattern of these g bits the array is searched and the sum of the
// weights that the pattern selects is written, for all accumulators of the row at once, into the `sums`; then each sum is added to
// its accumulator at the plane's place. Rows may belong to groups (keys) with weights of their own: each group has
// its searches, the additions are shared. Distributed arithmetic is due to Croisier et al. (US patent 3777130, 1973) and Peled and Liu
// (IEEE TASSP 22, 1974); here the table is a search.
#ifndef BF_PATTERNS_H
#define BF_PATTERNS_H

#include "passes/conv.h"

#define BF_MAX_ACCUMULATORS 64
#define BF_MAX_SUM_WORDS 8

// Channels oc + k * group + j, k < keys, j < group, in one region: accumulator j of the rows of key k.
struct bf_pattern_block { uint32_t oc, keys, group; const struct bf_conv_row *rows; };
// The block that begins at channel oc, as the plan has it or, at the end of a convolution group, smaller. `rows` has room for
// keys * group of them and becomes the weights of its channels.
struct bf_pattern_block bf_pattern_block_at(const struct bf_conv *conv, const struct bf_plan *plan, uint32_t oc, struct bf_conv_row *rows);

// Up to g taps with weights that aren't all zero, from tap `from` up to `end`; returns the tap after them.
struct bf_pattern_taps { uint32_t count, at[BF_MAX_PATTERN_TAPS]; };
uint32_t bf_pattern_next(const struct bf_pattern_block *block, const struct bf_plan *plan, uint32_t from,
                         uint32_t end, struct bf_pattern_taps *taps);

// Where the sums of a block's accumulators for these taps lie: accumulator j in word[j], at offset[j], width[j] columns (0: all weights zero),
// holding base[j] + the sum, in [0, high[j]].
struct bf_pattern_sums {
  unsigned words, columns[BF_MAX_SUM_WORDS];
  uint8_t word[BF_MAX_ACCUMULATORS], offset[BF_MAX_ACCUMULATORS], width[BF_MAX_ACCUMULATORS];
  uint64_t base[BF_MAX_ACCUMULATORS], high[BF_MAX_ACCUMULATORS];
};
// False if they need more than BF_MAX_SUM_WORDS words.
bool bf_pattern_sums_of(const struct bf_pattern_block *block, const struct bf_pattern_taps *taps, struct bf_pattern_sums *sums);

// Planes of x that can hold ones: bits [first, first + count).
struct bf_pattern_planes { unsigned first, count; };
struct bf_pattern_planes bf_pattern_planes_of(const struct bf_conv *conv);

// Columns that the plan needs at most, and the mean work of a tile, by the actual weights; false if it can't be laid out in `columns`. Only
// one region in `stride` is looked at (1: all of them).
struct bf_pattern_cost { unsigned columns; double cycles, searches, search_cells, written, additions; };
bool bf_pattern_measure(const struct bf_conv *conv, const struct bf_plan *plan, unsigned columns, uint32_t stride, struct bf_pattern_cost *cost);

#endif
