// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: runs a graph in plain scalar C, straight from the definitions. Shares no
// arithmetic with the compiler or the runtime.
#ifndef BF_REFERENCE_H
#define BF_REFERENCE_H

#include "ir/graph.h"

// One requantization of `v` for output channel `channel`, clamped.
int64_t bf_ref_requant(const struct bf_requant *rq, uint32_t channel, int64_t v);

// Values of all tensors of one run: values[tensor id] = elements int64 (NULL until computed).
struct bf_ref_run {
  const struct bf_graph *graph;
  int64_t **values;
};
struct bf_ref_run *bf_ref_new(const struct bf_graph *graph);
void bf_ref_free(struct bf_ref_run *run);
// Copies `elements` values of an input; false if a value is outside the tensor's type.
bool bf_ref_set_input(struct bf_ref_run *run, const struct bf_tensor *input, const int64_t *values);
// Evaluates all nodes in order. False and a diagnostic if an input is not set.
bool bf_ref_run(struct bf_ref_run *run, struct bf_diags *diags);

// tflite-micro's reference softmax of `depth` values (1 to 4095 of them); types as bf_softmax_result admits them.
void bf_ref_softmax(const int64_t *in, int64_t *out, uint64_t depth, struct bf_type in_type,
                    struct bf_type out_type, float in_scale, float beta);

#endif
