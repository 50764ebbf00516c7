// SPDX-License-Identifier: Apache-2.0
// The operators that combine elements: sums, products, the larger and smaller, sums over dimensions, tables.
#include <inttypes.h>
#include <string.h>

#include "frontend/sema.h"

// Equal shapes, or 1 in a dimension of one operand. *channels: those of the result.
static bool broadcast(struct layer *layer, uint64_t *channels) {
  const struct bf_tensor *a = layer->node.inputs[0], *b = layer->node.inputs[1];
  bool ok = a->rank == b->rank;
  for (unsigned i = 0; ok && i < a->rank; i++) ok = a->shape[i] == b->shape[i] || a->shape[i] == 1 || b->shape[i] == 1;
  if (!ok)
    return sema_error(layer->s, layer->call->loc, "sizes are equal, or one of them is 1", "`%s`: `%s` has shape %s, `%s` has %s",
                      layer->row->name, a->name, sema_shape_text(layer->s, a->rank, a->shape), b->name,
                      sema_shape_text(layer->s, b->rank, b->shape));
  uint64_t last[2] = {a->shape[a->rank - 1], b->shape[b->rank - 1]};
  *channels = last[0] > last[1] ? last[0] : last[1];
  for (int i = 0; i < 2; i++) {
    const struct bf_tensor *t = layer->node.inputs[i];
    if (t->type.bits > 16 || t->quant.count > 1)
      return sema_error(layer->s, layer->operand_locs[i], NULL, "`%s`: the constant `%s` must have at most 16 bits and one scale",
                        layer->row->name, t->name);
  }
  return true;
}

// --- add, sub ---

static void in_multiplier(struct layer *layer, double real, struct bf_requant *out) {
  struct bf_arena *arena = &layer->s->graph->arena;
  out->mode = BF_REQUANT_TFLITE;
  out->count = 1;
  out->mult = bf_arena_alloc(arena, 1, sizeof *out->mult);
  out->shift = bf_arena_alloc(arena, 1, sizeof *out->shift);
  bf_quantize_multiplier(real, out->mult, out->shift);
}

// ADD and SUB as in TensorFlow Lite: both operands are brought to the scale 2 * max(s0, s1), with left_shift more bits.
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
  struct factors factors = {.count = 1, .real = &real, .single = &single};
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

// `requantize tflite` without numbers is the standard, spelled out.
static bool is_standard(struct layer *layer) {
  const struct ast_expr *expr = layer->stmt->clauses->value[CLAUSE_REQUANTIZE];
  if (layer_has(layer, OPT_IN0) || layer_has(layer, OPT_IN1) || layer_has(layer, OPT_LEFT_SHIFT)) return false;
  if (!expr) return true;
  struct value v = sema_eval(layer->s, layer->scope, expr);
  return v.kind == VALUE_WORD && !strcmp(v.text, "tflite");
}

bool bfn_build_add(struct layer *layer) {
  uint64_t channels;
  if (!broadcast(layer, &channels)) return false;
  return (is_standard(layer) ? add_tflite(layer) : add_explicit(layer, channels)) &&
         layer_activation(layer, layer->type, &layer->quant);
}

bool bfn_build_sub(struct layer *layer) { return bfn_build_add(layer); }

// --- mul, maximum, minimum ---

bool bfn_build_mul(struct layer *layer) {
  uint64_t channels;
  if (!broadcast(layer, &channels)) return false;
  float s0 = bf_quant_scale(&layer->node.inputs[0]->quant, 0), s1 = bf_quant_scale(&layer->node.inputs[1]->quant, 0);
  float sy = bf_quant_scale(&layer->quant, 0), product = s0 * s1, single = product / sy;
  double real = (double)s0 * (double)s1 / (double)sy;
  struct factors factors = {.count = 1, .real = &real, .single = &single};
  return layer_requant(layer, &factors, channels, BF_REQUANT_TFLITE) &&
         layer_activation(layer, layer->type, &layer->quant);
}

// One of the operands is chosen, so both mean the same.
static bool choice(struct layer *layer) {
  uint64_t channels;
  const struct bf_tensor *a = layer->node.inputs[0], *b = layer->node.inputs[1];
  if (!broadcast(layer, &channels)) return false;
  if (!bf_type_equal(a->type, b->type) || bf_quant_scale(&a->quant, 0) != bf_quant_scale(&b->quant, 0) ||
      bf_quant_zero(&a->quant, 0) != bf_quant_zero(&b->quant, 0))
    return sema_error(layer->s, layer->operand_locs[1], "bring it to the same by `requantize`",
                      "`%s`: `%s` has not the type and quantization of `%s`", layer->row->name, b->name, a->name);
  return layer_activation(layer, layer->type, &layer->quant);
}

bool bfn_build_maximum(struct layer *layer) { return choice(layer); }
bool bfn_build_minimum(struct layer *layer) { return choice(layer); }

// --- sums over dimensions ---

// `axes [1, 2]`, or one of them, from the end if negative; without it height and width.
static bool take_axes(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0];
  const struct value *v = &layer->options[OPT_AXES];
  struct sema *s = layer->s;
  uint32_t *axes = &layer->node.attrs.axes;
  if (!layer_has(layer, OPT_AXES)) {
    *axes = 6;
    return x->rank == 4 || sema_error(s, layer->call->loc, "for instance: axes [1]", "`%s` of %u dimensions needs `axes`",
                                      layer->row->name, x->rank);
  }
  size_t count = v->kind == VALUE_LIST ? v->count : 1;
  if (!count) return sema_error(s, v->loc, NULL, "`axes` must name a dimension");
  for (size_t i = 0; i < count; i++) {
    const struct value *item = v->kind == VALUE_LIST ? &v->items[i] : v;
    int64_t axis, rank = x->rank;
    if (!sema_integer(s, item, -rank, rank - 1, "an axis", &axis)) return false;
    if (axis < 0) axis += rank;
    if (*axes >> axis & 1) return sema_error(s, item->loc, NULL, "axis %" PRId64 " is given twice", axis);
    *axes |= 1u << axis;
  }
  if (s->batch > 1 && *axes & 1)
    return sema_error(s, v->loc, "compile it with batch 1", "`%s` over the batch dimension", layer->row->name);
  return true;
}

static bool reduce(struct layer *layer, bool mean) {
  const struct bf_tensor *x = layer->node.inputs[0];
  uint64_t count = 1;
  if (!take_axes(layer)) return false;
  for (unsigned i = 0; i < x->rank; i++)
    if (layer->node.attrs.axes >> i & 1) count *= x->shape[i];
  float sx = bf_quant_scale(&x->quant, 0), sy = bf_quant_scale(&layer->quant, 0), single = sx / sy;
  double real = (double)sx / (double)sy;
  bool channels_gone = layer->node.attrs.axes >> (x->rank - 1) & 1;
  struct factors factors = {.count = 1, .mean_of = mean ? count : 1, .real = &real, .single = &single};
  return layer_requant(layer, &factors, channels_gone ? 1 : x->shape[x->rank - 1], BF_REQUANT_TFLITE) &&
         layer_activation(layer, layer->type, &layer->quant);
}

bool bfn_build_reduce_sum(struct layer *layer) { return reduce(layer, false); }
bool bfn_build_mean(struct layer *layer) { return reduce(layer, true); }

// --- tables ---

// The result's type and quantization are the table's unless they are given.
bool bfn_build_table(struct layer *layer) {
  const struct bf_tensor *x = layer->node.inputs[0], *t = layer->node.inputs[1];
  struct sema *s = layer->s;
  char text[8];
  if (x->type.bits > 8 || x->type.kind == BF_TYPE_B)
    return sema_error(s, layer->operand_locs[0], "bring it to 8 bits by `requantize`",
                      "`table` looks up inputs of u1 to u8, s1 to s8 and t2, `%s` is %s", x->name, bf_type_text(text, x->type));
  uint64_t wanted = (uint64_t)(bf_type_max(x->type) - bf_type_min(x->type)) + 1;
  if (t->rank != 1 || t->elements != wanted)
    return sema_error(s, layer->operand_locs[1], NULL,
                      "`table`: `%s` has shape %s, it needs [%" PRIu64 "]: an element for each value of %s", t->name,
                      sema_shape_text(s, t->rank, t->shape), wanted, bf_type_text(text, x->type));
  if (t->quant.count > 1) return sema_error(s, layer->operand_locs[1], NULL, "a table has one scale and zero point");
  if (!layer->typed) {
    layer->type = t->type;
    layer->quant = t->quant;
    if (!sema_activation_type(s, t->type, layer->operand_locs[1])) return false;
  }
  for (uint64_t i = 0; i < t->elements; i++)
    if (!bf_type_holds(layer->type, t->data[i]))
      return sema_error(s, layer->call->loc, NULL, "element %" PRIu64 " of table `%s` is %" PRId64 ", outside %s", i, t->name,
                        t->data[i], bf_type_text(text, layer->type));
  return true;
}
