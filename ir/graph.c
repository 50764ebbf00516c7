// SPDX-License-Identifier: Apache-2.0
// Building and querying graphs. Strings and everything hung on nodes and tensors lie in the graph's
// arena; the growable lists (fields with a capacity) are heap arrays, freed here.
#include "ir/graph.h"

#include <stdlib.h>
#include <string.h>

static const struct bf_op_info op_infos[BF_OP_COUNT] = {
#define BF_OP(id, opname, min, max, consts, attr, shape, check, reference, text)              \
  [BF_OP_##id] = {.name = opname, .min_inputs = min, .max_inputs = max, .const_inputs = consts, \
                  .attrs = attr, .summary = text},
#include "ir/graph_ops.def"
};

static const struct {
  const char *name, *rule;
} requant_infos[BF_REQUANT_COUNT] = {
#define BF_REQUANT(id, modename, text) [BF_REQUANT_##id] = {modename, text},
#include "ir/requant_modes.def"
};

const struct bf_op_info *bf_op_info(enum bf_op op) {
  return (unsigned)op < BF_OP_COUNT ? &op_infos[op] : NULL;
}

bool bf_op_elementwise(enum bf_op op) {
  return op == BF_OP_ADD || op == BF_OP_SUB || op == BF_OP_MUL || op == BF_OP_MAXIMUM || op == BF_OP_MINIMUM;
}

const char *bf_requant_mode_name(enum bf_requant_mode mode) {
  return (unsigned)mode < BF_REQUANT_COUNT ? requant_infos[mode].name : NULL;
}

const char *bf_requant_mode_rule(enum bf_requant_mode mode) {
  return (unsigned)mode < BF_REQUANT_COUNT ? requant_infos[mode].rule : NULL;
}

struct bf_graph *bf_graph_new(const char *name) {
  struct bf_graph *graph = bf_alloc(1, sizeof *graph);
  graph->name = bf_arena_strdup(&graph->arena, name);
  return graph;
}

void bf_graph_free(struct bf_graph *graph) {
  if (!graph) return;
  for (size_t i = 0; i < graph->nprofiles; i++) free(graph->profiles[i].entries);
  free(graph->profiles);
  free(graph->tensors);
  free(graph->nodes);
  bf_arena_free(&graph->arena);
  free(graph);
}

struct bf_tensor *bf_graph_tensor(struct bf_graph *graph, const char *name, struct bf_type type,
                                  unsigned rank, const uint64_t *shape) {
  if (rank < 1 || rank > BF_MAX_RANK || graph->ntensors >= UINT32_MAX) return NULL;
  uint64_t elements = 1;
  for (unsigned i = 0; i < rank; i++)
    if (shape[i] == 0 || !bf_mul_limit(elements, shape[i], BF_MAX_ELEMENTS, &elements)) return NULL;
  struct bf_tensor *tensor = bf_arena_alloc(&graph->arena, 1, sizeof *tensor);
  tensor->id = (uint32_t)graph->ntensors;
  tensor->name = bf_arena_strdup(&graph->arena, name);
  tensor->type = type;
  tensor->rank = rank;
  memcpy(tensor->shape, shape, rank * sizeof *shape);
  tensor->elements = elements;
  BF_PUSH(graph->tensors, graph->ntensors, graph->tensors_capacity) = tensor;
  return tensor;
}

struct bf_node *bf_graph_node(struct bf_graph *graph, enum bf_op op, const char *name,
                              struct bf_tensor *const *inputs, uint32_t ninputs,
                              struct bf_tensor *output) {
  struct bf_node *node = bf_arena_alloc(&graph->arena, 1, sizeof *node);
  node->id = (uint32_t)graph->nnodes;
  node->op = op;
  node->name = bf_arena_strdup(&graph->arena, name);
  node->ninputs = ninputs;
  node->inputs = bf_arena_alloc(&graph->arena, ninputs ? ninputs : 1, sizeof *node->inputs);
  if (ninputs) memcpy(node->inputs, inputs, ninputs * sizeof *inputs);
  node->output = output;
  if (output) output->producer = node;
  // What an attribute means when nobody says otherwise.
  struct bf_attrs *attrs = &node->attrs;
  for (int i = 0; i < 2; i++) attrs->kernel[i] = attrs->stride[i] = attrs->dilation[i] = 1;
  attrs->groups = 1;
  attrs->beta = 1;
  for (int i = 0; i < 2; i++) attrs->factor[i] = 1;
  for (int i = 0; i < BF_MAX_RANK; i++) attrs->step[i] = 1;
  BF_PUSH(graph->nodes, graph->nnodes, graph->nodes_capacity) = node;
  return node;
}

struct bf_tensor *bf_graph_find_tensor(const struct bf_graph *graph, const char *name) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if (strcmp(graph->tensors[i]->name, name) == 0) return graph->tensors[i];
  return NULL;
}

float bf_quant_scale(const struct bf_quant *quant, uint64_t index) {
  if (quant->count == 0 || !quant->scale) return 1;
  return quant->scale[quant->count == 1 ? 0 : index];
}

int32_t bf_quant_zero(const struct bf_quant *quant, uint64_t index) {
  if (quant->count == 0 || !quant->zero) return 0;
  return quant->zero[quant->count == 1 ? 0 : index];
}

uint64_t bf_node_macs(const struct bf_node *node) {
  if (node->op != BF_OP_CONV2D && node->op != BF_OP_DENSE) return 0;
  const struct bf_tensor *w = node->inputs[1];
  return node->output->elements * (w->elements / w->shape[0]);
}
