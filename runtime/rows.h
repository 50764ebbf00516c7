// SPDX-License-Identifier: Apache-2.0
// Bit vectors over the rows of a tile: row r is bit r % 64 of word r / 64. What steps between rows are made of.
#ifndef AP_ROWS_H
#define AP_ROWS_H

#include <stddef.h>
#include <stdint.h>

// to[r] := from[r + distance] where mask[r + distance] is set, else 0. All are `words` words; `to` overlaps neither of the others.
void ap_rows_up(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words, uint64_t distance);
// to[r] := from[r - distance], 0 below row 0.
void ap_rows_down(uint64_t *to, const uint64_t *from, size_t words, uint64_t distance);
// to[r] := 1 for the rows r < rows that are multiples of `period` (at least 1), else 0. rows <= 64 * words.
void ap_rows_multiples(uint64_t *to, size_t words, uint64_t rows, uint64_t period);

#endif
