// SPDX-License-Identifier: Apache-2.0
// cnv2bfn MODEL.json OUT.bfn: a network of thresholded layers as .bfn, its constants in OUT.npz beside it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/cnv.h"

static bool write_both(const char *path, const struct bf_buf *text, const struct bf_archive *weights, struct bf_diags *diags) {
  size_t stem = strlen(path) - strlen(".bfn");
  char *npz = bf_format("%.*s.npz", (int)stem, path);
  bool good = bf_npz_write(npz, weights, diags);
  if (good && !bf_diags_write(diags, path, text->data, text->length)) {
    remove(npz);
    good = false;
  }
  free(npz);
  return good;
}

int main(int argc, char **argv) {
  size_t length = argc == 3 ? strlen(argv[2]) : 0;
  if (length < 5 || strcmp(argv[2] + length - 4, ".bfn") != 0) {
    fputs("usage: cnv2bfn MODEL.json OUT.bfn\n", stderr);
    return 2;
  }
  struct bf_buf text = {0}, messages = {0};
  struct bf_archive weights = {0};
  struct bf_diags diags = {0};
  bool good = cnv_convert(argv[1], &text, &weights, &diags) && write_both(argv[2], &text, &weights, &diags);
  bf_diags_render(&diags, &messages);
  if (messages.length) fwrite(messages.data, 1, messages.length, stderr);
  bf_buf_free(&messages);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  return good ? 0 : 1;
}
