// SPDX-License-Identifier: Apache-2.0
// What follows a layer and can be computed by it: factors and addends of channels (a batch normalization, say), clamps.
#include <math.h>
#include <string.h>

#include "quantize/float_read.h"

static void count_readers(struct bf_float_net *net) {
  for (size_t i = 0; i < net->count; i++) net->nodes[i]->readers = net->nodes[i] == net->output;
  for (size_t i = 0; i < net->count; i++)
    for (unsigned k = 0; k < net->nodes[i]->nin; k++) net->nodes[i]->in[k]->readers++;
}

static void replace(struct bf_float_net *net, struct bf_float_node *old, struct bf_float_node *by) {
  for (size_t i = 0; i < net->count; i++)
    for (unsigned k = 0; k < net->nodes[i]->nin; k++)
      if (net->nodes[i]->in[k] == old && net->nodes[i] != by) net->nodes[i]->in[k] = by;
  if (net->output == old) net->output = by;
}

static void remove_at(struct bf_float_net *net, size_t i) {
  memmove(net->nodes + i, net->nodes + i + 1, (net->count - i - 1) * sizeof *net->nodes);
  net->count--;
}

static bool unclamped(const struct bf_float_node *n) { return isinf(n->lo) && isinf(n->hi); }

// n is AFFINE, its operand a layer that only it reads.
static void fold(struct bf_float_node *layer, const struct bf_float_node *n) {
  for (uint64_t o = 0; o < layer->c; o++) {
    for (uint64_t i = 0; i < layer->depth; i++) layer->weights[o * layer->depth + i] *= n->weights[o];
    layer->bias[o] = layer->bias[o] * n->weights[o] + n->bias[o];
  }
}

// An AFFINE that has no layer to go into is one of its own: each channel by itself.
static void make_layer(struct bf_float_node *n) {
  n->op = BF_FLOAT_CONV;
  n->groups = (uint32_t)n->c;
  n->depth = 1;
}

// Nodes that the output does not depend on.
static void remove_unused(struct bf_float_net *net) {
  for (size_t i = net->count; i-- > 1;) {
    if (net->nodes[i]->readers) continue;
    remove_at(net, i);
    count_readers(net);
    i = net->count;
  }
}

bool bf_float_fuse(struct bf_float_reader *r) {
  struct bf_float_net *net = r->net;
  count_readers(net);
  remove_unused(net);
  for (size_t i = 1; i < net->count; i++) {
    struct bf_float_node *n = net->nodes[i], *x = n->in[0];
    bool affine = n->op == BF_FLOAT_AFFINE && bf_float_layer(x) && x->readers == 1 && unclamped(x);
    bool clip = n->op == BF_FLOAT_CLIP && bf_float_computes(x->op) && x->op != BF_FLOAT_INPUT && x->readers == 1;
    if (affine) fold(x, n);
    if (clip) {
      x->lo = fmaxf(x->lo, n->lo);
      x->hi = fminf(x->hi, n->hi);
      if (!(x->lo < x->hi)) return bf_onx_fail(&r->l, NULL, "clamps that leave nothing");
    }
    if (affine || clip) {
      unsigned readers = n->readers;
      replace(net, n, x);
      x->readers = readers;
      remove_at(net, i--);
    } else if (n->op == BF_FLOAT_AFFINE) {
      if (n->flat || n->c > UINT16_MAX) return bf_onx_fail(&r->l, NULL, "factors of features that no layer before them can take");
      make_layer(n);
    }
  }
  for (size_t i = 0; i < net->count; i++) net->nodes[i]->index = i;
  count_readers(net);
  if (net->output->op != BF_FLOAT_INPUT) return true;
  return bf_onx_fail(&r->l, NULL, "the model computes nothing");
}
