// SPDX-License-Identifier: Apache-2.0
// A network at the widths of a profile (docs/language.md, "Profiles"), and the ways to write one on a command line.
#ifndef BFX_VARIANT_H
#define BFX_VARIANT_H

#include "ir/graph.h"

// The graph of a profile, and the one that it was made of where that must stay.
struct bfx_variant { struct bf_graph *graph, *base; };

// The graph of the profile, as the compiler makes it (bf_graph_narrow). Takes `base` over (NULL: does nothing). False and an error in
// diags: an entry for no layer, or a layer that cannot be narrowed. bfx_variant_free in either case.
bool bfx_variant_make(struct bfx_variant *out, struct bf_graph *base, const struct bf_profile *profile, struct bf_diags *diags);
void bfx_variant_free(struct bfx_variant *variant);
// Layers with weights, which profiles speak of.
bool bfx_is_layer(const struct bf_node *node);
void bfx_profile_add(struct bf_profile *profile, const char *layer, unsigned bits_w, unsigned bits_a);
// An entry for every layer with weights that has none yet. Additions keep their widths.
void bfx_profile_add_layers(struct bf_profile *profile, const struct bf_graph *graph, unsigned bits_w, unsigned bits_a);
// Reads a profile: "base" (nothing is narrowed), "wBaB" (all layers with weights), "ends8:wBaB" (the same, but 8 bits in the first and the last layer), "hawq:COLUMN"
// (HAWQ-V3's table of the network: `table` is "resnet18" or "resnet50"), or a file with a `profile` block (its name has a '.' or a '/').
// `graph` gives the layers' names. False and an error in diags.
bool bfx_profile_read(const char *text, const char *table, const struct bf_graph *graph, struct bf_profile *out, struct bf_diags *diags);
void bfx_profile_free(struct bf_profile *profile);  // of entries added by bfx_profile_add

#endif
