// SPDX-License-Identifier: Apache-2.0
// Post-training quantization: formats, weights, compensated rounding, whole networks against the float ones, what is asked wrongly.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/bfn.h"
#include "ir/reference.h"
#include "quantize/quantize_inside.h"
#include "tests/fuzz/onnx_text.h"

static float draw(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (float)((double)(*state >> 33) / 1073741824.0 - 1);
}

// Every operator in one network of 6 x 6 images with 3 channels.
static const char all_operators[] =
    "input x f 1,3,6,6\n"
    "const w1 f 8,3,3,3 ~3\nconst b1 f 8 1,-2,3,0\n"
    "node Conv x,w1,b1 c1 pads=1,1,1,1\nnode Relu c1 r1\n"
    "const w2 f 8,1,3,3 0.5,-0.25,0.125,0.75,-0.5,0.25,0.625\n"
    "node Conv r1,w2 c2 group=8 pads=1,1,1,1\n"
    "const g f 8 1.5,0.5,2\nconst bb f 8 0.25,-1\nconst m f 8 1,0,2\nconst v f 8 1,4,2\n"
    "node BatchNormalization c2,g,bb,m,v n2\nnode Clip n2 r2 min=0. max=60.\n"
    "node Add r2,r1 s\nnode Relu s rs\n"
    "const w3 f 8,4,1,1 ~2\nnode Conv rs,w3 c3 group=2 strides=2,2\n"
    "const st s64 1 1\nconst en s64 1 99\nconst ax s64 1 2\nconst sp s64 1 2\nnode Slice rs,st,en,ax,sp part\n"
    "const st3 s64 1 0\nconst ax3 s64 1 3\nnode Slice part,st3,en,ax3,sp part2\n"
    "node Add c3,part2 s2\n"
    "const pads s64 8 0,0,1,0,0,1,0,1\nnode Pad s2,pads p\n"
    "node MaxPool p q kernel_shape=2,2 strides=1,1\n"
    "node AveragePool q a kernel_shape=2,2 strides=1,1\n"
    "const k f 8 0.5\nconst k2 f 1,9,1,1 2,0.5,1\nnode Mul a,k2 e\n"
    "node GlobalAveragePool e ga\nnode Flatten ga f\n"
    "const fw f 5,9 ~4\nconst fb f 5 1,-1,20\nnode Gemm f,fw,fb y transB=1\noutput y\n";

struct fixture {
  struct bf_float_net *net;
  float *images;
  uint64_t count;
  struct bf_calibration *calibration;
};

static void set_up(struct fixture *f, const char *text, uint64_t count) {
  struct bf_diags diags = {0};
  struct bf_buf model = {0}, messages = {0};
  uint64_t state = 11;
  onnx_from_text(text, &model);
  f->net = bf_float_net_read(model.data, model.length, "t.onnx", &diags);
  bf_diags_render(&diags, &messages);
  if (!f->net) fail_msg("%s", bf_buf_cstr(&messages));
  uint64_t elements = bf_float_elements(f->net->nodes[0]);
  f->count = count;
  f->images = bf_alloc(count * elements, sizeof *f->images);
  for (uint64_t i = 0; i < count * elements; i++) f->images[i] = draw(&state) + 0.5f * draw(&state);
  f->calibration = bf_calibrate(f->net, f->images, count, 2, &diags);
  assert_non_null(f->calibration);
  assert_int_equal(diags.errors, 0);
  bf_diags_free(&diags);
  bf_buf_free(&messages);
  bf_buf_free(&model);
}

static void tear_down(struct fixture *f) {
  bf_calibration_free(f->calibration);
  free(f->images);
  bf_float_net_free(f->net);
}

// By the text, as everyone else reads it.
static struct bf_graph *quantized(struct fixture *f, const char *spec_text) {
  struct bf_diags diags = {0};
  struct bf_quantize_spec spec;
  struct bf_buf text = {0}, messages = {0};
  struct bf_archive weights = {0};
  struct bf_graph *graph = NULL;
  if (bf_quantize_spec_parse(spec_text, &spec, &diags) && bf_quantize(f->calibration, &spec, &text, &weights, &diags)) {
    const struct bf_source *source = bf_diags_add_source(&diags, "q.bfn", bf_buf_cstr(&text), text.length);
    graph = bf_bfn_compile(source, &weights, NULL, &diags);
  }
  bf_diags_render(&diags, &messages);
  if (!graph || diags.count) fail_msg("%s: %s\n%s", spec_text, bf_buf_cstr(&messages), bf_buf_cstr(&text));
  bf_quantize_spec_free(&spec);
  bf_archive_free(&weights);
  bf_buf_free(&text);
  bf_buf_free(&messages);
  bf_diags_free(&diags);
  return graph;
}

// Mean squared difference to the float network, relative to the mean square of its outputs.
static double relative_error(struct fixture *f, const char *spec) {
  struct bf_graph *graph = quantized(f, spec);
  struct bf_ref_run *run = bf_ref_new(graph);
  struct bf_diags diags = {0};
  const struct bf_tensor *in = NULL, *out = NULL;
  for (size_t i = 0; i < graph->ntensors; i++) {
    if (graph->tensors[i]->is_input) in = graph->tensors[i];
    if (graph->tensors[i]->is_output) out = graph->tensors[i];
  }
  int64_t *values = bf_alloc(in->elements, sizeof *values);
  float *reference = bf_float_run(f->net, f->images, f->count, 2);
  double error = 0, power = 0;
  for (uint64_t i = 0; i < f->count; i++) {
    for (uint64_t k = 0; k < in->elements; k++) {
      double q = round((double)f->images[i * in->elements + k] / (double)bf_quant_scale(&in->quant, 0)) + bf_quant_zero(&in->quant, 0);
      values[k] = (int64_t)fmin(fmax(q, (double)bf_type_min(in->type)), (double)bf_type_max(in->type));
    }
    assert_true(bf_ref_set_input(run, in, values));
    assert_true(bf_ref_run(run, &diags));
    for (uint64_t k = 0; k < out->elements; k++) {
      double want = (double)reference[i * out->elements + k];
      double got = (double)bf_quant_scale(&out->quant, 0) * (double)(run->values[out->id][k] - bf_quant_zero(&out->quant, 0));
      error += (got - want) * (got - want);
      power += want * want;
    }
  }
  free(values);
  free(reference);
  bf_ref_free(run);
  bf_graph_free(graph);
  return error / power;
}

static void test_every_operator(void **state) {
  struct fixture f;
  set_up(&f, all_operators, 24);
  double fine = relative_error(&f, "w16a16,residual=16"), eight = relative_error(&f, "w8a8"), four = relative_error(&f, "w4a4");
  if (!(fine < 1e-6 && eight < 1e-3 && four < 0.1 && fine < eight && eight < four)) fail_msg("errors %g, %g, %g", fine, eight, four);
  // Other ways to the same: none may break the network.
  static const char *const others[] = {"w8a8,range=max", "w8a8,range=99.9", "w8a8,rounding=nearest", "w8a8,correction=bias", "w8a8,correction=none", "w8a8,residual=10"};
  for (size_t i = 0; i < BF_COUNT(others); i++) {
    double e = relative_error(&f, others[i]);
    if (!(e < 5e-3)) fail_msg("%s: error %g", others[i], e);
  }
  tear_down(&f);
}

static void check_layer_types(const struct bf_graph *graph, unsigned w, unsigned a) {
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *n = graph->nodes[i];
    if (!bf_node_macs(n) || n->inputs[1]->type.kind == BF_TYPE_U) continue;  // ones of an average
    assert_int_equal(n->inputs[1]->type.bits, w);
    assert_int_equal(n->inputs[0]->type.bits, a);
  }
}

static void test_every_width(void **state) {
  struct fixture f;
  set_up(&f, all_operators, 6);
  for (unsigned b = 1; b <= 16; b++) {
    char spec[40];
    snprintf(spec, sizeof spec, "w%ua%u", b, 17 - b);
    struct bf_graph *graph = quantized(&f, spec);
    check_layer_types(graph, b, 17 - b);
    bf_graph_free(graph);
  }
  tear_down(&f);
}

static void test_widths_by_layer(void **state) {
  struct fixture f;
  struct bf_quantize_spec spec;
  struct bf_diags diags = {0};
  set_up(&f, all_operators, 4);
  assert_true(bf_quantize_spec_parse("w4a5,first=w8a7,last=w6a9", &spec, &diags));
  bf_quantize_spec_add(&spec, bf_quantize_layer(f.net, 1)->name, (struct bf_widths){3, 2}, (struct bf_range){0});
  const unsigned want[][2] = {{8, 7}, {3, 2}, {4, 5}, {4, 5}, {6, 9}};
  for (size_t i = 0; i < 5; i++) {
    struct bf_widths got = bf_quantize_widths(&spec, bf_quantize_layer(f.net, i), i, 5);
    assert_int_equal(got.w, want[i][0]);
    assert_int_equal(got.a, want[i][1]);
  }
  assert_null(bf_quantize_layer(f.net, 5));
  bf_quantize_spec_free(&spec);
  tear_down(&f);
}

// U' U = H^-1, that is U H U' = 1.
static void test_factor(void **state) {
  struct fixture f;
  set_up(&f, "input x f 1,2,5,5\nconst w f 3,2,2,2 ~3\nnode Conv x,w y\noutput y\n", 30);
  const struct bf_float_node *n = bf_quantize_layer(f.net, 0);
  const float *u = bf_calibration_factor(f.calibration, n), *samples = f.calibration->samples[n->index];
  uint64_t d = n->depth, count = f.calibration->nsamples[n->index];
  assert_non_null(u);
  double h[8][8] = {{0}}, mean = 0, product[8][8] = {{0}};
  assert_int_equal(d, 8);
  for (uint64_t s = 0; s < count; s++)
    for (uint64_t i = 0; i < d; i++)
      for (uint64_t j = 0; j < d; j++) h[i][j] += (double)samples[s * d + i] * (double)samples[s * d + j];
  for (uint64_t i = 0; i < d; i++) mean += h[i][i] / (double)d;
  for (uint64_t i = 0; i < d; i++) h[i][i] += 0.01 * mean;
  for (uint64_t i = 0; i < d; i++)
    for (uint64_t j = 0; j < d; j++)
      for (uint64_t k = 0; k < d; k++)
        for (uint64_t l = 0; l < d; l++) product[i][j] += (double)u[i * d + k] * h[k][l] * (double)u[j * d + l];
  for (uint64_t i = 0; i < d; i++)
    for (uint64_t j = 0; j < d; j++) assert_true(fabs(product[i][j] - (i == j)) < 1e-3);
  tear_down(&f);
}

static double layer_error(const struct bf_float_node *n, const struct bf_layer_weights *w, const float *samples, uint64_t count) {
  double sum = 0;
  for (uint64_t s = 0; s < count; s++)
    for (uint64_t o = 0; o < n->c; o++) {
      double e = 0;
      for (uint64_t k = 0; k < n->depth; k++)
        e += (double)samples[s * n->depth + k] *
             ((double)n->weights[o * n->depth + k] - (double)w->scale[o] * w->q[o * n->depth + k]);
      sum += e * e;
    }
  return sum;
}

static void test_compensated_rounding(void **state) {
  struct fixture f;
  set_up(&f, all_operators, 40);
  const struct bf_float_node *n = bf_quantize_layer(f.net, 4);  // behind averages, whose channels are alike
  const float *factor = bf_calibration_factor(f.calibration, n);
  for (unsigned bits = 2; bits <= 5; bits++) {
    struct bf_layer_weights nearest, compensated;
    bf_layer_weights_make(n, bits, 1, NULL, &nearest);
    bf_layer_weights_make(n, bits, 1, factor, &compensated);
    double a = layer_error(n, &nearest, f.calibration->samples[n->index], f.calibration->nsamples[n->index]);
    double b = layer_error(n, &compensated, f.calibration->samples[n->index], f.calibration->nsamples[n->index]);
    if (b > a) fail_msg("%u bits: error %g, with rounding to nearest %g", bits, b, a);
    for (uint64_t i = 0; i < n->c * n->depth; i++) {
      assert_true(nearest.q[i] >= -(1 << (bits - 1)) && nearest.q[i] < 1 << (bits - 1));
      assert_true(compensated.q[i] >= -(1 << (bits - 1)) && compensated.q[i] < 1 << (bits - 1));
    }
    bf_layer_weights_free(&nearest);
    bf_layer_weights_free(&compensated);
  }
  tear_down(&f);
}

// Weights that are whole multiples of one number come back exactly; a layer without weights keeps its bias.
static void test_weights(void **state) {
  float w[6] = {0.5f, -1, 1.5f, 0, 0, 0}, bias[2] = {3, 0.7f};
  struct bf_float_node in = {.h = 1, .w = 1, .c = 3}, n = {.op = BF_FLOAT_DENSE, .in = {&in}, .nin = 1, .h = 1, .w = 1, .c = 2, .groups = 1,
                                                        .depth = 3, .weights = w, .bias = bias};
  struct bf_layer_weights out;
  bf_layer_weights_make(&n, 3, 0.25f, NULL, &out);
  const int32_t want[6] = {1, -2, 3, 0, 0, 0};
  for (int i = 0; i < 6; i++) assert_int_equal(out.q[i], want[i]);
  assert_true(fabsf(out.scale[0] - 0.5f) < 1e-6f);
  double unit = 0.25 * (double)out.scale[1];
  assert_true(fabs(round(0.7 / unit) * unit - 0.7) < 1e-4 && 0.7 / unit < 0x1p31);
  bf_layer_weights_free(&out);
  bf_layer_weights_make(&n, 1, 0.25f, NULL, &out);
  for (int i = 0; i < 6; i++) assert_true(out.q[i] == 1 || out.q[i] == -1);
  assert_true(fabsf(out.scale[0] - 1) < 1e-6f);
  bf_layer_weights_free(&out);
}

static void test_formats(void **state) {
  struct bf_histogram h = {.lo = 0, .hi = 15};
  struct bf_quantize_spec spec;
  bf_quantize_spec_init(&spec);
  for (unsigned i = 0; i < BF_HISTOGRAM; i++) h.count[i] = 100;
  struct bf_format f = bf_format_choose(&h, 4, &spec);
  assert_false(f.is_signed);
  assert_true(f.zero == 0 && f.scale > 0.9f && f.scale <= 1);
  // One far number in a million is not worth a coarse step.
  memset(h.count, 0, sizeof h.count);
  for (unsigned i = 0; i < BF_HISTOGRAM / 8; i++) h.count[i] = 10000;
  h.count[BF_HISTOGRAM - 1] = 1;
  f = bf_format_choose(&h, 4, &spec);
  assert_true(f.scale < 0.2f);
  spec.method = BF_RANGE_MAX;
  assert_true(bf_format_choose(&h, 4, &spec).scale == 1);
  spec.method = BF_RANGE_PERCENTILE;
  spec.percentile = 99.9;
  assert_true(fabsf(bf_format_choose(&h, 4, &spec).scale - 0.125f) < 0.001f);
  h = (struct bf_histogram){.lo = -1, .hi = 3};
  spec.method = BF_RANGE_MAX;
  f = bf_format_choose(&h, 8, &spec);
  assert_true(f.is_signed && f.zero == -64);
  const float in[4] = {-5, 0, 1, 9}, want[4] = {-1, 0, 1, 3};
  float out[4];
  bf_format_apply(&f, in, out, 4);
  for (int i = 0; i < 4; i++) assert_true(fabsf(out[i] - want[i]) < 0.02f);
  assert_true(out[1] == 0);
}

static void test_sensitivity(void **state) {
  struct fixture f;
  struct bf_quantize_spec spec;
  set_up(&f, all_operators, 20);
  bf_quantize_spec_init(&spec);
  for (size_t layer = 0; bf_quantize_layer(f.net, layer); layer++) {
    double two = bf_quantize_sensitivity(f.calibration, &spec, layer, (struct bf_widths){2, 2}, 20);
    double eight = bf_quantize_sensitivity(f.calibration, &spec, layer, (struct bf_widths){8, 8}, 20);
    double most = bf_quantize_sensitivity(f.calibration, &spec, layer, (struct bf_widths){16, 16}, 20);
    if (!(most <= eight && eight < two && two > 0)) fail_msg("layer %zu: %g, %g, %g", layer, two, eight, most);
  }
  tear_down(&f);
}

static void refuse(const char *text, const char *part) {
  struct bf_diags diags = {0};
  struct bf_quantize_spec spec;
  struct bf_buf messages = {0};
  assert_false(bf_quantize_spec_parse(text, &spec, &diags));
  bf_diags_render(&diags, &messages);
  assert_int_equal(diags.errors, 1);
  if (!strstr(bf_buf_cstr(&messages), part)) fail_msg("%s: expected \"%s\" in: %s", text, part, bf_buf_cstr(&messages));
  bf_buf_free(&messages);
  bf_diags_free(&diags);
}

static void test_wrong_specs(void **state) {
  refuse("w17a4", "w1a1 to w16a16");
  refuse("w0a4", "w1a1 to w16a16");
  refuse("w4a4,first=w4", "first=w4");
  refuse("w4a4,residual=17", "residual=1");
  refuse("w4a4,range=some", "range=mse");
  refuse("w4a4,range=20", "range=mse");
  refuse("w4a4,rounding=up", "rounding=");
  refuse("w4a4,correction=", "correction=");
  refuse("w4a4,", "settings are");
  refuse("/no/such/file", "cannot read");
}

static bool parse_file(const char *content, struct bf_quantize_spec *spec, struct bf_buf *messages) {
  char path[] = "quantize-XXXXXX";
  struct bf_diags diags = {0};
  const char *why;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_true(bf_write_file(path, content, strlen(content), &why));
  bool ok = bf_quantize_spec_parse(path, spec, &diags);
  unlink(path);
  bf_diags_render(&diags, messages);
  bf_diags_free(&diags);
  return ok;
}

static void test_files(void **state) {
  struct bf_quantize_spec spec;
  struct bf_buf messages = {0};
  assert_true(parse_file("# chosen\nprofile mixed {\n  conv1: w4 a6;\n  layer1.conv: w2 a3;\n}\ndefault w8a7\n", &spec, &messages));
  assert_int_equal(spec.nlayers, 2);
  assert_string_equal(spec.layers[1].name, "layer1.conv");
  assert_true(spec.layers[0].widths.w == 4 && spec.layers[0].widths.a == 6 && spec.all.w == 8 && spec.all.a == 7);
  bf_quantize_spec_free(&spec);
  assert_false(parse_file("conv1 w4 a6\nconv2 w4\nconv3 w1 a1\n", &spec, &messages));
  assert_non_null(strstr(bf_buf_cstr(&messages), ":3:1: error: the layer's widths are expected"));
  assert_false(parse_file("conv1 w4 a6\nconv1 w4 a5\n", &spec, &messages));
  assert_non_null(strstr(bf_buf_cstr(&messages), "given twice"));
  bf_buf_free(&messages);
}

static void test_unknown_layer(void **state) {
  struct fixture f;
  struct bf_quantize_spec spec;
  struct bf_diags diags = {0};
  struct bf_buf text = {0}, messages = {0};
  struct bf_archive weights = {0};
  set_up(&f, all_operators, 2);
  bf_quantize_spec_init(&spec);
  bf_quantize_spec_add(&spec, "w11", (struct bf_widths){4, 4}, (struct bf_range){0});
  assert_false(bf_quantize(f.calibration, &spec, &text, &weights, &diags));
  bf_diags_render(&diags, &messages);
  assert_non_null(strstr(bf_buf_cstr(&messages), "no layer with weights named `w11`"));
  assert_int_equal(text.length, 0);
  bf_quantize_spec_free(&spec);
  bf_buf_free(&messages);
  bf_diags_free(&diags);
  tear_down(&f);
}

// Results depend neither on the number of threads nor on the run.
static void test_repeats(void **state) {
  struct fixture f;
  struct bf_quantize_spec spec;
  struct bf_diags diags = {0};
  set_up(&f, all_operators, 10);
  bf_quantize_spec_init(&spec);
  spec.all = (struct bf_widths){4, 4};
  struct bf_buf text[2] = {{0}}, npz[2] = {{0}};
  for (unsigned i = 0; i < 2; i++) {
    struct bf_archive weights = {0};
    struct bf_calibration *c = bf_calibrate(f.net, f.images, f.count, 1 + 2 * i, &diags);
    assert_true(bf_quantize(c, &spec, &text[i], &weights, &diags));
    assert_true(bf_npz_print(&weights, &npz[i]));
    bf_archive_free(&weights);
    bf_calibration_free(c);
  }
  assert_string_equal(bf_buf_cstr(&text[0]), bf_buf_cstr(&text[1]));
  assert_int_equal(npz[0].length, npz[1].length);
  assert_memory_equal(npz[0].data, npz[1].data, npz[0].length);
  for (unsigned i = 0; i < 2; i++) {
    bf_buf_free(&text[i]);
    bf_buf_free(&npz[i]);
  }
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_operator),  cmocka_unit_test(test_every_width), cmocka_unit_test(test_widths_by_layer),
      cmocka_unit_test(test_factor),          cmocka_unit_test(test_compensated_rounding),
      cmocka_unit_test(test_weights),         cmocka_unit_test(test_formats),     cmocka_unit_test(test_sensitivity),
      cmocka_unit_test(test_wrong_specs),     cmocka_unit_test(test_files),       cmocka_unit_test(test_unknown_layer),
      cmocka_unit_test(test_repeats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
