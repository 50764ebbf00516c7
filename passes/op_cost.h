// SPDX-License-Identifier: Apache-2.0
// What additions of the field IR cost on a machine, from the microcode that will do them.
#ifndef BF_OP_COST_H
#define BF_OP_COST_H

#include "passes/pass.h"

struct bf_op_cost { float cycles, energy; bool known; };  // energy: J a row, 0 without a technology
struct bf_op_costs {
  const struct bf_unit *unit;
  unsigned features;
  struct bf_op_cost at[5][65][65];  // set, copy, not, add, sub; width of d, of a
};
struct bf_op_costs *bf_op_costs_new(const struct bf_unit *unit);  // heap: free()
// Of operations setk, copy, not, add, sub; nothing for others (loads and stores are counted elsewhere).
struct bf_op_cost bf_op_cost_of(struct bf_op_costs *costs, const struct bf_region *region, const struct bf_fop *op);

#endif
