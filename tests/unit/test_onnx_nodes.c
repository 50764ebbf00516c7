// SPDX-License-Identifier: Apache-2.0
// The ONNX importer against recorded inputs and outputs: every single-node test under onnx/nodes that can be imported
// must give the recorded output (integers: exactly), and the QONNX classifiers of onnx/qonnx their recorded logits on
// real images.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/onnx.h"
#include "frontend/onnx_lower.h"
#include "ir/reference.h"
#include "support/data.h"

struct blob {
  char *data;
  size_t length;
};

static struct blob read_blob(const char *format, const char *folder, int i) {
  char *path = bf_format(format, folder, i);
  struct blob b = {0};
  const char *why;
  if (!bf_read_file(path, &b.data, &b.length, &why)) b.data = NULL;
  free(path);
  return b;
}

// An imported and compiled network.
struct net {
  struct bf_graph *graph;
  struct bf_onnx_interface ports;
};

static bool import_net(struct net *net, const struct blob *model, const struct bf_onnx_binding *bindings, size_t n,
                       char **messages) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0}, rendered = {0};
  struct bf_archive weights = {0};
  struct bf_onnx_options options = {.bindings = bindings, .nbindings = n, .interface = &net->ports};
  *net = (struct net){0};
  bool ok = bf_onnx_import(model->data, model->length, "model.onnx", &options, &text, &weights, &diags);
  if (ok) {
    const struct bf_source *source = bf_diags_add_source(&diags, "model", bf_buf_cstr(&text), text.length);
    net->graph = bf_bfn_compile(source, &weights, NULL, &diags);
    if (!net->graph) bf_onnx_interface_free(&net->ports);
  }
  bf_diags_render(&diags, &rendered);
  *messages = bf_strdup(bf_buf_cstr(&rendered));
  if (ok && !net->graph) printf("%s", *messages);  // what was imported compiles
  assert_true(!ok || net->graph);
  bf_buf_free(&rendered);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  return ok;
}

static void net_free(struct net *net) {
  bf_graph_free(net->graph);
  bf_onnx_interface_free(&net->ports);
}

// For each element of the text, its index in the model.
static uint64_t *model_indices(const struct bf_onnx_port *port, uint64_t n) {
  uint64_t *out = bf_alloc(n, sizeof *out), stride[BF_ONNX_MAX_RANK], s = 1;
  for (unsigned p = port->nparts; p-- > 0;) {
    stride[p] = s;
    s *= port->parts[p];
  }
  assert_true(s == n);
  for (uint64_t i = 0; i < n; i++) {
    uint64_t rest = i;
    for (unsigned k = port->nparts; k-- > 0;) {
      unsigned p = port->order[k];
      out[i] += rest % port->parts[p] * stride[p];
      rest /= port->parts[p];
    }
  }
  return out;
}

// Feeds real numbers in the model's order and gives those of output 0.
static double *run_net(const struct net *net, double *const *inputs, uint64_t *count) {
  struct bf_ref_run *run = bf_ref_new(net->graph);
  struct bf_diags diags = {0};
  for (size_t i = 0; i < net->ports.ninputs; i++) {
    const struct bf_onnx_port *port = &net->ports.inputs[i];
    const struct bf_tensor *t = bf_graph_find_tensor(net->graph, port->text);
    uint64_t *at = model_indices(port, t->elements);
    int64_t *q = bf_alloc(t->elements, sizeof *q);
    double zero = (double)bf_quant_zero(&t->quant, 0);
    for (uint64_t k = 0; k < t->elements; k++) {
      // As a float32 program does it.
      double v = (double)nearbyintf((float)((float)(inputs[i][at[k]] - port->offset) / (float)port->scale)) + zero;
      q[k] = (int64_t)fmax((double)bf_type_min(t->type), fmin((double)bf_type_max(t->type), v));
    }
    assert_true(bf_ref_set_input(run, t, q));
    free(q);
    free(at);
  }
  assert_true(bf_ref_run(run, &diags));
  const struct bf_onnx_port *port = &net->ports.outputs[0];
  const struct bf_tensor *t = bf_graph_find_tensor(net->graph, port->text);
  uint64_t *at = model_indices(port, t->elements);
  double *out = bf_alloc(t->elements, sizeof *out);
  for (uint64_t k = 0; k < t->elements; k++)
    out[at[k]] = port->scale * (double)(run->values[t->id][k] - bf_quant_zero(&t->quant, 0)) + port->offset;
  *count = t->elements;
  free(at);
  bf_ref_free(run);
  bf_diags_free(&diags);
  return out;
}

static double *reals(struct bf_onx_lower *l, const struct blob *b, struct bf_onx_const *c) {
  const char *why;
  if (!bf_onx_read_tensor(l, b->data, b->length, c, &why)) fail_msg("%s", why);
  double *out = bf_alloc(c->count, sizeof *out);
  for (uint64_t i = 0; i < c->count; i++) out[i] = bf_onx_real(c, i);
  return out;
}

enum verdict { EXACT, WRONG, UNSUPPORTED };

// One test with the first `computed` inputs computed and the others bound.
static enum verdict judge(const char *name, const struct blob *model, const struct blob *inputs, size_t ninputs,
                          size_t computed, const struct blob *expected) {
  struct bf_onx_lower l = {.budget = 1 << 20};
  struct bf_onx_const c;
  struct net net;
  struct bf_onnx_binding bindings[16];
  BfOnnx__Model *m;
  struct bf_diags diags = {0};
  assert_non_null(m = bf_onx_unpack(model->data, model->length, name, &diags));
  for (size_t i = computed; i < ninputs; i++)
    bindings[i - computed] = (struct bf_onnx_binding){m->graph->input[i]->name, inputs[i].data, inputs[i].length};
  char *messages;
  enum verdict verdict = UNSUPPORTED;
  if (import_net(&net, model, bindings, ninputs - computed, &messages)) {
    double *in[16] = {0}, *want = reals(&l, expected, &c);
    for (size_t i = 0; i < net.ports.ninputs; i++) {
      struct bf_onx_const x;
      in[i] = reals(&l, &inputs[i], &x);
    }
    uint64_t n, bad = 0;
    double *got = run_net(&net, in, &n);
    double slack = c.real ? 1e-5 : 0;
    for (uint64_t i = 0; i < n && n == c.count; i++) bad += !(fabs(got[i] - want[i]) <= slack * fmax(1, fabs(want[i])));
    verdict = n == c.count && !bad ? EXACT : WRONG;
    if (verdict == WRONG)
      printf("%s: %llu of %llu elements differ\n", name, (unsigned long long)bad, (unsigned long long)n);
    for (size_t i = 0; i < net.ports.ninputs; i++) free(in[i]);
    free(want);
    free(got);
    net_free(&net);
  }
  free(messages);
  bf_onx_free_model(m);
  bf_diags_free(&diags);
  bf_arena_free(&l.arena);
  return verdict;
}

static enum verdict check_node(const char *folder, const char *name) {
  struct blob model = read_blob("%s/model.onnx", folder, 0),
              expected = read_blob("%s/test_data_set_0/output_%d.pb", folder, 0), inputs[16];
  size_t n = 0;
  enum verdict verdict = UNSUPPORTED;
  while (n < 16 && (inputs[n] = read_blob("%s/test_data_set_0/input_%d.pb", folder, (int)n)).data) n++;
  // What works with all inputs computed should; scales and weights have to be constants.
  for (size_t computed = n; model.data && expected.data && computed >= 1 && verdict == UNSUPPORTED; computed--)
    verdict = judge(name, &model, inputs, n, computed, &expected);
  free(model.data);
  free(expected.data);
  for (size_t i = 0; i < n; i++) free(inputs[i].data);
  return verdict;
}

static void test_single_nodes(void **state) {
  char *folder = test_data_path("onnx/nodes");
  struct dirent **list;
  int n = folder ? scandir(folder, &list, NULL, alphasort) : -1;
  if (n < 0) {
    printf("skipped: no onnx/nodes in the data\n");
    skip();
  }
  unsigned count[3] = {0};
  for (int i = 0; i < n; i++) {
    char *path = bf_format("%s/%s", folder, list[i]->d_name);
    if (list[i]->d_name[0] != '.') {
      enum verdict v = check_node(path, list[i]->d_name);
      count[v]++;
      if (v == EXACT) printf("%s: exact\n", list[i]->d_name);
    }
    free(path);
    free(list[i]);
  }
  free(list);
  free(folder);
  printf("%u exact, %u wrong, %u unsupported\n", count[EXACT], count[WRONG], count[UNSUPPORTED]);
  assert_int_equal(count[WRONG], 0);
  assert_true(count[EXACT] > 0);
}

// Copies in memory of exact size, so that a sanitizer sees every byte read beyond them. Refusing needs an error,
// accepting none.
static void import_damaged(const char *data, size_t length) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  char *copy = malloc(length ? length : 1);
  if (length) memcpy(copy, data, length);
  bool ok = bf_onnx_import(copy, length, "damaged.onnx", NULL, &text, &weights, &diags);
  assert_true(ok == (diags.errors == 0));
  assert_true(ok || (text.length == 0 && weights.count == 0));
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  free(copy);
}

static void test_damaged(void **state) {
  static const char *const names[] = {"test_basic_conv_without_padding", "test_add_uint8", "test_maxpool_2d_uint8"};
  for (size_t i = 0; i < BF_COUNT(names); i++) {
    size_t length;
    char *relative = bf_format("onnx/nodes/%s/model.onnx", names[i]), *data = test_data_read(relative, &length);
    free(relative);
    if (!data) {
      printf("skipped: no %s in the data\n", names[i]);
      continue;
    }
    for (size_t n = 0; n <= length; n++) import_damaged(data, n);
    for (size_t at = 0; at < length; at++)
      for (unsigned bit = 0; bit < 8; bit++) {
        data[at] = (char)(data[at] ^ 1 << bit);
        import_damaged(data, length);
        data[at] = (char)(data[at] ^ 1 << bit);
      }
    free(data);
  }
}

#define IMAGES 100

static void check_classifier(const char *name) {
  size_t image_bytes, logit_bytes;
  char *relative = bf_format("onnx/qonnx/%s.onnx", name),
       *logits_name = bf_format("onnx/qonnx/%s_logits_t10k.f32", name);
  struct blob model;
  model.data = test_data_read(relative, &model.length);
  char *images = test_data_read("datasets/mnist/t10k-first1000-images.idx3", &image_bytes);
  char *logits = test_data_read(logits_name, &logit_bytes);
  free(relative);
  free(logits_name);
  if (!model.data || !images || !logits) {
    printf("skipped: no %s, its logits or images in the data\n", name);
  } else {
    struct net net;
    char *messages;
    if (!import_net(&net, &model, NULL, 0, &messages)) fail_msg("%s", messages);
    free(messages);
    unsigned differ = 0;
    for (int i = 0; i < IMAGES; i++) {
      double x[784], *in[1] = {x};
      uint64_t n;
      for (int k = 0; k < 784; k++) x[k] = (double)((float)(uint8_t)images[16 + i * 784 + k] / 255.0f);
      double *got = run_net(&net, in, &n);
      assert_int_equal(n, 10);
      for (int k = 0; k < 10; k++) {
        float want;
        memcpy(&want, logits + 4 * (i * 10 + k), 4);
        differ += fabs(got[k] - (double)want) > 1e-4;
      }
      free(got);
    }
    printf("%s: %u of %d logits differ\n", name, differ, IMAGES * 10);
    assert_int_equal(differ, 0);
    net_free(&net);
  }
  free(model.data);
  free(images);
  free(logits);
}

static void test_classifiers(void **state) {
  check_classifier("TFC_1W1A");
  check_classifier("TFC_2W2A");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_single_nodes), cmocka_unit_test(test_damaged),
                                     cmocka_unit_test(test_classifiers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
