// SPDX-License-Identifier: Apache-2.0
// One thread of the block engine at work. Internal to the block engine.
#ifndef AP_BLOCK_RUN_H
#define AP_BLOCK_RUN_H

#include <stdatomic.h>

#include "runtime/block_plan.h"

// Columns that are loaded before the stage begins, shared by all threads.
struct ap_block_cache {
  uint64_t *words; size_t capacity;
};

// Cycles of a descriptor's moves in the tile that it was last used in.
struct ap_block_moves { uint32_t tile; uint64_t cycles; };  // tile + 1

// Rows of a block that the loads of one place of the kernel find inside of their tensor.
struct ap_block_inside { uint32_t desc, tap; uint64_t row0, rows; uint64_t mask[AP_COLUMN_WORDS]; };  // rows 0: none yet
#define AP_BLOCK_INSIDE 64

// One of the blocks that advance together, call by call, through a region that is written out.
struct ap_block_member {
  uint64_t *place[AP_BLOCK_PLACES];
  uint64_t *tags, *masks;
  uint64_t *area;
  uint64_t row0, rows;
  ap_kernel *const *fn;
};

struct ap_block_thread {
  const struct ap_run *run;
  const struct ap_block_plan *plan;
  struct ap_block_cache *cache;
  const struct ap_technology *tech;
  struct ap_tile_time *times;        // of the stage
  bool counted;

  // The present block, or in tilewise work the present tile with all its blocks.
  uint64_t *cells; size_t cells_capacity;   // blocks × columns × 8 words
  uint64_t *masks; size_t blocks_capacity;  // blocks × 8 words
  uint64_t *tags;
  uint64_t *base[AP_BLOCK_BASES];
  uint64_t *zeros;                   // 64 columns that nobody writes
  uint8_t *gathered;                 // elements of one block
  ap_kernel *const *fns[2];          // by microcode program: for whole blocks, and for those with rows outside the mask
  ap_kernel *const *fn;              // of these, for the present block
  uint64_t *area;                    // columns that the stage keeps for the present block
  uint64_t grid_block;               // row0 / 512
  uint64_t row0, rows;               // of the block
  size_t blocks;                     // tilewise: of the tile

  struct ap_cap cap; bool cap_ready; uint64_t cap_rows;  // for steps between rows
  struct ap_block_moves *moves;      // by descriptor
  struct ap_block_member members[AP_BLOCK_GROUP];
  struct ap_block_inside inside[AP_BLOCK_INSIDE];
  struct ap_kernel_counts counts;    // of the stage
  struct ap_events events;           // of the stage, without those
};
void ap_block_thread_init(struct ap_block_thread *t, const struct ap_run *run);
void ap_block_thread_free(struct ap_block_thread *t);

// Loads what the stage keeps of `source` for that block of the source's grid.
void ap_block_keep(struct ap_block_thread *t, const struct ap_source *source, uint64_t block);
// Runs a region for the blocks [block, end) of its grid, of which there are at most AP_BLOCK_GROUP.
void ap_block_piece(struct ap_block_thread *t, const struct ap_block_region *region, uint64_t block, uint64_t end);
// The same for a whole tile, instruction by instruction.
void ap_block_tile(struct ap_block_thread *t, const struct ap_block_region *region, uint32_t tile);

// Common parts.
// Loads rows of the present block to columns from `to`; stores them.
void ap_block_fill(struct ap_block_thread *t, const struct ap_instr *instr, uint64_t *to);
void ap_block_drain(struct ap_block_thread *t, const struct ap_instr *instr, const uint64_t *from);
// Mask of a block with that many rows; returns whether some are outside.
unsigned ap_block_mask(uint64_t *mask, uint64_t rows);
// Makes room for that many blocks.
void ap_block_reserve(struct ap_block_thread *t, size_t blocks);
// Accounts a tile: costs of the code, times the turns of its loops.
void ap_block_account(struct ap_block_thread *t, const struct ap_block_region *region, uint32_t tile);
// A loop of the code on its way: for `code[*i]`, LOOP or ENDLOOP, moves *i.
struct ap_block_loops { struct { uint32_t start, left; } open[AP_MAX_LOOP_NEST]; unsigned depth; };
static inline void ap_block_loop(struct ap_block_loops *loops, const struct ap_instr *instr, uint32_t *i) {
  if (instr->op == AP_OP_LOOP) {
    loops->open[loops->depth].start = *i;
    loops->open[loops->depth++].left = instr->index;
  } else if (--loops->open[loops->depth - 1].left > 0) {
    *i = loops->open[loops->depth - 1].start;
  } else {
    loops->depth--;
  }
}

#endif
