// SPDX-License-Identifier: Apache-2.0
// Sums in fields that are no wider than what they hold so far. Contents are unsigned: what may become negative gets a bias, a power of two that is
// written into a column above the content, so that it costs one cycle.
#ifndef BF_NARROW_H
#define BF_NARROW_H

#include "passes/builder.h"

#define BF_NO_OP SIZE_MAX

// `first`: the operation that clears the field above its first operand, as wide as the sum becomes; BF_NO_OP: the field is clear anyway.
struct bf_narrow { struct bf_val v; size_t first; unsigned width; };
// Where the code goes; overflow: a sum needs more than 62 columns.
struct bf_narrow_code { struct bf_region *region; bool overflow; };

struct bf_narrow bf_narrow_copy(struct bf_narrow_code *code, uint32_t field, const struct bf_val *v);        // v
struct bf_narrow bf_narrow_complement(struct bf_narrow_code *code, uint32_t field, const struct bf_val *v);  // -v
struct bf_narrow bf_narrow_multiple(struct bf_narrow_code *code, uint32_t field, const struct bf_val *v, unsigned odd);  // 3, 5, 7 times v, whose bias is 0
// sum += sign * v * 2^shift
void bf_narrow_add(struct bf_narrow_code *code, struct bf_narrow *sum, const struct bf_val *v, unsigned shift, int sign);
// The sum's content may be as large as v.hi now, whatever made it.
void bf_narrow_reach(struct bf_narrow_code *code, struct bf_narrow *sum, unsigned width);
// Columns that a content of at most `most` needs; 0 for 0.
static inline unsigned bf_narrow_columns(uint64_t most) { return most ? bf_bits(most) : 0; }

#endif
