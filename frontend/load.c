// SPDX-License-Identifier: Apache-2.0
// Which reader for which file. Each entry of the table makes a verified graph or adds errors.
#include "frontend/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/bfn.h"
#include "frontend/onnx.h"
#include "frontend/tflite.h"

struct request {
  const char *path;
  uint32_t batch;
  struct bf_buf *text;
  struct bf_archive *weights;
  const char *profiles;  // text, or NULL
  const char *profiles_name;
  unsigned assume_w, assume_a;
  struct bf_diags *diags;
};

static struct bf_graph *load_bfn(const struct request *r) {
  struct bf_bfn_options options = {.batch = r->batch, .profiles = r->profiles, .profiles_name = r->profiles_name};
  struct bf_graph *graph = bf_bfn_load(r->path, &options, r->diags);
  if (!graph) return NULL;
  size_t length = strlen(graph->source);
  if (r->text) bf_buf_append(r->text, graph->source, length);
  if (!r->weights) return graph;
  char *path = bf_bfn_archive_path(r->path, bf_diags_add_source(r->diags, r->path, graph->source, length));
  bool ok = access(path, F_OK) != 0 || bf_npz_read(path, r->weights, r->diags);
  free(path);
  if (ok) return graph;
  bf_graph_free(graph);
  return NULL;
}

typedef bool import_function(const struct request *r, const void *data, size_t length, struct bf_buf *text,
                             struct bf_archive *weights);

static bool import_tflite(const struct request *r, const void *data, size_t length, struct bf_buf *text,
                          struct bf_archive *weights) {
  return bf_tflite_import(data, length, r->path, text, weights, r->diags);
}

static bool import_onnx(const struct request *r, const void *data, size_t length, struct bf_buf *text,
                        struct bf_archive *weights) {
  struct bf_onnx_options options = {.assume_w = r->assume_w, .assume_a = r->assume_a};
  return bf_onnx_import(data, length, r->path, &options, text, weights, r->diags);
}

// Imports, and compiles the text that comes of it.
static struct bf_graph *load_imported(const struct request *r, import_function *import) {
  char *data;
  size_t length;
  if (!bf_diags_read(r->diags, r->path, NULL, &data, &length)) return NULL;
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  struct bf_graph *graph = NULL;
  if (import(r, data, length, &text, &weights)) {
    char *name = bf_format("%s (as .bfn)", r->path);
    struct bf_bfn_options options = {.batch = r->batch, .profiles = r->profiles, .profiles_name = r->profiles_name};
    const struct bf_source *source = bf_bfn_with_profiles(name, bf_buf_cstr(&text), text.length, &options, r->diags);
    graph = bf_bfn_compile(source, &weights, &options, r->diags);
    free(name);
  }
  free(data);
  if (graph && r->text) bf_buf_puts(r->text, graph->source);
  bf_buf_free(&text);
  if (graph && r->weights)
    *r->weights = weights;  // handed over
  else
    bf_archive_free(&weights);
  return graph;
}

static struct bf_graph *load_tflite(const struct request *r) { return load_imported(r, import_tflite); }
static struct bf_graph *load_onnx(const struct request *r) { return load_imported(r, import_onnx); }

static struct bf_graph *load_bfir(const struct request *r) {
  if (r->profiles) {
    bf_error_file(r->diags, r->path, "write the profiles into the .bfir", "profiles from a file are for networks in .bfn and for models");
    return NULL;
  }
  if (r->batch > 1) {
    bf_error_file(r->diags, r->path, "compile the .bfn with the batch instead",
                  "a .bfir has its batch in its shapes; it cannot be changed");
    return NULL;
  }
  char *data;
  size_t length;
  if (!bf_diags_read(r->diags, r->path, NULL, &data, &length)) return NULL;
  struct bf_graph *graph = bf_graph_parse(bf_diags_add_source(r->diags, r->path, data, length), r->diags);
  free(data);
  if (!graph) return NULL;
  const char *before = r->diags->default_file;
  r->diags->default_file = r->path;  // the verifier knows no files
  bool ok = bf_graph_verify(graph, r->diags);
  r->diags->default_file = before;
  if (ok) return graph;
  bf_graph_free(graph);
  return NULL;
}

static const struct {
  const char *suffix;
  struct bf_graph *(*load)(const struct request *);
} formats[] = {{".bfn", load_bfn}, {".tflite", load_tflite}, {".onnx", load_onnx}, {".bfir", load_bfir}};

static struct bf_graph *load(const struct request *r) {
  size_t length = strlen(r->path);
  for (size_t i = 0; i < BF_COUNT(formats); i++) {
    size_t suffix = strlen(formats[i].suffix);
    if (length <= suffix || strcmp(r->path + length - suffix, formats[i].suffix) != 0) continue;
    if (r->assume_w && formats[i].load != load_onnx)
      bf_warning_file(r->diags, r->path, NULL, "assumed widths are for .onnx models; they have no effect here");
    return formats[i].load(r);
  }
  bf_error_file(r->diags, r->path, "networks are read from .bfn, .tflite, .onnx and .bfir files",
                "the file's suffix names no format this program reads");
  return NULL;
}

struct bf_graph *bf_load_network(const char *path, const struct bf_load_options *options, struct bf_diags *diags) {
  struct request r = {.path = path, .diags = diags};
  if (options) {
    r.batch = options->batch, r.text = options->text, r.weights = options->weights;
    r.assume_w = options->assume_w, r.assume_a = options->assume_a;
  }
  char *profiles = NULL;
  size_t length;
  if (options && options->profiles && !bf_diags_read(diags, options->profiles, NULL, &profiles, &length)) return NULL;
  if (profiles && memchr(profiles, 0, length)) {
    bf_error_file(diags, options->profiles, NULL, "this is no text");
    free(profiles);
    return NULL;
  }
  r.profiles = profiles;
  if (profiles) r.profiles_name = options->profiles;
  struct bf_graph *graph = load(&r);
  free(profiles);
  return graph;
}
