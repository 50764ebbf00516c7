// SPDX-License-Identifier: Apache-2.0
// Functions of one element. On 8 bits each is a table of 256 values, computed here exactly as tflite-micro's reference
// kernels compute each element; UINT8, which those do not have, is computed as INT8 with both sides moved by 128.
#include <math.h>

#include "frontend/tflite_fixed.h"
#include "frontend/tflite_lower.h"
#include "ir/graph.h"

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

// A factor as 32-bit multiplier and shift.
struct factor {
  int64_t mult;
  int32_t shift;
};

static struct factor factor(double real) {
  struct factor f;
  bf_quantize_multiplier(real, &f.mult, &f.shift);
  return f;
}

static int64_t smallest(int64_t type) { return type == BF_TFL_UINT8 ? 0 : type == BF_TFL_INT8 ? -128 : -32768; }
static int64_t largest(int64_t type) { return type == BF_TFL_UINT8 ? 255 : type == BF_TFL_INT8 ? 127 : 32767; }

// --- LOGISTIC, TANH ---

// `x` without its zero point; the result within -128 to 127. Beyond the radius the argument would leave Q4.
static int64_t sigmoid(bool logistic, float scale, int64_t x) {
  struct factor f = factor((double)scale * (1 << 27));
  int64_t radius = f.shift > 31 ? 0 : (int64_t)floor(15.0 * (1 << 27) / (double)((int64_t)1 << (f.shift > 0 ? f.shift : 0)));
  if (f.shift < 0) radius = INT64_MAX;  // beyond any 8-bit value
  if (x <= -radius) return -128;
  if (x >= radius) return 127;
  int32_t q4 = bf_tfl_multiply((int32_t)x, f.mult, f.shift);
  if (logistic) return clamp(bf_tfl_round_shift(bf_tfl_logistic(q4), 23) - 128, -128, 127);
  return clamp(bf_tfl_round_shift(bf_tfl_tanh(q4), 24), -128, 127);
}

// --- HARD_SWISH ---

static int32_t saturate16(int64_t v) { return (int32_t)clamp(v, INT16_MIN, INT16_MAX); }

// (a*b) / 2^15, rounded to nearest.
static int32_t high_mul16(int32_t a, int32_t b) {
  int32_t product = a * b, half = product >= 0 ? 1 << 14 : 1 - (1 << 14);
  return saturate16((product + half) / (1 << 15));
}

static int32_t mult16(int64_t mult) { return mult >= INT32_MAX - (1 << 15) ? INT16_MAX : (int32_t)((mult + (1 << 15)) >> 16); }

struct hard_swish {
  struct factor out, relu;
};

static struct hard_swish hard_swish_factors(float in, float out) {
  const float hires = 0x1p-7f * in, relu = 3.0f / 32768.0f;
  return (struct hard_swish){factor((double)(hires / out)), factor((double)(hires / relu))};
}

// x * relu6(x + 3) / 6 of `x` without its zero point, in 16 bits; out_zero is still to be added. The second factor is
// brought to [-1, 1], saturating on the way, then to [0, 1].
static int64_t hard_swish(const struct hard_swish *f, int64_t x) {
  int32_t hires = (int32_t)x * 128, value = high_mul16(hires, mult16(f->out.mult)), relu = hires;
  int left = f->relu.shift > 31 ? 31 : f->relu.shift;
  if (left > 0) relu = saturate16((int64_t)relu * ((int64_t)1 << (left - 1)));
  relu = high_mul16(relu, mult16(f->relu.mult));
  if (left > 0) relu = saturate16((int64_t)relu * 2);
  if (left < 0) relu = bf_tfl_round_shift(relu, -left > 31 ? 31 : -left);
  relu = (relu + (1 << 15)) >> 1;
  int32_t product = saturate16((int64_t)relu * value / (1 << 15));
  return bf_tfl_round_shift(product, -f->out.shift > 31 ? 31 : -f->out.shift);
}

// --- LEAKY_RELU ---

struct leaky {
  struct factor identity, alpha;
  bool negative;  // alpha
  int64_t in_zero, out_zero, lo, hi;
};

static struct leaky leaky_factors(const struct bf_tfl_value *in, const struct bf_tfl_value *out, float alpha) {
  // The products and quotients are of float32, as in the kernel.
  const float identity = in->scale / out->scale, scaled = in->scale * alpha, slope = scaled / out->scale;
  return (struct leaky){factor((double)identity), factor(fabs((double)slope)), slope < 0,
                        in->zero,                 out->zero,                   smallest(in->type),
                        largest(in->type)};
}

static int64_t leaky(const struct leaky *f, int64_t q) {
  int32_t x = (int32_t)(q - f->in_zero);
  int64_t y = x >= 0 ? bf_tfl_multiply(x, f->identity.mult, f->identity.shift)
                     : bf_tfl_multiply(x, f->alpha.mult, f->alpha.shift);
  if (x < 0 && f->negative) y = -y;
  return clamp(y + f->out_zero, f->lo, f->hi);
}

// --- layers ---

static bool check_unary(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *in, struct bf_tfl_value *out) {
  if (!bf_tfl_unary(lower, op, in, out) || !bf_tfl_require_shape(lower, op, in, out)) return false;
  if (in->type == out->type) return true;
  bf_tfl_problem(lower, op, NULL, "operand and result of different types");
  return false;
}

static void print_table(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                        const struct bf_tfl_value *out, const int64_t values[256]) {
  const char *table = bf_tfl_declare_table(lower, op, out, values);
  bf_tfl_begin(lower, lower->layer[op], "table", bf_arena_format(&lower->arena, "%s, %s", in->text, table));
  bf_tfl_end(lower, out, "");
}

// LOGISTIC and TANH have one quantization of results, the kernel's.
static bool check_table(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                        const struct bf_tfl_value *out) {
  int64_t code = lower->model->ops[op].code, moved = in->type == BF_TFL_UINT8 ? 128 : 0;
  float scale = code == BF_TFL_OP_LOGISTIC ? 0x1p-8f : 0x1p-7f;
  int64_t zero = (code == BF_TFL_OP_LOGISTIC ? -128 : 0) + moved;
  if (in->type == BF_TFL_INT16) {
    bf_tfl_problem(lower, op, "INT8 and UINT8 work", "operand of type INT16");
    return false;
  }
  if (code == BF_TFL_OP_HARD_SWISH) {
    // The kernel's own limit, and those of shifts of 16-bit numbers.
    const struct hard_swish f = hard_swish_factors(in->scale, out->scale);
    if (f.out.shift <= 0 && f.out.shift >= -15 && f.relu.shift >= -15) return true;
    bf_tfl_problem(lower, op, "scales of like size work", "scales %g of the operand and %g of the result", in->scale,
                   out->scale);
    return false;
  }
  if (out->scale == scale && out->zero == zero) return true;
  bf_tfl_problem(lower, op, code == BF_TFL_OP_LOGISTIC ? "scale 1/256 and the smallest value as zero point work"
                                                       : "scale 1/128 and the middle value as zero point work",
                 "result of scale %g and zero point %lld", out->scale, (long long)out->zero);
  return false;
}

void bf_tfl_lower_table(struct bf_tfl_lower *lower, uint32_t op) {
  int64_t code = lower->model->ops[op].code, values[256];
  struct bf_tfl_value in, out;
  if (!check_unary(lower, op, &in, &out) || !check_table(lower, op, &in, &out)) return;
  const struct hard_swish factors = hard_swish_factors(in.scale, out.scale);
  int64_t lo = smallest(in.type), moved = in.type == BF_TFL_UINT8 ? 128 : 0;
  for (int64_t i = 0; i < 256; i++) {
    int64_t x = lo + i - in.zero;
    if (code == BF_TFL_OP_HARD_SWISH) values[i] = clamp(hard_swish(&factors, x) + out.zero, lo, lo + 255);
    else values[i] = sigmoid(code == BF_TFL_OP_LOGISTIC, in.scale, x) + moved;
  }
  print_table(lower, op, &in, &out, values);
}

// Clamps; where the result has another quantization than the operand, by requantization with a float32 quotient of
// scales, as the kernel has it.
void bf_tfl_lower_relu(struct bf_tfl_lower *lower, uint32_t op) {
  int64_t code = lower->model->ops[op].code;
  struct bf_tfl_value in, out;
  if (!check_unary(lower, op, &in, &out)) return;
  const char *word = code == BF_TFL_OP_RELU ? "relu" : code == BF_TFL_OP_RELU6 ? "relu6" : "clamp";
  int lowest = code == BF_TFL_OP_RELU_N1_TO_1 ? -1 : 0;
  if (bf_tfl_same_quantization(&in, &out)) {
    bf_tfl_begin(lower, lower->layer[op], word, in.text);
    if (*word == 'c') bf_buf_printf(&lower->layers, ", lo %d, hi 1", lowest);
    bf_tfl_end_same(lower, &out);
    return;
  }
  const float ratio = in.scale / out.scale;
  struct factor single = factor((double)ratio), exact = factor((double)in.scale / (double)out.scale);
  const char *clause = "";
  if (single.mult != exact.mult || single.shift != exact.shift)
    clause = bf_tfl_multiplier_clause(lower, op, (double)ratio);
  if (!clause) return;
  bf_tfl_begin(lower, lower->layer[op], "requantize", in.text);
  bf_buf_printf(&lower->layers, ", activation %s", word);
  if (*word == 'c') bf_buf_printf(&lower->layers, "(%d, 1)", lowest);
  bf_tfl_end(lower, &out, clause);
}

// On 16 bits: the larger of two requantizations (the smaller if alpha > 1). That this is the same, roundings and all,
// is tried for all operands.
static bool leaky_is_choice(const struct leaky *f, bool larger) {
  if (f->negative) return false;
  for (int64_t q = f->lo; q <= f->hi; q++) {
    int32_t x = (int32_t)(q - f->in_zero);
    int64_t a = clamp(bf_tfl_multiply(x, f->identity.mult, f->identity.shift) + f->out_zero, f->lo, f->hi);
    int64_t b = clamp(bf_tfl_multiply(x, f->alpha.mult, f->alpha.shift) + f->out_zero, f->lo, f->hi);
    if ((larger == (a > b) ? a : b) != leaky(f, q)) return false;
  }
  return true;
}

static const char *print_slope(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                               const struct bf_tfl_value *out, const char *suffix, struct factor f) {
  const char *name = bf_tfl_helper(lower, op, suffix);
  bf_tfl_begin(lower, name, "requantize", in->text);
  bf_tfl_end(lower, out, bf_arena_format(&lower->arena, " requantize tflite(mult %lld, shift %d)", (long long)f.mult,
                                         f.shift));
  lower->given_multipliers = true;
  return name;
}

static void lower_leaky16(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_value *in,
                          const struct bf_tfl_value *out, const struct leaky *f, float alpha) {
  const char *x = in->text;
  if (f->identity.shift > 30 || f->alpha.shift > 30 || !leaky_is_choice(f, alpha <= 1)) {
    bf_tfl_problem(lower, op, "a positive alpha works, and INT8 and UINT8 with any", "an alpha of %g on INT16", alpha);
    return;
  }
  if (!bf_tfl_same_quantization(in, out)) x = print_slope(lower, op, in, out, "upper", f->identity);
  const char *slope = print_slope(lower, op, in, out, "lower", f->alpha);
  bf_tfl_begin(lower, lower->layer[op], alpha <= 1 ? "maximum" : "minimum",
               bf_arena_format(&lower->arena, "%s, %s", x, slope));
  bf_tfl_end_same(lower, out);
}

void bf_tfl_lower_leaky_relu(struct bf_tfl_lower *lower, uint32_t op) {
  float alpha = bf_tfl_options(lower, op)->alpha;
  struct bf_tfl_value in, out;
  int64_t values[256];
  if (!check_unary(lower, op, &in, &out)) return;
  if (!isfinite(alpha)) {
    bf_tfl_problem(lower, op, NULL, "an alpha of %g", alpha);
    return;
  }
  const struct leaky f = leaky_factors(&in, &out, alpha);
  if (in.type == BF_TFL_INT16) {
    lower_leaky16(lower, op, &in, &out, &f, alpha);
    return;
  }
  for (int64_t i = 0; i < 256; i++) values[i] = leaky(&f, f.lo + i);
  print_table(lower, op, &in, &out, values);
}
