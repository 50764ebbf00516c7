// SPDX-License-Identifier: Apache-2.0
// Layers with weights, and pooling, from recorded vectors.
#include "tests/support/vec_build.h"

// The weights as one value an element: int4 weights stay packed in the vectors, two a byte, low nibble first.
static int64_t *unpacked(const struct vec_tensor *w, uint64_t elements) {
  int64_t *out = bf_alloc(elements, sizeof *out);
  for (uint64_t i = 0; i < elements; i++) {
    bool packed = w->count < elements;
    int64_t nibble = w->values[packed ? i / 2 : i] >> (i % 2 * 4) & 15;
    out[i] = !packed ? w->values[i] : nibble > 7 ? nibble - 16 : nibble;
  }
  return out;
}

// A depthwise weight [ky][kx][channel] in the order of a grouped convolution, [channel][ky][kx].
static int64_t *by_channel(int64_t *w, uint64_t taps, uint64_t channels) {
  int64_t *out = bf_alloc(taps * channels, sizeof *out);
  for (uint64_t t = 0; t < taps; t++)
    for (uint64_t c = 0; c < channels; c++) out[c * taps + t] = w[t * channels + c];
  free(w);
  return out;
}

static struct bf_type weight_type(const struct vec_tensor *w, uint64_t elements) {
  return (struct bf_type){BF_TYPE_S, w->count < elements ? 4 : 8};
}

static const struct vec_tensor *bias_of(const struct vec *v) {
  const struct vec_tensor *b = vec_tensor(v, "biases");
  return b && b->count ? b : NULL;
}

static struct bf_tensor *constant(struct bf_graph *g, const char *base, const char *suffix, struct bf_type type,
                                  unsigned rank, const uint64_t *shape, int64_t zero, const int64_t *values) {
  char *name = bf_format("%s_%s", base, suffix);
  struct bf_tensor *t = vec_new_constant(g, name, type, rank, shape, zero, values);
  free(name);
  return t;
}

// Adds a convolution or dense layer of x with the weights w, and the vector's bias and requantization.
static struct bf_node *weighted(struct bf_graph *g, const struct vec *v, enum bf_op op, struct bf_tensor *x,
                                struct bf_tensor *w, struct bf_tensor *y) {
  const struct vec_tensor *b = bias_of(v);
  uint64_t outputs = y ? y->shape[y->rank - 1] : 0;
  if (!w || !y || (b && b->count != outputs)) return NULL;
  struct bf_tensor *in[3] = {x, w, NULL};
  if (b) in[2] = constant(g, y->name, "b", vec_type(b), 1, &outputs, 0, b->values);
  struct bf_node *node = bf_graph_node(g, op, y->name, in, b ? 3 : 2, y);
  vec_set_requant(g, v, &node->attrs.requant, outputs);
  // 64-bit biases are those of 16-bit activations, which have a requantization of their own.
  if (b && vec_type(b).bits > 32) node->attrs.requant.mode = BF_REQUANT_TFLITE16;
  return node;
}

static int64_t either(const struct vec *v, const char *a, const char *b, int64_t missing) {
  return vec_int(v, a, vec_int(v, b, missing));
}

// Bottom and right padding that make the window arrive at the recorded output size.
static void set_window(const struct vec *v, struct bf_attrs *a, const uint64_t *x, const uint64_t *y) {
  static const char *const keys[8][2] = {{"FILTER_Y", "FILTER_H"}, {"FILTER_X", "FILTER_W"}, {"STRIDE_Y", "STRIDE_H"},
                                         {"STRIDE_X", "STRIDE_W"}, {"DILATION_Y", "-"},      {"DILATION_X", "-"},
                                         {"PAD_Y", "PADDING_H"},   {"PAD_X", "PADDING_W"}};
  for (int i = 0; i < 2; i++) {
    a->kernel[i] = (int32_t)either(v, keys[i][0], keys[i][1], 1);
    a->stride[i] = (int32_t)either(v, keys[2 + i][0], keys[2 + i][1], 1);
    a->dilation[i] = (int32_t)either(v, keys[4 + i][0], keys[4 + i][1], 1);
    a->pad[2 * i] = (int32_t)either(v, keys[6 + i][0], keys[6 + i][1], 0);
    int64_t reach = (int64_t)(y[1 + i] - 1) * a->stride[i] + (a->kernel[i] - 1) * a->dilation[i] + 1;
    int64_t after = reach - (int64_t)x[1 + i] - a->pad[2 * i];
    a->pad[2 * i + 1] = after > 0 ? (int32_t)after : 0;
  }
}

static struct bf_tensor *image_result(struct bf_graph *g, const struct vec *v, const struct bf_tensor *x,
                                      uint64_t channels, const char *name, int64_t zero) {
  uint64_t shape[] = {x->shape[0], (uint64_t)vec_int(v, "OUTPUT_H", 0), (uint64_t)vec_int(v, "OUTPUT_W", 0), channels};
  return vec_new_tensor(g, name, x->type, 4, shape, zero);
}

struct bf_tensor *vec_add_conv(struct bf_graph *g, const struct vec *v, bool depthwise, struct bf_tensor *x,
                               const char *name) {
  const struct vec_tensor *w = vec_tensor(v, "weights");
  uint64_t outputs = (uint64_t)vec_int(v, "OUT_CH", 0), depth = x->shape[3];
  uint64_t taps = (uint64_t)(vec_int(v, "FILTER_Y", 0) * vec_int(v, "FILTER_X", 0));
  if (!w || !vec_tensor(v, "output_mult") || !outputs || !taps) return NULL;
  uint64_t per_group = depthwise ? 1 : (uint64_t)either(v, "FILTER_IN_CH", "FILTER_CH", (int64_t)depth);
  uint64_t elements = outputs * taps * per_group;
  if ((w->count != elements && w->count != (elements + 1) / 2) || depth % per_group) return NULL;
  uint64_t shape[] = {outputs, (uint64_t)vec_int(v, "FILTER_Y", 0), (uint64_t)vec_int(v, "FILTER_X", 0), per_group};
  int64_t *values = unpacked(w, elements);
  if (depthwise) values = by_channel(values, taps, outputs);
  struct bf_tensor *weights = constant(g, name, "w", weight_type(w, elements), 4, shape, 0, values);
  free(values);
  struct bf_tensor *y = image_result(g, v, x, outputs, name, vec_int(v, "OUTPUT_OFFSET", 0));
  struct bf_node *node = weighted(g, v, BF_OP_CONV2D, x, weights, y);
  if (!node) return NULL;
  set_window(v, &node->attrs, x->shape, y->shape);
  node->attrs.groups = (uint32_t)(depth / per_group);
  return y;
}

struct bf_tensor *vec_add_dense(struct bf_graph *g, const struct vec *v, struct bf_tensor *x, const char *name) {
  const struct vec_tensor *w = vec_tensor(v, "weights"), *b = bias_of(v);
  uint64_t depth = x->shape[1], outputs = b ? b->count : (uint64_t)vec_int(v, "OUT_CH", 0), elements = depth * outputs;
  if (!w || !outputs || (w->count != elements && w->count != (elements + 1) / 2)) return NULL;
  int64_t *values = unpacked(w, elements);
  struct bf_tensor *weights = constant(g, name, "w", weight_type(w, elements), 2, (uint64_t[]){outputs, depth},
                                       -vec_int(v, "FILTER_OFFSET", 0), values);
  free(values);
  struct bf_tensor *y =
      vec_new_tensor(g, name, x->type, 2, (uint64_t[]){x->shape[0], outputs}, vec_int(v, "OUTPUT_OFFSET", 0));
  return weighted(g, v, BF_OP_DENSE, x, weights, y) ? y : NULL;
}

struct bf_tensor *vec_add_pool(struct bf_graph *g, const struct vec *v, enum bf_op op, struct bf_tensor *x,
                               const char *name) {
  struct bf_tensor *y = image_result(g, v, x, x->shape[3], name, bf_quant_zero(&x->quant, 0));
  if (!y) return NULL;
  struct bf_node *node = bf_graph_node(g, op, name, &x, 1, y);
  set_window(v, &node->attrs, x->shape, y->shape);
  node->attrs.requant.lo = either(v, "ACTIVATION_MIN", "OUT_ACTIVATION_MIN", -128);
  node->attrs.requant.hi = either(v, "ACTIVATION_MAX", "OUT_ACTIVATION_MAX", 127);
  return y;
}

// The weights [out][ky][kx][in] with both directions of the kernel turned round.
static int64_t *turned(const int64_t *w, const uint64_t *shape) {
  uint64_t taps = shape[1] * shape[2], depth = shape[3];
  int64_t *out = bf_alloc(shape[0] * taps * depth, sizeof *out);
  for (uint64_t o = 0; o < shape[0]; o++)
    for (uint64_t t = 0; t < taps; t++)
      memcpy(out + (o * taps + t) * depth, w + (o * taps + taps - 1 - t) * depth, depth * sizeof *w);
  return out;
}

// The input spread out and padded, then a convolution with the kernel turned round.
struct bf_tensor *vec_add_transpose_conv(struct bf_graph *g, const struct vec *v, struct bf_tensor *x, const char *name) {
  const struct vec_tensor *w = vec_tensor(v, "weights");
  const int64_t stride[] = {vec_int(v, "STRIDE_Y", 1), vec_int(v, "STRIDE_X", 1)};
  const int64_t pad[] = {vec_int(v, "PAD_Y", 0), vec_int(v, "PAD_X", 0)};
  uint64_t outputs = (uint64_t)vec_int(v, "OUT_CH", 0), depth = x->shape[3];
  uint64_t wide[] = {x->shape[0], (x->shape[1] - 1) * (uint64_t)stride[0] + 1, (x->shape[2] - 1) * (uint64_t)stride[1] + 1, depth};
  uint64_t shape[] = {outputs, (uint64_t)vec_int(v, "FILTER_Y", 1), (uint64_t)vec_int(v, "FILTER_X", 1), depth};
  if (!w || w->count != shape[0] * shape[1] * shape[2] * shape[3]) return NULL;
  struct bf_tensor *spread = vec_new_tensor(g, "spread", x->type, 4, wide, bf_quant_zero(&x->quant, 0));
  struct bf_tensor *y = image_result(g, v, x, outputs, name, vec_int(v, "OUTPUT_OFFSET", 0));
  if (!spread || !y) return NULL;
  int64_t *values = turned(w->values, shape);
  struct bf_tensor *weights = constant(g, name, "w", (struct bf_type){BF_TYPE_S, 8}, 4, shape, 0, values);
  free(values);
  struct bf_node *first = bf_graph_node(g, BF_OP_SPREAD, "spread", &x, 1, spread);
  struct bf_node *node = weighted(g, v, BF_OP_CONV2D, spread, weights, y);
  if (!node) return NULL;
  for (int i = 0; i < 2; i++) {
    int64_t kernel = (int64_t)shape[1 + i], before = kernel - 1 - pad[i];
    first->attrs.factor[i] = (int32_t)stride[i];
    node->attrs.kernel[i] = (int32_t)kernel;
    node->attrs.pad[2 * i] = (int32_t)before;
    node->attrs.pad[2 * i + 1] = (int32_t)((int64_t)y->shape[1 + i] + kernel - 1 - before - (int64_t)wide[1 + i]);
  }
  return y;
}

struct bf_tensor *vec_add_softmax(struct bf_graph *g, struct bf_tensor *x, float scale, const char *name) {
  float out_scale;
  int32_t zero;
  x->quant.scale[0] = scale;
  if (!bf_softmax_result(x->type, x->type, &out_scale, &zero)) return NULL;
  struct bf_tensor *y = vec_new_tensor(g, name, x->type, x->rank, x->shape, zero);
  if (!y) return NULL;
  y->quant.scale[0] = out_scale;
  bf_graph_node(g, BF_OP_SOFTMAX, name, &x, 1, y);
  return y;
}
