// SPDX-License-Identifier: Apache-2.0
// Mapping `output`: a row is an output element; the weights of its channel are loaded beside it, tap after tap, and multiplied bit by
// bit. Parts of the taps run on CAPs of their own. Channels of several convolution groups lie in the rows of one region or, where a row
// space has no dimension left for them, in regions of their own.
#include <math.h>
#include <stdlib.h>

#include "passes/join.h"
#include "passes/stored.h"

static uint32_t input_desc(struct bf_lower *l, const struct bf_conv *conv, const struct bf_lane *lane) {
  struct bf_fdesc d = bf_conv_input_fdesc(l, conv);
  d.row_dim[3] = lane->step_in ? 3 : 255;
  d.row_stride[3] = (int32_t)lane->step_in;
  d.origin[3] = (int32_t)lane->first_in;
  d.tap_count[3] = conv->ic_group;
  return bf_lower_desc(l, d);
}

static uint32_t weight_desc(struct bf_lower *l, uint32_t mem, const struct bf_lane *lane) {
  struct bf_fdesc d = bf_elementwise_desc(mem);
  for (int i = 0; i < 4; i++) {
    d.row_dim[i] = i == 3 ? 0 : 255;
    d.row_stride[i] = i == 3 ? (int32_t)lane->step : 0;
    d.tap_count[i] = i == 0 ? 1 : l->fields->mems[mem].shape[i];
    d.tap_step[i] = i > 0;
  }
  d.origin[0] = (int32_t)lane->first;
  return bf_lower_desc(l, d);
}

static uint32_t result_desc(struct bf_lower *l, uint32_t mem, const struct bf_lane *lane, uint32_t first) {
  struct bf_fdesc d = bf_elementwise_desc(mem);
  d.row_stride[3] = (int32_t)lane->step;
  d.origin[3] = (int32_t)(first + lane->first);
  return bf_lower_desc(l, d);
}

// Fields of a region: two buffers each of x and w, the product, and the copy of its inverted sign.
struct fields { uint32_t x[2], w[2], product, sign; };

static void append(struct bf_lower *l, struct bf_fop op) {
  op.in_stream = true;
  bf_fop_append(l->region, op);
}

static void load(struct bf_lower *l, const struct bf_stored *p, const struct fields *f, uint32_t in,
                 uint32_t weights, uint32_t tap) {
  unsigned b = tap & 1;
  append(l, (struct bf_fop){.kind = BF_FOP_LOADP, .d = {f->x[b], 0, p->x_bits & 127}, .desc = in, .tap = tap});
  append(l, (struct bf_fop){.kind = BF_FOP_LOADP, .d = {f->w[b], 0, p->w_bits & 127}, .desc = weights, .tap = tap});
}

// content = sum of x * w over the taps + (number of taps) * offset.
static struct bf_val accumulate(struct bf_lower *l, const struct bf_conv *conv, const struct bf_stored *p, const struct bf_lane *lane,
                                uint32_t weights, struct bf_taps taps) {
  uint32_t in = input_desc(l, conv, lane), w = weight_desc(l, weights, lane);
  struct fields f = {.product = bf_build_field(l, "product", p->x_bits + p->w_bits)};
  for (int i = 0; i < 2; i++) {
    f.x[i] = bf_build_field(l, i ? "x1" : "x0", p->x_bits);
    f.w[i] = bf_build_field(l, i ? "w1" : "w0", p->w_bits);
  }
  if (p->offset) f.sign = bf_build_field(l, "sign", 1);
  // The first product is made where the sum will be.
  unsigned narrow = p->x_bits + p->w_bits, width = bf_bits((taps.end - taps.first) * p->product_hi);
  struct bf_val acc = {.field = bf_build_field(l, "acc", width > narrow ? width : narrow)};
  for (uint32_t t = taps.first; t <= taps.end; t++) {
    if (t < taps.end) load(l, p, &f, in, w, t);
    if (t == taps.first) continue;
    unsigned b = (t - 1) & 1;
    if (t > taps.first + 1) {
      struct bf_val v = bf_build_product(l, p, f.x[b], f.w[b], f.product, f.sign, true);
      bf_build_add(l, &acc, &v);
      l->region->ops[l->region->nops - 1].in_stream = true;
      continue;
    }
    if (width > narrow) append(l, (struct bf_fop){.kind = BF_FOP_SETK, .d = {acc.field, narrow & 127, (width - narrow) & 127}});
    acc = bf_build_product(l, p, f.x[b], f.w[b], acc.field, f.sign, true);
  }
  return acc;
}

// Bias of the whole sum's content, for each channel.
static int64_t *biases(const struct bf_conv *conv, const struct bf_stored *p) {
  int64_t *bias = bf_alloc(conv->out4[3], sizeof *bias);
  uint32_t taps = bf_conv_taps(conv);
  for (uint32_t c = 0; c < conv->out4[3]; c++) bias[c] = (int64_t)taps * p->offset - bf_conv_zero_term(conv, c, (struct bf_taps){0, taps});
  return bias;
}

static void begin(struct bf_lower *l, const struct bf_conv *conv, const struct bf_lane *lane) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], lane->count};
  bf_lower_region(l, rows);
}

// Whether constants in the rows cost less than a way through memory to a code for each channel.
static bool rows_better(const struct bf_unit *unit, const struct bf_node *node, const struct bf_conv *conv, const struct bf_rows_rule *rule) {
  const struct ap_machine *m = unit->machine;
  struct bf_join_shape shape = {.pixels = (double)conv->out4[0] * conv->out4[1] * conv->out4[2], .channels = conv->out4[3], .parts = 1,
                                .bits = bf_bits(rule->hi), .out_bits = bf_mem_bits(node->output->type), .rows_cycles = INFINITY,
                                .code_cycles = bf_requant_code_cycles(&node->attrs.requant, rule->hi)};
  double rows = shape.pixels * shape.channels, caps = m->unlimited_caps ? INFINITY : (double)m->clusters * m->caps_per_cluster;
  double tiles = ceil(rows / m->rows);
  struct bf_join_cost here = bf_join_rows_cost(rows, fmin(tiles, caps), fmax(1, ceil(tiles / caps)) * rule->cycles);
  struct bf_join_cost there = bf_join_plan_of(unit, &shape).cost;
  return bf_join_score(unit, &here) <= bf_join_score(unit, &there);
}

static bool lower_whole(struct bf_lower *l, const struct bf_conv *conv, const struct bf_stored *p, uint32_t weights, const int64_t *bias) {
  struct bf_taps taps = {0, bf_conv_taps(conv)};
  struct bf_rows_rule rule;
  if (bf_lane_count(conv) > 1 || !bf_rows_rule_of(&rule, l->unit, l->node, conv, bias, 0, conv->out4[3], 0, taps.end * p->product_hi)) return false;
  bool better = rows_better(l->unit, l->node, conv, &rule);
  struct bf_lane lane = bf_lane_of(conv, 0);
  if (better) {
    begin(l, conv, &lane);
    struct bf_val acc = accumulate(l, conv, p, &lane, weights, taps);
    bf_build_rows_rule(l, &rule, acc);
    bf_lower_end_region(l, false);
  }
  bf_rows_rule_free(&rule);
  return better;
}

static void lower_parts(struct bf_lower *l, const struct bf_conv *conv, const struct bf_stored *p, uint32_t weights, uint32_t parts,
                        const int64_t *bias) {
  uint32_t taps = bf_conv_taps(conv), channels = conv->out4[3];
  unsigned bits = bf_bits((taps + parts - 1) / parts * p->product_hi);
  const uint32_t shape[4] = {conv->out4[0], conv->out4[1], conv->out4[2], parts * channels};
  uint32_t mem = bf_lower_temp(l, "partial", bits, shape);
  uint64_t *hi = bf_alloc(parts, sizeof *hi);
  for (uint32_t part = 0; part < parts && !l->failed; part++) {
    struct bf_taps range = bf_conv_part(taps, part, parts);
    hi[part] = (range.end - range.first) * p->product_hi;
    for (uint32_t i = 0; i < bf_lane_count(conv) && !l->failed; i++) {
      struct bf_lane lane = bf_lane_of(conv, i);
      begin(l, conv, &lane);
      struct bf_val acc = accumulate(l, conv, p, &lane, weights, range);
      bf_build_store(l, bf_val_low(l, &acc, bits), result_desc(l, mem, &lane, part * channels), 0);
      bf_lower_end_region(l, false);
    }
  }
  if (l->region) l->region->barrier_after = true;
  struct bf_partials partials = {mem, parts, bits, bias, hi, 0, 0};
  if (!l->failed) bf_lower_join(l, conv, &partials);
  free(hi);
}

void bf_lower_output(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  struct bf_stored p = bf_stored_of(conv);
  const uint32_t shape[4] = {conv->out4[3], conv->kernel[0], conv->kernel[1], conv->ic_group};
  uint32_t weights = bf_lower_weights(l, conv->w, p.w_bits, shape);
  int64_t *bias = biases(conv, &p);
  if (plan->split > 1 || !lower_whole(l, conv, &p, weights, bias)) lower_parts(l, conv, &p, weights, plan->split, bias);
  free(bias);
}
