// SPDX-License-Identifier: Apache-2.0
// Operators that move elements and compute nothing.
#include <string.h>

#include "ir/ref_ops.h"

// The coordinates of element `i` of a tensor, and back.
static void coordinates(const struct bf_tensor *t, uint64_t i, int64_t at[BF_MAX_RANK]) {
  for (unsigned d = t->rank; d-- > 0;) {
    at[d] = (int64_t)(i % t->shape[d]);
    i /= t->shape[d];
  }
}

static uint64_t position(const struct bf_tensor *t, const int64_t at[BF_MAX_RANK]) {
  uint64_t i = 0;
  for (unsigned d = 0; d < t->rank; d++) i = i * t->shape[d] + (uint64_t)at[d];
  return i;
}

void bf_ref_pad(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  int64_t *out = values[y->id], at[BF_MAX_RANK];
  for (uint64_t i = 0; i < y->elements; i++) out[i] = node->attrs.pad_value;
  for (uint64_t i = 0; i < x->elements; i++) {
    coordinates(x, i, at);
    for (unsigned d = 0; d < x->rank; d++) at[d] += node->attrs.pads[d][0];
    out[position(y, at)] = values[x->id][i];
  }
}

void bf_ref_reshape(const struct bf_node *node, int64_t **values) {
  memcpy(values[node->output->id], values[node->inputs[0]->id], node->output->elements * sizeof(int64_t));
}

void bf_ref_transpose(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  int64_t to[BF_MAX_RANK], from[BF_MAX_RANK];
  for (uint64_t i = 0; i < y->elements; i++) {
    coordinates(y, i, to);
    for (unsigned d = 0; d < y->rank; d++) from[node->attrs.perm[d]] = to[d];
    values[y->id][i] = values[x->id][position(x, from)];
  }
}

void bf_ref_slice(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  const struct bf_attrs *a = &node->attrs;
  int64_t at[BF_MAX_RANK];
  for (uint64_t i = 0; i < y->elements; i++) {
    coordinates(y, i, at);
    for (unsigned d = 0; d < y->rank; d++) at[d] = a->begin[d] + at[d] * a->step[d];
    values[y->id][i] = values[x->id][position(x, at)];
  }
}

void bf_ref_spread(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *x = node->inputs[0], *y = node->output;
  int64_t *out = values[y->id], zero = bf_quant_zero(&x->quant, 0), at[BF_MAX_RANK];
  for (uint64_t i = 0; i < y->elements; i++) out[i] = zero;
  for (uint64_t i = 0; i < x->elements; i++) {
    coordinates(x, i, at);
    for (int k = 0; k < 2; k++) at[1 + k] *= node->attrs.factor[k];
    out[position(y, at)] = values[x->id][i];
  }
}

void bf_ref_concat(const struct bf_node *node, int64_t **values) {
  const struct bf_tensor *y = node->output;
  uint64_t outer = 1, inner = 1;
  for (unsigned d = 0; d < y->rank; d++) {
    if ((int)d < node->attrs.axis) outer *= y->shape[d];
    if ((int)d > node->attrs.axis) inner *= y->shape[d];
  }
  int64_t *out = values[y->id];
  for (uint64_t o = 0; o < outer; o++)
    for (uint32_t k = 0; k < node->ninputs; k++) {
      uint64_t run = node->inputs[k]->shape[node->attrs.axis] * inner;
      memcpy(out, values[node->inputs[k]->id] + o * run, run * sizeof *out);
      out += run;
    }
}
