// SPDX-License-Identifier: Apache-2.0
// Types, shapes, quantizations; inputs and constants.
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"

// --- the archive ---

// Reads the archive when a constant first asks for it: a network of inline values needs none.
static bool need_archive(struct sema *s, struct bfn_loc loc, const char *what) {
  if (s->weights) return true;
  if (s->loading_failed) return false;
  s->loading_failed = true;
  if (!s->weights_path)
    return sema_error(s, loc, "give its values as `= [...]`, or name an archive: weights \"file.npz\";",
                      "%s comes from an archive of weights, and there is none", what);
  struct bf_diags inner = {0};
  if (bf_npz_read(s->weights_path, &s->loaded, &inner)) {
    s->weights = &s->loaded;
    s->loading_failed = false;
  } else {
    sema_error(s, loc, "`weights \"file.npz\";` names the archive; bfweights makes a synthetic one", "%s needs %s: %s", what, s->weights_path,
               inner.count ? inner.items[0].message : "cannot read");
  }
  bf_diags_free(&inner);
  return s->weights != NULL;
}

const struct bf_array *sema_member(struct sema *s, const char *name, struct bfn_loc loc, const char *what) {
  if (!need_archive(s, loc, what)) return NULL;
  const struct bf_array *array = bf_archive_find(s->weights, name);
  if (array) return array;
  const char **names = bf_alloc(s->weights->count, sizeof *names);
  for (size_t i = 0; i < s->weights->count; i++) names[i] = s->weights->items[i].name;
  sema_error(s, loc, sema_nearest(s, name, names, s->weights->count), "%s: the archive has no member \"%s\"",
             what, name);
  free(names);
  return NULL;
}

static enum bf_dtype made_dtype(const struct bf_bfn_want *want) {
  bool sign = want->type.kind != BF_TYPE_U;
  if (want->scales) return BF_DTYPE_F32;
  if (want->type.bits <= 8) return sign ? BF_DTYPE_I8 : BF_DTYPE_U8;
  if (want->type.bits <= 16) return sign ? BF_DTYPE_I16 : BF_DTYPE_U16;
  return want->type.bits <= (sign ? 32u : 31u) ? BF_DTYPE_I32 : BF_DTYPE_I64;
}

void sema_make_member(struct sema *s, const struct bf_bfn_want *want) {
  if (!s->options || !s->options->make || bf_archive_find(&s->loaded, want->member)) return;
  struct bf_array array = {.dtype = made_dtype(want), .elements = want->count};
  array.rank = want->scales ? 1 : want->rank;
  array.shape[0] = want->count;
  for (unsigned i = 0; !want->scales && i < want->rank; i++) array.shape[i] = want->shape[i];
  array.data = bf_alloc(array.elements, bf_dtype_size(array.dtype));
  if (s->options->make(s->options->make_context, want, &array))
    bf_archive_add(&s->loaded, want->member, array);
  else
    bf_array_free(&array);
}

// --- types ---

bool sema_type(struct sema *s, struct scope *scope, const struct ast_type *type, struct bf_type *out) {
  const char *text = type->name->text;
  struct symbol *symbol = scope_find(scope, text);
  if (symbol && symbol->value.kind == VALUE_WORD) {  // a parameter that stands for a type
    symbol->used = true;
    text = symbol->value.text;
  }
  if (bf_type_parse(text, strlen(text), out)) return true;
  return sema_error(s, type->name->loc, "types are u1 to u48, s1 to s48, b1 and t2", "`%s` is no type", text);
}

bool sema_activation_type(struct sema *s, struct bf_type type, struct bfn_loc loc) {
  char text[8];
  if (type.bits <= 16) return true;
  return sema_error(s, loc, "wider types are for constants and outputs of the network",
                    "activations are u1 to u16, s1 to s16, b1 or t2, not %s", bf_type_text(text, type));
}

bool sema_only_clauses(struct sema *s, const struct ast_clauses *clauses, unsigned allowed, const char *where) {
  static const char *const names[CLAUSE_COUNT] = {"scale", "zero", "axis", "from", "requantize"};
  bool ok = true;
  for (int i = 0; i < CLAUSE_COUNT; i++)
    if (clauses->value[i] && !(allowed >> i & 1))
      ok = sema_error(s, clauses->loc[i], NULL, "`%s` has no meaning %s", names[i], where);
  return ok;
}

// --- shapes ---

// Extents as written; `_` gives 0 where `wild` allows it.
static bool eval_shape(struct sema *s, struct scope *scope, const struct ast_type *type, bool wild,
                       unsigned *rank, uint64_t *shape) {
  *rank = 0;
  for (const struct ast_expr *expr = type->shape; expr; expr = expr->next) {
    if (*rank == BF_MAX_RANK)
      return sema_error(s, expr->loc, NULL, "tensors have at most %d dimensions", BF_MAX_RANK);
    struct value v = sema_eval(s, scope, expr);
    uint64_t *out = &shape[(*rank)++];
    *out = 0;
    if (wild && v.kind == VALUE_WORD && !strcmp(v.text, "_")) continue;
    if (v.kind == VALUE_WORD) return scope_unknown(s, scope, v.text, v.loc, NULL, "in the shape");
    if (v.kind != VALUE_INT) return sema_wrong_kind(s, &v, "a dimension", "a whole number");
    if (v.integer < 1) return sema_error(s, v.loc, NULL, "a dimension must be at least 1, not %" PRId64, v.integer);
    *out = (uint64_t)v.integer;
  }
  return true;
}

bool sema_extents(struct sema *s, struct bfn_loc loc, unsigned rank, const uint64_t *shape) {
  uint64_t elements = 1;
  for (unsigned i = 0; i < rank; i++)
    if (!bf_mul_limit(elements, shape[i], BF_MAX_ELEMENTS, &elements))
      return sema_error(s, loc, NULL, "shape %s is too large: a tensor has at most 2^31 elements",
                        sema_shape_text(s, rank, shape));
  return true;
}

bool sema_batch_shape(struct sema *s, struct bfn_loc loc, unsigned *rank, uint64_t *shape) {
  if (!sema_extents(s, loc, *rank, shape)) return false;
  if (*rank % 2) {  // [h, w, c] or [k]: the batch dimension is implicit
    memmove(shape + 1, shape, *rank * sizeof *shape);
    shape[0] = 1;
    ++*rank;
  }
  if (!bf_mul_limit(shape[0], s->batch, BF_MAX_ELEMENTS, &shape[0]))
    return sema_error(s, loc, NULL, "a batch of %" PRIu32 " is too large", s->batch);
  return sema_extents(s, loc, *rank, shape);
}

struct bf_tensor *sema_tensor(struct sema *s, const char *full_name, struct bfn_loc loc, struct bf_type type,
                              unsigned rank, const uint64_t *shape) {
  if (!sema_extents(s, loc, rank, shape)) return NULL;
  if (bf_names_find(&s->names, full_name) != BF_NAME_NONE) {
    sema_error(s, loc, NULL, "the name `%s` is taken already", full_name);
    return NULL;
  }
  struct bf_tensor *tensor = bf_graph_tensor(s->graph, full_name, type, rank, shape);
  if (!tensor) {
    sema_error(s, loc, NULL, "shape %s is no shape of a tensor", sema_shape_text(s, rank, shape));
    return NULL;
  }
  bf_names_add(&s->names, tensor->name, tensor->id);
  return tensor;
}

// --- quantization ---

static bool check_scales(struct sema *s, const struct bf_quant *q, struct bfn_loc loc) {
  for (uint32_t i = 0; i < q->count; i++)
    if (!isfinite(q->scale[i]) || q->scale[i] <= 0)
      return sema_error(s, loc, NULL, "scale %g is not a positive float32 number", (double)q->scale[i]);
  return true;
}

static bool read_zeros(struct sema *s, const struct value *v, struct bf_type type, struct bf_quant *q) {
  int64_t *zeros, lo = bf_type_min(type), hi = bf_type_max(type);
  uint64_t count;
  char text[8];
  if (type.kind == BF_TYPE_B || type.kind == BF_TYPE_T) lo = hi = 0;
  if (lo < INT32_MIN) lo = INT32_MIN;
  if (hi > INT32_MAX) hi = INT32_MAX;
  if (!sema_integers(s, v, "the zero point", &s->arena, &zeros, &count)) return false;
  if (count != 1 && count != q->count && q->count != 1)
    return sema_error(s, v->loc, NULL, "%" PRIu64 " zero points for %" PRIu32 " scales", count, q->count);
  for (uint64_t i = 0; i < count; i++)
    if (zeros[i] < lo || zeros[i] > hi)
      return sema_error(s, v->loc, NULL, "zero point %" PRId64 " is outside the range of %s: %" PRId64 " to %" PRId64,
                        zeros[i], bf_type_text(text, type), lo, hi);
  if (count > q->count) {  // one scale for all
    float *scale = bf_arena_alloc(&s->graph->arena, count, sizeof *scale);
    for (uint64_t i = 0; i < count; i++) scale[i] = q->scale[0];
    q->scale = scale;
    q->count = (uint32_t)count;
    q->zero = bf_arena_alloc(&s->graph->arena, count, sizeof *q->zero);
  }
  for (uint32_t i = 0; i < q->count; i++) q->zero[i] = (int32_t)zeros[count == 1 ? 0 : i];
  return true;
}

static bool check_axis(struct sema *s, struct scope *scope, const struct ast_clauses *clauses, unsigned rank,
                       const uint64_t *shape, struct bf_quant *q) {
  int64_t axis = 0;
  struct bfn_loc loc = clauses->loc[clauses->value[CLAUSE_SCALE] ? CLAUSE_SCALE : CLAUSE_ZERO];
  if (clauses->value[CLAUSE_AXIS] && rank) {
    struct value v = sema_eval(s, scope, clauses->value[CLAUSE_AXIS]);
    if (!sema_integer(s, &v, -(int64_t)rank, (int64_t)rank - 1, "axis", &axis)) return false;
    if (axis < 0) axis += rank;
  }
  q->axis = (int)axis;
  if (q->count == 1) return true;
  if (!rank)
    return sema_error(s, loc, "only constants have a scale per channel",
                      "%" PRIu32 " scales, but an activation has one", q->count);
  if (q->count != shape[axis])
    return sema_error(s, loc, NULL, "%" PRIu32 " scales or zero points for %" PRIu64 " indices of axis %" PRId64
                      " of shape %s", q->count, shape[axis], axis, sema_shape_text(s, rank, shape));
  return true;
}

// One scale for each index of dimension 0. Of another axis none are made: weights have their output channels in front.
static void make_scales(struct sema *s, const struct ast_clauses *clauses, const struct value *v, struct bf_type type,
                        unsigned rank, const uint64_t *shape) {
  struct bf_bfn_want want = {.member = v->text, .scales = true, .type = type, .rank = rank, .shape = shape};
  want.count = rank ? shape[0] : 1;
  if (!clauses->value[CLAUSE_AXIS]) sema_make_member(s, &want);
}

bool sema_quant(struct sema *s, struct scope *scope, const struct ast_clauses *clauses, struct bf_type type,
                unsigned rank, const uint64_t *shape, struct bf_quant *out) {
  const struct ast_expr *scale = clauses->value[CLAUSE_SCALE], *zero = clauses->value[CLAUSE_ZERO];
  *out = (struct bf_quant){0};
  if (!scale && !zero) return true;
  uint64_t count = 1;
  out->scale = bf_arena_alloc(&s->graph->arena, 1, sizeof *out->scale);
  out->scale[0] = 1;
  if (scale) {
    struct value v = sema_eval(s, scope, scale);
    if (v.kind == VALUE_STRING) make_scales(s, clauses, &v, type, rank, shape);
    if (!sema_floats(s, &v, "the scale", &s->graph->arena, &out->scale, &count)) return false;
    if (count > UINT32_MAX) return sema_error(s, v.loc, NULL, "too many scales");
  }
  out->count = (uint32_t)count;
  if (scale && !check_scales(s, out, clauses->loc[CLAUSE_SCALE])) return false;
  out->zero = bf_arena_alloc(&s->graph->arena, out->count, sizeof *out->zero);
  if (zero) {
    struct value v = sema_eval(s, scope, zero);
    if (!read_zeros(s, &v, type, out)) return false;
  }
  return check_axis(s, scope, clauses, rank, shape, out);
}

// --- inputs ---

static struct bf_tensor *make_input(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  struct bf_type type;
  unsigned rank;
  uint64_t shape[BF_MAX_RANK];
  struct bf_quant quant;
  if (!sema_only_clauses(s, stmt->clauses, 1u << CLAUSE_SCALE | 1u << CLAUSE_ZERO, "for an input") ||
      !sema_type(s, scope, stmt->type, &type) || !sema_activation_type(s, type, stmt->type->loc))
    return NULL;
  if (!stmt->type->has_shape) {
    sema_error(s, stmt->type->loc, "write it after the type: s8[32, 32, 3]", "input `%s` needs a shape",
               stmt->names->text);
    return NULL;
  }
  if (!eval_shape(s, scope, stmt->type, false, &rank, shape) ||
      !sema_batch_shape(s, stmt->type->loc, &rank, shape) ||
      !sema_quant(s, scope, stmt->clauses, type, 0, NULL, &quant))
    return NULL;
  struct bf_tensor *tensor = sema_tensor(s, stmt->names->text, stmt->names->loc, type, rank, shape);
  if (!tensor) return NULL;
  tensor->quant = quant;
  tensor->is_input = true;
  return tensor;
}

void sema_input(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  struct value v = {.loc = stmt->names->loc};
  // A duplicate is told of by scope_define; it must not take the graph's name twice.
  if (!scope_find(scope, stmt->names->text)) v.tensor = make_input(s, scope, stmt);
  v.kind = v.tensor ? VALUE_TENSOR : VALUE_ERROR;
  scope_define(s, scope, stmt->names, v, false);
}

// --- constants ---

struct constant {
  const char *name;           // in the graph
  struct bf_type type;
  unsigned rank;
  uint64_t shape[BF_MAX_RANK];
  const struct bf_array *array;   // from the archive, or NULL
  const char *member;
  struct value value;         // inline
  struct bfn_loc loc;
};

static const char *array_shape_text(struct sema *s, const struct bf_array *array) {
  return sema_shape_text(s, array->rank, array->shape);
}

// Fills what the text leaves open (`_`, or no shape at all) from the member and compares the rest.
static bool match_shape(struct sema *s, const struct ast_stmt *stmt, struct constant *c) {
  const struct bf_array *array = c->array;
  bool open = !stmt->type->has_shape, same = open || array->rank == c->rank;
  if (array->elements == 0 || array->rank < 1 || array->rank > BF_MAX_RANK)
    return sema_error(s, c->loc, NULL, "constant `%s`: member \"%s\" has shape %s, no shape of a tensor",
                      stmt->names->text, c->member, array_shape_text(s, array));
  if (open) c->rank = array->rank;
  for (unsigned i = 0; same && i < c->rank; i++) {
    if (open || c->shape[i] == 0) c->shape[i] = array->shape[i];
    same = c->shape[i] == array->shape[i];
  }
  if (same) return true;
  return sema_error(s, stmt->type->loc, NULL, "constant `%s` has shape %s, but member \"%s\" has %s",
                    stmt->names->text, sema_shape_text(s, c->rank, c->shape), c->member,
                    array_shape_text(s, array));
}

static void make_values(struct sema *s, const struct constant *c) {
  struct bf_bfn_want want = {.member = c->member, .count = 1, .type = c->type, .rank = c->rank, .shape = c->shape};
  for (unsigned i = 0; i < c->rank; i++) want.count *= c->shape[i];  // checked by sema_extents; an open one gives 0
  if (want.count > 0 && want.count <= SEMA_MAX_CONSTANTS - s->constants) sema_make_member(s, &want);
}

static bool from_archive(struct sema *s, struct scope *scope, const struct ast_stmt *stmt, struct constant *c) {
  const struct ast_expr *from = stmt->clauses->value[CLAUSE_FROM];
  c->member = c->name;
  c->loc = stmt->names->loc;
  if (from) {
    struct value v = sema_eval(s, scope, from);
    if (v.kind != VALUE_STRING) return sema_wrong_kind(s, &v, "the member after `from`", "a string");
    c->member = v.text;
    c->loc = v.loc;
  }
  if (stmt->type->has_shape) make_values(s, c);
  const char *what = bf_arena_format(&s->arena, "constant `%s`", stmt->names->text);
  const struct bf_array *array = sema_member(s, c->member, c->loc, what);
  if (!array) return false;
  struct bf_array *held = bf_arena_alloc(&s->arena, 1, sizeof *held);
  *held = *array;  // made scales may join the archive, whose list then moves
  c->array = held;
  if (bf_dtype_is_float(c->array->dtype))
    return sema_error(s, c->loc, "weights are quantized integers; a float array can be a scale",
                      "constant `%s`: member \"%s\" is %s, not integer", stmt->names->text, c->member,
                      bf_dtype_name(c->array->dtype));
  return match_shape(s, stmt, c);
}

static bool inline_shape(struct sema *s, struct scope *scope, const struct ast_stmt *stmt, struct constant *c) {
  if (stmt->clauses->value[CLAUSE_FROM])
    return sema_error(s, stmt->value->loc, NULL, "constant `%s` has both `from` and values", stmt->names->text);
  c->loc = stmt->value->loc;
  c->value = sema_eval(s, scope, stmt->value);
  if (!stmt->type->has_shape) {
    if (c->value.kind != VALUE_LIST)
      return sema_error(s, stmt->type->loc, NULL, "constant `%s` needs a shape", stmt->names->text);
    c->rank = 1;
    c->shape[0] = c->value.count;
  }
  for (unsigned i = 0; i < c->rank; i++)
    if (c->shape[i] == 0)
      return sema_error(s, stmt->type->loc, NULL, "`_` stands for a size known from the archive; here there is none");
  return true;
}

static bool fits(struct sema *s, const struct constant *c, int64_t value, uint64_t index) {
  int64_t lo = bf_type_min(c->type), hi = bf_type_max(c->type);
  char text[8];
  if (value >= lo && value <= hi && !(c->type.kind == BF_TYPE_B && value == 0)) return true;
  const char *hint = c->type.kind == BF_TYPE_B
                         ? "b1 holds -1 and 1"
                         : bf_arena_format(&s->arena, "%s holds %" PRId64 " to %" PRId64,
                                           bf_type_text(text, c->type), lo, hi);
  return sema_error(s, c->loc, hint, "constant `%s`: element %" PRIu64 " is %" PRId64 ", outside %s", c->name,
                    index, value, bf_type_text(text, c->type));
}

static bool fill(struct sema *s, const struct constant *c, struct bf_tensor *tensor) {
  int64_t *data, *list = NULL;
  uint64_t count = tensor->elements;
  if (!c->array && !sema_integers(s, &c->value, "constant", &s->arena, &list, &count)) return false;
  // A single number fills the tensor.
  if (count != tensor->elements && !(count == 1 && c->value.kind != VALUE_LIST))
    return sema_error(s, c->loc, NULL, "constant `%s` of shape %s needs %" PRIu64 " values, not %" PRIu64, c->name,
                      sema_shape_text(s, tensor->rank, tensor->shape), tensor->elements, count);
  if (tensor->elements > SEMA_MAX_CONSTANTS - s->constants)
    return sema_error(s, c->loc, NULL, "the constants of the network have more than 2^28 elements");
  s->constants += tensor->elements;
  data = bf_arena_alloc(&s->graph->arena, tensor->elements, sizeof *data);
  for (uint64_t i = 0; i < tensor->elements; i++) {
    data[i] = c->array ? bf_array_int(c->array, i) : list[count == 1 ? 0 : i];
    if (!fits(s, c, data[i], i)) return false;
  }
  tensor->data = data;
  return true;
}

static struct bf_tensor *make_const(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  struct constant c = {.name = scope_full_name(s, scope, stmt->names->text)};
  struct bf_quant quant;
  if (!sema_only_clauses(s, stmt->clauses, ~(1u << CLAUSE_REQUANTIZE), "for a constant") ||
      !sema_type(s, scope, stmt->type, &c.type) || !eval_shape(s, scope, stmt->type, true, &c.rank, c.shape))
    return NULL;
  // What the text says is checked before it is compared.
  uint64_t known[BF_MAX_RANK];
  for (unsigned i = 0; i < c.rank; i++) known[i] = c.shape[i] ? c.shape[i] : 1;
  if (!sema_extents(s, stmt->type->loc, c.rank, known)) return NULL;
  if (!(stmt->value ? inline_shape(s, scope, stmt, &c) : from_archive(s, scope, stmt, &c)) ||
      !sema_quant(s, scope, stmt->clauses, c.type, c.rank, c.shape, &quant))
    return NULL;
  struct bf_tensor *tensor = sema_tensor(s, c.name, stmt->names->loc, c.type, c.rank, c.shape);
  if (!tensor) return NULL;
  tensor->quant = quant;
  return fill(s, &c, tensor) ? tensor : NULL;
}

void sema_const(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  struct value v = {.loc = stmt->names->loc};
  if (!scope_find(scope, stmt->names->text)) v.tensor = make_const(s, scope, stmt);
  v.kind = v.tensor ? VALUE_TENSOR : VALUE_ERROR;
  scope_define(s, scope, stmt->names, v, false);
}
