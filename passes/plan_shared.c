// SPDX-License-Identifier: Apache-2.0
// Candidates of the scheme `shared`: channels of a row, taps of a window, digits, fields for shared values, parts of the sum. A
// few windows of a region are made and priced; the rest of the layer is taken as being like them.
#include <math.h>
#include <stdlib.h>

#include "isa/isa.h"
#include "passes/op_cost.h"
#include "passes/patterns.h"
#include "passes/shared.h"

#define SAMPLED_WINDOWS 3  // at least,
#define SAMPLED_TAPS 48    // and windows of so many taps
#define REQUANT_COLUMNS 40

struct search {
  struct bf_planner *planner;
  struct bf_op_costs *costs;
  struct bf_region region;  // for samples
  bool *load;               // of plans with fewer channels a row than there are
};

// What a region of the plan does.
struct work { double cycles, energy, loaded, acc_bits; unsigned columns, finishing, slots; bool fits; };

static void clear(struct bf_region *region) {
  for (size_t i = 0; i < region->nfields; i++) free(region->fields[i].name);
  region->nfields = region->nops = 0;
}

// Makes some windows of the channels in the layer's middle, over the first part of the sum.
static struct work sample(struct search *s, const struct bf_plan *plan) {
  const struct bf_conv *conv = s->planner->conv;
  struct bf_val acc[BF_MAX_SHARED_CHANNELS];
  uint32_t oc = conv->out4[3] / 2;
  if (bf_conv_group_end(conv, oc, plan->group) - oc < plan->group) oc = oc / conv->oc_group * conv->oc_group;
  uint32_t windows = (SAMPLED_TAPS + plan->taps - 1) / plan->taps;
  clear(&s->region);
  struct bf_shared shared = {.region = &s->region, .conv = conv, .oc = oc, .count = bf_conv_group_end(conv, oc, plan->group) - oc,
                             .taps = bf_conv_part(bf_conv_taps(conv), 0, plan->split), .window = plan->taps, .largest = plan->largest,
                             .load = plan->group < s->planner->f.channels ? s->load : NULL, .slots = plan->slots,
                             .both = plan->both, .windows_most = windows < SAMPLED_WINDOWS ? SAMPLED_WINDOWS : windows};
  struct bf_shared_size size = bf_shared_accumulate(&shared, acc);
  struct work w = {.loaded = size.loaded, .slots = size.slots, .columns = bf_region_columns(&s->region),
                   .finishing = AP_FLAG_COLUMNS + REQUANT_COLUMNS, .fits = size.fits};
  double times = size.made ? (double)size.windows / size.made : 1;
  for (size_t i = 0; i < s->region.nops; i++) {
    struct bf_op_cost cost = bf_op_cost_of(s->costs, &s->region, &s->region.ops[i]);
    w.cycles += times * cost.cycles;
    w.energy += times * cost.energy;
  }
  unsigned widest = 0;
  for (uint32_t c = 0; c < shared.count; c++) {
    unsigned width = s->region.fields[acc[c].field].width;
    w.finishing += width;
    w.acc_bits += (double)width / shared.count;
    if (width > widest) widest = width;
  }
  w.finishing += widest;
  return w;
}

static void price(struct search *s, struct bf_plan *plan, const struct work *w) {
  const struct bf_planner *p = s->planner;
  const struct bf_plan_facts *f = &p->f;
  const struct ap_technology *tech = p->unit->tech;
  bool joined = plan->split > 1;
  double blocks = ceil(f->channels / plan->group), tiles = bf_plan_tiles(p, 1, blocks * plan->split), tile_rows = ceil(f->pixels / tiles);
  double tasks = tiles * blocks * plan->split, waves = ceil(tasks / f->caps), x_bits = bf_mem_bits(p->conv->x->type);
  double own = joined ? 0 : plan->group * f->requant, stored = joined ? plan->group * (w->acc_bits + 1) : 0;
  double streams = s->load && blocks > 1 ? bf_plan_loads(p, tasks, tiles * plan->split, tasks) : ceil(tasks / f->ports);
  double loads = bf_plan_port(p, w->loaded * x_bits, tile_rows, streams * f->ports), stores = bf_plan_port(p, stored, tile_rows, tasks);
  // The slowest of many tasks counts: three standard deviations of the number of its nonzero digits, of which two fifths vary.
  double slowest = tasks > 1 ? 1 + 3 * sqrt(0.4 / fmax(1, f->digits * plan->group / plan->split) / waves) : 1;
  plan->compute = waves * (w->cycles * slowest + own);
  plan->cycles = fmax(plan->compute + waves * stored * ceil(tile_rows / f->port_bits), loads + stores);
  plan->caps = fmin(tasks, f->caps);
  double row = w->energy + own * 5.41e-15;
  if (tech) row += w->loaded * x_bits * tech->load_bit_j + stored * tech->store_bit_j;
  plan->energy = f->pixels * blocks * plan->split * row;
  if (!joined) return;
  struct bf_join_cost join = bf_plan_join(p, plan->split, w->acc_bits + 1);
  plan->compute += join.compute;
  plan->cycles += join.cycles;
  plan->caps = fmax(plan->caps, join.caps);
  plan->energy += join.energy;
}

// Price of the plan, INFINITY if it can't be laid out. Slots are as many as are needed.
static double try_plan(struct search *s, struct bf_plan *plan) {
  struct work w = sample(s, plan);
  if (w.slots < plan->slots) plan->slots = w.slots;
  unsigned columns = (unsigned)s->planner->f.columns;
  if (!w.fits || w.columns + plan->group / 2 > columns || (plan->split == 1 && w.finishing > columns)) return INFINITY;
  price(s, plan, &w);
  return bf_plan_score(s->planner->unit, plan);
}

// The most channels that fit with this window and these slots, by the bits of a sum.
static uint32_t most_channels(const struct bf_planner *p, const struct bf_plan *plan) {
  const struct bf_plan_facts *f = &p->f;
  double x = bf_mem_bits(p->conv->x->type), acc = f->x_bits + ceil(log2(fmax(f->weight, 0.1) * f->taps / plan->split + 1)) + 1;
  double beside = fmax(2 * x * plan->taps + plan->slots * (x + 2) + x + 10, plan->split > 1 ? 0 : acc + REQUANT_COLUMNS);
  double most = floor((f->columns - AP_FLAG_COLUMNS - beside) / acc);
  if (most > p->conv->oc_group) most = p->conv->oc_group;
  return most < 1 ? 1 : most > BF_MAX_SHARED_CHANNELS ? BF_MAX_SHARED_CHANNELS : (uint32_t)most;
}

// False if the plan can't be laid out.
static bool consider(struct search *s, struct bf_plan *plan, struct bf_plan *best, double *score) {
  double now = try_plan(s, plan);
  if (now < *score) {
    *score = now;
    *best = *plan;
  }
  return isfinite(now);
}

// As many channels as fit, from `most` down.
static void consider_most(struct search *s, struct bf_plan *plan, uint32_t most, struct bf_plan *best, double *score) {
  for (plan->group = most; plan->group && !consider(s, plan, best, score); plan->group -= (plan->group + 7) / 8) continue;
}

// Windows, digits and slots for this number of channels (0: as many as fit) and parts.
static void try_shapes(struct search *s, uint32_t group, uint32_t split, struct bf_plan *best, double *score) {
  static const uint8_t windows[] = {1, 2, 4, 6, 9, 12, 18}, slots[] = {0, 4, 8, 16, 32};
  const struct bf_plan_facts *f = &s->planner->f;
  double part = ceil(f->taps / split);
  for (unsigned largest = 1; largest <= 7; largest = 2 * largest + 1)
    for (unsigned w = 0; w < BF_COUNT(windows) && windows[w] <= part; w++)
      for (unsigned k = 0; k < BF_COUNT(slots); k++) {
        struct bf_plan plan = {.mapping = BF_MAPPING_PIXEL, .scheme = BF_SCHEME_SHARED, .group = group, .split = split, .keys = 1,
                               .taps = windows[w], .largest = largest, .slots = slots[k], .both = s->planner->unit->opt_level > 2};
        if (largest > 1 && (!plan.slots || f->w_bits < 3 || plan.taps > 4)) continue;
        if (largest == 1 && windows[w] == 1 && plan.slots) continue;
        uint32_t most = most_channels(s->planner, &plan);
        if (group > most) continue;
        if (group) consider(s, &plan, best, score);
        else consider_most(s, &plan, most, best, score);
        if (plan.slots < slots[k]) break;  // more are of no use
      }
}

void bf_plan_shared(struct bf_planner *p) {
  static const uint32_t splits[] = {1, 2, 4, 8, 16, 32, 64};
  const struct bf_plan_facts *f = &p->f;
  if (p->unit->opt_level < 2 || (p->unit->mapping != BF_MAPPING_PIXEL && bf_plan_wasteful(p, BF_MAX_SHARED_CHANNELS))) return;
  struct search s = {.planner = p, .costs = bf_op_costs_new(p->unit), .load = bf_conv_common_loads(p->unit, p->conv, 1)};
  double tiles = ceil(f->pixels / f->rows);
  struct bf_plan best = {.group = 0};
  double score = INFINITY;
  // With all columns in use first; then, where CAPs idle, fewer channels and parts of the sum with these windows.
  try_shapes(&s, 0, 1, &best, &score);
  if (isfinite(score) && tiles * ceil(f->channels / best.group) < f->caps) {
    try_shapes(&s, 1, 1, &best, &score);
    for (uint32_t g = 2; g <= 8; g *= 2) try_shapes(&s, g, 1, &best, &score);
  }
  struct bf_plan shape = best;
  for (unsigned i = 1; i < BF_COUNT(splits) && isfinite(score); i++) {
    if (splits[i] * 8 > f->taps || tiles * f->channels * splits[i] > 2 * f->caps * shape.group || splits[i] * f->channels > 65536) break;
    for (uint32_t g = shape.group; g; g /= 2) {
      struct bf_plan plan = shape;
      plan.group = g;
      plan.split = splits[i];
      consider(&s, &plan, &best, &score);
    }
  }
  if (isfinite(score)) bf_plan_offer(p, best);
  clear(&s.region);
  free(s.region.fields);
  free(s.region.ops);
  free(s.costs);
  free(s.load);
}
