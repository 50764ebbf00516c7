// SPDX-License-Identifier: Apache-2.0
// How many row additions a network's program executes, from its code: the work that its speed is judged by.
#include <stdlib.h>

#include "runtime/kernel.h"
#include "tests/bench/bench.h"

// Additions of a row: by themselves, and in products.
struct number { uint64_t plain, products; };

// A product is the sum of a shifted copy of one operand for each bit of the other (isa/micro_mul.c): one addition less than the shorter one has bits.
static struct number additions_of(const struct ap_instr *instr) {
  unsigned a = instr->f[1].width, b = instr->f[2].width, shorter = a < b ? a : b;
  switch (instr->op) {
    case AP_OP_ADD: case AP_OP_SUB: case AP_OP_ADDS: case AP_OP_SUBS: case AP_OP_ADDK: case AP_OP_SUBK:
    case AP_OP_SUBR: case AP_OP_ADDO: case AP_OP_SUBO: case AP_OP_ADDPAIR: return (struct number){1, 0};
    case AP_OP_MUL: case AP_OP_MULS: case AP_OP_MULSS: return (struct number){0, shorter > 0 ? shorter - 1 : 0};
    default: return (struct number){0, 0};
  }
}

static void add(struct number *to, struct number n, uint64_t times) {
  to->plain += times * n.plain;
  to->products += times * n.products;
}

static struct number in_stream(const struct ap_program *p, uint32_t index) {
  const struct ap_stream *stream = &p->streams[index];
  struct number count = {0, 0};
  for (uint32_t i = 0; i < stream->count; i++) {
    add(&count, additions_of(&p->tables[stream->table].items[stream->steps[i]]), 1);
  }
  return count;
}

// Additions that one tile of the region executes.
static struct number in_region(const struct ap_program *p, uint32_t grid, uint32_t end) {
  uint64_t times[AP_MAX_LOOP_NEST + 1] = {1};
  struct number count = {0, 0};
  unsigned depth = 0;
  for (uint32_t i = grid + 1; i < end; i++) {
    const struct ap_instr *instr = &p->code[i];
    switch (instr->op) {
      case AP_OP_LOOP: times[depth + 1] = times[depth] * instr->index; depth++; break;
      case AP_OP_ENDLOOP: depth--; break;
      case AP_OP_STEPS: add(&count, in_stream(p, instr->index), times[depth]); break;
      default: add(&count, additions_of(instr), times[depth]); break;
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
    struct number number = in_region(p, i, end);
    uint64_t adds = number.plain + number.products, rows = ap_grid_rows(g), full = rows / g->tile_rows, rest = rows % g->tile_rows;
    uint64_t blocks = full * ((g->tile_rows + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS) + (rest + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
    struct bench_additions *to[2] = {&out[layer], &out[p->nlayers]};
    int totals = layer >= p->nlayers || bench_layer_runs(p, layer) ? 2 : 1;
    for (int k = layer < p->nlayers ? 0 : 1; k < totals; k++) {
      to[k]->rows += adds * rows;
      to[k]->products += number.products * rows;
      to[k]->slots += adds * blocks * AP_BLOCK_ROWS;
    }
    i = end;
  }
}
