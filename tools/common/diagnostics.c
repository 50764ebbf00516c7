// SPDX-License-Identifier: Apache-2.0
#include "tools/common/diagnostics.h"

#include <stdio.h>

void tool_print_diagnostics(const struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  if (text.length > 0) {
    fwrite(text.data, 1, text.length, stderr);
  }
  bf_buf_free(&text);
}
