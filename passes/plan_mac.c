// SPDX-License-Identifier: Apache-2.0
// The candidate of the scheme `products`.
#include <math.h>

#include "isa/isa.h"
#include "passes/products.h"

#define ROW_CYCLE_J 5.41e-15  // sram16's mean; only for choosing
#define MOST_ELEMENTS 0x7FFFFFFFull

// Output channels whose products and sums memory holds. Sums of all levels together take less than the products again.
static uint32_t portion_of(const struct bf_unit *unit, const struct bf_conv *conv, const struct bf_products *p) {
  double products = (double)conv->out4[0] * conv->out4[1] * conv->out4[2] * conv->kernel[0] * conv->kernel[1] * p->trees * p->tree;
  double bits = bf_bits(p->stored.product_hi * p->tree), memory = (double)unit->machine->map_bits * unit->machine->clusters / 2.15;
  double most = fmin(floor(memory / (products * bits)), floor(MOST_ELEMENTS / products));
  if (conv->groups > 1) return most >= conv->out4[3] ? conv->out4[3] : 0;
  return most >= conv->out4[3] ? conv->out4[3] : most < 1 ? 0 : (uint32_t)most;
}

struct bf_products bf_products_of(const struct bf_unit *unit, const struct bf_conv *conv) {
  struct bf_products p = {.stored = bf_stored_of(conv), .tree = 1};
  uint32_t inputs = conv->ic_group;
  if (unit->machine->features & AP_FEATURE_TWO_D) {
    // The largest tree of a CAP that wastes at most a third of its rows.
    for (uint32_t tree = 2; tree <= unit->machine->rows && tree < 2 * inputs; tree *= 2) {
      uint32_t padded = (inputs + tree - 1) / tree * tree;
      unsigned bits = bf_bits(p.stored.product_hi) + bf_bits(tree);
      if (3 * (uint64_t)inputs >= 2 * (uint64_t)padded && bits <= 60) p.tree = tree;
    }
  }
  p.trees = (inputs + p.tree - 1) / p.tree;
  if (p.tree == 1) p.trees = inputs;
  p.by_line = p.tree > 1 && p.trees > 1;
  p.portion = portion_of(unit, conv, &p);
  return p;
}

void bf_plan_mac(struct bf_planner *pl) {
  struct bf_products p = bf_products_of(pl->unit, pl->conv);
  const struct bf_plan_facts *f = &pl->f;
  if (p.stored.x_bits + p.stored.w_bits > 48 || !p.portion) return;
  double window = pl->conv->kernel[0] * pl->conv->kernel[1], parts = window * p.trees, bits = p.stored.x_bits + p.stored.w_bits;
  double levels = log2(p.tree), adds = levels * 8 * (bits + levels / 2), rows = f->pixels * f->channels * parts * p.tree;
  double tiles = ceil(rows / f->rows), waves = ceil(tiles / f->caps), portions = ceil(f->channels / p.portion);
  double per_row = bf_stored_product_cycles(&p.stored) + adds, tile_rows = fmin(rows, f->rows);
  double x_distinct = fmax(1, tile_rows / f->channels), w_distinct = fmin(tile_rows, f->channels * p.trees * p.tree);
  double port = bf_plan_port(pl, p.stored.x_bits, x_distinct, tiles) + bf_plan_port(pl, p.stored.w_bits, w_distinct, tiles) +
                bf_plan_port(pl, bits + levels, tile_rows, tiles);
  struct bf_planner portion = *pl;  // portions are joined one after the other
  portion.f.channels = fmin(f->channels, p.portion);
  struct bf_join_cost join = bf_plan_join(&portion, parts, bits + levels);
  join.compute *= portions, join.cycles *= portions, join.energy *= portions;
  struct bf_plan plan = {.mapping = BF_MAPPING_MAC, .scheme = BF_SCHEME_PRODUCTS, .group = 1, .split = (uint32_t)parts, .keys = 1, .taps = 1};
  plan.compute = fmax(waves, portions) * per_row + join.compute;
  plan.cycles = fmax(fmax(waves, portions) * per_row, port) + join.cycles;
  plan.caps = fmax(fmin(tiles, f->caps), join.caps);
  plan.energy = rows * per_row * ROW_CYCLE_J + join.energy;
  if (pl->unit->tech) plan.energy += rows * (2 * bits + levels) * pl->unit->tech->load_bit_j;
  bf_plan_offer(pl, plan);
}
