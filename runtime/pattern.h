// SPDX-License-Identifier: Apache-2.0
// Pattern instructions on a block of rows, all passes at once: each row's value is looked up, the values are turned into columns.
// Only for programs that are exactly what the generator makes (ap_pattern_plain); others run pass by pass.
#ifndef AP_PATTERN_H
#define AP_PATTERN_H

#include "runtime/kernel.h"

// The values of one instruction, or of several that differ in their keys alone: of the row whose field a holds `p` and whose field b
// holds `key` at [key << W(a) | p]; of keys that none of them has, anything.
struct ap_pattern_table {
  uint64_t *values; size_t capacity;  // kept from one use to the next
  uint8_t width[3];                   // of d, a, b
  unsigned nkeys;                     // in the order they were added
  uint8_t keys[1u << AP_MAX_PATTERN_KEY];
  // Of variants that prepare: blocks of 64 values that are in use, each as 8 byte planes.
  uint8_t *planes;
  unsigned nblocks;
  uint8_t blocks[64];  // their numbers; none: the table is not prepared
};
// Begins a table for these widths; it is zero before its first use.
void ap_pattern_begin(struct ap_pattern_table *table, const uint8_t width[3]);
// Adds an instruction. False if one with its key is there.
bool ap_pattern_add(struct ap_pattern_table *table, const struct ap_pattern *pattern);
void ap_pattern_free(struct ap_pattern_table *table);

// What the instructions of the table do to one block (columns as in runtime/kernel.h). counts: NULL if nothing is counted.
typedef void ap_pattern_kernel(const struct ap_pattern_table *table, uint64_t *d, const uint64_t *a, const uint64_t *b,
                               const uint64_t *mask, struct ap_kernel_counts *counts);
// prepare: once for a table, before it runs; NULL: not needed.
struct ap_pattern_variant {
  const char *name;
  void (*prepare)(struct ap_pattern_table *table);
  ap_pattern_kernel *run;
};
// The best for this processor; all give the same. Variant `i` (for tests): NULL beyond the last or if this processor cannot run it.
const struct ap_pattern_variant *ap_pattern_select(void);
const struct ap_pattern_variant *ap_pattern_variant(unsigned i);

// Whether a program of the pattern instruction is the generator's.
bool ap_pattern_plain(const struct ap_micro *micro);

#endif
