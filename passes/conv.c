// SPDX-License-Identifier: Apache-2.0
// conv2d and dense seen as one convolution.
#include "passes/conv.h"

void bf_conv_of(const struct bf_node *node, struct bf_conv *conv) {
  *conv = (struct bf_conv){.x = node->inputs[0], .w = node->inputs[1], .bias = node->ninputs > 2 ? node->inputs[2] : NULL};
  bf_shape4(node->inputs[0], conv->in4);
  bf_shape4(node->output, conv->out4);
  bool dense = node->op == BF_OP_DENSE;
  for (int i = 0; i < 2; i++) {
    conv->kernel[i] = dense ? 1 : (uint32_t)node->attrs.kernel[i];
    conv->stride[i] = dense ? 1 : node->attrs.stride[i];
    conv->dilation[i] = dense ? 1 : node->attrs.dilation[i];
  }
  conv->pad[0] = dense ? 0 : node->attrs.pad[0];
  conv->pad[1] = dense ? 0 : node->attrs.pad[2];
  conv->groups = dense || !node->attrs.groups ? 1 : node->attrs.groups;
  conv->ic_group = conv->in4[3] / conv->groups;
  conv->oc_group = conv->out4[3] / conv->groups;
}

int64_t bf_conv_zero(const struct bf_conv *conv, uint32_t oc) {
  const struct bf_quant *q = &conv->w->quant;
  return bf_quant_zero(q, q->count > 1 ? oc : 0);
}

static void tap_at(const struct bf_conv *conv, uint32_t tap, uint32_t *ky, uint32_t *kx, uint32_t *c) {
  *c = tap % conv->ic_group;
  *kx = tap / conv->ic_group % conv->kernel[1];
  *ky = tap / conv->ic_group / conv->kernel[1];
}

struct bf_conv_row bf_conv_row(const struct bf_conv *conv, uint32_t oc) {
  uint64_t taps = (uint64_t)conv->kernel[0] * conv->kernel[1] * conv->ic_group;
  return (struct bf_conv_row){conv->w->data + oc * taps, bf_conv_zero(conv, oc)};
}

int64_t bf_conv_zero_u(const struct bf_tensor *x) { return bf_quant_zero(&x->quant, 0) - bf_type_min(x->type); }

void bf_conv_x_range(const struct bf_conv *conv, uint64_t *lo, uint64_t *hi) {
  bf_mem_range(conv->x, lo, hi);
  uint64_t pad = (uint64_t)bf_conv_zero_u(conv->x);
  if (pad < *lo) *lo = pad;
  if (pad > *hi) *hi = pad;
}

struct bf_conv_start bf_conv_start_of(const struct bf_conv *conv, uint32_t oc, struct bf_taps taps, uint64_t x_lo, uint64_t x_hi) {
  struct bf_conv_row row = bf_conv_row(conv, oc);
  int64_t low = 0, lowest = 0, sum = 0;
  for (uint32_t t = taps.first; t < taps.end; t++) {
    int64_t w = bf_conv_weight(&row, t);
    low += w * (int64_t)(w > 0 ? x_lo : x_hi);
    if (low < lowest) lowest = low;
    sum += w;
  }
  return (struct bf_conv_start){-lowest, -bf_conv_zero_u(conv->x) * sum};
}

int64_t bf_conv_zero_term(const struct bf_conv *conv, uint32_t oc, struct bf_taps taps) {
  struct bf_conv_row row = bf_conv_row(conv, oc);
  int64_t sum = 0;
  for (uint32_t t = taps.first; t < taps.end; t++) sum += bf_conv_weight(&row, t);
  return -bf_conv_zero_u(conv->x) * sum;
}

struct bf_fdesc bf_conv_input_fdesc(struct bf_lower *l, const struct bf_conv *conv) {
  struct bf_fdesc d = bf_pixel_desc(bf_lower_mem(l, conv->x), conv->in4[3]);
  for (int i = 0; i < 2; i++) {
    d.row_stride[1 + i] = conv->stride[i];
    d.origin[1 + i] = -conv->pad[i];
    d.tap_count[1 + i] = conv->kernel[i];
    d.tap_step[1 + i] = conv->dilation[i];
  }
  d.pad_value = (uint64_t)bf_conv_zero_u(conv->x);
  return d;
}

uint32_t bf_conv_input_desc(struct bf_lower *l, const struct bf_conv *conv) { return bf_lower_desc(l, bf_conv_input_fdesc(l, conv)); }

uint32_t bf_conv_load_tap(const struct bf_conv *conv, uint32_t oc, uint32_t tap) {
  uint32_t ky, kx, c;
  tap_at(conv, tap, &ky, &kx, &c);
  return (ky * conv->kernel[1] + kx) * conv->in4[3] + oc / conv->oc_group * conv->ic_group + c;
}

uint32_t bf_conv_group_end(const struct bf_conv *conv, uint32_t oc, uint32_t size) {
  uint32_t end = oc + size, limit = (oc / conv->oc_group + 1) * conv->oc_group;
  return end < limit ? end : limit;
}
