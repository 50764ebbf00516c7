// SPDX-License-Identifier: Apache-2.0
// Memory of a thread, and moves between tensors and the columns of a block.
#include "runtime/block_run.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/slices.h"

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

static uint64_t *columns_alloc(size_t columns) { return ap_columns_alloc(columns * COLUMN_BYTES); }

void ap_block_thread_init(struct ap_block_thread *t, const struct ap_run *run) {
  memset(t, 0, sizeof *t);
  t->run = run;
  t->read_planes = ap_plane_reader_best();
  t->zeros = columns_alloc(AP_MAX_WIDTH);
  t->gathered = (uint8_t *)columns_alloc(AP_BLOCK_ROWS * sizeof(uint64_t) / COLUMN_BYTES);
  t->pattern_variant = ap_pattern_select();
  t->spread = ap_channel_spread_best();
}

void ap_block_thread_free(struct ap_block_thread *t) {
  free(t->cells);
  free(t->masks);
  free(t->tags);
  free(t->zeros);
  free(t->gathered);
  ap_meter_memory_free(&t->measured);
  ap_pattern_free(&t->table);
  if (t->cap_ready) {
    ap_cap_free(&t->cap);
  }
}

void ap_block_reserve(struct ap_block_thread *t, size_t blocks) {
  if (blocks > t->blocks_capacity) {
    free(t->cells);
    free(t->masks);
    free(t->tags);
    t->cells = columns_alloc(blocks * t->run->program->machine.columns);
    t->masks = columns_alloc(blocks);
    t->tags = columns_alloc(blocks);
    t->blocks_capacity = blocks;
  }
}

void ap_block_fill(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_instr *instr, uint64_t *to) {
  struct ap_move move = ap_move_of(t->run->program, instr);
  if (order != NULL) {
    ap_block_fill_channels(t, order, &move, to);
    return;
  }
  ap_rows_gather(t->run, &move, t->at.row0, t->at.rows, t->gathered);
  ap_slice(t->gathered, ap_run_memory(t->run, move.desc->tensor)->size, t->at.rows, to, AP_COLUMN_WORDS, move.width);
}

void ap_block_drain(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_instr *instr, const uint64_t *from) {
  struct ap_move move = ap_move_of(t->run->program, instr);
  if (order != NULL) {
    ap_block_drain_channels(t, order, &move, from);
    return;
  }
  ap_unslice(from, AP_COLUMN_WORDS, move.width, t->gathered, ap_run_memory(t->run, move.desc->tensor)->size, t->at.rows);
  ap_rows_scatter(t->run, &move, t->at.row0, t->at.rows, t->gathered);
}

// --- planes --------------------------------------------------------------------------------------------

static void set_outside(const struct ap_plane_read *read, uint64_t *to) {
  for (unsigned b = 0; b < read->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t pad = read->pad >> b & 1 ? ~(uint64_t)0 : 0;
    for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
      to[w] = (to[w] & read->inside[w]) | (pad & ~read->inside[w]);
    }
  }
}

void ap_block_load_planes(struct ap_block_thread *t, const struct ap_plane_access *x, uint64_t *to) {
  _Alignas(64) uint64_t inside[AP_COLUMN_WORDS];
  struct ap_plane_read read = {.channel = x->channel, .bit = x->bit, .bits = x->bits, .pad = x->pad};
  if (x->order != NULL) {
    ap_block_load_channels(t, x, to);
    return;
  }
  read.position = x->position + (int64_t)(x->period > 0 ? t->at.row0 % x->period : t->at.row0);
  if (x->inside != NULL) {
    read.inside = x->inside + t->at.block * AP_COLUMN_WORDS;
  } else if (!x->whole) {
    struct ap_move move = ap_move_of(t->run->program, x->move);
    ap_rows_inside(t->run, &move, t->at.row0, t->at.rows, inside);
    read.inside = inside;
  }
  if (x->repeat == 1) {
    t->read_planes(x->planes, &read, to);
    return;
  }
  ap_planes_read_repeated(x->planes, x, t->read_planes, t->at.row0, t->at.rows, to);
  if (read.inside != NULL) {
    set_outside(&read, to);
  }
}

void ap_block_store_planes(struct ap_block_thread *t, const struct ap_plane_access *x, const uint64_t *from) {
  if (x->order != NULL) {
    ap_block_store_channels(t, x, from);
  } else {
    ap_planes_write(x->planes, x->channel, (uint64_t)x->position + t->at.row0, t->at.rows, from);
  }
}

void ap_block_move_in(struct ap_block_thread *t, const struct ap_entry *e, uint64_t *to) {
  if (e->planes != NULL) {
    ap_block_load_planes(t, e->planes, to);
  } else {
    ap_block_fill(t, e->order, e->instr, to);
  }
}

void ap_block_move_out(struct ap_block_thread *t, const struct ap_entry *e, const uint64_t *from) {
  if (e->planes != NULL) {
    ap_block_store_planes(t, e->planes, from);
  } else {
    ap_block_drain(t, e->order, e->instr, from);
  }
}

uint64_t *ap_block_in_planes(const struct ap_block_thread *t, const struct ap_entry *e) {
  const struct ap_plane_access *x = e->planes;
  if (x == NULL || x->order != NULL || !x->whole || x->repeat > 1 || x->period > 0 || x->changes) {
    return NULL;
  }
  const struct ap_planes *planes = x->planes;
  uint64_t position = (uint64_t)x->position + t->at.row0;
  bool there = planes->shift == 0 && position % AP_BLOCK_ROWS == 0;
  return there ? ap_planes_block(planes, x->channel, position / AP_BLOCK_ROWS) + (size_t)x->bit * AP_COLUMN_WORDS : NULL;
}

void ap_block_keep(struct ap_block_thread *t, const struct ap_source *source, uint64_t block) {
  const struct ap_grid *grid = &t->run->program->grids[t->run->program->descs[source->load->instr->index].grid];
  if (ap_order_block(source->load->order, grid, block, &t->at)) {
    uint64_t *area = t->cache->words + block * t->plan->area_columns * AP_COLUMN_WORDS;
    ap_block_move_in(t, source->load, area + source->column * AP_COLUMN_WORDS);
  }
}
