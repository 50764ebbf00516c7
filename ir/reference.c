// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: dispatch by operator, and the operators that are a few lines.
#include "ir/reference.h"

#include <stdlib.h>
#include <string.h>

#include "ir/ref_ops.h"

static uint64_t last_size(const struct bf_tensor *t) { return t->shape[t->rank - 1]; }

// y = requant(x - zero), element by element.
static void map_requant(const struct bf_node *node, int64_t **values, int64_t zero) {
  const int64_t *x = values[node->inputs[0]->id];
  int64_t *out = values[node->output->id];
  uint64_t channels = last_size(node->output);
  for (uint64_t i = 0; i < node->output->elements; i++)
    out[i] = bf_ref_requant(&node->attrs.requant, (uint32_t)(i % channels), x[i] - zero);
}

static void ref_clamp(const struct bf_node *node, int64_t **values) { map_requant(node, values, 0); }

static void ref_requantize(const struct bf_node *node, int64_t **values) {
  map_requant(node, values, bf_quant_zero(&node->inputs[0]->quant, 0));
}

static void ref_argmax(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0];
  const int64_t *in = values[x->id];
  uint64_t depth = last_size(x);
  for (uint64_t r = 0; r < x->elements / depth; r++, in += depth) {
    uint64_t best = 0;
    for (uint64_t i = 1; i < depth; i++)
      if (in[i] > in[best]) best = i;
    values[node->output->id][r] = (int64_t)best;
  }
}

static void ref_softmax(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  uint64_t depth = last_size(x);
  for (uint64_t at = 0; at < x->elements; at += depth)
    bf_ref_softmax(values[x->id] + at, values[y->id] + at, depth, x->type, y->type,
                   bf_quant_scale(&x->quant, 0), node->attrs.beta);
}

static void (*const evaluate[BF_OP_COUNT])(const struct bf_node *, int64_t **) = {
#define BF_OP(id, name, min_inputs, max_inputs, const_inputs, attrs, shape, check, reference, summary) [BF_OP_##id] = reference,
#include "ir/graph_ops.def"
};

struct bf_ref_run *bf_ref_new(const struct bf_graph *graph) {
  struct bf_ref_run *run = bf_alloc(1, sizeof *run);
  run->graph = graph;
  run->values = bf_alloc(graph->ntensors ? graph->ntensors : 1, sizeof *run->values);
  for (size_t i = 0; i < graph->ntensors; i++) run->values[i] = graph->tensors[i]->data;
  return run;
}

void bf_ref_free(struct bf_ref_run *run) {
  if (!run) return;
  for (size_t i = 0; i < run->graph->ntensors; i++)
    if (!run->graph->tensors[i]->data) free(run->values[i]);
  free(run->values);
  free(run);
}

bool bf_ref_set_input(struct bf_ref_run *run, const struct bf_tensor *input, const int64_t *values) {
  for (uint64_t i = 0; i < input->elements; i++)
    if (!bf_type_holds(input->type, values[i])) return false;
  int64_t **slot = &run->values[input->id];
  if (!*slot) *slot = bf_alloc(input->elements, sizeof **slot);
  memcpy(*slot, values, input->elements * sizeof **slot);
  return true;
}

bool bf_ref_run(struct bf_ref_run *run, struct bf_diags *diags) {
  const struct bf_graph *graph = run->graph;
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_input && !run->values[i]) {
      bf_error_file(diags, NULL, NULL, "input '%s' has no value", graph->tensors[i]->name);
      return false;
    }
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    int64_t **slot = &run->values[node->output->id];
    if (!*slot) *slot = bf_alloc(node->output->elements, sizeof **slot);
    evaluate[node->op](node, run->values);
  }
  return true;
}
