// SPDX-License-Identifier: Apache-2.0
// The static account: what a program will cost, from its code, tables, stream histograms and grids. Counters
// that do not depend on data are exact; the others are expectations (isa/micro.h says of what).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/ledger.h"

// What one run of a region does per tile, apart from the number of rows.
struct region {
  uint64_t compares, writes, shifts, counts, compare_cells;  // shifts: by one row each
  double matches, tags, changed;   // expected, per row
  uint64_t *loads, *prefetches, *stores;  // instructions by descriptor
  uint32_t first_prefetch;         // descriptor of the first load.p, or UINT32_MAX
};

// Expected counters of a layer, rounded once at its end.
struct expectation {
  double matches, written, changed;
};

struct walk {
  const struct ap_program *program;
  const struct ap_technology *tech;
  struct ap_account *layers;
  struct expectation *expected;
  struct ap_micro_cost *costs;   // by microcode program
  struct region region;
  struct ap_tile_time *tiles;    // of the open epoch
  size_t ntiles, capacity;
  uint32_t epoch_layer;          // layer of its first region
};

static void add_move(struct walk *w, const struct ap_instr *instr, uint64_t times) {
  struct region *r = &w->region;
  switch (instr->op) {
    case AP_OP_LOAD: r->loads[instr->index] += times; break;
    case AP_OP_LOADP:
      r->prefetches[instr->index] += times;
      if (r->first_prefetch == UINT32_MAX) {
        r->first_prefetch = instr->index;
      }
      break;
    default: r->stores[instr->index] += times; break;
  }
}

static void add_instr(struct walk *w, const struct ap_instr *instr, uint64_t times) {
  const struct ap_op_info *info = ap_op_info(instr->op);
  if (times == 0) {
    return;
  }
  if (info->op_class == AP_CLASS_MOVE) {
    add_move(w, instr, times);
  } else if (info->op_class == AP_CLASS_COMPUTE) {
    const struct ap_micro_cost *cost = &w->costs[ap_program_micro(w->program, instr) - w->program->micros];
    struct region *r = &w->region;
    r->compares += cost->compares * times;
    r->writes += cost->writes * times;
    r->shifts += cost->shifts * instr->imm * times;  // only instructions with a row distance have shift steps
    r->counts += cost->counts * times;
    r->compare_cells += cost->compare_cells * times;
    r->matches += cost->expected_matches * (double)times;
    r->tags += cost->expected_tags * (double)times;
    r->changed += cost->expected_changed * (double)times;
  }
}

// A stream as its histogram times the table. The first prefetch is found by order, not by the histogram.
static void add_stream(struct walk *w, uint32_t index, uint64_t times) {
  const struct ap_stream *stream = &w->program->streams[index];
  const struct ap_table *table = &w->program->tables[stream->table];
  uint64_t *histogram = bf_alloc(table->count > 0 ? table->count : 1, sizeof *histogram);
  for (uint32_t i = 0; i < stream->count; i++) {
    const struct ap_instr *instr = &table->items[stream->steps[i]];
    histogram[stream->steps[i]]++;
    if (instr->op == AP_OP_LOADP && w->region.first_prefetch == UINT32_MAX) {
      w->region.first_prefetch = instr->index;
    }
  }
  for (uint32_t i = 0; i < table->count; i++) {
    add_instr(w, &table->items[i], histogram[i] * times);
  }
  free(histogram);
}

// Walks the region's code with the product of the open loop counts.
static void measure_region(struct walk *w, uint32_t grid, uint32_t end) {
  uint64_t times[AP_MAX_LOOP_NEST + 1] = {1};
  unsigned depth = 0;
  for (uint32_t i = grid + 1; i < end; i++) {
    const struct ap_instr *instr = &w->program->code[i];
    switch (instr->op) {
      case AP_OP_LOOP:
        times[depth + 1] = times[depth] * instr->index;
        depth++;
        break;
      case AP_OP_ENDLOOP: depth--; break;
      case AP_OP_STEPS: add_stream(w, instr->index, times[depth]); break;
      default: add_instr(w, instr, times[depth]); break;
    }
  }
}

static void clear_region(struct walk *w) {
  struct region *r = &w->region;
  size_t bytes = (size_t)w->program->ndescs * sizeof *r->loads;
  uint64_t *loads = r->loads, *prefetches = r->prefetches, *stores = r->stores;
  if (bytes > 0) {
    memset(loads, 0, bytes);
    memset(prefetches, 0, bytes);
    memset(stores, 0, bytes);
  }
  *r = (struct region){.loads = loads, .prefetches = prefetches, .stores = stores, .first_prefetch = UINT32_MAX};
}

// Moves of one tile: events and port cycles.
static void tile_moves(struct walk *w, uint64_t row0, uint64_t rows, struct ap_events *events,
                       struct ap_tile_time *time) {
  const struct region *r = &w->region;
  const struct ap_program *p = w->program;
  for (uint32_t d = 0; d < p->ndescs; d++) {
    if (r->loads[d] == 0 && r->prefetches[d] == 0 && r->stores[d] == 0) {
      continue;
    }
    uint64_t bits = p->descs[d].bits;
    uint64_t cycles = bits * ap_column_cycles(&p->machine, ap_desc_distinct(p, &p->descs[d], row0, rows));
    events->load += (r->loads[d] + r->prefetches[d]) * bits;
    events->load_bits += (r->loads[d] + r->prefetches[d]) * bits * rows;
    events->store += r->stores[d] * bits;
    events->store_bits += r->stores[d] * bits * rows;
    time->exposed += (r->loads[d] + r->stores[d]) * cycles;
    time->stored += r->stores[d] * cycles;
    time->prefetched += r->prefetches[d] * cycles;
    if (d == r->first_prefetch) {
      time->first = cycles;
    }
  }
}

static void account_region(struct walk *w, uint32_t grid, uint32_t layer) {
  const struct ap_program *p = w->program;
  const struct ap_grid *g = &p->grids[p->code[grid].index];
  const struct region *r = &w->region;
  struct ap_account *account = &w->layers[layer];
  uint64_t all = ap_grid_rows(g), key = ap_region_load_key(p, grid);
  uint32_t tiles = ap_grid_tiles(g);
  for (uint32_t t = 0; t < tiles; t++) {
    uint64_t row0 = (uint64_t)t * g->tile_rows, rows = all - row0 < g->tile_rows ? all - row0 : g->tile_rows;
    struct ap_tile_time time = {.row_tile = t, .load_key = key};
    struct ap_events events = {
        .compare = r->compares,
        .write = r->writes,
        .shift = r->shifts,
        .count = r->counts,
        .shift_rows = r->shifts * rows,
        .count_rows = r->counts * rows,
        .compare_cells = r->compare_cells * ap_searched_rows(&p->machine, rows),
    };
    time.compute = ap_compute_cycles(w->tech, &events);
    tile_moves(w, row0, rows, &events, &time);
    ap_events_add(&account->events, &events);
    BF_PUSH(w->tiles, w->ntiles, w->capacity) = time;
  }
  w->expected[layer].matches += r->matches * (double)all;
  w->expected[layer].written += r->tags * (double)all;
  w->expected[layer].changed += r->changed * (double)all;
  account->time.rows += all;
}

static void end_epoch(struct walk *w) {
  if (w->ntiles > 0) {
    ap_time_epoch(&w->program->machine, w->tiles, (uint32_t)w->ntiles, &w->layers[w->epoch_layer].time);
  }
  w->ntiles = 0;
}

static void walk_code(struct walk *w) {
  const struct ap_program *p = w->program;
  for (uint32_t i = 0; i < p->ncode; i++) {
    uint32_t layer = ap_layer_of(p, i);
    switch (p->code[i].op) {
      case AP_OP_GRID: {
        uint32_t end = ap_region_end(p, i);
        clear_region(w);
        measure_region(w, i, end);
        if (w->ntiles == 0) {
          w->epoch_layer = layer;
        }
        account_region(w, i, layer);
        i = end;
        break;
      }
      case AP_OP_HOST: w->layers[layer].events.host++; break;
      case AP_OP_BARRIER:
      case AP_OP_HALT: end_epoch(w); break;
      default: break;
    }
  }
  end_epoch(w);
}

void ap_static_account(const struct ap_program *program, const struct ap_technology *tech, struct ap_account *layers,
                       struct ap_account *total) {
  struct walk w = {.program = program, .tech = tech, .layers = layers};
  size_t descs = program->ndescs > 0 ? program->ndescs : 1;
  w.expected = bf_alloc((size_t)program->nlayers + 1, sizeof *w.expected);
  w.costs = bf_alloc((size_t)program->nmicros + 1, sizeof *w.costs);
  w.region.loads = bf_alloc(descs, sizeof *w.region.loads);
  w.region.prefetches = bf_alloc(descs, sizeof *w.region.prefetches);
  w.region.stores = bf_alloc(descs, sizeof *w.region.stores);
  for (uint32_t i = 0; i < program->nmicros; i++) {
    w.costs[i] = ap_micro_cost(&program->micros[i]);
  }
  memset(layers, 0, program->nlayers * sizeof *layers);
  walk_code(&w);
  if (total != NULL) {
    memset(total, 0, sizeof *total);
  }
  for (uint32_t i = 0; i < program->nlayers; i++) {
    struct ap_events *events = &layers[i].events;
    events->external = ap_external_bits(program, i);
    events->match_cells = (uint64_t)llround(w.expected[i].matches);
    events->written_cells = (uint64_t)llround(w.expected[i].written);
    events->changed_cells = (uint64_t)llround(w.expected[i].changed);
    ap_account_price(&layers[i], tech, &program->machine);
    if (total != NULL) {
      ap_account_add(total, &layers[i]);
    }
  }
  free(w.expected);
  free(w.costs);
  free(w.region.loads);
  free(w.region.prefetches);
  free(w.region.stores);
  free(w.tiles);
}
