// SPDX-License-Identifier: Apache-2.0
// Convolutions and products with a matrix, in all their spellings.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

const char *bf_onx_layer_hint(struct bf_onx_lower *l, const struct bf_onx_const *w, const char *otherwise) {
  const char *name = w->name ? bf_onx_identifier(l, w->name) : NULL;
  if (!name && l->node->name) name = bf_onx_identifier(l, l->node->name);
  return name ? name : otherwise;
}

// A constant operand read with scale and zero point.
static const struct bf_onx_const *coded_const(struct bf_onx_lower *l, const struct bf_onx_const *c,
                                              const struct bf_onx_const *scale, const struct bf_onx_const *zero,
                                              unsigned axis) {
  struct bf_onx_const *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *c;
  uint64_t n = scale ? scale->count : 1;
  if (zero && zero->count > n) n = zero->count;
  if (!c->ints || (n > 1 && (axis >= c->shape.rank || n != c->shape.dims[axis])) ||
      (scale && scale->count != n && scale->count != 1) || (zero && zero->count != n && zero->count != 1)) {
    bf_onx_fail(l, NULL, "scales or zero points that do not fit the weights");
    return NULL;
  }
  double *s = bf_arena_alloc(&l->arena, n, sizeof *s);
  int64_t *z = bf_arena_alloc(&l->arena, n, sizeof *z);
  for (uint64_t i = 0; i < n; i++) {
    s[i] = scale ? bf_onx_real(scale, scale->count > 1 ? i : 0) : 1;
    z[i] = zero ? (int64_t)bf_onx_real(zero, zero->count > 1 ? i : 0) : 0;
    if (!(s[i] > 0) || !isfinite(s[i])) {
      bf_onx_fail(l, NULL, "a scale that is not a positive number");
      return NULL;
    }
  }
  out->scale = s;
  out->zero = z;
  out->nscale = n;
  out->axis = axis;
  bf_onx_int_type(c->type, &out->bits, &out->is_signed);
  return out;
}

// ---- convolutions

static bool conv(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_const *w,
                 const struct bf_onx_const *bias) {
  struct bf_onx_matrix *m = bf_arena_alloc(&l->arena, 1, sizeof *m);
  struct bf_onx_window win;
  int64_t kernel[2], before[4], group = bf_onx_int(l->node, "group", 1);
  double scale;
  memcpy(before, x->pad, sizeof before);
  memset(x->pad, 0, sizeof x->pad);
  if (!bf_onx_image(l, x, &scale)) return false;
  const struct bf_onx_text *in = x->source->in[0];
  unsigned rank = x->layout.shape.rank, spatial = rank - 2;
  if (w->shape.rank != rank)
    return bf_onx_fail(l, NULL, "weights of %u dimensions for an image of %u", w->shape.rank, rank);
  kernel[0] = spatial == 2 ? (int64_t)w->shape.dims[2] : 1;
  kernel[1] = (int64_t)w->shape.dims[rank - 1];
  if (group < 1 || w->shape.dims[1] * (uint64_t)group != in->shape[3] || w->shape.dims[0] % (uint64_t)group)
    return bf_onx_fail(l, NULL, "groups and weights that do not fit the %llu channels",
                       (unsigned long long)in->shape[3]);
  if (!bf_onx_window(l, spatial, in->shape, kernel, before, &win)) return false;
  const unsigned perm2[4] = {0, 2, 3, 1}, perm1[3] = {0, 2, 1};
  const struct bf_onx_const *turned = bf_onx_const_permute(l, w, spatial == 2 ? perm2 : perm1);
  if (!turned || !bf_onx_matrix(l, turned, m)) return false;
  bool depthwise = group > 1 && w->shape.dims[1] == 1;
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_CONV, depthwise ? "depthwise_conv2d" : "conv2d", m->out);
  struct bf_buf arguments = {0};
  s->in[0] = x->source->in[0];
  s->hint = bf_onx_layer_hint(l, w, "conv");
  s->matrix = m;
  s->weights_rank = 4;
  memcpy(s->weights_shape, (const uint64_t[]){m->out, (uint64_t)kernel[0], (uint64_t)kernel[1], w->shape.dims[1]},
         sizeof s->weights_shape);
  bf_onx_window_text(&arguments, &win, false);
  if (group > 1 && !depthwise) bf_buf_printf(&arguments, ", groups %lld", (long long)group);
  s->arguments = bf_arena_strdup(&l->arena, bf_buf_cstr(&arguments));
  bf_buf_free(&arguments);
  s->rank = 4;
  memcpy(s->shape, (const uint64_t[]){in->shape[0], win.out[0], win.out[1], m->out}, sizeof s->shape);
  struct bf_onx_value v = {.source = s};
  struct bf_onx_shape result = bf_onx_image_shape(rank, in->shape[0], m->out, win.out[0], win.out[1]);
  bf_onx_layout_image(&v.layout, &result);
  if (!bf_onx_set_range(l, s, m) || !bf_onx_finish_sum(l, &v, scale, m, bias, 1)) return false;
  bf_onx_define(l, &v);
  return true;
}

// ---- products with a matrix

// The weights' columns in the order in which the text lists the features.
static const struct bf_onx_const *order_columns(struct bf_onx_lower *l, const struct bf_onx_const *w,
                                                const struct bf_onx_layout *x, unsigned dim) {
  struct bf_onx_const view = *w;
  unsigned perm[BF_ONX_DIMS + 1] = {0}, n = 1, part_dim[BF_ONX_DIMS] = {0};
  view.shape.rank = 1;
  bool plain = true;
  for (unsigned p = 0; p < x->nparts; p++) {
    if (x->dim[p] != dim) continue;
    if (view.shape.rank == BF_ONX_DIMS) {
      bf_onx_fail(l, NULL, "features cut in too many parts");
      return NULL;
    }
    part_dim[p] = view.shape.rank;
    view.shape.dims[view.shape.rank++] = x->part[p];
  }
  for (unsigned i = 0; i < x->nparts; i++) {
    if (x->dim[x->order[i]] != dim) continue;
    perm[n] = part_dim[x->order[i]];
    plain &= perm[n] == n;
    n++;
  }
  if (w->nscale > 1 && w->axis != 0) {
    bf_onx_fail(l, "one scale, or one for each output channel, work", "weights are scaled along another dimension");
    return NULL;
  }
  return plain ? w : bf_onx_const_permute(l, &view, perm);
}

// Rows of features in the text: [rows, features], whatever order the features have.
static bool as_rows(struct bf_onx_lower *l, struct bf_onx_value *x, uint64_t *rows, uint64_t *features) {
  struct bf_onx_layout *lay = &x->layout;
  unsigned last = lay->shape.rank - 1, outer = 0;
  *features = lay->shape.dims[last];
  *rows = bf_onx_elements(&lay->shape) / *features;
  for (unsigned i = 0; i < lay->nparts; i++) outer += lay->dim[i] != last;
  bool good = true;
  for (unsigned i = 0; i < outer; i++) good &= lay->order[i] == i;
  struct bf_onx_layout want = *lay;
  const uint64_t shape[2] = {*rows, *features};
  if (!good) {
    bf_onx_layout_plain(&want, &lay->shape);
    return bf_onx_arrange(l, x, &want, 2, shape);
  }
  // The same order: only the shape of the text may have to change.
  const struct bf_onx_text *t = x->source->in[0];
  if (t->rank == 2 && t->shape[0] == *rows) return true;
  bool flat = t->shape[0] == *rows;
  const char *operands =
      flat ? t->name : bf_arena_format(&l->arena, "%s, shape [%s]", t->name, bf_onx_shape_text(&l->arena, 2, shape));
  x->source = bf_onx_text_source(
      l, bf_onx_print_same(l, flat ? "flat" : "rows", flat ? "flatten" : "reshape", operands, t, 2, shape), lay);
  return true;
}

// `w` is [outputs, features].
static bool dense(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_const *w,
                  const struct bf_onx_const *bias, double alpha, double beta, const char *otherwise) {
  struct bf_onx_matrix *m = bf_arena_alloc(&l->arena, 1, sizeof *m);
  uint64_t rows, features;
  double scale;
  if (!bf_onx_activation(l, x, &scale)) return false;
  if (!x->layout.shape.rank) return bf_onx_fail(l, NULL, "an operand without dimensions");
  if (!as_rows(l, x, &rows, &features)) return false;
  if (w->shape.rank != 2 || w->shape.dims[1] != features)
    return bf_onx_fail(l, NULL, "weights that do not fit %llu features", (unsigned long long)features);
  const struct bf_onx_const *ordered = order_columns(l, w, &x->layout, x->layout.shape.rank - 1);
  if (!ordered || !bf_onx_matrix(l, ordered, m)) return false;
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_DENSE, "dense", m->out);
  s->in[0] = x->source->in[0];
  s->hint = bf_onx_layer_hint(l, w, otherwise);
  s->matrix = m;
  s->weights_rank = 2;
  s->weights_shape[0] = m->out;
  s->weights_shape[1] = features;
  s->rank = 2;
  s->shape[0] = rows;
  s->shape[1] = m->out;
  struct bf_onx_value v = {.source = s};
  struct bf_onx_shape result = x->layout.shape;
  result.dims[result.rank - 1] = m->out;
  bf_onx_layout_plain(&v.layout, &result);
  if (!bf_onx_set_range(l, s, m) || !bf_onx_finish_sum(l, &v, scale * alpha, m, bias, beta)) return false;
  bf_onx_define(l, &v);
  return true;
}

// Products of [batch, rows, features] with a matrix of its own for each of the batch: a convolution of pixels, grouped.
static bool batched(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_const *w) {
  static const unsigned perm[3] = {0, 2, 1};
  struct bf_onx_matrix *m = bf_arena_alloc(&l->arena, 1, sizeof *m);
  struct bf_onx_layout want;
  const uint64_t *d = x->layout.shape.dims;
  double scale;
  if (x->layout.shape.rank != 3 || d[0] != w->shape.dims[0] || d[2] != w->shape.dims[1])
    return bf_onx_fail(l, "matrices of two dimensions work", "batches of matrices that do not fit");
  uint64_t batch = d[0], rows = d[1], features = d[2], n = w->shape.dims[2];
  if (w->nscale > 1) return bf_onx_fail(l, "one scale works", "batches of matrices with several scales");
  struct bf_onx_const *turned = (struct bf_onx_const *)bf_onx_const_permute(l, w, perm);
  if (!turned || !bf_onx_activation(l, x, &scale)) return false;
  turned->shape = (struct bf_onx_shape){.rank = 2, .dims = {batch * n, features}};
  // In the text: rows, then the features of all matrices.
  const uint64_t shape[4] = {1, 1, rows, batch * features};
  static const unsigned order[3] = {1, 0, 2};
  bf_onx_layout_plain(&want, &x->layout.shape);
  unsigned count = 0;
  for (unsigned i = 0; i < 3; i++)
    for (unsigned p = 0; p < want.nparts; p++)
      if (want.dim[p] == order[i]) want.order[count++] = (uint8_t)p;
  if (!bf_onx_arrange(l, x, &want, 4, shape) || !bf_onx_matrix(l, turned, m)) return false;
  struct bf_onx_source *s = bf_onx_source_new(l, SOURCE_CONV, "conv2d", m->out);
  s->in[0] = x->source->in[0];
  s->hint = bf_onx_layer_hint(l, w, "fc");
  s->matrix = m;
  s->weights_rank = s->rank = 4;
  memcpy(s->weights_shape, (const uint64_t[]){m->out, 1, 1, features}, sizeof s->weights_shape);
  memcpy(s->shape, (const uint64_t[]){1, 1, rows, m->out}, sizeof s->shape);
  if (batch > 1) s->arguments = bf_arena_format(&l->arena, ", groups %llu", (unsigned long long)batch);
  struct bf_onx_value v = {.source = s};
  struct bf_onx_shape result = {.rank = 3, .dims = {batch, rows, n}};
  bf_onx_layout_plain(&v.layout, &result);
  count = 0;
  for (unsigned i = 0; i < 3; i++)
    for (unsigned p = 0; p < v.layout.nparts; p++)
      if (v.layout.dim[p] == order[i]) v.layout.order[count++] = (uint8_t)p;
  if (!bf_onx_set_range(l, s, m) || !bf_onx_finish_sum(l, &v, scale, m, NULL, 1)) return false;
  bf_onx_define(l, &v);
  return true;
}

static const struct bf_onx_const *transposed(struct bf_onx_lower *l, const struct bf_onx_const *w) {
  static const unsigned perm[2] = {1, 0};
  if (w->shape.rank == 2) return bf_onx_const_permute(l, w, perm);
  bf_onx_fail(l, "weights of two dimensions work", "weights of %u dimensions", w->shape.rank);
  return NULL;
}

// x times w, which is [features, outputs], or several of them.
static bool product(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_const *w) {
  if (w->shape.rank == 3 && w->shape.dims[0] > 1) return batched(l, x, w);
  return (w = transposed(l, w)) && dense(l, x, w, NULL, 1, 1, "fc");
}

// ---- nodes

bool bf_onx_op_conv(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const struct bf_onx_const *w = x ? bf_onx_constant(l, 1) : NULL, *bias = NULL;
  if (!w) return false;
  if (bf_onx_input(l, 2) && !(bias = bf_onx_constant(l, 2))) return false;
  return conv(l, x->coded ? bf_onx_plain(l, x) : x, w, bias);
}

bool bf_onx_op_gemm(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const struct bf_onx_const *w = x ? bf_onx_constant(l, 1) : NULL, *bias = NULL;
  double alpha = bf_onx_float(l->node, "alpha", 1), beta = bf_onx_float(l->node, "beta", 1);
  if (!w) return false;
  if (bf_onx_input(l, 2) && !(bias = bf_onx_constant(l, 2))) return false;
  if (bf_onx_int(l->node, "transA", 0)) return bf_onx_fail(l, NULL, "a transposed first operand");
  if (!(alpha > 0) || !isfinite(alpha)) return bf_onx_fail(l, NULL, "an alpha of %g", alpha);
  if (!bf_onx_int(l->node, "transB", 0) && !(w = transposed(l, w))) return false;
  return dense(l, x->coded ? bf_onx_plain(l, x) : x, w, bias, alpha, beta, "fc");
}

bool bf_onx_op_matmul(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const struct bf_onx_const *w = x ? bf_onx_constant(l, 1) : NULL;
  return w && product(l, x->coded ? bf_onx_plain(l, x) : x, w);
}

// Appends the quantization of a QLinear operator's result.
static bool quantize_result(struct bf_onx_lower *l, double scale, const struct bf_onx_const *zero) {
  struct bf_onx_value *y = bf_onx_output(l, 0);
  double z = zero ? bf_onx_real(zero, 0) : 0, lo, hi;
  int32_t type = zero ? zero->type : BF_ONX_UINT8;
  if (!bf_onx_bounds(l, type, &lo, &hi)) return false;
  bf_onx_push_codes(l, y, scale, z, type, lo, hi);
  return true;
}

// Operands 0..7 of QLinearConv and QLinearMatMul: x, its scale and zero point, w, its scales and zero points, scale and
// zero point of the result.
static bool qlinear(struct bf_onx_lower *l, struct bf_onx_value **x, const struct bf_onx_const **w, unsigned axis,
                    double *y_scale, const struct bf_onx_const **y_zero) {
  double xs, xz;
  const struct bf_onx_const *c, *ws, *wz;
  if (!(*x = bf_onx_computed(l, 0)) || !bf_onx_scalar(l, 1, 1, &xs) || !bf_onx_scalar(l, 2, 0, &xz) ||
      !(c = bf_onx_constant(l, 3)) || !(ws = bf_onx_constant(l, 4)) || !(wz = bf_onx_constant(l, 5)) ||
      !bf_onx_scalar(l, 6, 1, y_scale) || !(*y_zero = bf_onx_constant(l, 7)))
    return false;
  if (!(xs > 0) || !(*y_scale > 0)) return bf_onx_fail(l, NULL, "a scale that is not a positive number");
  *x = bf_onx_center(l, *x, xs, xz);
  *w = coded_const(l, c, ws, wz, axis);
  return *w != NULL;
}

bool bf_onx_op_qlinearconv(struct bf_onx_lower *l) {
  struct bf_onx_value *x;
  const struct bf_onx_const *w = NULL, *y_zero, *bias = NULL;
  double y_scale, xs;
  if (!qlinear(l, &x, &w, 0, &y_scale, &y_zero)) return false;
  if (bf_onx_input(l, 8)) {
    // The bias counts in units of the sums.
    const struct bf_onx_const *b = bf_onx_constant(l, 8);
    uint64_t n = w->nscale > 1 ? w->nscale : 1;
    if (!b || !bf_onx_scalar(l, 1, 1, &xs)) return false;
    struct bf_onx_const scales = {.count = n, .shape = {.rank = 1, .dims = {n}}};
    double *s = bf_arena_alloc(&l->arena, n, sizeof *s);
    for (uint64_t i = 0; i < n; i++) s[i] = xs * w->scale[i];
    scales.real = s;
    if (!(bias = coded_const(l, b, &scales, NULL, 0))) return false;
  }
  return conv(l, x, w, bias) && quantize_result(l, y_scale, y_zero);
}

bool bf_onx_op_qlinearmatmul(struct bf_onx_lower *l) {
  struct bf_onx_value *x;
  const struct bf_onx_const *w = NULL, *y_zero;
  double y_scale;
  return qlinear(l, &x, &w, 1, &y_scale, &y_zero) && product(l, x, w) && quantize_result(l, y_scale, y_zero);
}

// Operands x, w, zero point of x, zero points of w.
static bool integer_operands(struct bf_onx_lower *l, unsigned axis, struct bf_onx_value **x,
                             const struct bf_onx_const **w) {
  double xz;
  const struct bf_onx_const *c, *wz = NULL;
  if (!(*x = bf_onx_computed(l, 0)) || !(c = bf_onx_constant(l, 1)) || !bf_onx_scalar(l, 2, 0, &xz)) return false;
  if (bf_onx_input(l, 3) && !(wz = bf_onx_constant(l, 3))) return false;
  *x = bf_onx_center(l, *x, 1, xz);
  *w = coded_const(l, c, NULL, wz, axis);
  return *w != NULL;
}

bool bf_onx_op_convinteger(struct bf_onx_lower *l) {
  struct bf_onx_value *x;
  const struct bf_onx_const *w = NULL;
  return integer_operands(l, 0, &x, &w) && conv(l, x, w, NULL);
}

bool bf_onx_op_matmulinteger(struct bf_onx_lower *l) {
  struct bf_onx_value *x;
  const struct bf_onx_const *w = NULL;
  return integer_operands(l, 1, &x, &w) && product(l, x, w);
}
