// SPDX-License-Identifier: Apache-2.0
// The generated tables of bit step programs. Variants: 1 accumulate, 2 few writes.
#ifndef AP_BIT_TABLES_H
#define AP_BIT_TABLES_H

#include "isa/lut.h"

extern const char AP_BIT_COLUMNS[AP_BIT_STEP_COUNT][AP_LUT_MAX_COLUMNS + 1];
extern const struct ap_lut_program AP_BIT_TABLES[AP_BIT_STEP_COUNT][4];

// What the variants minimise: cycles; or writes first and cycles second (a write costs more than any number of compares).
#define AP_BIT_COST_CYCLES {.compare = 1, .write = 1}
#define AP_BIT_COST_WRITES {.compare = 1, .write = 100}

#endif
