// SPDX-License-Identifier: Apache-2.0
// From text to graph: parses, walks the network's statements, verifies. See frontend/bfn.h.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/sema.h"

#define MAX_ERRORS 100
#define MAX_ABOUT 200

bool sema_error(struct sema *s, struct bfn_loc loc, const char *hint, const char *fmt, ...) {
  if (s->stopped) return false;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_error_at(s->diags, bfn_range(s->source, loc), hint, "%s", text);
  free(text);
  if (s->diags->errors >= MAX_ERRORS) s->stopped = true;
  return false;
}

void sema_note(struct sema *s, struct bfn_loc loc, const char *fmt, ...) {
  if (s->stopped) return;
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_note_at(s->diags, bfn_range(s->source, loc), "%s", text);
  free(text);
}

const char *sema_nearest(struct sema *s, const char *name, const char *const *names, size_t count) {
  const char *near = bf_nearest(name, names, count);
  return near ? bf_arena_format(&s->arena, "did you mean `%s`?", near) : NULL;
}

const char *sema_shape_text(struct sema *s, unsigned rank, const uint64_t *shape) {
  struct bf_buf text = {0};
  bf_buf_puts(&text, "[");
  for (unsigned i = 0; i < rank; i++) bf_buf_printf(&text, "%s%" PRIu64, i ? ", " : "", shape[i]);
  bf_buf_puts(&text, "]");
  const char *copy = bf_arena_strdup(&s->arena, text.data);
  bf_buf_free(&text);
  return copy;
}

// --- statements ---

static void sema_outputs(struct sema *s, struct scope *scope, const struct ast_stmt *stmt) {
  for (const struct ast_name *name = stmt->names; name; name = name->next) {
    struct symbol *symbol = scope_find(scope, name->text);
    if (!symbol) {
      scope_unknown(s, scope, name->text, name->loc, NULL, "output");
      continue;
    }
    symbol->used = true;
    struct bf_tensor *t = symbol->value.tensor;
    if (symbol->value.kind != VALUE_TENSOR) continue;
    if (t->is_output) sema_error(s, name->loc, NULL, "`%s` is an output already", name->text);
    else if (t->data) sema_error(s, name->loc, NULL, "the output `%s` is a constant", name->text);
    else if (t->is_input) sema_error(s, name->loc, NULL, "the output `%s` is an input: nothing computes it", name->text);
    t->is_output = true;
  }
}

void sema_body(struct sema *s, struct scope *scope, const struct ast_stmt *body) {
  for (; body && !s->stopped; body = body->next) {
    if (++s->statements > SEMA_MAX_STATEMENTS) {
      sema_error(s, body->loc, NULL, "the network has more than %d statements", SEMA_MAX_STATEMENTS);
      s->stopped = true;
      return;
    }
    switch (body->kind) {
      case AST_INPUT: sema_input(s, scope, body); break;
      case AST_CONST: sema_const(s, scope, body); break;
      case AST_LAYER: sema_layer(s, scope, body); break;
      case AST_OUTPUT:
      case AST_WEIGHTS:
      case AST_PROFILE: break;  // after all layers are known
    }
  }
}

static void check_ends(struct sema *s) {
  bool weights = false, input = false, output = false;
  for (const struct ast_stmt *stmt = s->file->body; stmt; stmt = stmt->next) {
    if (stmt->kind == AST_WEIGHTS && weights) sema_error(s, stmt->loc, NULL, "`weights` is given twice");
    weights |= stmt->kind == AST_WEIGHTS;
    input |= stmt->kind == AST_INPUT;
    output |= stmt->kind == AST_OUTPUT;
  }
  const struct ast_name *name = s->file->network;
  if (!input) sema_error(s, name->loc, "for instance: input image: s8[32, 32, 3];", "network `%s` has no input", name->text);
  if (!output) sema_error(s, name->loc, "for instance: output probs;", "network `%s` has no output", name->text);
}

static void sema_network(struct sema *s) {
  struct scope scope = {0};
  sema_collect_blocks(s);
  scope_prepare(s, &scope, s->file->body);
  sema_body(s, &scope, s->file->body);
  for (const struct ast_stmt *stmt = s->file->body; stmt; stmt = stmt->next) {
    if (stmt->kind == AST_OUTPUT) sema_outputs(s, &scope, stmt);
    if (stmt->kind == AST_PROFILE) sema_profile(s, &scope, stmt);
  }
  for (const struct ast_stmt *stmt = s->file->profiles; stmt; stmt = stmt->next) sema_profile(s, &scope, stmt);
  check_ends(s);
  if (s->diags->errors == 0) scope_warn_unused(s, &scope);
  scope_free(&scope);
}

// --- verification ---

// The text of a line without its margins.
static struct bf_range line_range(const struct bf_source *source, unsigned line) {
  size_t begin = 0, end;
  while (line > 1 && begin < source->length) line -= source->text[begin++] == '\n';
  while (begin < source->length && strchr(" \t", source->text[begin])) begin++;
  for (end = begin; end < source->length && source->text[end] != '\n';) end++;
  return (struct bf_range){source, begin, end};
}

// The verifier knows layers by name and line; its findings are shown at the line.
static bool verify(struct sema *s) {
  struct bf_diags inner = {0};
  bool ok = bf_graph_verify(s->graph, &inner);
  for (size_t i = 0; i < inner.count; i++) {
    const char *message = inner.items[i].message, *mark = strstr(message, " (line ");
    unsigned line;
    if (mark && sscanf(mark, " (line %u):", &line) == 1)
      bf_error_at(s->diags, line_range(s->source, line), inner.items[i].hint, "%s", message);
    else
      bf_error_file(s->diags, s->source->name, inner.items[i].hint, "%s", message);
  }
  bf_diags_free(&inner);
  return ok;
}

// --- entry points ---

static void analyse(struct sema *s) {
  if (!s->file->network) {
    bf_error_at(s->diags, (struct bf_range){s->source, s->source->length, s->source->length}, "network name { … }",
                "the file has no network");
    return;
  }
  struct ast_expr *version = s->file->version;
  if (version && version->integer != 1)
    sema_error(s, version->loc, "this compiler knows version 1", "unknown version of the language");
  s->graph = bf_graph_new(s->file->network->text);
  s->graph->source = bf_arena_strndup(&s->graph->arena, s->source->text, s->source->length);
  sema_network(s);
}

// Keeps the first line of what the archive says about itself. It goes into reports: printable ASCII only.
static bool read_about(struct sema *s) {
  const struct bf_array *about = s->weights ? bf_archive_find(s->weights, BF_BFN_ABOUT) : NULL;
  if (!about) return true;
  const char *text = about->data;
  size_t length = 0;
  bool ok = about->dtype == BF_DTYPE_U8;
  while (ok && length < about->elements && text[length] != '\n') {
    ok = text[length] >= ' ' && text[length] <= '~' && length < MAX_ABOUT;
    length++;
  }
  if (ok) s->graph->weights = bf_arena_strndup(&s->graph->arena, length ? text : "", length);
  if (!ok)
    bf_error_file(s->diags, s->weights_path ? s->weights_path : s->source->name, NULL,
                  "member \"%s\" must be a line of printable ASCII as uint8, at most %d", BF_BFN_ABOUT, MAX_ABOUT);
  return ok;
}

static struct bf_graph *compile(struct sema *s) {
  size_t before = s->diags->errors;
  s->batch = s->options && s->options->batch ? s->options->batch : 1;
  if (s->options && s->options->make) s->weights = &s->loaded;
  s->diags->errors = 0;  // counts what this analysis finds
  s->file = bfn_parse_text(s->source, &s->arena, s->diags);
  if (s->file) analyse(s);
  bool ok = s->graph && s->diags->errors == 0 && read_about(s) && verify(s);
  s->diags->errors += before;
  if (!ok && s->graph) {
    bf_graph_free(s->graph);
    s->graph = NULL;
  }
  bf_names_free(&s->names);
  bf_names_free(&s->layers);
  bf_names_free(&s->blocks);
  if (s->options && s->options->made)
    *s->options->made = s->loaded;  // handed over
  else
    bf_archive_free(&s->loaded);
  bf_arena_free(&s->arena);
  return s->graph;
}

struct bf_graph *bf_bfn_compile(const struct bf_source *source, const struct bf_archive *weights,
                                const struct bf_bfn_options *options, struct bf_diags *diags) {
  struct sema s = {.source = source, .weights = weights, .options = options, .diags = diags};
  return compile(&s);
}

char *bf_bfn_weights_name(const struct bf_source *source) {
  struct bf_diags diags = {0};
  struct bf_arena arena = {0};
  struct ast_file *file = bfn_parse_text(source, &arena, &diags);
  char *name = NULL;
  for (const struct ast_stmt *stmt = file ? file->body : NULL; stmt && !name; stmt = stmt->next)
    if (stmt->kind == AST_WEIGHTS) name = bf_strdup(stmt->value->text);
  bf_arena_free(&arena);
  bf_diags_free(&diags);
  return name;
}

char *bf_bfn_archive_path(const char *path, const struct bf_source *source) {
  const char *slash = strrchr(path, '/');
  size_t folder = slash ? (size_t)(slash - path) + 1 : 0, stem = strlen(path);
  char *named = bf_bfn_weights_name(source), *result;
  if (named && named[0] == '/') return named;
  if (named) {
    result = bf_format("%.*s%s", (int)folder, path, named);
  } else {
    if (stem > folder + 4 && !strcmp(path + stem - 4, ".bfn")) stem -= 4;
    result = bf_format("%.*s.npz", (int)stem, path);
  }
  free(named);
  return result;
}

const struct bf_source *bf_bfn_with_profiles(const char *path, const char *text, size_t length, const struct bf_bfn_options *options,
                                             struct bf_diags *diags) {
  if (!options || !options->profiles) return bf_diags_add_source(diags, path, text, length);
  return bf_diags_add_joined(diags, path, text, length, options->profiles_name ? options->profiles_name : path, options->profiles);
}

struct bf_graph *bf_bfn_load(const char *path, const struct bf_bfn_options *options, struct bf_diags *diags) {
  char *text;
  size_t length;
  if (!bf_diags_read(diags, path, NULL, &text, &length)) return NULL;
  const struct bf_source *source = bf_bfn_with_profiles(path, text, length, options, diags);
  free(text);
  char *archive = bf_bfn_archive_path(path, source);
  struct sema s = {.source = source, .weights_path = archive, .options = options, .diags = diags};
  struct bf_graph *graph = compile(&s);
  free(archive);
  return graph;
}
