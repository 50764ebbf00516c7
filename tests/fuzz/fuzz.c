// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  fprintf(stderr, "%s:%d: %s\n", file, line, text);
  abort();
}

void fuzz_diags_show(const struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
}

void fuzz_diags_end(struct bf_diags *diags, bool accepted) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  size_t errors = diags->errors;
  if (accepted == (errors > 0)) fuzz_diags_show(diags);
  FUZZ_CHECK(!accepted || errors == 0, "accepted, with %zu errors", errors);
  FUZZ_CHECK(accepted || errors > 0, "refused without an error");
  bf_buf_free(&text);
  bf_diags_free(diags);
}

void fuzz_same(const char *what, struct bf_buf *a, struct bf_buf *b) {
  size_t least = a->length < b->length ? a->length : b->length, at = 0;
  while (at < least && a->data[at] == b->data[at]) at++;
  FUZZ_CHECK(a->length == b->length && at == a->length, "%s: %zu and %zu bytes differ from byte %zu on:\n%.60s\n%.60s", what,
             a->length, b->length, at, a->length ? bf_buf_cstr(a) + at : "", b->length ? bf_buf_cstr(b) + at : "");
  bf_buf_free(a);
  bf_buf_free(b);
}

uint64_t fuzz_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state * 0x2545F4914F6CDD1Du;
}
