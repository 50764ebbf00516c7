// SPDX-License-Identifier: Apache-2.0
// .onnx files: the importer with and without assumed widths, the front end on its text, and the graph.
#include "frontend/bfn.h"
#include "frontend/onnx.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  import(data, size, 0);
  import(data, size, 4);
  return 0;
}

// Most changes keep the model's encoding whole; the engine's own make the rest.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint64_t random = seed * 2ull + 1;
  size_t mutated = 0;
  if (fuzz_random(&random) >> 33 & 7) mutated = onnx_mutate(data, size, most, &random);
  return mutated ? mutated : LLVMFuzzerMutate(data, size, most);
}
