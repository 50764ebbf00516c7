// SPDX-License-Identifier: Apache-2.0
#include "runtime/session.h"

#include <stdlib.h>
#include <string.h>

// Elements of one image. The batch is the outermost dimension, so an image is a contiguous part.
static uint64_t image_elements(const struct ap_program *program, uint32_t tensor) {
  return ap_tensor_elements(&program->tensors[tensor]) / program->batch;
}

static bool divides(const struct ap_program *program, uint32_t tensor, struct bf_diags *diags) {
  if (ap_tensor_elements(&program->tensors[tensor]) % program->batch == 0) {
    return true;
  }
  bf_error_file(diags, NULL, NULL, "tensor %s cannot be divided into a batch of %u images", program->tensors[tensor].name,
                program->batch);
  return false;
}

uint32_t ap_session_profile(const struct ap_session *session, uint64_t image) {
  return session->nschedule > 0 ? session->schedule[image % session->nschedule] : session->profile;
}

// About how many executions of the profile of image `first` there will be from it on.
static uint64_t executions_left(const struct ap_session *s, uint64_t first) {
  uint64_t left = s->images - first, batch = s->program->batch, share = left;
  if (s->nschedule > 0) {
    uint64_t turns = 0;
    for (size_t i = 0; i < s->nschedule; i++) {
      turns += s->schedule[i] == ap_session_profile(s, first);
    }
    share = (left / s->nschedule + 1) * turns;
    share = share < left ? share : left;
  }
  return (share + batch - 1) / batch;
}

// Images that follow each other with one profile, up to the compiled batch.
static uint64_t group_size(const struct ap_session *s, uint64_t first) {
  uint64_t count = 1;
  while (count < s->program->batch && first + count < s->images &&
         ap_session_profile(s, first + count) == ap_session_profile(s, first)) {
    count++;
  }
  return count;
}

static bool execute(struct ap_session *s, struct ap_run *run, uint32_t profile, uint64_t first, uint64_t images,
                    struct bf_diags *diags) {
  static const struct ap_execution plain = {.engine = AP_ENGINE_INTERP, .count = AP_COUNT_EXACT, .threads = 1};
  struct ap_execution how = s->how != NULL ? *s->how : plain;
  struct ap_account total = {0};
  how.profile = profile;
  how.repeats = executions_left(s, first);
  if (!ap_run_execute(run, s->tech, s->layers, &total, &how, diags)) {
    return false;
  }
  ap_account_add(&s->total, &total);
  ap_account_add(&s->uses[profile].total, &total);
  s->uses[profile].images += images;
  s->uses[profile].executions++;
  return true;
}

// Tensors that this profile's layers leave, and the outputs.
static void collect(struct ap_session *s, const struct ap_run *run, uint64_t first, uint64_t count) {
  const struct ap_program *p = s->program;
  for (uint32_t t = 0; t < p->ntensors; t++) {
    if (s->want[t]) {
      uint64_t all = ap_tensor_elements(&p->tensors[t]);
      int64_t *q = bf_alloc(all > 0 ? all : 1, sizeof *q);
      ap_run_get(run, t, q);
      memcpy(s->values[t].q + first * s->values[t].elements, q, count * s->values[t].elements * sizeof *q);
      free(q);
    }
  }
}

static bool run_group(struct ap_session *s, struct ap_run *run, uint64_t first, uint64_t count, struct bf_diags *diags) {
  const struct ap_program *p = s->program;
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const struct ap_tensor *tensor = &p->tensors[p->inputs[i]];
    const struct ap_images *in = &s->inputs[i];
    uint64_t all = ap_tensor_elements(tensor), given = count * in->elements;
    int64_t *q = bf_alloc(all > 0 ? all : 1, sizeof *q);
    memcpy(q, in->q + first * in->elements, given * sizeof *q);
    for (uint64_t e = given; e < all; e++) {
      q[e] = tensor->bias;
    }
    bool fits = ap_run_set(run, p->inputs[i], q);
    free(q);
    if (!fits) {
      bf_error_file(diags, NULL, NULL, "an input value does not fit the input's type");
      return false;
    }
  }
  if (!execute(s, run, ap_session_profile(s, first), first, count, diags)) {
    return false;
  }
  collect(s, run, first, count);
  return true;
}

static bool allocate_results(struct ap_session *s, struct bf_diags *diags) {
  const struct ap_program *p = s->program;
  s->layers = bf_alloc((size_t)p->nlayers + 1, sizeof *s->layers);
  s->values = bf_alloc((size_t)p->ntensors + 1, sizeof *s->values);
  s->uses = bf_alloc((size_t)p->nprofiles + 1, sizeof *s->uses);
  for (uint32_t i = 0; i < p->nprofiles; i++) {
    s->uses[i].name = p->profiles[i].name;
  }
  memset(&s->total, 0, sizeof s->total);
  s->executions = s->padded = s->switches = 0;
  for (uint32_t t = 0; t < p->ntensors; t++) {
    uint64_t count;
    if (!s->want[t]) {
      continue;
    }
    s->values[t].images = s->images;
    s->values[t].elements = image_elements(p, t);
    if (!divides(p, t, diags)) {
      return false;
    }
    if (!bf_mul_limit(s->images, s->values[t].elements, BF_MAX_ELEMENTS, &count)) {
      bf_error_file(diags, NULL, NULL, "too many images: %s would have more than 2^31 values", p->tensors[t].name);
      return false;
    }
    s->values[t].q = bf_alloc(count > 0 ? count : 1, sizeof *s->values[t].q);
  }
  return true;
}

bool ap_session_run(struct ap_session *s, struct bf_diags *diags) {
  const struct ap_program *p = s->program;
  s->images = p->ninputs > 0 ? s->inputs[0].images : p->batch;
  for (uint32_t i = 1; i < p->ninputs; i++) {
    if (s->inputs[i].images != s->images) {
      bf_error_file(diags, NULL, NULL, "the inputs hold different numbers of images: %s %llu, %s %llu",
                    p->tensors[p->inputs[0]].name, (unsigned long long)s->images, p->tensors[p->inputs[i]].name,
                    (unsigned long long)s->inputs[i].images);
      return false;
    }
  }
  if (!allocate_results(s, diags)) {
    return false;
  }
  struct ap_run *run = ap_run_new(p, diags);
  bool good = run != NULL;
  for (uint64_t first = 0, count; good && first < s->images; first += count) {
    count = group_size(s, first);
    s->switches += first > 0 && ap_session_profile(s, first) != ap_session_profile(s, first - 1);
    good = run_group(s, run, first, count, diags);
    s->executions += good;
    s->padded += p->batch - count;
    if (good && s->progress != NULL && !s->progress(s->context, first + count, s->images)) {
      bf_error_file(diags, NULL, NULL, "stopped after %llu images", (unsigned long long)(first + count));
      good = false;
    }
  }
  ap_run_free(run);
  return good;
}

void ap_session_free(struct ap_session *s) {
  for (uint32_t t = 0; s->values != NULL && t < s->program->ntensors; t++) {
    ap_images_free(&s->values[t]);
  }
  free(s->values);
  free(s->uses);
  free(s->layers);
  s->uses = NULL;
  s->values = NULL;
  s->layers = NULL;
}
