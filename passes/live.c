// SPDX-License-Identifier: Apache-2.0
#include "passes/live.h"

#include <string.h>

// An absent operand touches the spare range behind the others. Without branches: operands come in no order that could be guessed.
static void touch(struct bf_live *ranges, size_t spare, const struct bf_slice *slice, size_t at) {
  struct bf_live *r = &ranges[slice->width ? slice->field : spare];
  r->first = at < r->first ? at : r->first;
  r->last = at;
}

struct bf_live *bf_live_of(const struct bf_region *region) {
  size_t spare = region->nfields;
  struct bf_live *ranges = bf_alloc(region->nfields + 1, sizeof *ranges);
  for (size_t i = 0; i <= region->nfields; i++) ranges[i] = (struct bf_live){(uint32_t)i, SIZE_MAX, 0};
  for (size_t i = 0; i < region->nops; i++) {
    touch(ranges, spare, &region->ops[i].d, i);
    touch(ranges, spare, &region->ops[i].a, i);
    touch(ranges, spare, &region->ops[i].b, i);
  }
  return ranges;
}

static bool in_slice(const struct bf_slice *slice, uint32_t field) { return slice->width && slice->field == field; }

bool bf_op_touches(const struct bf_fop *op, uint32_t field) {
  return in_slice(&op->d, field) || in_slice(&op->a, field) || in_slice(&op->b, field);
}

size_t bf_live_gap(const struct bf_region *region, size_t at) {
  while (at > 0 && at < region->nops && (region->ops[at].kind == BF_FOP_COMPOR || region->ops[at].kind == BF_FOP_WRITE)) at--;
  return at;
}

void bf_live_insert(struct bf_region *region, size_t at, struct bf_fop op) {
  bf_fop_append(region, op);
  memmove(&region->ops[at + 1], &region->ops[at], (region->nops - 1 - at) * sizeof *region->ops);
  region->ops[at] = op;
  if (region->tail && at <= region->tail) region->tail++;
}

void bf_live_rename(struct bf_region *region, size_t from, uint32_t field, uint32_t to) {
  for (size_t i = from; i < region->nops; i++) {
    struct bf_fop *op = &region->ops[i];
    if (in_slice(&op->d, field)) op->d.field = to & (BF_MAX_REGION_FIELDS - 1);
    if (in_slice(&op->a, field)) op->a.field = to & (BF_MAX_REGION_FIELDS - 1);
    if (in_slice(&op->b, field)) op->b.field = to & (BF_MAX_REGION_FIELDS - 1);
  }
}
