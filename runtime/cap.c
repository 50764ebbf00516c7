// SPDX-License-Identifier: Apache-2.0
#include "runtime/cap.h"

#include <stdlib.h>
#include <string.h>

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
}

void ap_cap_free(struct ap_cap *cap) {
  free(cap->cells);
  free(cap->mask);
  free(cap->tag);
  memset(cap, 0, sizeof *cap);
}

void ap_cap_begin(struct ap_cap *cap, uint64_t rows, uint64_t searched) {
  cap->rows = rows;
  cap->searched = searched;
  cap->words = block_words(rows);
  cap->tagged = 0;
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

// ~0 if the literal stands for a 1. The low bit of the value is the constant, or says that the bit of the immediate is
// complemented; the next bit says that the immediate takes part.
static uint64_t literal_value(const struct ap_lit *lit, uint64_t imm) {
  uint64_t bit = (lit->value & 1u) ^ (lit->value >> 1 & 1u & imm >> lit->kbit);
  return -bit;
}
_Static_assert(AP_LIT_0 == 0 && AP_LIT_1 == 1 && AP_LIT_K == 2 && AP_LIT_NOT_K == 3, "literal_value computes with these");

// First column of each operand slot.
struct operand_bases {
  uint64_t *slot[AP_SLOT_COUNT];
};
static struct operand_bases find_bases(const struct ap_cap *cap, const struct ap_instr *instr) {
  struct operand_bases bases = {{[AP_SLOT_FLAG] = cap->cells}};
  for (unsigned i = 0; i < 3; i++) {
    bases.slot[i] = ap_cap_column(cap, instr->f[i].col);
  }
  return bases;
}
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2, "operand slots are numbered as the instruction's fields");

static void compare(struct ap_cap *cap, struct ap_operand *lits, unsigned count, bool accumulate) {
  for (unsigned i = 0; i < count; i++) {
    lits[i].flip = ~lits[i].flip;  // a column that must be 1 is taken as it is
  }
  uint64_t matches = cap->steps->compare(cap->tag, cap->mask, lits, count, cap->words, accumulate, &cap->tagged);
  cap->events.compare++;
  cap->events.compare_cells += cap->searched * count;
  cap->events.match_cells += matches * count;
}

static void write_tagged(struct ap_cap *cap, const struct ap_operand *lits, unsigned count) {
  cap->events.write++;
  cap->events.written_cells += cap->tagged * count;
  cap->events.changed_cells += cap->steps->write(cap->tag, lits, count, cap->words);
}

static void run_step(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step,
                     const struct operand_bases *bases, uint64_t imm) {
  struct ap_operand lits[AP_MAX_LITS];
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &micro->lits[step->first + i];
    lits[i].column = bases->slot[lit->slot] + lit->bit * cap->words;
    lits[i].flip = literal_value(lit, imm);
  }
  switch (step->kind) {
    case AP_STEP_COMPARE: compare(cap, lits, step->nlits, false); break;
    case AP_STEP_COMPARE_OR: compare(cap, lits, step->nlits, true); break;
    case AP_STEP_WRITE_ALL:
      memcpy(cap->tag, cap->mask, cap->words * sizeof *cap->tag);
      cap->tagged = cap->rows;
      write_tagged(cap, lits, step->nlits);
      break;
    default: write_tagged(cap, lits, step->nlits); break;
  }
}

void ap_cap_step(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_step *step,
                 const struct ap_instr *instr) {
  struct operand_bases bases = find_bases(cap, instr);
  run_step(cap, micro, step, &bases, instr->imm);
}

void ap_cap_run(struct ap_cap *cap, const struct ap_micro *micro, const struct ap_instr *instr) {
  struct operand_bases bases = find_bases(cap, instr);
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    run_step(cap, micro, &micro->steps[i], &bases, instr->imm);
  }
}
