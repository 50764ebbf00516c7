// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: layers worked out by hand, kernel vectors published by a vendor, softmax against the
// recorded outputs of an independent interpreter. Equality is in every element.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/reference.h"
#include "support/data.h"
#include "support/vec_build.h"

// ---- building one-layer graphs

static const struct bf_type s8 = {BF_TYPE_S, 8};
static const struct bf_type s32 = {BF_TYPE_S, 32};
static const struct bf_type s16 = {BF_TYPE_S, 16};

static void verify(const struct bf_graph *g) {
  struct bf_diags diags = {0};
  if (!bf_graph_verify(g, &diags)) {
    struct bf_buf text = {0};
    bf_diags_render(&diags, &text);
    fail_msg("%s", bf_buf_cstr(&text));
  }
  bf_diags_free(&diags);
}

// Verifies, runs, compares the only output; frees the graph.
static void expect(struct bf_graph *g, const int64_t *const *inputs, const int64_t *expected) {
  struct bf_diags diags = {0};
  verify(g);
  struct bf_ref_run *run = bf_ref_new(g);
  for (size_t i = 0; i < g->ntensors; i++)
    if (g->tensors[i]->is_input) assert_true(bf_ref_set_input(run, g->tensors[i], *inputs++));
  assert_true(bf_ref_run(run, &diags));
  const struct bf_tensor *out = g->nodes[g->nnodes - 1]->output;
  for (uint64_t i = 0; i < out->elements; i++)
    if (run->values[out->id][i] != expected[i])
      fail_msg("%s: element %llu is %lld, expected %lld", g->name, (unsigned long long)i,
               (long long)run->values[out->id][i], (long long)expected[i]);
  bf_ref_free(run);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

static struct bf_node *finish(struct bf_graph *g, enum bf_op op, struct bf_tensor *const *in, uint32_t n,
                              struct bf_tensor *out) {
  out->is_output = true;
  struct bf_node *node = bf_graph_node(g, op, "layer", in, n, out);
  node->attrs.requant.lo = bf_type_min(out->type);
  node->attrs.requant.hi = bf_type_max(out->type);
  return node;
}

static struct bf_tensor *typed_input(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank,
                                     const uint64_t *shape, int64_t zero) {
  struct bf_tensor *t = vec_new_tensor(g, name, type, rank, shape, zero);
  t->is_input = true;
  return t;
}

static struct bf_tensor *input(struct bf_graph *g, const char *name, unsigned rank, const uint64_t *shape,
                               int64_t zero) {
  return typed_input(g, name, s8, rank, shape, zero);
}

// ---- by hand

static void test_conv(void **state) {
  struct bf_graph *g = bf_graph_new("conv");
  const int64_t w[] = {1, 2, 3, 4}, bias[] = {10}, x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 3, 3, 1}, 1),
                            vec_new_constant(g, "w", s8, 4, (uint64_t[]){1, 2, 2, 1}, 0, w),
                            vec_new_constant(g, "b", s32, 1, (uint64_t[]){1}, 0, bias)};
  struct bf_node *node = finish(g, BF_OP_CONV2D, in, 3, vec_new_tensor(g, "y", s8, 4, (uint64_t[]){1, 3, 3, 1}, 0));
  node->attrs.kernel[0] = node->attrs.kernel[1] = 2;
  node->attrs.pad[1] = node->attrs.pad[3] = 1;
  node->attrs.requant.hi = 60;
  // x - 1 = 0 1 2 / 3 4 5 / 6 7 8, zero outside; y = 10 + a + 2b + 3c + 4d.
  const int64_t y[] = {37, 47, 27, 60, 60, 39, 30, 33, 18};
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_grouped_conv(void **state) {
  struct bf_graph *g = bf_graph_new("groups");
  const int64_t w[] = {2, 3, 4, 5}, x[] = {1, 10, 2, 20};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 1, 2, 2}, 0),
                            vec_new_constant(g, "w", s8, 4, (uint64_t[]){4, 1, 1, 1}, 0, w)};
  struct bf_node *node = finish(g, BF_OP_CONV2D, in, 2, vec_new_tensor(g, "y", s8, 4, (uint64_t[]){1, 1, 2, 4}, 0));
  node->attrs.groups = 2;
  const int64_t y[] = {2, 3, 40, 50, 4, 6, 80, 100};
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_dense(void **state) {
  struct bf_graph *g = bf_graph_new("dense");
  const int64_t w[] = {1, 2, 3, -1, -2, -3}, bias[] = {0, 5}, x[] = {1, 1, 2, -1, 0, 1};
  struct bf_tensor *in[] = {input(g, "x", 2, (uint64_t[]){2, 3}, 0),
                            vec_new_constant(g, "w", s8, 2, (uint64_t[]){2, 3}, 1, w),
                            vec_new_constant(g, "b", s32, 1, (uint64_t[]){2}, 0, bias)};
  finish(g, BF_OP_DENSE, in, 3, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){2, 2}, 0));
  // w - 1 = 0 1 2 / -2 -3 -4
  const int64_t y[] = {5, 5 - 2 - 3 - 8, 2, 5 + 2 - 4};
  expect(g, (const int64_t *const[]){x}, y);
}

static void pool(enum bf_op op, const int64_t *y) {
  struct bf_graph *g = bf_graph_new("pool");
  const int64_t x[] = {-1, -2, -3, 5, 6, -7, -8, 9, 10};
  struct bf_tensor *in[] = {input(g, "x", 4, (uint64_t[]){1, 3, 3, 1}, -128)};
  struct bf_node *node = finish(g, op, in, 1, vec_new_tensor(g, "y", s8, 4, (uint64_t[]){1, 2, 2, 1}, -128));
  for (int i = 0; i < 2; i++) node->attrs.kernel[i] = node->attrs.stride[i] = 2;
  node->attrs.pad[0] = node->attrs.pad[2] = 1;
  expect(g, (const int64_t *const[]){x}, y);
}

static void test_pools(void **state) {
  // Windows: {-1}, {-2, -3}, {5, -8}, {6, -7, 9, 10}.
  pool(BF_OP_MAX_POOL, (const int64_t[]){-1, -2, 5, 10});
  pool(BF_OP_AVG_POOL, (const int64_t[]){-1, -3, -2, 5});  // -2.5 and -1.5 away from zero; 4.5 too
}

static void test_add(void **state) {
  struct bf_graph *g = bf_graph_new("add");
  const int64_t a[] = {1, -100, 100}, b[] = {2, -50, 50};
  struct bf_tensor *in[] = {input(g, "a", 2, (uint64_t[]){1, 3}, 1), input(g, "b", 2, (uint64_t[]){1, 3}, 0)};
  struct bf_node *node = finish(g, BF_OP_ADD, in, 2, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){1, 3}, 3));
  int64_t mult = 3;
  int32_t shift = 1;
  node->attrs.in_requant[1] = (struct bf_requant){.mode = BF_REQUANT_DYADIC, .count = 1, .mult = &mult, .shift = &shift};
  node->attrs.requant.out_zero = 3;
  const int64_t y[] = {0 + 3 + 3, -128, 127};
  expect(g, (const int64_t *const[]){a, b}, y);
}

static void test_movers(void **state) {
  struct bf_graph *g = bf_graph_new("pad");
  const int64_t x[] = {1, 2, 3, 4}, z[] = {9, 8};
  struct bf_tensor *in[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 0)};
  struct bf_node *node = finish(g, BF_OP_PAD, in, 1, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){3, 4}, 0));
  node->attrs.pads[0][0] = node->attrs.pads[1][0] = node->attrs.pads[1][1] = 1;
  node->attrs.pad_value = -5;
  expect(g, (const int64_t *const[]){x}, (const int64_t[]){-5, -5, -5, -5, -5, 1, 2, -5, -5, 3, 4, -5});

  g = bf_graph_new("concat");
  struct bf_tensor *two[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 0), input(g, "z", 2, (uint64_t[]){2, 1}, 0)};
  node = finish(g, BF_OP_CONCAT, two, 2, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){2, 3}, 0));
  node->attrs.axis = 1;
  expect(g, (const int64_t *const[]){x, z}, (const int64_t[]){1, 2, 9, 3, 4, 8});

  g = bf_graph_new("argmax");
  const int64_t m[] = {1, 7, 7, 3, 2, 1};
  struct bf_tensor *one[] = {input(g, "x", 2, (uint64_t[]){2, 3}, 0)};
  node = finish(g, BF_OP_ARGMAX, one, 1, vec_new_tensor(g, "y", (struct bf_type){BF_TYPE_U, 2}, 1, (uint64_t[]){2}, 0));
  node->attrs.axis = 1;
  expect(g, (const int64_t *const[]){m}, (const int64_t[]){1, 0});

  g = bf_graph_new("clamp");
  struct bf_tensor *c[] = {input(g, "x", 2, (uint64_t[]){2, 2}, 2)};
  node = finish(g, BF_OP_CLAMP, c, 1, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){2, 2}, 2));
  node->attrs.requant.lo = 2;
  node->attrs.requant.hi = 3;
  expect(g, (const int64_t *const[]){x}, (const int64_t[]){2, 2, 3, 3});
}

static void test_inputs(void **state) {
  struct bf_diags diags = {0};
  struct bf_graph *g = bf_graph_new("inputs");
  struct bf_tensor *in[] = {input(g, "x", 1, (uint64_t[]){2}, 0)};
  finish(g, BF_OP_RESHAPE, in, 1, vec_new_tensor(g, "y", s8, 2, (uint64_t[]){1, 2}, 0));
  verify(g);
  struct bf_ref_run *run = bf_ref_new(g);
  assert_false(bf_ref_run(run, &diags));  // no value yet
  assert_int_equal(diags.errors, 1);
  assert_false(bf_ref_set_input(run, in[0], (const int64_t[]){0, 128}));
  assert_true(bf_ref_set_input(run, in[0], (const int64_t[]){0, 127}));
  assert_true(bf_ref_run(run, &diags));
  bf_ref_free(run);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- vendor vectors

// False: not a case for this evaluator (a kind without a graph).
static bool run_vector(const struct vec *v) {
  struct vec_graph built;
  const char *why;
  if (!vec_graph_build(v, &built, &why)) return false;
  expect(built.graph, built.values, built.expected);
  return true;
}

static void test_vendor_vectors(void **state) {
  char *folder = test_data_path("vectors/cmsis_nn");
  DIR *dir = folder ? opendir(folder) : NULL;
  if (!dir) {
    print_message("skipped: no vendor vectors here\n");
    skip();
  }
  size_t run = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    size_t length = strlen(entry->d_name);
    if (length < 4 || strcmp(entry->d_name + length - 4, ".vec") != 0) continue;
    char *path = bf_format("vectors/cmsis_nn/%s", entry->d_name), *text = test_data_read(path, &length);
    assert_non_null(text);
    struct vec *v = vec_parse(text);
    bool done = run_vector(v);
    if (getenv("BFIMNA_VERBOSE")) print_message("%s %s: %s\n", v->kind, entry->d_name, done ? "equal" : "not for us");
    run += done;
    vec_free(v);
    free(text);
    free(path);
  }
  closedir(dir);
  free(folder);
  print_message("%zu vendor cases equal\n", run);
  assert_true(run > 0);
}

// ---- softmax

// Runs `count` rows of logits through softmax and compares with the recorded bytes.
static void compare_softmax(const char *logits, const char *probabilities, size_t depth, float scale, float beta) {
  size_t length, expected_length;
  char *in = test_data_read(logits, &length), *expected = test_data_read(probabilities, &expected_length);
  if (!in || !expected) {
    free(in);
    free(expected);
    print_message("skipped: no recorded outputs here\n");
    skip();
  }
  assert_int_equal(length, expected_length);
  int64_t *row = bf_alloc(depth, sizeof *row), *out = bf_alloc(depth, sizeof *out);
  for (size_t at = 0; at + depth <= length; at += depth) {
    for (size_t i = 0; i < depth; i++) row[i] = (int8_t)in[at + i];
    bf_ref_softmax(row, out, depth, s8, s8, scale, beta);
    for (size_t i = 0; i < depth; i++)
      if (out[i] != (int8_t)expected[at + i])
        fail_msg("byte %zu is %d, expected %d", at + i, (int)out[i], (int8_t)expected[at + i]);
  }
  print_message("%zu bytes equal\n", length);
  free(row);
  free(out);
  free(in);
  free(expected);
}

static void test_softmax_recorded(void **state) {
  compare_softmax("tflite/mlperf_tiny/pretrainedResnet_quant_logits.golden/out.bin",
                  "tflite/mlperf_tiny/pretrainedResnet_quant.golden/out.bin", 10, 0.171853513f, 1);
}

// The multiplier of beta * scale * unit, back to a scale.
static void compare_vendor_softmax(const char *path, struct bf_type type, double unit) {
  size_t length;
  char *text = test_data_read(path, &length);
  if (!text) {
    print_message("skipped: no vendor vectors here\n");
    skip();
  }
  struct vec *v = vec_parse(text);
  uint64_t depth = (uint64_t)vec_int(v, "ROW_SIZE", 1);
  double scale = ldexp((double)vec_int(v, "INPUT_MULT", 0), (int)vec_int(v, "INPUT_LEFT_SHIFT", 0) - 31) / unit;
  int64_t *out = bf_alloc(depth, sizeof *out);
  for (uint64_t r = 0; r < (uint64_t)vec_int(v, "NUM_ROWS", 0); r++) {
    bf_ref_softmax(vec_tensor(v, "input")->values + r * depth, out, depth, type, type, (float)scale, 1);
    assert_memory_equal(out, vec_tensor(v, "output_ref")->values + r * depth, depth * sizeof *out);
  }
  free(out);
  vec_free(v);
  free(text);
}

static void test_softmax_vendor(void **state) {
  compare_vendor_softmax("vectors/cmsis_nn/softmax.vec", s8, 0x1p26);
  compare_vendor_softmax("vectors/cmsis_nn/softmax_s16.vec", s16, 65535 / 10.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv),           cmocka_unit_test(test_grouped_conv),
      cmocka_unit_test(test_dense),          cmocka_unit_test(test_pools),
      cmocka_unit_test(test_add),            cmocka_unit_test(test_movers),
      cmocka_unit_test(test_inputs),         cmocka_unit_test(test_vendor_vectors),
      cmocka_unit_test(test_softmax_recorded), cmocka_unit_test(test_softmax_vendor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
