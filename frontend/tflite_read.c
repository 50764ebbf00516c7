// SPDX-License-Identifier: Apache-2.0
// From the bytes of a .tflite file to struct bf_tfl_model. Only structure is checked here: that
// everything lies in the file and every index is in range. What an operator may look like is the
// business of tflite_ops.c.
#include "frontend/tflite_model.h"

#include <string.h>

const struct bf_tfl_type_info *bf_tfl_type_info(int64_t type) {
  static const struct bf_tfl_type_info infos[] = {
#define BF_TFL_TYPE(code, name, bits, text) [code] = {#name, bits, text},
#include "frontend/tflite_schema.def"
  };
  return type >= 0 && (uint64_t)type < BF_COUNT(infos) ? &infos[type] : NULL;
}

const struct bf_tfl_act_info *bf_tfl_act_info(int64_t activation) {
  static const struct bf_tfl_act_info infos[] = {
#define BF_TFL_ACT(code, name, text) [code] = {#name, text},
#include "frontend/tflite_schema.def"
  };
  return activation >= 0 && (uint64_t)activation < BF_COUNT(infos) ? &infos[activation] : NULL;
}

// Slots of the schema's tables, in the order of their fields (a union takes two).
enum { MODEL_VERSION, MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS };
enum { CODE_DEPRECATED, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN };
enum { GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS, GRAPH_NAME };
enum {
  TENSOR_SHAPE,
  TENSOR_TYPE,
  TENSOR_BUFFER,
  TENSOR_NAME,
  TENSOR_QUANTIZATION,
  TENSOR_VARIABLE,
  TENSOR_SPARSITY,
  TENSOR_SIGNATURE
};
enum { QUANT_MIN, QUANT_MAX, QUANT_SCALE, QUANT_ZERO_POINT, QUANT_DETAILS_TYPE, QUANT_DETAILS, QUANT_DIMENSION };
enum { OP_CODE, OP_INPUTS, OP_OUTPUTS, OP_OPTIONS_TYPE, OP_OPTIONS };
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };

struct code {
  int64_t code, version;
  struct bf_fb_vector custom;
};

static uint32_t bounded(struct bf_fb *fb, const struct bf_fb_vector *vector) {
  if (vector->count <= BF_TFL_MAX_ITEMS) return vector->count;
  bf_fb_fail(fb, vector->at, "a list of more than 65536 items");
  return 0;
}

static void read_buffers(struct bf_fb *fb, const struct bf_fb_table *root, struct bf_tfl_model *model) {
  struct bf_fb_vector list = bf_fb_vector(fb, root, MODEL_BUFFERS, 4);
  model->nbuffers = bounded(fb, &list);
  model->buffers = bf_arena_alloc(&model->arena, model->nbuffers + 1, sizeof *model->buffers);
  for (uint32_t i = 0; i < model->nbuffers && !fb->error; i++) {
    struct bf_fb_table table = bf_fb_vector_table(fb, &list, i);
    struct bf_fb_vector data = bf_fb_vector(fb, &table, BUFFER_DATA, 1);
    struct bf_tfl_buffer *buffer = &model->buffers[i];
    *buffer = (struct bf_tfl_buffer){data.count ? data.data : NULL, data.count};
    // Large models keep the data behind the FlatBuffer; offsets 0 and 1 mean that they don't.
    uint64_t offset = (uint64_t)bf_fb_int(fb, &table, BUFFER_OFFSET, BF_FB_U64, 0);
    uint64_t size = (uint64_t)bf_fb_int(fb, &table, BUFFER_SIZE, BF_FB_U64, 0);
    if (offset <= 1) continue;
    if (offset > fb->length || size > fb->length - offset) bf_fb_fail(fb, table.at, "a buffer outside the file");
    else *buffer = (struct bf_tfl_buffer){size ? fb->data + offset : NULL, size};
  }
}

static void read_quantization(struct bf_fb *fb, const struct bf_fb_table *table, struct bf_tfl_tensor *tensor) {
  struct bf_fb_table quant = bf_fb_table(fb, table, TENSOR_QUANTIZATION);
  tensor->scale = bf_fb_vector(fb, &quant, QUANT_SCALE, 4);
  tensor->zero_point = bf_fb_vector(fb, &quant, QUANT_ZERO_POINT, 8);
  tensor->custom_quantization = bf_fb_int(fb, &quant, QUANT_DETAILS_TYPE, BF_FB_U8, 0) != 0;
  tensor->quantized_dimension = (int32_t)bf_fb_int(fb, &quant, QUANT_DIMENSION, BF_FB_I32, 0);
}

static void read_tensor(struct bf_fb *fb, const struct bf_fb_table *table, const struct bf_tfl_model *model,
                        struct bf_tfl_tensor *tensor) {
  tensor->at = table->at;
  tensor->name = bf_fb_string(fb, table, TENSOR_NAME);
  tensor->type = bf_fb_int(fb, table, TENSOR_TYPE, BF_FB_I8, 0);
  struct bf_fb_vector shape = bf_fb_vector(fb, table, TENSOR_SHAPE, 4);
  tensor->rank = shape.count;
  for (uint32_t i = 0; i < shape.count && i < BF_TFL_MAX_RANK; i++) tensor->shape[i] = bf_fb_vector_i32(&shape, i);
  struct bf_fb_vector signature = bf_fb_vector(fb, table, TENSOR_SIGNATURE, 4);
  for (uint32_t i = 1; i < signature.count && i < BF_TFL_MAX_RANK; i++)
    tensor->dynamic |= bf_fb_vector_i32(&signature, i) < 0;
  tensor->variable = bf_fb_int(fb, table, TENSOR_VARIABLE, BF_FB_U8, 0) != 0;
  tensor->sparse = bf_fb_table(fb, table, TENSOR_SPARSITY).at != 0;
  int64_t buffer = bf_fb_int(fb, table, TENSOR_BUFFER, BF_FB_U32, 0);
  if (buffer != 0 && buffer >= model->nbuffers) bf_fb_fail(fb, table->at, "a tensor whose buffer does not exist");
  else tensor->buffer = (uint32_t)buffer;
  read_quantization(fb, table, tensor);
}

static void read_tensors(struct bf_fb *fb, const struct bf_fb_table *graph, struct bf_tfl_model *model) {
  struct bf_fb_vector list = bf_fb_vector(fb, graph, GRAPH_TENSORS, 4);
  model->ntensors = bounded(fb, &list);
  model->tensors = bf_arena_alloc(&model->arena, model->ntensors + 1, sizeof *model->tensors);
  for (uint32_t i = 0; i < model->ntensors && !fb->error; i++) {
    struct bf_fb_table table = bf_fb_vector_table(fb, &list, i);
    read_tensor(fb, &table, model, &model->tensors[i]);
  }
}

static struct code *read_codes(struct bf_fb *fb, const struct bf_fb_table *root, struct bf_tfl_model *model,
                               uint32_t *count) {
  struct bf_fb_vector list = bf_fb_vector(fb, root, MODEL_OPERATOR_CODES, 4);
  *count = bounded(fb, &list);
  struct code *codes = bf_arena_alloc(&model->arena, *count + 1, sizeof *codes);
  for (uint32_t i = 0; i < *count && !fb->error; i++) {
    struct bf_fb_table table = bf_fb_vector_table(fb, &list, i);
    // Codes above 127 stand in a later field only; files older than that field have only the first.
    int64_t old = bf_fb_int(fb, &table, CODE_DEPRECATED, BF_FB_I8, 0);
    int64_t code = bf_fb_int(fb, &table, CODE_BUILTIN, BF_FB_I32, 0);
    codes[i].code = code > old ? code : old;
    codes[i].version = bf_fb_int(fb, &table, CODE_VERSION, BF_FB_I32, 1);
    codes[i].custom = bf_fb_string(fb, &table, CODE_CUSTOM);
  }
  return codes;
}

static void read_options(struct bf_fb *fb, const struct bf_fb_table *table, struct bf_tfl_op *op) {
  struct bf_tfl_options *o = &op->options;
  op->options_type = bf_fb_int(fb, table, OP_OPTIONS_TYPE, BF_FB_U8, 0);
  struct bf_fb_table options = {0};
  if (op->options_type) options = bf_fb_table(fb, table, OP_OPTIONS);
#define BF_TFL_FIELD(type, slot, kind, member, otherwise, name) \
  if (op->options_type == BF_TFL_OPTIONS_##type)                \
    o->member = (int32_t)bf_fb_int(fb, &options, slot, BF_FB_##kind, otherwise);
#define BF_TFL_REAL(type, slot, member, otherwise, name) \
  if (op->options_type == BF_TFL_OPTIONS_##type) o->member = bf_fb_float(fb, &options, slot, otherwise);
#include "frontend/tflite_schema.def"
}

// A list of tensor indices, each in range; -1 too if `optional`.
static struct bf_fb_vector read_indices(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot,
                                        const struct bf_tfl_model *model, bool optional) {
  struct bf_fb_vector list = bf_fb_vector(fb, table, slot, 4);
  bounded(fb, &list);
  for (uint32_t i = 0; i < list.count && !fb->error; i++) {
    int32_t index = bf_fb_vector_i32(&list, i);
    if (!(index >= 0 && (uint32_t)index < model->ntensors) && !(optional && index == -1))
      bf_fb_fail(fb, list.at + 4 * (uint64_t)i, "the index of a tensor that does not exist");
  }
  return list;
}

static void read_ops(struct bf_fb *fb, const struct bf_fb_table *graph, const struct code *codes, uint32_t ncodes,
                     struct bf_tfl_model *model) {
  struct bf_fb_vector list = bf_fb_vector(fb, graph, GRAPH_OPERATORS, 4);
  model->nops = bounded(fb, &list);
  model->ops = bf_arena_alloc(&model->arena, model->nops + 1, sizeof *model->ops);
  uint64_t operands = 0;
  for (uint32_t i = 0; i < model->nops && !fb->error; i++) {
    struct bf_fb_table table = bf_fb_vector_table(fb, &list, i);
    struct bf_tfl_op *op = &model->ops[i];
    op->at = table.at;
    int64_t code = bf_fb_int(fb, &table, OP_CODE, BF_FB_U32, 0);
    if (code >= ncodes) {
      bf_fb_fail(fb, table.at, "an operator whose code does not exist");
      return;
    }
    op->code = codes[code].code;
    op->version = codes[code].version;
    op->custom_code = codes[code].custom;
    op->inputs = read_indices(fb, &table, OP_INPUTS, model, true);
    op->outputs = read_indices(fb, &table, OP_OUTPUTS, model, false);
    // Each operand takes four bytes of the file, unless many operators share one list: without
    // this limit a small file could ask for 2^32 of them.
    operands += (uint64_t)op->inputs.count + op->outputs.count;
    if (operands > fb->length) bf_fb_fail(fb, table.at, "more operands than the file can hold");
    read_options(fb, &table, op);
  }
}

static void read_model(struct bf_fb *fb, const struct bf_fb_table *root, struct bf_tfl_model *model) {
  model->version = bf_fb_int(fb, root, MODEL_VERSION, BF_FB_U32, 0);
  model->description = bf_fb_string(fb, root, MODEL_DESCRIPTION);
  read_buffers(fb, root, model);
  uint32_t ncodes;
  struct code *codes = read_codes(fb, root, model, &ncodes);
  struct bf_fb_vector subgraphs = bf_fb_vector(fb, root, MODEL_SUBGRAPHS, 4);
  model->nsubgraphs = subgraphs.count;
  if (!fb->error && subgraphs.count == 0) bf_fb_fail(fb, root->at, "a model without a subgraph");
  struct bf_fb_table graph = bf_fb_vector_table(fb, &subgraphs, 0);
  model->name = bf_fb_string(fb, &graph, GRAPH_NAME);
  read_tensors(fb, &graph, model);
  model->inputs = read_indices(fb, &graph, GRAPH_INPUTS, model, false);
  model->outputs = read_indices(fb, &graph, GRAPH_OUTPUTS, model, false);
  read_ops(fb, &graph, codes, ncodes, model);
}

bool bf_tfl_read(const void *data, size_t length, const char *file, struct bf_tfl_model *model,
                 struct bf_diags *diags) {
  struct bf_fb fb;
  struct bf_fb_table root;
  *model = (struct bf_tfl_model){.file = data, .file_length = length};
  if (length > BF_MAX_FILE_BYTES) {
    bf_error_file(diags, file, NULL, "the file is larger than 2 GiB");
    return false;
  }
  if (bf_fb_open(&fb, data, length, "TFL3", &root)) read_model(&fb, &root, model);
  if (fb.error) {
    bf_error_file(diags, file, NULL, "not a sound TensorFlow Lite model: %s, at byte %llu of %zu", fb.error,
                  (unsigned long long)fb.error_at, length);
    return false;
  }
  if (model->version != 3) {
    bf_error_file(diags, file, "convert the model with a current TensorFlow",
                  "TensorFlow Lite schema version %lld; only version 3 is supported", (long long)model->version);
    return false;
  }
  return true;
}

void bf_tfl_model_free(struct bf_tfl_model *model) { bf_arena_free(&model->arena); }
