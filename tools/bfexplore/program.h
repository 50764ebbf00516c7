// SPDX-License-Identifier: Apache-2.0
// One linear integer program over the choices, on GLPK.
#ifndef BFX_PROGRAM_H
#define BFX_PROGRAM_H

#include "tools/bfexplore/solve.h"

// Assignments that the search has ruled out one by one.
struct bfx_cuts {
  unsigned **items;
  size_t count, capacity;
};

// A part of the search: cycles lie in [low, high]. The product is replaced by a linear bound that is exact at both ends.
struct bfx_part {
  bool product;      // EDP takes part; else the interval is not used
  double low, high;
  double energy[2];  // least and largest energy of all assignments
  double ceiling;    // only assignments with an objective up to this are of interest; also the solver's scale
};

struct bfx_result {
  bool feasible, complete;  // an assignment was found; the search came to its end
  double bound;             // of the relaxed objective over the part; if not complete, the best proven so far
};

// Solves the part. `choice` has room for a choice of each item.
struct bfx_result bfx_program_solve(const struct bfx_problem *problem, const struct bfx_part *part,
                                    const struct bfx_cuts *cuts, double seconds, unsigned *choice);

// Least and largest value of a metric over all assignments, budgets aside.
void bfx_metric_span(const struct bfx_problem *problem, unsigned metric, double span[2]);

#endif
