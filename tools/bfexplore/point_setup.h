// SPDX-License-Identifier: Apache-2.0
// From the values of a point, or of a command line, to the compiler's options; errors of work that is done beside others.
#ifndef BFX_POINT_SETUP_H
#define BFX_POINT_SETUP_H

#include "backend/compiler.h"
#include "tools/bfexplore/points.h"

// Machine with its overrides, technology at its voltage, and the rest. False and an error; else the caller frees out->tech.
bool bfx_point_options(const struct bfx_point *point, struct bf_compile_options *out, struct bf_diags *diags);
// The usual options for a machine, a technology (NULL: the machine's) and a supply (0: nominal) as --target, --tech and --vdd name them.
// False and an error; else the caller frees out->tech.
bool bfx_machine_options(const char *target, const char *tech, double vdd, struct bf_compile_options *out, struct bf_diags *diags);
// Takes the errors over, if there are none yet.
void bfx_errors_take(struct bf_diags *to, const struct bf_diags *from);
// The first error as one line, its position before it; the caller frees it.
char *bfx_first_error(const struct bf_diags *diags);

#endif
