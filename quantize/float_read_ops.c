// SPDX-License-Identifier: Apache-2.0
// One function for each ONNX operator that a float network may have.
#include <math.h>
#include <string.h>

#include "quantize/float_read.h"

#define MOST_WEIGHTS ((uint64_t)1 << 28)

// ---- layers with weights

static bool finite_weights(struct bf_float_reader *r, const float *v, uint64_t n) {
  for (uint64_t i = 0; i < n; i++)
    if (!(fabsf(v[i]) < 1e30f)) return bf_onx_fail(&r->l, NULL, "a weight or bias that is no finite number, or a huge one");
  return true;
}

static bool take_bias(struct bf_float_reader *r, struct bf_float_node *n, size_t operand, double factor) {
  n->bias = bf_arena_alloc(&r->net->arena, n->c, sizeof *n->bias);
  const struct bf_onx_value *v = bf_onx_input(&r->l, operand);
  if (!v) return true;
  const struct bf_onx_const *c = bf_onx_constant(&r->l, operand);
  if (!c) return false;
  if (c->count != n->c && c->count != 1) return bf_onx_fail(&r->l, NULL, "a bias of %llu numbers", (unsigned long long)c->count);
  for (uint64_t i = 0; i < n->c; i++) n->bias[i] = (float)(factor * bf_onx_real(c, c->count > 1 ? i : 0));
  return finite_weights(r, n->bias, n->c);
}

static void take_window(struct bf_float_node *n, const struct bf_onx_window *w) {
  for (int d = 0; d < 2; d++) {
    n->kernel[d] = (int32_t)w->kernel[d];
    n->stride[d] = (int32_t)w->stride[d];
    n->dilation[d] = (int32_t)w->dilation[d];
  }
  for (int i = 0; i < 4; i++) n->pad[i] = (int32_t)w->pad[i];
  n->h = w->out[0];
  n->w = w->out[1];
}

static bool read_window(struct bf_float_reader *r, const struct bf_float_node *x, const int64_t *kernel,
                        struct bf_onx_window *w) {
  if (x->flat) return bf_onx_fail(&r->l, "images of 4 dimensions work", "the operand is no image");
  const uint64_t shape[4] = {1, x->h, x->w, x->c};
  return bf_onx_window(&r->l, 2, shape, kernel, NULL, w);
}

bool bf_float_read_conv(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  const struct bf_onx_const *w = x ? bf_onx_constant(l, 1) : NULL;
  struct bf_onx_window win;
  int64_t group = bf_onx_int(l->node, "group", 1);
  if (!w) return false;
  if (w->shape.rank != 4) return bf_onx_fail(l, "2-D convolutions work", "weights of %u dimensions", w->shape.rank);
  const uint64_t *d = w->shape.dims;
  const int64_t kernel[2] = {(int64_t)d[2], (int64_t)d[3]};
  if (group < 1 || group > UINT16_MAX || d[1] * (uint64_t)group != x->c || d[0] % (uint64_t)group || !d[0])
    return bf_onx_fail(l, NULL, "groups and weights that do not fit the %llu channels", (unsigned long long)x->c);
  if (!read_window(r, x, kernel, &win)) return false;
  if (w->count > MOST_WEIGHTS) return bf_onx_fail(l, NULL, "too many weights");
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_CONV, x);
  take_window(n, &win);
  n->c = d[0];
  n->groups = (uint32_t)group;
  n->depth = d[1] * d[2] * d[3];
  n->weights = bf_arena_alloc(&r->net->arena, w->count, sizeof *n->weights);
  for (uint64_t o = 0; o < d[0]; o++)
    for (uint64_t i = 0; i < d[1]; i++)
      for (uint64_t k = 0; k < d[2] * d[3]; k++)
        n->weights[(o * d[2] * d[3] + k) * d[1] + i] = (float)bf_onx_real(w, (o * d[1] + i) * d[2] * d[3] + k);
  n->name = bf_arena_strdup(&r->net->arena, bf_onx_unique(l, bf_onx_layer_hint(l, w, "conv")));
  return finite_weights(r, n->weights, w->count) && take_bias(r, n, 2, 1) && bf_float_define(r, n);
}

// Where the model's feature i of x lies.
static uint64_t feature(const struct bf_float_node *x, uint64_t i) {
  uint64_t pixels = x->h * x->w;
  return i % pixels * x->c + i / pixels;
}

// Gemm and MatMul with a constant matrix.
bool bf_float_read_gemm(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  const struct bf_onx_const *w = x ? bf_onx_constant(l, 1) : NULL;
  bool matmul = strcmp(l->node->op_type, "MatMul") == 0, turned = bf_onx_int(l->node, "transB", 0) != 0;
  double alpha = bf_onx_float(l->node, "alpha", 1), beta = bf_onx_float(l->node, "beta", 1);
  if (!w) return false;
  uint64_t in = bf_float_elements(x);
  if (!x->flat) return bf_onx_fail(l, "put a Flatten before it", "the operand is no list of features");
  if (w->shape.rank != 2 || w->shape.dims[turned ? 1 : 0] != in || bf_onx_int(l->node, "transA", 0) || !w->count)
    return bf_onx_fail(l, NULL, "a matrix that does not fit the %llu features", (unsigned long long)in);
  if (w->count > MOST_WEIGHTS) return bf_onx_fail(l, NULL, "too many weights");
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_DENSE, x);
  n->h = n->w = 1;
  n->c = w->count / in;
  n->depth = in;
  n->weights = bf_arena_alloc(&r->net->arena, w->count, sizeof *n->weights);
  for (uint64_t o = 0; o < n->c; o++)
    for (uint64_t i = 0; i < in; i++)
      n->weights[o * in + feature(x, i)] = (float)(alpha * bf_onx_real(w, turned ? o * in + i : i * n->c + o));
  n->name = bf_arena_strdup(&r->net->arena, bf_onx_unique(l, bf_onx_layer_hint(l, w, "fc")));
  return finite_weights(r, n->weights, w->count) && take_bias(r, n, matmul ? 9 : 2, beta) && bf_float_define(r, n);
}

// ---- factors and addends of channels

// One number, or one for each channel of x: *step 0 or 1. False if the constant has another shape.
static bool per_channel(const struct bf_float_node *x, const struct bf_onx_const *c, uint64_t *step) {
  *step = 0;
  if (c->count == 1) return true;
  unsigned behind = x->flat ? 0 : 2;
  *step = 1;
  if (c->count != x->c || (x->flat && x->h * x->w != 1) || c->shape.rank <= behind) return false;
  return c->shape.dims[c->shape.rank - 1 - behind] == x->c;
}

static bool define_affine(struct bf_float_reader *r, struct bf_float_node *n) {
  return finite_weights(r, n->weights, n->c) && finite_weights(r, n->bias, n->c) && bf_float_define(r, n);
}

static struct bf_float_node *affine_new(struct bf_float_reader *r, struct bf_float_node *x) {
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_AFFINE, x);
  n->weights = bf_arena_alloc(&r->net->arena, n->c, sizeof *n->weights);
  n->bias = bf_arena_alloc(&r->net->arena, n->c, sizeof *n->bias);
  return n;
}

bool bf_float_read_batchnorm(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  const struct bf_onx_const *c[4];
  double epsilon = bf_onx_float(l->node, "epsilon", 1e-5);
  if (!x) return false;
  if (x->flat && x->h * x->w != 1) return bf_onx_fail(l, NULL, "normalization of an image as features");
  for (size_t i = 0; i < 4; i++) {
    if (!(c[i] = bf_onx_constant(l, i + 1))) return false;
    if (c[i]->count != x->c) return bf_onx_fail(l, NULL, "normalization of another number of channels");
  }
  struct bf_float_node *n = affine_new(r, x);
  for (uint64_t i = 0; i < n->c; i++) {
    double factor = bf_onx_real(c[0], i) / sqrt(bf_onx_real(c[3], i) + epsilon);
    n->weights[i] = (float)factor;
    n->bias[i] = (float)(bf_onx_real(c[1], i) - factor * bf_onx_real(c[2], i));
  }
  return define_affine(r, n);
}

// x + c, x - c, c - x, x * c, x / c.
bool bf_float_read_scale(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const struct bf_onx_value *a = bf_onx_input(l, 0), *b = bf_onx_input(l, 1);
  const char *op = l->node->op_type;
  bool first = a && a->constant, product = strcmp(op, "Mul") == 0, quotient = strcmp(op, "Div") == 0, minus = strcmp(op, "Sub") == 0;
  if (!a || !b || (!first && !b->constant) || (first && quotient))
    return bf_onx_fail(l, "a constant second operand works", "this of two computed values cannot be quantized");
  struct bf_float_node *x = bf_float_operand(r, first ? 1 : 0);
  const struct bf_onx_const *c = first ? a->constant : b->constant;
  uint64_t step;
  if (!x) return false;
  if (!per_channel(x, c, &step)) return bf_onx_fail(l, "one number, or one for each channel, works", "a constant of another shape");
  struct bf_float_node *n = affine_new(r, x);
  for (uint64_t i = 0; i < n->c; i++) {
    double v = bf_onx_real(c, i * step);
    n->weights[i] = (float)(product ? v : quotient ? 1 / v : minus && first ? -1 : 1);
    n->bias[i] = (float)(product || quotient ? 0 : minus && !first ? -v : v);
  }
  return define_affine(r, n);
}

bool bf_float_read_add(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  const struct bf_onx_value *a = bf_onx_input(l, 0), *b = bf_onx_input(l, 1);
  if (l->node->n_input != 2) return bf_onx_fail(l, NULL, "a sum of %zu values; two work", l->node->n_input);
  if ((a && a->constant) || (b && b->constant)) return bf_float_read_scale(r);
  struct bf_float_node *x = bf_float_operand(r, 0), *y = x ? bf_float_operand(r, 1) : NULL;
  if (!y) return false;
  if (x->h != y->h || x->w != y->w || x->c != y->c || x->flat != y->flat)
    return bf_onx_fail(l, "values of one shape work", "a sum of values of two shapes");
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_ADD, x);
  n->in[n->nin++] = y;
  return bf_float_define(r, n);
}

// ---- clamps

static bool bound(struct bf_float_reader *r, const char *name, size_t i, float *out) {
  const struct bf_onx_value *v = bf_onx_input(&r->l, i);
  if (bf_onx_attribute(r->l.node, name)) *out = (float)bf_onx_float(r->l.node, name, 0);
  if (!v) return true;
  const struct bf_onx_const *c = bf_onx_constant(&r->l, i);
  if (!c) return false;
  if (c->count != 1) return bf_onx_fail(&r->l, NULL, "a bound of several numbers");
  *out = (float)bf_onx_real(c, 0);
  return true;
}

// Relu and Clip.
bool bf_float_read_clip(struct bf_float_reader *r) {
  struct bf_float_node *x = bf_float_operand(r, 0);
  if (!x) return false;
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_CLIP, x);
  if (strcmp(r->l.node->op_type, "Relu") == 0) n->lo = 0;
  else if (!bound(r, "min", 1, &n->lo) || !bound(r, "max", 2, &n->hi)) return false;
  if (!(n->lo < n->hi) || n->lo > 0 || n->hi < 0)
    return bf_onx_fail(&r->l, "bounds on both sides of 0, or at it, work", "bounds %g and %g", (double)n->lo, (double)n->hi);
  return bf_float_define(r, n);
}

// ---- pools

bool bf_float_read_pool(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  bool max = strcmp(l->node->op_type, "MaxPool") == 0;
  struct bf_onx_window win;
  if (!x || !read_window(r, x, NULL, &win)) return false;
  bool padded = win.pad[0] || win.pad[1] || win.pad[2] || win.pad[3];
  if (win.dilation[0] != 1 || win.dilation[1] != 1 || l->node->n_output > 1)
    return bf_onx_fail(l, NULL, "a pool with dilation or indices");
  if (!max && ((padded && !bf_onx_int(l->node, "count_include_pad", 0)) || win.sticks_out))
    return bf_onx_fail(l, "count_include_pad, or no padding, works", "an average that does not count its padding");
  struct bf_float_node *n = bf_float_node_new(r, max ? BF_FLOAT_MAX_POOL : BF_FLOAT_AVERAGE, x);
  take_window(n, &win);
  for (int d = 0; d < 2; d++)  // a window of padding alone has no largest element
    if (max && (n->pad[2 * d] >= n->kernel[d] || n->pad[2 * d + 1] >= n->kernel[d]))
      return bf_onx_fail(l, NULL, "padding as large as the window");
  return bf_float_define(r, n);
}

static bool average_all(struct bf_float_reader *r, struct bf_float_node *x, bool flat) {
  if (!x) return false;
  if (x->flat || x->h > UINT16_MAX || x->w > UINT16_MAX) return bf_onx_fail(&r->l, NULL, "the operand is no image");
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_AVERAGE, x);
  n->kernel[0] = n->stride[0] = (int32_t)x->h;
  n->kernel[1] = n->stride[1] = (int32_t)x->w;
  n->h = n->w = 1;
  if (!flat) return bf_float_define(r, n);
  bf_float_define(r, n);
  n = bf_float_node_new(r, BF_FLOAT_FLATTEN, n);
  n->flat = true;
  return bf_float_define(r, n);
}

bool bf_float_read_global_average(struct bf_float_reader *r) { return average_all(r, bf_float_operand(r, 0), false); }

bool bf_float_read_reduce_mean(struct bf_float_reader *r) {
  int64_t axes[4];
  size_t count = 0;
  struct bf_float_node *x = bf_float_operand(r, 0);
  if (!x) return false;
  bool known = bf_onx_list(&r->l, "axes", 1, 4, axes, &count) && count == 2;
  for (size_t i = 0; known && i < 2; i++) axes[i] += axes[i] < 0 ? 4 : 0;
  if (!known || axes[0] + axes[1] != 5 || axes[0] * axes[1] != 6)
    return bf_onx_fail(&r->l, NULL, "a mean over other dimensions than height and width");
  return average_all(r, x, bf_onx_int(r->l.node, "keepdims", 1) == 0);
}

// ---- movement

bool bf_float_read_identity(struct bf_float_reader *r) {
  struct bf_float_node *x = bf_float_operand(r, 0);
  return x && bf_float_define(r, x);
}

static bool squeezed_shape(struct bf_float_reader *r, const struct bf_onx_shape *from, struct bf_onx_shape *to) {
  int64_t axes[BF_ONX_DIMS];
  size_t count = 0;
  bool squeeze = strcmp(r->l.node->op_type, "Squeeze") == 0;
  if (!bf_onx_list(&r->l, "axes", 1, 4, axes, &count)) return bf_onx_fail(&r->l, NULL, "dimensions that are not constants");
  unsigned rank = squeeze ? from->rank : from->rank + (unsigned)count, k = 0;
  *to = (struct bf_onx_shape){0};
  if (rank > BF_ONX_DIMS) return bf_onx_fail(&r->l, NULL, "too many dimensions");
  for (unsigned d = 0; d < rank; d++) {
    bool named = false;
    for (size_t i = 0; i < count; i++) named |= axes[i] == (int64_t)d || axes[i] == (int64_t)d - (int64_t)rank;
    if (squeeze) {
      if (!named) to->dims[to->rank++] = from->dims[d];
      else if (from->dims[d] != 1) return bf_onx_fail(&r->l, NULL, "a dimension that is not 1 is taken away");
    } else {
      to->dims[to->rank++] = named || k >= from->rank ? 1 : from->dims[k++];
    }
  }
  return true;
}

static bool target_shape(struct bf_float_reader *r, const struct bf_onx_shape *from, struct bf_onx_shape *to) {
  const char *op = r->l.node->op_type;
  if (strcmp(op, "Reshape") == 0) return bf_onx_target_shape(&r->l, from, to);
  if (strcmp(op, "Flatten") != 0) return squeezed_shape(r, from, to);
  int64_t axis = bf_onx_int(r->l.node, "axis", 1);
  if (axis < 0) axis += from->rank;
  *to = (struct bf_onx_shape){.rank = 2, .dims = {1, bf_onx_elements(from)}};
  return axis == 1 || bf_onx_fail(&r->l, NULL, "flattening at another dimension than the second");
}

// Between images and features; other shapes have no meaning here.
bool bf_float_read_reshape(struct bf_float_reader *r) {
  struct bf_float_node *x = bf_float_operand(r, 0);
  struct bf_onx_shape to;
  if (!x || !target_shape(r, &bf_onx_input(&r->l, 0)->layout.shape, &to)) return false;
  uint64_t elements = bf_float_elements(x);
  bool flat = to.rank == 2 && to.dims[0] == 1 && to.dims[1] == elements;
  bool same = !x->flat && to.rank == 4 && to.dims[1] == x->c && to.dims[2] == x->h && to.dims[3] == x->w;
  bool image = x->flat && x->h * x->w == 1 && to.rank == 4 && to.dims[1] == elements;
  if ((flat && x->flat) || same) return bf_float_define(r, x);
  if (!flat && !image)
    return bf_onx_fail(&r->l, "from images to features, [1, n], works", "a reshape to %u dimensions of this kind", to.rank);
  struct bf_float_node *n = bf_float_node_new(r, flat ? BF_FLOAT_FLATTEN : BF_FLOAT_UNFLATTEN, x);
  n->flat = flat;
  return bf_float_define(r, n);
}

bool bf_float_read_pad(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  int64_t p[8];
  size_t count = 0;
  if (!x) return false;
  const struct bf_onx_value *value = bf_onx_input(l, 2);
  double v = value && value->constant && value->constant->count == 1 ? bf_onx_real(value->constant, 0) : bf_onx_float(l->node, "value", 0);
  if (x->flat || !bf_onx_list(l, "pads", 1, 8, p, &count) || count != 8) return bf_onx_fail(l, NULL, "pads of another kind than an image has");
  bool none = true;
  for (int i = 0; i < 8; i++) {
    none &= p[i] == 0;
    if (p[i] < 0 || p[i] > UINT16_MAX) return bf_onx_fail(l, NULL, "a pad of %lld", (long long)p[i]);
  }
  if (none) return bf_float_define(r, x);
  if (v != 0 || (value && !value->constant) || p[0] || p[4] || (bf_onx_attribute(l->node, "mode") && !bf_onx_string_is(l->node, "mode", "constant")))
    return bf_onx_fail(l, "padding an image with 0 works", "padding of another kind");
  struct bf_float_node *n = bf_float_node_new(r, BF_FLOAT_PAD, x);
  for (int d = 0; d < 2; d++) n->pad[2 * d] = (int32_t)p[2 + d], n->pad[2 * d + 1] = (int32_t)p[6 + d];
  n->channel_pad[0] = (int32_t)p[1];
  n->channel_pad[1] = (int32_t)p[5];
  n->h += (uint64_t)(p[2] + p[6]);
  n->w += (uint64_t)(p[3] + p[7]);
  n->c += (uint64_t)(p[1] + p[5]);
  return bf_float_define(r, n);
}

// One dimension of a slice, as the standard says; false if nothing is left.
static bool cut(int64_t size, int64_t begin, int64_t end, int64_t step, int32_t *first, uint64_t *count) {
  if (begin < 0) begin += size;
  if (end < 0) end += size;
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  begin = begin < 0 ? 0 : begin > high ? high : begin;
  end = end < low ? low : end > high ? high : end;
  int64_t span = step > 0 ? end - begin : begin - end, stride = step > 0 ? step : -step;
  *first = (int32_t)begin;
  *count = span > 0 ? (uint64_t)((span - 1) / stride + 1) : 0;
  return span > 0;
}

bool bf_float_read_slice(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  int64_t begin[4], end[4], axes[4] = {0, 1, 2, 3}, step[4] = {1, 1, 1, 1};
  size_t n = 0, ne = 0, na = 0, ns = 0;
  if (!x) return false;
  if (x->flat || !bf_onx_list(l, "starts", 1, 4, begin, &n) || !bf_onx_list(l, "ends", 2, 4, end, &ne) || n != ne ||
      (bf_onx_list(l, "axes", 3, 4, axes, &na) && na != n) || (bf_onx_list(l, "steps", 4, 4, step, &ns) && ns != n))
    return bf_onx_fail(l, NULL, "a slice of another kind than images have");
  struct bf_float_node *y = bf_float_node_new(r, BF_FLOAT_SLICE, x);
  uint64_t *const sizes[4] = {NULL, &y->c, &y->h, &y->w};
  static const int at[4] = {0, 2, 0, 1};
  for (size_t i = 0; i < n; i++) {
    int64_t d = axes[i] + (axes[i] < 0 ? 4 : 0);
    if (d < 1 || d > 3 || step[i] == 0 || step[i] > UINT16_MAX || step[i] < -UINT16_MAX)
      return bf_onx_fail(l, NULL, "a slice across the batch, or with an odd step");
    if (!cut((int64_t)*sizes[d], begin[i], end[i], step[i], &y->begin[at[d]], sizes[d]))
      return bf_onx_fail(l, NULL, "a slice that leaves nothing");
    y->step[at[d]] = (int32_t)step[i];
  }
  return bf_float_define(r, y);
}

bool bf_float_read_shape(struct bf_float_reader *r) { return bf_onx_op_shape(&r->l); }

// Softmax at the end: the order of its inputs is that of its results.
bool bf_float_read_tail(struct bf_float_reader *r) {
  struct bf_onx_lower *l = &r->l;
  struct bf_float_node *x = bf_float_operand(r, 0);
  const BfOnnx__Graph *g = l->model->graph;
  if (!x) return false;
  bool last = g->n_output == 1 && g->output[0]->name && strcmp(g->output[0]->name, l->node->output[0]) == 0;
  if (!last) return bf_onx_fail(l, "at the end of the network it is left out", "this operator cannot be quantized here");
  bf_onx_leave_out(l, "the network ends with its operand");
  return bf_float_define(r, x);
}
