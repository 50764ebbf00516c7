// SPDX-License-Identifier: Apache-2.0
// .onnx files: the importer with and without assumed widths, the front end on its text, and the graph; as a float
// model, its quantization and the text of that.
#include <stdlib.h>

#include "frontend/bfn.h"
#include "frontend/onnx.h"
#include "quantize/quantize.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/onnx_mutate.h"

// A port's parts are its dimensions' factors, and its name in the text is a tensor of as many elements.
static void check_ports(const struct bf_onnx_port *ports, size_t n, const struct bf_graph *graph) {
  for (size_t i = 0; i < n; i++) {
    uint64_t elements = 1, parts = 1;
    unsigned seen = 0;
    const struct bf_tensor *t = bf_graph_find_tensor(graph, ports[i].text);
    for (unsigned d = 0; d < ports[i].rank; d++) elements *= ports[i].dims[d];
    for (unsigned d = 0; d < ports[i].nparts; d++) {
      parts *= ports[i].parts[d];
      seen |= 1u << ports[i].order[d];
    }
    FUZZ_CHECK(parts == elements && seen + 1 == 1u << ports[i].nparts, "port %s is not described", ports[i].name);
    FUZZ_CHECK(t && t->elements == elements, "port %s: no tensor %s of its size", ports[i].name, ports[i].text);
  }
}

static void import(const uint8_t *data, size_t size, unsigned bits) {
  struct bf_diags diags = {0};
  struct bf_onnx_interface interface = {0};
  const struct bf_onnx_options options = {.assume_w = bits, .assume_a = bits, .interface = bits ? NULL : &interface};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  bool ok = bf_onnx_import(size ? (const void *)data : "", size, "fuzz.onnx", &options, &text, &weights, &diags);
  FUZZ_CHECK(ok || (text.length == 0 && weights.count == 0), "a refused model leaves something behind");
  fuzz_diags_end(&diags, ok);
  if (ok) {
    const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.bfn", bf_buf_cstr(&text), text.length);
    struct bf_graph *graph = bf_bfn_compile(source, &weights, NULL, &diags);
    fuzz_diags_end(&diags, graph != NULL);
    if (graph) {
      check_ports(interface.inputs, interface.ninputs, graph);
      check_ports(interface.outputs, interface.noutputs, graph);
      fuzz_graph(graph);
      bf_graph_free(graph);
    }
  }
  bf_onnx_interface_free(&interface);
  bf_buf_free(&text);
  bf_archive_free(&weights);
}

static bool is_small(const struct bf_float_net *net) {
  uint64_t work = 0;
  for (size_t i = 0; i < net->count; i++) {
    const struct bf_float_node *n = net->nodes[i];
    if (bf_float_elements(n) > 1 << 16 || n->depth > 1 << 10) return false;
    work += bf_float_elements(n) * (uint64_t)n->kernel[0] * (uint64_t)n->kernel[1] + bf_float_macs(n);
  }
  return work < 1 << 21;
}

// What is quantized compiles.
static void quantize(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct bf_float_net *net = bf_float_net_read(size ? (const void *)data : "", size, "fuzz.onnx", &diags);
  fuzz_diags_end(&diags, net != NULL);
  if (!net) return;
  struct bf_calibration *c = NULL;
  float *images = NULL;
  if (is_small(net)) {
    uint64_t elements = bf_float_elements(net->nodes[0]), random = 5;
    images = bf_alloc(2 * elements, sizeof *images);
    for (uint64_t i = 0; i < 2 * elements; i++) images[i] = (float)(fuzz_random(&random) >> 40) / (1 << 22) - 1;
    c = bf_calibrate(net, images, 2, 1, &diags);
    fuzz_diags_end(&diags, c != NULL);
  }
  if (c) {
    struct bf_quantize_spec spec;
    struct bf_buf text = {0};
    struct bf_archive weights = {0};
    bf_quantize_spec_init(&spec);
    spec.all = (struct bf_widths){3, 5};
    FUZZ_CHECK(bf_quantize(c, &spec, &text, &weights, &diags), "a calibrated network cannot be quantized");
    const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.bfn", bf_buf_cstr(&text), text.length);
    struct bf_graph *graph = bf_bfn_compile(source, &weights, NULL, &diags);
    FUZZ_CHECK(graph, "the quantized text does not compile:\n%s", bf_buf_cstr(&text));
    fuzz_diags_end(&diags, true);
    bf_graph_free(graph);
    bf_buf_free(&text);
    bf_archive_free(&weights);
  }
  bf_calibration_free(c);
  free(images);
  bf_float_net_free(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  import(data, size, 0);
  import(data, size, 4);
  quantize(data, size);
  return 0;
}

// Most changes keep the model's encoding whole; the engine's own make the rest.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint64_t random = seed * 2ull + 1;
  size_t mutated = 0;
  if (fuzz_random(&random) >> 33 & 7) mutated = onnx_mutate(data, size, most, &random);
  return mutated ? mutated : LLVMFuzzerMutate(data, size, most);
}
