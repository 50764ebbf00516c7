// SPDX-License-Identifier: Apache-2.0
// Collecting the trace in bounded memory. When the limit is reached, what is there is put through a coarser sieve, and so is
// what follows; each round at least tries to halve the events, so the work is proportional to the events seen.
#include "tools/aprun/trace.h"

#include <stdlib.h>
#include <string.h>

#define TRACE_WHOLE_LAYER 16u  // below: up to 2^level events of a CAP become one
#define TRACE_ONE_GROUP (TRACE_WHOLE_LAYER + 32u)

void trace_begin(struct trace *trace, const struct ap_program *program, size_t limit) {
  *trace = (struct trace){.program = program, .limit = limit};
}

static uint32_t group_of(const struct trace *trace, uint32_t cap) {
  unsigned fold = trace->level > TRACE_WHOLE_LAYER ? trace->level - TRACE_WHOLE_LAYER : 0;
  return fold < 32 ? cap >> fold : 0;
}

static size_t *last_of(struct trace *trace, enum ap_trace_kind kind, uint32_t group) {
  if (group >= trace->ngroups[kind]) {
    size_t wanted = (size_t)group + 1 > 2 * trace->ngroups[kind] ? (size_t)group + 1 : 2 * trace->ngroups[kind];
    trace->last[kind] = bf_realloc(trace->last[kind], wanted, sizeof *trace->last[kind]);
    memset(trace->last[kind] + trace->ngroups[kind], 0, (wanted - trace->ngroups[kind]) * sizeof *trace->last[kind]);
    trace->ngroups[kind] = wanted;
  }
  return &trace->last[kind][group];
}

static bool may_merge(const struct trace *trace, const struct trace_span *a, const struct trace_span *b) {
  bool room = trace->level >= TRACE_WHOLE_LAYER || a->merged + b->merged <= (uint64_t)1 << trace->level;
  return trace->level > 0 && room && a->layer == b->layer && a->execution == b->execution;
}

static void merge(struct trace_span *to, const struct trace_span *from) {
  uint64_t end = to->begin + to->cycles, other = from->begin + from->cycles;
  to->begin = from->begin < to->begin ? from->begin : to->begin;
  to->cycles = (other > end ? other : end) - to->begin;
  to->cap = from->cap < to->cap ? from->cap : to->cap;
  to->merged += from->merged;
}

static void put(struct trace *trace, const struct trace_span *span) {
  if (span->kind != AP_TRACE_LAYER) {
    size_t *last = last_of(trace, span->kind, group_of(trace, span->cap));
    if (*last > 0 && may_merge(trace, &trace->spans[*last - 1], span)) {
      merge(&trace->spans[*last - 1], span);
      return;
    }
    *last = trace->count + 1;
  }
  BF_PUSH(trace->spans, trace->count, trace->capacity) = *span;
}

// Puts all spans through the sieve again. Reading is never behind writing, so it is done in place.
static void sieve(struct trace *trace) {
  size_t count = trace->count;
  trace->count = 0;
  for (int kind = 0; kind < 4; kind++) {
    if (trace->ngroups[kind] > 0) {
      memset(trace->last[kind], 0, trace->ngroups[kind] * sizeof *trace->last[kind]);
    }
  }
  for (size_t i = 0; i < count; i++) {
    struct trace_span span = trace->spans[i];
    put(trace, &span);
  }
}

static void shrink(struct trace *trace) {
  while (trace->count > trace->limit / 2 && trace->level < TRACE_ONE_GROUP) {
    trace->level++;
    sieve(trace);
  }
}

void trace_add(struct trace *trace, const struct ap_trace_event *event, uint32_t execution, uint64_t offset) {
  trace->events++;
  // An execution is recorded whole or not at all once nothing is left to merge.
  if (trace->ended) {
    return;
  }
  if (trace->count >= trace->limit) {
    shrink(trace);
    if (trace->count >= trace->limit) {
      trace->ended = true;
      while (trace->count > 0 && trace->spans[trace->count - 1].execution == execution && execution > 0) {
        trace->count--;
      }
      return;
    }
  }
  struct trace_span span = {event->kind, execution, event->layer, event->tile, event->cap, offset + event->begin, event->cycles, 1};
  put(trace, &span);
}

char *trace_note(const struct trace *trace) {
  if (trace->ended) {
    return bf_format("the trace ends after %llu executions: no room for more", (unsigned long long)(trace->count > 0 ? trace->spans[trace->count - 1].execution + 1 : 0));
  }
  if (trace->level > TRACE_WHOLE_LAYER) {
    return bf_format("%llu events merged to %zu: one for each layer and up to %u neighbouring CAPs", (unsigned long long)trace->events,
                     trace->count, trace->level - TRACE_WHOLE_LAYER < 31 ? 1u << (trace->level - TRACE_WHOLE_LAYER) : 1u << 31);
  }
  if (trace->level > 0) {
    return bf_format("%llu events merged to %zu: up to %u of a layer that follow each other on a CAP in one", (unsigned long long)trace->events,
                     trace->count, 1u << trace->level);
  }
  return NULL;
}

void trace_free(struct trace *trace) {
  for (int kind = 0; kind < 4; kind++) {
    free(trace->last[kind]);
  }
  free(trace->spans);
  *trace = (struct trace){0};
}
