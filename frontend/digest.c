// SPDX-License-Identifier: Apache-2.0
// A name for all that a network is made of: the bytes of its files, neither parsed nor inflated.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/bfn.h"
#include "frontend/load.h"

static bool ends_in(const char *path, const char *suffix) {
  size_t length = strlen(path), n = strlen(suffix);
  return length > n && !strcmp(path + length - n, suffix);
}

// The archive that a .bfn takes its constants from, where there is one.
static bool add_archive(struct bf_hasher *hasher, const char *path) {
  char *text, *archive;
  size_t length;
  const char *why;
  if (!bf_read_file(path, &text, &length, &why)) return false;
  const struct bf_source source = {.name = (char *)path, .text = text, .length = length};
  archive = bf_bfn_archive_path(path, &source);
  bool there = access(archive, F_OK) == 0;
  bf_hasher_number(hasher, there);
  bool ok = !there || bf_hasher_file(hasher, archive, &why);
  free(archive);
  free(text);
  return ok;
}

bool bf_load_digest(const char *path, const struct bf_load_options *options, struct bf_digest *digest) {
  struct bf_hasher hasher;
  const char *why, *suffix = strrchr(path, '.');
  bf_hasher_begin(&hasher, 3);
  bf_hasher_text(&hasher, suffix ? suffix : "");
  bf_hasher_number(&hasher, options && options->batch ? options->batch : 1);
  bf_hasher_number(&hasher, options ? options->assume_w : 0);
  bf_hasher_number(&hasher, options ? options->assume_a : 0);
  if (!bf_hasher_file(&hasher, path, &why)) return false;
  bool profiles = options && options->profiles;
  bf_hasher_number(&hasher, profiles);
  if (profiles && !bf_hasher_file(&hasher, options->profiles, &why)) return false;
  if (ends_in(path, ".bfn") && !add_archive(&hasher, path)) return false;
  *digest = bf_hasher_end(&hasher);
  return true;
}
