// SPDX-License-Identifier: Apache-2.0
// Cycles of a layer that no schedule of our schemes can do without on a machine. The argument is in docs/compiler.md.
#ifndef BF_BOUND_H
#define BF_BOUND_H

#include "passes/pass.h"

struct bf_bound {
  double cycles;                   // of any scheme
  double movement;                 // ports busy with what must come in and go out once
  double depth;                    // additions that follow each other
  double additions[BF_SCHEME_COUNT];  // all rows of all CAPs always busy; 0 for operators other than conv2d and dense
};
// Of a node; `unit` gives machine and technology.
struct bf_bound bf_bound_of(const struct bf_unit *unit, const struct bf_node *node);
// The same for code of one scheme.
double bf_bound_scheme(const struct bf_bound *bound, enum bf_scheme scheme);

#endif
