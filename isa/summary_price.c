// SPDX-License-Identifier: Apache-2.0
// Prices of a summary: the timing model over its regions, energy over its sums.
#include <math.h>
#include <stdlib.h>

#include "isa/summary.h"

// Cycles of the moves of one tile.
struct move_time { uint64_t exposed, stored, prefetched, first; };

struct pricing {
  const struct ap_machine *machine;
  const struct ap_technology *tech;
  bool few_writes;
  struct ap_tile_time *tiles; uint32_t *loads; size_t ntiles, capacity;  // of the open epoch
  struct move_time *moves; size_t moves_capacity;             // of the layer
  struct ap_account *epoch;                                   // of the layer of its first region
};

static uint64_t distinct(const struct ap_layer_summary *l, uint32_t class, uint32_t tile) {
  if (l->distinct) return l->distinct[l->class_tile[class] + tile];
  const struct ap_move_class *c = &l->classes[class];
  return ap_tile_distinct(&l->grids[c->grid], c->row_dim, c->row_stride, tile);
}

static void time_tile(const struct pricing *p, const struct ap_layer_summary *l, const struct ap_moves *moves, uint32_t tile,
                      struct move_time *time) {
  *time = (struct move_time){0};
  for (uint32_t i = moves->first; i < moves->first + moves->count; i++) {
    const struct ap_move *move = &l->items[i];
    uint64_t cycles = l->classes[move->class].bits * ap_column_cycles(p->machine, distinct(l, move->class, tile));
    time->exposed += (move->loads + move->stores) * cycles;
    time->stored += move->stores * cycles;
    time->prefetched += move->prefetches * cycles;
    if (move->class == moves->prefetch) time->first = cycles;
  }
}

static void time_moves(struct pricing *p, const struct ap_layer_summary *l) {
  if (l->move_tiles > p->moves_capacity) {
    p->moves_capacity = l->move_tiles;
    p->moves = bf_realloc(p->moves, p->moves_capacity, sizeof *p->moves);
  }
  for (uint32_t m = 0; m < l->nmoves; m++)
    for (uint32_t t = 0; t < l->grid_tiles[l->moves[m].grid]; t++)
      time_tile(p, l, &l->moves[m], t, &p->moves[l->moves_tile[m] + t]);
}

static void end_epoch(struct pricing *p) {
  if (p->ntiles) ap_time_tiles(p->machine, p->tiles, p->loads, (uint32_t)p->ntiles, &p->epoch->time);
  p->ntiles = 0;
}

static void reserve(struct pricing *p, uint32_t tiles) {
  if (p->ntiles + tiles <= p->capacity) return;
  p->capacity = 2 * p->capacity + tiles;
  p->tiles = bf_realloc(p->tiles, p->capacity, sizeof *p->tiles);
  p->loads = bf_realloc(p->loads, p->capacity, sizeof *p->loads);
}

static void add_region(struct pricing *p, const struct ap_layer_summary *l, uint32_t number, const struct ap_runs *runs) {
  const struct ap_region_summary *region = &l->regions[number];
  struct ap_events events = {.compare = runs->compares, .write = runs->writes, .count = runs->others};
  uint64_t compute = ap_compute_cycles(p->tech, &events);
  const struct move_time *moves = &p->moves[l->moves_tile[region->moves]];
  uint32_t tiles = l->grid_tiles[l->moves[region->moves].grid];
  reserve(p, tiles);
  for (uint32_t t = 0; t < tiles; t++) {
    p->tiles[p->ntiles] = (struct ap_tile_time){.row_tile = t, .compute = compute, .exposed = moves[t].exposed, .stored = moves[t].stored,
                                                .prefetched = moves[t].prefetched, .first = moves[t].first};
    p->loads[p->ntiles++] = region->load + t;
  }
}

static void set_events(const struct pricing *p, const struct ap_layer_summary *l, const struct ap_layer_steps *s,
                       struct ap_account *account) {
  bool gated = p->machine->features & AP_FEATURE_ROW_GATING;
  account->events = (struct ap_events){
      .compare = s->compare, .write = s->write, .shift = s->shift, .count = s->count,
      .shift_rows = s->shift_rows, .count_rows = s->count_rows,
      .load = l->load, .store = l->store, .load_bits = l->load_bits, .store_bits = l->store_bits, .host = l->hosts,
      .compare_cells = gated ? s->cells_rows : s->cells_tiles * p->machine->rows,
      .match_cells = (uint64_t)llround(s->matches), .written_cells = (uint64_t)llround(s->written),
      .changed_cells = (uint64_t)llround(s->changed),
  };
  account->time.rows = l->rows;
}

static void price_layer(struct pricing *p, const struct ap_layer_summary *l, struct ap_account *account) {
  unsigned microcode = l->microcodes > 1 && p->few_writes ? AP_MICROCODE_FEW_WRITES : AP_MICROCODE_OWN;
  set_events(p, l, &l->steps[microcode], account);
  time_moves(p, l);
  if (l->ends_before) end_epoch(p);
  for (uint32_t i = 0; i < l->nregions; i++) {
    if (!p->ntiles) p->epoch = account;
    add_region(p, l, i, &l->runs[microcode][i]);
    if (l->regions[i].ends_epoch) end_epoch(p);
  }
}

void ap_summary_price(const struct ap_summary *summary, const struct ap_machine *machine, const struct ap_technology *tech,
                      struct ap_account *layers, struct ap_account *total) {
  struct pricing p = {.machine = machine, .tech = tech,
                      .few_writes = ap_generator_features(machine, tech) & AP_PREFER_FEW_WRITES};
  uint32_t count = summary->head.nlayers;
  for (uint32_t i = 0; i < count; i++) layers[i] = (struct ap_account){0};
  for (uint32_t i = 0; i < count; i++) price_layer(&p, summary->layers[i], &layers[i]);
  end_epoch(&p);
  if (total) *total = (struct ap_account){0};
  for (uint32_t i = 0; i < count; i++) {
    layers[i].events.external = (i == 0 ? summary->input_bits : 0) + (i + 1 == count ? summary->output_bits : 0);
    ap_account_price(&layers[i], tech, machine);
    if (total) ap_account_add(total, &layers[i]);
  }
  free(p.tiles);
  free(p.loads);
  free(p.moves);
}
