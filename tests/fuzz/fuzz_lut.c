// SPDX-License-Identifier: Apache-2.0
// Expressions of the LUT generator: parser, a search on a small budget, and the check of what it finds.
#include "isa/lut.h"
#include "tests/fuzz/fuzz.h"

// The budget counts states, not the time that one takes: large tables are parsed and no more.
#define MAX_COLUMNS 5
#define MAX_STATES 500

static void search(const struct ap_lut_table *table, unsigned features) {
  struct ap_lut_options options = {.features = features, .cost = {.compare = 1, .write = 1}, .max_states = MAX_STATES};
  struct ap_lut_program program;
  const char *why = NULL;
  enum ap_lut_result result = ap_lut_search(table, &options, &program, &why);
  if (result != AP_LUT_FOUND) {
    FUZZ_CHECK(why, "no program and no reason");
    return;
  }
  why = ap_lut_check(table, &program);
  FUZZ_CHECK(!why, "the program that was found is wrong: %s", why);
  FUZZ_CHECK(program.nsteps <= AP_LUT_MAX_STEPS && program.compares + program.writes == program.nsteps, "steps miscounted");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct ap_lut_table table;
  const struct bf_source *source = bf_diags_add_source(&diags, "fuzz", size ? (const char *)data : "", size);
  bool ok = ap_lut_parse(source, &table, &diags);
  fuzz_diags_end(&diags, ok);
  if (!ok) return 0;
  FUZZ_CHECK(table.ncolumns <= AP_LUT_MAX_COLUMNS && table.nrows <= AP_LUT_MAX_ROWS, "the table is too large");
  if (table.ncolumns > MAX_COLUMNS) return 0;
  search(&table, 0);
  search(&table, AP_FEATURE_ACCUMULATE);
  return 0;
}
