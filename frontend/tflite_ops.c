// SPDX-License-Identifier: Apache-2.0
// One function per supported operator: checks what the model says against what the language can
// say, and prints the layer.
#include "frontend/tflite_lower.h"

#include <math.h>
#include <string.h>

#include "ir/graph.h"

#define LARGEST_OPTION 65535  // stride, dilation, window side

enum lowering {
  LOWER_none,
  LOWER_add,
  LOWER_pool,
  LOWER_concat,
  LOWER_conv,
  LOWER_depthwise,
  LOWER_dense,
  LOWER_relu,
  LOWER_reshape,
  LOWER_softmax,
  LOWER_pad,
  LOWER_quantize
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

static const struct bf_tfl_options *options_of(const struct bf_tfl_lower *lower, uint32_t op) {
  return &lower->model->ops[op].options;
}

// Begins the line of the operator's layer.
static void begin(struct bf_tfl_lower *lower, uint32_t op, const char *callee, const char *operands) {
  bf_buf_printf(&lower->layers, "  %s = %s(%s", lower->layer[op], callee, operands);
}

// Ends a layer whose result has the type and quantization of its operand.
static void end_same(struct bf_tfl_lower *lower, const struct bf_tfl_value *out) {
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[out->index];
  bf_buf_printf(&lower->layers, ");  # %s\n", bf_tfl_printable(&lower->arena, tensor->name));
}

// Ends a layer whose result is requantized.
static void end(struct bf_tfl_lower *lower, const struct bf_tfl_value *out, const char *requantize) {
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[out->index];
  char scale[40];
  bf_buf_printf(&lower->layers, ")\n      -> %s scale %s zero %lld%s;  # %s\n", out->type_text,
                bf_float_text(scale, out->scale), (long long)out->zero, requantize,
                bf_tfl_printable(&lower->arena, tensor->name));
}

// Prints the fused activation, if any. False: there is no such thing in the language.
static bool activation(struct bf_tfl_lower *lower, uint32_t op) {
  int32_t code = options_of(lower, op)->activation;
  const struct bf_tfl_act_info *info = bf_tfl_act_info(code);
  if (!info || !info->text) {
    bf_tfl_problem(lower, op, "NONE, RELU, RELU6 and RELU_N1_TO_1 work", "fused activation %s",
                   info ? info->name : "of unknown code");
    return false;
  }
  if (code) bf_buf_printf(&lower->layers, ", activation %s", info->text);
  return true;
}

static void print_pair(struct bf_buf *out, const char *name, int64_t y, int64_t x) {
  if (y == x) bf_buf_printf(out, ", %s %lld", name, (long long)y);
  else bf_buf_printf(out, ", %s [%lld, %lld]", name, (long long)y, (long long)x);
}

static bool same_quantization(const struct bf_tfl_value *a, const struct bf_tfl_value *b) {
  return a->type == b->type && a->scale == b->scale && a->zero == b->zero;
}

static bool require_same(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *a,
                         const struct bf_tfl_value *b) {
  if (same_quantization(a, b)) return true;
  bf_tfl_problem(lower, op, "a QUANTIZE operator before it works",
                 "operand and result differ in type, scale or zero point");
  return false;
}

// A window sliding over an image: checks it, and that the result has the size it gives.
struct window {
  int64_t kernel[2], stride[2], dilation[2];  // y, x
};

static bool check_window(struct bf_tfl_lower *lower, uint32_t op, const struct window *w, const struct bf_tfl_value *in,
                         const struct bf_tfl_value *out) {
  int32_t padding = options_of(lower, op)->padding;
  if (in->file_rank != 4 || out->file_rank != 4) {
    bf_tfl_problem(lower, op, "reshape to [1, height, width, channels]",
                   "operand or result is no image of 4 dimensions");
    return false;
  }
  if (padding != BF_TFL_SAME && padding != BF_TFL_VALID) {
    bf_tfl_problem(lower, op, "SAME and VALID work", "padding of unknown code %d", padding);
    return false;
  }
  for (int i = 0; i < 2; i++) {
    const int64_t values[] = {w->kernel[i], w->stride[i], w->dilation[i]};
    for (int k = 0; k < 3; k++)
      if (values[k] < 1 || values[k] > LARGEST_OPTION) {
        bf_tfl_problem(lower, op, NULL, "a window side, stride or dilation of %lld", (long long)values[k]);
        return false;
      }
    int64_t size = (int64_t)in->shape[i], field = (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (padding == BF_TFL_VALID) size = size - field + 1;
    size = size > 0 ? (size + w->stride[i] - 1) / w->stride[i] : 0;
    if ((uint64_t)size != out->shape[i]) {
      bf_tfl_problem(lower, op, NULL, "result of %s %llu where the operand gives %lld", i ? "width" : "height",
                     (unsigned long long)out->shape[i], (long long)size);
      return false;
    }
  }
  return true;
}

static void print_window(struct bf_tfl_lower *lower, uint32_t op, const struct window *w) {
  struct bf_buf *out = &lower->layers;
  print_pair(out, "stride", w->stride[0], w->stride[1]);
  if (w->dilation[0] != 1 || w->dilation[1] != 1) print_pair(out, "dilation", w->dilation[0], w->dilation[1]);
  bf_buf_printf(out, ", pad %s", options_of(lower, op)->padding == BF_TFL_SAME ? "same" : "valid");
}

// The requantize clause of a convolution or dense layer: "" where the language derives from the scales what
// TensorFlow Lite does. Only for convolutions on UINT8 that multiplies the two scales in float32 first
// (`in_float`) where the language does not; if the multiplier then comes out different, it is
// given as a number.
static bool requantize_clause(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                              const struct bf_tfl_weights *w, const struct bf_tfl_value *out, bool in_float,
                              const char **clause) {
  int64_t mult, float_mult;
  int32_t shift, float_shift;
  *clause = "";
  for (uint32_t i = 0; i < (w->per_channel ? w->channels : 1); i++) {
    double real = (double)in->scale * (double)bf_tfl_scale(w->tensor, i) / (double)out->scale;
    bf_quantize_multiplier(real, &mult, &shift);
    if (isfinite(real) && shift <= 30) continue;
    bf_tfl_problem(lower, op, NULL, "scales whose ratio %g is out of range", real);
    return false;
  }
  if (!in_float || w->per_channel) return true;
  float product = in->scale * bf_tfl_scale(w->tensor, 0);
  bf_quantize_multiplier((double)product / (double)out->scale, &float_mult, &float_shift);
  if (float_mult == mult && float_shift == shift) return true;
  lower->float_products = true;
  *clause =
      bf_arena_format(&lower->arena, " requantize tflite(mult %lld, shift %d)", (long long)float_mult, float_shift);
  return true;
}

// Operands "x, w" or "x, w, b" of a convolution or dense layer.
static bool weighted_operands(struct bf_tfl_lower *lower, uint32_t op, const char *x, const struct bf_tfl_weights *w,
                              const char **operands) {
  const char *bias;
  *operands = bf_arena_format(&lower->arena, "%s, %s", x, w->text);
  if (bf_tfl_absent(lower, op, 2)) return true;
  if (!bf_tfl_declare_bias(lower, op, 2, w->channels, &bias)) return false;
  *operands = bf_arena_format(&lower->arena, "%s, %s", *operands, bias);
  return true;
}

static struct window conv_window(const struct bf_tfl_options *o, const struct bf_tfl_weights *w) {
  return (struct window){.kernel = {(int64_t)w->shape[1], (int64_t)w->shape[2]},
                         .stride = {o->stride_h, o->stride_w},
                         .dilation = {o->dilation_h, o->dilation_w}};
}

static void lower_convolution(struct bf_tfl_lower *lower, uint32_t op, bool depthwise) {
  struct bf_tfl_value in, out;
  struct bf_tfl_weights w;
  const char *operands, *clause;
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) ||
      !bf_tfl_declare_weights(lower, op, 1, 4, depthwise ? 3 : 0, &w))
    return;
  struct window window = conv_window(options_of(lower, op), &w);
  if (!check_window(lower, op, &window, &in, &out)) return;
  uint64_t channels = in.shape[2], depth = depthwise ? 1 : w.shape[3];
  uint64_t groups = channels / depth;
  if (channels % depth || w.channels % groups || out.shape[2] != w.channels) {
    bf_tfl_problem(lower, op, NULL, "weights [%s] do not fit %llu input and %llu output channels",
                   bf_tfl_shape_text(&lower->arena, 4, w.shape), (unsigned long long)channels,
                   (unsigned long long)out.shape[2]);
    return;
  }
  if (!weighted_operands(lower, op, in.text, &w, &operands) ||
      !requantize_clause(lower, op, &in, &w, &out, in.type == BF_TFL_UINT8, &clause))
    return;
  begin(lower, op, depthwise ? "depthwise_conv2d" : "conv2d", operands);
  print_window(lower, op, &window);
  if (!depthwise && groups > 1) bf_buf_printf(&lower->layers, ", groups %llu", (unsigned long long)groups);
  if (activation(lower, op)) end(lower, &out, clause);
}

static void lower_conv(struct bf_tfl_lower *lower, uint32_t op) { lower_convolution(lower, op, false); }

static void lower_depthwise(struct bf_tfl_lower *lower, uint32_t op) { lower_convolution(lower, op, true); }

// A reshape that is no operator of the model; gives its name.
static const char *extra_reshape(struct bf_tfl_lower *lower, const char *name, const char *from, unsigned rank,
                                 const uint64_t *shape) {
  if (rank == 1) bf_buf_printf(&lower->layers, "  %s = flatten(%s);\n", name, from);
  else
    bf_buf_printf(&lower->layers, "  %s = reshape(%s, shape [%s]);\n", name, from,
                  bf_tfl_shape_text(&lower->arena, rank, shape));
  return name;
}

static void lower_dense(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  struct bf_tfl_weights w;
  const char *operands, *clause, *layer = lower->layer[op];
  if (options_of(lower, op)->weights_format) {
    bf_tfl_problem(lower, op, "the DEFAULT weights format works", "shuffled weights");
    return;
  }
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) ||
      !bf_tfl_declare_weights(lower, op, 1, 2, 0, &w))
    return;
  if (in.elements != w.shape[1] || out.elements != w.shape[0]) {
    bf_tfl_problem(lower, op, "one row of inputs at a time works",
                   "weights [%s] do not fit %llu inputs and %llu outputs", bf_tfl_shape_text(&lower->arena, 2, w.shape),
                   (unsigned long long)in.elements, (unsigned long long)out.elements);
    return;
  }
  const char *x = in.text;
  if (in.rank > 1) {
    x = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_in", layer));
    extra_reshape(lower, x, in.text, 1, NULL);
  }
  if (!weighted_operands(lower, op, x, &w, &operands) || !requantize_clause(lower, op, &in, &w, &out, false, &clause))
    return;
  const char *dense = out.rank > 1 ? bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_out", layer)) : layer;
  bf_buf_printf(&lower->layers, "  %s = dense(%s", dense, operands);
  if (!activation(lower, op)) return;
  end(lower, &out, clause);
  if (out.rank > 1) extra_reshape(lower, layer, dense, out.rank, out.shape);
}

static bool same_shape(const struct bf_tfl_value *a, const struct bf_tfl_value *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

static void lower_add(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value a, b, out;
  if (!bf_tfl_operand(lower, op, 0, &a) || !bf_tfl_operand(lower, op, 1, &b) || !bf_tfl_result(lower, op, &out)) return;
  if (!same_shape(&a, &b) || !same_shape(&a, &out)) {
    bf_tfl_problem(lower, op, "operands of equal shapes work", "operands of shapes [%s] and [%s]",
                   bf_tfl_shape_text(&lower->arena, a.rank, a.shape),
                   bf_tfl_shape_text(&lower->arena, b.rank, b.shape));
    return;
  }
  if (a.type != b.type || a.type != out.type) {
    bf_tfl_problem(lower, op, NULL, "operands and result of different types");
    return;
  }
  begin(lower, op, "add", bf_arena_format(&lower->arena, "%s, %s", a.text, b.text));
  if (activation(lower, op)) end(lower, &out, "");
}

static void lower_pool(struct bf_tfl_lower *lower, uint32_t op) {
  const struct bf_tfl_options *o = options_of(lower, op);
  bool average = lower->model->ops[op].code == BF_TFL_OP_AVERAGE_POOL_2D;
  struct window window = {
      .kernel = {o->filter_h, o->filter_w}, .stride = {o->stride_h, o->stride_w}, .dilation = {1, 1}};
  struct bf_tfl_value in, out;
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) || !require_same(lower, op, &in, &out) ||
      !check_window(lower, op, &window, &in, &out))
    return;
  if (in.shape[2] != out.shape[2]) {
    bf_tfl_problem(lower, op, NULL, "operand and result have different numbers of channels");
    return;
  }
  begin(lower, op, average ? "avg_pool2d" : "max_pool2d", in.text);
  print_pair(&lower->layers, "kernel", o->filter_h, o->filter_w);
  print_window(lower, op, &window);
  if (activation(lower, op)) end_same(lower, &out);
}

static void lower_relu(struct bf_tfl_lower *lower, uint32_t op) {
  int64_t code = lower->model->ops[op].code;
  struct bf_tfl_value in, out;
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) || !require_same(lower, op, &in, &out))
    return;
  if (!same_shape(&in, &out)) {
    bf_tfl_problem(lower, op, NULL, "operand and result have different shapes");
    return;
  }
  const char *callee = code == BF_TFL_OP_RELU ? "relu" : code == BF_TFL_OP_RELU6 ? "relu6" : "clamp";
  begin(lower, op, callee, in.text);
  if (code == BF_TFL_OP_RELU_N1_TO_1) bf_buf_puts(&lower->layers, ", lo -1, hi 1");
  end_same(lower, &out);
}

static void lower_reshape(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) || !require_same(lower, op, &in, &out))
    return;
  if (in.elements != out.elements) {
    bf_tfl_problem(lower, op, NULL, "%llu elements become %llu", (unsigned long long)in.elements,
                   (unsigned long long)out.elements);
    return;
  }
  if (out.rank == 1) begin(lower, op, "flatten", in.text);
  else
    begin(lower, op, "reshape",
          bf_arena_format(&lower->arena, "%s, shape [%s]", in.text,
                          bf_tfl_shape_text(&lower->arena, out.rank, out.shape)));
  end_same(lower, &out);
}

static void lower_softmax(struct bf_tfl_lower *lower, uint32_t op) {
  float beta = options_of(lower, op)->beta;
  struct bf_tfl_value in, out;
  char text[40];
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out)) return;
  if (!same_shape(&in, &out) || !isfinite(beta) || beta <= 0) {
    bf_tfl_problem(lower, op, NULL, "different shapes of operand and result, or a beta of %g", beta);
    return;
  }
  if (in.type != BF_TFL_INT8 || out.type != BF_TFL_INT8 || out.scale != 0x1p-8f || out.zero != -128) {
    bf_tfl_problem(lower, op,
                   "an operand of type INT8 and a result INT8, scale 1/256, zero point -128 work; "
                   "the model can also end before it",
                   "operand of type %s, result of type %s, scale %g, zero point %lld", bf_tfl_type_info(in.type)->name,
                   bf_tfl_type_info(out.type)->name, out.scale, (long long)out.zero);
    return;
  }
  begin(lower, op, "softmax", in.text);
  bf_buf_printf(&lower->layers, ", beta %s", bf_float_text(text, beta));
  end(lower, &out, "");
}

static void lower_pad(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  int64_t pads[2 * BF_TFL_MAX_RANK];
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out) || !require_same(lower, op, &in, &out) ||
      !bf_tfl_constant_ints(lower, op, 1, 2 * in.file_rank, pads))
    return;
  unsigned batch = in.file_rank - in.rank;
  bool good = in.rank == out.rank && (!batch || (pads[0] == 0 && pads[1] == 0));
  for (unsigned i = 0; good && i < in.rank; i++) {
    const int64_t *p = &pads[2 * (i + batch)];
    good = p[0] >= 0 && p[1] >= 0 && p[0] <= LARGEST_OPTION && p[1] <= LARGEST_OPTION &&
           in.shape[i] + (uint64_t)p[0] + (uint64_t)p[1] == out.shape[i];
  }
  if (!good) {
    bf_tfl_problem(lower, op, "padding of height, width and channels works",
                   "paddings that do not fit operand and result");
    return;
  }
  begin(lower, op, "pad", in.text);
  bf_buf_puts(&lower->layers, ", pads [");
  for (unsigned i = 0; i < in.rank; i++)
    bf_buf_printf(&lower->layers, "%s[%lld, %lld]", i ? ", " : "", (long long)pads[2 * (i + batch)],
                  (long long)pads[2 * (i + batch) + 1]);
  bf_buf_puts(&lower->layers, "]");
  end_same(lower, &out);
}

static void lower_concat(struct bf_tfl_lower *lower, uint32_t op) {
  uint32_t count = lower->model->ops[op].inputs.count;
  int64_t axis = options_of(lower, op)->axis;
  struct bf_tfl_value in, out;
  struct bf_buf operands = {0};
  bool good = count > 0 && bf_tfl_result(lower, op, &out);
  if (!good) return;
  unsigned batch = out.file_rank - out.rank;
  axis = axis < 0 ? axis + out.rank : axis - batch;
  uint64_t sum = 0;
  for (uint32_t i = 0; good && i < count; i++) {
    good = bf_tfl_operand(lower, op, i, &in) && require_same(lower, op, &in, &out);
    if (!good) break;
    bf_buf_printf(&operands, "%s%s", i ? ", " : "", in.text);
    if (axis >= 0 && axis < in.rank) {
      sum += in.shape[axis];
      in.shape[axis] = out.shape[axis];
    }
    if (axis >= 0 && axis < in.rank && same_shape(&in, &out)) continue;
    bf_tfl_problem(lower, op, "joining along height, width or channels works",
                   "operands that do not join along axis %d", options_of(lower, op)->axis);
    good = false;
  }
  if (good && sum != out.shape[axis]) {
    bf_tfl_problem(lower, op, NULL, "operands that do not add up to the result");
    good = false;
  }
  if (good && options_of(lower, op)->activation) {
    bf_tfl_problem(lower, op, "a RELU operator after it works", "a fused activation");
    good = false;
  }
  if (good) {
    begin(lower, op, "concat", bf_buf_cstr(&operands));
    bf_buf_printf(&lower->layers, ", axis %lld", (long long)(axis - out.rank));
    end_same(lower, &out);
  }
  bf_buf_free(&operands);
}

static void lower_quantize(struct bf_tfl_lower *lower, uint32_t op) {
  struct bf_tfl_value in, out;
  if (!bf_tfl_operand(lower, op, 0, &in) || !bf_tfl_result(lower, op, &out)) return;
  if (!same_shape(&in, &out)) {
    bf_tfl_problem(lower, op, NULL, "operand and result have different shapes");
    return;
  }
  begin(lower, op, "requantize", in.text);
  end(lower, &out, "");
}

static void lower_none(struct bf_tfl_lower *lower, uint32_t op) {
  const struct op_row *row = op_row(lower->model->ops[op].code);
  bf_tfl_problem(lower, op, row ? row->advice : NULL, "this operator is not supported");
}

void bf_tfl_lower_op(struct bf_tfl_lower *lower, uint32_t op) {
  static void (*const functions[])(struct bf_tfl_lower *, uint32_t) = {
      [LOWER_none] = lower_none,       [LOWER_add] = lower_add,   [LOWER_pool] = lower_pool,
      [LOWER_concat] = lower_concat,   [LOWER_conv] = lower_conv, [LOWER_depthwise] = lower_depthwise,
      [LOWER_dense] = lower_dense,     [LOWER_relu] = lower_relu, [LOWER_reshape] = lower_reshape,
      [LOWER_softmax] = lower_softmax, [LOWER_pad] = lower_pad,   [LOWER_quantize] = lower_quantize,
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
