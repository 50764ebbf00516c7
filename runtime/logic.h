// SPDX-License-Identifier: Apache-2.0
// The logic of a microcode program: what each column holds afterwards, and what its passes count, as Boolean functions of what the
// columns held before. Found by executing the steps of one bit step (group) on truth tables of up to 6 columns; made of functions of at most three
// values, which an AVX-512 host computes in one instruction.
#ifndef AP_LOGIC_H
#define AP_LOGIC_H

#include "isa/micro.h"

enum ap_logic_kind {
  AP_LOGIC_COLUMN,   // the column `bit` of operand `slot` (D, A, B, FLAG) before the program
  AP_LOGIC_TAG,      // the tag before the program (raw tag instructions)
  AP_LOGIC_IMM,      // bit `bit` of the immediate, in all rows
  AP_LOGIC_CONST,    // `table` & 1 in all rows
  AP_LOGIC_FUNCTION  // table of x, y, z: bit (x << 2 | y << 1 | z) of `table`
};
struct ap_logic_value {
  uint8_t kind, slot, bit, table;
  uint32_t x, y, z;  // earlier values
};
// After the program: the column holds the value. Columns that keep theirs are not listed.
struct ap_logic_store { uint8_t slot, bit; uint32_t value; };
// counter += weight × rows (of the mask) where the value is 1.
enum ap_logic_counter { AP_LOGIC_MATCH, AP_LOGIC_WRITTEN, AP_LOGIC_CHANGED, AP_LOGIC_COUNTERS };
struct ap_logic_count { uint8_t counter; int32_t weight; uint32_t value; };

struct ap_logic {
  struct ap_logic_value *values; size_t nvalues, values_capacity;
  struct ap_logic_store *stores; size_t nstores, stores_capacity;
  struct ap_logic_count *counts; size_t ncounts, counts_capacity;
  uint32_t tag;       // value of the tag afterwards, or UINT32_MAX if the program leaves it undefined
};
// False if the program steps between rows, or is one of the pattern instruction. `counted`: with counts.
bool ap_logic_compose(const struct ap_micro *micro, bool counted, struct ap_logic *out);
void ap_logic_free(struct ap_logic *logic);

#endif
