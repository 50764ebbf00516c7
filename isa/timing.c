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

// A set of numbers that open addressing finds; each with the wave it was last seen in.
struct seen { uint64_t number; uint32_t wave; };  // number 0: free
struct seen_set { struct seen *items; size_t mask; };

static size_t set_size(uint32_t count) {
  size_t size = 16;
  while (size < 2 * (size_t)count) size *= 2;
  return size;
}

static size_t spread(uint64_t number) { return (size_t)((number * UINT64_C(0x9E3779B97F4A7C15)) >> 24); }

// True if `number` was noted in this wave before; notes it.
static bool repeated(struct seen_set *set, uint64_t number, uint32_t wave) {
  size_t at = spread(number) & set->mask;
  while (set->items[at].number && set->items[at].number != number) at = (at + 1) & set->mask;
  struct seen *item = &set->items[at];
  bool again = item->number && item->wave == wave;
  *item = (struct seen){number, wave};
  return again;
}

static uint64_t largest(const uint64_t *values, uint64_t count) {
  uint64_t most = 0;
  for (uint64_t i = 0; i < count; i++) {
    most = values[i] > most ? values[i] : most;
  }
  return most;
}

// What the CAPs and the clusters' ports of a machine do in an epoch.
struct lanes {
  uint64_t caps, clusters, used, ports;
  uint64_t *busy, *compute, *port;
};

// Tile i runs in wave i / caps on CAP i mod caps, which belongs to cluster (i mod caps) mod clusters: counted, not divided.
static void deal(const struct ap_machine *machine, struct lanes *lanes, const struct ap_tile_time *tiles, const uint32_t *loads,
                 uint32_t ntiles, struct seen_set *set) {
  uint64_t cap = 0, cluster = 0;
  uint32_t wave = 0;
  for (uint32_t i = 0; i < ntiles; i++) {
    const struct ap_tile_time *t = &tiles[i];
    lanes->busy[cap] += t->compute + t->exposed + t->first;
    lanes->compute[cap] += t->compute;
    // Tiles of a wave that load the same bits into one cluster share the load.
    uint64_t loaded = t->exposed - t->stored + t->prefetched;
    if (machine->multicast && repeated(set, loads[i] * lanes->clusters + cluster + 1, wave)) loaded = 0;
    lanes->port[cluster] += t->stored + loaded;
    if (++cluster == lanes->clusters) cluster = 0;
    if (++cap == lanes->caps) {
      cap = cluster = 0;
      wave++;
    }
  }
}

void ap_time_tiles(const struct ap_machine *machine, const struct ap_tile_time *tiles, const uint32_t *loads, uint32_t ntiles,
                   struct ap_layer_time *out) {
  if (ntiles == 0) {
    return;
  }
  struct lanes l = {.caps = ap_machine_caps(machine, ntiles)};
  l.clusters = machine_clusters(machine, l.caps);
  l.used = ntiles < l.caps ? ntiles : l.caps;
  l.ports = l.used < l.clusters ? l.used : l.clusters;
  size_t size = machine->multicast ? set_size(ntiles) : 1;
  struct seen_set set = {bf_alloc(size, sizeof *set.items), size - 1};
  l.busy = bf_alloc(l.used, sizeof *l.busy);
  l.compute = bf_alloc(l.used, sizeof *l.compute);
  l.port = bf_alloc(l.ports, sizeof *l.port);
  deal(machine, &l, tiles, loads, ntiles, &set);
  // A CAP and its cluster's port overlap, and so do clusters: the slowest of all decides.
  uint64_t longest = largest(l.busy, l.used), port_time = largest(l.port, l.ports), work = largest(l.compute, l.used);
  uint64_t cycles = longest > port_time ? longest : port_time;
  out->cycles += cycles;
  out->compute += work;
  out->stall += cycles - work;
  out->tiles += ntiles;
  out->waves += (uint32_t)((ntiles + l.caps - 1) / l.caps);
  out->caps = l.used > out->caps ? (uint32_t)l.used : out->caps;
  free(l.busy);
  free(l.compute);
  free(l.port);
  free(set.items);
}

// Numbers for pairs of load key and row tile, in the order of their first appearance.
struct pair { uint64_t load_key; uint32_t row_tile, number; };  // number 0: free

static void number_loads(const struct ap_tile_time *tiles, uint32_t ntiles, uint32_t *loads) {
  size_t mask = set_size(ntiles) - 1;
  struct pair *pairs = bf_alloc(mask + 1, sizeof *pairs);
  uint32_t count = 0;
  for (uint32_t i = 0; i < ntiles; i++) {
    const struct ap_tile_time *t = &tiles[i];
    size_t at = spread(t->load_key + t->row_tile * UINT64_C(0xD6E8FEB86659FD93)) & mask;
    while (pairs[at].number && (pairs[at].load_key != t->load_key || pairs[at].row_tile != t->row_tile)) at = (at + 1) & mask;
    if (!pairs[at].number) pairs[at] = (struct pair){t->load_key, t->row_tile, ++count};
    loads[i] = pairs[at].number;
  }
  free(pairs);
}

void ap_time_epoch(const struct ap_machine *machine, const struct ap_tile_time *tiles, uint32_t ntiles,
                   struct ap_layer_time *out) {
  uint32_t *loads = bf_alloc(ntiles, sizeof *loads);
  if (machine->multicast) {
    number_loads(tiles, ntiles, loads);
  }
  ap_time_tiles(machine, tiles, loads, ntiles, out);
  free(loads);
}
