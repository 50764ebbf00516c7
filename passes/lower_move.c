// SPDX-License-Identifier: Apache-2.0
// Operators that only move elements: pad, concat, transpose, slice, spread. Descriptors do the work; a row is an element
// of the output (of an operand for concat and spread).
#include "passes/builder.h"

// Copies an element a row from `in` to `out`, both on the current region's rows.
static void copy_rows(struct bf_lower *l, struct bf_fdesc in, struct bf_fdesc out) {
  unsigned bits = l->fields->mems[in.mem].bits;
  struct bf_val v = bf_build_load(l, bf_lower_desc(l, in), 0, 0, bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, "x");
  bf_build_store(l, bf_val_low(l, &v, bits), bf_lower_desc(l, out), 0);
}

// Rows over `shape`; the output is written with `stride` from `origin`.
static void scatter(struct bf_lower *l, const struct bf_tensor *x, const int32_t origin[4], const int32_t stride[4]) {
  uint32_t rows[4];
  bf_shape4(x, rows);
  bf_lower_region(l, rows);
  struct bf_fdesc in = bf_elementwise_desc(bf_lower_mem(l, x)), out = bf_elementwise_desc(bf_lower_mem(l, l->node->output));
  for (int i = 0; i < 4; i++) {
    out.origin[i] = origin[i];
    out.row_stride[i] = stride[i];
  }
  copy_rows(l, in, out);
  bf_lower_end_region(l, false);
}

// Padding as loads outside of x.
static void describe_pad(const struct bf_node *node, unsigned first, struct bf_fdesc *in) {
  for (unsigned i = 0; i < node->output->rank; i++) in->origin[first + i] = -node->attrs.pads[i][0];
  in->pad_value = (uint64_t)(node->attrs.pad_value - bf_type_min(node->output->type));
}

static void describe_transpose(const struct bf_node *node, unsigned first, struct bf_fdesc *in) {
  for (unsigned i = 0; i < node->output->rank; i++) in->row_dim[first + i] = (uint8_t)(first + (unsigned)node->attrs.perm[i]);
}

static void describe_slice(const struct bf_node *node, unsigned first, struct bf_fdesc *in) {
  for (unsigned i = 0; i < node->output->rank; i++) {
    in->origin[first + i] = node->attrs.begin[i];
    in->row_stride[first + i] = node->attrs.step[i];
  }
}

static void gather(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  uint32_t rows[4];
  bf_shape4(node->output, rows);
  bf_lower_region(l, rows);
  struct bf_fdesc in = bf_elementwise_desc(bf_lower_mem(l, node->inputs[0]));
  unsigned first = 4 - node->output->rank;
  if (node->op == BF_OP_PAD) describe_pad(node, first, &in);
  else if (node->op == BF_OP_TRANSPOSE) describe_transpose(node, first, &in);
  else describe_slice(node, first, &in);
  copy_rows(l, in, bf_elementwise_desc(bf_lower_mem(l, node->output)));
  bf_lower_end_region(l, false);
}

static void concat(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  int axis4 = 4 - (int)node->output->rank + node->attrs.axis;
  int32_t origin[4] = {0};
  const int32_t stride[4] = {1, 1, 1, 1};
  for (uint32_t i = 0; i < node->ninputs && !l->failed; i++) {
    scatter(l, node->inputs[i], origin, stride);
    origin[axis4] += (int32_t)node->inputs[i]->shape[node->attrs.axis];
  }
}

// Fills the output with the zero point, then stores x with a stride.
static void spread(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *y = node->output;
  const int32_t origin[4] = {0}, stride[4] = {1, node->attrs.factor[0], node->attrs.factor[1], 1};
  uint32_t rows[4];
  bf_shape4(y, rows);
  if (y->elements > node->inputs[0]->elements) {
    bf_lower_region(l, rows);
    struct bf_val zero = bf_build_const(l, (uint64_t)(bf_quant_zero(&y->quant, 0) - bf_type_min(y->type)), 0, "zero");
    uint32_t out = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, y)));
    bf_build_store(l, bf_val_low(l, &zero, l->fields->mems[bf_lower_mem(l, y)].bits), out, 0);
    bf_lower_end_region(l, true);
  }
  scatter(l, node->inputs[0], origin, stride);
}

void bf_lower_move(struct bf_lower *l) {
  bf_lower_layer(l, "move", 0, l->node->inputs[0]->type.bits);
  if (l->node->op == BF_OP_CONCAT) concat(l);
  else if (l->node->op == BF_OP_SPREAD) spread(l);
  else gather(l);
}
