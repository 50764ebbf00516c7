// SPDX-License-Identifier: Apache-2.0
#include "backend/measure.h"

#include <stdlib.h>

// Of the choices as they are; nothing is printed, and errors are not told: who compiles such choices is told them.
static struct ap_summary *analyse(const struct bf_unit *unit, const struct bf_choice *choices, struct bf_measurer *m) {
  struct bf_compile_options o = *m->options;
  struct bf_diags unheard = {0};
  o.passes = o.print_after = NULL;
  o.print_out = NULL;
  o.times = NULL;
  o.choices = NULL;
  o.columns = NULL;
  o.verify_each = false;
  if (!m->cache) {
    m->cache = bf_cost_cache_new(NULL);
    m->own = true;
  }
  struct ap_summary *summary = bf_analyse(unit->graph, &o, m->cache, choices, NULL, NULL, &unheard);
  bf_diags_free(&unheard);
  return summary;
}

static bool measure(const struct bf_unit *unit, const struct bf_choice *choices, struct bf_node_cost *costs) {
  struct bf_measurer *m = unit->measure_context;
  struct ap_summary *summary = analyse(unit, choices, m);
  if (!summary) return false;
  uint32_t count = summary->head.nlayers;
  struct ap_account *layers = bf_alloc(count + 1, sizeof *layers);
  ap_summary_price(summary, unit->machine, unit->tech, layers, NULL);
  for (uint32_t i = 0; i < count; i++)
    costs[i] = (struct bf_node_cost){(double)layers[i].time.compute, (double)layers[i].time.cycles, layers[i].energy_j};
  free(layers);
  ap_summary_free(summary);
  return true;
}

void bf_measure_with(struct bf_unit *unit, struct bf_measurer *measurer) {
  unit->measure = measure;
  unit->measure_context = measurer;
}

void bf_measurer_end(struct bf_measurer *measurer) {
  if (measurer->own) bf_cost_cache_free(measurer->cache);
  *measurer = (struct bf_measurer){0};
}
