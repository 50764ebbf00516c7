// SPDX-License-Identifier: Apache-2.0
// The network is analysed, not compiled (backend/costs.h); what it costs is equal to what the compiled program would.
#include "tools/bfexplore/price.h"

#include <stdlib.h>
#include <string.h>

#include "backend/costs.h"

struct bfx_code {
  struct bf_costs *costs;
  struct ap_machine machine;
  struct ap_technology tech;   // that it was selected for, for the program's description
  struct ap_program program;   // names and numbers of layers; refers to the three above
};

struct bfx_code *bfx_code_new(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_cache *cache,
                              struct bf_diags *diags) {
  struct bf_costs *costs = bf_costs_analyse(graph, NULL, options, cache, diags);
  if (!costs) {
    return NULL;
  }
  struct bfx_code *code = bf_alloc(1, sizeof *code);
  code->costs = costs;
  code->machine = options->machine;
  code->tech = options->tech;
  code->tech.provenance = NULL;  // the caller's
  bf_costs_program(costs, &code->machine, &code->tech, &code->program);
  return code;
}

void bfx_code_free(struct bfx_code *code) {
  if (!code) {
    return;
  }
  bf_costs_free(code->costs);
  free(code);
}

const struct ap_program *bfx_code_program(const struct bfx_code *code) { return &code->program; }

bool bfx_code_price(struct bfx_code *code, const struct ap_technology *tech, struct bfx_price *out) {
  memset(out, 0, sizeof *out);
  if (!bf_costs_fit(code->costs, &code->machine, tech)) {
    return false;
  }
  out->layers = bf_alloc(bf_costs_layers(code->costs) + 1, sizeof *out->layers);
  bf_costs_price(code->costs, &code->machine, tech, out->layers, &out->total);
  struct ap_report report = {.program = &code->program, .tech = tech, .layers = out->layers, .total = &out->total};
  out->figures = ap_report_figures(&report);
  return true;
}

void bfx_price_free(struct bfx_price *price) { free(price->layers); }
