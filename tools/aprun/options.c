// SPDX-License-Identifier: Apache-2.0
// The command line of aprun.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/aprun/aprun.h"

#define TOOL_OPTION_ROWS "tools/aprun/options.def"
#include "tools/common/option_rows.h"
#define MAX_THREADS 256

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("aprun", fmt, what); }

static void help(void) {
  puts("Usage: aprun [OPTION]... NET.apbin\n\nRuns a compiled network on the simulated associative processor.\n");
  tool_options_help(rows, NROWS, 34);
  puts("\nExit status: 0 done, 1 the input is wrong, 2 wrong usage, 130 interrupted.");
}

// NAME=FILE if a '=' comes before any '/'.
static struct named_file named_file(const char *argument) {
  size_t name = strcspn(argument, "=/");
  if (argument[name] != '=') {
    return (struct named_file){NULL, argument};
  }
  return (struct named_file){bf_strndup(argument, name), argument + name + 1};
}

static const char *const engines[] = {[AP_ENGINE_INTERP] = "interp", [AP_ENGINE_JIT] = "jit"};
static const char *const counts[] = {[AP_COUNT_EXACT] = "exact", [AP_COUNT_STATIC] = "static"};
static const char *const reports[] = {"text", "json"};

// Options with a value to be looked at.
static int take_value(struct settings *s, int id, const char *arg) {
  uint64_t number;
  int pick;
  switch (id) {
    case OPTION_RANDOM:
      s->random = true;
      return tool_whole(arg, 0, UINT64_MAX, &s->seed) ? -1 : usage("--random-input wants a number, not '%s'", arg);
    case OPTION_ENGINE:
      pick = tool_choose(engines, BF_COUNT(engines), arg);
      s->engine = pick < 0 ? AP_ENGINE_INTERP : (enum ap_engine)pick;
      return pick < 0                           ? usage("--engine wants jit or interp, not '%s'", arg)
             : !ap_engine_available(s->engine) ? usage("engine '%s' is not part of this build: it was configured without LLVM", arg)
                                               : -1;
    case OPTION_COUNT:
      pick = tool_choose(counts, BF_COUNT(counts), arg);
      s->count = pick < 0 ? AP_COUNT_EXACT : (enum ap_count)pick;
      return pick >= 0 ? -1 : usage("--count wants exact or static, not '%s'", arg);
    case OPTION_THREADS:
      if (!tool_whole(arg, 1, MAX_THREADS, &number)) {
        return usage("--threads wants a number from 1 to 256, not '%s'", arg);
      }
      s->threads = (unsigned)number;
      return -1;
    case OPTION_VDD:
      return tool_real(arg, 1e-3, 100, &s->vdd) ? -1 : usage("--vdd wants volts, not '%s'", arg);
    default:
      s->report = tool_choose(reports, BF_COUNT(reports), arg);
      return s->report >= 0 ? -1 : usage("--report wants text or json, not '%s'", arg);
  }
}

static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  switch (id) {
    case OPTION_INPUT: BF_PUSH(s->inputs, s->ninputs, s->inputs_capacity) = named_file(arg); return -1;
    case OPTION_OUTPUT: BF_PUSH(s->outputs, s->noutputs, s->outputs_capacity) = named_file(arg); return -1;
    case OPTION_PROFILE: s->profile = arg; return -1;
    case OPTION_TARGET: s->target = arg; return -1;
    case OPTION_TECH: s->tech = arg; return -1;
    case OPTION_DUMP: s->dump_layers = arg; return -1;
    case OPTION_CHECK: s->check = true, s->network = arg; return -1;
    case OPTION_TOP: s->top = true; return -1;
    case OPTION_LABELS: s->labels = arg; return -1;
    case OPTION_CLASSES: s->classes = arg; return -1;
    case OPTION_REPORT_FILE: s->report_file = arg; return -1;
    case OPTION_PROGRESS: s->progress = true; return -1;
    case OPTION_HELP: help(); return 0;
    case OPTION_VERSION: puts("aprun " BF_VERSION); return 0;
    case OPTION_TRACE: s->trace = arg; return -1;
    case OPTION_PROFILES: s->profiles = arg; return -1;
    case OPTION_SCHEDULE: s->schedule = arg; return -1;
    default: return take_value(s, id, arg);
  }
}

int options_parse(struct settings *s, int argc, char **argv) {
  s->engine = ap_engine_available(AP_ENGINE_JIT) ? AP_ENGINE_JIT : AP_ENGINE_INTERP;
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, s);
  if (status >= 0) {
    return status;
  }
  if (optind >= argc) {
    return usage("no binary%s given", "");
  }
  if (optind + 1 < argc) {
    return usage("more than one binary: '%s'", argv[optind + 1]);
  }
  if (s->profile != NULL && s->schedule != NULL) {
    return usage("--profile and --profile-schedule exclude each other%s", "");
  }
  if (s->profiles != NULL && !s->check) {
    return usage("--profiles goes with --check%s", "");
  }
  if ((s->labels != NULL || s->classes != NULL) && !s->top) {
    return usage("%s goes with --top", s->labels != NULL ? "--labels" : "--classes");
  }
  s->binary = argv[optind];
  return -1;
}

void options_free(struct settings *s) {
  for (size_t i = 0; i < s->ninputs; i++) {
    free(s->inputs[i].name);
  }
  for (size_t i = 0; i < s->noutputs; i++) {
    free(s->outputs[i].name);
  }
  free(s->inputs);
  free(s->outputs);
}
