// SPDX-License-Identifier: Apache-2.0
// Pass `map`: chooses each layer's mapping by estimated cost.
// Precondition: a verified graph. Postcondition: unit->plans holds a plan for every node.
#include <math.h>
#include <stdlib.h>

#include "passes/builder.h"
#include "passes/digits.h"

// Facts of a convolution that the estimate needs.
struct facts {
  double rows, row_tiles, caps;
  double channels, taps, digits;   // digits: nonzero signed digits per output channel, mean
  double x_bits, w_bits, acc_bits;
  double requant;                  // cycles of a requantization
  bool uniform;                    // one multiplier for all channels
};

// A search among thresholds or ten digits of a multiplier, as passes/build_steps.c has it.
static double requant_cycles(const struct bf_requant *rq, double bits) {
  if (rq->mode == BF_REQUANT_NONE || rq->mode == BF_REQUANT_POW2) return 4 * bits;
  bool counted = rq->mode == BF_REQUANT_THRESHOLDS;
  double steps = counted ? rq->nthresholds : (double)(rq->hi - rq->lo), scale = 80 * bits;
  double search = 4 * bits * ceil(log2(steps + 1)) + 2 * steps, line = steps * (2 * bits + 3);
  double count = search < line ? search : line;
  return counted || (steps < 64 && count < scale) ? count : scale;
}

static struct facts facts_of(const struct bf_unit *unit, const struct bf_conv *conv, const struct bf_node *node) {
  struct facts f = {.channels = conv->out4[3], .x_bits = conv->x->type.bits, .w_bits = conv->w->type.bits};
  uint32_t taps = conv->kernel[0] * conv->kernel[1] * conv->ic_group;
  f.taps = taps;
  f.rows = (double)conv->out4[0] * conv->out4[1] * conv->out4[2];
  f.row_tiles = ceil(f.rows / unit->machine->rows);
  f.caps = unit->machine->unlimited_caps ? 1e9 : (double)unit->machine->clusters * unit->machine->caps_per_cluster;
  f.uniform = node->attrs.requant.count <= 1 && conv->groups == 1 && conv->w->quant.count <= 1;
  uint64_t digits = 0;
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++) {
    const int64_t *w = conv->w->data + (uint64_t)oc * taps;
    int64_t zero = bf_conv_zero(conv, oc);
    for (uint32_t t = 0; t < taps; t++) {
      struct bf_digit_masks m = bf_digit_masks_of(w[t] - zero, unit->opt_level > 0);
      digits += (unsigned)__builtin_popcountll(m.positive | m.negative);
    }
  }
  f.digits = (double)digits / f.channels;
  f.acc_bits = f.x_bits + f.w_bits + ceil(log2(f.taps + 1));
  f.requant = requant_cycles(&node->attrs.requant, f.acc_bits);
  return f;
}

// Estimated latency and work (row-cycles) of `pixel` with groups of g channels and a reduction in s parts.
static double pixel_cost(const struct facts *f, double g, double s, double *work) {
  double add = 8 * f->x_bits + 4 * (f->acc_bits - f->x_bits - f->w_bits / 2);
  double sum = f->digits * add / s, join = s > 1 ? s * 9 * f->acc_bits : 0;
  double regions = f->row_tiles * ceil(f->channels / g);
  double waves = ceil(regions * s / f->caps), join_waves = ceil(regions / f->caps);
  *work = f->rows * f->channels * (sum * s + join + f->requant);
  return waves * g * (sum + 60) + join_waves * g * (join + f->requant);
}

static double output_cost(const struct facts *f, const struct bf_unit *unit, double *work) {
  double product = 8 * f->x_bits * f->w_bits, add = 8 * (f->x_bits + f->w_bits);
  double per_row = f->taps * (product + add + f->x_bits + f->w_bits) + f->requant;
  double tiles = ceil(f->rows * f->channels / unit->machine->rows);
  *work = f->rows * f->channels * per_row;
  return ceil(tiles / f->caps) * per_row;
}

static double score(const struct bf_unit *unit, double latency, double work) {
  switch (unit->objective) {
  case BF_OBJECTIVE_ENERGY: return work;
  case BF_OBJECTIVE_EDP: return work * latency;
  default: return latency;
  }
}

// Output channels whose accumulators fit beside buffers and the product of a requantization.
static uint32_t most_channels(const struct bf_unit *unit, const struct facts *f) {
  double free_columns = unit->machine->columns - 8 - 2 * f->x_bits - (f->acc_bits + 36) - f->x_bits;
  double most = floor(free_columns / (f->acc_bits + 1));
  return most < 1 ? 1 : most > 64 ? 64 : (uint32_t)most;
}

// Weights as code want many rows that share it. Where few do, more steps than these (of 2 bytes) are too much for one layer.
#define MANY_STEPS (1 << 24)
#define FEW_ROWS 64  // of a CAP, one in

static bool wasteful(const struct bf_unit *unit, const struct facts *f, const struct bf_plan *pixel) {
  double steps = f->channels * f->digits + f->taps * ceil(f->channels / pixel->group);
  return steps > MANY_STEPS && f->rows * FEW_ROWS <= unit->machine->rows;
}

static struct bf_plan plan_conv(const struct bf_unit *unit, const struct bf_node *node) {
  struct bf_conv conv;
  bf_conv_of(node, &conv);
  struct facts f = facts_of(unit, &conv, node);
  struct bf_plan best = {.mapping = BF_MAPPING_PIXEL, .group = 1, .split = 1, .estimate = INFINITY};
  double best_score = INFINITY;
  uint32_t most = most_channels(unit, &f);
  for (uint32_t g = 1; g <= most && g <= conv.oc_group; g++)
    for (uint32_t s = 1; s <= 32 && (s == 1 || f.taps / s >= 8); s *= 2) {
      double work, latency = pixel_cost(&f, g, s, &work), now = score(unit, latency, work);
      if (now >= best_score) continue;
      best_score = now;
      best = (struct bf_plan){BF_MAPPING_PIXEL, g, s, latency};
    }
  if (!f.uniform || unit->mapping == BF_MAPPING_PIXEL) return best;
  double work, latency = output_cost(&f, unit, &work);
  if (unit->mapping == BF_MAPPING_OUTPUT || score(unit, latency, work) < best_score || wasteful(unit, &f, &best))
    best = (struct bf_plan){BF_MAPPING_OUTPUT, 1, 1, latency};
  return best;
}

bool bf_pass_map(struct bf_unit *unit) {
  if (unit->mapping == BF_MAPPING_MAC) {
    bf_error_file(unit->diags, NULL, "use --mapping=auto, output or pixel", "mapping mac is not available yet");
    return false;
  }
  free(unit->plans);
  unit->plans = bf_alloc(unit->graph->nnodes + 1, sizeof *unit->plans);
  for (size_t i = 0; i < unit->graph->nnodes; i++) {
    const struct bf_node *node = unit->graph->nodes[i];
    if (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE) unit->plans[i] = plan_conv(unit, node);
  }
  return true;
}
