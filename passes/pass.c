// SPDX-License-Identifier: Apache-2.0
// The pass manager: textual pipelines, printing and verifying between passes, times.
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BF_PASS(function, ...) bf_pass_function bf_pass_##function;
#include "passes/passes.def"

const struct bf_pass_info bf_passes[] = {
#define BF_PASS(function, name, fields, purpose) {name, bf_pass_##function, fields, purpose},
#include "passes/passes.def"
};
const size_t bf_npasses = BF_COUNT(bf_passes);

bool bf_pass_verify(struct bf_unit *unit) { return bf_graph_verify(unit->graph, unit->diags); }

void bf_unit_free(struct bf_unit *unit) {
  free(unit->plans);
  bf_fprogram_free(unit->fields);
  unit->plans = NULL;
  unit->fields = NULL;
}

// The source that the graph was made of, if the diagnostics still hold it.
static const struct bf_source *source_of(const struct bf_unit *unit) {
  for (size_t i = 0; unit->graph->source && i < unit->diags->nsources; i++)
    if (!strcmp(unit->diags->sources[i]->text, unit->graph->source)) return unit->diags->sources[i];
  return NULL;
}

void bf_node_error(const struct bf_unit *unit, const struct bf_node *node, const char *hint, const char *text) {
  const struct bf_source *source = node->line ? source_of(unit) : NULL;
  if (!source) {
    bf_error_file(unit->diags, NULL, hint, "layer %s: %s", node->name, text);
    return;
  }
  size_t begin = 0;
  for (uint32_t line = 1; line < node->line && begin < source->length; begin++) line += source->text[begin] == '\n';
  while (source->text[begin] == ' ') begin++;
  struct bf_range range = {source, begin, begin + strcspn(source->text + begin, " \n=")};
  bf_error_at(unit->diags, range, hint, "layer %s: %s", node->name, text);
}

static const struct bf_pass_info *find(struct bf_diags *diags, const char *name, size_t length) {
  const char *names[BF_COUNT(bf_passes)];
  for (size_t i = 0; i < bf_npasses; i++) {
    names[i] = bf_passes[i].name;
    if (strlen(names[i]) == length && !strncmp(names[i], name, length)) return &bf_passes[i];
  }
  char *word = bf_strndup(name, length);
  const char *near = bf_nearest(word, names, bf_npasses);
  char *hint = near ? bf_format("did you mean %s?", near) : NULL;
  bf_error_file(diags, "--passes", hint, "unknown pass '%s'", word);
  free(hint);
  free(word);
  return NULL;
}

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_after(const struct bf_unit *unit, const struct bf_pass_info *pass, const struct bf_pipeline_options *o) {
  if (!o->print_after || !o->print_out) return;
  if (strcmp(o->print_after, "all") && strcmp(o->print_after, pass->name)) return;
  bf_buf_printf(o->print_out, "# after %s\n", pass->name);
  if (unit->fields) bf_fprogram_print(unit->fields, o->print_out);
  else bf_graph_print(unit->graph, o->print_out);
}

static bool run_one(struct bf_unit *unit, const struct bf_pass_info *pass, const struct bf_pipeline_options *o) {
  if (pass->needs_fields && !unit->fields) {
    bf_error_file(unit->diags, "--passes", "put lower before it", "pass '%s' needs field IR", pass->name);
    return false;
  }
  if (pass->run == bf_pass_lower && !unit->plans) {
    bf_error_file(unit->diags, "--passes", "put map before it", "pass 'lower' needs a mapping");
    return false;
  }
  double start = now();
  bool ok = pass->run(unit);
  if (o->times && o->times->count < BF_COUNT(o->times->items)) {
    o->times->items[o->times->count].name = pass->name;
    o->times->items[o->times->count++].seconds = now() - start;
  }
  if (!ok) return false;
  print_after(unit, pass, o);
  return !o->verify_each || !unit->fields || bf_fprogram_verify(unit->fields, unit->diags);
}

static bool known(struct bf_diags *diags, const char *name) {
  return !name || !strcmp(name, "all") || find(diags, name, strlen(name));
}

bool bf_pipeline_run(struct bf_unit *unit, const struct bf_pipeline_options *options) {
  if (!known(unit->diags, options->print_after)) return false;
  if (!options->passes) {
    for (size_t i = 0; i < bf_npasses; i++)
      if (!run_one(unit, &bf_passes[i], options)) return false;
    return true;
  }
  for (const char *at = options->passes; *at;) {
    size_t length = strcspn(at, ",");
    const struct bf_pass_info *pass = find(unit->diags, at, length);
    if (!pass || !run_one(unit, pass, options)) return false;
    at += length + (at[length] == ',');
  }
  return true;
}
