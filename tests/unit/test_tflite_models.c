// SPDX-License-Identifier: Apache-2.0
// Every .tflite file of the data folder, whatever is there: it imports, its text compiles, and where somebody else's
// interpreter recorded inputs and outputs the reference evaluator gives the same bytes. Recordings are MODEL.golden/
// (in.bin, out.bin, layers/index.csv) or MODEL_inputN_TYPE.csv with MODEL_golden_TYPE.csv.
// BFIMNA_SAMPLES=N takes up to N samples a model (default 1; 0: all).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/tflite.h"
#include "ir/reference.h"
#include "support/data.h"

struct paths {
  char **items;
  size_t count, capacity;
};

static bool ends_with(const char *text, const char *end) {
  size_t a = strlen(text), b = strlen(end);
  return a >= b && strcmp(text + a - b, end) == 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The names in a folder, sorted.
static struct paths list_folder(const char *folder) {
  struct paths names = {0};
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.') BF_PUSH(names.items, names.count, names.capacity) = bf_format("%s", entry->d_name);
  if (dir) closedir(dir);
  if (names.count) qsort(names.items, names.count, sizeof *names.items, by_name);
  return names;
}

static void paths_free(struct paths *paths) {
  for (size_t i = 0; i < paths->count; i++) free(paths->items[i]);
  free(paths->items);
}

static void find_models(const char *folder, int depth, struct paths *found) {
  struct paths names = list_folder(folder);
  for (size_t i = 0; i < names.count; i++) {
    char *path = bf_format("%s/%s", folder, names.items[i]);
    if (ends_with(path, ".tflite")) {
      BF_PUSH(found->items, found->count, found->capacity) = path;
      continue;
    }
    if (depth < 6) find_models(path, depth + 1, found);
    free(path);
  }
  paths_free(&names);
}

struct bytes {
  char *data;
  size_t length;
};

static struct bytes read_file(char *path) {
  struct bytes out = {0};
  const char *why;
  if (!bf_read_file(path, &out.data, &out.length, &why)) out = (struct bytes){0};
  free(path);
  return out;
}

struct network {
  struct bf_graph *graph;  // NULL: not imported
  struct bf_buf text, messages;
};

static struct network load(const char *path) {
  struct network net = {0};
  struct bytes file = read_file(bf_format("%s", path));
  struct bf_archive weights = {0};
  struct bf_diags diags = {0};
  if (bf_tflite_import(file.data, file.length, path, &net.text, &weights, &diags)) {
    const struct bf_source *source = bf_diags_add_source(&diags, "imported.bfn", net.text.data, net.text.length);
    size_t before = diags.count;
    net.graph = bf_bfn_compile(source, &weights, NULL, &diags);
    // The text is canonical: the compiler has nothing to complain about.
    if (!net.graph || diags.count != before) {
      bf_diags_render(&diags, &net.messages);
      fail_msg("%s: %s\n%s", path, bf_buf_cstr(&net.messages), bf_buf_cstr(&net.text));
    }
  }
  bf_diags_render(&diags, &net.messages);
  bf_buf_cstr(&net.messages);
  bf_buf_cstr(&net.text);
  bf_diags_free(&diags);
  bf_archive_free(&weights);
  free(file.data);
  return net;
}

static void network_free(struct network *net) {
  if (net->graph) bf_graph_free(net->graph);
  bf_buf_free(&net->text);
  bf_buf_free(&net->messages);
}

static int64_t value_at(const struct bf_tensor *tensor, const char *data, uint64_t i) {
  const uint8_t *p = (const uint8_t *)data;
  if (tensor->type.bits > 8) return (int16_t)(p[2 * i] | p[2 * i + 1] << 8);
  return tensor->type.kind == BF_TYPE_S ? (int64_t)(int8_t)p[i] : (int64_t)p[i];
}

static size_t bytes_of(const struct bf_tensor *tensor) { return tensor->elements * (tensor->type.bits > 8 ? 2 : 1); }

static uint64_t count_unequal(const struct bf_tensor *tensor, const int64_t *values, const char *data) {
  uint64_t unequal = 0;
  for (uint64_t i = 0; i < tensor->elements; i++) unequal += values[i] != value_at(tensor, data, i);
  return unequal;
}

// Input or output number `n` of the graph, or NULL.
static struct bf_tensor *border(const struct bf_graph *graph, bool input, size_t n) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if ((input ? graph->tensors[i]->is_input : graph->tensors[i]->is_output) && !n--) return graph->tensors[i];
  return NULL;
}

static void evaluate(struct bf_ref_run *run) {
  struct bf_diags diags = {0};
  assert_true(bf_ref_run(run, &diags));
  bf_diags_free(&diags);
}

// The nodes that carry a tensor's name in a comment: an operator's, not a helper's.
static size_t named_nodes(const struct network *net, const struct bf_tensor **out, size_t limit) {
  size_t count = 0, line = 1, node = 0;
  const struct bf_graph *graph = net->graph;
  for (const char *p = net->text.data; p && *p && node < graph->nnodes; line++) {
    const char *end = strchr(p, '\n');
    if (line == graph->nodes[node]->line) {
      const char *semicolon = strchr(p, ';');
      if (semicolon && strncmp(semicolon, ";  # ", 5) == 0 && count < limit) out[count++] = graph->nodes[node]->output;
      node++;
    }
    p = end ? end + 1 : NULL;
  }
  return count;
}

// layers/index.csv: a row for each operator, its number first and the file last.
static void check_layers(const char *stem, const struct network *net, const struct bf_ref_run *run) {
  struct bytes index = read_file(bf_format("%s.golden/layers/index.csv", stem));
  if (!index.data) return;
  const struct bf_tensor **tensors = bf_alloc(net->graph->nnodes + 1, sizeof *tensors);
  size_t count = named_nodes(net, tensors, net->graph->nnodes), checked = 0;
  const char *line = strchr(index.data, '\n');
  for (line = line ? line + 1 : ""; *line;) {
    size_t size = strcspn(line, "\n"), from = size, op = strtoul(line, NULL, 10);
    while (from > 0 && line[from - 1] != ',') from--;
    struct bytes layer =
        read_file(bf_format("%s.golden/layers/%.*s", stem, (int)(size - from), line + from));
    if (!layer.data || op >= count) fail_msg("%s: operator %zu of %zu has no layer or recording", stem, op, count);
    assert_int_equal(layer.length, bytes_of(tensors[op]));
    uint64_t unequal = count_unequal(tensors[op], run->values[tensors[op]->id], layer.data);
    if (unequal)
      fail_msg("%s, operator %zu, layer %s: %llu of %llu elements differ", stem, op, tensors[op]->name,
               (unsigned long long)unequal, (unsigned long long)tensors[op]->elements);
    checked++;
    free(layer.data);
    line += size + (line[size] == '\n');
  }
  assert_int_equal(checked, count);
  free(tensors);
  free(index.data);
}

// Number of samples compared, 0 if there is no recording.
static size_t check_golden(const char *stem, const struct network *net, uint64_t *unequal) {
  struct bytes in = read_file(bf_format("%s.golden/in.bin", stem)), out = read_file(bf_format("%s.golden/out.bin", stem));
  const struct bf_tensor *input = border(net->graph, true, 0), *output = border(net->graph, false, 0);
  const char *wanted = getenv("BFIMNA_SAMPLES");
  size_t samples = 0, limit = wanted ? strtoul(wanted, NULL, 10) : 1;
  if (in.data && out.data) {
    samples = in.length / bytes_of(input);
    assert_int_equal(samples * bytes_of(output), out.length);
    if (limit && samples > limit) samples = limit;
  }
  struct bf_ref_run *run = bf_ref_new(net->graph);
  int64_t *values = bf_alloc(input->elements, sizeof *values);
  for (size_t i = 0; i < samples; i++) {
    for (uint64_t k = 0; k < input->elements; k++) values[k] = value_at(input, in.data + i * bytes_of(input), k);
    assert_true(bf_ref_set_input(run, input, values));
    evaluate(run);
    if (i == 0) check_layers(stem, net, run);
    *unequal += count_unequal(output, run->values[output->id], out.data + i * bytes_of(output));
  }
  free(values);
  bf_ref_free(run);
  free(in.data);
  free(out.data);
  return samples;
}

// The numbers of a CSV file; NULL if there is no such file, or it has not `elements` of them.
static int64_t *read_csv(char *path, uint64_t elements) {
  struct bytes file = read_file(path);
  if (!file.data) return NULL;
  int64_t *values = bf_alloc(elements, sizeof *values);
  const char *p = file.data;
  uint64_t count = 0;
  for (char *end; count < elements; count++) {
    values[count] = strtoll(p, &end, 10);
    if (end == p) break;
    p = end + strspn(end, ", \r\n");
  }
  bool whole = count == elements && !*p;
  free(file.data);
  if (whole) return values;
  free(values);
  return NULL;
}

static const char *csv_type(const struct bf_tensor *tensor) {
  return tensor->type.bits > 8 ? "int16" : tensor->type.kind == BF_TYPE_S ? "int8" : "uint8";
}

// False if an input has no recording. Inputs that the network does without (the shape that a TRANSPOSE_CONV is to give)
// have numbers too.
static bool set_csv_inputs(const char *stem, struct bf_ref_run *run) {
  const struct bf_tensor *input;
  for (size_t n = 0, file = 0; (input = border(run->graph, true, n)); n++) {
    int64_t *values = NULL;
    for (; file < 8 && !values; file++)
      values = read_csv(bf_format("%s_input%zu_%s.csv", stem, file, csv_type(input)), input->elements);
    if (!values) return false;
    assert_true(bf_ref_set_input(run, input, values));
    free(values);
  }
  return true;
}

static size_t check_csv(const char *stem, const struct network *net, uint64_t *unequal) {
  const struct bf_tensor *output = border(net->graph, false, 0);
  int64_t *expected = read_csv(bf_format("%s_golden_%s.csv", stem, csv_type(output)), output->elements);
  if (!expected) return 0;
  struct bf_ref_run *run = bf_ref_new(net->graph);
  size_t samples = set_csv_inputs(stem, run);
  if (samples) evaluate(run);
  for (uint64_t i = 0; samples && i < output->elements; i++)
    *unequal += run->values[output->id][i] != expected[i];
  bf_ref_free(run);
  free(expected);
  return samples;
}

static void test_models(void **state) {
  char *folder = test_data_path(".");
  if (!folder) {
    printf("skipped: no data folder\n");
    skip();
  }
  struct paths models = {0};
  size_t compared = 0, imported = 0, wrong = 0;
  find_models(folder, 0, &models);
  for (size_t i = 0; i < models.count; i++) {
    const char *name = models.items[i] + strlen(folder) + 1;
    char *stem = bf_format("%.*s", (int)(strlen(models.items[i]) - strlen(".tflite")), models.items[i]);
    struct network net = load(models.items[i]);
    uint64_t unequal = 0;
    size_t samples = 0;
    if (net.graph) {
      imported++;
      samples = check_golden(stem, &net, &unequal);
      if (!samples) samples = check_csv(stem, &net, &unequal);
      if (unequal) printf("%s: %llu elements of %zu samples differ\n", name, (unsigned long long)unequal, samples);
      wrong += unequal > 0;
      compared += samples > 0;
    } else {
      // Tensors of 32 bits are the one thing in these models that the language lacks.
      printf("%s: not imported: %s", name, net.messages.data);
      assert_non_null(strstr(net.messages.data, "is of type INT32"));
    }
    network_free(&net);
    free(stem);
  }
  printf("%zu models, %zu imported, %zu compared with recordings, %zu wrong\n", models.count, imported, compared, wrong);
  assert_int_equal(wrong, 0);
  paths_free(&models);
  free(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_models)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
