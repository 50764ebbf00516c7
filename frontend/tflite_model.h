// SPDX-License-Identifier: Apache-2.0
// A TensorFlow Lite model as plain structs: what tflite_read.c makes of the file, and the rest of
// the importer works from. Internal to the importer (and its tests).
#ifndef BF_TFLITE_MODEL_H
#define BF_TFLITE_MODEL_H

#include "base/bf_diag.h"
#include "frontend/flatbuffer.h"

enum bf_tfl_type {
#define BF_TFL_TYPE(code, name, ...) BF_TFL_##name = code,
#include "frontend/tflite_schema.def"
};
enum bf_tfl_op_code {
#define BF_TFL_OP(code, name, ...) BF_TFL_OP_##name = code,
#include "frontend/tflite_schema.def"
};
enum bf_tfl_options_code {
#define BF_TFL_OPTIONS(code, name) BF_TFL_OPTIONS_##name = code,
#include "frontend/tflite_schema.def"
};
enum bf_tfl_padding { BF_TFL_SAME, BF_TFL_VALID };

#define BF_TFL_MAX_RANK 8
#define BF_TFL_MAX_ITEMS 65536u  // tensors, operators, buffers, operator codes, each

struct bf_tfl_type_info {
  const char *name;
  unsigned bits;
  const char *text;  // .bfn type, or NULL
};
const struct bf_tfl_type_info *bf_tfl_type_info(int64_t type);  // NULL if unknown

struct bf_tfl_act_info {
  const char *name, *text;  // text: .bfn activation, or NULL
};
const struct bf_tfl_act_info *bf_tfl_act_info(int64_t activation);  // NULL if unknown

// Names, scale and zero_point refer to the file's bytes, which therefore must outlive the model.
struct bf_tfl_tensor {
  uint64_t at;               // byte offset of its table
  struct bf_fb_vector name;  // bytes, any content
  int64_t type;
  uint32_t rank;  // may exceed BF_TFL_MAX_RANK; then shape holds the first ones
  int32_t shape[BF_TFL_MAX_RANK];
  bool dynamic;  // the shape signature has an unknown dimension besides the first
  bool sparse, variable, custom_quantization;
  uint32_t buffer;
  struct bf_fb_vector scale, zero_point;  // float, int64
  int32_t quantized_dimension;
};

struct bf_tfl_buffer {
  const uint8_t *data;  // NULL: empty
  uint64_t length;
};

// Union of all options that are read; a member that the operator's table lacks is 0.
struct bf_tfl_options {
  int32_t padding, stride_w, stride_h, dilation_w, dilation_h, filter_w, filter_h, multiplier, activation, axis,
      keep_num_dims, keep_dims, weights_format, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask,
      offset;
  float beta, alpha;
};

struct bf_tfl_op {
  uint64_t at;  // byte offset of its table
  int64_t code, version;
  struct bf_fb_vector custom_code;
  struct bf_fb_vector inputs, outputs;  // int32 tensor indices; inputs: -1 for none
  int64_t options_type;                 // code in the union; 0: no options
  struct bf_tfl_options options;
};

struct bf_tfl_op_info {
  const char *name;  // NULL: unknown code
  bool supported;
  enum bf_tfl_options_code options;
  const char *advice;
};
// `name` NULL: no such code.
struct bf_tfl_op_info bf_tfl_op_info(int64_t code);

struct bf_tfl_model {
  struct bf_arena arena;  // owns the arrays
  const uint8_t *file;    // the bytes it was read from; not owned
  size_t file_length;
  int64_t version;
  struct bf_fb_vector description, name;  // name: of the subgraph
  uint32_t nsubgraphs, nbuffers, ntensors, nops;
  struct bf_tfl_buffer *buffers;
  struct bf_tfl_tensor *tensors;
  struct bf_tfl_op *ops;
  struct bf_fb_vector inputs, outputs;  // int32 tensor indices
};

// Reads the first subgraph. All indices of the result are in range: buffers of tensors, operands
// and results of operators, inputs and outputs. False: one error was added. Free with
// bf_tfl_model_free either way.
bool bf_tfl_read(const void *data, size_t length, const char *file, struct bf_tfl_model *model, struct bf_diags *diags);
void bf_tfl_model_free(struct bf_tfl_model *model);

#endif
