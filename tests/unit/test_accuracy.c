// SPDX-License-Identifier: Apache-2.0
// The study of accuracy on few images and widths, and how classifiers are judged.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/data.h"
#include "tools/bfexplore/judge.h"
#include "tools/bfexplore/study_accuracy.h"

// Against the interval's defining equation: the bounds p are where (part/n - p)^2 = z^2 p (1 - p) / n.
static void test_wilson(void **state) {
  const double z = 1.959963984540054;
  const uint64_t cases[][2] = {{0, 10}, {10, 10}, {3, 7}, {733, 800}, {1, 1}};
  for (size_t i = 0; i < BF_COUNT(cases); i++) {
    double low, high, n = (double)cases[i][1], p = (double)cases[i][0] / n;
    bfx_wilson(cases[i][0], cases[i][1], &low, &high);
    assert_true(low >= -1e-12 && high <= 1 + 1e-12 && low <= p + 1e-12 && high >= p - 1e-12);
    assert_true(fabs((p - low) * (p - low) - z * z * low * (1 - low) / n) < 1e-12);
    assert_true(fabs((p - high) * (p - high) - z * z * high * (1 - high) / n) < 1e-12);
  }
}

static void test_judge_outputs(void **state) {
  const float outputs[6] = {0, 2, 1, 5, 4, 5}, reference[6] = {0, 2, 1, 5, 4, 8};
  const uint8_t labels[2] = {1, 2};
  struct bfx_judgement j;
  bfx_judge_outputs(outputs, labels, 2, reference, 3, &j);
  assert_int_equal(j.images, 2);
  assert_int_equal(j.correct, 1);  // of equals the first counts
  assert_true(fabs(j.mse - 1.5) < 1e-9);
}

static double real(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }

static void check_rows(const json_t *rows) {
  static const char *const names[] = {"float", "w8a8", "w4a4", "w2a2", "mixed-as-w4a4"};
  assert_int_equal(json_array_size(rows), BF_COUNT(names));
  for (size_t i = 0; i < BF_COUNT(names); i++) {
    const json_t *row = json_array_get(rows, i);
    assert_string_equal(json_string_value(json_object_get(row, "profile")), names[i]);
    assert_true(real(row, "ci_low") <= real(row, "accuracy") && real(row, "accuracy") <= real(row, "ci_high"));
    assert_true(i == 0 || (real(row, "cycles") > 0 && real(row, "energy_j") > 0));
  }
  const json_t *eight = json_array_get(rows, 1), *four = json_array_get(rows, 2), *two = json_array_get(rows, 3), *mixed = json_array_get(rows, 4);
  assert_true(real(json_array_get(rows, 0), "logit_mse") == 0);
  assert_true(real(eight, "logit_mse") < real(four, "logit_mse") && real(four, "logit_mse") < real(two, "logit_mse"));
  assert_true(real(eight, "edp_js") > real(four, "edp_js") && real(four, "edp_js") > real(two, "edp_js"));
  assert_true(real(eight, "edp_norm") == 1 && real(eight, "bits_avg") == 8 && real(two, "bits_avg") == 2);
  assert_true(real(mixed, "cycles") <= real(four, "cycles"));
  assert_true(real(mixed, "logit_mse") < real(four, "logit_mse"));
}

static void test_study(void **state) {
  char *model = test_data_path("onnx/resnet_cifar10_f32/resnet20_cifar10_f32.onnx"), *records = test_data_path("datasets/cifar10/test_first1000.bin");
  if (!model || !records || getenv("BF_SLOW_BUILD")) {
    free(model);
    free(records);
    print_message("skipped: no data folder (BFIMNA_DATA), or a slow build\n");
    skip();
  }
  struct bf_diags diags = {0};
  struct bfx_study study = {.name = "test", .target = "bf-imna-lr", .seed = 1, .diags = &diags, .rows = json_array()};
  struct bfx_accuracy_options options = {.model = model, .records = records, .images = 60, .calibration = 40, .rated = 10,
                                         .bits = 1u << 8 | 1u << 4 | 1u << 2, .budgets = {4}, .nbudgets = 1};
  bool ok = bfx_accuracy_run(&study, &options);
  struct bf_buf text = {0};
  bf_diags_render(&diags, &text);
  if (!ok) fail_msg("%s", bf_buf_cstr(&text));
  check_rows(study.rows);
  bf_buf_free(&text);
  json_decref(study.rows);
  bf_buf_free(&study.notes);
  for (size_t i = 0; i < study.nplots; i++) bfx_plot_free(&study.plots[i]);
  bf_diags_free(&diags);
  free(model);
  free(records);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_wilson), cmocka_unit_test(test_judge_outputs), cmocka_unit_test(test_study)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
