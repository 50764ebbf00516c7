// SPDX-License-Identifier: Apache-2.0
// Summaries: life, what follows from their numbers.
#include "isa/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TILE_ROWS 65536u               // as a machine's rows
#define KEPT_DISTINCT ((uint64_t)1 << 22)  // beyond, they are counted again for each price

struct ap_layer_summary *ap_layer_summary_new(void) {
  struct ap_layer_summary *layer = bf_alloc(1, sizeof *layer);
  layer->refs = 1;
  return layer;
}

struct ap_layer_summary *ap_layer_summary_hold(struct ap_layer_summary *layer) {
  __atomic_fetch_add(&layer->refs, 1, __ATOMIC_RELAXED);
  return layer;
}

void ap_layer_summary_drop(struct ap_layer_summary *layer) {
  if (!layer || __atomic_sub_fetch(&layer->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
  bf_arena_free(&layer->arena);
  free(layer);
}

static bool settle_grids(struct ap_layer_summary *l, uint64_t most_tiles) {
  l->grid_tiles = bf_arena_alloc(&l->arena, (size_t)l->ngrids + 1, sizeof *l->grid_tiles);
  for (uint32_t i = 0; i < l->ngrids; i++) {
    const struct ap_grid *g = &l->grids[i];
    uint64_t rows = 1;
    for (int j = 0; j < 4; j++)
      if (!g->count[j] || !bf_mul_limit(rows, g->count[j], UINT64_MAX / 2, &rows)) return false;
    if (!g->tile_rows || g->tile_rows > MAX_TILE_ROWS || (rows + g->tile_rows - 1) / g->tile_rows > most_tiles) return false;
    l->grid_tiles[i] = ap_grid_tiles(g);
  }
  return true;
}

static bool settle_moves(struct ap_layer_summary *l, uint64_t most_tiles) {
  l->moves_tile = bf_arena_alloc(&l->arena, (size_t)l->nmoves + 1, sizeof *l->moves_tile);
  for (uint32_t i = 0; i < l->nclasses; i++)
    if (l->classes[i].grid >= l->ngrids) return false;
  for (uint32_t i = 0; i < l->nmoves; i++) {
    const struct ap_moves *m = &l->moves[i];
    if (m->grid >= l->ngrids || m->first > l->nitems || m->count > l->nitems - m->first) return false;
    if (m->prefetch != UINT32_MAX && m->prefetch >= l->nclasses) return false;
    for (uint32_t k = m->first; k < m->first + m->count; k++)
      if (l->items[k].class >= l->nclasses || l->classes[l->items[k].class].grid != m->grid) return false;
    if (l->move_tiles > most_tiles) return false;
    l->moves_tile[i] = l->move_tiles;
    l->move_tiles += l->grid_tiles[m->grid];
  }
  return l->move_tiles <= 2 * most_tiles;
}

static bool settle_regions(struct ap_layer_summary *l, uint64_t most_tiles) {
  uint32_t seen = 0;  // lists of moves are in the order of their first use: so there are no more tiles of them than of regions
  for (uint32_t i = 0; i < l->nregions; i++) {
    uint32_t moves = l->regions[i].moves;
    if (moves > seen || moves >= l->nmoves) return false;
    seen += moves == seen;
    const struct ap_moves *m = &l->moves[moves];
    uint64_t tiles = l->grid_tiles[m->grid], rows = ap_grid_rows(&l->grids[m->grid]);
    l->tiles += tiles;
    l->rows += rows;
    if (l->tiles > most_tiles || l->regions[i].load > UINT32_MAX - tiles) return false;
    for (uint32_t k = m->first; k < m->first + m->count; k++) {
      const struct ap_move *move = &l->items[k];
      uint64_t bits = l->classes[move->class].bits, loads = (move->loads + move->prefetches) * bits, stores = move->stores * bits;
      l->load += loads * tiles;
      l->load_bits += loads * rows;
      l->store += stores * tiles;
      l->store_bits += stores * rows;
    }
  }
  return seen == l->nmoves;
}

static void settle_distinct(struct ap_layer_summary *l) {
  uint64_t total = 0;
  l->class_tile = bf_arena_alloc(&l->arena, (size_t)l->nclasses + 1, sizeof *l->class_tile);
  for (uint32_t i = 0; i < l->nclasses; i++) {
    l->class_tile[i] = total;
    total += l->grid_tiles[l->classes[i].grid];
  }
  if (total > KEPT_DISTINCT) return;
  l->distinct = bf_arena_alloc(&l->arena, total, sizeof *l->distinct);
  for (uint32_t i = 0; i < l->nclasses; i++) {
    const struct ap_move_class *c = &l->classes[i];
    for (uint32_t t = 0; t < l->grid_tiles[c->grid]; t++)
      l->distinct[l->class_tile[i] + t] = ap_tile_distinct(&l->grids[c->grid], c->row_dim, c->row_stride, t);
  }
}

bool ap_layer_summary_settle(struct ap_layer_summary *l, uint64_t most_tiles) {
  l->tiles = l->rows = l->load = l->store = l->load_bits = l->store_bits = 0;
  l->move_tiles = 0;
  l->distinct = NULL;
  if (l->microcodes < 1 || l->microcodes > AP_MICROCODES) return false;
  if (!settle_grids(l, most_tiles) || !settle_moves(l, most_tiles) || !settle_regions(l, most_tiles)) return false;
  settle_distinct(l);
  return true;
}

struct ap_summary *ap_summary_new(uint32_t nlayers) {
  struct ap_summary *s = bf_alloc(1, sizeof *s);
  ap_summary_size(s, nlayers);
  s->head.batch = 1;
  return s;
}

void ap_summary_size(struct ap_summary *s, uint32_t nlayers) {
  s->head.layers = bf_arena_alloc(&s->head.arena, (size_t)nlayers + 1, sizeof *s->head.layers);
  s->layers = bf_arena_alloc(&s->head.arena, (size_t)nlayers + 1, sizeof(struct ap_layer_summary *));
  s->head.nlayers = nlayers;
}

void ap_summary_free(struct ap_summary *s) {
  if (!s) return;
  for (uint32_t i = 0; i < s->head.nlayers; i++) ap_layer_summary_drop(s->layers[i]);
  bf_arena_free(&s->head.arena);
  free(s);
}

void ap_summary_name_layers(struct ap_summary *s) {
  for (uint32_t i = 0; i < s->head.nlayers; i++) {
    const struct ap_layer_summary *from = s->layers[i];
    struct ap_layer *to = &s->head.layers[i];
    to->op = from->op;
    to->mapping = from->mapping;
    to->bits_w = from->bits_w;
    to->bits_a = from->bits_a;
    to->macs = from->macs;
    to->columns_used = from->columns_used;
  }
}
