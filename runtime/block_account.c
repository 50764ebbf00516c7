// SPDX-License-Identifier: Apache-2.0
// What regions cost, measured by the thread that is about to run them, and what the compiler expects of their data.
#include <stdlib.h>

#include "runtime/block_run.h"

void ap_block_account(struct ap_block_thread *t, const struct ap_block_region *region) {
  const struct ap_region_cost *cost = ap_meter_region(t->meter, &t->measured, region->region->grid);
  t->expected[region->region - t->run->regions] = (struct ap_expectation){cost->matches, cost->tags, cost->changed};
  for (uint32_t tile = 0; tile < region->region->tiles; tile++) {
    struct ap_events events;
    ap_meter_tile(t->meter, &t->measured, t->tech, region->region->grid, tile, &events, &t->times[region->first_tile + tile]);
    ap_events_add(&t->events, &events);
  }
}

void ap_block_expect(const struct ap_run *run, const struct ap_expectation *regions, struct ap_account *layers) {
  const struct ap_program *p = run->program;
  struct ap_expectation *sums = bf_alloc((size_t)p->nlayers + 1, sizeof *sums);
  for (size_t s = 0; s < run->nstages; s++) {
    const struct ap_stage *stage = &run->stages[s];
    for (uint32_t r = 0; stage->kind == AP_STAGE_REGIONS && r < stage->count; r++) {
      const struct ap_grid *grid = &p->grids[p->code[run->regions[stage->first + r].grid].index];
      ap_expectation_add(&sums[stage->layer], &regions[stage->first + r], ap_grid_rows(grid));
    }
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    ap_expectation_round(&sums[i], &layers[i].events);
  }
  free(sums);
}
