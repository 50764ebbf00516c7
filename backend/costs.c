// SPDX-License-Identifier: Apache-2.0
#include "backend/costs.h"

#include <stdlib.h>

#include "backend/analyse.h"
#include "backend/code_facts.h"

struct bf_costs {
  struct ap_summary *summary;
  enum bf_objective objective;
  struct bf_code_facts facts;  // that the code was chosen for
};

static struct bf_costs *costs_of(struct ap_summary *summary, const struct bf_compile_options *options) {
  if (!summary) return NULL;
  struct bf_costs *costs = bf_alloc(1, sizeof *costs);
  costs->summary = summary;
  costs->objective = options->objective;
  costs->facts = bf_code_facts_of(&options->machine, &options->tech, options->objective);
  return costs;
}

// Pipelines of the user's own, and runs that are to show the passes at work, are not for the cache.
static bool plain(const struct bf_compile_options *o) { return !o->passes && !o->print_after && !o->verify_each; }

struct bf_costs *bf_costs_find(struct bf_cost_cache *cache, const struct bf_digest *network, const struct bf_compile_options *options) {
  if (!cache || !plain(options)) return NULL;
  struct bf_digest key = bf_network_key(network, options);
  return costs_of(bf_cost_cache_network(cache, &key), options);
}

struct bf_costs *bf_costs_analyse(const struct bf_graph *graph, const struct bf_digest *network, const struct bf_compile_options *options,
                                  struct bf_cost_cache *cache, struct bf_diags *diags) {
  struct bf_digest *keys = bf_alloc(graph->nnodes, sizeof *keys);
  bool cached = cache && plain(options);
  struct ap_summary *summary = bf_analyse(graph, options, cached ? cache : NULL, NULL, keys, NULL, diags);
  if (summary && cached && network) {
    struct bf_digest key = bf_network_key(network, options);
    bf_cost_cache_add_network(cache, &key, summary, keys);
  }
  free(keys);
  return costs_of(summary, options);
}

void bf_costs_free(struct bf_costs *costs) {
  if (!costs) return;
  ap_summary_free(costs->summary);
  free(costs);
}

uint32_t bf_costs_profiles(const struct bf_costs *costs) { return costs->summary->nprofiles; }
const char *bf_costs_profile(const struct bf_costs *costs, uint32_t index) { return costs->summary->profiles[index]; }

uint32_t bf_costs_layers(const struct bf_costs *costs) { return costs->summary->head.nlayers; }

bool bf_costs_fit(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech) {
  struct bf_code_facts facts = bf_code_facts_of(machine, tech, costs->objective);
  return bf_code_facts_equal(&costs->facts, &facts);
}

struct bf_digest bf_code_digest(const struct bf_compile_options *options) { return bf_network_key(&(struct bf_digest){{0}}, options); }

bool bf_costs_price(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech,
                    struct ap_account *layers, struct ap_account *total) {
  if (!bf_costs_fit(costs, machine, tech)) return false;
  ap_summary_price(costs->summary, machine, tech, layers, total);
  return true;
}

void bf_costs_program(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech,
                      struct ap_program *out) {
  *out = costs->summary->head;
  out->machine = *machine;
  out->tech = (char *)tech->name;
  out->vdd = tech->vdd;
}
