// SPDX-License-Identifier: Apache-2.0
// The command line of `bfexplore precision`.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/explore.h"
#include "tools/bfexplore/precision.h"

#define TOOL_OPTION_ROWS "tools/bfexplore/options.def"
#include "tools/common/option_rows.h"

static void help(void) {
  puts("Usage: bfexplore precision NET --budget=MEASURE:AMOUNT --sensitivity=FILE [OPTION]...\n\n"
       "Chooses the bits of every layer with weights so that the objective is least and every budget is met, and writes them as a\n"
       "profile. The choice is proven optimal. Size and bops are known of every network; cycles and energy come from\n"
       "the compiler, for --target, or from --costs or --costs-report. NET: a file, or a name of the zoo (resnet18).\n");
  tool_options_help(rows, NROWS, 32);
  puts("\nExit status: 0 done, 1 the input is wrong or no choice meets the budgets, 2 wrong usage.");
}

static int take_report(struct bfx_settings *s, const char *arg) {
  char *end;
  unsigned long bits = *arg >= '0' && *arg <= '9' ? strtoul(arg, &end, 10) : 0;
  if (bits < 1 || bits > BFX_MAX_BITS || *end != ':' || !end[1]) {
    return bfx_usage("--costs-report wants BITS:FILE, not '%s'", arg);
  }
  for (size_t i = 0; i < s->nreports; i++) {
    if (s->reports[i].bits == bits) {
      return bfx_usage("--costs-report: the width of '%s' is given twice", arg);
    }
  }
  s->reports[s->nreports].bits = (unsigned)bits;
  s->reports[s->nreports++].path = end + 1;
  return -1;
}

static int take_number(struct bfx_settings *s, int id, const char *arg) {
  char *end;
  double value = *arg >= '0' && *arg <= '9' ? strtod(arg, &end) : -1;
  if (id == OPTION_VDD) {
    s->vdd = value;
    return value > 0 && !*end ? -1 : bfx_usage("--vdd wants a voltage, not '%s'", arg);
  }
  if (id == OPTION_SEED) {
    s->seed = value >= 0 && value < 1e15 ? (uint64_t)value : 0;
    return value >= 0 && (double)s->seed == value && !*end ? -1 : bfx_usage("--seed wants a whole number, not '%s'", arg);
  }
  if (id == OPTION_SECONDS) {
    s->seconds = value;
    return value > 0 && value <= 1e6 && !*end ? -1 : bfx_usage("--seconds wants a number up to a million, not '%s'", arg);
  }
  s->activation_bits = value >= 1 && value <= BFX_MAX_BITS ? (unsigned)value : 0;
  return s->activation_bits > 0 && s->activation_bits == value && !*end ? -1 : bfx_usage("--activation-bits wants 1 to 16, not '%s'", arg);
}

static bool is_name(const char *text) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return *text && strspn(text, letters) == strlen(text) && !(*text >= '0' && *text <= '9');
}

static int take_list(const char **list, size_t *count, const char *arg) {
  if (*count == BFX_MAX_OPTIONS) {
    return bfx_usage("'%s' is one too many", arg);
  }
  list[(*count)++] = arg;
  return -1;
}

static int take_value(struct bfx_settings *s, int id, const char *arg) {
  int measure;
  switch (id) {
    case OPTION_BUDGET:
      if (s->nbudgets == BFX_MAX_OPTIONS) {
        return bfx_usage("'%s' is one budget too many", arg);
      }
      return bfx_budget_parse(arg, &s->budgets[s->nbudgets++])
                 ? -1 : bfx_usage("--budget wants for instance cycles:1e6, edp:60%%, bops:between=0.5, size:uniform4, not '%s'", arg);
    case OPTION_OBJECTIVE:
      measure = bfx_measure_find(arg, strlen(arg));
      s->objective = measure < 0 ? 0 : (unsigned)measure;
      return measure >= 0 ? -1 : bfx_usage("--objective wants sensitivity, cycles, energy, edp, size or bops, not '%s'", arg);
    case OPTION_BITS:
      return bfx_take_bits(arg, &s->bits) ? -1 : bfx_usage("--bits wants widths from 1 to 16, not '%s'", arg);
    case OPTION_PROFILE:
      s->profile = arg;
      return is_name(arg) ? -1 : bfx_usage("--profile wants a name of letters, digits and _, not '%s'", arg);
    case OPTION_REPORT:
      s->json = strcmp(arg, "json") == 0;
      return s->json || strcmp(arg, "text") == 0 ? -1 : bfx_usage("--report wants text or json, not '%s'", arg);
    default: return take_number(s, id, arg);
  }
}

static int take(void *settings, int id, const char *arg) {
  struct bfx_settings *s = settings;
  switch (id) {
    case OPTION_SENSITIVITY: s->sensitivity = arg; return -1;
    case OPTION_COSTS: s->costs = arg; return -1;
    case OPTION_COSTS_REPORT: return take_report(s, arg);
    case OPTION_TARGET: s->target = arg; return -1;
    case OPTION_TECH: s->tech = arg; return -1;
    case OPTION_TIE: return take_list(s->ties, &s->nties, arg);
    case OPTION_FIX: return take_list(s->fixes, &s->nfixes, arg);
    case OPTION_OUT: s->out = arg; return -1;
    case OPTION_HELP: help(); return 0;
    default: return take_value(s, id, arg);
  }
}

// What only the whole command line can tell.
static int check(const struct bfx_settings *s) {
  unsigned products = s->objective == BFX_EDP;
  for (size_t i = 0; i < s->nbudgets; i++) {
    products += s->budgets[i].measure == BFX_EDP;
  }
  if (products > 1) {
    return bfx_usage("edp can be the objective or one budget, not %s", "several at once");
  }
  if (s->nbudgets == 0) {
    return bfx_usage("--budget is missing%s", "");
  }
  return s->sensitivity ? -1 : bfx_usage("--sensitivity is missing%s", "");
}

int bfx_precision_options(struct bfx_settings *s, int argc, char **argv) {
  int status = tool_options_parse(rows, NROWS, argc, argv, bfx_usage, take, s);
  if (status >= 0) {
    return status;
  }
  if (optind >= argc) {
    return bfx_usage("precision: no network given%s", "");
  }
  s->network = argv[optind];
  return optind + 1 < argc ? bfx_usage("one network at a time; what is '%s'?", argv[optind + 1]) : check(s);
}
