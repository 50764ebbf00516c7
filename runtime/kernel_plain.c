// SPDX-License-Identifier: Apache-2.0
// A microcode program on one block of rows, step by step in plain C: what kernels are tested against, and what runs where there
// is no kernel.
#include <string.h>

#include "runtime/kernel.h"

struct block {
  uint64_t *slot[4];  // first column of d, a, b and the flags
  const uint64_t *mask;
  uint64_t tag[AP_COLUMN_WORDS];
  uint64_t imm;
  struct ap_kernel_counts counts;
};
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2 && AP_SLOT_FLAG == 3, "slots are indices");

// ~0 or 0. The sum register stays 0: no step of such a program adds to it.
static uint64_t literal(const struct block *b, const struct ap_lit *lit) {
  switch (lit->value) {
    case AP_LIT_1: return ~(uint64_t)0;
    case AP_LIT_K: return -(b->imm >> lit->kbit & 1);
    case AP_LIT_NOT_K: return -(~b->imm >> lit->kbit & 1);
    default: return 0;
  }
}

static uint64_t *column(const struct block *b, const struct ap_lit *lit) {
  return b->slot[lit->slot] + (size_t)lit->bit * AP_COLUMN_WORDS;
}

static uint64_t count_rows(const uint64_t *words) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    sum += (uint64_t)__builtin_popcountll(words[i]);
  }
  return sum;
}

static void compare(struct block *b, const struct ap_lit *lits, unsigned nlits, bool accumulate) {
  uint64_t match[AP_COLUMN_WORDS];
  memcpy(match, b->mask, sizeof match);
  for (unsigned n = 0; n < nlits; n++) {
    const uint64_t *cells = column(b, &lits[n]);
    uint64_t flip = ~literal(b, &lits[n]);
    for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
      match[i] &= cells[i] ^ flip;
    }
  }
  b->counts.match_cells += nlits * count_rows(match);
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    b->tag[i] = match[i] | (accumulate ? b->tag[i] : 0);
  }
}

// Literal by literal, as fields may share columns.
static void write_tagged(struct block *b, const struct ap_lit *lits, unsigned nlits) {
  b->counts.written_cells += nlits * count_rows(b->tag);
  for (unsigned n = 0; n < nlits; n++) {
    uint64_t *cells = column(b, &lits[n]), value = literal(b, &lits[n]), changed[AP_COLUMN_WORDS];
    for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
      changed[i] = b->tag[i] & (cells[i] ^ value);
      cells[i] ^= changed[i];
    }
    b->counts.changed_cells += count_rows(changed);
  }
}

void ap_block_run(const struct ap_micro *micro, uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, uint64_t *tag,
                  const uint64_t *mask, uint64_t imm, struct ap_kernel_counts *counts) {
  struct block block = {.slot = {d, a, b, flags}, .mask = mask, .imm = imm};
  enum ap_tag_use use = ap_op_info(micro->op)->tag;
  for (unsigned i = 0; i < AP_COLUMN_WORDS && (use == AP_TAG_USES || use == AP_TAG_TAKES); i++) {
    block.tag[i] = tag[i] & mask[i];
  }
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    const struct ap_step *step = &micro->steps[s];
    const struct ap_lit *lits = &micro->lits[step->first];
    switch (step->kind) {
      case AP_STEP_COMPARE:
      case AP_STEP_COMPARE_OR: compare(&block, lits, step->nlits, step->kind == AP_STEP_COMPARE_OR); break;
      case AP_STEP_WRITE_ALL: memcpy(block.tag, mask, sizeof block.tag);  // fall through
      default: write_tagged(&block, lits, step->nlits); break;
    }
  }
  if (use == AP_TAG_USES || use == AP_TAG_SETS) {
    memcpy(tag, block.tag, sizeof block.tag);
  }
  if (counts != NULL) {
    counts->match_cells += block.counts.match_cells;
    counts->written_cells += block.counts.written_cells;
    counts->changed_cells += block.counts.changed_cells;
  }
}
