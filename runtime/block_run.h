// SPDX-License-Identifier: Apache-2.0
// One thread of the block engine at work. Internal to the block engine.
#ifndef AP_BLOCK_RUN_H
#define AP_BLOCK_RUN_H

#include <stdatomic.h>

#include "isa/region_cost.h"
#include "runtime/block_plan.h"

// Columns that are loaded before the stage begins, shared by all threads.
struct ap_block_cache {
  uint64_t *words; size_t capacity;
};

// A region on one block.
struct ap_block_lane {
  uint64_t *base[AP_BLOCK_BASES];
  uint64_t *cells, *tags, *masks;
  uint64_t *area;                    // columns that the stage keeps for the block
  struct ap_block_rows at;
  uint64_t along[2];                 // blocks of planes from the one of row 0 on: as positions go; as blocks do
  ap_kernel *const *fn;              // by microcode program
};

// Columns of 8 words in which all rows of a channel hold its value, in variants for the instruction sets of the host.
struct ap_channel_spread {
  void (*words)(const uint64_t *values, unsigned bits, uint64_t *to);                  // of 8 words of each column
  void (*bytes)(const uint8_t *values, unsigned shift, unsigned bits, uint64_t *to);   // of 2^shift channels; 8 bytes are read
};
const struct ap_channel_spread *ap_channel_spread_variant(unsigned i);  // NULL beyond the last or if this processor cannot run it
const struct ap_channel_spread *ap_channel_spread_best(void);

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
  uint64_t *zeros;                   // 64 columns that nobody writes
  uint8_t *gathered;                 // elements of one block
  ap_plane_reader *read_planes;
  ap_kernel *const *fns[2];          // by microcode program: for whole blocks, and for those with rows outside the mask
  struct ap_block_rows at;
  const struct ap_channel_spread *spread;
  size_t blocks;                     // tilewise: of the tile

  struct ap_cap cap; bool cap_ready; uint64_t cap_rows;  // for steps between rows
  const struct ap_meter *meter;
  struct ap_meter_memory measured;   // the region last accounted
  struct ap_expectation *expected;   // by region of the run: of one row; shared by the threads, each writes those that it accounts
  struct ap_block_lane lanes[AP_BLOCK_LANES];
  struct ap_pattern_table table;     // of the present pattern instructions
  const struct ap_pattern_variant *pattern_variant;
  struct ap_kernel_counts counts;    // of the stage
  struct ap_events events;           // of the stage, without those
};
void ap_block_thread_init(struct ap_block_thread *t, const struct ap_run *run);
void ap_block_thread_free(struct ap_block_thread *t);

// Loads what the stage keeps of `source` for that block of the source's grid.
void ap_block_keep(struct ap_block_thread *t, const struct ap_source *source, uint64_t block);
// Runs a piece of a bundle (runtime/block_lanes.c).
void ap_block_piece(struct ap_block_thread *t, const struct ap_bundle *bundle, uint64_t piece);
// The same for a whole tile, instruction by instruction.
void ap_block_tile(struct ap_block_thread *t, const struct ap_block_region *region, uint32_t tile);

// Common parts.
// An instruction that has no compiled kernel, on one block (runtime/block_pattern.c).
struct ap_block_operands { uint64_t *d, *a, *b, *flags, *tag; const uint64_t *mask; };
void ap_block_steps(struct ap_block_thread *t, const struct ap_entry *e, const struct ap_block_operands *o);
// Pattern instructions on the same operands that differ in their keys alone are one table: begins it; adds one (false: it must be run by itself); gets
// it ready; runs it on a block.
void ap_block_table_begin(struct ap_block_thread *t, const struct ap_entry *e);
bool ap_block_table_add(struct ap_block_thread *t, const struct ap_entry *e);
void ap_block_table_prepare(struct ap_block_thread *t);
void ap_block_table_run(struct ap_block_thread *t, uint64_t *d, const uint64_t *a, const uint64_t *b, const uint64_t *mask);
// Loads rows of the present block to columns from `to`; stores them. `order` may be NULL.
void ap_block_fill(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_instr *instr, uint64_t *to);
void ap_block_drain(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_instr *instr, const uint64_t *from);
// The same for a load or store that may move whole columns of planes; the columns of such a load as they lie there, NULL if they have to be moved.
void ap_block_load_planes(struct ap_block_thread *t, const struct ap_plane_access *x, uint64_t *to);
void ap_block_store_planes(struct ap_block_thread *t, const struct ap_plane_access *x, const uint64_t *from);
void ap_block_move_in(struct ap_block_thread *t, const struct ap_entry *e, uint64_t *to);
void ap_block_move_out(struct ap_block_thread *t, const struct ap_entry *e, const uint64_t *from);
uint64_t *ap_block_in_planes(const struct ap_block_thread *t, const struct ap_entry *e);
// The same channel by channel (runtime/channel_moves.c).
void ap_block_fill_channels(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_move *move, uint64_t *to);
void ap_block_drain_channels(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_move *move, const uint64_t *from);
void ap_block_load_channels(struct ap_block_thread *t, const struct ap_plane_access *x, uint64_t *to);
void ap_block_store_channels(struct ap_block_thread *t, const struct ap_plane_access *x, const uint64_t *from);
// Makes room for that many blocks.
void ap_block_reserve(struct ap_block_thread *t, size_t blocks);
// Accounts all tiles of a region (runtime/block_account.c): events, times and what is expected of its data.
void ap_block_account(struct ap_block_thread *t, const struct ap_block_region *region);
// Sets the counters of layers that depend on data to what is expected, from all regions of the run.
void ap_block_expect(const struct ap_run *run, const struct ap_expectation *regions, struct ap_account *layers);
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
