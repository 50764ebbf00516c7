// SPDX-License-Identifier: Apache-2.0
// The sensitivity file: what each width of each layer costs in accuracy, ties, fixed widths.
#include <string.h>

#include "tools/bfexplore/json_file.h"
#include "tools/bfexplore/layers.h"

static bool read_layer(const struct bfx_json *file, const char *name, json_t *widths, struct bfx_layer *layer,
                       struct bf_diags *diags) {
  if (!json_is_object(widths) || json_object_size(widths) == 0) {
    bf_error_at(diags, bfx_json_place(file, name), "for instance {\"8\": 0, \"4\": 0.25}", "%s: sensitivities by width are expected", name);
    return false;
  }
  const char *key;
  json_t *value;
  layer->rated = true;
  json_object_foreach(widths, key, value) {
    unsigned bits = bfx_json_bits(file, key, name, diags);
    if (!bits || !bfx_json_number(file, value, name, "a sensitivity", BFX_MAX_VALUE, &layer->sensitivity[bits], diags)) {
      return false;
    }
    layer->widths |= UINT32_C(1) << bits;
  }
  return true;
}

static bool read_ties(const struct bfx_json *file, json_t *ties, struct bfx_layers *layers, struct bf_diags *diags) {
  size_t t, n;
  json_t *group, *name;
  json_array_foreach(ties, t, group) {
    size_t first = layers->count;
    if (!json_is_array(group)) {
      bf_error_at(diags, bfx_json_place(file, "ties"), NULL, "a tie is an array of names of layers");
      return false;
    }
    json_array_foreach(group, n, name) {
      if (!json_is_string(name)) {
        bf_error_at(diags, bfx_json_place(file, "ties"), NULL, "a tie is an array of names of layers");
        return false;
      }
      const char *text = json_string_value(name);
      size_t layer = bfx_layers_index(layers, text, bfx_json_place(file, text), NULL, diags);
      if (layer == layers->count) {
        return false;
      }
      bfx_layers_tie(layers, first == layers->count ? layer : first, layer);
      first = layer;
    }
  }
  return true;
}

static bool read_fixed(const struct bfx_json *file, json_t *fixed, struct bfx_layers *layers, struct bf_diags *diags) {
  const char *name;
  json_t *value;
  json_object_foreach(fixed, name, value) {
    size_t layer = bfx_layers_index(layers, name, bfx_json_place(file, name), NULL, diags);
    if (layer == layers->count) {
      return false;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > BFX_MAX_BITS) {
      bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: a fixed width is an integer from 1 to 16", name);
      return false;
    }
    layers->items[layer].fixed = (unsigned)json_integer_value(value);
  }
  return true;
}

static bool read_file(const struct bfx_json *file, struct bfx_layers *layers, struct bf_diags *diags) {
  json_t *rated = bfx_json_member(file, file->root, "layers", JSON_OBJECT, diags);
  if (!rated) {
    return false;
  }
  const char *name;
  json_t *value;
  json_object_foreach(rated, name, value) {
    size_t layer = bfx_layers_index(layers, name, bfx_json_place(file, name), NULL, diags);
    if (layer == layers->count || !read_layer(file, name, value, &layers->items[layer], diags)) {
      return false;
    }
  }
  json_t *member = NULL;
  if (json_object_get(file->root, "ties") &&
      (!(member = bfx_json_member(file, file->root, "ties", JSON_ARRAY, diags)) || !read_ties(file, member, layers, diags))) {
    return false;
  }
  return !json_object_get(file->root, "fixed") ||
         ((member = bfx_json_member(file, file->root, "fixed", JSON_OBJECT, diags)) && read_fixed(file, member, layers, diags));
}

bool bfx_sensitivity_read(const char *path, struct bfx_layers *layers, struct bf_diags *diags) {
  struct bfx_json file;
  bool ok = bfx_json_read(path, &file, diags) && read_file(&file, layers, diags);
  bfx_json_free(&file);
  return ok;
}
