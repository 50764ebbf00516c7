// SPDX-License-Identifier: Apache-2.0
// The providers of costs: closed model, table, reports of the compiler.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/json_file.h"
#include "tools/bfexplore/layers.h"

void bfx_costs_init(struct bfx_costs *costs, size_t layers) {
  memset(costs, 0, sizeof *costs);
  costs->layers = bf_alloc(layers, sizeof *costs->layers);
  for (size_t i = 0; i < layers; i++) {
    for (unsigned bits = 0; bits <= BFX_MAX_BITS; bits++) {
      for (unsigned metric = 0; metric < BFX_METRICS; metric++) {
        costs->layers[i].value[bits][metric] = NAN;
      }
    }
  }
}

void bfx_costs_free(struct bfx_costs *costs) { free(costs->layers); }

void bfx_costs_add(struct bfx_layer_costs *costs, unsigned bits, double cycles, double energy) {
  double *value = costs->value[bits];
  value[BFX_CYCLES] = (isnan(value[BFX_CYCLES]) ? 0 : value[BFX_CYCLES]) + cycles;
  value[BFX_ENERGY] = (isnan(value[BFX_ENERGY]) ? 0 : value[BFX_ENERGY]) + energy;
}

void bfx_costs_model(const struct bfx_layers *layers, unsigned activation_bits, struct bfx_costs *costs) {
  costs->known |= 1u << BFX_SIZE | 1u << BFX_BOPS;
  for (size_t i = 0; i < layers->count; i++) {
    const struct bfx_layer *layer = &layers->items[i];
    for (unsigned bits = 1; bits <= BFX_MAX_BITS; bits++) {
      costs->layers[i].value[bits][BFX_SIZE] = (double)layer->params * bits / 8;
      costs->layers[i].value[bits][BFX_BOPS] = (double)layer->macs * bits * (activation_bits ? activation_bits : bits);
    }
  }
}

// ---- a table

static bool read_cost(const struct bfx_json *file, const char *name, json_t *object, double value[BFX_METRICS], unsigned *known,
                      struct bf_diags *diags) {
  const char *key;
  json_t *number;
  if (!json_is_object(object)) {
    bf_error_at(diags, bfx_json_place(file, name), "for instance {\"cycles\": 1200, \"energy\": 3e-9}",
                "%s: costs by metric are expected", name);
    return false;
  }
  json_object_foreach(object, key, number) {
    int metric = bfx_measure_find(key, strlen(key));
    if (metric < 0 || metric >= BFX_METRICS || metric == BFX_SENSITIVITY) {
      bf_error_at(diags, bfx_json_place(file, key), "cycles, energy, size or bops", "%s: \"%s\" is no cost", name, key);
      return false;
    }
    if (!bfx_json_number(file, number, name, "a cost", BFX_MAX_VALUE, &value[metric], diags)) {
      return false;
    }
    *known |= 1u << metric;
  }
  return true;
}

static bool read_table_layer(const struct bfx_json *file, const char *name, json_t *widths, struct bfx_layer_costs *costs,
                             unsigned *known, struct bf_diags *diags) {
  const char *key;
  json_t *value;
  if (!json_is_object(widths)) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: costs by width are expected", name);
    return false;
  }
  json_object_foreach(widths, key, value) {
    unsigned bits = bfx_json_bits(file, key, name, diags);
    if (!bits || !read_cost(file, name, value, costs->value[bits], known, diags)) {
      return false;
    }
  }
  return true;
}

static bool read_table(const struct bfx_json *file, const struct bfx_layers *layers, struct bfx_costs *costs,
                       struct bf_diags *diags) {
  json_t *table = bfx_json_member(file, file->root, "layers", JSON_OBJECT, diags), *base = json_object_get(file->root, "base");
  if (!table || (base && !read_cost(file, "base", base, costs->base, &costs->known, diags))) {
    return false;
  }
  const char *name;
  json_t *value;
  json_object_foreach(table, name, value) {
    size_t layer = bfx_layers_index(layers, name, bfx_json_place(file, name), NULL, diags);
    if (layer == layers->count || !read_table_layer(file, name, value, &costs->layers[layer], &costs->known, diags)) {
      return false;
    }
  }
  return true;
}

bool bfx_costs_read(const char *path, const struct bfx_layers *layers, struct bfx_costs *costs, struct bf_diags *diags) {
  struct bfx_json file;
  bool ok = bfx_json_read(path, &file, diags) && read_table(&file, layers, costs, diags);
  bfx_json_free(&file);
  return ok;
}

// ---- a report of the compiler

static bool read_report_layer(const struct bfx_json *file, json_t *layer, const struct bfx_layers *layers, unsigned bits,
                              size_t *current, struct bfx_costs *costs, struct bf_diags *diags) {
  const char *name = json_string_value(json_object_get(layer, "name"));
  double cycles, energy;
  if (!name) {
    bf_error_at(diags, bfx_json_place(file, "layers"), NULL, "a layer of the report has no name");
    return false;
  }
  if (!bfx_json_number(file, json_object_get(layer, "cycles"), name, "cycles", BFX_MAX_VALUE, &cycles, diags) ||
      !bfx_json_number(file, json_object_get(layer, "energy_j"), name, "energy_j", BFX_MAX_VALUE, &energy, diags)) {
    return false;
  }
  uint32_t found = bf_names_find(&layers->names, name);
  *current = found != BF_NAME_NONE ? found : *current;
  // What comes before the first layer with weights belongs to that one.
  bfx_costs_add(&costs->layers[*current], bits, cycles, energy);
  return true;
}

static bool read_report(const struct bfx_json *file, unsigned bits, const struct bfx_layers *layers, struct bfx_costs *costs,
                        struct bf_diags *diags) {
  json_t *list = bfx_json_member(file, file->root, "layers", JSON_ARRAY, diags), *layer;
  if (!list) {
    return false;
  }
  size_t i, current = 0;
  json_array_foreach(list, i, layer) {
    if (!read_report_layer(file, layer, layers, bits, &current, costs, diags)) {
      return false;
    }
  }
  costs->known |= 1u << BFX_CYCLES | 1u << BFX_ENERGY;
  return true;
}

bool bfx_costs_report(const char *path, unsigned bits, const struct bfx_layers *layers, struct bfx_costs *costs,
                      struct bf_diags *diags) {
  struct bfx_json file;
  bool ok = bfx_json_read(path, &file, diags) && read_report(&file, bits, layers, costs, diags);
  bfx_json_free(&file);
  return ok;
}
