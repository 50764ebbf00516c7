// SPDX-License-Identifier: Apache-2.0
// Helper of the command-line tests: makes small inputs and reads reports, so that the tests need nothing but a shell.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf_base.h"
#include "base/bf_npy.h"

static const char usage[] =
    "usage: testkit npy OUT DTYPE:SHAPE[:CONTENT]            e.g. uint8:1,4,4,2:seed=3\n"
    "       testkit npz OUT NAME=DTYPE:SHAPE[:CONTENT]...    CONTENT: v,v,... | seed=N | fill=V | file=RAW@OFFSET\n"
    "       testkit npyequal A.npy B.npy                     status 0: same dtype, elements and bytes\n"
    "       testkit argmax IN.npy DEPTH                      index of the largest element of each row of DEPTH\n"
    "       testkit dump IN.npy                              raw element bytes\n"
    "       testkit json FILE PATH...                        e.g. 'layers[].cycles': values, one a line\n";

static int fail(const char *what, const char *which) {
  fprintf(stderr, "testkit: %s: %s\n", what, which);
  return 3;
}

static bool parse_dtype(const char *text, size_t length, enum bf_dtype *out) {
  for (int i = 0; i < BF_DTYPE_COUNT; i++) {
    const char *name = bf_dtype_name((enum bf_dtype)i);
    if (strlen(name) == length && !strncmp(name, text, length)) {
      *out = (enum bf_dtype)i;
      return true;
    }
  }
  return false;
}

static void set_element(struct bf_array *array, uint64_t i, double value) {
  char *at = (char *)array->data + i * bf_dtype_size(array->dtype);
  float f = (float)value;
  int64_t n = (int64_t)value;
  if (array->dtype == BF_DTYPE_F32) {
    memcpy(at, &f, sizeof f);
  } else if (array->dtype == BF_DTYPE_F64) {
    memcpy(at, &value, sizeof value);
  } else {
    memcpy(at, &n, bf_dtype_size(array->dtype));  // little endian: the low bytes
  }
}

// Deterministic noise that fits an int8: a linear congruential generator's high bits.
static double noise(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)((int64_t)(*state >> 40) % 61 - 30);
}

static bool content_from_file(struct bf_array *array, const char *spec) {
  const char *at = strrchr(spec, '@');
  char *path = bf_strndup(spec, at ? (size_t)(at - spec) : strlen(spec));
  FILE *file = fopen(path, "rb");
  free(path);
  if (!file) return false;
  size_t size = bf_dtype_size(array->dtype);
  bool ok = (!at || fseek(file, atol(at + 1), SEEK_SET) == 0) &&
            fread(array->data, size, array->elements, file) == array->elements;
  fclose(file);
  return ok;
}

static bool fill_content(struct bf_array *array, const char *content) {
  if (!strncmp(content, "file=", 5)) return content_from_file(array, content + 5);
  bool is_unsigned = array->dtype == BF_DTYPE_U8 || array->dtype == BF_DTYPE_U16;
  bool seeded = !strncmp(content, "seed=", 5), constant = !strncmp(content, "fill=", 5);
  uint64_t state = seeded ? strtoull(content + 5, NULL, 10) : 0;
  const char *at = content;
  for (uint64_t i = 0; i < array->elements; i++) {
    double value = 0;
    if (seeded) {
      value = noise(&state);
      if (is_unsigned) value = fabs(value);
    } else if (constant) {
      value = strtod(content + 5, NULL);
    } else if (*at) {
      char *end;
      value = strtod(at, &end);
      if (end == at) return false;
      at = *end == ',' ? end + 1 : end;
    }
    set_element(array, i, value);
  }
  return true;
}

// DTYPE:SHAPE[:CONTENT]; the shape "-" is that of a scalar.
static bool make_array(const char *spec, struct bf_array *out) {
  memset(out, 0, sizeof *out);
  const char *colon = strchr(spec, ':');
  if (!colon || !parse_dtype(spec, (size_t)(colon - spec), &out->dtype)) return false;
  out->elements = 1;
  char *at = (char *)colon + 1;
  if (*at == '-') at++;
  while (*at && *at != ':') {
    if (out->rank == BF_NPY_MAX_RANK) return false;
    char *end;
    out->shape[out->rank] = strtoull(at, &end, 10);
    if (end == at) return false;
    out->elements *= out->shape[out->rank++];
    at = *end == ',' ? end + 1 : end;
  }
  out->data = bf_alloc(out->elements ? out->elements : 1, bf_dtype_size(out->dtype));
  return fill_content(out, *at == ':' ? at + 1 : "");
}

static int report(struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
  bf_diags_free(diags);
  return 3;
}

static int command_npy(const char *path, const char *spec) {
  struct bf_array array;
  if (!make_array(spec, &array)) return fail("bad array", spec);
  struct bf_diags diags = {0};
  bool ok = bf_npy_write(path, &array, &diags);
  bf_array_free(&array);
  if (!ok) return report(&diags);
  bf_diags_free(&diags);
  return 0;
}

static int command_npz(const char *path, char **specs, int count) {
  struct bf_archive archive = {0};
  for (int i = 0; i < count; i++) {
    char *equals = strchr(specs[i], '=');
    struct bf_array array;
    if (!equals || !make_array(equals + 1, &array)) return fail("bad member", specs[i]);
    char *name = bf_strndup(specs[i], (size_t)(equals - specs[i]));
    bf_archive_add(&archive, name, array);
    free(name);
  }
  struct bf_diags diags = {0};
  bool ok = bf_npz_write(path, &archive, &diags);
  bf_archive_free(&archive);
  if (!ok) return report(&diags);
  bf_diags_free(&diags);
  return 0;
}

static bool read_npy(const char *path, struct bf_array *out) {
  struct bf_diags diags = {0};
  bool ok = bf_npy_read(path, out, &diags);
  if (!ok) report(&diags);
  else bf_diags_free(&diags);
  return ok;
}

static int command_npyequal(const char *path_a, const char *path_b) {
  struct bf_array a, b;
  if (!read_npy(path_a, &a)) return 3;
  if (!read_npy(path_b, &b)) {
    bf_array_free(&a);
    return 3;
  }
  bool same = a.dtype == b.dtype && a.elements == b.elements &&
              !memcmp(a.data, b.data, a.elements * bf_dtype_size(a.dtype));
  bf_array_free(&a);
  bf_array_free(&b);
  return same ? 0 : fail("arrays differ", path_b);
}

static int command_argmax(const char *path, const char *depth_text) {
  struct bf_array array;
  uint64_t depth = strtoull(depth_text, NULL, 10);
  if (!depth || !read_npy(path, &array)) return 3;
  for (uint64_t row = 0; row < array.elements / depth; row++) {
    uint64_t best = 0;
    for (uint64_t i = 1; i < depth; i++)
      if (bf_array_int(&array, row * depth + i) > bf_array_int(&array, row * depth + best)) best = i;
    printf("%llu\n", (unsigned long long)best);
  }
  bf_array_free(&array);
  return 0;
}

static int command_dump(const char *path) {
  struct bf_array array;
  if (!read_npy(path, &array)) return 3;
  fwrite(array.data, bf_dtype_size(array.dtype), array.elements, stdout);
  bf_array_free(&array);
  return 0;
}

// Prints the values at `path`: keys joined by '.', "[]" after a key walks its array.
static int print_json(const json_t *value, const char *path) {
  if (!*path) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    if (json_is_string(value)) puts(json_string_value(value));
    else puts(text);
    free(text);
    return 0;
  }
  size_t length = strcspn(path, ".[");
  char *key = bf_strndup(path, length);
  json_t *inner = json_object_get(value, key);
  free(key);
  if (!inner) return fail("no such key", path);
  path += length;
  if (strncmp(path, "[]", 2)) return print_json(inner, *path == '.' ? path + 1 : path);
  path += 2;
  if (*path == '.') path++;
  size_t i;
  json_t *item;
  if (!json_is_array(inner)) return fail("no array", path);
  json_array_foreach(inner, i, item) {
    int status = print_json(item, path);
    if (status) return status;
  }
  return 0;
}

static int command_json(const char *file, char **paths, int count) {
  json_error_t error;
  json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
  if (!root) {
    fprintf(stderr, "testkit: %s:%d: %s\n", file, error.line, error.text);
    return 3;
  }
  int status = 0;
  for (int i = 0; i < count && !status; i++) status = print_json(root, paths[i]);
  json_decref(root);
  return status;
}

int main(int argc, char **argv) {
  const char *command = argc > 1 ? argv[1] : "";
  if (!strcmp(command, "npy") && argc == 4) return command_npy(argv[2], argv[3]);
  if (!strcmp(command, "npz") && argc >= 3) return command_npz(argv[2], argv + 3, argc - 3);
  if (!strcmp(command, "npyequal") && argc == 4) return command_npyequal(argv[2], argv[3]);
  if (!strcmp(command, "argmax") && argc == 4) return command_argmax(argv[2], argv[3]);
  if (!strcmp(command, "dump") && argc == 3) return command_dump(argv[2]);
  if (!strcmp(command, "json") && argc >= 4) return command_json(argv[2], argv + 3, argc - 3);
  fputs(usage, stderr);
  return 2;
}
