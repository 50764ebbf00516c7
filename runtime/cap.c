// SPDX-License-Identifier: Apache-2.0
#include "runtime/cap.h"

#include <stdlib.h>
#include <string.h>

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
  cap->tagged = 0;
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

// Where the literals of an instruction's steps lie and what they stand for.
struct operands {
  uint64_t *slot[AP_SLOT_COUNT];   // first column; NULL where there is none
  uint64_t value[AP_LIT_COUNT];    // bit kbit of it is the literal's value (kbit is 0 for the constants)
  uint64_t distance;               // in rows, of the steps between rows
  const struct ap_pattern *pattern; // NULL: none
};
static struct operands find_operands(const struct ap_cap *cap, const struct ap_instr *instr) {
  struct operands o = {
      .slot = {[AP_SLOT_FLAG] = cap->cells},
      .value = {[AP_LIT_0] = 0, [AP_LIT_1] = 1, [AP_LIT_K] = instr->imm, [AP_LIT_NOT_K] = ~instr->imm, [AP_LIT_S] = 0},
      .distance = instr->imm,
  };
  for (unsigned i = 0; i < 3; i++) {
    o.slot[i] = ap_cap_column(cap, instr->f[i].col);
  }
  if (instr->op == AP_OP_PATTERN) {
    o.pattern = &cap->patterns[instr->index];
    o.value[AP_LIT_K] = o.pattern->key;
    o.value[AP_LIT_NOT_K] = ~o.pattern->key;
    o.value[AP_LIT_P] = o.pattern->base;
  }
  return o;
}
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2, "operand slots are numbered as the instruction's fields");

// ~0 if the literal stands for a 1.
static uint64_t literal_value(const struct ap_lit *lit, const struct operands *o) {
  return -(o->value[lit->value] >> lit->kbit & 1);
}

// The sum that the writes after this compare may write.
static void find_sum(const struct ap_lit *lits, unsigned count, struct operands *o) {
  unsigned set = 0;
  for (unsigned i = 0; i < count; i++) {
    set |= lits[i].slot == AP_SLOT_A && literal_value(&lits[i], o) != 0 ? 1u << lits[i].bit : 0;
  }
  o->value[AP_LIT_P] = ap_pattern_sum(o->pattern, set);
}

static void compare(struct ap_cap *cap, const uint64_t *rows, const struct ap_operand *lits, unsigned count, bool accumulate) {
  uint64_t matches = cap->steps->compare(cap->tag, rows, lits, count, cap->words, accumulate, &cap->tagged);
  cap->events.compare++;
  cap->events.compare_cells += cap->searched * count;
  cap->events.match_cells += matches * count;
}

static void write_tagged(struct ap_cap *cap, const struct ap_operand *lits, unsigned count) {
  cap->events.write++;
  cap->events.written_cells += cap->tagged * count;
  cap->events.changed_cells += cap->steps->write(cap->tag, lits, count, cap->words);
}

// A compare of the heads of all pairs of rows r, r + distance (r a multiple of 2 distance). The heads see the columns of
// their partners in scratch columns.
static void compare_pairs(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step,
                          const struct operands *o) {
  if (cap->heads_period != 2 * o->distance) {
    cap->heads_period = 2 * o->distance;
    ap_rows_multiples(cap->heads, cap->words, cap->rows, cap->heads_period);
  }
  struct ap_operand lits[AP_MAX_LITS];
  uint64_t *scratch = cap->scratch;
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &micro->lits[step->first + i];
    bool partner = lit->slot == AP_SLOT_PARTNER;
    lits[i].column = o->slot[partner ? AP_SLOT_A : lit->slot] + lit->bit * cap->words;
    lits[i].flip = ~literal_value(lit, o);
    if (partner) {
      ap_rows_up(scratch, lits[i].column, cap->mask, cap->words, o->distance);
      lits[i].column = scratch;
      scratch += cap->words;
    }
  }
  compare(cap, cap->heads, lits, step->nlits, step->kind == AP_STEP_PAIR_OR);
}

static void shift_tag(struct ap_cap *cap, bool up, uint64_t distance) {
  if (up) {
    ap_rows_up(cap->scratch, cap->tag, cap->mask, cap->words, distance);
  } else {
    ap_rows_down(cap->scratch, cap->tag, cap->words, distance);
  }
  const struct ap_operand moved = {cap->scratch, 0};
  cap->steps->compare(cap->tag, cap->mask, &moved, 1, cap->words, false, &cap->tagged);  // tag := mask and moved
  cap->events.shift += distance;
  cap->events.shift_rows += cap->rows * distance;
}

static void count_tag(struct ap_cap *cap, struct operands *o, unsigned power) {
  o->value[AP_LIT_S] += cap->tagged << power;
  cap->events.count++;
  cap->events.count_rows += cap->rows;
}

// The steps that are no plain compare or write.
static void run_row_step(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step, struct operands *o) {
  switch (step->kind) {
    case AP_STEP_SHIFT_UP: shift_tag(cap, true, o->distance); break;
    case AP_STEP_SHIFT_DOWN: shift_tag(cap, false, o->distance); break;
    case AP_STEP_TALLY: count_tag(cap, o, micro->lits[step->first].bit); break;
    default: compare_pairs(cap, micro, step, o); break;
  }
}

static void run_step(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step, struct operands *o) {
  if (step->kind > AP_STEP_WRITE_ALL) {
    run_row_step(cap, micro, step, o);
    return;
  }
  struct ap_operand lits[AP_MAX_LITS];
  // A compared column that must be 1 is taken as it is, one that must be 0 is flipped.
  uint64_t complement = step->kind <= AP_STEP_COMPARE_OR ? ~(uint64_t)0 : 0;
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &micro->lits[step->first + i];
    lits[i].column = o->slot[lit->slot] + lit->bit * cap->words;
    lits[i].flip = literal_value(lit, o) ^ complement;
  }
  if (o->pattern != NULL && step->kind <= AP_STEP_COMPARE_OR) {
    find_sum(&micro->lits[step->first], step->nlits, o);
  }
  switch (step->kind) {
    case AP_STEP_COMPARE: compare(cap, cap->mask, lits, step->nlits, false); break;
    case AP_STEP_COMPARE_OR: compare(cap, cap->mask, lits, step->nlits, true); break;
    case AP_STEP_WRITE_ALL:
      memcpy(cap->tag, cap->mask, cap->words * sizeof *cap->tag);
      cap->tagged = cap->rows;
      write_tagged(cap, lits, step->nlits);
      break;
    default: write_tagged(cap, lits, step->nlits); break;
  }
}
_Static_assert(AP_STEP_COMPARE < 2 && AP_STEP_COMPARE_OR == 1 && AP_STEP_WRITE < 4 && AP_STEP_WRITE_ALL == 3,
               "run_step tells plain compares and writes by their numbers");

void ap_cap_run(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_instr *instr) {
  struct operands operands = find_operands(cap, instr);
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    run_step(cap, micro, &micro->steps[i], &operands);
  }
}
