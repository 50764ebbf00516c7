// SPDX-License-Identifier: Apache-2.0
// Float networks: reading and evaluation against outputs that other runtimes recorded, and against sums by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/float_net.h"
#include "tests/fuzz/onnx_text.h"
#include "tests/support/data.h"

static struct bf_float_net *read_recorded(const char *relative) {
  struct bf_diags diags = {0};
  size_t length;
  char *data = test_data_read(relative, &length);
  if (!data) return NULL;
  struct bf_float_net *net = bf_float_net_read(data, length, relative, &diags);
  struct bf_buf text = {0};
  bf_diags_render(&diags, &text);
  if (!net) print_message("%s", bf_buf_cstr(&text));
  bf_buf_free(&text);
  bf_diags_free(&diags);
  free(data);
  assert_non_null(net);
  return net;
}

static void compare(const float *got, const float *want, size_t n, float tolerance) {
  for (size_t i = 0; i < n; i++)
    if (!(fabsf(got[i] - want[i]) <= tolerance * (1 + fabsf(want[i])))) fail_msg("element %zu: %g, recorded %g", i, (double)got[i], (double)want[i]);
}

static void test_resnet20(void **state) {
  static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  enum { IMAGES = 20 };
  struct bf_diags diags = {0};
  size_t n, m;
  char *records = test_data_read("datasets/cifar10/test_first1000.bin", &n);
  char *logits = test_data_read("onnx/resnet_cifar10_f32/resnet20_logits_first100.f32", &m);
  struct bf_float_net *net = records && logits ? read_recorded("onnx/resnet_cifar10_f32/resnet20_cifar10_f32.onnx") : NULL;
  if (!net) {
    free(records);
    free(logits);
    print_message("skipped: no data folder (BFIMNA_DATA)\n");
    skip();
  }
  struct bf_array array = {.dtype = BF_DTYPE_F32, .rank = 4, .shape = {IMAGES, 3, 32, 32}, .elements = IMAGES * 3072};
  float *values = bf_alloc(array.elements, sizeof *values), *images;
  for (size_t i = 0; i < array.elements; i++) {
    size_t c = i % 3072 / 1024;
    values[i] = ((float)(uint8_t)records[i / 3072 * 3073 + 1 + i % 3072] / 255 - mean[c]) / deviation[c];
  }
  array.data = values;
  uint64_t count;
  assert_true(bf_float_images(net, &array, "images", &images, &count, &diags));
  assert_int_equal(count, IMAGES);
  float *one = bf_float_run(net, images, count, 1), *three = bf_float_run(net, images, count, 3);
  compare(one, (const float *)(const void *)logits, IMAGES * 10, 2e-4f);
  assert_memory_equal(one, three, IMAGES * 10 * sizeof *one);
  free(one);
  free(three);
  free(images);
  bf_array_free(&array);
  bf_float_net_free(net);
  free(records);
  free(logits);
}

// A TensorProto of the test data: float32, its raw data at the end of the file.
static void test_mnist(void **state) {
  size_t n, m;
  char *input = test_data_read("onnx/mnist/input_0.pb", &n), *output = test_data_read("onnx/mnist/output_0.pb", &m);
  struct bf_float_net *net = input && output ? read_recorded("onnx/mnist/mnist_cntk_f32.onnx") : NULL;
  if (!net) {
    free(input);
    free(output);
    print_message("skipped: no data folder (BFIMNA_DATA)\n");
    skip();
  }
  float image[784], want[10], *got;
  assert_true(n > sizeof image && m > sizeof want);
  memcpy(image, input + n - sizeof image, sizeof image);
  memcpy(want, output + m - sizeof want, sizeof want);
  got = bf_float_run(net, image, 1, 1);
  compare(got, want, 10, 1e-4f);
  free(got);
  bf_float_net_free(net);
  free(input);
  free(output);
}

static struct bf_float_net *read_text(const char *text, struct bf_buf *messages) {
  struct bf_diags diags = {0};
  struct bf_buf model = {0};
  onnx_from_text(text, &model);
  struct bf_float_net *net = bf_float_net_read(model.data, model.length, "t.onnx", &diags);
  if (messages) bf_diags_render(&diags, messages);
  bf_diags_free(&diags);
  bf_buf_free(&model);
  return net;
}

// Every operator that has no recorded output, on numbers that can be checked by hand.
static void test_operators(void **state) {
  struct bf_float_net *net = read_text(
      "input x f 1,2,2,2\n"
      "const w f 2,1,1,1 2,3\n"
      "const g f 2 1,2\nconst b f 2 0.5,0\nconst m f 2 1,0\nconst v f 2 0.99999,3.99999\n"
      "node Conv x,w c group=2 kernel_shape=1,1\n"
      "node BatchNormalization c,g,b,m,v n\n"
      "node Relu n r\n"
      "node Add r,x s\n"
      "node GlobalAveragePool s p\n"
      "node Flatten p f\n"
      "const k f 3,2 1,0,0,1,1,-1\nconst kb f 3 0,0,10\n"
      "node Gemm f,k,kb y transB=1\n"
      "node Softmax y z\n"
      "output z\n", NULL);
  assert_non_null(net);
  // Channel 0: 1, 2, 3, 4; n = 2x - 1 + 0.5; channel 1: -1, 0, 1, 2; n = 3x / 2 * 2.
  const float image[8] = {1, -1, 2, 0, 3, 1, 4, 2}, want[3] = {7, 2.75f, 14.25f};
  float *got = bf_float_run(net, image, 1, 1);
  compare(got, want, 3, 1e-5f);
  free(got);
  bf_float_net_free(net);
}

static void test_moves(void **state) {
  struct bf_float_net *net = read_text(
      "input x f 1,1,3,3\n"
      "const one f 1,1,1,1 1\nconst st s64 1 2\nconst en s64 1 -4\nconst ax s64 1 3\nconst sp s64 1 -1\n"
      "const pads s64 8 0,0,1,0,0,1,0,0\n"
      "node Conv x,one c\n"
      "node Slice c,st,en,ax,sp t\n"
      "node Pad t,pads q\n"
      "node MaxPool q u kernel_shape=2,2 strides=2,2\n"
      "node AveragePool u a kernel_shape=1,1 strides=1,1\n"
      "node Clip a y min=-1.5 max=4.5\n"
      "const sh s64 2 1,-1\nnode Reshape y,sh z\noutput z\n", NULL);
  assert_non_null(net);
  // Rows reversed: 3 2 1 / 6 5 4 / 9 8 7, a row of zeros above and a channel of zeros behind; windows at (0,0), (2,0).
  const float image[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  float *got = bf_float_run(net, image, 1, 1);
  assert_int_equal(bf_float_elements(net->output), 4);
  compare(got, (const float[]){3, 0, 4.5f, 0}, 4, 1e-6f);
  free(got);
  bf_float_net_free(net);
}

static void refuse(const char *text, const char *part) {
  struct bf_buf messages = {0};
  struct bf_float_net *net = read_text(text, &messages);
  assert_null(net);
  if (!strstr(bf_buf_cstr(&messages), part)) fail_msg("expected \"%s\" in: %s", part, bf_buf_cstr(&messages));
  bf_buf_free(&messages);
}

static void test_refused(void **state) {
  refuse("input x f 1,2,4,4\nnode Sigmoid x s\nnode Tanh s t\noutput t\n", "node 0 Sigmoid (output \"s\"): this operator cannot be quantized");
  refuse("input x f 1,2,4,4\nnode Softmax x s\nnode Relu s t\noutput t\n", "Softmax");
  refuse("input x f 2,2,4,4\nnode Relu x t\noutput t\n", "one image");
  refuse("input x f 1,2,4,4\nnode Identity x t\noutput t\n", "not computed");
  refuse("input x f 1,2,4,4\nconst w f 4,3,1,1 1\nnode Conv x,w y\noutput y\n", "groups and weights");
  refuse("input x f 1,2,4,4\nconst w f 4,2,1,1 1e38\nnode Conv x,w y\noutput y\n", "no finite number");
  refuse("input x f 1,2,4,4\ninput z f 1,2,4,4\nnode Add x,z y\noutput y\n", "more than one input");
  refuse("input x f 1,2,4,4\nconst w f 3,8 1\nnode Gemm x,w y transB=1\noutput y\n", "no list of features");
}

static void test_image_shapes(void **state) {
  struct bf_float_net *net = read_text("input x f 1,3,2,2\nconst w f 1,3,1,1 1\nnode Conv x,w y\noutput y\n", NULL);
  struct bf_diags diags = {0};
  uint8_t bytes[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  struct bf_array array = {.dtype = BF_DTYPE_U8, .rank = 4, .shape = {2, 3, 2, 2}, .elements = 24, .data = bytes};
  float *images;
  uint64_t count;
  assert_true(bf_float_images(net, &array, "i.npy", &images, &count, &diags));
  compare(images, (const float[]){1, 5, 9, 2, 6, 10}, 6, 0);
  free(images);
  memcpy(array.shape, (const uint64_t[]){2, 2, 2, 3}, 4 * sizeof *array.shape);
  assert_true(bf_float_images(net, &array, "i.npy", &images, &count, &diags));
  compare(images, (const float[]){1, 2, 3, 4, 5, 6}, 6, 0);
  free(images);
  assert_int_equal(diags.errors, 0);
  array.rank = 3;
  assert_false(bf_float_images(net, &array, "i.npy", &images, &count, &diags));
  assert_int_equal(diags.errors, 1);
  bf_diags_free(&diags);
  bf_float_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resnet20), cmocka_unit_test(test_mnist),   cmocka_unit_test(test_operators),
      cmocka_unit_test(test_moves),    cmocka_unit_test(test_refused), cmocka_unit_test(test_image_shapes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
