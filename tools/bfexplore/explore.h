// SPDX-License-Identifier: Apache-2.0
// What the commands of bfexplore share.
#ifndef BFX_EXPLORE_H
#define BFX_EXPLORE_H

#include "base/bf_diag.h"

// argv[0] is the command's name. Each returns the exit status.
#define BFX_COMMAND(name, operands, help) int command_##name(int argc, char **argv);
#include "tools/bfexplore/commands.def"

// Prints the message (`what` fills its %s) and the way to --help; returns 2.
int bfx_usage(const char *fmt, const char *what);
// "2,4,8": widths from 1 to BFX_MAX_BITS, a bit each.
bool bfx_take_bits(const char *text, uint32_t *bits);
// Prints diagnostics on standard error and, if there is no error, `out` on standard output; frees both. Returns the exit status.
int bfx_end(struct bf_diags *diags, struct bf_buf *out);

#endif
