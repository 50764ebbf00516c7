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

// How a constant of the file is laid out in the archive.
enum bf_tfl_form {
  BF_TFL_PLAIN,
  BF_TFL_CHANNELS_FIRST,  // depthwise weights: [1][ky][kx][channels] becomes [channels][ky][kx][1]
  BF_TFL_FLIPPED,         // transposed convolution: each kernel from its last element to its first
  BF_TFL_RANK2,           // an operand, with leading dimensions of 1 to make two
  BF_TFL_RANK4,           // to make four
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
  bool *read;             // per tensor: a layer reads it
  struct bf_tfl_declared {
    const char *name;      // of the constant already declared, or NULL
    enum bf_tfl_form form;
  } *constant;            // per tensor
  int32_t *border;        // per tensor: the integer tensor that stands for this float32 input, or -1
  struct bf_buf constants, layers;
  struct bf_archive weights;
  bool given_multipliers;  // a multiplier is given as a number
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
// Adds `text`, which is kept, to a set with room for it; false if it is there.
bool bf_tfl_mark(struct bf_tfl_names *names, const char *text);
// At most 96 printable ASCII bytes of a name, for messages and comments.
const char *bf_tfl_printable(struct bf_arena *arena, struct bf_fb_vector name);

// tflite_emit.c
// Notes an obstacle at operator `op`; it fails the import.
void bf_tfl_problem(struct bf_tfl_lower *lower, uint32_t op, const char *hint, const char *format, ...) BF_PRINTF(4, 5);
// "ADD (output \"…\")", for messages.
const char *bf_tfl_op_label(struct bf_arena *arena, const struct bf_tfl_model *model, uint32_t op);
const char *bf_tfl_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape);
// Of tensor `index` (in the model), for messages and comments.
const char *bf_tfl_label(struct bf_tfl_lower *lower, uint32_t index);
// Sound parts of a tensor; false: a problem was noted. The whole shape of at least `least` dimensions, all positive and
// within limits; the scales; the one zero point, which its type must hold.
bool bf_tfl_check_shape(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, unsigned least,
                        uint64_t shape[4], uint64_t *elements);
bool bf_tfl_check_scales(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor);
bool bf_tfl_check_zero(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, int64_t *zero);
// Operand or result `index` (in the model's tensors) as an activation. False: a problem was noted.
bool bf_tfl_view(struct bf_tfl_lower *lower, uint32_t op, int32_t index, struct bf_tfl_value *out);
// As bf_tfl_view for operand `i`, which must be an input or the result of an operator before.
bool bf_tfl_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, struct bf_tfl_value *out);
// The only result.
bool bf_tfl_result(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *out);
// Operand `i` and the only result.
bool bf_tfl_unary(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *in, struct bf_tfl_value *out);
// Operand `i` is absent (-1 or beyond the list).
bool bf_tfl_absent(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i);
// Operand `i` is there and has its values in the file.
bool bf_tfl_is_constant(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i);
float bf_tfl_scale(const struct bf_tfl_tensor *tensor, uint32_t i);
// The shape as the IR has it, with the batch of 1 in front; gives the rank (2 or 4).
unsigned bf_tfl_inside(const struct bf_tfl_value *value, uint64_t shape[4]);
// A dimension of the file's shape (negative: from the end) as one of bf_tfl_inside; -1 if there is none.
int bf_tfl_axis(const struct bf_tfl_value *value, int64_t axis);

// tflite_const.c
// Weights of a convolution or dense layer.
struct bf_tfl_weights {
  const char *text;
  uint64_t shape[4];  // as in the file
  uint32_t channels;  // outputs
  const struct bf_tfl_tensor *tensor;
  bool per_channel;
};
// Declares operand `i` as weights of rank `rank` in the given form; their outputs are along the last dimension if it is
// BF_TFL_CHANNELS_FIRST, else along the first.
bool bf_tfl_declare_weights(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank, enum bf_tfl_form form,
                            struct bf_tfl_weights *out);
// Declares operand `i` as bias of `channels` elements.
bool bf_tfl_declare_bias(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint32_t channels, const char **text);
// Operand `i` of an elementwise operator whose result has `rank` dimensions (inside): a computed tensor, reshaped if it
// has fewer, or a constant, which is declared. Of `out` all is set but `shape`, which is as bf_tfl_inside gives it.
bool bf_tfl_broadcast_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank,
                              struct bf_tfl_value *out);
// Reads operand `i`, a constant list of 1 to `limit` integers.
bool bf_tfl_constant_ints(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint64_t limit, uint64_t *count,
                          int64_t *out);
// Declares a table of 256 values for results like `out`; gives its name, or NULL after a problem.
const char *bf_tfl_declare_table(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *out,
                                 const int64_t values[256]);

// tflite_layer.c
#define BF_TFL_LARGEST_OPTION 65535  // stride, dilation, window side, padding
const struct bf_tfl_options *bf_tfl_options(const struct bf_tfl_lower *lower, uint32_t op);
// Begins the line of a layer: `  NAME = CALLEE(OPERANDS`.
void bf_tfl_begin(struct bf_tfl_lower *lower, const char *name, const char *callee, const char *operands);
// Ends a layer whose result has the type and quantization of its operand.
void bf_tfl_end_same(struct bf_tfl_lower *lower, const struct bf_tfl_value *out);
// Ends a layer whose result is typed; `requantize` is "" or the clause with a space before it.
void bf_tfl_end(struct bf_tfl_lower *lower, const struct bf_tfl_value *out, const char *requantize);
// Prints the fused activation, if any. False: a problem was noted.
bool bf_tfl_activation(struct bf_tfl_lower *lower, uint32_t op);
// Prints `, name y` or `, name [y, x]`.
void bf_tfl_pair(struct bf_tfl_lower *lower, const char *name, int64_t y, int64_t x);
// A name for a layer that helps operator `op`, and is none of the model.
const char *bf_tfl_helper(struct bf_tfl_lower *lower, uint32_t op, const char *suffix);
// A reshape layer to the shape of the text.
void bf_tfl_reshape(struct bf_tfl_lower *lower, const char *name, const char *from, unsigned rank,
                    const uint64_t *shape);
bool bf_tfl_same_shape(const struct bf_tfl_value *a, const struct bf_tfl_value *b);
bool bf_tfl_same_quantization(const struct bf_tfl_value *a, const struct bf_tfl_value *b);
// These note a problem if it isn't so.
bool bf_tfl_require_shape(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *a,
                          const struct bf_tfl_value *b);
bool bf_tfl_require_same(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *a,
                         const struct bf_tfl_value *b);
// A clause that gives a factor as a number, as TensorFlow Lite makes it; NULL and a problem if it's out of range.
const char *bf_tfl_multiplier_clause(struct bf_tfl_lower *lower, uint32_t op, double real);

// Lower one live operator: append to lower->layers and define its results, or note a problem.
#define BF_TFL_LOWER(name) void bf_tfl_lower_##name(struct bf_tfl_lower *lower, uint32_t op);
#include "frontend/tflite_schema.def"
// tflite_ops.c: chooses among them.
void bf_tfl_lower_op(struct bf_tfl_lower *lower, uint32_t op);

#endif
