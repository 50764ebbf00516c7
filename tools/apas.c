// SPDX-License-Identifier: Apache-2.0
// apas: makes a binary of an assembly text.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "isa/program.h"
#include "tools/common/diagnostics.h"

enum { DONE = 0, WRONG_INPUT = 1, USAGE = 2 };

static const char HELP[] =
    "usage: apas IN.aps -o OUT.apbin\n"
    "Assembles AP code.\n"
    "  -o, --output=FILE  the binary to write\n"
    "      --help         this text\n"
    "      --version      the version\n";

static bool assemble(const char *input, const char *output, struct bf_diags *diags) {
  if (bf_same_file(input, output)) {
    bf_error_file(diags, output, NULL, "the output is the input file itself");
    return false;
  }
  const struct bf_source *source = bf_diags_read_source(diags, input, NULL);
  struct ap_program *program = source ? ap_asm_parse(source, diags) : NULL;
  struct bf_buf bytes = {0};
  bool ok = program && ap_program_write(program, &bytes, diags) && bf_diags_write(diags, output, bytes.data, bytes.length);
  bf_buf_free(&bytes);
  ap_program_free(program);
  return ok;
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = {{"output", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
  const char *output = NULL;
  for (int c; (c = getopt_long(argc, argv, "o:", OPTIONS, NULL)) != -1;) {
    switch (c) {
    case 'o': output = optarg; break;
    case 'h': fputs(HELP, stdout); return DONE;
    case 'V': puts("apas " BF_VERSION); return DONE;
    default: fputs(HELP, stderr); return USAGE;
    }
  }
  if (argc - optind != 1 || !output) {
    fprintf(stderr, "apas: %s\n%s", output ? "one input is needed" : "-o OUT.apbin is needed", HELP);
    return USAGE;
  }
  struct bf_diags diags = {0};
  bool ok = assemble(argv[optind], output, &diags);
  tool_print_diagnostics(&diags);
  bf_diags_free(&diags);
  return ok ? DONE : WRONG_INPUT;
}
