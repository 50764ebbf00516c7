// SPDX-License-Identifier: Apache-2.0
// How many row additions a network's program executes, from its code: the work that its speed is judged by.
#include <stdlib.h>

#include "runtime/kernel.h"
#include "tests/bench/bench.h"

static bool is_addition(const struct ap_instr *instr) {
  switch (instr->op) {
    case AP_OP_ADD: case AP_OP_SUB: case AP_OP_ADDS: case AP_OP_SUBS: case AP_OP_ADDK: case AP_OP_SUBK:
    case AP_OP_SUBR: case AP_OP_ADDO: case AP_OP_SUBO: case AP_OP_ADDPAIR: return true;
    default: return false;
  }
}

static uint64_t in_stream(const struct ap_program *p, uint32_t index) {
  const struct ap_stream *stream = &p->streams[index];
  uint64_t count = 0;
  for (uint32_t i = 0; i < stream->count; i++) {
    count += is_addition(&p->tables[stream->table].items[stream->steps[i]]);
  }
  return count;
}

// Additions that one tile of the region executes.
static uint64_t in_region(const struct ap_program *p, uint32_t grid, uint32_t end) {
  uint64_t times[AP_MAX_LOOP_NEST + 1] = {1}, count = 0;
  unsigned depth = 0;
  for (uint32_t i = grid + 1; i < end; i++) {
    const struct ap_instr *instr = &p->code[i];
    switch (instr->op) {
      case AP_OP_LOOP: times[depth + 1] = times[depth] * instr->index; depth++; break;
      case AP_OP_ENDLOOP: depth--; break;
      case AP_OP_STEPS: count += times[depth] * in_stream(p, instr->index); break;
      default: count += is_addition(instr) ? times[depth] : 0; break;
    }
  }
  return count;
}

bool bench_layer_runs(const struct ap_program *p, uint32_t layer) {
  for (uint32_t i = 0; p->nprofiles > 0 && i < p->profiles[0].nlayers; i++) {
    if (p->profiles[0].layers[i] == layer) {
      return true;
    }
  }
  return p->nprofiles == 0;
}

void bench_count_additions(const struct ap_program *p, struct bench_additions *out) {
  for (uint32_t i = 0; i < p->ncode; i++) {
    if (p->code[i].op != AP_OP_GRID) {
      continue;
    }
    const struct ap_grid *g = &p->grids[p->code[i].index];
    uint32_t end = ap_region_end(p, i), layer = ap_layer_of(p, i);
    uint64_t adds = in_region(p, i, end), rows = ap_grid_rows(g), full = rows / g->tile_rows, rest = rows % g->tile_rows;
    uint64_t blocks = full * ((g->tile_rows + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS) + (rest + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
    struct bench_additions *to[2] = {&out[layer], &out[p->nlayers]};
    int totals = layer >= p->nlayers || bench_layer_runs(p, layer) ? 2 : 1;
    for (int k = layer < p->nlayers ? 0 : 1; k < totals; k++) {
      to[k]->rows += adds * rows;
      to[k]->slots += adds * blocks * AP_BLOCK_ROWS;
    }
    i = end;
  }
}
