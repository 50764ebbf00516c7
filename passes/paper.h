// SPDX-License-Identifier: Apache-2.0
// The literature's closed formulas (isa/paper.h) for the layers of a graph.
#ifndef BF_PAPER_H
#define BF_PAPER_H

#include "ir/graph.h"
#include "isa/paper.h"

// What the formulas see of a node: its own ReLU where the result is clamped at the zero point; widths of its operands as the graph has
// them. Requantization, reshapes and host ops are AP_PAPER_NONE.
struct ap_paper_layer bf_paper_layer(const struct bf_node *node);
// Sum over all nodes; per node as well if `layers` (graph->nnodes) is not NULL.
struct ap_paper_cost bf_paper_graph(const struct bf_graph *graph, const struct ap_machine *machine, double vdd,
                                    struct ap_paper_cost *layers);

#endif
