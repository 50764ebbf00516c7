// SPDX-License-Identifier: Apache-2.0
// Expressions: names, arithmetic, lists, and numbers from the archive.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"

static struct value bad(struct bfn_loc loc) {
  return (struct value){.kind = VALUE_ERROR, .loc = loc};
}

static struct value whole(struct bfn_loc loc, int64_t integer) {
  return (struct value){.kind = VALUE_INT, .loc = loc, .integer = integer, .real = (double)integer,
                        .single = (float)integer};
}

static struct value real(struct sema *s, struct bfn_loc loc, double number) {
  if (!isfinite(number)) {
    sema_error(s, loc, NULL, "the result is no finite number");
    return bad(loc);
  }
  return (struct value){.kind = VALUE_REAL, .loc = loc, .real = number, .single = (float)number};
}

static const char *kind_name(const struct value *v) {
  switch (v->kind) {
    case VALUE_INT: return "an integer";
    case VALUE_REAL: return "a real number";
    case VALUE_STRING: return "a string";
    case VALUE_WORD: return "a word";
    case VALUE_LIST: return "a list";
    case VALUE_TENSOR: return "a tensor";
    case VALUE_CALL: return "a call";
    case VALUE_ERROR: break;
  }
  return "nothing";
}

bool sema_wrong_kind(struct sema *s, const struct value *v, const char *what, const char *wanted) {
  if (v->kind == VALUE_ERROR) return false;
  if (v->kind == VALUE_WORD || v->kind == VALUE_CALL)
    return sema_error(s, v->loc, NULL, "%s must be %s, not `%s`", what, wanted,
                      v->kind == VALUE_WORD ? v->text : v->call->text);
  return sema_error(s, v->loc, NULL, "%s must be %s, not %s", what, wanted, kind_name(v));
}

// --- strings in blocks: {parameter} and {self} ---

static bool put_hole(struct sema *s, struct scope *scope, const char *name, struct bfn_loc loc,
                     struct bf_buf *out) {
  if (!strcmp(name, "self")) {
    bf_buf_puts(out, scope->self);
    return true;
  }
  struct symbol *symbol = scope_find(scope, name);
  if (!symbol) return scope_unknown(s, scope, name, loc, NULL, "in the string");
  symbol->used = true;
  switch (symbol->value.kind) {
    case VALUE_INT: bf_buf_printf(out, "%" PRId64, symbol->value.integer); return true;
    case VALUE_STRING:
    case VALUE_WORD: bf_buf_puts(out, symbol->value.text); return true;
    case VALUE_TENSOR: bf_buf_puts(out, symbol->value.tensor->name); return true;
    case VALUE_ERROR: return false;
    default: return sema_error(s, loc, NULL, "`%s` is %s, which has no place in a string", name,
                               kind_name(&symbol->value));
  }
}

static struct value eval_string(struct sema *s, struct scope *scope, const struct ast_expr *expr) {
  struct value v = {.kind = VALUE_STRING, .loc = expr->loc, .text = expr->text};
  if (!scope->self || !strchr(expr->text, '{')) return v;
  struct bf_buf out = {0};
  bool ok = true;
  for (const char *at = expr->text; ok && *at;) {
    const char *end = *at == '{' ? strchr(at, '}') : NULL;
    if (end) {
      char *name = bf_strndup(at + 1, (size_t)(end - at - 1));
      ok = put_hole(s, scope, name, expr->loc, &out);
      free(name);
      at = end + 1;
    } else {
      bf_buf_append(&out, at++, 1);
    }
  }
  v.text = bf_arena_strdup(&s->arena, bf_buf_cstr(&out));
  bf_buf_free(&out);
  return ok ? v : bad(expr->loc);
}

// --- arithmetic ---

static bool number(struct sema *s, const struct value *v) {
  if (v->kind == VALUE_INT || v->kind == VALUE_REAL) return true;
  return sema_wrong_kind(s, v, "an operand of arithmetic", "a number");
}

static struct value eval_integers(struct sema *s, const struct ast_expr *expr, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (expr->kind) {
    case AST_NEG: overflow = __builtin_sub_overflow((int64_t)0, a, &result); break;
    case AST_ADD: overflow = __builtin_add_overflow(a, b, &result); break;
    case AST_SUB: overflow = __builtin_sub_overflow(a, b, &result); break;
    case AST_MUL: overflow = __builtin_mul_overflow(a, b, &result); break;
    default:
      if (b == 0 || (a == INT64_MIN && b == -1)) {
        sema_error(s, expr->loc, NULL, b ? "the result leaves 64 bits" : "division by zero");
        return bad(expr->loc);
      }
      // An exact quotient stays whole; 1/256 is a real number.
      if (a % b) return real(s, expr->loc, (double)a / (double)b);
      result = a / b;
  }
  if (overflow) {
    sema_error(s, expr->loc, NULL, "the result leaves 64 bits");
    return bad(expr->loc);
  }
  return whole(expr->loc, result);
}

static struct value eval_operator(struct sema *s, struct scope *scope, const struct ast_expr *expr) {
  struct value a = sema_eval(s, scope, expr->left);
  struct value b = expr->right ? sema_eval(s, scope, expr->right) : whole(expr->loc, 0);
  if (!number(s, &a) || !number(s, &b)) return bad(expr->loc);
  if (a.kind == VALUE_INT && b.kind == VALUE_INT) return eval_integers(s, expr, a.integer, b.integer);
  switch (expr->kind) {
    case AST_NEG: return real(s, expr->loc, -a.real);
    case AST_ADD: return real(s, expr->loc, a.real + b.real);
    case AST_SUB: return real(s, expr->loc, a.real - b.real);
    case AST_MUL: return real(s, expr->loc, a.real * b.real);
    default: return real(s, expr->loc, a.real / b.real);
  }
}

// channels(x), height(x), width(x).
static bool eval_extent(struct sema *s, struct scope *scope, const struct ast_expr *expr, struct value *out) {
  static const char *const names[] = {"height", "width", "channels"};
  unsigned which = 0;
  while (which < BF_COUNT(names) && strcmp(expr->text, names[which])) which++;
  if (which == BF_COUNT(names)) return false;
  *out = bad(expr->loc);
  if (!expr->args || expr->args->next || expr->args->name) {
    sema_error(s, expr->loc, NULL, "`%s` takes one tensor", expr->text);
    return true;
  }
  struct value v = sema_eval(s, scope, expr->args->value);
  if (v.kind == VALUE_WORD) {
    scope_unknown(s, scope, v.text, v.loc, NULL, expr->text);
  } else if (v.kind != VALUE_TENSOR) {
    sema_wrong_kind(s, &v, expr->text, "given a tensor");
  } else if (which == 2) {
    *out = whole(expr->loc, (int64_t)v.tensor->shape[v.tensor->rank - 1]);
  } else if (v.tensor->rank != 4) {
    sema_error(s, v.loc, NULL, "`%s` has no %s: its shape is %s", v.tensor->name, expr->text,
               sema_shape_text(s, v.tensor->rank, v.tensor->shape));
  } else {
    *out = whole(expr->loc, (int64_t)v.tensor->shape[which + 1]);
  }
  return true;
}

static struct value eval_list(struct sema *s, struct scope *scope, const struct ast_expr *expr) {
  struct value v = {.kind = VALUE_LIST, .loc = expr->loc};
  for (const struct ast_expr *item = expr->left; item; item = item->next) v.count++;
  v.items = bf_arena_alloc(&s->arena, v.count, sizeof *v.items);
  size_t i = 0;
  for (const struct ast_expr *item = expr->left; item; item = item->next)
    v.items[i++] = sema_eval(s, scope, item);
  return v;
}

struct value sema_eval(struct sema *s, struct scope *scope, const struct ast_expr *expr) {
  struct value v = {.loc = expr->loc};
  switch (expr->kind) {
    case AST_INT: v = whole(expr->loc, expr->integer); return v;
    case AST_REAL:
      v.kind = VALUE_REAL;
      v.real = expr->real;
      v.single = expr->single;
      return v;
    case AST_STRING: return eval_string(s, scope, expr);
    case AST_LIST: return eval_list(s, scope, expr);
    case AST_NAME: {
      struct symbol *symbol = scope_find(scope, expr->text);
      v.kind = VALUE_WORD;
      v.text = expr->text;
      if (!symbol) return v;
      symbol->used = true;
      v = symbol->value;
      v.loc = expr->loc;
      return v;
    }
    case AST_CALL:
      if (eval_extent(s, scope, expr, &v)) return v;
      v.kind = VALUE_CALL;
      v.call = expr;
      v.scope = scope;
      return v;
    default: return eval_operator(s, scope, expr);
  }
}

// --- values as numbers ---

bool sema_integer(struct sema *s, const struct value *v, int64_t lo, int64_t hi, const char *what, int64_t *out) {
  if (v->kind != VALUE_INT) return sema_wrong_kind(s, v, what, "a whole number");
  if (v->integer < lo || v->integer > hi)
    return sema_error(s, v->loc, NULL, "%s must be between %" PRId64 " and %" PRId64 ", not %" PRId64, what, lo,
                      hi, v->integer);
  *out = v->integer;
  return true;
}

bool sema_real(struct sema *s, const struct value *v, const char *what, double *out) {
  if (v->kind != VALUE_INT && v->kind != VALUE_REAL) return sema_wrong_kind(s, v, what, "a number");
  *out = v->real;
  return true;
}

static uint64_t count_leaves(const struct value *v) {
  uint64_t count = 0;
  if (v->kind != VALUE_LIST) return 1;
  for (size_t i = 0; i < v->count; i++) count += count_leaves(&v->items[i]);
  return count;
}

// Either out is NULL.
static bool put_leaves(struct sema *s, const struct value *v, const char *what, int64_t **integers, float **floats) {
  if (v->kind == VALUE_LIST) {
    for (size_t i = 0; i < v->count; i++)
      if (!put_leaves(s, &v->items[i], what, integers, floats)) return false;
    return true;
  }
  if (integers) {
    if (v->kind != VALUE_INT) return sema_wrong_kind(s, v, what, "whole numbers");
    *(*integers)++ = v->integer;
    return true;
  }
  if (v->kind != VALUE_INT && v->kind != VALUE_REAL) return sema_wrong_kind(s, v, what, "numbers");
  *(*floats)++ = v->single;
  return true;
}

static bool member_numbers(struct sema *s, const struct value *v, const char *what, bool integers,
                           const struct bf_array **out) {
  *out = sema_member(s, v->text, v->loc, what);
  if (!*out) return false;
  if ((*out)->elements == 0) return sema_error(s, v->loc, NULL, "%s: member \"%s\" is empty", what, v->text);
  if (integers && bf_dtype_is_float((*out)->dtype))
    return sema_error(s, v->loc, NULL, "%s: member \"%s\" is %s, not integer", what, v->text,
                      bf_dtype_name((*out)->dtype));
  return true;
}

bool sema_integers(struct sema *s, const struct value *v, const char *what, struct bf_arena *into,
                   int64_t **out, uint64_t *count) {
  const struct bf_array *array;
  if (v->kind == VALUE_STRING) {
    if (!member_numbers(s, v, what, true, &array)) return false;
    *count = array->elements;
    *out = bf_arena_alloc(into, *count, sizeof **out);
    for (uint64_t i = 0; i < *count; i++) (*out)[i] = bf_array_int(array, i);
    return true;
  }
  *count = count_leaves(v);
  *out = bf_arena_alloc(into, *count, sizeof **out);
  return put_leaves(s, v, what, &(int64_t *){*out}, NULL);
}

bool sema_floats(struct sema *s, const struct value *v, const char *what, struct bf_arena *into,
                 float **out, uint64_t *count) {
  const struct bf_array *array;
  if (v->kind == VALUE_STRING) {
    if (!member_numbers(s, v, what, false, &array)) return false;
    *count = array->elements;
    *out = bf_arena_alloc(into, *count, sizeof **out);
    for (uint64_t i = 0; i < *count; i++) (*out)[i] = (float)bf_array_real(array, i);
    return true;
  }
  *count = count_leaves(v);
  *out = bf_arena_alloc(into, *count, sizeof **out);
  return put_leaves(s, v, what, NULL, &(float *){*out});
}
