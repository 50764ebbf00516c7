// SPDX-License-Identifier: Apache-2.0
// Candidates of the scheme `stored`: into how many parts the taps are split.
#include <math.h>

#include "passes/join.h"
#include "passes/stored.h"

#define ROW_CYCLE_J 5.41e-15  // sram16's mean; only for choosing
#define MOST_ELEMENTS 0x7FFFFFFF
#define MANY_TAPS 32          // of a part
#define FEWEST_TAPS 1         // of a part

static void offer(struct bf_planner *p, const struct bf_stored *s, double split) {
  const struct bf_plan_facts *f = &p->f;
  double product = s->x_bits + s->w_bits, taps = ceil(f->taps / split), sum_bits = product + ceil(log2(taps));
  double add = 8 * product + 4 * (log2(taps) > 1 ? log2(taps) - 1 : 1);
  double rows = f->pixels * f->channels, tiles = ceil(rows / f->rows) * split, tile_rows = fmin(rows, f->rows);
  if (rows * split > MOST_ELEMENTS) return;
  double compute = taps * (bf_stored_product_cycles(s) + add), column = fmax(1, ceil(tile_rows / f->port_bits));
  // Bits of x are those of the pixels of a tile, bits of w those of its channels.
  double x_distinct = fmax(1, ceil(tile_rows / f->channels)), w_distinct = fmin(f->channels, tile_rows);
  double port = bf_plan_port(p, taps * s->x_bits, x_distinct, tiles) + bf_plan_port(p, taps * s->w_bits, w_distinct, tiles);
  struct bf_plan plan = {.mapping = BF_MAPPING_OUTPUT, .scheme = BF_SCHEME_STORED, .group = 1, .split = (uint32_t)split, .keys = 1, .taps = 1};
  struct bf_join_cost join = bf_join_rows_cost(rows, 0, f->requant_rows);
  if (split > 1) {
    join = bf_plan_join(p, split, sum_bits);
    port += bf_plan_port(p, sum_bits, tile_rows, tiles);
  }
  double waves = ceil(tiles / f->caps), exposed = split > 1 ? sum_bits * column : 0;
  if (split == 1) join.compute *= waves, join.cycles *= waves;
  plan.compute = waves * compute + join.compute;
  plan.cycles = fmax(waves * (compute + exposed), port) + join.cycles;
  plan.caps = fmax(fmin(tiles, f->caps), join.caps);
  plan.energy = rows * f->taps * (compute / taps) * ROW_CYCLE_J + join.energy;
  if (p->unit->tech) plan.energy += rows * f->taps * product * p->unit->tech->load_bit_j;
  bf_plan_offer(p, plan);
}

void bf_plan_output(struct bf_planner *p) {
  struct bf_stored s = bf_stored_of(p->conv);
  if (s.x_bits + s.w_bits > 48) return;
  // Each number of taps that parts can have, closely while it is small.
  double before = 0;
  for (double taps = FEWEST_TAPS; before != 1; taps = taps < MANY_TAPS ? taps + 1 : ceil(taps * 1.03)) {
    double split = taps < p->f.taps ? ceil(p->f.taps / taps) : 1;
    if (split != before) offer(p, &s, split);
    before = split;
  }
}
