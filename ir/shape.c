// SPDX-License-Identifier: Apache-2.0
// Shape inference: one function an operator, reached through a table.
#include "ir/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inference {
  const struct bf_node *node;
  unsigned *rank;
  uint64_t *shape;
  struct bf_diags *diags;
  struct bf_range range;
};

// Reports a clash. Where the caret shows the place, the layer's name would only be noise.
static bool BF_PRINTF(2, 3) clash(const struct inference *in, const char *fmt, ...) {
  if (!in->diags) return false;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  const char *op = bf_op_info(in->node->op) ? bf_op_info(in->node->op)->name : "unknown operator";
  if (in->range.source)
    bf_error_at(in->diags, in->range, NULL, "%s: %s", op, text);
  else
    bf_error_file(in->diags, NULL, NULL, "layer '%s' (%s): %s",
                  in->node->name ? in->node->name : "?", op, text);
  free(text);
  return false;
}

static bool need_rank(const struct inference *in, unsigned operand, unsigned rank, const char *what) {
  unsigned found = in->node->inputs[operand]->rank;
  if (found == rank) return true;
  return clash(in, "the %s needs %u dimensions, it has %u", what, rank, found);
}

static bool same_shape(const struct inference *in) {
  *in->rank = in->node->inputs[0]->rank;
  memcpy(in->shape, in->node->inputs[0]->shape, sizeof in->node->inputs[0]->shape);
  return true;
}

// One dimension of a sliding window; `axis` is 0 for y, 1 for x.
static bool window_size(const struct inference *in, int axis, uint64_t size, uint64_t *out) {
  const struct bf_attrs *a = &in->node->attrs;
  const char *name = axis ? "x" : "y";
  int64_t kernel = a->kernel[axis], stride = a->stride[axis], dilation = a->dilation[axis];
  int64_t before = a->pad[2 * axis], after = a->pad[2 * axis + 1];
  if (kernel < 1 || stride < 1 || dilation < 1)
    return clash(in, "kernel, stride and dilation in %s must be at least 1", name);
  if (before < 0 || after < 0) return clash(in, "padding in %s must not be negative", name);
  int64_t padded = (int64_t)size + before + after;
  int64_t reach = (kernel - 1) * dilation + 1;
  if (reach > padded)
    return clash(in, "the kernel reaches over %" PRId64 " elements in %s, but the input has only %" PRId64
                     " with its padding", reach, name, padded);
  *out = (uint64_t)((padded - reach) / stride + 1);
  return true;
}

static bool window_shape(const struct inference *in, uint64_t channels) {
  const struct bf_tensor *x = in->node->inputs[0];
  *in->rank = 4;
  in->shape[0] = x->shape[0];
  in->shape[3] = channels;
  return window_size(in, 0, x->shape[1], &in->shape[1]) &&
         window_size(in, 1, x->shape[2], &in->shape[2]);
}

static bool check_bias(const struct inference *in, uint64_t outputs) {
  if (in->node->ninputs < 3) return true;
  const struct bf_tensor *b = in->node->inputs[2];
  if (b->rank == 1 && b->shape[0] == outputs) return true;
  return clash(in, "the bias needs shape [%" PRIu64 "], one value per output channel; it has %" PRIu64
                   " elements in %u dimensions", outputs, b->elements, b->rank);
}

static bool conv2d_shape(const struct inference *in) {
  if (!need_rank(in, 0, 4, "input") || !need_rank(in, 1, 4, "weights")) return false;
  const struct bf_tensor *x = in->node->inputs[0], *w = in->node->inputs[1];
  const struct bf_attrs *a = &in->node->attrs;
  uint64_t groups = a->groups, channels = x->shape[3], outputs = w->shape[0];
  if (groups < 1 || channels % groups || outputs % groups)
    return clash(in, "groups %" PRIu64 " must divide %" PRIu64 " input and %" PRIu64 " output channels",
                 groups, channels, outputs);
  if (w->shape[3] != channels / groups)
    return clash(in, "the weights have %" PRIu64 " input channels, the input has %" PRIu64
                     " in %" PRIu64 " group(s)", w->shape[3], channels, groups);
  if (a->kernel[0] < 0 || a->kernel[1] < 0 || (uint64_t)a->kernel[0] != w->shape[1] ||
      (uint64_t)a->kernel[1] != w->shape[2])
    return clash(in, "kernel [%d, %d] is not the weights' %" PRIu64 " by %" PRIu64, a->kernel[0],
                 a->kernel[1], w->shape[1], w->shape[2]);
  return check_bias(in, outputs) && window_shape(in, outputs);
}

static bool dense_shape(const struct inference *in) {
  if (!need_rank(in, 0, 2, "input") || !need_rank(in, 1, 2, "weights")) return false;
  const struct bf_tensor *x = in->node->inputs[0], *w = in->node->inputs[1];
  if (x->shape[1] != w->shape[1])
    return clash(in, "the weights want %" PRIu64 " inputs, the input has %" PRIu64, w->shape[1], x->shape[1]);
  *in->rank = 2;
  in->shape[0] = x->shape[0];
  in->shape[1] = w->shape[0];
  return check_bias(in, w->shape[0]);
}

// Equal shapes, or 1 in a dimension of one operand, which is then repeated.
static bool broadcast_shape(const struct inference *in) {
  const struct bf_tensor *a = in->node->inputs[0], *b = in->node->inputs[1];
  if (a->rank != b->rank)
    return clash(in, "'%s' has %u dimensions, '%s' has %u", a->name, a->rank, b->name, b->rank);
  same_shape(in);
  for (unsigned i = 0; i < a->rank; i++) {
    if (a->shape[i] != b->shape[i] && a->shape[i] != 1 && b->shape[i] != 1)
      return clash(in, "'%s' has size %" PRIu64 " in dimension %u, '%s' has %" PRIu64 "; they must be equal, or one of them 1",
                   a->name, a->shape[i], i, b->name, b->shape[i]);
    if (a->shape[i] == 1) in->shape[i] = b->shape[i];
  }
  return true;
}

static bool reduce_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0];
  uint32_t axes = in->node->attrs.axes;
  if (!axes || axes >> x->rank)
    return clash(in, "axes 0x%" PRIx32 " must name one or more of the %u dimensions", axes, x->rank);
  same_shape(in);
  for (unsigned i = 0; i < x->rank; i++)
    if (axes >> i & 1) in->shape[i] = 1;
  return true;
}

static bool table_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0], *t = in->node->inputs[1];
  if (x->type.bits > 8 || x->type.kind == BF_TYPE_B)
    return clash(in, "the input must have type u1 to u8, s1 to s8 or t2");
  uint64_t wanted = (uint64_t)(bf_type_max(x->type) - bf_type_min(x->type)) + 1;
  if (t->rank != 1 || t->shape[0] != wanted)
    return clash(in, "the table needs shape [%" PRIu64 "], an element for each value of the input's type; it has %" PRIu64
                     " elements in %u dimensions", wanted, t->elements, t->rank);
  return same_shape(in);
}

static bool transpose_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0];
  const int32_t *perm = in->node->attrs.perm;
  unsigned seen = 0;
  *in->rank = x->rank;
  for (unsigned i = 0; i < x->rank; i++) {
    if (perm[i] < 0 || perm[i] >= (int32_t)x->rank || (seen >> perm[i] & 1))
      return clash(in, "perm must hold each of the dimensions 0 to %u once", x->rank - 1);
    seen |= 1u << perm[i];
    in->shape[i] = x->shape[perm[i]];
  }
  return true;
}

static bool slice_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0];
  const struct bf_attrs *a = &in->node->attrs;
  *in->rank = x->rank;
  for (unsigned i = 0; i < x->rank; i++) {
    if (a->step[i] == 0) return clash(in, "step 0 in dimension %u", i);
    if (a->count[i] < 1) return clash(in, "count %d in dimension %u; it must be at least 1", a->count[i], i);
    int64_t first = a->begin[i], last = first + (int64_t)(a->count[i] - 1) * a->step[i], size = (int64_t)x->shape[i];
    if (first < 0 || first >= size || last < 0 || last >= size)
      return clash(in, "elements %" PRId64 " to %" PRId64 " of dimension %u, which has %" PRId64, first, last, i, size);
    in->shape[i] = (uint64_t)a->count[i];
  }
  return true;
}

static bool spread_shape(const struct inference *in) {
  const int32_t *factor = in->node->attrs.factor;
  if (!need_rank(in, 0, 4, "input")) return false;
  same_shape(in);
  for (int i = 0; i < 2; i++) {
    if (factor[i] < 1) return clash(in, "factor %d; it must be at least 1", factor[i]);
    in->shape[1 + i] = (in->shape[1 + i] - 1) * (uint64_t)factor[i] + 1;
  }
  return true;
}

static bool pool_shape(const struct inference *in) {
  if (!need_rank(in, 0, 4, "input")) return false;
  const struct bf_attrs *a = &in->node->attrs;
  if (a->dilation[0] != 1 || a->dilation[1] != 1) return clash(in, "pooling has no dilation");
  // A window of nothing but padding would have no value.
  for (int i = 0; i < 4; i++)
    if (a->pad[i] >= a->kernel[i / 2])
      return clash(in, "padding %d leaves windows with no element; it must be smaller than the kernel", a->pad[i]);
  return window_shape(in, in->node->inputs[0]->shape[3]);
}

static bool pad_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0];
  same_shape(in);
  for (unsigned i = 0; i < x->rank; i++) {
    const int32_t *pads = in->node->attrs.pads[i];
    if (pads[0] < 0 || pads[1] < 0) return clash(in, "padding must not be negative");
    in->shape[i] += (uint64_t)pads[0] + (uint64_t)pads[1];
  }
  return true;
}

// The target shape is the output's own; without an output yet: [first dimension, all the rest].
static bool reshape_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0], *y = in->node->output;
  if (!y) {
    *in->rank = 2;
    in->shape[0] = x->shape[0];
    in->shape[1] = x->elements / x->shape[0];
    return true;
  }
  if (y->elements != x->elements)
    return clash(in, "%" PRIu64 " elements cannot become %" PRIu64, x->elements, y->elements);
  *in->rank = y->rank;
  memcpy(in->shape, y->shape, sizeof y->shape);
  return true;
}

static bool concat_shape(const struct inference *in) {
  const struct bf_tensor *first = in->node->inputs[0];
  int axis = in->node->attrs.axis;
  if (axis < 0 || (unsigned)axis >= first->rank)
    return clash(in, "axis %d is outside the %u dimensions", axis, first->rank);
  same_shape(in);
  for (uint32_t k = 1; k < in->node->ninputs; k++) {
    const struct bf_tensor *x = in->node->inputs[k];
    if (x->rank != first->rank)
      return clash(in, "operand '%s' has %u dimensions, '%s' has %u", x->name, x->rank, first->name, first->rank);
    for (unsigned i = 0; i < x->rank; i++)
      if (i != (unsigned)axis && x->shape[i] != first->shape[i])
        return clash(in, "operand '%s' has size %" PRIu64 " in dimension %u, '%s' has %" PRIu64, x->name,
                     x->shape[i], i, first->name, first->shape[i]);
    in->shape[axis] += x->shape[axis];
    if (in->shape[axis] > BF_MAX_ELEMENTS) return clash(in, "the result is too large");
  }
  return true;
}

static bool argmax_shape(const struct inference *in) {
  const struct bf_tensor *x = in->node->inputs[0];
  if (in->node->attrs.axis != (int)x->rank - 1)
    return clash(in, "axis %d: only the last one (%u) is supported", in->node->attrs.axis, x->rank - 1);
  same_shape(in);
  if (x->rank == 1)
    in->shape[0] = 1;  // there are no tensors without dimensions
  else
    *in->rank = x->rank - 1;
  return true;
}

static bool (*const shape_of[BF_OP_COUNT])(const struct inference *) = {
#define BF_OP(id, name, min_inputs, max_inputs, const_inputs, attrs, shape, check, reference, summary) [BF_OP_##id] = shape,
#include "ir/graph_ops.def"
};

bool bf_infer_shape(const struct bf_node *node, unsigned *rank, uint64_t *shape,
                    struct bf_diags *diags, struct bf_range range) {
  uint64_t work[BF_MAX_RANK] = {0};
  struct inference in = {node, rank, work, diags, range};
  const struct bf_op_info *info = bf_op_info(node->op);
  if (!info) return clash(&in, "operator number %d does not exist", (int)node->op);
  if ((int64_t)node->ninputs < info->min_inputs ||
      (info->max_inputs >= 0 && (int64_t)node->ninputs > info->max_inputs)) {
    char most[24] = "more";
    if (info->max_inputs >= 0) snprintf(most, sizeof most, "%d", info->max_inputs);
    return clash(&in, "%u operand(s), it takes %d to %s", node->ninputs, info->min_inputs, most);
  }
  for (uint32_t i = 0; i < node->ninputs; i++)
    if (!node->inputs[i]) return clash(&in, "operand %u is missing", i);
  if (!shape_of[node->op](&in)) return false;
  uint64_t elements = 1;
  for (unsigned i = 0; i < *rank; i++)
    if (!bf_mul_limit(elements, work[i], BF_MAX_ELEMENTS, &elements))
      return clash(&in, "the result has more than %" PRIu64 " elements", BF_MAX_ELEMENTS);
  memcpy(shape, work, *rank * sizeof *shape);
  return true;
}
