// SPDX-License-Identifier: Apache-2.0
#include "tools/bfexplore/network.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "frontend/load.h"
#include "tools/bfweights/synthetic.h"

const char *bfx_file_text(const char *name) {
  for (const struct bfx_file *file = bfx_files; file->name; file++) {
    if (!strcmp(file->name, name)) {
      return file->text;
    }
  }
  return NULL;
}

static bool is_path(const char *name) { return strpbrk(name, "./") != NULL; }

static const char *zoo_text(const char *name, struct bf_diags *diags) {
  const char *names[64], *text;
  size_t count = 0;
  char *key = bf_format("zoo/%s.bfn", name);
  text = bfx_file_text(key);
  free(key);
  if (text) {
    return text;
  }
  char *stems[64];
  for (const struct bfx_file *file = bfx_files; file->name && count < BF_COUNT(names); file++) {
    if (!strncmp(file->name, "zoo/", 4)) {
      names[count] = stems[count] = bf_strndup(file->name + 4, strlen(file->name) - 8);
      count++;
    }
  }
  const char *nearest = bf_nearest(name, names, count);
  char *hint = nearest ? bf_format("did you mean %s?", nearest) : bf_strdup("a name of the zoo, or a file: its name has a '.' or a '/'");
  bf_error_file(diags, NULL, hint, "there is no network `%s` in the zoo", name);
  free(hint);
  for (size_t i = 0; i < count; i++) {
    free(stems[i]);
  }
  return NULL;
}

static struct bf_graph *synthetic(const struct bf_source *source, uint32_t batch, uint64_t seed, struct bf_diags *diags) {
  struct synthetic settings = {.seed = seed};
  struct bf_bfn_options options = {.batch = batch, .make = synthetic_make, .make_context = &settings};
  struct bf_graph *graph = bf_bfn_compile(source, NULL, &options, diags);
  if (graph) {
    graph->weights = bf_arena_format(&graph->arena, "synthetic (seed %" PRIu64 ")", seed);
  }
  return graph;
}

// Whether the file is a .bfn without archive; *source is then its text.
static bool lacks_weights(const char *path, const struct bf_source **source, struct bf_diags *diags) {
  size_t length = strlen(path);
  char *text, *data;
  const char *why;
  if (length < 4 || strcmp(path + length - 4, ".bfn") != 0 || !bf_read_file(path, &text, &length, &why)) {
    return false;  // the loader says what is wrong
  }
  *source = bf_diags_add_source(diags, path, text, length);
  free(text);
  char *archive = bf_bfn_archive_path(path, *source);
  bool has = bf_read_file(archive, &data, &length, &why);
  free(has ? data : NULL);
  free(archive);
  return !has;
}

struct bf_graph *bfx_network_load(const char *name, uint32_t batch, uint64_t seed, struct bf_diags *diags) {
  const struct bf_source *source = NULL;
  if (!is_path(name)) {
    const char *text = zoo_text(name, diags);
    return text ? synthetic(bf_diags_add_source(diags, name, text, strlen(text)), batch, seed, diags) : NULL;
  }
  struct bf_load_options options = {.batch = batch};
  return lacks_weights(name, &source, diags) ? synthetic(source, batch, seed, diags) : bf_load_network(name, &options, diags);
}

bool bfx_network_hash(const char *name, uint64_t seed, struct bf_hasher *hasher, struct bf_diags *diags) {
  const char *text = is_path(name) ? NULL : zoo_text(name, diags), *why;
  bf_hasher_number(hasher, seed);
  bf_hasher_text(hasher, name);
  if (!is_path(name)) {
    bf_hasher_text(hasher, text);
    return text != NULL;
  }
  struct bf_digest files;
  if (bf_load_digest(name, NULL, &files)) {
    bf_hasher_add(hasher, &files, sizeof files);
    return true;
  }
  if (bf_hasher_file(hasher, name, &why)) {
    return true;  // its archive cannot be read, as loading will say
  }
  bf_error_file(diags, name, NULL, "cannot read: %s", why);
  return false;
}

const struct bf_source *bfx_hawq_table(const char *folder, const char *file, struct bf_diags *diags) {
  char *path = folder ? bf_format("%s/%s", folder, file) : bf_format("hawq/%s", file);
  const struct bf_source *source = folder ? bf_diags_read_source(diags, path, NULL)
                                          : bf_diags_add_source(diags, path, bfx_file_text(path), strlen(bfx_file_text(path)));
  free(path);
  return source;
}
