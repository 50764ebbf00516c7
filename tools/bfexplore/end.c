// SPDX-License-Identifier: Apache-2.0
// What the command lines of the commands share.
#include <stdio.h>
#include <stdlib.h>

#include "tools/bfexplore/explore.h"
#include "tools/bfexplore/solve.h"
#include "tools/common/diagnostics.h"
#include "tools/common/options.h"

int bfx_usage(const char *fmt, const char *what) { return tool_wrong_usage("bfexplore", fmt, what); }

bool bfx_take_bits(const char *text, uint32_t *bits) {
  *bits = 0;
  for (char *end;; text = end + 1) {
    unsigned long value = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (value < 1 || value > BFX_MAX_BITS) {
      return false;
    }
    *bits |= UINT32_C(1) << value;
    if (*end != ',') {
      return *end == 0;
    }
  }
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
