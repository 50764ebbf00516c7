// SPDX-License-Identifier: Apache-2.0
// Arithmetic: with constants it becomes steps, between two activations a layer.
#include <math.h>
#include <string.h>

#include "frontend/onnx_lower.h"

#define OPERAND_BITS 15  // of multipliers that bring two scales together
#define LARGEST_RATIO 4096
#define LARGEST_OPERAND 32768
#define SCALE_ERROR 0x1p-25    // relative: what float32 leaves open
#define OPERAND_ERROR 0x1p-17  // as good as a rounded multiplier

struct bf_onx_value *bf_onx_define(struct bf_onx_lower *l, const struct bf_onx_value *v) {
  struct bf_onx_value *out = bf_onx_output(l, 0), old = *out;
  *out = *v;
  out->name = old.name;
  out->uses = old.uses;
  out->reader = old.reader;
  out->known = true;
  return out;
}

bool bf_onx_scalar(struct bf_onx_lower *l, size_t i, double otherwise, double *out) {
  const struct bf_onx_value *v = bf_onx_input(l, i);
  *out = otherwise;
  if (!v) return true;
  if (!v->constant || v->constant->count < 1)
    return bf_onx_fail(l, "give it as an initializer", "operand %zu is not a constant", i);
  *out = bf_onx_real(v->constant, 0);
  for (uint64_t k = 1; k < v->constant->count && !v->constant->uniform; k++)
    if (bf_onx_real(v->constant, k) != *out)
      return bf_onx_fail(l, "one number for the whole tensor works", "operand %zu has a number per channel", i);
  return true;
}

// A constant that scales or shifts x: one number, or one for each channel of the text. False: it is neither.
static bool channel_constant(struct bf_onx_lower *l, const struct bf_onx_value *x, const struct bf_onx_const *c,
                             const double **v, uint64_t *n) {
  unsigned rank = x->layout.shape.rank, wide = 0;
  int dim = -1;
  for (unsigned d = 0; d < c->shape.rank; d++) {
    if (c->shape.dims[d] == 1) continue;
    wide++;
    dim = (int)d + (int)rank - (int)c->shape.rank;
  }
  uint64_t count = c->uniform || !wide ? 1 : c->count;
  if (c->count < 1 || c->shape.rank > rank) {
    if (c->count != 1) return false;
  }
  if (count > 1 && (wide != 1 || dim < 0 || dim != bf_onx_channel_dim(&x->layout) ||
                    count != x->layout.shape.dims[dim] || count != x->source->channels))
    return false;
  double *out = bf_arena_alloc(&l->arena, count, sizeof *out);
  for (uint64_t i = 0; i < count; i++) out[i] = bf_onx_real(c, i);
  *v = out;
  *n = count;
  return true;
}

static bool all_whole(const double *v, uint64_t n) {
  for (uint64_t i = 0; i < n; i++)
    if (v[i] != floor(v[i])) return false;
  return true;
}

// The integer type in which the model calculates, or 0: real numbers.
static int32_t arithmetic_type(const struct bf_onx_value *v) { return v->dequantized ? 0 : v->integer_type; }

// x op constant, or constant op x.
static bool with_constant(struct bf_onx_lower *l, const struct bf_onx_value *x, const struct bf_onx_const *c,
                          bool reversed) {
  const char *op = l->node->op_type;
  const double *v;
  uint64_t n;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  bool sub = strcmp(op, "Sub") == 0, divide = strcmp(op, "Div") == 0, mul = strcmp(op, "Mul") == 0;
  if (!channel_constant(l, x, c, &v, &n))
    return bf_onx_fail(l, "one number, or one for each channel, works",
                       "a constant of another shape than the channels");
  if (divide && reversed) return bf_onx_fail(l, NULL, "a division by a computed value");
  double *copy = bf_arena_alloc(&l->arena, n, sizeof *copy);
  for (uint64_t i = 0; i < n; i++) {
    copy[i] = sub && !reversed ? -v[i] : v[i];
    if (!isfinite(v[i]) || (divide && v[i] == 0)) return bf_onx_fail(l, NULL, "a constant of %g", v[i]);
  }
  if (sub && reversed) bf_onx_push_scalar(l, y, STEP_MUL, -1);
  enum bf_onx_step_kind kind = mul ? STEP_MUL : divide ? STEP_DIV : STEP_ADD;
  if (n == 1) bf_onx_push_scalar(l, y, kind, copy[0]);
  else bf_onx_push(l, y, (struct bf_onx_step){.kind = kind, .n = n, .v = copy});
  if (arithmetic_type(y) && divide) bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_TRUNC});
  bf_onx_define(l, y);
  return true;
}

// ---- two activations

// How the text rescales one operand: floor((v * mult + add) / 2^shift).
struct part {
  int64_t mult, add;
  int32_t shift;
};

static void put_part(struct bf_buf *out, int i, const struct part *p) {
  if (p->mult == 1 && !p->add && !p->shift) bf_buf_printf(out, ", in%d none", i);
  else
    bf_buf_printf(out, ", in%d affine_floor(mult %lld, add %lld, shift %d)", i, (long long)p->mult, (long long)p->add,
                  p->shift);
}

// Brings both to one order and settles them.
static bool align(struct bf_onx_lower *l, struct bf_onx_value *a, struct bf_onx_value *b, double *sa, double *sb) {
  if (!bf_onx_activation(l, a, sa) || !bf_onx_activation(l, b, sb)) return false;
  const struct bf_onx_shape *x = &a->layout.shape, *y = &b->layout.shape;
  struct bf_onx_layout want;
  unsigned rank;
  uint64_t shape[4];
  if (x->rank != y->rank)
    return bf_onx_fail(l, "equal numbers of dimensions work", "operands of %u and %u dimensions", x->rank, y->rank);
  bool equal = memcmp(x->dims, y->dims, x->rank * sizeof *x->dims) == 0;
  const struct bf_onx_text *ta = a->source->in[0], *tb = b->source->in[0];
  if (equal && bf_onx_layout_same(&a->layout, &b->layout) && ta->rank == tb->rank &&
      memcmp(ta->shape, tb->shape, ta->rank * sizeof *ta->shape) == 0)
    return true;
  for (unsigned d = 0; d < x->rank; d++)
    if (x->dims[d] != y->dims[d] && x->dims[d] != 1 && y->dims[d] != 1)
      return bf_onx_fail(l, NULL, "operands of different shapes");
  for (int i = 0; i < 2; i++) {
    struct bf_onx_value *v = i ? b : a;
    if (x->rank >= 3 && x->rank <= 4) bf_onx_layout_image(&want, &v->layout.shape);
    else bf_onx_layout_plain(&want, &v->layout.shape);
    bf_onx_layout_text(&want, &rank, shape);
    if (!bf_onx_arrange(l, v, &want, rank, shape)) return false;
  }
  return true;
}

// The operand that has the result's shape; NULL after an error: each of them is repeated along some dimension.
static const struct bf_onx_value *larger(struct bf_onx_lower *l, const struct bf_onx_value *a,
                                         const struct bf_onx_value *b) {
  const struct bf_onx_shape *x = &a->layout.shape, *y = &b->layout.shape;
  bool a_less = false, b_less = false;
  for (unsigned d = 0; d < x->rank; d++) {
    a_less |= x->dims[d] < y->dims[d];
    b_less |= y->dims[d] < x->dims[d];
  }
  if (!a_less || !b_less) return a_less ? b : a;
  bf_onx_fail(l, NULL, "two operands that both are repeated");
  return NULL;
}

static int64_t rescale(const struct part *p, int64_t v) {
  __int128 y = ((__int128)v * p->mult + p->add) >> p->shift;
  return y > BF_ONX_ACC_LIMIT ? BF_ONX_ACC_LIMIT : y < -BF_ONX_ACC_LIMIT ? -BF_ONX_ACC_LIMIT : (int64_t)y;
}

static bool define_pair(struct bf_onx_lower *l, enum bf_onx_source_kind kind, const char *callee,
                        struct bf_onx_value *a, struct bf_onx_value *b, const struct part *parts,
                        struct bf_onx_value *v) {
  struct bf_onx_text *x = a->source->in[0], *y = b->source->in[0];
  const struct bf_onx_value *large = larger(l, a, b);
  uint64_t shape[4];
  if (!large) return false;
  for (unsigned d = 0; d < x->rank; d++) shape[d] = x->shape[d] > y->shape[d] ? x->shape[d] : y->shape[d];
  struct bf_onx_source *s = bf_onx_source_new(l, kind, callee, shape[x->rank - 1]);
  s->in[0] = x;
  s->in[1] = y;
  s->hint = callee;
  s->rank = x->rank;
  memcpy(s->shape, shape, sizeof s->shape);
  int64_t lo[2], hi[2];
  for (int i = 0; i < 2; i++) {
    const struct bf_onx_text *t = s->in[i];
    lo[i] = rescale(&parts[i], bf_type_min(t->type) - t->zero);
    hi[i] = rescale(&parts[i], bf_type_max(t->type) - t->zero);
    if (parts[i].mult < 0) {
      int64_t swap = lo[i];
      lo[i] = hi[i];
      hi[i] = swap;
    }
  }
  for (uint64_t c = 0; c < s->channels; c++) {
    s->lo[c] = kind == SOURCE_SUB ? lo[0] - hi[1] : lo[0] + lo[1];
    s->hi[c] = kind == SOURCE_SUB ? hi[0] - lo[1] : hi[0] + hi[1];
    if (kind != SOURCE_MUL) continue;
    int64_t corner[4] = {lo[0] * lo[1], lo[0] * hi[1], hi[0] * lo[1], hi[0] * hi[1]};
    s->lo[c] = s->hi[c] = corner[0];
    for (int i = 1; i < 4; i++) {
      if (corner[i] < s->lo[c]) s->lo[c] = corner[i];
      if (corner[i] > s->hi[c]) s->hi[c] = corner[i];
    }
  }
  if (kind != SOURCE_MUL) {
    struct bf_buf arguments = {0};
    put_part(&arguments, 0, &parts[0]);
    put_part(&arguments, 1, &parts[1]);
    s->arguments = bf_arena_strdup(&l->arena, bf_buf_cstr(&arguments));
    bf_buf_free(&arguments);
  }
  v->source = s;
  v->layout = large->layout;
  return true;
}

// Integer multipliers of two scales and the unit they have in common.
static double common_unit(double sa, double sb, struct part *parts) {
  double small = fmin(sa, sb);
  for (int64_t d = 1; d <= 64; d++) {
    double a = sa / small * (double)d, b = sb / small * (double)d;
    if (a > LARGEST_RATIO || b > LARGEST_RATIO) break;
    if (a != floor(a) || b != floor(b)) continue;
    parts[0].mult = (int64_t)a;
    parts[1].mult = (int64_t)b;
    return small / (double)d;
  }
  // The best fractions are those that the continued fraction of sa / sb begins with.
  int64_t p[2] = {1, 0}, q[2] = {0, 1};  // the last two numerators and denominators
  double rest = sa / sb;
  for (int i = 0; i < 64 && rest < LARGEST_OPERAND; i++) {
    int64_t whole = (int64_t)rest, num = whole * p[0] + p[1], den = whole * q[0] + q[1];
    if (num > LARGEST_OPERAND || den > LARGEST_OPERAND) break;
    p[1] = p[0], p[0] = num;
    q[1] = q[0], q[0] = den;
    if (num && fabs((double)num * sb / ((double)den * sa) - 1) < SCALE_ERROR) break;
    if (!(rest - (double)whole > 0)) break;
    rest = 1 / (rest - (double)whole);
  }
  if (p[0] && q[0] && fabs((double)p[0] * sb / ((double)q[0] * sa) - 1) < OPERAND_ERROR) {
    parts[0].mult = p[0];
    parts[1].mult = q[0];
    return sa > sb ? sa / (double)p[0] : sb / (double)q[0];
  }
  double unit = ldexp(fmax(sa, sb), -OPERAND_BITS);
  parts[0].mult = llround(sa / unit);
  parts[1].mult = llround(sb / unit);
  return unit;
}

bool bf_onx_add_values(struct bf_onx_lower *l, struct bf_onx_value *a, struct bf_onx_value *b, bool minus,
                       struct bf_onx_value *out) {
  struct part parts[2] = {{1, 0, 0}, {1, 0, 0}};
  double sa, sb;
  *out = (struct bf_onx_value){.integer_type = arithmetic_type(a) == arithmetic_type(b) ? arithmetic_type(a) : 0};
  if (!align(l, a, b, &sa, &sb)) return false;
  double unit = common_unit(sa, sb, parts);
  if (!define_pair(l, minus ? SOURCE_SUB : SOURCE_ADD, minus ? "sub" : "add", a, b, parts, out)) return false;
  bf_onx_push_scalar(l, out, STEP_MUL, unit);
  return true;
}

// QuantLab writes an addition of rescaled operands as attributes of Add:
// clip(floor((a * in1_mul + in1_add) / 2^in1_shift) + …).
static bool attributed_add(struct bf_onx_lower *l, struct bf_onx_value *a, struct bf_onx_value *b) {
  static const char *const names[3][4] = {{"in1_rq", "in1_mul", "in1_add", "in1_shift"},
                                          {"in2_rq", "in2_mul", "in2_add", "in2_shift"},
                                          {"out_rq", "out_mul", "out_add", "out_shift"}};
  struct part parts[3];
  double sa, sb;
  for (int i = 0; i < 3; i++) {
    parts[i] = (struct part){1, 0, 0};
    if (!bf_onx_int(l->node, names[i][0], 0)) continue;
    int64_t shift = bf_onx_int(l->node, names[i][3], 0);
    parts[i].mult = bf_onx_int(l->node, names[i][1], 1);
    parts[i].add = bf_onx_int(l->node, names[i][2], 0);
    parts[i].shift = (int32_t)shift;
    if (shift < 0 || shift > 46 || parts[i].mult < 0 || parts[i].mult >= 1ll << 32 || parts[i].add < -(1ll << 46) ||
        parts[i].add > 1ll << 46)
      return bf_onx_fail(l, NULL, "rescaling attributes out of range");
  }
  struct bf_onx_value v = {0};
  int64_t levels = bf_onx_int(l->node, "out_n_levels", 256);
  if (levels < 2 || levels > 65536) return bf_onx_fail(l, NULL, "`out_n_levels` of %lld", (long long)levels);
  if (!align(l, a, b, &sa, &sb)) return false;
  if (sa != 1 || sb != 1) return bf_onx_fail(l, NULL, "rescaling attributes of operands that are scaled already");
  if (!define_pair(l, SOURCE_ADD, "add", a, b, parts, &v)) return false;
  bf_onx_push_scalar(l, &v, STEP_MUL, (double)parts[2].mult);
  bf_onx_push_scalar(l, &v, STEP_ADD, (double)parts[2].add);
  bf_onx_push_scalar(l, &v, STEP_DIV, ldexp(1, parts[2].shift));
  bf_onx_push(l, &v, (struct bf_onx_step){.kind = STEP_FLOOR});
  bf_onx_push_clip(l, &v, 0, (double)(levels - 1));
  bf_onx_define(l, &v);
  return true;
}

// What an integer type of the model does to results beyond it is left open by the standard; here they are clamped.
static bool keep_type(struct bf_onx_lower *l, struct bf_onx_value *v) {
  double lo, hi;
  unsigned bits;
  bool is_signed;
  if (!v->integer_type || !bf_onx_int_type(v->integer_type, &bits, &is_signed) || bits > 16) return true;
  if (!bf_onx_bounds(l, v->integer_type, &lo, &hi)) return false;
  bf_onx_push_clip(l, v, lo, hi);
  v->coded = true;
  v->code_scale = 1;
  v->code_zero = 0;
  return true;
}

bool bf_onx_op_arith(struct bf_onx_lower *l) {
  struct bf_onx_value *a = bf_onx_input(l, 0), *b = bf_onx_input(l, 1), v;
  const char *op = l->node->op_type;
  if (!a || !b) return bf_onx_fail(l, NULL, "an operand is missing");
  if (b->constant) return (a = bf_onx_computed(l, 0)) && with_constant(l, a, b->constant, false);
  if (a->constant) return (b = bf_onx_computed(l, 1)) && with_constant(l, b, a->constant, true);
  if (!(a = bf_onx_computed(l, 0)) || !(b = bf_onx_computed(l, 1))) return false;
  if (strcmp(op, "Div") == 0) return bf_onx_fail(l, "a division by a constant works", "a division by a computed value");
  int32_t type = arithmetic_type(a) == arithmetic_type(b) ? arithmetic_type(a) : 0;
  if (a->coded) a = bf_onx_plain(l, a);
  if (b->coded) b = bf_onx_plain(l, b);
  if (bf_onx_int(l->node, "in1_rq", 0) || bf_onx_int(l->node, "in2_rq", 0) || bf_onx_int(l->node, "out_rq", 0))
    return attributed_add(l, a, b);
  if (strcmp(op, "Mul") == 0) {
    const struct part parts[2] = {{1, 0, 0}, {1, 0, 0}};
    double sa, sb;
    v = (struct bf_onx_value){.integer_type = type};
    if (!align(l, a, b, &sa, &sb) || !define_pair(l, SOURCE_MUL, "mul", a, b, parts, &v)) return false;
    bf_onx_push_scalar(l, &v, STEP_MUL, sa * sb);
  } else if (!bf_onx_add_values(l, a, b, strcmp(op, "Sub") == 0, &v)) {
    return false;
  }
  if (!keep_type(l, &v)) return false;
  bf_onx_define(l, &v);
  return true;
}

bool bf_onx_op_sum(struct bf_onx_lower *l) {
  struct bf_onx_value *a = bf_onx_computed(l, 0), sum;
  if (!a) return false;
  for (size_t i = 1; i < l->node->n_input; i++) {
    struct bf_onx_value *b = bf_onx_computed(l, i);
    if (!b || !bf_onx_add_values(l, a, b, false, &sum)) return false;
    a = bf_arena_alloc(&l->arena, 1, sizeof *a);
    *a = sum;
  }
  bf_onx_define(l, a);
  return true;
}

// Max and Min: of a computed value and a number, or of two activations.
bool bf_onx_op_extremum(struct bf_onx_lower *l) {
  struct bf_onx_value *a = bf_onx_input(l, 0), *b = bf_onx_input(l, 1);
  bool max = strcmp(l->node->op_type, "Max") == 0;
  double c, sa, sb;
  if (l->node->n_input == 1) return bf_onx_op_identity(l);
  if (l->node->n_input != 2 || !a || !b) return bf_onx_fail(l, "two operands work", "%zu operands", l->node->n_input);
  if (a->constant || b->constant) {
    struct bf_onx_value *x = bf_onx_computed(l, a->constant != NULL);
    if (!x || !bf_onx_scalar(l, !a->constant, 0, &c)) return false;
    struct bf_onx_value *y = bf_onx_plain(l, x);
    bf_onx_push_clip(l, y, max ? c : -INFINITY, max ? INFINITY : c);
    bf_onx_define(l, y);
    return true;
  }
  if (!(a = bf_onx_computed(l, 0)) || !(b = bf_onx_computed(l, 1)) || !align(l, a, b, &sa, &sb)) return false;
  const struct bf_onx_text *x = a->source->in[0], *y = b->source->in[0];
  if (sa != sb || !bf_type_equal(x->type, y->type) || x->zero != y->zero)
    return bf_onx_fail(l, "requantize one of them", "operands of different types or scales");
  const struct bf_onx_value *large = larger(l, a, b);
  uint64_t shape[4];
  if (!large) return false;
  for (unsigned d = 0; d < x->rank; d++) shape[d] = x->shape[d] > y->shape[d] ? x->shape[d] : y->shape[d];
  struct bf_onx_text *t = bf_onx_print_same(l, max ? "max" : "min", max ? "maximum" : "minimum",
                                            bf_arena_format(&l->arena, "%s, %s", x->name, y->name), x, x->rank, shape);
  struct bf_onx_value v = *large;
  v.source = bf_onx_text_source(l, t, &v.layout);
  bf_onx_define(l, &v);
  return true;
}

bool bf_onx_op_unary(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const char *op = l->node->op_type;
  if (!x) return false;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  if (strcmp(op, "Relu") == 0) bf_onx_push_clip(l, y, 0, INFINITY);
  else if (strcmp(op, "Neg") == 0) bf_onx_push_scalar(l, y, STEP_MUL, -1);
  else if (strcmp(op, "Floor") == 0) bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_FLOOR});
  else if (strcmp(op, "Ceil") == 0) bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_CEIL});
  else bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_ROUND});
  bf_onx_define(l, y);
  return true;
}

bool bf_onx_op_clip(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  double lo = bf_onx_float(l->node, "min", -INFINITY), hi = bf_onx_float(l->node, "max", INFINITY);
  if (!x || !bf_onx_scalar(l, 1, lo, &lo) || !bf_onx_scalar(l, 2, hi, &hi)) return false;
  if (!(lo <= hi)) return bf_onx_fail(l, NULL, "bounds %g and %g", lo, hi);
  struct bf_onx_value *y = bf_onx_plain(l, x);
  bf_onx_push_clip(l, y, lo, hi);
  if (x->coded && x->code_scale == 1 && x->code_zero == 0) y->coded = true;  // the same integers, in a range
  bf_onx_define(l, y);
  return true;
}

bool bf_onx_op_batchnorm(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  const struct bf_onx_const *p[4];
  double epsilon = bf_onx_float(l->node, "epsilon", 1e-5);
  if (!x) return false;
  uint64_t n = x->layout.shape.rank > 1 ? x->layout.shape.dims[1] : 1;
  for (size_t i = 0; i < 4; i++) {
    if (!(p[i] = bf_onx_constant(l, i + 1))) return false;
    if (p[i]->count != n)
      return bf_onx_fail(l, NULL, "parameters that do not fit %llu channels", (unsigned long long)n);
  }
  if (bf_onx_int(l->node, "training_mode", 0))
    return bf_onx_fail(l, "export the model for inference", "a normalization in training");
  int dim = bf_onx_channel_dim(&x->layout);
  if (n > 1 && (dim != 1 || n != x->source->channels))
    return bf_onx_fail(l, NULL, "channels that are not the text's last dimension");
  double *k = bf_arena_alloc(&l->arena, n, sizeof *k), *b = bf_arena_alloc(&l->arena, n, sizeof *b);
  for (uint64_t i = 0; i < n; i++) {
    double variance = bf_onx_real(p[3], i) + epsilon;
    k[i] = bf_onx_real(p[0], i) / sqrt(variance);
    b[i] = bf_onx_real(p[1], i) - bf_onx_real(p[2], i) * k[i];
    if (!(variance > 0) || !isfinite(k[i]) || !isfinite(b[i]))
      return bf_onx_fail(l, NULL, "a variance of %g", variance);
  }
  struct bf_onx_value *y = bf_onx_plain(l, x);
  bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_MUL, .n = n, .v = k});
  bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_ADD, .n = n, .v = b});
  bf_onx_define(l, y);
  return true;
}

// Whether the steps give integers: everything after the last rounding is whole.
static bool is_whole(const struct bf_onx_value *v) {
  bool whole = v->source->kind != SOURCE_TEXT || !v->source->in[0]->undecided;
  for (size_t i = 0; i < v->nsteps; i++) {
    const struct bf_onx_step *s = &v->steps[i];
    if (s->kind == STEP_CURVE || (s->kind == STEP_DIV)) whole = false;
    else if (s->kind == STEP_MUL || s->kind == STEP_ADD) whole &= all_whole(s->v, s->n);
    else if (s->kind == STEP_CLIP)
      whole &= (!isfinite(s->lo) || s->lo == floor(s->lo)) && (!isfinite(s->hi) || s->hi == floor(s->hi));
    else whole = true;
  }
  return whole;
}

bool bf_onx_op_cast(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  int64_t to = bf_onx_int(l->node, "to", BF_ONX_FLOAT);
  unsigned bits;
  bool is_signed;
  double lo, hi;
  if (!x) return false;
  struct bf_onx_value *y = bf_onx_plain(l, x);
  y->integer_type = 0;
  if (to == BF_ONX_FLOAT || to == BF_ONX_DOUBLE || to == BF_ONX_FLOAT16) {
    bf_onx_define(l, y);
    return true;
  }
  if (to < 0 || to > 64 || !bf_onx_int_type((int32_t)to, &bits, &is_signed))
    return bf_onx_fail(l, NULL, "a cast to type %lld", (long long)to);
  if (!is_whole(y)) bf_onx_push(l, y, (struct bf_onx_step){.kind = STEP_TRUNC});
  y->integer_type = (int32_t)to;
  y->dequantized = false;
  if (bits <= 16) {
    if (!bf_onx_bounds(l, (int32_t)to, &lo, &hi)) return false;
    bf_onx_push_clip(l, y, lo, hi);
  }
  bf_onx_define(l, y);
  return true;
}

// ---- curves

static double sigmoid(double x, double a, double b) { return 1 / (1 + exp(-x)); }
static double hyperbolic(double x, double a, double b) { return tanh(x); }
static double leaky(double x, double a, double b) { return x < 0 ? a * x : x; }
static double hard_sigmoid(double x, double a, double b) { return fmax(0, fmin(1, a * x + b)); }
static double hard_swish(double x, double a, double b) { return x * fmax(0, fmin(1, x / 6 + 0.5)); }
static double elu(double x, double a, double b) { return x < 0 ? a * (exp(x) - 1) : x; }
static double softplus(double x, double a, double b) { return x > 30 ? x : log1p(exp(x)); }

static const struct {
  const char *op;
  double (*curve)(double, double, double);
  double alpha, beta;  // defaults of the attributes
} curves[] = {{"Sigmoid", sigmoid, 0, 0},      {"Tanh", hyperbolic, 0, 0},
              {"LeakyRelu", leaky, 0.01, 0},   {"HardSigmoid", hard_sigmoid, 0.2, 0.5},
              {"HardSwish", hard_swish, 0, 0}, {"Elu", elu, 1, 0},
              {"Softplus", softplus, 0, 0}};

bool bf_onx_op_curve(struct bf_onx_lower *l) {
  struct bf_onx_value *x = bf_onx_computed(l, 0);
  if (!x) return false;
  bool quantized = x->source->kind == SOURCE_TEXT;
  for (size_t i = 0; i < x->nsteps; i++)
    quantized |= x->steps[i].kind >= STEP_FLOOR && x->steps[i].kind != STEP_CLIP && x->steps[i].kind != STEP_CURVE;
  if (!quantized) return bf_onx_op_tail(l);  // of sums: left out if nothing but the output follows
  struct bf_onx_value *y = bf_onx_plain(l, x);
  if (!bf_onx_settle(l, y)) return false;
  size_t i = 0;
  while (i + 1 < BF_COUNT(curves) && strcmp(curves[i].op, l->node->op_type) != 0) i++;
  bf_onx_push(l, y,
              (struct bf_onx_step){.kind = STEP_CURVE,
                                   .curve = curves[i].curve,
                                   .lo = bf_onx_float(l->node, "alpha", curves[i].alpha),
                                   .hi = bf_onx_float(l->node, "beta", curves[i].beta)});
  bf_onx_define(l, y);
  return true;
}
