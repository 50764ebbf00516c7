// SPDX-License-Identifier: Apache-2.0
#include "passes/paper.h"

static bool has_relu(const struct bf_node *node) {
  if (!(bf_op_info(node->op)->attrs & BF_ATTR_REQUANT)) return false;
  const struct bf_tensor *y = node->output;
  int64_t zero = bf_quant_zero(&y->quant, 0);
  // A clamp at the zero point; unsigned results with zero point 0 have it by their type.
  return node->attrs.requant.lo == zero && (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE || node->op == BF_OP_ADD ||
                                            node->op == BF_OP_CLAMP);
}

static uint64_t window(const struct bf_node *node) {
  return (uint64_t)node->attrs.kernel[0] * (uint64_t)node->attrs.kernel[1];
}

struct ap_paper_layer bf_paper_layer(const struct bf_node *node) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  struct ap_paper_layer layer = {.bits_a = x->type.bits, .bits_w = x->type.bits, .rows = y->elements, .outputs = y->elements,
                                 .terms = 1, .relu = has_relu(node)};
  switch (node->op) {
    case BF_OP_CONV2D:
    case BF_OP_DENSE:
      layer.kind = AP_PAPER_MATMUL;
      layer.bits_w = node->inputs[1]->type.bits;
      layer.rows = bf_node_macs(node);
      layer.terms = y->elements ? layer.rows / y->elements : 1;
      break;
    case BF_OP_ADD: layer.kind = AP_PAPER_ADD; break;
    case BF_OP_MAX_POOL:
      layer.kind = AP_PAPER_MAX_POOL;
      layer.terms = window(node);
      break;
    case BF_OP_AVG_POOL:
      layer.kind = AP_PAPER_AVG_POOL;
      layer.terms = window(node);
      break;
    default: break;
  }
  return layer;
}

struct ap_paper_cost bf_paper_graph(const struct bf_graph *graph, const struct ap_machine *machine, double vdd,
                                    struct ap_paper_cost *layers) {
  struct ap_paper_cost sum = {0};
  for (size_t i = 0; i < graph->nnodes; i++) {
    struct ap_paper_layer layer = bf_paper_layer(graph->nodes[i]);
    struct ap_paper_cost cost = ap_paper_cost(&layer, machine, vdd);
    sum.folds += cost.folds;
    sum.cycles += cost.cycles;
    sum.energy_j += cost.energy_j;
    if (layers) layers[i] = cost;
  }
  return sum;
}
