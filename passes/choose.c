// SPDX-License-Identifier: Apache-2.0
// Pass `map`: chooses a plan for each convolution.
// Precondition: a verified graph. Postcondition: unit->choices holds a choice for every node.
// One objective at -O2 and below: the plan with the best estimate. Otherwise several sets of plans are made, by other prices of energy and with the means
// of other levels, their costs are measured, and of each node the plan that serves the objective best is taken. As what a node costs doesn't depend on the plans
// of others, the result is at least as good as each of the sets, by the costs that the report shows.
#include <math.h>
#include <stdlib.h>

#include "passes/least_product.h"
#include "passes/pass.h"

#define MOST_SETS 32
#define MEASURING_LEVEL 3  // from here on for every objective
#define ROUNDS 3           // of a price of energy
#define BEGIN 2.5          // from the code of fewest cycles, energy falls by more than cycles rise
#define SAME_PRICE 1.15    // as a ratio
#define HOPELESS 4         // an estimated product so many times the best measured one; estimates are off by a third
#define NO_PRICE (-1)
#define NEAR 1.3           // other schemes within this ratio of the best estimate are measured, too

struct set { struct bf_choice *choices; struct bf_node_cost *costs; double joule; unsigned level; };
struct search {
  struct bf_unit *unit;
  struct set sets[MOST_SETS];
  size_t count;
  size_t *picked;  // a set for each node
};

static bool is_sum(const struct bf_node *node) { return node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE; }

static struct bf_choice *plan_all(struct bf_unit *unit, double joule) {
  const struct bf_graph *graph = unit->graph;
  struct bf_choice *choices = bf_alloc(graph->nnodes + 1, sizeof *choices);
  unit->joule = joule;
  for (size_t i = 0; i < graph->nnodes; i++)
    if (is_sum(graph->nodes[i])) choices[i] = bf_plan_node(unit, graph->nodes[i], 1);
  return choices;
}

// Without code to measure: of the nodes that have plans.
static void estimate_all(const struct bf_unit *unit, const struct bf_choice *choices, struct bf_node_cost *costs) {
  for (size_t i = 0; i < unit->graph->nnodes; i++)
    costs[i] = (struct bf_node_cost){choices[i].plan.compute, choices[i].plan.cycles, bf_plan_energy(unit, &choices[i].plan)};
}

// Measures the choices and takes them; drops them if there is no code for them.
static bool add_set(struct search *s, struct bf_choice *choices, double joule) {
  struct bf_unit *unit = s->unit;
  struct set set = {choices, bf_alloc(unit->graph->nnodes + 1, sizeof *set.costs), joule, unit->opt_level};
  bool ok = s->count < MOST_SETS && (!unit->measure || unit->measure(unit, choices, set.costs));
  if (ok && !unit->measure) estimate_all(unit, choices, set.costs);
  if (ok) {
    s->sets[s->count++] = set;
    return true;
  }
  free(set.choices);
  free(set.costs);
  return false;
}

static struct bf_point point_of(const struct search *s, size_t set, size_t node) {
  const struct bf_node_cost *c = &s->sets[set].costs[node];
  return (struct bf_point){bf_plan_latency(s->unit, c->compute, c->cycles), c->energy};
}

// Fewest cycles, or least energy; at the same, the set that was made first.
static void pick_one(struct search *s, bool energy) {
  for (size_t n = 0; n < s->unit->graph->nnodes; n++) {
    s->picked[n] = 0;
    for (size_t k = 1; k < s->count; k++) {
      struct bf_point best = point_of(s, s->picked[n], n), p = point_of(s, k, n);
      if (energy ? p.energy < best.energy : p.cycles < best.cycles) s->picked[n] = k;
    }
  }
}

static void pick(struct search *s, enum bf_objective objective) {
  size_t nodes = s->unit->graph->nnodes;
  if (objective != BF_OBJECTIVE_EDP) {
    pick_one(s, objective == BF_OBJECTIVE_ENERGY);
    return;
  }
  struct bf_point *points = bf_alloc(nodes * s->count + 1, sizeof *points);
  for (size_t n = 0; n < nodes; n++)
    for (size_t k = 0; k < s->count; k++) points[n * s->count + k] = point_of(s, k, n);
  bf_least_product(points, nodes, s->count, s->picked);
  free(points);
}

static struct bf_point sum_of(const struct search *s) {
  struct bf_point sum = {0, 0};
  for (size_t n = 0; n < s->unit->graph->nnodes; n++) {
    struct bf_point p = point_of(s, s->picked[n], n);
    sum.cycles += p.cycles, sum.energy += p.energy;
  }
  return sum;
}

// Estimated sums; of a node without a plan what was measured.
static struct bf_point estimate_of(const struct search *s, const struct bf_choice *choices) {
  struct bf_point sum = {0, 0};
  for (size_t n = 0; n < s->unit->graph->nnodes; n++) {
    const struct bf_plan *plan = &choices[n].plan;
    struct bf_point p = point_of(s, 0, n);
    if (is_sum(s->unit->graph->nodes[n])) p = (struct bf_point){bf_plan_latency(s->unit, plan->compute, plan->cycles), bf_plan_energy(s->unit, plan)};
    sum.cycles += p.cycles, sum.energy += p.energy;
  }
  return sum;
}

static bool tried(const struct search *s, double joule) {
  for (size_t k = 0; k < s->count; k++)
    if (s->sets[k].level == s->unit->opt_level && s->sets[k].joule < SAME_PRICE * joule && joule < SAME_PRICE * s->sets[k].joule) return true;
  return false;
}

// Whether the k-th other plan is near; it takes the place of the plan then.
static bool swap_near(struct bf_unit *unit, struct bf_choice *choice, unsigned k) {
  struct bf_plan plan = choice->plan;
  unit->joule = plan.joule;
  if (k >= choice->nothers || bf_plan_score(unit, &choice->others[k]) > NEAR * bf_plan_score(unit, &plan)) return false;
  choice->plan = choice->others[k];
  choice->others[k] = plan;
  return true;
}

// The best plans of other schemes, where their estimates are near those of what was picked.
static void try_others(struct search *s, enum bf_objective objective) {
  size_t nodes = s->unit->graph->nnodes;
  if (!s->count || s->unit->opt_level < MEASURING_LEVEL) return;
  pick(s, objective);
  for (unsigned k = 0; k < BF_SCHEME_COUNT; k++) {
    struct bf_choice *choices = bf_alloc(nodes + 1, sizeof *choices);
    bool any = false;
    for (size_t n = 0; n < nodes; n++) {
      choices[n] = s->sets[s->picked[n]].choices[n];
      any = swap_near(s->unit, &choices[n], k) || any;
    }
    if (any) add_set(s, choices, NO_PRICE);
    else free(choices);
  }
}

static void try_one(struct search *s, enum bf_objective objective) {
  double joule = objective == BF_OBJECTIVE_ENERGY ? INFINITY : 0;
  add_set(s, plan_all(s->unit, joule), joule);
  try_others(s, objective);
}

// The plans of least energy: seldom near, and long code to measure.
static bool energy_hopeless(struct search *s) {
  struct bf_choice *choices = plan_all(s->unit, INFINITY);
  pick(s, BF_OBJECTIVE_EDP);
  struct bf_point now = sum_of(s), other = estimate_of(s, choices);
  free(choices);
  return other.cycles * other.energy > HOPELESS * now.cycles * now.energy;
}

// Where (sum of cycles) * (sum of energy) stands still, a joule is worth cycles / energy. Those sets that the other objectives would be chosen
// from are among these.
static void try_product(struct search *s) {
  try_one(s, BF_OBJECTIVE_CYCLES);
  for (int round = 0; round < ROUNDS && s->count; round++) {
    pick(s, BF_OBJECTIVE_EDP);
    struct bf_point sum = sum_of(s);
    double joule = sum.energy > 0 ? (round ? 1 : BEGIN) * sum.cycles / sum.energy : 0;
    if (!(joule > 0) || tried(s, joule) || !add_set(s, plan_all(s->unit, joule), joule)) break;
  }
  try_others(s, BF_OBJECTIVE_EDP);
  if (s->count && !energy_hopeless(s)) try_one(s, BF_OBJECTIVE_ENERGY);
}

static bool measures(const struct bf_unit *unit) {
  return unit->objective == BF_OBJECTIVE_EDP || (unit->opt_level >= MEASURING_LEVEL && unit->measure);
}

static struct bf_choice *search(struct bf_unit *unit) {
  struct search s = {.unit = unit, .picked = bf_alloc(unit->graph->nnodes + 1, sizeof *s.picked)};
  unsigned asked = unit->opt_level;
  for (unit->opt_level = asked < MEASURING_LEVEL ? asked : MEASURING_LEVEL - 1; unit->opt_level <= asked; unit->opt_level++) {
    if (unit->objective == BF_OBJECTIVE_EDP) try_product(&s);
    else try_one(&s, unit->objective);
  }
  unit->opt_level = asked;
  struct bf_choice *choices = s.count ? bf_alloc(unit->graph->nnodes + 1, sizeof *choices) : NULL;
  if (s.count) pick(&s, unit->objective);
  for (size_t n = 0; choices && n < unit->graph->nnodes; n++) choices[n] = s.sets[s.picked[n]].choices[n];
  for (size_t k = 0; k < s.count; k++) {
    free(s.sets[k].choices);
    free(s.sets[k].costs);
  }
  free(s.picked);
  return choices;
}

bool bf_pass_map(struct bf_unit *unit) {
  size_t nodes = unit->graph->nnodes;
  free(unit->choices);
  unit->choices = NULL;
  if (unit->given) {
    unit->choices = bf_alloc(nodes + 1, sizeof *unit->choices);
    for (size_t i = 0; i < nodes; i++) unit->choices[i] = unit->given[i];
    return true;
  }
  if (measures(unit)) unit->choices = search(unit);
  // What cannot be measured cannot be compiled either, and says so then.
  if (!unit->choices) unit->choices = plan_all(unit, bf_plan_joule(unit));
  return true;
}
