// SPDX-License-Identifier: Apache-2.0
// .bfn texts: scanner, parser, semantic analysis; graphs that pass are printed, and small ones compiled and run.
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "tests/fuzz/fuzz.h"

// An archive as a text might want it: "w" and "b" of plain shapes, scales "s".
static void add(struct bf_archive *archive, const char *name, enum bf_dtype dtype, unsigned rank, const uint64_t *shape) {
  struct bf_array array = {.dtype = dtype, .rank = rank, .elements = 1};
  for (unsigned i = 0; i < rank; i++) array.elements *= array.shape[i] = shape[i];
  array.data = bf_alloc(array.elements, bf_dtype_size(dtype));
  for (uint64_t i = 0; i < array.elements; i++)
    if (dtype == BF_DTYPE_I8) ((int8_t *)array.data)[i] = (int8_t)(i * 37 % 15 - 7);
    else if (dtype == BF_DTYPE_I32) ((int32_t *)array.data)[i] = (int32_t)(i * 100);
    else ((float *)array.data)[i] = 0.01f * (float)(i + 1);
  bf_archive_add(archive, name, array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct bf_archive weights = {0};
  add(&weights, "w", BF_DTYPE_I8, 4, (const uint64_t[]){2, 3, 3, 2});
  add(&weights, "b", BF_DTYPE_I32, 1, (const uint64_t[]){2});
  add(&weights, "s", BF_DTYPE_F32, 1, (const uint64_t[]){2});
  const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.bfn", size ? (const char *)data : "", size);
  struct bf_bfn_options options = {.batch = 1 + size % 2};
  struct bf_graph *graph = bf_bfn_compile(source, size % 3 ? &weights : NULL, &options, &diags);
  free(bf_bfn_weights_name(source));
  free(bf_bfn_archive_path("folder/fuzz.bfn", source));
  bf_archive_free(&weights);
  if (graph) {
    FUZZ_CHECK(bf_graph_verify(graph, &diags), "the front end gives a graph that the verifier refuses");
    fuzz_graph(graph);
    bf_graph_free(graph);
  }
  fuzz_diags_end(&diags, graph != NULL);
  return 0;
}
