// SPDX-License-Identifier: Apache-2.0
// bfweights: an archive of seeded synthetic weights for a .bfn whose trained weights are not to be had.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfweights/synthetic.h"
#include "tools/common/diagnostics.h"
#include "tools/common/options.h"

enum status { STATUS_DONE = 0, STATUS_WRONG = 1, STATUS_USAGE = 2 };

struct settings {
  const char *network, *output;
  struct synthetic synthetic;
};

static const char help_text[] =
    "Usage: bfweights [OPTION]... NET.bfn -o NET.npz\n\n"
    "Makes the archive that NET.bfn asks for: every constant without values gets synthetic weights of its type, and\n"
    "scales where the text names a member for them. The archive says that it is synthetic; so does every report on it.\n\n"
    "  -o, --output=FILE           where the archive goes\n"
    "      --seed=N                another seed gives other weights (default 1)\n"
    "      --bits=B                weights use at most B bits of their type, 1 to 16\n"
    "      --distribution=NAME     normal (clipped at 3 sigma, the default) or uniform\n"
    "  -h, --help                  this text\n"
    "      --version               the version\n\n"
    "Exit status: 0 done, 1 the input is wrong, 2 wrong usage.\n";

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("bfweights", fmt, what); }

// Fills `s`; -1: go on, else the exit status.
static int parse_options(int argc, char **argv, struct settings *s) {
  static const struct option options[] = {
      {"output", required_argument, NULL, 'o'},       {"seed", required_argument, NULL, 's'},
      {"bits", required_argument, NULL, 'b'},         {"distribution", required_argument, NULL, 'd'},
      {"help", no_argument, NULL, 'h'},               {"version", no_argument, NULL, 'v'},
      {NULL, 0, NULL, 0},
  };
  uint64_t bits;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, ":ho:", options, NULL)) != -1;) {
    switch (c) {
    case 'o': s->output = optarg; break;
    case 's':
      if (!tool_whole(optarg, 0, UINT64_MAX, &s->synthetic.seed)) return usage("--seed wants a whole number, not '%s'", optarg);
      break;
    case 'b':
      if (!tool_whole(optarg, 1, 16, &bits)) return usage("--bits wants 1 to 16, not '%s'", optarg);
      s->synthetic.bits = (unsigned)bits;
      break;
    case 'd':
      s->synthetic.uniform = strcmp(optarg, "uniform") == 0;
      if (!s->synthetic.uniform && strcmp(optarg, "normal"))
        return usage("--distribution knows normal and uniform, not '%s'", optarg);
      break;
    case 'h': fputs(help_text, stdout); return STATUS_DONE;
    case 'v': puts("bfweights " BF_VERSION); return STATUS_DONE;
    case ':': return usage("option '%s' wants a value", argv[optind - 1]);
    default: return usage("unknown option '%s'", argv[optind - 1]);
    }
  }
  if (optind >= argc) return usage("no network given%s", "");
  if (optind + 1 < argc) return usage("one network at a time; what is '%s'?", argv[optind + 1]);
  if (!s->output) return usage("--output is missing%s", "");
  s->network = argv[optind];
  return -1;
}

static bool work(struct settings *s, struct bf_archive *made, struct bf_diags *diags) {
  if (bf_same_file(s->network, s->output)) {
    bf_error_file(diags, s->output, NULL, "the output is the input file itself");
    return false;
  }
  synthetic_about(&s->synthetic, made);
  struct bf_archive members = {0};
  struct bf_bfn_options options = {.make = synthetic_make, .make_context = &s->synthetic, .made = &members};
  struct bf_graph *graph = bf_bfn_load(s->network, &options, diags);
  for (size_t i = 0; i < members.count; i++) {  // behind what they are
    bf_archive_add(made, members.items[i].name, members.items[i].array);
    members.items[i].array.data = NULL;
  }
  bf_archive_free(&members);
  if (!graph) return false;
  bf_graph_free(graph);  // before the archive is printed: both are large
  return bf_npz_write(s->output, made, diags);
}

int main(int argc, char **argv) {
  struct settings s = {.synthetic = {.seed = 1}};
  int status = parse_options(argc, argv, &s);
  if (status >= 0) return status;
  struct bf_archive made = {0};
  struct bf_diags diags = {.default_file = s.network};
  status = work(&s, &made, &diags) ? STATUS_DONE : STATUS_WRONG;
  tool_print_diagnostics(&diags);
  bf_archive_free(&made);
  bf_diags_free(&diags);
  return status;
}
