// SPDX-License-Identifier: Apache-2.0
// One engine on one subject.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/compiler.h"
#include "ir/reference.h"
#include "runtime/engine.h"
#include "tests/conformance/conformance.h"

const char *const cf_engine_names[CF_ENGINES] = {"reference", "interp", "jit"};
const char *const cf_verdict_words[CF_VERDICTS] = {
#define CF_VERDICT(id, word, ...) word,
#include "tests/conformance/verdicts.def"
};
const char *const cf_verdict_headings[CF_VERDICTS] = {
#define CF_VERDICT(id, word, heading, ...) heading,
#include "tests/conformance/verdicts.def"
};

double cf_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct engine {
  enum cf_engine kind;
  bool count_exact;
  struct cf_subject *subject;
  struct bf_diags diags;
  struct bf_ref_run *reference;
  // Of the AP engine:
  struct ap_program *program;
  struct ap_technology tech;
  struct ap_run *run;
  struct ap_account *layers, total;
  int64_t **values;  // by tensor of the graph, read from the run when wanted
};

static char *first_error(const struct bf_diags *diags) {
  for (size_t i = 0; i < diags->count; i++)
    if (diags->items[i].severity == BF_ERROR) return bf_strdup(diags->items[i].message);
  return bf_strdup("failed without a reason");
}

// Writes the binary and reads it back: what is judged is the file's content.
static bool through_binary(struct engine *e) {
  struct bf_buf bytes = {0};
  bool good = ap_program_write(e->program, &bytes, &e->diags);
  ap_program_free(e->program);
  e->program = good ? ap_program_read(bytes.data, bytes.length, "binary", &e->diags) : NULL;
  bf_buf_free(&bytes);
  return e->program != NULL;
}

static bool has_layers(const struct cf_subject *s) {
  for (size_t i = 0; i < s->nrecordings; i++)
    if (s->recordings[i].layer) return true;
  return false;
}

static bool compile(struct engine *e, struct cf_result *result) {
  struct bf_compile_options o = {.opt_level = 2, .batch = 1, .keep_all = has_layers(e->subject)};
  const struct bf_source *source;
  if (!ap_machine_load("bf-imna-lr", &o.machine, &source, &e->diags) ||
      !ap_technology_load(o.machine.technology, &e->tech, &e->diags))
    return false;
  o.tech = e->tech;
  e->program = bf_compile(e->subject->graph, &o, &e->diags);
  if (!e->program || !through_binary(e)) return false;
  for (uint32_t i = 0; i < e->program->nlayers; i++)
    result->host_layers += strcmp(e->program->layers[i].mapping, "host") == 0;
  return true;
}

static bool start(struct engine *e, struct cf_result *result) {
  if (e->kind == CF_REFERENCE) {
    e->reference = bf_ref_new(e->subject->graph);
    return true;
  }
  if (!compile(e, result)) return false;
  if (!e->subject->nrecordings) return true;
  e->run = ap_run_new(e->program, &e->diags);
  e->layers = bf_alloc((size_t)e->program->nlayers + 1, sizeof *e->layers);
  e->values = bf_alloc(e->subject->graph->ntensors + 1, sizeof *e->values);
  return e->run != NULL;
}

static void stop(struct engine *e) {
  bf_ref_free(e->reference);
  ap_run_free(e->run);
  ap_program_free(e->program);
  ap_technology_free(&e->tech);
  for (size_t i = 0; e->values && i < e->subject->graph->ntensors; i++) free(e->values[i]);
  free(e->values);
  free(e->layers);
  bf_diags_free(&e->diags);
}

static bool run_reference(struct engine *e, uint64_t sample) {
  const struct cf_subject *s = e->subject;
  for (size_t i = 0; i < s->ninputs; i++)
    if (!bf_ref_set_input(e->reference, s->inputs[i].tensor, s->inputs[i].values + sample * s->inputs[i].tensor->elements)) {
      bf_error_file(&e->diags, NULL, NULL, "a recorded input value is outside the type of %s", s->inputs[i].tensor->name);
      return false;
    }
  return bf_ref_run(e->reference, &e->diags);
}

// Index of the program's tensor of that name, or ntensors.
static uint32_t program_tensor(const struct ap_program *p, const char *name) {
  uint32_t i = 0;
  while (i < p->ntensors && strcmp(p->tensors[i].name, name) != 0) i++;
  return i;
}

static bool run_program(struct engine *e, uint64_t sample) {
  const struct cf_subject *s = e->subject;
  for (size_t i = 0; i < s->graph->ntensors; i++) {
    free(e->values[i]);
    e->values[i] = NULL;
  }
  for (size_t i = 0; i < s->ninputs; i++) {
    const struct bf_tensor *t = s->inputs[i].tensor;
    uint32_t index = program_tensor(e->program, t->name);
    if (index == e->program->ntensors || !ap_run_set(e->run, index, s->inputs[i].values + sample * t->elements)) {
      bf_error_file(&e->diags, NULL, NULL, "a recorded input value is outside the type of %s", t->name);
      return false;
    }
  }
  struct ap_execution how = {.engine = e->kind == CF_JIT ? AP_ENGINE_JIT : AP_ENGINE_INTERP, .threads = 1};
  how.count = e->kind == CF_JIT && !e->count_exact ? AP_COUNT_STATIC : AP_COUNT_EXACT;  // outputs do not depend on it, which is judged, too
  return ap_run_execute(e->run, &e->tech, e->layers, &e->total, &how, &e->diags);
}

// Values of a tensor after the run, or NULL if the program does not hold it.
static const int64_t *values_of(struct engine *e, const struct bf_tensor *tensor) {
  if (e->kind == CF_REFERENCE) return e->reference->values[tensor->id];
  uint32_t index = program_tensor(e->program, tensor->name);
  if (index == e->program->ntensors || ap_tensor_elements(&e->program->tensors[index]) != tensor->elements) return NULL;
  if (!e->values[tensor->id]) {
    e->values[tensor->id] = bf_alloc(tensor->elements + 1, sizeof(int64_t));
    ap_run_get(e->run, index, e->values[tensor->id]);
  }
  return e->values[tensor->id];
}

// Bytes of `a` that differ from those of `b` as recorded; at least one if the numbers differ.
static unsigned unequal_bytes(int64_t a, int64_t b, unsigned width) {
  unsigned unequal = 0;
  for (unsigned k = 0; k < width; k++) unequal += (a >> 8 * k & 255) != (b >> 8 * k & 255);
  return a != b && !unequal ? 1 : unequal;
}

static struct cf_layer_result *layer_result(struct cf_result *result, size_t index, const struct cf_recording *r) {
  while (result->nlayers <= index) {
    struct cf_layer_result empty = {0};
    BF_PUSH(result->layers, result->nlayers, result->layers_capacity) = empty;
  }
  struct cf_layer_result *layer = &result->layers[index];
  if (!layer->label) layer->label = bf_strdup(r->label);
  return layer;
}

static void compare(struct engine *e, uint64_t sample, struct cf_result *result) {
  size_t layers = 0;
  for (size_t i = 0; i < e->subject->nrecordings; i++) {
    const struct cf_recording *r = &e->subject->recordings[i];
    size_t layer = r->layer ? layers++ : 0;
    if (sample < r->first || sample - r->first >= r->count) continue;
    const int64_t *got = r->tensor ? values_of(e, r->tensor) : NULL;
    const int64_t *want = r->values + (sample - r->first) * r->elements;
    bool fits = got && r->tensor->elements == r->elements;
    uint64_t bytes = r->elements * r->width, equal = fits ? bytes : 0;
    for (uint64_t k = 0; fits && k < r->elements; k++) equal -= unequal_bytes(want[k], got[k], r->width);
    *(r->layer ? &result->layer_bytes : &result->bytes) += bytes;
    *(r->layer ? &result->layer_equal : &result->equal) += equal;
    if (r->layer) {
      struct cf_layer_result *l = layer_result(result, layer, r);
      l->bytes += bytes;
      l->equal += equal;
    }
    if (equal != bytes && !result->why)
      result->why = bf_format("sample %llu, %s: %llu of %llu bytes equal%s%s", (unsigned long long)sample, r->label,
                              (unsigned long long)equal, (unsigned long long)bytes, r->tensor ? ", tensor " : ", no tensor like it",
                              r->tensor ? r->tensor->name : "");
  }
}

static bool unmatched(const struct cf_subject *s) {
  for (size_t i = 0; i < s->nrecordings && !s->matched; i++)
    if (!s->recordings[i].tensor) return true;
  return false;
}

static bool run_sample(struct engine *e, uint64_t sample) {
  if (e->kind == CF_REFERENCE || unmatched(e->subject)) {
    bool other = e->kind != CF_REFERENCE;
    if (other) e->reference = bf_ref_new(e->subject->graph);
    if (!run_reference(e, sample)) return false;
    if (unmatched(e->subject)) cf_match_layers(e->subject, sample, e->reference->values);
    if (!other) return true;
  }
  return run_program(e, sample);
}

void cf_judge(const struct cf_options *options, struct cf_subject *subject, enum cf_engine kind, double budget,
              struct cf_result *result) {
  struct engine e = {.kind = kind, .count_exact = options->count_exact, .subject = subject};
  double begin = cf_now(), after_start = begin;
  *result = (struct cf_result){.verdict = CF_UNSUPPORTED, .all_samples = subject->samples};
  if (!start(&e, result)) {
    result->why = first_error(&e.diags);
  } else if (!subject->nrecordings) {
    result->verdict = CF_COMPILED;
  } else {
    uint64_t limit = subject->samples;
    bool good = true;
    if (options->samples && options->samples < limit) limit = options->samples;
    after_start = cf_now();
    for (uint64_t i = 0; i < limit && good; i++) {
      if (i && budget > 0 && cf_now() - begin >= budget) break;
      good = run_sample(&e, i);
      if (good) compare(&e, i, result);
      result->samples += good;
    }
    if (!good && !result->why) result->why = first_error(&e.diags);
    bool exact = good && result->equal == result->bytes && result->layer_equal == result->layer_bytes;
    result->verdict = exact ? CF_EXACT : CF_WRONG;
  }
  result->seconds = cf_now() - after_start;
  stop(&e);
}
