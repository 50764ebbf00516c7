// SPDX-License-Identifier: Apache-2.0
// Thresholded networks. Beside model.json: S_input.i8, S_actI.i8, S_poolI.i8, S_logits.i16 of a sample S, and fpga_logits_S in the
// JSON; P_test_logits_NxK.i16 of a set P, whose images are datasets/P/test_first*.bin (a label, then planes) in the data folder.
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "tests/conformance/cnv.h"
#include "tests/conformance/conformance.h"

struct scan {
  const struct cf_options *options;
  struct cf_subject *subject;
  const char *path;
  char *folder;
  struct cf_names names;
  const struct bf_tensor *image, *logits;
  int64_t *pixels;      // of all samples; the input
  struct cf_bytes set;  // images of the test set
  char *set_name;       // P, or NULL
  uint64_t singles, set_images;
};

static bool load_graph(const char *path, struct cf_subject *out) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  struct bf_archive weights = {0};
  if (cnv_convert(path, &text, &weights, &diags))
    out->graph = bf_bfn_compile(bf_diags_add_source(&diags, "converted.bfn", bf_buf_cstr(&text), text.length), &weights, NULL, &diags);
  if (!out->graph) cf_refuse_diags(out, &diags);
  bf_buf_free(&text);
  bf_archive_free(&weights);
  bf_diags_free(&diags);
  return out->graph != NULL;
}

// The part of a name before `end`, or NULL.
static char *before(const char *name, const char *end) {
  const char *at = strstr(name, end);
  return at ? bf_strndup(name, (size_t)(at - name)) : NULL;
}

// The images of the set that the file of logits names: the first file of datasets/P that begins with test_first.
static void find_set(struct scan *s) {
  for (size_t i = 0; i < s->names.count && !s->set_name; i++) s->set_name = before(s->names.items[i], "_test_logits_");
  if (!s->set_name) return;
  char *folder = bf_format("%s/datasets/%s", s->options->data, s->set_name);
  struct cf_names files = cf_list(folder);
  for (size_t i = 0; i < files.count && !s->set.data; i++)
    if (cf_starts_with(files.items[i], "test_first") && cf_ends_with(files.items[i], ".bin"))
      s->set = cf_read(bf_format("%s/%s", folder, files.items[i]));
  cf_names_free(&files);
  free(folder);
  s->set_images = s->set.length / (1 + s->image->elements);
}

// A sample's first activations are recorded, its pixels need not be: the rule is undone.
static void pixels_of(const char *q, uint64_t n, int64_t *out) {
  int64_t pixel[256];
  for (int64_t x = 255; x >= 0; x--) pixel[cnv_input_rule(x) + 128] = x;
  for (uint64_t i = 0; i < n; i++) out[i] = pixel[(int8_t)q[i] + 128];
}

// Planes of a record to pixels.
static void from_planes(const uint8_t *planes, uint64_t pixels, int64_t *out) {
  for (uint64_t i = 0; i < pixels; i++)
    for (uint64_t c = 0; c < 3; c++) out[3 * i + c] = planes[c * pixels + i];
}

static void record_file(struct scan *s, const char *file, const struct bf_tensor *tensor, uint64_t sample, unsigned width) {
  struct cf_bytes data = cf_read(bf_format("%s/%s", s->folder, file));
  if (data.data && data.length == tensor->elements * width)
    cf_unpack(data.data, tensor->elements, width, true,
              cf_record(s->subject, file, tensor, tensor != s->logits, sample, 1, tensor->elements, width)->values);
  free(data.data);
}

// What the accelerator itself gave for a sample.
static void record_hardware(struct scan *s, const char *name, uint64_t sample) {
  json_t *root = json_load_file(s->path, 0, NULL);
  char *key = bf_format("fpga_logits_%s", name);
  json_t *list = json_object_get(root, key);
  if (json_array_size(list) == s->logits->elements) {
    struct cf_recording *r = cf_record(s->subject, key, s->logits, false, sample, 1, s->logits->elements, 2);
    for (size_t i = 0; i < s->logits->elements; i++) r->values[i] = json_integer_value(json_array_get(list, i));
  }
  json_decref(root);
  free(key);
}

// Sample number `sample`, called `name`: its input, layers and logits.
static void add_single(struct scan *s, const char *name, uint64_t sample) {
  struct cf_bytes input = cf_read(bf_format("%s/%s_input.i8", s->folder, name));
  if (input.length == s->image->elements) pixels_of(input.data, input.length, s->pixels + sample * s->image->elements);
  free(input.data);
  for (size_t i = 0; i < s->names.count; i++) {
    const char *file = s->names.items[i], *rest = file + strlen(name) + 1;
    if (!cf_starts_with(file, name) || file[strlen(name)] != '_') continue;
    char *stem = before(rest, ".i");
    const struct bf_tensor *tensor = stem ? bf_graph_find_tensor(s->subject->graph, strcmp(stem, "input") ? stem : "quantized") : NULL;
    if (tensor) record_file(s, file, tensor, sample, cf_ends_with(file, ".i16") ? 2 : 1);
    free(stem);
  }
  record_hardware(s, name, sample);
}

// How many images the recorded logits put into the class of their label: with equal logits, so does the network.
static void note_accuracy(struct scan *s, const struct cf_recording *r) {
  uint64_t right = 0;
  for (uint64_t i = 0; i < r->count; i++) {
    uint64_t best = 0;
    for (uint64_t k = 1; k < r->elements; k++)
      if (r->values[i * r->elements + k] > r->values[i * r->elements + best]) best = k;
    right += best == (uint8_t)s->set.data[i * (1 + s->image->elements)];
  }
  free(s->subject->note);
  s->subject->note = bf_format("by its recorded logits right for %llu of the %llu test images", (unsigned long long)right,
                               (unsigned long long)r->count);
}

static void add_set(struct scan *s) {
  char *start = bf_format("%s_test_logits_", s->set_name);
  for (size_t i = 0; i < s->names.count; i++) {
    if (!cf_starts_with(s->names.items[i], start)) continue;
    struct cf_bytes data = cf_read(bf_format("%s/%s", s->folder, s->names.items[i]));
    uint64_t all = data.length / (2 * s->logits->elements), count = all < s->set_images ? all : s->set_images;
    struct cf_recording *r = cf_record(s->subject, s->names.items[i], s->logits, false, s->singles, count, s->logits->elements, 2);
    if (data.data) cf_unpack(data.data, count * s->logits->elements, 2, true, r->values);
    free(data.data);
    note_accuracy(s, r);
  }
  for (uint64_t i = 0; i < s->set_images; i++)
    from_planes((const uint8_t *)s->set.data + i * (1 + s->image->elements) + 1, s->image->elements / 3,
                s->pixels + (s->singles + i) * s->image->elements);
  free(start);
}

static void add_samples(struct scan *s) {
  for (size_t i = 0; i < s->names.count; i++) s->singles += cf_ends_with(s->names.items[i], "_input.i8");
  s->subject->samples = s->singles + s->set_images;
  s->pixels = cf_add_input(s->subject, s->image);
  for (size_t i = 0, sample = 0; i < s->names.count; i++) {
    if (!cf_ends_with(s->names.items[i], "_input.i8")) continue;
    char *name = before(s->names.items[i], "_input.i8");
    add_single(s, name, sample++);
    free(name);
  }
  if (s->set_images) add_set(s);
}

bool cf_open_cnv(const struct cf_options *options, const struct cf_case *c, const char *path, struct cf_subject *out) {
  if (!load_graph(path, out)) return false;
  struct scan s = {.options = options, .subject = out, .path = path};
  s.folder = bf_strndup(path, (size_t)(strrchr(path, '/') - path));
  s.names = cf_list(s.folder);
  s.image = cf_border(out->graph, true, 0);
  s.logits = cf_border(out->graph, false, 0);
  find_set(&s);
  add_samples(&s);
  free(s.set.data);
  free(s.set_name);
  free(s.folder);
  cf_names_free(&s.names);
  return true;
}
