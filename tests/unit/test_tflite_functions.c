// SPDX-License-Identifier: Apache-2.0
// The importer's functions of one element. Every eighth of the 256 values was computed by the reference kernels of
// tflite-micro (commit 90b983c2) with gemmlowp, for an operand of scale 0.05 and zero point -7.
#include "support/tflite_run.h"

static const struct recorded {
  int code;
  float scale;
  int zero;
  int8_t values[32];
} recorded[] = {
    {LOGISTIC, 0x1p-8f, -128, {-127, -127, -127, -126, -125, -124, -122, -118, -114, -108, -99, -87, -71, -51, -28, -3,
                               22,   46,   66,   83,   96,   106,  113,  117,  121,  123,  125, 126, 127, 127, 127, 127}},
    {TANH, 0x1p-7f, 0, {-128, -128, -128, -128, -128, -128, -128, -128, -127, -126, -124, -119, -109, -88, -54, -6,
                        43,   81,   105,  117,  123,  126,  127,  127,  127,  127,  127,  127,  127,  127, 127, 127}},
    {HARD_SWISH, 0.03f, 12, {12, 12, 12, 12, 12, 12, 12,  12,  10,  5,   1,   0,   0,   2,   6,   11,
                             19, 28, 39, 51, 66, 82, 100, 117, 127, 127, 127, 127, 127, 127, 127, 127}},
    {LEAKY_RELU, 0.03f, 12, {73, 69, 65, 61, 57, 53, 49,  45,  41,  37,  33,  29,  25,  21,  17,  13,
                             24, 37, 50, 64, 77, 90, 104, 117, 127, 127, 127, 127, 127, 127, 127, 127}},
};

static void check_recorded(const struct recorded *r, bool is_signed) {
  int type = is_signed ? INT8 : UINT8, moved = is_signed ? 0 : 128;
  int64_t in[32], expected[32];
  const struct build_tensor t[] = {{"in", type, SHAPED(2, 1, 32), .scale = 0.05f, .zero = -7 + moved},
                                   {"out", type, SHAPED(2, 1, 32), .scale = r->scale, .zero = r->zero + moved}};
  struct build_op o[] = {{r->code, .ninputs = 1, .inputs = {0}, .output = 1}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
  if (r->code == LEAKY_RELU) {
    o[0].options_type = LEAKY_RELU_OPTIONS;
    o[0].noptions = 1;
    o[0].options[0] = (struct build_option){0, 4, 0, -0.3f};
  }
  for (int i = 0; i < 32; i++) {
    in[i] = 8 * i - 128 + moved;
    expected[i] = r->values[i] + moved;
  }
  check_run(&m, in, expected);
}

static void test_recorded(void **state) {
  for (size_t i = 0; i < BF_COUNT(recorded); i++) {
    check_recorded(&recorded[i], true);
    check_recorded(&recorded[i], false);
  }
}

// Operand and result of different scales: 5 * 1/2 is 2.5, away from zero 3; -1 has no place at 0 to 6.
static void test_relu_rescales(void **state) {
  const struct build_tensor t[] = {{"in", INT8, SHAPED(2, 1, 4), .scale = 1, .zero = 1},
                                   {"out", INT8, SHAPED(2, 1, 4), .scale = 2, .zero = -2}};
  struct build_op o[] = {{RELU, .ninputs = 1, .inputs = {0}, .output = 1}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
  static const int64_t in[] = {6, 0, 13, 127};
  check_run(&m, in, (const int64_t[]){1, -2, 4, 61});
  o[0].code = RELU6;
  check_run(&m, in, (const int64_t[]){1, -2, 1, 1});
}

static void test_leaky_16_bits(void **state) {
  struct build_tensor t[] = {{"in", INT16, SHAPED(2, 1, 4), .scale = 1}, {"out", INT16, SHAPED(2, 1, 4), .scale = 1}};
  struct build_op o[] = {{LEAKY_RELU, .ninputs = 1, .inputs = {0}, .output = 1, .options_type = LEAKY_RELU_OPTIONS,
                          .noptions = 1, .options = {{0, 4, 0, 0.5f}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
  static const int64_t in[] = {-3, 5, -32768, 32767};
  check_run(&m, in, (const int64_t[]){-1, 5, -16384, 32767});  // the multiplication rounds -3/2 up
  o[0].options[0].real = 2;
  check_run(&m, in, (const int64_t[]){-6, 5, -32768, 32767});
  t[1].scale = 2;
  o[0].options[0].real = 0.5f;
  check_run(&m, in, (const int64_t[]){-1, 3, -8192, 16384});
  o[0].options[0].real = -0.5f;
  FAILS(&m, 1, "operator 0 LEAKY_RELU", "alpha of -0.5 on INT16");
}

static void test_refusals(void **state) {
  struct build_tensor t[] = {{"in", INT16, SHAPED(2, 1, 4), .scale = 1}, {"out", INT16, SHAPED(2, 1, 4), .scale = 1}};
  struct build_op o[] = {{TANH, .ninputs = 1, .inputs = {0}, .output = 1}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
  FAILS(&m, 1, "operator 0 TANH", "operand of type INT16", "INT8 and UINT8 work");
  t[0].type = t[1].type = INT8;
  FAILS(&m, 1, "operator 0 TANH", "result of scale 1 and zero point 0", "1/128");
  o[0].code = HARD_SWISH;
  t[1].scale = 0x1p-20f;
  FAILS(&m, 1, "operator 0 HARD_SWISH", "scales 1 of the operand");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recorded),
      cmocka_unit_test(test_relu_rescales),
      cmocka_unit_test(test_leaky_16_bits),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
