// SPDX-License-Identifier: Apache-2.0
#include "runtime/block_uses.h"

#include <stdlib.h>

#include "runtime/kernel.h"

static void add(struct ap_block_calls *to, struct ap_block_calls calls) {
  to->whole += calls.whole;
  to->partial += calls.partial;
}

static struct ap_block_calls blocks_of_rows(uint64_t rows) {
  return (struct ap_block_calls){rows / AP_BLOCK_ROWS, rows % AP_BLOCK_ROWS != 0};
}

static struct ap_block_calls count_channels(const struct ap_row_order *order) {
  struct ap_block_calls one = blocks_of_rows(order->positions);
  uint64_t groups = order->channels >> order->shift;
  bool rest = (order->channels & ((1u << order->shift) - 1)) != 0, full = order->positions << order->shift == AP_BLOCK_ROWS;
  if (order->shift == 0) {
    return (struct ap_block_calls){order->channels * one.whole, order->channels * one.partial};
  }
  return (struct ap_block_calls){full ? groups : 0, (full ? 0 : groups) + rest};
}

struct ap_block_calls ap_block_count(const struct ap_run *run, const struct ap_grid *grid) {
  return ap_order_count(&run->orders[grid - run->program->grids], grid);
}

struct ap_block_calls ap_order_count(const struct ap_row_order *order, const struct ap_grid *grid) {
  if (order != NULL && order->channels > 0) {
    return count_channels(order);
  }
  uint64_t rows = ap_grid_rows(grid), tiles = rows / grid->tile_rows;
  struct ap_block_calls tile = blocks_of_rows(grid->tile_rows), last = blocks_of_rows(rows % grid->tile_rows);
  return (struct ap_block_calls){tiles * tile.whole + last.whole, tiles * tile.partial + last.partial};
}

struct ap_block_uses *ap_block_uses_new(const struct ap_run *run) {
  const struct ap_program *p = run->program;
  struct ap_block_uses *uses = bf_alloc(1, sizeof *uses);
  uses->first = bf_alloc((size_t)p->ntables + 1, sizeof *uses->first);
  for (uint32_t t = 0; t < p->ntables; t++) {
    uses->first[t] = uses->nitems;
    uses->nitems += p->tables[t].count;
  }
  uses->items = bf_alloc(uses->nitems + 1, sizeof *uses->items);
  uses->micros = bf_alloc((size_t)p->nmicros + 1, sizeof *uses->micros);
  uses->nmicros = p->nmicros;
  return uses;
}

void ap_block_uses_free(struct ap_block_uses *uses) {
  if (uses != NULL) {
    free(uses->first);
    free(uses->items);
    free(uses->micros);
    free(uses);
  }
}

static void add_region(struct ap_block_uses *uses, const struct ap_run *run, const struct ap_region *region) {
  const struct ap_program *p = run->program;
  struct ap_block_calls calls[AP_MAX_LOOP_NEST + 1];
  unsigned depth = 0;
  calls[0] = ap_block_count(run, &p->grids[p->code[region->grid].index]);
  for (uint32_t i = region->grid + 1; i < region->end; i++) {
    const struct ap_instr *instr = &p->code[i];
    struct ap_block_calls now = calls[depth];
    if (instr->op == AP_OP_LOOP) {
      calls[++depth] = (struct ap_block_calls){now.whole * instr->index, now.partial * instr->index};
    } else if (instr->op == AP_OP_ENDLOOP) {
      depth--;
    } else if (instr->op == AP_OP_STEPS) {
      const struct ap_stream *stream = &p->streams[instr->index];
      struct ap_block_calls *items = &uses->items[uses->first[stream->table]];
      for (uint32_t s = 0; s < stream->count; s++) {
        add(&items[stream->steps[s]], now);
      }
    } else if (run->code_micro[i] != NULL) {
      add(&uses->micros[run->code_micro[i] - p->micros], now);
    }
  }
}

bool *ap_block_uses_regions(const struct ap_run *run, uint32_t profile) {
  const struct ap_program *p = run->program;
  if (p->nprofiles == 0) {
    return NULL;
  }
  bool *used = bf_alloc(run->nregions + 1, sizeof *used);
  for (uint32_t i = 0; i < ap_profile_length(p, profile); i++) {
    uint32_t layer = ap_profile_layer(p, profile, i);
    for (size_t s = run->layer_stages[layer]; s < run->layer_stages[layer + 1]; s++) {
      const struct ap_stage *stage = &run->stages[s];
      for (uint32_t r = 0; stage->kind == AP_STAGE_REGIONS && r < stage->count; r++) {
        used[stage->first + r] = true;
      }
    }
  }
  return used;
}

void ap_block_uses_add(struct ap_block_uses *uses, const struct ap_run *run, const bool *regions, size_t first, size_t end) {
  for (size_t r = first; r < end; r++) {
    if (regions == NULL || regions[r]) {
      add_region(uses, run, &run->regions[r]);
    }
  }
}

void ap_block_uses_merge(struct ap_block_uses *to, const struct ap_block_uses *from) {
  for (size_t i = 0; i < to->nitems; i++) {
    add(&to->items[i], from->items[i]);
  }
  for (uint32_t i = 0; i < to->nmicros; i++) {
    add(&to->micros[i], from->micros[i]);
  }
}

void ap_block_uses_finish(struct ap_block_uses *uses, const struct ap_run *run) {
  const struct ap_program *p = run->program;
  for (uint32_t t = 0; t < p->ntables; t++) {
    for (uint32_t i = 0; i < p->tables[t].count; i++) {
      const struct ap_micro *micro = run->table_micro[t][i];
      if (micro != NULL) {
        add(&uses->micros[micro - p->micros], uses->items[uses->first[t] + i]);
      }
    }
  }
}
