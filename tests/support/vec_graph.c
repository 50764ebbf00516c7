// SPDX-License-Identifier: Apache-2.0
// The kinds of vectors, and what all of them need: tensors, requantization, windows.
#include "tests/support/vec_graph.h"

#include <math.h>
#include <stdio.h>

#include "tests/support/vec_build.h"

struct bf_tensor *vec_new_tensor(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                 const uint64_t *shape, int64_t zero) {
  struct bf_tensor *t = bf_graph_tensor(g, name, type, rank, shape);
  if (!t) return NULL;
  t->quant.count = 1;
  t->quant.scale = bf_arena_alloc(&g->arena, 1, sizeof(float));
  t->quant.zero = bf_arena_alloc(&g->arena, 1, sizeof(int32_t));
  t->quant.scale[0] = 1;
  // A requantization may add a number outside the type; then it is no zero point of the result.
  t->quant.zero[0] = bf_type_holds(type, zero) ? (int32_t)zero : 0;
  return t;
}

struct bf_tensor *vec_new_constant(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                   const uint64_t *shape, int64_t zero, const int64_t *values) {
  struct bf_tensor *t = vec_new_tensor(g, name, type, rank, shape, zero);
  if (!t) return NULL;
  t->data = bf_arena_alloc(&g->arena, t->elements, sizeof *t->data);
  memcpy(t->data, values, t->elements * sizeof *values);
  return t;
}

struct bf_type vec_type(const struct vec_tensor *t) {
  if (strcmp(t->type, "int64") == 0) return (struct bf_type){BF_TYPE_S, 40};  // biases of 16-bit activations
  if (strcmp(t->type, "int32") == 0) return (struct bf_type){BF_TYPE_S, 32};
  return (struct bf_type){BF_TYPE_S, strcmp(t->type, "int16") == 0 ? 16 : 8};
}

void vec_set_requant(struct bf_graph *g, const struct vec *v, struct bf_requant *rq, uint64_t channels) {
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
  rq->lo = vec_int(v, "OUT_ACTIVATION_MIN", vec_int(v, "ACTIVATION_MIN", -128));
  rq->hi = vec_int(v, "OUT_ACTIVATION_MAX", vec_int(v, "ACTIVATION_MAX", 127));
}

struct bf_tensor *vec_new_input(struct vec_graph *out, const char *name, const struct vec_tensor *t, unsigned rank,
                                const uint64_t *shape, int64_t zero) {
  struct bf_tensor *x = vec_new_tensor(out->graph, name, vec_type(t), rank, shape, zero);
  if (!x || x->elements != t->count) return NULL;
  x->is_input = true;
  out->values[out->inputs++] = t->values;
  return x;
}

static bool build_pool(const struct vec *v, struct vec_graph *out, enum bf_op op) {
  const struct vec_tensor *in = vec_tensor(v, "input_tensor");
  uint64_t shape[] = {(uint64_t)vec_int(v, "BATCH_SIZE", 1), (uint64_t)vec_int(v, "INPUT_H", 0),
                      (uint64_t)vec_int(v, "INPUT_W", 0), (uint64_t)vec_int(v, "INPUT_C", 1)};
  struct bf_tensor *x = in ? vec_new_input(out, "x", in, 4, shape, 0) : NULL;
  return x && vec_add_pool(out->graph, v, op, x, "y");
}

// add and mul: the same keys, but that add rescales its operands first.
static bool build_two(const struct vec *v, struct vec_graph *out, enum bf_op op) {
  const struct vec_tensor *a = vec_tensor(v, "input1"), *b = vec_tensor(v, "input2");
  if (!a || !b) return false;
  struct bf_graph *g = out->graph;
  struct bf_tensor *in[] = {vec_new_input(out, "a", a, 2, (uint64_t[]){1, a->count}, -vec_int(v, "INPUT1_OFFSET", 0)),
                            vec_new_input(out, "b", b, 2, (uint64_t[]){1, b->count}, -vec_int(v, "INPUT2_OFFSET", 0))};
  if (!in[0] || !in[1]) return false;
  struct bf_tensor *y = vec_new_tensor(g, "y", in[0]->type, 2, in[0]->shape, vec_int(v, "OUTPUT_OFFSET", 0));
  struct bf_attrs *attrs = &bf_graph_node(g, op, "y", in, 2, y)->attrs;
  vec_set_requant(g, v, &attrs->requant, 1);
  if (op != BF_OP_ADD) return true;
  attrs->left_shift = (int32_t)vec_int(v, "LEFT_SHIFT", 0);
  for (int i = 0; i < 2; i++) {
    struct bf_requant *rq = &attrs->in_requant[i];
    *rq = (struct bf_requant){.mode = BF_REQUANT_TFLITE, .count = 1};
    rq->mult = bf_arena_alloc(&g->arena, 1, sizeof *rq->mult);
    rq->shift = bf_arena_alloc(&g->arena, 1, sizeof *rq->shift);
    rq->mult[0] = vec_int(v, i ? "INPUT2_MULT" : "INPUT1_MULT", 0);
    rq->shift[0] = (int32_t)vec_int(v, i ? "INPUT2_SHIFT" : "INPUT1_SHIFT", 0);
  }
  return true;
}

// Maximum and minimum, broadcast.
static bool build_choice(const struct vec *v, struct vec_graph *out, enum bf_op op) {
  const struct vec_tensor *a = vec_tensor(v, "input_tensor_1"), *b = vec_tensor(v, "input_tensor_2");
  static const char *const names[4] = {"BATCH", "HEIGHT", "WIDTH", "CHANNEL"};
  uint64_t shapes[3][4];
  if (!a || !b) return false;
  for (int i = 0; i < 4; i++) {
    for (int k = 0; k < 2; k++) {
      char key[16];
      snprintf(key, sizeof key, "%s_%d", names[i], k + 1);
      shapes[k][i] = (uint64_t)vec_int(v, key, 1);
    }
    shapes[2][i] = shapes[0][i] > shapes[1][i] ? shapes[0][i] : shapes[1][i];
  }
  struct bf_tensor *in[] = {vec_new_input(out, "a", a, 4, shapes[0], 0), vec_new_input(out, "b", b, 4, shapes[1], 0)};
  struct bf_tensor *y = vec_new_tensor(out->graph, "y", vec_type(a), 4, shapes[2], 0);
  if (!in[0] || !in[1] || !y) return false;
  struct bf_requant *rq = &bf_graph_node(out->graph, op, "y", in, 2, y)->attrs.requant;
  rq->lo = vec_int(v, "ACTIVATION_MIN", -128);
  rq->hi = vec_int(v, "ACTIVATION_MAX", 127);
  return true;
}

static bool build_pad(const struct vec *v, struct vec_graph *out) {
  const struct vec_tensor *t = vec_tensor(v, "input_tensor");
  int32_t pads[4][2];
  uint64_t xs[4], ys[4];
  for (int i = 0; i < 4; i++) {
    char key[16];
    snprintf(key, sizeof key, "INPUT_%c", "NHWC"[i]);
    xs[i] = (uint64_t)vec_int(v, key, 1);
    snprintf(key, sizeof key, "PRE_PAD_%c", "NHWC"[i]);
    pads[i][0] = (int32_t)vec_int(v, key, 0);
    snprintf(key, sizeof key, "POST_PAD_%c", "NHWC"[i]);
    pads[i][1] = (int32_t)vec_int(v, key, 0);
    ys[i] = xs[i] + (uint64_t)pads[i][0] + (uint64_t)pads[i][1];
  }
  struct bf_tensor *x = t ? vec_new_input(out, "x", t, 4, xs, 0) : NULL;
  struct bf_tensor *y = x ? vec_new_tensor(out->graph, "y", x->type, 4, ys, 0) : NULL;
  if (!y) return false;
  struct bf_attrs *attrs = &bf_graph_node(out->graph, BF_OP_PAD, "y", &x, 1, y)->attrs;
  memcpy(attrs->pads, pads, sizeof pads);
  attrs->pad_value = vec_int(v, "PAD_VALUE", 0);
  return true;
}

static bool build_softmax(const struct vec *v, struct vec_graph *out) {
  const struct vec_tensor *t = vec_tensor(v, "input");
  uint64_t shape[] = {(uint64_t)vec_int(v, "NUM_ROWS", 0), (uint64_t)vec_int(v, "ROW_SIZE", 0)};
  struct bf_tensor *x = t ? vec_new_input(out, "x", t, 2, shape, 0) : NULL;
  if (!x) return false;
  // The recorded multiplier is that of scale * beta in units of 2^-26; on 16 bits, of the exponent's table.
  double unit = x->type.bits == 16 ? 65535 / 10.0 : 0x1p26;
  int64_t mult = vec_int(v, "INPUT_MULT", 0), shift = vec_int(v, "INPUT_LEFT_SHIFT", 0);
  return vec_add_softmax(out->graph, x, (float)(ldexp((double)mult, (int)shift - 31) / unit), "y");
}

static bool build_layer(const struct vec *v, struct vec_graph *out) {
  const struct vec_tensor *t = vec_tensor(v, "input");
  if (!t) return false;
  int64_t zero = -vec_int(v, "INPUT_OFFSET", 0);
  if (strcmp(v->kind, "fully_connected") == 0) {
    uint64_t depth = (uint64_t)vec_int(v, "ACCUMULATION_DEPTH", 0);
    if (!depth || t->count % depth) return false;
    struct bf_tensor *x = vec_new_input(out, "x", t, 2, (uint64_t[]){t->count / depth, depth}, zero);
    return x && vec_add_dense(out->graph, v, x, "y");
  }
  uint64_t shape[] = {(uint64_t)vec_int(v, "INPUT_BATCHES", 1), (uint64_t)vec_int(v, "INPUT_H", 0),
                      (uint64_t)vec_int(v, "INPUT_W", 0), (uint64_t)vec_int(v, "IN_CH", 0)};
  struct bf_tensor *x = vec_new_input(out, "x", t, 4, shape, zero);
  if (!x) return false;
  if (strcmp(v->kind, "transpose_conv") == 0) return vec_add_transpose_conv(out->graph, v, x, "y");
  return vec_add_conv(out->graph, v, strcmp(v->kind, "depthwise_conv") == 0, x, "y") != NULL;
}

static bool build(const struct vec *v, struct vec_graph *out, const char **why) {
  static const char *const layers[] = {"conv", "depthwise_conv", "fully_connected", "transpose_conv"};
  for (size_t i = 0; i < BF_COUNT(layers); i++)
    if (strcmp(v->kind, layers[i]) == 0) return build_layer(v, out);
  if (strcmp(v->kind, "avg_pool") == 0) return build_pool(v, out, BF_OP_AVG_POOL);
  if (strcmp(v->kind, "max_pool") == 0) return build_pool(v, out, BF_OP_MAX_POOL);
  if (strcmp(v->kind, "add") == 0) return build_two(v, out, BF_OP_ADD);
  if (strcmp(v->kind, "mul") == 0) return build_two(v, out, BF_OP_MUL);
  if (strcmp(v->kind, "maximum") == 0) return build_choice(v, out, BF_OP_MAXIMUM);
  if (strcmp(v->kind, "minimum") == 0) return build_choice(v, out, BF_OP_MINIMUM);
  if (strcmp(v->kind, "pad") == 0) return build_pad(v, out);
  if (strcmp(v->kind, "softmax") == 0) return build_softmax(v, out);
  if (strcmp(v->kind, "batch_matmul") == 0) return vec_build_matmul(v, out);
  if (strcmp(v->kind, "ds_cnn") == 0) return vec_build_chain(v, out);
  *why = strcmp(v->kind, "transpose") == 0 ? "the vector lacks the permutation and the shape"
                                           : "no graph is built of vectors of this kind";
  return false;
}

bool vec_graph_build(const struct vec *v, struct vec_graph *out, const char **why) {
  *out = (struct vec_graph){.graph = bf_graph_new(v->kind)};
  *why = "the numbers of the vector do not fit together";
  const struct vec_tensor *y = vec_tensor(v, "output_ref");
  if (!y) y = vec_tensor(v, "output");
  bool good = y && build(v, out, why);
  size_t last = out->graph->nnodes;
  struct bf_tensor *output = good && last ? out->graph->nodes[last - 1]->output : NULL;
  if (output && output->elements == y->count) {
    output->is_output = true;
    out->expected = y->values;
    out->expected_type = y->type;
    return true;
  }
  bf_graph_free(out->graph);
  return false;
}
