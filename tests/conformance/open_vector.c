// SPDX-License-Identifier: Apache-2.0
// Kernel vectors: the graph is built straight from the numbers.
#include "tests/conformance/conformance.h"
#include "tests/support/vec_graph.h"

static bool adopt(const struct vec_graph *g, struct cf_subject *out) {
  out->graph = g->graph;
  struct bf_diags diags = {0};
  bool good = bf_graph_verify(g->graph, &diags);
  if (!good) cf_refuse_diags(out, &diags);
  bf_diags_free(&diags);
  if (!good) return false;
  out->samples = 1;
  for (unsigned i = 0; i < g->inputs; i++) {
    const struct bf_tensor *tensor = cf_border(g->graph, true, i);
    memcpy(cf_add_input(out, tensor), g->values[i], tensor->elements * sizeof(int64_t));
  }
  const struct bf_tensor *output = cf_border(g->graph, false, 0);
  unsigned width = strcmp(g->expected_type, "int16") == 0 ? 2 : 1;
  struct cf_recording *r = cf_record(out, "output", output, false, 0, 1, output->elements, width);
  memcpy(r->values, g->expected, output->elements * sizeof(int64_t));
  return true;
}

bool cf_open_vector(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  struct cf_bytes file = cf_read(bf_strdup(path));
  if (!file.data) return cf_refuse(out, false, bf_strdup("cannot read the file"));
  struct vec *v = vec_parse(file.data);
  struct vec_graph g;
  const char *why;
  bool good = vec_graph_build(v, &g, &why);
  good = good ? adopt(&g, out) : cf_refuse(out, true, bf_format("%s: %s", v->kind, why));
  vec_free(v);
  free(file.data);
  return good;
}
