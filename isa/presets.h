// SPDX-License-Identifier: Apache-2.0
// The preset descriptions, compiled in from isa/machines/*.ini and isa/technologies/*.ini.
#ifndef AP_PRESETS_H
#define AP_PRESETS_H

struct ap_preset {
  const char *kind;  // "machines" or "technologies"; NULL ends the table
  const char *name;
  const char *text;
};
extern const struct ap_preset ap_presets[];

#endif
