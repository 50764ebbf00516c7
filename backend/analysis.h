// SPDX-License-Identifier: Apache-2.0
// What a network's code costs, layer by layer, without emitting it: regions come through all passes, are measured and dropped. The
// accounts equal ap_static_account's of the compiled program (a test holds them against each other).
#ifndef BF_ANALYSIS_H
#define BF_ANALYSIS_H

#include "backend/compiler.h"
#include "isa/ledger.h"

struct bf_layer_cost {
  const struct bf_node *node;   // of the graph
  const char *mapping;          // static text
  struct ap_account all;
  // The sum of products alone, of conv2d and dense: loads, multiplications, accumulation, reduction. Regions end for it where
  // requantization begins.
  struct ap_account gemm;
  unsigned columns_used;
  size_t regions;
};
struct bf_analysis {
  struct bf_layer_cost *layers;
  size_t nlayers;
  struct bf_choice *choices;    // by node
  struct ap_account all, gemm;
};
// Runs the passes of `options` on a verified graph. False: errors were added. Free with bf_analysis_free.
bool bf_analyze(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_analysis *out, struct bf_diags *diags);
void bf_analysis_free(struct bf_analysis *analysis);

#endif
