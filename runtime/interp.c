// SPDX-License-Identifier: Apache-2.0
// The interpreter: the reference engine. It walks the code; within a tile region it executes the instructions for
// one tile after the other, each microcode step by itself. The program has been validated, so nothing is
// checked here.
#include <stdlib.h>
#include <string.h>

#include "runtime/run.h"

struct interp {
  struct ap_run *run;
  const struct ap_program *program;
  const struct ap_technology *tech;
  struct ap_account *layers;     // of this execution alone
  struct ap_tile_time *tiles;    // of the open epoch
  size_t ntiles, capacity;
  uint32_t epoch_layer;          // layer of its first region
  uint64_t row0;                 // first row of the present tile
  struct ap_tile_time time;      // of the present tile
  bool prefetched;               // it has had a double-buffered load
};

// Port cycles of one move; they depend on the descriptor and the tile only.
static uint64_t move_cycles(struct interp *in, const struct ap_instr *instr) {
  uint64_t *cycles = &in->run->desc_cycles[instr->index];
  if (*cycles == 0) {
    const struct ap_desc *desc = &in->program->descs[instr->index];
    uint64_t distinct = ap_desc_distinct(in->program, desc, in->row0, in->run->cap.rows);
    *cycles = instr->f[0].width * ap_column_cycles(&in->program->machine, distinct);
  }
  return *cycles;
}

static void run_move(struct interp *in, const struct ap_instr *instr) {
  uint64_t cycles = move_cycles(in, instr);
  if (instr->op == AP_OP_STORE) {
    ap_run_store(in->run, instr, in->row0);
    in->time.exposed += cycles;
    in->time.stored += cycles;
    return;
  }
  ap_run_load(in->run, instr, in->row0);
  if (instr->op == AP_OP_LOAD) {
    in->time.exposed += cycles;
    return;
  }
  in->time.prefetched += cycles;
  if (!in->prefetched) {
    in->time.first = cycles;
    in->prefetched = true;
  }
}

static void run_instr(struct interp *in, const struct ap_instr *instr, const struct ap_micro *micro) {
  if (micro != NULL) {
    ap_cap_run(&in->run->cap, micro, instr);
  } else {
    run_move(in, instr);
  }
}

static void run_stream(struct interp *in, uint32_t index) {
  const struct ap_stream *stream = &in->program->streams[index];
  const struct ap_instr *items = in->program->tables[stream->table].items;
  const struct ap_micro *const *micros = in->run->table_micro[stream->table];
  for (uint32_t i = 0; i < stream->count; i++) {
    uint16_t entry = stream->steps[i];
    run_instr(in, &items[entry], micros[entry]);
  }
}

// The code of a region, for the present tile.
static void run_region_code(struct interp *in, uint32_t grid, uint32_t end) {
  struct { uint32_t start, left; } loops[AP_MAX_LOOP_NEST];
  unsigned depth = 0;
  for (uint32_t i = grid + 1; i < end; i++) {
    const struct ap_instr *instr = &in->program->code[i];
    switch (instr->op) {
      case AP_OP_LOOP:
        loops[depth].start = i;
        loops[depth].left = instr->index;
        depth++;
        break;
      case AP_OP_ENDLOOP:
        if (--loops[depth - 1].left > 0) {
          i = loops[depth - 1].start;
        } else {
          depth--;
        }
        break;
      case AP_OP_STEPS: run_stream(in, instr->index); break;
      default: run_instr(in, instr, in->run->code_micro[i]); break;
    }
  }
}

static void run_region(struct interp *in, uint32_t grid, uint32_t end, uint32_t layer) {
  const struct ap_program *p = in->program;
  const struct ap_grid *g = &p->grids[p->code[grid].index];
  struct ap_cap *cap = &in->run->cap;
  uint64_t all = ap_grid_rows(g), key = ap_region_load_key(p, grid);
  uint32_t tiles = ap_grid_tiles(g);
  if (in->ntiles == 0) {
    in->epoch_layer = layer;
  }
  for (uint32_t t = 0; t < tiles; t++) {
    in->row0 = (uint64_t)t * g->tile_rows;
    uint64_t rows = all - in->row0 < g->tile_rows ? all - in->row0 : g->tile_rows;
    memset(in->run->desc_cycles, 0, p->ndescs * sizeof *in->run->desc_cycles);
    in->time = (struct ap_tile_time){.row_tile = t, .load_key = key};
    in->prefetched = false;
    ap_cap_begin(cap, rows, ap_searched_rows(&p->machine, rows));
    run_region_code(in, grid, end);
    in->time.compute = ap_compute_cycles(in->tech, &cap->events);
    ap_events_add(&in->layers[layer].events, &cap->events);
    BF_PUSH(in->tiles, in->ntiles, in->capacity) = in->time;
  }
  in->layers[layer].time.rows += all;
}

static void end_epoch(struct interp *in) {
  if (in->ntiles > 0) {
    ap_time_epoch(&in->program->machine, in->tiles, (uint32_t)in->ntiles, &in->layers[in->epoch_layer].time);
  }
  in->ntiles = 0;
}

// Executes instruction i; returns the index of the last instruction that was executed with it.
static uint32_t run_at(struct interp *in, uint32_t i) {
  const struct ap_instr *instr = &in->program->code[i];
  uint32_t end = i;
  switch (instr->op) {
    case AP_OP_GRID:
      end = ap_region_end(in->program, i);
      run_region(in, i, end, ap_layer_of(in->program, i));
      break;
    case AP_OP_HOST:
      ap_host_softmax(in->run, &in->program->hosts[instr->index]);
      in->layers[ap_layer_of(in->program, i)].events.host++;
      break;
    case AP_OP_BARRIER:
    case AP_OP_HALT: end_epoch(in); break;
    default: break;
  }
  return end;
}

static bool run_code(struct interp *in, ap_layer_hook *hook, void *context) {
  const struct ap_program *p = in->program;
  uint32_t layer = 0;
  for (uint32_t i = 0; i < p->ncode; i++) {
    i = run_at(in, i);
    while (layer < p->nlayers && p->layers[layer].end <= i + 1) {
      if (hook != NULL && !hook(context, in->run, layer)) {
        return false;
      }
      layer++;
    }
  }
  end_epoch(in);
  return true;
}

bool ap_run_execute(struct ap_run *run, const struct ap_technology *tech, struct ap_account *layers,
                    struct ap_account *total, ap_layer_hook *hook, void *context) {
  const struct ap_program *p = run->program;
  struct interp in = {.run = run, .program = p, .tech = tech};
  in.layers = bf_alloc((size_t)p->nlayers + 1, sizeof *in.layers);
  bool done = run_code(&in, hook, context);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    in.layers[i].events.external += ap_external_bits(p, i);
    ap_account_price(&in.layers[i], tech, &p->machine);
    ap_account_add(&layers[i], &in.layers[i]);
    if (total != NULL) {
      ap_account_add(total, &in.layers[i]);
    }
  }
  free(in.layers);
  free(in.tiles);
  return done;
}
