// SPDX-License-Identifier: Apache-2.0
// Writes small .tflite files for tests, from the documented FlatBuffers layout and the published
// schema; shares nothing with the reader. Tables come before what they point to.
#ifndef BF_TEST_TFLITE_BUILDER_H
#define BF_TEST_TFLITE_BUILDER_H

#include <string.h>

#include "base/bf_base.h"

enum { BUILD_MAX_OPERANDS = 4, BUILD_MAX_OPTIONS = 7 };

struct build_tensor {
  const char *name;
  int type, rank, shape[5];
  float scale;  // 0: no quantization
  int64_t zero;
  const void *data;  // NULL: computed
  uint32_t bytes;
  bool dynamic, sparse;
};

// A scalar of an options table: bytes 1 or 4 (4 with `real` for a float).
struct build_option {
  int slot, bytes, value;
  float real;
};

struct build_op {
  int code;
  const char *custom;
  int ninputs, inputs[BUILD_MAX_OPERANDS];
  int output;
  int nmore, more[BUILD_MAX_OPERANDS];  // results after `output`
  int options_type, noptions;
  struct build_option options[BUILD_MAX_OPTIONS];
};

struct build_model {
  const struct build_tensor *tensors;
  int ntensors;
  const struct build_op *ops;
  int nops;
  int ninputs, inputs[BUILD_MAX_OPERANDS];
  int output, subgraphs;
};

static inline void build_put(struct bf_buf *b, size_t at, const void *data, size_t size) {
  memcpy(b->data + at, data, size);
}

// A table whose fields take 8 bytes each; its vtable, in front of it, lists none as present yet.
static inline size_t build_table(struct bf_buf *b, unsigned slots) {
  static const char zeros[256];
  while (b->length % 8 != (4 + 2 * slots) % 8 % 4) bf_buf_append(b, zeros, 1);
  size_t vtable = b->length;
  bf_buf_u16(b, (uint16_t)(4 + 2 * slots));
  bf_buf_u16(b, (uint16_t)(4 + 8 * slots));
  bf_buf_append(b, zeros, 2 * slots);
  size_t table = b->length;
  bf_buf_u32(b, (uint32_t)(table - vtable));
  bf_buf_append(b, zeros, 8 * slots);
  return table;
}

static inline size_t build_field(struct bf_buf *b, size_t table, unsigned slot) {
  int32_t back;
  uint16_t offset = (uint16_t)(4 + 8 * slot);
  memcpy(&back, b->data + table, 4);
  build_put(b, table - (size_t)back + 4 + 2 * slot, &offset, 2);
  return table + offset;
}

static inline void build_scalar(struct bf_buf *b, size_t table, unsigned slot, const void *data, size_t size) {
  build_put(b, build_field(b, table, slot), data, size);
}

static inline void build_int(struct bf_buf *b, size_t table, unsigned slot, int32_t value, size_t size) {
  build_scalar(b, table, slot, &value, size);
}

// Makes the four bytes at `from` point to the end of the file.
static inline void build_link(struct bf_buf *b, size_t from) {
  while (b->length % 4) bf_buf_append(b, "", 1);
  uint32_t offset = (uint32_t)(b->length - from);
  build_put(b, from, &offset, 4);
}

static inline void build_vector(struct bf_buf *b, size_t table, unsigned slot, const void *data, uint32_t count,
                                size_t size) {
  build_link(b, build_field(b, table, slot));
  bf_buf_u32(b, count);
  bf_buf_append(b, data, count * size);
  bf_buf_append(b, "", 1);
}

// A vector of `count` offsets; returns the position of the first.
static inline size_t build_list(struct bf_buf *b, size_t table, unsigned slot, uint32_t count) {
  build_link(b, build_field(b, table, slot));
  bf_buf_u32(b, count);
  for (uint32_t i = 0; i < count; i++) bf_buf_u32(b, 0);
  return b->length - 4 * (size_t)count;
}

// A new table that the four bytes at `from` point to.
static inline size_t build_child(struct bf_buf *b, size_t from, unsigned slots) {
  size_t table = build_table(b, slots);
  uint32_t offset = (uint32_t)(table - from);
  build_put(b, from, &offset, 4);
  return table;
}

static inline void build_tensor(struct bf_buf *b, size_t at, const struct build_tensor *t, int buffer) {
  size_t table = build_child(b, at, 9);
  build_int(b, table, 1, t->type, 1);
  build_int(b, table, 2, buffer, 4);
  build_vector(b, table, 0, t->shape, (uint32_t)t->rank, 4);
  build_vector(b, table, 3, t->name, (uint32_t)strlen(t->name), 1);
  if (t->dynamic) build_vector(b, table, 7, (const int[]){-1, -1}, 2, 4);
  if (t->sparse) build_child(b, build_field(b, table, 6), 3);
  if (t->scale == 0) return;
  size_t quant = build_child(b, build_field(b, table, 4), 7);
  build_vector(b, quant, 2, &t->scale, 1, 4);
  build_vector(b, quant, 3, &t->zero, 1, 8);
}

static inline void build_op(struct bf_buf *b, size_t at, const struct build_op *op, int index) {
  size_t table = build_child(b, at, 9);
  build_int(b, table, 0, index, 4);
  build_vector(b, table, 1, op->inputs, (uint32_t)op->ninputs, 4);
  int outputs[1 + BUILD_MAX_OPERANDS] = {op->output};
  memcpy(outputs + 1, op->more, sizeof op->more);
  build_vector(b, table, 2, outputs, 1 + (uint32_t)op->nmore, 4);
  if (!op->options_type) return;
  build_int(b, table, 3, op->options_type, 1);
  size_t options = build_child(b, build_field(b, table, 4), 8);
  for (int i = 0; i < op->noptions; i++) {
    const struct build_option *o = &op->options[i];
    if (o->real != 0) build_scalar(b, options, (unsigned)o->slot, &o->real, 4);
    else build_int(b, options, (unsigned)o->slot, o->value, (size_t)o->bytes);
  }
}

static inline void build_subgraph(struct bf_buf *b, size_t at, const struct build_model *model) {
  size_t graph = build_child(b, at, 5);
  size_t tensors = build_list(b, graph, 0, (uint32_t)model->ntensors);
  for (int i = 0; i < model->ntensors; i++) build_tensor(b, tensors + 4 * (size_t)i, &model->tensors[i], i + 1);
  build_vector(b, graph, 1, model->inputs, (uint32_t)model->ninputs, 4);
  build_vector(b, graph, 2, &model->output, 1, 4);
  size_t ops = build_list(b, graph, 3, (uint32_t)model->nops);
  for (int i = 0; i < model->nops; i++) build_op(b, ops + 4 * (size_t)i, &model->ops[i], i);
}

// The bytes of the model, to be freed with bf_buf_free.
static inline struct bf_buf build_tflite(const struct build_model *model) {
  struct bf_buf file = {0}, *b = &file;
  bf_buf_append(b, "\0\0\0\0TFL3", 8);
  size_t root = build_child(b, 0, 8);
  build_int(b, root, 0, 3, 4);
  size_t codes = build_list(b, root, 1, (uint32_t)model->nops);
  for (int i = 0; i < model->nops; i++) {
    size_t code = build_child(b, codes + 4 * (size_t)i, 4);
    build_int(b, code, 0, model->ops[i].code < 127 ? model->ops[i].code : 127, 1);
    build_int(b, code, 3, model->ops[i].code, 4);
    if (model->ops[i].custom) build_vector(b, code, 1, model->ops[i].custom, (uint32_t)strlen(model->ops[i].custom), 1);
  }
  size_t buffers = build_list(b, root, 4, (uint32_t)model->ntensors + 1);
  for (int i = 0; i <= model->ntensors; i++) {
    size_t buffer = build_child(b, buffers + 4 * (size_t)i, 3);
    if (i && model->tensors[i - 1].data)
      build_vector(b, buffer, 0, model->tensors[i - 1].data, model->tensors[i - 1].bytes, 1);
  }
  uint32_t subgraphs = model->subgraphs ? (uint32_t)model->subgraphs : 1;
  size_t graphs = build_list(b, root, 2, subgraphs);
  for (uint32_t i = 0; i < subgraphs; i++) build_subgraph(b, graphs + 4 * (size_t)i, model);
  return file;
}

#endif
