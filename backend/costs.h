// SPDX-License-Identifier: Apache-2.0
// Costs of a network without making its code: analysed once, then priced for any machine that gets the same code, in any technology and at any
// supply, in about a millisecond. Equal, number by number, to ap_static_account of the program that bf_compile would make for that
// machine and technology.
#ifndef BF_COSTS_H
#define BF_COSTS_H

#include "backend/compiler.h"
#include "backend/cost_cache.h"

struct bf_costs;

// A network that was analysed before with these options, or NULL. network: the hash of all that the graph is made of, by the caller's choice
// (of a file: bf_load_digest). Of options the machine, the objective, mapping, level, batch and passes count; technology and supply don't.
struct bf_costs *bf_costs_find(struct bf_cost_cache *cache, const struct bf_digest *network, const struct bf_compile_options *options);
// Analyses a verified graph, which must outlive the call only. cache: may be NULL; layers with contents that it knows are not analysed again.
// network: the name for bf_costs_find, or NULL. NULL and errors in diags if a layer cannot be mapped or allocated.
struct bf_costs *bf_costs_analyse(const struct bf_graph *graph, const struct bf_digest *network, const struct bf_compile_options *options,
                                  struct bf_cost_cache *cache, struct bf_diags *diags);
void bf_costs_free(struct bf_costs *costs);  // may be NULL

// Names of the profiles that the graph had. These costs are those of the network as it is written: a profile's own are of the graph that
// bf_graph_apply_profile makes, which has none. The layers that both have are analysed once.
uint32_t bf_costs_profiles(const struct bf_costs *costs);
const char *bf_costs_profile(const struct bf_costs *costs, uint32_t index);
uint32_t bf_costs_layers(const struct bf_costs *costs);  // number of layers, in the order of the graph
// Whether bf_compile would make the same code for this machine and technology (backend/code_facts.def): then, and only then, it can be priced.
bool bf_costs_fit(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech);
// Of all that decides the code beside the network: with equal digests, an analysis for one of the options fits the other.
struct bf_digest bf_code_digest(const struct bf_compile_options *options);
// Accounts per layer (array of bf_costs_layers) and total (may be NULL). Pure: threads may price one bf_costs at the same time. False, and nothing
// written, if machine and technology don't fit.
bool bf_costs_price(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech,
                    struct ap_account *layers, struct ap_account *total);
// What reports show of the program (network, layers with their names, mappings, MACs; no code). It refers to costs, machine and tech;
// the caller frees nothing.
void bf_costs_program(const struct bf_costs *costs, const struct ap_machine *machine, const struct ap_technology *tech,
                      struct ap_program *out);

#endif
