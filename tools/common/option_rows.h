// SPDX-License-Identifier: Apache-2.0
// The rows of a program's table of options, and their numbers: define TOOL_OPTION_ROWS as the path of an options.def, then include
// this, once in a source. A row is BF_OPTION(id, name, letter, argument, help); see struct tool_option.
#include "tools/common/options.h"

enum option_id {
  OPTION_NONE = TOOL_OPTION_NONE,
#define BF_OPTION(id, ...) OPTION_##id,
#include TOOL_OPTION_ROWS
};
static const struct tool_option rows[] = {
#define BF_OPTION(id, name, letter, argument, help) {name, letter, argument, help},
#include TOOL_OPTION_ROWS
};
#define NROWS ((int)BF_COUNT(rows))
