// SPDX-License-Identifier: Apache-2.0
// The page that --markdown writes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/conformance.h"

typedef unsigned long long ull;

static void date_text(int64_t seconds, char out[16]) {
  time_t t = (time_t)seconds;
  struct tm tm;
  strftime(out, 16, "%Y-%m-%d", gmtime_r(&t, &tm));
}

static void print_head(const struct cf_options *o, const struct cf_cases *cases, struct bf_buf *out) {
  char date[16];
  date_text(cases->newest, date);
  bf_buf_puts(out, "# Conformance\n\nWhat other people's software recorded, against the reference evaluator (`reference`) and against compiled "
                   "binaries\n(`interp`, `jit`: compiled with the default options for `bf-imna-lr`, written, read back and executed pass by pass, or by compiled kernels). "
                   "This page is written by\n`scripts/conformance`; do not edit it.\n\n");
  bf_buf_printf(out, "Data: %llu files, the newest of %s.%s\n\n", (ull)cases->files, date,
                o->filter ? " Only a part of them was judged." : "");
  bf_buf_puts(out, "| verdict | meaning |\n|---|---|\n");
#define CF_VERDICT(id, word, heading, meaning) bf_buf_puts(out, "| " heading " | " meaning " |\n");
#include "tests/conformance/verdicts.def"
  bf_buf_puts(out, "\nAn activation that is recorded for a layer is compared with the tensor of the network that it is; `softmax` runs as a host "
                   "operation.\nKinds of data:\n\n");
#define CF_KIND(id, opener, text) bf_buf_puts(out, "- " text "\n");
#include "tests/conformance/kinds.def"
  bf_buf_puts(out, "\nTo run it: `scripts/conformance BUILD [OPTION]...`, with `--time=SECONDS` for a part of the samples of every case; "
                   "`conformance --help`\nlists the options. A folder laid out in these ways needs no other preparation: whatever is in it is "
                   "found and judged.\n");
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The sources, sorted, each once. The caller frees the list, not the texts.
static char **sources_of(const struct cf_cases *cases, size_t *count) {
  char **list = bf_alloc(cases->count + 1, sizeof *list);
  size_t kept = 0;
  for (size_t i = 0; i < cases->count; i++) list[i] = cases->items[i].source;
  if (cases->count) qsort(list, cases->count, sizeof *list, by_text);
  for (size_t i = 0; i < cases->count; i++)
    if (!kept || strcmp(list[kept - 1], list[i]) != 0) list[kept++] = list[i];
  *count = kept;
  return list;
}

static void print_row(const struct cf_options *o, const struct cf_cases *cases, const char *source, struct bf_buf *out) {
  for (int e = 0; e < CF_ENGINES; e++) {
    if (!o->engines[e]) continue;
    bf_buf_printf(out, "| %s | %s | %llu |", source ? source : "**all**", cf_engine_names[e], (ull)cf_count(cases, source, -1, -1));
    for (int v = 0; v < CF_VERDICTS; v++) bf_buf_printf(out, " %llu |", (ull)cf_count(cases, source, e, v));
    bf_buf_puts(out, "\n");
  }
}

static void print_table(const struct cf_options *o, const struct cf_cases *cases, char **sources, size_t count,
                        struct bf_buf *out) {
  bf_buf_puts(out, "\n## Result\n\n| source | engine | cases |");
#define CF_VERDICT(id, word, heading, meaning) bf_buf_puts(out, " " heading " |");
#include "tests/conformance/verdicts.def"
  bf_buf_puts(out, "\n|---|---|---:|");
  for (int v = 0; v < CF_VERDICTS; v++) bf_buf_puts(out, "---:|");
  bf_buf_puts(out, "\n");
  for (size_t i = 0; i < count; i++) print_row(o, cases, sources[i], out);
  print_row(o, cases, NULL, out);
}

static void print_cell(const struct cf_result *r, struct bf_buf *out) {
  bf_buf_printf(out, " %s", cf_verdict_words[r->verdict]);
  if (r->verdict == CF_EXACT || r->verdict == CF_WRONG) {
    bf_buf_printf(out, ": %llu of %llu samples, %llu of %llu bytes", (ull)r->samples, (ull)r->all_samples, (ull)r->equal, (ull)r->bytes);
    if (r->nlayers) bf_buf_printf(out, "; %zu layers, %llu of %llu bytes", r->nlayers, (ull)r->layer_equal, (ull)r->layer_bytes);
  } else if (r->verdict == CF_NOT_RUN) {
    if (r->all_samples) bf_buf_printf(out, ": 0 of %llu samples", (ull)r->all_samples);
    if (r->why) bf_buf_printf(out, ": %s", r->why);
  }
  bf_buf_puts(out, " |");
}

// Whole networks are listed one by one: those with more than one sample or with layers, and models without recordings.
static bool listed(const struct cf_case *c) {
  for (int e = 0; e < CF_ENGINES; e++) {
    const struct cf_result *r = &c->results[e];
    if (r->nlayers || r->all_samples > 1 || (r->verdict == CF_COMPILED && c->kind == CF_KIND_ONNX) || r->verdict == CF_WRONG) return true;
  }
  return false;
}

static void print_networks(const struct cf_options *o, const struct cf_cases *cases, const char *source, struct bf_buf *out) {
  bool any = false;
  for (size_t i = 0; i < cases->count; i++) {
    const struct cf_case *c = &cases->items[i];
    if (strcmp(c->source, source) != 0 || !listed(c)) continue;
    if (!any) {
      bf_buf_puts(out, "\n| case |");
      for (int e = 0; e < CF_ENGINES; e++) bf_buf_printf(out, "%s%s%s", o->engines[e] ? " " : "", o->engines[e] ? cf_engine_names[e] : "", o->engines[e] ? " |" : "");
      bf_buf_puts(out, "\n|---|");
      for (int e = 0; e < CF_ENGINES; e++) bf_buf_puts(out, o->engines[e] ? "---|" : "");
      bf_buf_puts(out, "\n");
      any = true;
    }
    const char *name = c->path + strlen(source);
    bf_buf_printf(out, "| %s%s%s%s |", *name == '/' ? name + 1 : name, c->note ? " (" : "", c->note ? c->note : "", c->note ? ")" : "");
    for (int e = 0; e < CF_ENGINES; e++)
      if (o->engines[e]) print_cell(&c->results[e], out);
    bf_buf_puts(out, "\n");
  }
}

static void print_source(const struct cf_options *o, const struct cf_cases *cases, const char *source, struct bf_buf *out) {
  static const enum cf_verdict explained[] = {CF_WRONG, CF_UNSUPPORTED, CF_SCOPE};
  bf_buf_printf(out, "\n## %s\n", source);
  print_networks(o, cases, source, out);
  for (size_t k = 0; k < BF_COUNT(explained); k++) {
    struct bf_buf reasons = {0};
    cf_print_reasons(cases, source, explained[k], "- ", &reasons);
    if (reasons.length) bf_buf_printf(out, "\nCases that are %s:\n\n%s", cf_verdict_headings[explained[k]], bf_buf_cstr(&reasons));
    bf_buf_free(&reasons);
  }
}

bool cf_write_markdown(const struct cf_options *o, const struct cf_cases *cases) {
  struct bf_buf out = {0};
  size_t count;
  char **sources = sources_of(cases, &count);
  bf_buf_puts(&out, "<!-- SPDX-License-Identifier: Apache-2.0 -->\n");
  print_head(o, cases, &out);
  print_table(o, cases, sources, count, &out);
  for (size_t i = 0; i < count; i++) print_source(o, cases, sources[i], &out);
  const char *why;
  bool good = bf_write_file(o->markdown, out.data, out.length, &why);
  if (!good) fprintf(stderr, "conformance: %s: %s\n", o->markdown, why);
  free(sources);
  bf_buf_free(&out);
  return good;
}
