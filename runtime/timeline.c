// SPDX-License-Identifier: Apache-2.0
#include "runtime/timeline.h"

#include <stdlib.h>

void ap_timeline_add(struct ap_timeline *line, const struct ap_tile_time *tiles, size_t count, uint32_t layer) {
  if (line->ntiles == 0) {
    line->epoch_layer = layer;
  }
  for (size_t i = 0; i < count; i++) {
    if (line->how->trace != NULL) {
      size_t at = line->ntiles;
      BF_PUSH(line->tile_layer, at, line->layer_capacity) = layer;
    }
    BF_PUSH(line->tiles, line->ntiles, line->capacity) = tiles[i];
  }
}

static void emit(const struct ap_timeline *line, enum ap_trace_kind kind, uint32_t layer, uint32_t tile, uint32_t cap,
                 uint64_t begin, uint64_t cycles) {
  const struct ap_trace_event event = {kind, layer, tile, cap, begin, cycles};
  if (cycles > 0) {
    line->how->trace(line->how->context, &event);
  }
}

// A layer may take several epochs in a row; it is one event.
static void trace_layer(struct ap_timeline *line, uint32_t layer) {
  if (line->open_layer == layer) {
    return;
  }
  if (line->open_layer < line->program->nlayers) {
    emit(line, AP_TRACE_LAYER, line->open_layer, 0, 0, line->open_since, line->now - line->open_since);
  }
  line->open_layer = layer;
  line->open_since = line->now;
}

// The tiles of a CAP follow each other; in each, the loads and stores that compute does not hide are put first. What the epoch
// takes beyond its busiest CAP is a stall of that CAP: its cluster's port is behind.
static void trace_epoch(struct ap_timeline *line, uint64_t cycles) {
  uint64_t caps = ap_machine_caps(&line->program->machine, line->ntiles);
  uint64_t used = line->ntiles < caps ? line->ntiles : caps, last = 0;
  uint64_t *busy = bf_alloc(used, sizeof *busy);
  trace_layer(line, line->epoch_layer);
  for (size_t i = 0; i < line->ntiles; i++) {
    const struct ap_tile_time *t = &line->tiles[i];
    uint32_t cap = (uint32_t)(i % caps), tile = t->row_tile, layer = line->tile_layer[i];
    uint64_t begin = line->now + busy[cap], moves = t->exposed + t->first;
    emit(line, AP_TRACE_TILE, layer, tile, cap, begin, moves + t->compute);
    emit(line, AP_TRACE_LOAD, layer, tile, cap, begin, moves);
    busy[cap] += moves + t->compute;
    last = busy[cap] > busy[last] ? cap : last;
  }
  emit(line, AP_TRACE_STALL, line->epoch_layer, 0, (uint32_t)last, line->now + busy[last], cycles - busy[last]);
  free(busy);
}

void ap_timeline_epoch(struct ap_timeline *line, struct ap_account *layers) {
  if (line->ntiles > 0) {
    struct ap_layer_time *time = &layers[line->epoch_layer].time;
    uint64_t before = time->cycles;
    ap_time_epoch(&line->program->machine, line->tiles, (uint32_t)line->ntiles, time);
    if (line->how->trace != NULL) {
      trace_epoch(line, time->cycles - before);
    }
    line->now += time->cycles - before;
  }
  line->ntiles = 0;
}

void ap_timeline_end(struct ap_timeline *line) {
  if (line->how->trace != NULL) {
    trace_layer(line, line->program->nlayers);
  }
  free(line->tiles);
  free(line->tile_layer);
}
