// SPDX-License-Identifier: Apache-2.0
// Quantizers: QuantizeLinear and DequantizeLinear, and those of QONNX and FINN. Of constants they make integers with a
// scale, of computed values steps.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

bool bf_onx_bounds(struct bf_onx_lower *l, int32_t type, double *lo, double *hi) {
  unsigned bits;
  bool is_signed;
  if (!type) type = BF_ONX_UINT8;
  if (!bf_onx_int_type(type, &bits, &is_signed) || bits > 32)
    return bf_onx_fail(l, "integers of 4, 8 and 16 bits work", "codes of type %d", type);
  *lo = is_signed ? -ldexp(1, (int)bits - 1) : 0;
  *hi = ldexp(1, (int)bits - is_signed) - 1;
  return true;
}

static bool positive(struct bf_onx_lower *l, double scale) {
  return (scale > 0 && isfinite(scale)) || bf_onx_fail(l, NULL, "a scale of %g", scale);
}

void bf_onx_push_codes(struct bf_onx_lower *l, struct bf_onx_value *v, double scale, double zero, int32_t type,
                       double lo, double hi) {
  bf_onx_push_scalar(l, v, STEP_DIV, scale);
  bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_ROUND});
  bf_onx_push_scalar(l, v, STEP_ADD, zero);
  bf_onx_push_clip(l, v, lo, hi);
  bf_onx_push_scalar(l, v, STEP_ADD, -zero);
  bf_onx_push_scalar(l, v, STEP_MUL, scale);
  v->integer_type = type;
  v->dequantized = false;
  v->coded = true;
  v->code_scale = scale;
  v->code_zero = zero;
}

bool bf_onx_op_quantize(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0), *z = bf_onx_input(l, 2);
  double scale, zero, lo, hi;
  if (!x || !bf_onx_scalar(l, 1, 1, &scale) || !bf_onx_scalar(l, 2, 0, &zero) || !positive(l, scale)) return false;
  int32_t type = z && z->constant ? z->constant->type : (int32_t)bf_onx_int(l->node, "output_dtype", BF_ONX_UINT8);
  if (!bf_onx_bounds(l, type, &lo, &hi)) return false;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  bf_onx_push_codes(l, y, scale, zero, type, lo, hi);
  bf_onx_define(l, y);
  return true;
}

static struct bf_onx_const *quantized(struct bf_onx_lower *l, const struct bf_onx_const *c, uint64_t n, unsigned axis) {
  struct bf_onx_const *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *c;
  out->scale = bf_arena_alloc(&l->arena, n + 1, sizeof *out->scale);
  out->zero = bf_arena_alloc(&l->arena, n + 1, sizeof *out->zero);
  out->nscale = n;
  out->axis = axis;
  return out;
}

static bool define_const(struct bf_onx_lower *l, struct bf_onx_const *c) {
  struct bf_onx_value *v = bf_onx_output(l, 0);
  v->constant = c;
  v->known = true;
  return true;
}

// Scales and zero points of a constant: one, or one for each index of `axis`.
static bool fill_scales(struct bf_onx_lower *l, struct bf_onx_const *c, const struct bf_onx_const *scale,
                        const struct bf_onx_const *zero) {
  uint64_t n = c->nscale;
  if ((scale->count != n && scale->count != 1) || (zero && zero->count != n && zero->count != 1))
    return bf_onx_fail(l, NULL, "scales or zero points that do not fit the constant");
  for (uint64_t i = 0; i < n; i++) {
    double s = bf_onx_real(scale, scale->count > 1 ? i : 0), z = zero ? bf_onx_real(zero, zero->count > 1 ? i : 0) : 0;
    if (!positive(l, s)) return false;
    if (!(fabs(z) < 0x1p31) || z != floor(z)) return bf_onx_fail(l, NULL, "a zero point of %g", z);
    ((double *)c->scale)[i] = s;
    ((int64_t *)c->zero)[i] = (int64_t)z;
  }
  return true;
}

bool bf_onx_op_dequantize(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_input(l, 0), *z = bf_onx_input(l, 2);
  double scale, zero;
  if (x && x->constant) {
    const struct bf_onx_const *s = bf_onx_constant(l, 1), *zeros = NULL;
    int64_t axis = bf_onx_int(l->node, "axis", 1);
    if (!s || (z && !(zeros = bf_onx_constant(l, 2)))) return false;
    if (axis < 0) axis += x->constant->shape.rank;
    uint64_t n = s->count;
    if (!x->constant->ints || x->constant->scale ||
        (n > 1 &&
         (axis < 0 || axis >= (int64_t)x->constant->shape.rank || s->uniform || x->constant->shape.dims[axis] != n)))
      return bf_onx_fail(l, NULL, "scales that do not fit the constant");
    struct bf_onx_const *c = quantized(l, x->constant, n ? n : 1, n > 1 ? (unsigned)axis : 0);
    bf_onx_int_type(c->type, &c->bits, &c->is_signed);
    return fill_scales(l, c, s, zeros) && define_const(l, c);
  }
  if (!(x = bf_onx_computed(l, 0)) || !bf_onx_scalar(l, 1, 1, &scale) || !bf_onx_scalar(l, 2, 0, &zero) ||
      !positive(l, scale))
    return false;
  struct bf_onx_value *y = bf_onx_center(l, x, scale, zero);
  // The type stays: it is what the integers have, whatever they mean.
  y->dequantized = true;
  bf_onx_define(l, y);
  return true;
}

// ---- QONNX

struct quantizer {
  double lo, hi;
  enum bf_onx_step_kind rounds;
};

static bool rounding_of(struct bf_onx_lower *l, enum bf_onx_step_kind *out) {
  static const struct {
    const char *name;
    enum bf_onx_step_kind kind;
  } modes[] = {{"ROUND", STEP_ROUND}, {"HALF_EVEN", STEP_ROUND},     {"FLOOR", STEP_FLOOR},
               {"CEIL", STEP_CEIL},   {"ROUND_TO_ZERO", STEP_TRUNC}, {"DOWN", STEP_TRUNC}};
  *out = STEP_ROUND;
  if (!bf_onx_attribute(l->node, "rounding_mode")) return true;
  for (size_t i = 0; i < BF_COUNT(modes); i++)
    if (bf_onx_string_is(l->node, "rounding_mode", modes[i].name)) {
      *out = modes[i].kind;
      return true;
    }
  return bf_onx_fail(l, "ROUND, FLOOR, CEIL and ROUND_TO_ZERO work", "a rounding mode that is not supported");
}

static bool quant_constant(struct bf_onx_lower *l, const struct bf_onx_const *c, const struct quantizer *q, double bits,
                           bool is_signed) {
  const struct bf_onx_const *s = bf_onx_constant(l, 1), *z = bf_onx_constant(l, 2);
  if (!s || !z) return false;
  // Scales broadcast: one dimension of them may be wide.
  unsigned wide = 0, axis = 0;
  for (unsigned d = 0; d < s->shape.rank; d++)
    if (s->shape.dims[d] != 1) wide++, axis = d + (c->shape.rank > s->shape.rank ? c->shape.rank - s->shape.rank : 0);
  if (wide > 1 || s->shape.rank > c->shape.rank || (wide && (s->count != c->shape.dims[axis] || s->uniform)))
    return bf_onx_fail(l, "one scale, or one for each output channel, work", "scales of another shape");
  uint64_t held = c->uniform ? 1 : c->count, inner = 1;
  if (c->uniform && wide) return bf_onx_fail(l, NULL, "scales for each channel of a uniform constant");
  struct bf_onx_const *out = bf_onx_const_new(l, BF_ONX_INT64, &c->shape, held);
  if (!out) return false;
  out->name = c->name;
  struct bf_onx_const *coded = quantized(l, out, wide ? s->count : 1, axis);
  coded->bits = (unsigned)bits;
  coded->is_signed = is_signed;
  if (!fill_scales(l, coded, s, z)) return false;
  for (unsigned d = axis + 1; d < c->shape.rank; d++) inner *= c->shape.dims[d];
  for (uint64_t i = 0; i < held; i++) {
    uint64_t k = wide ? i / inner % s->count : 0;
    struct bf_onx_step steps[2] = {{.kind = q->rounds}, {.kind = STEP_CLIP, .lo = q->lo, .hi = q->hi}};
    double v = bf_onx_apply(steps, 2, 0, bf_onx_real(c, i) / coded->scale[k] + (double)coded->zero[k]);
    ((int64_t *)out->ints)[i] = isnan(v) ? 0 : (int64_t)v;
  }
  return define_const(l, coded);
}

bool bf_onx_op_quant(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_input(l, 0);
  double scale, zero, bits;
  bool is_signed = bf_onx_int(l->node, "signed", 1) != 0, narrow = bf_onx_int(l->node, "narrow", 0) != 0;
  struct quantizer q;
  if (!x || !bf_onx_scalar(l, 3, 8, &bits) || !rounding_of(l, &q.rounds))
    return bf_onx_fail(l, NULL, "an operand is missing");
  if (!(bits >= 1 && bits <= 16) || bits != floor(bits)) return bf_onx_fail(l, "1 to 16 bits work", "%g bits", bits);
  q.hi = ldexp(1, (int)bits - is_signed) - 1 - (!is_signed && narrow);
  q.lo = is_signed ? -ldexp(1, (int)bits - 1) + narrow : 0;
  if (x->constant) return quant_constant(l, x->constant, &q, bits, is_signed);
  if (!(x = bf_onx_computed(l, 0)) || !bf_onx_scalar(l, 1, 1, &scale) || !bf_onx_scalar(l, 2, 0, &zero) ||
      !positive(l, scale))
    return false;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  bf_onx_push_scalar(l, y, STEP_DIV, scale);
  bf_onx_push_scalar(l, y, STEP_ADD, zero);
  bf_onx_push(l, y, (struct bf_onx_step){.kind = q.rounds});
  bf_onx_push_clip(l, y, q.lo, q.hi);
  bf_onx_push_scalar(l, y, STEP_ADD, -zero);
  bf_onx_push_scalar(l, y, STEP_MUL, scale);
  y->integer_type = 0;
  bf_onx_define(l, y);
  return true;
}

static bool bipolar_constant(struct bf_onx_lower *l, const struct bf_onx_const *c, double scale) {
  uint64_t held = c->uniform ? 1 : c->count;
  struct bf_onx_const *out = bf_onx_const_new(l, BF_ONX_INT64, &c->shape, held);
  if (!out) return false;
  out->name = c->name;
  for (uint64_t i = 0; i < held; i++) ((int64_t *)out->ints)[i] = bf_onx_real(c, i) >= 0 ? 1 : -1;
  struct bf_onx_const *coded = quantized(l, out, 1, 0);
  ((double *)coded->scale)[0] = scale;
  return define_const(l, coded);
}

static bool push_count(struct bf_onx_lower *l, struct bf_onx_value *y, uint64_t channels, uint64_t n,
                       const double *thresholds) {
  bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_COUNT, .n = channels, .nthresholds = n, .v = thresholds});
  return true;
}

bool bf_onx_op_bipolar(struct bf_onx_lower *l) {
  static const double at_zero[1] = {0};
  struct bf_onx_value *x = bf_onx_input(l, 0);
  double scale;
  if (!x || !bf_onx_scalar(l, 1, 1, &scale) || !positive(l, scale)) return false;
  if (x->constant) return bipolar_constant(l, x->constant, scale);
  if (!(x = bf_onx_computed(l, 0))) return false;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  push_count(l, y, 1, 1, at_zero);
  bf_onx_push_scalar(l, y, STEP_MUL, 2);
  bf_onx_push_scalar(l, y, STEP_ADD, -1);
  bf_onx_push_scalar(l, y, STEP_MUL, scale);
  bf_onx_define(l, y);
  return true;
}

bool bf_onx_op_multithreshold(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const struct bf_onx_const *t = x ? bf_onx_constant(l, 1) : NULL;
  if (!t) return false;
  uint64_t channels = t->shape.rank == 2 ? t->shape.dims[0] : 0, n = t->shape.rank == 2 ? t->shape.dims[1] : 0;
  int dim = bf_onx_channel_dim(&x->layout);
  bool last = bf_onx_string_is(l->node, "data_layout", "NHWC");
  if (!channels || !n || n > 65535) return bf_onx_fail(l, NULL, "thresholds that are not [channels, n]");
  if (channels > 1 && (dim != (last ? (int)x->layout.shape.rank - 1 : 1) || channels != x->source->channels))
    return bf_onx_fail(l, NULL, "thresholds for channels that are not the text's last dimension");
  double *v = bf_arena_alloc(&l->arena, channels * n, sizeof *v);
  for (uint64_t i = 0; i < channels * n; i++) {
    v[i] = bf_onx_real(t, i);
    if (isnan(v[i]) || (i % n && v[i] < v[i - 1])) return bf_onx_fail(l, NULL, "thresholds that do not ascend");
  }
  struct bf_onx_value *y = bf_onx_plain(l, x);
  push_count(l, y, channels, n, v);
  bf_onx_push_scalar(l, y, STEP_MUL, bf_onx_float(l->node, "out_scale", 1));
  bf_onx_push_scalar(l, y, STEP_ADD, bf_onx_float(l->node, "out_bias", 0));
  y->integer_type = 0;
  bf_onx_define(l, y);
  return true;
}

// ONNX Runtime's addition of codes: operands a, its scale and zero point, b, its scale and zero point, those of the
// result.
bool bf_onx_op_qlinearadd(struct bf_onx_lower *l) {
  struct bf_onx_value *a = bf_onx_computed(l, 0), *b = a ? bf_onx_computed(l, 3) : NULL, sum;
  double sa, za, sb, zb, sy, zy, lo, hi;
  if (!b || !bf_onx_scalar(l, 1, 1, &sa) || !bf_onx_scalar(l, 2, 0, &za) || !bf_onx_scalar(l, 4, 1, &sb) ||
      !bf_onx_scalar(l, 5, 0, &zb) || !bf_onx_scalar(l, 6, 1, &sy) || !bf_onx_scalar(l, 7, 0, &zy) ||
      !positive(l, sa) || !positive(l, sb) || !positive(l, sy))
    return false;
  struct bf_onx_value *zero = bf_onx_input(l, 7);
  int32_t type = zero && zero->constant ? zero->constant->type : BF_ONX_UINT8;
  a = bf_onx_center(l, a, sa, za);
  b = bf_onx_center(l, b, sb, zb);
  if (!bf_onx_bounds(l, type, &lo, &hi) || !bf_onx_add_values(l, a, b, false, &sum)) return false;
  bf_onx_push_codes(l, &sum, sy, zy, type, lo, hi);
  bf_onx_define(l, &sum);
  return true;
}
