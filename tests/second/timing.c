// SPDX-License-Identifier: Apache-2.0
// Time of one epoch (docs/cost-model.md, "Time").
#include <stdlib.h>

#include "second.h"

static bool same_loads(const struct tile *a, const struct tile *b) {
  return a->region == b->region && a->number == b->number;
}

// Port time of the loads of wave `wave` in one cluster.
static uint64_t load_time(const struct binary *b, const struct tile *tiles, uint64_t count, uint64_t wave, uint64_t caps,
                          uint64_t clusters, uint64_t cluster) {
  uint64_t begin = wave * caps, end = count - begin < caps ? count : begin + caps, total = 0;
  for (uint64_t i = begin + cluster; i < end; i += clusters) {
    bool again = false;
    for (uint64_t k = begin + cluster; b->machine.multicast && k < i && !again; k += clusters)
      again = same_loads(&tiles[k], &tiles[i]);
    if (!again)
      total += tiles[i].plain_loads + tiles[i].loads_ahead;
  }
  return total;
}

static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

void time_epoch(const struct binary *b, const struct tile *tiles, uint64_t count, struct time *out) {
  if (count == 0)
    return;
  const struct machine *m = &b->machine;
  uint64_t caps = m->clusters * m->caps_per_cluster, clusters = m->clusters;
  if (m->unlimited && count > caps) {
    caps = count;
    clusters = most(clusters, (caps + m->caps_per_cluster - 1) / m->caps_per_cluster);
  }
  uint64_t waves = (count + caps - 1) / caps, cycles = 0, compute = 0;
  for (uint64_t c = 0; c < caps && c < count; c++) {
    uint64_t busy = 0, work = 0;
    for (uint64_t i = c; i < count; i += caps) {
      busy += tiles[i].compute + tiles[i].plain_loads + tiles[i].stores + tiles[i].first_ahead;
      work += tiles[i].compute;
    }
    cycles = most(cycles, busy);
    compute = most(compute, work);
  }
  for (uint64_t k = 0; k < clusters && k < count; k++) {
    uint64_t port = 0;
    for (uint64_t w = 0; w < waves; w++)
      port += load_time(b, tiles, count, w, caps, clusters, k);
    for (uint64_t i = 0; i < count; i++)
      if (i % caps % clusters == k)
        port += tiles[i].stores;
    cycles = most(cycles, port);
  }
  out->cycles += cycles;
  out->compute += compute;
  out->stall += cycles - compute;
  out->tiles += count;
  out->waves += waves;
}
