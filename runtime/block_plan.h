// SPDX-License-Identifier: Apache-2.0
// What the block engine knows of a stage before it runs: each instruction resolved to a kernel and the places of its operands,
// loads that return, and whether the order of blocks can be seen. Internal to the block engine.
#ifndef AP_BLOCK_PLAN_H
#define AP_BLOCK_PLAN_H

#include <stdatomic.h>

#include "runtime/block_uses.h"
#include "runtime/pattern.h"
#include "runtime/row_order.h"
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
  AP_CALL_PATTERN,  // pattern instruction, all passes at once
  AP_CALL_PLANES,   // load of what lies ready in planes, to a base of its own
  AP_CALL_OTHER     // as its entry says
};
struct ap_call {
  uint8_t kind;
  uint8_t base[3];
  uint16_t at[3];                  // columns of d, a, b behind their base
  uint16_t kernel;                 // microcode program
  uint8_t along;                   // PLANES: which way blocks go (struct ap_block_lane)
  uint32_t column;                 // CACHED: from the begin of the block's area; PLANES: columns from a block to the next
  union {
    uint64_t imm;                  // KERNEL_CALL
    uint64_t *columns;             // PLANES: of block 0
  } u;
  const struct ap_entry *entry;
};

struct ap_entry {
  struct ap_call *op;
  struct ap_call *ops;               // STEPS: of its table
  ap_kernel *fn[2];                // for whole blocks, and for those with rows outside the mask; NULL: step by step
  const struct ap_instr *instr;
  const struct ap_micro *micro;
  const struct ap_pattern *pattern; // of a pattern instruction
  const struct ap_entry *table;    // STEPS: entries of its table
  uint32_t at[3];                  // words of d, a, b behind their base
  uint8_t base[3];
  uint8_t kind;
  struct ap_plane_access *planes;  // LOAD, STORE: moves columns of the tensor's planes; NULL: elements
  const struct ap_row_order *order; // LOAD, STORE: of its rows; NULL: as the grid numbers them
  uint32_t source;                 // LOAD: of the plan's sources, or AP_NO_SOURCE
  bool stepwise;                   // operands overlap so that only the steps one by one give what they should, or altered patterns
};

// What is loaded more than once in a stage: kept for all blocks of its grid, or where rows are taken channel by channel for those of one channel.
struct ap_source {
  const struct ap_entry *load;     // one of its loads
  uint64_t blocks;                 // that it is kept for
  bool placed;                     // there was room for it
  size_t column;                   // from the begin of a block's area
};

struct ap_columns { uint16_t first, count; };
static inline bool ap_fields_meet(struct ap_field x, struct ap_field y) {
  return x.width > 0 && y.width > 0 && x.col < y.col + y.width && y.col < x.col + x.width;
}

struct ap_block_region {
  const struct ap_region *region;
  const struct ap_grid *grid;
  const struct ap_row_order *order; // NULL: as the grid numbers rows
  struct ap_call *ops;
  struct ap_entry *code;           // of the instructions between grid and endgrid
  uint32_t first_tile;             // in the stage
};
// A tensor that a stage moves, in which forms.
struct ap_tensor_use { uint32_t tensor; bool planes, elements, stored, loaded; unsigned bits; };  // bits: of those in planes

#define AP_BLOCK_GROUP 4
#define AP_BLOCK_LANES 16
// Lanes (runtime/block_lanes.c) lie so that their first columns are not in the same sets of the first-level cache.
static inline size_t ap_lane_columns(const struct ap_program *program) { return (size_t)program->machine.columns + 24; }

// Where operands lie: in the cells of all lanes, the area of the block, columns that are 0, planes.
enum ap_block_place { AP_PLACE_CELLS, AP_PLACE_AREA, AP_PLACE_ZEROS, AP_PLACE_PLANES };
#define AP_BLOCK_PLACES 16
// A kernel's call in a word: kernel (12 bits), lane (4), column of d in the cells (16), column of a (28) behind a place (4), or the immediate where there
// is no a. Kernel WIDE: column a is the number of a call that is written out.
#define AP_SHORT(kernel, lane, d, place, a) \
  ((uint64_t)(kernel) | (uint64_t)(lane) << 12 | (uint64_t)(d) << 16 | (uint64_t)(a) << 32 | (uint64_t)(place) << 60)
#define AP_SHORT_KERNEL(call) ((unsigned)((call) & 0xfff))
#define AP_SHORT_LANE(call) ((unsigned)((call) >> 12 & 0xf))
#define AP_SHORT_D(call) ((size_t)((call) >> 16 & 0xffff))
#define AP_SHORT_A(call) ((size_t)((call) >> 32 & (AP_SHORT_COLUMNS - 1)))
#define AP_SHORT_PLACE(call) ((unsigned)((call) >> 60))
#define AP_SHORT_COLUMNS ((uint64_t)1 << 28)
#define AP_SHORT_WIDE 0xfffu
_Static_assert(AP_BLOCK_LANES <= 16 && (AP_MAX_COLUMNS + 24) * AP_BLOCK_LANES <= 0x10000, "lanes and their columns fit a short call");
// The same written out. Moves of planes know all that they need, so that nothing of an entry has to be fetched.
enum ap_wide_kind { AP_WIDE_KERNEL, AP_WIDE_PATTERN, AP_WIDE_CONSTANTS, AP_WIDE_LOAD_PLANES, AP_WIDE_STORE_PLANES, AP_WIDE_COPY, AP_WIDE_ENTRY };
struct ap_wide_call {
  union {
    uint64_t imm;                         // KERNEL; COPY: columns, from operand a to d
    const struct ap_plane_access *planes;
    const struct ap_entry *entry;
  };
  uint32_t column[3];
  uint8_t place[3], lane, kind;
  uint16_t kernel;
};

// Planes in which loads find their columns, and which way these go from block to block.
struct ap_plane_place { struct ap_planes *planes; uint8_t along; };
static inline uint8_t ap_plane_along(const struct ap_plane_access *x) { return x->order != NULL && x->step > 0; }
static inline bool ap_plane_place_is(const struct ap_plane_place *place, const struct ap_plane_access *x) {
  return place->planes == x->planes && place->along == ap_plane_along(x);
}

// The calls of the lanes of a group of regions (runtime/block_merge.c).
struct ap_block_order {
  uint64_t *calls; size_t count;
  struct ap_wide_call *wide; size_t nwide;
  struct ap_columns *zero[AP_BLOCK_LANES]; size_t nzero[AP_BLOCK_LANES];  // columns that have to be 0 at the begin, unless changes are counted
  size_t bytes;
};
// Memory of all orders of a run.
#define AP_ORDER_BYTES ((size_t)384 << 20)  // about, at most
struct ap_order_room { _Atomic size_t bytes; atomic_bool full; };
// Neighbouring regions on one grid. A piece of work is a group of `lanes` of them on `group` blocks (one of the two is 1), so that what one has
// used is near for the next.
struct ap_bundle {
  uint32_t first, count;
  uint64_t pieces_before, blocks;
  unsigned lanes, group;
  _Atomic(struct ap_block_order *) *orders;  // by group of regions; NULL where there is none yet
};
static inline uint32_t ap_bundle_groups(const struct ap_bundle *b) { return (b->count + b->lanes - 1) / b->lanes; }
struct ap_block_plan;
void ap_block_forget_orders(struct ap_block_plan *plan);  // they hold for one binding of kernels
struct ap_block_region;
// NULL if it takes more than `most` bytes.
struct ap_block_order *ap_block_order_new(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_block_region *regions,
                                          unsigned lanes, bool counted, size_t most);
void ap_block_order_free(struct ap_block_order *order);

struct ap_block_plan {
  const struct ap_stage *stage;
  struct bf_arena arena;
  struct ap_block_region *regions;
  struct ap_entry **used; size_t nused, used_capacity;      // entries of regions and tables that are executed
  struct ap_tensor_use *tensors; size_t ntensors, tensors_capacity;
  bool *covers;                                             // by tensor: it stores all elements of this root, and order cannot be seen
  struct ap_plane_view *views[32]; size_t nviews;           // of tensors that it loads with a stride
  struct ap_row_view **row_views; size_t nrow_views, row_views_capacity, row_view_bytes;  // of constants
  uint8_t **channel_values; uint32_t ndescs;  // by descriptor: constants of its taps, of a channel of the grid after the other; NULL: none
  struct ap_source *sources; uint32_t nsources;
  size_t area_columns, area_blocks;  // loaded columns are kept in an area for each block of a grid
  struct ap_field base_field[AP_BLOCK_BASES]; unsigned nbases;
  struct ap_columns *zero; size_t nzero, zero_capacity;     // columns that are 0 when a region begins
  struct ap_bundle *bundles; size_t nbundles, bundles_capacity;
  uint64_t pieces;
  bool between_rows;
  bool patterns;   // it has pattern instructions
  bool tilewise;   // some instruction steps between rows: a piece is a tile, all its blocks advance together
  bool blockwise;  // stores meet loads or other stores only in the same rows: all regions on one block after the other
  bool ordered;    // stores meet loads or other stores: tiles one after the other (tilewise, too)
  double calls;    // of all regions on one block each
  const struct ap_micro_facts *facts;  // by microcode program
  struct ap_plane_place places[AP_BLOCK_PLACES]; unsigned nplaces;  // from AP_PLACE_PLANES on
  struct ap_order_room *room;  // for the orders of its bundles; NULL: it has none
  bool ordering;   // it is executed more than once: all orders pay
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
  bool altered;   // a program of the pattern instruction that is not the generator's
  bool defines;   // all columns of d are written in all rows before anything else is done to them
};
struct ap_micro_facts ap_micro_facts(const struct ap_micro *micro);

#define AP_CACHE_BYTES ((size_t)256 << 20)  // loaded columns kept, at most
// `facts` by microcode program.
struct ap_block_plan *ap_block_plan_new(const struct ap_run *run, const struct ap_stage *stage, const struct ap_micro_facts *facts,
                                        const struct ap_block_uses *uses);
void ap_block_plan_free(struct ap_block_plan *plan);
// Finds out which moves can be done in planes, and fills plan->tensors (runtime/block_tensors.c).
void ap_block_find_planes(const struct ap_run *run, struct ap_block_plan *plan);
// Of a stage whose order matters: whether what it stores is loaded and stored in the same rows of one grid alone, as successive positions.
bool ap_block_meets_in_blocks(const struct ap_run *run, const struct ap_block_plan *plan);
// In which order the plan takes the rows of a grid; NULL: as the grid numbers them.
const struct ap_row_order *ap_plan_order(const struct ap_run *run, const struct ap_block_plan *plan, uint32_t grid);
// Whether a load finds its columns as they lie in planes, for all blocks.
bool ap_block_in_place(const struct ap_run *run, const struct ap_grid *grid, const struct ap_entry *e);
// Tensors that a stage needs in another form than they are in, in parts that any thread may convert: at most two for each of plan->tensors.
struct ap_conversion { uint32_t tensor; bool to_planes; uint64_t before, parts; };  // before: parts of those ahead in the list
size_t ap_block_conversions(const struct ap_run *run, const struct ap_block_plan *plan, struct ap_conversion *list);
// Brings the tensors of a stage into the forms that it uses, before it runs.
void ap_block_prepare_tensors(const struct ap_run *run, const struct ap_block_plan *plan);
// Whether stores of the stage meet its loads or other stores, in memory (runtime/block_order.c).
bool ap_block_order_matters(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_block_uses *uses);

static inline uint64_t ap_tile_blocks(const struct ap_grid *grid) { return (grid->tile_rows + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS; }

#endif
