// SPDX-License-Identifier: Apache-2.0
// Which tensor of the graph a recorded layer is. Recordings name their layers in their own way, and importers fuse and
// split operators; the values tell, and where they are wrong the most similar tensor is the one to be judged.
#include <stdlib.h>

#include "tests/conformance/conformance.h"

static uint64_t equal_values(const int64_t *a, const int64_t *b, uint64_t n) {
  uint64_t equal = 0;
  for (uint64_t i = 0; i < n; i++) equal += a[i] == b[i];
  return equal;
}

static const struct bf_node *best_node(const struct bf_graph *graph, const struct cf_recording *r, int64_t *const *values,
                                       const bool *used) {
  const struct bf_node *best = NULL;
  uint64_t most = 0;
  bool best_used = false;
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    if (node->output->elements != r->elements) continue;
    uint64_t equal = equal_values(r->values, values[node->output->id], r->elements);
    if (best && (equal < most || (equal == most && !(best_used && !used[node->id])))) continue;
    best = node;
    best_used = used[node->id];
    most = equal;
  }
  return best;
}

void cf_match_layers(struct cf_subject *subject, uint64_t sample, int64_t *const *values) {
  bool *used = bf_alloc(subject->graph->nnodes + 1, sizeof *used);
  for (size_t i = 0; i < subject->nrecordings; i++) {
    struct cf_recording *r = &subject->recordings[i];
    if (r->tensor || r->first != sample) continue;
    const struct bf_node *node = best_node(subject->graph, r, values, used);
    if (!node) continue;
    used[node->id] = true;
    r->tensor = node->output;
  }
  free(used);
  subject->matched = true;
}
