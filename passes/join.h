// SPDX-License-Identifier: Apache-2.0
// How partial sums in memory become outputs: levels of additions through memory, then a last one with the requantization.
#ifndef BF_JOIN_H
#define BF_JOIN_H

#include "passes/requant_rows.h"

#define BF_MAX_JOIN_LEVELS 16

struct bf_join_shape {
  double pixels, channels;  // of the output, all images
  uint32_t parts;
  unsigned bits, out_bits;  // of a part, of an output
  double rows_cycles;       // of a requantization with constants in the rows; INFINITY: impossible
  double code_cycles;       // with constants in the code
};
// radix[i] parts are added on level i. `pixels`: at the end a row is an output pixel and each channel has its code, with constants in
// it; otherwise a row is an output element to the end.
struct bf_join_plan {
  unsigned levels;
  uint32_t radix[BF_MAX_JOIN_LEVELS];
  bool pixels;
  struct bf_join_cost cost;  // with the requantization
};
// What unit->joule makes of a cost.
double bf_join_score(const struct bf_unit *unit, const struct bf_join_cost *cost);
// Cost of `cycles` in all of `rows` rows of `caps` CAPs.
struct bf_join_cost bf_join_rows_cost(double rows, double caps, double cycles);
// The plan of the lowest score.
struct bf_join_plan bf_join_plan_of(const struct bf_unit *unit, const struct bf_join_shape *shape);

#endif
