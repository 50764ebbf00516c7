// SPDX-License-Identifier: Apache-2.0
// The simulated time line of one execution: epochs of tiles by the timing model, and the events of a trace.
#ifndef AP_TIMELINE_H
#define AP_TIMELINE_H

#include "runtime/run.h"

struct ap_timeline {
  const struct ap_program *program;
  const struct ap_execution *how;
  struct ap_tile_time *tiles;  // of the open epoch, in order of program
  uint32_t *tile_layer;        // kept for a trace alone
  size_t ntiles, capacity, layer_capacity;
  uint32_t epoch_layer;        // layer of its first region
  uint64_t now;                // cycles of the epochs that have ended
  uint32_t open_layer;         // whose event is not out yet; nlayers: none
  uint64_t open_since;
};

// Tiles of one stage, all of a layer.
void ap_timeline_add(struct ap_timeline *line, const struct ap_tile_time *tiles, size_t count, uint32_t layer);
// Ends an epoch: its time is that of the layer of its first tile.
void ap_timeline_epoch(struct ap_timeline *line, struct ap_account *layers);
// Ends the execution; frees the memory.
void ap_timeline_end(struct ap_timeline *line);

#endif
