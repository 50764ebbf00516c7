// SPDX-License-Identifier: Apache-2.0
// The ONNX importer against what others recorded: every folder onnx/*/* of the data with a model and an index.tsv of
// layer outputs is imported, its text compiled and evaluated, and every recorded layer must be the output of a layer,
// in order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/load.h"
#include "ir/reference.h"
#include "support/data.h"

struct record {
  char file[64], dtype[16], sample[16];
  bool input;
};

static size_t read_index(const char *folder, struct record **out) {
  size_t length, n = 0;
  const char *why;
  char *text, *path = bf_format("%s/index.tsv", folder);
  bool ok = bf_read_file(path, &text, &length, &why);
  free(path);
  *out = NULL;
  if (!ok) return 0;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    struct record r = {0};
    if (sscanf(line, "%63s %15s", r.file, r.dtype) != 2 || strcmp(r.file, "file") == 0) continue;
    const char *kind = strstr(r.file, "layer");
    r.input = !kind;
    if (!kind) kind = strstr(r.file, "input");
    if (!kind) continue;
    snprintf(r.sample, sizeof r.sample, "%.*s", (int)(kind - r.file), r.file);
    *out = bf_realloc(*out, n + 1, sizeof **out);
    (*out)[n++] = r;
  }
  free(text);
  return n;
}

static int64_t *read_values(const char *folder, const struct record *r, size_t *n) {
  static const struct {
    const char *name;
    size_t size;
    bool is_signed;
  } types[] = {{"uint8", 1, false}, {"int8", 1, true}, {"int16", 2, true}, {"uint16", 2, false}, {"int32", 4, true}};
  size_t length, t = 0;
  const char *why;
  char *data, *path = bf_format("%s/%s", folder, r->file);
  assert_true(bf_read_file(path, &data, &length, &why));
  free(path);
  while (t < BF_COUNT(types) && strcmp(types[t].name, r->dtype) != 0) t++;
  assert_true(t < BF_COUNT(types));
  *n = length / types[t].size;
  int64_t *out = bf_alloc(*n, sizeof *out);
  for (size_t i = 0; i < *n; i++) {
    uint64_t v = 0;
    for (size_t b = 0; b < types[t].size; b++) v |= (uint64_t)(uint8_t)data[i * types[t].size + b] << 8 * b;
    out[i] = types[t].is_signed && v >> (8 * types[t].size - 1) ? (int64_t)v - ((int64_t)1 << 8 * types[t].size)
                                                                : (int64_t)v;
  }
  free(data);
  return out;
}

static struct bf_tensor *only_input(const struct bf_graph *graph) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_input) return graph->tensors[i];
  return NULL;
}

// Whether the recorded values are those of the tensor: in its order, or (one network of the data has that) channels
// first.
static bool equal_values(const struct bf_tensor *t, const int64_t *mine, const int64_t *recorded) {
  if (memcmp(mine, recorded, t->elements * sizeof *mine) == 0) return true;
  if (t->rank != 4) return false;
  uint64_t pixels = t->shape[1] * t->shape[2], channels = t->shape[3];
  for (uint64_t p = 0; p < pixels; p++)
    for (uint64_t c = 0; c < channels; c++)
      if (mine[p * channels + c] != recorded[c * pixels + p]) return false;
  return true;
}

// Evaluates one sample and matches its layers; the number of recorded layers found.
static size_t check_sample(const char *folder, const struct bf_graph *graph, const struct record *records, size_t n,
                           size_t *layers) {
  struct bf_diags diags = {0};
  struct bf_ref_run *run = bf_ref_new(graph);
  size_t count, node = 0, found = 0;
  int64_t *values = read_values(folder, &records[0], &count);
  struct bf_tensor *input = only_input(graph);
  assert_true(records[0].input);
  assert_int_equal(count, input->elements);
  assert_true(bf_ref_set_input(run, input, values));
  free(values);
  assert_true(bf_ref_run(run, &diags));
  for (size_t i = 1; i < n; i++) {
    values = read_values(folder, &records[i], &count);
    bool equal = false;
    size_t first = node;
    while (!equal && node < graph->nnodes) {
      const struct bf_tensor *t = graph->nodes[node++]->output;
      equal = t->elements == count && equal_values(t, run->values[t->id], values);
    }
    if (equal) found++;
    else {
      printf("%s/%s: no layer after %zu gives it\n", folder, records[i].file, first);
      node = first;
    }
    free(values);
  }
  *layers += n - 1;
  bf_ref_free(run);
  bf_diags_free(&diags);
  return found;
}

static void check_network(const char *folder, const char *model, size_t *layers, size_t *found) {
  struct record *records;
  size_t n = read_index(folder, &records);
  if (!n) return;
  struct bf_diags diags = {0};
  struct bf_buf messages = {0};
  char *path = bf_format("%s/%s", folder, model);
  struct bf_graph *graph = bf_load_network(path, NULL, &diags);
  bf_diags_render(&diags, &messages);
  if (!graph) fail_msg("%s", bf_buf_cstr(&messages));
  for (size_t i = 0; i < n;) {
    size_t end = i + 1;
    while (end < n && !records[end].input) end++;
    *found += check_sample(folder, graph, &records[i], end - i, layers);
    i = end;
  }
  bf_graph_free(graph);
  bf_diags_free(&diags);
  bf_buf_free(&messages);
  free(path);
  free(records);
}

static bool ends_with(const char *text, const char *suffix) {
  size_t a = strlen(text), b = strlen(suffix);
  return a > b && strcmp(text + a - b, suffix) == 0;
}

static size_t walk(const char *folder, int depth, size_t *layers, size_t *found) {
  size_t networks = 0;
  struct dirent **list;
  int n = scandir(folder, &list, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    if (list[i]->d_name[0] != '.') {
      char *path = bf_format("%s/%s", folder, list[i]->d_name);
      char *index = bf_format("%s/index.tsv", folder);
      if (ends_with(path, ".onnx") && access(index, R_OK) == 0) {
        size_t layers_before = *layers, found_before = *found;
        check_network(folder, list[i]->d_name, layers, found);
        printf("%s: %zu of %zu recorded layers exact\n", list[i]->d_name, *found - found_before,
               *layers - layers_before);
        networks++;
      } else if (depth > 0) {
        networks += walk(path, depth - 1, layers, found);
      }
      free(index);
      free(path);
    }
    free(list[i]);
  }
  if (n >= 0) free(list);
  return networks;
}

static void test_recorded_layers(void **state) {
  char *folder = test_data_path("onnx");
  if (!folder) {
    printf("skipped: no onnx folder in the data\n");
    skip();
  }
  size_t layers = 0, found = 0, networks = walk(folder, 2, &layers, &found);
  free(folder);
  printf("%zu networks, %zu of %zu recorded layers exact\n", networks, found, layers);
  assert_int_equal(found, layers);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded_layers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
