// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/onnx_text.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/onnx.pb-c.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 64, MOST_ELEMENTS = 1024 };

struct builder {
  struct bf_arena arena;
  BfOnnx__Graph graph;
  BfOnnx__Node *nodes[MOST];
  BfOnnx__Tensor *tensors[MOST];
  BfOnnx__ValueInfo *inputs[MOST], *outputs[MOST];
  uint64_t random;
};

#define MAKE(b, type, init) ((type *)memcpy(bf_arena_alloc(&(b)->arena, 1, sizeof(type)), &(type)init, sizeof(type)))

static const struct type {
  const char *name;
  int32_t code;
  unsigned bytes;
} types[] = {{"f", 1, 4}, {"u8", 2, 1}, {"s8", 3, 1}, {"s32", 6, 4}, {"s64", 7, 8}};

static const struct type *type_named(const char *name) {
  for (size_t i = 0; name && i < BF_COUNT(types); i++)
    if (strcmp(types[i].name, name) == 0) return &types[i];
  FUZZ_CHECK(false, "no type %s", name ? name : "");
  return NULL;
}

// A list with commas; the number of its items, of which a trailing empty one is none.
static size_t split(char *list, char **items) {
  size_t n = 0;
  for (char *next = list; next; list = next) {
    FUZZ_CHECK(n < MOST, "a list is too long");
    next = strchr(list, ',');
    if (next) *next++ = 0;
    if (*list || next) items[n++] = list;
  }
  return n;
}

static size_t read_ints(struct builder *b, char *list, int64_t **out) {
  char *items[MOST];
  size_t n = strcmp(list, "-") == 0 ? 0 : split(list, items);
  *out = bf_arena_alloc(&b->arena, n + 1, sizeof **out);
  for (size_t i = 0; i < n; i++) (*out)[i] = strtoll(items[i], NULL, 10);
  return n;
}

static void add_input(struct builder *b, char **words) {
  int64_t *dims;
  size_t n = read_ints(b, words[3], &dims);
  BfOnnx__Shape *shape = MAKE(b, BfOnnx__Shape, BF_ONNX__SHAPE__INIT);
  BfOnnx__TensorType *type = MAKE(b, BfOnnx__TensorType, BF_ONNX__TENSOR_TYPE__INIT);
  BfOnnx__Type *outer = MAKE(b, BfOnnx__Type, BF_ONNX__TYPE__INIT);
  BfOnnx__ValueInfo *info = MAKE(b, BfOnnx__ValueInfo, BF_ONNX__VALUE_INFO__INIT);
  shape->n_dim = n;
  shape->dim = bf_arena_alloc(&b->arena, n + 1, sizeof *shape->dim);
  for (size_t i = 0; i < n; i++) {
    shape->dim[i] = MAKE(b, BfOnnx__Dimension, BF_ONNX__DIMENSION__INIT);
    shape->dim[i]->has_dim_value = true;
    shape->dim[i]->dim_value = dims[i];
  }
  type->has_elem_type = true;
  type->elem_type = type_named(words[2])->code;
  type->shape = shape;
  outer->tensor_type = type;
  info->name = words[1];
  info->type = outer;
  b->inputs[b->graph.n_input++] = info;
}

static void put_number(uint8_t *at, const struct type *type, double value) {
  float real = (float)value;
  int64_t whole = (int64_t)value;
  if (type->code == 1) memcpy(at, &real, sizeof real);
  else memcpy(at, &whole, type->bytes);  // little endian, as everywhere here
}

static void add_const(struct builder *b, char **words) {
  const struct type *type = type_named(words[2]);
  BfOnnx__Tensor *t = MAKE(b, BfOnnx__Tensor, BF_ONNX__TENSOR__INIT);
  size_t elements = 1, n = 0;
  char *items[MOST];
  t->name = words[1];
  t->has_data_type = t->has_raw_data = true;
  t->data_type = type->code;
  t->n_dims = read_ints(b, words[3], &t->dims);
  for (size_t i = 0; i < t->n_dims; i++) elements *= (size_t)t->dims[i];
  FUZZ_CHECK(elements <= MOST_ELEMENTS && words[4], "constant %s", words[1]);
  long most = words[4][0] == '~' ? strtol(words[4] + 1, NULL, 10) : 0;
  if (!most) n = split(words[4], items);
  t->raw_data.len = elements * type->bytes;
  t->raw_data.data = bf_arena_alloc(&b->arena, elements + 1, type->bytes);
  for (size_t i = 0; i < elements; i++) {
    long drawn = most ? (long)(fuzz_random(&b->random) % (uint64_t)(2 * most + 1)) - most : 0;
    double value = !most ? strtod(items[i % n], NULL) : type->name[0] == 'u' ? labs(drawn) : (double)drawn;
    put_number(t->raw_data.data + i * type->bytes, type, value);
  }
  b->tensors[b->graph.n_initializer++] = t;
}

static BfOnnx__Attribute *attribute(struct builder *b, char *word) {
  BfOnnx__Attribute *a = MAKE(b, BfOnnx__Attribute, BF_ONNX__ATTRIBUTE__INIT);
  char *value = strchr(word, '=');
  FUZZ_CHECK(value, "no value in %s", word);
  *value++ = 0;
  a->name = word;
  a->has_type = true;
  if (value[strspn(value, "-0123456789.,")]) {
    a->type = 3;
    a->has_s = true;
    a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
  } else if (strchr(value, ',')) {
    a->type = 7;
    a->n_ints = read_ints(b, value, &a->ints);
  } else if (strchr(value, '.')) {
    a->type = 1;
    a->has_f = true;
    a->f = strtof(value, NULL);
  } else {
    a->type = 2;
    a->has_i = true;
    a->i = strtoll(value, NULL, 10);
  }
  return a;
}

static char **names(struct builder *b, char *list, size_t *n) {
  char *items[MOST];
  *n = split(list, items);
  char **out = bf_arena_alloc(&b->arena, *n + 1, sizeof *out);
  memcpy(out, items, *n * sizeof *out);
  return out;
}

static void add_node(struct builder *b, char **words, size_t n) {
  BfOnnx__Node *node = MAKE(b, BfOnnx__Node, BF_ONNX__NODE__INIT);
  node->op_type = words[1];
  node->input = names(b, words[2], &node->n_input);
  node->output = names(b, words[3], &node->n_output);
  node->n_attribute = n - 4;
  node->attribute = bf_arena_alloc(&b->arena, n, sizeof *node->attribute);
  for (size_t i = 4; i < n; i++) node->attribute[i - 4] = attribute(b, words[i]);
  b->nodes[b->graph.n_node++] = node;
}

static void add_line(struct builder *b, char *line) {
  char *words[MOST] = {0}, *rest;
  size_t n = 0;
  for (char *word = strtok_r(line, " ", &rest); word && n < MOST - 1; word = strtok_r(NULL, " ", &rest))
    words[n++] = word;
  if (!n) return;
  FUZZ_CHECK(b->graph.n_node < MOST && b->graph.n_initializer < MOST && b->graph.n_input < MOST,
             "the model is too large");
  if (strcmp(words[0], "input") == 0 && n == 4) add_input(b, words);
  else if (strcmp(words[0], "const") == 0 && n == 5) add_const(b, words);
  else if (strcmp(words[0], "node") == 0 && n >= 4) add_node(b, words, n);
  else if (strcmp(words[0], "output") == 0 && n == 2) {
    b->outputs[b->graph.n_output] = MAKE(b, BfOnnx__ValueInfo, BF_ONNX__VALUE_INFO__INIT);
    b->outputs[b->graph.n_output++]->name = words[1];
  } else FUZZ_CHECK(false, "cannot read the line that begins with %s", words[0]);
}

void onnx_from_text(const char *text, struct bf_buf *out) {
  struct builder b = {.graph = BF_ONNX__GRAPH__INIT, .random = 7};
  BfOnnx__OperatorSet set = BF_ONNX__OPERATOR_SET__INIT, *sets[] = {&set};
  BfOnnx__Model model = BF_ONNX__MODEL__INIT;
  char *rest, *copy = bf_arena_strdup(&b.arena, text), name[] = "seed";
  for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) add_line(&b, line);
  b.graph.name = name;
  b.graph.node = b.nodes;
  b.graph.initializer = b.tensors;
  b.graph.input = b.inputs;
  b.graph.output = b.outputs;
  set.has_version = model.has_ir_version = true;
  set.version = 13;
  model.ir_version = 8;
  model.graph = &b.graph;
  model.n_opset_import = 1;
  model.opset_import = sets;
  size_t size = bf_onnx__model__get_packed_size(&model);
  uint8_t *bytes = bf_arena_alloc(&b.arena, size, 1);
  bf_buf_append(out, bytes, bf_onnx__model__pack(&model, bytes));
  bf_arena_free(&b.arena);
}
