// SPDX-License-Identifier: Apache-2.0
// Small random networks for differential tests: every operator with AP code, every type, padding and
// requantization mode that the compiler accepts.
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "ir/graph.h"

struct rng { uint64_t state; };
uint32_t rng_next(struct rng *rng);                      // 32 random bits
int64_t rng_range(struct rng *rng, int64_t lo, int64_t hi);  // lo..hi

enum random_kind {
  RANDOM_CONV, RANDOM_DEPTHWISE, RANDOM_DENSE, RANDOM_ADD, RANDOM_MAX_POOL, RANDOM_AVG_POOL, RANDOM_CLAMP, RANDOM_PAD,
  RANDOM_CONCAT, RANDOM_REQUANTIZE, RANDOM_ARGMAX, RANDOM_RESHAPE,
  RANDOM_SUB, RANDOM_MUL, RANDOM_MAXIMUM, RANDOM_MINIMUM,
  RANDOM_BROADCAST,  // one of the elementwise operators, with dimensions of 1 in either operand
  RANDOM_CONSTANT,   // the same with one operand constant
  RANDOM_REDUCE_SUM, RANDOM_TABLE, RANDOM_TRANSPOSE, RANDOM_SLICE, RANDOM_SPREAD,
  RANDOM_FEW_BITS,   // conv2d with b1, t2 or s2 activations and weights, results by thresholds
  RANDOM_MANY_BITS,  // conv2d with activations of 16 bits and weights of 4 or 8
  RANDOM_GROUPS,     // conv2d with several convolution groups of several channels
  RANDOM_WIDE,       // a dense layer of many inputs and outputs, mostly with a requantization for each channel
  RANDOM_KINDS
};
// A network of one operator of the kind (with a reshape behind it now and then); input "x" (and "y").
struct bf_graph *random_graph(struct rng *rng, enum random_kind kind);
// Values for a tensor, favouring the ends of its range.
int64_t *random_values(struct rng *rng, const struct bf_tensor *tensor);

#endif
