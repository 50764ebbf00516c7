// SPDX-License-Identifier: Apache-2.0
// The importer's second half: from struct bf_tfl_model to .bfn text and weights. Internal.
#ifndef BF_TFLITE_LOWER_H
#define BF_TFLITE_LOWER_H

#include "base/bf_diag.h"
#include "base/bf_npy.h"
#include "frontend/tflite_model.h"

// Names given out so far, each with the number its next duplicate gets.
struct bf_tfl_names {
  struct bf_tfl_name {
    char *text;
    unsigned next;
  } * slots;
  size_t count, size;  // size: a power of two, or 0
};

// One kind of obstacle: reported once, with the number of operators it concerns.
struct bf_tfl_problem {
  const char *format;  // with `code`, what makes the kind
  int64_t code;
  char *message;
  const char *hint;
  unsigned count;
};

struct bf_tfl_lower {
  const struct bf_tfl_model *model;
  const char *file;
  struct bf_diags *diags;
  struct bf_arena arena;
  struct bf_tfl_names names;
  bool *live;             // per operator: reaches an output
  const char **layer;     // per operator: name of its layer (live ones)
  const char **value;     // per tensor: name of its value in the text, or NULL
  const char **constant;  // per tensor: name of the constant already declared, or NULL
  bool *turned;           // per tensor: declared transposed
  struct bf_buf constants, layers;
  struct bf_archive weights;
  bool float_products;  // a multiplier is given as a number
  uint64_t budget;      // bytes of constants that may still be added
  struct bf_tfl_problem *problems;
  size_t nproblems, problems_capacity;
  const char *odd_dimension;  // name of the first tensor whose quantized_dimension is wrong
  unsigned odd_dimensions;
};

// An activation tensor, checked: integer, whole static shape with batch 1, quantized per tensor.
// The shape is as the text gives it: without the batch dimension, except that of three dimensions.
struct bf_tfl_value {
  uint32_t index;    // of the tensor
  const char *text;  // name in the .bfn text, or NULL if not defined yet
  int64_t type;
  const char *type_text;
  unsigned rank, file_rank;  // in the text and in the file
  uint64_t shape[BF_TFL_MAX_RANK], elements;
  float scale;
  int64_t zero;
};

// tflite_names.c
// A name for each layer from the name of its output tensor, into lower->layer.
void bf_tfl_name_layers(struct bf_tfl_lower *lower);
// A fresh identifier from a tensor's name, or from `otherwise` if that says nothing.
const char *bf_tfl_tensor_name(struct bf_tfl_lower *lower, struct bf_fb_vector name, const char *otherwise);
// A fresh identifier like `base`.
const char *bf_tfl_unique(struct bf_tfl_lower *lower, const char *base);
// At most 96 printable ASCII bytes of a name, for messages and comments.
const char *bf_tfl_printable(struct bf_arena *arena, struct bf_fb_vector name);

// tflite_emit.c
// Notes an obstacle at operator `op`; it fails the import.
void bf_tfl_problem(struct bf_tfl_lower *lower, uint32_t op, const char *hint, const char *format, ...) BF_PRINTF(4, 5);
// "ADD (output \"…\")", for messages.
const char *bf_tfl_op_label(struct bf_arena *arena, const struct bf_tfl_model *model, uint32_t op);
const char *bf_tfl_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape);
// Operand or result `index` (in the model's tensors) as an activation. False: a problem was noted.
bool bf_tfl_view(struct bf_tfl_lower *lower, uint32_t op, int32_t index, struct bf_tfl_value *out);
// As bf_tfl_view for operand `i`, which must be an input or the result of an operator before.
bool bf_tfl_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, struct bf_tfl_value *out);
// The only result.
bool bf_tfl_result(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *out);
// Operand `i` is absent (-1 or beyond the list).
bool bf_tfl_absent(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i);

// Weights of a convolution or dense layer.
struct bf_tfl_weights {
  const char *text;
  uint64_t shape[4];  // as in the file
  uint32_t channels;  // outputs
  const struct bf_tfl_tensor *tensor;
  bool per_channel;
};
// Declares operand `i` as weights of rank `rank` whose outputs are along `axis`; with axis 3 they are
// transposed to [channels, ky, kx, 1].
bool bf_tfl_declare_weights(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank, unsigned axis,
                            struct bf_tfl_weights *out);
// Declares operand `i` as bias of `channels` elements.
bool bf_tfl_declare_bias(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint32_t channels, const char **text);
// Reads operand `i`, a constant list of `count` INT32 or INT64.
bool bf_tfl_constant_ints(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint64_t count, int64_t *out);
float bf_tfl_scale(const struct bf_tfl_tensor *tensor, uint32_t i);

// tflite_ops.c
// Lowers one live operator: appends to lower->layers and defines its results, or notes a problem.
void bf_tfl_lower_op(struct bf_tfl_lower *lower, uint32_t op);

#endif
