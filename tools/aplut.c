// SPDX-License-Identifier: Apache-2.0
// aplut: prints the program of compares and writes of an operation or a truth table.
#include <stdio.h>
#include <stdlib.h>

#include "tools/aplut/aplut.h"
#include "tools/common/diagnostics.h"

static bool show(const struct settings *s, struct bf_buf *out, struct bf_diags *diags) {
  struct array array = {0};
  struct subject *subject = bf_alloc(1, sizeof *subject);
  bool ok = array_load(s, &array, diags) && subject_find(s, &array, subject, diags);
  if (ok) {
    struct sheet sheet = {.settings = s, .array = &array, .subject = subject, .figures = subject_figures(subject, &array)};
    struct verdict verdict = {0};
    if (s->check) {
      verdict = subject_check(subject, &array);
      sheet.verdict = &verdict;
    }
    (s->format == APLUT_JSON ? print_json : s->format == APLUT_LATEX ? print_latex : print_text)(&sheet, out);
    if (verdict.failure != NULL) {
      bf_error_file(diags, NULL, NULL, "check failed: %s", verdict.failure);
      ok = false;
    }
    free(verdict.failure);
  }
  subject_free(subject);
  free(subject);
  ap_technology_free(&array.tech);
  return ok;
}

static bool act(const struct settings *s, struct bf_buf *out, struct bf_diags *diags) {
  switch (s->action) {
    case APLUT_LIST: print_list(s->format, out); return true;
    case APLUT_MANUAL: print_manual(out); return true;
    case APLUT_OPTIMA:
      if (print_optima(s->format, out)) {
        return true;
      }
      bf_error_file(diags, NULL, NULL, "known optima are missed");
      return false;
    default: return show(s, out, diags);
  }
}

int main(int argc, char **argv) {
  struct settings settings = {0};
  int status = options_parse(&settings, argc, argv);
  if (status >= 0) {
    return status;
  }
  struct bf_buf out = {0};
  struct bf_diags diags = {0};
  bool ok = act(&settings, &out, &diags);
  if (fwrite(bf_buf_cstr(&out), 1, out.length, stdout) != out.length || fflush(stdout) != 0) {
    bf_error_file(&diags, "standard output", NULL, "cannot be written");
    ok = false;
  }
  tool_print_diagnostics(&diags);
  bf_buf_free(&out);
  bf_diags_free(&diags);
  return ok ? 0 : 1;
}
