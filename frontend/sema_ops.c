// SPDX-License-Identifier: Apache-2.0
// The operators with windows or weights, and those at the ends of networks: one function each, which works out
// attributes, types and requantization. Reached through the table at the end.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/sema.h"

#define MAX_WINDOW 65535

// --- windows ---

bool layer_pair(struct layer *layer, enum option_id option, const char *name, int64_t lo, int32_t out[2]) {
  const struct value *v = &layer->options[option];
  int64_t number[2];
  if (!layer_has(layer, option)) return true;
  if (v->kind == VALUE_LIST && v->count != 2)
    return sema_error(layer->s, v->loc, NULL, "`%s` takes one number or [y, x]", name);
  for (int i = 0; i < 2; i++) {
    const struct value *item = v->kind == VALUE_LIST ? &v->items[i] : v;
    if (!sema_integer(layer->s, item, lo, MAX_WINDOW, name, &number[i])) return false;
    out[i] = (int32_t)number[i];
  }
  return true;
}

// TensorFlow's rule: as many outputs as strides begin in the input; what is odd goes below and right.
static void pad_same(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  const struct bf_tensor *x = layer->node.inputs[0];
  for (int i = 0; i < 2; i++) {
    int64_t size = (int64_t)x->shape[1 + i], stride = a->stride[i];
    int64_t reach = (int64_t)(a->kernel[i] - 1) * a->dilation[i] + 1;
    int64_t total = ((size + stride - 1) / stride - 1) * stride + reach - size;
    if (total < 0) total = 0;
    a->pad[2 * i] = (int32_t)(total / 2);
    a->pad[2 * i + 1] = (int32_t)(total - total / 2);
  }
}

static bool pad_explicit(struct layer *layer, const struct value *v) {
  int64_t number;
  if (v->count != 4) return sema_error(layer->s, v->loc, NULL, "`pad` takes [top, bottom, left, right]");
  for (int i = 0; i < 4; i++) {
    if (!sema_integer(layer->s, &v->items[i], 0, MAX_WINDOW, "padding", &number)) return false;
    layer->node.attrs.pad[i] = (int32_t)number;
  }
  return true;
}

static bool padding(struct layer *layer) {
  const struct value *v = &layer->options[OPT_PAD];
  if (!layer_has(layer, OPT_PAD)) return true;
  if (v->kind == VALUE_LIST) return pad_explicit(layer, v);
  if (v->kind == VALUE_WORD && !strcmp(v->text, "valid")) return true;
  if (v->kind == VALUE_WORD && !strcmp(v->text, "same")) {
    pad_same(layer);
    return true;
  }
  return sema_wrong_kind(layer->s, v, "`pad`", "`same`, `valid` or [top, bottom, left, right]");
}

bool layer_need_rank(struct layer *layer, unsigned operand, unsigned rank, const char *what) {
  const struct bf_tensor *t = layer->node.inputs[operand];
  if (t->rank == rank) return true;
  return sema_error(layer->s, layer->operand_locs[operand],
                    rank == 2 && t->rank == 4 ? "`flatten` makes two dimensions of four" : NULL,
                    "`%s`: the %s needs %u dimensions, `%s` has shape %s", layer->row->name, what, rank, t->name,
                    sema_shape_text(layer->s, t->rank, t->shape));
}

// --- conv2d, dense ---

// in_scale * weight_scale / out_scale for each output channel that has a scale of its own.
static bool weighted_requant(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  uint32_t count = w->quant.count > 1 ? w->quant.count : 1;
  double *real = bf_arena_alloc(&layer->s->arena, count, sizeof *real);
  float *single = bf_arena_alloc(&layer->s->arena, count, sizeof *single);
  float sx = bf_quant_scale(&x->quant, 0), sy = bf_quant_scale(&layer->quant, 0);
  for (uint32_t i = 0; i < count; i++) {
    float sw = bf_quant_scale(&w->quant, i), product = sx * sw;
    // TensorFlow Lite multiplies in float32 where a dense layer has one weight scale, in double elsewhere.
    bool in_float = layer->row->op == BF_OP_DENSE && count == 1;
    real[i] = (in_float ? (double)product : (double)sx * (double)sw) / (double)sy;
    single[i] = product / sy;
  }
  bool wide = layer->type.kind == BF_TYPE_S && layer->type.bits == 16;
  struct factors factors = {.count = count, .real = real, .single = single};
  return layer_requant(layer, &factors, w->shape[0], wide ? BF_REQUANT_TFLITE16 : BF_REQUANT_TFLITE) &&
         layer_activation(layer, layer->type, &layer->quant);
}

static bool check_weights(struct layer *layer) {
  const struct bf_tensor *w = layer->node.inputs[1];
  if (w->quant.count > 1 && w->quant.axis != 0)
    return sema_error(layer->s, layer->operand_locs[1], "output channels are the first dimension of weights",
                      "weights `%s` have scales along axis %d, not per output channel", w->name, w->quant.axis);
  if (layer->node.ninputs > 2) {
    const struct bf_tensor *b = layer->node.inputs[2];
    if (b->rank != 1 || b->shape[0] != w->shape[0])
      return sema_error(layer->s, layer->operand_locs[2], NULL,
                        "`%s`: the bias `%s` has shape %s, but the weights `%s` of shape %s make %" PRIu64 " channels",
                        layer->row->name, b->name, sema_shape_text(layer->s, b->rank, b->shape), w->name,
                        sema_shape_text(layer->s, w->rank, w->shape), w->shape[0]);
  }
  return true;
}

static bool convolution(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  struct sema *s = layer->s;
  if (w->shape[1] > MAX_WINDOW || w->shape[2] > MAX_WINDOW)
    return sema_error(s, layer->operand_locs[1], NULL, "the kernel is larger than %d", MAX_WINDOW);
  int32_t kernel[2] = {(int32_t)w->shape[1], (int32_t)w->shape[2]};
  memcpy(a->kernel, kernel, sizeof kernel);
  if (!layer_pair(layer, OPT_KERNEL, "kernel", 1, a->kernel) || !layer_pair(layer, OPT_STRIDE, "stride", 1, a->stride) ||
      !layer_pair(layer, OPT_DILATION, "dilation", 1, a->dilation))
    return false;
  if (memcmp(a->kernel, kernel, sizeof kernel))
    return sema_error(s, layer->options[OPT_KERNEL].loc, NULL, "kernel [%d, %d], but the weights `%s` have [%d, %d]",
                      a->kernel[0], a->kernel[1], w->name, kernel[0], kernel[1]);
  if (w->shape[3] * a->groups != x->shape[3])
    return sema_error(s, layer->operand_locs[1], NULL,
                      "`%s`: the weights `%s` of shape %s want %" PRIu64 " input channels in %u group%s, `%s` of shape %s has %" PRIu64,
                      layer->row->name, w->name, sema_shape_text(s, 4, w->shape), w->shape[3] * a->groups, a->groups,
                      a->groups == 1 ? "" : "s", x->name, sema_shape_text(s, 4, x->shape), x->shape[3]);
  return check_weights(layer) && padding(layer) && weighted_requant(layer);
}

bool bfn_build_conv2d(struct layer *layer) {
  int64_t groups = 1;
  if (!layer_need_rank(layer, 0, 4, "input") || !layer_need_rank(layer, 1, 4, "weights")) return false;
  if (layer_has(layer, OPT_GROUPS) &&
      !sema_integer(layer->s, &layer->options[OPT_GROUPS], 1, INT32_MAX, "groups", &groups))
    return false;
  layer->node.attrs.groups = (uint32_t)groups;
  return convolution(layer);
}

bool bfn_build_depthwise_conv2d(struct layer *layer) {
  if (!layer_need_rank(layer, 0, 4, "input") || !layer_need_rank(layer, 1, 4, "weights")) return false;
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  if (w->shape[3] != 1 || w->shape[0] % x->shape[3])
    return sema_error(layer->s, layer->operand_locs[1], "weights are [channels*multiplier, ky, kx, 1]",
                      "`depthwise_conv2d`: the weights `%s` have shape %s, `%s` has %" PRIu64 " channels", w->name,
                      sema_shape_text(layer->s, 4, w->shape), x->name, x->shape[3]);
  layer->node.attrs.groups = (uint32_t)x->shape[3];
  return convolution(layer);
}

bool bfn_build_dense(struct layer *layer) {
  if (!layer_need_rank(layer, 0, 2, "input") || !layer_need_rank(layer, 1, 2, "weights")) return false;
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  if (w->shape[1] != x->shape[1])
    return sema_error(layer->s, layer->operand_locs[1], NULL,
                      "`dense`: the weights `%s` of shape %s want %" PRIu64 " inputs, `%s` of shape %s has %" PRIu64,
                      w->name, sema_shape_text(layer->s, 2, w->shape), w->shape[1], x->name,
                      sema_shape_text(layer->s, 2, x->shape), x->shape[1]);
  return check_weights(layer) && weighted_requant(layer);
}

// --- requantize ---

bool bfn_build_requantize(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  float sx = bf_quant_scale(&x->quant, 0), sy = bf_quant_scale(&layer->quant, 0), single = sx / sy;
  double real = (double)sx / (double)sy;
  struct factors factors = {.count = 1, .real = &real, .single = &single};
  return layer_requant(layer, &factors, x->shape[x->rank - 1], BF_REQUANT_TFLITE) &&
         layer_activation(layer, layer->type, &layer->quant);
}

// --- pooling ---

static bool pool(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  if (!layer_need_rank(layer, 0, 4, "input")) return false;
  if (!layer_has(layer, OPT_KERNEL))
    return sema_error(layer->s, layer->call->loc, "for instance: kernel 2, stride 2", "`%s` needs a `kernel`",
                      layer->row->name);
  if (!layer_pair(layer, OPT_KERNEL, "kernel", 1, a->kernel)) return false;
  memcpy(a->stride, a->kernel, sizeof a->stride);  // windows side by side
  return layer_pair(layer, OPT_STRIDE, "stride", 1, a->stride) && padding(layer) &&
         layer_activation(layer, layer->type, &layer->quant);
}

bool bfn_build_max_pool2d(struct layer *layer) { return pool(layer); }
bool bfn_build_avg_pool2d(struct layer *layer) { return pool(layer); }

static bool global_pool(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  if (!layer_need_rank(layer, 0, 4, "input")) return false;
  for (int i = 0; i < 2; i++) {
    if (x->shape[1 + i] > MAX_WINDOW)
      return sema_error(layer->s, layer->operand_locs[0], NULL, "the window is larger than %d", MAX_WINDOW);
    layer->node.attrs.kernel[i] = (int32_t)x->shape[1 + i];
  }
  return layer_activation(layer, layer->type, &layer->quant);
}

bool bfn_build_global_max_pool(struct layer *layer) { return global_pool(layer); }
bool bfn_build_global_avg_pool(struct layer *layer) { return global_pool(layer); }

// --- clamps ---

bool bfn_build_relu(struct layer *layer) {
  layer_bounds(&layer->quant, layer->type, 0, INFINITY, &layer->node.attrs.requant);
  return true;
}

bool bfn_build_relu6(struct layer *layer) {
  layer_bounds(&layer->quant, layer->type, 0, 6, &layer->node.attrs.requant);
  return true;
}

bool bfn_build_clamp(struct layer *layer) {
  double lo = -INFINITY, hi = INFINITY;
  if ((layer_has(layer, OPT_LO) && !sema_real(layer->s, &layer->options[OPT_LO], "lo", &lo)) ||
      (layer_has(layer, OPT_HI) && !sema_real(layer->s, &layer->options[OPT_HI], "hi", &hi)))
    return false;
  if (lo > hi) return sema_error(layer->s, layer->options[OPT_LO].loc, NULL, "lo is larger than hi");
  layer_bounds(&layer->quant, layer->type, lo, hi, &layer->node.attrs.requant);
  return true;
}

// --- ends of networks ---

bool bfn_build_argmax(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  uint64_t depth = x->shape[x->rank - 1];
  char text[8];
  if (!layer_axis(layer, -1, &layer->node.attrs.axis)) return false;
  if (!layer->typed) layer->type = (struct bf_type){BF_TYPE_U, depth <= 256 ? 8 : 16};
  if ((int64_t)depth - 1 <= bf_type_max(layer->type)) return true;
  return sema_error(layer->s, layer->call->loc, NULL, "`argmax`: %s cannot hold the index %" PRIu64,
                    bf_type_text(text, layer->type), depth - 1);
}

bool bfn_build_softmax(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  struct sema *s = layer->s;
  char text[8];
  float scale;
  int32_t zero;
  double beta = 1;
  if (layer_has(layer, OPT_BETA) && !sema_real(s, &layer->options[OPT_BETA], "beta", &beta)) return false;
  if (!(beta > 0) || !isfinite((float)beta))
    return sema_error(s, layer->options[OPT_BETA].loc, NULL, "beta must be positive");
  layer->node.attrs.beta = layer_has(layer, OPT_BETA) ? layer->options[OPT_BETA].single : 1;
  if (!bf_softmax_result(x->type, x->type, &scale, &zero))
    return sema_error(s, layer->operand_locs[0], NULL, "`softmax` is defined on s8, u8 and s16");
  if (!layer->typed) layer->type = x->type;
  if (!bf_softmax_result(x->type, layer->type, &scale, &zero))
    return sema_error(s, layer->stmt->type->loc, NULL, "the result of `softmax` of s8 is s8 or s16, otherwise as its input");
  if (!layer->quant.count) {
    layer->quant.count = 1;
    layer->quant.scale = bf_arena_alloc(&s->graph->arena, 1, sizeof *layer->quant.scale);
    layer->quant.zero = bf_arena_alloc(&s->graph->arena, 1, sizeof *layer->quant.zero);
    layer->quant.scale[0] = scale;
    layer->quant.zero[0] = zero;
  }
  if (bf_quant_scale(&layer->quant, 0) == scale && bf_quant_zero(&layer->quant, 0) == zero) return true;
  return sema_error(s, layer->stmt->type->loc, NULL, "the result of `softmax` is %s scale %.9g zero %" PRId32,
                    bf_type_text(text, layer->type), (double)scale, zero);
}

// --- the table ---

#define O(id) (1u << OPT_##id)
const struct op_row bfn_op_rows[] = {
#define BFN_OP(word, op, min, max, options, result) \
  {#word, BF_OP_##op, min, max, options, result, bfn_build_##word},
#include "frontend/bfn_ops.def"
};
const size_t bfn_op_count = BF_COUNT(bfn_op_rows);
