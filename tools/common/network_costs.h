// SPDX-License-Identifier: Apache-2.0
// Costs of a network in a file, by way of the cache.
#ifndef TOOL_NETWORK_COSTS_H
#define TOOL_NETWORK_COSTS_H

#include "backend/costs.h"
#include "frontend/load.h"

// The folder of the cache: the value of --cache (may be NULL), else $BFIMNA_CACHE, else $XDG_CACHE_HOME/bfimna, else ~/.cache/bfimna. NULL for
// "none", or if there is no such place. The caller frees it.
char *tool_cache_folder(const char *option);

// What was known about a network, and the time in seconds that it took.
struct tool_costs_story { bool found; double digest_s, find_s, load_s, analyse_s; };

// A network whose costs are asked for, profile by profile. It is read from its file when the first profile is not found in the cache.
struct tool_network {
  const char *path;
  const struct bf_load_options *load;
  const struct bf_compile_options *options;
  struct bf_cost_cache *cache;     // may be NULL
  struct bf_diags *diags;
  struct tool_costs_story story;   // found: all that was asked for; times are sums
  // Inside:
  bool named;
  struct bf_digest digest;
  size_t said;
  struct bf_graph *graph;
};
// The caller has set the members before `story`, which must outlive the network, and the others to 0.
void tool_network_open(struct tool_network *network);
void tool_network_close(struct tool_network *network);
// Costs of a profile (NULL: the network as it is written, with the names of its profiles). NULL and errors in diags if that can't be
// done. What loading and analysing have to say is said each time: such a network is not found again.
struct bf_costs *tool_network_costs(struct tool_network *network, const char *profile);

// All in one, of the network as it is written: found in the cache, else loaded and analysed. story: may be NULL.
struct bf_costs *tool_costs_open(const char *path, const struct bf_load_options *load, const struct bf_compile_options *options,
                                 struct bf_cost_cache *cache, struct tool_costs_story *story, struct bf_diags *diags);

#endif
