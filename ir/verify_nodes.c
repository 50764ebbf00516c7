// SPDX-License-Identifier: Apache-2.0
// What each operator asks of its types, quantizations and requantization, and the proof that no exact
// sum leaves 48 bits: by interval arithmetic over the actual weights.
#include <inttypes.h>
#include <math.h>

#include "ir/ref_ops.h"
#include "ir/text.h"
#include "ir/verify.h"

#define ACC_BITS 48
#define MAX_LEFT_SHIFT 30
#define SOFTMAX_MAX_DEPTH 4095  // the sum of exponentials has 12 integer bits

typedef __int128 wide;

struct interval {
  wide lo, hi;
};

static wide absolute(wide v) { return v < 0 ? -v : v; }

static bool fits_accumulator(struct interval r) {
  wide limit = (wide)1 << (ACC_BITS - 1);
  return r.lo >= -limit && r.hi < limit;
}

// ---- requantization

static bool check_channel(struct bf_verifier *v, const struct bf_requant *rq, uint32_t c, struct interval sum) {
  int64_t mult = rq->mult ? rq->mult[c] : 0;
  int32_t shift = rq->shift ? rq->shift[c] : 0;
  const char *mode = bf_requant_mode_name(rq->mode);
  bool fixed = rq->mode == BF_REQUANT_TFLITE || rq->mode == BF_REQUANT_TFLITE16;
  if (fixed && (mult < 0 || mult >= (int64_t)1 << 31))
    return bf_verify_fail(v, "%s multiplier %" PRId64 " is not between 0 and 2^31-1", mode, mult);
  // A mean divides its multiplier by the count, so that only tflite16 has normalized ones.
  if (rq->mode == BF_REQUANT_TFLITE16 && mult != 0 && mult < (int64_t)1 << 30)
    return bf_verify_fail(v, "%s multiplier %" PRId64 " is neither 0 nor between 2^30 and 2^31-1", mode, mult);
  int32_t lo = fixed ? -31 : 0, hi = rq->mode == BF_REQUANT_TFLITE ? 31 : fixed ? 7 : 62;
  if (shift < lo || shift > hi)
    return bf_verify_fail(v, "%s shift %" PRId32 " is not between %" PRId32 " and %" PRId32, mode, shift, lo, hi);
  if (rq->mode == BF_REQUANT_DYADIC && absolute(mult) >= (wide)1 << 47)
    return bf_verify_fail(v, "dyadic multiplier %" PRId64 " has more than 48 bits", mult);
  if (rq->mode == BF_REQUANT_AFFINE_FLOOR) {
    wide largest = absolute(sum.lo) > absolute(sum.hi) ? absolute(sum.lo) : absolute(sum.hi);
    if (largest * absolute(mult) + absolute(rq->add[c]) > (wide)INT64_MAX)
      return bf_verify_fail(v, "affine_floor: the largest sum times %" PRId64 " leaves 64 bits", mult);
  }
  if (rq->mode == BF_REQUANT_FLOAT_RNE && !isfinite(rq->fscale[c]))
    return bf_verify_fail(v, "float_rne: a scale is not finite");
  for (uint32_t i = 1; i < rq->nthresholds && rq->mode == BF_REQUANT_THRESHOLDS; i++) {
    const int64_t *t = rq->thresholds + (size_t)c * rq->nthresholds;
    if (t[i] < t[i - 1]) return bf_verify_fail(v, "the thresholds of channel %" PRIu32 " do not ascend", c);
  }
  return true;
}

// The rule alone; `sum` bounds what is requantized.
static bool check_rule(struct bf_verifier *v, const struct bf_requant *rq, uint64_t channels, struct interval sum) {
  const char *mode = bf_requant_mode_name(rq->mode);
  if (!mode) return bf_verify_fail(v, "requantization mode %d does not exist", (int)rq->mode);
  if (rq->mode == BF_REQUANT_NONE)
    return rq->count == 0 || bf_verify_fail(v, "requantization none has no parameters, count must be 0");
  if (rq->count != 1 && rq->count != channels)
    return bf_verify_fail(v, "%s has parameters for %" PRIu32 " channels, the layer has %" PRIu64, mode, rq->count,
                          channels);
  unsigned fields = bf_requant_fields(rq->mode);
  if (((fields & BF_RQ_MULT) && !rq->mult) || ((fields & BF_RQ_SHIFT) && !rq->shift) ||
      ((fields & BF_RQ_ADD) && !rq->add) || ((fields & BF_RQ_SCALE) && !rq->fscale) ||
      ((fields & BF_RQ_THRESHOLDS) && rq->nthresholds && !rq->thresholds))
    return bf_verify_fail(v, "a parameter of requantization %s is missing", mode);
  for (uint32_t c = 0; c < rq->count; c++)
    if (!check_channel(v, rq, c, sum)) return false;
  return true;
}

// A b1 result is never 0: each threshold stands twice, so that the count is 0 or 2, and -1 is added.
static bool check_binary(struct bf_verifier *v, const struct bf_requant *rq) {
  bool ok = rq->mode == BF_REQUANT_THRESHOLDS && rq->nthresholds == 2 && rq->out_zero == -1;
  for (uint32_t c = 0; ok && c < rq->count; c++) ok = rq->thresholds[2 * c] == rq->thresholds[2 * c + 1];
  return ok || bf_verify_fail(v, "a b1 result is requantized by thresholds [t, t] with -1 added");
}

static bool check_requant(struct bf_verifier *v, const struct bf_node *node, struct interval sum) {
  const struct bf_tensor *out = node->output;
  const struct bf_requant *rq = &node->attrs.requant;
  if (!check_rule(v, rq, out->shape[out->rank - 1], sum)) return false;
  if (rq->lo > rq->hi || !bf_type_holds(out->type, rq->lo) || !bf_type_holds(out->type, rq->hi))
    return bf_verify_fail(v, "clamp [%" PRId64 ", %" PRId64 "] is empty or leaves the output type", rq->lo, rq->hi);
  if (rq->out_zero < INT32_MIN || rq->out_zero > INT32_MAX)  // beyond the type is odd, but the clamp mends it
    return bf_verify_fail(v, "zero point %" PRId64 " has more than 32 bits", rq->out_zero);
  return true;
}

// As check_requant, for operators that compute new numbers instead of choosing among given ones.
static bool check_computed(struct bf_verifier *v, const struct bf_node *node, struct interval sum) {
  if (!check_requant(v, node, sum)) return false;
  return node->output->type.kind != BF_TYPE_B || check_binary(v, &node->attrs.requant);
}

// ---- types and quantizations

static bool same_meaning(struct bf_verifier *v, const struct bf_tensor *a, const struct bf_tensor *b) {
  if (!bf_type_equal(a->type, b->type))
    return bf_verify_fail(v, "'%s' and '%s' must have the same type", a->name, b->name);
  if (bf_quant_scale(&a->quant, 0) != bf_quant_scale(&b->quant, 0) ||
      bf_quant_zero(&a->quant, 0) != bf_quant_zero(&b->quant, 0))
    return bf_verify_fail(v, "'%s' and '%s' must have the same scale and zero point", a->name, b->name);
  return true;
}

// Elements minus zero point.
static struct interval centred(const struct bf_tensor *t) {
  int64_t zero = bf_quant_zero(&t->quant, 0);
  return (struct interval){bf_type_min(t->type) - zero, bf_type_max(t->type) - zero};
}

static struct interval output_sum(const struct bf_tensor *x, const struct bf_tensor *w, uint64_t o) {
  struct interval in = centred(x), sum = {0, 0};
  uint64_t depth = w->elements / w->shape[0];
  int64_t zw = bf_quant_zero(&w->quant, o);
  // Padding contributes 0, which need not lie between in.lo and in.hi.
  if (in.lo > 0) in.lo = 0;
  if (in.hi < 0) in.hi = 0;
  // Weights have 16 bits and zero points 32, so that the sums of the positive and of the negative ones stay within 64.
  uint64_t positive = 0, negative = 0;
  for (uint64_t i = 0; i < depth; i++) {
    int64_t weight = (int64_t)((uint64_t)w->data[o * depth + i] - (uint64_t)zw);
    positive += weight > 0 ? (uint64_t)weight : 0;
    negative += weight < 0 ? (uint64_t)weight : 0;
  }
  sum.lo = (int64_t)positive * in.lo + (int64_t)negative * in.hi;
  sum.hi = (int64_t)positive * in.hi + (int64_t)negative * in.lo;
  return sum;
}

static bool check_weighted(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_tensor *x = node->inputs[0], *w = node->inputs[1];
  const struct bf_tensor *bias = node->ninputs > 2 ? node->inputs[2] : NULL;
  if (w->type.bits > 16) return bf_verify_fail(v, "weights '%s' have more than 16 bits", w->name);
  if (w->quant.count > 1 && w->quant.axis != 0)
    return bf_verify_fail(v, "weights '%s' have scales along axis %d, not per output channel", w->name, w->quant.axis);
  struct interval all = {0, 0};
  for (uint64_t o = 0; o < w->shape[0]; o++) {
    struct interval sum = output_sum(x, w, o);
    if (bias && bf_quant_zero(&bias->quant, o))
      return bf_verify_fail(v, "bias '%s' has a zero point other than 0", bias->name);
    if (bias) sum.lo += bias->data[o], sum.hi += bias->data[o];
    if (!fits_accumulator(sum))
      return bf_verify_fail(v, "the sum of output channel %" PRIu64 " may leave %d bits", o, ACC_BITS);
    if (sum.lo < all.lo) all.lo = sum.lo;
    if (sum.hi > all.hi) all.hi = sum.hi;
  }
  return check_computed(v, node, all);
}

// The bounds of one rescaled operand; every mode is monotonic, so the ends map to the ends.
static struct interval rescaled(const struct bf_requant *rq, struct interval in) {
  struct interval all = {0, 0};
  for (uint32_t c = 0; c < (rq->count ? rq->count : 1); c++) {
    wide ends[2] = {bf_ref_rescale(rq, c, (int64_t)in.lo), bf_ref_rescale(rq, c, (int64_t)in.hi)};
    for (int i = 0; i < 2; i++) {
      if (ends[i] < all.lo) all.lo = ends[i];
      if (ends[i] > all.hi) all.hi = ends[i];
    }
  }
  return all;
}

// Operands of elementwise operators are activations, or constants that look like them.
static bool check_terms(struct bf_verifier *v, const struct bf_node *node) {
  for (uint32_t i = 0; i < node->ninputs; i++) {
    const struct bf_tensor *t = node->inputs[i];
    if (t->type.bits > 16) return bf_verify_fail(v, "constant '%s' has more than 16 bits", t->name);
    if (t->quant.count > 1) return bf_verify_fail(v, "constant '%s' must have one scale and zero point", t->name);
  }
  return true;
}

// ADD and SUB.
static bool check_add(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_attrs *a = &node->attrs;
  if (!check_terms(v, node)) return false;
  if (a->left_shift < 0 || a->left_shift > MAX_LEFT_SHIFT)
    return bf_verify_fail(v, "left_shift %" PRId32 " is not between 0 and %d", a->left_shift, MAX_LEFT_SHIFT);
  struct interval sum = {0, 0};
  for (int k = 0; k < 2; k++) {
    struct interval in = centred(node->inputs[k]);
    in.lo *= (wide)1 << a->left_shift;
    in.hi *= (wide)1 << a->left_shift;
    const struct bf_requant *rq = &a->in_requant[k];
    if (!check_rule(v, rq, node->output->shape[node->output->rank - 1], in)) return false;
    if (a->left_shift && rq->mode != BF_REQUANT_TFLITE)
      return bf_verify_fail(v, "left_shift goes with requantization tflite of the operands only");
    struct interval part = rescaled(rq, in);
    bool minus = k == 1 && node->op == BF_OP_SUB;
    sum.lo += minus ? -part.hi : part.lo;
    sum.hi += minus ? -part.lo : part.hi;
  }
  if (!fits_accumulator(sum)) return bf_verify_fail(v, "the sum may leave %d bits", ACC_BITS);
  return check_computed(v, node, sum);
}

static bool check_mul(struct bf_verifier *v, const struct bf_node *node) {
  if (!check_terms(v, node)) return false;
  struct interval a = centred(node->inputs[0]), b = centred(node->inputs[1]);
  wide corners[4] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
  struct interval product = {corners[0], corners[0]};
  for (int i = 1; i < 4; i++) {
    if (corners[i] < product.lo) product.lo = corners[i];
    if (corners[i] > product.hi) product.hi = corners[i];
  }
  return check_computed(v, node, product);
}

static bool check_reduce_sum(struct bf_verifier *v, const struct bf_node *node) {
  struct interval sum = centred(node->inputs[0]);
  wide count = (wide)(node->inputs[0]->elements / node->output->elements);
  sum.lo *= count;
  sum.hi *= count;
  if (!fits_accumulator(sum)) return bf_verify_fail(v, "the sum may leave %d bits", ACC_BITS);
  return check_computed(v, node, sum);
}

static bool check_table(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_tensor *t = node->inputs[1];
  char type[8];
  for (uint64_t i = 0; i < t->elements; i++)
    if (!bf_type_holds(node->output->type, t->data[i]))
      return bf_verify_fail(v, "element %" PRIu64 " of table '%s' is %" PRId64 ", outside %s", i, t->name, t->data[i],
                            bf_type_text(type, node->output->type));
  return true;
}

// Pooling and clamping choose or average elements: nothing is rescaled.
static bool check_same_quant(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_requant *rq = &node->attrs.requant;
  if (rq->mode != BF_REQUANT_NONE || rq->out_zero != 0)
    return bf_verify_fail(v, "the operator only clamps: requantization none, nothing added");
  for (uint32_t i = 0; i < node->ninputs; i++)  // maximum and minimum have two
    if (!same_meaning(v, node->inputs[i], node->output)) return false;
  if (node->op == BF_OP_AVG_POOL && node->output->type.kind == BF_TYPE_B)
    return bf_verify_fail(v, "the mean of b1 elements may be 0, which b1 does not have");
  return check_requant(v, node, (struct interval){0, 0});
}

static bool check_choice(struct bf_verifier *v, const struct bf_node *node) {
  return check_terms(v, node) && check_same_quant(v, node);
}

static bool check_pad(struct bf_verifier *v, const struct bf_node *node) {
  for (unsigned i = node->output->rank; i < BF_MAX_RANK; i++)
    if (node->attrs.pads[i][0] || node->attrs.pads[i][1])
      return bf_verify_fail(v, "padding for dimension %u, which the input does not have", i);
  if (!bf_type_holds(node->output->type, node->attrs.pad_value))
    return bf_verify_fail(v, "padding value %" PRId64 " is outside the type", node->attrs.pad_value);
  return same_meaning(v, node->inputs[0], node->output);
}

static bool check_moved(struct bf_verifier *v, const struct bf_node *node) {
  for (uint32_t i = 0; i < node->ninputs; i++)
    if (!same_meaning(v, node->inputs[i], node->output)) return false;
  return true;
}

static bool check_spread(struct bf_verifier *v, const struct bf_node *node) {
  if (node->output->type.kind == BF_TYPE_B)
    return bf_verify_fail(v, "spread inserts 0, which b1 does not have");
  return check_moved(v, node);
}

static bool check_requantize(struct bf_verifier *v, const struct bf_node *node) {
  return check_computed(v, node, centred(node->inputs[0]));
}

static bool check_argmax(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_tensor *x = node->inputs[0];
  uint64_t depth = x->shape[x->rank - 1];
  if (node->output->type.kind == BF_TYPE_B) return bf_verify_fail(v, "an index has no type b1");
  return bf_type_holds(node->output->type, (int64_t)depth - 1) ||
         bf_verify_fail(v, "the output type cannot hold index %" PRIu64, depth - 1);
}

static bool check_softmax(struct bf_verifier *v, const struct bf_node *node) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  float scale;
  int32_t zero;
  if (!bf_softmax_result(x->type, y->type, &scale, &zero))
    return bf_verify_fail(v, "softmax is defined from s8 to s8 or s16, from u8 to u8 and from s16 to s16");
  if (bf_quant_scale(&y->quant, 0) != scale || bf_quant_zero(&y->quant, 0) != zero)
    return bf_verify_fail(v, "the output of softmax has scale 1/%d and zero point %" PRId32, (int)(1 / scale), zero);
  double step = (double)node->attrs.beta * bf_quant_scale(&x->quant, 0);
  bool wide_input = x->type.bits == 16;
  if (!isfinite(step) || step <= (wide_input ? 0 : 0x1p-26) || (wide_input && step > 1))
    return bf_verify_fail(v, "beta times the input's scale is out of range");
  if (x->shape[x->rank - 1] > SOFTMAX_MAX_DEPTH)
    return bf_verify_fail(v, "softmax over %" PRIu64 " elements; the fixed-point sum holds %d",
                          x->shape[x->rank - 1], SOFTMAX_MAX_DEPTH);
  return true;
}

static bool (*const meaning[BF_OP_COUNT])(struct bf_verifier *, const struct bf_node *) = {
#define BF_OP(id, name, min_inputs, max_inputs, const_inputs, attrs, shape, check, reference, summary) [BF_OP_##id] = check,
#include "ir/graph_ops.def"
};

bool bf_verify_meaning(struct bf_verifier *v, const struct bf_node *node) { return meaning[node->op](v, node); }
