// SPDX-License-Identifier: Apache-2.0
// Studies: tables of the literature made anew, one command each. A study fills rows, notes and plots; the command prints them.
#ifndef BFX_STUDY_H
#define BFX_STUDY_H

#include <jansson.h>

#include "base/bf_diag.h"
#include "tools/bfexplore/plot.h"
#include "tools/bfexplore/price.h"

#define BFX_MAX_PLOTS 8

// A column of the text table: a key of the rows. The format is that of a double ("%.3g"), "%s" of a text, or "%d" of an integer.
struct bfx_column { const char *key, *head, *format; };

struct bfx_study {
  const char *name;
  // What the command line asks for.
  const char *json, *csv, *plot;  // files, or NULL
  const char *data;               // folder with HAWQ-V3's tables, or NULL: the compiled-in ones
  const char *target, *tech;      // tech NULL: the target's
  double vdd;                     // 0: nominal
  const char *only;               // names of rows or networks to do, comma-separated; NULL: all
  const char *bits;               // of bf-imna: widths, comma-separated; NULL: its own
  bool run;                       // execute as well, and compare with the static account
  unsigned threads, jobs;         // 0: one for each processor
  uint64_t seed;                  // of synthetic weights
  struct bf_diags *diags;
  // What the study gives.
  json_t *rows;                   // objects
  struct bf_buf notes;            // footnotes, a line each
  const struct bfx_column *columns;  // ends with a key NULL
  const char *group;              // key at whose change of value the table has an empty line, or NULL
  struct bfx_plot plots[BFX_MAX_PLOTS];
  size_t nplots;
};

// False: errors were added to study->diags.
typedef bool bfx_study_function(struct bfx_study *study);
#define BFX_STUDY(name, function, takes, help) bfx_study_function function;
#include "tools/bfexplore/studies.def"

// Whether `name` is among those that --only asks for.
bool bfx_study_wants(const struct bfx_study *study, const char *name);
void bfx_study_note(struct bfx_study *study, const char *fmt, ...) BF_PRINTF(2, 3);
// Footnotes: every constant of the technology with its value, standing and source.
void bfx_study_note_technology(struct bfx_study *study, const struct ap_technology *tech);
// A new panel; NULL if there are BFX_MAX_PLOTS.
struct bfx_plot *bfx_study_plot(struct bfx_study *study, const char *title, const char *x_label, const char *y_label);
// Machine and technology that the command line names, and the usual options of the compiler for them. The caller frees out->tech.
bool bfx_study_options(struct bfx_study *study, struct bf_compile_options *out);
// Executes the program once on random inputs with the JIT (else the interpreter) and counts. False and an error if it can't be run, or if
// cycles or an event that doesn't depend on data differ from the static account `expected`, by layer.
bool bfx_study_execute(struct bfx_study *study, const struct ap_program *program, const struct ap_technology *tech,
                       const struct ap_account *expected, struct ap_account *total);

// Printing (study_print.c).
void bfx_study_print_text(const struct bfx_study *study, struct bf_buf *out);
void bfx_study_print_csv(const struct bfx_study *study, struct bf_buf *out);
void bfx_study_print_json(const struct bfx_study *study, struct bf_buf *out);
// Rows (objects) as CSV: a column for every key that some row has, in order of appearance.
void bfx_rows_csv(json_t *rows, struct bf_buf *out);

#endif
