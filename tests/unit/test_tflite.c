// SPDX-License-Identifier: Apache-2.0
// The TFLite importer: the reader against independent dumps of every model, damaged files, and
// the diagnostics for what is not supported.
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
#include "support/data.h"

static const char *const models[] = {
    "mlperf_tiny/pretrainedResnet_quant",
    "mlperf_tiny/pretrainedResnet_quant_logits",
    "mlperf_tiny/kws_ref_model",
    "mlperf_tiny/ad01_int8",
    "tflm/person_detect",
    "tflm/hello_world_int8",
    "imagenet/mobilenet_v1_0.25_128_quant",
    "imagenet/mobilenet_v2_1.0_224_quant",
    "imagenet/tf2_mobilenet_v2_1.0_224_ptq",
};

// The bytes of a file of the data folder, which the caller frees; skips the test without the folder.
static char *read_data(size_t *length, const char *folder, const char *name, const char *extension) {
  char *path = bf_format("%s/%s%s", folder, name, extension);
  char *data = test_data_read(path, length);
  if (!data) printf("skipped: no %s in the data folder\n", path);
  free(path);
  if (!data) skip();
  return data;
}

static uint32_t crc32(const uint8_t *data, uint64_t length) {
  uint32_t crc = ~0u;
  for (uint64_t i = 0; i < length; i++) {
    crc ^= data[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

static void put_indices(struct bf_buf *out, const char *name, const struct bf_fb_vector *list) {
  bf_buf_printf(out, " %s", name);
  for (uint32_t i = 0; i < list->count; i++) bf_buf_printf(out, " %d", bf_fb_vector_i32(list, i));
}

static void put_text(struct bf_buf *out, const char *name, struct bf_fb_vector text) {
  bf_buf_printf(out, " %s \"%.*s\"", name, (int)text.count, text.data ? (const char *)text.data : "");
}

static void put_tensor(struct bf_buf *out, const struct bf_tfl_model *model, uint32_t index) {
  const struct bf_tfl_tensor *t = &model->tensors[index];
  const struct bf_tfl_buffer *b = &model->buffers[t->buffer];
  bf_buf_printf(out, "tensor %u %s shape", index, bf_tfl_type_info(t->type)->name);
  for (uint32_t i = 0; i < t->rank; i++) bf_buf_printf(out, " %d", t->shape[i]);
  if (t->scale.count) {
    bf_buf_printf(out, " qdim %d nscale %u scale", t->quantized_dimension, t->scale.count);
    for (uint32_t i = 0; i < t->scale.count; i++) bf_buf_printf(out, " %.9g", bf_fb_vector_f32(&t->scale, i));
    bf_buf_puts(out, " zp");
    for (uint32_t i = 0; i < t->zero_point.count; i++)
      bf_buf_printf(out, " %lld", (long long)bf_fb_vector_i64(&t->zero_point, i));
  }
  bf_buf_printf(out, " buffer %u bytes %llu crc32 %08x", t->buffer, (unsigned long long)b->length,
                b->length ? crc32(b->data, b->length) : 0);
  put_text(out, "name", t->name);
  bf_buf_puts(out, "\n");
}

static void put_op(struct bf_buf *out, const struct bf_tfl_model *model, uint32_t index) {
  const struct bf_tfl_op *op = &model->ops[index];
  const struct bf_tfl_options *o = &op->options;
  bf_buf_printf(out, "op %u %s v%lld", index, bf_tfl_op_info(op->code).name, (long long)op->version);
  put_indices(out, "in", &op->inputs);
  put_indices(out, "out", &op->outputs);
#define BF_TFL_FIELD(type, slot, kind, member, otherwise, label)                                                       \
  if (op->options_type == BF_TFL_OPTIONS_##type) {                                                                     \
    if (strcmp(label, "padding") == 0) bf_buf_printf(out, " padding %s", o->member == BF_TFL_SAME ? "SAME" : "VALID"); \
    else if (strcmp(label, "act") == 0) bf_buf_printf(out, " act %s", bf_tfl_act_info(o->member)->name);               \
    else bf_buf_printf(out, " %s %d", label, o->member);                                                               \
  }
#define BF_TFL_REAL(type, slot, member, otherwise, label) \
  if (op->options_type == BF_TFL_OPTIONS_##type) bf_buf_printf(out, " %s %g", label, o->member);
#include "frontend/tflite_schema.def"
  bf_buf_puts(out, "\n");
}

// The model in the form of the dumps.
static void dump(struct bf_buf *out, const struct bf_tfl_model *model) {
  bf_buf_printf(out, "version %lld", (long long)model->version);
  put_text(out, "description", model->description);
  bf_buf_printf(out, " subgraphs %u buffers %u\nsubgraph 0", model->nsubgraphs, model->nbuffers);
  put_indices(out, "inputs", &model->inputs);
  put_indices(out, "outputs", &model->outputs);
  bf_buf_puts(out, "\n");
  for (uint32_t i = 0; i < model->ntensors; i++) put_tensor(out, model, i);
  for (uint32_t i = 0; i < model->nops; i++) put_op(out, model, i);
}

// Fails at the first line that differs.
static void assert_same_lines(const char *mine, const char *theirs) {
  while (*mine || *theirs) {
    size_t a = strcspn(mine, "\n"), b = strcspn(theirs, "\n");
    if (a != b || memcmp(mine, theirs, a) != 0)
      fail_msg("read:     %.*s\nexpected: %.*s", (int)(a < 300 ? a : 300), mine, (int)(b < 300 ? b : 300), theirs);
    mine += a + (mine[a] == '\n');
    theirs += b + (theirs[b] == '\n');
  }
}

static void test_reader_equals_dumps(void **state) {
  for (size_t i = 0; i < BF_COUNT(models); i++) {
    size_t length, expected_length;
    char *data = read_data(&length, "tflite", models[i], ".tflite");
    char *expected = read_data(&expected_length, "tflite", models[i], ".dump.txt");
    struct bf_diags diags = {0};
    struct bf_tfl_model model;
    struct bf_buf out = {0};
    assert_true(bf_tfl_read(data, length, models[i], &model, &diags));
    assert_int_equal(diags.count, 0);
    dump(&out, &model);
    assert_same_lines(bf_buf_cstr(&out), expected);
    bf_buf_free(&out);
    bf_tfl_model_free(&model);
    bf_diags_free(&diags);
    free(expected);
    free(data);
  }
}

struct import {
  bool ok;
  struct bf_buf text, messages;
  struct bf_archive weights;
  size_t errors, warnings;
};

static struct import import(const void *data, size_t length) {
  struct import out = {0};
  struct bf_diags diags = {0};
  out.ok = bf_tflite_import(data, length, "model.tflite", &out.text, &out.weights, &diags);
  out.errors = diags.errors;
  out.warnings = diags.count - diags.errors;
  bf_diags_render(&diags, &out.messages);
  bf_buf_cstr(&out.messages);
  bf_buf_cstr(&out.text);
  bf_diags_free(&diags);
  // Errors and only errors leave nothing behind.
  assert_true(out.ok == (out.errors == 0));
  if (!out.ok) {
    assert_int_equal(out.text.length, 0);
    assert_int_equal(out.weights.count, 0);
  }
  return out;
}

static void import_free(struct import *in) {
  bf_buf_free(&in->text);
  bf_buf_free(&in->messages);
  bf_archive_free(&in->weights);
}

static void assert_contains(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

// The number after `before` reads back as exactly this scale.
static void assert_scale(const char *text, const char *before, float scale) {
  assert_contains(text, before);
  assert_true(strtof(strstr(text, before) + strlen(before), NULL) == scale);
}

static void test_import_resnet8(void **state) {
  size_t length;
  char *data = read_data(&length, "tflite", models[0], ".tflite");
  struct import out = import(data, length);
  if (!out.ok) fail_msg("%s", out.messages.data);
  assert_int_equal(out.warnings, 0);
  // Facts of the model's dump.
  assert_contains(out.text.data, "input input_1: s8[32, 32, 3] scale 1 zero -128;");
  assert_contains(out.text.data, ": s8[16, 3, 3, 3] scale \"");
  assert_scale(out.text.data, "const dense_0_w: s8[10, 64] scale ", 0.0305543914f);
  assert_contains(out.text.data, "stride 2, pad same");
  assert_scale(out.text.data, "= dense(flatten_0, dense_0_w, dense_0_b)\n      -> s8 scale ", 0.171853513f);
  // 10 weights and 10 biases; 9 of the weights have scales per channel.
  assert_int_equal(out.weights.count, 29);
  for (size_t i = 0; i < out.weights.count; i++) {
    char *quoted = bf_format(" %s: ", out.weights.items[i].name);
    char *scale = bf_format("\"%s\"", out.weights.items[i].name);
    assert_true(strstr(out.text.data, quoted) || strstr(out.text.data, scale));
    free(quoted);
    free(scale);
  }
  struct import again = import(data, length);
  assert_string_equal(out.text.data, again.text.data);
  import_free(&again);
  import_free(&out);
  free(data);
}

static void test_import_all(void **state) {
  for (size_t i = 0; i < BF_COUNT(models); i++) {
    size_t length;
    char *data = read_data(&length, "tflite", models[i], ".tflite");
    struct import out = import(data, length);
    if (!out.ok) {
      fail_msg("%s: %s", models[i], out.messages.data);
    } else if (strstr(models[i], "person_detect")) {
      assert_int_equal(out.warnings, 1);
      assert_contains(out.messages.data, "quantized_dimension");
    } else if (strstr(models[i], "logits")) {
      assert_int_equal(out.warnings, 1);
      assert_contains(out.messages.data, "operator 15 SOFTMAX");
    } else {
      assert_int_equal(out.warnings, 0);
    }
    import_free(&out);
    free(data);
  }
}

// A copy in memory of exact size, so that a sanitizer sees every byte read beyond it.
static void import_damaged(const char *data, size_t length) {
  char *copy = malloc(length ? length : 1);
  memcpy(copy, data, length);
  struct import out = import(copy, length);
  // What still imports must be text that the compiler reads: it may be refused, for instance because two
  // shapes clash, but only with a diagnostic.
  if (out.ok) {
    struct bf_diags diags = {0};
    const struct bf_source *source = bf_diags_add_source(&diags, "imported.bfn", out.text.data, out.text.length);
    struct bf_graph *graph = bf_bfn_compile(source, &out.weights, NULL, &diags);
    assert_true(graph || diags.errors);
    if (graph) bf_graph_free(graph);
    bf_diags_free(&diags);
  }
  import_free(&out);
  free(copy);
}

static void test_truncated(void **state) {
  size_t length;
  char *data = read_data(&length, "tflite", models[0], ".tflite");
  for (size_t n = 0; n < length; n += n < 512 ? 1 : 97) import_damaged(data, n);
  struct import out = import(data, length / 2);
  assert_false(out.ok);
  assert_int_equal(out.errors, 1);
  assert_contains(out.messages.data, "at byte ");
  import_free(&out);
  free(data);
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

// Bytes at random, and bytes of the structure (the first and last few kilobytes hold no weights).
static void test_flipped_bytes(void **state) {
  static const char *const victims[] = {"tflm/hello_world_int8", "mlperf_tiny/pretrainedResnet_quant"};
  uint64_t seed = 0x9E3779B97F4A7C15u;
  for (size_t k = 0; k < BF_COUNT(victims); k++) {
    size_t length;
    char *data = read_data(&length, "tflite", victims[k], ".tflite");
    char *copy = malloc(length);
    for (int run = 0; run < 1000; run++) {
      memcpy(copy, data, length);
      for (uint64_t flips = next_random(&seed) % 4 + 1; flips > 0; flips--) {
        uint64_t r = next_random(&seed), span = r & 1 && length > 8192 ? 8192 : length;
        uint64_t at = (r >> 8) % span;
        if (r & 2) at = length - 1 - at;
        copy[at] ^= (char)(1 << (next_random(&seed) % 8));
      }
      import_damaged(copy, length);
    }
    free(copy);
    free(data);
  }
}

// The byte offset of a field of a table, found by the reader's own primitive.
static size_t field_offset(const char *data, uint64_t table, unsigned slot) {
  const uint8_t *p = (const uint8_t *)data;
  int32_t back;
  memcpy(&back, p + table, 4);
  size_t entry = (size_t)((int64_t)table - back) + 4 + 2 * (size_t)slot;
  return (size_t)table + p[entry] + 256u * p[entry + 1];
}

static struct import import_patched(const char *name, uint32_t op, uint32_t tensor,
                                    void (*patch)(char *, const struct bf_tfl_model *, uint32_t, uint32_t)) {
  size_t length;
  char *data = read_data(&length, "tflite", name, ".tflite");
  struct bf_tfl_model model;
  struct bf_diags diags = {0};
  assert_true(bf_tfl_read(data, length, "m", &model, &diags));
  patch(data, &model, op, tensor);
  bf_tfl_model_free(&model);
  bf_diags_free(&diags);
  struct import out = import(data, length);
  free(data);
  return out;
}

// The table of an operator's options.
static uint64_t options_at(const char *data, const struct bf_tfl_model *model, uint32_t op) {
  size_t field = field_offset(data, model->ops[op].at, 4);
  uint32_t offset;
  memcpy(&offset, data + field, 4);
  return field + offset;
}

static void patch_tanh(char *data, const struct bf_tfl_model *model, uint32_t op, uint32_t tensor) {
  data[field_offset(data, options_at(data, model, op), 3)] = 4;
}

static void patch_type(char *data, const struct bf_tfl_model *model, uint32_t op, uint32_t tensor) {
  data[field_offset(data, model->tensors[tensor].at, 1)] = 1;
}

static void patch_no_buffer(char *data, const struct bf_tfl_model *model, uint32_t op, uint32_t tensor) {
  memset(data + field_offset(data, model->tensors[tensor].at, 2), 0, 4);
}

static void patch_huge_shape(char *data, const struct bf_tfl_model *model, uint32_t op, uint32_t tensor) {
  size_t field = field_offset(data, model->tensors[tensor].at, 0);
  uint32_t offset;
  memcpy(&offset, data + field, 4);
  static const uint8_t large[] = {255, 255, 255, 127};
  for (int i = 1; i < 4; i++) memcpy(data + field + offset + 4 + 4 * i, large, 4);
}

// Each obstacle gives one error that names operator, index and output.
static void test_unsupported(void **state) {
  static const struct {
    uint32_t op, tensor;
    void (*patch)(char *, const struct bf_tfl_model *, uint32_t, uint32_t);
    const char *expected;
  } cases[] = {
      {0, 0, patch_tanh, "operator 0 CONV_2D (output \"model/activation/Relu;"},
      {0, 0, patch_tanh, "fused activation TANH"},
      {0, 22, patch_type, "is of type FLOAT16"},
      {14, 7, patch_no_buffer, "operator 14 FULLY_CONNECTED (output \"model/dense/MatMul;model/dense/BiasAdd\")"},
      {14, 7, patch_no_buffer, "has no data"},
      {0, 22, patch_huge_shape, "more than 2^31 elements"},
  };
  for (size_t i = 0; i < BF_COUNT(cases); i++) {
    struct import out = import_patched(models[0], cases[i].op, cases[i].tensor, cases[i].patch);
    assert_false(out.ok);
    assert_contains(out.messages.data, cases[i].expected);
    import_free(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reader_equals_dumps), cmocka_unit_test(test_import_resnet8),
      cmocka_unit_test(test_import_all),          cmocka_unit_test(test_truncated),
      cmocka_unit_test(test_flipped_bytes),       cmocka_unit_test(test_unsupported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
