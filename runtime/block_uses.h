// SPDX-License-Identifier: Apache-2.0
// How often each instruction and each microcode program is executed on a block of rows: what decides which kernels are worth compiling, and which
// loads are worth keeping. Internal to the block engine.
#ifndef AP_BLOCK_USES_H
#define AP_BLOCK_USES_H

#include "runtime/row_order.h"
#include "runtime/run.h"

struct ap_block_calls { uint64_t whole, partial; };  // on blocks of 512 rows, and on those with fewer

// Blocks of a grid, in the best order of its rows; in a certain one (which may be NULL).
struct ap_block_calls ap_block_count(const struct ap_run *run, const struct ap_grid *grid);
struct ap_block_calls ap_order_count(const struct ap_row_order *order, const struct ap_grid *grid);

struct ap_block_uses {
  size_t *first;                                   // by table: its first item
  struct ap_block_calls *items; size_t nitems;     // of all tables, in one execution of a profile
  struct ap_block_calls *micros; uint32_t nmicros;
};
struct ap_block_uses *ap_block_uses_new(const struct ap_run *run);  // all zero
void ap_block_uses_free(struct ap_block_uses *uses);                // may be NULL
// By region: whether the profile executes it. NULL: all. The caller frees it.
bool *ap_block_uses_regions(const struct ap_run *run, uint32_t profile);
// Adds regions [first, end), of these those in `regions` if it is not NULL: their streams step by step, so it takes time.
void ap_block_uses_add(struct ap_block_uses *uses, const struct ap_run *run, const bool *regions, size_t first, size_t end);
// Adds the items and microcode programs of `from`.
void ap_block_uses_merge(struct ap_block_uses *to, const struct ap_block_uses *from);
// Once all regions are there: adds those of the items to the microcode programs.
void ap_block_uses_finish(struct ap_block_uses *uses, const struct ap_run *run);

// Calls of the items of a table.
static inline const struct ap_block_calls *ap_block_uses_of(const struct ap_block_uses *uses, uint32_t table) {
  return &uses->items[uses->first[table]];
}

#endif
