// SPDX-License-Identifier: Apache-2.0
// How a layer is put into rows and code: the best plan of each scheme by estimated cost.
#include <math.h>
#include <stdlib.h>

#include "passes/conv.h"
#include "passes/digits.h"

struct scheme { enum bf_mapping mapping; const char *name; void (*plan)(struct bf_planner *planner); };
static const struct scheme schemes[BF_SCHEME_COUNT] = {
#define BF_SCHEME(id, mapping, name, lower, plan, ...) {BF_MAPPING_##mapping, name, plan},
#include "passes/schemes.def"
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

static void weigh(struct bf_plan_facts *f, const struct bf_conv *conv, bool canonical) {
  uint32_t taps = bf_conv_taps(conv);
  uint64_t digits = 0, sum = 0, zeros = 0;
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++) {
    struct bf_conv_row row = bf_conv_row(conv, oc);
    for (uint32_t t = 0; t < taps; t++) {
      int64_t w = bf_conv_weight(&row, t);
      struct bf_digit_masks m = bf_digit_masks_of(w, canonical);
      digits += (unsigned)__builtin_popcountll(m.positive | m.negative);
      sum += (uint64_t)llabs(w);
      zeros += w == 0;
    }
  }
  f->digits = (double)digits / f->channels;
  f->weight = (double)sum / (f->channels * f->taps);
  f->zeros = (double)zeros / (f->channels * f->taps);
}

static struct bf_plan_facts facts_of(const struct bf_unit *unit, const struct bf_conv *conv, const struct bf_node *node) {
  const struct ap_machine *machine = unit->machine;
  struct bf_plan_facts f = {.channels = conv->out4[3], .x_bits = conv->x->type.bits, .w_bits = conv->w->type.bits,
                            .taps = bf_conv_taps(conv), .rows = machine->rows, .columns = machine->columns,
                            .ports = machine->clusters, .port_bits = machine->port_bits};
  f.pixels = (double)conv->out4[0] * conv->out4[1] * conv->out4[2];
  f.caps = machine->unlimited_caps ? 1e9 : (double)machine->clusters * machine->caps_per_cluster;
  if (machine->unlimited_caps) f.ports = f.caps / machine->caps_per_cluster;
  f.uniform = node->attrs.requant.count <= 1 && conv->groups == 1 && conv->w->quant.count <= 1;
  f.acc_bits = f.x_bits + f.w_bits + ceil(log2(f.taps + 1));
  f.requant = requant_cycles(&node->attrs.requant, f.acc_bits);
  f.requant_rows = f.uniform ? f.requant : 8 * f.acc_bits * 10 + 100;
  weigh(&f, conv, unit->opt_level > 0);
  return f;
}

double bf_plan_latency(const struct bf_unit *unit, double compute, double cycles) {
  return isinf(cycles) ? cycles : cycles - unit->movement_off * (cycles - compute);
}

double bf_plan_joule(const struct bf_unit *unit) { return unit->objective == BF_OBJECTIVE_ENERGY ? INFINITY : 0; }

double bf_plan_energy(const struct bf_unit *unit, const struct bf_plan *plan) {
  const struct ap_machine *m = unit->machine;
  if (!unit->tech || !isfinite(plan->cycles)) return plan->energy;
  return plan->energy + unit->tech->leakage_w_per_cell * m->rows * m->columns * plan->caps * plan->cycles / m->clock_hz;
}

double bf_plan_score(const struct bf_unit *unit, const struct bf_plan *plan) {
  double cycles = bf_plan_latency(unit, plan->compute, plan->cycles);
  if (!(unit->joule > 0)) return cycles;
  double energy = bf_plan_energy(unit, plan);
  return isinf(unit->joule) ? energy : cycles + unit->joule * energy;
}

void bf_plan_offer(struct bf_planner *planner, struct bf_plan plan) {
  plan.joule = planner->unit->joule;
  double now = bf_plan_score(planner->unit, &plan);
  if (!(now < planner->scores[plan.scheme])) return;
  planner->scores[plan.scheme] = now;
  planner->best[plan.scheme] = plan;
}

double bf_plan_port(const struct bf_planner *planner, double columns, double distinct, double times) {
  double cycles = ceil(distinct / planner->f.port_bits);
  return columns * (cycles < 1 ? 1 : cycles) * ceil(times / planner->f.ports);
}

double bf_plan_tiles(const struct bf_planner *planner, double rows, double regions) {
  double all = planner->f.pixels * rows;
  return all < 0x1p60 && regions < 0x1p60 ? (double)bf_even_tiles(planner->unit->machine, (uint64_t)all, (uint64_t)regions) : ceil(all / planner->f.rows);
}

double bf_plan_loads(const struct bf_planner *planner, double tasks, double period, double run) {
  const struct ap_machine *m = planner->unit->machine;
  double ports = planner->f.ports, all = ceil(tasks / ports), served = 0;
  if (!m->multicast || m->unlimited_caps || !(period < 0x1p60)) return all;
  double different = (double)bf_loads_at_port(m, (uint64_t)period);
  // In each wave the runs that it holds a part of.
  for (double left = tasks; left > 0; left -= planner->f.caps) {
    double wave = fmin(left, planner->f.caps), runs = ceil(wave / run);
    served += fmin(ceil(wave / ports), runs * fmin(different, ceil(fmin(run, wave) / ports)));
    if (left > 64 * planner->f.caps) return ceil(served * tasks / wave);
  }
  return fmin(all, served);
}

// The offered plan of the lowest score comes first, the others behind it.
static void choose(struct bf_planner *planner) {
  int best = -1;
  for (int i = 0; i < BF_SCHEME_COUNT; i++)
    if (isfinite(planner->scores[i]) && (best < 0 || planner->scores[i] < planner->scores[best])) best = i;
  if (best < 0) return;
  planner->choice.plan = planner->best[best];
  for (int i = 0; i < BF_SCHEME_COUNT; i++)
    if (i != best && isfinite(planner->scores[i])) planner->choice.others[planner->choice.nothers++] = planner->best[i];
}

struct bf_choice bf_plan_node(const struct bf_unit *unit, const struct bf_node *node, uint32_t times) {
  struct bf_conv conv;
  bf_conv_of(node, &conv);
  conv.in4[0] *= times;
  conv.out4[0] *= times;
  struct bf_planner planner = {.unit = unit, .node = node, .conv = &conv, .f = facts_of(unit, &conv, node)};
  for (int i = 0; i < BF_SCHEME_COUNT; i++) planner.scores[i] = INFINITY;
  // The mapping that was asked for, where it can be had; `pixel` always can.
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < BF_SCHEME_COUNT; i++)
      if (pass || unit->mapping == BF_MAPPING_AUTO || unit->mapping == schemes[i].mapping) schemes[i].plan(&planner);
    choose(&planner);
    if (planner.choice.plan.mapping != BF_MAPPING_AUTO) break;
  }
  return planner.choice;
}

void bf_plan_print(const struct bf_plan *plan, struct bf_buf *out) {
  bf_buf_puts(out, schemes[plan->scheme].name);
  if (plan->group > 1) bf_buf_printf(out, ", %u channels a row", plan->group);
  if (plan->taps > 1) bf_buf_printf(out, ", %u taps a %s", plan->taps, plan->scheme == BF_SCHEME_SHARED ? "window" : "search");
  if (plan->largest > 1) bf_buf_printf(out, ", multiples up to %u", plan->largest);
  if (plan->slots) bf_buf_printf(out, ", %u shared values", plan->slots);
  if (plan->keys > 1) bf_buf_printf(out, ", %u keys", plan->keys);
  if (plan->split > 1) bf_buf_printf(out, ", sum in %u parts", plan->split);
}
