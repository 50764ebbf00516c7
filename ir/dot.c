// SPDX-License-Identifier: Apache-2.0
// The graph as Graphviz: operators as boxes, tensors on the edges, constants left out.
#include <inttypes.h>

#include "ir/graph.h"

static void put_label(struct bf_buf *out, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      bf_buf_printf(out, "\\%c", c);
    else
      bf_buf_printf(out, "%c", c < 32 || c == 127 ? ' ' : c);
  }
}

static void put_type(struct bf_buf *out, const struct bf_tensor *t) {
  char type[8];
  bf_buf_printf(out, "%s[", bf_type_text(type, t->type));
  for (unsigned i = 0; i < t->rank; i++) bf_buf_printf(out, "%s%" PRIu64, i ? "," : "", t->shape[i]);
  bf_buf_puts(out, "]");
}

static void put_end(struct bf_buf *out, const struct bf_tensor *t, const char *kind) {
  bf_buf_printf(out, "  %s%" PRIu32 " [shape=ellipse, label=\"", kind, t->id);
  put_label(out, t->name);
  bf_buf_puts(out, "\"];\n");
}

static void put_edge(struct bf_buf *out, const struct bf_tensor *t, const char *kind, uint32_t to) {
  if (t->producer)
    bf_buf_printf(out, "  n%" PRIu32, t->producer->id);
  else
    bf_buf_printf(out, "  in%" PRIu32, t->id);
  bf_buf_printf(out, " -> %s%" PRIu32 " [label=\"", kind, to);
  put_type(out, t);
  bf_buf_puts(out, "\"];\n");
}

void bf_graph_print_dot(const struct bf_graph *graph, struct bf_buf *out) {
  bf_buf_puts(out, "digraph \"");
  put_label(out, graph->name);
  bf_buf_puts(out, "\" {\n  node [shape=box];\n");
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_input) put_end(out, graph->tensors[i], "in");
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    bf_buf_printf(out, "  n%" PRIu32 " [label=\"", node->id);
    put_label(out, node->name);
    bf_buf_printf(out, "\\n%s\"];\n", bf_op_info(node->op)->name);
    for (uint32_t k = 0; k < node->ninputs; k++)
      if (!node->inputs[k]->data) put_edge(out, node->inputs[k], "n", node->id);
  }
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->is_output) {
      put_end(out, graph->tensors[i], "out");
      put_edge(out, graph->tensors[i], "out", graph->tensors[i]->id);
    }
  bf_buf_puts(out, "}\n");
}
