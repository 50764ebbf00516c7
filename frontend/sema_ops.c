// SPDX-License-Identifier: Apache-2.0
// The operators: one function each, which works out attributes, types and requantization. Reached
// through the table at the end.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/sema.h"

#define MAX_WINDOW 65535

// --- windows ---

// `option 3` or `option [y, x]`; leaves `out` alone if it is not given.
static bool pair(struct layer *layer, enum option_id option, const char *name, int64_t lo, int32_t out[2]) {
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

static bool need_rank(struct layer *layer, unsigned operand, unsigned rank, const char *what) {
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
  struct factors factors = {count, real, single};
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
  if (!pair(layer, OPT_KERNEL, "kernel", 1, a->kernel) || !pair(layer, OPT_STRIDE, "stride", 1, a->stride) ||
      !pair(layer, OPT_DILATION, "dilation", 1, a->dilation))
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

static bool bfn_build_conv2d(struct layer *layer) {
  int64_t groups = 1;
  if (!need_rank(layer, 0, 4, "input") || !need_rank(layer, 1, 4, "weights")) return false;
  if (layer_has(layer, OPT_GROUPS) &&
      !sema_integer(layer->s, &layer->options[OPT_GROUPS], 1, INT32_MAX, "groups", &groups))
    return false;
  layer->node.attrs.groups = (uint32_t)groups;
  return convolution(layer);
}

static bool bfn_build_depthwise_conv2d(struct layer *layer) {
  if (!need_rank(layer, 0, 4, "input") || !need_rank(layer, 1, 4, "weights")) return false;
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  if (w->shape[3] != 1 || w->shape[0] % x->shape[3])
    return sema_error(layer->s, layer->operand_locs[1], "weights are [channels*multiplier, ky, kx, 1]",
                      "`depthwise_conv2d`: the weights `%s` have shape %s, `%s` has %" PRIu64 " channels", w->name,
                      sema_shape_text(layer->s, 4, w->shape), x->name, x->shape[3]);
  layer->node.attrs.groups = (uint32_t)x->shape[3];
  return convolution(layer);
}

static bool bfn_build_dense(struct layer *layer) {
  if (!need_rank(layer, 0, 2, "input") || !need_rank(layer, 1, 2, "weights")) return false;
  const struct bf_tensor *x = layer->node.inputs[0], *w = layer->node.inputs[1];
  if (w->shape[1] != x->shape[1])
    return sema_error(layer->s, layer->operand_locs[1], NULL,
                      "`dense`: the weights `%s` of shape %s want %" PRIu64 " inputs, `%s` of shape %s has %" PRIu64,
                      w->name, sema_shape_text(layer->s, 2, w->shape), w->shape[1], x->name,
                      sema_shape_text(layer->s, 2, x->shape), x->shape[1]);
  return check_weights(layer) && weighted_requant(layer);
}

// --- add ---

static bool same_shapes(struct layer *layer) {
  const struct bf_tensor *a = layer->node.inputs[0], *b = layer->node.inputs[1];
  if (a->rank == b->rank && !memcmp(a->shape, b->shape, a->rank * sizeof *a->shape)) return true;
  return sema_error(layer->s, layer->call->loc, NULL, "`add`: `%s` has shape %s, `%s` has %s", a->name,
                    sema_shape_text(layer->s, a->rank, a->shape), b->name,
                    sema_shape_text(layer->s, b->rank, b->shape));
}

static void in_multiplier(struct layer *layer, double real, struct bf_requant *out) {
  struct bf_arena *arena = &layer->s->graph->arena;
  out->mode = BF_REQUANT_TFLITE;
  out->count = 1;
  out->mult = bf_arena_alloc(arena, 1, sizeof *out->mult);
  out->shift = bf_arena_alloc(arena, 1, sizeof *out->shift);
  bf_quantize_multiplier(real, out->mult, out->shift);
}

// TensorFlow Lite's: both operands are brought to the scale 2 * max(s0, s1), with left_shift more bits.
static bool add_tflite(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  double s0 = (double)bf_quant_scale(&layer->node.inputs[0]->quant, 0);
  double s1 = (double)bf_quant_scale(&layer->node.inputs[1]->quant, 0);
  double sy = (double)bf_quant_scale(&layer->quant, 0), twice_max = 2 * (s0 > s1 ? s0 : s1);
  a->left_shift = layer->type.bits > 8 ? 15 : 20;
  in_multiplier(layer, s0 / twice_max, &a->in_requant[0]);
  in_multiplier(layer, s1 / twice_max, &a->in_requant[1]);
  double real = twice_max / ((double)(1 << a->left_shift) * sy);
  float single = (float)real;
  struct factors factors = {1, &real, &single};
  return layer_requant(layer, &factors, 1, BF_REQUANT_TFLITE);
}

static bool add_explicit(struct layer *layer, uint64_t channels) {
  struct bf_attrs *a = &layer->node.attrs;
  static const enum option_id options[2] = {OPT_IN0, OPT_IN1};
  int64_t shift = 0;
  for (int i = 0; i < 2; i++)
    if (layer_has(layer, options[i]) &&
        !layer_in_requant(layer, &layer->options[options[i]], channels, &a->in_requant[i]))
      return false;
  if (layer_has(layer, OPT_LEFT_SHIFT) &&
      !sema_integer(layer->s, &layer->options[OPT_LEFT_SHIFT], 0, 30, "left_shift", &shift))
    return false;
  a->left_shift = (int32_t)shift;
  return layer_requant(layer, NULL, channels, BF_REQUANT_NONE);
}

static bool bfn_build_add(struct layer *layer) {
  if (!same_shapes(layer)) return false;
  const struct bf_tensor *x = layer->node.inputs[0];
  bool given = layer->stmt->clauses->value[CLAUSE_REQUANTIZE] || layer_has(layer, OPT_IN0) ||
               layer_has(layer, OPT_IN1) || layer_has(layer, OPT_LEFT_SHIFT);
  if (layer->stmt->clauses->value[CLAUSE_REQUANTIZE]) {
    // `requantize tflite` without numbers is the standard, spelled out.
    struct value v = sema_eval(layer->s, layer->scope, layer->stmt->clauses->value[CLAUSE_REQUANTIZE]);
    if (v.kind == VALUE_WORD && !strcmp(v.text, "tflite") && !layer_has(layer, OPT_IN0) &&
        !layer_has(layer, OPT_IN1) && !layer_has(layer, OPT_LEFT_SHIFT))
      given = false;
  }
  return (given ? add_explicit(layer, x->shape[x->rank - 1]) : add_tflite(layer)) &&
         layer_activation(layer, layer->type, &layer->quant);
}

static bool bfn_build_requantize(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  float sx = bf_quant_scale(&x->quant, 0), sy = bf_quant_scale(&layer->quant, 0), single = sx / sy;
  double real = (double)sx / (double)sy;
  struct factors factors = {1, &real, &single};
  return layer_requant(layer, &factors, x->shape[x->rank - 1], BF_REQUANT_TFLITE) &&
         layer_activation(layer, layer->type, &layer->quant);
}

// --- pooling ---

static bool pool(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  if (!need_rank(layer, 0, 4, "input")) return false;
  if (!layer_has(layer, OPT_KERNEL))
    return sema_error(layer->s, layer->call->loc, "for instance: kernel 2, stride 2", "`%s` needs a `kernel`",
                      layer->row->name);
  if (!pair(layer, OPT_KERNEL, "kernel", 1, a->kernel)) return false;
  memcpy(a->stride, a->kernel, sizeof a->stride);  // windows side by side
  return pair(layer, OPT_STRIDE, "stride", 1, a->stride) && padding(layer) &&
         layer_activation(layer, layer->type, &layer->quant);
}

static bool bfn_build_max_pool2d(struct layer *layer) { return pool(layer); }
static bool bfn_build_avg_pool2d(struct layer *layer) { return pool(layer); }

static bool global_pool(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  if (!need_rank(layer, 0, 4, "input")) return false;
  for (int i = 0; i < 2; i++) {
    if (x->shape[1 + i] > MAX_WINDOW)
      return sema_error(layer->s, layer->operand_locs[0], NULL, "the window is larger than %d", MAX_WINDOW);
    layer->node.attrs.kernel[i] = (int32_t)x->shape[1 + i];
  }
  return layer_activation(layer, layer->type, &layer->quant);
}

static bool bfn_build_global_max_pool(struct layer *layer) { return global_pool(layer); }
static bool bfn_build_global_avg_pool(struct layer *layer) { return global_pool(layer); }

// --- clamps ---

static bool bfn_build_relu(struct layer *layer) {
  layer_bounds(&layer->quant, layer->type, 0, INFINITY, &layer->node.attrs.requant);
  return true;
}

static bool bfn_build_relu6(struct layer *layer) {
  layer_bounds(&layer->quant, layer->type, 0, 6, &layer->node.attrs.requant);
  return true;
}

static bool bfn_build_clamp(struct layer *layer) {
  double lo = -INFINITY, hi = INFINITY;
  if ((layer_has(layer, OPT_LO) && !sema_real(layer->s, &layer->options[OPT_LO], "lo", &lo)) ||
      (layer_has(layer, OPT_HI) && !sema_real(layer->s, &layer->options[OPT_HI], "hi", &hi)))
    return false;
  if (lo > hi) return sema_error(layer->s, layer->options[OPT_LO].loc, NULL, "lo is larger than hi");
  layer_bounds(&layer->quant, layer->type, lo, hi, &layer->node.attrs.requant);
  return true;
}

// --- moving elements ---

static bool bfn_build_pad(struct layer *layer) {
  struct bf_attrs *a = &layer->node.attrs;
  const struct bf_tensor *x = layer->node.inputs[0];
  const struct value *v = &layer->options[OPT_PADS];
  struct sema *s = layer->s;
  if (!layer_has(layer, OPT_PADS))
    return sema_error(s, layer->call->loc, "for instance: pads [[1, 1], [1, 1], [0, 0]]", "`pad` needs `pads`");
  if (v->kind != VALUE_LIST || (v->count != x->rank && v->count + 1 != x->rank))
    return sema_error(s, v->loc, "the batch dimension may be left out", "`pads` takes [before, after] of each of %u dimensions",
                      x->rank);
  size_t skip = x->rank - v->count;
  for (size_t i = 0; i < v->count; i++) {
    const struct value *item = &v->items[i];
    int64_t before, after;
    if (item->kind != VALUE_LIST || item->count != 2)
      return sema_error(s, item->loc, NULL, "`pads` takes a pair [before, after] for each dimension");
    if (!sema_integer(s, &item->items[0], 0, MAX_WINDOW, "padding", &before) ||
        !sema_integer(s, &item->items[1], 0, MAX_WINDOW, "padding", &after))
      return false;
    if (i + skip == 0 && (before || after))
      return sema_error(s, item->loc, NULL, "the batch dimension cannot be padded");
    a->pads[i + skip][0] = (int32_t)before;
    a->pads[i + skip][1] = (int32_t)after;
  }
  a->pad_value = bf_quant_zero(&x->quant, 0);
  return !layer_has(layer, OPT_VALUE) ||
         sema_integer(s, &layer->options[OPT_VALUE], bf_type_min(x->type), bf_type_max(x->type), "the padding value",
                      &a->pad_value);
}

// The extent written `_` takes what the others leave.
static bool fill_wild(struct layer *layer, const struct value *v, unsigned rank, int wild, uint64_t *shape) {
  const struct bf_tensor *x = layer->node.inputs[0];
  uint64_t known = 1;
  for (unsigned i = 0; i < rank; i++)
    if ((int)i != wild && !bf_mul_limit(known, shape[i], BF_MAX_ELEMENTS, &known)) known = 0;
  if (wild >= 0 && known && x->elements % known == 0) {
    shape[wild] = x->elements / known;
    return true;
  }
  if (wild < 0 && known == x->elements) return true;
  if (wild >= 0) shape[wild] = 1;
  return sema_error(layer->s, v->loc, NULL, "`reshape`: `%s` of shape %s has %" PRIu64 " elements, which %s cannot hold",
                    x->name, sema_shape_text(layer->s, x->rank, x->shape), x->elements,
                    sema_shape_text(layer->s, rank, shape));
}

static bool bfn_build_reshape(struct layer *layer) {
  const struct value *v = &layer->options[OPT_SHAPE];
  struct sema *s = layer->s;
  unsigned rank = 0;
  int wild = -1;
  if (!layer_has(layer, OPT_SHAPE))
    return sema_error(s, layer->call->loc, "for instance: shape [8, 8, 16]", "`reshape` needs a `shape`");
  if (v->kind != VALUE_LIST || v->count > BF_MAX_RANK)
    return sema_error(s, v->loc, NULL, "`shape` takes a list of 1 to %d sizes", BF_MAX_RANK);
  for (; rank < v->count; rank++) {
    int64_t size = 1;
    if (v->items[rank].kind == VALUE_WORD && !strcmp(v->items[rank].text, "_") && wild < 0) wild = (int)rank;
    else if (!sema_integer(s, &v->items[rank], 1, (int64_t)BF_MAX_ELEMENTS, "a dimension", &size)) return false;
    layer->reshape[rank] = (uint64_t)size;
  }
  bool implicit = rank % 2;  // before the batch is put in front
  bool batch_wild = wild == 0 && !implicit;
  if (batch_wild) layer->reshape[0] = 1;
  if (!sema_batch_shape(s, v->loc, &rank, layer->reshape)) return false;
  if (wild >= 0 && implicit) wild++;
  layer->reshape_rank = rank;
  return fill_wild(layer, v, rank, wild, layer->reshape);
}

static bool bfn_build_flatten(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  layer->reshape_rank = 2;
  layer->reshape[0] = x->shape[0];
  layer->reshape[1] = x->elements / x->shape[0];
  return true;
}

// `axis` as written, from the end if negative; `standard` if it is not given.
static bool take_axis(struct layer *layer, int64_t standard, int *out) {
  const struct bf_tensor *x = layer->node.inputs[0];
  int64_t axis = standard, rank = x->rank;
  if (layer_has(layer, OPT_AXIS) &&
      !sema_integer(layer->s, &layer->options[OPT_AXIS], -rank, rank - 1, "axis", &axis))
    return false;
  *out = (int)(axis < 0 ? axis + rank : axis);
  return true;
}

static bool bfn_build_concat(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  struct sema *s = layer->s;
  if (!take_axis(layer, -1, &layer->node.attrs.axis)) return false;
  if (layer->node.attrs.axis == 0)
    return sema_error(s, layer->options[OPT_AXIS].loc, NULL, "the images of a batch cannot be joined");
  for (uint32_t i = 1; i < layer->node.ninputs; i++) {
    const struct bf_tensor *t = layer->node.inputs[i];
    if (!bf_type_equal(t->type, x->type) || bf_quant_scale(&t->quant, 0) != bf_quant_scale(&x->quant, 0) ||
        bf_quant_zero(&t->quant, 0) != bf_quant_zero(&x->quant, 0))
      return sema_error(s, layer->operand_locs[i], "bring it to the same by `requantize`",
                        "`concat`: `%s` has not the type and quantization of `%s`", t->name, x->name);
    bool same = t->rank == x->rank;
    for (unsigned k = 0; same && k < x->rank; k++)
      same = (int)k == layer->node.attrs.axis || t->shape[k] == x->shape[k];
    if (!same)
      return sema_error(s, layer->operand_locs[i], NULL, "`concat` along axis %d: `%s` has shape %s, `%s` has %s",
                        layer->node.attrs.axis, x->name, sema_shape_text(s, x->rank, x->shape), t->name,
                        sema_shape_text(s, t->rank, t->shape));
  }
  return true;
}

// --- ends of networks ---

static bool bfn_build_argmax(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  uint64_t depth = x->shape[x->rank - 1];
  char text[8];
  if (!take_axis(layer, -1, &layer->node.attrs.axis)) return false;
  if (!layer->typed) layer->type = (struct bf_type){BF_TYPE_U, depth <= 256 ? 8 : 16};
  if ((int64_t)depth - 1 <= bf_type_max(layer->type)) return true;
  return sema_error(layer->s, layer->call->loc, NULL, "`argmax`: %s cannot hold the index %" PRIu64,
                    bf_type_text(text, layer->type), depth - 1);
}

static bool bfn_build_softmax(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  struct bf_type s8 = {BF_TYPE_S, 8};
  struct sema *s = layer->s;
  double beta = 1;
  if (layer_has(layer, OPT_BETA) && !sema_real(s, &layer->options[OPT_BETA], "beta", &beta)) return false;
  if (!(beta > 0) || !isfinite((float)beta))
    return sema_error(s, layer->options[OPT_BETA].loc, NULL, "beta must be positive");
  layer->node.attrs.beta = layer_has(layer, OPT_BETA) ? layer->options[OPT_BETA].single : 1;
  if (!bf_type_equal(x->type, s8))
    return sema_error(s, layer->operand_locs[0], NULL, "`softmax` is defined on s8 only");
  if (!layer->typed) layer->type = s8;
  if (!layer->quant.count) {
    layer->quant.count = 1;
    layer->quant.scale = bf_arena_alloc(&s->graph->arena, 1, sizeof *layer->quant.scale);
    layer->quant.zero = bf_arena_alloc(&s->graph->arena, 1, sizeof *layer->quant.zero);
    layer->quant.scale[0] = 1.0f / 256;
    layer->quant.zero[0] = -128;
  }
  if (bf_type_equal(layer->type, s8) && bf_quant_scale(&layer->quant, 0) == 1.0f / 256 &&
      bf_quant_zero(&layer->quant, 0) == -128)
    return true;
  return sema_error(s, layer->stmt->type->loc, NULL, "the result of `softmax` is s8 scale 0.00390625 zero -128");
}

// --- the table ---

#define O(id) (1u << OPT_##id)
const struct op_row bfn_op_rows[] = {
#define BFN_OP(word, op, min, max, options, result) \
  {#word, BF_OP_##op, min, max, options, result, bfn_build_##word},
#include "frontend/bfn_ops.def"
};
const size_t bfn_op_count = BF_COUNT(bfn_op_rows);
