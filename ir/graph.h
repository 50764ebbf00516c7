// SPDX-License-Identifier: Apache-2.0
// The graph IR: a list of operators over quantized tensors, in execution order. It is the
// meaning of a network; the compiler and the reference evaluator both start from it.
//
// Tensors are NHWC, rank 1 to 4, integers: real = scale * (q - zero_point).
#ifndef BF_GRAPH_H
#define BF_GRAPH_H

#include "base/bf_base.h"
#include "base/bf_diag.h"

#define BF_MAX_RANK 4
#define BF_ATTR_WINDOW 1u         // kernel, stride, dilation, pad
#define BF_ATTR_GROUPS 2u
#define BF_ATTR_REQUANT 4u        // requant
#define BF_ATTR_INPUT_REQUANT 8u  // in_requant[0..1]
#define BF_ATTR_PADS 16u          // pads, pad_value
#define BF_ATTR_AXIS 32u
#define BF_ATTR_BETA 64u
#define BF_ATTR_AXES 128u         // axes
#define BF_ATTR_PERM 256u         // perm
#define BF_ATTR_SLICE 512u        // begin, step, count
#define BF_ATTR_FACTOR 1024u      // factor

enum bf_op {
#define BF_OP(id, ...) BF_OP_##id,
#include "ir/graph_ops.def"
  BF_OP_COUNT
};

enum bf_requant_mode {
#define BF_REQUANT(id, ...) BF_REQUANT_##id,
#include "ir/requant_modes.def"
  BF_REQUANT_COUNT
};

struct bf_op_info {
  const char *name;
  int min_inputs, max_inputs;
  unsigned const_inputs, attrs;
  const char *summary;
};
const struct bf_op_info *bf_op_info(enum bf_op op);  // NULL if out of range
// Two operands, broadcast against each other; one of them may be a constant.
bool bf_op_elementwise(enum bf_op op);
const char *bf_requant_mode_name(enum bf_requant_mode mode);
const char *bf_requant_mode_rule(enum bf_requant_mode mode);

// Element types: u1…u16, s1…s16 for activations and weights, up to s48 for biases and outputs of the network;
// b1 = {-1,+1} and t2 = {-1,0,1} are for weights and activations; nothing computes 0 for b1.
enum bf_type_kind { BF_TYPE_U, BF_TYPE_S, BF_TYPE_B, BF_TYPE_T };
struct bf_type {
  enum bf_type_kind kind;
  unsigned bits;  // U: 1..48, S: 1..48, B: 1, T: 2
};
int64_t bf_type_min(struct bf_type type);
int64_t bf_type_max(struct bf_type type);
bool bf_type_holds(struct bf_type type, int64_t value);  // in the range; b1 has no 0
bool bf_type_equal(struct bf_type a, struct bf_type b);
// Writes "u8", "s16", "b1", "t2"; `out` holds at least 8 bytes.
const char *bf_type_text(char *out, struct bf_type type);
bool bf_type_parse(const char *text, size_t length, struct bf_type *out);

// Quantization of a tensor: one scale and zero point, or one per index of `axis`.
struct bf_quant {
  uint32_t count;  // 0: not given (scale 1, zero 0); 1: per tensor; n: per index of axis
  int axis;
  float *scale;    // count entries (arena)
  int32_t *zero;   // count entries (arena)
};

// Requantization of exact integers, per output channel where count > 1 (channel = last axis).
struct bf_requant {
  enum bf_requant_mode mode;
  uint32_t count;       // 1 or the number of output channels; 0 for mode NONE
  int64_t *mult;        // TFLITE: q31 multiplier (0..2^31-1), TFLITE16 0 or 2^30..2^31-1; others as in requant_modes.def
  int32_t *shift;       // TFLITE: exponent e (negative = right); DYADIC, AFFINE_FLOOR, POW2: right shift 0..62
  int64_t *add;         // AFFINE_FLOOR only
  float *fscale;        // FLOAT_RNE only
  uint32_t nthresholds; // THRESHOLDS: per channel; thresholds[channel * nthresholds + i], ascending
  int64_t *thresholds;
  int64_t out_zero;     // added after the rule
  int64_t lo, hi;       // clamp, within the output type
};

struct bf_tensor {
  uint32_t id;          // index in graph->tensors
  char *name;           // unique in the graph
  struct bf_type type;
  struct bf_quant quant;
  unsigned rank;
  uint64_t shape[BF_MAX_RANK];
  uint64_t elements;
  int64_t *data;        // constants: elements values in C order (arena); else NULL
  struct bf_node *producer;  // NULL for inputs and constants
  bool is_input, is_output;
};

struct bf_attrs {
  int32_t kernel[2], stride[2], dilation[2];  // y, x
  int32_t pad[4];             // top, bottom, left, right
  uint32_t groups;            // CONV2D; depthwise: groups == input channels
  struct bf_requant requant;  // see BF_ATTR_REQUANT
  struct bf_requant in_requant[2];  // of the operands: the rule alone, out_zero, lo and hi are not used
  int32_t left_shift;         // ADD, TFLITE: operands are shifted left by this first (20 for 8 bits, 15 for 16)
  int32_t pads[BF_MAX_RANK][2];
  int64_t pad_value;
  int axis;
  float beta;
  uint32_t axes;              // REDUCE_SUM: bit i: dimension i
  int32_t perm[BF_MAX_RANK];  // TRANSPOSE
  int32_t begin[BF_MAX_RANK], step[BF_MAX_RANK], count[BF_MAX_RANK];  // SLICE; step may be negative, not 0
  int32_t factor[2];          // SPREAD: y, x
};

struct bf_node {
  uint32_t id;          // index in graph->nodes
  enum bf_op op;
  char *name;           // layer name, unique
  struct bf_tensor **inputs;
  uint32_t ninputs;
  struct bf_tensor *output;
  struct bf_attrs attrs;
  uint32_t line;        // line in the .bfn source (1..), 0 if none
};

struct bf_graph {
  struct bf_arena arena;  // owns everything below
  char *name;
  struct bf_tensor **tensors;
  size_t ntensors, tensors_capacity;
  struct bf_node **nodes;    // in execution order
  size_t nnodes, nodes_capacity;
  char *source;           // the .bfn text, or NULL (arena)
  char *weights;          // where the weights come from, a line of printable ASCII, or NULL: nothing is said (arena)
  // Profiles: per-layer bit widths by name.
  struct bf_profile {
    char *name;
    struct bf_profile_entry { char *layer; unsigned bits_w, bits_a; } *entries;
    size_t count, capacity;
  } *profiles;
  size_t nprofiles, profiles_capacity;
};

struct bf_graph *bf_graph_new(const char *name);
void bf_graph_free(struct bf_graph *graph);

// Builders. Names are copied. The caller fills type, quant (arena memory of the graph), shape; `elements`
// is computed; NULL if the shape overflows BF_MAX_ELEMENTS or rank is not 1..4.
struct bf_tensor *bf_graph_tensor(struct bf_graph *graph, const char *name, struct bf_type type,
                                  unsigned rank, const uint64_t *shape);
// Appends a node; inputs are copied; sets output->producer. Attributes start as kernel, stride, dilation and groups 1,
// beta 1, factor 1, step 1, all else 0.
struct bf_node *bf_graph_node(struct bf_graph *graph, enum bf_op op, const char *name,
                              struct bf_tensor *const *inputs, uint32_t ninputs,
                              struct bf_tensor *output);
struct bf_tensor *bf_graph_find_tensor(const struct bf_graph *graph, const char *name);
float bf_quant_scale(const struct bf_quant *quant, uint64_t index);   // 1 if not given
int32_t bf_quant_zero(const struct bf_quant *quant, uint64_t index);  // 0 if not given
// Multiply-accumulates of a node (0 for all but conv2d and dense).
uint64_t bf_node_macs(const struct bf_node *node);

// Shape inference and attribute checks shared by front end and verifier: computes the output shape of
// `node` from inputs and attrs (a reshape takes it from node->output; without one: [first dimension, the rest]).
// False and a message (with `diags` at `range`) if they clash; `diags` may be NULL.
bool bf_infer_shape(const struct bf_node *node, unsigned *rank, uint64_t *shape,
                    struct bf_diags *diags, struct bf_range range);

// The verifier: every structural rule of the IR (operand counts and constness by the table, shapes by
// bf_infer_shape, types, quantization counts, multiplier and shift ranges, definition before use, unique
// names, accumulators within 48 bits). False: errors were added.
bool bf_graph_verify(const struct bf_graph *graph, struct bf_diags *diags);

// Text form (.bfir): parses back to an equal graph; print(parse(print(g))) == print(g). Constants are
// printed whole.
void bf_graph_print(const struct bf_graph *graph, struct bf_buf *out);
struct bf_graph *bf_graph_parse(const struct bf_source *source, struct bf_diags *diags);
// Graphviz.
void bf_graph_print_dot(const struct bf_graph *graph, struct bf_buf *out);

// Requantization parameters from scales, exactly as TensorFlow Lite derives them (QuantizeMultiplier,
// tensorflow/lite/kernels/internal/quantization_util.cc): real = mult / 2^31 * 2^shift.
void bf_quantize_multiplier(double real, int64_t *mult, int32_t *shift);
// The same of a mean of `count` (at least 1) elements, as tflite-micro's MEAN derives it: real = in_scale / out_scale,
// 1/count is folded in. The multiplier may be below 2^30.
void bf_mean_multiplier(double real, uint64_t count, int64_t *mult, int32_t *shift);
// Scale and zero point that softmax from `in` to `out` has; false if it isn't defined on these types.
bool bf_softmax_result(struct bf_type in, struct bf_type out, float *scale, int32_t *zero);

#endif
