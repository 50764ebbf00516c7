// SPDX-License-Identifier: Apache-2.0
// Constants, and nodes that compute constants from constants: weights that are transposed or dequantized, shapes that
// are put together, scalars that are calculated.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

struct bf_onx_const *bf_onx_const_new(struct bf_onx_lower *l, int32_t type, const struct bf_onx_shape *shape,
                                      uint64_t held) {
  struct bf_onx_const *c = bf_arena_alloc(&l->arena, 1, sizeof *c);
  c->type = type;
  c->shape = *shape;
  c->count = bf_onx_elements(shape);
  c->uniform = held == 1 && c->count != 1;
  if (held > l->budget) {
    bf_onx_fail(l, NULL, "the constants together are many times the size of the file");
    return NULL;
  }
  l->budget -= held;
  if (type == BF_ONX_FLOAT || type == BF_ONX_DOUBLE || type == BF_ONX_FLOAT16)
    c->real = bf_arena_alloc(&l->arena, held + 1, sizeof *c->real);
  else c->ints = bf_arena_alloc(&l->arena, held + 1, sizeof *c->ints);
  return c;
}

static uint64_t held(const struct bf_onx_const *c) { return c->uniform ? 1 : c->count; }

// Index along the quantization axis of element i.
static uint64_t scale_index(const struct bf_onx_const *c, uint64_t i) {
  uint64_t inner = 1;
  if (c->nscale <= 1) return 0;
  for (unsigned d = c->axis + 1; d < c->shape.rank; d++) inner *= c->shape.dims[d];
  return i / inner % c->shape.dims[c->axis];
}

double bf_onx_real(const struct bf_onx_const *c, uint64_t i) {
  uint64_t at = c->uniform ? 0 : i, k = scale_index(c, i);
  if (c->real) return c->real[at];
  if (!c->scale) return (double)c->ints[at];
  return c->scale[k] * (double)(c->ints[at] - c->zero[k]);
}

static void copy_element(struct bf_onx_const *to, uint64_t i, const struct bf_onx_const *from, uint64_t k) {
  if (from->uniform) k = 0;
  if (to->real) ((double *)to->real)[i] = from->real ? from->real[k] : bf_onx_real(from, k);
  else ((int64_t *)to->ints)[i] = from->real ? (int64_t)from->real[k] : from->ints[k];
}

static void copy_quantization(struct bf_onx_const *to, const struct bf_onx_const *from, unsigned axis) {
  to->name = from->name;
  to->scale = from->scale;
  to->zero = from->zero;
  to->nscale = from->nscale;
  to->axis = axis;
  to->bits = from->bits;
  to->is_signed = from->is_signed;
}

// The integers of a quantized constant have no type of their own in a result that keeps them.
static int32_t kept_type(const struct bf_onx_const *c) { return c->real ? c->type : c->scale ? BF_ONX_INT64 : c->type; }

static void row_strides(const struct bf_onx_shape *shape, uint64_t *stride) {
  uint64_t s = 1;
  for (unsigned d = shape->rank; d-- > 0;) {
    stride[d] = s;
    s *= shape->dims[d];
  }
}

const struct bf_onx_const *bf_onx_const_permute(struct bf_onx_lower *l, const struct bf_onx_const *c,
                                                const unsigned *perm) {
  struct bf_onx_shape shape = {.rank = c->shape.rank};
  uint64_t stride[BF_ONX_DIMS], at[BF_ONX_DIMS] = {0}, from = 0;
  unsigned axis = 0;
  row_strides(&c->shape, stride);
  for (unsigned d = 0; d < shape.rank; d++) {
    shape.dims[d] = c->shape.dims[perm[d]];
    if (perm[d] == c->axis) axis = d;
  }
  struct bf_onx_const *out = bf_onx_const_new(l, kept_type(c), &shape, held(c));
  if (!out) return NULL;
  copy_quantization(out, c, axis);
  for (uint64_t i = 0; i < held(out); i++) {
    copy_element(out, i, c, from);
    for (unsigned d = shape.rank; d-- > 0;) {
      from += stride[perm[d]];
      if (++at[d] < shape.dims[d]) break;
      from -= stride[perm[d]] * shape.dims[d];
      at[d] = 0;
    }
  }
  return out;
}

// The same elements in another shape.
static struct bf_onx_const *reshaped(struct bf_onx_lower *l, const struct bf_onx_const *c,
                                     const struct bf_onx_shape *shape) {
  if (bf_onx_elements(shape) != c->count) {
    bf_onx_fail(l, NULL, "a constant reshaped to another number of elements");
    return NULL;
  }
  struct bf_onx_const *out = bf_arena_alloc(&l->arena, 1, sizeof *out);
  *out = *c;
  out->shape = *shape;
  if (c->nscale <= 1) return out;
  // The axis survives where it has the same size and the same number of elements behind it.
  uint64_t inner = 1, before = 1;
  for (unsigned d = c->axis + 1; d < c->shape.rank; d++) inner *= c->shape.dims[d];
  for (unsigned d = shape->rank; d-- > 0; before *= shape->dims[d])
    if (before == inner && shape->dims[d] == c->nscale) {
      out->axis = d;
      return out;
    }
  bf_onx_fail(l, NULL, "weights with a scale per channel reshaped across channels");
  return NULL;
}

bool bf_onx_list(struct bf_onx_lower *l, const char *name, size_t i, size_t limit, int64_t *out, size_t *count) {
  const BfOnnx__Attribute *a = bf_onx_attribute(l->node, name);
  const struct bf_onx_value *v = bf_onx_input(l, i);
  if (a && a->n_ints && a->n_ints <= limit) {
    *count = a->n_ints;
    memcpy(out, a->ints, a->n_ints * sizeof *out);
    return true;
  }
  if (!v || !v->constant || v->constant->real || v->constant->count > limit) return false;
  *count = v->constant->count;
  for (size_t k = 0; k < *count; k++) out[k] = v->constant->ints[v->constant->uniform ? 0 : k];
  return true;
}

bool bf_onx_target_shape(struct bf_onx_lower *l, const struct bf_onx_shape *from, struct bf_onx_shape *to) {
  int64_t want[BF_ONX_DIMS];
  size_t count;
  uint64_t all = bf_onx_elements(from), known = 1;
  int open = -1;
  if (!bf_onx_list(l, "shape", 1, BF_ONX_DIMS, want, &count))
    return bf_onx_fail(l, NULL, "the new shape is not a constant");
  to->rank = (unsigned)count;
  for (unsigned d = 0; d < to->rank; d++) {
    bool keeps = want[d] == 0 && d < from->rank && !bf_onx_int(l->node, "allowzero", 0);
    int64_t size = keeps ? (int64_t)from->dims[d] : want[d];
    if (size == -1 && open < 0) open = (int)d;
    else if (size <= 0 || !bf_mul_limit(known, (uint64_t)size, BF_MAX_ELEMENTS, &known))
      return bf_onx_fail(l, NULL, "the new shape has a dimension of %lld", (long long)size);
    to->dims[d] = size > 0 ? (uint64_t)size : 1;
  }
  if (open >= 0) to->dims[open] = all / known;
  if (bf_onx_elements(to) == all) return true;
  return bf_onx_fail(l, NULL, "the new shape has another number of elements");
}

// ---- folding

static struct bf_onx_const *fold_constant(struct bf_onx_lower *l) {
  const BfOnnx__Attribute *a = bf_onx_attribute(l->node, "value");
  struct bf_onx_const *c = bf_arena_alloc(&l->arena, 1, sizeof *c);
  struct bf_onx_shape one = {0};
  const char *why;
  if (a && a->t) {
    if (bf_onx_decode(l, a->t, c, &why)) return c;
    bf_onx_fail(l, NULL, "its value cannot be read: %s", why);
    return NULL;
  }
  if ((a = bf_onx_attribute(l->node, "value_float")) && (c = bf_onx_const_new(l, BF_ONX_FLOAT, &one, 1))) {
    ((double *)c->real)[0] = (double)a->f;
    return c;
  }
  if ((a = bf_onx_attribute(l->node, "value_int")) && (c = bf_onx_const_new(l, BF_ONX_INT64, &one, 1))) {
    ((int64_t *)c->ints)[0] = a->i;
    return c;
  }
  if ((a = bf_onx_attribute(l->node, "value_ints"))) {
    one = (struct bf_onx_shape){.rank = 1, .dims = {a->n_ints}};
    if (!(c = bf_onx_const_new(l, BF_ONX_INT64, &one, a->n_ints))) return NULL;
    if (a->n_ints) memcpy((int64_t *)c->ints, a->ints, a->n_ints * sizeof *a->ints);
    return c;
  }
  bf_onx_fail(l, "tensors, numbers and lists of integers work", "a constant without a value of a known kind");
  return NULL;
}

static struct bf_onx_const *fold_of_shape(struct bf_onx_lower *l) {
  int64_t dims[BF_ONX_DIMS];
  struct bf_onx_shape shape = {0};
  const BfOnnx__Attribute *a = bf_onx_attribute(l->node, "value");
  struct bf_onx_const value = {.type = BF_ONX_FLOAT, .real = &(double){0}, .count = 1};
  uint64_t all = 1;
  size_t count;
  const char *why = "it has not one element";
  if (!bf_onx_list(l, "", 0, BF_ONX_DIMS, dims, &count)) {
    bf_onx_fail(l, NULL, "the shape is not a constant of at most 8 dimensions");
    return NULL;
  }
  shape.rank = (unsigned)count;
  for (size_t d = 0; d < count; d++) {
    if (dims[d] < 0 || !bf_mul_limit(all, (uint64_t)dims[d], BF_MAX_ELEMENTS, &all)) {
      bf_onx_fail(l, NULL, "the shape is too large, or negative");
      return NULL;
    }
    shape.dims[d] = (uint64_t)dims[d];
  }
  if (a && a->t && (!bf_onx_decode(l, a->t, &value, &why) || value.count != 1)) {
    bf_onx_fail(l, NULL, "its value cannot be read: %s", why);
    return NULL;
  }
  struct bf_onx_const *c = bf_onx_const_new(l, value.type, &shape, 1);
  if (c) copy_element(c, 0, &value, 0);
  return c;
}

static struct bf_onx_const *fold_move(struct bf_onx_lower *l, const struct bf_onx_const *c) {
  const char *op = l->node->op_type;
  struct bf_onx_shape shape = c->shape;
  int64_t list[BF_ONX_DIMS];
  size_t count = 0;
  unsigned perm[BF_ONX_DIMS], rank = c->shape.rank;
  if (strcmp(op, "Transpose") == 0) {
    bool given = bf_onx_ints(l->node, "perm", rank, list);
    unsigned seen = 0;
    for (unsigned d = 0; d < rank; d++) {
      int64_t p = given ? list[d] : (int64_t)(rank - 1 - d);
      if (p < 0 || p >= (int64_t)rank || seen >> p & 1) {
        bf_onx_fail(l, NULL, "`perm` is no permutation");
        return NULL;
      }
      seen |= 1u << p;
      perm[d] = (unsigned)p;
    }
    return (struct bf_onx_const *)bf_onx_const_permute(l, c, perm);
  }
  if (strcmp(op, "Reshape") == 0) {
    if (!bf_onx_target_shape(l, &c->shape, &shape)) return NULL;
  } else if (strcmp(op, "Flatten") == 0) {
    int64_t axis = bf_onx_int(l->node, "axis", 1);
    if (axis < 0) axis += rank;
    shape = (struct bf_onx_shape){.rank = 2, .dims = {1, 1}};
    for (unsigned d = 0; d < rank; d++) shape.dims[(int64_t)d >= axis] *= c->shape.dims[d];
  } else if (strcmp(op, "Squeeze") == 0) {
    bool given = bf_onx_list(l, "axes", 1, BF_ONX_DIMS, list, &count);
    shape.rank = 0;
    for (unsigned d = 0; d < rank; d++) {
      bool drop = !given && c->shape.dims[d] == 1;
      for (size_t k = 0; k < count; k++) drop |= list[k] == (int64_t)d || list[k] == (int64_t)d - (int64_t)rank;
      if (!drop) shape.dims[shape.rank++] = c->shape.dims[d];
    }
  } else if (strcmp(op, "Unsqueeze") == 0) {
    if (!bf_onx_list(l, "axes", 1, BF_ONX_DIMS - rank, list, &count)) {
      bf_onx_fail(l, NULL, "the axes are not constants");
      return NULL;
    }
    shape.rank = rank + (unsigned)count;
    for (unsigned d = 0, from = 0; d < shape.rank; d++) {
      bool fresh = false;
      for (size_t k = 0; k < count; k++) fresh |= list[k] == (int64_t)d || list[k] == (int64_t)d - (int64_t)shape.rank;
      shape.dims[d] = fresh || from == rank ? 1 : c->shape.dims[from++];
    }
  }
  return reshaped(l, c, &shape);
}

static struct bf_onx_const *fold_gather(struct bf_onx_lower *l, const struct bf_onx_const *c) {
  const struct bf_onx_const *at = bf_onx_constant(l, 1);
  int64_t axis = bf_onx_int(l->node, "axis", 0);
  if (!at) return NULL;
  if (c->shape.rank != 1 || axis || at->shape.rank > 1 || at->real) {
    bf_onx_fail(l, "taking elements of a list works", "Gather of this kind on a constant");
    return NULL;
  }
  struct bf_onx_const *out = bf_onx_const_new(l, c->type, &at->shape, at->count);
  for (uint64_t i = 0; out && i < at->count; i++) {
    int64_t k = at->ints[at->uniform ? 0 : i];
    if (k < 0) k += (int64_t)c->count;
    if (k < 0 || k >= (int64_t)c->count) {
      bf_onx_fail(l, NULL, "an index outside the list");
      return NULL;
    }
    copy_element(out, i, c, (uint64_t)k);
  }
  return out;
}

static struct bf_onx_const *fold_concat(struct bf_onx_lower *l, const struct bf_onx_const *c) {
  struct bf_onx_shape shape = {.rank = 1};
  for (size_t i = 0; i < l->node->n_input; i++) {
    const struct bf_onx_const *x = bf_onx_constant(l, i);
    if (!x) return NULL;
    if (x->shape.rank > 1) {
      bf_onx_fail(l, "joining lists works", "Concat of constants with several dimensions");
      return NULL;
    }
    shape.dims[0] += x->count;
  }
  if (shape.dims[0] > BF_MAX_ELEMENTS) return NULL;
  struct bf_onx_const *out = bf_onx_const_new(l, c->type, &shape, shape.dims[0]);
  for (uint64_t i = 0, n = 0; out && i < l->node->n_input; i++) {
    const struct bf_onx_const *x = bf_onx_constant(l, i);
    for (uint64_t k = 0; k < x->count; k++) copy_element(out, n++, x, k);
  }
  return out;
}

// A slice of a list or along the first dimension of a table: what exporters use to put paddings together.
static struct bf_onx_const *fold_slice(struct bf_onx_lower *l, const struct bf_onx_const *c) {
  int64_t begin, end, axis = 0, step = 1;
  size_t n;
  bool ok = bf_onx_list(l, "starts", 1, 1, &begin, &n) && n == 1 && bf_onx_list(l, "ends", 2, 1, &end, &n) && n == 1;
  if (ok && (bf_onx_input(l, 3) || bf_onx_attribute(l->node, "axes")))
    ok = bf_onx_list(l, "axes", 3, 1, &axis, &n) && n == 1;
  if (ok && bf_onx_input(l, 4)) ok = bf_onx_list(l, "steps", 4, 1, &step, &n) && n == 1;
  int64_t size = c->shape.rank ? (int64_t)c->shape.dims[0] : 0;
  if (!ok || axis || !size || step == 0 || step == INT64_MIN) {
    bf_onx_fail(l, NULL, "a slice of a constant of this kind");
    return NULL;
  }
  int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
  if (begin < 0) begin += size;
  if (end < 0 && end >= -size) end += size;
  begin = begin < 0 ? 0 : begin > high ? high : begin;
  end = end < low ? low : end > size ? size : end;
  int64_t span = step > 0 ? end - begin : begin - end, stride = step > 0 ? step : -step;
  struct bf_onx_shape shape = c->shape;
  shape.dims[0] = span > 0 ? (uint64_t)((span - 1) / stride + 1) : 0;
  uint64_t row = c->count / (uint64_t)size;
  struct bf_onx_const *out = bf_onx_const_new(l, kept_type(c), &shape, shape.dims[0] * row);
  for (uint64_t i = 0; out && i < shape.dims[0]; i++)
    for (uint64_t k = 0; k < row; k++)
      copy_element(out, i * row + k, c, (uint64_t)(begin + (int64_t)i * step) * row + k);
  return out;
}

static double calculate(const char *op, double a, double b) {
  if (strcmp(op, "Add") == 0) return a + b;
  if (strcmp(op, "Sub") == 0) return a - b;
  if (strcmp(op, "Mul") == 0) return a * b;
  if (strcmp(op, "Div") == 0) return a / b;
  if (strcmp(op, "Pow") == 0) return pow(a, b);
  if (strcmp(op, "Sqrt") == 0) return sqrt(a);
  if (strcmp(op, "Neg") == 0) return -a;
  if (strcmp(op, "Floor") == 0) return floor(a);
  return fabs(a);
}

// Elementwise, where one operand is a scalar or both have the same shape.
static struct bf_onx_const *fold_arith(struct bf_onx_lower *l, const struct bf_onx_const *a) {
  const struct bf_onx_const *b = l->node->n_input > 1 ? bf_onx_constant(l, 1) : a;
  if (!b) return NULL;
  const struct bf_onx_const *like =
      b->count > a->count || (b->count == a->count && b->shape.rank > a->shape.rank) ? b : a;
  bool plain = a->count == 1 || b->count == 1 || a->count == b->count;
  if (!plain) {
    bf_onx_fail(l, "scalars and equal shapes work", "arithmetic of constants of two shapes");
    return NULL;
  }
  bool real = a->real || a->scale || b->real || b->scale,
       uniform = (a->uniform || a->count == 1) && (b->uniform || b->count == 1);
  struct bf_onx_const *out =
      bf_onx_const_new(l, real ? BF_ONX_DOUBLE : like->type, &like->shape, uniform ? 1 : like->count);
  for (uint64_t i = 0; out && i < held(out); i++) {
    double v =
        calculate(l->node->op_type, bf_onx_real(a, a->count == 1 ? 0 : i), bf_onx_real(b, b->count == 1 ? 0 : i));
    // The operands of a float32 model are float32, and so are its results.
    if (real) ((double *)out->real)[i] = (double)(float)v;
    else if (fabs(v) < 0x1p62) ((int64_t *)out->ints)[i] = (int64_t)v;
  }
  if (out && a->name) out->name = a->name;
  return out;
}

static struct bf_onx_const *fold_cast(struct bf_onx_lower *l, const struct bf_onx_const *c) {
  int64_t to = bf_onx_int(l->node, "to", BF_ONX_FLOAT);
  unsigned bits;
  bool is_signed, real = to == BF_ONX_FLOAT || to == BF_ONX_DOUBLE || to == BF_ONX_FLOAT16;
  if (!real && (to > 64 || !bf_onx_int_type((int32_t)to, &bits, &is_signed))) {
    bf_onx_fail(l, NULL, "a cast to type %lld", (long long)to);
    return NULL;
  }
  struct bf_onx_const *out = bf_onx_const_new(l, (int32_t)to, &c->shape, held(c));
  for (uint64_t i = 0; out && i < held(c); i++) {
    double v = bf_onx_real(c, i);
    if (real) ((double *)out->real)[i] = v;
    else if (fabs(v) < 0x1p62) ((int64_t *)out->ints)[i] = (int64_t)v;
  }
  if (out) out->name = c->name;
  return out;
}

bool bf_onx_fold(struct bf_onx_lower *l, bool *done) {
  const char *op = l->node->op_type;
  static const char *const moves[] = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"};
  static const char *const arith[] = {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Neg", "Floor", "Abs"};
  struct bf_onx_const *out = NULL;
  const struct bf_onx_const *first = NULL;
  *done = false;
  bool leaf = strcmp(op, "Constant") == 0;
  for (size_t i = 0; i < l->node->n_input; i++) {
    const struct bf_onx_value *v = bf_onx_input(l, i);
    if (v && !v->constant) return true;
    if (i == 0 && v) first = v->constant;
  }
  if (!leaf && !first) return true;
  *done = true;
  if (leaf) out = fold_constant(l);
  else if (strcmp(op, "ConstantOfShape") == 0) out = fold_of_shape(l);
  else if (strcmp(op, "Gather") == 0) out = fold_gather(l, first);
  else if (strcmp(op, "Concat") == 0) out = fold_concat(l, first);
  else if (strcmp(op, "Cast") == 0) out = fold_cast(l, first);
  else if (strcmp(op, "Slice") == 0) out = fold_slice(l, first);
  else *done = false;
  for (size_t i = 0; !*done && i < BF_COUNT(moves); i++)
    if (strcmp(op, moves[i]) == 0) *done = true, out = fold_move(l, first);
  for (size_t i = 0; !*done && i < BF_COUNT(arith); i++)
    if (strcmp(op, arith[i]) == 0) *done = true, out = fold_arith(l, first);
  if (!*done) return true;
  if (!out) return false;
  struct bf_onx_value *v = bf_onx_output(l, 0);
  if (!out->name) out->name = v->name;
  v->constant = out;
  v->known = true;
  return true;
}
