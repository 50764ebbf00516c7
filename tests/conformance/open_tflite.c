// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite models with recorded samples.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/load.h"
#include "tests/conformance/conformance.h"

// Element types as the recordings name them: by the schema's code, by name in the list of layers, by name in CSV files.
static const struct element_type {
  int code;
  const char *name, *csv;
  unsigned width;
  bool is_signed;
} types[] = {{9, "INT8", "int8", 1, true}, {3, "UINT8", "uint8", 1, false}, {7, "INT16", "int16", 2, true}, {2, "INT32", "int32", 4, true}};

static const struct element_type *type_of_code(int code) {
  for (size_t i = 0; i < BF_COUNT(types); i++)
    if (types[i].code == code) return &types[i];
  return NULL;
}

static const struct element_type *type_of_name(const char *name, size_t length) {
  for (size_t i = 0; i < BF_COUNT(types); i++)
    if (strlen(types[i].name) == length && strncmp(types[i].name, name, length) == 0) return &types[i];
  return NULL;
}

// golden.json lists "in0 NAME type9 […] …"; NULL where there is no such entry or its type is none of ours.
static const struct element_type *io_type(const char *stem, const char *which) {
  char *path = bf_format("%s.golden/golden.json", stem);
  json_t *root = json_load_file(path, 0, NULL), *io = json_object_get(root, "io"), *item;
  const struct element_type *type = NULL;
  size_t i;
  json_array_foreach(io, i, item) {
    const char *text = json_string_value(item), *at = NULL;
    if (!text || !cf_starts_with(text, which)) continue;
    for (const char *p = text; (p = strstr(p, " type")); p++) at = p;
    type = at ? type_of_code(atoi(at + 5)) : NULL;
  }
  json_decref(root);
  free(path);
  return type;
}

// The last field of a line of index.csv is the file, the sixth from the end the type; names may hold commas in quotes.
static void split_row(const char *line, size_t size, const char *fields[10], size_t lengths[10]) {
  size_t n = 0, from = 0;
  bool quoted = false;
  for (size_t i = 0; i <= size && n < 10; i++) {
    if (i < size && line[i] == '"') quoted = !quoted;
    if (i < size && (quoted || line[i] != ',')) continue;
    fields[n] = line + from;
    lengths[n++] = i - from;
    from = i + 1;
  }
  for (; n < 10; n++) fields[n] = "", lengths[n] = 0;
}

// layers/index.csv: op,opcode,tensor,name,type,shape,scale,zero_point,bytes,file
static void add_layers(const char *stem, struct cf_subject *out) {
  struct cf_bytes index = cf_read(bf_format("%s.golden/layers/index.csv", stem));
  const char *line = index.data ? strchr(index.data, '\n') : NULL;
  for (line = line ? line + 1 : ""; *line;) {
    size_t size = strcspn(line, "\n"), lengths[10];
    const char *fields[10];
    split_row(line, size, fields, lengths);
    const struct element_type *type = type_of_name(fields[4], lengths[4]);
    struct cf_bytes file = cf_read(bf_format("%s.golden/layers/%.*s", stem, (int)lengths[9], fields[9]));
    if (file.data && type) {
      char *label = bf_format("%.*s %.*s", (int)lengths[0], fields[0], (int)lengths[1], fields[1]);
      struct cf_recording *r = cf_record(out, label, NULL, true, 0, 1, file.length / type->width, type->width);
      cf_unpack(file.data, r->elements, type->width, type->is_signed, r->values);
      free(label);
    }
    free(file.data);
    line += size + (line[size] == '\n');
  }
  free(index.data);
}

// Without an entry in golden.json: the type that a tensor of the network has.
static const struct element_type *type_of_tensor(const struct bf_tensor *tensor) {
  for (size_t i = 0; i < BF_COUNT(types); i++)
    if (types[i].width == (tensor->type.bits + 7) / 8 && types[i].is_signed == (tensor->type.kind == BF_TYPE_S)) return &types[i];
  return NULL;
}

// True: the case is decided, well or not.
static bool open_golden(const char *stem, struct cf_subject *out, bool *good) {
  struct cf_bytes in = cf_read(bf_format("%s.golden/in.bin", stem)), result = cf_read(bf_format("%s.golden/out.bin", stem));
  const struct element_type *it = io_type(stem, "in0 "), *ot = io_type(stem, "out0 ");
  const struct bf_tensor *x = cf_border(out->graph, true, 0), *y = cf_border(out->graph, false, 0);
  if (!it) it = type_of_tensor(x);
  if (!ot) ot = type_of_tensor(y);
  bool found = in.data && result.data;
  if (found && it && ot) {
    out->samples = in.length / (x->elements * it->width);
    *good = in.length == out->samples * x->elements * it->width && result.length == out->samples * y->elements * ot->width;
    if (*good) {
      cf_unpack(in.data, out->samples * x->elements, it->width, it->is_signed, cf_add_input(out, x));
      struct cf_recording *r = cf_record(out, "output", y, false, 0, out->samples, y->elements, ot->width);
      cf_unpack(result.data, out->samples * y->elements, ot->width, ot->is_signed, r->values);
      add_layers(stem, out);
    } else {
      cf_refuse(out, false, bf_strdup("the recording has another size than the network's input and output"));
    }
  } else if (found) {
    *good = cf_refuse(out, true, bf_strdup("the recording's element types are not integers"));
  }
  free(in.data);
  free(result.data);
  return found;
}

// The numbers of STEM_WHAT_TYPE.csv; false if there is no such file with that many.
static bool read_csv(const char *stem, const char *what, uint64_t elements, unsigned *width, int64_t **out) {
  for (size_t t = 0; t < BF_COUNT(types); t++) {
    struct cf_bytes file = cf_read(bf_format("%s_%s_%s.csv", stem, what, types[t].csv));
    if (!file.data) continue;
    int64_t *values = bf_alloc(elements + 1, sizeof *values);
    const char *p = file.data;
    bool good = true;
    for (uint64_t i = 0; i < elements && good; i++) {
      char *end;
      values[i] = strtoll(p, &end, 10);
      good = end != p;
      p = end + strspn(end, ", \r\n");
    }
    good = good && !*p;
    free(file.data);
    if (good) {
      *width = types[t].width;
      *out = values;
      return true;
    }
    free(values);
  }
  return false;
}

// Inputs that the network does without (the shape that a TRANSPOSE_CONV is to give) have numbers too: the next file that fits.
static bool add_csv_inputs(const char *stem, struct cf_subject *out) {
  const struct bf_tensor *input;
  for (size_t n = 0, file = 0; (input = cf_border(out->graph, true, n)); n++) {
    int64_t *values = NULL;
    unsigned width;
    for (; file < 8 && !values; file++) {
      char what[16];
      snprintf(what, sizeof what, "input%zu", file);
      if (!read_csv(stem, what, input->elements, &width, &values)) values = NULL;
    }
    if (!values) return false;
    memcpy(cf_add_input(out, input), values, input->elements * sizeof *values);
    free(values);
  }
  return true;
}

static bool open_csv(const char *stem, struct cf_subject *out) {
  const struct bf_tensor *y = cf_border(out->graph, false, 0);
  int64_t *expected;
  unsigned width;
  if (!read_csv(stem, "golden", y->elements, &width, &expected)) {
    out->note = bf_strdup("no recorded result");
    return true;
  }
  out->samples = 1;
  bool good = add_csv_inputs(stem, out);
  if (good)
    memcpy(cf_record(out, "output", y, false, 0, 1, y->elements, width)->values, expected, y->elements * sizeof *expected);
  free(expected);
  return good || cf_refuse(out, true, bf_strdup("incomplete recording: a result without its inputs"));
}

bool cf_open_tflite(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  struct bf_diags diags = {0};
  out->graph = bf_load_network(path, NULL, &diags);
  if (!out->graph) cf_refuse_diags(out, &diags);
  bf_diags_free(&diags);
  if (!out->graph) return false;
  char *stem = bf_strndup(path, strlen(path) - strlen(".tflite"));
  bool good = true;
  if (!open_golden(stem, out, &good)) good = open_csv(stem, out);
  free(stem);
  return good;
}
