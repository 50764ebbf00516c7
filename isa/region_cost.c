// SPDX-License-Identifier: Apache-2.0
#include "isa/region_cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// What one execution of an instruction adds, apart from its moves: a line of the processor's cache, as walks meet them in any order.
struct item {
  uint64_t compares, writes, shifts, counts, compare_cells;
  double matches, tags, changed;
};
// A move: its descriptor and tap as in the load key; 0 if the instruction is none.
struct move { uint32_t desc; uint16_t tap; uint8_t op; };

struct list { struct item *items; struct move *moves; };

struct ap_meter {
  const struct ap_program *program;
  struct list *tables;            // by table
  struct ap_micro_cost *costs;    // by microcode program
};

static struct item item_of(const struct ap_meter *meter, const struct ap_instr *instr) {
  const struct ap_micro *micro = ap_program_micro(meter->program, instr);
  struct item item = {0};
  if (micro != NULL) {
    const struct ap_micro_cost *cost = &meter->costs[micro - meter->program->micros];
    // Only instructions with a row distance have shift steps.
    item = (struct item){cost->compares, cost->writes, cost->shifts * instr->imm, cost->counts, cost->compare_cells,
                         cost->expected_matches, cost->expected_tags, cost->expected_changed};
  }
  return item;
}

static struct move move_of(const struct ap_instr *instr) {
  bool moves = ap_op_info(instr->op)->op_class == AP_CLASS_MOVE;
  return moves ? (struct move){instr->index, instr->tap, (uint8_t)instr->op} : (struct move){0};
}

struct ap_meter *ap_meter_new(const struct ap_program *program) {
  struct ap_meter *meter = bf_alloc(1, sizeof *meter);
  meter->program = program;
  meter->costs = bf_alloc((size_t)program->nmicros + 1, sizeof *meter->costs);
  for (uint32_t i = 0; i < program->nmicros; i++) {
    meter->costs[i] = ap_micro_cost(&program->micros[i]);
  }
  meter->tables = bf_alloc((size_t)program->ntables + 1, sizeof *meter->tables);
  for (uint32_t t = 0; t < program->ntables; t++) {
    const struct ap_table *table = &program->tables[t];
    struct list *list = &meter->tables[t];
    list->items = bf_alloc((size_t)table->count + 1, sizeof *list->items);
    list->moves = bf_alloc((size_t)table->count + 1, sizeof *list->moves);
    for (uint32_t i = 0; i < table->count; i++) {
      list->items[i] = item_of(meter, &table->items[i]);
      list->moves[i] = move_of(&table->items[i]);
    }
  }
  return meter;
}

void ap_meter_free(struct ap_meter *meter) {
  if (meter == NULL) {
    return;
  }
  for (uint32_t t = 0; t < meter->program->ntables; t++) {
    free(meter->tables[t].items);
    free(meter->tables[t].moves);
  }
  free(meter->tables);
  free(meter->costs);
  free(meter);
}

void ap_meter_memory_free(struct ap_meter_memory *memory) {
  free(memory->cost.moves);
  free(memory->desc_move);
  free(memory->seen);
  memset(memory, 0, sizeof *memory);
}

// --- regions -------------------------------------------------------------------------------------------

static void add_item(struct item *to, const struct item *from, uint64_t times) {
  to->compares += from->compares * times;
  to->writes += from->writes * times;
  to->shifts += from->shifts * times;
  to->counts += from->counts * times;
  to->compare_cells += from->compare_cells * times;
  to->matches += from->matches * (double)times;
  to->tags += from->tags * (double)times;
  to->changed += from->changed * (double)times;
}

static void add_move(struct ap_meter_memory *memory, const struct move *move, uint64_t times) {
  struct ap_region_cost *cost = &memory->cost;
  uint32_t *at = &memory->desc_move[move->desc];
  if (*at == 0) {
    BF_PUSH(cost->moves, cost->nmoves, cost->capacity) = (struct ap_move_count){.desc = move->desc};
    *at = (uint32_t)cost->nmoves;
  }
  struct ap_move_count *count = &cost->moves[*at - 1];
  if (move->op == AP_OP_STORE) {
    count->stores += times;
    return;
  }
  cost->load_key = ap_load_key_load(cost->load_key, move->desc, move->tap);
  if (move->op == AP_OP_LOAD) {
    count->loads += times;
    return;
  }
  count->prefetches += times;
  if (cost->first_prefetch == UINT32_MAX) {
    cost->first_prefetch = move->desc;
  }
}

static void add_stream(const struct ap_meter *meter, struct ap_meter_memory *memory, uint32_t index, struct item *sum, uint64_t times) {
  const struct ap_stream *stream = &meter->program->streams[index];
  const struct list *list = &meter->tables[stream->table];
  struct item all = {0};
  for (uint32_t s = 0; s < stream->count; s++) {
    uint16_t step = stream->steps[s];
    if (list->moves[step].op != 0) {
      add_move(memory, &list->moves[step], times);
      continue;
    }
    const struct item *item = &list->items[step];
    all.compares += item->compares;
    all.writes += item->writes;
    all.shifts += item->shifts;
    all.counts += item->counts;
    all.compare_cells += item->compare_cells;
    all.matches += item->matches;
    all.tags += item->tags;
    all.changed += item->changed;
  }
  add_item(sum, &all, times);
}

static void clear(const struct ap_meter *meter, struct ap_meter_memory *memory) {
  struct ap_region_cost *cost = &memory->cost;
  if (memory->desc_move == NULL) {
    memory->desc_move = bf_alloc((size_t)meter->program->ndescs + 1, sizeof *memory->desc_move);
    memory->seen = bf_alloc((size_t)meter->program->ndescs + 1, sizeof *memory->seen);
  }
  for (size_t m = 0; m < cost->nmoves; m++) {
    memory->desc_move[cost->moves[m].desc] = 0;
  }
  *cost = (struct ap_region_cost){.moves = cost->moves, .capacity = cost->capacity, .first_prefetch = UINT32_MAX,
                                  .load_key = AP_LOAD_KEY_BEGIN};
}

// Walks the region's code with the product of the open loop counts. The load key takes loops as they stand, not unrolled.
const struct ap_region_cost *ap_meter_region(const struct ap_meter *meter, struct ap_meter_memory *memory, uint32_t grid) {
  const struct ap_program *p = meter->program;
  struct ap_region_cost *cost = &memory->cost;
  uint64_t times[AP_MAX_LOOP_NEST + 1] = {1};
  unsigned depth = 0;
  struct item sum = {0};
  clear(meter, memory);
  for (uint32_t i = grid + 1; p->code[i].op != AP_OP_ENDGRID; i++) {
    const struct ap_instr *instr = &p->code[i];
    if (instr->op == AP_OP_LOOP || instr->op == AP_OP_ENDLOOP) {
      cost->load_key = ap_load_key_loop(cost->load_key, instr);
      depth += instr->op == AP_OP_LOOP ? 1 : -1u;
      times[depth] = instr->op == AP_OP_LOOP ? times[depth - 1] * instr->index : times[depth];
    } else if (instr->op == AP_OP_STEPS) {
      add_stream(meter, memory, instr->index, &sum, times[depth]);
    } else {
      struct item item = item_of(meter, instr);
      struct move move = move_of(instr);
      add_item(&sum, &item, times[depth]);
      if (move.op != 0) {
        add_move(memory, &move, times[depth]);
      }
    }
  }
  cost->compares = sum.compares;
  cost->writes = sum.writes;
  cost->shifts = sum.shifts;
  cost->counts = sum.counts;
  cost->compare_cells = sum.compare_cells;
  cost->matches = sum.matches;
  cost->tags = sum.tags;
  cost->changed = sum.changed;
  return cost;
}

// --- tiles ---------------------------------------------------------------------------------------------

// Port cycles of one move of a descriptor in a tile. Regions of one grid follow each other and use the same descriptors.
static uint64_t move_cycles(const struct ap_meter *meter, struct ap_meter_memory *memory, uint32_t desc, uint32_t tile, uint64_t row0,
                            uint64_t rows) {
  const struct ap_program *p = meter->program;
  struct ap_meter_seen *seen = &memory->seen[desc];
  if (seen->cycles == 0 || seen->row_tile != tile) {  // a move takes cycles; its descriptor has one grid
    uint64_t distinct = ap_desc_distinct(p, &p->descs[desc], row0, rows);
    seen->row_tile = tile;
    seen->cycles = p->descs[desc].bits * ap_column_cycles(&p->machine, distinct);
  }
  return seen->cycles;
}

void ap_meter_tile(const struct ap_meter *meter, struct ap_meter_memory *memory, const struct ap_technology *tech, uint32_t grid,
                   uint32_t tile, struct ap_events *events, struct ap_tile_time *time) {
  const struct ap_program *p = meter->program;
  const struct ap_region_cost *cost = &memory->cost;
  const struct ap_grid *g = &p->grids[p->code[grid].index];
  uint64_t row0 = (uint64_t)tile * g->tile_rows, left = ap_grid_rows(g) - row0, rows = left < g->tile_rows ? left : g->tile_rows;
  *time = (struct ap_tile_time){.row_tile = tile, .load_key = cost->load_key};
  *events = (struct ap_events){
      .compare = cost->compares,
      .write = cost->writes,
      .shift = cost->shifts,
      .count = cost->counts,
      .shift_rows = cost->shifts * rows,
      .count_rows = cost->counts * rows,
      .compare_cells = cost->compare_cells * ap_searched_rows(&p->machine, rows),
  };
  time->compute = ap_compute_cycles(tech, events);
  for (size_t m = 0; m < cost->nmoves; m++) {
    const struct ap_move_count *move = &cost->moves[m];
    uint64_t cycles = move_cycles(meter, memory, move->desc, tile, row0, rows), bits = p->descs[move->desc].bits;
    events->load += (move->loads + move->prefetches) * bits;
    events->store += move->stores * bits;
    time->exposed += (move->loads + move->stores) * cycles;
    time->stored += move->stores * cycles;
    time->prefetched += move->prefetches * cycles;
    time->first = move->desc == cost->first_prefetch ? cycles : time->first;
  }
  events->load_bits = events->load * rows;
  events->store_bits = events->store * rows;
}

void ap_expectation_add(struct ap_expectation *to, const struct ap_expectation *per_row, uint64_t rows) {
  to->matches += per_row->matches * (double)rows;
  to->written += per_row->written * (double)rows;
  to->changed += per_row->changed * (double)rows;
}

void ap_expectation_round(const struct ap_expectation *from, struct ap_events *events) {
  events->match_cells = (uint64_t)llround(from->matches);
  events->written_cells = (uint64_t)llround(from->written);
  events->changed_cells = (uint64_t)llround(from->changed);
}
