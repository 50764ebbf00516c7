// SPDX-License-Identifier: Apache-2.0
// bfweights: an archive of seeded synthetic weights for a .bfn whose trained weights are not to be had.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfweights/synthetic.h"
#include "tools/common/diagnostics.h"

#define TOOL_OPTION_ROWS "tools/bfweights/options.def"
#include "tools/common/option_rows.h"

enum status { STATUS_DONE = 0, STATUS_WRONG = 1 };

struct settings {
  const char *network, *output;
  struct synthetic synthetic;
};

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("bfweights", fmt, what); }

static void help(void) {
  puts("Usage: bfweights [OPTION]... NET.bfn -o NET.npz\n\n"
       "Makes the archive that NET.bfn asks for: every constant without values gets synthetic weights of its type, and\n"
       "scales where the text names a member for them. The archive says that it is synthetic; so does every report on it.\n");
  tool_options_help(rows, NROWS, 28);
  puts("\nExit status: 0 done, 1 the input is wrong, 2 wrong usage.");
}

static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  uint64_t bits;
  switch (id) {
    case OPTION_OUTPUT: s->output = arg; return -1;
    case OPTION_SEED: return tool_whole(arg, 0, UINT64_MAX, &s->synthetic.seed) ? -1 : usage("--seed wants a whole number, not '%s'", arg);
    case OPTION_BITS:
      if (!tool_whole(arg, 1, 16, &bits)) return usage("--bits wants 1 to 16, not '%s'", arg);
      s->synthetic.bits = (unsigned)bits;
      return -1;
    case OPTION_DISTRIBUTION:
      s->synthetic.uniform = strcmp(arg, "uniform") == 0;
      return s->synthetic.uniform || !strcmp(arg, "normal") ? -1 : usage("--distribution knows normal and uniform, not '%s'", arg);
    case OPTION_HELP: help(); return STATUS_DONE;
    default: puts("bfweights " BF_VERSION); return STATUS_DONE;
  }
}

// Fills `s`; -1: go on, else the exit status.
static int parse_options(int argc, char **argv, struct settings *s) {
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, s);
  if (status >= 0) return status;
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
