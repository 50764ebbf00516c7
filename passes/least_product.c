// SPDX-License-Identifier: Apache-2.0
#include "passes/least_product.h"

#include <stdlib.h>

// A step along the lower left hull of an item's points, from the fewest cycles on.
struct edge { size_t item, to, order; double cycles, energy; };  // more cycles, less energy
struct corner { size_t choice; struct bf_point at; };

static int by_cycles(const void *a, const void *b) {
  const struct corner *x = a, *y = b;
  if (x->at.cycles != y->at.cycles) return x->at.cycles < y->at.cycles ? -1 : 1;
  return (x->at.energy > y->at.energy) - (x->at.energy < y->at.energy);
}

// The step that saves more energy a cycle comes first; of one item they come as they lie on its hull.
static int by_slope(const void *a, const void *b) {
  const struct edge *x = a, *y = b;
  double left = x->energy * y->cycles, right = y->energy * x->cycles;
  if (left != right) return left > right ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

// Keeps the corners of the lower left hull, returns their number.
static size_t hull(struct corner *corners, size_t count) {
  size_t kept = 0;
  qsort(corners, count, sizeof *corners, by_cycles);
  for (size_t i = 0; i < count; i++) {
    struct bf_point p = corners[i].at;
    if (kept && p.energy >= corners[kept - 1].at.energy) continue;
    while (kept > 1) {
      struct bf_point a = corners[kept - 2].at, b = corners[kept - 1].at;
      if ((a.energy - b.energy) * (p.cycles - a.cycles) > (a.energy - p.energy) * (b.cycles - a.cycles)) break;
      kept--;  // not below the line from the one before to this one
    }
    corners[kept++] = corners[i];
  }
  return kept;
}

void bf_least_product(const struct bf_point *points, size_t items, size_t choices, size_t *picked) {
  struct corner *corners = bf_alloc(choices + 1, sizeof *corners);
  struct edge *edges = bf_alloc(items * choices + 1, sizeof *edges);
  size_t nedges = 0, best = 0;
  struct bf_point sum = {0, 0};
  for (size_t i = 0; i < items; i++) {
    for (size_t k = 0; k < choices; k++) corners[k] = (struct corner){k, points[i * choices + k]};
    size_t count = hull(corners, choices);
    picked[i] = corners[0].choice;
    sum.cycles += corners[0].at.cycles, sum.energy += corners[0].at.energy;
    for (size_t k = 1; k < count; k++, nedges++)
      edges[nedges] = (struct edge){i, corners[k].choice, nedges, corners[k].at.cycles - corners[k - 1].at.cycles,
                                    corners[k - 1].at.energy - corners[k].at.energy};
  }
  qsort(edges, nedges, sizeof *edges, by_slope);
  double least = sum.cycles * sum.energy;
  for (size_t k = 0; k < nedges; k++) {
    sum.cycles += edges[k].cycles, sum.energy -= edges[k].energy;
    if (sum.cycles * sum.energy < least) least = sum.cycles * sum.energy, best = k + 1;
  }
  for (size_t k = 0; k < best; k++) picked[edges[k].item] = edges[k].to;
  free(edges);
  free(corners);
}
