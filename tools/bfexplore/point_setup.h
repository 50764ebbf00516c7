// SPDX-License-Identifier: Apache-2.0
// From the values of a point to the compiler's options.
#ifndef BFX_POINT_SETUP_H
#define BFX_POINT_SETUP_H

#include "backend/compiler.h"
#include "tools/bfexplore/points.h"

// Machine with its overrides, technology at its voltage, and the rest. False and an error; else the caller frees out->tech.
bool bfx_point_options(const struct bfx_point *point, struct bf_compile_options *out, struct bf_diags *diags);
// The first error as one line, its position before it; the caller frees it.
char *bfx_first_error(const struct bf_diags *diags);

#endif
