// SPDX-License-Identifier: Apache-2.0
// The ONNX importer's inside: from unpacked messages to .bfn text. Internal.
//
// Every tensor of the model is a value: a constant, or something computed. What is computed is described lazily, as the
// exact integer result of a source (an activation of the text, a convolution, a sum, …) followed by a list of scalar
// steps that the model spells out in Mul, Add, Div, Floor, Clip, BatchNormalization, Quant, … nodes. When somebody
// needs an activation, source and steps are settled: printed as one layer whose requantization does exactly what the
// steps do.
#ifndef BF_ONNX_LOWER_H
#define BF_ONNX_LOWER_H

#include "base/bf_diag.h"
#include "base/bf_npy.h"
#include "frontend/onnx.h"
#include "frontend/onnx.pb-c.h"

#define BF_ONX_DIMS BF_ONNX_MAX_RANK
#define BF_ONX_MAX_CHANNELS ((uint64_t)1 << 20)
#define BF_ONX_ACC_LIMIT ((int64_t)1 << 46)  // accumulators stay well inside 48 bits

enum bf_onx_type {  // TensorProto.DataType
  BF_ONX_FLOAT = 1,
  BF_ONX_UINT8,
  BF_ONX_INT8,
  BF_ONX_UINT16,
  BF_ONX_INT16,
  BF_ONX_INT32,
  BF_ONX_INT64,
  BF_ONX_STRING,
  BF_ONX_BOOL,
  BF_ONX_FLOAT16,
  BF_ONX_DOUBLE,
  BF_ONX_UINT32,
  BF_ONX_UINT64,
  BF_ONX_UINT4 = 21,
  BF_ONX_INT4 = 22
};
// Bits and sign of an integer type; false for others.
bool bf_onx_int_type(int32_t type, unsigned *bits, bool *is_signed);

struct bf_onx_shape {
  unsigned rank;
  uint64_t dims[BF_ONX_DIMS];
};
uint64_t bf_onx_elements(const struct bf_onx_shape *shape);  // at most BF_MAX_ELEMENTS once checked

// A constant. Integers are kept as such; a uniform one holds a single element.
struct bf_onx_const {
  const char *name;  // initializer it comes from, or NULL
  int32_t type;
  struct bf_onx_shape shape;
  uint64_t count;  // elements of the shape
  bool uniform;
  const double *real;  // exactly one of real and ints is set
  const int64_t *ints;
  // Quantized: value = scale[i] * (ints - zero[i]), i along `axis` or 0 if nscale is 1.
  const double *scale;
  const int64_t *zero;
  uint64_t nscale;
  unsigned axis;
  unsigned bits;  // 0: by the values
  bool is_signed;
};

// Where the elements of a value lie in the text. Parts are factors of the model's dimensions, those of size 1 left out.
struct bf_onx_layout {
  struct bf_onx_shape shape;  // in the model
  unsigned nparts;
  uint64_t part[BF_ONX_DIMS];  // sizes, in the model's order
  uint8_t dim[BF_ONX_DIMS];    // the dimension each belongs to
  uint8_t order[BF_ONX_DIMS];  // the text's order: indices of parts, outermost first
};

// An activation of the text.
struct bf_onx_text {
  const char *name;
  struct bf_type type;
  double scale;  // as printed
  int64_t zero;
  unsigned rank;  // 2 or 4, the batch included
  uint64_t shape[4];
  const char *model_name;  // of an input
  bool undecided;          // an input whose type is not settled yet
  bool retaggable;         // an input of integers whose scale and zero point the only reader will say
};

enum bf_onx_step_kind {
  STEP_MUL,
  STEP_DIV,
  STEP_ADD,
  STEP_FLOOR,
  STEP_CEIL,
  STEP_TRUNC,
  STEP_ROUND,
  STEP_CLIP,
  STEP_COUNT,
  STEP_CURVE
};
struct bf_onx_step {
  enum bf_onx_step_kind kind;
  uint64_t n;                                     // entries of v: 1 or the number of channels
  const double *v;                                // MUL, DIV, ADD
  double lo, hi;                                  // CLIP, may be infinite
  uint64_t nthresholds;                           // COUNT: v[channel * nthresholds + i], ascending: how many are <= x
  double (*curve)(double x, double a, double b);  // CURVE: any function; lo and hi are its parameters
};

enum bf_onx_source_kind { SOURCE_TEXT, SOURCE_CONV, SOURCE_DENSE, SOURCE_ADD, SOURCE_SUB, SOURCE_MUL, SOURCE_SUM };

// Weights of a layer: [out][depth] of integers with a scale for each output.
struct bf_onx_matrix {
  uint64_t out, depth;
  bool uniform;
  const int64_t *q;     // out * depth, or 1
  const double *scale;  // out
  const int64_t *zero;  // out
  struct bf_type type;
};

// What computes exact integers.
struct bf_onx_source {
  enum bf_onx_source_kind kind;
  struct bf_onx_text *in[2];
  char *arguments;                     // printed after the operands (and weights), ", stride 2, …"
  const char *weights, *bias;          // names in the text, or NULL: not declared yet, or there are none
  const struct bf_onx_matrix *matrix;  // the weights, of `weights_rank` dimensions in the text
  unsigned weights_rank;
  uint64_t weights_shape[4];
  int64_t *bias_values;  // of the channels, in units of the sums, or NULL
  const char *callee;
  uint64_t channels;  // of the text's last dimension
  int64_t *lo, *hi;   // range of the integer for each channel
  struct bf_onx_layout layout;
  unsigned rank;  // shape in the text
  uint64_t shape[4];
  const char *hint;  // for the name
};

struct bf_onx_value {
  const char *name;            // in the model
  unsigned uses;               // readers of it
  const BfOnnx__Node *reader;  // the first of them, or NULL
  bool known;
  bool failed;                    // a problem was noted at it: nothing may read it
  struct bf_onx_const *constant;  // or NULL
  struct bf_onx_source *source;   // or NULL
  struct bf_onx_step *steps;
  size_t nsteps;
  struct bf_onx_layout layout;
  int64_t pad[4];        // zeros around the image: top, bottom, left, right
  int32_t integer_type;  // a tensor of this integer type in the model, or 0
  bool dequantized;      // no: a tensor of real numbers, made of codes of that type
  // A tensor of codes, as QuantizeLinear gives: the model's number is q, source and steps describe code_scale * (q -
  // code_zero).
  bool coded;
  double code_scale, code_zero;
  const char *left_out;  // not computed: the operator that was left out after `base`, or NULL
  struct bf_onx_value *base;
};

struct bf_onx_lower {
  BfOnnx__Model *model;
  const struct bf_onnx_options *options;
  const char *file;
  struct bf_diags *diags;
  struct bf_arena arena;
  struct bf_onx_value *values;  // of all tensors of the model
  size_t nvalues;
  struct bf_onx_map *map, *names;
  const BfOnnx__Node *node;  // being lowered
  size_t index;
  struct bf_buf head, constants, layers;
  struct bf_archive weights;
  uint64_t budget;         // elements of constants that may still be made
  uint64_t channels_left;  // of sources that may still be made
  bool integer_graph;      // all weights are integers, and nothing quantizes
  bool has_quantizers;
  struct bf_onx_problem *problems;
  size_t nproblems, problems_capacity;
  unsigned failures;  // problems noted, equal ones counted
  bool exhausted;     // a limit was reached: what follows would only repeat it
  struct bf_onx_problem *left_out;
  size_t nleft_out, left_out_capacity;
};

// ---- onnx_read.c
// Unpacks; NULL after adding an error. The caller frees with bf_onx_free_model.
BfOnnx__Model *bf_onx_unpack(const void *data, size_t length, const char *file, struct bf_diags *diags);
void bf_onx_free_model(BfOnnx__Model *model);
// Unpacks one TensorProto into the arena; false: *why says what is wrong.
bool bf_onx_read_tensor(struct bf_onx_lower *l, const void *data, size_t length, struct bf_onx_const *out,
                        const char **why);
bool bf_onx_decode(struct bf_onx_lower *l, const BfOnnx__Tensor *tensor, struct bf_onx_const *out, const char **why);

// ---- onnx_import.c: the door, also of those who read other models than quantized ones
// Gives every name a value, and sees that every result is computed once.
bool bf_onx_check_names(struct bf_onx_lower *l);
// The initializers and bindings, as constants.
bool bf_onx_read_constants(struct bf_onx_lower *l);
// The shape of an input, an open batch as 1.
bool bf_onx_input_shape(struct bf_onx_lower *l, const BfOnnx__ValueInfo *info, struct bf_onx_shape *shape);

// ---- onnx_names.c
struct bf_onx_map;  // from names to pointers
struct bf_onx_map *bf_onx_map_new(struct bf_arena *arena);
void **bf_onx_map_at(struct bf_onx_map *map, const char *name);  // the slot, made if need be (NULL in it)
const char *bf_onx_unique(struct bf_onx_lower *l, const char *base);
// An identifier from a tensor's name, without words like "weight"; NULL if it says nothing.
const char *bf_onx_identifier(struct bf_onx_lower *l, const char *name);
const char *bf_onx_printable(struct bf_arena *arena, const char *name);
// Notes an obstacle at the node being lowered; always false.
bool bf_onx_fail(struct bf_onx_lower *l, const char *hint, const char *format, ...) BF_PRINTF(3, 4);
// Notes that an operator was left out.
void bf_onx_leave_out(struct bf_onx_lower *l, const char *why);
bool bf_onx_report(struct bf_onx_lower *l);  // prints all; false if there was a problem

// ---- attributes (onnx_names.c)
const BfOnnx__Attribute *bf_onx_attribute(const BfOnnx__Node *node, const char *name);
int64_t bf_onx_int(const BfOnnx__Node *node, const char *name, int64_t otherwise);
double bf_onx_float(const BfOnnx__Node *node, const char *name, double otherwise);
bool bf_onx_string_is(const BfOnnx__Node *node, const char *name, const char *text);  // false if absent
// Reads a list of `count` integers; false if it is absent or of another length.
bool bf_onx_ints(const BfOnnx__Node *node, const char *name, size_t count, int64_t *out);
// Operand i, or NULL if it is absent.
struct bf_onx_value *bf_onx_input(struct bf_onx_lower *l, size_t i);
struct bf_onx_value *bf_onx_output(struct bf_onx_lower *l, size_t i);
// Operand i, which must be computed / constant; NULL: a problem was noted.
struct bf_onx_value *bf_onx_computed(struct bf_onx_lower *l, size_t i);
const struct bf_onx_const *bf_onx_constant(struct bf_onx_lower *l, size_t i);

// ---- onnx_const.c
double bf_onx_real(const struct bf_onx_const *c, uint64_t i);  // with quantization, if any
bool bf_onx_fold(struct bf_onx_lower *l, bool *done);          // folds a node all of whose operands are constants
struct bf_onx_const *bf_onx_const_new(struct bf_onx_lower *l, int32_t type, const struct bf_onx_shape *shape,
                                      uint64_t held);
// The constant with its dimensions permuted.
const struct bf_onx_const *bf_onx_const_permute(struct bf_onx_lower *l, const struct bf_onx_const *c,
                                                const unsigned *perm);
// Reshape's target.
bool bf_onx_target_shape(struct bf_onx_lower *l, const struct bf_onx_shape *from, struct bf_onx_shape *to);
// The list of integers that an opset gives as attribute `name` and a later one as operand i.
bool bf_onx_list(struct bf_onx_lower *l, const char *name, size_t i, size_t limit, int64_t *out, size_t *count);

// ---- onnx_layout.c
// Natural order: the text lists the dimensions as the model does.
void bf_onx_layout_plain(struct bf_onx_layout *layout, const struct bf_onx_shape *shape);
// Images: the second dimension (channels) comes last in the text.
void bf_onx_layout_image(struct bf_onx_layout *layout, const struct bf_onx_shape *shape);
bool bf_onx_layout_reshape(struct bf_onx_layout *layout, const struct bf_onx_shape *to);
void bf_onx_layout_transpose(struct bf_onx_layout *layout, const unsigned *perm);
bool bf_onx_layout_same(const struct bf_onx_layout *a, const struct bf_onx_layout *b);
// The shape that a value of this layout has in the text as an image [n, y, x, c] (rank 3 and 4), otherwise [n, rest].
void bf_onx_layout_text(const struct bf_onx_layout *layout, unsigned *rank, uint64_t *shape);
// The model's dimension that is the text's last one alone and in order, or -1.
int bf_onx_channel_dim(const struct bf_onx_layout *layout);
// Brings an activation into the order `want` and the text shape given; prints reshapes and transposes as needed.
bool bf_onx_arrange(struct bf_onx_lower *l, struct bf_onx_value *v, const struct bf_onx_layout *want, unsigned rank,
                    const uint64_t *shape);
// Settles v, scales it, and arranges it as an image.
bool bf_onx_image(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale);

// ---- onnx_steps.c
void bf_onx_push(struct bf_onx_lower *l, struct bf_onx_value *v, struct bf_onx_step step);
void bf_onx_push_scalar(struct bf_onx_lower *l, struct bf_onx_value *v, enum bf_onx_step_kind kind, double c);
void bf_onx_push_clip(struct bf_onx_lower *l, struct bf_onx_value *v, double lo, double hi);
double bf_onx_apply(const struct bf_onx_step *steps, size_t n, uint64_t channel, double x);
// The steps as scale * x + offset, the same for all channels; false if they are something else.
bool bf_onx_affine(const struct bf_onx_step *steps, size_t n, double *scale, double *offset);

// A requantization found for the steps.
struct bf_onx_requant {
  enum bf_requant_mode mode;
  uint64_t n;  // parameters: 1 or channels
  int64_t *mult, *add;
  int32_t shift;
  float *fscale;
  uint64_t nthresholds;
  int64_t *thresholds;
  int64_t lo, hi;  // clamp of the result, given
  int64_t zero;    // added to what the mode gives
  bool has_zero;   // given: the result's zero point is not 0
  bool assumed;    // given: nothing has to be equal, the scale was assumed
};
// Finds one that equals factor * y + offset, y the first `n` steps of v, clamped to [out->lo, out->hi], on every
// integer of the source's range. False: there is none.
bool bf_onx_find_requant(struct bf_onx_lower *l, const struct bf_onx_value *v, size_t n, int64_t factor, int64_t offset,
                         struct bf_onx_requant *out);

// ---- onnx_settle.c
// Makes v an activation of the text with only scaling steps left. False: a problem was noted.
bool bf_onx_settle(struct bf_onx_lower *l, struct bf_onx_value *v);
// As bf_onx_settle; its integers may have any width (graph outputs).
bool bf_onx_settle_output(struct bf_onx_lower *l, struct bf_onx_value *v);
// A settled value must be scale * (q - zero), the same for all channels.
bool bf_onx_scale(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale);
// Makes the scale that the text gives a settled value the value's own.
bool bf_onx_say_scale(struct bf_onx_lower *l, struct bf_onx_value *v);
// Settles and scales, and prints the pads that are still to be made.
bool bf_onx_activation(struct bf_onx_lower *l, struct bf_onx_value *v, double *scale);
bool bf_onx_pad(struct bf_onx_lower *l, struct bf_onx_value *v);
// Settles what is quantized already where several readers share it, or the next makes a layer of it: so layers stand in
// the model's order.
void bf_onx_share(struct bf_onx_lower *l, struct bf_onx_value *v);
// Reads codes q as scale * (q - zero): the operand of a node that says so.
struct bf_onx_value *bf_onx_center(struct bf_onx_lower *l, struct bf_onx_value *v, double scale, double zero);
// A copy whose source and steps give the model's number itself, coded or not.
struct bf_onx_value *bf_onx_plain(struct bf_onx_lower *l, const struct bf_onx_value *v);
// Defines an input's type.
bool bf_onx_decide_input(struct bf_onx_lower *l, struct bf_onx_text *text, struct bf_type type, double scale,
                         int64_t zero);

// ---- onnx_emit.c
const char *bf_onx_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape);  // without a batch of 1
void bf_onx_number(char *out, double v);                                                      // as float32
// A layer that keeps type and quantization: `name = callee(x arguments)`; the new activation.
struct bf_onx_text *bf_onx_print_same(struct bf_onx_lower *l, const char *hint, const char *callee,
                                      const char *operands, const struct bf_onx_text *like, unsigned rank,
                                      const uint64_t *shape);
struct bf_onx_text *bf_onx_print_layer(struct bf_onx_lower *l, struct bf_onx_source *s, struct bf_type type,
                                       double scale, int64_t zero, const struct bf_onx_requant *rq);
struct bf_onx_source *bf_onx_text_source(struct bf_onx_lower *l, struct bf_onx_text *text,
                                         const struct bf_onx_layout *layout);
struct bf_onx_source *bf_onx_source_new(struct bf_onx_lower *l, enum bf_onx_source_kind kind, const char *callee,
                                        uint64_t channels);
// Adds an archive member of the smallest type that holds the integers.
void bf_onx_add_ints(struct bf_onx_lower *l, const char *name, unsigned rank, const uint64_t *shape, const int64_t *v);
void bf_onx_add_floats(struct bf_onx_lower *l, const char *name, uint64_t n, const float *v);

// ---- onnx_ops_sum.c
// A name for a layer: that of its weights without its last word, else the node's.
const char *bf_onx_layer_hint(struct bf_onx_lower *l, const struct bf_onx_const *w, const char *otherwise);

// ---- onnx_weights.c
// From a constant whose first dimension are the outputs; float constants are quantized if widths are assumed.
bool bf_onx_matrix(struct bf_onx_lower *l, const struct bf_onx_const *c, struct bf_onx_matrix *out);
// Declares weights and bias of a source that is about to be printed under `name`.
void bf_onx_declare(struct bf_onx_lower *l, struct bf_onx_source *s, const char *name);
// The source and steps of v with the weights of those channels negated whose steps fall, so that all rise; false: that
// cannot be done.
bool bf_onx_rising(struct bf_onx_lower *l, const struct bf_onx_value *v, size_t n, struct bf_onx_value *out);
// Sets the ranges of `s` from weights and type of the input; the sum over `depth` weights a channel.
bool bf_onx_set_range(struct bf_onx_lower *l, struct bf_onx_source *s, const struct bf_onx_matrix *m);
// Scaling of the sums (x_scale * w_scale[c]) and bias, which becomes a constant of the layer or a step.
bool bf_onx_finish_sum(struct bf_onx_lower *l, struct bf_onx_value *v, double x_scale, const struct bf_onx_matrix *m,
                       const struct bf_onx_const *bias, double bias_factor);

// ---- onnx_ops*.c: one function for each kind of node; false: a problem was noted
typedef bool bf_onx_op(struct bf_onx_lower *l);
// onnx_ops_sum.c
bf_onx_op bf_onx_op_conv, bf_onx_op_gemm, bf_onx_op_matmul, bf_onx_op_qlinearconv, bf_onx_op_qlinearmatmul,
    bf_onx_op_convinteger, bf_onx_op_matmulinteger;
// onnx_ops_pool.c
bf_onx_op bf_onx_op_pool, bf_onx_op_reduce, bf_onx_op_argmax;
// onnx_ops_scalar.c
bf_onx_op bf_onx_op_arith, bf_onx_op_sum, bf_onx_op_unary, bf_onx_op_clip, bf_onx_op_batchnorm, bf_onx_op_cast,
    bf_onx_op_extremum, bf_onx_op_curve;
// onnx_ops_quant.c
bf_onx_op bf_onx_op_quantize, bf_onx_op_dequantize, bf_onx_op_quant, bf_onx_op_bipolar, bf_onx_op_multithreshold,
    bf_onx_op_qlinearadd;
// onnx_ops_move.c
bf_onx_op bf_onx_op_reshape, bf_onx_op_transpose, bf_onx_op_pad, bf_onx_op_concat, bf_onx_op_identity, bf_onx_op_tail,
    bf_onx_op_passed, bf_onx_op_shape, bf_onx_op_slice, bf_onx_op_depth_to_space;
bool bf_onx_lower_node(struct bf_onx_lower *l);
// The node's first result as a copy of v.
struct bf_onx_value *bf_onx_define(struct bf_onx_lower *l, const struct bf_onx_value *v);
// A number of a constant operand of one element; false: a problem was noted. Absent: `otherwise`.
bool bf_onx_scalar(struct bf_onx_lower *l, size_t i, double otherwise, double *out);
// Clamp bounds of an integer type, unsigned 8 bits if it is 0.
bool bf_onx_bounds(struct bf_onx_lower *l, int32_t type, double *lo, double *hi);

// a + b or a - b, as a source with its scale.
bool bf_onx_add_values(struct bf_onx_lower *l, struct bf_onx_value *a, struct bf_onx_value *b, bool minus,
                       struct bf_onx_value *out);
// Quantizes to codes, as QuantizeLinear does.
void bf_onx_push_codes(struct bf_onx_lower *l, struct bf_onx_value *v, double scale, double zero, int32_t type,
                       double lo, double hi);

// A window over an image. The pads are [top, bottom, left, right].
struct bf_onx_window {
  int64_t kernel[2], stride[2], dilation[2], pad[4];
  uint64_t out[2];
  bool sticks_out;  // beyond image and pads, by ceil_mode; `pad` has that too
};
// Reads the attributes for a value of the given image shape [n, y, x, c] and kernel (NULL: the attribute's); `before`:
// pads of a Pad node that go with it, or NULL.
bool bf_onx_window(struct bf_onx_lower *l, unsigned spatial, const uint64_t *shape, const int64_t *kernel,
                   const int64_t *before, struct bf_onx_window *out);
void bf_onx_window_text(struct bf_buf *out, const struct bf_onx_window *w, bool kernel);
// The shape [n, c, (y,) x] in the model of an image result.
struct bf_onx_shape bf_onx_image_shape(unsigned rank, uint64_t n, uint64_t c, uint64_t y, uint64_t x);

#endif
