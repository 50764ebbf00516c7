// SPDX-License-Identifier: Apache-2.0
// Room for a field that found no columns. Where enough are free but not side by side, a narrow field moves (a copy of 2w + 1 cycles). Where there are not
// enough, the one whose next use is farthest away goes to memory (Belady's rule) and comes back before that use: its columns, twice through the port.
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/live.h"

// Time without a use of a field around an operation: after operation `before`, up to operation `next`.
struct pause { uint32_t field; size_t before, next; };

static bool pause_of(const struct bf_region *region, const struct bf_live *r, size_t at, struct pause *p) {
  if (r->first == SIZE_MAX || r->first >= at || r->last <= at || bf_op_touches(&region->ops[at], r->field)) return false;
  *p = (struct pause){.field = r->field, .before = at, .next = at};
  while (!bf_op_touches(&region->ops[p->before], r->field)) p->before--;
  while (!bf_op_touches(&region->ops[p->next], r->field)) p->next++;
  // Code goes behind the writes that follow `before`, and before the compare that belongs to `next`.
  size_t behind = p->before + 1;
  while (behind < region->nops && bf_live_gap(region, behind) != behind) behind++;
  p->before = behind;
  p->next = bf_live_gap(region, p->next);
  return p->before <= at && p->next > at;
}

static struct bf_slice whole(const struct bf_region *region, uint32_t field) {
  return (struct bf_slice){field & (BF_MAX_REGION_FIELDS - 1), 0, region->fields[field].width & 127};
}

static uint32_t twin(struct bf_region *region, uint32_t field) {
  uint32_t to = bf_field_new(region, "%s", region->fields[field].name);
  region->fields[to].width = region->fields[field].width;
  return to;
}

// Memory of an element for each row, and the way there.
static uint32_t spill_desc(struct bf_unit *unit, const struct bf_flayer *layer, const struct bf_region *region, unsigned bits) {
  struct bf_fprogram *p = unit->fields;
  const struct bf_fgrid *grid = &p->grids[region->grid];
  struct bf_fmem mem = {.name = bf_format("%s.spill%zu", layer->node->name, p->nmems), .kind = BF_FMEM_TEMP, .bits = bits, .alias = BF_NO_INDEX, .elements = 1};
  memcpy(mem.shape, grid->count, sizeof mem.shape);
  for (int i = 0; i < 4; i++) mem.elements *= mem.shape[i];
  BF_PUSH(p->mems, p->nmems, p->mems_capacity) = mem;
  struct bf_fdesc desc;
  memset(&desc, 0, sizeof desc);
  desc.grid = region->grid;
  desc.mem = (uint32_t)(p->nmems - 1);
  for (int i = 0; i < 4; i++) desc.row_dim[i] = (uint8_t)i, desc.row_stride[i] = 1, desc.tap_count[i] = 1;
  BF_PUSH(p->descs, p->ndescs, p->descs_capacity) = desc;
  return (uint32_t)(p->ndescs - 1);
}

static void spill(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region, const struct pause *p) {
  uint32_t desc = spill_desc(unit, layer, region, region->fields[p->field].width), to = twin(region, p->field);
  bf_live_rename(region, p->next, p->field, to);
  bf_live_insert(region, p->next, (struct bf_fop){.kind = BF_FOP_LOAD, .d = whole(region, to), .desc = desc});
  bf_live_insert(region, p->before, (struct bf_fop){.kind = BF_FOP_STORE, .a = whole(region, p->field), .desc = desc});
  region->spills++;
}

static void move(struct bf_region *region, const struct pause *p, size_t at) {
  uint32_t to = twin(region, p->field);
  bf_live_rename(region, at, p->field, to);
  bf_live_insert(region, at, (struct bf_fop){.kind = BF_FOP_COPY, .d = whole(region, to), .a = whole(region, p->field)});
  region->moves++;
}

bool bf_live_split(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region, const struct bf_full *full) {
  struct bf_live *ranges = bf_live_of(region);
  struct pause best = {0}, p;
  bool found = false;
  for (size_t i = 0; i < region->nfields; i++) {
    unsigned width = region->fields[i].width;
    if (!pause_of(region, &ranges[i], full->at, &p) || width > AP_MAX_WIDTH) continue;
    bool better = full->missing ? !found || p.next > best.next : !found || width < region->fields[best.field].width;
    if (better) best = p, found = true;
  }
  free(ranges);
  if (!found) return false;
  size_t gap = bf_live_gap(region, full->at);
  if (full->missing || gap < best.before) spill(unit, layer, region, &best);
  else move(region, &best, gap);
  return true;
}
