// SPDX-License-Identifier: Apache-2.0
// Synthetic weights: the generator's numbers, what an archive says about itself, and where that goes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfweights/synthetic.c"  // part of a program, in no library

static const char net[] =
    "bfn 1;\nblock conv(x, wt) -> y {\n  const w: wt[40, 3, 3, channels(x)] scale \"{self}.s\";\n  const b: s32[40];\n"
    "  y = conv2d(x, w, b) -> s8 scale 0.05;\n}\n"
    "network n {\n  input x: s8[8, 8, 16] scale 0.02;\n"
    "  a = conv(x, s8);\n  b = conv(x, u4);\n  c = conv(x, b1);\n  d = conv(x, t2);\n  e = conv(x, s12);\n"
    "  f = conv(x, s1);\n  g = conv(x, u1);\n  output a, b, c, d, e, f, g;\n}\n";

static struct bf_graph *compile(const char *text, struct synthetic *s, struct bf_archive *made, struct bf_diags *diags) {
  struct bf_bfn_options options = {.make = synthetic_make, .make_context = s, .made = made};
  return bf_bfn_compile(bf_diags_add_source(diags, "n.bfn", text, strlen(text)), NULL, &options, diags);
}

// The first numbers for the seed 1234567, as published with the algorithm's reference implementations.
static void test_splitmix(void **state) {
  static const uint64_t published[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                       UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                       UINT64_C(16408922859458223821)};
  for (uint64_t i = 0; i < BF_COUNT(published); i++) assert_true(synthetic_random(1234567, i) == published[i]);
}

static void test_normal(void **state) {
  double sum = 0, squares = 0;
  int within = 0, n = 200000, extreme = 0;
  for (int i = 0; i < n; i++) {
    double z = synthetic_normal(42, (uint64_t)i) / 65536.0;
    sum += z, squares += z * z;
    within += fabs(z) < 1;
    extreme += fabs(z) > 2.99;
    assert_true(fabs(z) <= 3);
  }
  assert_true(fabs(sum / n) < 0.01);
  assert_true(fabs(squares / n - 1) < 0.02);
  assert_true(fabs((double)within / n - 0.6827) < 0.01);
  assert_true(extreme > 0);
}

// Values lie in their types (the front end checks that), use them, and repeat with the seed only.
static void test_archive(void **state) {
  struct bf_diags diags = {0};
  struct bf_archive one = {0}, again = {0}, other = {0};
  struct synthetic s1 = {.seed = 1}, s2 = {.seed = 2};
  struct bf_graph *graph = compile(net, &s1, &one, &diags);
  assert_non_null(graph);
  bf_graph_free(graph);
  bf_graph_free(compile(net, &s1, &again, &diags));
  bf_graph_free(compile(net, &s2, &other, &diags));
  struct bf_buf a = {0}, b = {0}, c = {0};
  assert_true(bf_npz_print(&one, &a) && bf_npz_print(&again, &b) && bf_npz_print(&other, &c));
  assert_true(a.length == b.length && memcmp(a.data, b.data, a.length) == 0);
  assert_true(a.length == c.length && memcmp(a.data, c.data, a.length) != 0);
  const struct bf_array *w = bf_archive_find(&one, "a.w"), *scales = bf_archive_find(&one, "a.s");
  int64_t lo = 0, hi = 0;
  for (uint64_t i = 0; i < w->elements; i++) {
    int64_t v = bf_array_int(w, i);
    lo = v < lo ? v : lo, hi = v > hi ? v : hi;
  }
  assert_true(lo >= -127 && lo < -100 && hi <= 127 && hi > 100);
  assert_int_equal(scales->elements, 40);
  double mean = 0;
  for (uint64_t i = 0; i < 40; i++) mean += bf_array_real(scales, i) / 40;
  assert_true(fabs(mean * 127 / 3 / sqrt(2.0 / 144) - 1) < 0.15);
  bf_buf_free(&a), bf_buf_free(&b), bf_buf_free(&c);
  bf_archive_free(&one), bf_archive_free(&again), bf_archive_free(&other);
  bf_diags_free(&diags);
}

static void test_bits(void **state) {
  struct bf_diags diags = {0};
  struct bf_archive made = {0};
  struct synthetic s = {.seed = 1, .bits = 3, .uniform = true};
  bf_graph_free(compile(net, &s, &made, &diags));
  const struct bf_array *w = bf_archive_find(&made, "a.w");
  int seen[7] = {0};
  for (uint64_t i = 0; i < w->elements; i++) {
    int64_t v = bf_array_int(w, i);
    assert_in_range(v + 3, 0, 6);
    seen[v + 3]++;
  }
  for (int i = 0; i < 7; i++) assert_true(seen[i] > 0);
  bf_archive_free(&made);
  bf_diags_free(&diags);
}

// The archive's word about itself reaches the graph, and its text form.
static void test_about(void **state) {
  static const char small[] = "bfn 1;\nnetwork n {\n  input x: s8[4] scale 1;\n  const w: s8[2, 4];\n"
                              "  y = dense(x, w) -> s8 scale 40;\n  output y;\n}\n";
  struct bf_diags diags = {0};
  struct bf_archive made = {0};
  struct synthetic s = {.seed = 5};
  bf_graph_free(compile(small, &s, &made, &diags));
  synthetic_about(&s, &made);
  const struct bf_source *source = bf_diags_add_source(&diags, "n.bfn", small, strlen(small));
  struct bf_graph *graph = bf_bfn_compile(source, &made, NULL, &diags);
  assert_non_null(graph);
  assert_string_equal(graph->weights, "synthetic (seed 5)");
  struct bf_buf text = {0}, again = {0};
  bf_graph_print(graph, &text);
  struct bf_graph *parsed = bf_graph_parse(bf_diags_add_source(&diags, "n.bfir", bf_buf_cstr(&text), text.length), &diags);
  assert_non_null(parsed);
  assert_string_equal(parsed->weights, "synthetic (seed 5)");
  bf_graph_print(parsed, &again);
  assert_string_equal(bf_buf_cstr(&text), bf_buf_cstr(&again));
  bf_graph_free(graph);
  bf_graph_free(parsed);
  assert_int_equal(diags.errors, 0);
  // An escape sequence must not get into a report.
  struct bf_array *about = &made.items[made.count - 1].array;
  ((char *)about->data)[3] = 27;
  assert_null(bf_bfn_compile(source, &made, NULL, &diags));
  assert_int_equal(diags.errors, 1);
  bf_buf_free(&text), bf_buf_free(&again);
  bf_archive_free(&made);
  bf_diags_free(&diags);
}

// What cannot be made is missed with the usual message.
static void test_open_shape(void **state) {
  static const char open[] = "bfn 1;\nnetwork n {\n  input x: s8[4] scale 1;\n  const w: s8[_, 4];\n"
                             "  y = dense(x, w) -> s8 scale 40;\n  output y;\n}\n";
  struct bf_diags diags = {0};
  struct synthetic s = {.seed = 1};
  assert_null(compile(open, &s, NULL, &diags));
  assert_int_equal(diags.errors, 1);
  assert_non_null(strstr(diags.items[0].message, "no member \"w\""));
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_splitmix), cmocka_unit_test(test_normal), cmocka_unit_test(test_archive),
      cmocka_unit_test(test_bits),     cmocka_unit_test(test_about),  cmocka_unit_test(test_open_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
