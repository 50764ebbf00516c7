// SPDX-License-Identifier: Apache-2.0
// Formulas for hosts that have no instruction for any function of three values.
#include <string.h>

#include "runtime/kernel_internal.h"

#define UNKNOWN 0xff

static void offer(struct ap_formula *table, unsigned result, enum ap_formula_op op, unsigned left, unsigned right, unsigned cost) {
  if (cost < table[result].cost) {
    table[result] = (struct ap_formula){(uint8_t)op, (uint8_t)left, (uint8_t)right, (uint8_t)cost};
  }
}

// What one operation more makes of all functions of at most `cost` - 1 operations.
static bool extend(struct ap_formula *table, unsigned cost) {
  bool complete = true;
  for (unsigned l = 0; l < 256; l++) {
    unsigned left = table[l].cost;
    if (left >= cost) {
      complete = false;
      continue;
    }
    offer(table, l ^ 0xff, AP_FORMULA_NOT, l, 0, left + 1);
    for (unsigned r = 0; r < 256; r++) {
      unsigned sum = left + table[r].cost + 1;
      if (table[r].cost >= cost || sum > cost) {
        continue;
      }
      offer(table, l & r, AP_FORMULA_AND, l, r, sum);
      offer(table, ~l & r & 0xff, AP_FORMULA_ANDNOT, l, r, sum);
      offer(table, l | r, AP_FORMULA_OR, l, r, sum);
      offer(table, l ^ r, AP_FORMULA_XOR, l, r, sum);
    }
  }
  return complete;
}

void ap_formulas(struct ap_formula table[256]) {
  static const uint8_t LEAVES[] = {0x00, 0xff, 0xaa, 0xcc, 0xf0};
  memset(table, UNKNOWN, 256 * sizeof *table);
  for (unsigned i = 0; i < BF_COUNT(LEAVES); i++) {
    table[LEAVES[i]] = (struct ap_formula){AP_FORMULA_LEAF, 0, 0, 0};
  }
  for (unsigned cost = 1; !extend(table, cost); cost++) {
  }
}
