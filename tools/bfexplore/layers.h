// SPDX-License-Identifier: Apache-2.0
// The layers whose widths are chosen, what each width costs them, and the problem made of it.
#ifndef BFX_LAYERS_H
#define BFX_LAYERS_H

#include "base/bf_diag.h"
#include "ir/graph.h"
#include "ir/names.h"
#include "tools/bfexplore/solve.h"

struct bfx_layer {
  const char *name;          // of the graph
  uint64_t macs, params;
  unsigned fixed;            // width that is prescribed, 0: free
  size_t tie;                // index of a layer with the same width, or its own (a forest: bfx_layers_root)
  bool rated;                // the sensitivity file has it
  uint32_t widths;           // bit b: width b is rated
  double sensitivity[BFX_MAX_BITS + 1];
};

struct bfx_layers {
  struct bfx_layer *items;   // owned
  size_t count;
  struct bf_names names;
};

// All layers of the graph with weights. False: there are none (an error was added).
bool bfx_layers_find(const struct bf_graph *graph, struct bfx_layers *out, struct bf_diags *diags);
void bfx_layers_free(struct bfx_layers *layers);
// Index of the layer, or layers->count and an error at `range` (without a source: about `file`).
size_t bfx_layers_index(const struct bfx_layers *layers, const char *name, struct bf_range range, const char *file,
                        struct bf_diags *diags);
void bfx_layers_tie(struct bfx_layers *layers, size_t a, size_t b);
size_t bfx_layers_root(const struct bfx_layers *layers, size_t layer);
// Sensitivities, ties and fixed widths of the file (docs/bfexplore.md). False: errors were added.
bool bfx_sensitivity_read(const char *path, struct bfx_layers *layers, struct bf_diags *diags);

// What each width costs each layer: the interface between those who know costs and the solver. A provider fills `value` of its
// metrics and sets their bits in `known`; a cost that isn't given is NAN.
struct bfx_costs {
  unsigned known;            // bit m: metric m
  double base[BFX_METRICS];  // of what has no width of its own
  struct bfx_layer_costs {
    double value[BFX_MAX_BITS + 1][BFX_METRICS];
  } *layers;                 // owned; as many as bfx_layers
};
void bfx_costs_init(struct bfx_costs *costs, size_t layers);
void bfx_costs_free(struct bfx_costs *costs);
// Adds to a layer's cycles and energy (J) at that width, which may be unknown until then.
void bfx_costs_add(struct bfx_layer_costs *costs, unsigned bits, double cycles, double energy);
// Provider: size and bops from the graph's numbers. `activation_bits` 0: as wide as the weights.
void bfx_costs_model(const struct bfx_layers *layers, unsigned activation_bits, struct bfx_costs *costs);
// Provider: a table of costs (docs/bfexplore.md). False: errors were added.
bool bfx_costs_read(const char *path, const struct bfx_layers *layers, struct bfx_costs *costs, struct bf_diags *diags);
// Provider: cycles and energy of the compiler's JSON report of the network with all layers at `bits`. A layer without weights counts to the
// nearest one with weights before it.
bool bfx_costs_report(const char *path, unsigned bits, const struct bfx_layers *layers, struct bfx_costs *costs,
                      struct bf_diags *diags);

// Makes the items (one a group of tied layers) of widths among `bits` (bit b: width b). item_of[layer] is its item.
// False: errors were added, about `file`.
bool bfx_items_make(const struct bfx_layers *layers, const struct bfx_costs *costs, uint32_t bits, const char *file,
                    struct bfx_problem *problem, size_t *item_of, struct bf_diags *diags);

#endif
