// SPDX-License-Identifier: Apache-2.0
// The command line of aplut.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/aplut/aplut.h"

#define TOOL_OPTION_ROWS "tools/aplut/options.def"
#include "tools/common/option_rows.h"

const char *const aplut_objective_names[] = {"cycles", "writes", "energy"};
static const char *const format_names[] = {"text", "json", "latex"};

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("aplut", fmt, what); }

static void help(void) {
  puts("Usage: aplut [OPTION]... OPERATION [WIDTH]...\n"
       "       aplut [OPTION]... bit:STEP\n"
       "       aplut [OPTION]... 'RESULT, ... = EXPRESSION, ... [where CONDITION]'\n"
       "       aplut --list | --optima\n\n"
       "Prints the program of compares and writes of an instruction at the widths of its fields d, a, b, of one bit\n"
       "step, or of a truth table of your own: passes, cycles, expected energy, and whether it is proven optimal.\n\n"
       "  aplut add 8 8\n  aplut mul 16 8 8 --check\n  aplut bit:SUBR --features=accumulate\n"
       "  aplut 'sum, carry = a ^ b ^ carry, maj(a, b, carry)' --format=latex\n");
  tool_options_help(rows, NROWS, 36);
  puts("\nExit status: 0 done, 1 the input is wrong, a check failed or an optimum is missed, 2 wrong usage.");
}

static int take_value(struct settings *s, int id, const char *arg) {
  int pick;
  switch (id) {
    case OPTION_VDD:
      return tool_real(arg, 1e-3, 100, &s->vdd) ? -1 : usage("--vdd wants volts, not '%s'", arg);
    case OPTION_STATES:
      return tool_whole(arg, 1, UINT64_C(1) << 40, &s->states) ? -1 : usage("--states wants a number from 1 to 2^40, not '%s'", arg);
    case OPTION_OBJECTIVE:
      pick = tool_choose(aplut_objective_names, BF_COUNT(aplut_objective_names), arg);
      s->objective = (enum aplut_objective)(pick < 0 ? 0 : pick);
      return pick >= 0 ? -1 : usage("--objective wants cycles, writes or energy, not '%s'", arg);
    default:
      pick = tool_choose(format_names, BF_COUNT(format_names), arg);
      s->format = (enum aplut_format)(pick < 0 ? 0 : pick);
      return pick >= 0 ? -1 : usage("--format wants text, json or latex, not '%s'", arg);
  }
}

static int take(void *settings, int id, const char *arg) {
  struct settings *s = settings;
  switch (id) {
    case OPTION_FEATURES: s->features = arg; return -1;
    case OPTION_TARGET: s->target = arg; return -1;
    case OPTION_TECH: s->tech = arg; return -1;
    case OPTION_CHECK: s->check = true; return -1;
    case OPTION_LIST: s->action = APLUT_LIST; return -1;
    case OPTION_OPTIMA: s->action = APLUT_OPTIMA; return -1;
    case OPTION_MANUAL: s->action = APLUT_MANUAL; return -1;
    case OPTION_HELP: help(); return 0;
    case OPTION_VERSION: puts("aplut " BF_VERSION); return 0;
    default: return take_value(s, id, arg);
  }
}

static int take_operands(struct settings *s, int argc, char **argv) {
  if (s->action != APLUT_SHOW) {
    return argc == 0 ? -1 : usage("'%s' is too much: --list and --optima stand alone", argv[0]);
  }
  if (argc == 0) {
    return usage("no operation%s given", "");
  }
  s->operation = argv[0];
  s->widths = argv + 1;
  s->nwidths = (unsigned)(argc - 1);
  bool instruction = strchr(s->operation, '=') == NULL && strncmp(s->operation, "bit:", 4) != 0;
  if (!instruction && argc > 1) {
    return usage("'%s' is too much: tables and bit steps have no widths (quote the expression)", argv[1]);
  }
  return -1;
}

int options_parse(struct settings *s, int argc, char **argv) {
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, s);
  if (status >= 0) {
    return status;
  }
  return take_operands(s, argc - optind, argv + optind);
}
