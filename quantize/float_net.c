// SPDX-License-Identifier: Apache-2.0
#include "quantize/float_net.h"

#include <stdlib.h>

bool bf_float_computes(enum bf_float_op op) {
  static const bool computes[] = {
#define BF_FLOAT_OP(id, flag) flag,
#include "quantize/float_ops.def"
  };
  return computes[op];
}

void bf_float_net_free(struct bf_float_net *net) {
  if (!net) return;
  free(net->nodes);
  bf_arena_free(&net->arena);
  free(net);
}

uint64_t bf_float_elements(const struct bf_float_node *node) { return node->h * node->w * node->c; }

bool bf_float_layer(const struct bf_float_node *node) { return node->op == BF_FLOAT_CONV || node->op == BF_FLOAT_DENSE; }

uint64_t bf_float_macs(const struct bf_float_node *node) {
  return bf_float_layer(node) ? bf_float_elements(node) * node->depth : 0;
}
