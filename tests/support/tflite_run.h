// SPDX-License-Identifier: Apache-2.0
// Small models of tflite_builder.h through importer, compiler and reference evaluator. For cmocka tests.
#ifndef BF_TEST_TFLITE_RUN_H
#define BF_TEST_TFLITE_RUN_H

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
#include "ir/reference.h"
#include "support/tflite_builder.h"

// Codes of the schema.
enum { FLOAT32 = 0, INT32 = 2, UINT8 = 3, INT64 = 4, INT16 = 7, INT8 = 9, INT4 = 17 };
enum {
  ADD = 0,
  AVERAGE_POOL = 1,
  CONCATENATION = 2,
  CONV = 3,
  DEPTHWISE = 4,
  DEQUANTIZE = 6,
  FULLY_CONNECTED = 9,
  LOGISTIC = 14,
  MAX_POOL = 17,
  MUL = 18,
  RELU = 19,
  RELU_N1_TO_1 = 20,
  RELU6 = 21,
  RESHAPE = 22,
  TANH = 28,
  CUSTOM = 32,
  PAD = 34,
  TRANSPOSE = 39,
  MEAN = 40,
  SUB = 41,
  SQUEEZE = 43,
  STRIDED_SLICE = 45,
  SPLIT = 49,
  PRELU = 54,
  MAXIMUM = 55,
  PADV2 = 60,
  SLICE = 65,
  TRANSPOSE_CONV = 67,
  LEAKY_RELU = 98,
  SPLIT_V = 102,
  QUANTIZE = 114,
  HARD_SWISH = 117
};
enum {
  CONV_OPTIONS = 1,
  DEPTHWISE_OPTIONS = 2,
  POOL_OPTIONS = 5,
  FC_OPTIONS = 8,
  CONCAT_OPTIONS = 10,
  ADD_OPTIONS = 11,
  REDUCER_OPTIONS = 27,
  STRIDED_SLICE_OPTIONS = 32,
  TRANSPOSE_CONV_OPTIONS = 49,
  LEAKY_RELU_OPTIONS = 75
};

struct outcome {
  bool ok;
  size_t errors, warnings;
  struct bf_buf messages, text;
  struct bf_graph *graph;
};

static inline struct outcome import(const struct build_model *model) {
  struct outcome out = {0};
  struct bf_buf file = build_tflite(model);
  struct bf_archive weights = {0};
  struct bf_diags diags = {0};
  out.ok = bf_tflite_import(file.data, file.length, "model.tflite", &out.text, &weights, &diags);
  out.errors = diags.errors;
  out.warnings = diags.count - diags.errors;
  if (out.ok) {
    const struct bf_source *source = bf_diags_add_source(&diags, "imported.bfn", out.text.data, out.text.length);
    out.graph = bf_bfn_compile(source, &weights, NULL, &diags);
  }
  bf_diags_render(&diags, &out.messages);
  bf_buf_cstr(&out.messages);
  bf_buf_cstr(&out.text);
  if (out.ok && !out.graph) fail_msg("%s\n%s", out.messages.data, out.text.data);
  bf_diags_free(&diags);
  bf_archive_free(&weights);
  bf_buf_free(&file);
  return out;
}

static inline void outcome_free(struct outcome *out) {
  if (out->graph) bf_graph_free(out->graph);
  bf_buf_free(&out->messages);
  bf_buf_free(&out->text);
}

// Imports, runs on the given inputs (one after the other) and compares the output.
static inline void check_run(const struct build_model *model, const int64_t *inputs, const int64_t *expected) {
  struct outcome out = import(model);
  struct bf_diags diags = {0};
  if (!out.ok) fail_msg("%s", out.messages.data);
  struct bf_ref_run *run = bf_ref_new(out.graph);
  for (size_t i = 0; i < out.graph->ntensors; i++)
    if (out.graph->tensors[i]->is_input) {
      assert_true(bf_ref_set_input(run, out.graph->tensors[i], inputs));
      inputs += out.graph->tensors[i]->elements;
    }
  assert_true(bf_ref_run(run, &diags));
  const struct bf_tensor *output = out.graph->nodes[out.graph->nnodes - 1]->output;
  assert_true(output->is_output);
  for (uint64_t i = 0; i < output->elements; i++)
    if (run->values[output->id][i] != expected[i])
      fail_msg("element %llu is %lld, not %lld\n%s", (unsigned long long)i, (long long)run->values[output->id][i],
               (long long)expected[i], out.text.data);
  bf_ref_free(run);
  bf_diags_free(&diags);
  outcome_free(&out);
}

#define SHAPED(n, ...) .rank = (n), .shape = {__VA_ARGS__}
#define MODEL(t, o, ...) \
  (struct build_model) { .tensors = (t), .ntensors = BF_COUNT(t), .ops = (o), .nops = BF_COUNT(o), __VA_ARGS__ }

static inline void check_fails(const struct build_model *model, size_t errors, const char *const *parts, size_t count) {
  struct outcome out = import(model);
  assert_false(out.ok);
  for (size_t i = 0; i < count; i++)
    if (!strstr(out.messages.data, parts[i])) fail_msg("no \"%s\" in:\n%s", parts[i], out.messages.data);
  if (out.errors != errors) fail_msg("%zu errors:\n%s", out.errors, out.messages.data);
  assert_int_equal(out.text.length, 0);
  outcome_free(&out);
}
#define FAILS(model, errors, ...) \
  check_fails(model, errors, (const char *const[]){__VA_ARGS__}, BF_COUNT(((const char *const[]){__VA_ARGS__})))

#endif
