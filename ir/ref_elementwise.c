// SPDX-License-Identifier: Apache-2.0
// Operators that combine elements without a window: elementwise ones with broadcast operands, sums over
// dimensions, tables.
#include "ir/ref_ops.h"

// Where element `i` of `y` reads from an operand: dimensions of size 1 are repeated.
static uint64_t broadcast(const struct bf_tensor *y, const struct bf_tensor *x, uint64_t i) {
  uint64_t at = 0, step = 1;
  for (unsigned d = y->rank; d-- > 0;) {
    if (x->shape[d] != 1) at += i % y->shape[d] * step;
    i /= y->shape[d];
    step *= x->shape[d];
  }
  return at;
}

static int64_t combine(const struct bf_node *node, uint32_t channel, const int64_t q[2]) {
  const struct bf_attrs *a = &node->attrs;
  int64_t v[2];
  for (int k = 0; k < 2; k++) v[k] = q[k] - bf_quant_zero(&node->inputs[k]->quant, 0);
  switch (node->op) {
    case BF_OP_ADD:
    case BF_OP_SUB:
      for (int k = 0; k < 2; k++)
        v[k] = bf_ref_rescale(&a->in_requant[k], channel, v[k] * ((int64_t)1 << a->left_shift));
      return node->op == BF_OP_ADD ? v[0] + v[1] : v[0] - v[1];
    case BF_OP_MUL: return v[0] * v[1];
    case BF_OP_MAXIMUM: return q[0] > q[1] ? q[0] : q[1];
    default: return q[0] < q[1] ? q[0] : q[1];
  }
}

void bf_ref_elementwise(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *y = node->output;
  uint64_t channels = y->shape[y->rank - 1];
  for (uint64_t i = 0; i < y->elements; i++) {
    uint32_t channel = (uint32_t)(i % channels);
    int64_t q[2];
    for (int k = 0; k < 2; k++) q[k] = values[node->inputs[k]->id][broadcast(y, node->inputs[k], i)];
    values[y->id][i] = bf_ref_requant(&node->attrs.requant, channel, combine(node, channel, q));
  }
}

void bf_ref_reduce_sum(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  int64_t *out = values[y->id], zero = bf_quant_zero(&x->quant, 0);
  for (uint64_t i = 0; i < y->elements; i++) out[i] = 0;
  for (uint64_t i = 0; i < x->elements; i++) out[broadcast(x, y, i)] += values[x->id][i] - zero;
  uint64_t channels = y->shape[y->rank - 1];
  for (uint64_t i = 0; i < y->elements; i++)
    out[i] = bf_ref_requant(&node->attrs.requant, (uint32_t)(i % channels), out[i]);
}

void bf_ref_table(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0];
  const int64_t *table = values[node->inputs[1]->id];
  for (uint64_t i = 0; i < x->elements; i++)
    values[node->output->id][i] = table[values[x->id][i] - bf_type_min(x->type)];
}
