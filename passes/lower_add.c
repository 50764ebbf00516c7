// SPDX-License-Identifier: Apache-2.0
// Residual addition: both operands are rescaled to a common scale, added, requantized.
#include "passes/builder.h"

static struct bf_val operand(struct bf_lower *l, int i) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[i];
  uint64_t lo, hi;
  bf_mem_range(x, &lo, &hi);
  uint32_t desc = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, x)));
  struct bf_val v = bf_build_load(l, desc, 0, lo, hi, i ? "b" : "a");
  v.bias = bf_quant_zero(&x->quant, 0) - bf_type_min(x->type);
  const struct bf_requant *rq = &node->attrs.in_requant[i];
  if (rq->mode != BF_REQUANT_TFLITE) return bf_build_requant(l, v, rq, 0, 0, 0);
  // The operand is shifted left first; the shift joins the multiplier.
  int32_t e = rq->shift[0];
  unsigned left = (unsigned)node->attrs.left_shift + (e > 0 ? (unsigned)e : 0);
  if (left > 30) {
    bf_lower_fail(l, NULL, "operand %d is shifted left by %u", i, left);
    return v;
  }
  return bf_build_scale(l, v, rq->mult[0] << left, (int64_t)1 << 30, 31, e < 0 ? (unsigned)-e : 0, 0, 0);
}

void bf_lower_add(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  uint32_t rows[4];
  bf_shape4(node->output, rows);
  bf_lower_layer(l, "elementwise", 0, node->inputs[0]->type.bits);
  bf_lower_region(l, rows);
  struct bf_val a = operand(l, 0), b = operand(l, 1);
  if (!l->failed) {
    struct bf_val sum = bf_build_widen(l, a, "sum");
    bf_build_add(l, &sum, &b);
    uint32_t out = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, node->output)));
    bf_build_requant_store(l, sum, &node->attrs.requant, 0, node->output->type, out, 0);
  }
  bf_lower_end_region(l, false);
}
