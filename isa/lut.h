// SPDX-License-Identifier: Apache-2.0
// The LUT generator: from a truth table to an ordered program of compares and writes.
//
// A truth table has columns (operands, results, carries, flags) and one row for every combination of initial values that can
// occur. A program is right if it brings every row from its initial values to the demanded ones. The search runs over
// the states "which values does each initial row have by now": a compare takes a subset of the rows (as a cube of the columns,
// or as a union of cubes if compares accumulate), a write moves them. Its result is the cheapest program under additive
// step costs, with a proof of optimality where the whole space below that cost has been seen.
#ifndef AP_LUT_H
#define AP_LUT_H

#include "base/bf_diag.h"
#include "isa/micro.h"

#define AP_LUT_MAX_COLUMNS 8
#define AP_LUT_MAX_ROWS 256
#define AP_LUT_MAX_STEPS 96

enum ap_lut_role {
  AP_LUT_INPUT,   // read only; keeps its value
  AP_LUT_INOUT,   // an operand that is rewritten
  AP_LUT_OUTPUT,  // a result that is not read: holds `initial` before the program
  AP_LUT_PARAM    // a bit of the immediate: no column of the array; literals of other columns may have its value (AP_LIT_K)
};
struct ap_lut_column {
  char name[24];
  enum ap_lut_role role;
  uint8_t initial;  // OUTPUT: 0 or 1
};
struct ap_lut_row { uint8_t in, out, care; };  // bit c: column c; `care`: columns whose final value matters
struct ap_lut_table {
  unsigned ncolumns, nrows;
  struct ap_lut_column column[AP_LUT_MAX_COLUMNS];
  struct ap_lut_row row[AP_LUT_MAX_ROWS];  // distinct `in`
};

struct ap_lut_lit { uint8_t column, value; };  // enum ap_lit_value: 0, 1, K, NOT_K
struct ap_lut_step {
  uint8_t kind;  // COMPARE, COMPARE_OR, WRITE, WRITE_ALL
  uint8_t nlits;
  struct ap_lut_lit lits[AP_LUT_MAX_COLUMNS];
};
struct ap_lut_program {
  unsigned nsteps, compares, writes;
  struct ap_lut_step steps[AP_LUT_MAX_STEPS];
  bool optimal;          // proven: no program of these step kinds costs less
  bool once;             // every row is rewritten at most once
  double cost;           // under the objective
  uint64_t states;       // states seen by the search
};

// What a program costs: a step costs compare or write; in addition, averaged over the rows of the table (taken as equally likely),
// every searched cell of a matching or mismatching row and every written cell that changes or keeps its value.
struct ap_lut_cost {
  double compare, write;
  double match_cell, mismatch_cell, change_cell, same_cell;
};
struct ap_lut_options {
  unsigned features;      // AP_FEATURE_ACCUMULATE; AP_FEATURE_WIDE_WRITE is not asked for (tables write few columns)
  struct ap_lut_cost cost;
  uint64_t max_states;    // search budget; 0: the default
};
enum ap_lut_result { AP_LUT_FOUND, AP_LUT_IMPOSSIBLE, AP_LUT_BUDGET, AP_LUT_TOO_LARGE };

// Finds a program. *why (static text) tells why there is none, that the budget is spent, or that the table is larger than what is
// searched (more than 64 rows) and no short program was found by going from row to row; with FOUND it tells, where that is so, that
// no order rewrites each row once and that rows pass through intermediate states. A program of zero steps is legal.
enum ap_lut_result ap_lut_search(const struct ap_lut_table *table, const struct ap_lut_options *options,
                                 struct ap_lut_program *out, const char **why);
// Runs the program on every row of the table: NULL, or what differs (static text).
const char *ap_lut_check(const struct ap_lut_table *table, const struct ap_lut_program *program);

// The expression language (docs/aplut.md): `sum, carry = a ^ b ^ carry, maj(a, b, carry) where !(a & b)`.
// Names on both sides are INOUT, on the left alone OUTPUT (initially 0; `r(1) = …`: 1), on the right alone INPUT, `$k` a PARAM.
// Operators ! ~ & ^ | = < ? : and parentheses, constants 0 1, maj(x, y, z), mux(s, x, y); `where` restricts the rows
// that can occur; a result `-` means that the final value does not matter. Columns stand in order of first appearance on the right side
// (left to right, `where` last), then those on the left alone. False: errors with their place in `source`.
bool ap_lut_parse(const struct bf_source *source, struct ap_lut_table *out, struct bf_diags *diags);

// Bit steps: the tables that vector instructions are made of (isa/bit_steps.def), with their programs found when the project
// is built.
enum ap_bit_step {
#define AP_BIT_STEP(id, ...) AP_BIT_##id,
#include "isa/bit_steps.def"
  AP_BIT_STEP_COUNT
};
struct ap_bit_step_info {
  const char *name, *table, *known_source;
  unsigned known_classic, known_accumulate;  // cycles of the known optimum, 0: none published
};
const struct ap_bit_step_info *ap_bit_step_info(unsigned step);  // NULL beyond the last
// Names of the step's columns, in the order of the table: one letter each; k is the bit of the immediate.
const char *ap_bit_step_columns(enum ap_bit_step step);
// The program of a step for an array, by fewest cycles or, if `few_writes`, by fewest writes first.
const struct ap_lut_program *ap_bit_step_program(enum ap_bit_step step, unsigned features, bool few_writes);

#endif
