// SPDX-License-Identifier: Apache-2.0
// Checks a program of a truth table: its structure first, then its effect on each row.
#include <stddef.h>

#include "isa/lut_internal.h"

static bool is_compare(unsigned kind) { return kind == AP_STEP_COMPARE || kind == AP_STEP_COMPARE_OR; }

static const char *check_literals(const struct ap_lut_table *table, const struct ap_lut_step *step, bool param) {
  unsigned seen = 0;
  if (step->nlits > AP_LUT_MAX_COLUMNS || (!is_compare(step->kind) && step->nlits == 0))
    return "a step has a wrong number of literals";
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lut_lit *lit = &step->lits[i];
    if (lit->column >= table->ncolumns || table->column[lit->column].role == AP_LUT_PARAM)
      return "a literal names no column of the array";
    if (seen >> lit->column & 1)
      return "a step names a column twice";
    seen |= 1u << lit->column;
    if (lit->value > AP_LIT_NOT_K || (lit->value >= AP_LIT_K && !param))
      return "a literal has a value that the table does not provide";
    if (!is_compare(step->kind) && table->column[lit->column].role == AP_LUT_INPUT)
      return "an input column is written";
  }
  return NULL;
}

static const char *check_steps(const struct ap_lut_table *table, const struct ap_lut_program *program) {
  bool tagged = false, param = false;
  if (program->nsteps > AP_LUT_MAX_STEPS)
    return "the program is too long";
  for (unsigned c = 0; c < table->ncolumns; c++)
    param |= table->column[c].role == AP_LUT_PARAM;
  for (unsigned i = 0; i < program->nsteps; i++) {
    const struct ap_lut_step *step = &program->steps[i];
    if (step->kind > AP_STEP_WRITE_ALL)
      return "a step is no compare or write";
    if (!tagged && (step->kind == AP_STEP_WRITE || step->kind == AP_STEP_COMPARE_OR))
      return "tags are used before a compare has set them";
    tagged = true;
    const char *why = check_literals(table, step, param);
    if (why)
      return why;
  }
  return NULL;
}

unsigned ap_lut_param(const struct ap_lut_table *table) {
  unsigned mask = 0;
  for (unsigned c = 0; c < table->ncolumns; c++)
    if (table->column[c].role == AP_LUT_PARAM)
      mask |= 1u << c;
  return mask;
}

unsigned ap_lut_literal(unsigned value, bool param) {
  return value == AP_LIT_1 || (value == AP_LIT_K && param) || (value == AP_LIT_NOT_K && !param);
}

bool ap_lut_apply(const struct ap_lut_step *step, bool param, uint8_t *values, bool *tag) {
  bool match = true;
  uint8_t written = *values;
  for (unsigned i = 0; i < step->nlits; i++) {
    unsigned column = step->lits[i].column, value = ap_lut_literal(step->lits[i].value, param);
    match &= (*values >> column & 1u) == value;
    written = (uint8_t)((written & ~(1u << column)) | value << column);
  }
  switch (step->kind) {
  case AP_STEP_COMPARE: *tag = match; return false;
  case AP_STEP_COMPARE_OR: *tag |= match; return false;
  case AP_STEP_WRITE_ALL: *tag = true; break;
  default: break;
  }
  bool changed = *tag && written != *values;
  if (*tag)
    *values = written;
  return changed;
}

const char *ap_lut_check(const struct ap_lut_table *table, const struct ap_lut_program *program) {
  const char *why = ap_lut_valid(table);
  if (!why)
    why = check_steps(table, program);
  if (why)
    return why;
  unsigned mask = ap_lut_param(table);
  for (unsigned r = 0; r < table->nrows; r++) {
    const struct ap_lut_row *row = &table->row[r];
    uint8_t values = row->in;
    bool tag = false;
    for (unsigned i = 0; i < program->nsteps; i++)
      ap_lut_apply(&program->steps[i], (row->in & mask) != 0, &values, &tag);
    if (((values ^ row->out) & row->care) != 0)
      return "a row does not end with the demanded values";
  }
  return NULL;
}

const char *ap_lut_valid(const struct ap_lut_table *table) {
  unsigned params = 0, readonly = 0;
  bool seen[256] = {false};
  if (table->ncolumns == 0 || table->ncolumns > AP_LUT_MAX_COLUMNS || table->nrows == 0 || table->nrows > AP_LUT_MAX_ROWS)
    return "the table has no or too many columns or rows";
  for (unsigned c = 0; c < table->ncolumns; c++) {
    enum ap_lut_role role = table->column[c].role;
    params += role == AP_LUT_PARAM;
    if (role == AP_LUT_PARAM || role == AP_LUT_INPUT)
      readonly |= 1u << c;
  }
  if (params > 1)
    return "the table has more than one parameter";
  for (unsigned r = 0; r < table->nrows; r++) {
    const struct ap_lut_row *row = &table->row[r];
    if ((unsigned)(row->in | row->out | row->care) >> table->ncolumns != 0)
      return "a row has values of columns that are not in the table";
    if (seen[row->in])
      return "two rows of the table have equal initial values";
    seen[row->in] = true;
    if (((row->in ^ row->out) & row->care & readonly) != 0)
      return "an input column is demanded to change";
  }
  return NULL;
}
