// SPDX-License-Identifier: Apache-2.0
// What a network's code costs, layer by layer, with the sums of products apart, and why it was chosen: for those who study the code. Nothing is
// emitted, so that networks may be larger than a program can be. The accounts equal ap_static_account's of the compiled program.
#ifndef BF_COST_SPLIT_H
#define BF_COST_SPLIT_H

#include "backend/compiler.h"
#include "isa/ledger.h"

struct bf_layer_cost {
  const struct bf_node *node;   // of the graph
  const char *mapping;          // bf_cost_split's
  struct ap_account all;
  // The sum of products alone, of conv2d and dense: loads, multiplications, accumulation, reduction. Regions end for it where
  // requantization begins.
  struct ap_account gemm;
  unsigned columns_used;
};
struct bf_cost_split {
  struct bf_layer_cost *layers;
  size_t nlayers;
  struct bf_choice *choices;    // by node
  struct ap_account all, gemm;
  struct ap_summary *summary;   // holds texts
};
// Runs the passes of `options` on a verified graph. False: errors were added. Free with bf_cost_split_free.
bool bf_cost_split_of(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_split *out, struct bf_diags *diags);
void bf_cost_split_free(struct bf_cost_split *split);

#endif
