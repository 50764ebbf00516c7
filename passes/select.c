// SPDX-License-Identifier: Apache-2.0
// Pass `select`: expands the virtual operator mack (d += a * constant) into additions and subtractions of a, shifted
// by renaming columns, one for each nonzero digit of the constant (canonical signed digits from -O1 on).
// Precondition: field IR from `lower`. Postcondition: no virtual operators. Positive digits come first, so that
// contents never become negative on the way; ripples end at the top of the range reached so far.
#include <stdlib.h>

#include "passes/digits.h"
#include "passes/pass.h"

// One addition or subtraction for each bit of `digits`, the highest first; returns the largest content after them.
static uint64_t expand(struct bf_region *to, const struct bf_fop *op, enum bf_fop_kind kind, uint64_t digits, uint64_t hi,
                       uint64_t a_hi) {
  struct bf_fop step = *op;
  step.kind = (uint8_t)kind;
  step.imm = 0;
  step.facts = 0;
  while (digits) {
    unsigned shift = 63 - (unsigned)__builtin_clzll(digits);
    digits ^= (uint64_t)1 << shift;
    if (kind == BF_FOP_ADD) hi += a_hi << shift;
    unsigned width = bf_bits(hi >> shift);
    step.d.offset = op->d.offset + shift;
    step.d.width = width < op->a.width ? op->a.width : width;
    bf_fop_append(to, step);
  }
  return hi;
}

static void select_region(struct bf_region *region, bool canonical) {
  struct bf_region out = {0};
  for (size_t i = 0; i < region->nops; i++) {
    const struct bf_fop *op = &region->ops[i];
    if (op->kind != BF_FOP_MACK) {
      bf_fop_append(&out, *op);
      continue;
    }
    struct bf_mack_facts facts = region->facts[op->facts];
    struct bf_digit_masks digits = bf_digit_masks_of((int64_t)op->imm, canonical);
    uint64_t hi = expand(&out, op, BF_FOP_ADD, digits.positive, facts.d_hi, facts.a_hi);
    expand(&out, op, BF_FOP_SUB, digits.negative, hi, facts.a_hi);
  }
  // A narrow operand over a short rest may reach one column past the field: widen it.
  for (size_t i = 0; i < out.nops; i++) {
    struct bf_slice d = out.ops[i].d;
    if (!d.width) continue;
    struct bf_field *field = &region->fields[d.field];
    if (d.offset + d.width > field->width) field->width = (uint16_t)(d.offset + d.width);
  }
  free(region->ops);
  free(region->facts);
  region->ops = out.ops;
  region->nops = out.nops;
  region->ops_capacity = out.ops_capacity;
  region->facts = NULL;
  region->nfacts = region->facts_capacity = 0;
}

bool bf_pass_select(struct bf_unit *unit) {
  for (size_t i = 0; i < unit->fields->nregions; i++) select_region(&unit->fields->regions[i], unit->opt_level > 0);
  unit->selected = true;
  return true;
}
