// SPDX-License-Identifier: Apache-2.0
// Finds the cases by the kinds of files, whatever they are called.
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/conformance/conformance.h"

#define DEEPEST 8

bool cf_ends_with(const char *text, const char *end) {
  size_t a = strlen(text), b = strlen(end);
  return a >= b && strcmp(text + a - b, end) == 0;
}

bool cf_starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct cf_names cf_list(const char *folder) {
  struct cf_names names = {0};
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.') BF_PUSH(names.items, names.count, names.capacity) = bf_strdup(entry->d_name);
  if (dir) closedir(dir);
  if (names.count) qsort(names.items, names.count, sizeof *names.items, by_name);
  return names;
}

void cf_names_free(struct cf_names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->items[i]);
  free(names->items);
}

static bool has(const struct cf_names *names, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->items[i], name) == 0) return true;
  return false;
}

// What a file is among its neighbours; -1: no case.
static int kind_of(const char *name, const struct cf_names *beside) {
  if (cf_ends_with(name, ".tflite")) return CF_KIND_TFLITE;
  if (cf_ends_with(name, ".vec")) return CF_KIND_VECTOR;
  if (strcmp(name, "model.json") == 0 && has(beside, "L0_w.i8")) return CF_KIND_CNV;
  if (!cf_ends_with(name, ".onnx")) return -1;
  if (has(beside, "index.tsv")) return CF_KIND_LAYERED;
  return has(beside, "test_data_set_0") ? CF_KIND_NODE : CF_KIND_ONNX;
}

// The first two folders of a relative path, or as many as there are.
static char *source_of(const char *path) {
  const char *slash = strchr(path, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
  return second ? bf_strndup(path, (size_t)(second - path)) : slash ? bf_strndup(path, (size_t)(slash - path)) : bf_strdup(".");
}

#define LAST ((uint64_t)1 << 62)

// A model that nothing is recorded for: no file beside it begins with its name and a word of a recording, and none is an input.
static bool unrecorded(const char *name, const struct cf_names *beside) {
  char *stem = bf_strndup(name, strlen(name) - strlen(".onnx")), *logits = bf_format("%s_logits_", stem);
  bool found = false;
  for (size_t i = 0; i < beside->count && !found; i++)
    found = cf_starts_with(beside->items[i], logits) || cf_ends_with(beside->items[i], "_input.npy");
  free(logits);
  free(stem);
  return !found;
}

// A case whose networks lie in many files weighs what its folder does. Models that are only compiled come last: their files say nothing
// of their size.
static uint64_t weight_of(int kind, const char *name, const char *folder, const struct cf_names *beside, uint64_t size) {
  if (kind == CF_KIND_ONNX && unrecorded(name, beside)) return LAST + size;
  if (kind != CF_KIND_CNV) return kind == CF_KIND_VECTOR ? size / 4 : size;
  uint64_t sum = 0;
  struct stat st;
  for (size_t i = 0; i < beside->count; i++) {
    char *path = bf_format("%s/%s", folder, beside->items[i]);
    if (cf_starts_with(beside->items[i], "L") && stat(path, &st) == 0) sum += (uint64_t)st.st_size;
    free(path);
  }
  return sum;
}

static void walk(const struct cf_options *o, const char *relative, int depth, struct cf_cases *out) {
  char *folder = bf_format("%s/%s", o->data, relative);
  struct cf_names names = cf_list(folder);
  for (size_t i = 0; i < names.count; i++) {
    const char *name = names.items[i];
    char *path = bf_format("%s/%s", folder, name), *inner = bf_format("%s%s%s", relative, *relative ? "/" : "", name);
    struct stat st;
    int kind = kind_of(name, &names);
    if (stat(path, &st) != 0) st = (struct stat){0};
    if (S_ISDIR(st.st_mode) && depth < DEEPEST) walk(o, inner, depth + 1, out);
    if (S_ISREG(st.st_mode)) {
      out->files++;
      if (st.st_mtime > out->newest) out->newest = st.st_mtime;
    }
    if (S_ISREG(st.st_mode) && kind >= 0 && (!o->filter || fnmatch(o->filter, inner, 0) == 0)) {
      struct cf_case c = {.kind = (enum cf_kind)kind, .path = bf_strdup(inner), .source = source_of(inner)};
      c.weight = weight_of(kind, name, folder, &names, (uint64_t)st.st_size);
      for (int e = 0; e < CF_ENGINES; e++) c.results[e].verdict = CF_NOT_RUN;
      BF_PUSH(out->items, out->count, out->capacity) = c;
    }
    free(path);
    free(inner);
  }
  cf_names_free(&names);
  free(folder);
}

static int by_weight(const void *a, const void *b) {
  const struct cf_case *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
  return strcmp(x->path, y->path);
}

void cf_walk(const struct cf_options *options, struct cf_cases *out) {
  *out = (struct cf_cases){0};
  walk(options, "", 0, out);
  if (out->count) qsort(out->items, out->count, sizeof *out->items, by_weight);
}

void cf_cases_free(struct cf_cases *cases) {
  for (size_t i = 0; i < cases->count; i++) {
    struct cf_case *c = &cases->items[i];
    for (int e = 0; e < CF_ENGINES; e++) {
      for (size_t k = 0; k < c->results[e].nlayers; k++) free(c->results[e].layers[k].label);
      free(c->results[e].layers);
      free(c->results[e].why);
    }
    free(c->path);
    free(c->source);
    free(c->note);
  }
  free(cases->items);
}
