// SPDX-License-Identifier: Apache-2.0
// Operators that work element by element, and argmax.
#include "passes/builder.h"

// One region: rows over the elements of x (or, per channel, over its pixels), shifted by `origin` in the output.
static void lower_copy(struct bf_lower *l, const struct bf_tensor *x, const int32_t origin[4], const struct bf_requant *rq) {
  const struct bf_node *node = l->node;
  uint32_t rows[4];
  bf_shape4(x, rows);
  uint32_t channels = rows[3];
  bool per_channel = rq->count > 1;
  if (per_channel) rows[3] = 1;
  uint64_t lo, hi;
  bf_mem_range(x, &lo, &hi);
  for (uint32_t c = 0; c < (per_channel ? channels : 1) && !l->failed; c++) {
    bf_lower_region(l, rows);
    uint32_t from = bf_lower_mem(l, x), to = bf_lower_mem(l, node->output);
    struct bf_fdesc in = per_channel ? bf_pixel_desc(from, channels) : bf_elementwise_desc(from);
    struct bf_fdesc out = per_channel ? bf_pixel_desc(to, channels) : bf_elementwise_desc(to);
    for (int i = 0; i < 4; i++) out.origin[i] = origin[i];
    struct bf_val v = bf_build_load(l, bf_lower_desc(l, in), c, lo, hi, "x");
    v.bias = -bf_type_min(x->type) + (rq->mode == BF_REQUANT_NONE ? 0 : bf_quant_zero(&x->quant, 0));
    bf_build_requant_store(l, v, rq, c, node->output->type, bf_lower_desc(l, out), c);
    bf_lower_end_region(l, false);
  }
}

static struct bf_requant plain(const struct bf_tensor *tensor) {
  return (struct bf_requant){.mode = BF_REQUANT_NONE, .lo = bf_type_min(tensor->type), .hi = bf_type_max(tensor->type)};
}

// Padding as loads outside of x: rows over the output.
static void lower_pad(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[0];
  uint32_t rows[4];
  bf_shape4(node->output, rows);
  bf_lower_region(l, rows);
  struct bf_fdesc in = bf_elementwise_desc(bf_lower_mem(l, x));
  for (unsigned i = 0; i < x->rank; i++) in.origin[4 - x->rank + i] = -node->attrs.pads[i][0];
  in.pad_value = (uint64_t)(node->attrs.pad_value - bf_type_min(x->type));
  uint64_t hi = (uint64_t)(bf_type_max(x->type) - bf_type_min(x->type));
  struct bf_val v = bf_build_load(l, bf_lower_desc(l, in), 0, 0, hi, "x");
  uint32_t out = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, node->output)));
  bf_build_store(l, bf_val_low(l, &v, x->type.bits), out, 0);
  bf_lower_end_region(l, false);
}

static void lower_concat(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  int axis = node->attrs.axis < 0 ? node->attrs.axis + (int)node->output->rank : node->attrs.axis;
  int axis4 = 4 - (int)node->output->rank + axis;
  int32_t origin[4] = {0};
  struct bf_requant rq = plain(node->output);
  for (uint32_t i = 0; i < node->ninputs && !l->failed; i++) {
    lower_copy(l, node->inputs[i], origin, &rq);
    origin[axis4] += (int32_t)node->inputs[i]->shape[axis];
  }
}

void bf_lower_elementwise(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const int32_t none[4] = {0};
  bf_lower_layer(l, "elementwise", 0, node->inputs[0]->type.bits);
  if (node->op == BF_OP_PAD) lower_pad(l);
  else if (node->op == BF_OP_CONCAT) lower_concat(l);
  else if (node->op == BF_OP_CLAMP) {
    struct bf_requant rq = plain(node->output);
    rq.lo = node->attrs.requant.lo;
    rq.hi = node->attrs.requant.hi;
    lower_copy(l, node->inputs[0], none, &rq);
  } else lower_copy(l, node->inputs[0], none, &node->attrs.requant);
}

// Keeps the best element and its index; a later one must be larger to win.
void bf_lower_argmax(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[0];
  uint32_t rows[4];
  bf_shape4(x, rows);
  uint32_t channels = rows[3];
  rows[3] = 1;
  uint64_t lo, hi;
  bf_mem_range(x, &lo, &hi);
  bf_lower_layer(l, "pixel", 0, x->type.bits);
  bf_lower_region(l, rows);
  uint32_t in = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, x), channels));
  struct bf_fdesc to = bf_pixel_desc(bf_lower_mem(l, node->output), 1);
  if (node->output->rank < x->rank)  // the last axis is gone: the others move up by one
    for (int i = 0; i < 3; i++) to.row_dim[i] = (uint8_t)(i + 1);
  struct bf_type type = node->output->type;
  uint64_t zero = (uint64_t)-bf_type_min(type);
  struct bf_val best = bf_build_load(l, in, 0, 0, hi, "best");
  struct bf_val index = bf_build_const(l, zero, 0, "index");
  struct bf_slice si = bf_val_low(l, &index, type.bits), sb = bf_val_low(l, &best, x->type.bits);
  for (uint32_t c = 1; c < channels; c++) {
    struct bf_val v = bf_build_load(l, in, c, 0, hi, "x");
    struct bf_slice sv = bf_val_low(l, &v, x->type.bits);
    struct bf_val gt = {.field = bf_field_new(l->region, "gt"), .hi = 1};
    struct bf_slice sg = bf_val_low(l, &gt, 1);
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GT, .d = sg, .a = sv, .b = sb});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COPYIF, .d = sb, .a = sv, .b = sg});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = si, .a = sg, .imm = zero + c});
  }
  bf_build_store(l, si, bf_lower_desc(l, to), 0);
  bf_lower_end_region(l, false);
}
