// SPDX-License-Identifier: Apache-2.0
// Requantization: the clause `requantize MODE(…)`, or the parameters that TensorFlow Lite would derive
// from the scales; and clamp bounds of activations.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/sema.h"
#include "ir/text.h"

// The numbers between the parentheses of a mode.
enum parameter { P_MULT, P_SHIFT, P_ADD, P_SCALE, P_ZERO, P_COUNT };
static const char *const parameter_names[P_COUNT] = {"mult", "shift", "add", "scale", "zero"};
static const unsigned parameter_bits[P_COUNT] = {BF_RQ_MULT, BF_RQ_SHIFT, BF_RQ_ADD, BF_RQ_SCALE, ~0u};

struct clause {
  struct layer *layer;
  struct bfn_loc loc;
  enum bf_requant_mode mode;
  struct value given[P_COUNT];  // .loc.end == 0: not given
  struct value thresholds;
  uint64_t channels;
  struct bf_requant *out;
};

static bool has(const struct clause *c, enum parameter p) { return c->given[p].loc.end != 0; }

static bool find_mode(struct clause *c, const char *text, struct bfn_loc loc) {
  const char *names[BF_REQUANT_COUNT];
  for (int i = 0; i < BF_REQUANT_COUNT; i++) {
    names[i] = bf_requant_mode_name((enum bf_requant_mode)i);
    if (strcmp(names[i], text)) continue;
    c->mode = (enum bf_requant_mode)i;
    return true;
  }
  const char *hint = sema_nearest(c->layer->s, text, names, BF_REQUANT_COUNT);
  if (!hint)
    hint = "modes: none, tflite, tflite16, dyadic, affine_floor, float_rne, thresholds, pow2";
  return sema_error(c->layer->s, loc, hint, "there is no requantization mode `%s`", text);
}

static bool take_parameter(struct clause *c, const struct value *v, const struct ast_arg *arg) {
  struct sema *s = c->layer->s;
  struct value value = sema_eval(s, v->scope, arg->value);
  unsigned fields = bf_requant_fields(c->mode);
  if (value.kind == VALUE_ERROR) return false;
  if (!arg->name && (fields & BF_RQ_THRESHOLDS) && !c->thresholds.loc.end) {
    c->thresholds = value;
    return true;
  }
  for (int i = 0; arg->name && i < P_COUNT; i++) {
    if (strcmp(parameter_names[i], arg->name) || !(fields & parameter_bits[i])) continue;
    if (has(c, (enum parameter)i)) return sema_error(s, arg->loc, NULL, "`%s` is given twice", arg->name);
    c->given[i] = value;
    return true;
  }
  return sema_error(s, arg->loc, NULL, "requantization `%s` has no such parameter", bf_requant_mode_name(c->mode));
}

static bool read_clause(struct clause *c, const struct value *v) {
  c->loc = v->loc;
  if (v->kind == VALUE_WORD) return find_mode(c, v->text, v->loc);
  if (v->kind != VALUE_CALL) return sema_wrong_kind(c->layer->s, v, "`requantize`", "a mode");
  if (!find_mode(c, v->call->text, v->call->text_loc)) return false;
  for (const struct ast_arg *arg = v->call->args; arg; arg = arg->next)
    if (!take_parameter(c, v, arg)) return false;
  return true;
}

// --- numbers per channel ---

// Every parameter has one number, or one a channel.
static bool agree(struct clause *c, const struct value *v, const char *name, uint64_t count) {
  if (count != 1 && count != c->channels)
    return sema_error(c->layer->s, v->loc, NULL, "%" PRIu64 " numbers for `%s`, but the result has %" PRIu64 " channels",
                      count, name, c->channels);
  if (count > c->out->count) c->out->count = (uint32_t)count;
  return true;
}

static int64_t *spread(struct clause *c, int64_t *numbers, uint64_t count) {
  if (!numbers || count == c->out->count) return numbers;
  int64_t *all = bf_arena_alloc(&c->layer->s->graph->arena, c->out->count, sizeof *all);
  for (uint32_t i = 0; i < c->out->count; i++) all[i] = numbers[0];
  return all;
}

static bool in_range(struct clause *c, const struct value *v, const int64_t *numbers, uint64_t count, int64_t lo,
                     int64_t hi, const char *name) {
  for (uint64_t i = 0; i < count; i++)
    if (numbers[i] < lo || numbers[i] > hi)
      return sema_error(c->layer->s, v->loc, NULL, "`%s` of %s must be between %" PRId64 " and %" PRId64 ", not %" PRId64,
                        name, bf_requant_mode_name(c->mode), lo, hi, numbers[i]);
  return true;
}

static bool check_numbers(struct clause *c, enum parameter p, const int64_t *numbers, uint64_t count) {
  const struct value *v = &c->given[p];
  bool fixed = c->mode == BF_REQUANT_TFLITE || c->mode == BF_REQUANT_TFLITE16;
  if (p == P_SHIFT)
    return in_range(c, v, numbers, count, fixed ? -31 : 0,
                    c->mode == BF_REQUANT_TFLITE ? 31 : fixed ? 7 : 62, "shift");
  for (uint64_t i = 0; fixed && i < count; i++)
    if (numbers[i] < 0 || numbers[i] >= (int64_t)1 << 31 ||
        (c->mode == BF_REQUANT_TFLITE16 && numbers[i] != 0 && numbers[i] < (int64_t)1 << 30))
      return sema_error(c->layer->s, v->loc, NULL, "`mult` of %s must be %s2^31-1, not %" PRId64, bf_requant_mode_name(c->mode),
                        c->mode == BF_REQUANT_TFLITE ? "between 0 and " : "0 or between 2^30 and ", numbers[i]);
  return true;
}

static bool explicit_numbers(struct clause *c) {
  struct sema *s = c->layer->s;
  struct bf_arena *arena = &s->graph->arena;
  int64_t *numbers[P_COUNT] = {NULL};
  uint64_t counts[P_COUNT] = {0}, nscale = 0;
  float *scales = NULL;
  for (int i = 0; i < P_COUNT; i++) {
    if (!has(c, (enum parameter)i) || i == P_ZERO) continue;
    const struct value *v = &c->given[i];
    bool ok = i == P_SCALE ? sema_floats(s, v, parameter_names[i], arena, &scales, &nscale)
                           : sema_integers(s, v, parameter_names[i], arena, &numbers[i], &counts[i]) &&
                                 (i == P_ADD || check_numbers(c, (enum parameter)i, numbers[i], counts[i]));
    if (!ok || !agree(c, v, parameter_names[i], i == P_SCALE ? nscale : counts[i])) return false;
  }
  c->out->mult = spread(c, numbers[P_MULT], counts[P_MULT]);
  c->out->add = spread(c, numbers[P_ADD], counts[P_ADD]);
  c->out->fscale = scales;
  int64_t *shifts = spread(c, numbers[P_SHIFT], counts[P_SHIFT]);
  if (!shifts) return true;
  c->out->shift = bf_arena_alloc(arena, c->out->count, sizeof *c->out->shift);
  for (uint32_t i = 0; i < c->out->count; i++) c->out->shift[i] = (int32_t)shifts[i];
  return true;
}

// --- thresholds ---

// A result of type b1 is -1 or 1: each threshold counts twice.
static void twice(struct clause *c, uint64_t rows) {
  int64_t *all = bf_arena_alloc(&c->layer->s->graph->arena, rows * 2, sizeof *all);
  for (uint64_t i = 0; i < rows * 2; i++) all[i] = c->out->thresholds[i / 2];
  c->out->thresholds = all;
  c->out->nthresholds = 2;
}

// Sorted per channel; a flat list is for all channels.
static bool thresholds(struct clause *c) {
  struct sema *s = c->layer->s;
  const struct value *v = &c->thresholds;
  struct bf_requant *out = c->out;
  uint64_t rows = 1, count;
  if (!v->loc.end) return sema_error(s, c->loc, "for instance: thresholds(\"member\")", "`thresholds` needs its numbers");
  if (!sema_integers(s, v, "the thresholds", &s->graph->arena, &out->thresholds, &count)) return false;
  if (v->kind == VALUE_STRING) {
    const struct bf_array *array = sema_member(s, v->text, v->loc, "thresholds");
    if (array && array->rank == 2) rows = array->shape[0];
  } else if (v->kind == VALUE_LIST && v->count && v->items[0].kind == VALUE_LIST) {
    rows = v->count;
    for (size_t i = 0; i < v->count; i++)
      if (v->items[i].kind != VALUE_LIST || v->items[i].count != v->items[0].count)
        return sema_error(s, v->items[i].loc, NULL, "every channel needs the same number of thresholds");
  }
  if (!agree(c, v, "thresholds", rows)) return false;
  out->nthresholds = (uint32_t)(count / rows);
  if (c->layer->type.kind == BF_TYPE_B && out->nthresholds == 1) twice(c, rows);
  for (uint64_t i = 1; i < rows * out->nthresholds; i++)
    if (i % out->nthresholds && out->thresholds[i] < out->thresholds[i - 1])
      return sema_error(s, v->loc, "sort them in ascending order", "threshold %" PRIu64 " of channel %" PRIu64 " is smaller than the one before",
                        i % out->nthresholds, i / out->nthresholds);
  return true;
}

// --- from the scales ---

static uint64_t mean_of(const struct factors *factors) { return factors->mean_of ? factors->mean_of : 1; }

static bool derive_shift(struct clause *c, const struct factors *factors) {
  for (uint32_t i = 0; i < c->out->count; i++) {
    int exponent;
    double fraction = frexp(factors->real[i] / (double)mean_of(factors), &exponent);  // 0.5 * 2^e for a power of two
    if (fraction != 0.5 || exponent > 1 || exponent < -61)
      return sema_error(c->layer->s, c->loc, "give it: pow2(shift 4), or choose scales whose quotient is a power of two",
                        "`pow2` needs a factor 2^-n, the scales give %g", factors->real[i]);
    c->out->shift[i] = 1 - exponent;
  }
  return true;
}

static bool derive(struct clause *c, const struct factors *factors) {
  struct bf_arena *arena = &c->layer->s->graph->arena;
  struct bf_requant *out = c->out;
  bool fixed = c->mode == BF_REQUANT_TFLITE || c->mode == BF_REQUANT_TFLITE16;
  if (!factors || !(fixed || c->mode == BF_REQUANT_FLOAT_RNE || c->mode == BF_REQUANT_POW2))
    return sema_error(c->layer->s, c->loc, NULL, "the parameters of `%s` must be given here", bf_requant_mode_name(c->mode));
  out->count = (uint32_t)factors->count;
  out->shift = bf_arena_alloc(arena, out->count, sizeof *out->shift);
  if (c->mode == BF_REQUANT_POW2) return derive_shift(c, factors);
  if (c->mode == BF_REQUANT_FLOAT_RNE) {
    out->shift = NULL;
    out->fscale = bf_arena_alloc(arena, out->count, sizeof *out->fscale);
    for (uint32_t i = 0; i < out->count; i++) out->fscale[i] = factors->single[i] / (float)mean_of(factors);
    return true;
  }
  out->mult = bf_arena_alloc(arena, out->count, sizeof *out->mult);
  for (uint32_t i = 0; i < out->count; i++) {
    if (c->mode == BF_REQUANT_TFLITE) bf_mean_multiplier(factors->real[i], mean_of(factors), &out->mult[i], &out->shift[i]);
    else bf_quantize_multiplier(factors->real[i] / (double)mean_of(factors), &out->mult[i], &out->shift[i]);
    int most = c->mode == BF_REQUANT_TFLITE ? 31 : 7;
    if (out->shift[i] > most)
      return sema_error(c->layer->s, c->loc, NULL, "the factor %g that the scales give is too large for `%s`",
                        factors->real[i], bf_requant_mode_name(c->mode));
  }
  return true;
}

// All or none: a mode's parameters are given together.
static bool parameters(struct clause *c, const struct factors *factors) {
  unsigned fields = bf_requant_fields(c->mode);
  const char *missing = NULL;
  unsigned given = 0;
  if (c->mode == BF_REQUANT_NONE) return true;
  c->out->count = 1;
  if (fields & BF_RQ_THRESHOLDS) return thresholds(c);
  for (int i = 0; i < P_ZERO; i++) {
    if (!(fields & parameter_bits[i])) continue;
    given += has(c, (enum parameter)i);
    if (!has(c, (enum parameter)i) && !missing) missing = parameter_names[i];
  }
  if (!given) return derive(c, factors);
  if (missing)
    return sema_error(c->layer->s, c->loc, NULL, "`%s` lacks its parameter `%s`", bf_requant_mode_name(c->mode), missing);
  return explicit_numbers(c);
}

bool layer_requant(struct layer *layer, const struct factors *factors, uint64_t channels,
                   enum bf_requant_mode standard) {
  struct bf_requant *out = &layer->node.attrs.requant;
  struct clause c = {.layer = layer, .loc = layer->call->loc, .mode = standard, .channels = channels, .out = out};
  const struct ast_expr *expr = layer->stmt->clauses->value[CLAUSE_REQUANTIZE];
  if (expr) {
    struct value v = sema_eval(layer->s, layer->scope, expr);
    if (!read_clause(&c, &v)) return false;
  }
  out->mode = c.mode;
  if (!parameters(&c, factors)) return false;
  out->out_zero = bf_quant_zero(&layer->quant, 0);
  // Counts begin at 0, the values of b1 and t2 at -1.
  if (out->mode == BF_REQUANT_THRESHOLDS && (layer->type.kind == BF_TYPE_B || layer->type.kind == BF_TYPE_T)) out->out_zero = -1;
  int64_t lo = bf_type_min(layer->type), hi = bf_type_max(layer->type);
  return !has(&c, P_ZERO) || sema_integer(layer->s, &c.given[P_ZERO], lo, hi, "the zero point", &out->out_zero);
}

bool layer_in_requant(struct layer *layer, const struct value *v, uint64_t channels, struct bf_requant *out) {
  struct clause c = {.layer = layer, .loc = v->loc, .channels = channels, .out = out};
  if (!read_clause(&c, v)) return false;
  if (has(&c, P_ZERO)) return sema_error(layer->s, v->loc, NULL, "operands take no `zero`");
  out->mode = c.mode;
  return parameters(&c, NULL);
}

// --- activations ---

// zero + round(bound / scale) in float32, as TensorFlow Lite does.
static int64_t bound(const struct bf_quant *quant, float real, int64_t lo, int64_t hi) {
  float scaled = roundf(real / bf_quant_scale(quant, 0));
  if (scaled >= 0x1p47f) return hi;
  if (scaled <= -0x1p47f) return lo;
  int64_t q = (int64_t)scaled + bf_quant_zero(quant, 0);
  return q < lo ? lo : q > hi ? hi : q;
}

void layer_bounds(const struct bf_quant *quant, struct bf_type type, double lo, double hi, struct bf_requant *out) {
  int64_t least = bf_type_min(type), most = bf_type_max(type);
  out->lo = isinf(lo) ? least : bound(quant, (float)lo, least, most);
  out->hi = isinf(hi) ? most : bound(quant, (float)hi, least, most);
}

static bool clamp_activation(struct layer *layer, const struct value *v, double *lo, double *hi) {
  struct sema *s = layer->s;
  const struct ast_arg *first = v->call->args, *second = first ? first->next : NULL;
  if (strcmp(v->call->text, "clamp") || !second || second->next || first->name || second->name)
    return sema_error(s, v->loc, NULL, "activations are none, relu, relu6 and clamp(lo, hi)");
  struct value a = sema_eval(s, v->scope, first->value), b = sema_eval(s, v->scope, second->value);
  if (!sema_real(s, &a, "the lower bound", lo) || !sema_real(s, &b, "the upper bound", hi)) return false;
  return *lo <= *hi || sema_error(s, v->loc, NULL, "the lower bound is larger than the upper one");
}

bool layer_activation(struct layer *layer, struct bf_type type, const struct bf_quant *quant) {
  static const char *const words[] = {"none", "relu", "relu6", "clamp"};
  const struct value *v = &layer->options[OPT_ACTIVATION];
  double lo = -INFINITY, hi = INFINITY;
  if (!layer_has(layer, OPT_ACTIVATION)) {
  } else if (v->kind == VALUE_CALL) {
    if (!clamp_activation(layer, v, &lo, &hi)) return false;
  } else if (v->kind != VALUE_WORD) {
    return sema_wrong_kind(layer->s, v, "`activation`", "none, relu, relu6 or clamp(lo, hi)");
  } else if (!strcmp(v->text, "relu")) {
    lo = 0;
  } else if (!strcmp(v->text, "relu6")) {
    lo = 0;
    hi = 6;
  } else if (strcmp(v->text, "none")) {
    const char *hint = sema_nearest(layer->s, v->text, words, BF_COUNT(words));
    return sema_error(layer->s, v->loc, hint ? hint : "none, relu, relu6 or clamp(lo, hi)",
                      "there is no activation `%s`", v->text);
  }
  layer_bounds(quant, type, lo, hi, &layer->node.attrs.requant);
  return true;
}
