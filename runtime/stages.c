// SPDX-License-Identifier: Apache-2.0
// The order in which a program is executed: its code as a list of stages.
#include "runtime/kernel.h"
#include "runtime/run.h"

struct planner {
  struct ap_run *run;
  size_t regions_capacity, stages_capacity;
  bool open;  // the last stage takes further regions
};

static struct ap_stage *add_stage(struct planner *pl, enum ap_stage_kind kind, uint32_t layer) {
  struct ap_run *run = pl->run;
  BF_PUSH(run->stages, run->nstages, pl->stages_capacity) = (struct ap_stage){.kind = kind, .layer = layer};
  pl->open = kind == AP_STAGE_REGIONS;
  return &run->stages[run->nstages - 1];
}

// Instructions that one pass through the code executes.
static double code_length(const struct ap_program *p, uint32_t grid, uint32_t end) {
  double times[AP_MAX_LOOP_NEST + 1] = {1}, sum = 0;
  unsigned depth = 0;
  for (uint32_t i = grid + 1; i < end; i++) {
    switch (p->code[i].op) {
      case AP_OP_LOOP:
        times[depth + 1] = times[depth] * p->code[i].index;
        depth++;
        break;
      case AP_OP_ENDLOOP: depth--; break;
      case AP_OP_STEPS: sum += times[depth] * p->streams[p->code[i].index].count; break;
      default: sum += times[depth]; break;
    }
  }
  return sum;
}

static uint32_t add_region(struct planner *pl, uint32_t i) {
  struct ap_run *run = pl->run;
  const struct ap_program *p = run->program;
  const struct ap_grid *grid = &p->grids[p->code[i].index];
  uint32_t end = ap_region_end(p, i);
  uint32_t layer = ap_layer_of(p, i);
  if (!pl->open || run->stages[run->nstages - 1].layer != layer) {
    add_stage(pl, AP_STAGE_REGIONS, layer)->first = (uint32_t)run->nregions;
  }
  struct ap_stage *stage = &run->stages[run->nstages - 1];
  BF_PUSH(run->regions, run->nregions, pl->regions_capacity) =
      (struct ap_region){i, end, ap_grid_tiles(grid)};
  stage->count++;
  stage->tiles += ap_grid_tiles(grid);
  double blocks = (double)((ap_grid_rows(grid) + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS), work = blocks * code_length(p, i, end);
  stage->work += work;
  return end;
}

static uint32_t plan_at(struct planner *pl, uint32_t i) {
  const struct ap_program *p = pl->run->program;
  switch (p->code[i].op) {
    case AP_OP_GRID: return add_region(pl, i);
    case AP_OP_HOST: add_stage(pl, AP_STAGE_HOST, ap_layer_of(p, i))->index = p->code[i].index; break;
    case AP_OP_BARRIER:
    case AP_OP_HALT: add_stage(pl, AP_STAGE_EPOCH, p->nlayers); break;
    default: break;
  }
  return i;
}

// Layers whose code ends before instruction `at`.
static void end_layers(struct planner *pl, uint32_t *layer, uint32_t at) {
  const struct ap_program *p = pl->run->program;
  while (*layer < p->nlayers && p->layers[*layer].end <= at) {
    add_stage(pl, AP_STAGE_LAYER, (*layer)++);
    pl->run->layer_stages[*layer] = pl->run->nstages;
  }
}

void ap_run_plan(struct ap_run *run) {
  const struct ap_program *p = run->program;
  struct planner pl = {.run = run};
  uint32_t layer = 0;
  run->layer_stages = bf_alloc((size_t)p->nlayers + 1, sizeof *run->layer_stages);
  end_layers(&pl, &layer, 0);
  for (uint32_t i = 0; i < p->ncode; i++) {
    i = plan_at(&pl, i);
    end_layers(&pl, &layer, i + 1);
  }
}
