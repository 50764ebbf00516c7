// SPDX-License-Identifier: Apache-2.0
// Operators of the TFLite importer one by one, on small models written here: results worked out by
// hand, and the diagnostics for what can't be imported.
#include "support/tflite_run.h"

static const int64_t sixteen[] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, 12, 11, 10, 9};

static void test_max_pool(void **state) {
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 4, 4, 1), .scale = 1},
                                   {"net/pool/MaxPool", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1}};
  const struct build_op o[] = {{MAX_POOL, .ninputs = 1, .inputs = {0}, .output = 1, .options_type = POOL_OPTIONS,
                                .noptions = 6,
                                .options = {{0, 1, 1}, {1, 4, 2}, {2, 4, 2}, {3, 4, 2}, {4, 4, 2}, {5, 1, 3}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
  check_run(&m, sixteen, (const int64_t[]){6, 6, 6, 6});  // RELU6 with scale 1
}

static void test_pad(void **state) {
  static const int32_t pads[] = {0, 0, 1, 0, 0, 1, 0, 0};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1, .zero = 7},
                                   {"pads", INT32, SHAPED(2, 4, 2), .data = pads, .bytes = sizeof pads},
                                   {"out", INT8, SHAPED(4, 1, 3, 3, 1), .scale = 1, .zero = 7}};
  const struct build_op o[] = {{PAD, .ninputs = 2, .inputs = {0, 1}, .output = 2}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){7, 7, 7, 1, 2, 7, 3, 4, 7});
}

static void test_concat(void **state) {
  const struct build_tensor t[] = {{"a", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1},
                                   {"b", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1},
                                   {"out", INT8, SHAPED(4, 1, 2, 2, 2), .scale = 1}};
  struct build_op o[] = {{CONCATENATION, .ninputs = 2, .inputs = {0, 1}, .output = 2, .options_type = CONCAT_OPTIONS,
                          .noptions = 1, .options = {{0, 4, 3}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 2, .inputs = {0, 1}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){1, 5, 2, 6, 3, 7, 4, 8});
  o[0].options[0].value = -1;
  check_run(&m, sixteen, (const int64_t[]){1, 5, 2, 6, 3, 7, 4, 8});
}

static void test_concat_rows(void **state) {
  const struct build_tensor t[] = {{"a", INT8, SHAPED(3, 1, 2, 2), .scale = 1},
                                   {"b", INT8, SHAPED(3, 1, 1, 2), .scale = 1},
                                   {"out", INT8, SHAPED(3, 1, 3, 2), .scale = 1}};
  const struct build_op o[] = {{CONCATENATION, .ninputs = 2, .inputs = {0, 1}, .output = 2,
                                .options_type = CONCAT_OPTIONS, .noptions = 1, .options = {{0, 4, 1}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 2, .inputs = {0, 1}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){1, 2, 3, 4, 5, 6});
}

static void test_relu(void **state) {
  const struct build_tensor t[] = {{"in", INT8, SHAPED(2, 1, 4), .scale = 0.5f, .zero = 2},
                                   {"out", INT8, SHAPED(2, 1, 4), .scale = 0.5f, .zero = 2}};
  static const int64_t in[] = {-100, 3, 9, 100};
  static const struct {
    int code;
    int64_t expected[4];
  } cases[] = {{RELU, {2, 3, 9, 100}}, {RELU6, {2, 3, 9, 14}}, {RELU_N1_TO_1, {0, 3, 4, 4}}};
  for (size_t i = 0; i < BF_COUNT(cases); i++) {
    const struct build_op o[] = {{cases[i].code, .ninputs = 1, .inputs = {0}, .output = 1}};
    const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 1);
    check_run(&m, in, cases[i].expected);
  }
}

// Four-bit weights, an image as operand, a result of four dimensions, no bias.
static void test_dense_shapes(void **state) {
  static const uint8_t nibbles[] = {0x21, 0xF3, 0x87, 0x00};  // 1 2 3 -1 | 7 -8 0 0
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1},
                                   {"w", INT4, SHAPED(2, 2, 4), .scale = 1, .data = nibbles, .bytes = 4},
                                   {"out", INT8, SHAPED(4, 1, 1, 1, 2), .scale = 1}};
  const struct build_op o[] = {{FULLY_CONNECTED, .ninputs = 3, .inputs = {0, 1, -1}, .output = 2,
                                .options_type = FC_OPTIONS, .noptions = 1, .options = {{0, 1, 0}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){1 + 4 + 9 - 4, 7 - 16});
}

// Two channels with two filters each; the file has them channel-last.
static void test_depthwise_multiplier(void **state) {
  static const int8_t w[] = {1, 2, 3, 4, 10, 20, 30, 40};  // [1][2][1][4]
  static const int32_t b[] = {0, 1, 2, 3};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 1, 2), .scale = 1},
                                   {"w", INT8, SHAPED(4, 1, 2, 1, 4), .scale = 1, .data = w, .bytes = 8},
                                   {"b", INT32, SHAPED(1, 4), .scale = 1, .data = b, .bytes = 16},
                                   {"out", INT8, SHAPED(4, 1, 1, 1, 4), .scale = 2}};
  const struct build_op o[] = {{DEPTHWISE, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3,
                                .options_type = DEPTHWISE_OPTIONS, .noptions = 4,
                                .options = {{0, 1, 1}, {1, 4, 1}, {2, 4, 1}, {3, 4, 2}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 3);
  // Channel 0 holds 1, 3; channel 1 holds 2, 4: sums 31, 63, 128, 171 halved, ties away from zero.
  check_run(&m, sixteen, (const int64_t[]){16, 32, 64, 86});
}

static void test_grouped_conv(void **state) {
  static const int8_t w[] = {2, 3, 4, 5};  // [4][1][1][1] on two channels: two groups
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 1, 1, 2), .scale = 1},
                                   {"w", INT8, SHAPED(4, 4, 1, 1, 1), .scale = 1, .data = w, .bytes = 4},
                                   {"out", INT8, SHAPED(4, 1, 1, 1, 4), .scale = 1}};
  const struct build_op o[] = {{CONV, .ninputs = 2, .inputs = {0, 1}, .output = 2, .options_type = CONV_OPTIONS,
                                .noptions = 3, .options = {{0, 1, 1}, {1, 4, 1}, {2, 4, 1}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){2, 3, 8, 10});
}

static void test_add(void **state) {
  const struct build_tensor t[] = {{"in", INT8, SHAPED(2, 1, 4), .scale = 1},
                                   {"b", INT8, SHAPED(2, 1, 4), .scale = 2},
                                   {"out", INT8, SHAPED(2, 1, 4), .scale = 1, .zero = -1}};
  const struct build_op o[] = {{ADD, .ninputs = 2, .inputs = {0, 1}, .output = 2, .options_type = ADD_OPTIONS,
                                .noptions = 1, .options = {{0, 1, 1}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 2, .inputs = {0, 1}, .output = 2);
  check_run(&m, (const int64_t[]){1, 2, 3, -4, 10, 20, 60, -3}, (const int64_t[]){20, 41, 122, -1});
}

// Constants as operands, one element for each channel, and one for all.
static void test_constant_operands(void **state) {
  static const int8_t c[] = {10, 20, 30, 40}, three[] = {3};
  struct build_tensor t[] = {{"in", INT8, SHAPED(2, 1, 4), .scale = 1},
                             {"c", INT8, SHAPED(1, 4), .scale = 1, .data = c, .bytes = 4},
                             {"out", INT8, SHAPED(2, 1, 4), .scale = 1, .zero = -1}};
  struct build_op o[] = {{ADD, .ninputs = 2, .inputs = {0, 1}, .output = 2}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, sixteen, (const int64_t[]){10, 21, 32, 43});
  o[0].code = SUB;
  check_run(&m, sixteen, (const int64_t[]){-10, -19, -28, -37});
  o[0].inputs[0] = 1;
  o[0].inputs[1] = 0;
  check_run(&m, sixteen, (const int64_t[]){8, 17, 26, 35});
  t[1] = (struct build_tensor){"c", INT8, .rank = 0, .scale = 1, .data = three, .bytes = 1};
  o[0].code = MUL;
  check_run(&m, sixteen, (const int64_t[]){2, 5, 8, 11});
  o[0].inputs[1] = 1;
  FAILS(&m, 1, "operator 0 MUL", "both operands are constants");
}

static void test_broadcast(void **state) {
  const struct build_tensor t[] = {{"a", INT8, SHAPED(4, 1, 2, 1, 2), .scale = 1},
                                   {"b", INT8, SHAPED(4, 1, 1, 2, 2), .scale = 1},
                                   {"out", INT8, SHAPED(4, 1, 2, 2, 2), .scale = 1}};
  struct build_op o[] = {{SUB, .ninputs = 2, .inputs = {0, 1}, .output = 2}};
  const struct build_model m = MODEL(t, o, .ninputs = 2, .inputs = {0, 1}, .output = 2);
  // a: 1 2 | 3 4; b: 5 6 | 7 8
  check_run(&m, sixteen, (const int64_t[]){-4, -4, -6, -6, -2, -2, -4, -4});
  o[0].code = MAXIMUM;
  check_run(&m, sixteen, (const int64_t[]){5, 6, 7, 8, 5, 6, 7, 8});
}

static void test_quantize_and_reshape(void **state) {
  static const int64_t in[] = {0, 128, 200, 255};
  const struct build_tensor t[] = {{"in", UINT8, SHAPED(2, 1, 4), .scale = 0.5f, .zero = 128},
                                   {"q", INT8, SHAPED(2, 1, 4), .scale = 0.5f},
                                   {"out", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 0.5f}};
  const struct build_op o[] = {{QUANTIZE, .ninputs = 1, .inputs = {0}, .output = 1},
                               {RESHAPE, .ninputs = 1, .inputs = {1}, .output = 2}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, in, (const int64_t[]){-128, 0, 72, 127});
}

static const struct build_tensor chain[] = {{"in", INT8, SHAPED(2, 1, 4), .scale = 1},
                                            {"net/first/mul", INT8, SHAPED(2, 1, 4), .scale = 1},
                                            {"net/second/mul", INT8, SHAPED(2, 1, 4), .scale = 1}};

static void test_unsupported_ops(void **state) {
  const struct build_op prelus[] = {{PRELU, .ninputs = 2, .inputs = {0, 0}, .output = 1},
                                    {PRELU, .ninputs = 2, .inputs = {1, 0}, .output = 2}};
  const struct build_model twice = MODEL(chain, prelus, .ninputs = 1, .inputs = {0}, .output = 2);
  FAILS(&twice, 1, "operator 0 PRELU (output \"net/first/mul\")", "not supported", "(and 1 more like it)", "hint: ");
  const struct build_op customs[] = {{CUSTOM, "My\nOp", .ninputs = 1, .inputs = {0}, .output = 1},
                                     {500, .ninputs = 1, .inputs = {1}, .output = 2}};
  const struct build_model strange = MODEL(chain, customs, .ninputs = 1, .inputs = {0}, .output = 2);
  FAILS(&strange, 2, "operator 0 CUSTOM \"My?Op\"", "operator 1 of code 500 (output \"net/second/mul\")");
}

static void test_unsupported_features(void **state) {
  struct build_tensor t[3];
  struct build_op o[] = {{ADD, .ninputs = 2, .inputs = {0, 0}, .output = 1, .options_type = ADD_OPTIONS, .noptions = 1,
                          .options = {{0, 1, 4}}},
                         {RELU, .ninputs = 1, .inputs = {1}, .output = 2}};
  struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  memcpy(t, chain, sizeof t);
  FAILS(&m, 1, "operator 0 ADD", "fused activation TANH", "RELU6");
  o[0].options[0].value = 0;
  t[1].dynamic = true;
  FAILS(&m, 2, "operator 0 ADD", "\"net/first/mul\" has a dynamic shape", "fixed input shape");
  memcpy(t, chain, sizeof t);
  t[1].sparse = true;
  FAILS(&m, 2, "stored sparsely");
  memcpy(t, chain, sizeof t);
  t[0].type = FLOAT32;
  FAILS(&m, 1, "operator 0 ADD", "tensor \"in\" is of type FLOAT32");
  memcpy(t, chain, sizeof t);
  t[2].zero = 3;
  o[1].code = RESHAPE;
  FAILS(&m, 1, "operator 1 RESHAPE", "differ in type, scale or zero point");
  o[1].code = RELU;
  memcpy(t, chain, sizeof t);
  t[1].shape[0] = 2;
  FAILS(&m, 2, "a batch of 2");
  memcpy(t, chain, sizeof t);
  t[1].scale = -1;
  FAILS(&m, 2, "scale 0 of tensor \"net/first/mul\" is -1");
  memcpy(t, chain, sizeof t);
  t[1].shape[1] = 1;
  FAILS(&m, 2, "operands of shapes");
  memcpy(t, chain, sizeof t);
  o[1].inputs[0] = 2;  // its own result
  FAILS(&m, 1, "operator 1 RELU", "used before anything computes it");
  m.output = 0;
  FAILS(&m, 1, "output");
}

static void test_warnings(void **state) {
  const struct build_op o[] = {{RELU, .ninputs = 1, .inputs = {0}, .output = 1},
                               {MUL, .ninputs = 2, .inputs = {0, 0}, .output = 2}};
  const struct build_model m = MODEL(chain, o, .ninputs = 1, .inputs = {0}, .output = 1, .subgraphs = 3);
  struct outcome out = import(&m);
  assert_true(out.ok);
  assert_int_equal(out.warnings, 2);
  assert_non_null(strstr(out.messages.data, "3 subgraphs"));
  assert_non_null(strstr(out.messages.data, "operator 1 MUL (output \"net/second/mul\") reaches no output"));
  outcome_free(&out);
}

// Names that would break the text, or mean something else in it.
static void test_names(void **state) {
  const struct build_tensor t[] = {{"input", INT8, SHAPED(2, 1, 4), .scale = 1},
                                   {"x;\n}\nnetwork evil {", INT8, SHAPED(2, 1, 4), .scale = 1},
                                   {"9/\xC3\xA9/const", INT8, SHAPED(2, 1, 4), .scale = 1},
                                   {"", INT8, SHAPED(2, 1, 4), .scale = 1},
                                   {"a/add/add", INT8, SHAPED(2, 1, 4), .scale = 1}};
  const struct build_op o[] = {{RELU, .ninputs = 1, .inputs = {0}, .output = 1},
                               {RELU, .ninputs = 1, .inputs = {1}, .output = 2},
                               {RELU, .ninputs = 1, .inputs = {2}, .output = 3},
                               {RELU, .ninputs = 1, .inputs = {3}, .output = 4}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 4);
  struct outcome out = import(&m);
  if (!out.ok) fail_msg("%s", out.messages.data);
  assert_int_equal(out.graph->nnodes, 4);
  outcome_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_max_pool),
      cmocka_unit_test(test_pad),
      cmocka_unit_test(test_concat),
      cmocka_unit_test(test_concat_rows),
      cmocka_unit_test(test_relu),
      cmocka_unit_test(test_dense_shapes),
      cmocka_unit_test(test_depthwise_multiplier),
      cmocka_unit_test(test_grouped_conv),
      cmocka_unit_test(test_add),
      cmocka_unit_test(test_constant_operands),
      cmocka_unit_test(test_broadcast),
      cmocka_unit_test(test_quantize_and_reshape),
      cmocka_unit_test(test_unsupported_ops),
      cmocka_unit_test(test_unsupported_features),
      cmocka_unit_test(test_warnings),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
