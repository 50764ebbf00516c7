// SPDX-License-Identifier: Apache-2.0
// The interpreter: the reference engine. Within a tile region it executes the instructions for one tile after the
// other, each microcode step by itself. The program has been validated, so nothing is checked here.
#include <string.h>

#include "runtime/run.h"

struct interp {
  struct ap_run *run;
  const struct ap_program *program;
  uint64_t row0;             // first row of the present tile
  struct ap_tile_time time;  // of the present tile
  uint64_t load_key;         // of the present region
  bool prefetched;           // it has had a double-buffered load
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

static void run_tile(struct interp *in, const struct ap_region *region, uint32_t tile) {
  const struct ap_program *p = in->program;
  const struct ap_grid *g = &p->grids[p->code[region->grid].index];
  in->row0 = (uint64_t)tile * g->tile_rows;
  uint64_t left = ap_grid_rows(g) - in->row0, rows = left < g->tile_rows ? left : g->tile_rows;
  memset(in->run->desc_cycles, 0, p->ndescs * sizeof *in->run->desc_cycles);
  in->time = (struct ap_tile_time){.row_tile = tile, .load_key = in->load_key};
  in->prefetched = false;
  ap_cap_begin(&in->run->cap, rows, ap_searched_rows(&p->machine, rows));
  run_region_code(in, region->grid, region->end);
}

bool ap_interp_stage(const struct ap_stage_run *s) {
  struct interp in = {.run = s->run, .program = s->run->program};
  double base = s->control->done, share = s->stage->work / s->stage->tiles;
  size_t done = 0;
  for (uint32_t r = 0; r < s->stage->count; r++) {
    const struct ap_region *region = &s->run->regions[s->stage->first + r];
    in.load_key = ap_region_load_key(in.program, region->grid);
    for (uint32_t t = 0; t < region->tiles; t++) {
      if (ap_control_stopped(s->control)) {
        return false;
      }
      run_tile(&in, region, t);
      in.time.compute = ap_compute_cycles(s->tech, &s->run->cap.events);
      ap_events_add(s->events, &s->run->cap.events);
      s->times[done++] = in.time;
      ap_control_show(s->control, s->stage->layer, base + share * (double)done);
    }
  }
  return true;
}
