// SPDX-License-Identifier: Apache-2.0
// Live ranges of the fields of a region, and code moved into it between operations. A field lives from its first to its last operation; no code
// repeats, so that is exact.
#ifndef BF_LIVE_H
#define BF_LIVE_H

#include "passes/pass.h"

struct bf_live { uint32_t field; size_t first, last; };  // first SIZE_MAX: never used

// One for each field, by number; heap.
struct bf_live *bf_live_of(const struct bf_region *region);
bool bf_op_touches(const struct bf_fop *op, uint32_t field);
// Where code may stand that is to run before operation `at`: not between a compare and the writes that use its tags.
size_t bf_live_gap(const struct bf_region *region, size_t at);
// Inserts an operation before operation `at`; the tail moves with its operation.
void bf_live_insert(struct bf_region *region, size_t at, struct bf_fop op);
// Operations from `from` on use field `to` instead of `field`.
void bf_live_rename(struct bf_region *region, size_t from, uint32_t field, uint32_t to);

// Where a field found no columns: before operation `at`, `missing` columns too few for all that is live (0: enough, but not side by side).
struct bf_full { size_t at; unsigned missing; };
// Makes room there: a field that is not used for a while is moved to another place, or stored to memory and loaded back before its next use. False
// if there is none.
bool bf_live_split(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region, const struct bf_full *full);

#endif
