// SPDX-License-Identifier: Apache-2.0
// The operators that move elements: attributes from options; the result keeps type and quantization.
#include <inttypes.h>
#include <string.h>

#include "frontend/sema.h"

#define MAX_PADDING 65535

// The images of a batch stay apart, so that a batch of any size has a meaning.
static bool keeps_batch(struct layer *layer, struct bfn_loc loc) {
  if (layer->s->batch <= 1) return true;
  return sema_error(layer->s, loc, "compile it with batch 1", "`%s` moves elements along the batch dimension",
                    layer->row->name);
}

bool bfn_build_pad(struct layer *layer) {
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
    if (!sema_integer(s, &item->items[0], 0, MAX_PADDING, "padding", &before) ||
        !sema_integer(s, &item->items[1], 0, MAX_PADDING, "padding", &after))
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

bool bfn_build_reshape(struct layer *layer) {
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

bool bfn_build_flatten(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  layer->reshape_rank = 2;
  layer->reshape[0] = x->shape[0];
  layer->reshape[1] = x->elements / x->shape[0];
  return true;
}

bool layer_axis(struct layer *layer, int64_t standard, int *out) {
  const struct bf_tensor *x = layer->node.inputs[0];
  int64_t axis = standard, rank = x->rank;
  if (layer_has(layer, OPT_AXIS) &&
      !sema_integer(layer->s, &layer->options[OPT_AXIS], -rank, rank - 1, "axis", &axis))
    return false;
  *out = (int)(axis < 0 ? axis + rank : axis);
  return true;
}

bool bfn_build_concat(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  struct sema *s = layer->s;
  if (!layer_axis(layer, -1, &layer->node.attrs.axis)) return false;
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

// --- views ---

bool bfn_build_transpose(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  const struct value *v = &layer->options[OPT_PERM];
  struct sema *s = layer->s;
  unsigned seen = 0;
  if (!layer_has(layer, OPT_PERM))
    return sema_error(s, layer->call->loc, "for instance: perm [0, 2, 1, 3]", "`transpose` needs `perm`");
  if (v->kind != VALUE_LIST || v->count != x->rank)
    return sema_error(s, v->loc, NULL, "`perm` takes the %u dimensions of `%s` in their new order", x->rank, x->name);
  for (unsigned i = 0; i < x->rank; i++) {
    int64_t from;
    if (!sema_integer(s, &v->items[i], 0, x->rank - 1, "a dimension", &from)) return false;
    if (seen >> from & 1) return sema_error(s, v->items[i].loc, NULL, "dimension %" PRId64 " stands twice in `perm`", from);
    seen |= 1u << from;
    layer->node.attrs.perm[i] = (int32_t)from;
  }
  return layer->node.attrs.perm[0] == 0 || keeps_batch(layer, v->loc);
}

// A list with one number a dimension, the batch's may be left out; NULL if there is none for dimension `d`.
static const struct value *entry(const struct layer *layer, enum option_id option, unsigned d) {
  const struct value *v = &layer->options[option];
  size_t skip = layer->node.inputs[0]->rank - v->count;
  return layer_has(layer, option) && d >= skip ? &v->items[d - skip] : NULL;
}

static bool slice_dimension(struct layer *layer, unsigned d) {
  struct bf_attrs *a = &layer->node.attrs;
  struct sema *s = layer->s;
  int64_t size = (int64_t)layer->node.inputs[0]->shape[d], begin, step = 1, count;
  const struct value *begin_value = entry(layer, OPT_BEGIN, d), *step_value = entry(layer, OPT_STEP, d);
  const struct value *count_value = entry(layer, OPT_COUNT, d);
  if (size > INT32_MAX) return sema_error(s, layer->operand_locs[0], NULL, "dimension %u is too large", d);
  if (step_value && !sema_integer(s, step_value, -INT32_MAX, INT32_MAX, "step", &step)) return false;
  if (!step) return sema_error(s, step_value->loc, NULL, "step must not be 0");
  begin = step < 0 ? size - 1 : 0;
  if (begin_value && !sema_integer(s, begin_value, 0, size - 1, "begin", &begin)) return false;
  count = step > 0 ? (size - 1 - begin) / step + 1 : begin / -step + 1;  // as far as it goes
  if (count_value && !sema_integer(s, count_value, 1, count, "count", &count)) return false;
  a->begin[d] = (int32_t)begin;
  a->step[d] = (int32_t)step;
  a->count[d] = (int32_t)count;
  return d > 0 || (begin == 0 && step == 1 && count == size) || keeps_batch(layer, layer->call->loc);
}

bool bfn_build_slice(struct layer *layer) {
  static const enum option_id options[] = {OPT_BEGIN, OPT_COUNT, OPT_STEP};
  static const char *const names[] = {"begin", "count", "step"};
  unsigned rank = layer->node.inputs[0]->rank;
  for (size_t i = 0; i < BF_COUNT(options); i++) {
    const struct value *v = &layer->options[options[i]];
    if (layer_has(layer, options[i]) && (v->kind != VALUE_LIST || (v->count != rank && v->count + 1 != rank)))
      return sema_error(layer->s, v->loc, "the batch dimension may be left out", "`%s` takes a number for each of %u dimensions",
                        names[i], rank);
  }
  for (unsigned d = 0; d < rank; d++)
    if (!slice_dimension(layer, d)) return false;
  return true;
}

bool bfn_build_spread(struct layer *layer) {
  if (!layer_need_rank(layer, 0, 4, "input")) return false;
  if (!layer_has(layer, OPT_FACTOR))
    return sema_error(layer->s, layer->call->loc, "for instance: factor 2", "`spread` needs a `factor`");
  return layer_pair(layer, OPT_FACTOR, "factor", 1, layer->node.attrs.factor);
}
