// SPDX-License-Identifier: Apache-2.0
// Pass `allocate`: assigns each field a run of columns, first fit over live ranges.
// Precondition: field IR without virtual operators. Postcondition: every used field has a column; fields whose live
// ranges overlap share none; columns below the flags are untouched. Fails with the fields that were live where
// no run was free. A field lives from its first to its last operation; no code repeats, so that is exact.
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/pass.h"

struct range { uint32_t field; size_t first, last; };

// An absent operand touches the spare range behind the others. Without branches: operands come in no order that could be guessed.
static void touch(struct range *ranges, size_t spare, const struct bf_slice *slice, size_t at) {
  struct range *r = &ranges[slice->width ? slice->field : spare];
  r->first = at < r->first ? at : r->first;
  r->last = at;
}

static struct range *live_ranges(const struct bf_region *region) {
  size_t spare = region->nfields;
  struct range *ranges = bf_alloc(region->nfields + 1, sizeof *ranges);
  for (size_t i = 0; i <= region->nfields; i++) ranges[i] = (struct range){(uint32_t)i, SIZE_MAX, 0};
  for (size_t i = 0; i < region->nops; i++) {
    touch(ranges, spare, &region->ops[i].d, i);
    touch(ranges, spare, &region->ops[i].a, i);
    touch(ranges, spare, &region->ops[i].b, i);
  }
  return ranges;
}

static int by_first(const void *a, const void *b) {
  const struct range *x = a, *y = b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return (x->field > y->field) - (x->field < y->field);
}

// First column of a free run, or 0.
static unsigned find_run(const size_t *busy_until, unsigned columns, unsigned width, size_t first) {
  unsigned run = 0;
  for (unsigned c = AP_FLAG_COLUMNS; c < columns; c++) {
    run = busy_until[c] > first ? 0 : run + 1;
    if (run == width) return c + 1 - width;
  }
  return 0;
}

static bool report_full(struct bf_unit *unit, const struct bf_flayer *layer, const struct bf_region *region,
                        const struct range *ranges, const struct range *wanted, unsigned columns) {
  struct bf_buf list = {0};
  unsigned need = AP_FLAG_COLUMNS, shown = 0;
  for (size_t i = 0; i < region->nfields; i++) {
    const struct range *r = &ranges[i];
    if (r->first == SIZE_MAX || r->first > wanted->first || r->last < wanted->first) continue;
    const struct bf_field *field = &region->fields[r->field];
    need += field->width;
    if (shown++ < 12) bf_buf_printf(&list, "%s%s:%u", shown > 1 ? " " : "", field->name, field->width);
  }
  char *text = bf_format("%u columns are needed at once, the machine has %u (%u missing): flags:%u %s%s", need, columns,
                         need > columns ? need - columns : 0, AP_FLAG_COLUMNS, bf_buf_cstr(&list), shown > 12 ? " …" : "");
  bf_node_error(unit, layer->node, "use a machine with more columns or narrower types", text);
  free(text);
  bf_buf_free(&list);
  return false;
}

static bool allocate_region(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region) {
  unsigned columns = unit->machine->columns;
  struct range *ranges = live_ranges(region);
  qsort(ranges, region->nfields, sizeof *ranges, by_first);
  size_t *busy_until = bf_alloc(columns, sizeof *busy_until);
  bool ok = true;
  for (size_t i = 0; i < region->nfields && ok; i++) {
    struct range *r = &ranges[i];
    if (r->first == SIZE_MAX) continue;
    struct bf_field *field = &region->fields[r->field];
    unsigned col = find_run(busy_until, columns, field->width, r->first);
    if (!col) {
      ok = report_full(unit, layer, region, ranges, r, columns);
      break;
    }
    field->col = (int32_t)col;
    for (unsigned c = col; c < col + field->width; c++) busy_until[c] = r->last + 1;
    if (col + field->width > region->columns_used) region->columns_used = (uint16_t)(col + field->width);
  }
  free(busy_until);
  free(ranges);
  return ok;
}

bool bf_pass_allocate(struct bf_unit *unit) {
  struct bf_fprogram *p = unit->fields;
  for (size_t l = p->first_layer; l < p->nlayers; l++)
    for (size_t r = 0; r < p->layers[l].nregions; r++)
      if (!allocate_region(unit, &p->layers[l], &p->regions[p->layers[l].first_region + r])) return false;
  unit->allocated = true;
  return true;
}
