// SPDX-License-Identifier: Apache-2.0
// Pooling. Only elements inside the image take part; padding has no value of its own.
#include "ir/ref_ops.h"

// What a window gathers: its sum, its largest element, the number of elements.
struct gathered {
  int64_t sum, largest, count;
};

static struct gathered gather(const struct bf_node *node, const int64_t *data, uint64_t n, uint64_t c,
                              int64_t top, int64_t left) {
  const struct bf_attrs *a = &node->attrs;
  const uint64_t *s = node->inputs[0]->shape;
  struct gathered g = {0, INT64_MIN, 0};
  for (int64_t y = top; y < top + a->kernel[0]; y++) {
    if (y < 0 || y >= (int64_t)s[1]) continue;
    for (int64_t x = left; x < left + a->kernel[1]; x++) {
      if (x < 0 || x >= (int64_t)s[2]) continue;
      int64_t v = data[((n * s[1] + (uint64_t)y) * s[2] + (uint64_t)x) * s[3] + c];
      g.sum += v;
      if (v > g.largest) g.largest = v;
      g.count++;
    }
  }
  return g;
}

static int64_t largest(struct gathered g) { return g.largest; }

// Rounded to nearest, halves away from zero.
static int64_t mean(struct gathered g) {
  int64_t half = g.count / 2;
  return (g.sum >= 0 ? g.sum + half : g.sum - half) / g.count;
}

static void pool(const struct bf_node *node, int64_t **values, int64_t (*finish)(struct gathered)) {
  const struct bf_attrs *a = &node->attrs;
  const int64_t *data = values[node->inputs[0]->id];
  const uint64_t *ys = node->output->shape;
  int64_t *out = values[node->output->id];
  for (uint64_t n = 0; n < ys[0]; n++)
    for (uint64_t y = 0; y < ys[1]; y++)
      for (uint64_t x = 0; x < ys[2]; x++)
        for (uint64_t c = 0; c < ys[3]; c++) {
          struct gathered g = gather(node, data, n, c, (int64_t)y * a->stride[0] - a->pad[0],
                                     (int64_t)x * a->stride[1] - a->pad[2]);
          *out++ = bf_ref_requant(&a->requant, (uint32_t)c, finish(g));
        }
}

void bf_ref_max_pool(const struct bf_node *node, int64_t **values) { pool(node, values, largest); }

void bf_ref_avg_pool(const struct bf_node *node, int64_t **values) { pool(node, values, mean); }
