// SPDX-License-Identifier: Apache-2.0
// Operators with weights, and the windows that pooling has too.
#include <math.h>

#include "frontend/tflite_lower.h"
#include "frontend/tflite_window.h"
#include "ir/graph.h"

static bool check_images(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                         const struct bf_tfl_value *out) {
  int32_t padding = bf_tfl_options(lower, op)->padding;
  if (in->file_rank != 4 || out->file_rank != 4) {
    bf_tfl_problem(lower, op, "reshape to [1, height, width, channels]",
                   "operand or result is no image of 4 dimensions");
    return false;
  }
  if (padding == BF_TFL_SAME || padding == BF_TFL_VALID) return true;
  bf_tfl_problem(lower, op, "SAME and VALID work", "padding of unknown code %d", padding);
  return false;
}

static bool check_numbers(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_window *w) {
  for (int i = 0; i < 2; i++) {
    const int64_t values[] = {w->kernel[i], w->stride[i], w->dilation[i]};
    for (int k = 0; k < 3; k++)
      if (values[k] < 1 || values[k] > BF_TFL_LARGEST_OPTION) {
        bf_tfl_problem(lower, op, NULL, "a window side, stride or dilation of %lld", (long long)values[k]);
        return false;
      }
  }
  return true;
}

bool bf_tfl_check_window(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_window *w,
                         const struct bf_tfl_value *in, const struct bf_tfl_value *out) {
  if (!check_images(lower, op, in, out) || !check_numbers(lower, op, w)) return false;
  for (int i = 0; i < 2; i++) {
    int64_t size = (int64_t)in->shape[i], field = (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (bf_tfl_options(lower, op)->padding == BF_TFL_VALID) size = size - field + 1;
    size = size > 0 ? (size + w->stride[i] - 1) / w->stride[i] : 0;
    if ((uint64_t)size != out->shape[i]) {
      bf_tfl_problem(lower, op, NULL, "result of %s %llu where the operand gives %lld", i ? "width" : "height",
                     (unsigned long long)out->shape[i], (long long)size);
      return false;
    }
  }
  return true;
}

void bf_tfl_print_window(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_window *w) {
  bf_tfl_pair(lower, "stride", w->stride[0], w->stride[1]);
  if (w->dilation[0] != 1 || w->dilation[1] != 1) bf_tfl_pair(lower, "dilation", w->dilation[0], w->dilation[1]);
  bf_buf_printf(&lower->layers, ", pad %s", bf_tfl_options(lower, op)->padding == BF_TFL_SAME ? "same" : "valid");
}

// What a layer with weights is lowered from.
struct weighted {
  struct bf_tfl_value in, out;
  struct bf_tfl_weights w;
  const char *bias;    // or NULL
  const char *clause;  // for bf_tfl_end
};

// The requantize clause: "" where the language derives from the scales what TensorFlow Lite does. There are two
// exceptions. Convolutions on UINT8 multiply the two scales in float32 where the language does in double; if the
// multiplier then comes out different, it is given as a number. And sums of INT16 have 32 bits, and the multiplier of
// 8-bit layers, if the bias is INT32.
static bool requantize_clause(struct bf_tfl_lower *lower, uint32_t op, struct weighted *l, bool float_product,
                              bool bias32) {
  int64_t mult, float_mult;
  int32_t shift, float_shift;
  l->clause = l->out.type == BF_TFL_INT16 && bias32 ? " requantize tflite" : "";
  for (uint32_t i = 0; i < (l->w.per_channel ? l->w.channels : 1); i++) {
    double real = (double)l->in.scale * (double)bf_tfl_scale(l->w.tensor, i) / (double)l->out.scale;
    bf_quantize_multiplier(real, &mult, &shift);
    if (isfinite(real) && shift <= 30) continue;
    bf_tfl_problem(lower, op, NULL, "scales whose ratio %g is out of range", real);
    return false;
  }
  if (!float_product || l->in.type != BF_TFL_UINT8 || l->w.per_channel) return true;
  float product = l->in.scale * bf_tfl_scale(l->w.tensor, 0);
  double real = (double)product / (double)l->out.scale;
  bf_quantize_multiplier(real, &float_mult, &float_shift);
  if (float_mult == mult && float_shift == shift) return true;
  l->clause = bf_tfl_multiplier_clause(lower, op, real);
  return l->clause != NULL;
}

// Declares weights and bias: operands `i` and the one after the data.
static bool declare_operands(struct bf_tfl_lower *lower, uint32_t op, uint32_t bias, struct weighted *l,
                             bool float_product) {
  l->bias = NULL;
  if (l->in.type != l->out.type) {
    bf_tfl_problem(lower, op, "a QUANTIZE operator after it works", "operand and result of different types");
    return false;
  }
  if (bf_tfl_absent(lower, op, bias)) return requantize_clause(lower, op, l, float_product, false);
  int32_t index = bf_fb_vector_i32(&lower->model->ops[op].inputs, bias);
  return bf_tfl_declare_bias(lower, op, bias, l->w.channels, &l->bias) &&
         requantize_clause(lower, op, l, float_product, lower->model->tensors[index].type == BF_TFL_INT32);
}

// Begins the layer: "x, w" or "x, w, b".
static void begin_weighted(struct bf_tfl_lower *lower, const char *name, const char *callee, const char *x,
                           const struct weighted *l) {
  bf_tfl_begin(lower, name, callee, x);
  bf_buf_printf(&lower->layers, ", %s", l->w.text);
  if (l->bias) bf_buf_printf(&lower->layers, ", %s", l->bias);
}

static void lower_convolution(struct bf_tfl_lower *lower, uint32_t op, bool depthwise) {
  const struct bf_tfl_options *o = bf_tfl_options(lower, op);
  struct weighted l;
  if (!bf_tfl_unary(lower, op, &l.in, &l.out) ||
      !bf_tfl_declare_weights(lower, op, 1, 4, depthwise ? BF_TFL_CHANNELS_FIRST : BF_TFL_PLAIN, &l.w))
    return;
  const struct bf_tfl_window window = {.kernel = {(int64_t)l.w.shape[1], (int64_t)l.w.shape[2]},
                                       .stride = {o->stride_h, o->stride_w},
                                       .dilation = {o->dilation_h, o->dilation_w}};
  if (!bf_tfl_check_window(lower, op, &window, &l.in, &l.out)) return;
  uint64_t channels = l.in.shape[2], depth = depthwise ? 1 : l.w.shape[3];
  uint64_t groups = channels / depth;
  if (channels % depth || l.w.channels % groups || l.out.shape[2] != l.w.channels) {
    bf_tfl_problem(lower, op, NULL, "weights [%s] do not fit %llu input and %llu output channels",
                   bf_tfl_shape_text(&lower->arena, 4, l.w.shape), (unsigned long long)channels,
                   (unsigned long long)l.out.shape[2]);
    return;
  }
  if (!declare_operands(lower, op, 2, &l, true)) return;
  begin_weighted(lower, lower->layer[op], depthwise ? "depthwise_conv2d" : "conv2d", l.in.text, &l);
  bf_tfl_print_window(lower, op, &window);
  if (!depthwise && groups > 1) bf_buf_printf(&lower->layers, ", groups %llu", (unsigned long long)groups);
  if (bf_tfl_activation(lower, op)) bf_tfl_end(lower, &l.out, l.clause);
}

void bf_tfl_lower_conv(struct bf_tfl_lower *lower, uint32_t op) { lower_convolution(lower, op, false); }

void bf_tfl_lower_depthwise(struct bf_tfl_lower *lower, uint32_t op) { lower_convolution(lower, op, true); }

void bf_tfl_lower_dense(struct bf_tfl_lower *lower, uint32_t op) {
  struct weighted l;
  const char *layer = lower->layer[op];
  if (bf_tfl_options(lower, op)->weights_format) {
    bf_tfl_problem(lower, op, "the DEFAULT weights format works", "shuffled weights");
    return;
  }
  if (!bf_tfl_unary(lower, op, &l.in, &l.out) || !bf_tfl_declare_weights(lower, op, 1, 2, BF_TFL_PLAIN, &l.w)) return;
  if (l.in.elements != l.w.shape[1] || l.out.elements != l.w.shape[0]) {
    bf_tfl_problem(lower, op, "one row of inputs at a time works",
                   "weights [%s] do not fit %llu inputs and %llu outputs",
                   bf_tfl_shape_text(&lower->arena, 2, l.w.shape), (unsigned long long)l.in.elements,
                   (unsigned long long)l.out.elements);
    return;
  }
  if (!declare_operands(lower, op, 2, &l, false)) return;
  const char *x = l.in.text;
  if (l.in.rank > 1) {
    x = bf_tfl_helper(lower, op, "in");
    bf_tfl_reshape(lower, x, l.in.text, 1, NULL);
  }
  const char *dense = l.out.rank > 1 ? bf_tfl_helper(lower, op, "out") : layer;
  begin_weighted(lower, dense, "dense", x, &l);
  if (!bf_tfl_activation(lower, op)) return;
  bf_tfl_end(lower, &l.out, l.clause);
  if (l.out.rank > 1) bf_tfl_reshape(lower, layer, dense, l.out.rank, l.out.shape);
}

// A transposed convolution is an ordinary one over the input with stride-1 zeros between its elements, with the kernel
// turned by 180 degrees: input y meets outputs y*stride - pad + k. Rows before the first and after the last output
// are padding: kernel-1-pad and what the size of the result leaves. False if the result cuts off inputs.
static bool transposed_pads(const struct weighted *l, const struct bf_tfl_window *w, bool same, int64_t pads[4],
                            int64_t size[2]) {
  for (int i = 0; i < 2; i++) {
    int64_t in = (int64_t)l->in.shape[i], out = (int64_t)l->out.shape[i];
    // The size of the ordinary convolution from the result to the operand.
    int64_t expected = same ? (out + w->stride[i] - 1) / w->stride[i]
                            : (out + w->stride[i] - w->kernel[i]) / w->stride[i];
    int64_t total = (expected - 1) * w->stride[i] + w->kernel[i] - out, pad = same && total > 0 ? total / 2 : 0;
    size[i] = (in - 1) * w->stride[i] + 1;
    pads[2 * i] = w->kernel[i] - 1 - pad;
    pads[2 * i + 1] = out + w->kernel[i] - 1 - size[i] - pads[2 * i];
    if (pads[2 * i] < 0 || pads[2 * i + 1] < 0 || pads[2 * i + 1] > BF_TFL_LARGEST_OPTION) return false;
  }
  return true;
}

// Operands: the shape of the result, weights [out][ky][kx][in], the data, a bias if wanted.
void bf_tfl_lower_transpose_conv(struct bf_tfl_lower *lower, uint32_t op) {
  const struct bf_tfl_options *o = bf_tfl_options(lower, op);
  struct weighted l;
  int64_t pads[4], size[2];
  if (!bf_tfl_operand(lower, op, 2, &l.in) || !bf_tfl_result(lower, op, &l.out) ||
      !bf_tfl_declare_weights(lower, op, 1, 4, BF_TFL_FLIPPED, &l.w))
    return;
  const struct bf_tfl_window window = {.kernel = {(int64_t)l.w.shape[1], (int64_t)l.w.shape[2]},
                                       .stride = {o->stride_h, o->stride_w},
                                       .dilation = {1, 1}};
  if (!check_images(lower, op, &l.in, &l.out) || !check_numbers(lower, op, &window)) return;
  if (l.in.shape[2] != l.w.shape[3] || l.out.shape[2] != l.w.channels ||
      !transposed_pads(&l, &window, o->padding == BF_TFL_SAME, pads, size)) {
    bf_tfl_problem(lower, op, "a result of (size - 1) * stride + kernel (VALID) or size * stride (SAME) works",
                   "weights [%s] and a result [%s] for an operand [%s]",
                   bf_tfl_shape_text(&lower->arena, 4, l.w.shape), bf_tfl_shape_text(&lower->arena, 3, l.out.shape),
                   bf_tfl_shape_text(&lower->arena, 3, l.in.shape));
    return;
  }
  if (!declare_operands(lower, op, 3, &l, true)) return;
  const char *x = l.in.text;
  if (o->stride_h > 1 || o->stride_w > 1) {
    x = bf_tfl_helper(lower, op, "in");
    bf_tfl_begin(lower, x, "spread", l.in.text);
    bf_tfl_pair(lower, "factor", o->stride_h, o->stride_w);
    bf_buf_puts(&lower->layers, ");\n");
  }
  begin_weighted(lower, lower->layer[op], "conv2d", x, &l);
  bf_buf_printf(&lower->layers, ", pad [%lld, %lld, %lld, %lld]", (long long)pads[0], (long long)pads[1],
                (long long)pads[2], (long long)pads[3]);
  if (bf_tfl_activation(lower, op)) bf_tfl_end(lower, &l.out, l.clause);
}
