// SPDX-License-Identifier: Apache-2.0
// Parts of the aplut program.
#ifndef APLUT_H
#define APLUT_H

#include "isa/lut.h"
#include "isa/program.h"

enum aplut_format { APLUT_TEXT, APLUT_JSON, APLUT_LATEX };
enum aplut_objective { APLUT_CYCLES, APLUT_WRITES, APLUT_ENERGY };
enum aplut_action { APLUT_SHOW, APLUT_LIST, APLUT_OPTIMA, APLUT_MANUAL };
extern const char *const aplut_objective_names[];

struct settings {
  enum aplut_action action;
  const char *operation;     // mnemonic, "bit:NAME", or an expression (contains '=')
  char **widths;             // arguments behind it
  unsigned nwidths;
  const char *features, *target, *tech;
  double vdd;                // 0: nominal
  enum aplut_objective objective;
  bool check;
  uint64_t states;           // 0: the default
  enum aplut_format format;
};
// Fills the settings. -1: go on, else the exit status (a message was printed).
int options_parse(struct settings *settings, int argc, char **argv);

// The array that programs are made for and priced on.
struct array {
  unsigned features;
  struct ap_technology tech;  // ap_technology_free
};
bool array_load(const struct settings *settings, struct array *out, struct bf_diags *diags);
void features_print(unsigned features, struct bf_buf *out);

// What was asked for, with its program.
struct subject {
  const struct ap_op_info *info;      // an instruction, or NULL: a table
  struct ap_micro micro;              // its program
  const struct ap_bit_step_info *bit; // a bit step of the table, or NULL
  const char *text;                   // of the expression or bit step
  const struct bf_source *source;
  struct ap_lut_table table;
  struct ap_lut_program program;
  const char *note;                   // of the search, or NULL
};
// False: an error was added. A table without a program is an error too, with the reason.
bool subject_find(const struct settings *settings, const struct array *array, struct subject *out, struct bf_diags *diags);
void subject_free(struct subject *subject);
// Widths for an instruction whose user gives none: those for 8-bit operands.
void default_widths(const struct ap_op_info *info, uint8_t width[3]);
struct ap_lut_options search_options(const struct settings *settings, const struct array *array);
// The bit step of that name (any case), or AP_BIT_STEP_COUNT.
enum ap_bit_step bit_step_find(const char *name);

struct figures {
  uint64_t passes;  // compares up to a write count as one pass
  uint64_t compares, writes, shifts, counts;
  uint64_t cycles;  // with the latencies of the technology, moves between rows at distance 1
  double energy_j;  // a row, expected, without leakage
};
struct figures micro_figures(const struct ap_micro *micro, const struct array *array);
struct figures subject_figures(const struct subject *subject, const struct array *array);
// Cycles at unit latency (distance 1) of an instruction; 0 if there is no program.
uint64_t instr_cycles(enum ap_op op, const uint8_t width[3], unsigned features, uint64_t *clears);
// The constants of the energy, with their values and standings.
struct constant { const char *key; double value; char standing[16]; };
#define APLUT_CONSTANTS 6
void constants_find(const struct ap_technology *tech, struct constant out[APLUT_CONSTANTS]);
// The weakest standing among those that the energy is computed from.
const char *weakest_standing(const struct constant constants[APLUT_CONSTANTS]);
// Whether some compare or write of the program reads or writes the column.
bool column_compared(const struct ap_lut_program *program, unsigned column);

struct verdict {
  uint64_t cases;
  bool exhaustive;
  double energy_j;  // a row, mean over the cases of an instruction, without leakage
  char *failure;    // NULL, or what was found (heap)
};
struct verdict subject_check(const struct subject *subject, const struct array *array);

// The integer meaning of a compute instruction on rows (`rows` values each; `out` is what d must be afterwards).
// Written from the semantics column of isa/ap_isa.def alone. False for raw tag instructions.
// pattern: of the pattern instruction.
struct meaning_rows { const uint64_t *d, *a, *b; uint64_t *out; uint64_t rows, imm; const struct ap_pattern *pattern; };
bool meaning(enum ap_op op, const uint8_t width[3], const struct meaning_rows *rows);
bool meaning_reads_d(enum ap_op op);

// What all printers get.
struct sheet {
  const struct settings *settings;
  const struct array *array;
  const struct subject *subject;
  struct figures figures;
  const struct verdict *verdict;  // NULL: not checked
};
void print_text(const struct sheet *sheet, struct bf_buf *out);
void print_json(const struct sheet *sheet, struct bf_buf *out);
void print_latex(const struct sheet *sheet, struct bf_buf *out);
void print_title(const struct subject *subject, struct bf_buf *out);

void print_list(enum aplut_format format, struct bf_buf *out);
// False if an optimum is missed.
bool print_optima(enum aplut_format format, struct bf_buf *out);
// docs/microcode.md.
void print_manual(struct bf_buf *out);
// Escapes what has a meaning in LaTeX text.
void latex_escape(const char *text, struct bf_buf *out);

#endif
