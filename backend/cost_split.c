// SPDX-License-Identifier: Apache-2.0
#include "backend/cost_split.h"

#include <stdlib.h>

#include "backend/analyse.h"

bool bf_cost_split_of(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_split *out, struct bf_diags *diags) {
  struct bf_code_details details;
  *out = (struct bf_cost_split){.summary = bf_analyse(graph, options, NULL, NULL, NULL, &details, diags)};
  if (!out->summary) return false;
  size_t count = graph->nnodes;
  struct ap_account *all = bf_alloc(count + 1, sizeof *all), *gemm = bf_alloc(count + 1, sizeof *gemm);
  ap_summary_price(out->summary, &options->machine, &options->tech, all, &out->all);
  ap_summary_price(details.gemm, &options->machine, &options->tech, gemm, &out->gemm);
  out->layers = bf_alloc(count + 1, sizeof *out->layers);
  out->nlayers = count;
  out->choices = details.choices;
  for (size_t i = 0; i < count; i++) {
    const struct ap_layer_summary *layer = out->summary->layers[i];
    out->layers[i] = (struct bf_layer_cost){graph->nodes[i], layer->mapping, all[i], gemm[i], layer->columns_used};
  }
  ap_summary_free(details.gemm);
  free(all);
  free(gemm);
  return true;
}

void bf_cost_split_free(struct bf_cost_split *split) {
  ap_summary_free(split->summary);
  free(split->layers);
  free(split->choices);
  *split = (struct bf_cost_split){0};
}
