// SPDX-License-Identifier: Apache-2.0
// What is printed: a line for each case and engine, and the table at the end.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

typedef unsigned long long ull;

static void print_detail(const struct cf_result *r) {
  switch (r->verdict) {
  case CF_EXACT:
  case CF_WRONG:
    printf("  %llu of %llu bytes, %llu of %llu samples", (ull)r->equal, (ull)r->bytes, (ull)r->samples, (ull)r->all_samples);
    if (r->nlayers) printf("; layers: %llu of %llu bytes", (ull)r->layer_equal, (ull)r->layer_bytes);
    if (r->host_layers) printf("; %llu host op%s", (ull)r->host_layers, r->host_layers == 1 ? "" : "s");
    if (r->why) printf(" (%s)", r->why);
    break;
  case CF_NOT_RUN:
    if (r->all_samples) printf("  0 of %llu samples", (ull)r->all_samples);
    if (r->why) printf("  %s", r->why);
    break;
  default:
    if (r->why) printf("  %s", r->why);
  }
}

void cf_report_case(const struct cf_options *options, const struct cf_case *c) {
  for (int e = 0; e < CF_ENGINES; e++) {
    const struct cf_result *r = &c->results[e];
    if (!options->engines[e]) continue;
    printf("%-9s %-12s %s", cf_engine_names[e], cf_verdict_words[r->verdict], c->path);
    print_detail(r);
    if (c->note) printf(" [%s]", c->note);
    putchar('\n');
    for (size_t i = 0; options->layers && i < r->nlayers; i++)
      printf("    %-44s %llu of %llu bytes\n", r->layers[i].label ? r->layers[i].label : "", (ull)r->layers[i].equal,
             (ull)r->layers[i].bytes);
  }
  fflush(stdout);
}

// An engine or a verdict below 0: any.
uint64_t cf_count(const struct cf_cases *cases, const char *source, int engine, int verdict) {
  uint64_t count = 0;
  for (size_t i = 0; i < cases->count; i++) {
    const struct cf_case *c = &cases->items[i];
    if (source && strcmp(c->source, source) != 0) continue;
    count += engine < 0 || verdict < 0 || (int)c->results[engine].verdict == verdict;
  }
  return count;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Names in quotes and numbers left out, so that equal reasons are equal texts. The caller frees it.
static char *general(const char *why) {
  struct bf_buf out = {0};
  for (const char *p = why; *p;) {
    const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
    if (end) {
      bf_buf_puts(&out, "\"…\"");
      p = end + 1;
    } else if (isdigit((unsigned char)*p) && (p == why || !isalnum((unsigned char)p[-1]))) {
      bf_buf_puts(&out, "N");
      while (isdigit((unsigned char)*p)) p++;
    } else {
      bf_buf_append(&out, p++, 1);
    }
  }
  char *text = bf_strdup(bf_buf_cstr(&out));
  bf_buf_free(&out);
  return text;
}

struct reason {
  const char *text;
  uint64_t count;
};

static int by_count(const void *a, const void *b) {
  const struct reason *x = a, *y = b;
  return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->text, y->text);
}

void cf_print_reasons(const struct cf_cases *cases, const char *source, enum cf_verdict verdict, const char *prefix,
                      struct bf_buf *out) {
  char **texts = bf_alloc(cases->count + 1, sizeof *texts);
  size_t count = 0, reasons = 0;
  for (size_t i = 0; i < cases->count; i++) {
    const struct cf_case *c = &cases->items[i];
    const char *why = NULL;
    for (int e = CF_ENGINES; e-- > 0;)
      if (c->results[e].verdict == verdict && c->results[e].why) why = c->results[e].why;
    if (why && (!source || strcmp(c->source, source) == 0)) texts[count++] = general(why);
  }
  struct reason *list = bf_alloc(count + 1, sizeof *list);
  if (count) qsort(texts, count, sizeof *texts, by_text);
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0) list[reasons++] = (struct reason){texts[i], 0};
    list[reasons - 1].count++;
  }
  if (reasons) qsort(list, reasons, sizeof *list, by_count);
  for (size_t i = 0; i < reasons; i++) bf_buf_printf(out, "%s%llu × %s\n", prefix, (ull)list[i].count, list[i].text);
  for (size_t i = 0; i < count; i++) free(texts[i]);
  free(texts);
  free(list);
}

static bool first_of_source(const struct cf_cases *cases, size_t index) {
  for (size_t i = 0; i < index; i++)
    if (strcmp(cases->items[i].source, cases->items[index].source) == 0) return false;
  return true;
}

static void table_row(const struct cf_options *o, const struct cf_cases *cases, const char *source, struct bf_buf *out) {
  for (int e = 0; e < CF_ENGINES; e++) {
    if (!o->engines[e]) continue;
    bf_buf_printf(out, "%-26s %-9s %6llu", source ? source : "all", cf_engine_names[e], (ull)cf_count(cases, source, -1, -1));
    for (int v = 0; v < CF_VERDICTS; v++) bf_buf_printf(out, " %13llu", (ull)cf_count(cases, source, e, v));
    bf_buf_puts(out, "\n");
  }
}

void cf_report_table(const struct cf_options *options, const struct cf_cases *cases, struct bf_buf *out) {
  bf_buf_printf(out, "\n%-26s %-9s %6s", "source", "engine", "cases");
  for (int v = 0; v < CF_VERDICTS; v++) bf_buf_printf(out, " %13s", cf_verdict_headings[v]);
  bf_buf_puts(out, "\n");
  char **sources = bf_alloc(cases->count + 1, sizeof *sources);
  size_t count = 0;
  for (size_t i = 0; i < cases->count; i++)
    if (first_of_source(cases, i)) sources[count++] = cases->items[i].source;
  if (count) qsort(sources, count, sizeof *sources, by_text);
  for (size_t i = 0; i < count; i++) table_row(options, cases, sources[i], out);
  table_row(options, cases, NULL, out);
  static const enum cf_verdict explained[] = {CF_WRONG, CF_UNSUPPORTED, CF_SCOPE};
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < BF_COUNT(explained); k++) {
      struct bf_buf reasons = {0};
      cf_print_reasons(cases, sources[i], explained[k], "  ", &reasons);
      if (reasons.length) bf_buf_printf(out, "\n%s, %s:\n%s", sources[i], cf_verdict_headings[explained[k]], bf_buf_cstr(&reasons));
      bf_buf_free(&reasons);
    }
  free(sources);
}
