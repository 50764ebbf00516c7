// SPDX-License-Identifier: Apache-2.0
// In which form, elements or planes, the moves of a stage find their tensors.
#include <stdlib.h>

#include "runtime/block_plan.h"

static bool is_move(const struct ap_entry *e) { return e->kind == AP_ENTRY_LOAD || e->kind == AP_ENTRY_STORE; }

static struct ap_tensor_use *use_of(struct ap_block_plan *plan, uint32_t *numbers, uint32_t root) {
  if (numbers[root] == 0) {
    BF_PUSH(plan->tensors, plan->ntensors, plan->tensors_capacity) = (struct ap_tensor_use){.tensor = root};
    numbers[root] = (uint32_t)plan->ntensors;
  }
  return &plan->tensors[numbers[root] - 1];
}

// Whether this move can be done in planes. Threads that store must not meet in a word.
static bool in_planes(const struct ap_run *run, const struct ap_entry *e, struct ap_plane_access *out) {
  if (!ap_plane_access(run->program, e->instr, out)) {
    return false;
  }
  const struct ap_grid *grid = &run->program->grids[run->program->descs[e->instr->index].grid];
  bool aligned = out->position % 64 == 0 && (grid->tile_rows % 64 == 0 || ap_grid_tiles(grid) == 1);
  return e->kind == AP_ENTRY_LOAD || (out->whole && aligned);
}

// All stores of a tensor in one form: this one keeps to elements if one of them must.
static void forbid_planes(const struct ap_run *run, struct ap_block_plan *plan, bool *forbidden) {
  struct ap_plane_access access;
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_STORE && (plan->tilewise || !in_planes(run, e, &access))) {
      forbidden[ap_tensor_root(run->program, run->program->descs[e->instr->index].tensor)] = true;
    }
  }
}

void ap_block_find_planes(const struct ap_run *run, struct ap_block_plan *plan) {
  const struct ap_program *p = run->program;
  bool *forbidden = bf_alloc((size_t)p->ntensors + 1, sizeof *forbidden);
  uint32_t *numbers = bf_alloc((size_t)p->ntensors + 1, sizeof *numbers);
  forbid_planes(run, plan, forbidden);
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    struct ap_plane_access access;
    if (!is_move(e)) {
      continue;
    }
    uint32_t root = ap_tensor_root(p, p->descs[e->instr->index].tensor);
    struct ap_tensor_use *use = use_of(plan, numbers, root);
    use->stored = use->stored || e->kind == AP_ENTRY_STORE;
    if (!plan->tilewise && in_planes(run, e, &access) && !(e->kind == AP_ENTRY_STORE && forbidden[root])) {
      struct ap_plane_access *kept = bf_arena_alloc(&plan->arena, 1, sizeof *kept);
      *kept = access;
      e->planes = kept;
      plan->bytes += sizeof *kept;
      use->planes = true;
    } else {
      use->elements = true;
    }
  }
  free(forbidden);
  free(numbers);
}

bool ap_block_in_place(const struct ap_run *run, const struct ap_grid *grid, const struct ap_entry *e) {
  return e->planes != NULL && e->planes->whole && e->planes->position % AP_BLOCK_ROWS == 0 &&
         ap_planes_pitch(&run->program->tensors[e->planes->tensor]) == AP_COLUMN_WORDS &&
         (grid->tile_rows % AP_BLOCK_ROWS == 0 || ap_grid_tiles(grid) == 1);
}

void ap_block_prepare_tensors(const struct ap_run *run, const struct ap_block_plan *plan) {
  for (size_t i = 0; i < plan->ntensors; i++) {
    const struct ap_tensor_use *use = &plan->tensors[i];
    struct ap_planes *planes = &run->planes[use->tensor];
    if (use->elements) {
      ap_planes_to_memory(run, use->tensor);
    }
    if (use->planes) {
      ap_planes_update(run, use->tensor);
    }
    if (use->stored) {  // never in both forms: a stage that loads what it stores is tilewise
      planes->current = use->planes;
      planes->memory_stale = use->planes;
    }
  }
}
