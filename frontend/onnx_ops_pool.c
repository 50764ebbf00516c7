// SPDX-License-Identifier: Apache-2.0
// Windows, and what only looks through them: pools. Averages are sums with a division to come, so that whatever the
// model does with them happens on exact integers.
#include <string.h>

#include "frontend/onnx_lower.h"

#define LARGEST 65535  // kernel, stride, dilation, pad

struct bf_onx_shape bf_onx_image_shape(unsigned rank, uint64_t n, uint64_t c, uint64_t y, uint64_t x) {
  struct bf_onx_shape shape = {.rank = rank, .dims = {n, c, rank == 4 ? y : x, x}};
  return shape;
}

static bool read_pair(struct bf_onx_lower *l, const char *name, unsigned spatial, int64_t otherwise, int64_t *out) {
  out[0] = spatial == 2 ? otherwise : 1;
  out[1] = otherwise;
  if (!bf_onx_attribute(l->node, name)) return true;
  if (bf_onx_ints(l->node, name, spatial, out + 2 - spatial) && out[0] >= 1 && out[0] <= LARGEST && out[1] >= 1 &&
      out[1] <= LARGEST)
    return true;
  return bf_onx_fail(l, "a number from 1 to 65535 for each dimension works", "`%s` of this kind", name);
}

// Pads of auto_pad for one dimension.
static void same_pads(struct bf_onx_lower *l, int64_t size, int64_t span, int64_t stride, int64_t *pads) {
  int64_t out = (size + stride - 1) / stride, all = (out - 1) * stride + span - size;
  if (all < 0) all = 0;
  bool lower = bf_onx_string_is(l->node, "auto_pad", "SAME_LOWER");
  pads[0] = lower ? all - all / 2 : all / 2;
  pads[1] = all - pads[0];
}

static bool read_pads(struct bf_onx_lower *l, unsigned spatial, int64_t *pad) {
  int64_t list[4] = {0};
  memset(pad, 0, 4 * sizeof *pad);
  if (!bf_onx_attribute(l->node, "pads")) return true;
  if (!bf_onx_ints(l->node, "pads", 2 * spatial, list))
    return bf_onx_fail(l, NULL, "`pads` of another length than the image needs");
  for (unsigned i = 0; i < 2 * spatial; i++)
    if (list[i] < 0 || list[i] > LARGEST) return bf_onx_fail(l, NULL, "a pad of %lld", (long long)list[i]);
  // The model has all beginnings first.
  for (unsigned d = 0; d < spatial; d++) {
    unsigned at = 2 * (d + 2 - spatial);
    pad[at] = list[d];
    pad[at + 1] = list[spatial + d];
  }
  return true;
}

bool bf_onx_window(struct bf_onx_lower *l, unsigned spatial, const uint64_t *shape, const int64_t *kernel,
                   const int64_t *before, struct bf_onx_window *w) {
  bool same =
      bf_onx_string_is(l->node, "auto_pad", "SAME_UPPER") || bf_onx_string_is(l->node, "auto_pad", "SAME_LOWER");
  if (!read_pair(l, "kernel_shape", spatial, 1, w->kernel) || !read_pair(l, "strides", spatial, 1, w->stride) ||
      !read_pair(l, "dilations", spatial, 1, w->dilation) || !read_pads(l, spatial, w->pad))
    return false;
  w->sticks_out = false;
  for (int d = 0; kernel && d < 2; d++) {
    if (bf_onx_attribute(l->node, "kernel_shape") && w->kernel[d] != kernel[d])
      return bf_onx_fail(l, NULL, "`kernel_shape` differs from the weights");
    w->kernel[d] = kernel[d];
    if (kernel[d] < 1 || kernel[d] > LARGEST) return bf_onx_fail(l, NULL, "a kernel of %lld", (long long)kernel[d]);
  }
  for (int d = 0; d < 2; d++) {
    int64_t size = (int64_t)shape[1 + d], span = (w->kernel[d] - 1) * w->dilation[d] + 1, *pad = &w->pad[2 * d];
    for (int e = 0; before && e < 2; e++) size += before[2 * d + e];
    if (same) same_pads(l, size, span, w->stride[d], pad);
    int64_t room = size + pad[0] + pad[1] - span;
    if (room < 0) return bf_onx_fail(l, NULL, "the window is larger than the image");
    w->out[d] = (uint64_t)(room / w->stride[d] + 1);
    if (bf_onx_int(l->node, "ceil_mode", 0) && room % w->stride[d] &&
        (int64_t)w->out[d] * w->stride[d] < size + pad[0]) {
      pad[1] += w->stride[d] - room % w->stride[d];  // one more window, which sticks out
      w->out[d]++;
      w->sticks_out = true;
    }
    for (int e = 0; before && e < 2; e++) pad[e] += before[2 * d + e];
  }
  return true;
}

static void put_pair(struct bf_buf *out, const char *name, const int64_t *v) {
  if (v[0] == v[1]) bf_buf_printf(out, ", %s %lld", name, (long long)v[0]);
  else bf_buf_printf(out, ", %s [%lld, %lld]", name, (long long)v[0], (long long)v[1]);
}

void bf_onx_window_text(struct bf_buf *out, const struct bf_onx_window *w, bool kernel) {
  static const int64_t one[2] = {1, 1};
  if (kernel) put_pair(out, "kernel", w->kernel);
  if (kernel || memcmp(w->stride, one, sizeof one) != 0) put_pair(out, "stride", w->stride);
  if (memcmp(w->dilation, one, sizeof one) != 0) put_pair(out, "dilation", w->dilation);
  const int64_t *p = w->pad;
  if (p[0] || p[1] || p[2] || p[3])
    bf_buf_printf(out, ", pad [%lld, %lld, %lld, %lld]", (long long)p[0], (long long)p[1], (long long)p[2],
                  (long long)p[3]);
}

// A pool that gives elements of its operand: the same type and meaning.
static bool print_pool(struct bf_onx_lower *l, struct bf_onx_value *x, const char *callee,
                       const struct bf_onx_window *w) {
  const struct bf_onx_text *in = x->source->in[0];
  struct bf_buf operands = {0};
  bf_buf_puts(&operands, in->name);
  bf_onx_window_text(&operands, w, true);
  const uint64_t shape[4] = {in->shape[0], w->out[0], w->out[1], in->shape[3]};
  struct bf_onx_text *y = bf_onx_print_same(l, "pool", callee, bf_buf_cstr(&operands), in, 4, shape);
  bf_buf_free(&operands);
  struct bf_onx_value v = *x;
  struct bf_onx_shape result = bf_onx_image_shape(x->layout.shape.rank, shape[0], shape[3], shape[1], shape[2]);
  bf_onx_layout_image(&v.layout, &result);
  v.source = bf_onx_text_source(l, y, &v.layout);
  bf_onx_define(l, &v);
  return true;
}

// The sum over the window, or its mean, in the shape `kept` unless that is NULL: a convolution of each channel with
// ones, or over the whole image.
static bool sum_pool(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_window *w, bool mean,
                     const struct bf_onx_shape *kept) {
  struct bf_onx_text *in = x->source->in[0];
  const int64_t *p = w->pad;
  bool whole = w->out[0] == 1 && w->out[1] == 1 && !p[0] && !p[1] && !p[2] && !p[3] &&
               (uint64_t)w->kernel[0] == in->shape[1] && (uint64_t)w->kernel[1] == in->shape[2];
  uint64_t c = in->shape[3];
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_SUM, whole ? "reduce_sum" : "depthwise_conv2d", c);
  s->in[0] = in;
  s->hint = "pool";
  s->rank = 4;
  memcpy(s->shape, (const uint64_t[]){in->shape[0], w->out[0], w->out[1], c}, sizeof s->shape);
  int64_t n = w->kernel[0] * w->kernel[1], lo = bf_type_min(in->type) - in->zero, hi = bf_type_max(in->type) - in->zero;
  for (uint64_t i = 0; i < s->channels; i++) {
    s->lo[i] = (lo < 0 ? lo : 0) * n;
    s->hi[i] = (hi > 0 ? hi : 0) * n;
  }
  if (whole) {
    s->arguments = bf_arena_strdup(&l->arena, ", axes [1, 2]");
  } else {
    struct bf_buf arguments = {0};
    s->weights = bf_onx_unique(l, "ones");
    bf_buf_printf(&l->constants, "  const %s: u1[%llu, %lld, %lld, 1] = 1;\n", s->weights, (unsigned long long)c,
                  (long long)w->kernel[0], (long long)w->kernel[1]);
    bf_onx_window_text(&arguments, w, false);
    s->arguments = bf_arena_strdup(&l->arena, bf_buf_cstr(&arguments));
    bf_buf_free(&arguments);
  }
  struct bf_onx_value v = {.source = s, .steps = x->steps, .nsteps = x->nsteps};
  struct bf_onx_shape result = bf_onx_image_shape(x->layout.shape.rank, s->shape[0], c, s->shape[1], s->shape[2]);
  bf_onx_layout_image(&v.layout, &result);
  if (kept && !bf_onx_layout_reshape(&v.layout, kept)) return bf_onx_fail(l, NULL, "a shape of the result");
  if (mean) bf_onx_push_scalar(l, &v, STEP_DIV, (double)n);
  bf_onx_define(l, &v);
  return true;
}

bool bf_onx_op_pool(struct bf_onx_lower *l) {
  const char *op = l->node->op_type;
  bool global = strncmp(op, "Global", 6) == 0, max = strstr(op, "Max") != NULL;
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  struct bf_onx_window w;
  double scale;
  int64_t before[4] = {0}, kernel[2];
  if (!x) return false;
  if (x->coded && !max) x = bf_onx_plain(l, x);
  if (max && !bf_onx_pad(l, x)) return false;
  if (!max) {  // zeros of a Pad node count
    memcpy(before, x->pad, sizeof before);
    memset(x->pad, 0, sizeof x->pad);
  }
  if (!bf_onx_image(l, x, &scale)) return false;
  const struct bf_onx_text *in = x->source->in[0];
  kernel[0] = (int64_t)in->shape[1];
  kernel[1] = (int64_t)in->shape[2];
  for (int i = 0; global && i < 2; i++) kernel[i] += before[2 * i] + before[2 * i + 1];
  if (!bf_onx_window(l, x->layout.shape.rank - 2, in->shape, global ? kernel : NULL, before, &w)) return false;
  if (!global && !bf_onx_attribute(l->node, "kernel_shape"))
    return bf_onx_fail(l, NULL, "a pool without `kernel_shape`");
  for (int i = 0; i < 4; i++)
    if (w.pad[i] >= (w.kernel[i / 2] - 1) * w.dilation[i / 2] + 1 + (max ? 0 : before[i]))
      return bf_onx_fail(l, "pads smaller than the window work", "padding that fills whole windows");
  if (max && (w.dilation[0] != 1 || w.dilation[1] != 1))
    return bf_onx_fail(l, "a dilation of 1 works", "a dilated window");
  if (max) return print_pool(l, x, "max_pool2d", &w);
  bool added = before[0] || before[1] || before[2] || before[3],
       counted = bf_onx_int(l->node, "count_include_pad", 0) != 0;
  bool padded = w.pad[0] || w.pad[1] || w.pad[2] || w.pad[3];
  // What assumes its scales may round as the language's own average does.
  if (l->options->assume_a && !added && !(counted && padded)) return print_pool(l, x, "avg_pool2d", &w);
  if (w.sticks_out)
    return bf_onx_fail(l, "ceil_mode 0, or strides that end at the border, work",
                       "an average whose last window sticks out of the image");
  if (!counted && memcmp(w.pad, before, sizeof before) != 0)
    return bf_onx_fail(l, "count_include_pad 1 works", "an average that does not count its padding");
  return sum_pool(l, x, &w, true, NULL);
}

// ReduceMean and ReduceSum over height, width or both.
bool bf_onx_op_reduce(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  bool mean = strcmp(l->node->op_type, "ReduceMean") == 0;
  int64_t axes[BF_ONX_DIMS];
  size_t n;
  double scale;
  unsigned gone = 0;
  if (!x) return false;
  struct bf_onx_shape kept = {0};
  unsigned rank = x->layout.shape.rank;
  if (rank != 3 && rank != 4) return bf_onx_fail(l, "images work", "an operand of %u dimensions", rank);
  if (!bf_onx_list(l, "axes", 1, rank, axes, &n)) return bf_onx_fail(l, "constant axes work", "no constant axes");
  for (size_t i = 0; i < n; i++) {
    int64_t d = axes[i] < 0 && axes[i] >= -(int64_t)rank ? axes[i] + rank : axes[i];
    if (d < 2 || d >= (int64_t)rank)
      return bf_onx_fail(l, "height and width work: dimensions 2 and 3", "dimension %lld", (long long)axes[i]);
    gone |= 1u << d;
  }
  if (x->coded) x = bf_onx_plain(l, x);
  if (!bf_onx_pad(l, x) || !bf_onx_image(l, x, &scale)) return false;
  struct bf_onx_window w = {{1, 1}, {1, 1}, {1, 1}, {0}, {0}, false};
  for (unsigned d = 0; d < rank; d++) {
    bool reduced = gone >> d & 1;
    uint64_t size = x->layout.shape.dims[d];
    if (d >= 2 && size > LARGEST) return bf_onx_fail(l, NULL, "an image of %llu", (unsigned long long)size);
    if (!reduced || bf_onx_int(l->node, "keepdims", 1)) kept.dims[kept.rank++] = reduced ? 1 : size;
  }
  for (unsigned d = 0; d < 2; d++) {
    bool reduced = d + rank >= 4 && gone >> (d + rank - 2) & 1;
    uint64_t size = x->source->in[0]->shape[1 + d];
    w.kernel[d] = reduced ? (int64_t)size : 1;
    w.out[d] = reduced ? 1 : size;
  }
  return sum_pool(l, x, &w, mean, &kept);
}

// ArgMax, and TopK of one: the index.
bool bf_onx_op_argmax(struct bf_onx_lower *l) {
  bool top = strcmp(l->node->op_type, "TopK") == 0;
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  double k = 1, scale, offset;
  if (!x) return false;
  unsigned rank = x->layout.shape.rank;
  int64_t axis = bf_onx_int(l->node, "axis", top ? -1 : 0);
  if (axis < 0) axis += rank;
  if (top && !bf_onx_scalar(l, 1, 1, &k)) return false;
  bool same = bf_onx_affine(x->steps, x->nsteps, &scale, &offset) && scale > 0;
  struct bf_onx_value copy = *x;
  if (same) copy.nsteps = 0;  // the order is that of the sums
  if (k != 1 || bf_onx_int(l->node, "largest", 1) != 1 || bf_onx_int(l->node, "select_last_index", 0) || rank < 2 ||
      axis != (int64_t)rank - 1)
    return bf_onx_op_tail(l);
  if (!bf_onx_settle(l, &copy) || copy.source->kind != SOURCE_TEXT) return false;
  if (bf_onx_channel_dim(&copy.layout) != (int)axis) return bf_onx_op_tail(l);
  const struct bf_onx_text *in = copy.source->in[0];
  uint64_t shape[4];
  memcpy(shape, in->shape, sizeof shape);
  uint64_t n = shape[in->rank - 1];
  if (n != copy.layout.shape.dims[axis] || n > 65536) return bf_onx_op_tail(l);
  shape[in->rank - 1] = 1;
  struct bf_onx_text *y = bf_onx_print_same(l, "best", "argmax", in->name, in, in->rank, shape);
  y->type = (struct bf_type){BF_TYPE_U, n > 256 ? 16 : 8};
  y->scale = 1;
  y->zero = 0;
  struct bf_onx_shape result = copy.layout.shape;
  result.dims[axis] = 1;
  if (!top && !bf_onx_int(l->node, "keepdims", 1)) result.rank--;
  struct bf_onx_value v = {0};
  bf_onx_layout_plain(&v.layout, &result);
  v.source = bf_onx_text_source(l, y, &v.layout);
  if (!top) {
    bf_onx_define(l, &v);
    return true;
  }
  // The values themselves are not computed.
  struct bf_onx_value *values = bf_onx_output(l, 0), *index = l->node->n_output > 1 ? bf_onx_output(l, 1) : NULL;
  values->known = true;
  values->left_out = "TopK";
  values->base = x;
  if (!index) return true;
  const struct bf_onx_value name = *index;
  *index = v;
  index->name = name.name;
  index->uses = name.uses;
  index->reader = name.reader;
  index->known = true;
  return true;
}
