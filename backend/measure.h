// SPDX-License-Identifier: Apache-2.0
// Exact costs of choices, for the pass `map`. Inside the back end.
#ifndef BF_MEASURE_H
#define BF_MEASURE_H

#include "backend/analyse.h"

// What bf_unit.measure works with. cache: where analyses of layers are found and kept, so that a layer is analysed once for each plan;
// NULL: in one of its own, made when something is measured.
struct bf_measurer {
  const struct bf_compile_options *options;
  struct bf_cost_cache *cache;
  bool own;
};
// Lets `unit` measure through `measurer`, which must outlive the unit's passes.
void bf_measure_with(struct bf_unit *unit, struct bf_measurer *measurer);
void bf_measurer_end(struct bf_measurer *measurer);

#endif
