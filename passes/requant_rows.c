// SPDX-License-Identifier: Apache-2.0
// Requantization with constants in the rows. Each channel has a multiplier of few bits with the same steps as its rule; all share
// one shift, so that the product's columns are renamed for the whole tile at once.
#include "passes/requant_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/steps.h"

typedef __int128 wide;

#define MOST_LIMITS 32   // thresholds compared one after the other
#define MOST_SHIFT 40
#define NEAR 2           // multipliers tried on either side of the slope

double bf_product_cycles(unsigned a, unsigned b) {
  unsigned few = a < b ? a : b, many = a < b ? b : a;
  return 1 + 2.0 * many + (few - 1) * (8.0 * many - 4);
}

double bf_requant_code_cycles(const struct bf_requant *rq, uint64_t hi) {
  double bits = bf_bits(hi), steps = rq->mode == BF_REQUANT_THRESHOLDS ? rq->nthresholds : (double)(rq->hi - rq->lo);
  if (rq->mode == BF_REQUANT_NONE || rq->mode == BF_REQUANT_POW2) return 4 * bits;
  double search = 4 * bits * ceil(log2(steps + 1)) + 2 * steps, line = steps * (2 * bits + 3), count = fmin(search, line);
  double scale = 3 * 8 * bits + 4 * bits;
  return rq->mode == BF_REQUANT_THRESHOLDS || (steps < 64 && count < scale) ? count : scale;
}

// Constants of one channel: floor((v * m + r) / 2^s).
struct affine { int64_t m; wide r; unsigned s; };

static bool rule_itself(const struct bf_requant *rq, uint32_t c, struct affine *a) {
  switch (rq->mode) {
  case BF_REQUANT_POW2: *a = (struct affine){1, 0, (unsigned)rq->shift[c]}; return true;
  case BF_REQUANT_TFLITE16: {
    int64_t m = rq->mult[c] >= 0x7FFF0000 ? 0x7FFF : (rq->mult[c] + (1 << 15)) >> 16;
    *a = (struct affine){m, (wide)1 << (14 - rq->shift[c]), (unsigned)(15 - rq->shift[c])};
    return true;
  }
  case BF_REQUANT_DYADIC:
    *a = (struct affine){rq->mult[c], rq->shift[c] ? (wide)1 << (rq->shift[c] - 1) : 0, (unsigned)rq->shift[c]};
    return true;
  case BF_REQUANT_AFFINE_FLOOR:
    *a = (struct affine){rq->mult[c], rq->add[c], (unsigned)rq->shift[c]};
    return rq->mult[c] >= 0;
  default: return false;
  }
}

static bool fit(const struct bf_steps *steps, double slope, struct affine *a) {
  for (unsigned s = 0; s <= MOST_SHIFT; s++) {
    double middle = nearbyint(ldexp(slope, (int)s));
    if (middle > 0x1p40) return false;
    for (int i = 0; i <= 2 * NEAR; i++) {
      int64_t m = (int64_t)middle + (i & 1 ? -(i + 1) / 2 : i / 2), r;
      if (m <= 0 || !bf_steps_fit(steps, m, s, &r)) continue;
      *a = (struct affine){m, r, s};
      return true;
    }
  }
  return false;
}

// Constants for true sums in [first, last].
static bool channel_affine(const struct bf_requant *rq, uint32_t c, int64_t first, int64_t last, struct affine *a) {
  struct bf_steps steps;
  if (!bf_steps_of(&steps, rq, c, first, last)) return rule_itself(rq, rq->count > 1 ? c : 0, a);
  bool ok = true;
  if (!steps.count) *a = (struct affine){0, steps.y0, 0};
  else ok = fit(&steps, bf_requant_slope(rq, c), a);
  bf_steps_free(&steps);
  return ok;
}

// Brings all channels to one shift and makes the starts non-negative; false if the product is too long.
static bool settle(struct bf_rows_rule *rule, const struct affine *a, const int64_t *bias, int64_t want, unsigned want_bits) {
  const wide limit = (wide)1 << 62, modulus = (wide)1 << want_bits;
  wide z = 0;
  for (uint32_t c = 0; c < rule->channels; c++)
    if (a[c].s > rule->shift) rule->shift = a[c].s;
  for (uint32_t c = 0; c < rule->channels; c++) {
    wide start = a[c].r * ((wide)1 << (rule->shift - a[c].s)) - ((wide)a[c].m << (rule->shift - a[c].s)) * bias[c];
    if (start > limit || start < -limit) return false;
    wide least = start < 0 ? (-start + (((wide)1 << rule->shift) - 1)) >> rule->shift : 0;
    if (least > z) z = least;
  }
  wide rest = (want - z) % modulus;
  z += rest < 0 ? rest + modulus : rest;
  rule->bias = (int64_t)z;
  rule->p_lo = UINT64_MAX;
  for (uint32_t c = 0; c < rule->channels; c++) {
    wide m = (wide)a[c].m << (rule->shift - a[c].s);
    wide start = a[c].r * ((wide)1 << (rule->shift - a[c].s)) - m * bias[c] + z * ((wide)1 << rule->shift);
    wide low = start + m * rule->lo, high = start + m * rule->hi;
    if (m > limit || high >= limit) return false;
    rule->mult[c] = (uint64_t)m;
    rule->add[c] = (uint64_t)start;
    if (rule->mult[c] > rule->mult_hi) rule->mult_hi = rule->mult[c];
    if (rule->add[c] > rule->add_hi) rule->add_hi = rule->add[c];
    if ((uint64_t)low < rule->p_lo) rule->p_lo = (uint64_t)low;
    if ((uint64_t)high > rule->p_hi) rule->p_hi = (uint64_t)high;
  }
  return bf_bits(rule->mult_hi) + bf_bits(rule->hi) <= 62;
}

static bool affine_rule(struct bf_rows_rule *rule, const struct bf_node *node, const int64_t *bias) {
  const struct bf_requant *rq = &node->attrs.requant;
  struct affine *a = bf_alloc(rule->channels, sizeof *a);
  rule->kind = BF_ROWS_AFFINE;
  rule->add = bf_alloc(rule->channels, sizeof *rule->add);
  rule->mult = bf_alloc(rule->channels, sizeof *rule->mult);
  bool ok = true;
  for (uint32_t c = 0; c < rule->channels && ok; c++)
    ok = channel_affine(rq, rule->first + c, (int64_t)rule->lo - bias[c], (int64_t)rule->hi - bias[c], &a[c]);
  ok = ok && settle(rule, a, bias, rq->out_zero - bf_type_min(node->output->type), bf_mem_bits(node->output->type));
  free(a);
  if (!ok) return false;
  unsigned content = bf_bits(rule->hi), m = bf_bits(rule->mult_hi), p = bf_bits(rule->p_hi);
  rule->columns = content + 2 * m + p + 16;
  rule->cycles = bf_product_cycles(content, m) + 4.0 * (content + m) + 4.0 * p + 60;
  return true;
}

static bool count_rule(struct bf_rows_rule *rule, const struct bf_requant *rq, const int64_t *bias) {
  if (rq->nthresholds > MOST_LIMITS) return false;
  rule->kind = BF_ROWS_COUNT;
  rule->nlimits = rq->nthresholds;
  rule->limits = bf_alloc((size_t)rule->nlimits * rule->channels, sizeof *rule->limits);
  for (uint32_t c = 0; c < rule->channels; c++)
    for (uint32_t i = 0; i < rule->nlimits; i++) {
      wide t = (wide)rq->thresholds[(size_t)(rule->first + c) * rq->nthresholds + i] + bias[c];
      rule->limits[(size_t)i * rule->channels + c] = t < 0 ? 0 : t > (wide)rule->hi ? rule->hi + 1 : (uint64_t)t;
    }
  unsigned width = bf_bits(rule->hi + 1);
  rule->columns = 2 * width + 32;
  rule->cycles = rule->nlimits * (6.0 * width + 4 * bf_bits(rule->nlimits)) + 40;
  return true;
}

static bool uniform_rule(struct bf_rows_rule *rule, const struct bf_requant *rq, const int64_t *bias) {
  bool same = true;
  int64_t most = bias[0];
  for (uint32_t c = 1; c < rule->channels; c++) {
    same = same && bias[c] == bias[0];
    if (bias[c] > most) most = bias[c];
  }
  rule->kind = BF_ROWS_UNIFORM;
  rule->bias = most;
  rule->cycles = bf_requant_code_cycles(rq, rule->hi);
  if (same) return true;
  rule->add = bf_alloc(rule->channels, sizeof *rule->add);
  for (uint32_t c = 0; c < rule->channels; c++) {
    rule->add[c] = (uint64_t)(most - bias[c]);
    if (rule->add[c] > rule->add_hi) rule->add_hi = rule->add[c];
  }
  rule->cycles += 8.0 * bf_bits(rule->hi);
  rule->columns = bf_bits(rule->hi + rule->add_hi);
  return (rule->hi + rule->add_hi) >> 62 == 0;
}

bool bf_rows_rule_of(struct bf_rows_rule *rule, const struct bf_unit *unit, const struct bf_node *node, const struct bf_conv *conv,
                     const int64_t *bias, uint32_t first, uint32_t count, uint64_t lo, uint64_t hi) {
  const struct bf_requant *rq = &node->attrs.requant;
  *rule = (struct bf_rows_rule){.lo = lo, .hi = hi, .first = first, .channels = count};
  int64_t *whole = bf_alloc(count, sizeof *whole);
  for (uint32_t c = 0; c < count; c++) whole[c] = bias[first + c] - (conv->bias ? conv->bias->data[first + c] : 0);
  bool ok;
  if (rq->count <= 1) ok = uniform_rule(rule, rq, whole);
  else if (rq->mode == BF_REQUANT_THRESHOLDS) ok = count_rule(rule, rq, whole);
  else ok = affine_rule(rule, node, whole);
  free(whole);
  ok = ok && AP_FLAG_COLUMNS + bf_bits(hi) + rule->columns <= unit->machine->columns;
  if (!ok) bf_rows_rule_free(rule);
  return ok;
}

void bf_rows_rule_free(struct bf_rows_rule *rule) {
  free(rule->add);
  free(rule->mult);
  free(rule->limits);
  *rule = (struct bf_rows_rule){0};
}

// --- code ---------------------------------------------------------------------------------------------------------

// A constant of each row's channel.
static struct bf_val load_constant(struct bf_lower *l, const struct bf_rows_rule *rule, const char *name, unsigned number, const uint64_t *values,
                                   uint64_t hi) {
  uint32_t channels = rule->channels;
  char text[40];
  snprintf(text, sizeof text, rule->first || number ? "%s%u_%u" : "%s", name, rule->first, number);
  const uint32_t shape[4] = {1, 1, 1, channels};
  uint64_t *data = bf_alloc(channels, sizeof *data);
  memcpy(data, values, channels * sizeof *data);
  struct bf_fdesc d = bf_pixel_desc(bf_lower_const(l, text, bf_bits(hi), 0, shape, data), 1);
  for (int i = 0; i < 3; i++) d.row_dim[i] = 255, d.row_stride[i] = 0;
  d.row_dim[3] = 3;
  d.row_stride[3] = 1;
  d.tap_step[3] = 0;
  return bf_build_load(l, bf_lower_desc(l, d), 0, 0, hi, name);
}

static struct bf_val build_affine(struct bf_lower *l, const struct bf_rows_rule *rule, const struct bf_val *acc) {
  struct bf_val m = load_constant(l, rule, "multiplier", 0, rule->mult, rule->mult_hi);
  struct bf_slice sm = bf_val_slice(&m), sa = bf_val_slice(acc);
  struct bf_val p = {.field = bf_field_new(l->region, "product"), .hi = rule->mult_hi * rule->hi};
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_MUL, .d = bf_val_low(l, &p, sa.width + sm.width), .a = sa, .b = sm});
  // The constant comes in a field as wide as the sum.
  struct bf_val sum = load_constant(l, rule, "start", 0, rule->add, rule->p_hi);
  if (p.hi > rule->p_hi) p.hi = rule->p_hi;
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADD, .d = bf_val_slice(&sum), .a = bf_val_slice(&p)});
  return (struct bf_val){.field = sum.field, .offset = (uint16_t)rule->shift, .lo = rule->p_lo >> rule->shift,
                         .hi = rule->p_hi >> rule->shift, .bias = rule->bias};
}

// Thresholds that are not reached are taken off their number.
static struct bf_val build_count(struct bf_lower *l, const struct bf_rows_rule *rule, struct bf_val acc, int64_t want, unsigned want_bits) {
  unsigned width = bf_bits(rule->hi + 1);
  // A copy clears the columns above.
  if (width > bf_bits(acc.hi) && l->region->fields[acc.field].width < acc.offset + width) acc = bf_build_widen(l, acc, "content");
  uint64_t start = (uint64_t)want & (((uint64_t)1 << want_bits) - 1);
  struct bf_val n = bf_build_const(l, start + rule->nlimits, (int64_t)start, "count");
  struct bf_slice sa = bf_val_low(l, &acc, width);
  for (uint32_t i = 0; i < rule->nlimits; i++) {
    struct bf_val t = load_constant(l, rule, "limit", i, rule->limits + (size_t)i * rule->channels, rule->hi + 1);
    struct bf_val above = {.field = bf_field_new(l->region, "above"), .hi = 1};
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GT, .d = bf_val_low(l, &above, 1), .a = bf_val_slice(&t), .b = sa});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SUB, .d = bf_val_slice(&n), .a = bf_val_slice(&above)});
  }
  n.lo = start;
  return n;
}

void bf_build_rows_rule(struct bf_lower *l, const struct bf_rows_rule *rule, struct bf_val acc) {
  const struct bf_requant *rq = &l->node->attrs.requant;
  struct bf_type type = l->node->output->type;
  struct bf_fdesc whole = bf_elementwise_desc(bf_lower_mem(l, l->node->output));
  whole.origin[3] = (int32_t)rule->first;
  uint32_t out = bf_lower_desc(l, whole);
  if (!l->region->tail) l->region->tail = l->region->nops;
  acc.bias = 0;
  acc.lo = rule->lo;
  acc.hi = rule->hi;
  if (rule->kind == BF_ROWS_UNIFORM) {
    if (rule->add) {
      struct bf_val sum = load_constant(l, rule, "offset", 0, rule->add, rule->hi + rule->add_hi);
      sum.hi = rule->add_hi;
      bf_build_add(l, &sum, &acc);
      acc = sum;
    }
    acc.bias = rule->bias;
    bf_build_requant_store(l, acc, rq, 0, type, out, 0);
    return;
  }
  struct bf_val y = rule->kind == BF_ROWS_AFFINE ? build_affine(l, rule, &acc)
                                                 : build_count(l, rule, acc, rq->out_zero - bf_type_min(type), bf_mem_bits(type));
  bf_build_clamp_store(l, y, rq, type, out, 0);
}

void bf_build_requant_rows(struct bf_lower *l, const struct bf_conv *conv, struct bf_val acc, const int64_t *bias) {
  struct bf_rows_rule rule;
  if (!bf_rows_rule_of(&rule, l->unit, l->node, conv, bias, 0, conv->out4[3], acc.lo, acc.hi)) {
    bf_lower_fail(l, "use --mapping=pixel", "the constants of the channels' requantization do not fit in the rows");
    return;
  }
  bf_build_rows_rule(l, &rule, acc);
  bf_rows_rule_free(&rule);
}
