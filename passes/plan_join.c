// SPDX-License-Identifier: Apache-2.0
// Estimates of joining partial sums, and the choice among trees: n levels of one radix, or all parts at once.
#include <math.h>

#include "passes/join.h"

#define MOST_TAPS 65536.0      // of a descriptor
#define ROW_CYCLE_J 5.41e-15  // sram16's mean; only for choosing

struct place { double rows, caps, ports, port_bits, bit_j; };

static struct place place_of(const struct bf_unit *unit) {
  const struct ap_machine *m = unit->machine;
  struct place p = {m->rows, (double)m->clusters * m->caps_per_cluster, m->clusters, m->port_bits, unit->tech ? unit->tech->load_bit_j : 0};
  if (m->unlimited_caps) p.caps = 1e9, p.ports = 1e9 / m->caps_per_cluster;
  return p;
}

// `tiles` of `rows` rows add `count` parts of `bits`, spend `then` more cycles and store `out` bits.
static void add_stage(struct bf_join_cost *cost, const struct place *p, double tiles, double rows, double count, double bits,
                      double then, double out) {
  double column = fmax(1, ceil(rows / p->port_bits)), waves = ceil(tiles / p->caps);
  double compute = (count - 1) * 8 * (bits + 0.5 * log2(count)) + then;
  double exposed = (fmin(count, 2) * bits + out) * column;
  double port = ceil(tiles / p->ports) * (count * bits + out) * column;
  cost->caps = fmax(cost->caps, fmin(tiles, p->caps));
  cost->compute += waves * compute;
  cost->cycles += fmax(waves * (compute + exposed), port);
  cost->energy += tiles * rows * (compute * ROW_CYCLE_J + (count * bits + out) * p->bit_j);
}

double bf_join_score(const struct bf_unit *unit, const struct bf_join_cost *cost) {
  struct bf_plan plan = {.compute = cost->compute, .cycles = cost->cycles, .caps = cost->caps, .energy = cost->energy};
  return bf_plan_score(unit, &plan);
}

struct bf_join_cost bf_join_rows_cost(double rows, double caps, double cycles) {
  return (struct bf_join_cost){cycles, cycles, caps, rows * cycles * ROW_CYCLE_J};
}

static struct bf_join_plan with_radix(const struct place *p, const struct bf_join_shape *s, uint32_t radix, bool pixels) {
  struct bf_join_plan plan = {.pixels = pixels};
  uint32_t parts = s->parts;
  double bits = s->bits, outputs = s->pixels * s->channels;
  while ((parts > radix || (pixels && parts > 1 && parts * s->channels > MOST_TAPS)) && plan.levels + 1 < BF_MAX_JOIN_LEVELS) {
    uint32_t left = (parts + radix - 1) / radix;
    double rows = outputs * left, wider = bits + ceil(log2(radix));
    add_stage(&plan.cost, p, ceil(rows / p->rows), fmin(rows, p->rows), radix, bits, 0, wider);
    plan.radix[plan.levels++] = radix;
    parts = left;
    bits = wider;
  }
  double rows = pixels ? s->pixels : outputs, times = pixels ? s->channels : 1;
  add_stage(&plan.cost, p, times * ceil(rows / p->rows), fmin(rows, p->rows), parts, bits, pixels ? s->code_cycles : s->rows_cycles, s->out_bits);
  if (pixels && parts * s->channels > MOST_TAPS) plan.cost = (struct bf_join_cost){INFINITY, INFINITY, 0, INFINITY};
  return plan;
}

struct bf_join_plan bf_join_plan_of(const struct bf_unit *unit, const struct bf_join_shape *shape) {
  struct place p = place_of(unit);
  struct bf_join_plan best = {.cost = {INFINITY, INFINITY, 0, INFINITY}};
  double best_score = INFINITY;
  for (uint32_t radix = 2;; radix = radix < 4 ? radix + 1 : radix * 2) {
    if (radix > shape->parts) radix = shape->parts;
    for (int pixels = 0; pixels < 2; pixels++) {
      struct bf_join_plan plan = with_radix(&p, shape, radix > 1 ? radix : 2, pixels);
      double now = isfinite(plan.cost.cycles) ? bf_join_score(unit, &plan.cost) : INFINITY;
      if (now < best_score) best = plan, best_score = now;
    }
    if (radix >= shape->parts) return best;
  }
}

struct bf_join_cost bf_plan_join(const struct bf_planner *planner, double parts, double bits) {
  const struct bf_plan_facts *f = &planner->f;
  struct bf_join_shape shape = {.pixels = f->pixels, .channels = f->channels, .parts = (uint32_t)parts, .bits = (unsigned)ceil(bits),
                                .out_bits = planner->node->output->type.bits, .rows_cycles = f->requant_rows, .code_cycles = f->requant};
  return bf_join_plan_of(planner->unit, &shape).cost;
}
