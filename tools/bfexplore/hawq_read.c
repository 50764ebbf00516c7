// SPDX-License-Identifier: Apache-2.0
// Reading HAWQ-V3's inputs (JSON) and published bits (CSV).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/hawq.h"

static bool read_layer(const struct bfx_json *file, json_t *object, struct bfx_hawq_layer *layer, struct bf_diags *diags) {
  const char *name = json_string_value(json_object_get(object, "layer"));
  double trace, dw4, dw8;
  const struct { const char *key; double *out; } fields[] = {
      {"trace", &trace}, {"dw8", &dw8}, {"dw4", &dw4}, {"params", &layer->params}, {"macs", &layer->macs},
      {"lat4_ms", &layer->latency4}, {"lat8_ms", &layer->latency8},
  };
  if (!name) {
    bf_error_at(diags, bfx_json_place(file, NULL), NULL, "a layer has no name (\"layer\")");
    return false;
  }
  layer->name = bf_strdup(name);
  for (size_t i = 0; i < BF_COUNT(fields); i++) {
    if (!bfx_json_number(file, json_object_get(object, fields[i].key), name, fields[i].key, 1e15, fields[i].out, diags)) {
      return false;
    }
  }
  layer->penalty = trace * (dw4 - dw8);
  if (!(layer->penalty >= 0)) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: 4 bits are nearer to the weights than 8 bits", name);
    return false;
  }
  return true;
}

// The item of a downsample convolution is that of the first convolution of its block, wherever that stands.
static bool find_partner(const struct bfx_json *file, const struct bfx_hawq_net *net, size_t index, size_t *partner,
                         struct bf_diags *diags) {
  static const char mark[] = ".quant_identity_convbn", first[] = ".quant_convbn1";
  const char *name = net->layers[index].name, *at = strstr(name, mark);
  *partner = index;
  if (!at || at[sizeof mark - 1]) {
    return true;
  }
  size_t block = (size_t)(at - name);
  for (size_t i = 0; i < net->count; i++) {
    if (strncmp(net->layers[i].name, name, block) == 0 && strcmp(net->layers[i].name + block, first) == 0) {
      *partner = i;
      return true;
    }
  }
  bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: its block has no first convolution", name);
  return false;
}

static void add_item(struct bfx_hawq_net *net, size_t index) {
  struct bfx_item *item = &net->items[net->nitems];
  net->layers[index].item = net->nitems++;
  item->nchoices = 2;
  item->choices[0].bits = 4;
  item->choices[1].bits = 8;
}

static void add_costs(struct bfx_item *item, const struct bfx_hawq_layer *layer) {
  double *narrow = item->choices[0].value, *wide = item->choices[1].value;
  narrow[BFX_SENSITIVITY] += layer->penalty;
  narrow[BFX_SIZE] += layer->params / 2;
  wide[BFX_SIZE] += layer->params;
  narrow[BFX_BOPS] += layer->macs * 16;
  wide[BFX_BOPS] += layer->macs * 64;
  narrow[BFX_CYCLES] += layer->latency4;  // here in ms
  wide[BFX_CYCLES] += layer->latency8;
}

static bool make_items(const struct bfx_json *file, struct bfx_hawq_net *net, struct bf_diags *diags) {
  size_t *partner = bf_alloc(net->count, sizeof *partner);
  bool ok = true;
  net->items = bf_alloc(net->count, sizeof *net->items);
  for (size_t i = 0; ok && i < net->count; i++) {
    ok = find_partner(file, net, i, &partner[i], diags);
    if (ok && partner[i] == i) {
      add_item(net, i);
    }
  }
  for (size_t i = 0; ok && i < net->count; i++) {
    net->layers[i].item = net->layers[partner[i]].item;
    add_costs(&net->items[net->layers[i].item], &net->layers[i]);
  }
  free(partner);
  return ok;
}

bool bfx_hawq_read(const struct bfx_json *file, const char *name, struct bfx_hawq_net *out, struct bf_diags *diags) {
  *out = (struct bfx_hawq_net){.name = name};
  json_t *list = bfx_json_member(file, file->root, name, JSON_ARRAY, diags);
  if (!list) {
    return false;
  }
  if (json_array_size(list) == 0 || json_array_size(list) > BFX_HAWQ_MAX_LAYERS) {
    bf_error_at(diags, bfx_json_place(file, name), NULL, "%s: 1 to %u layers are expected, not %zu", name, BFX_HAWQ_MAX_LAYERS,
                json_array_size(list));
    return false;
  }
  out->count = json_array_size(list);
  out->layers = bf_alloc(out->count, sizeof *out->layers);
  for (size_t i = 0; i < out->count; i++) {
    if (!read_layer(file, json_array_get(list, i), &out->layers[i], diags)) {
      return false;
    }
  }
  return make_items(file, out, diags);
}

void bfx_hawq_free(struct bfx_hawq_net *net) {
  for (size_t i = 0; net->layers && i < net->count; i++) {
    free(net->layers[i].name);
  }
  free(net->layers);
  free(net->items);
}

// ---- CSV

// Length of the field at `at`; a field ends at a comma or at the end of the line.
static size_t field_length(const char *at) { return strcspn(at, ",\r\n"); }

// The `index`-th field of the line at `at`; NULL if there are fewer.
static const char *field(const char *at, size_t index) {
  for (; index > 0; index--) {
    at += field_length(at);
    if (*at != ',') {
      return NULL;
    }
    at++;
  }
  return at;
}

static bool field_is(const char *at, const char *text) {
  return field_length(at) == strlen(text) && strncmp(at, text, strlen(text)) == 0;
}

static size_t find_column(const struct bf_source *csv, const char *name) {
  const char *at;
  for (size_t i = 0; (at = field(csv->text, i)) != NULL; i++) {
    if (field_is(at, name)) {
      return i;
    }
  }
  return 0;  // the column of the layers' names
}

// Bits of the layer in the column; 0 and an error if there are none of 4 and 8.
static unsigned find_bits(const struct bf_source *csv, const char *layer, size_t column, struct bf_diags *diags) {
  for (const char *line = csv->text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
    if (!field_is(line, layer)) {
      continue;
    }
    const char *at = field(line, column);
    if (at && (field_is(at, "4") || field_is(at, "8"))) {
      return (unsigned)(*at - '0');
    }
    size_t begin = (size_t)((at ? at : line) - csv->text);
    bf_error_at(diags, (struct bf_range){csv, begin, begin + 1}, NULL, "%s: 4 or 8 bits are expected in column %zu", layer, column + 1);
    return 0;
  }
  bf_error_at(diags, (struct bf_range){csv, 0, 1}, NULL, "there is no row for %s", layer);
  return 0;
}

bool bfx_hawq_published(const struct bfx_hawq_net *net, const struct bf_source *csv, const char *column, unsigned *choice,
                        struct bf_diags *diags) {
  size_t index = find_column(csv, column);
  if (index == 0) {
    bf_error_at(diags, (struct bf_range){csv, 0, 1}, NULL, "there is no column %s", column);
    return false;
  }
  for (size_t i = 0; i < net->nitems; i++) {
    choice[i] = 2;
  }
  for (size_t i = 0; i < net->count; i++) {
    unsigned bits = find_bits(csv, net->layers[i].name, index, diags);
    if (!bits) {
      return false;
    }
    unsigned *chosen = &choice[net->layers[i].item];
    if (*chosen != 2 && *chosen != (bits == 8)) {
      bf_error_at(diags, (struct bf_range){csv, 0, 1}, NULL, "%s, column %s: not the width of its block's first convolution",
                  net->layers[i].name, column);
      return false;
    }
    *chosen = bits == 8;
  }
  return true;
}

unsigned bfx_hawq_bits(const struct bf_source *csv, const char *layer, const char *column, struct bf_diags *diags) {
  size_t index = find_column(csv, column);
  if (index == 0) {
    bf_error_at(diags, (struct bf_range){csv, 0, 1}, NULL, "there is no column %s", column);
    return 0;
  }
  return find_bits(csv, layer, index, diags);
}
