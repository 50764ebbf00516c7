// SPDX-License-Identifier: Apache-2.0
// Pass `allocate`: assigns each field a run of columns.
// Precondition: field IR without virtual operators. Postcondition: every used field has a column; fields whose live
// ranges overlap share none; columns below the flags are untouched. First fit in order of first use; where that finds no run, the smallest free
// run that fits; then the widest fields first. Where no order helps, a field moves or is kept in memory for a while (passes/split.c). Fails with the
// fields that are live where nothing of that kind is left to do.
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/live.h"

enum fit { FIT_FIRST, FIT_BEST, FIT_WIDEST, FIT_COUNT };

static int by_first(const void *a, const void *b) {
  const struct bf_live *x = a, *y = b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return (x->field > y->field) - (x->field < y->field);
}

// First column of a free run, or 0: the first that is long enough, or the shortest.
static unsigned find_run(const size_t *busy_until, unsigned columns, unsigned width, size_t first, bool shortest) {
  unsigned best = 0, best_length = UINT32_MAX;
  for (unsigned c = AP_FLAG_COLUMNS, begin = c; c <= columns; c++) {
    if (c < columns && busy_until[c] <= first) continue;
    unsigned length = c - begin;
    if (length >= width && length < best_length) {
      best = begin, best_length = length;
      if (!shortest) break;
    }
    begin = c + 1;
  }
  return best;
}

struct allocation {
  const struct bf_region *region;
  const struct bf_live *ranges;  // by first use
  unsigned columns;
  uint16_t *col;                 // by field
};

static const struct bf_live *in_order(struct allocation *a, bool shortest) {
  size_t *busy_until = bf_alloc(a->columns, sizeof *busy_until);
  const struct bf_live *failed = NULL;
  for (size_t i = 0; i < a->region->nfields && !failed; i++) {
    const struct bf_live *r = &a->ranges[i];
    if (r->first == SIZE_MAX) break;
    unsigned width = a->region->fields[r->field].width, col = find_run(busy_until, a->columns, width, r->first, shortest);
    if (!col) failed = r;
    for (unsigned c = col; col && c < col + width; c++) busy_until[c] = r->last + 1;
    a->col[r->field] = (uint16_t)col;
  }
  free(busy_until);
  return failed;
}

struct wide { const struct bf_live *range; unsigned width; };

// Columns times time, the largest first: such fields fit worst.
static int by_size(const void *a, const void *b) {
  const struct wide *x = a, *y = b;
  if (x->width != y->width) return x->width > y->width ? -1 : 1;
  return by_first(x->range, y->range);
}

static bool overlap(const struct bf_live *a, const struct bf_live *b) { return a->first <= b->last && b->first <= a->last; }

static unsigned lowest_free(const struct allocation *a, const struct wide *placed, size_t count, const struct wide *w, uint8_t *taken) {
  memset(taken, 0, a->columns);
  for (size_t i = 0; i < count; i++)
    if (overlap(placed[i].range, w->range)) memset(taken + a->col[placed[i].range->field], 1, placed[i].width);
  for (unsigned c = AP_FLAG_COLUMNS, run = 0; c < a->columns; c++) {
    run = taken[c] ? 0 : run + 1;
    if (run == w->width) return c + 1 - run;
  }
  return 0;
}

#define MOST_WIDEST 4000  // fields; the time is quadratic

static const struct bf_live *widest_first(struct allocation *a) {
  size_t n = 0;
  while (n < a->region->nfields && a->ranges[n].first != SIZE_MAX) n++;
  if (n > MOST_WIDEST) return a->ranges;
  struct wide *order = bf_alloc(n + 1, sizeof *order);
  uint8_t *taken = bf_alloc(a->columns, 1);
  const struct bf_live *failed = NULL;
  for (size_t i = 0; i < n; i++) order[i] = (struct wide){&a->ranges[i], a->region->fields[a->ranges[i].field].width};
  qsort(order, n, sizeof *order, by_size);
  for (size_t i = 0; i < n && !failed; i++) {
    unsigned col = lowest_free(a, order, i, &order[i], taken);
    a->col[order[i].range->field] = (uint16_t)col;
    if (!col) failed = order[i].range;
  }
  free(taken);
  free(order);
  return failed;
}

static unsigned live_columns(const struct bf_region *region, const struct bf_live *ranges, size_t at) {
  unsigned need = AP_FLAG_COLUMNS;
  for (size_t i = 0; i < region->nfields; i++)
    if (ranges[i].first != SIZE_MAX && ranges[i].first <= at && ranges[i].last >= at) need += region->fields[ranges[i].field].width;
  return need;
}

static bool report_full(struct bf_unit *unit, const struct bf_flayer *layer, const struct bf_region *region,
                        const struct bf_live *ranges, size_t at, unsigned columns) {
  struct bf_buf list = {0};
  unsigned need = live_columns(region, ranges, at), shown = 0;
  for (size_t i = 0; i < region->nfields; i++) {
    const struct bf_live *r = &ranges[i];
    if (r->first == SIZE_MAX || r->first > at || r->last < at) continue;
    const struct bf_field *field = &region->fields[r->field];
    if (shown++ < 12) bf_buf_printf(&list, "%s%s:%u", shown > 1 ? " " : "", field->name, field->width);
  }
  const char *fields = bf_buf_cstr(&list), *more = shown > 12 ? " …" : "";
  char *text = need > columns ? bf_format("%u columns are needed at once, the machine has %u (%u missing): flags:%u %s%s", need, columns,
                                          need - columns, AP_FLAG_COLUMNS, fields, more)
                              : bf_format("%u columns are needed at once, and of the machine's %u not enough lie side by side: flags:%u %s%s", need,
                                          columns, AP_FLAG_COLUMNS, fields, more);
  bf_node_error(unit, layer->node, "use a machine with more columns, narrower types, or another mapping or level (-O) if one was asked for", text);
  free(text);
  bf_buf_free(&list);
  return false;
}

static void settle(struct bf_region *region, const struct bf_live *ranges, const uint16_t *col) {
  for (size_t i = 0; i < region->nfields && ranges[i].first != SIZE_MAX; i++) {
    struct bf_field *field = &region->fields[ranges[i].field];
    field->col = col[ranges[i].field];
    if (field->col + field->width > region->columns_used) region->columns_used = (uint16_t)(field->col + field->width);
  }
}

#define MOST_SPLITS 1000  // of a region

// One attempt; false: `full` says where there was no room.
static bool place_fields(struct bf_region *region, unsigned columns, struct bf_live *ranges, struct bf_full *full) {
  struct allocation a = {region, ranges, columns, bf_alloc(region->nfields + 1, sizeof *a.col)};
  const struct bf_live *failed = NULL;
  qsort(ranges, region->nfields, sizeof *ranges, by_first);
  for (int fit = 0; fit < FIT_COUNT; fit++) {
    const struct bf_live *now = fit == FIT_WIDEST ? widest_first(&a) : in_order(&a, fit == FIT_BEST);
    if (!now) {
      settle(region, ranges, a.col);
      free(a.col);
      return true;
    }
    if (fit == FIT_FIRST) failed = now;
    unsigned need = live_columns(region, ranges, failed->first);
    full->at = failed->first;
    full->missing = need > columns ? need - columns : 0;
    if (full->missing) break;  // no order helps
  }
  free(a.col);
  return false;
}

// Where most columns are needed. That may be behind the operation at which the first order found no room, and moves don't help there.
static struct bf_full fullest(const struct bf_region *region, const struct bf_live *ranges, unsigned columns) {
  int64_t *change = bf_alloc(region->nops + 2, sizeof *change), live = AP_FLAG_COLUMNS, most = 0;
  memset(change, 0, (region->nops + 2) * sizeof *change);
  for (size_t i = 0; i < region->nfields && ranges[i].first != SIZE_MAX; i++) {
    unsigned width = region->fields[ranges[i].field].width;
    change[ranges[i].first] += width;
    change[ranges[i].last + 1] -= width;
  }
  struct bf_full full = {.at = 0};
  for (size_t at = 0; at < region->nops; at++) {
    live += change[at];
    if (live > most) most = live, full.at = at;
  }
  free(change);
  full.missing = most > columns ? (unsigned)(most - columns) : 0;
  return full;
}

// Makes room at `full`, if `again`; where fields only lie badly there but too much is live elsewhere, elsewhere first: `full` is that place then.
static bool make_room(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region, const struct bf_live *ranges,
                      bool again, struct bf_full *full) {
  struct bf_full most = full->missing ? *full : fullest(region, ranges, unit->machine->columns);
  if (most.missing) *full = most;
  return again && bf_live_split(unit, layer, region, full);
}

static bool allocate_region(struct bf_unit *unit, const struct bf_flayer *layer, struct bf_region *region) {
  unsigned columns = unit->machine->columns;
  for (unsigned splits = 0;; splits++) {
    struct bf_live *ranges = bf_live_of(region);
    struct bf_full full;
    bool done = place_fields(region, columns, ranges, &full);
    bool go_on = !done && make_room(unit, layer, region, ranges, splits < MOST_SPLITS, &full);
    if (!done && !go_on) report_full(unit, layer, region, ranges, full.at, columns);
    free(ranges);
    if (!go_on) return done;
  }
}

bool bf_pass_allocate(struct bf_unit *unit) {
  struct bf_fprogram *p = unit->fields;
  for (size_t l = p->first_layer; l < p->nlayers; l++)
    for (size_t r = 0; r < p->layers[l].nregions; r++)
      if (!allocate_region(unit, &p->layers[l], &p->regions[p->layers[l].first_region + r])) return false;
  unit->allocated = true;
  return true;
}
