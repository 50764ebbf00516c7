// SPDX-License-Identifier: Apache-2.0
// Memory that temporary tensors share. Those of a large network are many times what is in use at once; where they share, what is in use stays in the
// caches, and the system has few pages to find.
//
// A tensor is in use from the first stage that moves it to the last. If that first stage stores all of its elements and loads none, nobody can see what
// was there before, in any execution and with any engine, as stages are always executed in this order.
#include <stdlib.h>

#include "runtime/block_bind.h"
#include "runtime/kernel.h"

struct life {
  size_t first, last;  // stages
  bool used, good;
};
// Memory of tensors one after the other.
struct slot { uint64_t bytes; size_t last; };
struct slots { struct slot *items; size_t count, capacity; };

static struct life *find_lives(const struct ap_run *run) {
  struct life *lives = bf_alloc((size_t)run->program->ntensors + 1, sizeof *lives);
  for (size_t s = 0; s < run->nstages; s++) {
    const struct ap_block_plan *plan = run->blocks->plans[s];
    for (size_t i = 0; plan != NULL && i < plan->ntensors; i++) {
      const struct ap_tensor_use *use = &plan->tensors[i];
      struct life *life = &lives[use->tensor];
      if (!life->used) {
        *life = (struct life){.first = s, .used = true, .good = plan->covers[use->tensor] && !use->loaded};
      }
      life->last = s;
    }
  }
  return lives;
}

// Tensors that others than the stages of regions move, or that may be asked for.
static void leave_out_seen(const struct ap_program *p, struct life *lives) {
  for (uint32_t i = 0; i < p->ninputs; i++) {
    lives[ap_tensor_root(p, p->inputs[i])].good = false;
  }
  for (uint32_t i = 0; i < p->noutputs; i++) {
    lives[ap_tensor_root(p, p->outputs[i])].good = false;
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (p->layers[i].output < p->ntensors) {
      lives[ap_tensor_root(p, p->layers[i].output)].good = false;
    }
  }
  for (uint32_t i = 0; i < p->nhosts; i++) {
    lives[ap_tensor_root(p, p->hosts[i].input)].good = false;
    lives[ap_tensor_root(p, p->hosts[i].output)].good = false;
  }
  for (uint32_t t = 0; t < p->ntensors; t++) {
    lives[t].good = lives[t].good && p->tensors[t].storage == AP_STORAGE_TEMP;
  }
}

// The smallest slot that is free and large enough, else the largest that is free, else a new one.
static size_t find_slot(struct slots *slots, const struct life *life, uint64_t bytes) {
  size_t best = SIZE_MAX;
  for (size_t i = 0; i < slots->count; i++) {
    uint64_t have = slots->items[i].bytes, best_has = best == SIZE_MAX ? 0 : slots->items[best].bytes;
    if (slots->items[i].last < life->first && (best == SIZE_MAX || (have >= bytes ? best_has < bytes || have < best_has : have > best_has))) {
      best = i;
    }
  }
  if (best == SIZE_MAX) {
    best = slots->count;
    BF_PUSH(slots->items, slots->count, slots->capacity) = (struct slot){0, 0};
  }
  struct slot *slot = &slots->items[best];
  slot->bytes = bytes > slot->bytes ? bytes : slot->bytes;
  slot->last = life->last;
  return best;
}

struct sharer { uint32_t tensor; size_t elements, planes; };  // slots
static int compare_first(const void *x, const void *y) {
  const size_t *a = x, *b = y;
  return a[0] != b[0] ? (a[0] > b[0]) - (a[0] < b[0]) : (a[1] > b[1]) - (a[1] < b[1]);
}

// Zeros that take no time until they are used; returns the number of the first.
static size_t allocate(struct ap_run *run, const struct slots *slots) {
  size_t first = run->nshared;
  for (size_t i = 0; i < slots->count; i++) {
    BF_PUSH(run->shared, run->nshared, run->shared_capacity) = bf_alloc(slots->items[i].bytes + AP_COLUMN_WORDS * sizeof(uint64_t), 1);
  }
  return first;
}

static uint64_t *aligned(void *memory) {
  uintptr_t line = AP_COLUMN_WORDS * sizeof(uint64_t);
  return (uint64_t *)(((uintptr_t)memory + line - 1) / line * line);
}

static void share(struct ap_run *run, const struct life *lives) {
  const struct ap_program *p = run->program;
  struct slots elements = {0}, planes = {0};
  size_t (*order)[2] = bf_alloc((size_t)p->ntensors + 1, sizeof *order), count = 0;  // first stage, tensor
  struct sharer *sharers = bf_alloc((size_t)p->ntensors + 1, sizeof *sharers);
  for (uint32_t t = 0; t < p->ntensors; t++) {
    if (lives[t].good && run->planes[t].words == NULL) {
      order[count][0] = lives[t].first;
      order[count++][1] = t;
    }
  }
  qsort(order, count, sizeof *order, compare_first);
  for (size_t i = 0; i < count; i++) {
    uint32_t t = (uint32_t)order[i][1];
    uint64_t bytes = ap_tensor_elements(&p->tensors[t]) * run->memory[t].size;
    sharers[i] = (struct sharer){t, find_slot(&elements, &lives[t], bytes), SIZE_MAX};
    if (!ap_planes_too_large(&run->planes[t])) {
      sharers[i].planes = find_slot(&planes, &lives[t], ap_planes_bytes(&run->planes[t]));
    }
  }
  size_t of_elements = allocate(run, &elements), of_planes = allocate(run, &planes);
  for (size_t i = 0; i < count; i++) {
    struct ap_memory *memory = &run->memory[sharers[i].tensor];
    free(memory->data);
    memory->data = run->shared[of_elements + sharers[i].elements];
    memory->shared = true;
    if (sharers[i].planes != SIZE_MAX) {
      run->planes[sharers[i].tensor].words = aligned(run->shared[of_planes + sharers[i].planes]);
    }
  }
  free(elements.items);
  free(planes.items);
  free(order);
  free(sharers);
}

void ap_blocks_share(struct ap_run *run) {
  const struct ap_program *p = run->program;
  bool all = p->nprofiles == 0 && !p->keep_all && run->nshared == 0;
  for (size_t s = 0; s < run->nstages && all; s++) {
    all = run->stages[s].kind != AP_STAGE_REGIONS || run->blocks->plans[s] != NULL;
  }
  if (all) {
    struct life *lives = find_lives(run);
    leave_out_seen(p, lives);
    share(run, lives);
    free(lives);
  }
}
