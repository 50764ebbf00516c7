// SPDX-License-Identifier: Apache-2.0
// ONNX models with recorded outputs beside them, and models with none: those are compiled only, with assumed widths if they say none.
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

static uint32_t big_endian(const char *p) {
  const uint8_t *u = (const uint8_t *)p;
  return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

// The images of a set: datasets/*/SET…images.idx3 (magic, count, rows, columns, pixels).
static struct cf_bytes find_images(const struct cf_options *options, const char *set) {
  char *folder = bf_format("%s/datasets", options->data);
  struct cf_names sets = cf_list(folder);
  struct cf_bytes found = {0};
  for (size_t i = 0; i < sets.count; i++) {
    char *inner = bf_format("%s/%s", folder, sets.items[i]);
    struct cf_names files = cf_list(inner);
    for (size_t k = 0; k < files.count && !found.data; k++)
      if (cf_starts_with(files.items[k], set) && cf_ends_with(files.items[k], "images.idx3"))
        found = cf_read(bf_format("%s/%s", inner, files.items[k]));
    cf_names_free(&files);
    free(inner);
  }
  cf_names_free(&sets);
  free(folder);
  return found;
}

// The name of a file in `folder` that begins with `start` and ends with `end`, or NULL. The caller frees it.
static char *find_file(const char *folder, const char *start, const char *end) {
  struct cf_names names = cf_list(folder);
  char *found = NULL;
  for (size_t i = 0; i < names.count && !found; i++)
    if (cf_starts_with(names.items[i], start) && cf_ends_with(names.items[i], end)) found = bf_strdup(names.items[i]);
  cf_names_free(&names);
  return found;
}

static bool import(const char *path, struct cf_subject *out) {
  if (cf_import_onnx(path, (struct bf_onnx_options){0}, out)) return true;
  char *why = out->why;
  out->why = NULL;
  bool good = cf_import_onnx(path, (struct bf_onnx_options){.assume_w = 8, .assume_a = 8}, out);
  if (good) out->note = bf_strdup("8 bits assumed for weights and activations");
  else cf_refuse(out, false, bf_strdup(why));
  free(why);
  return good;
}

// A pair of recordings: reals of `samples` samples for the only input and output.
static bool adopt(struct cf_subject *out, uint64_t samples, const double *in, const double *result, uint64_t in_size,
                  uint64_t out_size, unsigned width) {
  const struct bf_tensor *x = cf_port_tensor(out, true, 0), *y = cf_port_tensor(out, false, 0);
  if (!x || !y || x->elements != in_size || y->elements != out_size)
    return cf_refuse(out, false, bf_strdup("the recording has another size than the network's input or output"));
  out->samples = samples;
  int64_t *values = cf_add_input(out, x);
  struct cf_recording *r = cf_record(out, "output", y, false, 0, samples, y->elements, width);
  for (uint64_t i = 0; i < samples; i++) {
    cf_port_values(&out->interface.inputs[0], x, CF_INPUT, in + i * in_size, values + i * in_size);
    cf_port_values(&out->interface.outputs[0], y, CF_OUTPUT, result + i * out_size, r->values + i * out_size);
  }
  return true;
}

// NAME_logits_SET.f32. The images are pixels / 255.
static bool open_logits(const struct cf_options *options, const char *folder, const char *name, struct cf_subject *out) {
  char *start = bf_format("%s_logits_", name), *file = find_file(folder, start, ".f32");
  bool good = true;
  if (file) {
    char *set = bf_strndup(file + strlen(start), strlen(file) - strlen(start) - strlen(".f32"));
    struct cf_bytes logits = cf_read(bf_format("%s/%s", folder, file)), images = find_images(options, set);
    uint64_t size = images.length > 16 ? (uint64_t)big_endian(images.data + 8) * big_endian(images.data + 12) : 0;
    uint64_t samples = size ? (images.length - 16) / size : 0;
    const struct bf_tensor *y = cf_port_tensor(out, false, 0);
    uint64_t classes = y ? y->elements : 1;
    if (samples > logits.length / 4 / classes) samples = logits.length / 4 / classes;
    double *in = bf_alloc(samples * size + 1, sizeof *in), *result = bf_alloc(samples * classes + 1, sizeof *result);
    for (uint64_t i = 0; i < samples * size; i++) in[i] = (float)((uint8_t)images.data[16 + i] / 255.0);
    for (uint64_t i = 0; i < samples * classes; i++) {
      float v;
      memcpy(&v, logits.data + 4 * i, 4);
      result[i] = v;
    }
    good = samples ? adopt(out, samples, in, result, size, classes, 4) : true;
    free(in);
    free(result);
    free(logits.data);
    free(images.data);
    free(set);
  }
  free(file);
  free(start);
  return good;
}

static bool read_reals(char *path, struct bf_array *out) {
  struct cf_bytes file = cf_read(path);
  const char *why;
  bool good = file.data && bf_npy_parse(file.data, file.length, out, &why);
  free(file.data);
  return good;
}

static double *reals(const struct bf_array *a) {
  double *out = bf_alloc(a->elements + 1, sizeof *out);
  for (uint64_t i = 0; i < a->elements; i++)
    out[i] = bf_dtype_is_float(a->dtype) ? bf_array_real(a, i) : (double)bf_array_int(a, i);
  return out;
}

// PREFIX_input.npy with PREFIX_expected_output.npy for the model PREFIX….onnx.
static bool open_npy(const char *folder, const char *name, struct cf_subject *out) {
  char *file = find_file(folder, "", "_input.npy");
  char *prefix = file ? bf_strndup(file, strlen(file) - strlen("_input.npy")) : NULL;
  struct bf_array in = {0}, result = {0};
  bool good = true;
  if (prefix && cf_starts_with(name, prefix) && read_reals(bf_format("%s/%s", folder, file), &in) &&
      read_reals(bf_format("%s/%s_expected_output.npy", folder, prefix), &result)) {
    double *x = reals(&in), *y = reals(&result);
    const struct bf_tensor *input = cf_port_tensor(out, true, 0);
    uint64_t samples = input && in.elements % input->elements == 0 && in.elements ? in.elements / input->elements : 1;
    good = adopt(out, samples, x, y, in.elements / samples, result.elements / samples, (unsigned)bf_dtype_size(result.dtype));
    free(x);
    free(y);
  }
  bf_array_free(&in);
  bf_array_free(&result);
  free(prefix);
  free(file);
  return good;
}

bool cf_open_onnx(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  if (!import(path, out)) return false;
  if (out->note) return true;  // with widths that the model does not have there is nothing to compare
  const char *slash = strrchr(path, '/');
  char *folder = bf_strndup(path, (size_t)(slash - path));
  char *name = bf_strndup(slash + 1, strlen(slash + 1) - strlen(".onnx"));
  bool good = open_logits(options, folder, name, out) && (out->nrecordings || open_npy(folder, name, out));
  free(name);
  free(folder);
  return good;
}
