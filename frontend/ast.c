// SPDX-License-Identifier: Apache-2.0
// Building the syntax tree.
#include "frontend/ast.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct bf_range bfn_range(const struct bf_source *source, struct bfn_loc loc) {
  return (struct bf_range){source, loc.begin, loc.end};
}

struct ast_expr *ast_expr(struct bfn_parse *p, enum ast_expr_kind kind, struct bfn_loc loc) {
  struct ast_expr *expr = bf_arena_alloc(p->arena, 1, sizeof *expr);
  expr->kind = kind;
  expr->loc = loc;
  expr->depth = 1;
  return expr;
}

struct ast_expr *ast_number(struct bfn_parse *p, const char *text, bool real, struct bfn_loc loc) {
  struct ast_expr *expr = ast_expr(p, real ? AST_REAL : AST_INT, loc);
  expr->real = strtod(text, NULL);
  expr->single = strtof(text, NULL);
  if (!real) {
    errno = 0;
    expr->integer = strtoll(text, NULL, 10);
    if (errno == ERANGE) {
      p->errors++;
      bf_error_at(p->diags, bfn_range(p->source, loc), "integers have at most 64 bits",
                  "the number is too large");
    }
  } else if (isinf(expr->real)) {
    p->errors++;
    bf_error_at(p->diags, bfn_range(p->source, loc), NULL, "the number is too large");
  }
  return expr;
}

struct ast_expr *ast_text(struct bfn_parse *p, enum ast_expr_kind kind, char *text, struct bfn_loc loc) {
  struct ast_expr *expr = ast_expr(p, kind, loc);
  expr->text = text;
  return expr;
}

// One message for the whole expression, not one a level.
static void check_depth(struct bfn_parse *p, struct ast_expr *expr, unsigned below) {
  expr->depth = below + 1;
  if (below != AST_MAX_DEPTH) return;
  p->errors++;
  bf_error_at(p->diags, bfn_range(p->source, expr->loc), NULL,
              "the expression is nested more than %d levels deep", AST_MAX_DEPTH);
}

struct ast_expr *ast_binary(struct bfn_parse *p, enum ast_expr_kind kind, struct ast_expr *left,
                            struct ast_expr *right, struct bfn_loc loc) {
  struct ast_expr *expr = ast_expr(p, kind, loc);
  unsigned below = left->depth;
  expr->left = left;
  expr->right = right;
  if (right && right->depth > below) below = right->depth;
  check_depth(p, expr, below);
  return expr;
}

struct ast_expr *ast_list(struct bfn_parse *p, struct ast_expr *items, struct bfn_loc loc) {
  struct ast_expr *expr = ast_expr(p, AST_LIST, loc);
  unsigned below = 0;
  expr->left = items;
  for (struct ast_expr *item = items; item; item = item->next)
    if (item->depth > below) below = item->depth;
  check_depth(p, expr, below);
  return expr;
}

struct ast_expr *ast_call(struct bfn_parse *p, struct ast_name *callee, struct ast_arg *args,
                          struct bfn_loc loc) {
  struct ast_expr *expr = ast_expr(p, AST_CALL, loc);
  unsigned below = 0;
  expr->text = callee->text;
  expr->text_loc = callee->loc;
  expr->args = args;
  for (struct ast_arg *arg = args; arg; arg = arg->next)
    if (arg->value->depth > below) below = arg->value->depth;
  check_depth(p, expr, below);
  return expr;
}

struct ast_name *ast_name(struct bfn_parse *p, char *text, struct bfn_loc loc) {
  struct ast_name *name = bf_arena_alloc(p->arena, 1, sizeof *name);
  name->text = text;
  name->loc = loc;
  return name;
}

struct ast_arg *ast_arg(struct bfn_parse *p, struct ast_name *name, struct ast_expr *value,
                        struct bfn_loc loc) {
  struct ast_arg *arg = bf_arena_alloc(p->arena, 1, sizeof *arg);
  arg->loc = loc;
  arg->value = value;
  if (name) {
    arg->name = name->text;
    arg->name_loc = name->loc;
  }
  return arg;
}

struct ast_stmt *ast_stmt(struct bfn_parse *p, enum ast_stmt_kind kind, struct bfn_loc loc) {
  struct ast_stmt *stmt = bf_arena_alloc(p->arena, 1, sizeof *stmt);
  stmt->kind = kind;
  stmt->loc = loc;
  return stmt;
}

void ast_add_clause(struct bfn_parse *p, struct ast_clauses *clauses, enum ast_clause which,
                    struct ast_expr *value, struct bfn_loc loc) {
  static const char *const names[CLAUSE_COUNT] = {"scale", "zero", "axis", "from", "requantize"};
  if (clauses->value[which]) {
    p->errors++;
    bf_error_at(p->diags, bfn_range(p->source, loc), NULL, "`%s` is given twice", names[which]);
    return;
  }
  clauses->value[which] = value;
  clauses->loc[which] = loc;
}

void ast_add_network(struct bfn_parse *p, struct ast_name *name, struct ast_stmt *body) {
  if (p->file->network) {
    p->errors++;
    bf_error_at(p->diags, bfn_range(p->source, name->loc), "put each network into a file of its own",
                "a second network, `%s`", name->text);
    return;
  }
  p->file->network = name;
  p->file->body = body;
}
