// SPDX-License-Identifier: Apache-2.0
// Pass `select`: expands the virtual operator mack (d += a * constant) into additions and subtractions of a, shifted
// by renaming columns, one for each nonzero digit of the constant (canonical signed digits from -O1 on).
// Precondition: field IR from `lower`. Postcondition: no virtual operators. Positive digits come first, so that
// contents never become negative on the way; ripples end at the top of the range reached so far.
#include <stdlib.h>

#include "passes/digits.h"
#include "passes/pass.h"

// One addition or subtraction for each bit of `digits`, the highest first, from `to` on; *hi: the largest content, before and after them. Returns
// the place behind them.
static struct bf_fop *expand(struct bf_fop *to, const struct bf_fop *op, enum bf_fop_kind kind, uint64_t digits, uint64_t *hi,
                             uint64_t a_hi) {
  while (digits) {
    unsigned shift = 63 - (unsigned)__builtin_clzll(digits);
    digits ^= (uint64_t)1 << shift;
    if (kind == BF_FOP_ADD) *hi += a_hi << shift;
    unsigned width = bf_bits(*hi >> shift);
    *to = *op;
    to->kind = (uint8_t)kind;
    to->imm = 0;
    to->facts = 0;
    to->d.offset = op->d.offset + shift;
    to->d.width = width < op->a.width ? op->a.width : width;
    to++;
  }
  return to;
}

#define MOST_DIGITS 66  // of one constant

// Room for one more expansion behind `to`; returns where that is now.
static struct bf_fop *reserve(struct bf_fop **ops, size_t *capacity, struct bf_fop *to) {
  size_t count = (size_t)(to - *ops);
  if (count + MOST_DIGITS <= *capacity) return to;
  *capacity = 2 * *capacity + MOST_DIGITS;
  *ops = bf_realloc(*ops, *capacity, sizeof **ops);
  return *ops + count;
}

// A narrow operand over a short rest may reach one column past the field: widens it.
static void widen(struct bf_region *region, const struct bf_fop *from, const struct bf_fop *end) {
  for (; from < end; from++) {
    unsigned top = from->d.offset + from->d.width;
    struct bf_field *field = &region->fields[from->d.field];
    if (from->d.width && top > field->width) field->width = (uint16_t)top;
  }
}

static void select_region(struct bf_region *region, bool canonical) {
  size_t capacity = 3 * region->nops + MOST_DIGITS;  // weights of 8 bits have 2.4 digits
  struct bf_fop *ops = bf_realloc(NULL, capacity, sizeof *ops), *to = ops;
  size_t tail = 0;
  for (size_t i = 0; i < region->nops; i++) {
    const struct bf_fop *op = &region->ops[i];
    struct bf_fop *from = to = reserve(&ops, &capacity, to);
    if (i == region->tail) tail = (size_t)(to - ops);
    if (op->kind != BF_FOP_MACK) {
      *to++ = *op;
    } else {
      struct bf_mack_facts facts = region->facts[op->facts];
      struct bf_digit_masks digits = bf_digit_masks_of((int64_t)op->imm, canonical);
      uint64_t hi = facts.d_hi;
      to = expand(to, op, BF_FOP_ADD, digits.positive, &hi, facts.a_hi);
      to = expand(to, op, BF_FOP_SUB, digits.negative, &hi, facts.a_hi);
    }
    widen(region, from, to);
  }
  free(region->ops);
  free(region->facts);
  region->ops = ops;
  region->nops = (size_t)(to - ops);
  region->ops_capacity = capacity;
  region->tail = tail;
  region->facts = NULL;
  region->nfacts = region->facts_capacity = 0;
}

bool bf_pass_select(struct bf_unit *unit) {
  for (size_t i = 0; i < unit->fields->nregions; i++) select_region(&unit->fields->regions[i], unit->opt_level > 0);
  unit->selected = true;
  return true;
}
