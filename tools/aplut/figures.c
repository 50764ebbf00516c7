// SPDX-License-Identifier: Apache-2.0
// What a program costs: passes, cycles, expected energy of a row.
#include <stdio.h>
#include <string.h>

#include "tools/aplut/aplut.h"

// Constants of a technology file that the energy of a program is made of (their values are at the chosen supply).
static const struct { const char *key; size_t offset; } KEYS[APLUT_CONSTANTS] = {
    {"compare_match_j", offsetof(struct ap_technology, compare_match_j)},
    {"compare_mismatch_j", offsetof(struct ap_technology, compare_mismatch_j)},
    {"write_j", offsetof(struct ap_technology, write_j)},
    {"write_same_j", offsetof(struct ap_technology, write_same_j)},
    {"shift_j", offsetof(struct ap_technology, shift_j)},
    {"count_j", offsetof(struct ap_technology, count_j)},
};

// Standing of a key in "key: standing: text" lines.
static void find_standing(const char *provenance, const char *key, char out[16]) {
  size_t length = strlen(key);
  snprintf(out, 16, "not stated");
  for (const char *line = provenance; line != NULL && *line != 0;) {
    const char *end = strchr(line, '\n');
    if (strncmp(line, key, length) == 0 && line[length] == ':') {
      const char *word = line + length + 1 + strspn(line + length + 1, " ");
      snprintf(out, 16, "%.*s", (int)strcspn(word, ":\n"), word);
      return;
    }
    line = end != NULL ? end + 1 : NULL;
  }
}

void constants_find(const struct ap_technology *tech, struct constant out[APLUT_CONSTANTS]) {
  for (unsigned i = 0; i < APLUT_CONSTANTS; i++) {
    out[i].key = KEYS[i].key;
    memcpy(&out[i].value, (const char *)tech + KEYS[i].offset, sizeof out[i].value);
    find_standing(tech->provenance, out[i].key, out[i].standing);
  }
}

const char *weakest_standing(const struct constant constants[APLUT_CONSTANTS]) {
  static const char *const ORDER[] = {"sourced", "derived", "assumed"};
  unsigned weakest = 0;
  for (unsigned i = 0; i < 4; i++) {  // compares and writes
    unsigned rank = 0;
    while (rank < BF_COUNT(ORDER) && strcmp(ORDER[rank], constants[i].standing) != 0) {
      rank++;
    }
    weakest = rank > weakest ? rank : weakest;
  }
  return weakest < BF_COUNT(ORDER) ? ORDER[weakest] : "not stated";
}

bool column_compared(const struct ap_lut_program *program, unsigned column) {
  for (unsigned s = 0; s < program->nsteps; s++) {
    const struct ap_lut_step *step = &program->steps[s];
    for (unsigned l = 0; l < step->nlits && step->kind <= AP_STEP_COMPARE_OR; l++) {
      if (step->lits[l].column == column) {
        return true;
      }
    }
  }
  return false;
}

// --- tables: the mean over their rows --------------------------------------------------------------------

struct cells { double match, mismatch, change, same; };

static double price(const struct ap_technology *tech, const struct cells *c) {
  return c->match * tech->compare_match_j + c->mismatch * tech->compare_mismatch_j + c->change * tech->write_j +
         c->same * tech->write_same_j;
}

static unsigned literal_bit(const struct ap_lut_lit *lit, unsigned immediate) {
  return lit->value <= AP_LIT_1 ? lit->value : lit->value == AP_LIT_K ? immediate : !immediate;
}

// The bit of the immediate in a row: tables have at most one such column.
static unsigned immediate_bit(const struct ap_lut_table *table, unsigned row) {
  for (unsigned c = 0; c < table->ncolumns; c++) {
    if (table->column[c].role == AP_LUT_PARAM) {
      return table->row[row].in >> c & 1;
    }
  }
  return 0;
}

static void run_row(const struct ap_lut_table *table, const struct ap_lut_program *program, unsigned row, struct cells *cells) {
  unsigned state = table->row[row].in, immediate = immediate_bit(table, row);
  bool tag = false;
  for (unsigned s = 0; s < program->nsteps; s++) {
    const struct ap_lut_step *step = &program->steps[s];
    bool match = true;
    unsigned after = state;
    for (unsigned l = 0; l < step->nlits; l++) {
      unsigned column = step->lits[l].column, bit = literal_bit(&step->lits[l], immediate);
      match &= (state >> column & 1) == bit;
      after = (after & ~(1u << column)) | bit << column;
    }
    if (step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR) {
      *(match ? &cells->match : &cells->mismatch) += step->nlits;
      tag = match || (tag && step->kind == AP_STEP_COMPARE_OR);
      continue;
    }
    tag |= step->kind == AP_STEP_WRITE_ALL;
    if (tag) {
      unsigned changed = (unsigned)__builtin_popcount(after ^ state);
      cells->change += changed;
      cells->same += step->nlits - changed;
      state = after;
    }
  }
}

static uint64_t cycles(const struct figures *f, const struct array *array) {
  return f->compares * array->tech.compare_cycles + f->writes * array->tech.write_cycles + f->shifts + f->counts;
}

static struct figures table_figures(const struct subject *subject, const struct array *array) {
  const struct ap_lut_program *p = &subject->program;
  struct figures f = {0};
  for (unsigned s = 0; s < p->nsteps; s++) {
    bool compare = p->steps[s].kind == AP_STEP_COMPARE || p->steps[s].kind == AP_STEP_COMPARE_OR;
    *(compare ? &f.compares : &f.writes) += 1;
    f.passes += !compare && s > 0 && p->steps[s - 1].kind <= AP_STEP_COMPARE_OR;
  }
  struct cells cells = {0};
  for (unsigned r = 0; r < subject->table.nrows; r++) {
    run_row(&subject->table, p, r, &cells);
  }
  f.energy_j = price(&array->tech, &cells) / (subject->table.nrows > 0 ? subject->table.nrows : 1);
  f.cycles = cycles(&f, array);
  return f;
}

// --- instructions: the expectation of the static account -------------------------------------------------

struct figures micro_figures(const struct ap_micro *micro, const struct array *array) {
  struct ap_micro_cost cost = ap_micro_cost(micro);
  struct figures f = {.compares = cost.compares, .writes = cost.writes, .shifts = cost.shifts, .counts = cost.counts};
  for (uint32_t s = 1; s < micro->nsteps; s++) {
    f.passes += ap_step_info(micro->steps[s].kind)->literals != AP_LITERALS_KEY &&
                ap_step_info(micro->steps[s - 1].kind)->literals == AP_LITERALS_KEY;
  }
  struct cells cells = {cost.expected_matches, (double)cost.compare_cells - cost.expected_matches, cost.expected_changed,
                        cost.expected_tags - cost.expected_changed};
  f.energy_j = price(&array->tech, &cells) + (double)cost.shifts * array->tech.shift_j + (double)cost.counts * array->tech.count_j;
  f.cycles = cycles(&f, array);
  return f;
}

struct figures subject_figures(const struct subject *subject, const struct array *array) {
  return subject->info != NULL ? micro_figures(&subject->micro, array) : table_figures(subject, array);
}

uint64_t instr_cycles(enum ap_op op, const uint8_t width[3], unsigned features, uint64_t *clears) {
  struct ap_micro micro;
  if (!ap_micro_generate(op, width, features, &micro)) {
    return 0;
  }
  struct ap_micro_cost cost = ap_micro_cost(&micro);
  *clears = 0;
  for (uint32_t s = 0; s < micro.nsteps; s++) {
    *clears += micro.steps[s].kind == AP_STEP_WRITE_ALL;
  }
  ap_micro_free(&micro);
  return cost.compares + cost.writes + cost.shifts + cost.counts;
}
