// SPDX-License-Identifier: Apache-2.0
// The order of the cases and the time each gets: cheap ones first, and what they leave goes to the expensive ones.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

struct schedule {
  const struct cf_options *options;
  struct cf_cases *cases;
  pthread_mutex_t lock;
  size_t next, done;
  double begin;
  // Seconds for each multiplication, from what has run so far: so that no sample is begun that cannot end in time.
  double pace[CF_ENGINES];
  bool terminal;
};

static void progress(const struct schedule *s, const char *name) {
  if (s->terminal) fprintf(stderr, "\r\033[K[%zu/%zu] %.60s", s->done, s->cases->count, name);
}

static double left(const struct schedule *s) { return s->options->time - (cf_now() - s->begin); }

// A fair part of the time that is left, for one engine; 0: no limit. Negative: there is no time for a single sample.
static double budget_of(struct schedule *s, const struct cf_case *c, enum cf_engine engine, unsigned engines) {
  if (s->options->time <= 0) return 0;
  pthread_mutex_lock(&s->lock);
  double rest = left(s), sample = (double)c->macs * s->pace[engine];
  size_t waiting = s->cases->count - s->next + 1;
  pthread_mutex_unlock(&s->lock);
  if (rest <= 0 || sample > rest) return -1;
  return rest * s->options->jobs / (double)waiting / engines;
}

static void learn(struct schedule *s, const struct cf_case *c, enum cf_engine engine) {
  const struct cf_result *r = &c->results[engine];
  if (!r->samples || c->macs < 100000) return;
  pthread_mutex_lock(&s->lock);
  s->pace[engine] = r->seconds / (double)r->samples / (double)c->macs;
  pthread_mutex_unlock(&s->lock);
}

static void refuse(const struct cf_options *o, struct cf_case *c, const struct cf_subject *subject) {
  for (int e = 0; e < CF_ENGINES; e++) {
    if (!o->engines[e]) continue;
    c->results[e].verdict = subject->scope ? CF_SCOPE : CF_UNSUPPORTED;
    c->results[e].why = bf_strdup(subject->why ? subject->why : "");
  }
}

// Takes ownership of `why`, which may be NULL.
static void not_run(struct cf_result *result, uint64_t samples, char *why) {
  *result = (struct cf_result){.verdict = CF_NOT_RUN, .all_samples = samples, .why = why};
}

static double weights_of(const struct bf_graph *graph) {
  double sum = 0;
  for (size_t i = 0; i < graph->ntensors; i++)
    if (graph->tensors[i]->data) sum += (double)graph->tensors[i]->elements;
  return sum / 1e6;
}

static void one_case(struct schedule *s, struct cf_case *c) {
  struct cf_subject subject;
  unsigned engines = 0;
  for (int e = 0; e < CF_ENGINES; e++) engines += s->options->engines[e];
  if (s->options->time > 0 && left(s) <= 0) return;
  if (!cf_open(s->options, c, &subject)) {
    refuse(s->options, c, &subject);
    cf_subject_free(&subject);
    return;
  }
  for (size_t i = 0; i < subject.graph->nnodes; i++) c->macs += bf_node_macs(subject.graph->nodes[i]);
  double weights = weights_of(subject.graph);
  if (subject.note) c->note = bf_strdup(subject.note);
  for (int e = 0; e < CF_ENGINES; e++) {
    if (!s->options->engines[e]) continue;
    double budget = budget_of(s, c, (enum cf_engine)e, engines);
    if (budget < 0) not_run(&c->results[e], subject.samples, NULL);
    else if (e != CF_REFERENCE && weights > s->options->weights)
      not_run(&c->results[e], subject.samples, bf_format("%.1f million weights: see --weights", weights));
    else cf_judge(s->options, &subject, (enum cf_engine)e, budget, &c->results[e]);
    learn(s, c, (enum cf_engine)e);
  }
  cf_subject_free(&subject);
}

static void *work(void *context) {
  struct schedule *s = context;
  pthread_mutex_lock(&s->lock);
  while (s->next < s->cases->count) {
    struct cf_case *c = &s->cases->items[s->next++];
    progress(s, c->path);
    pthread_mutex_unlock(&s->lock);
    one_case(s, c);
    pthread_mutex_lock(&s->lock);
    s->done++;
    if (s->terminal) fputs("\r\033[K", stderr);
    cf_report_case(s->options, c);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

void cf_run(const struct cf_options *options, struct cf_cases *cases) {
  struct schedule s = {.options = options, .cases = cases, .begin = cf_now(), .pace = {5e-9, 3e-8}};
  pthread_t threads[64];
  unsigned started = 0;
  s.terminal = isatty(2);
  pthread_mutex_init(&s.lock, NULL);
  while (started + 1 < options->jobs && pthread_create(&threads[started], NULL, work, &s) == 0) started++;
  work(&s);
  for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
  pthread_mutex_destroy(&s.lock);
}
