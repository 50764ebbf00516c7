// SPDX-License-Identifier: Apache-2.0
// One computation array (CAP) while it works on a tile: its columns, bit-sliced, its row mask and its tag.
// All steps of microcode happen here, and here they are counted; nothing else changes the counters of steps.
#ifndef AP_CAP_H
#define AP_CAP_H

#include "isa/ledger.h"
#include "runtime/steps.h"

struct ap_cap {
  const struct ap_steps *steps;
  uint64_t *cells;      // columns × stride words; column c from cells + c * words
  uint64_t *mask, *tag; // words each
  uint64_t *heads;      // rows of the mask that are multiples of heads_period (0: not built for this tile)
  uint64_t heads_period;
  uint64_t *scratch;    // 64 × words: columns seen from another row
  size_t capacity;      // words for which there is memory, a column
  size_t words;         // words a column of the present tile
  uint32_t columns;
  uint64_t rows;        // rows of the present tile
  uint64_t searched;    // rows that burn energy in a compare
  uint64_t tagged;      // rows in the tag
  const struct ap_pattern *patterns;  // of the program
  struct ap_events events;
};

// Memory for tiles of up to `max_rows` rows.
void ap_cap_init(struct ap_cap *cap, uint32_t columns, uint64_t max_rows);
void ap_cap_free(struct ap_cap *cap);
// Begins a tile: all columns zero, rows [0, rows) in the mask, no row tagged, counters zero.
void ap_cap_begin(struct ap_cap *cap, uint64_t rows, uint64_t searched);
uint64_t *ap_cap_column(const struct ap_cap *cap, uint32_t column);

// Executes the microcode program of `instr` for its operands, step by step. The sum register is 0 at its beginning;
// the tag is what the instruction before has left.
void ap_cap_run(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_instr *instr);

#endif
