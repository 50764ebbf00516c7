// SPDX-License-Identifier: Apache-2.0
// Inside the verifier: structure (verify.c) and what each operator asks of its numbers
// (verify_nodes.c).
#ifndef BF_IR_VERIFY_H
#define BF_IR_VERIFY_H

#include "ir/graph.h"

struct bf_verifier {
  const struct bf_graph *graph;
  struct bf_diags *diags;
  const struct bf_node *node;  // being looked at, or NULL
  size_t before;               // errors there were at the start
};

// Adds an error, naming the layer being looked at; always false.
bool bf_verify_fail(struct bf_verifier *v, const char *fmt, ...) BF_PRINTF(2, 3);

// Types, quantizations, requantization parameters and accumulator ranges of a node whose operands and
// shapes are right.
bool bf_verify_meaning(struct bf_verifier *v, const struct bf_node *node);

#endif
