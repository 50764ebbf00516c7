// SPDX-License-Identifier: Apache-2.0
// conformance: judges the reference evaluator and compiled binaries by what other people's software recorded.
// Exit status: 0 nothing wrong; 1 something wrong, or no case found; 2 usage; 77 no data here (for CTest: skipped).
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/engine.h"
#include "tests/conformance/conformance.h"

#define NO_DATA 77

enum option_id {
#define CF_OPTION(id, ...) OPTION_##id,
#include "tests/conformance/options.def"
  NOPTIONS
};
static const struct {
  const char *name;
  int argument;
  const char *value, *help;
} rows[NOPTIONS] = {
#define CF_OPTION(id, ...) {__VA_ARGS__},
#include "tests/conformance/options.def"
};

static int help(void) {
  puts("usage: conformance [OPTION]...\nHolds the reference evaluator and compiled AP binaries against recorded data.\n");
  for (int i = 0; i < NOPTIONS; i++) {
    char text[40];
    snprintf(text, sizeof text, "--%s%s%s", rows[i].name, rows[i].value ? "=" : "", rows[i].value ? rows[i].value : "");
    printf("  %-20s %s\n", text, rows[i].help);
  }
  return 0;
}

static int usage(const char *what, const char *which) {
  fprintf(stderr, "conformance: %s '%s'; try --help\n", what, which);
  return 2;
}

static bool number(const char *text, double lo, double hi, double *out) {
  char *end;
  *out = strtod(text, &end);
  return *text && !*end && *out >= lo && *out <= hi;
}

// The reference and the faster engine that this build has.
static void choose_both(struct cf_options *o) {
  bool jit = ap_engine_available(AP_ENGINE_JIT);
  o->engines[CF_REFERENCE] = true;
  o->engines[jit ? CF_JIT : CF_INTERP] = true;
}

static int choose_engine(struct cf_options *o, const char *arg) {
  bool both = strcmp(arg, "both") == 0, any = both;
  for (int e = 0; e < CF_ENGINES; e++) {
    o->engines[e] = !both && strcmp(arg, cf_engine_names[e]) == 0;
    any = any || o->engines[e];
  }
  if (both) choose_both(o);
  if (o->engines[CF_JIT] && !ap_engine_available(AP_ENGINE_JIT)) return usage("this build has no engine", arg);
  return any ? -1 : usage("--engine wants reference, interp, jit or both, not", arg);
}

// -1: go on, else the exit status.
static int take(struct cf_options *o, int id, const char *arg) {
  double value;
  switch (id) {
  case OPTION_DATA: o->data = arg; return -1;
  case OPTION_ENGINE: return choose_engine(o, arg);
  case OPTION_COUNT:
    o->count_exact = strcmp(arg, "exact") == 0;
    return o->count_exact || strcmp(arg, "static") == 0 ? -1 : usage("--count wants static or exact, not", arg);
  case OPTION_FILTER: o->filter = arg; return -1;
  case OPTION_TIME: return number(arg, 0, 1e9, &o->time) ? -1 : usage("--time wants seconds, not", arg);
  case OPTION_SAMPLES:
    if (!number(arg, 0, 1e9, &value)) return usage("--samples wants a number, not", arg);
    o->samples = (uint64_t)value;
    return -1;
  case OPTION_WEIGHTS: return number(arg, 0, 1e6, &o->weights) ? -1 : usage("--weights wants millions, not", arg);
  case OPTION_LAYERS: o->layers = true; return -1;
  case OPTION_MARKDOWN: o->markdown = arg; return -1;
  case OPTION_JOBS:
    if (!number(arg, 1, 64, &value)) return usage("--jobs wants 1 to 64, not", arg);
    o->jobs = (unsigned)value;
    return -1;
  case OPTION_VERSION: puts("conformance " BF_VERSION); return 0;
  default: return help();
  }
}

static int parse(struct cf_options *o, int argc, char **argv) {
  struct option longs[NOPTIONS + 1] = {0};
  for (int i = 0; i < NOPTIONS; i++)
    longs[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, i};
  opterr = 0;
  for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
    if (id == ':') return usage("no value for", argv[optind - 1]);
    if (id == '?') return usage("unknown option", argv[optind - 1]);
    int status = take(o, id, optarg);
    if (status >= 0) return status;
  }
  return optind < argc ? usage("unknown argument", argv[optind]) : -1;
}

static int run(const struct cf_options *o) {
  struct cf_cases cases;
  cf_walk(o, &cases);
  if (!cases.count) {
    if (o->filter) fprintf(stderr, "conformance: no case found in %s whose path matches '%s'\n", o->data, o->filter);
    else fprintf(stderr, "conformance: no case found in %s\n", o->data);
    cf_cases_free(&cases);
    return 1;
  }
  cf_run(o, &cases);
  struct bf_buf table = {0};
  cf_report_table(o, &cases, &table);
  fputs(bf_buf_cstr(&table), stdout);
  bf_buf_free(&table);
  bool good = !o->markdown || cf_write_markdown(o, &cases);
  for (int e = 0; e < CF_ENGINES; e++)
    if (o->engines[e] && cf_count(&cases, NULL, e, CF_WRONG)) good = false;
  cf_cases_free(&cases);
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
  struct cf_options o = {.jobs = 1, .weights = 15};
  choose_both(&o);
  int status = parse(&o, argc, argv);
  if (status >= 0) return status;
  if (!o.data) o.data = getenv("BFIMNA_DATA");
  if (!o.data) o.data = BF_SOURCE_DIR "/../shared/data";
  if (access(o.data, R_OK | X_OK) != 0) {
    printf("skipped: no recorded data at %s\n", o.data);
    return NO_DATA;
  }
  return run(&o);
}
