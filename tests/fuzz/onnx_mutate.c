// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/onnx_mutate.h"

#include <string.h>

#include "frontend/onnx.pb-c.h"
#include "tests/fuzz/fuzz.h"

static const char *const operators[] = {
#define BF_ONX_NODE(op, function) #op,
#include "frontend/onnx_nodes.def"
    "Constant", "ConstantOfShape", "Pow", "Sqrt", "Abs", "Where"};
static const char *const attributes[] = {
    "allowzero", "alpha", "auto_pad", "axes", "axis", "beta", "blocksize", "ceil_mode", "count_include_pad",
    "data_layout", "dilations", "epsilon", "group", "in1_add", "in1_mul", "in1_rq", "in1_shift", "in2_add",
    "in2_mul", "in2_rq", "in2_shift", "keepdims", "kernel_shape", "largest", "max", "min", "mode", "narrow",
    "out_add", "out_bias", "out_dtype", "out_mul", "out_n_levels", "out_rq", "out_scale", "out_shift",
    "output_dtype", "pads", "perm", "rounding_mode", "select_last_index", "signed", "strides", "to",
    "training_mode", "transA", "transB", "value", "value_float", "value_int", "value_ints", "weight_bits",
    "SAME_UPPER", "SAME_LOWER", "VALID", "NHWC", "CRD", "edge", "FLOOR", "CEIL", "ROUND_TO_ZERO"};

const char *onnx_word(size_t i) {
  if (i < BF_COUNT(operators)) return operators[i];
  i -= BF_COUNT(operators);
  return i < BF_COUNT(attributes) ? attributes[i] : NULL;
}

struct mutation {
  struct bf_arena arena;
  BfOnnx__Graph *graph;
  uint64_t *random;
};

static void *take(void *data, size_t size) { return bf_arena_alloc(data, size, 1); }
static void give(void *data, void *pointer) {}

static size_t below(struct mutation *m, size_t limit) {
  return limit ? (size_t)((fuzz_random(m->random) >> 11) % limit) : 0;
}

static int64_t number(struct mutation *m, int64_t old) {
  static const int64_t numbers[] = {0, 1, -1, 2, 3, 4, 5, 7, 8, 127, 128, 255, 256, 32768, 65535,
                                    INT32_MAX, INT64_MAX, INT64_MIN};
  switch (below(m, 4)) {
  case 0: return (int64_t)((uint64_t)old + 1);
  case 1: return (int64_t)((uint64_t)old - 1);
  case 2: return (int64_t)((uint64_t)old * 2);
  default: return numbers[below(m, BF_COUNT(numbers))];
  }
}

static float real(struct mutation *m, float old) {
  static const float numbers[] = {0, 1, -1, 0.5f, 2, 0.1f, -0.01f, 100, 1e-6f, 65536, 1e30f, 1e-38f, 16777215};
  switch (below(m, 4)) {
  case 0: return old * 2;
  case 1: return old / 3;
  case 2: return -old;
  default: return numbers[below(m, BF_COUNT(numbers))];
  }
}

// Any name that stands for a tensor.
static char *tensor_name(struct mutation *m) {
  BfOnnx__Graph *g = m->graph;
  size_t i = below(m, g->n_node + g->n_initializer + g->n_input);
  if (i < g->n_node) return g->node[i]->n_output ? g->node[i]->output[0] : NULL;
  i -= g->n_node;
  if (i < g->n_initializer) return g->initializer[i]->name;
  i -= g->n_initializer;
  return i < g->n_input ? g->input[i]->name : NULL;
}

static void change_attribute(struct mutation *m, BfOnnx__Node *node) {
  if (!node->n_attribute) return;
  BfOnnx__Attribute *a = node->attribute[below(m, node->n_attribute)];
  size_t k = below(m, a->n_ints);
  if (below(m, 8) == 0) a->name = (char *)(uintptr_t)attributes[below(m, BF_COUNT(attributes))];
  else if (a->n_ints && below(m, 8) == 0) a->n_ints--;
  else if (a->n_ints && below(m, 3) == 0) for (size_t i = 0; i < a->n_ints; i++) a->ints[i] = number(m, a->ints[k]);
  else if (a->n_ints) a->ints[k] = number(m, a->ints[k]);
  else if (a->has_f) a->f = real(m, a->f);
  else if (a->has_i) a->i = number(m, a->i);
  else if (a->has_s) {
    const char *word = attributes[below(m, BF_COUNT(attributes))];
    a->s = (ProtobufCBinaryData){strlen(word), (uint8_t *)(uintptr_t)word};
  }
}

static char **copy_names(struct mutation *m, char **names, size_t n) {
  return memcpy(bf_arena_alloc(&m->arena, n, sizeof *names), names, n * sizeof *names);
}

// A node with another operator, and the same other operands, between the i-th and what reads its output.
static void insert_node(struct mutation *m, size_t i) {
  BfOnnx__Graph *g = m->graph;
  BfOnnx__Node *node = g->node[i], *more = bf_arena_alloc(&m->arena, 1, sizeof *more);
  BfOnnx__Node **list = bf_arena_alloc(&m->arena, g->n_node + 1, sizeof *list);
  if (!node->n_output || !node->n_input) return;
  *more = *node;
  more->op_type = (char *)(uintptr_t)operators[below(m, BF_COUNT(operators))];
  more->output = copy_names(m, node->output, 1);
  more->n_output = 1;
  more->input = copy_names(m, node->input, node->n_input);
  more->input[0] = node->output[0] = bf_arena_format(&m->arena, "m%zu", below(m, 1000));
  memcpy(list, g->node, g->n_node * sizeof *list);
  memmove(&list[i + 2], &list[i + 1], (g->n_node - i - 1) * sizeof *list);
  list[i + 1] = more;
  g->node = list;
  g->n_node++;
}

// What reads its output then reads its first operand.
static void remove_node(struct mutation *m, size_t i) {
  BfOnnx__Graph *g = m->graph;
  const BfOnnx__Node *node = g->node[i];
  char *out = node->n_output ? node->output[0] : NULL, *in = node->n_input ? node->input[0] : NULL;
  memmove(&g->node[i], &g->node[i + 1], (--g->n_node - i) * sizeof *g->node);
  if (!out || !in) return;
  for (size_t k = 0; k < g->n_node; k++)
    for (size_t j = 0; j < g->node[k]->n_input; j++)
      if (strcmp(g->node[k]->input[j], out) == 0) g->node[k]->input[j] = in;
  for (size_t k = 0; k < g->n_output; k++)
    if (g->output[k]->name && strcmp(g->output[k]->name, out) == 0) g->output[k]->name = in;
}

static void change_nodes(struct mutation *m) {
  BfOnnx__Graph *g = m->graph;
  if (!g->n_node) return;
  size_t i = below(m, g->n_node);
  BfOnnx__Node *node = g->node[i];
  char *name = tensor_name(m);
  switch (below(m, 8)) {
  case 0: node->op_type = (char *)(uintptr_t)operators[below(m, BF_COUNT(operators))]; break;
  case 1: remove_node(m, i); break;
  case 2: insert_node(m, i); break;
  case 3:
    if (name && node->n_input) node->input[below(m, node->n_input)] = name;
    break;
  case 4:
    if (node->n_input) node->n_input--;
    break;
  default: change_attribute(m, node);
  }
}

// ---- tensors

static void change_bytes(struct mutation *m, BfOnnx__Tensor *t) {
  unsigned size = t->data_type == 1 || t->data_type == 6 ? 4 : t->data_type == 7 ? 8 : 1;
  size_t at = below(m, t->raw_data.len / size) * size;
  if (at + size > t->raw_data.len) return;
  int64_t whole = 0;
  float value;
  if (t->data_type == 1) {
    memcpy(&value, t->raw_data.data + at, sizeof value);
    value = real(m, value);
    memcpy(t->raw_data.data + at, &value, sizeof value);
    return;
  }
  memcpy(&whole, t->raw_data.data + at, size);
  whole = number(m, whole);
  memcpy(t->raw_data.data + at, &whole, size);
}

// Another shape, with data of its length that repeat the old.
static void change_shape(struct mutation *m, BfOnnx__Tensor *t) {
  if (!t->n_dims) return;
  size_t k = below(m, t->n_dims), old = (size_t)t->dims[k];
  if (t->dims[k] < 1 || t->dims[k] > 64 || !t->raw_data.len || t->raw_data.len > 16384) return;
  int64_t size = below(m, 3) ? t->dims[k] + 1 - 2 * (int64_t)below(m, 2) : 1 + (int64_t)below(m, 9);
  if (size < 1) return;
  size_t bytes = t->raw_data.len / old * (size_t)size;
  uint8_t *data = bf_arena_alloc(&m->arena, bytes + 1, 1);
  for (size_t i = 0; i < bytes; i++) data[i] = t->raw_data.data[i % t->raw_data.len];
  t->dims[k] = size;
  t->raw_data = (ProtobufCBinaryData){bytes, data};
}

static void change_tensors(struct mutation *m) {
  BfOnnx__Graph *g = m->graph;
  if (!g->n_initializer) return;
  BfOnnx__Tensor *t = g->initializer[below(m, g->n_initializer)];
  switch (below(m, 8)) {
  case 0: change_shape(m, t); break;
  case 1: t->data_type = 1 + (int32_t)below(m, 23); break;
  case 2:
    if (t->n_dims) t->dims[below(m, t->n_dims)] = number(m, t->dims[0]);
    break;
  case 3:
    t->name = tensor_name(m);
    break;
  default:
    for (size_t n = 1 + below(m, 4); n > 0; n--) change_bytes(m, t);
  }
}

static void change_border(struct mutation *m) {
  BfOnnx__Graph *g = m->graph;
  BfOnnx__ValueInfo *info = g->n_input ? g->input[below(m, g->n_input)] : NULL;
  BfOnnx__TensorType *type = info && info->type ? info->type->tensor_type : NULL;
  if (below(m, 3) == 0 && g->n_output) g->output[below(m, g->n_output)]->name = tensor_name(m);
  else if (type && below(m, 4) == 0) type->elem_type = 1 + (int32_t)below(m, 23);
  else if (type && type->shape && type->shape->n_dim) {
    BfOnnx__Dimension *d = type->shape->dim[below(m, type->shape->n_dim)];
    d->has_dim_value = true;
    d->dim_value = below(m, 4) ? 1 + (int64_t)below(m, 12) : number(m, d->dim_value);
  }
}

size_t onnx_mutate(uint8_t *data, size_t size, size_t most, uint64_t *random) {
  struct mutation m = {.random = random};
  ProtobufCAllocator allocator = {take, give, &m.arena};
  BfOnnx__Model *model = bf_onnx__model__unpack(&allocator, size, data);
  size_t packed = 0;
  if (model && model->graph) {
    m.graph = model->graph;
    for (size_t n = 1 + below(&m, 3); n > 0; n--) {
      size_t which = below(&m, 8);
      if (which < 4) change_nodes(&m);
      else if (which < 7) change_tensors(&m);
      else change_border(&m);
    }
    packed = bf_onnx__model__get_packed_size(model);
    if (packed <= most) bf_onnx__model__pack(model, data);
    else packed = 0;
  }
  bf_arena_free(&m.arena);
  return packed;
}
