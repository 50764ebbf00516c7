// SPDX-License-Identifier: Apache-2.0
// Clamp and requantize, element by element; argmax.
#include "passes/builder.h"

// One region: rows over the elements of x; or one for each channel, over its pixels. `zero` is what stands for 0: codes
// that stay codes have none.
static void lower_copy(struct bf_lower *l, const struct bf_requant *rq, int64_t zero) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[0];
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
    struct bf_val v = bf_build_load(l, bf_lower_desc(l, in), c, lo, hi, "x");
    v.bias = zero - bf_type_min(x->type);
    bf_build_requant_store(l, v, rq, c, node->output->type, bf_lower_desc(l, out), c);
    bf_lower_end_region(l, false);
  }
}

static struct bf_requant plain(const struct bf_tensor *tensor) {
  return (struct bf_requant){.mode = BF_REQUANT_NONE, .lo = bf_type_min(tensor->type), .hi = bf_type_max(tensor->type)};
}

void bf_lower_elementwise(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  bf_lower_layer(l, "elementwise", 0, node->inputs[0]->type.bits);
  if (node->op == BF_OP_CLAMP) {
    struct bf_requant rq = plain(node->output);
    rq.lo = node->attrs.requant.lo;
    rq.hi = node->attrs.requant.hi;
    lower_copy(l, &rq, 0);
  } else lower_copy(l, &node->attrs.requant, bf_quant_zero(&node->inputs[0]->quant, 0));
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
  struct bf_slice si = bf_val_low(l, &index, type.bits), sb = bf_val_low(l, &best, bf_mem_bits(x->type));
  for (uint32_t c = 1; c < channels; c++) {
    struct bf_val v = bf_build_load(l, in, c, 0, hi, "x");
    struct bf_slice sv = bf_val_low(l, &v, bf_mem_bits(x->type));
    struct bf_val gt = {.field = bf_field_new(l->region, "gt"), .hi = 1};
    struct bf_slice sg = bf_val_low(l, &gt, 1);
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GT, .d = sg, .a = sv, .b = sb});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COPYIF, .d = sb, .a = sv, .b = sg});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = si, .a = sg, .imm = zero + c});
  }
  bf_build_store(l, si, bf_lower_desc(l, to), 0);
  bf_lower_end_region(l, false);
}
