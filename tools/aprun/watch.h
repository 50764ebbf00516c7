// SPDX-License-Identifier: Apache-2.0
// What accompanies a run: the progress bar, the trace, and the wish to stop.
#ifndef APRUN_WATCH_H
#define APRUN_WATCH_H

#include "runtime/session.h"
#include "tools/aprun/trace.h"

struct watch {
  const struct ap_session *session;
  bool terminal, asked;   // standard error is a terminal; --progress was given
  bool shown;             // something stands on the present line of the terminal
  double begin, last;     // seconds: of the run, of the latest print
  bool tracing;
  struct trace trace;
};
// Begins the clock. `asked`: show progress wherever standard error goes, and from the begin.
void watch_begin(struct watch *watch, const struct ap_session *session, bool asked, bool tracing);
// Callbacks of struct ap_execution; the context is the watch.
void watch_progress(void *context, uint32_t layer, double share);
void watch_trace(void *context, const struct ap_trace_event *event);
// Ends the progress line; says how long it took if asked and `done`.
void watch_end(struct watch *watch, bool done);
void watch_free(struct watch *watch);

// From now on SIGINT and SIGTERM set the flag that is returned; one more, seconds later, ends the program at once.
const volatile bool *stop_on_signals(void);

#endif
