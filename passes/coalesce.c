// SPDX-License-Identifier: Apache-2.0
// Pass `coalesce`: a field that begins as a copy of another one's last value takes over its columns, so that nothing is copied.
// Precondition: field IR without virtual operators. Postcondition: no copy is left whose source ends and whose destination begins with it, as far as
// both fit in one field; where the destination is wider its upper columns are set to 0.
#include <stdlib.h>

#include "isa/isa.h"
#include "passes/live.h"

#define MOST_UNUSED 16  // columns below the copied slice that stay taken

static bool may_join(const struct bf_region *region, const struct bf_live *ranges, size_t at) {
  const struct bf_fop *op = &region->ops[at];
  if (op->kind != BF_FOP_COPY || op->d.field == op->a.field || op->d.offset || op->d.width < op->a.width) return false;
  unsigned width = op->a.offset + region->fields[op->d.field].width;
  return ranges[op->a.field].last == at && ranges[op->d.field].first == at && op->a.offset <= MOST_UNUSED && width <= AP_MAX_WIDTH;
}

// What the fields have become: a slice of field f is one of field to[f], `by` columns higher.
struct place { uint32_t to; unsigned by; };

static void relocate(struct bf_slice *slice, const struct place *places) {
  if (!slice->width) return;
  unsigned offset = slice->offset + places[slice->field].by;
  slice->field = places[slice->field].to & (BF_MAX_REGION_FIELDS - 1);
  slice->offset = offset & 127;
}

static bool any_copy(const struct bf_region *region, const struct bf_live *ranges) {
  for (size_t i = 0; i < region->nops; i++)
    if (region->ops[i].kind == BF_FOP_COPY && (!ranges || may_join(region, ranges, i))) return true;
  return false;
}

static void join_copies(struct bf_region *region, const struct bf_live *ranges) {
  struct place *places = bf_alloc(region->nfields + 1, sizeof *places);
  size_t kept = 0, tail = 0;
  for (size_t i = 0; i < region->nfields; i++) places[i] = (struct place){(uint32_t)i, 0};
  for (size_t i = 0; i < region->nops; i++) {
    struct bf_fop op = region->ops[i];
    if (i == region->tail) tail = kept;
    bool join = may_join(region, ranges, i);
    if (join) {
      // The source may itself have joined another field.
      struct place p = places[op.a.field];
      unsigned by = p.by + op.a.offset, width = by + region->fields[op.d.field].width;
      join = width <= AP_MAX_WIDTH && by <= MOST_UNUSED;
      if (join) {
        places[op.d.field] = (struct place){p.to, by};
        if (width > region->fields[p.to].width) region->fields[p.to].width = (uint16_t)width;
        struct bf_slice upper = {op.d.field, op.a.width, (op.d.width - op.a.width) & 127};
        op = (struct bf_fop){.kind = BF_FOP_SETK, .in_stream = op.in_stream, .d = upper};
        region->joined++;
        if (!upper.width) continue;
      }
    }
    relocate(&op.d, places);
    relocate(&op.a, places);
    relocate(&op.b, places);
    region->ops[kept++] = op;
  }
  region->nops = kept;
  region->tail = tail;
  free(places);
}

static void coalesce_region(struct bf_region *region) {
  if (!any_copy(region, NULL)) return;
  struct bf_live *ranges = bf_live_of(region);
  if (any_copy(region, ranges)) join_copies(region, ranges);
  free(ranges);
}

bool bf_pass_coalesce(struct bf_unit *unit) {
  for (size_t i = 0; i < unit->fields->nregions && unit->opt_level > 0; i++) coalesce_region(&unit->fields->regions[i]);
  return true;
}
