// SPDX-License-Identifier: Apache-2.0
// Microcode programs and blocks of rows to try engines on: all that ship, and random legal ones.
#ifndef MICRO_CASES_H
#define MICRO_CASES_H

#include "runtime/kernel.h"

#define CASE_COLUMNS (AP_FLAG_COLUMNS + 3 * AP_MAX_WIDTH)

// One block with the operands of an instruction. Fields may overlap where the instruction allows it.
struct case_block {
  _Alignas(64) uint64_t cells[CASE_COLUMNS * AP_COLUMN_WORDS];
  _Alignas(64) uint64_t tag[AP_COLUMN_WORDS], mask[AP_COLUMN_WORDS];
  uint64_t imm;
  uint64_t *slot[4];  // first columns of d, a, b (NULL if absent) and the flags, in cells
};

uint64_t case_random(uint64_t *state);
// Random cells, tags (within the mask) and immediate for the program. masked: some rows are outside the mask.
void case_fill(struct case_block *block, const struct ap_micro *micro, bool masked, uint64_t *state);
void case_copy(struct case_block *to, const struct case_block *from);
// Whether both hold the same in all rows of the mask.
bool case_same(const struct case_block *a, const struct case_block *b);

// A random program that passes ap_micro_check and stays within its row; ap_micro_free it.
void case_random_micro(struct ap_micro *micro, uint64_t *state);
// Calls `visit` for each compute instruction at each legal set of widths up to `max_width`, as generated for `features`.
void case_each_shipped(unsigned max_width, unsigned features, void (*visit)(void *context, const struct ap_micro *micro), void *context);

#endif
