// SPDX-License-Identifier: Apache-2.0
// What the parts of the LUT generator share. A state of the search is kept as bit planes: for each writable column the set of
// table rows that hold a 1 in it by now, so that a compare is an AND of planes and a write a merge of two.
#ifndef AP_LUT_INTERNAL_H
#define AP_LUT_INTERNAL_H

#include "isa/lut.h"

#define LUT_EXACT_ROWS 64      // tables of more rows get the greedy program
#define LUT_MAX_CUBES 8192     // distinct keys of one state
#define LUT_MAX_SETS 65536     // distinct unions of keys of one state
// Ties go to fewer writes, then to fewer written cells, then to fewer searched literals: costs that are added, in units of a
// compare and a write. The tolerance is far below the least of them and above rounding.
#define LUT_WRITE_TIE 1e-5
#define LUT_CELL_TIE 1e-8
#define LUT_LITERAL_TIE 1e-11
#define LUT_TOLERANCE 1e-13
#define LUT_CODE_BITS 3        // a code has, for each column, 1 + enum ap_lit_value, or 0 if it is not named

// --- lut_check.c
const char *ap_lut_valid(const struct ap_lut_table *table);        // NULL, or why it is no table (static text)
unsigned ap_lut_param(const struct ap_lut_table *table);           // mask of the parameter column
unsigned ap_lut_literal(unsigned value, bool param);               // 0 or 1
// One step on one row; true if the row changed.
bool ap_lut_apply(const struct ap_lut_step *step, bool param, uint8_t *values, bool *tag);

// --- lut_space.c
struct lut_space {
  const struct ap_lut_table *table;
  struct ap_lut_cost cost;                    // cells with their ties
  bool accumulate, has_param, write_all;      // write_all: a write without compare can be part of a program
  unsigned nrows, nplanes, stride;            // stride: words of a state: the planes, then the tags
  unsigned column[AP_LUT_MAX_COLUMNS];        // of each plane
  unsigned nkeys, key[AP_LUT_MAX_COLUMNS];    // columns that a compare may name
  int plane[AP_LUT_MAX_COLUMNS];              // of each column; -1: read only
  uint64_t fixed[AP_LUT_MAX_COLUMNS];         // rows with a 1 in a read-only column
  uint64_t target[AP_LUT_MAX_COLUMNS], care[AP_LUT_MAX_COLUMNS];  // of each plane
  uint64_t all, param;                        // all rows; those whose parameter is 1
  uint64_t conflict[LUT_EXACT_ROWS];          // rows that must not become equal to a row
  double literal_tie, tolerance;
  double compare_min, write_min;             // least cost of a step; of a write without its cells
};
void lut_space_init(struct lut_space *space, const struct ap_lut_table *table, const struct ap_lut_options *options);
void lut_space_start(const struct lut_space *space, uint64_t *state);
// Rows in which a column holds a value.
uint64_t lut_rows(const struct lut_space *space, const uint64_t *state, unsigned column, unsigned value);
// Performs a write (code by plane) in the rows; the child's tags are the rows if compares accumulate. Returns the cost, or a
// negative number if a written column changes nowhere or two rows become equal that must differ.
double lut_write(const struct lut_space *space, const uint64_t *state, uint64_t rows, uint32_t code, uint64_t *child);
// A lower bound of the remaining cost; 0 exactly at the goal.
double lut_bound(const struct lut_space *space, const uint64_t *state);
double lut_compare_cost(const struct lut_space *space, uint64_t rows, unsigned nlits);

// --- lut_sets.c: the sets of rows that compares can tag
struct lut_cube { uint64_t rows; uint32_t code; uint32_t nlits; double cost; };  // code by column
struct lut_set {
  uint64_t rows;
  double cost;
  uint32_t previous, cube;  // its last compare; what was tagged before: LUT_FRESH, LUT_CARRIED, or a set
  bool queued;
};
#define LUT_FRESH UINT32_MAX
#define LUT_CARRIED (UINT32_MAX - 1)
struct lut_index { uint32_t *slot; uint32_t mask; };
struct lut_sets {
  struct lut_cube *cubes;
  struct lut_set *sets;
  uint32_t ncubes, nsets;
  struct lut_index cube_index, set_index;
  uint32_t *queue;
  uint64_t work;  // sets tried so far, over all states
  bool overflow;  // some sets were left out: nothing can be proven any more
};
void lut_sets_init(struct lut_sets *sets);
void lut_sets_free(struct lut_sets *sets);
// All sets that cost at most `limit`, in a fixed order, at a state.
void lut_sets_find(struct lut_sets *sets, const struct lut_space *space, const uint64_t *state, double limit);

// --- lut_greedy.c: a program pass by pass, not the cheapest; false if none is found.
bool lut_greedy(const struct ap_lut_table *table, bool accumulate, struct ap_lut_program *out);
// Whether an order exists in which each row can be rewritten once, full keys given.
bool lut_once_order(const struct ap_lut_table *table);

// --- lut_search.c
double lut_program_cost(const struct ap_lut_table *table, const struct ap_lut_cost *cost, struct ap_lut_program *program);

#endif
