// SPDX-License-Identifier: Apache-2.0
// Candidates of the scheme `digits`: output channels of a region, parts of the sum.
#include <math.h>

#include "passes/conv.h"

// Cycles that a region spends on a channel, apart from its sum: requantization or store, initial values.
#define OVERHEAD 60

static struct bf_plan estimate(const struct bf_planner *p, double g, double s) {
  const struct bf_plan_facts *f = &p->f;
  double add = 8 * f->x_bits + 4 * (f->acc_bits - f->x_bits - f->w_bits / 2);
  double sum = f->digits * add / s, join = s > 1 ? s * 9 * f->acc_bits : 0;
  double row_tiles = ceil(f->pixels / f->rows), regions = row_tiles * ceil(f->channels / g);
  double waves = ceil(regions * s / f->caps), join_waves = ceil(regions / f->caps);
  struct bf_plan plan = {.mapping = BF_MAPPING_PIXEL, .scheme = BF_SCHEME_DIGITS, .group = (uint32_t)g, .split = (uint32_t)s, .keys = 1, .taps = 1};
  plan.compute = waves * g * (sum + OVERHEAD) + join_waves * g * (join + f->requant);
  double tile_rows = f->pixels < f->rows ? f->pixels : f->rows;
  double port = s > 1 ? bf_plan_port(p, 2 * f->acc_bits, tile_rows, regions * g * s) : 0;
  double loads = bf_plan_port(p, f->x_bits * f->taps / s, tile_rows, row_tiles * s * ceil(f->channels / g) / (p->unit->machine->multicast ? fmin(ceil(f->channels / g), p->unit->machine->caps_per_cluster) : 1));
  plan.cycles = fmax(plan.compute, loads) + port;
  plan.caps = fmin(regions * s, f->caps);
  plan.energy = f->pixels * f->channels * (sum * s + join + f->requant) * 5.41e-15;
  return plan;
}

// Output channels whose accumulators fit beside buffers and the product of a requantization.
static uint32_t most_channels(const struct bf_planner *p) {
  const struct bf_plan_facts *f = &p->f;
  double free_columns = f->columns - 8 - 2 * f->x_bits - (f->acc_bits + 36) - f->x_bits;
  double most = floor(free_columns / (f->acc_bits + 1));
  return most < 1 ? 1 : most > 64 ? 64 : (uint32_t)most;
}

// Weights as code want many rows that share it. Where few do, more steps than these (of 2 bytes) are too much for one layer.
#define MANY_STEPS (1 << 24)
#define FEW_ROWS 64  // of a CAP, one in

bool bf_plan_wasteful(const struct bf_planner *p, double group) {
  const struct bf_plan_facts *f = &p->f;
  double steps = f->channels * f->digits + f->taps * ceil(f->channels / group);
  return steps > MANY_STEPS && f->pixels * FEW_ROWS <= f->rows;
}

void bf_plan_pixel(struct bf_planner *p) {
  uint32_t most = most_channels(p);
  bool asked = p->unit->mapping == BF_MAPPING_PIXEL;
  for (uint32_t g = 1; g <= most && g <= p->conv->oc_group; g++)
    for (uint32_t s = 1; s <= 32 && (s == 1 || p->f.taps / s >= 8); s *= 2) {
      struct bf_plan plan = estimate(p, g, s);
      if (!asked && bf_plan_wasteful(p, g)) plan.cycles *= 1e3, plan.energy *= 1e3;  // the last resort
      bf_plan_offer(p, plan);
    }
}
