// SPDX-License-Identifier: Apache-2.0
// Model file to reference evaluator: each imported network against what an independent interpreter
// recorded, every byte of every layer of the first sample and of the outputs of all.
// Debug builds take a few samples only.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/tflite.h"
#include "frontend/tflite_model.h"
#include "ir/reference.h"
#include "support/data.h"

#ifdef NDEBUG
enum { FEW = 0 };
#else
enum { FEW = 1 };
#endif

// A file of the data folder; skips the test without it.
static char *read_data(size_t *length, const char *name, const char *rest) {
  char *path = bf_format("tflite/%s%s", name, rest);
  char *data = test_data_read(path, length);
  if (!data) printf("skipped: no %s in the data folder\n", path);
  free(path);
  if (!data) skip();
  return data;
}

static void fail_diags(const struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fail_msg("%s", bf_buf_cstr(&text));
}

// Moves the end of a model from its SOFTMAX to the operand of that.
static void cut_softmax(char *data, size_t length) {
  struct bf_tfl_model model;
  struct bf_diags diags = {0};
  assert_true(bf_tfl_read(data, length, "model", &model, &diags));
  for (uint32_t i = 0; i < model.nops; i++)
    if (model.ops[i].code == BF_TFL_OP_SOFTMAX) memcpy(data + model.outputs.at, model.ops[i].inputs.data, 4);
  bf_tfl_model_free(&model);
  bf_diags_free(&diags);
}

static struct bf_graph *import(const char *name, bool logits) {
  size_t length;
  char *data = read_data(&length, name, ".tflite");
  if (logits) cut_softmax(data, length);
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  struct bf_diags diags = {0};
  if (!bf_tflite_import(data, length, name, &text, &weights, &diags)) fail_diags(&diags);
  const struct bf_source *source = bf_diags_add_source(&diags, "imported.bfn", text.data, text.length);
  size_t before = diags.count;
  struct bf_graph *graph = bf_bfn_compile(source, &weights, NULL, &diags);
  if (!graph || diags.count != before) fail_diags(&diags);
  bf_diags_free(&diags);
  bf_archive_free(&weights);
  bf_buf_free(&text);
  free(data);
  return graph;
}

static int64_t byte_value(const struct bf_tensor *tensor, const char *data, uint64_t i) {
  assert_int_equal(tensor->type.bits, 8);
  return tensor->type.kind == BF_TYPE_S ? (int64_t)(int8_t)data[i] : (int64_t)(uint8_t)data[i];
}

static uint64_t count_unequal(const struct bf_tensor *tensor, const int64_t *values, const char *data) {
  uint64_t unequal = 0;
  for (uint64_t i = 0; i < tensor->elements; i++) unequal += values[i] != byte_value(tensor, data, i);
  return unequal;
}

static struct bf_tensor *the_input(const struct bf_graph *graph) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_input) return graph->tensors[i];
  fail_msg("no input");
  return NULL;
}

static struct bf_tensor *the_output(const struct bf_graph *graph) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_output) return graph->tensors[i];
  fail_msg("no output");
  return NULL;
}

static void run_sample(struct bf_ref_run *run, const char *inputs, size_t sample) {
  struct bf_diags diags = {0};
  const struct bf_tensor *input = the_input(run->graph);
  int64_t *values = bf_alloc(input->elements, sizeof *values);
  for (uint64_t i = 0; i < input->elements; i++) values[i] = byte_value(input, inputs, sample * input->elements + i);
  assert_true(bf_ref_set_input(run, input, values));
  if (!bf_ref_run(run, &diags)) fail_diags(&diags);
  free(values);
}

// layers/index.csv: one row an operator, its number first and the file last.
static void check_layers(const char *name, const struct bf_ref_run *run) {
  size_t length;
  char *index = read_data(&length, name, ".golden/layers/index.csv");
  char *line = strchr(index, '\n');
  size_t checked = 0;
  for (line = line ? line + 1 : index; *line;) {
    size_t size = strcspn(line, "\n");
    unsigned long op = strtoul(line, NULL, 10);
    size_t file = size;
    while (file > 0 && line[file - 1] != ',') file--;
    char *rest = bf_format(".golden/layers/%.*s", (int)(size - file), line + file);
    char *data = read_data(&length, name, rest);
    assert_true(op < run->graph->nnodes);
    const struct bf_tensor *tensor = run->graph->nodes[op]->output;
    assert_int_equal(length, tensor->elements);
    uint64_t unequal = count_unequal(tensor, run->values[tensor->id], data);
    if (unequal)
      fail_msg("%s, operator %lu, layer %s: %llu of %llu bytes differ", name, op, tensor->name,
               (unsigned long long)unequal, (unsigned long long)tensor->elements);
    checked++;
    free(data);
    free(rest);
    line += size + (line[size] == '\n');
  }
  assert_int_equal(checked, run->graph->nnodes);
  free(index);
}

// `limit`: at most so many samples, 0: all.
static void check_model(const char *name, bool layers, size_t limit) {
  size_t in_length, out_length;
  char *in = read_data(&in_length, name, ".golden/in.bin");
  char *out = read_data(&out_length, name, ".golden/out.bin");
  struct bf_graph *graph = import(name, false);
  struct bf_ref_run *run = bf_ref_new(graph);
  const struct bf_tensor *output = the_output(graph);
  size_t samples = in_length / the_input(graph)->elements;
  uint64_t unequal = 0;
  assert_int_equal(samples * output->elements, out_length);
  if (limit && limit < samples) samples = limit;
  for (size_t i = 0; i < samples; i++) {
    run_sample(run, in, i);
    if (i == 0 && layers) check_layers(name, run);
    unequal += count_unequal(output, run->values[output->id], out + i * output->elements);
  }
  if (unequal) fail_msg("%s: %llu bytes of %zu outputs differ", name, (unsigned long long)unequal, samples);
  printf("%s: %zu samples equal\n", name, samples);
  bf_ref_free(run);
  bf_graph_free(graph);
  free(out);
  free(in);
}

// SOFTMAX on u8 has no reference evaluator yet, but the largest logit is where the recorded
// probability is largest: a check of u8 convolutions, if a weak one.
static void check_largest(const char *name, size_t limit) {
  size_t in_length, out_length;
  char *in = read_data(&in_length, name, ".golden/in.bin");
  char *out = read_data(&out_length, name, ".golden/out.bin");
  struct bf_graph *graph = import(name, true);
  struct bf_ref_run *run = bf_ref_new(graph);
  const struct bf_tensor *output = the_output(graph);
  size_t samples = in_length / the_input(graph)->elements;
  if (limit && limit < samples) samples = limit;
  for (size_t i = 0; i < samples; i++) {
    const uint8_t *expected = (const uint8_t *)out + i * output->elements;
    uint64_t mine = 0, theirs = 0;
    run_sample(run, in, i);
    for (uint64_t k = 0; k < output->elements; k++) {
      if (run->values[output->id][k] > run->values[output->id][mine]) mine = k;
      if (expected[k] > expected[theirs]) theirs = k;
    }
    assert_int_equal(expected[mine], expected[theirs]);
  }
  printf("%s: %zu samples with the same largest output\n", name, samples);
  bf_ref_free(run);
  bf_graph_free(graph);
  free(out);
  free(in);
}

#define EXAMPLE BF_SOURCE_DIR "/examples/resnet8/"

static void assert_same_archives(const struct bf_archive *a, const struct bf_archive *b) {
  assert_int_equal(a->count, b->count);
  for (size_t i = 0; i < a->count; i++) {
    const struct bf_array *x = &a->items[i].array, *y = bf_archive_find(b, a->items[i].name);
    if (!y) fail_msg("no %s", a->items[i].name);
    assert_int_equal(x->dtype, y->dtype);
    assert_int_equal(x->rank, y->rank);
    assert_memory_equal(x->shape, y->shape, x->rank * sizeof *x->shape);
    assert_memory_equal(x->data, y->data, x->elements * bf_dtype_size(x->dtype));
  }
}

// The network in examples/ is what the importer makes of the model today. If the importer changed on
// purpose: bfimnac pretrainedResnet_quant.tflite --emit=bfn -o examples/resnet8/resnet8.bfn
static void test_example_network(void **state) {
  size_t length, example_length;
  const char *why;
  char *data = read_data(&length, "mlperf_tiny/pretrainedResnet_quant", ".tflite"), *example;
  struct bf_buf text = {0};
  struct bf_archive weights = {0}, example_weights = {0};
  struct bf_diags diags = {0};
  if (!bf_tflite_import(data, length, "model", &text, &weights, &diags)) fail_diags(&diags);
  if (!bf_read_file(EXAMPLE "resnet8.bfn", &example, &example_length, &why)) fail_msg("%s", why);
  assert_string_equal(example, bf_buf_cstr(&text));
  if (!bf_npz_read(EXAMPLE "resnet8.npz", &example_weights, &diags)) fail_diags(&diags);
  assert_same_archives(&weights, &example_weights);
  bf_archive_free(&example_weights);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  bf_buf_free(&text);
  free(example);
  free(data);
}

// Its images and expected outputs are the first of the recorded ones.
static void test_example_data(void **state) {
  static const struct {
    const char *npy, *recorded;
  } files[] = {{EXAMPLE "images.npy", ".golden/in.bin"}, {EXAMPLE "expected.npy", ".golden/out.bin"}};
  for (size_t i = 0; i < BF_COUNT(files); i++) {
    struct bf_array array;
    struct bf_diags diags = {0};
    size_t length;
    char *data = read_data(&length, "mlperf_tiny/pretrainedResnet_quant", files[i].recorded);
    if (!bf_npy_read(files[i].npy, &array, &diags)) fail_diags(&diags);
    assert_int_equal(array.dtype, BF_DTYPE_I8);
    assert_int_equal(array.shape[0], 10);
    assert_true(array.elements <= length);
    assert_memory_equal(array.data, data, array.elements);
    bf_array_free(&array);
    bf_diags_free(&diags);
    free(data);
  }
}

static void test_resnet8(void **state) { check_model("mlperf_tiny/pretrainedResnet_quant", true, FEW ? 10 : 0); }
static void test_resnet8_logits(void **state) {
  check_model("mlperf_tiny/pretrainedResnet_quant_logits", false, FEW ? 10 : 0);
}
static void test_keyword_spotting(void **state) { check_model("mlperf_tiny/kws_ref_model", true, FEW ? 10 : 0); }
static void test_anomaly_detection(void **state) { check_model("mlperf_tiny/ad01_int8", true, FEW ? 20 : 0); }
static void test_hello_world(void **state) { check_model("tflm/hello_world_int8", true, 0); }
static void test_person_detect(void **state) {
  // Its warning (quantized_dimension) belongs to the importer, so it is not met here.
  check_model("tflm/person_detect", true, FEW ? 2 : 0);
}
static void test_mobilenet_v1(void **state) { check_largest("imagenet/mobilenet_v1_0.25_128_quant", FEW ? 1 : 0); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resnet8),          cmocka_unit_test(test_resnet8_logits),
      cmocka_unit_test(test_keyword_spotting), cmocka_unit_test(test_anomaly_detection),
      cmocka_unit_test(test_hello_world),      cmocka_unit_test(test_person_detect),
      cmocka_unit_test(test_mobilenet_v1),     cmocka_unit_test(test_example_network),
      cmocka_unit_test(test_example_data),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
