// SPDX-License-Identifier: Apache-2.0
// What a profile means, against docs/language.md: numbers worked out by hand or from the scales, and where conversions stand.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/bfn.h"
#include "ir/profile.h"
#include "ir/ref_ops.h"
#include "ir/reference.h"
#include "ir/rescale.h"

static struct bf_graph *load(const char *text, const struct bf_archive *weights, struct bf_diags *diags) {
  struct bf_graph *g = bf_bfn_compile(bf_diags_add_source(diags, "n.bfn", text, strlen(text)), weights, NULL, diags);
  if (!g) {
    struct bf_buf out = {0};
    bf_diags_render(diags, &out);
    fail_msg("%s", bf_buf_cstr(&out));
  }
  return g;
}

static const struct bf_node *node_of(const struct bf_graph *g, const char *name) {
  for (size_t i = 0; i < g->nnodes; i++)
    if (!strcmp(g->nodes[i]->name, name)) return g->nodes[i];
  fail_msg("there is no layer %s", name);
  return NULL;
}

static void assert_data(const struct bf_tensor *t, const int64_t *values, size_t count) {
  assert_int_equal(t->elements, count);
  for (size_t i = 0; i < count; i++)
    if (t->data[i] != values[i]) fail_msg("%s[%zu] is %lld, not %lld", t->name, i, (long long)t->data[i], (long long)values[i]);
}
#define DATA(t, ...) assert_data(t, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void assert_near(double got, double want) { assert_true(fabs(got - want) <= 1e-6 * fabs(want)); }

// ---- weights, biases, quantizations

static const char conv[] =
    "bfn 1;\n"
    "network n {\n"
    "  input x: s8[2, 2, 1] scale 0.5 zero -3;\n"
    "  const w: s8[2, 1, 1, 1] scale [0.02, 0.04] = [127, -25];\n"
    "  const v: s8[1, 1, 1, 2] scale 0.1 = [8, -8];\n"
    "  const b: s32[2] = [1000, -1000];\n"
    "  y = conv2d(x, w, b, activation relu6) -> s8 scale 0.1 zero -128;\n"
    "  z = conv2d(y, v) -> s8 scale 0.3 zero 5;\n"
    "  output z;\n"
    "  profile low { y: w4 a8; z: w4 a4; }\n"
    "  profile one { y: w1 a6; z: w1 a1; }\n"
    "  profile wide { default: w16 a16; }\n"
    "}\n";

static void test_nested(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_graph *g = load(conv, NULL, &diags), *low = bf_graph_apply_profile(g, "low", &diags);
  assert_non_null(low);
  const struct bf_node *y = node_of(low, "y"), *z = node_of(low, "z");
  // 127/16 = 7.9 rounds to 8, which s4 does not have; -25/16 = -1.56. 8/16 = 0.5 goes up, -0.5 too.
  DATA(y->inputs[1], 7, -2);
  DATA(z->inputs[1], 1, 0);
  assert_near(bf_quant_scale(&y->inputs[1]->quant, 0), 0.32);
  assert_near(bf_quant_scale(&y->inputs[1]->quant, 1), 0.64);
  DATA(y->inputs[2], 63, -62);  // 62.5 and -62.5, up
  // What z reads has 4 bits, made by y itself: 16 times the scale, -128/16, and 6 real is 3.75 steps above that.
  assert_int_equal(y->output->type.bits, 4);
  assert_near(bf_quant_scale(&y->output->quant, 0), 1.6);
  assert_int_equal(bf_quant_zero(&y->output->quant, 0), -8);
  assert_int_equal(y->attrs.requant.lo, -8);
  assert_int_equal(y->attrs.requant.hi, -4);
  assert_int_equal(y->attrs.requant.out_zero, -8);
  assert_int_equal(low->nnodes, 2);
  // The network's ends stay, and with them the zero point.
  assert_int_equal(z->output->type.bits, 8);
  assert_int_equal(z->attrs.requant.out_zero, 5);
  // Multipliers are those that the new scales give.
  for (uint32_t c = 0; c < 2; c++) {
    int64_t mult;
    int32_t shift;
    bf_quantize_multiplier((double)0.5f * (double)bf_quant_scale(&y->inputs[1]->quant, c) / (double)bf_quant_scale(&y->output->quant, 0),
                           &mult, &shift);
    assert_int_equal(y->attrs.requant.mult[c], mult);
    assert_int_equal(y->attrs.requant.shift[c], shift);
  }
  bf_graph_free(low);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

static void test_ends(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_graph *g = load(conv, NULL, &diags), *one = bf_graph_apply_profile(g, "one", &diags);
  assert_non_null(one);
  DATA(node_of(one, "y")->inputs[1], 0, 0);  // s1 has -1 and 0: 127/128 rounds to 1, -25/128 to 0
  // y wants 6 bits of the input, which keeps its 8: a conversion.
  assert_string_equal(one->nodes[0]->name, "x~a6");
  assert_int_equal(one->nodes[0]->op, BF_OP_REQUANTIZE);
  const struct bf_requant *rq = &one->nodes[0]->attrs.requant;
  const struct bf_tensor *x6 = one->nodes[0]->output;
  assert_int_equal(bf_quant_zero(&x6->quant, 0), -1);  // -3/4 = -0.75
  for (int64_t q = -128; q <= 127; q++) {
    double want = floor(((double)q + 3) / 4 + 0.5) - 1;
    want = want < -32 ? -32 : want > 31 ? 31 : want;
    assert_int_equal(bf_ref_requant(rq, 0, q + 3), (int64_t)want);
  }
  assert_ptr_equal(node_of(one, "y")->inputs[0], x6);
  bf_graph_free(one);
  // More bits than there are change nothing.
  struct bf_graph *wide = bf_graph_apply_profile(g, "wide", &diags), *base = bf_graph_apply_profile(g, "base", &diags);
  struct bf_buf a = {0}, b = {0};
  bf_graph_print(wide, &a);
  bf_graph_print(base, &b);
  assert_string_equal(bf_buf_cstr(&a), bf_buf_cstr(&b));
  bf_buf_free(&a);
  bf_buf_free(&b);
  bf_graph_free(wide);
  bf_graph_free(base);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- the width of each tensor

static void test_widths(void **state) {
  (void)state;
  static const char text[] =
      "bfn 1;\n"
      "network n {\n"
      "  input x: s8[4, 4, 1] scale 0.5;\n"
      "  const w: s8[1, 1, 1, 1] scale 0.1 = 50;\n"
      "  a = conv2d(x, w) -> s8 scale 0.1;\n"
      "  p = max_pool2d(a, kernel 2);\n"
      "  q = relu(p);\n"
      "  b = conv2d(q, w) -> s8 scale 0.1;\n"
      "  c = conv2d(q, w) -> s8 scale 0.1;\n"
      "  s = add(b, c) -> s8 scale 0.1;\n"
      "  d = conv2d(s, w) -> s8 scale 0.1;\n"
      "  out = softmax(d);\n"
      "  output out;\n"
      "}\n"
      "profile equal { b: w8 a4; c: w8 a4; default: w8 a8; }\n"
      "profile differ { b: w8 a5; c: w8 a3; s: w8 a6; default: w8 a8; }\n"
      "profile all { default: w4 a4; }\n";
  struct bf_diags diags = {0};
  struct bf_graph *g = load(text, NULL, &diags);
  // Both readers want 4: pooling and relu work on 4 bits, and the convolution before them gives 4.
  struct bf_graph *equal = bf_graph_apply_profile(g, "equal", &diags);
  static const char *const narrow[] = {"a", "p", "q"};
  for (int i = 0; i < 3; i++) assert_int_equal(node_of(equal, narrow[i])->output->type.bits, 4);
  assert_int_equal(node_of(equal, "b")->output->type.bits, 8);
  assert_int_equal(equal->nnodes, g->nnodes);
  // The widest that a reader wants, and a conversion before the other.
  struct bf_graph *differ = bf_graph_apply_profile(g, "differ", &diags);
  for (int i = 0; i < 3; i++) assert_int_equal(node_of(differ, narrow[i])->output->type.bits, 5);
  assert_int_equal(differ->nnodes, g->nnodes + 1);
  assert_int_equal(node_of(differ, "q~a3")->op, BF_OP_REQUANTIZE);
  assert_int_equal(node_of(differ, "q~a3")->id + 1, node_of(differ, "c")->id);
  assert_string_equal(node_of(differ, "c")->inputs[0]->name, "q~a3");
  assert_string_equal(node_of(differ, "b")->inputs[0]->name, "q");
  assert_int_equal(node_of(differ, "b")->output->type.bits, 6);  // read by s alone
  // softmax is defined on 8 bits; the input stays and is converted for a.
  struct bf_graph *all = bf_graph_apply_profile(g, "all", &diags);
  assert_int_equal(node_of(all, "d")->output->type.bits, 8);
  assert_int_equal(node_of(all, "s")->output->type.bits, 4);
  assert_string_equal(node_of(all, "a")->inputs[0]->name, "x~a4");
  bf_graph_free(equal);
  bf_graph_free(differ);
  bf_graph_free(all);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- requantizations: v' in the new unit stands for v = v' * 2^grow; the result loses `drop` bits

static int64_t round_half_up(int64_t v, unsigned drop) { return (int64_t)floor((double)v / (double)((int64_t)1 << drop) + 0.5); }

static void compare_rule(const struct bf_requant *rq, struct bf_type type, int64_t zero, int grow, unsigned drop, bool exact) {
  struct bf_arena arena = {0};
  struct bf_narrowing n = bf_narrowing_of(type, zero, type.bits - drop);
  struct bf_rescaling how = {.grow = grow, .channels = 1, .result = &n};
  struct bf_requant out;
  assert_null(bf_rescale_requant(&arena, rq, &how, &out));
  for (int64_t v = -4000; v <= 4000; v += 3) {
    int64_t before = bf_ref_requant(rq, 0, v * ((int64_t)1 << grow)), got = bf_ref_requant(&out, 0, v);
    if (before == bf_type_min(type) || before == bf_type_max(type)) continue;  // clamped: the ends of a type stay its ends
    int64_t want = round_half_up(before - zero, drop) + n.new_zero, lo = bf_type_min(n.to), hi = bf_type_max(n.to);
    want = want < lo ? lo : want > hi ? hi : want;
    int64_t difference = got > want ? got - want : want - got;
    if (difference > !exact) fail_msg("mode %s, 2^%d, -%u bits: %lld gives %lld, not %lld", bf_requant_mode_name(rq->mode), grow, drop,
                                      (long long)v, (long long)got, (long long)want);
  }
  bf_arena_free(&arena);
}

// affine_floor and thresholds give exactly the rounded result of the whole width; the others, which round once and not twice, within one.
static void test_modes(void **state) {
  (void)state;
  int64_t mult[] = {77}, add[] = {-12345}, q31[] = {1500000000}, limits[] = {-900, -30, 0, 1, 2, 77, 500, 501, 3000};
  int32_t shift[] = {9}, exponent[] = {-4};
  float real[] = {0.043f};
  struct bf_type type = {BF_TYPE_S, 8};
  struct bf_requant modes[] = {
      {.mode = BF_REQUANT_TFLITE, .count = 1, .mult = q31, .shift = exponent},
      {.mode = BF_REQUANT_TFLITE16, .count = 1, .mult = q31, .shift = exponent},
      {.mode = BF_REQUANT_DYADIC, .count = 1, .mult = mult, .shift = shift},
      {.mode = BF_REQUANT_AFFINE_FLOOR, .count = 1, .mult = mult, .add = add, .shift = shift},
      {.mode = BF_REQUANT_FLOAT_RNE, .count = 1, .fscale = real},
      {.mode = BF_REQUANT_THRESHOLDS, .count = 1, .nthresholds = 9, .thresholds = limits},
      {.mode = BF_REQUANT_POW2, .count = 1, .shift = shift},
  };
  for (size_t m = 0; m < BF_COUNT(modes); m++)
    for (int grow = 0; grow <= 12; grow += 3)
      for (unsigned drop = 0; drop <= 6; drop++)
        for (int64_t zero = -128; zero <= 127; zero += 51) {
          bool exact = modes[m].mode == BF_REQUANT_AFFINE_FLOOR || modes[m].mode == BF_REQUANT_THRESHOLDS;
          modes[m].out_zero = modes[m].mode == BF_REQUANT_THRESHOLDS ? zero - 4 : zero;
          modes[m].lo = -128, modes[m].hi = 127;
          compare_rule(&modes[m], type, zero, grow, drop, exact);
        }
  struct bf_requant none = {.mode = BF_REQUANT_NONE, .lo = -128, .hi = 127};
  compare_rule(&none, type, 0, 0, 3, true);
  compare_rule(&none, type, 0, 4, 4, true);
  compare_rule(&none, type, 0, 5, 2, true);
}

// ---- own weights

static void add_array(struct bf_archive *archive, const char *name, enum bf_dtype dtype, unsigned rank, const uint64_t *shape,
                      const double *values) {
  struct bf_array a = {.dtype = dtype, .rank = rank, .elements = 1};
  for (unsigned i = 0; i < rank; i++) a.elements *= a.shape[i] = shape[i];
  a.data = bf_alloc(a.elements, bf_dtype_size(dtype));
  for (uint64_t i = 0; i < a.elements; i++) {
    if (dtype == BF_DTYPE_I8) ((int8_t *)a.data)[i] = (int8_t)values[i];
    if (dtype == BF_DTYPE_I32) ((int32_t *)a.data)[i] = (int32_t)values[i];
    if (dtype == BF_DTYPE_F32) ((float *)a.data)[i] = (float)values[i];
  }
  bf_archive_add(archive, name, a);
}

static const uint64_t w_shape[] = {2, 1, 1, 1}, b_shape[] = {2};
static const char own[] =
    "bfn 1;\n"
    "network n {\n"
    "  input x: s8[2, 2, 1] scale 0.5;\n"
    "  const w: s8[2, 1, 1, 1] scale [0.02, 0.04];\n"
    "  const b: s32[2];\n"
    "  y = conv2d(x, w, b) -> s8 scale 0.1;\n"
    "  output y;\n"
    "}\n"
    "profile low { y: w3 a8; }\n"
    "profile sign { y: w1 a8; }\n"
    "profile nested { y: w3 a8; }\n";

static void own_archive(struct bf_archive *archive) {
  add_array(archive, "w", BF_DTYPE_I8, 4, w_shape, (double[]){100, -100});
  add_array(archive, "b", BF_DTYPE_I32, 1, b_shape, (double[]){1000, -1000});
}

static void test_own_weights(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_archive archive = {0};
  own_archive(&archive);
  add_array(&archive, "w@low", BF_DTYPE_I8, 4, w_shape, (double[]){3, -4});
  add_array(&archive, "w@low.scale", BF_DTYPE_F32, 1, b_shape, (double[]){0.7, 1.1});
  add_array(&archive, "w@sign", BF_DTYPE_I8, 4, w_shape, (double[]){1, -1});
  add_array(&archive, "b@sign", BF_DTYPE_I32, 1, b_shape, (double[]){9, -9});
  struct bf_graph *g = load(own, &archive, &diags), *low = bf_graph_apply_profile(g, "low", &diags);
  const struct bf_node *y = node_of(low, "y");
  DATA(y->inputs[1], 3, -4);
  // The bias in units of 0.5 * 0.7 and 0.5 * 1.1: 10 and -20 real.
  DATA(y->inputs[2], 29, -36);
  for (uint32_t c = 0; c < 2; c++) {
    double factor = 0.5 * (c ? 1.1 : 0.7) / 0.1, got = ldexp((double)y->attrs.requant.mult[c], y->attrs.requant.shift[c] - 31);
    assert_near(got, factor);
  }
  struct bf_graph *sign = bf_graph_apply_profile(g, "sign", &diags);
  y = node_of(sign, "y");
  assert_int_equal(y->inputs[1]->type.kind, BF_TYPE_B);
  DATA(y->inputs[1], 1, -1);
  DATA(y->inputs[2], 9, -9);
  struct bf_graph *nested = bf_graph_apply_profile(g, "nested", &diags);
  DATA(node_of(nested, "y")->inputs[1], 3, -3);  // 100/32 = 3.1
  // The text form keeps them.
  struct bf_buf text = {0}, again = {0};
  bf_graph_print(g, &text);
  struct bf_graph *h = bf_graph_parse(bf_diags_add_source(&diags, "n.bfir", bf_buf_cstr(&text), text.length), &diags);
  struct bf_graph *low_again = bf_graph_apply_profile(h, "low", &diags);
  struct bf_buf first = {0};
  bf_graph_print(low, &first);
  bf_graph_print(low_again, &again);
  assert_string_equal(bf_buf_cstr(&first), bf_buf_cstr(&again));
  bf_buf_free(&text);
  bf_buf_free(&first);
  bf_buf_free(&again);
  struct bf_graph *made[] = {low, sign, nested, low_again, h, g};
  for (size_t i = 0; i < BF_COUNT(made); i++) bf_graph_free(made[i]);
  bf_archive_free(&archive);
  bf_diags_free(&diags);
}

// ---- errors

static void expect_refused(const char *text, const struct bf_archive *weights, const char *words) {
  struct bf_diags diags = {0};
  assert_null(bf_bfn_compile(bf_diags_add_source(&diags, "n.bfn", text, strlen(text)), weights, NULL, &diags));
  if (!strstr(diags.items[0].message, words)) fail_msg("%s: %s", words, diags.items[0].message);
  bf_diags_free(&diags);
}

static void test_errors(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_graph *g = load(conv, NULL, &diags);
  assert_null(bf_graph_apply_profile(g, "lo", &diags));
  assert_string_equal(diags.items[0].message, "the network has no profile 'lo'");
  assert_string_equal(diags.items[0].hint, "did you mean 'low'?");
  bf_graph_free(g);
  bf_diags_free(&diags);
  diags = (struct bf_diags){0};
  g = load("bfn 1; network n { input x: u8[2, 2, 1]; const w: u8[1, 1, 1, 1] scale 0.1 zero 100 = 9; y = conv2d(x, w) -> s8 scale 9;\n"
           "const v: u8[1, 1, 1, 1] scale 0.1 zero 128 = 255; z = conv2d(y, v) -> s8 scale 9; output z; profile p { y: w5 a8; } profile q { z: w4 a8; } }",
           NULL, &diags);
  assert_null(bf_graph_apply_profile(g, "p", &diags));
  assert_non_null(strstr(diags.items[0].message, "profile `p`, layer `y`: the zero point of the weights"));
  struct bf_graph *q = bf_graph_apply_profile(g, "q", &diags);
  DATA(node_of(q, "z")->inputs[1], 15);
  assert_int_equal(bf_quant_zero(&node_of(q, "z")->inputs[1]->quant, 0), 8);
  bf_graph_free(q);
  bf_graph_free(g);
  bf_diags_free(&diags);
  struct bf_archive archive = {0};
  own_archive(&archive);
  add_array(&archive, "w@low", BF_DTYPE_I8, 4, w_shape, (double[]){4, -4});
  expect_refused(own, &archive, "member \"w@low\": element 0 is 4, outside s3");
  bf_archive_free(&archive);
  own_archive(&archive);
  add_array(&archive, "w@low", BF_DTYPE_I8, 1, b_shape, (double[]){1, 1});
  expect_refused(own, &archive, "member \"w@low\" must hold integers of shape [2, 1, 1, 1]");
  bf_archive_free(&archive);
  expect_refused("bfn 1; network n { input x: u8[2, 2, 1]; y = relu(x); output y; profile base { default: w8 a8; } }", NULL,
                 "`base` is the network as it is written");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nested), cmocka_unit_test(test_ends),        cmocka_unit_test(test_widths),
      cmocka_unit_test(test_modes),  cmocka_unit_test(test_own_weights), cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
