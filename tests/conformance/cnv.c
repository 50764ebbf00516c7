// SPDX-License-Identifier: Apache-2.0
// model.json lists layers: kind conv3x3_valid or fc, w (file, bytes -1, 0, 1), w_shape, t (file, int32 [out][count]), t_shape, a_values,
// then. The rule of a layer: r = number of thresholds t with sum > t; the activation is 2r - 1 of one threshold (binary), r - 1 of
// two (ternary). The language counts sum >= t, so thresholds become t + 1.
#include "tests/conformance/cnv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_RULE "q=clip(floor((2*x/255-1)*128+0.5),-128,127)"
#define INPUT_SHAPE "u8 32x32x3 RGB HWC"

int64_t cnv_input_rule(int64_t x) {
  // floor((2x/255 - 1) * 128 + 1/2) = floor((512x - 255*256 + 255) / 510): the numerator is odd, so no tie arises.
  int64_t numerator = 512 * x - 255 * 255, q = numerator / 510;
  if (numerator % 510 < 0) q--;
  return q < -128 ? -128 : q > 127 ? 127 : q;
}

struct converter {
  const char *path;
  char *folder;
  struct bf_buf *text;
  struct bf_archive *weights;
  struct bf_diags *diags;
  struct bf_buf layers;
  char *value;  // what the next layer reads
  bool flat;
};

static bool fail(struct converter *c, const char *what, size_t layer) {
  bf_error_file(c->diags, c->path, NULL, "layer %zu: %s", layer, what);
  return false;
}

// Dimensions of `key`, 1 to 4 of them; false if they are not that.
static bool read_shape(json_t *layer, const char *key, struct bf_array *out) {
  json_t *list = json_object_get(layer, key);
  out->rank = (unsigned)json_array_size(list);
  out->elements = 1;
  if (out->rank < 1 || out->rank > 4) return false;
  for (unsigned i = 0; i < out->rank; i++) {
    json_int_t n = json_integer_value(json_array_get(list, i));
    if (n < 1 || n > 65536 || !bf_mul_limit(out->elements, (uint64_t)n, BF_MAX_ELEMENTS, &out->elements)) return false;
    out->shape[i] = (uint64_t)n;
  }
  return true;
}

// The raw elements of file `key`, as many as `shape_key` says.
static bool read_raw(struct converter *c, json_t *layer, size_t index, const char *key, const char *shape_key,
                     enum bf_dtype dtype, struct bf_array *out) {
  const char *file = json_string_value(json_object_get(layer, key));
  *out = (struct bf_array){.dtype = dtype};
  if (!file || strchr(file, '/') || !read_shape(layer, shape_key, out)) return fail(c, "no file or shape", index);
  char *path = bf_format("%s/%s", c->folder, file), *data;
  size_t length;
  bool good = bf_diags_read(c->diags, path, NULL, &data, &length);
  if (good) out->data = data;
  free(path);
  if (!good || length == out->elements * bf_dtype_size(dtype)) return good;
  free(data);
  return fail(c, "a file has another size than its shape", index);
}

// Binary weights have no 0. Others are not in the format.
static const char *weight_type(const struct bf_array *w) {
  bool zero = false;
  for (uint64_t i = 0; i < w->elements; i++) {
    int64_t v = bf_array_int(w, i);
    if (v < -1 || v > 1) return NULL;
    zero = zero || v == 0;
  }
  return zero ? "t2" : "b1";
}

static bool add_thresholds(struct converter *c, json_t *layer, size_t index, uint64_t outputs, const char **type) {
  struct bf_array t;
  if (!read_raw(c, layer, index, "t", "t_shape", BF_DTYPE_I32, &t)) return false;
  bool fits = t.rank == 2 && t.shape[0] == outputs && (t.shape[1] == 1 || t.shape[1] == 2);
  for (uint64_t i = 0; fits && i < t.elements; i++) {
    int32_t *value = (int32_t *)t.data + i;
    fits = *value < INT32_MAX;
    if (fits) ++*value;
  }
  if (!fits) {
    bf_array_free(&t);
    return fail(c, "thresholds: one or two below 2^31 - 1 for each output", index);
  }
  *type = t.shape[1] == 1 ? "b1" : "t2";
  char *name = bf_format("l%zu_t", index);
  bf_archive_add(c->weights, name, t);
  free(name);
  return true;
}

static void rename_value(struct converter *c, char *name) {
  free(c->value);
  c->value = name;
}

static bool add_pool(struct converter *c, json_t *layer, size_t index) {
  const char *then = json_string_value(json_object_get(layer, "then"));
  if (!then) return true;
  if (strcmp(then, "maxpool2x2_stride2") != 0) return fail(c, "what follows is no maxpool2x2_stride2", index);
  char *name = bf_format("pool%zu", index);
  bf_buf_printf(&c->layers, "  %s = max_pool2d(%s, kernel 2);\n", name, c->value);
  rename_value(c, name);
  return true;
}

static bool add_layer(struct converter *c, json_t *layer, size_t index, size_t count) {
  const char *kind = json_string_value(json_object_get(layer, "kind")), *type = NULL;
  bool conv = kind && strcmp(kind, "conv3x3_valid") == 0, last = index + 1 == count;
  if (!conv && (!kind || strcmp(kind, "fc") != 0)) return fail(c, "the kind is neither conv3x3_valid nor fc", index);
  struct bf_array w;
  if (!read_raw(c, layer, index, "w", "w_shape", BF_DTYPE_I8, &w)) return false;
  const char *wtype = weight_type(&w);
  if (!wtype || w.rank != (conv ? 4 : 2)) {
    bf_array_free(&w);
    return fail(c, "weights: -1, 0 and 1, [out][ky][kx][in] or [out][in]", index);
  }
  uint64_t outputs = w.shape[0];
  char *weight = bf_format("l%zu_w", index);
  bf_archive_add(c->weights, weight, w);
  bf_buf_printf(c->text, "  const %s: %s;\n", weight, wtype);
  if (!conv && !c->flat) {
    bf_buf_printf(&c->layers, "  flat = flatten(%s);\n", c->value);
    rename_value(c, bf_strdup("flat"));
    c->flat = true;
  }
  bool good = last || add_thresholds(c, layer, index, outputs, &type);
  char *name = last ? bf_strdup("logits") : bf_format("act%zu", index);
  bf_buf_printf(&c->layers, "  %s = %s(%s, %s) -> ", name, conv ? "conv2d" : "dense", c->value, weight);
  if (last) bf_buf_puts(&c->layers, "s16 requantize none;\n");
  else bf_buf_printf(&c->layers, "%s requantize thresholds(\"l%zu_t\");\n", type ? type : "", index);
  free(weight);
  rename_value(c, name);
  return good && add_pool(c, layer, index);
}

static void add_input(struct converter *c, const char *name) {
  bf_buf_printf(c->text, "bfn 1;\n\nnetwork %s {\n  input image: u8[32, 32, 3];\n  const input_table: s8[256];\n", name);
  struct bf_array table = {.dtype = BF_DTYPE_I8, .rank = 1, .shape = {256}, .elements = 256, .data = bf_alloc(256, 1)};
  for (int64_t x = 0; x < 256; x++) ((int8_t *)table.data)[x] = (int8_t)cnv_input_rule(x);
  bf_archive_add(c->weights, "input_table", table);
  bf_buf_puts(&c->layers, "\n  quantized = table(image, input_table);\n");
  c->value = bf_strdup("quantized");
}

static bool convert(struct converter *c, json_t *root) {
  const char *name = json_string_value(json_object_get(root, "name")), *input = json_string_value(json_object_get(root, "input"));
  json_t *layers = json_object_get(root, "layers"), *layer;
  size_t count = json_array_size(layers), i;
  if (!name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] || !count ||
      !input || strcmp(input, INPUT_SHAPE " -> " INPUT_RULE) != 0) {
    bf_error_file(c->diags, c->path, NULL, "wanted: a name, layers, and the input rule " INPUT_SHAPE " -> " INPUT_RULE);
    return false;
  }
  add_input(c, name);
  json_array_foreach(layers, i, layer) if (!add_layer(c, layer, i, count)) return false;
  bf_buf_append(c->text, c->layers.data, c->layers.length);
  bf_buf_puts(c->text, "\n  output logits;\n}\n");
  return true;
}

bool cnv_convert(const char *path, struct bf_buf *text, struct bf_archive *weights, struct bf_diags *diags) {
  json_error_t error;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!root) {
    bf_error_file(diags, path, NULL, "line %d: %s", error.line, error.text);
    return false;
  }
  const char *slash = strrchr(path, '/');
  struct converter c = {.path = path, .text = text, .weights = weights, .diags = diags};
  c.folder = slash ? bf_strndup(path, (size_t)(slash - path)) : bf_strdup(".");
  bool good = convert(&c, root);
  json_decref(root);
  bf_buf_free(&c.layers);
  free(c.folder);
  free(c.value);
  return good;
}
