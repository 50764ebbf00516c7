// SPDX-License-Identifier: Apache-2.0
// The choice of one width for each item as an integer program: a measure is minimised, others are bounded.
#ifndef BFX_SOLVE_H
#define BFX_SOLVE_H

#include "base/bf_base.h"

enum bfx_metric {
#define BFX_METRIC(id, ...) BFX_##id,
#include "tools/bfexplore/metrics.def"
  BFX_METRICS,
  BFX_EDP = BFX_METRICS,  // a measure, no metric: energy times cycles (energy-delay product in joule cycles)
  BFX_MEASURES
};
const char *bfx_measure_name(unsigned measure);
const char *bfx_measure_unit(unsigned measure);
// The measure of that name, or -1.
int bfx_measure_find(const char *name, size_t length);

#define BFX_MAX_BITS 16u
#define BFX_MAX_VALUE 1e30        // largest cost or sensitivity of one layer; all are >= 0
#define BFX_TOLERANCE 1e-9        // relative, of a budget: an assignment within it meets the budget
#define BFX_PRECISION 1e-7        // the resolution of the proof of optimality, relative to at most 10 times the objective found

// Items that share one width: a layer, or several that are tied.
struct bfx_item {
  unsigned nchoices;  // 1..BFX_MAX_BITS, widths ascending
  struct bfx_choice {
    unsigned bits;
    double value[BFX_METRICS];
  } choices[BFX_MAX_BITS];
};

struct bfx_limit {
  unsigned measure;
  double value;  // > 0 if the measure is BFX_EDP
};

struct bfx_problem {
  struct bfx_item *items;      // owned by the caller
  size_t nitems;
  double base[BFX_METRICS];    // what doesn't depend on the choice
  unsigned objective;          // measure
  const struct bfx_limit *limits;
  size_t nlimits;
  double seconds;              // time for the search; 0: no limit
};

enum bfx_outcome {
  BFX_OPTIMAL,     // proven
  BFX_FEASIBLE,    // time was up: meets the budgets, `bound` says what may still be gained
  BFX_INFEASIBLE,  // proven: no assignment meets the budgets
  BFX_UNKNOWN,     // time was up before one was found
};

struct bfx_solution {
  enum bfx_outcome outcome;
  unsigned *choice;             // a choice of each item (heap; bfx_solution_free); only if OPTIMAL or FEASIBLE
  double value[BFX_MEASURES];   // of that assignment, base included
  double bound;                 // no assignment that meets the budgets has a smaller objective (up to BFX_PRECISION)
  uint64_t programs;            // integer programs solved; more than one only where EDP takes part
  double seconds;
};

// Solves exactly; at most one of objective and limits may be BFX_EDP (checked by the caller).
void bfx_solve(const struct bfx_problem *problem, struct bfx_solution *out);
void bfx_solution_free(struct bfx_solution *solution);

// All measures of an assignment.
void bfx_evaluate(const struct bfx_problem *problem, const unsigned *choice, double value[BFX_MEASURES]);
// Whether the values meet every budget, within BFX_TOLERANCE.
bool bfx_within(const struct bfx_problem *problem, const double value[BFX_MEASURES]);

#endif
