// SPDX-License-Identifier: Apache-2.0
// Blocks: hygienic macros over layers. A call analyses the block's body in a scope of its own, where only
// the parameters are known; what it defines gets the instance's name in front, `stage1.conv`, and its
// outputs get the names of the call's results.
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/sema.h"

static bool is_operator(const char *name) {
  for (size_t i = 0; i < bfn_op_count; i++)
    if (!strcmp(bfn_op_rows[i].name, name)) return true;
  return false;
}

static void check_block(struct sema *s, const struct ast_block *block) {
  struct bf_names seen = {0};
  if (is_operator(block->name->text))
    sema_error(s, block->name->loc, NULL, "`%s` is an operator; a block needs another name", block->name->text);
  for (const struct ast_name *p = block->params; p; p = p->next) {
    if (!bf_names_add(&seen, p->text, 0))
      sema_error(s, p->loc, NULL, "block `%s` has two parameters `%s`", block->name->text, p->text);
    if (!strcmp(p->text, "self")) sema_error(s, p->loc, NULL, "`self` stands for the instance's name");
  }
  bf_names_free(&seen);
  for (const struct ast_name *o = block->outputs; o; o = o->next)
    if (!bf_names_add(&seen, o->text, 0))
      sema_error(s, o->loc, NULL, "block `%s` has two results `%s`", block->name->text, o->text);
  bf_names_free(&seen);
}

void sema_collect_blocks(struct sema *s) {
  size_t count = 0, i = 0;
  for (const struct ast_block *block = s->file->blocks; block; block = block->next) count++;
  s->block_list = bf_arena_alloc(&s->arena, count, sizeof *s->block_list);
  for (const struct ast_block *block = s->file->blocks; block; block = block->next, i++) {
    size_t before = s->diags->errors;
    if (!bf_names_add(&s->blocks, block->name->text, (uint32_t)i)) {
      sema_error(s, block->name->loc, NULL, "block `%s` is defined twice", block->name->text);
      s->block_list[bf_names_find(&s->blocks, block->name->text)] = NULL;
    }
    check_block(s, block);
    if (s->diags->errors == before) s->block_list[i] = block;  // else its calls stay quiet
  }
}

// --- arguments ---

static size_t count_names(const struct ast_name *name) {
  size_t count = 0;
  for (; name; name = name->next) count++;
  return count;
}

static const struct ast_name *find_name(const struct ast_name *list, const char *name, size_t *at) {
  for (*at = 0; list; list = list->next, ++*at)
    if (!strcmp(list->text, name)) return list;
  return NULL;
}

static bool unknown_parameter(struct sema *s, const struct ast_block *block, const struct ast_arg *arg) {
  size_t count = count_names(block->params), i = 0;
  const char **names = bf_alloc(count, sizeof *names);
  for (const struct ast_name *p = block->params; p; p = p->next) names[i++] = p->text;
  const char *hint = sema_nearest(s, arg->name, names, count);
  free(names);
  return sema_error(s, arg->name_loc, hint, "block `%s` has no parameter `%s`", block->name->text, arg->name);
}

// Positional arguments in order, then named ones, then defaults.
static bool bind(struct sema *s, struct scope *inner, const struct ast_stmt *stmt, struct value *values) {
  const struct ast_block *block = inner->block;
  size_t count = count_names(block->params), position = 0, at;
  bool ok = true;
  for (const struct ast_arg *arg = stmt->value->args; arg; arg = arg->next) {
    at = position;
    if (arg->name && !find_name(block->params, arg->name, &at)) {
      ok = unknown_parameter(s, block, arg);
      continue;
    }
    if (!arg->name) position++;
    if (at >= count)
      return sema_error(s, arg->loc, NULL, "block `%s` has %zu parameter%s", block->name->text, count,
                        count == 1 ? "" : "s");
    if (values[at].loc.end) ok = sema_error(s, arg->loc, NULL, "the parameter is given twice");
    values[at] = sema_eval(s, inner->caller, arg->value);
    // A slip in a tensor's name shows here, and not as a strange word inside the block.
    if (values[at].kind == VALUE_WORD && bf_names_find(&inner->caller->pending, values[at].text) != BF_NAME_NONE)
      ok = scope_unknown(s, inner->caller, values[at].text, values[at].loc, stmt, block->name->text);
  }
  at = 0;
  for (const struct ast_name *p = block->params; p; p = p->next, at++) {
    if (values[at].loc.end) continue;
    if (!p->value)
      ok = sema_error(s, stmt->value->loc, NULL, "block `%s` needs its parameter `%s`", block->name->text, p->text);
    else
      values[at] = sema_eval(s, inner, p->value);
  }
  return ok;
}

static bool check_depth(struct sema *s, const struct scope *inner, const struct ast_stmt *stmt) {
  for (const struct scope *at = inner->caller; at; at = at->caller)
    if (at->block == inner->block)
      return sema_error(s, stmt->value->text_loc, "blocks must not contain themselves",
                        "block `%s` is part of its own expansion", inner->block->name->text);
  if (inner->depth <= SEMA_MAX_DEPTH) return true;
  return sema_error(s, stmt->value->text_loc, NULL, "blocks are nested more than %d levels deep", SEMA_MAX_DEPTH);
}

// --- expansion ---

static void name_outputs(struct sema *s, struct scope *inner, const struct ast_stmt *stmt) {
  const struct ast_name *target = stmt->names;
  uint32_t i = 0;
  inner->targets = bf_arena_alloc(&s->arena, count_names(stmt->names), sizeof *inner->targets);
  for (const struct ast_name *o = inner->block->outputs; o && target; o = o->next, target = target->next, i++) {
    inner->targets[i] = scope_full_name(s, inner->caller, target->text);
    bf_names_add(&inner->renamed, o->text, i);
  }
  inner->self = inner->targets[0];
}

static void define_outputs(struct sema *s, struct scope *inner, const struct ast_stmt *stmt, bool ok) {
  const struct ast_name *output = inner->block->outputs;
  for (const struct ast_name *target = stmt->names; target; target = target->next) {
    struct symbol *symbol = ok && output ? scope_find(inner, output->text) : NULL;
    struct value v = {.kind = VALUE_ERROR, .loc = target->loc};
    if (ok && output && !symbol)
      scope_unknown(s, inner, output->text, output->loc, NULL, "the block's result");
    if (symbol) {
      symbol->used = true;
      v = symbol->value;
      if (v.kind != VALUE_TENSOR) {
        sema_wrong_kind(s, &v, "a block's result", "a tensor");
        v.kind = VALUE_ERROR;
      }
      v.loc = target->loc;
    }
    scope_define(s, inner->caller, target, v, false);
    if (output) output = output->next;
  }
}

static bool expand(struct sema *s, struct scope *inner, const struct ast_stmt *stmt) {
  const struct ast_block *block = inner->block;
  size_t outputs = count_names(block->outputs), i = 0, before = s->diags->errors;
  if (!check_depth(s, inner, stmt)) return false;
  if (count_names(stmt->names) != outputs)
    return sema_error(s, stmt->value->loc, NULL, "block `%s` has %zu result%s, and %zu %s named", block->name->text,
                      outputs, outputs == 1 ? "" : "s", count_names(stmt->names),
                      count_names(stmt->names) == 1 ? "is" : "are");
  if (stmt->type)
    return sema_error(s, stmt->type->loc, "types stand in the block", "a block's call has no type of its own");
  for (const struct ast_name *target = stmt->names; target; target = target->next)
    if (scope_find(inner->caller, target->text)) return false;  // told of when it is defined again
  name_outputs(s, inner, stmt);
  struct value *values = bf_arena_alloc(&s->arena, count_names(block->params), sizeof *values);
  if (!bind(s, inner, stmt, values)) return false;
  for (const struct ast_name *p = block->params; p; p = p->next, i++) scope_define(s, inner, p, values[i], true);
  scope_prepare(s, inner, block->body);
  sema_body(s, inner, block->body);
  if (s->diags->errors == before) return true;
  if (!s->stopped) sema_note(s, stmt->value->loc, "in this use of block `%s`", block->name->text);
  return false;
}

bool sema_block_call(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  uint32_t at = bf_names_find(&s->blocks, stmt->value->text);
  if (at == BF_NAME_NONE) return false;
  if (!s->block_list[at]) {
    for (const struct ast_name *target = stmt->names; target; target = target->next)
      scope_define(s, scope, target, (struct value){.kind = VALUE_ERROR, .loc = target->loc}, true);
    return true;
  }
  struct scope *inner = bf_arena_alloc(&s->arena, 1, sizeof *inner);
  inner->caller = scope;
  inner->block = s->block_list[at];
  inner->depth = scope->depth + 1;
  bool ok = expand(s, inner, stmt);
  define_outputs(s, inner, stmt, ok);
  if (ok && s->diags->errors == 0) scope_warn_unused(s, inner);
  scope_free(inner);
  return true;
}
