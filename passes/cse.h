// SPDX-License-Identifier: Apache-2.0
// Common subexpressions of ternary matrices: sums of signed inputs with as few additions as greedy elimination finds.
// After Tridgell et al., "Unrolling Ternary Neural Networks", TRETS 2019 (arXiv 1909.04509).
#ifndef BF_CSE_H
#define BF_CSE_H

#include "base/bf_base.h"

#define BF_MAX_CSE_COLUMNS 65535u

// Column inputs + i := column a + sign * column b, both earlier ones.
struct bf_cse_op { uint16_t a, b; int8_t sign; };
struct bf_cse_term { uint16_t column; int8_t sign; };
// Row r is the signed sum of terms [first[r], first[r + 1]). Owns its arrays; zeroed at first, it may be used again and again.
struct bf_cse {
  uint32_t rows, inputs;
  struct bf_cse_op *ops;
  size_t nops, ops_capacity;
  struct bf_cse_term *terms;
  size_t nterms, terms_capacity;
  size_t *first;
  size_t first_capacity;
  struct bf_cse_work *work;  // top-down's own
};

// `matrix`: rows * inputs entries -1, 0, 1, row after row; row r = output r.
// Top-down: as long as two columns stand in two rows or more with equal signs, or with opposite signs, the pair that stands in most
// rows becomes a column of its own; at most `most` of them. Only pairs with these columns are counted again:
// O(columns * rows / 64) for each new column, the pairs of all inputs once before. Best for fewer inputs than rows.
void bf_cse_top_down(struct bf_cse *out, const int8_t *matrix, uint32_t rows, uint32_t inputs, uint32_t most);
// Bottom-up: the largest part that two rows (or a row and the negative of another) have in common becomes a row of its own, ties by how many
// rows have it, until nothing larger than pairs is left; the rest is top-down. O(rows^2 * columns / 64) once and O(rows * columns
// / 64) for each row that changes. Best for more inputs than rows.
void bf_cse_bottom_up(struct bf_cse *out, const int8_t *matrix, uint32_t rows, uint32_t inputs);
void bf_cse_free(struct bf_cse *cse);

// Additions of the result: `local` to make the rows, and with one more for each row that isn't empty.
struct bf_cse_count { uint64_t local, all; };
struct bf_cse_count bf_cse_count_of(const struct bf_cse *cse);
// Multiplies back: whether the result is the matrix, every operand a column that stands before it.
bool bf_cse_check(const struct bf_cse *cse, const int8_t *matrix);

#endif
