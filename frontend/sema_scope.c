// SPDX-License-Identifier: Apache-2.0
// Names: what a body defines, what it uses before that, and what goes round in a circle.
#include <stdlib.h>
#include <string.h>

#include "frontend/sema.h"

// Notes what the body will define, so that a use before the definition is told from a slip.
void scope_prepare(struct sema *s, struct scope *scope, const struct ast_stmt *body) {
  (void)s;
  for (; body; body = body->next) {
    if (body->kind != AST_INPUT && body->kind != AST_CONST && body->kind != AST_LAYER) continue;
    for (const struct ast_name *name = body->names; name; name = name->next)
      if (bf_names_add(&scope->pending, name->text, (uint32_t)scope->nstatements))
        BF_PUSH(scope->statements, scope->nstatements, scope->statements_capacity) = body;
  }
}

void scope_free(struct scope *scope) {
  bf_names_free(&scope->index);
  bf_names_free(&scope->pending);
  bf_names_free(&scope->renamed);
  free(scope->symbols);
  free(scope->statements);
}

struct symbol *scope_find(const struct scope *scope, const char *name) {
  uint32_t at = bf_names_find(&scope->index, name);
  return at == BF_NAME_NONE ? NULL : &scope->symbols[at];
}

void scope_define(struct sema *s, struct scope *scope, const struct ast_name *name, struct value value,
                  bool quiet) {
  struct symbol *old = scope_find(scope, name->text);
  if (old) {
    sema_error(s, name->loc, NULL, "`%s` is defined twice", name->text);
    if (old->loc.end) sema_note(s, old->loc, "the first definition of `%s`", name->text);
    old->value.kind = VALUE_ERROR;  // nobody can tell which was meant
    return;
  }
  struct symbol symbol = {.name = name->text, .value = value, .loc = name->loc, .quiet = quiet};
  bf_names_add(&scope->index, name->text, (uint32_t)scope->count);
  BF_PUSH(scope->symbols, scope->count, scope->capacity) = symbol;
}

// --- circles ---

struct search {
  const struct scope *scope;
  uint32_t *queue, *from;  // statements in order of discovery, and who found them
  size_t head, tail;
  bool *seen;
};

static void visit(struct search *search, const struct ast_expr *expr, uint32_t from) {
  uint32_t at = expr->kind == AST_NAME ? bf_names_find(&search->scope->pending, expr->text) : BF_NAME_NONE;
  if (at == BF_NAME_NONE || search->seen[at]) return;
  search->seen[at] = true;
  search->from[at] = from;
  search->queue[search->tail++] = at;
}

// Whether `first` needs the result of `goal`, over any number of steps: "a -> b -> a", or NULL.
static const char *find_circle(struct sema *s, const struct scope *scope, uint32_t first,
                               const struct ast_stmt *goal) {
  size_t n = scope->nstatements;
  struct search search = {scope, bf_alloc(n, sizeof(uint32_t)), bf_alloc(n, sizeof(uint32_t)), 0, 1,
                          bf_alloc(n, sizeof(bool))};
  const char *path = NULL;
  search.queue[0] = first;
  search.from[first] = first;
  search.seen[first] = true;
  while (search.head < search.tail && !path) {
    uint32_t at = search.queue[search.head++];
    const struct ast_stmt *stmt = scope->statements[at];
    if (stmt == goal) {
      path = goal->names->text;
      // From the goal back to where the search began, the nearest few.
      for (unsigned steps = 0; at != first && steps < 8; steps++) {
        at = search.from[at];
        path = bf_arena_format(&s->arena, "%s -> %s", scope->statements[at]->names->text, path);
      }
      path = bf_arena_format(&s->arena, "%s -> %s", goal->names->text, path);
    } else if (stmt->kind == AST_LAYER) {
      for (const struct ast_arg *arg = stmt->value->args; arg; arg = arg->next) visit(&search, arg->value, at);
    }
  }
  free(search.queue);
  free(search.from);
  free(search.seen);
  return path;
}

static const char *nearest_symbol(struct sema *s, const struct scope *scope, const char *name) {
  size_t count = scope->count + scope->nstatements, n = 0;
  const char **names = bf_alloc(count, sizeof *names);
  for (size_t i = 0; i < scope->count; i++) names[n++] = scope->symbols[i].name;
  for (size_t i = 0; i < scope->nstatements; i++) names[n++] = scope->statements[i]->names->text;
  const char *hint = sema_nearest(s, name, names, n);
  free(names);
  return hint;
}

bool scope_unknown(struct sema *s, struct scope *scope, const char *name, struct bfn_loc loc,
                   const struct ast_stmt *where, const char *what) {
  uint32_t later = bf_names_find(&scope->pending, name);
  if (later != BF_NAME_NONE) {
    const struct ast_stmt *stmt = scope->statements[later];
    if (stmt == where) return sema_error(s, loc, NULL, "`%s` is defined by itself", name);
    const char *circle = where ? find_circle(s, scope, later, where) : NULL;
    if (circle)
      return sema_error(s, loc, "layers must not depend on their own results",
                        "`%s` goes round in a circle: %s", name, circle);
    sema_error(s, loc, "put the definition before the use", "`%s` is used before it is defined", name);
    sema_note(s, stmt->names->loc, "`%s` is defined here", name);
    return false;
  }
  const char *hint = nearest_symbol(s, scope, name);
  if (!hint && scope->block)
    hint = bf_arena_format(&s->arena, "block `%s` sees only its parameters and what it defines itself",
                           scope->block->name->text);
  return sema_error(s, loc, hint, "%s: there is no `%s`", what, name);
}

const char *scope_full_name(struct sema *s, const struct scope *scope, const char *name) {
  if (!scope->self) return name;
  uint32_t output = bf_names_find(&scope->renamed, name);
  if (output != BF_NAME_NONE) return scope->targets[output];
  return bf_arena_format(&s->arena, "%s.%s", scope->self, name);
}

void scope_warn_unused(struct sema *s, const struct scope *scope) {
  for (size_t i = 0; i < scope->count; i++) {
    const struct symbol *symbol = &scope->symbols[i];
    if (!symbol->used && !symbol->quiet && symbol->value.kind != VALUE_ERROR)
      bf_warning_at(s->diags, bfn_range(s->source, symbol->loc), NULL, "`%s` is never used", symbol->name);
  }
}
