// SPDX-License-Identifier: Apache-2.0
// Staircases over wide numbers as nested aligned ranges: what passes/cover.h does for tables of 8 bits, for few steps over up to 63 bits.
#ifndef BF_STAIRS_H
#define BF_STAIRS_H

#include "base/bf_base.h"

#define BF_MOST_STAIRS 63

// Numbers with number >> shift == key get `value`; later ranges override earlier ones.
struct bf_stair { uint64_t key; uint32_t value; uint8_t shift; };
struct bf_stairs { uint32_t preset; struct bf_stair *items; size_t count, capacity; };

// The fewest ranges (Draves et al. as in cover.h) for value(x) = number of i with at[i] <= x, x in [lo, hi] (others never occur). `at` ascends,
// n <= BF_MOST_STAIRS, hi < 2^bits, bits <= 63. Heap: free stairs->items.
void bf_stairs_plan(struct bf_stairs *stairs, unsigned bits, const uint64_t *at, uint32_t n, uint64_t lo, uint64_t hi);

#endif
