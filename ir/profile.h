// SPDX-License-Identifier: Apache-2.0
// Profiles: the same network at other bit widths, layer by layer. docs/language.md ("Profiles") gives the meaning; this is it.
// Compiler and reference evaluator both start from the graph that is made here.
#ifndef BF_PROFILE_H
#define BF_PROFILE_H

#include "ir/graph.h"

#define BF_PROFILE_BASE "base"  // the network as it is written; no profile may have this name

// The profile of that name, or NULL.
const struct bf_profile *bf_graph_find_profile(const struct bf_graph *graph, const char *name);

// The graph of a profile (BF_PROFILE_BASE: a plain copy), verified; it has no profiles itself. NULL and errors if there is no such
// profile, or if a layer cannot be brought to its widths. The caller frees the result, before `graph`: they share constants and names.
struct bf_graph *bf_graph_apply_profile(const struct bf_graph *graph, const char *name, struct bf_diags *diags);
// The same of a profile that need not be the network's (NULL: a plain copy). Its entries name layers, or are `default`.
struct bf_graph *bf_graph_narrow(const struct bf_graph *graph, const struct bf_profile *profile, struct bf_diags *diags);

// Names of what a profile adds, in `arena`: own weights ("w@low") and their scales ("w@low.scale") as constants have them.
char *bf_profile_member(struct bf_arena *arena, const char *constant, const char *profile, bool scale);

// Layers that choose, move or average elements: operands and result have one type, and the width of both is what the readers of
// the result want.
bool bf_op_keeps_type(enum bf_op op);

#endif
