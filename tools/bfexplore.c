// SPDX-License-Identifier: Apache-2.0
// bfexplore: explores choices of precision. The commands stand in tools/bfexplore/commands.def.
#include <stdio.h>
#include <string.h>

#include "tools/bfexplore/explore.h"

static const struct command {
  const char *name, *operands, *help;
  int (*run)(int argc, char **argv);
} commands[] = {
#define BFX_COMMAND(name, operands, help) {#name, operands, help, command_##name},
#include "tools/bfexplore/commands.def"
};

static int help(void) {
  puts("Usage: bfexplore COMMAND [OPTION]... OPERAND\n");
  for (size_t i = 0; i < BF_COUNT(commands); i++) {
    char left[40];
    snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].operands);
    printf("  %-20s %s\n", left, commands[i].help);
  }
  puts("\n  -h, --help           this text; after a command, its options\n"
       "      --version        the version\n\n"
       "Exit status: 0 done, 1 the input is wrong, 2 wrong usage.");
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    return bfx_usage("no command%s given", "");
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
    return help();
  }
  if (!strcmp(argv[1], "--version")) {
    puts("bfexplore " BF_VERSION);
    return 0;
  }
  for (size_t i = 0; i < BF_COUNT(commands); i++) {
    if (!strcmp(argv[1], commands[i].name)) {
      return commands[i].run(argc - 1, argv + 1);
    }
  }
  return bfx_usage(*argv[1] == '-' ? "unknown option '%s'" : "there is no command '%s'", argv[1]);
}
