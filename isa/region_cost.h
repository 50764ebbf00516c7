// SPDX-License-Identifier: Apache-2.0
// What a tile region costs: one walk over its code and streams, for the block engine. The static account (isa/summary.h) and the interpreter count by
// themselves, which tests hold against this.
#ifndef AP_REGION_COST_H
#define AP_REGION_COST_H

#include "isa/ledger.h"

// Loads and stores by one descriptor, as instructions.
struct ap_move_count { uint32_t desc; uint64_t loads, prefetches, stores; };

// What one run of a region does per tile, apart from the number of rows.
struct ap_region_cost {
  uint64_t compares, writes, shifts, counts, compare_cells;  // shifts: by one row each
  double matches, tags, changed;  // expected, per row
  struct ap_move_count *moves; size_t nmoves, capacity;       // in order of first use
  uint32_t first_prefetch;        // descriptor of the first load.p, or UINT32_MAX
  uint64_t load_key;              // ap_region_load_key
};

// What the instructions of a program cost, prepared for walks: constant, so threads may share it. The program must have been validated and
// must outlive it.
struct ap_meter;
struct ap_meter *ap_meter_new(const struct ap_program *program);
void ap_meter_free(struct ap_meter *meter);  // may be NULL

// A thread's own memory for walks, zero before the first.
struct ap_meter_memory {
  struct ap_region_cost cost;  // of the region last measured
  uint32_t *desc_move;         // by descriptor: 1 + index of its move in the cost
  struct ap_meter_seen { uint32_t row_tile; uint64_t cycles; } *seen;  // by descriptor: port cycles of the tile last asked for
};
void ap_meter_memory_free(struct ap_meter_memory *memory);

// The cost of the region that begins at instruction `grid`, until the next call.
const struct ap_region_cost *ap_meter_region(const struct ap_meter *meter, struct ap_meter_memory *memory, uint32_t grid);
// Events and time of tile `tile` of the region of `grid` that was measured last, apart from counters that depend on data.
void ap_meter_tile(const struct ap_meter *meter, struct ap_meter_memory *memory, const struct ap_technology *tech, uint32_t grid,
                   uint32_t tile, struct ap_events *events, struct ap_tile_time *time);

// Expected counters of a layer: sums over its regions, in order, rounded once.
struct ap_expectation { double matches, written, changed; };
void ap_expectation_add(struct ap_expectation *to, const struct ap_expectation *per_row, uint64_t rows);
void ap_expectation_round(const struct ap_expectation *from, struct ap_events *events);

#endif
