// SPDX-License-Identifier: Apache-2.0
// .bfn: operators beyond convolutions and pools: attributes, derived requantizations, one error for each thing that can be wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"

#define HEAD                                                                                                        \
  "bfn 1;\nnetwork n {\ninput x: s8[4, 6, 2] scale 0.5 zero 1; input y: s8[4, 6, 2] scale 0.25 zero -7; input q: s4[5]; \n" \
  "const c: s8[1, 1, 1, 2] scale 0.125 zero 2 = [3, -4]; const t: u4[16] scale 3 = 7;\n"

static struct bf_graph *compile(const char *body, uint32_t batch, struct bf_diags *diags) {
  char *text = bf_format("%s%s}\n", HEAD, body);
  struct bf_archive none = {0};
  struct bf_bfn_options options = {.batch = batch};
  struct bf_graph *g = bf_bfn_compile(bf_diags_add_source(diags, "t.bfn", text, strlen(text)), &none, &options, diags);
  free(text);
  return g;
}

static struct bf_graph *network(const char *body) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_graph *g = compile(body, 1, &diags);
  bf_diags_render(&diags, &text);
  if (!g) fail_msg("%s", bf_buf_cstr(&text));
  bf_buf_free(&text);
  bf_diags_free(&diags);
  return g;
}

static void wrong(const char *body, uint32_t batch, const char *part) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_graph *g = compile(body, batch, &diags);
  bf_diags_render(&diags, &text);
  if (g || diags.errors != 1 || !strstr(bf_buf_cstr(&text), part)) fail_msg("%s: no '%s' in\n%s", body, part, bf_buf_cstr(&text));
  bf_buf_free(&text);
  bf_diags_free(&diags);
}

static const struct bf_node *node(const struct bf_graph *g, const char *name) {
  const struct bf_tensor *t = bf_graph_find_tensor(g, name);
  if (!t || !t->producer) fail_msg("no layer %s", name);
  return t->producer;
}

static void has_shape(const struct bf_graph *g, const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  const uint64_t wanted[4] = {a, b, c, d}, *shape = node(g, name)->output->shape;
  for (int i = 0; i < 4; i++) assert_int_equal(shape[i], wanted[i]);
}

// Scales are powers of two, so every multiplier is 2^30 and the exponent says all: factor = 2^(shift - 1).
static void is_factor(const struct bf_requant *rq, int32_t shift) {
  assert_int_equal(rq->mode, BF_REQUANT_TFLITE);
  assert_int_equal(rq->count, 1);
  assert_int_equal(rq->mult[0], 1 << 30);
  assert_int_equal(rq->shift[0], shift);
}

static void test_elementwise(void **state) {
  struct bf_graph *g = network(
      "a = sub(x, y, activation relu) -> s8 scale 1 zero 4;\n"
      "b = sub(x, y) -> s16 scale 0.5;\n"
      "m = mul(x, y) -> u8 scale 0.25 zero 9;\n"
      "k = add(c, x) -> s8 scale 0.5;\n"
      "u = mul(x, y) -> s8 requantize dyadic(mult [3, 5], shift 4);\n"
      "w = maximum(x, x, activation clamp(-1, 1));\n"
      "v = sub(x, y, in1 pow2(shift 1)) -> s8;\n"
      "output a, b, m, k, u, w, v;\n");
  const struct bf_attrs *a = &node(g, "a")->attrs;
  assert_int_equal(a->left_shift, 20);
  is_factor(&a->in_requant[0], 0);   // 0.5 / (2 * 0.5)
  is_factor(&a->in_requant[1], -1);  // 0.25 / (2 * 0.5)
  is_factor(&a->requant, -19);       // (2 * 0.5) / 2^20
  assert_int_equal(a->requant.lo, 4);
  assert_int_equal(node(g, "b")->attrs.left_shift, 15);
  is_factor(&node(g, "b")->attrs.requant, -13);  // 1 / 2^15 / 0.5
  is_factor(&node(g, "m")->attrs.requant, 0);    // 0.5 * 0.25 / 0.25
  assert_int_equal(node(g, "m")->attrs.requant.out_zero, 9);
  has_shape(g, "k", 1, 4, 6, 2);
  assert_int_equal(node(g, "u")->attrs.requant.count, 2);
  assert_int_equal(node(g, "w")->attrs.requant.lo, -1);  // zero 1, one is 2 steps
  assert_int_equal(node(g, "w")->attrs.requant.hi, 3);
  assert_int_equal(node(g, "v")->attrs.in_requant[1].mode, BF_REQUANT_POW2);
  assert_int_equal(node(g, "v")->attrs.requant.mode, BF_REQUANT_NONE);
  bf_graph_free(g);
}

static void test_reductions(void **state) {
  struct bf_graph *g = network(
      "a = mean(x) -> s8 scale 0.5 zero -3;\n"
      "b = reduce_sum(x, axes [-1, 1]) -> s16 scale 1;\n"
      "c1 = mean(x, axes 3) -> s8 scale 0.5;\n"
      "d = mean(x) -> s8 requantize float_rne;\n"
      "e = mean(x) -> s8 requantize tflite(mult 701219150, shift -4);\n"
      "output a, b, c1, d, e;\n");
  const struct bf_requant *rq = &node(g, "a")->attrs.requant;
  assert_int_equal(node(g, "a")->attrs.axes, 6);
  assert_int_equal(rq->mult[0], (1ll << 34) / 24);  // n = 24: four places
  assert_int_equal(rq->shift[0], 1 - 4);
  assert_int_equal(rq->out_zero, -3);
  has_shape(g, "a", 1, 1, 1, 2);
  assert_int_equal(node(g, "b")->attrs.axes, 10);
  is_factor(&node(g, "b")->attrs.requant, 0);
  has_shape(g, "b", 1, 1, 6, 1);
  is_factor(&node(g, "c1")->attrs.requant, 0);
  assert_true(node(g, "d")->attrs.requant.fscale[0] == 0.5f / 24);
  assert_int_equal(node(g, "e")->attrs.requant.mult[0], 701219150);
  bf_graph_free(g);
}

static void test_moving(void **state) {
  struct bf_graph *g = network(
      "f = table(q, t); h = table(q, t) -> s8 scale 0.5 zero 3;\n"
      "a = transpose(x, perm [0, 3, 1, 2]);\n"
      "b = slice(x, begin [1, 0, 0], step [2, -1, 1]); d = slice(x, count [1, 4, 5, 1], begin [0, 0, 1, 1]);\n"
      "e = slice(x, step [-1, -3, 1]);\n"
      "s = spread(x, factor [2, 3]);\n"
      "output f, h, a, b, d, e, s;\n");
  assert_int_equal(node(g, "f")->output->type.bits, 4);
  assert_true(bf_quant_scale(&node(g, "f")->output->quant, 0) == 3);
  assert_int_equal(bf_quant_zero(&node(g, "h")->output->quant, 0), 3);
  has_shape(g, "a", 1, 2, 4, 6);
  has_shape(g, "b", 1, 2, 1, 2);  // one element back from column 0
  has_shape(g, "d", 1, 4, 5, 1);
  has_shape(g, "e", 1, 4, 2, 2);
  assert_int_equal(node(g, "e")->attrs.begin[2], 5);
  has_shape(g, "s", 1, 7, 16, 2);
  bf_graph_free(g);
}

static void test_low_bits(void **state) {
  struct bf_graph *g = network(
      "input z: b1[3]; const wb: b1[2, 3] = [1, 1, -1, -1, -1, 1];\n"
      "a = dense(z, wb) -> b1 requantize thresholds([[0], [1]]);\n"
      "b = dense(z, wb) -> t2 requantize thresholds([-1, 1]);\n"
      "d = dense(z, wb) -> s2 requantize thresholds([-1, 1], zero -1);\n"
      "e = requantize(x) -> s2 requantize thresholds([[-1, 1], [2, 3]], zero -1);\n"
      "output a, b, d, e;\n");
  const struct bf_requant *rq = &node(g, "a")->attrs.requant;
  assert_int_equal(rq->nthresholds, 2);
  assert_int_equal(rq->thresholds[2], 1);
  assert_int_equal(rq->thresholds[3], 1);
  assert_int_equal(rq->out_zero, -1);
  assert_int_equal(node(g, "b")->attrs.requant.out_zero, -1);
  assert_int_equal(node(g, "d")->attrs.requant.out_zero, -1);
  assert_int_equal(node(g, "e")->attrs.requant.count, 2);
  bf_graph_free(g);
}

static void test_softmax(void **state) {
  struct bf_graph *g = network("input u: u8[4] scale 0.1; input v: s16[4] scale 0.001;\n"
                               "a = softmax(u); b = softmax(v, beta 2.0); d = softmax(x) -> s16; output a, b, d;\n");
  assert_true(bf_quant_scale(&node(g, "a")->output->quant, 0) == 1.0f / 256);
  assert_int_equal(bf_quant_zero(&node(g, "a")->output->quant, 0), 0);
  assert_true(bf_quant_scale(&node(g, "b")->output->quant, 0) == 1.0f / 32768);
  assert_int_equal(bf_quant_zero(&node(g, "d")->output->quant, 0), -32768);
  bf_graph_free(g);
}

static void test_wrong(void **state) {
  static const struct {
    const char *body, *part;
  } rows[] = {
      {"a = sub(x, q) -> s8; output a;", "`sub`: `x` has shape [1, 4, 6, 2], `q` has [1, 5]"},
      {"a = mul(c, c) -> s8; output a;", "at most one operand"},
      {"const w: s32[1, 1, 1, 2] = 1; a = mul(x, w) -> s8; output a;", "at most 16 bits"},
      {"a = maximum(x, y); output a;", "`maximum`: `y` has not the type and quantization of `x`"},
      {"a = mean(q) -> s8; output a;", "needs `axes`"},
      {"a = mean(x); output a;", "needs the type"},
      {"a = mean(x, axes [1, -3]) -> s8; output a;", "axis 1 is given twice"},
      {"a = mean(x, axes 4) -> s8; output a;", "an axis must be between -4 and 3"},
      {"a = table(x, t); output a;", "it needs [256]"},
      {"a = table(q, x); output a;", "must be a constant"},
      {"a = table(q, t) -> s3; output a;", "is 7, outside s3"},
      {"a = transpose(x); output a;", "needs `perm`"},
      {"a = transpose(x, perm [0, 1, 2]); output a;", "the 4 dimensions"},
      {"a = transpose(x, perm [0, 1, 1, 2]); output a;", "stands twice"},
      {"a = slice(x, begin [4, 0, 0]); output a;", "begin must be between 0 and 3"},
      {"a = slice(x, step [0, 1, 1]); output a;", "step must not be 0"},
      {"a = slice(x, step [3, 1, 1], count [3, 6, 2]); output a;", "count must be between 1 and 2"},
      {"a = slice(x, begin 1); output a;", "a number for each of 4"},
      {"a = spread(x); output a;", "needs a `factor`"},
      {"a = spread(x, factor 0); output a;", "factor must be between 1"},
      {"a = spread(q, factor 2); output a;", "needs 4 dimensions"},
      {"a = requantize(x) -> b1; output a;", "thresholds [t, t]"},
      {"a = softmax(q); output a;", "defined on s8, u8 and s16"},
      {"a = softmax(x) -> u8; output a;", "of s8 is s8 or s16"},
  };
  for (size_t i = 0; i < BF_COUNT(rows); i++) wrong(rows[i].body, 1, rows[i].part);
  // What mixes the images of a batch.
  wrong("a = transpose(x, perm [1, 0, 2, 3]); output a;", 2, "along the batch");
  wrong("a = slice(x, begin [1, 0, 0, 0]); output a;", 2, "along the batch");
  wrong("a = reduce_sum(x, axes 0) -> s16; output a;", 2, "over the batch");
  bf_graph_free(network("a = transpose(x, perm [1, 0, 2, 3]); output a;"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elementwise), cmocka_unit_test(test_reductions), cmocka_unit_test(test_moving),
      cmocka_unit_test(test_low_bits),    cmocka_unit_test(test_softmax),    cmocka_unit_test(test_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
