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

struct bf_float_net *bf_float_net_load(const char *path, const char *hint, struct bf_diags *diags) {
  char *data;
  size_t length;
  if (!bf_diags_read(diags, path, hint, &data, &length)) return NULL;
  struct bf_float_net *net = bf_float_net_read(data, length, path, diags);
  free(data);
  return net;
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
