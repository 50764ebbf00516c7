// SPDX-License-Identifier: Apache-2.0
// The command line of codegen-bench.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/codegen/codegen.h"

static const char help_text[] =
    "Usage: codegen-bench [OPTION]...\n\n"
    "Cycles and energy of the compiled code, from its static account, against the mapping `mac` (BF-IMNA's, bit-exact) and\n"
    "the closed formulas of the literature, which ignore movement: for these, code is chosen as if movement took no time. Networks of the zoo with seeded synthetic weights. Nothing is executed.\n\n"
    "  --network=NAME       alexnet, vgg16, resnet18, resnet50, or a network's file (default: the four)\n"
    "  --bits=8|4           of all weights and activations (default: both)\n"
    "  --objective=NAME     cycles (default), energy or edp\n"
    "  --batch=N|auto       images side by side (default 1)\n"
    "  --mapping=NAME       auto (default), mac, output or pixel\n"
    "  --target=NAME        machine (default bf-imna-lr)\n"
    "  --features=LIST      further features of its array: accumulate,tag-shift,two-d,popcount\n"
    "  --movement=W         weight of a cycle of waiting for loads and stores when code is chosen: 0 (as the formulas, which\n"
    "                       leave movement out) to 1 (as bfimnac does, default)\n"
    "  --no-mac             leave out what the code is compared with but the formulas\n"
    "  --layers             a line for each layer, with the schemes that were rejected\n"
    "  --json=FILE          the results as JSON\n"
    "  --help               this text\n";

static int pick(const char *const *names, int count, const char *text) {
  for (int i = 0; i < count; i++)
    if (!strcmp(names[i], text)) return i;
  return -1;
}

static bool number(const char *text, unsigned most, uint32_t *out) {
  char *end;
  unsigned long v = strtoul(text, &end, 10);
  *out = (uint32_t)v;
  return *text >= '0' && *text <= '9' && !*end && v >= 1 && v <= most;
}

// -1: go on, else the exit status.
static int parse(struct bench_options *o, int argc, char **argv) {
  static const char *const objectives[] = {"cycles", "energy", "edp"}, *const mappings[] = {"auto", "mac", "output", "pixel"};
  static const struct option longs[] = {
      {"network", required_argument, NULL, 'n'}, {"bits", required_argument, NULL, 'b'},     {"objective", required_argument, NULL, 'o'},
      {"batch", required_argument, NULL, 'N'},   {"mapping", required_argument, NULL, 'm'},  {"target", required_argument, NULL, 't'},
      {"json", required_argument, NULL, 'j'},    {"features", required_argument, NULL, 'f'}, {"movement", required_argument, NULL, 'F'},
      {"no-mac", no_argument, NULL, 'x'},        {"layers", no_argument, NULL, 'l'},         {"help", no_argument, NULL, 'h'}, {0}};
  for (int c, i = 0; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
    bool good = true;
    switch (c) {
    case 'n': o->only = optarg; good = strchr(optarg, '.') || pick(bench_names, BENCH_NETWORKS, optarg) >= 0; break;
    case 'b': good = number(optarg, 8, &o->bits) && (o->bits == 8 || o->bits == 4); break;
    case 'o': good = (i = pick(objectives, 3, optarg)) >= 0; o->objective = (enum bf_objective)(i < 0 ? 0 : i); break;
    case 'm': good = (i = pick(mappings, 4, optarg)) >= 0; o->mapping = (enum bf_mapping)(i < 0 ? 0 : i); break;
    case 'N':
      o->batch = 0;
      good = !strcmp(optarg, "auto") || number(optarg, 65536, &o->batch);
      break;
    case 't': o->target = optarg; break;
    case 'j': o->json = optarg; break;
    case 'f': o->features = optarg; break;
    case 'F': good = (o->movement = strtod(optarg, NULL)) >= 0 && o->movement <= 1; break;
    case 'x': o->mac = false; break;
    case 'l': o->layers = true; break;
    case 'h': fputs(help_text, stdout); return 0;
    default: return 2;
    }
    if (!good) {
      fprintf(stderr, "codegen-bench: '%s' is not possible here; see --help\n", optarg);
      return 2;
    }
  }
  return optind < argc ? fprintf(stderr, "codegen-bench: what is '%s'?\n", argv[optind]), 2 : -1;
}

static bool bench(const struct bench_options *o, struct bf_diags *diags) {
  struct bench_result results[2 * BENCH_NETWORKS] = {0};
  size_t count = 0;
  bool ok = true, file = o->only && strchr(o->only, '.');
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
  const char *why;
  if (ok && o->json) {
    bench_print_json(o, results, count, &text);
    ok = bf_write_file(o->json, bf_buf_cstr(&text), text.length, &why);
    if (!ok) bf_error_file(diags, o->json, NULL, "cannot write: %s", why);
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
  struct bf_buf out = {0};
  bf_diags_render(&diags, &out);
  fputs(bf_buf_cstr(&out), stderr);
  bf_buf_free(&out);
  bf_diags_free(&diags);
  return status;
}
