// SPDX-License-Identifier: Apache-2.0
// Operators of the graph beyond convolutions and pools: each worked out by hand in the reference evaluator, refused where
// it has no meaning, printed and parsed back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/reference.h"
#include "support/random_graph.h"

#define NUMBERS(...) (const int64_t[]){__VA_ARGS__}

static struct bf_graph *parse(const char *body, struct bf_diags *diags) {
  char *text = bf_format("bfir 1;\ngraph g;\n%s", body);
  struct bf_graph *g = bf_graph_parse(bf_diags_add_source(diags, "t.bfir", text, strlen(text)), diags);
  free(text);
  return g;
}

static void stop(struct bf_diags *diags, const char *body) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fail_msg("%s\n%s", body, bf_buf_cstr(&text));
}

// The graph, which must verify and print back to itself.
static struct bf_graph *legal(const char *body) {
  struct bf_diags diags = {0};
  struct bf_graph *g = parse(body, &diags);
  if (!g || !bf_graph_verify(g, &diags)) stop(&diags, body);
  struct bf_buf first = {0}, second = {0};
  bf_graph_print(g, &first);
  struct bf_graph *again = bf_graph_parse(bf_diags_add_source(&diags, "p", bf_buf_cstr(&first), first.length), &diags);
  if (!again) stop(&diags, bf_buf_cstr(&first));
  bf_graph_print(again, &second);
  assert_string_equal(bf_buf_cstr(&first), bf_buf_cstr(&second));
  bf_graph_free(again);
  bf_buf_free(&first);
  bf_buf_free(&second);
  bf_diags_free(&diags);
  return g;
}

// Runs with x (and y) and compares the output z.
static void gives(const char *body, const int64_t *x, const int64_t *y, const int64_t *wanted) {
  struct bf_diags diags = {0};
  struct bf_graph *g = legal(body);
  struct bf_ref_run *run = bf_ref_new(g);
  for (size_t i = 0; i < g->ntensors; i++)
    if (g->tensors[i]->is_input) assert_true(bf_ref_set_input(run, g->tensors[i], g->tensors[i]->name[0] == 'x' ? x : y));
  assert_true(bf_ref_run(run, &diags));
  const struct bf_tensor *z = bf_graph_find_tensor(g, "z");
  for (uint64_t i = 0; i < z->elements; i++)
    if (run->values[z->id][i] != wanted[i])
      fail_msg("%s: element %llu is %lld, not %lld", body, (unsigned long long)i, (long long)run->values[z->id][i],
               (long long)wanted[i]);
  bf_ref_free(run);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

static void refused(const char *body, const char *part) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_graph *g = parse(body, &diags);
  if (!g) stop(&diags, body);
  bool ok = bf_graph_verify(g, &diags);
  bf_diags_render(&diags, &text);
  if (ok || !strstr(bf_buf_cstr(&text), part)) fail_msg("%s: no '%s' in\n%s", body, part, bf_buf_cstr(&text));
  bf_graph_free(g);
  bf_buf_free(&text);
  bf_diags_free(&diags);
}

#define S8 " clamp [-128, 127];\n"

static void test_sub(void **state) {
  // (x - 1) - floor(3 * y / 2), rounded as dyadic does, plus 3: halves go up.
  gives("tensor x: s8[1, 4] input scale 1 zero 1; tensor y: s8[1, 4] input; tensor z: s8[1, 4] output scale 1 zero 3;\n"
        "node n: sub(x, y) -> z left_shift 0 left none right dyadic(mult 3, shift 1) requant none plus 3" S8,
        NUMBERS(1, 11, -128, 127), NUMBERS(1, -1, 100, -128), NUMBERS(0 - 2 + 3, 10 + 1 + 3, -128, 127));
  // tflite, shift -1 of the result: 2^30/2^31 = a half, rounded up, then halved away from zero.
  gives("tensor x: s8[1, 4] input; tensor y: s8[1, 4] input; tensor z: s8[1, 4] output;\n"
        "node n: sub(x, y) -> z left_shift 0 left none right none requant tflite(mult 1073741824, shift -1) plus 0" S8,
        NUMBERS(2, 0, 5, 0), NUMBERS(0, 2, 0, 5), NUMBERS(1, -1, 2, -1));
}

static void test_broadcast(void **state) {
  gives("tensor x: s8[2, 1, 2] input; tensor y: s8[1, 3, 1] input; tensor z: s8[2, 3, 2] output;\n"
        "node n: add(x, y) -> z left_shift 0 left none right none requant none plus 0" S8,
        NUMBERS(1, 2, 3, 4), NUMBERS(10, 20, 30), NUMBERS(11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34));
  // One operand constant, on either side.
  gives("tensor x: s8[2, 2] input; tensor c: s8[1, 2] scale 1 zero 1 = [11, 21]; tensor z: s8[2, 2] output;\n"
        "node n: sub(c, x) -> z left_shift 0 left none right none requant none plus 0" S8,
        NUMBERS(1, 2, 3, 4), NULL, NUMBERS(9, 18, 7, 16));
  // Parameters per channel of the result, though one operand has one channel.
  gives("tensor x: s8[1, 2] input; tensor y: s8[1, 1] input; tensor z: s8[1, 2] output;\n"
        "node n: add(x, y) -> z left_shift 0 left none right none requant pow2(shift [0, 2]) plus 0" S8,
        NUMBERS(1, 2), NUMBERS(-9), NUMBERS(-8, -2));
  refused("tensor x: s8[1, 2] input; tensor y: s8[1, 3] input; tensor z: s8[1, 3] output;\n"
          "node n: mul(x, y) -> z requant none plus 0" S8, "equal, or one of them 1");
  refused("tensor x: s8[1, 2] input; tensor y: s8[2] input; tensor z: s8[1, 2] output;\n"
          "node n: mul(x, y) -> z requant none plus 0" S8, "dimensions");
  refused("tensor x: s8[1, 1] input; tensor y: s8[1, 3] input; tensor z: s8[1, 1] output;\n"
          "node n: mul(x, y) -> z requant none plus 0" S8, "must have shape [1, 3]");
  refused("tensor c: s8[1] = [1]; tensor d: s8[1] = [1]; tensor x: s8[1] input; tensor z: s8[1] output;\n"
          "node n: mul(c, d) -> z requant none plus 0" S8, "at most one");
  refused("tensor c: s17[1] = [1]; tensor x: s8[1] input; tensor z: s8[1] output;\n"
          "node n: mul(x, c) -> z requant none plus 0" S8, "more than 16 bits");
  refused("tensor c: s8[2] scale [1, 2] zero [0, 0] = [1, 1]; tensor x: s8[2] input; tensor z: s8[2] output;\n"
          "node n: mul(x, c) -> z requant none plus 0" S8, "one scale");
}

static void test_mul(void **state) {
  // (x + 128) * (y - 1) / 4: 2^30 / 2^31 rounds halves up, the shift by 1 halves away from zero.
  gives("tensor x: s8[1, 5] input scale 1 zero -128; tensor y: s8[1, 5] input scale 1 zero 1;\n"
        "tensor z: s8[1, 5] output scale 1 zero 5;\n"
        "node n: mul(x, y) -> z requant tflite(mult 1073741824, shift -1) plus 5" S8,
        NUMBERS(-126, -126, -123, -125, 127), NUMBERS(2, 0, 2, -1, 127),
        NUMBERS(5 + 1, 5 - 1, 5 + 2, 5 - 2, 127));  // products 2, -2, 5, -6, 32130
  gives("tensor x: s16[1, 2] input; tensor c: s16[1, 1] = [-32768]; tensor z: s16[1, 2] output;\n"
        "node n: mul(x, c) -> z requant affine_floor(mult 1, add 0, shift 15) plus 0 clamp [-32768, 32767];\n",
        NUMBERS(-32768, 3), NULL, NUMBERS(32767, -3));
}

static void test_choice(void **state) {
  gives("tensor x: s8[2, 2] input scale 1 zero 3; tensor y: s8[1, 2] input scale 1 zero 3; tensor z: s8[2, 2] output scale 1 zero 3;\n"
        "node n: maximum(x, y) -> z requant none plus 0 clamp [-5, 6];\n",
        NUMBERS(-9, 7, 5, -7), NUMBERS(-8, 2), NUMBERS(-5, 6, 5, 2));
  gives("tensor x: u4[2, 2] input; tensor c: u4[1, 1] = [7]; tensor z: u4[2, 2] output;\n"
        "node n: minimum(x, c) -> z requant none plus 0 clamp [0, 15];\n",
        NUMBERS(0, 7, 8, 15), NULL, NUMBERS(0, 7, 7, 7));
  refused("tensor x: s8[1, 2] input; tensor y: s8[1, 2] input scale 2 zero 0; tensor z: s8[1, 2] output;\n"
          "node n: minimum(x, y) -> z requant none plus 0" S8, "same scale");
  refused("tensor x: s8[1, 2] input; tensor y: s8[1, 2] input; tensor z: s8[1, 2] output;\n"
          "node n: maximum(x, y) -> z requant none plus 1" S8, "only clamps");
}

static void test_reduce_sum(void **state) {
  const int64_t x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  gives("tensor x: s8[1, 2, 3, 2] input scale 1 zero 1; tensor z: s8[1, 1, 1, 2] output;\n"
        "node n: reduce_sum(x) -> z axes [1, 2] requant none plus 0" S8, x, NULL, NUMBERS(30, 36));
  gives("tensor x: s8[1, 2, 3, 2] input; tensor z: s8[1, 2, 3, 1] output;\n"
        "node n: reduce_sum(x) -> z axes [3] requant pow2(shift 1) plus 0" S8, x, NULL, NUMBERS(1, 3, 5, 7, 9, 11));
  gives("tensor x: s8[2, 6] input; tensor z: s8[1, 6] output;\n"
        "node n: reduce_sum(x) -> z axes [0] requant pow2(shift [0, 1, 2, 3, 0, 0]) plus 0" S8, x, NULL,
        NUMBERS(8, 5, 3, 1, 16, 18));
  refused("tensor x: s8[2, 6] input; tensor z: s8[2, 6] output;\nnode n: reduce_sum(x) -> z axes [] requant none plus 0" S8,
          "must name");
  refused("tensor x: s8[2, 6] input; tensor z: s8[2, 6] output;\nnode n: reduce_sum(x) -> z axes [2] requant none plus 0" S8,
          "must name");
  refused("tensor x: s8[2, 6] input; tensor z: s8[2, 1] output;\nnode n: reduce_sum(x) -> z axes [1] requant pow2(shift [1, 1]) plus 0" S8,
          "2 channels");
}

static void test_table(void **state) {
  gives("tensor x: s2[1, 5] input; tensor t: s8[4] = [10, -20, 30, -40]; tensor z: s7[1, 5] output; node n: table(x, t) -> z;\n",
        NUMBERS(-2, -1, 0, 1, -2), NULL, NUMBERS(10, -20, 30, -40, 10));
  gives("tensor x: u1[1, 2] input; tensor t: u16[2] = [65535, 7]; tensor z: u16[1, 2] output; node n: table(x, t) -> z;\n",
        NUMBERS(1, 0), NULL, NUMBERS(7, 65535));
  gives("tensor x: t2[1, 3] input; tensor t: s3[3] = [3, 0, -4]; tensor z: s3[1, 3] output; node n: table(x, t) -> z;\n",
        NUMBERS(1, 0, -1), NULL, NUMBERS(-4, 0, 3));
  refused("tensor x: s2[1] input; tensor t: s8[4] = [1, 2, 3, 64]; tensor z: s7[1] output; node n: table(x, t) -> z;\n",
          "is 64, outside s7");
  refused("tensor x: s2[1] input; tensor t: s8[3] = [1, 2, 3]; tensor z: s8[1] output; node n: table(x, t) -> z;\n",
          "needs shape [4]");
  refused("tensor x: s9[1] input; tensor t: s8[3] = [1, 2, 3]; tensor z: s8[1] output; node n: table(x, t) -> z;\n", "u1 to u8");
  refused("tensor x: s2[1] input; tensor y: s8[4] input; tensor z: s8[1] output; node n: table(x, y) -> z;\n",
          "must be a constant");
}

static void test_views(void **state) {
  const int64_t x[] = {1, 2, 3, 4, 5, 6};
  gives("tensor x: s8[2, 3] input; tensor z: s8[3, 2] output; node n: transpose(x) -> z perm [1, 0, 0, 0];\n", x, NULL,
        NUMBERS(1, 4, 2, 5, 3, 6));
  gives("tensor x: s8[1, 2, 3] input; tensor z: s8[3, 1, 2] output; node n: transpose(x) -> z perm [2, 0, 1, 0];\n", x, NULL,
        NUMBERS(1, 4, 2, 5, 3, 6));
  gives("tensor x: s8[2, 3] input; tensor z: s8[1, 2] output; node n: slice(x) -> z begin [1, 0, 0, 0] step [1, 2, 1, 1] count [1, 2, 0, 0];\n",
        x, NULL, NUMBERS(4, 6));
  gives("tensor x: s8[2, 3] input; tensor z: s8[2, 3] output; node n: slice(x) -> z begin [1, 2, 0, 0] step [-1, -1, 1, 1] count [2, 3, 0, 0];\n",
        x, NULL, NUMBERS(6, 5, 4, 3, 2, 1));
  gives("tensor x: s8[1, 2, 1, 3] input scale 1 zero 9; tensor z: s8[1, 4, 1, 3] output scale 1 zero 9; node n: spread(x) -> z factor [3, 2];\n",
        x, NULL, NUMBERS(1, 2, 3, 9, 9, 9, 9, 9, 9, 4, 5, 6));
  gives("tensor x: s8[1, 1, 2, 1] input; tensor z: s8[1, 1, 3, 1] output; node n: spread(x) -> z factor [1, 2];\n", x, NULL,
        NUMBERS(1, 0, 2));
  refused("tensor x: s8[2, 3] input; tensor z: s8[3, 2] output; node n: transpose(x) -> z perm [1, 1, 0, 0];\n", "once");
  refused("tensor x: s8[2, 3] input; tensor z: s8[3, 2] output; node n: transpose(x) -> z perm [2, 0, 0, 0];\n", "once");
  refused("tensor x: s8[2, 3] input; tensor z: s8[3, 2] output scale 2 zero 0; node n: transpose(x) -> z perm [1, 0, 0, 0];\n",
          "same scale");
  refused("tensor x: s8[3] input; tensor z: s8[2] output; node n: slice(x) -> z begin [0, 0, 0, 0] step [3, 0, 0, 0] count [2, 0, 0, 0];\n",
          "0 to 3 of dimension 0");
  refused("tensor x: s8[3] input; tensor z: s8[2] output; node n: slice(x) -> z begin [0, 0, 0, 0] step [0, 0, 0, 0] count [2, 0, 0, 0];\n",
          "step 0");
  refused("tensor x: s8[3] input; tensor z: s8[2] output;\n"
          "node n: slice(x) -> z begin [2, 0, 0, 0] step [-2147483648, 0, 0, 0] count [2147483647, 0, 0, 0];\n", "of dimension 0");
  refused("tensor x: s8[1, 1, 2, 1] input; tensor z: s8[1, 1, 3, 1] output; node n: spread(x) -> z factor [0, 2];\n", "factor 0");
  refused("tensor x: s8[1, 2] input; tensor z: s8[1, 3] output; node n: spread(x) -> z factor [1, 2];\n", "4 dimensions");
  refused("tensor x: s8[1, 2147483647, 1, 1] input; tensor z: s8[1, 1, 3, 1] output;\n"
          "node n: spread(x) -> z factor [2147483647, 1];\n", "more than");
}

// Binary and ternary activations, made by thresholds.
static void test_low_bits(void **state) {
  gives("tensor x: s8[2, 2] input; tensor z: t2[2, 2] output;\n"
        "node n: requantize(x) -> z requant thresholds(levels [[-3, 5], [0, 0]]) plus -1 clamp [-1, 1];\n",
        NUMBERS(-4, -1, -3, 0), NULL, NUMBERS(-1, -1, 0, 1));
  gives("tensor x: s8[1, 4] input; tensor z: s2[1, 4] output scale 1 zero -1;\n"
        "node n: requantize(x) -> z requant thresholds(levels [[-3, 5]]) plus -1 clamp [-1, 1];\n",
        NUMBERS(-4, -3, 4, 5), NULL, NUMBERS(-1, 0, 0, 1));
  // A binary convolution: outside the image nothing is added.
  gives("tensor x: b1[1, 1, 3, 1] input; tensor w: b1[1, 1, 3, 1] = [1, -1, 1]; tensor z: b1[1, 1, 3, 1] output;\n"
        "node n: conv2d(x, w) -> z kernel [1, 3] stride [1, 1] dilation [1, 1] pad [0, 0, 1, 1] groups 1\n"
        "requant thresholds(levels [[1, 1]]) plus -1 clamp [-1, 1];\n",
        NUMBERS(1, -1, -1), NULL, NUMBERS(-1, 1, -1));  // sums -1-1, 1+1-1, -1+1
  gives("tensor x: t2[1, 3] input; tensor w: t2[2, 3] = [1, 0, -1, -1, -1, -1]; tensor z: u2[1, 2] output;\n"
        "node n: dense(x, w) -> z requant thresholds(levels [[-2, 0, 2], [-3, 1, 4]]) plus 0 clamp [0, 3];\n",
        NUMBERS(1, 0, -1), NULL, NUMBERS(3, 1));
  gives("tensor x: b1[1, 2] input; tensor y: b1[1, 2] input; tensor z: b1[1, 2] output;\n"
        "node n: maximum(x, y) -> z requant none plus 0 clamp [-1, 1];\n", NUMBERS(-1, -1), NUMBERS(1, -1), NUMBERS(1, -1));
  struct bf_graph *g = legal("tensor x: b1[2] input; tensor z: b1[1, 2] output; node n: reshape(x) -> z;\n");
  struct bf_ref_run *run = bf_ref_new(g);
  assert_false(bf_ref_set_input(run, g->tensors[0], NUMBERS(1, 0)));
  assert_true(bf_ref_set_input(run, g->tensors[0], NUMBERS(1, -1)));
  bf_ref_free(run);
  bf_graph_free(g);
  refused("tensor x: s8[1] input; tensor z: b1[1] output; node n: requantize(x) -> z requant none plus 0 clamp [-1, 1];\n", "[t, t]");
  refused("tensor x: s8[1] input; tensor z: b1[1] output;\n"
          "node n: requantize(x) -> z requant thresholds(levels [[1, 2]]) plus -1 clamp [-1, 1];\n", "[t, t]");
  refused("tensor x: s8[1] input; tensor z: b1[1] output;\n"
          "node n: requantize(x) -> z requant thresholds(levels [[1, 1]]) plus -1 clamp [0, 1];\n", "leaves the output type");
  refused("tensor x: b1[1, 1] input; tensor z: b1[1, 2] output; node n: pad(x) -> z pads [0, 0, 0, 1, 0, 0, 0, 0] value 0;\n",
          "outside the type");
  refused("tensor x: b1[1, 1, 1, 1] input; tensor z: b1[1, 1, 1, 1] output; node n: avg_pool2d(x) -> z kernel [1, 1] stride [1, 1]\n"
          "dilation [1, 1] pad [0, 0, 0, 0] requant none plus 0 clamp [-1, 1];\n", "mean of b1");
  refused("tensor x: b1[1, 1, 1, 1] input; tensor z: b1[1, 1, 1, 1] output; node n: spread(x) -> z factor [1, 1];\n", "spread inserts 0");
  refused("tensor x: t2[1] input scale 1 zero 1; tensor z: t2[1] output scale 1 zero 1; node n: reshape(x) -> z;\n", "zero point 0");
}

// tflite-micro's multiplier of a mean, from its definition in exact arithmetic.
static void test_mean_multiplier(void **state) {
  int64_t mult;
  int32_t shift;
  bf_mean_multiplier(1.0, 49, &mult, &shift);  // 2^30, exponent 1; 2^30 * 2^5 / 49
  assert_int_equal(mult, 701219150);
  assert_int_equal(shift, 1 - 5);
  bf_mean_multiplier(1.0, 64, &mult, &shift);
  assert_int_equal(mult, 1 << 30);
  assert_int_equal(shift, 1 - 6);
  bf_mean_multiplier(0.75, 1, &mult, &shift);
  assert_int_equal(mult, 1610612736);
  assert_int_equal(shift, 0);
  bf_mean_multiplier(0x1p-30, 7, &mult, &shift);  // exponent -29: only two more places to the right
  assert_int_equal(mult, (1ll << 32) / 7);
  assert_int_equal(shift, -31);
}

// A softmax on 16 bits is near the real one, and never above 1; on 8 bits u8 is s8 moved by 128.
static void test_softmax_types(void **state) {
  struct rng rng = {7};
  const struct bf_type s16 = {BF_TYPE_S, 16}, s8 = {BF_TYPE_S, 8}, u8 = {BF_TYPE_U, 8};
  int64_t in[12], out[12], moved[12], other[12];
  for (int round = 0; round < 200; round++) {
    uint64_t depth = (uint64_t)rng_range(&rng, 1, 12);
    double sum = 0, largest = -1e9;
    for (uint64_t i = 0; i < depth; i++) in[i] = rng_range(&rng, -32768, 32767);
    bf_ref_softmax(in, out, depth, s16, s16, 0x1p-12f, 1);
    for (uint64_t i = 0; i < depth; i++) largest = fmax(largest, (double)in[i]);
    for (uint64_t i = 0; i < depth; i++) sum += exp(((double)in[i] - largest) / 4096);
    for (uint64_t i = 0; i < depth; i++) {
      double real = exp(((double)in[i] - largest) / 4096) / sum;
      if (fabs(real * 32768 - (double)out[i]) > 32) fail_msg("%g became %lld", real, (long long)out[i]);
      assert_in_range(out[i], 0, 32767);
    }
    // Interpolation in the tables costs some of the 15 bits.
    for (uint64_t i = 0; i < depth; i++) moved[i] = (in[i] >>= 8) + 128;
    bf_ref_softmax(in, out, depth, s8, s8, 0.1f, 1);
    bf_ref_softmax(moved, other, depth, u8, u8, 0.1f, 1);
    for (uint64_t i = 0; i < depth; i++) assert_int_equal(out[i] + 128, other[i]);
  }
}

static void test_softmax_rules(void **state) {
  gives("tensor x: u8[1, 1] input; tensor z: u8[1, 1] output scale 0.00390625 zero 0; node n: softmax(x) -> z beta 1;\n",
        NUMBERS(5), NULL, NUMBERS(255));
  gives("tensor x: s16[1, 2] input scale 0.001 zero 0; tensor z: s16[1, 2] output scale 3.0517578125e-05 zero 0;\n"
        "node n: softmax(x) -> z beta 1;\n", NUMBERS(-7, -7), NULL, NUMBERS(16384, 16384));
  refused("tensor x: s16[1, 2] input; tensor z: s8[1, 2] output scale 0.00390625 zero -128; node n: softmax(x) -> z beta 1;\n",
          "is defined from s8");
  refused("tensor x: s16[1, 2] input; tensor z: s16[1, 2] output scale 0.00390625 zero 0; node n: softmax(x) -> z beta 1;\n",
          "scale 1/32768");
  refused("tensor x: s16[1, 2] input scale 2 zero 0; tensor z: s16[1, 2] output scale 3.0517578125e-05 zero 0;\n"
          "node n: softmax(x) -> z beta 1;\n", "out of range");
}

// Every kind of random graph is legal, prints back to itself and can be evaluated.
static void test_random(void **state) {
  struct rng rng = {4};
  for (int round = 0; round < 40; round++)
    for (int kind = 0; kind < RANDOM_KINDS; kind++) {
      struct bf_diags diags = {0};
      struct bf_buf text = {0};
      struct bf_graph *random = random_graph(&rng, (enum random_kind)kind);
      bf_graph_print(random, &text);
      struct bf_graph *g = legal(strchr(strchr(bf_buf_cstr(&text), ';') + 1, ';') + 1);
      struct bf_ref_run *run = bf_ref_new(g);
      for (size_t i = 0; i < g->ntensors; i++) {
        if (!g->tensors[i]->is_input) continue;
        int64_t *values = random_values(&rng, g->tensors[i]);
        assert_true(bf_ref_set_input(run, g->tensors[i], values));
        free(values);
      }
      assert_true(bf_ref_run(run, &diags));
      for (size_t i = 0; i < g->ntensors; i++)
        for (uint64_t k = 0; k < g->tensors[i]->elements; k++)
          assert_true(bf_type_holds(g->tensors[i]->type, run->values[i][k]));
      bf_ref_free(run);
      bf_graph_free(g);
      bf_graph_free(random);
      bf_buf_free(&text);
      bf_diags_free(&diags);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sub),        cmocka_unit_test(test_broadcast),       cmocka_unit_test(test_mul),
      cmocka_unit_test(test_choice),     cmocka_unit_test(test_reduce_sum),      cmocka_unit_test(test_table),
      cmocka_unit_test(test_views),      cmocka_unit_test(test_low_bits),        cmocka_unit_test(test_mean_multiplier),
      cmocka_unit_test(test_softmax_types), cmocka_unit_test(test_softmax_rules), cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
