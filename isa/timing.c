// SPDX-License-Identifier: Apache-2.0
// The timing model (docs/cost-model.md): from what each tile did to the cycles of an epoch.
//
// Tile i of an epoch runs in wave i / N on CAP i mod N, where N is the number of CAPs; CAP c belongs to cluster
// c mod clusters, so that few tiles spread over many ports. Waves follow each other without a barrier.
#include <stdlib.h>
#include <string.h>

#include "isa/ledger.h"

uint64_t ap_compute_cycles(const struct ap_technology *tech, const struct ap_events *events) {
  return events->compare * tech->compare_cycles + events->write * tech->write_cycles + events->shift + events->count;
}

uint64_t ap_column_cycles(const struct ap_machine *machine, uint64_t distinct) {
  uint64_t cycles = (distinct + machine->port_bits - 1) / machine->port_bits;
  return cycles > 0 ? cycles : 1;
}

uint64_t ap_machine_caps(const struct ap_machine *machine, uint64_t tiles) {
  uint64_t caps = (uint64_t)machine->clusters * machine->caps_per_cluster;
  return machine->unlimited_caps && tiles > caps ? tiles : caps;
}

static uint64_t machine_clusters(const struct ap_machine *machine, uint64_t caps) {
  uint64_t wanted = (caps + machine->caps_per_cluster - 1) / machine->caps_per_cluster;
  return wanted > machine->clusters ? wanted : machine->clusters;
}

// One tile's loads as seen by its cluster's port.
struct request {
  uint64_t cluster, wave, load_key, cycles;
  uint32_t row_tile;
};

static int compare_requests(const void *left, const void *right) {
  const struct request *a = left, *b = right;
  if (a->cluster != b->cluster) {
    return a->cluster < b->cluster ? -1 : 1;
  }
  if (a->wave != b->wave) {
    return a->wave < b->wave ? -1 : 1;
  }
  if (a->load_key != b->load_key) {
    return a->load_key < b->load_key ? -1 : 1;
  }
  return (a->row_tile > b->row_tile) - (a->row_tile < b->row_tile);
}

// Adds to port[cluster] the loads of all tiles, multicast ones once.
static void add_loads(const struct ap_machine *machine, struct request *requests, uint32_t count, uint64_t *port) {
  qsort(requests, count, sizeof *requests, compare_requests);
  for (uint32_t i = 0; i < count; i++) {
    bool repeated = i > 0 && compare_requests(&requests[i - 1], &requests[i]) == 0;
    if (!machine->multicast || !repeated) {
      port[requests[i].cluster] += requests[i].cycles;
    }
  }
}

static uint64_t largest(const uint64_t *values, uint64_t count) {
  uint64_t most = 0;
  for (uint64_t i = 0; i < count; i++) {
    most = values[i] > most ? values[i] : most;
  }
  return most;
}

void ap_time_epoch(const struct ap_machine *machine, const struct ap_tile_time *tiles, uint32_t ntiles,
                   struct ap_layer_time *out) {
  if (ntiles == 0) {
    return;
  }
  uint64_t caps = ap_machine_caps(machine, ntiles), clusters = machine_clusters(machine, caps);
  uint64_t used = ntiles < caps ? ntiles : caps, ports = used < clusters ? used : clusters;
  uint64_t *busy = bf_alloc(used, sizeof *busy), *compute = bf_alloc(used, sizeof *compute);
  uint64_t *port = bf_alloc(ports, sizeof *port);
  struct request *requests = bf_alloc(ntiles, sizeof *requests);
  for (uint32_t i = 0; i < ntiles; i++) {
    const struct ap_tile_time *t = &tiles[i];
    uint64_t cap = i % caps;
    busy[cap] += t->compute + t->exposed + t->first;
    compute[cap] += t->compute;
    port[cap % clusters] += t->stored;
    requests[i] = (struct request){cap % clusters, i / caps, t->load_key, t->exposed - t->stored + t->prefetched,
                                   t->row_tile};
  }
  add_loads(machine, requests, ntiles, port);
  // A CAP and its cluster's port overlap, and so do clusters: the slowest of all decides.
  uint64_t longest = largest(busy, used), port_time = largest(port, ports), work = largest(compute, used);
  uint64_t cycles = longest > port_time ? longest : port_time;
  out->cycles += cycles;
  out->compute += work;
  out->stall += cycles - work;
  out->tiles += ntiles;
  out->waves += (uint32_t)((ntiles + caps - 1) / caps);
  out->caps = used > out->caps ? (uint32_t)used : out->caps;
  free(busy);
  free(compute);
  free(port);
  free(requests);
}
