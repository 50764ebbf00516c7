// SPDX-License-Identifier: Apache-2.0
// Inside of the runtime: memory of one program, what is executed in which order, and the parts of the engines.
#ifndef AP_RUN_H
#define AP_RUN_H

#include "runtime/cap.h"
#include "runtime/engine.h"
#include "runtime/planes.h"

// Memory of one tensor: unsigned elements u of 1, 2, 4 or 8 bytes. Aliases have the memory of their root.
struct ap_memory {
  void *data;
  uint8_t size;
  bool shared;  // data is part of the run's shared memory
};

// A tile region: the code from `grid` to its `end`.
struct ap_region {
  uint32_t grid, end;
  uint32_t tiles;
};
// What a program does, in order. Regions of one layer with nothing between that waits for them are one stage, in which an engine
// chooses the order if that cannot be seen.
enum ap_stage_kind {
  AP_STAGE_REGIONS,  // regions [first, first + count)
  AP_STAGE_HOST,     // host op `index`
  AP_STAGE_EPOCH,    // end of an epoch
  AP_STAGE_LAYER     // end of layer `layer`
};
struct ap_stage {
  enum ap_stage_kind kind;
  uint32_t first, count, index;
  uint32_t layer;    // nlayers: none
  uint32_t tiles;    // of all its regions
  double work;       // about the number of instructions times blocks of rows
};

struct ap_blocks;  // plans and kernels of the block engine (runtime/block_engine.h)
struct ap_run {
  const struct ap_program *program;
  struct ap_memory *memory;              // by tensor; only roots own data
  struct ap_planes *planes;              // by tensor, of roots: the same values in another form (runtime/planes.h)
  struct ap_cap cap;
  void *gathered;                        // elements of one tile, the largest tile times 8 bytes
  const struct ap_micro **code_micro;    // microcode of code[i], NULL if none
  const struct ap_micro ***table_micro;  // of tables[t].items[i]
  struct ap_row_order *orders;           // by grid: the best order for the block engine
  uint64_t *desc_cycles;                 // port cycles of a load or store of the present tile; 0: not known yet
  struct ap_region *regions;
  size_t nregions;
  struct ap_stage *stages;
  size_t nstages;
  size_t *layer_stages;                  // by layer: its first stage; nlayers: the first behind all layers
  struct ap_blocks *blocks;              // NULL until the block engine has been used
  struct ap_account *expected;           // static account by layer, NULL until a run in static mode
  bool *expected_of;                     // by profile: its layers are in there
  uint64_t *executions;                  // by profile: that have ended
  bool plain_blocks;                     // the block engine without compiled kernels (for tests)
  void **shared; size_t nshared, shared_capacity;  // memory of temporary tensors (runtime/block_share.c)
};

const struct ap_memory *ap_run_memory(const struct ap_run *run, uint32_t tensor);
uint64_t ap_memory_get(const struct ap_memory *memory, uint64_t element);
void ap_memory_set(const struct ap_memory *memory, uint64_t element, uint64_t u);

// Fills regions and stages (runtime/stages.c).
void ap_run_plan(struct ap_run *run);

// Moves one field of the present tile (rows from row0), and counts it in the CAP's events.
void ap_run_load(struct ap_run *run, const struct ap_instr *instr, uint64_t row0);
void ap_run_store(struct ap_run *run, const struct ap_instr *instr, uint64_t row0);

// Elements of rows [row0, row0 + rows) of a load to `out`, `size` bytes each (that of the tensor's memory), shifted down by the
// descriptor's `bit`, and of a store from `in`.
void ap_rows_gather(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, void *out);
void ap_rows_scatter(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, const void *in);
// Sets the bits of the rows of a block (at most 512) whose elements are inside the tensor; the others of the 8 words are 0.
void ap_rows_inside(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, uint64_t *inside);
// Marks the elements that a store writes for all rows of its grid in a set of bits. False if one of them was marked before.
bool ap_rows_mark(const struct ap_run *run, const struct ap_instr *instr, uint64_t *marked);

// How far an execution is, and whether it goes on.
struct ap_control {
  const struct ap_execution *how;
  double done, shown, total;
};
static inline bool ap_control_stopped(const struct ap_control *control) {
  return control->how->stop != NULL && *control->how->stop;
}
// `done`: work so far. Calls the hook for progress if that has moved.
void ap_control_show(struct ap_control *control, uint32_t layer, double done);

// One stage of regions. Sets times[] of its tiles, in order of program, and adds to *events. False if it was stopped.
struct ap_stage_run {
  struct ap_run *run;
  const struct ap_stage *stage;
  const struct ap_technology *tech;
  struct ap_tile_time *times;
  struct ap_events *events;
  struct ap_control *control;
};
bool ap_interp_stage(const struct ap_stage_run *s);

// Softmax over the last dimension, as tflite-micro's reference kernels compute it for inputs of 8 and 16 bits. The validator has
// seen that it covers the tensors' types (ap_host_softmax_check).
void ap_host_softmax(const struct ap_run *run, const struct ap_host *host);

#endif
