// SPDX-License-Identifier: Apache-2.0
// The layers with weights, their ties, and the problem made of them.
#include "tools/bfexplore/layers.h"

#include <math.h>
#include <stdlib.h>

bool bfx_layers_find(const struct bf_graph *graph, struct bfx_layers *out, struct bf_diags *diags) {
  out->items = bf_alloc(graph->nnodes + 1, sizeof *out->items);
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    uint64_t macs = bf_node_macs(node);
    if (macs > 0) {
      out->items[out->count] = (struct bfx_layer){.name = node->name, .macs = macs, .params = node->inputs[1]->elements,
                                                  .tie = out->count};
      bf_names_add(&out->names, node->name, (uint32_t)out->count);
      out->count++;
    }
  }
  if (out->count == 0) {
    bf_error_file(diags, NULL, NULL, "the network has no layer with weights: there is nothing to choose");
  }
  return out->count > 0;
}

void bfx_layers_free(struct bfx_layers *layers) {
  bf_names_free(&layers->names);
  free(layers->items);
}

size_t bfx_layers_index(const struct bfx_layers *layers, const char *name, struct bf_range range, const char *file,
                        struct bf_diags *diags) {
  uint32_t found = bf_names_find(&layers->names, name);
  if (found != BF_NAME_NONE) {
    return found;
  }
  const char **names = bf_alloc(layers->count, sizeof *names);
  for (size_t i = 0; i < layers->count; i++) {
    names[i] = layers->items[i].name;
  }
  const char *near = bf_nearest(name, names, layers->count);
  char *hint = near ? bf_format("did you mean `%s`?", near) : NULL;
  if (range.source) {
    bf_error_at(diags, range, hint, "the network has no layer with weights named `%s`", name);
  } else {
    bf_error_file(diags, file, hint, "the network has no layer with weights named `%s`", name);
  }
  free(hint);
  free(names);
  return layers->count;
}

size_t bfx_layers_root(const struct bfx_layers *layers, size_t layer) {
  while (layers->items[layer].tie != layer) {
    layer = layers->items[layer].tie;
  }
  return layer;
}

void bfx_layers_tie(struct bfx_layers *layers, size_t a, size_t b) {
  a = bfx_layers_root(layers, a);
  b = bfx_layers_root(layers, b);
  // The first layer of a group is its root: items keep the order of the network.
  layers->items[a > b ? a : b].tie = a > b ? b : a;
}

// Widths that all layers of the group may have.
static uint32_t group_widths(const struct bfx_layers *layers, size_t root, uint32_t bits) {
  uint32_t free_widths = bits, fixed = 0, all = ~UINT32_C(0);
  for (size_t i = root; i < layers->count; i++) {
    const struct bfx_layer *layer = &layers->items[i];
    if (bfx_layers_root(layers, i) != root) {
      continue;
    }
    if (layer->fixed) {
      fixed |= UINT32_C(1) << layer->fixed;
      all &= UINT32_C(1) << layer->fixed;
    } else {
      all &= layer->widths;
    }
  }
  return fixed ? all : all & free_widths;
}

// Adds the layer at that width to the choice. False: a cost is missing.
static bool add_layer(const struct bfx_layer *layer, const struct bfx_layer_costs *costs, unsigned known, const char *file,
                      struct bfx_choice *choice, struct bf_diags *diags) {
  bool has = layer->widths >> choice->bits & 1;
  choice->value[BFX_SENSITIVITY] += has ? layer->sensitivity[choice->bits] : 0;
  for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
    if (metric == BFX_SENSITIVITY || !(known >> metric & 1)) {
      continue;
    }
    double value = costs->value[choice->bits][metric];
    if (isnan(value)) {
      bf_error_file(diags, file, "give its cost, or leave the width out with --bits or --fix",
                    "layer `%s`: no cost in %s at %u bits is known", layer->name, bfx_measure_name(metric), choice->bits);
      return false;
    }
    choice->value[metric] += value;
  }
  return true;
}

static bool make_item(const struct bfx_layers *layers, const struct bfx_costs *costs, size_t root, uint32_t widths,
                      const char *file, struct bfx_item *item, struct bf_diags *diags) {
  for (unsigned bits = 1; bits <= BFX_MAX_BITS; bits++) {
    if (!(widths >> bits & 1)) {
      continue;
    }
    struct bfx_choice *choice = &item->choices[item->nchoices++];
    choice->bits = bits;
    for (size_t i = root; i < layers->count; i++) {
      if (bfx_layers_root(layers, i) == root &&
          !add_layer(&layers->items[i], &costs->layers[i], costs->known, file, choice, diags)) {
        return false;
      }
    }
  }
  return true;
}

bool bfx_items_make(const struct bfx_layers *layers, const struct bfx_costs *costs, uint32_t bits, const char *file,
                    struct bfx_problem *problem, size_t *item_of, struct bf_diags *diags) {
  problem->items = bf_alloc(layers->count, sizeof *problem->items);
  for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
    problem->base[metric] = costs->base[metric];
  }
  for (size_t i = 0; i < layers->count; i++) {
    const struct bfx_layer *layer = &layers->items[i];
    if (!layer->rated && !layer->fixed) {
      bf_error_file(diags, file, "rate it in the sensitivity file, or prescribe its width: --fix=LAYER:BITS",
                    "layer `%s` has no sensitivities", layer->name);
      return false;
    }
    size_t root = bfx_layers_root(layers, i);
    if (root != i) {
      item_of[i] = item_of[root];
      continue;
    }
    uint32_t widths = group_widths(layers, i, bits);
    if (!widths) {
      bf_error_file(diags, file, NULL, "layer `%s` and those tied to it have no width in common among those allowed", layer->name);
      return false;
    }
    item_of[i] = problem->nitems;
    if (!make_item(layers, costs, i, widths, file, &problem->items[problem->nitems++], diags)) {
      return false;
    }
  }
  return true;
}
