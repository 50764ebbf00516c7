// SPDX-License-Identifier: Apache-2.0
// Pass `select`: expands the virtual operator mack (d += a * constant) into additions and subtractions of a, shifted
// by renaming columns, one for each nonzero digit of the constant (canonical signed digits from -O1 on).
// Precondition: field IR from `lower`. Postcondition: no virtual operators. Positive digits come first, so that
// contents never become negative on the way; ripples end at the top of the range reached so far.
#include <stdlib.h>

#include "passes/digits.h"
#include "passes/pass.h"

static void expand(struct bf_region *to, const struct bf_fop *op, bool canonical) {
  struct bf_digits digits = bf_digits_of((int64_t)op->imm, canonical);
  uint64_t hi = op->d_hi;
  for (int pass = 0; pass < 2; pass++)
    for (unsigned i = digits.count; i-- > 0;) {
      bool minus = digits.at[i].sign < 0;
      if (minus != (pass == 1)) continue;
      unsigned shift = digits.at[i].shift;
      struct bf_fop step = *op;
      step.kind = minus ? BF_FOP_SUB : BF_FOP_ADD;
      step.imm = 0;
      if (!minus) hi += op->a_hi << shift;
      unsigned width = bf_bits(hi >> shift);
      step.d.offset = (uint16_t)(op->d.offset + shift);
      step.d.width = (uint16_t)(width < op->a.width ? op->a.width : width);
      bf_fop_append(to, step);
    }
}

static void select_region(struct bf_region *region, bool canonical) {
  struct bf_region out = {0};
  for (size_t i = 0; i < region->nops; i++) {
    const struct bf_fop *op = &region->ops[i];
    if (op->kind == BF_FOP_MACK) expand(&out, op, canonical);
    else bf_fop_append(&out, *op);
  }
  // A narrow operand over a short rest may reach one column past the field: widen it.
  for (size_t i = 0; i < out.nops; i++) {
    const struct bf_slice *d = &out.ops[i].d;
    if (!d->width) continue;
    struct bf_field *field = &region->fields[d->field];
    if (d->offset + d->width > field->width) field->width = (uint16_t)(d->offset + d->width);
  }
  free(region->ops);
  region->ops = out.ops;
  region->nops = out.nops;
  region->ops_capacity = out.ops_capacity;
}

bool bf_pass_select(struct bf_unit *unit) {
  for (size_t i = 0; i < unit->fields->nregions; i++) select_region(&unit->fields->regions[i], unit->opt_level > 0);
  unit->selected = true;
  return true;
}
