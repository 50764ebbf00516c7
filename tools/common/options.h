// SPDX-License-Identifier: Apache-2.0
// Command lines by table: what the programs with an options.def share.
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One row of a table; argument NULL: takes no value, "[NAME]": may take one (`--option=VALUE`). letter 0: none.
struct tool_option { const char *name; int letter; const char *argument, *help; };
// Row i has the number TOOL_OPTION_NONE + 1 + i, beyond all letters.
#define TOOL_OPTION_NONE 256

// Prints what is wrong (`fmt` with `what`) and returns the exit status.
typedef int tool_usage(const char *fmt, const char *what);
// Takes option number `id`. -1: go on, else the exit status.
typedef int tool_take(void *settings, int id, const char *arg);

// Takes all options. -1: done, the operands begin at argv[optind]; else the exit status.
int tool_options_parse(const struct tool_option *rows, int nrows, int argc, char **argv, tool_usage *usage, tool_take *take,
                       void *settings);
// Prints a line for each option to standard output; `width`: columns before the explanations.
void tool_options_help(const struct tool_option *rows, int nrows, int width);

// Prints "PROGRAM: ", what is wrong and the way to --help on standard error; returns the exit status of wrong usage. A tool_usage is made of it.
int tool_wrong_usage(const char *program, const char *fmt, const char *what);

// Values of options. Decimal digits alone, of a number from `least` to `most`.
bool tool_whole(const char *text, uint64_t least, uint64_t most, uint64_t *out);
// A number as strtod reads it, from `least` to `most`.
bool tool_real(const char *text, double least, double most, double *out);
// The text's index among the names, or -1.
int tool_choose(const char *const *names, size_t count, const char *text);

#endif
