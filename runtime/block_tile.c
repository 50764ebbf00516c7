// SPDX-License-Identifier: Apache-2.0
// A region's code on all blocks of a tile, one instruction after the other: where instructions step between rows, or where the
// order of stores can be seen.
#include <string.h>

#include "runtime/block_run.h"

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

static uint64_t *block_cells(const struct ap_block_thread *t, size_t block) {
  return t->cells + block * t->run->program->machine.columns * AP_COLUMN_WORDS;
}

// Columns of all blocks to the CAP that executes steps between rows, or back.
static void exchange(struct ap_block_thread *t, unsigned column, unsigned count, bool back) {
  for (unsigned c = column; c < column + count; c++) {
    uint64_t *whole = ap_cap_column(&t->cap, c);
    for (size_t b = 0; b < t->blocks; b++) {
      uint64_t *part = block_cells(t, b) + (size_t)c * AP_COLUMN_WORDS, *of_cap = whole + b * AP_COLUMN_WORDS;
      memcpy(back ? part : of_cap, back ? of_cap : part, COLUMN_BYTES);
    }
  }
}

static void exchange_all(struct ap_block_thread *t, const struct ap_instr *instr, bool back) {
  exchange(t, 0, AP_FLAG_COLUMNS, back);
  for (unsigned slot = 0; slot < 3; slot++) {
    exchange(t, instr->f[slot].col, instr->f[slot].width, back);
  }
}

static void run_between_rows(struct ap_block_thread *t, const struct ap_entry *e) {
  struct ap_cap *cap = &t->cap;
  exchange_all(t, e->instr, false);
  for (size_t w = 0; w < t->blocks * AP_COLUMN_WORDS; w++) {
    cap->tag[w] = t->tags[w] & cap->mask[w];  // kernels leave what they like outside the mask
  }
  struct ap_events before = cap->events;
  ap_cap_run(cap, e->micro, e->instr);
  t->counts.match_cells += cap->events.match_cells - before.match_cells;
  t->counts.written_cells += cap->events.written_cells - before.written_cells;
  t->counts.changed_cells += cap->events.changed_cells - before.changed_cells;
  memcpy(t->tags, cap->tag, t->blocks * COLUMN_BYTES);
  exchange_all(t, e->instr, true);
}

static void select_block(struct ap_block_thread *t, uint64_t row0, uint64_t rows, size_t block) {
  uint64_t first = block * AP_BLOCK_ROWS;
  t->at = (struct ap_block_rows){.row0 = row0 + first, .rows = rows - first < AP_BLOCK_ROWS ? rows - first : AP_BLOCK_ROWS, .channels = 1};
}

struct tile { uint64_t row0, rows; };

static void run_on_block(struct ap_block_thread *t, const struct ap_entry *e, const struct tile *tile, size_t block) {
  uint64_t *cells = block_cells(t, block), *tag = t->tags + block * AP_COLUMN_WORDS, *mask = t->masks + block * AP_COLUMN_WORDS;
  select_block(t, tile->row0, tile->rows, block);
  ap_kernel *fn = e->fn[t->at.rows < AP_BLOCK_ROWS];
  if (e->kind == AP_ENTRY_LOAD) {
    ap_block_fill(t, NULL, e->instr, cells + e->at[0]);
  } else if (e->kind == AP_ENTRY_STORE) {
    ap_block_drain(t, NULL, e->instr, cells + e->at[0]);
  } else if (fn != NULL) {
    fn(cells + e->at[0], cells + e->at[1], cells + e->at[2], cells, tag, mask, e->instr->imm, &t->counts);
  } else {
    ap_block_steps(t, e, &(struct ap_block_operands){cells + e->at[0], cells + e->at[1], cells + e->at[2], cells, tag, mask});
  }
}

static void run_on_tile(struct ap_block_thread *t, const struct ap_entry *e, const struct tile *tile) {
  if (e->kind == AP_ENTRY_ROWS) {
    run_between_rows(t, e);
    return;
  }
  for (size_t b = 0; b < t->blocks; b++) {
    run_on_block(t, e, tile, b);
  }
}

static void run_code(struct ap_block_thread *t, const struct ap_block_region *region, const struct tile *tile) {
  struct ap_block_loops loops = {.depth = 0};
  uint32_t count = region->region->end - region->region->grid - 1;
  for (uint32_t i = 0; i < count; i++) {
    const struct ap_entry *e = &region->code[i];
    if (e->kind == AP_ENTRY_NONE) {
      ap_block_loop(&loops, e->instr, &i);
    } else if (e->kind == AP_ENTRY_STEPS) {
      const struct ap_stream *stream = &t->run->program->streams[e->instr->index];
      for (uint32_t s = 0; s < stream->count; s++) {
        run_on_tile(t, &e->table[stream->steps[s]], tile);
      }
    } else {
      run_on_tile(t, e, tile);
    }
  }
}

static void begin_cap(struct ap_block_thread *t, uint64_t rows, uint64_t most) {
  if (t->cap_rows < most) {
    if (t->cap_ready) {
      ap_cap_free(&t->cap);
    }
    ap_cap_init(&t->cap, t->run->program->machine.columns, most);
    t->cap.patterns = t->run->program->patterns;
    t->cap_ready = true;
    t->cap_rows = most;
  }
  ap_cap_begin(&t->cap, rows, ap_searched_rows(&t->run->program->machine, rows));
}

void ap_block_tile(struct ap_block_thread *t, const struct ap_block_region *region, uint32_t tile) {
  const struct ap_block_plan *plan = t->plan;
  struct tile at = {(uint64_t)tile * region->grid->tile_rows, region->grid->tile_rows};
  uint64_t left = ap_grid_rows(region->grid) - at.row0;
  at.rows = left < at.rows ? left : at.rows;
  t->blocks = (size_t)((at.rows + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS);
  ap_block_reserve(t, (size_t)ap_tile_blocks(region->grid));
  if (plan->between_rows) {
    begin_cap(t, at.rows, region->grid->tile_rows);
  }
  for (size_t b = 0; b < t->blocks; b++) {
    select_block(t, at.row0, at.rows, b);
    ap_order_mask(NULL, &t->at, t->masks + b * AP_COLUMN_WORDS);
    memset(t->tags + b * AP_COLUMN_WORDS, 0, COLUMN_BYTES);
    for (size_t z = 0; z < plan->nzero; z++) {
      memset(block_cells(t, b) + (size_t)plan->zero[z].first * AP_COLUMN_WORDS, 0, plan->zero[z].count * COLUMN_BYTES);
    }
  }
  run_code(t, region, &at);
  if (tile == 0 && plan->times == NULL) {
    ap_block_account(t, region);
  }
}
