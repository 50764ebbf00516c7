// SPDX-License-Identifier: Apache-2.0
// Making summaries: instructions of a region are counted by what they cost, regions by what they move.
#include <stdlib.h>
#include <string.h>

#include "isa/summary.h"

#define NONE UINT32_MAX
#define RECENT 64u  // how far back an equal list is looked for

// Instructions that cost the same.
struct kind {
  uint32_t key;
  bool missing, far;               // no microcode; the immediate is a distance that counts
  uint64_t imm;                    // of a distance, else 0
  struct ap_micro_cost costs[AP_MICROCODES];
  uint32_t region, layer;          // those that `times`, `tiles` and `rows` are of
  uint64_t times, tiles, rows;     // runs in a tile of the region; in the layer, summed over tiles; over rows
};
struct list { uint32_t *items; size_t count, capacity; };
struct load_id { uint64_t key; uint32_t id, tiles; };

struct ap_summary_maker {
  unsigned microcodes;
  uint64_t most_tiles;
  ap_cost_function *cost;
  void *context;
  struct kind *kinds; size_t nkinds, kinds_capacity;
  uint32_t *index; size_t index_size;
  uint32_t region_number, layer_number;
  struct list region_kinds, layer_kinds;
  // The layer in the making.
  struct ap_layer_summary *layer;
  size_t grids_capacity, classes_capacity, items_capacity, moves_capacity, regions_capacity, runs_capacity[AP_MICROCODES];
  size_t ngrids, nclasses, nitems, nmoves, nregions, nruns[AP_MICROCODES];
  uint32_t *class_of; size_t ndescs;       // by descriptor number; NONE: not seen in this layer
  struct list layer_descs;
  // The region.
  uint32_t grid, first_prefetch;
  uint64_t region_tiles, region_rows;
  struct ap_move *now; size_t nnow, now_capacity;
  // Loads of the epoch: ids by key.
  struct load_id *loads; size_t nloads, loads_capacity;
  uint32_t *load_index; size_t load_index_size;
  uint32_t next_load;
  bool failed;
};

struct ap_summary_maker *ap_summary_maker_new(unsigned microcodes, uint64_t most_tiles, ap_cost_function *cost, void *context) {
  struct ap_summary_maker *m = bf_alloc(1, sizeof *m);
  m->microcodes = microcodes;
  m->most_tiles = most_tiles;
  m->cost = cost;
  m->context = context;
  m->layer_number = 1;
  m->layer = ap_layer_summary_new();
  return m;
}

// Lists of a layer grow on the heap; the finished layer gets copies.
static void free_lists(struct ap_layer_summary *layer) {
  free(layer->grids);
  free(layer->classes);
  free(layer->items);
  free(layer->moves);
  free(layer->regions);
  for (unsigned i = 0; i < AP_MICROCODES; i++) free(layer->runs[i]);
}

void ap_summary_maker_free(struct ap_summary_maker *m) {
  if (!m) return;
  free_lists(m->layer);
  ap_layer_summary_drop(m->layer);
  free(m->kinds);
  free(m->index);
  free(m->region_kinds.items);
  free(m->layer_kinds.items);
  free(m->class_of);
  free(m->layer_descs.items);
  free(m->now);
  free(m->loads);
  free(m->load_index);
  free(m);
}

static void push(struct list *list, uint32_t item) { BF_PUSH(list->items, list->count, list->capacity) = item; }

// --- kinds -----------------------------------------------------------------------------------------------------

uint32_t ap_micro_key(const struct ap_instr *instr) {
  const struct ap_op_info *info = ap_op_info(instr->op);
  if (info->op_class != AP_CLASS_COMPUTE) return 0;
  uint32_t key = (uint32_t)instr->op << 24;
  for (unsigned i = 0; i < info->micro_widths; i++) key |= (uint32_t)instr->f[i].width << (16 - 8 * i);
  return key;
}

static size_t place(uint64_t key, size_t size) { return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (size - 1); }

static void index_kinds(struct ap_summary_maker *m, size_t size) {
  free(m->index);
  m->index = bf_alloc(size, sizeof *m->index);
  m->index_size = size;
  for (size_t i = 0; i < m->nkinds; i++) {
    size_t at = place(m->kinds[i].key, size);
    while (m->index[at]) at = (at + 1) & (size - 1);
    m->index[at] = (uint32_t)i + 1;
  }
}

static struct kind kind_of(struct ap_summary_maker *m, uint32_t key, uint64_t imm) {
  struct kind kind = {.key = key};
  kind.missing = !m->cost(m->context, key, kind.costs);
  for (unsigned i = 0; i < m->microcodes; i++) kind.far |= kind.costs[i].shifts > 0;
  kind.imm = kind.far ? imm : 0;
  return kind;
}

uint32_t ap_maker_kind(struct ap_summary_maker *m, uint32_t key, uint64_t imm) {
  if (2 * (m->nkinds + 1) > m->index_size) index_kinds(m, m->index_size ? 2 * m->index_size : 256);
  size_t at = place(key, m->index_size);
  for (; m->index[at]; at = (at + 1) & (m->index_size - 1)) {
    const struct kind *kind = &m->kinds[m->index[at] - 1];
    if (kind->key == key && (!kind->far || kind->imm == imm)) return m->index[at] - 1;
  }
  m->index[at] = (uint32_t)m->nkinds + 1;
  BF_PUSH(m->kinds, m->nkinds, m->kinds_capacity) = kind_of(m, key, imm);
  return (uint32_t)m->nkinds - 1;
}

void ap_maker_run(struct ap_summary_maker *m, uint32_t number, uint64_t times) {
  struct kind *kind = &m->kinds[number];
  if (kind->region != m->region_number) {
    kind->region = m->region_number;
    kind->times = 0;
    push(&m->region_kinds, number);
  }
  kind->times += times;
}

static void add_kind(struct ap_summary_maker *m, uint32_t number, struct ap_runs runs[AP_MICROCODES]) {
  struct kind *kind = &m->kinds[number];
  if (kind->layer != m->layer_number) {
    kind->layer = m->layer_number;
    kind->tiles = kind->rows = 0;
    push(&m->layer_kinds, number);
  }
  kind->tiles += kind->times * m->region_tiles;
  kind->rows += kind->times * m->region_rows;
  m->failed |= kind->missing;
  for (unsigned i = 0; i < m->microcodes; i++) {
    const struct ap_micro_cost *cost = &kind->costs[i];
    runs[i].compares += kind->times * cost->compares;
    runs[i].writes += kind->times * cost->writes;
    runs[i].others += kind->times * (cost->shifts * kind->imm + cost->counts);
  }
}

// --- moves -----------------------------------------------------------------------------------------------------

// The number of an equal element near the end of a list, or NONE.
#define FIND_RECENT(items, count, wanted, found)                                                            \
  do {                                                                                                      \
    (found) = NONE;                                                                                         \
    for (size_t at_ = (count); at_ > 0 && (count) - at_ < RECENT && (found) == NONE; at_--)                 \
      if (!memcmp(&(items)[at_ - 1], (wanted), sizeof *(wanted))) (found) = (uint32_t)(at_ - 1);            \
  } while (0)

void ap_maker_region(struct ap_summary_maker *m, const struct ap_grid *grid) {
  FIND_RECENT(m->layer->grids, m->ngrids, grid, m->grid);
  if (m->grid == NONE) {
    m->grid = (uint32_t)m->ngrids;
    BF_PUSH(m->layer->grids, m->ngrids, m->grids_capacity) = *grid;
  }
  m->region_tiles = ap_grid_tiles(grid);
  m->region_rows = ap_grid_rows(grid);
  m->first_prefetch = NONE;
  m->nnow = 0;
  m->region_kinds.count = 0;
  m->region_number++;
}

static uint32_t class_of(struct ap_summary_maker *m, const struct ap_desc *desc) {
  struct ap_move_class class;
  memset(&class, 0, sizeof class);
  class.grid = m->grid;
  class.bits = desc->bits;
  memcpy(class.row_dim, desc->row_dim, sizeof class.row_dim);
  memcpy(class.row_stride, desc->row_stride, sizeof class.row_stride);
  uint32_t found;
  FIND_RECENT(m->layer->classes, m->nclasses, &class, found);
  if (found != NONE) return found;
  BF_PUSH(m->layer->classes, m->nclasses, m->classes_capacity) = class;
  return (uint32_t)m->nclasses - 1;
}

bool ap_maker_knows(const struct ap_summary_maker *m, uint32_t number) { return number < m->ndescs && m->class_of[number] != NONE; }

void ap_maker_desc(struct ap_summary_maker *m, uint32_t number, const struct ap_desc *desc) {
  if (number >= m->ndescs) {
    size_t count = 2 * (size_t)number + 64;
    m->class_of = bf_realloc(m->class_of, count, sizeof *m->class_of);
    memset(m->class_of + m->ndescs, 0xFF, (count - m->ndescs) * sizeof *m->class_of);
    m->ndescs = count;
  }
  m->class_of[number] = class_of(m, desc);
  push(&m->layer_descs, number);
}

void ap_maker_move(struct ap_summary_maker *m, enum ap_op op, uint32_t number, uint64_t times) {
  uint32_t class = m->class_of[number];
  struct ap_move *move = NULL;
  for (size_t i = 0; i < m->nnow && !move; i++) move = m->now[i].class == class ? &m->now[i] : NULL;
  if (!move) {
    BF_PUSH(m->now, m->nnow, m->now_capacity) = (struct ap_move){.class = class};
    move = &m->now[m->nnow - 1];
  }
  switch (op) {
    case AP_OP_LOAD: move->loads += times; break;
    case AP_OP_LOADP:
      move->prefetches += times;
      if (m->first_prefetch == NONE) m->first_prefetch = class;
      break;
    default: move->stores += times; break;
  }
}

static bool same_moves(const struct ap_layer_summary *l, const struct ap_summary_maker *m, const struct ap_moves *moves) {
  if (moves->grid != m->grid || moves->count != m->nnow || moves->prefetch != m->first_prefetch) return false;
  for (uint32_t i = 0; i < moves->count; i++) {
    const struct ap_move *a = &l->items[moves->first + i], *b = &m->now[i];
    if (a->class != b->class || a->loads != b->loads || a->prefetches != b->prefetches || a->stores != b->stores) return false;
  }
  return true;
}

static uint32_t moves_of_region(struct ap_summary_maker *m) {
  struct ap_layer_summary *l = m->layer;
  for (size_t at = m->nmoves; at > 0 && m->nmoves - at < RECENT; at--)
    if (same_moves(l, m, &l->moves[at - 1])) return (uint32_t)(at - 1);
  struct ap_moves moves = {m->grid, (uint32_t)m->nitems, (uint32_t)m->nnow, m->first_prefetch};
  for (size_t i = 0; i < m->nnow; i++) BF_PUSH(l->items, m->nitems, m->items_capacity) = m->now[i];
  BF_PUSH(l->moves, m->nmoves, m->moves_capacity) = moves;
  return (uint32_t)m->nmoves - 1;
}

// --- loads of an epoch -----------------------------------------------------------------------------------------

static void index_loads(struct ap_summary_maker *m, size_t size) {
  free(m->load_index);
  m->load_index = bf_alloc(size, sizeof *m->load_index);
  m->load_index_size = size;
  for (size_t i = 0; i < m->nloads; i++) {
    size_t at = place(m->loads[i].key, size);
    while (m->load_index[at]) at = (at + 1) & (size - 1);
    m->load_index[at] = (uint32_t)i + 1;
  }
}

// Equal loads get equal numbers, which leave room for one per row tile.
static uint32_t load_of(struct ap_summary_maker *m, uint64_t key) {
  if (2 * (m->nloads + 1) > m->load_index_size) index_loads(m, m->load_index_size ? 2 * m->load_index_size : 64);
  size_t at = place(key, m->load_index_size);
  for (; m->load_index[at]; at = (at + 1) & (m->load_index_size - 1)) {
    const struct load_id *load = &m->loads[m->load_index[at] - 1];
    if (load->key == key && load->tiles == m->region_tiles) return load->id;
  }
  m->load_index[at] = (uint32_t)m->nloads + 1;
  struct load_id load = {key, m->next_load, (uint32_t)m->region_tiles};
  BF_PUSH(m->loads, m->nloads, m->loads_capacity) = load;
  m->next_load += load.tiles;
  return load.id;
}

static void end_epoch(struct ap_summary_maker *m) {
  if (m->nloads) memset(m->load_index, 0, m->load_index_size * sizeof *m->load_index);
  m->nloads = 0;
  m->next_load = 0;
}

// --- layers ----------------------------------------------------------------------------------------------------

void ap_maker_end_region(struct ap_summary_maker *m, uint64_t load_key) {
  struct ap_runs runs[AP_MICROCODES] = {{0}};
  for (size_t i = 0; i < m->region_kinds.count; i++) add_kind(m, m->region_kinds.items[i], runs);
  struct ap_region_summary region = {.moves = moves_of_region(m), .load = load_of(m, load_key)};
  BF_PUSH(m->layer->regions, m->nregions, m->regions_capacity) = region;
  for (unsigned i = 0; i < m->microcodes; i++) BF_PUSH(m->layer->runs[i], m->nruns[i], m->runs_capacity[i]) = runs[i];
}

void ap_maker_barrier(struct ap_summary_maker *m) {
  if (m->nregions) m->layer->regions[m->nregions - 1].ends_epoch = true;
  else m->layer->ends_before = true;
  end_epoch(m);
}

void ap_maker_host(struct ap_summary_maker *m) { m->layer->hosts++; }

static int by_key(const void *left, const void *right) {
  const struct kind *a = *(const struct kind *const *)left, *b = *(const struct kind *const *)right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  return (a->imm > b->imm) - (a->imm < b->imm);
}

static void add_steps(struct ap_layer_steps *s, const struct kind *kind, const struct ap_micro_cost *cost) {
  s->compare += kind->tiles * cost->compares;
  s->write += kind->tiles * cost->writes;
  s->shift += kind->tiles * cost->shifts * kind->imm;
  s->count += kind->tiles * cost->counts;
  s->shift_rows += kind->rows * cost->shifts * kind->imm;
  s->count_rows += kind->rows * cost->counts;
  s->cells_rows += kind->rows * cost->compare_cells;
  s->cells_tiles += kind->tiles * cost->compare_cells;
  s->matches += cost->expected_matches * (double)kind->rows;
  s->written += cost->expected_tags * (double)kind->rows;
  s->changed += cost->expected_changed * (double)kind->rows;
}

// Sums of fractions in an order that the layer alone decides, not what came before it.
static void sum_steps(struct ap_summary_maker *m, struct ap_layer_summary *layer) {
  size_t count = m->layer_kinds.count;
  const struct kind **kinds = bf_alloc(count, sizeof *kinds);
  for (size_t i = 0; i < count; i++) kinds[i] = &m->kinds[m->layer_kinds.items[i]];
  if (count) qsort(kinds, count, sizeof *kinds, by_key);
  for (size_t i = 0; i < count; i++)
    for (unsigned c = 0; c < m->microcodes; c++) add_steps(&layer->steps[c], kinds[i], &kinds[i]->costs[c]);
  free(kinds);
}

#define KEEP(layer, items, count) ((layer)->items = keep(&(layer)->arena, (layer)->items, (count), sizeof *(layer)->items))

static void *keep(struct bf_arena *arena, void *items, size_t count, size_t size) {
  void *copy = bf_arena_alloc(arena, count, size);
  if (count) memcpy(copy, items, count * size);
  free(items);
  return copy;
}

static void keep_lists(struct ap_summary_maker *m, struct ap_layer_summary *l) {
  KEEP(l, grids, m->ngrids);
  KEEP(l, classes, m->nclasses);
  KEEP(l, items, m->nitems);
  KEEP(l, moves, m->nmoves);
  KEEP(l, regions, m->nregions);
  l->ngrids = (uint32_t)m->ngrids;
  l->nclasses = (uint32_t)m->nclasses;
  l->nitems = (uint32_t)m->nitems;
  l->nmoves = (uint32_t)m->nmoves;
  l->nregions = (uint32_t)m->nregions;
  for (unsigned i = 0; i < m->microcodes; i++) KEEP(l, runs[i], m->nregions);
}

static void begin_layer(struct ap_summary_maker *m) {
  m->layer = ap_layer_summary_new();
  for (size_t i = 0; i < m->layer_descs.count; i++) m->class_of[m->layer_descs.items[i]] = NONE;
  m->layer_descs.count = m->layer_kinds.count = 0;
  m->ngrids = m->nclasses = m->nitems = m->nmoves = m->nregions = 0;
  m->grids_capacity = m->classes_capacity = m->items_capacity = m->moves_capacity = m->regions_capacity = 0;
  memset(m->nruns, 0, sizeof m->nruns);
  memset(m->runs_capacity, 0, sizeof m->runs_capacity);
  m->failed = false;
  m->layer_number++;
}

struct ap_layer_summary *ap_maker_end_layer(struct ap_summary_maker *m) {
  struct ap_layer_summary *layer = m->layer;
  layer->microcodes = m->microcodes;
  layer->descs = (uint32_t)m->layer_descs.count;
  sum_steps(m, layer);
  keep_lists(m, layer);
  bool ok = !m->failed && ap_layer_summary_settle(layer, m->most_tiles);
  begin_layer(m);
  if (ok) return layer;
  ap_layer_summary_drop(layer);
  return NULL;
}
