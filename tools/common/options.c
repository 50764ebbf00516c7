// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf_base.h"

// Brackets around the whole: "[NETWORK]", but not "[NAME=]FILE".
static bool in_brackets(const char *text) { return text[0] == '[' && text[strlen(text) - 1] == ']'; }

static int argument_kind(const struct tool_option *row) {
  return row->argument == NULL ? no_argument : in_brackets(row->argument) ? optional_argument : required_argument;
}

// The table in getopt's terms: `letters` has room for 2 * nrows + 2 characters, `longs` for nrows + 1 rows.
static void describe(const struct tool_option *rows, int nrows, char *letters, struct option *longs) {
  *letters++ = ':';
  for (int i = 0; i < nrows; i++) {
    longs[i] = (struct option){rows[i].name, argument_kind(&rows[i]), NULL, TOOL_OPTION_NONE + 1 + i};
    if (rows[i].letter) {
      *letters++ = (char)rows[i].letter;
      if (argument_kind(&rows[i]) == required_argument) {
        *letters++ = ':';
      }
    }
  }
  *letters = 0;
  longs[nrows] = (struct option){0};
}

static int wrong(int c, char **argv, tool_usage *usage) {
  if (c == ':') {
    return usage("option '%s' wants a value", argv[optind - 1]);
  }
  // Among letters in a row getopt has not moved on yet, so it is the letter that is named.
  const char letter[3] = {'-', (char)optopt, 0};
  return usage("unknown option '%s'", optopt > 0 && optopt < TOOL_OPTION_NONE ? letter : argv[optind - 1]);
}

int tool_options_parse(const struct tool_option *rows, int nrows, int argc, char **argv, tool_usage *usage, tool_take *take,
                       void *settings) {
  char *letters = bf_alloc(2 * (size_t)nrows + 2, 1);
  struct option *longs = bf_alloc((size_t)nrows + 1, sizeof *longs);
  int status = -1;
  describe(rows, nrows, letters, longs);
  opterr = 0;
  for (int c; status < 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
    for (int i = 0; i < nrows && c < TOOL_OPTION_NONE; i++) {
      c = rows[i].letter == c ? TOOL_OPTION_NONE + 1 + i : c;
    }
    status = c < TOOL_OPTION_NONE ? wrong(c, argv, usage) : take(settings, c, optarg);
  }
  free(letters);
  free(longs);
  return status;
}

void tool_options_help(const struct tool_option *rows, int nrows, int width) {
  for (int i = 0; i < nrows; i++) {
    char left[80], letter[8] = "    ";
    const char *argument = rows[i].argument ? rows[i].argument : "";
    bool optional = in_brackets(argument);
    if (rows[i].letter) {
      snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
    }
    snprintf(left, sizeof left, "%s--%s%s%s", letter, rows[i].name, optional ? "[=" : *argument ? "=" : "", argument + optional);
    printf("  %-*s %s\n", width, left, rows[i].help);
  }
}

int tool_wrong_usage(const char *program, const char *fmt, const char *what) {
  fprintf(stderr, "%s: ", program);
  fprintf(stderr, fmt, what);
  fprintf(stderr, "\nTry '%s --help'.\n", program);
  return 2;
}

bool tool_whole(const char *text, uint64_t least, uint64_t most, uint64_t *out) {
  if (*text < '0' || *text > '9') {
    return false;
  }
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return *end == 0 && errno == 0 && *out >= least && *out <= most;
}

bool tool_real(const char *text, double least, double most, double *out) {
  char *end;
  *out = strtod(text, &end);
  return *text != 0 && *end == 0 && *out >= least && *out <= most;
}

int tool_choose(const char *const *names, size_t count, const char *text) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(names[i], text) == 0) {
      return (int)i;
    }
  }
  return -1;
}
