// SPDX-License-Identifier: Apache-2.0
// Command lines by table: what the programs with an options.def share.
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

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

#endif
