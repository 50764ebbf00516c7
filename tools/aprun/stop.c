// SPDX-License-Identifier: Apache-2.0
// Ctrl-C: a flag that the engine looks at, so that nothing half-written stays behind.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tools/aprun/watch.h"

#define IMPATIENT_S 1

// A handler reaches nothing but globals. The tool has one run, the library none.
static volatile bool stop_wanted;
static volatile time_t stop_since;

// Who launched this program may pass the terminal's signal on, so that one Ctrl-C comes twice: only a later one is a second one.
static void on_signal(int number) {
  (void)number;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!stop_wanted) {
    stop_since = now.tv_sec;
    stop_wanted = true;
  } else if (now.tv_sec - stop_since > IMPATIENT_S) {
    _exit(130);
  }
}

const volatile bool *stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return &stop_wanted;
}
