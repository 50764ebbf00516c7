// SPDX-License-Identifier: Apache-2.0
// .tflite files: the importer, the front end on its text, and the graph.
#include "frontend/bfn.h"
#include "frontend/tflite.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  bool ok = bf_tflite_import(size ? (const void *)data : "", size, "fuzz.tflite", &text, &weights, &diags);
  FUZZ_CHECK(ok || (text.length == 0 && weights.count == 0), "a refused model leaves something behind");
  fuzz_diags_end(&diags, ok);
  if (ok) {
    const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.bfn", bf_buf_cstr(&text), text.length);
    struct bf_graph *graph = bf_bfn_compile(source, &weights, NULL, &diags);
    fuzz_diags_end(&diags, graph != NULL);
    if (graph) {
      fuzz_graph(graph);
      bf_graph_free(graph);
    }
  }
  bf_buf_free(&text);
  bf_archive_free(&weights);
  return 0;
}
