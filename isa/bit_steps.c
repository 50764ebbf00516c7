// SPDX-License-Identifier: Apache-2.0
// The bit steps and their programs, which the build has searched for (isa/gen/bit-tables.c).
#include "isa/bit_tables.h"

#include <stddef.h>

static const struct ap_bit_step_info INFOS[] = {
#define AP_BIT_STEP(id, table, classic, accumulate, source) {#id, table, source, classic, accumulate},
#include "isa/bit_steps.def"
};

const struct ap_bit_step_info *ap_bit_step_info(unsigned step) {
  return step < AP_BIT_STEP_COUNT ? &INFOS[step] : NULL;
}

const char *ap_bit_step_columns(enum ap_bit_step step) {
  return (unsigned)step < AP_BIT_STEP_COUNT ? AP_BIT_COLUMNS[step] : NULL;
}

const struct ap_lut_program *ap_bit_step_program(enum ap_bit_step step, unsigned features, bool few_writes) {
  unsigned variant = (features & AP_FEATURE_ACCUMULATE ? 1u : 0u) + (few_writes ? 2u : 0u);
  return (unsigned)step < AP_BIT_STEP_COUNT ? &AP_BIT_TABLES[step][variant] : NULL;
}
