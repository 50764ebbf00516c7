// SPDX-License-Identifier: Apache-2.0
// The static account (isa/static_account.c) of field IR with columns, region by region, as the passes hand it on.
#include "backend/analysis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/emit.h"

// Loads and stores of a region through one descriptor.
struct moves { uint32_t desc; uint64_t loads, prefetches, stores; };

// What one tile of a region does, apart from its number of rows: isa/static_account.c's struct region.
struct work {
  uint64_t compares, writes, shifts, counts, compare_cells;
  double matches, tags, changed;
  struct moves *moves;
  size_t nmoves, capacity;
  uint32_t first_prefetch;  // descriptor, or BF_NO_INDEX
};

struct tiles { struct ap_tile_time *at; size_t count, capacity; };
struct expectation { double matches, written, changed; };

struct measure {
  const struct bf_compile_options *options;
  struct bf_analysis *out;
  unsigned features;
  // Costs of microcode by (op, widths): an open hash table.
  struct entry { uint32_t key; struct ap_micro_cost cost; } *costs;
  size_t ncosts, costs_size;
  struct work all, gemm;
  struct tiles all_tiles, gemm_tiles;
  struct expectation all_expected, gemm_expected;  // of the layer
  size_t epoch_layer;
  bool open;                                       // the layer's first part has come
  struct ap_program *geometry;                     // one grid, one descriptor
  struct bf_diags *diags;
};

// --- microcode ----------------------------------------------------------------------------------------------------

static uint32_t key_of(const struct bf_fop *op) {
  enum ap_op kind = bf_emit_op(op);
  const unsigned widths[4] = {op->d.width, op->a.width, op->b.width, 0}, *w = op->d.width ? widths : widths + 1;
  uint32_t key = (uint32_t)kind << 24;
  for (unsigned i = 0; i < ap_op_info(kind)->micro_widths; i++) key |= (uint32_t)w[i] << (16 - 8 * i);
  return key;
}

static struct entry *slot_of(struct entry *costs, size_t size, uint32_t key) {
  size_t at = (key * 0x9E3779B1u >> 8) & (size - 1);
  while (costs[at].key && costs[at].key != key) at = (at + 1) & (size - 1);
  return &costs[at];
}

static void grow_costs(struct measure *m) {
  size_t size = m->costs_size ? 2 * m->costs_size : 512;
  struct entry *costs = bf_alloc(size, sizeof *costs);
  for (size_t i = 0; i < m->costs_size; i++)
    if (m->costs[i].key) *slot_of(costs, size, m->costs[i].key) = m->costs[i];
  free(m->costs);
  m->costs = costs;
  m->costs_size = size;
}

static const struct ap_micro_cost *cost_of(struct measure *m, uint32_t key) {
  if (2 * (m->ncosts + 1) > m->costs_size) grow_costs(m);
  struct entry *e = slot_of(m->costs, m->costs_size, key);
  if (e->key) return &e->cost;
  const uint8_t width[3] = {(uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};
  struct ap_micro micro;
  if (!ap_micro_generate((enum ap_op)(key >> 24), width, m->features, &micro)) return NULL;
  e->key = key;
  e->cost = ap_micro_cost(&micro);
  ap_micro_free(&micro);
  m->ncosts++;
  return &e->cost;
}

// --- one tile of a region -----------------------------------------------------------------------------------------

static void add_move(struct work *w, const struct bf_fop *op) {
  size_t i = w->nmoves;
  while (i > 0 && w->moves[i - 1].desc != op->desc) i--;
  if (!i) {
    BF_PUSH(w->moves, w->nmoves, w->capacity) = (struct moves){.desc = op->desc};
    i = w->nmoves;
  }
  struct moves *moves = &w->moves[i - 1];
  if (op->kind == BF_FOP_LOAD) moves->loads++;
  else if (op->kind == BF_FOP_LOADP) moves->prefetches++;
  else moves->stores++;
  if (op->kind == BF_FOP_LOADP && w->first_prefetch == BF_NO_INDEX) w->first_prefetch = op->desc;
}

static bool add_op(struct measure *m, struct work *w, const struct bf_fop *op) {
  if (op->kind == BF_FOP_LOAD || op->kind == BF_FOP_LOADP || op->kind == BF_FOP_STORE) {
    add_move(w, op);
    return true;
  }
  const struct ap_micro_cost *cost = cost_of(m, key_of(op));
  if (!cost) {
    bf_error_file(m->diags, NULL, NULL, "internal: no microcode for %s", bf_fop_info(op->kind)->name);
    return false;
  }
  w->compares += cost->compares;
  w->writes += cost->writes;
  w->shifts += cost->shifts * op->imm;
  w->counts += cost->counts;
  w->compare_cells += cost->compare_cells;
  w->matches += cost->expected_matches;
  w->tags += cost->expected_tags;
  w->changed += cost->expected_changed;
  return true;
}

static void clear(struct work *w) { *w = (struct work){.moves = w->moves, .capacity = w->capacity, .first_prefetch = BF_NO_INDEX}; }

static void copy_work(struct work *to, const struct work *from) {
  struct moves *moves = to->moves;
  size_t capacity = to->capacity;
  *to = *from;
  to->moves = moves;
  to->capacity = capacity;
  to->nmoves = 0;
  for (size_t i = 0; i < from->nmoves; i++) BF_PUSH(to->moves, to->nmoves, to->capacity) = from->moves[i];
}

// Tiles that load the same have the same key.
static uint64_t load_key(const struct bf_region *region, size_t end) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < end; i++) {
    const struct bf_fop *op = &region->ops[i];
    if (op->kind != BF_FOP_LOAD && op->kind != BF_FOP_LOADP) continue;
    hash ^= (uint64_t)op->desc << 16 | op->tap;
    hash = hash * UINT64_C(0x100000001b3) ^ hash >> 29;
  }
  return hash;
}

// --- tiles --------------------------------------------------------------------------------------------------------

static uint64_t distinct(struct measure *m, const struct bf_fprogram *f, uint32_t desc, uint64_t row0, uint64_t rows) {
  struct ap_program *p = m->geometry;
  const struct bf_fdesc *from = &f->descs[desc];
  memcpy(p->grids[0].count, f->grids[from->grid].count, sizeof p->grids[0].count);
  memcpy(p->descs[0].row_dim, from->row_dim, sizeof from->row_dim);
  memcpy(p->descs[0].row_stride, from->row_stride, sizeof from->row_stride);
  return ap_desc_distinct(p, &p->descs[0], row0, rows);
}

static void tile_moves(struct measure *m, const struct bf_fprogram *f, const struct work *w, uint64_t row0, uint64_t rows,
                       struct ap_events *events, struct ap_tile_time *time) {
  for (size_t i = 0; i < w->nmoves; i++) {
    const struct moves *v = &w->moves[i];
    const struct bf_fdesc *desc = &f->descs[v->desc];
    uint64_t bits = bf_fdesc_bits(desc, &f->mems[desc->mem]);
    uint64_t cycles = bits * ap_column_cycles(&m->options->machine, distinct(m, f, v->desc, row0, rows));
    events->load += (v->loads + v->prefetches) * bits;
    events->load_bits += (v->loads + v->prefetches) * bits * rows;
    events->store += v->stores * bits;
    events->store_bits += v->stores * bits * rows;
    time->exposed += (v->loads + v->stores) * cycles;
    time->stored += v->stores * cycles;
    time->prefetched += v->prefetches * cycles;
    if (v->desc == w->first_prefetch) time->first = cycles;
  }
}

static void add_tiles(struct measure *m, const struct bf_fprogram *f, const struct bf_fgrid *grid, const struct work *w, uint64_t key,
                      struct ap_account *account, struct expectation *expected, struct tiles *tiles) {
  uint64_t all = (uint64_t)grid->count[0] * grid->count[1] * grid->count[2] * grid->count[3];
  for (uint64_t row0 = 0, t = 0; row0 < all; row0 += grid->tile_rows, t++) {
    uint64_t rows = all - row0 < grid->tile_rows ? all - row0 : grid->tile_rows;
    struct ap_tile_time time = {.row_tile = (uint32_t)t, .load_key = key};
    struct ap_events events = {.compare = w->compares, .write = w->writes, .shift = w->shifts, .count = w->counts,
                               .shift_rows = w->shifts * rows, .count_rows = w->counts * rows,
                               .compare_cells = w->compare_cells * ap_searched_rows(&m->options->machine, rows)};
    time.compute = ap_compute_cycles(&m->options->tech, &events);
    tile_moves(m, f, w, row0, rows, &events, &time);
    ap_events_add(&account->events, &events);
    BF_PUSH(tiles->at, tiles->count, tiles->capacity) = time;
  }
  expected->matches += w->matches * (double)all;
  expected->written += w->tags * (double)all;
  expected->changed += w->changed * (double)all;
  account->time.rows += all;
}

static bool is_gemm(const struct bf_node *node) { return node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE; }

static bool measure_region(struct measure *m, const struct bf_fprogram *f, size_t layer, const struct bf_region *region) {
  struct bf_layer_cost *cost = &m->out->layers[layer];
  bool gemm = is_gemm(cost->node);
  size_t end = region->tail ? region->tail : region->nops;
  clear(&m->all);
  for (size_t i = 0; i < region->nops; i++) {
    if (gemm && i == end) copy_work(&m->gemm, &m->all);
    if (!add_op(m, &m->all, &region->ops[i])) return false;
  }
  if (gemm && end == region->nops) copy_work(&m->gemm, &m->all);
  const struct bf_fgrid *grid = &f->grids[region->grid];
  if (!m->all_tiles.count) m->epoch_layer = layer;
  add_tiles(m, f, grid, &m->all, load_key(region, region->nops), &cost->all, &m->all_expected, &m->all_tiles);
  if (gemm) add_tiles(m, f, grid, &m->gemm, load_key(region, end), &cost->gemm, &m->gemm_expected, &m->gemm_tiles);
  if (region->columns_used > cost->columns_used) cost->columns_used = region->columns_used;
  cost->regions++;
  return true;
}

static void end_epoch(struct measure *m) {
  struct bf_layer_cost *cost = &m->out->layers[m->epoch_layer];
  if (m->all_tiles.count) ap_time_epoch(&m->options->machine, m->all_tiles.at, (uint32_t)m->all_tiles.count, &cost->all.time);
  if (m->gemm_tiles.count) ap_time_epoch(&m->options->machine, m->gemm_tiles.at, (uint32_t)m->gemm_tiles.count, &cost->gemm.time);
  m->all_tiles.count = m->gemm_tiles.count = 0;
}

// --- layers -------------------------------------------------------------------------------------------------------

static uint64_t external_bits(const struct bf_graph *graph, bool inputs) {
  uint64_t bits = 0;
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    if (inputs ? t->is_input : t->is_output) bits += t->elements * (t->type.kind == BF_TYPE_B ? 2 : t->type.bits);
  }
  return bits;
}

static void price(const struct measure *m, struct ap_account *account, const struct expectation *expected, struct ap_account *total) {
  account->events.match_cells = (uint64_t)llround(expected->matches);
  account->events.written_cells = (uint64_t)llround(expected->written);
  account->events.changed_cells = (uint64_t)llround(expected->changed);
  ap_account_price(account, &m->options->tech, &m->options->machine);
  ap_account_add(total, account);
}

static void end_layer(struct measure *m, const struct bf_unit *unit, size_t layer, const struct bf_flayer *from) {
  struct bf_layer_cost *cost = &m->out->layers[layer];
  if (from->host) {
    cost->all.events.host++;
    end_epoch(m);
  }
  if (layer == 0) cost->all.events.external += external_bits(unit->graph, true);
  if (layer + 1 == unit->graph->nnodes) {
    end_epoch(m);
    cost->all.events.external += external_bits(unit->graph, false);
  }
  price(m, &cost->all, &m->all_expected, &m->out->all);
  price(m, &cost->gemm, &m->gemm_expected, &m->out->gemm);
  m->all_expected = m->gemm_expected = (struct expectation){0};
}

static bool take(struct bf_unit *unit, bool whole) {
  struct measure *m = unit->take_context;
  const struct bf_fprogram *f = unit->fields;
  for (size_t i = f->first_layer; i < f->nlayers; i++) {
    const struct bf_flayer *from = &f->layers[i];
    struct bf_layer_cost *cost = &m->out->layers[i];
    cost->node = from->node;
    cost->mapping = from->mapping;
    if (i >= m->out->nlayers) m->out->nlayers = i + 1;
    for (size_t r = 0; r < from->nregions; r++) {
      const struct bf_region *region = &f->regions[from->first_region + r];
      if (!measure_region(m, f, i, region)) return false;
      if (region->barrier_after) end_epoch(m);
    }
    if (whole || i + 1 < f->nlayers) end_layer(m, unit, i, from);
  }
  return true;
}

bool bf_analyze(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_analysis *out, struct bf_diags *diags) {
  *out = (struct bf_analysis){.layers = bf_alloc(graph->nnodes + 1, sizeof *out->layers)};
  struct ap_grid grid = {.tile_rows = 1};
  struct ap_desc desc = {0};
  struct ap_program geometry = {.grids = &grid, .ngrids = 1, .descs = &desc, .ndescs = 1};
  struct measure m = {.options = options, .out = out, .features = ap_generator_features(&options->machine, &options->tech),
                      .geometry = &geometry, .diags = diags};
  struct bf_unit unit = {.graph = graph, .machine = &options->machine, .tech = &options->tech, .opt_level = options->opt_level,
                         .mapping = options->mapping, .objective = options->objective, .movement_off = options->movement_off,
                         .diags = diags, .take = take, .take_context = &m};
  struct bf_pipeline_options pipeline = {.passes = options->passes, .verify_each = options->verify_each, .times = options->times};
  bool ok = bf_pipeline_run(&unit, &pipeline);
  out->choices = unit.choices;
  unit.choices = NULL;
  bf_unit_free(&unit);
  free(m.costs);
  free(m.all.moves);
  free(m.gemm.moves);
  free(m.all_tiles.at);
  free(m.gemm_tiles.at);
  if (!ok) bf_analysis_free(out);
  return ok;
}

void bf_analysis_free(struct bf_analysis *analysis) {
  free(analysis->layers);
  free(analysis->choices);
  *analysis = (struct bf_analysis){0};
}
