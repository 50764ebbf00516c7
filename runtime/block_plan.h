// SPDX-License-Identifier: Apache-2.0
// What the block engine knows of a stage before it runs: each instruction resolved to a kernel and the places of its operands,
// loads that return, and whether the order of blocks can be seen. Internal to the block engine.
#ifndef AP_BLOCK_PLAN_H
#define AP_BLOCK_PLAN_H

#include "runtime/kernel.h"
#include "runtime/run.h"

// Operands are found from bases: base 0 is column 0 of the block's cells. The others stand for fields that only loads write: their base is
// wherever the loaded columns lie, so that a load of what was loaded before copies nothing.
#define AP_BLOCK_BASES 16
#define AP_NO_SOURCE UINT32_MAX

enum ap_entry_kind {
  AP_ENTRY_NONE,    // control, or not used in this stage
  AP_ENTRY_STEPS,   // steps of a table
  AP_ENTRY_KERNEL,
  AP_ENTRY_ROWS,    // steps between rows: all blocks of a tile together
  AP_ENTRY_LOAD, AP_ENTRY_STORE
};
// What a thread has to know of an instruction again and again, as small as can be.
enum ap_call_kind {
  AP_CALL_KERNEL,
  AP_CALL_CACHED,   // load of what the stage loads more than once, to a base of its own
  AP_CALL_PLANES,   // load of what lies ready in planes, to a base of its own
  AP_CALL_OTHER     // as its entry says
};
struct ap_call {
  uint8_t kind;
  uint8_t base[3];
  uint16_t at[3];                  // columns of d, a, b behind their base
  uint16_t kernel;                 // microcode program
  uint32_t column;                 // CACHED: from the begin of the block's area; PLANES: columns from a block to the next
  union {
    uint64_t imm;                  // KERNEL_CALL
    uint64_t *columns;             // PLANES: of block 0
  } u;
  const struct ap_entry *entry;
};

// A call of a region that is written out (runtime/block_flat.c): operands are columns behind a place.
// LOAD_PLANES, STORE_PLANES: channel a of tensor b from position imm + row.
enum ap_flat_kind { AP_FLAT_KERNEL, AP_FLAT_STEPS, AP_FLAT_LOAD, AP_FLAT_STORE, AP_FLAT_LOAD_PLANES, AP_FLAT_STORE_PLANES };
enum ap_flat_place { AP_PLACE_CELLS, AP_PLACE_AREA, AP_PLACE_ZEROS, AP_PLACE_TENSORS };  // then the planes of tensors
#define AP_BLOCK_PLACES 64
struct ap_entry;
struct ap_flat {
  uint32_t d, a, b;
  uint8_t kind, dbase, abase, bbase;
  uint16_t kernel;
  union { uint64_t imm; const struct ap_entry *entry; };
};

struct ap_entry {
  struct ap_call *op;
  struct ap_call *ops;               // STEPS: of its table
  ap_kernel *fn[2];                // for whole blocks, and for those with rows outside the mask; NULL: step by step
  const struct ap_instr *instr;
  const struct ap_micro *micro;
  const struct ap_entry *table;    // STEPS: entries of its table
  uint32_t at[3];                  // words of d, a, b behind their base
  uint8_t base[3];
  uint8_t kind;
  const struct ap_plane_access *planes;  // LOAD, STORE: moves columns of the tensor's planes; NULL: elements
  uint32_t source;                 // LOAD: of the plan's sources, or AP_NO_SOURCE
  bool stepwise;                   // operands overlap so that only the steps one by one give what they should
};

// What is loaded more than once in a stage: kept for all blocks of its grid.
struct ap_source {
  const struct ap_entry *load;     // one of its loads
  const struct ap_grid *grid;
  bool placed;                     // there was room for it
  size_t column;                   // from the begin of a block's area
};

// What one execution of a code instruction (steps: of all of them) costs a tile.
struct ap_code_cost {
  uint64_t compares, writes, shifts, counts, compare_cells;
  uint32_t first_move, nmoves;
};
struct ap_move_cost { uint32_t desc; uint64_t loads, prefetches, stores; };

struct ap_columns { uint16_t first, count; };

struct ap_block_region {
  const struct ap_region *region;
  const struct ap_grid *grid;
  struct ap_call *ops;
  struct ap_entry *code;           // of the instructions between grid and endgrid
  struct ap_code_cost *costs;
  size_t flat, nflat;              // calls, if the plan is flattened
  struct ap_columns *zero[2]; uint32_t nzero[2];  // columns that are 0 when it begins, by counted
  uint32_t first_tile;             // in the stage
  uint32_t first_prefetch;         // descriptor of its first load.p, or UINT32_MAX
};
// A tensor that a stage moves, in which forms.
struct ap_tensor_use { uint32_t tensor; bool planes, elements, stored; };

// Neighbouring regions on one grid: worked off by groups of blocks, so that what one has used is near for the next.
struct ap_bundle { uint32_t first, count; uint64_t pieces_before, blocks; };
#define AP_BLOCK_GROUP 4

struct ap_block_plan {
  const struct ap_stage *stage;
  struct bf_arena arena;
  struct ap_block_region *regions;
  struct ap_entry **used; size_t nused, used_capacity;      // entries of regions and tables that are executed
  struct ap_move_cost *moves; size_t nmoves, moves_capacity;
  struct ap_tensor_use *tensors; size_t ntensors, tensors_capacity;
  struct ap_source *sources; uint32_t nsources;
  size_t area_columns, area_blocks;  // loaded columns are kept in an area for each block of a grid
  struct ap_field base_field[AP_BLOCK_BASES]; unsigned nbases;
  struct ap_columns *zero; size_t nzero, zero_capacity;     // columns that are 0 when a region begins
  struct ap_bundle *bundles; size_t nbundles, bundles_capacity;
  uint64_t pieces;
  unsigned group;  // blocks of a piece
  bool between_rows;
  bool tilewise;   // some instruction steps between rows: a piece is a tile, all its blocks advance together
  bool ordered;    // stores meet loads or other stores: tiles one after the other (tilewise, too)
  bool flattened;
  struct ap_flat *flat; size_t nflat, flat_capacity;
  uint32_t place_tensor[AP_BLOCK_PLACES]; unsigned nplaces;
  size_t bytes;    // memory that it takes
  // What an execution costs does not depend on data: kept from the first one, for a technology of these latencies.
  struct ap_tile_time *times;      // NULL: not known yet
  struct ap_events events;
  uint32_t compare_cycles, write_cycles;
};

// Facts of a microcode program.
struct ap_micro_facts {
  struct ap_micro_cost cost;
  uint32_t first_write[4], last_access[4];  // steps; UINT32_MAX and 0 if none; by slot (d, a, b, flag)
  bool accessed[4];
  bool between_rows;
  bool defines;   // all columns of d are written in all rows before anything else is done to them
};
struct ap_micro_facts ap_micro_facts(const struct ap_micro *micro);

#define AP_CACHE_BYTES ((size_t)256 << 20)  // loaded columns kept, at most
// `facts` by microcode program.
struct ap_block_plan *ap_block_plan_new(const struct ap_run *run, const struct ap_stage *stage, const struct ap_micro_facts *facts);
void ap_block_plan_free(struct ap_block_plan *plan);
// Finds out which moves can be done in planes, and fills plan->tensors (runtime/block_tensors.c).
void ap_block_find_planes(const struct ap_run *run, struct ap_block_plan *plan);
// Whether a load finds its columns as they lie in planes, for all blocks.
bool ap_block_in_place(const struct ap_run *run, const struct ap_grid *grid, const struct ap_entry *e);
// Brings the tensors of a stage into the forms that it uses, before it runs.
void ap_block_prepare_tensors(const struct ap_run *run, const struct ap_block_plan *plan);
// Writes the regions out, into at most `budget` bytes. False: it did not.
bool ap_block_flatten(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_micro_facts *facts, size_t budget);
// Whether stores of the stage meet its loads or other stores, in memory (runtime/block_order.c).
bool ap_block_order_matters(const struct ap_run *run, const struct ap_block_plan *plan);

static inline uint64_t ap_tile_blocks(const struct ap_grid *grid) { return (grid->tile_rows + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS; }

#endif
