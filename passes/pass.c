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
  free(unit->choices);
  bf_fprogram_free(unit->fields);
  unit->choices = NULL;
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

static const struct bf_pass_info *find(struct bf_diags *diags, const char *option, const char *name, size_t length) {
  const char *names[BF_COUNT(bf_passes)];
  for (size_t i = 0; i < bf_npasses; i++) {
    names[i] = bf_passes[i].name;
    if (strlen(names[i]) == length && !strncmp(names[i], name, length)) return &bf_passes[i];
  }
  char *word = bf_strndup(name, length);
  const char *near = bf_nearest(word, names, bf_npasses);
  struct bf_buf all = {0};
  for (size_t i = 0; i < bf_npasses; i++) bf_buf_printf(&all, "%s%s", i ? "," : "", names[i]);
  char *hint = near ? bf_format("did you mean %s?", near) : bf_format("passes: %s", bf_buf_cstr(&all));
  bf_buf_free(&all);
  bf_error_file(diags, option, hint, "unknown pass '%s'", word);
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

// A pipeline while it runs: the passes before and including `lower`, and those behind it.
struct pipeline {
  const struct bf_pipeline_options *options;
  const struct bf_pass_info *passes[BF_MAX_PIPELINE];
  double seconds[BF_MAX_PIPELINE], taking;
  size_t count, behind;
};

static bool check(const struct bf_unit *unit, const struct bf_pipeline_options *o) {
  return !o->verify_each || !unit->fields || bf_fprogram_verify(unit->fields, unit->diags);
}

// Runs the passes behind `lower` on the regions that are there.
static bool run_part(struct bf_unit *unit, bool whole) {
  struct pipeline *p = unit->part_context;
  double start = now(), begin = start;
  unit->selected = unit->allocated = false;
  print_after(unit, p->passes[p->behind - 1], p->options);
  bool ok = check(unit, p->options);
  for (size_t i = p->behind; i < p->count && ok; i++) {
    begin = now();
    ok = p->passes[i]->run(unit);
    p->seconds[i] += now() - begin;
    if (ok) print_after(unit, p->passes[i], p->options);
    ok = ok && check(unit, p->options);
  }
  begin = now();
  if (ok && unit->take) ok = unit->take(unit, whole);
  p->taking += now() - begin;
  bf_fprogram_drop_regions(unit->fields, whole);
  p->seconds[p->behind - 1] -= now() - start;
  return ok;
}

static bool run_one(struct bf_unit *unit, struct pipeline *p, size_t i) {
  const struct bf_pass_info *pass = p->passes[i];
  if (pass->run == bf_pass_lower && !unit->choices) {
    bf_error_file(unit->diags, "--passes", "put map before it", "pass 'lower' needs a mapping");
    return false;
  }
  double start = now();
  bool ok = pass->run(unit);
  p->seconds[i] += now() - start;
  if (ok && pass->run != bf_pass_lower) print_after(unit, pass, p->options);
  return ok;
}

static bool known(struct bf_diags *diags, const char *name) {
  return !name || !strcmp(name, "all") || find(diags, "--print-after", name, strlen(name));
}

static bool add_pass(struct bf_unit *unit, struct pipeline *p, const struct bf_pass_info *pass) {
  const char *what = NULL, *hint = NULL;
  if (pass->needs_fields && !p->behind) {
    what = "needs field IR", hint = "put lower before it";
  } else if (!pass->needs_fields && p->behind) {
    what = "works on the graph, which is lowered by then", hint = "put it before lower";
  } else if (p->count == BF_MAX_PIPELINE) {
    what = "is one too many", hint = "run each pass once";
  }
  if (what) {
    bf_error_file(unit->diags, "--passes", hint, "pass '%s' %s", pass->name, what);
    return false;
  }
  p->passes[p->count++] = pass;
  if (pass->run == bf_pass_lower) p->behind = p->count;
  return true;
}

static bool read_passes(struct bf_unit *unit, struct pipeline *p) {
  const char *at = p->options->passes;
  if (!at) {
    for (size_t i = 0; i < bf_npasses; i++)
      if (!add_pass(unit, p, &bf_passes[i])) return false;
    return true;
  }
  while (*at) {
    size_t length = strcspn(at, ",");
    const struct bf_pass_info *pass = find(unit->diags, "--passes", at, length);
    if (!pass || !add_pass(unit, p, pass)) return false;
    at += length + (at[length] == ',');
  }
  return true;
}

// Pass number `at` of the pipeline: a network may go through it several times.
static void note_time(struct bf_pass_times *times, size_t at, const char *name, double seconds) {
  if (at >= BF_COUNT(times->items)) return;
  if (at >= times->count) {
    times->items[at].seconds = 0;
    times->count = at + 1;
  }
  times->items[at].name = name;
  times->items[at].seconds += seconds;
}

static void note_times(const struct pipeline *p) {
  struct bf_pass_times *times = p->options->times;
  for (size_t i = 0; times && i < p->count; i++) note_time(times, i, p->passes[i]->name, p->seconds[i]);
  if (times && p->behind) note_time(times, p->count, "emit", p->taking);
}

bool bf_pipeline_run(struct bf_unit *unit, const struct bf_pipeline_options *options) {
  struct pipeline p = {.options = options};
  if (!known(unit->diags, options->print_after) || !read_passes(unit, &p)) return false;
  unit->part = run_part;
  unit->part_context = &p;
  bool ok = true;
  for (size_t i = 0; i < (p.behind ? p.behind : p.count) && ok; i++) ok = run_one(unit, &p, i);
  note_times(&p);
  unit->part = NULL;
  unit->part_context = NULL;
  return ok;
}
