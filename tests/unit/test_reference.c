// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: layers worked out by hand, kernel vectors published by a vendor, softmax against the
// recorded outputs of an independent interpreter. Equality is in every element.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/reference.h"
#include "support/data.h"
#include "support/vec.h"

// ---- building one-layer graphs

static const struct bf_type s8 = {BF_TYPE_S, 8};
static const struct bf_type s32 = {BF_TYPE_S, 32};

static struct bf_tensor *tensor(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                const uint64_t *shape, int64_t zero) {
  struct bf_tensor *t = bf_graph_tensor(g, name, type, rank, shape);
  assert_non_null(t);
  t->quant.count = 1;
  t->quant.scale = bf_arena_alloc(&g->arena, 1, sizeof(float));
  t->quant.zero = bf_arena_alloc(&g->arena, 1, sizeof(int32_t));
  t->quant.scale[0] = 1;
  t->quant.zero[0] = (int32_t)zero;
  return t;
}

static struct bf_tensor *constant(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                  const uint64_t *shape, int64_t zero, const int64_t *values) {
  struct bf_tensor *t = tensor(g, name, type, rank, shape, zero);
  t->data = bf_arena_alloc(&g->arena, t->elements, sizeof *t->data);
  memcpy(t->data, values, t->elements * sizeof *values);
  return t;
}

static void verify(const struct bf_graph *g) {
  struct bf_diags diags = {0};
  if (!bf_graph_verify(g, &diags)) {
    struct bf_buf text = {0};
    bf_diags_render(&diags, &text);
    fail_msg("%s", bf_buf_cstr(&text));
  }
  bf_diags_free(&diags);
}

// Verifies, runs, compares the only output; frees the graph.
static void expect(struct bf_graph *g, const int64_t *const *inputs, const int64_t *expected) {
  struct bf_diags diags = {0};
  verify(g);
  struct bf_ref_run *run = bf_ref_new(g);
  for (size_t i = 0; i < g->ntensors; i++)
    if (g->tensors[i]->is_input) assert_true(bf_ref_set_input(run, g->tensors[i], *inputs++));
  assert_true(bf_ref_run(run, &diags));
  const struct bf_tensor *out = g->nodes[g->nnodes - 1]->output;
  for (uint64_t i = 0; i < out->elements; i++)
    if (run->values[out->id][i] != expected[i])
      fail_msg("%s: element %llu is %lld, expected %lld", g->name, (unsigned long long)i,
               (long long)run->values[out->id][i], (long long)expected[i]);
  bf_ref_free(run);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

static struct bf_node *finish(struct bf_graph *g, enum bf_op op, struct bf_tensor *const *in, uint32_t n,
                              struct bf_tensor *out) {
  out->is_output = true;
  struct bf_node *node = bf_graph_node(g, op, "layer", in, n, out);
  node->attrs.requant.lo = bf_type_min(out->type);
  node->attrs.requant.hi = bf_type_max(out->type);
  return node;
}

static struct bf_tensor *input(struct bf_graph *g, const char *name, unsigned rank, const uint64_t *shape,
                               int64_t zero) {
  struct bf_tensor *t = tensor(g, name, s8, rank, shape, zero);
  t->is_input = true;
  return t;
}

// ---- by hand

static void test_conv(void **state) {
  struct bf_graph *g = bf_graph_new("conv");
  const int64_t w[] = {1, 2, 3, 4}, bias[] = {10}, x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 3, 3, 1}, 1),
                            constant(g, "w", s8, 4, (uint64_t[]){1, 2, 2, 1}, 0, w),
                            constant(g, "b", s32, 1, (uint64_t[]){1}, 0, bias)};
  struct bf_node *node = finish(g, BF_OP_CONV2D, in, 3, tensor(g, "y", s8, 4, (uint64_t[]){1, 3, 3, 1}, 0));
  node->attrs.kernel[0] = node->attrs.kernel[1] = 2;
  node->attrs.pad[1] = node->attrs.pad[3] = 1;
  node->attrs.requant.hi = 60;
  // x - 1 = 0 1 2 / 3 4 5 / 6 7 8, zero outside; y = 10 + a + 2b + 3c + 4d.
  const int64_t y[] = {37, 47, 27, 60, 60, 39, 30, 33, 18};
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_grouped_conv(void **state) {
  struct bf_graph *g = bf_graph_new("groups");
  const int64_t w[] = {2, 3, 4, 5}, x[] = {1, 10, 2, 20};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 1, 2, 2}, 0),
                            constant(g, "w", s8, 4, (uint64_t[]){4, 1, 1, 1}, 0, w)};
  struct bf_node *node = finish(g, BF_OP_CONV2D, in, 2, tensor(g, "y", s8, 4, (uint64_t[]){1, 1, 2, 4}, 0));
  node->attrs.groups = 2;
  const int64_t y[] = {2, 3, 40, 50, 4, 6, 80, 100};
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_dense(void **state) {
  struct bf_graph *g = bf_graph_new("dense");
  const int64_t w[] = {1, 2, 3, -1, -2, -3}, bias[] = {0, 5}, x[] = {1, 1, 2, -1, 0, 1};
  struct bf_tensor *in[] = {input(g, "x", 2, (uint64_t[]){2, 3}, 0),
                            constant(g, "w", s8, 2, (uint64_t[]){2, 3}, 1, w),
                            constant(g, "b", s32, 1, (uint64_t[]){2}, 0, bias)};
  finish(g, BF_OP_DENSE, in, 3, tensor(g, "y", s8, 2, (uint64_t[]){2, 2}, 0));
  // w - 1 = 0 1 2 / -2 -3 -4
  const int64_t y[] = {5, 5 - 2 - 3 - 8, 2, 5 + 2 - 4};
  expect(g, (const int64_t *const[]){x}, y);
}

static void pool(enum bf_op op, const int64_t *y) {
  struct bf_graph *g = bf_graph_new("pool");
  const int64_t x[] = {-1, -2, -3, 5, 6, -7, -8, 9, 10};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 3, 3, 1}, -128)};
  struct bf_node *node = finish(g, op, in, 1, tensor(g, "y", s8, 4, (uint64_t[]){1, 2, 2, 1}, -128));
  for (int i = 0; i < 2; i++) node->attrs.kernel[i] = node->attrs.stride[i] = 2;
  node->attrs.pad[0] = node->attrs.pad[2] = 1;
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_pools(void **state) {
  // Windows: {-1}, {-2, -3}, {5, -8}, {6, -7, 9, 10}.
  pool(BF_OP_MAX_POOL, (const int64_t[]){-1, -2, 5, 10});
  pool(BF_OP_AVG_POOL, (const int64_t[]){-1, -3, -2, 5});  // -2.5 and -1.5 away from zero; 4.5 too
}

static void test_add(void **state) {
  struct bf_graph *g = bf_graph_new("add");
  const int64_t a[] = {1, -100, 100}, b[] = {2, -50, 50};
  struct bf_tensor *in[] = {input(g, "a", 2, (uint64_t[]){1, 3}, 1), input(g, "b", 2, (uint64_t[]){1, 3}, 0)};
  struct bf_node *node = finish(g, BF_OP_ADD, in, 2, tensor(g, "y", s8, 2, (uint64_t[]){1, 3}, 3));
  int64_t mult = 3;
  int32_t shift = 1;
  node->attrs.in_requant[1] = (struct bf_requant){.mode = BF_REQUANT_DYADIC, .count = 1, .mult = &mult, .shift = &shift};
  node->attrs.requant.out_zero = 3;
  const int64_t y[] = {0 + 3 + 3, -128, 127};
  expect(g, (const int64_t *const[]){a, b}, y);
}

static void test_movers(void **state) {
  struct bf_graph *g = bf_graph_new("pad");
  const int64_t x[] = {1, 2, 3, 4}, z[] = {9, 8};
  struct bf_tensor *in[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 0)};
  struct bf_node *node = finish(g, BF_OP_PAD, in, 1, tensor(g, "y", s8, 2, (uint64_t[]){3, 4}, 0));
  node->attrs.pads[0][0] = node->attrs.pads[1][0] = node->attrs.pads[1][1] = 1;
  node->attrs.pad_value = -5;
  expect(g, (const int64_t *const[]){x}, (const int64_t[]){-5, -5, -5, -5, -5, 1, 2, -5, -5, 3, 4, -5});

  g = bf_graph_new("concat");
  struct bf_tensor *two[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 0), input(g, "z", 2, (uint64_t[]){2, 1}, 0)};
  node = finish(g, BF_OP_CONCAT, two, 2, tensor(g, "y", s8, 2, (uint64_t[]){2, 3}, 0));
  node->attrs.axis = 1;
  expect(g, (const int64_t *const[]){x, z}, (const int64_t[]){1, 2, 9, 3, 4, 8});

  g = bf_graph_new("argmax");
  const int64_t m[] = {1, 7, 7, 3, 2, 1};
  struct bf_tensor *one[] = {input(g, "x", 2, (uint64_t[]){2, 3}, 0)};
  node = finish(g, BF_OP_ARGMAX, one, 1, tensor(g, "y", (struct bf_type){BF_TYPE_U, 2}, 1, (uint64_t[]){2}, 0));
  node->attrs.axis = 1;
  expect(g, (const int64_t *const[]){m}, (const int64_t[]){1, 0});

  g = bf_graph_new("clamp");
  struct bf_tensor *c[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 2)};
  node = finish(g, BF_OP_CLAMP, c, 1, tensor(g, "y", s8, 2, (uint64_t[]){2, 2}, 2));
  node->attrs.requant.lo = 2;
  node->attrs.requant.hi = 3;
  expect(g, (const int64_t *const[]){x}, (const int64_t[]){2, 2, 3, 3});
}

static void test_inputs(void **state) {
  struct bf_diags diags = {0};
  struct bf_graph *g = bf_graph_new("inputs");
  struct bf_tensor *in[] = {input(g, "x", 1, (uint64_t[]){2}, 0)};
  finish(g, BF_OP_RESHAPE, in, 1, tensor(g, "y", s8, 2, (uint64_t[]){1, 2}, 0));
  verify(g);
  struct bf_ref_run *run = bf_ref_new(g);
  assert_false(bf_ref_run(run, &diags));  // no value yet
  assert_int_equal(diags.errors, 1);
  assert_false(bf_ref_set_input(run, in[0], (const int64_t[]){0, 128}));
  assert_true(bf_ref_set_input(run, in[0], (const int64_t[]){0, 127}));
  assert_true(bf_ref_run(run, &diags));
  bf_ref_free(run);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- vendor vectors

static struct bf_type weight_type(const struct vec *v, uint64_t elements, const struct vec_tensor *w) {
  // int4 weights stay packed, two a byte.
  return w->count < elements ? (struct bf_type){BF_TYPE_S, 4} : s8;
}

// The weights as one value an element, from whichever packing.
static int64_t *unpacked(const struct vec_tensor *w, uint64_t elements) {
  int64_t *out = bf_alloc(elements, sizeof *out);
  for (uint64_t i = 0; i < elements; i++) {
    bool packed = w->count < elements;
    int64_t nibble = w->values[packed ? i / 2 : i] >> (i % 2 * 4) & 15;
    out[i] = !packed ? w->values[i] : nibble > 7 ? nibble - 16 : nibble;
  }
  return out;
}

static void set_requant(struct bf_graph *g, const struct vec *v, struct bf_requant *rq, uint64_t channels) {
  const struct vec_tensor *mult = vec_tensor(v, "output_mult"), *shift = vec_tensor(v, "output_shift");
  rq->mode = BF_REQUANT_TFLITE;
  rq->count = mult ? (uint32_t)channels : 1;
  rq->mult = bf_arena_alloc(&g->arena, rq->count, sizeof *rq->mult);
  rq->shift = bf_arena_alloc(&g->arena, rq->count, sizeof *rq->shift);
  for (uint32_t i = 0; i < rq->count; i++) {
    rq->mult[i] = mult ? mult->values[i] : vec_int(v, "OUTPUT_MULTIPLIER", vec_int(v, "OUTPUT_MULT", 0));
    rq->shift[i] = (int32_t)(shift ? shift->values[i] : vec_int(v, "OUTPUT_SHIFT", 0));
  }
  rq->out_zero = vec_int(v, "OUTPUT_OFFSET", 0);
  rq->lo = vec_int(v, "OUT_ACTIVATION_MIN", -128);
  rq->hi = vec_int(v, "OUT_ACTIVATION_MAX", 127);
}

static bool is_int8(const struct vec_tensor *t) { return t && strcmp(t->type, "int8") == 0; }

// Bottom and right padding that make the window arrive at the recorded output size.
static void set_window(const struct vec *v, struct bf_attrs *a, const uint64_t *x, const uint64_t *y,
                       const char *const keys[8]) {
  for (int i = 0; i < 2; i++) {
    a->kernel[i] = (int32_t)vec_int(v, keys[i], 1);
    a->stride[i] = (int32_t)vec_int(v, keys[2 + i], 1);
    a->dilation[i] = (int32_t)vec_int(v, keys[4 + i], 1);
    a->pad[2 * i] = (int32_t)vec_int(v, keys[6 + i], 0);
    int64_t reach = (int64_t)(y[1 + i] - 1) * a->stride[i] + (a->kernel[i] - 1) * a->dilation[i] + 1;
    int64_t after = reach - (int64_t)x[1 + i] - a->pad[2 * i];
    a->pad[2 * i + 1] = after > 0 ? (int32_t)after : 0;
  }
}

static const char *const conv_keys[8] = {"FILTER_Y", "FILTER_X", "STRIDE_Y", "STRIDE_X",
                                         "DILATION_Y", "DILATION_X", "PAD_Y", "PAD_X"};
static const char *const pool_keys[8] = {"FILTER_H", "FILTER_W", "STRIDE_H", "STRIDE_W", "-", "-", "PADDING_H",
                                         "PADDING_W"};

// A depthwise weight [ky][kx][channel] in the order of a grouped convolution, [channel][ky][kx].
static int64_t *by_channel(const int64_t *w, uint64_t taps, uint64_t channels) {
  int64_t *out = bf_alloc(taps * channels, sizeof *out);
  for (uint64_t t = 0; t < taps; t++)
    for (uint64_t c = 0; c < channels; c++) out[c * taps + t] = w[t * channels + c];
  return out;
}

static bool run_conv(struct vec *v, bool depthwise) {
  const struct vec_tensor *x = vec_tensor(v, "input"), *w = vec_tensor(v, "weights"), *b = vec_tensor(v, "biases");
  const struct vec_tensor *y = vec_tensor(v, "output_ref");
  if (!is_int8(x) || !is_int8(y) || !w || !vec_tensor(v, "output_mult")) return false;
  uint64_t n = (uint64_t)vec_int(v, "INPUT_BATCHES", 1), outputs = (uint64_t)vec_int(v, "OUT_CH", 0);
  uint64_t xs[] = {n, (uint64_t)vec_int(v, "INPUT_H", 0), (uint64_t)vec_int(v, "INPUT_W", 0),
                   (uint64_t)vec_int(v, "IN_CH", 0)};
  uint64_t ys[] = {n, (uint64_t)vec_int(v, "OUTPUT_H", 0), (uint64_t)vec_int(v, "OUTPUT_W", 0), outputs};
  if (x->count != xs[0] * xs[1] * xs[2] * xs[3] || y->count != ys[0] * ys[1] * ys[2] * ys[3]) return false;
  uint64_t ky = (uint64_t)vec_int(v, "FILTER_Y", 0), kx = (uint64_t)vec_int(v, "FILTER_X", 0);
  uint64_t per_group = depthwise ? 1 : (uint64_t)vec_int(v, "FILTER_IN_CH", (int64_t)xs[3]);
  // A case without the number of channels of a filter: the weights tell.
  if (!depthwise && !strstr(v->name, "int4") && w->count % (outputs * ky * kx) == 0)
    per_group = w->count / (outputs * ky * kx);
  uint64_t ws[] = {outputs, ky, kx, per_group}, elements = outputs * ky * kx * per_group;
  if (w->count != elements && w->count != (elements + 1) / 2) return false;
  struct bf_graph *g = bf_graph_new(v->kind);
  int64_t *values = unpacked(w, elements);
  if (depthwise) {
    int64_t *ordered = by_channel(values, ky * kx, outputs);
    free(values);
    values = ordered;
  }
  struct bf_tensor *in[3] = {input(g, "x", 4, xs, -vec_int(v, "INPUT_OFFSET", 0)),
                             constant(g, "w", weight_type(v, elements, w), 4, ws, 0, values), NULL};
  if (b && b->count) in[2] = constant(g, "b", s32, 1, &outputs, 0, b->values);
  free(values);
  struct bf_node *node = finish(g, BF_OP_CONV2D, in, in[2] ? 3 : 2, tensor(g, "y", s8, 4, ys, 0));
  set_window(v, &node->attrs, xs, ys, conv_keys);
  node->attrs.groups = (uint32_t)(xs[3] / per_group);
  set_requant(g, v, &node->attrs.requant, outputs);
  expect(g, (const int64_t *const[]){x->values}, y->values);
  return true;
}

static bool run_dense(struct vec *v) {
  const struct vec_tensor *x = vec_tensor(v, "input"), *w = vec_tensor(v, "weights"), *b = vec_tensor(v, "biases");
  const struct vec_tensor *y = vec_tensor(v, "output_ref");
  if (!is_int8(x) || !is_int8(y) || !w) return false;
  uint64_t depth = (uint64_t)vec_int(v, "ACCUMULATION_DEPTH", 0), outputs = (uint64_t)vec_int(v, "OUT_CH", 0);
  if (!depth || !outputs || x->count % depth || y->count != x->count / depth * outputs) return false;
  uint64_t n = x->count / depth, elements = depth * outputs;
  if (w->count != elements && w->count != (elements + 1) / 2) return false;
  struct bf_graph *g = bf_graph_new(v->kind);
  int64_t *values = unpacked(w, elements);
  struct bf_tensor *in[3] = {input(g, "x", 2, (uint64_t[]){n, depth}, -vec_int(v, "INPUT_OFFSET", 0)),
                             constant(g, "w", weight_type(v, elements, w), 2, (uint64_t[]){outputs, depth},
                                      -vec_int(v, "FILTER_OFFSET", 0), values), NULL};
  if (b && b->count) in[2] = constant(g, "b", s32, 1, &outputs, 0, b->values);
  free(values);
  struct bf_node *node = finish(g, BF_OP_DENSE, in, in[2] ? 3 : 2, tensor(g, "y", s8, 2, (uint64_t[]){n, outputs}, 0));
  set_requant(g, v, &node->attrs.requant, outputs);
  expect(g, (const int64_t *const[]){x->values}, y->values);
  return true;
}

static bool run_pool(struct vec *v, enum bf_op op) {
  const struct vec_tensor *x = vec_tensor(v, "input_tensor"), *y = vec_tensor(v, "output");
  if (!is_int8(x) || !is_int8(y)) return false;
  uint64_t n = (uint64_t)vec_int(v, "BATCH_SIZE", 1), channels = (uint64_t)vec_int(v, "INPUT_C", 1);
  uint64_t xs[] = {n, (uint64_t)vec_int(v, "INPUT_H", 0), (uint64_t)vec_int(v, "INPUT_W", 0), channels};
  uint64_t ys[] = {n, (uint64_t)vec_int(v, "OUTPUT_H", 0), (uint64_t)vec_int(v, "OUTPUT_W", 0), channels};
  if (x->count != xs[0] * xs[1] * xs[2] * xs[3] || y->count != ys[0] * ys[1] * ys[2] * ys[3]) return false;
  struct bf_graph *g = bf_graph_new(v->kind);
  struct bf_tensor *in[] = {input(g, "x", 4, xs, 0)};
  struct bf_node *node = finish(g, op, in, 1, tensor(g, "y", s8, 4, ys, 0));
  set_window(v, &node->attrs, xs, ys, pool_keys);
  node->attrs.requant.lo = vec_int(v, "ACTIVATION_MIN", -128);
  node->attrs.requant.hi = vec_int(v, "ACTIVATION_MAX", 127);
  expect(g, (const int64_t *const[]){x->values}, y->values);
  return true;
}

static bool run_add(struct vec *v) {
  const struct vec_tensor *a = vec_tensor(v, "input1"), *b = vec_tensor(v, "input2"), *y = vec_tensor(v, "output_ref");
  if (!is_int8(a) || !is_int8(b) || !is_int8(y)) return false;
  struct bf_graph *g = bf_graph_new(v->kind);
  struct bf_tensor *in[] = {input(g, "a", 1, &a->count, -vec_int(v, "INPUT1_OFFSET", 0)),
                            input(g, "b", 1, &b->count, -vec_int(v, "INPUT2_OFFSET", 0))};
  struct bf_node *node = finish(g, BF_OP_ADD, in, 2, tensor(g, "y", s8, 1, &y->count, 0));
  set_requant(g, v, &node->attrs.requant, 1);
  node->attrs.left_shift = (int32_t)vec_int(v, "LEFT_SHIFT", 0);
  int64_t mult[] = {vec_int(v, "INPUT1_MULT", 0), vec_int(v, "INPUT2_MULT", 0)};
  int32_t shift[] = {(int32_t)vec_int(v, "INPUT1_SHIFT", 0), (int32_t)vec_int(v, "INPUT2_SHIFT", 0)};
  for (int i = 0; i < 2; i++)
    node->attrs.in_requant[i] =
        (struct bf_requant){.mode = BF_REQUANT_TFLITE, .count = 1, .mult = &mult[i], .shift = &shift[i]};
  expect(g, (const int64_t *const[]){a->values, b->values}, y->values);
  return true;
}

// False: not a case for this evaluator (another type or operator).
static bool run_vector(struct vec *v) {
  if (strcmp(v->kind, "conv") == 0) return run_conv(v, false);
  if (strcmp(v->kind, "depthwise_conv") == 0) return run_conv(v, true);
  if (strcmp(v->kind, "fully_connected") == 0) return run_dense(v);
  if (strcmp(v->kind, "avg_pool") == 0) return run_pool(v, BF_OP_AVG_POOL);
  if (strcmp(v->kind, "max_pool") == 0) return run_pool(v, BF_OP_MAX_POOL);
  if (strcmp(v->kind, "add") == 0) return run_add(v);
  return false;
}

static void test_vendor_vectors(void **state) {
  char *folder = test_data_path("vectors/cmsis_nn");
  DIR *dir = folder ? opendir(folder) : NULL;
  if (!dir) {
    print_message("skipped: no vendor vectors here\n");
    skip();
  }
  size_t run = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    size_t length = strlen(entry->d_name);
    if (length < 4 || strcmp(entry->d_name + length - 4, ".vec") != 0) continue;
    char *path = bf_format("vectors/cmsis_nn/%s", entry->d_name), *text = test_data_read(path, &length);
    assert_non_null(text);
    struct vec *v = vec_parse(text);
    bool done = run_vector(v);
    if (getenv("BFIMNA_VERBOSE")) print_message("%s %s: %s\n", v->kind, entry->d_name, done ? "equal" : "not for us");
    run += done;
    vec_free(v);
    free(text);
    free(path);
  }
  closedir(dir);
  free(folder);
  print_message("%zu vendor cases equal\n", run);
  assert_true(run > 0);
}

// ---- softmax

// Runs `count` rows of logits through softmax and compares with the recorded bytes.
static void compare_softmax(const char *logits, const char *probabilities, size_t depth, float scale, float beta) {
  size_t length, expected_length;
  char *in = test_data_read(logits, &length), *expected = test_data_read(probabilities, &expected_length);
  if (!in || !expected) {
    free(in);
    free(expected);
    print_message("skipped: no recorded outputs here\n");
    skip();
  }
  assert_int_equal(length, expected_length);
  int64_t *row = bf_alloc(depth, sizeof *row), *out = bf_alloc(depth, sizeof *out);
  for (size_t at = 0; at + depth <= length; at += depth) {
    for (size_t i = 0; i < depth; i++) row[i] = (int8_t)in[at + i];
    bf_ref_softmax(row, out, depth, s8, s8, scale, beta);
    for (size_t i = 0; i < depth; i++)
      if (out[i] != (int8_t)expected[at + i])
        fail_msg("byte %zu is %d, expected %d", at + i, (int)out[i], (int8_t)expected[at + i]);
  }
  print_message("%zu bytes equal\n", length);
  free(row);
  free(out);
  free(in);
  free(expected);
}

static void test_softmax_recorded(void **state) {
  compare_softmax("tflite/mlperf_tiny/pretrainedResnet_quant_logits.golden/out.bin",
                  "tflite/mlperf_tiny/pretrainedResnet_quant.golden/out.bin", 10, 0.171853513f, 1);
}

static void test_softmax_vendor(void **state) {
  size_t length;
  char *text = test_data_read("vectors/cmsis_nn/softmax.vec", &length);
  if (!text) {
    print_message("skipped: no vendor vectors here\n");
    skip();
  }
  struct vec *v = vec_parse(text);
  uint64_t depth = (uint64_t)vec_int(v, "ROW_SIZE", 1);
  // The multiplier of beta * scale * 2^26, back to a scale.
  double scale = (double)vec_int(v, "INPUT_MULT", 0) / 0x1p31 * (double)(1u << vec_int(v, "INPUT_LEFT_SHIFT", 0)) / 0x1p26;
  int64_t *out = bf_alloc(depth, sizeof *out);
  for (uint64_t r = 0; r < (uint64_t)vec_int(v, "NUM_ROWS", 0); r++) {
    bf_ref_softmax(vec_tensor(v, "input")->values + r * depth, out, depth, s8, s8, (float)scale, 1);
    assert_memory_equal(out, vec_tensor(v, "output_ref")->values + r * depth, depth * sizeof *out);
  }
  free(out);
  vec_free(v);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv),           cmocka_unit_test(test_grouped_conv),
      cmocka_unit_test(test_dense),          cmocka_unit_test(test_pools),
      cmocka_unit_test(test_add),            cmocka_unit_test(test_movers),
      cmocka_unit_test(test_inputs),         cmocka_unit_test(test_vendor_vectors),
      cmocka_unit_test(test_softmax_recorded), cmocka_unit_test(test_softmax_vendor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
