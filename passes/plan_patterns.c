// SPDX-License-Identifier: Apache-2.0
// Candidates of the scheme `patterns`: parts of the sum, keys, channels of a row, taps of a search. All combinations are
// estimated from the mean weight of the layer; those that look best are measured on the actual weights.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/patterns.h"

#define KEPT 6  // estimates that are measured

struct candidate { struct bf_plan plan; double score; };
struct search {
  struct bf_planner *planner;
  struct bf_pattern_planes planes;
  struct candidate kept[KEPT];  // ascending
  unsigned nkept;
};

static double width_of(double high) { return high < 1 ? 1 : floor(log2(high)) + 1; }

// What a region does, by estimate or measured.
struct work { double cycles, searches, search_cells, written, additions, store_bits; };

// Energy of one row over the region's work.
static double row_energy(const struct bf_unit *unit, const struct work *w, double loads) {
  const struct ap_technology *t = unit->tech;
  if (!t) return w->cycles;
  double add = 2.6 * (0.85 * t->compare_mismatch_j + 0.15 * t->compare_match_j) + 0.25 * t->write_j;  // a pass of an addition: its cells, a row in eight written
  return w->search_cells * t->compare_mismatch_j + w->written * 0.5 * (t->write_j + t->write_same_j) + w->additions / 2 * add +
         loads * t->load_bit_j + w->store_bits * t->store_bit_j;
}

// Critical path and energy of the layer.
static void cost(const struct search *s, struct bf_plan *plan, const struct work *w, double acc_bits) {
  const struct bf_planner *p = s->planner;
  const struct bf_plan_facts *f = &p->f;
  bool joined = plan->split > 1 || plan->keys > 1;
  double rows = f->pixels * plan->keys, blocks = ceil(f->channels / (plan->keys * plan->group));
  double tiles = bf_plan_tiles(p, plan->keys, blocks * plan->split), tile_rows = ceil(rows / tiles), tasks = tiles * blocks * plan->split, waves = ceil(tasks / f->caps);
  double columns = s->planes.count * ceil(f->taps / plan->split), pixels = tile_rows / plan->keys;
  double streams = bf_plan_loads(p, tasks, tiles, tiles * fmax(1, blocks / p->conv->groups));  // blocks of a convolution group load alike
  // A block that leaves out a tap whose weights are all zero loads something else than the others.
  if (f->zeros > 0) {
    double odd = 1 - pow(1 - pow(f->zeros, (double)plan->keys * plan->group), ceil(f->taps / plan->split));
    streams = fmin(ceil(tasks / f->ports), streams + odd * tasks / f->ports);
  }
  double loads = bf_plan_port(p, columns, pixels, streams * f->ports);
  double stored = joined ? plan->group * acc_bits : 0, stores = bf_plan_port(p, stored, tile_rows, tasks);
  double own = joined ? 0 : plan->group * f->requant;
  plan->compute = waves * (w->cycles + own);
  plan->cycles = fmax(plan->compute + waves * stored * ceil(tile_rows / f->port_bits), loads + stores);
  plan->caps = fmin(tasks, f->caps);
  struct work all = *w;
  all.store_bits = stored;
  plan->energy = rows * blocks * plan->split * (row_energy(p->unit, &all, columns) + own * 5.41e-15);
  if (!joined) return;
  struct bf_join_cost join = bf_plan_join(p, plan->split, acc_bits);
  plan->compute += join.compute;
  plan->cycles += join.cycles;
  plan->caps = fmax(plan->caps, join.caps);
  plan->energy += join.energy;
}

static void keep(struct search *s, const struct bf_plan *plan) {
  double score = bf_plan_score(s->planner->unit, plan);
  if (s->nkept == KEPT && !(score < s->kept[KEPT - 1].score)) return;
  unsigned at = s->nkept < KEPT ? s->nkept++ : KEPT - 1;
  for (; at > 0 && s->kept[at - 1].score > score; at--) s->kept[at] = s->kept[at - 1];
  s->kept[at] = (struct candidate){*plan, score};
}

// Additions of one accumulator over all planes and groups, by the mean weight.
static double additions(const struct search *s, double sum_bits, double taps, double groups) {
  double cycles = 0, weight = s->planner->f.weight;
  for (unsigned b = 0; b < s->planes.count; b++) {
    double top = width_of(1.05 * weight * taps * (ldexp(1, (int)b + 1) - 1)) - b - 0.7;
    cycles += 8 * sum_bits + 4 * fmax(0, top - sum_bits);
  }
  return groups * cycles;
}

static void try_group(struct search *s, struct bf_plan plan, double taps, double sum_bits, double adds, double acc_bits) {
  const struct bf_plan_facts *f = &s->planner->f;
  double keys = plan.keys, groups = ceil(taps / plan.taps), key_bits = keys > 1 ? bf_bits(plan.keys - 1) : 0;
  double sums = plan.group * sum_bits, words = ceil(sums / AP_MAX_WIDTH), columns = AP_FLAG_COLUMNS + key_bits + plan.group * acc_bits;
  if (words > BF_MAX_SUM_WORDS || columns + 2 * plan.taps + sums > f->columns) return;
  if (keys == 1 && plan.split == 1 && columns + acc_bits + 40 > f->columns) return;
  double searches = s->planes.count * groups * keys * ldexp(1, (int)plan.taps) * words;
  struct work w = {.searches = searches, .search_cells = searches * (plan.taps + key_bits), .written = s->planes.count * groups * sums,
                   .additions = plan.group * adds};
  w.cycles = 2 * searches + w.additions;
  cost(s, &plan, &w, acc_bits);
  keep(s, &plan);
}

static void try_split(struct search *s, uint32_t split) {
  static const uint32_t keys[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128};
  const struct bf_plan_facts *f = &s->planner->f;
  double taps = ceil(f->taps / split), weight = f->weight > 0.5 ? f->weight : 0.5;
  double acc_bits = width_of(1.08 * weight * taps * (ldexp(1, (int)s->planes.count) - 1));
  for (uint32_t g = 1; g <= BF_MAX_PATTERN_TAPS && g <= taps; g++)
    for (unsigned k = 0; k < BF_COUNT(keys) && keys[k] <= s->planner->conv->oc_group; k++) {
      double spread = keys[k] > 1 ? 1.1 * weight * sqrt(g) : 0;  // the largest over all keys
      double sum_bits = width_of(g * weight + spread), adds = additions(s, sum_bits, taps, ceil(taps / g));
      double wide = acc_bits + (keys[k] > 1 ? ceil(log2(1 + spread / (g * weight))) : 0);
      for (uint32_t r = 1; r <= BF_MAX_ACCUMULATORS && keys[k] * r <= s->planner->conv->oc_group; r++)
        try_group(s, (struct bf_plan){.mapping = BF_MAPPING_PIXEL, .scheme = BF_SCHEME_PATTERNS, .group = r, .split = split, .keys = keys[k], .taps = g},
                  taps, sum_bits, adds, wide);
    }
}

#define SAMPLE 100000  // weights that decide among candidates; the chosen one is measured on all

static bool measure(struct search *s, struct bf_plan *plan, uint32_t stride) {
  struct bf_pattern_cost m;
  if (!bf_pattern_measure(s->planner->conv, plan, s->planner->unit->machine->columns, stride, &m)) return false;
  struct work w = {m.cycles, m.searches, m.search_cells, m.written, m.additions, 0};
  const struct bf_plan_facts *f = &s->planner->f;
  cost(s, plan, &w, width_of(1.1 * f->weight * ceil(f->taps / plan->split) * (ldexp(1, (int)s->planes.count) - 1)));
  return true;
}

static int by_score(const void *a, const void *b) {
  double x = ((const struct candidate *)a)->score, y = ((const struct candidate *)b)->score;
  return (x > y) - (x < y);
}

void bf_plan_patterns(struct bf_planner *p) {
  static const uint32_t splits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024};
  if (!(p->unit->machine->features & AP_FEATURE_WIDE_WRITE)) return;
  // For one image they seldom win where movement counts, and make long code: only if all is asked for, or cycles and energy.
  bool both = p->unit->joule > 0 && isfinite(p->unit->joule);
  if (p->unit->opt_level < 2 || (p->unit->opt_level == 2 && p->conv->in4[0] == 1 && !both)) return;
  struct search s = {.planner = p, .planes = bf_pattern_planes_of(p->conv)};
  for (unsigned i = 0; i < BF_COUNT(splits) && splits[i] * p->f.channels <= 65536; i++)
    if (splits[i] == 1 || splits[i] * 2 <= p->f.taps) try_split(&s, splits[i]);
  uint32_t stride = (uint32_t)ceil(p->f.channels * p->f.taps / SAMPLE) | 1;
  for (unsigned i = 0; i < s.nkept; i++)
    s.kept[i].score = measure(&s, &s.kept[i].plan, stride) ? bf_plan_score(p->unit, &s.kept[i].plan) : INFINITY;
  qsort(s.kept, s.nkept, sizeof *s.kept, by_score);
  for (unsigned i = 0; i < s.nkept && isfinite(s.kept[i].score); i++)
    if (measure(&s, &s.kept[i].plan, 1)) {
      bf_plan_offer(p, s.kept[i].plan);
      return;
    }
}
