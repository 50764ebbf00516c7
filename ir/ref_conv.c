// SPDX-License-Identifier: Apache-2.0
// Convolution and dense layers, straight from y = requant(bias + sum (x-zx)(w-zw)).
#include "ir/ref_ops.h"

static int64_t dot(const int64_t *x, int64_t zx, const int64_t *w, int64_t zw, uint64_t n) {
  int64_t sum = 0;
  for (uint64_t i = 0; i < n; i++) sum += (x[i] - zx) * (w[i] - zw);
  return sum;
}

struct conv {
  const struct bf_node *node;
  const int64_t *x, *w, *bias;
  int64_t zx;
  const struct bf_tensor *xt, *wt, *yt;
};

// The exact sum of output channel `o` with the window's first tap at (top, left). A tap outside the
// image is padding: x = zx, which adds nothing.
static int64_t conv_sum(const struct conv *c, uint64_t n, uint64_t o, int64_t top, int64_t left) {
  const struct bf_attrs *a = &c->node->attrs;
  const uint64_t *xs = c->xt->shape, *ws = c->wt->shape;
  uint64_t first = o / (ws[0] / a->groups) * ws[3];  // first input channel of the group
  int64_t zw = bf_quant_zero(&c->wt->quant, o);
  int64_t sum = c->bias ? c->bias[o] : 0;
  for (uint64_t ky = 0; ky < ws[1]; ky++) {
    int64_t y = top + (int64_t)ky * a->dilation[0];
    if (y < 0 || y >= (int64_t)xs[1]) continue;
    for (uint64_t kx = 0; kx < ws[2]; kx++) {
      int64_t x = left + (int64_t)kx * a->dilation[1];
      if (x < 0 || x >= (int64_t)xs[2]) continue;
      const int64_t *pixel = c->x + ((n * xs[1] + (uint64_t)y) * xs[2] + (uint64_t)x) * xs[3];
      sum += dot(pixel + first, c->zx, c->w + ((o * ws[1] + ky) * ws[2] + kx) * ws[3], zw, ws[3]);
    }
  }
  return sum;
}

void bf_ref_conv2d(const struct bf_node *node, int64_t **values) {
  struct conv c = {.node = node, .xt = node->inputs[0], .wt = node->inputs[1], .yt = node->output};
  c.x = values[c.xt->id];
  c.w = values[c.wt->id];
  c.bias = node->ninputs > 2 ? values[node->inputs[2]->id] : NULL;
  c.zx = bf_quant_zero(&c.xt->quant, 0);
  const struct bf_attrs *a = &node->attrs;
  const uint64_t *ys = c.yt->shape;
  int64_t *out = values[c.yt->id];
  for (uint64_t n = 0; n < ys[0]; n++)
    for (uint64_t y = 0; y < ys[1]; y++)
      for (uint64_t x = 0; x < ys[2]; x++)
        for (uint64_t o = 0; o < ys[3]; o++) {
          int64_t sum = conv_sum(&c, n, o, (int64_t)y * a->stride[0] - a->pad[0],
                                 (int64_t)x * a->stride[1] - a->pad[2]);
          *out++ = bf_ref_requant(&a->requant, (uint32_t)o, sum);
        }
}

void bf_ref_dense(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *xt = node->inputs[0], *wt = node->inputs[1];
  const int64_t *x = values[xt->id], *w = values[wt->id];
  const int64_t *bias = node->ninputs > 2 ? values[node->inputs[2]->id] : NULL;
  int64_t zx = bf_quant_zero(&xt->quant, 0);
  uint64_t depth = wt->shape[1], outputs = wt->shape[0];
  int64_t *out = values[node->output->id];
  for (uint64_t n = 0; n < xt->shape[0]; n++)
    for (uint64_t o = 0; o < outputs; o++) {
      int64_t sum = dot(x + n * depth, zx, w + o * depth, bf_quant_zero(&wt->quant, o), depth);
      *out++ = bf_ref_requant(&node->attrs.requant, (uint32_t)o, sum + (bias ? bias[o] : 0));
    }
}
