// SPDX-License-Identifier: Apache-2.0
// The exact search. Sums alone are one integer program. A product (EDP) is bounded by a linear function over an interval of
// cycles; where the best assignment of that relaxation doesn't bear it out, the interval is divided at the assignment's own cycles,
// where the bound is exact, so the same assignment can't come back. There are finitely many assignments: the search ends, and
// what it finds is optimal among all of them, not only on the convex hull.
#include "tools/bfexplore/solve.h"

#include <glpk.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/bfexplore/program.h"

static const struct { const char *name, *unit; } measures[BFX_MEASURES] = {
#define BFX_METRIC(id, name, unit) {name, unit},
#include "tools/bfexplore/metrics.def"
  {"edp", "J cycles"},
};

const char *bfx_measure_name(unsigned measure) { return measures[measure].name; }
const char *bfx_measure_unit(unsigned measure) { return measures[measure].unit; }

int bfx_measure_find(const char *name, size_t length) {
  for (int i = 0; i < BFX_MEASURES; i++) {
    if (strlen(measures[i].name) == length && strncmp(name, measures[i].name, length) == 0) {
      return i;
    }
  }
  return -1;
}

void bfx_evaluate(const struct bfx_problem *problem, const unsigned *choice, double value[BFX_MEASURES]) {
  for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
    value[metric] = problem->base[metric];
    for (size_t i = 0; i < problem->nitems; i++) {
      value[metric] += problem->items[i].choices[choice[i]].value[metric];
    }
  }
  value[BFX_EDP] = value[BFX_ENERGY] * value[BFX_CYCLES];
}

bool bfx_within(const struct bfx_problem *problem, const double value[BFX_MEASURES]) {
  for (size_t i = 0; i < problem->nlimits; i++) {
    if (value[problem->limits[i].measure] > problem->limits[i].value * (1 + BFX_TOLERANCE)) {
      return false;
    }
  }
  return true;
}

// An interval of cycles still to be searched.
struct open_part {
  double low, high, bound;
};

struct search {
  const struct bfx_problem *problem;
  struct bfx_solution *out;
  struct bfx_part part;   // the whole; intervals come from `open`
  struct bfx_cuts cuts;
  struct open_part *open;
  size_t nopen, capacity;
  unsigned *choice;       // of the latest program
  double largest;         // scale of the objective, for BFX_PRECISION
  double began;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_left(const struct search *s) {
  return s->problem->seconds > 0 ? s->problem->seconds - (now() - s->began) : 1e9;
}

static void open_part(struct search *s, double low, double high, double bound) {
  struct open_part part = {low, high, bound};
  BF_PUSH(s->open, s->nopen, s->capacity) = part;
}

static void prepare(struct search *s) {
  double cycles[2] = {0, 0};
  s->part.product = s->problem->objective == BFX_EDP;
  for (size_t i = 0; i < s->problem->nlimits; i++) {
    s->part.product = s->part.product || s->problem->limits[i].measure == BFX_EDP;
  }
  if (s->part.product) {
    bfx_metric_span(s->problem, BFX_CYCLES, cycles);
    bfx_metric_span(s->problem, BFX_ENERGY, s->part.energy);
  }
  if (s->problem->objective == BFX_EDP) {
    s->largest = cycles[1] * s->part.energy[1];
  } else {
    double span[2];
    bfx_metric_span(s->problem, s->problem->objective, span);
    s->largest = span[1];
  }
  s->part.ceiling = s->out->choice ? s->out->value[s->problem->objective] : INFINITY;
  s->largest = fmin(s->largest, s->part.ceiling);
  // A chord needs an interval away from 0; so near it the solver takes both for the same.
  double high = fmax(cycles[1], 1e-30);
  open_part(s, fmax(cycles[0], high * 1e-12), high, 0);
}

static struct open_part take_best(struct search *s) {
  size_t best = 0;
  for (size_t i = 1; i < s->nopen; i++) {
    best = s->open[i].bound < s->open[best].bound ? i : best;
  }
  struct open_part part = s->open[best];
  s->open[best] = s->open[--s->nopen];
  return part;
}

// Keeps the latest assignment if it is feasible and the best so far.
static bool keep(struct search *s, const double value[BFX_MEASURES]) {
  struct bfx_solution *out = s->out;
  unsigned objective = s->problem->objective;
  bool fits = bfx_within(s->problem, value);
  if (fits && (!out->choice || value[objective] < out->value[objective])) {
    free(out->choice);
    out->choice = bf_alloc(s->problem->nitems, sizeof *out->choice);
    memcpy(out->choice, s->choice, s->problem->nitems * sizeof *out->choice);
    memcpy(out->value, value, sizeof out->value);
  }
  return fits;
}

static void rule_out(struct search *s) {
  unsigned *copy = bf_alloc(s->problem->nitems, sizeof *copy);
  memcpy(copy, s->choice, s->problem->nitems * sizeof *copy);
  BF_PUSH(s->cuts.items, s->cuts.count, s->cuts.capacity) = copy;
}

// After a program of the part found an assignment: closes the part, divides it, or rules the assignment out.
static void conclude(struct search *s, const struct open_part *part, double bound) {
  double value[BFX_MEASURES];
  bfx_evaluate(s->problem, s->choice, value);
  bool fits = keep(s, value), product = s->problem->objective == BFX_EDP;
  if (fits && (!product || value[BFX_EDP] <= bound + BFX_PRECISION * s->largest)) {
    return;  // the relaxation's optimum is a true one: nothing better in this part
  }
  double cycles = value[BFX_CYCLES], margin = BFX_TOLERANCE * part->high;
  if (s->part.product && cycles > part->low + margin && cycles < part->high - margin) {
    open_part(s, part->low, cycles, bound);
    open_part(s, cycles, part->high, bound);
    return;
  }
  // At an end of the interval the bound is exact: what remains is rounding inside the solver. This one assignment is settled, whether kept
  // or over a budget by less than the solver sees; the others of the part are not.
  rule_out(s);
  open_part(s, part->low, part->high, bound);
}

// One round; false when time is up.
static bool step(struct search *s) {
  struct open_part part = take_best(s);
  if (s->out->choice && part.bound >= s->out->value[s->problem->objective] - BFX_PRECISION * s->largest) {
    return true;
  }
  double left = time_left(s);
  if (left <= 0) {
    open_part(s, part.low, part.high, part.bound);
    return false;
  }
  s->part.low = part.low;
  s->part.high = part.high;
  s->out->programs++;
  struct bfx_result r = bfx_program_solve(s->problem, &s->part, &s->cuts, left, s->choice);
  double bound = fmax(part.bound, r.bound);
  if (!r.complete) {
    double value[BFX_MEASURES];
    if (r.feasible) {
      bfx_evaluate(s->problem, s->choice, value);
      keep(s, value);
    }
    open_part(s, part.low, part.high, bound);
    return false;
  }
  if (r.feasible) {
    conclude(s, &part, bound);
  }
  return true;
}

static void finish(struct search *s, bool ended) {
  struct bfx_solution *out = s->out;
  out->outcome = out->choice ? ended ? BFX_OPTIMAL : BFX_FEASIBLE : ended ? BFX_INFEASIBLE : BFX_UNKNOWN;
  out->bound = out->choice ? out->value[s->problem->objective] : INFINITY;
  for (size_t i = 0; i < s->nopen; i++) {
    out->bound = fmin(out->bound, s->open[i].bound);
  }
  for (size_t i = 0; i < s->cuts.count; i++) {
    free(s->cuts.items[i]);
  }
  free(s->cuts.items);
  free(s->open);
  free(s->choice);
  out->seconds = now() - s->began;
}

// One whole search, at the scale of the best assignment known. Returns that scale, or 0 if the time was up.
static double search(const struct bfx_problem *problem, struct bfx_solution *out, double began) {
  struct search s = {.problem = problem, .out = out, .began = began};
  s.choice = bf_alloc(problem->nitems, sizeof *s.choice);
  prepare(&s);
  bool ended = true;
  while (ended && s.nopen > 0) {
    ended = step(&s);
  }
  finish(&s, ended);
  return ended ? s.largest : 0;
}

void bfx_solve(const struct bfx_problem *problem, struct bfx_solution *out) {
  memset(out, 0, sizeof *out);
  double began = now(), scale, value;
  // The solver's tolerances are relative to its scale. When the optimum turns out to be far below the scale, what is
  // dearer than it is dropped and the search done again at its own scale.
  do {
    scale = search(problem, out, began);
    value = out->choice ? out->value[problem->objective] : 0;
  } while (value > 0 && value * 10 < scale);
  glp_free_env();
}

void bfx_solution_free(struct bfx_solution *solution) { free(solution->choice); }
