// SPDX-License-Identifier: Apache-2.0
// Which function lowers which operator, and those of them without a file of their own: elementwise operators, pooling,
// sums, softmax, joins, changes of type. Each checks what the model says against what the language can say, and prints.
#include <math.h>
#include <string.h>

#include "frontend/tflite_lower.h"
#include "frontend/tflite_window.h"

enum lowering {
#define BF_TFL_LOWER(name) LOWER_##name,
#include "frontend/tflite_schema.def"
};

static const struct op_row {
  const char *name;
  enum lowering lowering;
  enum bf_tfl_options_code options;
  const char *advice;
} op_rows[] = {
#define BF_TFL_OP(code, name, lower, options, advice) [code] = {#name, LOWER_##lower, BF_TFL_OPTIONS_##options, advice},
#include "frontend/tflite_schema.def"
};

static const struct op_row *op_row(int64_t code) {
  return code >= 0 && (uint64_t)code < BF_COUNT(op_rows) && op_rows[code].name ? &op_rows[code] : NULL;
}

struct bf_tfl_op_info bf_tfl_op_info(int64_t code) {
  const struct op_row *row = op_row(code);
  if (!row) return (struct bf_tfl_op_info){0};
  return (struct bf_tfl_op_info){row->name, row->lowering != LOWER_none, row->options, row->advice};
}

static const char *binary_word(int64_t code) {
  switch (code) {
    case BF_TFL_OP_ADD: return "add";
    case BF_TFL_OP_SUB: return "sub";
    case BF_TFL_OP_MUL: return "mul";
    case BF_TFL_OP_MAXIMUM: return "maximum";
    default: return "minimum";
  }
}

// `shape`: of the result, inside. The operands' shapes are inside too.
static bool check_broadcast(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value operands[2],
                            unsigned rank, const uint64_t *shape) {
  bool good = true;
  for (unsigned i = 0; i < rank; i++) {
    uint64_t a = operands[0].shape[i], b = operands[1].shape[i];
    good &= (a == b || a == 1 || b == 1) && (a > b ? a : b) == shape[i];
  }
  if (!good || operands[0].rank + 1 != rank || operands[1].rank + 1 > rank) {
    bf_tfl_problem(lower, op, "equal shapes work, and sizes of 1, which are repeated",
                   "operands of shapes [%s] and [%s]",
                   bf_tfl_shape_text(&lower->arena, operands[0].rank + 1, operands[0].shape),
                   bf_tfl_shape_text(&lower->arena, operands[1].rank + 1, operands[1].shape));
    return false;
  }
  return true;
}

void bf_tfl_lower_binary(struct bf_tfl_lower *lower, uint32_t op) {
  int64_t code = lower->model->ops[op].code;
  bool choice = code == BF_TFL_OP_MAXIMUM || code == BF_TFL_OP_MINIMUM;
  struct bf_tfl_value operands[2], out;
  uint64_t shape[4];
  if (!bf_tfl_result(lower, op, &out)) return;
  unsigned rank = bf_tfl_inside(&out, shape);
  for (uint32_t i = 0; i < 2; i++) {
    if (!bf_tfl_broadcast_operand(lower, op, i, rank, &operands[i])) return;
    operands[i].rank = rank - 1;
    if (operands[i].type != out.type) {
      bf_tfl_problem(lower, op, NULL, "operands and result of different types");
      return;
    }
    if (choice && !bf_tfl_require_same(lower, op, &operands[i], &out)) return;
  }
  if (bf_tfl_is_constant(lower, op, 0) && bf_tfl_is_constant(lower, op, 1)) {
    bf_tfl_problem(lower, op, "one constant operand works", "both operands are constants");
    return;
  }
  if (!check_broadcast(lower, op, operands, rank, shape)) return;
  bf_tfl_begin(lower, lower->layer[op], binary_word(code),
               bf_arena_format(&lower->arena, "%s, %s", operands[0].text, operands[1].text));
  if (!bf_tfl_activation(lower, op)) return;
  if (choice) bf_tfl_end_same(lower, &out);
  else bf_tfl_end(lower, &out, "");
}

void bf_tfl_lower_pool(struct bf_tfl_lower *lower, uint32_t op) {
  const struct bf_tfl_options *o = bf_tfl_options(lower, op);
  bool average = lower->model->ops[op].code == BF_TFL_OP_AVERAGE_POOL_2D;
  const struct bf_tfl_window window = {
      .kernel = {o->filter_h, o->filter_w}, .stride = {o->stride_h, o->stride_w}, .dilation = {1, 1}};
  struct bf_tfl_value in, out;
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_same(lower, op, &in, &out) ||
      !bf_tfl_check_window(lower, op, &window, &in, &out))
    return;
  if (in.shape[2] != out.shape[2]) {
    bf_tfl_problem(lower, op, NULL, "operand and result have different numbers of channels");
    return;
  }
  bf_tfl_begin(lower, lower->layer[op], average ? "avg_pool2d" : "max_pool2d", in.text);
  bf_tfl_pair(lower, "kernel", o->filter_h, o->filter_w);
  bf_tfl_print_window(lower, op, &window);
  if (bf_tfl_activation(lower, op)) bf_tfl_end_same(lower, &out);
}

// The dimensions (inside) of MEAN and SUM; the batch, of one image, may be among them and is left out. 0: none fit.
static uint32_t reduced(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in) {
  int64_t list[BF_TFL_MAX_RANK];
  uint64_t count;
  uint32_t axes = 0;
  if (!bf_tfl_constant_ints(lower, op, 1, BF_TFL_MAX_RANK, &count, list)) return 0;
  for (uint64_t i = 0; i < count; i++) {
    int axis = bf_tfl_axis(in, list[i]);
    if (axis < 0) {
      bf_tfl_problem(lower, op, NULL, "no dimension %lld", (long long)list[i]);
      return 0;
    }
    axes |= 1u << axis;
  }
  axes &= ~1u;
  if (!axes) bf_tfl_problem(lower, op, "height, width and channels work", "no dimension but the batch");
  return axes;
}

void bf_tfl_lower_reduce(struct bf_tfl_lower *lower, uint32_t op) {
  const char *callee = lower->model->ops[op].code == BF_TFL_OP_MEAN ? "mean" : "reduce_sum", *text = "";
  struct bf_tfl_value in, out;
  uint64_t shape[4], left = 1;
  if (!bf_tfl_unary(lower, op, &in, &out)) return;
  if (in.type != out.type) {
    bf_tfl_problem(lower, op, NULL, "operand and result of different types");
    return;
  }
  uint32_t axes = reduced(lower, op, &in);
  if (!axes) return;
  unsigned rank = bf_tfl_inside(&in, shape);
  for (unsigned i = 0; i < rank; i++) {
    if (axes >> i & 1) text = bf_arena_format(&lower->arena, "%s%s%u", text, *text ? ", " : "", i);
    shape[i] = axes >> i & 1 ? 1 : shape[i];
    left *= shape[i];
  }
  if (left != out.elements) {
    bf_tfl_problem(lower, op, NULL, "a result of %llu elements where %llu are left",
                   (unsigned long long)out.elements, (unsigned long long)left);
    return;
  }
  bool same = rank == out.rank + 1 && memcmp(shape + 1, out.shape, out.rank * sizeof *shape) == 0;
  const char *name = same ? lower->layer[op] : bf_tfl_helper(lower, op, "sum");
  bf_tfl_begin(lower, name, callee, in.text);
  bf_buf_printf(&lower->layers, ", axes [%s]", text);
  bf_tfl_end(lower, &out, "");
  if (!same) bf_tfl_reshape(lower, lower->layer[op], name, out.rank, out.shape);
}

// Softmax gives probabilities at one fixed quantization for each type.
void bf_tfl_lower_softmax(struct bf_tfl_lower *lower, uint32_t op) {
  float beta = bf_tfl_options(lower, op)->beta;
  struct bf_tfl_value in, out;
  char text[40];
  if (!bf_tfl_unary(lower, op, &in, &out)) return;
  if (!bf_tfl_same_shape(&in, &out) || !isfinite(beta) || beta <= 0) {
    bf_tfl_problem(lower, op, NULL, "different shapes of operand and result, or a beta of %g", beta);
    return;
  }
  bool wide = out.type == BF_TFL_INT16;
  float scale = wide ? 0x1p-15f : 0x1p-8f;
  int64_t zero = out.type == BF_TFL_INT8 ? -128 : 0;
  if (in.type != out.type || fabsf(out.scale - scale) > scale / 1000 || (!wide && out.scale != scale) ||
      out.zero != zero) {
    bf_tfl_problem(lower, op,
                   "INT8 with a result of scale 1/256 and zero point -128, UINT8 with 1/256 and 0 and INT16 with "
                   "1/32768 and 0 work; the model can also end before it",
                   "operand of type %s, result of type %s, scale %g, zero point %lld", bf_tfl_type_info(in.type)->name,
                   bf_tfl_type_info(out.type)->name, out.scale, (long long)out.zero);
    return;
  }
  bf_tfl_begin(lower, lower->layer[op], "softmax", in.text);
  bf_buf_printf(&lower->layers, ", beta %s", bf_float_text(text, beta));
  bf_tfl_end(lower, &out, "");
}

void bf_tfl_lower_concat(struct bf_tfl_lower *lower, uint32_t op) {
  uint32_t count = lower->model->ops[op].inputs.count;
  int64_t axis = bf_tfl_options(lower, op)->axis;
  struct bf_tfl_value in, out;
  struct bf_buf operands = {0};
  bool good = count > 0 && bf_tfl_result(lower, op, &out);
  if (!good) return;
  unsigned batch = out.file_rank - out.rank;
  axis = axis < 0 ? axis + out.rank : axis - batch;
  uint64_t sum = 0;
  for (uint32_t i = 0; good && i < count; i++) {
    good = bf_tfl_operand(lower, op, i, &in) && bf_tfl_require_same(lower, op, &in, &out);
    if (!good) break;
    bf_buf_printf(&operands, "%s%s", i ? ", " : "", in.text);
    if (axis >= 0 && axis < in.rank) {
      sum += in.shape[axis];
      in.shape[axis] = out.shape[axis];
    }
    if (axis >= 0 && axis < in.rank && bf_tfl_same_shape(&in, &out)) continue;
    bf_tfl_problem(lower, op, "joining along height, width or channels works",
                   "operands that do not join along axis %d", bf_tfl_options(lower, op)->axis);
    good = false;
  }
  if (good && sum != out.shape[axis]) {
    bf_tfl_problem(lower, op, NULL, "operands that do not add up to the result");
    good = false;
  }
  if (good && bf_tfl_options(lower, op)->activation) {
    bf_tfl_problem(lower, op, "a RELU operator after it works", "a fused activation");
    good = false;
  }
  if (good) {
    bf_tfl_begin(lower, lower->layer[op], "concat", bf_buf_cstr(&operands));
    bf_buf_printf(&lower->layers, ", axis %lld", (long long)(axis - out.rank));
    bf_tfl_end_same(lower, &out);
  }
  bf_buf_free(&operands);
}

// The one operand of a border operator, and its one result; -1: there is none.
static int32_t only(const struct bf_fb_vector *list) { return list->count == 1 ? bf_fb_vector_i32(list, 0) : -1; }

void bf_tfl_lower_quantize(struct bf_tfl_lower *lower, uint32_t op) {
  int32_t from = only(&lower->model->ops[op].inputs), to = only(&lower->model->ops[op].outputs);
  struct bf_tfl_value in, out;
  if (from >= 0 && to >= 0 && lower->border[from] >= 0) {  // a float32 input: the images come in quantized
    lower->value[to] = lower->value[from];
    return;
  }
  if (!bf_tfl_unary(lower, op, &in, &out) || !bf_tfl_require_shape(lower, op, &in, &out)) return;
  bf_tfl_begin(lower, lower->layer[op], "requantize", in.text);
  bf_tfl_end(lower, &out, "");
}

// At the end of a model the quantized values are the result.
void bf_tfl_lower_dequantize(struct bf_tfl_lower *lower, uint32_t op) {
  int32_t to = only(&lower->model->ops[op].outputs);
  struct bf_tfl_value in;
  if (!bf_tfl_operand(lower, op, 0, &in)) return;
  if (to >= 0) lower->value[to] = in.text;
}

void bf_tfl_lower_none(struct bf_tfl_lower *lower, uint32_t op) {
  const struct op_row *row = op_row(lower->model->ops[op].code);
  bf_tfl_problem(lower, op, row ? row->advice : NULL, "this operator is not supported");
}

void bf_tfl_lower_op(struct bf_tfl_lower *lower, uint32_t op) {
  static void (*const functions[])(struct bf_tfl_lower *, uint32_t) = {
#define BF_TFL_LOWER(name) [LOWER_##name] = bf_tfl_lower_##name,
#include "frontend/tflite_schema.def"
  };
  const struct op_row *row = op_row(lower->model->ops[op].code);
  int64_t options = lower->model->ops[op].options_type;
  if (row && row->lowering != LOWER_none && row->options != BF_TFL_OPTIONS_None && options &&
      options != (int64_t)row->options) {
    bf_tfl_problem(lower, op, NULL, "options of another operator");
    return;
  }
  functions[row ? row->lowering : LOWER_none](lower, op);
}
