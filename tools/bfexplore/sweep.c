// SPDX-License-Identifier: Apache-2.0
// The command `sweep`.
#include "tools/bfexplore/sweep.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/bfexplore/explore.h"

#define TOOL_OPTION_ROWS "tools/bfexplore/sweep_options.def"
#include "tools/common/option_rows.h"

struct work {
  const char *spec, *folder;
  bool resume, fresh, quiet;
  unsigned jobs;
  struct bfx_sweep sweep;
  struct bfx_journal journal;
  atomic_size_t done, failed;
  size_t known;
  atomic_bool unwritten;  // the journal takes nothing more
  time_t begin;
  struct bf_diags diags;
};

// Set by SIGINT and SIGTERM; a handler may touch nothing else.
static volatile sig_atomic_t interrupted;
static void on_signal(int number) {
  (void)number;
  interrupted = 1;
}

static void help(void) {
  puts("Usage: bfexplore sweep SPEC [-o DIR] [OPTION]...\n\n"
       "Prices the design points that SPEC (JSON, docs/bfexplore.md) asks for, on all cores. Each finished point goes into DIR/points.jsonl at\n"
       "once; an interrupted sweep goes on where it was. At the end: results.csv, results.json, pareto.svg.\n");
  tool_options_help(rows, NROWS, 24);
  puts("\nAxes:");
#define BFX_AXIS(id, name, fallback, help) printf("  %-18s %s%s%s%s\n", name, help, *fallback ? " (default " : "", fallback, *fallback ? ")" : "");
#include "tools/bfexplore/axes.def"
  puts("\nExit status: 0 done (points that fail are recorded), 1 the input is wrong, 2 wrong usage, 130 interrupted.");
}

static int take(void *settings, int id, const char *arg) {
  struct work *w = settings;
  switch (id) {
    case OPTION_OUT: w->folder = arg; return -1;
    case OPTION_RESUME: w->resume = true; return -1;
    case OPTION_FRESH: w->fresh = true; return -1;
    case OPTION_QUIET: w->quiet = true; return -1;
    case OPTION_HELP: help(); return 0;
    default: {
      uint64_t jobs;
      if (!tool_whole(arg, 1, 1024, &jobs)) return bfx_usage("--jobs wants 1 to 1024, not '%s'", arg);
      w->jobs = (unsigned)jobs;
      return -1;
    }
  }
}

static void finished(void *context, const struct bfx_point *point) {
  struct work *w = context;
  w->done++;
  w->failed += point->error != NULL;
  if (!bfx_journal_add(&w->journal, point)) {
    w->unwritten = true;
  }
}

static void bar(struct work *w, bool last) {
  if (w->quiet || !isatty(STDERR_FILENO)) {
    return;
  }
  size_t all = w->sweep.points.count, done = w->done, failed = w->failed, filled = all ? 30 * done / all : 30;
  char text[31];
  memset(text, '.', 30);
  memset(text, '#', filled);
  text[30] = 0;
  fprintf(stderr, "\r[%s] %zu of %zu points, %zu failed, %lld s%s", text, done, all, failed, (long long)(time(NULL) - w->begin),
          last ? "\n" : " ");
  fflush(stderr);
}

static bool watch(void *context) {
  struct work *w = context;
  bar(w, interrupted);
  if (interrupted) {
    // A piece of work may take long, and what is done is on the disk: no reason to wait.
    fprintf(stderr, "bfexplore: interrupted: %zu of %zu points are done and kept in %s; the same command goes on\n", (size_t)w->done,
            w->sweep.points.count, w->folder);
    _exit(130);
  }
  return !w->unwritten;
}

// The folder, which must be one or be made.
static bool make_folder(struct work *w) {
  struct stat s;
  if (mkdir(w->folder, 0777) == 0 || (stat(w->folder, &s) == 0 && S_ISDIR(s.st_mode))) {
    return true;
  }
  bf_error_file(&w->diags, w->folder, "-o DIR names another", "%s", errno == EEXIST ? "is no folder" : strerror(errno));
  return false;
}

// No result over the specification.
static bool keeps_spec(struct work *w) {
  static const char *const results[] = {"points.jsonl", "results.csv", "results.json", "pareto.svg"};
  bool ok = true;
  for (size_t i = 0; ok && i < BF_COUNT(results); i++) {
    char *path = bf_format("%s/%s", w->folder, results[i]);
    ok = !bf_same_file(path, w->spec);
    free(path);
  }
  if (!ok) {
    bf_error_file(&w->diags, w->spec, "-o DIR names another folder", "is an input: it would be overwritten");
  }
  return ok;
}

static bool open_journal(struct work *w) {
  char *path = bf_format("%s/points.jsonl", w->folder);
  bool there = access(path, F_OK) == 0, ok = true;
  if (w->resume && !there) {
    bf_error_file(&w->diags, path, "leave --resume out to begin", "there is no sweep to go on with");
    ok = false;
  }
  ok = ok && make_folder(w) && bfx_journal_open(path, w->fresh, &w->sweep.points, &w->journal, &w->known, &w->diags);
  free(path);
  return ok;
}

// Points that could not even be set up are in the journal too.
static void count_known(struct work *w) {
  for (size_t i = 0; i < w->sweep.points.count; i++) {
    const struct bfx_point *p = &w->sweep.points.items[i];
    w->done += p->done;
    w->failed += p->done && p->error;
  }
}

static bool run(struct work *w, struct bf_buf *out) {
  struct bfx_points *points = &w->sweep.points;
  points->jobs = w->jobs;
  points->finished = finished;
  points->watch = watch;
  points->context = w;
  count_known(w);
  w->begin = time(NULL);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  bfx_points_run(points);
  bar(w, true);
  if (w->unwritten) {
    bf_error_file(&w->diags, w->folder, NULL, "the journal points.jsonl cannot be written");
    return false;
  }
  bf_buf_printf(out, "%zu points: %zu done, %zu failed, %zu of them known before\n", points->count, (size_t)(w->done - w->failed), (size_t)w->failed, w->known);
  const struct bfx_point *first = NULL;
  for (size_t i = 0; i < points->count && !first; i++) {
    first = points->items[i].error ? &points->items[i] : NULL;
  }
  if (first) {
    bf_buf_printf(out, "first failure: %s\n", first->error);
  }
  bf_buf_printf(out, "results: %s/results.csv, results.json, pareto.svg\n", w->folder);
  return bfx_sweep_write(&w->sweep, w->folder, &w->diags);
}

static char *default_folder(const char *spec) {
  size_t length = strlen(spec);
  bool json = length > 5 && !strcmp(spec + length - 5, ".json");
  return bf_format("%.*s.sweep", (int)(json ? length - 5 : length), spec);
}

int command_sweep(int argc, char **argv) {
  struct work *w = bf_alloc(1, sizeof *w);
  struct bf_buf out = {0};
  char *folder = NULL;
  w->journal.file = -1;
  int status = tool_options_parse(rows, NROWS, argc, argv, bfx_usage, take, w);
  if (status < 0) {
    status = optind >= argc ? bfx_usage("sweep: no specification given%s", "")
             : optind + 1 < argc ? bfx_usage("one specification at a time; what is '%s'?", argv[optind + 1])
             : w->resume && w->fresh ? bfx_usage("--resume and --fresh%s contradict each other", "") : -1;
  }
  if (status < 0) {
    w->spec = w->diags.default_file = argv[optind];
    folder = default_folder(w->spec);
    w->folder = w->folder ? w->folder : folder;
    if (bfx_sweep_read(w->spec, &w->sweep, &w->diags)) {
      bfx_points_resolve(&w->sweep.points);
      (void)(keeps_spec(w) && open_journal(w) && run(w, &out));
    }
    status = bfx_end(&w->diags, &out);
  }
  bfx_journal_close(&w->journal);
  bfx_sweep_free(&w->sweep);
  free(folder);
  free(w);
  return status;
}
