// SPDX-License-Identifier: Apache-2.0
// Subjects: what all openers share.
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

static const struct {
  bool (*open)(const struct cf_options *, const struct cf_case *, const char *, struct cf_subject *);
} kinds[] = {
#define CF_KIND(id, opener, ...) {opener},
#include "tests/conformance/kinds.def"
};

bool cf_open(const struct cf_options *options, const struct cf_case *c, struct cf_subject *out) {
  *out = (struct cf_subject){0};
  char *path = bf_format("%s/%s", options->data, c->path);
  bool good = kinds[c->kind].open(options, c, path, out);
  free(path);
  return good;
}

void cf_subject_free(struct cf_subject *s) {
  bf_graph_free(s->graph);
  for (size_t i = 0; i < s->ninputs; i++) free(s->inputs[i].values);
  for (size_t i = 0; i < s->nrecordings; i++) {
    free(s->recordings[i].values);
    free(s->recordings[i].label);
  }
  free(s->inputs);
  free(s->recordings);
  free(s->note);
  free(s->why);
  bf_onnx_interface_free(&s->interface);
  *s = (struct cf_subject){0};
}

bool cf_refuse(struct cf_subject *subject, bool scope, char *why) {
  free(subject->why);
  subject->why = why;
  subject->scope = scope;
  return false;
}

bool cf_refuse_diags(struct cf_subject *subject, const struct bf_diags *diags) {
  for (size_t i = 0; i < diags->count; i++)
    if (diags->items[i].severity == BF_ERROR) return cf_refuse(subject, false, bf_strdup(diags->items[i].message));
  return cf_refuse(subject, false, bf_strdup("refused without a reason"));
}

struct cf_recording *cf_record(struct cf_subject *subject, const char *label, const struct bf_tensor *tensor, bool layer,
                               uint64_t first, uint64_t count, uint64_t elements, unsigned width) {
  struct cf_recording *r = &BF_PUSH(subject->recordings, subject->nrecordings, subject->recordings_capacity);
  *r = (struct cf_recording){.label = bf_strdup(label), .tensor = tensor, .layer = layer, .first = first,
                             .count = count, .elements = elements, .width = width};
  r->values = bf_alloc(count * elements + 1, sizeof *r->values);
  return r;
}

int64_t *cf_add_input(struct cf_subject *subject, const struct bf_tensor *tensor) {
  struct cf_input *in = &BF_PUSH(subject->inputs, subject->ninputs, subject->inputs_capacity);
  *in = (struct cf_input){.tensor = tensor, .values = bf_alloc(subject->samples * tensor->elements + 1, sizeof *in->values)};
  return in->values;
}

const struct bf_tensor *cf_border(const struct bf_graph *graph, bool input, size_t n) {
  for (size_t i = 0; i < graph->ntensors; i++)
    if ((input ? graph->tensors[i]->is_input : graph->tensors[i]->is_output) && !n--) return graph->tensors[i];
  return NULL;
}

void cf_unpack(const char *data, uint64_t count, unsigned width, bool is_signed, int64_t *out) {
  const uint8_t *p = (const uint8_t *)data;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t u = 0;
    for (unsigned k = 0; k < width; k++) u |= (uint64_t)*p++ << 8 * k;
    uint64_t top = (uint64_t)1 << (8 * width - 1);
    out[i] = is_signed ? (int64_t)(u ^ top) - (int64_t)top : (int64_t)u;
  }
}

struct cf_bytes cf_read(char *path) {
  struct cf_bytes out = {0};
  const char *why;
  if (!bf_read_file(path, &out.data, &out.length, &why)) out = (struct cf_bytes){0};
  free(path);
  return out;
}
