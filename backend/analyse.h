// SPDX-License-Identifier: Apache-2.0
// Analysis: the compiler's pipeline with a summary of its code as the result (isa/summary.h) in place of code. Inside the back end;
// the way in is backend/costs.h.
#ifndef BF_ANALYSE_H
#define BF_ANALYSE_H

#include "backend/compiler.h"
#include "backend/cost_cache.h"
#include "isa/summary.h"

// The summary of what bf_compile would make, priced alike in every layer. Layers that `cache` (may be NULL) knows are not lowered; the others
// go into it. given: choices to analyse, by node, or NULL for those that the compiler makes. keys, if not NULL: receives the key of each layer. NULL and errors in diags where bf_compile would fail.
// details: NULL, or filled (cache must be NULL then); the code may have more tiles than a program then.
struct bf_code_details {
  struct ap_summary *gemm;     // of sums of products alone (conv2d, dense): without what begins with a region's requantization. ap_summary_free
  struct bf_choice *choices;   // by node; free
};
struct ap_summary *bf_analyse(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_cache *cache,
                              const struct bf_choice *given, struct bf_digest *keys, struct bf_code_details *details, struct bf_diags *diags);

// Keys: everything that decides the summary of a layer, of a network.
struct bf_digest bf_layer_key(const struct bf_unit *unit, const struct bf_node *node);
struct bf_digest bf_network_key(const struct bf_digest *network, const struct bf_compile_options *options);

#endif
