// SPDX-License-Identifier: Apache-2.0
// Pooling: a row is an output element, the window's elements are loaded one after the other.
#include "passes/builder.h"

// Rows of the output whose windows hold the same number of elements along one axis.
struct run { uint32_t first, count, elements; };

static uint32_t valid(const struct bf_node *node, int axis, uint32_t out, uint32_t in) {
  const struct bf_attrs *a = &node->attrs;
  uint32_t n = 0;
  for (int32_t k = 0; k < a->kernel[axis]; k++) {
    int64_t at = (int64_t)out * a->stride[axis] - a->pad[2 * axis] + (int64_t)k * a->dilation[axis];
    n += at >= 0 && at < (int64_t)in;
  }
  return n;
}

static struct run next_run(const struct bf_node *node, int axis, uint32_t first, uint32_t out, uint32_t in) {
  struct run run = {first, 1, valid(node, axis, first, in)};
  while (first + run.count < out && valid(node, axis, first + run.count, in) == run.elements) run.count++;
  return run;
}

static struct bf_fdesc window_desc(struct bf_lower *l, struct run y, struct run x) {
  const struct bf_attrs *a = &l->node->attrs;
  struct bf_fdesc d = bf_elementwise_desc(bf_lower_mem(l, l->node->inputs[0]));
  struct run runs[2] = {y, x};
  for (int i = 0; i < 2; i++) {
    d.row_stride[1 + i] = a->stride[i];
    d.origin[1 + i] = -a->pad[2 * i] + (int32_t)runs[i].first * a->stride[i];
    d.tap_count[1 + i] = (uint32_t)a->kernel[i];
    d.tap_step[1 + i] = a->dilation[i];
  }
  return d;
}

// sum / count rounded half away from zero, on contents (u): num / count with num = sum + count/2 - [q sum < 0, count even].
static struct bf_val divide(struct bf_lower *l, struct bf_val sum, uint32_t count, int64_t min) {
  uint32_t half = count / 2;
  if (count % 2 || min >= 0) {
    bf_build_addk(l, &sum, half);
  } else if (count > 1) {
    struct bf_val nonneg = bf_build_gtk(l, &sum, (uint64_t)(-min) * count - 1, "nonneg");
    bf_build_addk(l, &sum, half - 1);
    bf_build_add(l, &sum, &nonneg);
  }
  // floor(n / c) = floor(n * m / 2^s) for n <= hi where (m*c - 2^s) * hi < 2^s (Granlund and Montgomery, PLDI 1994).
  unsigned s = 0;
  uint64_t m = 1;
  for (;; s++) {
    m = (((uint64_t)1 << s) + count - 1) / count;
    uint64_t excess = m * count - ((uint64_t)1 << s);
    if (!excess || (unsigned __int128)excess * sum.hi < ((unsigned __int128)1 << s)) break;
  }
  sum.bias = 0;
  return m == 1 && !s ? sum : bf_build_scale(l, sum, (int64_t)m, 0, s, 0, 0, 0);
}

static void lower_rectangle(struct bf_lower *l, struct run y, struct run x) {
  const struct bf_node *node = l->node;
  uint32_t out4[4];
  bf_shape4(node->output, out4);
  const uint32_t rows[4] = {out4[0], y.count, x.count, out4[3]};
  uint32_t taps = (uint32_t)(node->attrs.kernel[0] * node->attrs.kernel[1]);
  uint64_t lo, hi;
  bf_mem_range(node->inputs[0], &lo, &hi);
  bf_lower_region(l, rows);
  uint32_t in = bf_lower_desc(l, window_desc(l, y, x));
  bool max = node->op == BF_OP_MAX_POOL;
  struct bf_val acc = max ? (struct bf_val){0} : bf_build_const(l, 0, 0, "sum");
  for (uint32_t t = 0; t < taps; t++) {
    struct bf_val v = bf_build_load(l, in, t, 0, hi, "x");
    if (!max) bf_build_add(l, &acc, &v);
    else if (!t) acc = v;
    else bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_MAX, .d = {acc.field, 0, l->region->fields[acc.field].width},
                                                  .a = {v.field, 0, l->region->fields[v.field].width}});
  }
  int64_t min = bf_type_min(node->inputs[0]->type);
  if (!max) {
    acc.hi = (uint64_t)y.elements * x.elements * hi;
    acc = divide(l, acc, y.elements * x.elements, min);
  }
  acc.bias = -min;  // content is u = q - min
  struct bf_fdesc out = bf_elementwise_desc(bf_lower_mem(l, node->output));
  out.origin[1] = (int32_t)y.first;
  out.origin[2] = (int32_t)x.first;
  struct bf_requant rq = node->attrs.requant;
  rq.mode = BF_REQUANT_NONE;
  rq.out_zero = 0;
  bf_build_requant_store(l, acc, &rq, 0, node->output->type, bf_lower_desc(l, out), 0);
  bf_lower_end_region(l, false);
}

void bf_lower_pool(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  uint32_t in4[4], out4[4];
  bf_shape4(node->inputs[0], in4);
  bf_shape4(node->output, out4);
  bf_lower_layer(l, "elementwise", 0, node->inputs[0]->type.bits);
  bool max = node->op == BF_OP_MAX_POOL;
  for (uint32_t y = 0; y < out4[1] && !l->failed;) {
    struct run ry = max ? (struct run){0, out4[1], 1} : next_run(node, 0, y, out4[1], in4[1]);
    for (uint32_t x = 0; x < out4[2] && !l->failed;) {
      struct run rx = max ? (struct run){0, out4[2], 1} : next_run(node, 1, x, out4[2], in4[2]);
      if (ry.elements && rx.elements) lower_rectangle(l, ry, rx);
      else bf_lower_fail(l, "make the padding smaller than the kernel", "a pooling window holds padding only");
      x = rx.first + rx.count;
    }
    y = ry.first + ry.count;
  }
}
