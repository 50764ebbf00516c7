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

// Costs of the network at `path`: found in the cache, else loaded and analysed. NULL and errors in diags if that can't be done. What loading
// and analysing have to say is said each time: such a network is not found again. story: may be NULL.
struct bf_costs *tool_costs_open(const char *path, const struct bf_load_options *load, const struct bf_compile_options *options,
                                 struct bf_cost_cache *cache, struct tool_costs_story *story, struct bf_diags *diags);

#endif
