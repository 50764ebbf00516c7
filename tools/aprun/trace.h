// SPDX-License-Identifier: Apache-2.0
// The trace of a run: what the engine did on the simulated time line, collected in bounded memory and printed as Chrome
// trace-event JSON (docs/runtime.md).
#ifndef APRUN_TRACE_H
#define APRUN_TRACE_H

#include "runtime/engine.h"

// Kept events at most. More are merged: those of one layer that follow each other on a CAP, then those of neighbouring CAPs.
#define TRACE_LIMIT 200000

struct trace_span {
  enum ap_trace_kind kind;
  uint32_t execution, layer;
  uint32_t tile, cap;      // the first that it covers
  uint64_t begin, cycles;  // from the begin of the run
  uint64_t merged;         // events that it covers
};
struct trace {
  const struct ap_program *program;
  struct trace_span *spans;
  size_t count, capacity, limit;
  unsigned level;          // how much is merged: 0 nothing; TRACE_WHOLE_LAYER and above: whole layers of 2^(level - it) CAPs
  size_t *last[4];         // by kind and group of CAPs: span that may still grow, plus one
  size_t ngroups[4];
  bool ended;              // nothing is left to merge: later executions are not recorded
  uint64_t events;         // seen
};

void trace_begin(struct trace *trace, const struct ap_program *program, size_t limit);
// Adds an event of an execution that began at cycle `offset` of the run.
void trace_add(struct trace *trace, const struct ap_trace_event *event, uint32_t execution, uint64_t offset);
// What had to be left out or merged, or NULL; the caller frees it.
char *trace_note(const struct trace *trace);
void trace_print(const struct trace *trace, struct bf_buf *out);
void trace_free(struct trace *trace);

#endif
