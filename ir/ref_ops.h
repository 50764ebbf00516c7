// SPDX-License-Identifier: Apache-2.0
// Inside the reference evaluator: one function an operator. Each reads the values of the node's inputs
// and fills those of its output; the graph is verified and the output buffer allocated.
#ifndef BF_REF_OPS_H
#define BF_REF_OPS_H

#include "ir/reference.h"

void bf_ref_conv2d(const struct bf_node *node, int64_t **values);
void bf_ref_dense(const struct bf_node *node, int64_t **values);
void bf_ref_max_pool(const struct bf_node *node, int64_t **values);
void bf_ref_avg_pool(const struct bf_node *node, int64_t **values);
void bf_ref_elementwise(const struct bf_node *node, int64_t **values);  // bf_op_elementwise
void bf_ref_reduce_sum(const struct bf_node *node, int64_t **values);
void bf_ref_table(const struct bf_node *node, int64_t **values);
void bf_ref_pad(const struct bf_node *node, int64_t **values);
void bf_ref_reshape(const struct bf_node *node, int64_t **values);
void bf_ref_transpose(const struct bf_node *node, int64_t **values);
void bf_ref_slice(const struct bf_node *node, int64_t **values);
void bf_ref_spread(const struct bf_node *node, int64_t **values);
void bf_ref_concat(const struct bf_node *node, int64_t **values);

// A requantization inside an operator (BF_ATTR_INPUT_REQUANT): the rule alone, no zero point, no clamp.
int64_t bf_ref_rescale(const struct bf_requant *rq, uint32_t channel, int64_t v);

#endif
