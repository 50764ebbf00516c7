// SPDX-License-Identifier: Apache-2.0
// Integer ONNX networks with every layer recorded. index.tsv: file, element type, shape, …; a line "[S_]input.bin" begins a sample,
// "[S_]layerNN.bin" are its layers in their order, the last one the network's output. Images lie height, width, channel, as in the
// graph; those whose shape has four numbers (1, height, width, channels) have been left in the model's order, channels first.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

static const struct element_type {
  const char *name;
  unsigned width;
  bool is_signed;
  struct bf_type type;
} types[] = {{"uint8", 1, false, {BF_TYPE_U, 8}}, {"int8", 1, true, {BF_TYPE_S, 8}},   {"uint16", 2, false, {BF_TYPE_U, 16}},
             {"int16", 2, true, {BF_TYPE_S, 16}}, {"int32", 4, true, {BF_TYPE_S, 32}}, {"int64", 8, true, {BF_TYPE_S, 48}}};

struct row {
  char *file;
  const struct element_type *type;
  bool input;
  uint64_t sample, layer;
  uint64_t channels;  // of a layer that lies channels first; else 1
};

struct rows {
  struct row *items;
  size_t count, capacity;
  uint64_t samples, layers;  // layers of each sample
};

static const struct element_type *type_named(const char *text, size_t length) {
  for (size_t i = 0; i < BF_COUNT(types); i++)
    if (strlen(types[i].name) == length && strncmp(types[i].name, text, length) == 0) return &types[i];
  return NULL;
}

// The last of four numbers "1x25x5x64", else 1.
static uint64_t channels_first(const char *shape, size_t length) {
  unsigned numbers = 1;
  uint64_t last = 1;
  for (size_t i = 0; i < length; i++)
    if (shape[i] == 'x') numbers++, last = strtoull(shape + i + 1, NULL, 10);
  return numbers == 4 && last ? last : 1;
}

static struct rows read_index(const char *folder) {
  struct rows rows = {0};
  struct cf_bytes file = cf_read(bf_format("%s/index.tsv", folder));
  uint64_t layer = 0;
  for (const char *line = file.data; line && *line;) {
    size_t size = strcspn(line, "\n"), name = strcspn(line, "\t\n");
    const char *second = line + name + (line[name] == '\t');
    struct row r = {.type = type_named(second, strcspn(second, "\t\n")), .file = bf_strndup(line, name)};
    const char *third = second + strcspn(second, "\t\n");
    third += *third == '\t';
    r.input = cf_ends_with(r.file, "input.bin");
    r.channels = r.input ? 1 : channels_first(third, strcspn(third, "\t\n"));
    if (r.input) rows.samples++, layer = 0;
    r.sample = rows.samples - 1;
    r.layer = layer;
    if (r.type && rows.samples) {
      if (!r.input) rows.layers = ++layer;
      BF_PUSH(rows.items, rows.count, rows.capacity) = r;
    } else {
      free(r.file);
    }
    line += size + (line[size] == '\n');
  }
  free(file.data);
  return rows;
}

static void channels_last(const struct row *row, uint64_t elements, int64_t *values) {
  int64_t *in = bf_alloc(elements + 1, sizeof *in);
  uint64_t pixels = elements / row->channels;
  memcpy(in, values, elements * sizeof *in);
  for (uint64_t i = 0; i < pixels * row->channels; i++) values[i % pixels * row->channels + i / pixels] = in[i];
  free(in);
}

// The values of a layer for all samples are one recording.
static bool record_layer(const struct rows *rows, const char *folder, uint64_t layer, struct cf_subject *out) {
  struct cf_recording *r = NULL;
  const struct bf_tensor *output = cf_border(out->graph, false, 0);
  bool last = layer + 1 == rows->layers;
  for (size_t i = 0; i < rows->count; i++) {
    const struct row *row = &rows->items[i];
    if (row->input || row->layer != layer) continue;
    struct cf_bytes data = cf_read(bf_format("%s/%s", folder, row->file));
    uint64_t elements = data.length / row->type->width;
    if (!r) r = cf_record(out, row->file, last ? output : NULL, !last, 0, rows->samples, elements, row->type->width);
    bool fits = data.data && elements == r->elements;
    if (fits) cf_unpack(data.data, elements, r->width, row->type->is_signed, r->values + row->sample * elements);
    if (fits && row->channels > 1) channels_last(row, elements, r->values + row->sample * elements);
    free(data.data);
    if (!fits) return cf_refuse(out, false, bf_format("%s is missing or has another size than in the first sample", row->file));
  }
  return true;
}

static bool add_input(const struct rows *rows, const char *folder, struct cf_subject *out) {
  const struct bf_tensor *input = cf_border(out->graph, true, 0);
  int64_t *values = cf_add_input(out, input);
  for (size_t i = 0; i < rows->count; i++) {
    const struct row *row = &rows->items[i];
    if (!row->input) continue;
    struct cf_bytes data = cf_read(bf_format("%s/%s", folder, row->file));
    bool fits = data.data && data.length == input->elements * row->type->width;
    if (fits) cf_unpack(data.data, input->elements, row->type->width, row->type->is_signed, values + row->sample * input->elements);
    free(data.data);
    if (!fits) return cf_refuse(out, false, bf_format("%s has another size than the network's input", row->file));
  }
  return true;
}

static bool open_rows(const struct rows *rows, const char *folder, const char *path, struct cf_subject *out) {
  if (!rows->count || !rows->layers) return cf_refuse(out, true, bf_strdup("index.tsv lists no layers"));
  if (!cf_import_onnx(path, (struct bf_onnx_options){.input_type = rows->items[0].type->type}, out)) return false;
  out->samples = rows->samples;
  bool good = add_input(rows, folder, out);
  for (uint64_t layer = 0; layer < rows->layers && good; layer++) good = record_layer(rows, folder, layer, out);
  return good;
}

bool cf_open_layered(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  char *folder = bf_strndup(path, (size_t)(strrchr(path, '/') - path));
  struct rows rows = read_index(folder);
  bool good = open_rows(&rows, folder, path, out);
  for (size_t i = 0; i < rows.count; i++) free(rows.items[i].file);
  free(rows.items);
  free(folder);
  return good;
}
