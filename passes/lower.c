// SPDX-License-Identifier: Apache-2.0
// Pass `lower`: graph operators to field IR.
// Precondition: choices by `map`. Postcondition: unit->fields holds one layer a node; virtual operators remain.
// Regions are handed on in parts (unit->part), so that those of a large network are never all there.
#include "passes/builder.h"

// The output is the input's memory under another shape.
static void lower_reshape(struct bf_lower *l) {
  bf_lower_layer(l, "alias", 0, l->node->inputs[0]->type.bits);
  uint32_t from = bf_lower_mem(l, l->node->inputs[0]), to = bf_lower_mem(l, l->node->output);
  l->fields->mems[to].alias = from;
}

static void lower_softmax(struct bf_lower *l) {
  bf_lower_layer(l, "host", 0, l->node->inputs[0]->type.bits);
  struct bf_flayer *layer = &l->fields->layers[l->fields->nlayers - 1];
  layer->host = true;
  layer->in_mem = bf_lower_mem(l, l->node->inputs[0]);
}

static void (*const lowerings[BF_OP_COUNT])(struct bf_lower *) = {
    [BF_OP_CONV2D] = bf_lower_conv,       [BF_OP_DENSE] = bf_lower_conv,
    [BF_OP_ADD] = bf_lower_binary,        [BF_OP_SUB] = bf_lower_binary,
    [BF_OP_MUL] = bf_lower_binary,        [BF_OP_MAXIMUM] = bf_lower_binary,
    [BF_OP_MINIMUM] = bf_lower_binary,    [BF_OP_REDUCE_SUM] = bf_lower_reduce,
    [BF_OP_MAX_POOL] = bf_lower_pool,     [BF_OP_AVG_POOL] = bf_lower_pool,
    [BF_OP_CLAMP] = bf_lower_elementwise, [BF_OP_REQUANTIZE] = bf_lower_elementwise,
    [BF_OP_PAD] = bf_lower_move,          [BF_OP_CONCAT] = bf_lower_move,
    [BF_OP_TRANSPOSE] = bf_lower_move,    [BF_OP_SLICE] = bf_lower_move,
    [BF_OP_SPREAD] = bf_lower_move,       [BF_OP_RESHAPE] = lower_reshape,
    [BF_OP_TABLE] = bf_lower_table,       [BF_OP_ARGMAX] = bf_lower_argmax,
    [BF_OP_SOFTMAX] = lower_softmax,
};

static bool lower_node(struct bf_unit *unit, const struct bf_node *node) {
  struct bf_lower l = {.unit = unit, .fields = unit->fields, .node = node, .last_grid = BF_NO_INDEX};
  for (uint32_t i = 0; i < node->ninputs; i++)
    if (node->inputs[i]->data && !(bf_op_info(node->op)->const_inputs >> i & 1) && !bf_op_elementwise(node->op))
      return bf_lower_fail(&l, "let it be an input of the network", "operand %u (%s) is a constant", i, node->inputs[i]->name);
  if (lowerings[node->op] && unit->known && unit->known(unit, node)) return true;
  if (!lowerings[node->op])
    return bf_lower_fail(&l, NULL, "operator %s has no AP code yet", bf_op_info(node->op)->name);
  lowerings[node->op](&l);
  if (l.failed) return false;
  struct bf_flayer *layer = &unit->fields->layers[unit->fields->nlayers - 1];
  layer->out_mem = bf_lower_mem(&l, node->output);
  if (layer->nregions) unit->fields->regions[layer->first_region + layer->nregions - 1].barrier_after = true;
  return !unit->part || unit->part(unit, true);
}

bool bf_pass_lower(struct bf_unit *unit) {
  bf_fprogram_free(unit->fields);
  unit->fields = bf_fprogram_new(unit->graph->ntensors);
  unit->selected = unit->allocated = false;
  struct bf_lower l = {.unit = unit, .fields = unit->fields};
  for (size_t i = 0; i < unit->graph->ntensors; i++)  // inputs first: a network may pass one straight on
    if (unit->graph->tensors[i]->is_input) bf_lower_mem(&l, unit->graph->tensors[i]);
  for (size_t i = 0; i < unit->graph->nnodes; i++)
    if (!lower_node(unit, unit->graph->nodes[i])) return false;
  return unit->graph->nnodes || !unit->part || unit->part(unit, true);
}
