// SPDX-License-Identifier: Apache-2.0
// Progress of a long run on standard error: a bar that is redrawn on a terminal, lines elsewhere if they were asked for.
#include "tools/aprun/watch.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SHOW_AFTER_S 2.0    // shorter runs show nothing unless asked
#define REDRAW_S 0.1
#define LINE_S 1.0
#define BAR_CELLS 30

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void watch_begin(struct watch *watch, const struct ap_session *session, bool asked, bool tracing) {
  *watch = (struct watch){.session = session, .asked = asked, .terminal = isatty(STDERR_FILENO) == 1, .tracing = tracing};
  watch->begin = watch->last = now();
  if (tracing) {
    trace_begin(&watch->trace, session->program, TRACE_LIMIT);
  }
}

static void print_duration(double seconds) {
  if (seconds >= 3600) {
    fprintf(stderr, "%.0f h %02d min", floor(seconds / 3600), (int)(fmod(seconds, 3600) / 60));
  } else if (seconds >= 60) {
    fprintf(stderr, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
  } else {
    fprintf(stderr, "%.1f s", seconds);
  }
}

static void draw(struct watch *watch, const char *layer, double share, double elapsed) {
  const struct ap_session *s = watch->session;
  if (watch->terminal) {
    char bar[BAR_CELLS + 1];
    for (int i = 0; i < BAR_CELLS; i++) {
      bar[i] = i < (int)(share * BAR_CELLS) ? '#' : '.';
    }
    bar[BAR_CELLS] = 0;
    fprintf(stderr, "\r[%s] ", bar);
  }
  fprintf(stderr, "%3d%%", (int)(100 * share));
  if (s->images > 1) {
    fprintf(stderr, " image %llu of %llu", (unsigned long long)(s->executions * s->program->batch + 1), (unsigned long long)s->images);
  }
  fprintf(stderr, " %.40s", layer);
  if (share > 1e-5 && elapsed > 0.5) {
    fprintf(stderr, ", ");
    print_duration(elapsed * (1 - share) / share);
    fprintf(stderr, " left");
  }
  fputs(watch->terminal ? "\033[K" : "\n", stderr);
  watch->shown = watch->terminal;
}

void watch_progress(void *context, uint32_t layer, double share) {
  struct watch *watch = context;
  const struct ap_session *s = watch->session;
  double t = now(), elapsed = t - watch->begin;
  if (!watch->asked && (!watch->terminal || elapsed < SHOW_AFTER_S)) {
    return;
  }
  if (t - watch->last < (watch->terminal ? REDRAW_S : LINE_S)) {
    return;
  }
  watch->last = t;
  uint64_t groups = (s->images + s->program->batch - 1) / s->program->batch;
  double whole = ((double)s->executions + share) / (double)(groups > 0 ? groups : 1);
  draw(watch, layer < s->program->nlayers ? s->program->layers[layer].name : "", whole < 1 ? whole : 1, elapsed);
}

void watch_trace(void *context, const struct ap_trace_event *event) {
  struct watch *watch = context;
  // The total holds the executions before this one.
  trace_add(&watch->trace, event, (uint32_t)watch->session->executions, watch->session->total.time.cycles);
}

void watch_end(struct watch *watch, bool done) {
  if (watch->shown) {
    fputs("\r\033[K", stderr);
  }
  if (done && watch->asked) {
    fprintf(stderr, "100%% %llu image%s in ", (unsigned long long)watch->session->images, watch->session->images == 1 ? "" : "s");
    print_duration(now() - watch->begin);
    fputc('\n', stderr);
  }
  watch->shown = false;
}

void watch_free(struct watch *watch) {
  if (watch->tracing) {
    trace_free(&watch->trace);
  }
}
