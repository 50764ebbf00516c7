// SPDX-License-Identifier: Apache-2.0
// Graphs of recorded kernel vectors: one operator (or a chain of them) with its recorded operands and result.
#ifndef BF_TEST_VEC_GRAPH_H
#define BF_TEST_VEC_GRAPH_H

#include "ir/graph.h"
#include "tests/support/vec.h"

struct vec_graph {
  struct bf_graph *graph;     // not verified yet; the caller frees it
  const int64_t *values[2];   // of the graph's inputs, in its order; owned by the vector
  unsigned inputs;
  const int64_t *expected;    // elements of the graph's only output; owned by the vector
  const char *expected_type;  // as recorded: "int8", "int16"
};

// False: `why` says (static text) why the vector makes no graph; then nothing is to be freed.
bool vec_graph_build(const struct vec *v, struct vec_graph *out, const char **why);

#endif
