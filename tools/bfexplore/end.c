// SPDX-License-Identifier: Apache-2.0
// How commands end.
#include <stdio.h>

#include "tools/bfexplore/explore.h"
#include "tools/common/diagnostics.h"

int bfx_usage(const char *fmt, const char *what) {
  fprintf(stderr, "bfexplore: ");
  fprintf(stderr, fmt, what);
  fprintf(stderr, "\nTry 'bfexplore --help'.\n");
  return 2;
}

int bfx_end(struct bf_diags *diags, struct bf_buf *out) {
  if (!diags->errors && out->length &&
      (fwrite(out->data, 1, out->length, stdout) != out->length || fflush(stdout) != 0)) {
    bf_error_file(diags, "standard output", NULL, "cannot be written");
  }
  tool_print_diagnostics(diags);
  bf_buf_free(out);
  int status = diags->errors ? 1 : 0;
  bf_diags_free(diags);
  return status;
}
