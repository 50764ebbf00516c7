// SPDX-License-Identifier: Apache-2.0
// Code of a sum with two operands, looked at again when it is complete.
#ifndef BF_LOWER_SUM_H
#define BF_LOWER_SUM_H

#include "passes/builder.h"

// A point in a region's construction to which it can go back.
struct bf_checkpoint { size_t ops, fields, facts, tail; };
struct bf_checkpoint bf_checkpoint_of(const struct bf_region *region);
void bf_checkpoint_restore(struct bf_region *region, const struct bf_checkpoint *checkpoint);

// What operand i (negated if it is subtracted) is rescaled to for a content of its memory.
typedef int64_t bf_rescaled(struct bf_lower *l, void *context, int i, uint64_t content);
// The code behind the checkpoint loads two operands, adds, requantizes by rq and stores to desc[tap]. If one map over both operands does the same in
// fewer cycles, it takes its place.
void bf_sum_improve(struct bf_lower *l, const struct bf_checkpoint *checkpoint, bf_rescaled *rescaled, void *context, const struct bf_requant *rq,
                    uint32_t channel, uint32_t desc, uint32_t tap);

#endif
