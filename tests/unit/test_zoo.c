// SPDX-License-Identifier: Apache-2.0
// The networks of examples/zoo: shapes, weights and multiply-accumulates against the published totals, and HAWQ-V3's layer by layer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "support/data.h"

// What is known of each network from its authors or the usual model collections: GMAC and millions of weights (without biases
// and normalization), to the digits that are published; layers with weights.
static const struct expected {
  const char *file;
  double gmac, gmac_digit, mweights, mweights_digit;
  unsigned layers;
} expected[] = {
    {"alexnet", 0.714, 0.001, 61.1, 0.1, 8},
    {"vgg16", 15.47, 0.01, 138.3, 0.1, 16},
    {"resnet18", 1.814, 0.001, 11.7, 0.1, 21},
    {"resnet50", 3.858, 0.001, 25.5, 0.1, 54},
    {"resnet50-v1_5", 4.089, 0.001, 25.5, 0.1, 54},
    {"mobilenet_v2", 0.301, 0.001, 3.5, 0.1, 53},
};

// Zeros for values: only the shapes matter.
static bool make(void *context, const struct bf_bfn_want *want, struct bf_array *out) {
  *(uint64_t *)context += want->scales || want->rank == 1 ? 0 : want->count;
  for (uint64_t i = 0; want->scales && i < want->count; i++) ((float *)out->data)[i] = 0.01f;
  return true;
}

// *weights: their number.
static struct bf_graph *load(const char *file, uint64_t *weights) {
  char *path = bf_format("%s/examples/zoo/%s.bfn", BF_SOURCE_DIR, file);
  struct bf_bfn_options options = {.make = make, .make_context = weights};
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  *weights = 0;
  struct bf_graph *graph = bf_bfn_load(path, &options, &diags);
  bf_diags_render(&diags, &text);
  if (text.length) print_message("%s", bf_buf_cstr(&text));
  assert_int_equal(text.length, 0);  // warnings neither
  bf_buf_free(&text);
  bf_diags_free(&diags);
  free(path);
  return graph;
}

static void test_totals(void **state) {
  for (size_t n = 0; n < BF_COUNT(expected); n++) {
    const struct expected *e = &expected[n];
    uint64_t weights, macs = 0;
    unsigned layers = 0;
    struct bf_graph *graph = load(e->file, &weights);
    assert_non_null(graph);
    for (size_t i = 0; i < graph->nnodes; i++) {
      macs += bf_node_macs(graph->nodes[i]);
      layers += bf_node_macs(graph->nodes[i]) > 0;
    }
    if (fabs((double)macs / 1e9 - e->gmac) >= e->gmac_digit || fabs((double)weights / 1e6 - e->mweights) >= e->mweights_digit)
      fail_msg("%s: %.4f GMAC, %.3f million weights; published %g and %g", e->file, (double)macs / 1e9,
               (double)weights / 1e6, e->gmac, e->mweights);
    assert_int_equal(layers, e->layers);
    const struct bf_tensor *in = graph->nodes[0]->inputs[0], *out = graph->nodes[graph->nnodes - 1]->output;
    assert_int_equal(in->elements, 224 * 224 * 3);
    assert_true(out->is_output);
    assert_int_equal(out->elements, 1000);
    bf_graph_free(graph);
  }
}

static const struct bf_node *find_node(const struct bf_graph *graph, const char *name) {
  for (size_t i = 0; i < graph->nnodes; i++)
    if (!strcmp(graph->nodes[i]->name, name)) return graph->nodes[i];
  return NULL;
}

// Every layer of HAWQ-V3's list has its counterpart of the same name, with the same weights and the same work.
static void check_hawq(const json_t *inputs, const char *net) {
  uint64_t weights;
  struct bf_graph *graph = load(net, &weights);
  const json_t *list = json_object_get(inputs, net), *row;
  size_t i;
  assert_non_null(graph);
  assert_true(json_array_size(list) > 0);
  json_array_foreach(list, i, row) {
    const char *name = json_string_value(json_object_get(row, "layer"));
    const struct bf_node *node = find_node(graph, name);
    if (!node) fail_msg("%s has no layer %s", net, name);
    assert_int_equal(bf_node_macs(node), json_integer_value(json_object_get(row, "macs")));
    assert_int_equal(node->inputs[1]->elements, json_integer_value(json_object_get(row, "params")));
  }
  bf_graph_free(graph);
}

static void test_hawq_layers(void **state) {
  char *path = test_data_path("hawq/ilp_inputs.json");
  if (!path) {
    printf("skipped: no hawq/ilp_inputs.json in the data folder\n");
    skip();
  }
  json_t *inputs = json_load_file(path, 0, NULL);
  free(path);
  assert_non_null(inputs);
  check_hawq(inputs, "resnet18");
  check_hawq(inputs, "resnet50");
  json_decref(inputs);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_totals), cmocka_unit_test(test_hawq_layers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
