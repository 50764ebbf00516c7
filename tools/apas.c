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
  char *text = NULL;
  size_t length;
  const char *why;
  if (bf_same_file(input, output)) {
    bf_error_file(diags, output, NULL, "the output is the input file itself");
    return false;
  }
  if (!bf_read_file(input, &text, &length, &why)) {
    bf_error_file(diags, input, NULL, "cannot be read: %s", why);
    return false;
  }
  struct ap_program *program = ap_asm_parse(bf_diags_add_source(diags, input, text, length), diags);
  free(text);
  struct bf_buf bytes = {0};
  bool ok = program && ap_program_write(program, &bytes, diags);
  if (ok && !bf_write_file(output, bytes.data, bytes.length, &why)) {
    bf_error_file(diags, output, NULL, "cannot be written: %s", why);
    ok = false;
  }
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
