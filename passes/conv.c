// SPDX-License-Identifier: Apache-2.0
// conv2d and dense seen as one convolution.
#include "passes/builder.h"

void bf_conv_of(const struct bf_node *node, struct bf_conv *conv) {
  *conv = (struct bf_conv){.x = node->inputs[0], .w = node->inputs[1], .bias = node->ninputs > 2 ? node->inputs[2] : NULL};
  bf_shape4(node->inputs[0], conv->in4);
  bf_shape4(node->output, conv->out4);
  bool dense = node->op == BF_OP_DENSE;
  for (int i = 0; i < 2; i++) {
    conv->kernel[i] = dense ? 1 : (uint32_t)node->attrs.kernel[i];
    conv->stride[i] = dense ? 1 : node->attrs.stride[i];
    conv->dilation[i] = dense ? 1 : node->attrs.dilation[i];
  }
  conv->pad[0] = dense ? 0 : node->attrs.pad[0];
  conv->pad[1] = dense ? 0 : node->attrs.pad[2];
  conv->groups = dense || !node->attrs.groups ? 1 : node->attrs.groups;
  conv->ic_group = conv->in4[3] / conv->groups;
  conv->oc_group = conv->out4[3] / conv->groups;
}

int64_t bf_conv_zero(const struct bf_conv *conv, uint32_t oc) {
  const struct bf_quant *q = &conv->w->quant;
  return bf_quant_zero(q, q->count > 1 ? oc : 0);
}
