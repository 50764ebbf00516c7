// SPDX-License-Identifier: Apache-2.0
// The importer's operators that move elements, reduce them or change their type; results worked out by hand.
#include "support/tflite_run.h"

// 0, 1, 2, …
static const int64_t *counting(void) {
  static int64_t values[256];
  for (int i = 0; i < 256; i++) values[i] = i % 128;
  return values;
}

static void test_transpose(void **state) {
  static const int32_t perm[] = {0, 2, 1, 3}, batch[] = {1, 0, 2, 3};
  struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 3, 1), .scale = 1},
                             {"perm", INT32, SHAPED(1, 4), .data = perm, .bytes = sizeof perm},
                             {"out", INT8, SHAPED(4, 1, 3, 2, 1), .scale = 1}};
  const struct build_op o[] = {{TRANSPOSE, .ninputs = 2, .inputs = {0, 1}, .output = 2}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  check_run(&m, counting(), (const int64_t[]){0, 3, 1, 4, 2, 5});
  t[1].data = batch;
  FAILS(&m, 1, "operator 0 TRANSPOSE", "permutation");
}

static void test_strided_slice(void **state) {
  static const int32_t begin[] = {0, 3, 1, 0}, end[] = {0, 0, 4, 1}, step[] = {1, -2, 2, 1};
  struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 4, 4, 1), .scale = 1},
                             {"begin", INT32, SHAPED(1, 4), .data = begin, .bytes = 16},
                             {"end", INT32, SHAPED(1, 4), .data = end, .bytes = 16},
                             {"step", INT32, SHAPED(1, 4), .data = step, .bytes = 16},
                             {"out", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1}};
  struct build_op o[] = {{STRIDED_SLICE, .ninputs = 4, .inputs = {0, 1, 2, 3}, .output = 4,
                          .options_type = STRIDED_SLICE_OPTIONS, .noptions = 3,
                          .options = {{0, 4, 1}, {1, 4, 1}, {4, 4, 0}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 4);
  check_run(&m, counting(), (const int64_t[]){13, 15, 5, 7});
  o[0].options[1].value = 3;  // rows to the end: 3, 1 all the same
  check_run(&m, counting(), (const int64_t[]){13, 15, 5, 7});
  o[0].options[2].value = 8;  // without the channels
  t[4].rank = 3;
  check_run(&m, counting(), (const int64_t[]){13, 15, 5, 7});
  o[0].noptions = 4;
  o[0].options[3] = (struct build_option){3, 4, 1, 0};
  FAILS(&m, 1, "operator 0 STRIDED_SLICE", "new axis");
}

static void test_slice(void **state) {
  static const int32_t begin[] = {0, 1, 2, 0}, size[] = {1, 2, -1, 1};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 4, 4, 1), .scale = 1},
                                   {"begin", INT32, SHAPED(1, 4), .data = begin, .bytes = 16},
                                   {"size", INT32, SHAPED(1, 4), .data = size, .bytes = 16},
                                   {"out", INT8, SHAPED(4, 1, 2, 2, 1), .scale = 1}};
  const struct build_op o[] = {{SLICE, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 3);
  check_run(&m, counting(), (const int64_t[]){6, 7, 10, 11});
}

// Halves along the channels, swapped.
static void test_split(void **state) {
  static const int32_t axis[] = {-1}, sizes[] = {1, 1};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 1, 2), .scale = 1},
                                   {"axis", INT32, .rank = 0, .data = axis, .bytes = 4},
                                   {"a/split", INT8, SHAPED(4, 1, 2, 1, 1), .scale = 1},
                                   {"a/split:1", INT8, SHAPED(4, 1, 2, 1, 1), .scale = 1},
                                   {"out", INT8, SHAPED(4, 1, 2, 1, 2), .scale = 1},
                                   {"sizes", INT32, SHAPED(1, 2), .data = sizes, .bytes = 8}};
  struct build_op o[] = {
      {SPLIT, .ninputs = 2, .inputs = {1, 0}, .output = 2, .nmore = 1, .more = {3}},
      {CONCATENATION, .ninputs = 2, .inputs = {3, 2}, .output = 4, .options_type = CONCAT_OPTIONS, .noptions = 1,
       .options = {{0, 4, 3}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 4);
  check_run(&m, counting(), (const int64_t[]){1, 0, 3, 2});
  o[0] = (struct build_op){SPLIT_V, .ninputs = 3, .inputs = {0, 5, 1}, .output = 2, .nmore = 1, .more = {3}};
  check_run(&m, counting(), (const int64_t[]){1, 0, 3, 2});
}

// Sums 6 and 10 of four: 1.5 and 2.5, halves away from zero; then without the dimensions of 1.
static void test_mean(void **state) {
  static const int32_t axes[] = {1, -2};
  struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 2, 2, 2), .scale = 1},
                             {"axes", INT32, SHAPED(1, 2), .data = axes, .bytes = 8},
                             {"out", INT8, SHAPED(4, 1, 1, 1, 2), .scale = 1}};
  const struct build_op o[] = {{MEAN, .ninputs = 2, .inputs = {0, 1}, .output = 2, .options_type = REDUCER_OPTIONS}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 2);
  static const int64_t in[] = {0, 1, 1, -2, 2, -4, 3, -5};
  check_run(&m, in, (const int64_t[]){2, -3});
  t[2].rank = 2;
  t[2].shape[1] = 2;
  check_run(&m, in, (const int64_t[]){2, -3});
}

static void test_padv2(void **state) {
  static const int32_t pads[] = {0, 0, 0, 1, 1, 0, 0, 0};
  static const int8_t value[] = {-9};
  const struct build_tensor t[] = {{"in", INT8, SHAPED(4, 1, 1, 2, 1), .scale = 1, .zero = 7},
                                   {"pads", INT32, SHAPED(2, 4, 2), .data = pads, .bytes = sizeof pads},
                                   {"v", INT8, .rank = 0, .scale = 1, .zero = 7, .data = value, .bytes = 1},
                                   {"out", INT8, SHAPED(4, 1, 2, 3, 1), .scale = 1, .zero = 7}};
  const struct build_op o[] = {{PADV2, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 3);
  check_run(&m, counting(), (const int64_t[]){-9, 0, 1, -9, -9, -9});
}

// Float32 borders: the network begins and ends with integers.
static void test_borders(void **state) {
  struct build_tensor t[] = {{"image", FLOAT32, SHAPED(2, 1, 4)},
                             {"q", INT8, SHAPED(2, 1, 4), .scale = 0.5f},
                             {"r", INT8, SHAPED(2, 1, 4), .scale = 0.5f},
                             {"probability", FLOAT32, SHAPED(2, 1, 4)}};
  const struct build_op o[] = {{QUANTIZE, .ninputs = 1, .inputs = {0}, .output = 1},
                               {RELU, .ninputs = 1, .inputs = {1}, .output = 2},
                               {DEQUANTIZE, .ninputs = 1, .inputs = {2}, .output = 3}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 3);
  check_run(&m, (const int64_t[]){-3, 4, 0, 9}, (const int64_t[]){0, 4, 0, 9});
  t[1].type = FLOAT32;
  FAILS(&m, 2, "operator 0 QUANTIZE", "is of type FLOAT32");
}

// Where the result goes, by the definition: each input adds to kernel-size outputs from y*stride - pad.
static void scatter(const int64_t *in, int size, int kernel, int stride, int pad, const int8_t *w, int64_t *out,
                    int out_size) {
  memset(out, 0, (size_t)(out_size * out_size) * sizeof *out);
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++)
      for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++) {
          int oy = y * stride - pad + ky, ox = x * stride - pad + kx;
          if (oy >= 0 && oy < out_size && ox >= 0 && ox < out_size)
            out[oy * out_size + ox] += in[y * size + x] * w[ky * kernel + kx];
        }
}

static void test_transpose_conv(void **state) {
  static const int8_t w[] = {1, -2, 3, 1, 2, -1, 1, 3, -3, 2, 1, 1, -1, 2, 3, -2};
  static const int64_t in[] = {3, -1, 2, 1, 4, -2, -3, 2, 1};
  int64_t expected[1024];
  for (int kernel = 1; kernel <= 4; kernel++)
    for (int stride = 1; stride <= 3; stride++)
      for (int same = 0; same < 2; same++) {
        int size = 3, out_size = same ? size * stride : (size - 1) * stride + kernel;
        if (!same && kernel < stride) continue;
        int total = (size - 1) * stride + kernel - out_size, pad = same && total > 0 ? total / 2 : 0;
        const int32_t shape[] = {1, out_size, out_size, 1};
        const struct build_tensor t[] = {
            {"shape", INT32, SHAPED(1, 4), .data = shape, .bytes = 16},
            {"w", INT8, SHAPED(4, 1, kernel, kernel, 1), .scale = 1, .data = w, .bytes = (uint32_t)(kernel * kernel)},
            {"in", INT8, SHAPED(4, 1, size, size, 1), .scale = 1},
            {"out", INT8, SHAPED(4, 1, out_size, out_size, 1), .scale = 1}};
        const struct build_op o[] = {{TRANSPOSE_CONV, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3,
                                      .options_type = TRANSPOSE_CONV_OPTIONS, .noptions = 3,
                                      .options = {{0, 1, !same}, {1, 4, stride}, {2, 4, stride}}}};
        const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {2}, .output = 3);
        scatter(in, size, kernel, stride, pad, w, expected, out_size);
        check_run(&m, in, expected);
      }
}

// Sums of INT16 layers follow the bias: 64 bits and a 16-bit multiplier, or 32 and 32.
static void test_wide_conv(void **state) {
  static const int8_t w[] = {1};
  static const int32_t b32[] = {1};
  int64_t b64[] = {1};
  struct build_tensor t[] = {{"in", INT16, SHAPED(4, 1, 1, 2, 1), .scale = 1},
                             {"w", INT8, SHAPED(4, 1, 1, 1, 1), .scale = 1, .data = w, .bytes = 1},
                             {"b", INT32, SHAPED(1, 1), .data = b32, .bytes = 4},
                             {"out", INT16, SHAPED(4, 1, 1, 2, 1), .scale = 4}};
  const struct build_op o[] = {{CONV, .ninputs = 3, .inputs = {0, 1, 2}, .output = 3, .options_type = CONV_OPTIONS,
                                .noptions = 3, .options = {{0, 1, 1}, {1, 4, 1}, {2, 4, 1}}}};
  const struct build_model m = MODEL(t, o, .ninputs = 1, .inputs = {0}, .output = 3);
  // 9/4 and -10/4: with 32 bits 9/2 is 5 and 5/2 is 3, -10/2 is -5 and -5/2 is -3; with 64 one rounding, half upwards.
  check_run(&m, (const int64_t[]){8, -11}, (const int64_t[]){3, -3});
  t[2].type = INT64;
  t[2].data = b64;
  t[2].bytes = 8;
  check_run(&m, (const int64_t[]){8, -11}, (const int64_t[]){2, -2});
  b64[0] = (int64_t)1 << 47;
  FAILS(&m, 1, "operator 0 CONV_2D", "element 0 of bias \"b\" is 140737488355328", "48 bits");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_transpose), cmocka_unit_test(test_strided_slice), cmocka_unit_test(test_slice),
      cmocka_unit_test(test_split),     cmocka_unit_test(test_mean),          cmocka_unit_test(test_padv2),
      cmocka_unit_test(test_borders),   cmocka_unit_test(test_transpose_conv), cmocka_unit_test(test_wide_conv),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
