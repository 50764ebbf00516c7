// SPDX-License-Identifier: Apache-2.0
#ifndef TOOL_DIAGNOSTICS_H
#define TOOL_DIAGNOSTICS_H

#include "base/bf_diag.h"

// Prints all diagnostics, rendered, to standard error.
void tool_print_diagnostics(const struct bf_diags *diags);

#endif
