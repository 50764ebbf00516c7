// SPDX-License-Identifier: Apache-2.0
#include "runtime/cap.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/passes.h"
#include "runtime/rows.h"

#define SCRATCH_COLUMNS AP_MAX_WIDTH  // a pair step names each bit of its partner at most once
#define BLOCK_BYTES (AP_BLOCK_WORDS * sizeof(uint64_t))

static size_t block_words(uint64_t rows) {
  uint64_t words = (rows + 63) / 64;
  return (size_t)((words + AP_BLOCK_WORDS - 1) / AP_BLOCK_WORDS * AP_BLOCK_WORDS);
}

static uint64_t *aligned_words(size_t words) {
  uint64_t *data = aligned_alloc(BLOCK_BYTES, words * sizeof *data);
  if (data == NULL) {
    abort();  // as bf_alloc
  }
  memset(data, 0, words * sizeof *data);
  return data;
}

void ap_cap_init(struct ap_cap *cap, uint32_t columns, uint64_t max_rows) {
  memset(cap, 0, sizeof *cap);
  cap->steps = ap_steps_select();
  cap->columns = columns;
  cap->capacity = block_words(max_rows > 0 ? max_rows : 1);
  cap->cells = aligned_words(cap->capacity * columns);
  cap->mask = aligned_words(cap->capacity);
  cap->tag = aligned_words(cap->capacity);
  cap->heads = aligned_words(cap->capacity);
  cap->scratch = aligned_words(cap->capacity * SCRATCH_COLUMNS);
}

void ap_cap_free(struct ap_cap *cap) {
  free(cap->cells);
  free(cap->mask);
  free(cap->tag);
  free(cap->heads);
  free(cap->scratch);
  memset(cap, 0, sizeof *cap);
}

void ap_cap_begin(struct ap_cap *cap, uint64_t rows, uint64_t searched) {
  cap->rows = rows;
  cap->searched = searched;
  cap->words = block_words(rows);
  cap->heads_period = 0;
  memset(&cap->events, 0, sizeof cap->events);
  memset(cap->cells, 0, cap->words * cap->columns * sizeof *cap->cells);
  memset(cap->tag, 0, cap->words * sizeof *cap->tag);
  memset(cap->mask, 0, cap->words * sizeof *cap->mask);
  memset(cap->mask, 0xff, (size_t)(rows / 64) * sizeof *cap->mask);
  if (rows % 64 != 0) {
    cap->mask[rows / 64] = ((uint64_t)1 << rows % 64) - 1;
  }
}

uint64_t *ap_cap_column(const struct ap_cap *cap, uint32_t column) { return cap->cells + column * cap->words; }

// Steps count where they are executed; what depends on data is counted row by row (runtime/steps_body.h).
static void count_passes(struct ap_cap *cap, const struct ap_step *steps, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    bool compares = steps[i].kind <= AP_STEP_COMPARE_OR;
    cap->events.compare += compares;
    cap->events.write += !compares;
    cap->events.compare_cells += compares ? cap->searched * steps[i].nlits : 0;
  }
}

static void add_counts(struct ap_cap *cap, const struct ap_kernel_counts *counts) {
  cap->events.match_cells += counts->match_cells;
  cap->events.written_cells += counts->written_cells;
  cap->events.changed_cells += counts->changed_cells;
}

// A compare of the heads of all pairs of rows r, r + distance (r a multiple of 2 distance). The heads see the columns of
// their partners in scratch columns.
static void compare_pairs(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step,
                          const struct ap_operands *o, struct ap_kernel_counts *counts) {
  if (cap->heads_period != 2 * o->distance) {
    cap->heads_period = 2 * o->distance;
    ap_rows_multiples(cap->heads, cap->words, cap->rows, cap->heads_period);
  }
  struct ap_operand lits[AP_MAX_LITS];
  uint64_t *scratch = cap->scratch;
  for (unsigned i = 0; i < step->nlits; i++) {
    struct ap_lit lit = micro->lits[step->first + i];
    bool partner = lit.slot == AP_SLOT_PARTNER;
    lit.slot = partner ? AP_SLOT_A : lit.slot;
    lits[i] = (struct ap_operand){ap_literal_column(o, &lit), ap_literal_value(o, &lit)};
    if (partner) {
      ap_rows_up(scratch, lits[i].column, cap->mask, cap->words, o->distance);
      lits[i].column = scratch;
      scratch += cap->words;
    }
  }
  struct ap_step compare = *step;  // of what the heads see
  compare.kind = step->kind == AP_STEP_PAIR_OR ? AP_STEP_COMPARE_OR : AP_STEP_COMPARE;
  cap->steps->count(&(struct ap_passes){&compare, 1, lits, cap->heads, cap->tag, cap->words}, counts);
  count_passes(cap, &compare, 1);
}

static void shift_tag(struct ap_cap *cap, bool up, uint64_t distance) {
  if (up) {
    ap_rows_up(cap->scratch, cap->tag, cap->mask, cap->words, distance);
  } else {
    ap_rows_down(cap->scratch, cap->tag, cap->words, distance);
  }
  for (size_t w = 0; w < cap->words; w++) {
    cap->tag[w] = cap->scratch[w] & cap->mask[w];
  }
  cap->events.shift += distance;
  cap->events.shift_rows += cap->rows * distance;
}

static void count_tag(struct ap_cap *cap, struct ap_operands *o, unsigned power) {
  uint64_t tagged = 0;
  for (size_t w = 0; w < cap->words; w++) {
    tagged += (uint64_t)__builtin_popcountll(cap->tag[w]);
  }
  o->value[AP_LIT_S] += tagged << power;
  cap->events.count++;
  cap->events.count_rows += cap->rows;
}

// The steps that are no plain compare or write.
static void run_row_step(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step, struct ap_operands *o,
                         struct ap_kernel_counts *counts) {
  switch (step->kind) {
    case AP_STEP_SHIFT_UP: shift_tag(cap, true, o->distance); break;
    case AP_STEP_SHIFT_DOWN: shift_tag(cap, false, o->distance); break;
    case AP_STEP_TALLY: count_tag(cap, o, micro->lits[step->first].bit); break;
    default: compare_pairs(cap, micro, step, o, counts); break;
  }
}

void ap_cap_run(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_instr *instr) {
  uint64_t *field[3];
  for (unsigned i = 0; i < 3; i++) {
    field[i] = ap_cap_column(cap, instr->f[i].col);
  }
  const struct ap_pattern *pattern = instr->op == AP_OP_PATTERN ? &cap->patterns[instr->index] : NULL;
  struct ap_operands o = ap_operands_of(field[0], field[1], field[2], cap->cells, cap->words, instr->imm, pattern);
  const struct ap_rows rows = {cap->mask, cap->tag, cap->words};
  struct ap_kernel_counts counts = {0};
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    uint32_t end = ap_passes_run(cap->steps, micro, i, &o, &rows, &counts);
    count_passes(cap, &micro->steps[i], end - i);
    i = end;
    if (i < micro->nsteps) {
      run_row_step(cap, micro, &micro->steps[i], &o, &counts);
    }
  }
  add_counts(cap, &counts);
}
