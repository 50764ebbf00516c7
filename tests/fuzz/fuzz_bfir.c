// SPDX-License-Identifier: Apache-2.0
// .bfir texts: the graph parser and the verifier; verified graphs are printed, and small ones compiled and run.
#include "ir/graph.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.bfir", size ? (const char *)data : "", size);
  struct bf_graph *graph = bf_graph_parse(source, &diags);
  bool ok = graph && bf_graph_verify(graph, &diags);
  if (ok) fuzz_graph(graph);
  if (graph) bf_graph_free(graph);
  fuzz_diags_end(&diags, ok);
  return 0;
}
