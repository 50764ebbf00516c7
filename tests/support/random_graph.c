// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_graph.h"

#include <stdlib.h>
#include <string.h>

uint32_t rng_next(struct rng *rng) {  // PCG-XSH-RR (O'Neill 2014)
  uint64_t old = rng->state;
  rng->state = old * 6364136223846793005u + 1442695040888963407u;
  uint32_t x = (uint32_t)(((old >> 18) ^ old) >> 27), r = (uint32_t)(old >> 59);
  return (x >> r) | (x << (-r & 31));
}

int64_t rng_range(struct rng *rng, int64_t lo, int64_t hi) {
  uint64_t span = (uint64_t)(hi - lo) + 1, v = ((uint64_t)rng_next(rng) << 32) | rng_next(rng);
  return lo + (int64_t)(span ? v % span : v);
}

int64_t *random_values(struct rng *rng, const struct bf_tensor *tensor) {
  int64_t lo = bf_type_min(tensor->type), hi = bf_type_max(tensor->type);
  bool binary = tensor->type.kind == BF_TYPE_B;
  int64_t *values = bf_alloc(tensor->elements, sizeof *values);
  for (uint64_t i = 0; i < tensor->elements; i++) {
    uint32_t ends = rng_next(rng) % 8;
    values[i] = ends == 0 ? lo : ends == 1 ? hi : binary ? (ends % 2 ? hi : lo) : rng_range(rng, lo, hi);
  }
  return values;
}

static struct bf_type random_type(struct rng *rng) {
  return (struct bf_type){rng_next(rng) % 2 ? BF_TYPE_S : BF_TYPE_U, (unsigned)rng_range(rng, 1, 10)};
}

static void quant(struct bf_graph *g, struct rng *rng, struct bf_tensor *t) {
  t->quant.count = 1;
  t->quant.scale = bf_arena_alloc(&g->arena, 1, sizeof(float));
  t->quant.zero = bf_arena_alloc(&g->arena, 1, sizeof(int32_t));
  t->quant.scale[0] = 0.5f;
  t->quant.zero[0] = (int32_t)rng_range(rng, bf_type_min(t->type), bf_type_max(t->type));
}

static struct bf_tensor *tensor(struct bf_graph *g, struct rng *rng, const char *name, struct bf_type type, unsigned rank,
                                const uint64_t *shape) {
  struct bf_tensor *t = bf_graph_tensor(g, name, type, rank, shape);
  quant(g, rng, t);
  return t;
}

static struct bf_tensor *constant(struct bf_graph *g, struct rng *rng, const char *name, struct bf_type type, unsigned rank,
                                  const uint64_t *shape, bool zero_point) {
  struct bf_tensor *t = tensor(g, rng, name, type, rank, shape);
  if (!zero_point) t->quant.zero[0] = 0;
  int64_t *values = random_values(rng, t);
  t->data = bf_arena_alloc(&g->arena, t->elements, sizeof *values);
  for (uint64_t i = 0; i < t->elements; i++) t->data[i] = rng_next(rng) % 4 ? values[i] : t->quant.zero[0];
  free(values);
  return t;
}

static void fill(struct bf_graph *g, struct rng *rng, struct bf_requant *rq, uint32_t n) {
  rq->count = n;
  rq->mult = bf_arena_alloc(&g->arena, n, sizeof *rq->mult);
  rq->shift = bf_arena_alloc(&g->arena, n, sizeof *rq->shift);
  rq->add = bf_arena_alloc(&g->arena, n, sizeof *rq->add);
  if (rq->mode == BF_REQUANT_FLOAT_RNE) rq->fscale = bf_arena_alloc(&g->arena, n, sizeof *rq->fscale);
  for (uint32_t i = 0; i < n; i++) {
    switch (rq->mode) {
    case BF_REQUANT_FLOAT_RNE: rq->fscale[i] = (float)rng_range(rng, 1, 100000) / 1000000.0f; break;
    case BF_REQUANT_TFLITE:
      rq->mult[i] = rng_range(rng, (int64_t)1 << 30, INT32_MAX);
      rq->shift[i] = (int32_t)rng_range(rng, -12, 2);
      break;
    case BF_REQUANT_TFLITE16:
      rq->mult[i] = rng_range(rng, (int64_t)1 << 30, INT32_MAX);
      rq->shift[i] = (int32_t)rng_range(rng, -12, 2);
      break;
    case BF_REQUANT_AFFINE_FLOOR:
      rq->mult[i] = rng_range(rng, -3000, 3000);
      rq->add[i] = rng_range(rng, -100000, 100000);
      rq->shift[i] = (int32_t)rng_range(rng, 0, 16);
      break;
    default:
      rq->mult[i] = rng_range(rng, 0, 4000);
      rq->shift[i] = (int32_t)rng_range(rng, 0, 16);
    }
  }
}

static void thresholds(struct bf_graph *g, struct rng *rng, struct bf_requant *rq, uint32_t n) {
  rq->count = n;
  rq->nthresholds = (uint32_t)rng_range(rng, 1, 7);
  rq->thresholds = bf_arena_alloc(&g->arena, (uint64_t)n * rq->nthresholds, sizeof *rq->thresholds);
  for (uint32_t c = 0; c < n; c++) {
    int64_t t = rng_range(rng, -3000, 0);
    for (uint32_t i = 0; i < rq->nthresholds; i++) rq->thresholds[c * rq->nthresholds + i] = t += rng_range(rng, 0, 800);
  }
}

static struct bf_requant requant(struct bf_graph *g, struct rng *rng, const struct bf_tensor *out, uint32_t channels) {
  static const enum bf_requant_mode modes[] = {BF_REQUANT_TFLITE, BF_REQUANT_TFLITE, BF_REQUANT_TFLITE16, BF_REQUANT_DYADIC,
                                               BF_REQUANT_AFFINE_FLOOR, BF_REQUANT_THRESHOLDS, BF_REQUANT_POW2,
                                               BF_REQUANT_FLOAT_RNE};
  struct bf_requant rq = {.mode = modes[rng_next(rng) % BF_COUNT(modes)]};
  uint32_t n = rng_next(rng) % 2 ? channels : 1;
  if (rq.mode == BF_REQUANT_THRESHOLDS) thresholds(g, rng, &rq, n);
  else fill(g, rng, &rq, n);
  int64_t lo = bf_type_min(out->type), hi = bf_type_max(out->type);
  rq.out_zero = rq.mode == BF_REQUANT_THRESHOLDS ? lo : out->quant.zero[0];
  rq.lo = rng_next(rng) % 2 ? lo : rng_range(rng, lo, hi);
  rq.hi = rng_next(rng) % 2 ? hi : rng_range(rng, rq.lo, hi);
  return rq;
}

static void window(struct rng *rng, struct bf_attrs *a, bool pool) {
  for (int i = 0; i < 2; i++) {
    a->kernel[i] = (int32_t)rng_range(rng, 1, 3);
    a->stride[i] = (int32_t)rng_range(rng, 1, 3);
    a->dilation[i] = pool ? 1 : (int32_t)rng_range(rng, 1, 2);
    int32_t most = pool ? a->kernel[i] - 1 : 2;
    a->pad[2 * i] = (int32_t)rng_range(rng, 0, most);
    a->pad[2 * i + 1] = (int32_t)rng_range(rng, 0, most);
  }
}

// A node whose output shape comes from the shared inference.
static struct bf_node *finish(struct bf_graph *g, struct rng *rng, enum bf_op op, struct bf_tensor **inputs, uint32_t n,
                              const struct bf_attrs *attrs, struct bf_type type, bool same_quant) {
  struct bf_node probe = {.op = op, .name = (char *)"op", .inputs = inputs, .ninputs = n, .attrs = *attrs};
  struct bf_diags diags = {0};
  unsigned rank = 0;
  uint64_t shape[BF_MAX_RANK] = {0};
  bool ok = bf_infer_shape(&probe, &rank, shape, &diags, (struct bf_range){0});
  bf_diags_free(&diags);
  if (!ok) return NULL;
  struct bf_tensor *out = tensor(g, rng, "op", type, rank, shape);
  if (same_quant) out->quant = inputs[0]->quant;
  out->is_output = true;
  struct bf_node *node = bf_graph_node(g, op, "op", inputs, n, out);
  node->attrs = *attrs;
  return node;
}

static void none(struct bf_requant *rq, struct bf_type type, struct rng *rng) {
  int64_t lo = bf_type_min(type), hi = bf_type_max(type);
  *rq = (struct bf_requant){.mode = BF_REQUANT_NONE, .lo = lo, .hi = hi};
  if (rng_next(rng) % 2) rq->lo = rng_range(rng, lo, hi);
  if (rng_next(rng) % 2) rq->hi = rng_range(rng, rq->lo, hi);
}

static struct bf_node *weighted(struct bf_graph *g, struct rng *rng, enum random_kind kind, struct bf_tensor *x) {
  struct bf_attrs a = {0};
  bool dense = kind == RANDOM_DENSE || kind == RANDOM_WIDE, depthwise = kind == RANDOM_DEPTHWISE;
  uint64_t channels = (uint64_t)rng_range(rng, 1, 5), in = x->shape[x->rank - 1], groups = 1;
  if (kind == RANDOM_WIDE) channels = (uint64_t)rng_range(rng, 6, 40);
  if (kind == RANDOM_GROUPS) groups = (in & 1) == 0 && rng_next(rng) % 2 ? 2 : in % 3 == 0 ? 3 : in;
  if (kind == RANDOM_GROUPS) channels *= groups;
  if (!dense) window(rng, &a, false);
  a.groups = depthwise ? (uint32_t)in : (uint32_t)groups;
  if (depthwise) channels = in * (uint64_t)rng_range(rng, 1, 2);
  uint64_t wshape[4] = {channels, (uint64_t)a.kernel[0], (uint64_t)a.kernel[1], depthwise ? 1 : in / groups};
  uint64_t dshape[2] = {channels, in};
  struct bf_type wt = random_type(rng);
  if (wt.kind == BF_TYPE_S && wt.bits == 1) wt.bits = 2;
  struct bf_tensor *inputs[3] = {x, constant(g, rng, "w", wt, dense ? 2 : 4, dense ? dshape : wshape, rng_next(rng) % 2),
                                 constant(g, rng, "b", (struct bf_type){BF_TYPE_S, 16}, 1, &channels, false)};
  struct bf_node *node = finish(g, rng, dense ? BF_OP_DENSE : BF_OP_CONV2D, inputs, 2 + rng_next(rng) % 2, &a, random_type(rng), false);
  if (node) node->attrs.requant = requant(g, rng, node->output, (uint32_t)channels);
  return node;
}

// Thresholds of a result of few bits: b1 wants each twice and -1 added.
static struct bf_requant few_steps(struct bf_graph *g, struct rng *rng, const struct bf_tensor *out, uint32_t channels) {
  struct bf_requant rq = {.mode = BF_REQUANT_THRESHOLDS, .lo = bf_type_min(out->type), .hi = bf_type_max(out->type)};
  bool binary = out->type.kind == BF_TYPE_B;
  rq.count = rng_next(rng) % 4 ? channels : 1;
  rq.nthresholds = binary ? 2 : (uint32_t)(rq.hi - rq.lo);
  rq.out_zero = binary ? -1 : rq.lo;
  rq.thresholds = bf_arena_alloc(&g->arena, (uint64_t)rq.count * rq.nthresholds, sizeof *rq.thresholds);
  for (uint32_t c = 0; c < rq.count; c++) {
    int64_t t = rng_range(rng, -20, 10);
    for (uint32_t i = 0; i < rq.nthresholds; i++) rq.thresholds[c * rq.nthresholds + i] = t += binary ? 0 : rng_range(rng, 0, 8);
  }
  return rq;
}

// FEW_BITS, MANY_BITS.
static struct bf_node *convolved(struct bf_graph *g, struct rng *rng, enum random_kind kind, struct bf_tensor *x) {
  static const struct bf_type few[] = {{BF_TYPE_B, 1}, {BF_TYPE_T, 2}, {BF_TYPE_S, 2}, {BF_TYPE_U, 2}, {BF_TYPE_S, 4}};
  bool many = kind == RANDOM_MANY_BITS;
  struct bf_attrs a = {.groups = 1};
  window(rng, &a, false);
  if (rng_next(rng) % 2) memset(a.pad, 0, sizeof a.pad);
  bool shared = !many && rng_next(rng) % 3 == 0;  // many channels with weights of few bits have sums in common
  uint64_t channels = (uint64_t)(shared ? rng_range(rng, 6, 40) : rng_range(rng, 1, 5));
  uint64_t wshape[4] = {channels, (uint64_t)a.kernel[0], (uint64_t)a.kernel[1], x->shape[3]};
  struct bf_type wt = shared && rng_next(rng) % 2 ? (struct bf_type){BF_TYPE_S, (uint8_t)rng_range(rng, 2, 4)} : many ? (struct bf_type){rng_next(rng) % 2 ? BF_TYPE_S : BF_TYPE_U, rng_next(rng) % 2 ? 4 : 8} : few[rng_next(rng) % 4];
  x->type = many ? (struct bf_type){rng_next(rng) % 4 ? BF_TYPE_S : BF_TYPE_U, 16} : few[rng_next(rng) % 5];
  if (shared && rng_next(rng) % 2) x->type = (struct bf_type){rng_next(rng) % 2 ? BF_TYPE_S : BF_TYPE_U, (uint8_t)rng_range(rng, 2, 8)};
  x->quant.zero[0] = many ? (int32_t)rng_range(rng, -300, 300) : 0;
  if (x->type.kind == BF_TYPE_U && many) x->quant.zero[0] += 300;
  struct bf_tensor *inputs[3] = {x, tensor(g, rng, "w", wt, 4, wshape),
                                 constant(g, rng, "b", (struct bf_type){BF_TYPE_S, 32}, 1, &channels, false)};
  struct bf_tensor *w = inputs[1];
  if (!many) w->quant.zero[0] = 0;
  int64_t *values = random_values(rng, w);
  w->data = bf_arena_alloc(&g->arena, w->elements, sizeof *values);
  memcpy(w->data, values, w->elements * sizeof *values);
  free(values);
  uint32_t zeros = shared && wt.kind != BF_TYPE_B ? rng_next(rng) % 4 : 0;
  for (uint64_t i = 0; zeros && i < w->elements; i++)
    if (rng_next(rng) % 4 < zeros) w->data[i] = 0;
  for (uint64_t i = 0; i < channels; i++) inputs[2]->data[i] /= 1 << 12;
  struct bf_type out = many ? (struct bf_type){BF_TYPE_S, 16} : few[rng_next(rng) % 5];
  struct bf_node *node = finish(g, rng, BF_OP_CONV2D, inputs, 2 + (many && rng_next(rng) % 2), &a, out, false);
  if (!node) return NULL;
  if (!many) {
    node->output->quant.zero[0] = 0;
    node->attrs.requant = few_steps(g, rng, node->output, (uint32_t)channels);
    return node;
  }
  node->attrs.requant = (struct bf_requant){.mode = rng_next(rng) % 2 ? BF_REQUANT_TFLITE : BF_REQUANT_TFLITE16, .lo = INT16_MIN, .hi = INT16_MAX};
  fill(g, rng, &node->attrs.requant, (uint32_t)channels);
  return node;
}

// MUL, MAXIMUM, MINIMUM.
static struct bf_node *combined(struct bf_graph *g, struct rng *rng, enum bf_op op, struct bf_tensor *x, struct bf_tensor *y) {
  struct bf_attrs a = {0};
  struct bf_tensor *inputs[2] = {x, y};
  if (op == BF_OP_MUL) {
    struct bf_node *node = finish(g, rng, op, inputs, 2, &a, random_type(rng), false);
    if (node) node->attrs.requant = requant(g, rng, node->output, (uint32_t)node->output->shape[3]);
    return node;
  }
  y->type = x->type;
  y->quant = x->quant;
  for (uint64_t i = 0; y->data && i < y->elements; i++) y->data[i] = rng_range(rng, bf_type_min(y->type), bf_type_max(y->type));
  none(&a.requant, x->type, rng);
  return finish(g, rng, op, inputs, 2, &a, x->type, true);
}

static struct bf_node *added(struct bf_graph *g, struct rng *rng, enum bf_op op, struct bf_tensor *x, struct bf_tensor *y) {
  struct bf_attrs a = {.left_shift = rng_next(rng) % 3 ? (int32_t)rng_range(rng, 1, 20) : 0};
  struct bf_tensor *inputs[2] = {x, y};
  struct bf_node *node = finish(g, rng, op, inputs, 2, &a, random_type(rng), false);
  if (!node) return NULL;
  node->attrs.requant.mode = BF_REQUANT_TFLITE;
  fill(g, rng, &node->attrs.requant, 1);
  node->attrs.requant.shift[0] -= 6;
  node->attrs.requant.out_zero = node->output->quant.zero[0];
  node->attrs.requant.lo = bf_type_min(node->output->type);
  node->attrs.requant.hi = bf_type_max(node->output->type);
  for (int i = 0; i < 2; i++) {
    if (!a.left_shift) {  // any rule, for each channel; what its bounds say is not used
      node->attrs.in_requant[i] = requant(g, rng, node->output, (uint32_t)node->output->shape[3]);
      continue;
    }
    node->attrs.in_requant[i].mode = BF_REQUANT_TFLITE;
    fill(g, rng, &node->attrs.in_requant[i], 1);
    if (node->attrs.in_requant[i].shift[0] > 0) node->attrs.in_requant[i].shift[0] = 0;
    node->attrs.in_requant[i].lo = INT32_MIN;
    node->attrs.in_requant[i].hi = INT32_MAX;
  }
  return node;
}

static struct bf_node *elementwise(struct bf_graph *g, struct rng *rng, enum random_kind kind, struct bf_tensor *x,
                                   struct bf_tensor *y) {
  static const enum bf_op ops[] = {BF_OP_SUB, BF_OP_MUL, BF_OP_MAXIMUM, BF_OP_MINIMUM, BF_OP_ADD};
  enum bf_op op = kind == RANDOM_ADD ? BF_OP_ADD
                  : kind < RANDOM_BROADCAST ? ops[kind - RANDOM_SUB]
                                            : ops[rng_next(rng) % BF_COUNT(ops)];
  if (rng_next(rng) % 2 && kind >= RANDOM_BROADCAST) {
    struct bf_tensor *t = x;
    x = y;
    y = t;
  }
  return op == BF_OP_ADD || op == BF_OP_SUB ? added(g, rng, op, x, y) : combined(g, rng, op, x, y);
}

static struct bf_node *reduced(struct bf_graph *g, struct rng *rng, struct bf_tensor *x) {
  struct bf_attrs a = {.axes = (uint32_t)rng_range(rng, 1, 15)};
  struct bf_node *node = finish(g, rng, BF_OP_REDUCE_SUM, &x, 1, &a, random_type(rng), false);
  if (node) node->attrs.requant = requant(g, rng, node->output, (uint32_t)node->output->shape[3]);
  return node;
}

static struct bf_node *looked_up(struct bf_graph *g, struct rng *rng, struct bf_tensor *x) {
  struct bf_attrs a = {0};
  struct bf_type type = random_type(rng);
  if (x->type.bits > 8) return NULL;
  uint64_t size = (uint64_t)1 << x->type.bits;
  struct bf_tensor *inputs[2] = {x, constant(g, rng, "t", type, 1, &size, true)};
  return finish(g, rng, BF_OP_TABLE, inputs, 2, &a, type, false);
}

static struct bf_node *moved(struct bf_graph *g, struct rng *rng, enum random_kind kind, struct bf_tensor *x) {
  struct bf_attrs a = {.perm = {0, 1, 2, 3}};
  for (int i = 0; i < 2; i++) a.factor[i] = (int32_t)rng_range(rng, 1, 3);
  for (int i = 3; i > 0; i--) {
    int k = (int)rng_range(rng, 0, i);
    int32_t swapped = a.perm[i];
    a.perm[i] = a.perm[k];
    a.perm[k] = swapped;
  }
  for (int i = 0; i < 4; i++) {
    int64_t size = (int64_t)x->shape[i], step = rng_range(rng, 1, 3), begin = rng_range(rng, 0, size - 1);
    bool back = rng_next(rng) % 2;
    int64_t most = (back ? begin : size - 1 - begin) / step + 1;
    a.begin[i] = (int32_t)begin;
    a.step[i] = (int32_t)(back ? -step : step);
    a.count[i] = (int32_t)rng_range(rng, 1, most);
  }
  enum bf_op op = kind == RANDOM_TRANSPOSE ? BF_OP_TRANSPOSE : kind == RANDOM_SLICE ? BF_OP_SLICE : BF_OP_SPREAD;
  return finish(g, rng, op, &x, 1, &a, x->type, true);
}

static struct bf_node *simple(struct bf_graph *g, struct rng *rng, enum random_kind kind, struct bf_tensor *x, struct bf_tensor *y) {
  struct bf_attrs a = {0};
  struct bf_tensor *inputs[2] = {x, y};
  switch (kind) {
  case RANDOM_MAX_POOL:
  case RANDOM_AVG_POOL:
    window(rng, &a, true);
    none(&a.requant, x->type, rng);
    return finish(g, rng, kind == RANDOM_MAX_POOL ? BF_OP_MAX_POOL : BF_OP_AVG_POOL, inputs, 1, &a, x->type, true);
  case RANDOM_CLAMP:
    none(&a.requant, x->type, rng);
    return finish(g, rng, BF_OP_CLAMP, inputs, 1, &a, x->type, true);
  case RANDOM_PAD:
    for (unsigned i = 1; i < 4; i++)
      for (int j = 0; j < 2; j++) a.pads[i][j] = (int32_t)rng_range(rng, 0, 2);
    a.pad_value = rng_range(rng, bf_type_min(x->type), bf_type_max(x->type));
    return finish(g, rng, BF_OP_PAD, inputs, 1, &a, x->type, true);
  case RANDOM_CONCAT:
    a.axis = (int)rng_range(rng, 1, 3);
    return finish(g, rng, BF_OP_CONCAT, inputs, 2, &a, x->type, true);
  case RANDOM_ARGMAX:
    a.axis = 3;
    return finish(g, rng, BF_OP_ARGMAX, inputs, 1, &a, (struct bf_type){rng_next(rng) % 2 ? BF_TYPE_U : BF_TYPE_S, 16}, false);
  case RANDOM_REQUANTIZE: {
    struct bf_node *node = finish(g, rng, BF_OP_REQUANTIZE, inputs, 1, &a, random_type(rng), false);
    if (node) node->attrs.requant = requant(g, rng, node->output, (uint32_t)x->shape[3]);
    return node;
  }
  default: return NULL;
  }
}

static struct bf_node *reshaped(struct bf_graph *g, struct rng *rng, struct bf_tensor *x) {
  uint64_t flat[2] = {x->shape[0], x->elements / x->shape[0]};
  struct bf_tensor *out = tensor(g, rng, "flat", x->type, 2, flat);
  out->quant = x->quant;
  out->is_output = true;
  x->is_output = false;
  return bf_graph_node(g, BF_OP_RESHAPE, "flat", &x, 1, out);
}

struct bf_graph *random_graph(struct rng *rng, enum random_kind kind) {
  struct bf_graph *g = bf_graph_new("random");
  uint64_t shape[4] = {(uint64_t)rng_range(rng, 1, 2), (uint64_t)rng_range(rng, 3, 7), (uint64_t)rng_range(rng, 3, 7),
                       (uint64_t)rng_range(rng, 1, 5)};
  if (kind == RANDOM_GROUPS) shape[3] = (uint64_t)rng_range(rng, 2, 9);
  uint64_t flat[2] = {shape[0], shape[3] * (kind == RANDOM_WIDE ? 15 : 5)};
  struct bf_type type = random_type(rng);
  bool pair = kind == RANDOM_ADD || (kind >= RANDOM_SUB && kind <= RANDOM_CONSTANT);
  bool dense = kind == RANDOM_DENSE || kind == RANDOM_WIDE, two = pair || kind == RANDOM_CONCAT, fixed = kind == RANDOM_CONSTANT;
  uint64_t other[4];
  memcpy(other, shape, sizeof other);
  for (int i = 0; i < 4 && (kind == RANDOM_BROADCAST || fixed); i++)
    if (rng_next(rng) % 2) other[i] = 1;
    else if (rng_next(rng) % 4 == 0) shape[i] = 1;
  struct bf_tensor *x = tensor(g, rng, "x", type, dense ? 2 : 4, dense ? flat : shape), *y = NULL;
  x->is_input = true;
  if (two) {
    struct bf_type other_type = pair ? random_type(rng) : type;
    y = fixed ? constant(g, rng, "y", other_type, 4, other, true) : tensor(g, rng, "y", other_type, 4, other);
    y->is_input = !fixed;
    if (kind == RANDOM_CONCAT) y->quant = x->quant;
  }
  struct bf_node *node;
  if (kind == RANDOM_RESHAPE) node = reshaped(g, rng, x);
  else if (kind <= RANDOM_DENSE || kind >= RANDOM_GROUPS) node = weighted(g, rng, kind, x);
  else if (pair) node = elementwise(g, rng, kind, x, y);
  else if (kind == RANDOM_REDUCE_SUM) node = reduced(g, rng, x);
  else if (kind == RANDOM_TABLE) node = looked_up(g, rng, x);
  else if (kind >= RANDOM_FEW_BITS) node = convolved(g, rng, kind, x);
  else if (kind > RANDOM_TABLE) node = moved(g, rng, kind, x);
  else node = simple(g, rng, kind, x, y);
  if (!node) {  // a window larger than its input
    bf_graph_free(g);
    return random_graph(rng, kind);
  }
  if (kind != RANDOM_RESHAPE && node->output->rank == 4 && rng_next(rng) % 4 == 0) reshaped(g, rng, node->output);
  return g;
}
