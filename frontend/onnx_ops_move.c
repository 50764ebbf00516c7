// SPDX-License-Identifier: Apache-2.0
// What moves elements, passes them on, or is left out.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

static bool with_layout(struct bf_onx_lower *l, struct bf_onx_value *x, const struct bf_onx_shape *to) {
  struct bf_onx_value v;
  if (!bf_onx_pad(l, x)) return false;
  v = *x;
  if (!bf_onx_layout_reshape(&v.layout, to))
    return bf_onx_fail(l, NULL, "a reshape that cuts dimensions into too many parts");
  bf_onx_define(l, &v);
  return true;
}

bool bf_onx_op_reshape(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const char *op = l->node->op_type;
  int64_t axes[BF_ONX_DIMS];
  size_t count = 0;
  if (!x || !bf_onx_pad(l, x)) return false;
  const struct bf_onx_shape *from = &x->layout.shape;
  struct bf_onx_shape to = {0};
  if (strcmp(op, "Reshape") == 0) {
    if (!bf_onx_target_shape(l, from, &to)) return false;
  } else if (strcmp(op, "Flatten") == 0) {
    int64_t axis = bf_onx_int(l->node, "axis", 1);
    if (axis < 0) axis += from->rank;
    to = (struct bf_onx_shape){.rank = 2, .dims = {1, 1}};
    for (unsigned d = 0; d < from->rank; d++) to.dims[(int64_t)d >= axis] *= from->dims[d];
  } else {
    bool squeeze = strcmp(op, "Squeeze") == 0, given = bf_onx_list(l, "axes", 1, BF_ONX_DIMS, axes, &count);
    if (!squeeze && (!given || from->rank + count > BF_ONX_DIMS))
      return bf_onx_fail(l, NULL, "`axes` that are missing or too many");
    unsigned rank = squeeze ? from->rank : from->rank + (unsigned)count, next = 0;
    for (unsigned d = 0; d < rank; d++) {
      bool named = squeeze && !given && from->dims[d] == 1;
      for (size_t k = 0; k < count; k++) named |= axes[k] == (int64_t)d || axes[k] == (int64_t)d - (int64_t)rank;
      if (squeeze && !named) to.dims[to.rank++] = from->dims[d];
      if (!squeeze) to.dims[to.rank++] = named || next == from->rank ? 1 : from->dims[next++];
    }
  }
  return with_layout(l, x, &to);
}

bool bf_onx_op_transpose(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  int64_t list[BF_ONX_DIMS];
  unsigned perm[BF_ONX_DIMS], seen = 0;
  if (!x || !bf_onx_pad(l, x)) return false;
  unsigned rank = x->layout.shape.rank;
  bool given = bf_onx_ints(l->node, "perm", rank, list);
  for (unsigned d = 0; d < rank; d++) {
    int64_t p = given ? list[d] : (int64_t)(rank - 1 - d);
    if (p < 0 || p >= (int64_t)rank || seen >> p & 1) return bf_onx_fail(l, NULL, "`perm` is no permutation");
    seen |= 1u << p;
    perm[d] = (unsigned)p;
  }
  struct bf_onx_value v = *x;
  bf_onx_layout_transpose(&v.layout, perm);
  bf_onx_define(l, &v);
  return true;
}

// The axis of the text's image [n, y, x, c] or list [n, f] for one of the model.
static int text_axis(const struct bf_onx_layout *layout, int64_t axis) {
  if (layout->shape.rank == 4) return (const int[]){0, 3, 1, 2}[axis];
  if (layout->shape.rank == 3) return (const int[]){0, 3, 2}[axis];
  return layout->shape.rank == 2 ? (int)axis : -1;
}

// The text's order for a shape of the model: an image [n, y, x, c] of 3 or 4 dimensions, else as it is.
static void text_layout(struct bf_onx_layout *layout, const struct bf_onx_shape *shape) {
  if (shape->rank > 2) bf_onx_layout_image(layout, shape);
  else bf_onx_layout_plain(layout, shape);
}

// Brings the value into that order; rank and shape are those of the text.
static bool arrange_as_text(struct bf_onx_lower *l, struct bf_onx_value *v, unsigned *rank, uint64_t shape[4]) {
  struct bf_onx_layout want;
  text_layout(&want, &v->layout.shape);
  bf_onx_layout_text(&want, rank, shape);
  return bf_onx_arrange(l, v, &want, *rank, shape);
}

// The node's result: `v` with another text, of that shape.
static void define_text(struct bf_onx_lower *l, struct bf_onx_value *v, struct bf_onx_text *text, const struct bf_onx_shape *shape) {
  text_layout(&v->layout, shape);
  v->source = bf_onx_text_source(l, text, &v->layout);
  bf_onx_define(l, v);
}

// Zeros around any dimension, as a layer of its own.
static bool pad_layer(struct bf_onx_lower *l, struct bf_onx_value *x, const int64_t *pads) {
  struct bf_onx_value v = *x;
  unsigned rank = x->layout.shape.rank, text_rank;
  uint64_t shape[4];
  double scale;
  if (rank < 2 || rank > 4) return bf_onx_fail(l, "2 to 4 dimensions work", "padding of %u dimensions", rank);
  if (!bf_onx_activation(l, &v, &scale)) return false;
  struct bf_onx_shape padded = v.layout.shape;
  if (!arrange_as_text(l, &v, &text_rank, shape)) return false;
  int64_t list[4][2] = {{0}};
  for (unsigned d = 0; d < rank; d++) {
    int axis = text_axis(&v.layout, d);
    list[axis][0] = pads[d];
    list[axis][1] = pads[rank + d];
    padded.dims[d] += (uint64_t)(pads[d] + pads[rank + d]);
    shape[axis] = padded.dims[d];
  }
  struct bf_buf operands = {0};
  const struct bf_onx_text *t = v.source->in[0];
  bf_buf_printf(&operands, "%s, pads [", t->name);
  for (unsigned d = 0; d < text_rank; d++)
    bf_buf_printf(&operands, "%s[%lld, %lld]", d ? ", " : "", (long long)list[d][0], (long long)list[d][1]);
  bf_buf_puts(&operands, "]");
  struct bf_onx_text *y = bf_onx_print_same(l, "padded", "pad", bf_buf_cstr(&operands), t, text_rank, shape);
  bf_buf_free(&operands);
  define_text(l, &v, y, &padded);
  return true;
}

bool bf_onx_op_pad(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  int64_t pads[2 * BF_ONX_DIMS];
  size_t count;
  double value = bf_onx_float(l->node, "value", 0);
  const BfOnnx__Attribute *a = bf_onx_attribute(l->node, "pads");
  if (!x) return false;
  unsigned rank = x->layout.shape.rank;
  if (a && a->n_ints == 2 * rank) memcpy(pads, a->ints, 2 * rank * sizeof *pads);
  else if (!bf_onx_list(l, "", 1, 2 * BF_ONX_DIMS, pads, &count) || count != 2 * rank)
    return bf_onx_fail(l, "constant pads work", "pads that are no constants or do not fit the operand");
  if (!bf_onx_scalar(l, 2, value, &value)) return false;
  if (bf_onx_attribute(l->node, "mode") && !bf_onx_string_is(l->node, "mode", "constant"))
    return bf_onx_fail(l, "constant padding works", "padding of another mode");
  bool none = true, others = false, image = rank == 3 || rank == 4;
  for (unsigned d = 0; d < rank; d++) {
    bool spatial = d >= 2 && image;
    int64_t before = pads[d], after = pads[rank + d];
    none &= !before && !after;
    others |= !spatial && (before || after);
    if (before < 0 || after < 0 || before > 65535 || after > 65535 || (d == 0 && (before || after)))
      return bf_onx_fail(l, NULL, "padding of the batch, or negative");
  }
  if (none) return bf_onx_op_identity(l);
  if (value != 0 || x->coded)
    return bf_onx_fail(l, "padding with 0 before DequantizeLinear's result works", "padding with %g", value);
  if (others) return pad_layer(l, x, pads);
  double zero_of = bf_onx_apply(x->steps, x->nsteps, 0, 0);
  struct bf_onx_value v = *x;
  // Zero must be among the numbers: steps that shift are done first.
  if (zero_of != 0 && !bf_onx_settle(l, &v)) return false;
  unsigned first = rank - 2 == 2 ? 2 : 1;
  for (unsigned i = 0; i < 2; i++) {
    unsigned d = first + i;
    if (rank == 3 && i == 0) continue;
    v.pad[2 * i] += pads[d];
    v.pad[2 * i + 1] += pads[rank + d];
  }
  bf_onx_define(l, &v);
  return true;
}

// Channels become blocks of pixels: a reshape, a transposition and a reshape.
bool bf_onx_op_depth_to_space(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  int64_t block = bf_onx_int(l->node, "blocksize", 0);
  bool columns = bf_onx_string_is(l->node, "mode", "CRD");
  if (!x || !bf_onx_pad(l, x)) return false;
  const uint64_t *d = x->layout.shape.dims, b = (uint64_t)block;
  if (x->layout.shape.rank != 4 || block < 1 || block > 64 || d[1] % (b * b))
    return bf_onx_fail(l, NULL, "a block size of %lld, or no image", (long long)block);
  uint64_t c = d[1] / (b * b);
  struct bf_onx_shape cut = {.rank = 6, .dims = {d[0], b, b, c, d[2], d[3]}},
                      out = {.rank = 4, .dims = {d[0], c, d[2] * b, d[3] * b}};
  if (columns) memcpy(cut.dims, (const uint64_t[]){d[0], c, b, b, d[2], d[3]}, 6 * sizeof *cut.dims);
  static const unsigned perm[2][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}};
  struct bf_onx_value v = *x;
  if (bf_onx_elements(&out) > BF_MAX_ELEMENTS || !bf_onx_layout_reshape(&v.layout, &cut))
    return bf_onx_fail(l, NULL, "channels cut already");
  bf_onx_layout_transpose(&v.layout, perm[columns]);
  if (!bf_onx_layout_reshape(&v.layout, &out)) return bf_onx_fail(l, NULL, "channels cut already");
  bf_onx_define(l, &v);
  return true;
}

bool bf_onx_op_identity(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  if (!x) return false;
  bf_onx_define(l, x);
  return true;
}

// One scale for all operands, where scales are assumed anyway.
static bool unify(struct bf_onx_lower *l, struct bf_onx_value **values, size_t n) {
  double scale = 0, s;
  bool is_signed = false;
  unsigned bits = l->options->assume_a;
  for (size_t i = 0; i < n; i++) {
    if (!bf_onx_settle(l, values[i]) || !bf_onx_scale(l, values[i], &s)) return false;
    if (s > scale) scale = s;
    is_signed |= values[i]->source->in[0]->type.kind != BF_TYPE_U;
  }
  for (size_t i = 0; i < n; i++) {
    struct bf_onx_value *v = bf_arena_alloc(&l->arena, 1, sizeof *v);
    *v = *values[i];
    bf_onx_push_scalar(l, v, STEP_DIV, scale);
    bf_onx_push(l, v, (struct bf_onx_step){.kind = STEP_ROUND});
    bf_onx_push_clip(l, v, is_signed ? -ldexp(1, (int)bits - 1) : 0, ldexp(1, (int)bits - is_signed) - 1);
    bf_onx_push_scalar(l, v, STEP_MUL, scale);
    values[i] = v;
  }
  return true;
}

static bool types_agree(struct bf_onx_value **values, size_t n) {
  const struct bf_onx_text *first = values[0]->source->in[0];
  for (size_t i = 1; i < n; i++) {
    const struct bf_onx_text *t = values[i]->source->in[0];
    if (!bf_type_equal(first->type, t->type) || (float)first->scale != (float)t->scale || first->zero != t->zero)
      return false;
  }
  return true;
}

// The same meaning in the widest of their types.
static bool widen(struct bf_onx_lower *l, struct bf_onx_value **values, size_t n) {
  int64_t lo = 0, hi = 0;
  for (size_t i = 0; i < n; i++) {
    const struct bf_onx_text *t = values[i]->source->in[0];
    if (t->zero || (float)t->scale != (float)values[0]->source->in[0]->scale)
      return bf_onx_fail(l, "quantize them alike before it", "operands of different scales or zero points");
    if (bf_type_min(t->type) < lo) lo = bf_type_min(t->type);
    if (bf_type_max(t->type) > hi) hi = bf_type_max(t->type);
  }
  unsigned bits = 1;
  while (lo < 0 ? lo < -((int64_t)1 << (bits - 1)) || hi >= (int64_t)1 << (bits - 1) : hi >> bits) bits++;
  struct bf_type type = {lo < 0 ? BF_TYPE_S : BF_TYPE_U, bits};
  for (size_t i = 0; i < n; i++) {
    const struct bf_onx_text *t = values[i]->source->in[0];
    if (bf_type_equal(t->type, type)) continue;
    struct bf_onx_requant rq = {.mode = BF_REQUANT_NONE, .lo = bf_type_min(type), .hi = bf_type_max(type)};
    struct bf_onx_value *v = bf_arena_alloc(&l->arena, 1, sizeof *v);
    *v = *values[i];
    v->source->hint = "wide";
    v->source = bf_onx_text_source(l, bf_onx_print_layer(l, v->source, type, t->scale, 0, &rq), &v->layout);
    values[i] = v;
  }
  return true;
}

// A QuantizeLinear that alone reads the result may as well come before: operands of different scales then have one.
static bool quantize_before(struct bf_onx_lower *l, struct bf_onx_value **values, size_t n) {
  const struct bf_onx_value *y = bf_onx_output(l, 0);
  const BfOnnx__Node *q = y->uses == 1 ? y->reader : NULL, *node = l->node;
  double scale, zero, lo, hi;
  if (!q || !q->op_type || strcmp(q->op_type, "QuantizeLinear") != 0) return true;
  l->node = q;
  const struct bf_onx_value *s = bf_onx_input(l, 1), *z = bf_onx_input(l, 2);
  bool known = s && s->constant && z && z->constant;
  bool ok = !known || (bf_onx_scalar(l, 1, 1, &scale) && bf_onx_scalar(l, 2, 0, &zero) &&
                       bf_onx_bounds(l, z->constant->type, &lo, &hi) && scale > 0 && isfinite(scale));
  l->node = node;
  for (size_t i = 0; ok && known && i < n; i++) {
    values[i] = bf_onx_plain(l, values[i]);
    bf_onx_push_codes(l, values[i], scale, zero, z->constant->type, lo, hi);
    values[i]->coded = false;  // its value, as before
  }
  return ok;
}

static bool same_meaning(struct bf_onx_value *const *values, size_t n) {
  for (size_t i = 1; i < n; i++) {
    double scale[2], offset[2];
    const struct bf_onx_value *a = values[0], *b = values[i];
    if (!bf_onx_affine(a->steps, a->nsteps, &scale[0], &offset[0]) ||
        !bf_onx_affine(b->steps, b->nsteps, &scale[1], &offset[1]) || (float)scale[0] != (float)scale[1] ||
        a->source->kind != SOURCE_TEXT || b->source->kind != SOURCE_TEXT ||
        offset[0] - scale[0] * (double)a->source->in[0]->zero != offset[1] - scale[1] * (double)b->source->in[0]->zero)
      return false;
  }
  return true;
}

bool bf_onx_op_concat(struct bf_onx_lower *l) {
  size_t n = l->node->n_input;
  struct bf_onx_value **values = bf_arena_alloc(&l->arena, n + 1, sizeof *values);
  int64_t axis = bf_onx_int(l->node, "axis", 1);
  double scale;
  if (!n) return bf_onx_fail(l, NULL, "no operands");
  for (size_t i = 0; i < n; i++)
    if (!(values[i] = bf_onx_computed(l, i))) return false;
  unsigned rank = values[0]->layout.shape.rank, text_rank;
  bool coded = values[0]->coded;
  for (size_t i = 0; i < n; i++) {
    bool alike =
        values[i]->coded == coded &&
        (!coded || (values[i]->code_scale == values[0]->code_scale && values[i]->code_zero == values[0]->code_zero));
    if (!alike) return bf_onx_fail(l, "quantize them alike before it", "operands of different codes");
    if (values[i]->layout.shape.rank != rank)
      return bf_onx_fail(l, NULL, "operands of different numbers of dimensions");
  }
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= (int64_t)rank || rank < 2 || rank > 4)
    return bf_onx_fail(l, "2 to 4 dimensions work", "axis %lld of %u dimensions", (long long)axis, rank);
  if (axis == 0) return bf_onx_fail(l, "joining along other dimensions works", "operands joined along the batch");
  if (!coded && !same_meaning(values, n) && !quantize_before(l, values, n)) return false;
  if (l->options->assume_a && !coded && !unify(l, values, n)) return false;
  for (size_t i = 0; i < n; i++)
    if (!bf_onx_activation(l, values[i], &scale) || !bf_onx_say_scale(l, values[i])) return false;
  if (!types_agree(values, n) && !widen(l, values, n)) return false;
  struct bf_buf operands = {0};
  struct bf_onx_shape shape = values[0]->layout.shape;
  shape.dims[axis] = 0;
  bool good = true;
  for (size_t i = 0; good && i < n; i++) {
    uint64_t text_shape[4];
    good = arrange_as_text(l, values[i], &text_rank, text_shape);
    if (!good) break;
    bf_buf_printf(&operands, "%s%s", i ? ", " : "", values[i]->source->in[0]->name);
    for (unsigned d = 0; d < rank; d++)
      if ((int64_t)d != axis && values[i]->layout.shape.dims[d] != shape.dims[d])
        good = bf_onx_fail(l, NULL, "operands that do not fit together");
    shape.dims[axis] += values[i]->layout.shape.dims[axis];
  }
  if (good && bf_onx_elements(&shape) > BF_MAX_ELEMENTS) good = bf_onx_fail(l, NULL, "a result that is too large");
  if (good) {
    struct bf_onx_value v = *values[0];
    uint64_t text_shape[4];
    text_layout(&v.layout, &shape);
    bf_onx_layout_text(&v.layout, &text_rank, text_shape);
    bf_buf_printf(&operands, ", axis %d", text_axis(&v.layout, axis));
    struct bf_onx_text *y =
        bf_onx_print_same(l, "cat", "concat", bf_buf_cstr(&operands), values[0]->source->in[0], text_rank, text_shape);
    define_text(l, &v, y, &shape);
  }
  bf_buf_free(&operands);
  return good;
}

bool bf_onx_op_slice(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  int64_t starts[BF_ONX_DIMS], ends[BF_ONX_DIMS], axes[BF_ONX_DIMS], steps[BF_ONX_DIMS],
      begin[4] = {0}, step[4] = {1, 1, 1, 1}, count[4];
  size_t n, m;
  double scale;
  if (!x) return false;
  unsigned rank = x->layout.shape.rank, text_rank;
  bool ok = bf_onx_list(l, "starts", 1, BF_ONX_DIMS, starts, &n) && bf_onx_list(l, "ends", 2, BF_ONX_DIMS, ends, &m) &&
            m == n;
  if (ok && !bf_onx_list(l, "axes", 3, BF_ONX_DIMS, axes, &m))
    for (size_t i = 0; i < (m = n); i++) axes[i] = (int64_t)i;
  ok = ok && m == n;
  if (ok && !bf_onx_list(l, "steps", 4, BF_ONX_DIMS, steps, &m))
    for (size_t i = 0; i < (m = n); i++) steps[i] = 1;
  if (!ok || m != n || rank < 2 || rank > 4)
    return bf_onx_fail(l, "constant bounds and 2 to 4 dimensions work", "a slice of this kind");
  if (!bf_onx_activation(l, x, &scale)) return false;
  struct bf_onx_value v = *x;
  uint64_t shape[4];
  if (!arrange_as_text(l, &v, &text_rank, shape)) return false;
  for (unsigned d = 0; d < text_rank; d++) count[d] = (int64_t)shape[d];
  struct bf_onx_shape result = x->layout.shape;
  for (size_t i = 0; i < n; i++) {
    if (axes[i] < 0) axes[i] += rank;
    if (axes[i] < 0 || axes[i] >= (int64_t)rank || steps[i] <= 0 || steps[i] > 65535)
      return bf_onx_fail(l, "positive steps work", "axis %lld or step %lld", (long long)axes[i], (long long)steps[i]);
    int64_t size = (int64_t)x->layout.shape.dims[axes[i]], from = starts[i] < 0 ? starts[i] + size : starts[i];
    int64_t to = ends[i] < 0 && ends[i] >= -size ? ends[i] + size : ends[i];
    if (from < 0) from = 0;
    if (to > size) to = size;
    if (from >= to) return bf_onx_fail(l, NULL, "an empty slice");
    int d = text_axis(&v.layout, axes[i]);
    begin[d] = from;
    step[d] = steps[i];
    count[d] = (to - from - 1) / steps[i] + 1;
    result.dims[axes[i]] = (uint64_t)count[d];
  }
  const char *lists[3];
  for (int k = 0; k < 3; k++) {
    const int64_t *list = k == 0 ? begin : k == 1 ? count : step;
    lists[k] = text_rank == 4 ? bf_arena_format(&l->arena, "[%lld, %lld, %lld, %lld]", (long long)list[0],
                                                (long long)list[1], (long long)list[2], (long long)list[3])
                              : bf_arena_format(&l->arena, "[%lld, %lld]", (long long)list[0], (long long)list[1]);
  }
  const struct bf_onx_text *t = v.source->in[0];
  for (unsigned d = 0; d < text_rank; d++) shape[d] = (uint64_t)count[d];
  struct bf_onx_text *y = bf_onx_print_same(
      l, "part", "slice",
      bf_arena_format(&l->arena, "%s, begin %s, count %s, step %s", t->name, lists[0], lists[1], lists[2]), t,
      text_rank, shape);
  define_text(l, &v, y, &result);
  return true;
}

// The shape of anything is a constant.
bool bf_onx_op_shape(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_input(l, 0), *y = bf_onx_output(l, 0);
  if (!x || !x->known || x->left_out) return bf_onx_fail(l, NULL, "the shape of an unknown value");
  struct bf_onx_shape shape = x->constant ? x->constant->shape : x->layout.shape,
                      list = {.rank = 1, .dims = {shape.rank}};
  for (unsigned d = 2; d < shape.rank && d < 4 && !x->constant; d++) {
    unsigned at = shape.rank == 4 ? 2 * (d - 2) : 2;
    shape.dims[d] += (uint64_t)(x->pad[at] + x->pad[at + 1]);
  }
  struct bf_onx_const *c = bf_onx_const_new(l, BF_ONX_INT64, &list, shape.rank);
  if (!c) return false;
  for (unsigned d = 0; d < shape.rank; d++) ((int64_t *)c->ints)[d] = (int64_t)shape.dims[d];
  y->constant = c;
  y->known = true;
  return true;
}

// An operator behind the last layer: its result is not computed, and its operand becomes the output.
bool bf_onx_op_tail(struct bf_onx_lower *l) {
  struct bf_onx_value *x = NULL;
  for (size_t i = 0; !x && i < l->node->n_input; i++) {
    struct bf_onx_value *v = bf_onx_input(l, i);
    if (v && v->known && !v->constant) x = v;
  }
  if (!x) return bf_onx_fail(l, NULL, "this operator is not supported");
  for (size_t i = 0; i < l->node->n_output; i++) {
    if (!*l->node->output[i]) continue;
    struct bf_onx_value *y = bf_onx_output(l, i);
    y->known = true;
    y->left_out = bf_arena_strdup(&l->arena, l->node->op_type);
    y->base = x->left_out ? x->base : x;
  }
  bf_onx_leave_out(l, "the network ends with its operand");
  return true;
}

// An operator without a place in the text that changes little: passed over where widths are assumed anyway.
bool bf_onx_op_passed(struct bf_onx_lower *l) {
  if (!l->options->assume_a) return bf_onx_fail(l, NULL, "this operator is not supported");
  bf_onx_leave_out(l, "its operand is passed on as it is, so that only costs are meaningful");
  return bf_onx_op_identity(l);
}
