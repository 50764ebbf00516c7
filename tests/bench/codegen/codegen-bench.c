// SPDX-License-Identifier: Apache-2.0
// The command line of codegen-bench.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/codegen/codegen.h"
#include "tools/common/diagnostics.h"

#define TOOL_OPTION_ROWS "tests/bench/codegen/options.def"
#include "tools/common/option_rows.h"

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("codegen-bench", fmt, what); }

static void help(void) {
  puts("Usage: codegen-bench [OPTION]...\n\n"
       "Cycles and energy of the compiled code, from its static account, against the mapping `mac` (BF-IMNA's, bit-exact) and\n"
       "the closed formulas of the literature, which ignore movement: for these, code is chosen as if movement took no time.\n"
       "Networks of the zoo with seeded synthetic weights. Nothing is executed.\n");
  tool_options_help(rows, NROWS, 34);
}

static bool is_file(const char *network) { return strchr(network, '.') != NULL; }

// -1, or what is wrong with the value.
static int judge(bool good, int id, const char *arg) {
  const struct tool_option *row = &rows[id - OPTION_NONE - 1];
  char *fmt = bf_format("--%s wants %s, not '%%s'", row->name, row->argument);
  int status = good ? -1 : usage(fmt, arg);
  free(fmt);
  return status;
}

static int take_value(struct bench_options *o, int id, const char *arg) {
  static const char *const objectives[] = {"cycles", "energy", "edp"}, *const mappings[] = {"auto", "mac", "output", "pixel"};
  uint64_t number = 0;
  int pick = 0;
  bool good = true;
  switch (id) {
  case OPTION_NETWORK:
    o->only = arg;
    good = is_file(arg) || tool_choose(bench_names, BENCH_NETWORKS, arg) >= 0;
    break;
  case OPTION_BITS:
    good = tool_whole(arg, 4, 8, &number) && (number == 8 || number == 4);
    o->bits = (unsigned)number;
    break;
  case OPTION_OBJECTIVE:
    good = (pick = tool_choose(objectives, BF_COUNT(objectives), arg)) >= 0;
    o->objective = (enum bf_objective)pick;
    break;
  case OPTION_MAPPING:
    good = (pick = tool_choose(mappings, BF_COUNT(mappings), arg)) >= 0;
    o->mapping = (enum bf_mapping)pick;
    break;
  case OPTION_BATCH:
    good = !strcmp(arg, "auto") || tool_whole(arg, 1, 65536, &number);
    o->batch = (uint32_t)number;
    break;
  default: good = tool_real(arg, 0, 1, &o->movement); break;
  }
  return judge(good, id, arg);
}

static int take(void *settings, int id, const char *arg) {
  struct bench_options *o = settings;
  switch (id) {
  case OPTION_TARGET: o->target = arg; return -1;
  case OPTION_JSON: o->json = arg; return -1;
  case OPTION_FEATURES: o->features = arg; return -1;
  case OPTION_NO_MAC: o->mac = false; return -1;
  case OPTION_LAYERS: o->layers = true; return -1;
  case OPTION_HELP: help(); return 0;
  default: return take_value(o, id, arg);
  }
}

// -1: go on, else the exit status.
static int parse(struct bench_options *o, int argc, char **argv) {
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, o);
  if (status >= 0) return status;
  if (optind < argc) return usage("what is '%s'?", argv[optind]);
  if (o->bits && o->only && is_file(o->only)) return usage("--bits is for the networks of the zoo: '%s' is measured as it is", o->only);
  return -1;
}

static bool bench(const struct bench_options *o, struct bf_diags *diags) {
  struct bench_result results[2 * BENCH_NETWORKS] = {0};
  size_t count = 0;
  bool ok = true, file = o->only && is_file(o->only);
  for (int i = 0; i < (o->only ? 1 : BENCH_NETWORKS) && ok; i++)
    for (unsigned bits = 8; bits >= 4 && ok; bits -= 4) {
      if (file ? bits == 4 : o->bits && o->bits != bits) continue;
      ok = bench_measure(o, o->only ? o->only : bench_names[i], file ? 0 : bits, &results[count++], diags);
      struct bf_buf out = {0};
      if (ok) bench_print(o, &results[count - 1], &out);
      fputs(bf_buf_cstr(&out), stdout);
      fflush(stdout);
      bf_buf_free(&out);
    }
  struct bf_buf text = {0};
  if (ok && o->json) {
    bench_print_json(o, results, count, &text);
    ok = bf_diags_write(diags, o->json, bf_buf_cstr(&text), text.length);
  }
  bf_buf_free(&text);
  for (size_t i = 0; i < count; i++) bench_result_free(&results[i]);
  return ok;
}

int main(int argc, char **argv) {
  struct bench_options options = {.target = "bf-imna-lr", .batch = 1, .mac = true, .movement = 1};
  int status = parse(&options, argc, argv);
  if (status >= 0) return status;
  struct bf_diags diags = {.default_file = "codegen-bench"};
  status = bench(&options, &diags) ? 0 : 1;
  tool_print_diagnostics(&diags);
  bf_diags_free(&diags);
  return status;
}
