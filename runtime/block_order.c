// SPDX-License-Identifier: Apache-2.0
// Whether the order in which blocks run can be seen in memory.
#include <stdlib.h>

#include "runtime/block_plan.h"

struct store { uint32_t region, desc, tap; const struct ap_instr *instr; };
struct stores { struct store *items; size_t count, capacity; };

static int compare_stores(const void *x, const void *y) {
  const struct store *a = x, *b = y;
  if (a->region != b->region) {
    return a->region < b->region ? -1 : 1;
  }
  if (a->desc != b->desc) {
    return a->desc < b->desc ? -1 : 1;
  }
  return (a->tap > b->tap) - (a->tap < b->tap);
}

static void add_store(struct stores *all, uint32_t region, const struct ap_instr *instr) {
  if (instr->op == AP_OP_STORE) {
    BF_PUSH(all->items, all->count, all->capacity) = (struct store){region, instr->index, instr->tap, instr};
  }
}

// The stores of each region. In one region, the same store again meets only itself, row by row.
static struct stores list_stores(const struct ap_run *run, const struct ap_block_plan *plan) {
  const struct ap_program *p = run->program;
  struct stores all = {0};
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    const struct ap_region *region = plan->regions[r].region;
    for (uint32_t i = region->grid + 1; i < region->end; i++) {
      if (p->code[i].op != AP_OP_STEPS) {
        add_store(&all, r, &p->code[i]);
        continue;
      }
      const struct ap_stream *stream = &p->streams[p->code[i].index];
      for (uint32_t s = 0; s < stream->count; s++) {
        add_store(&all, r, &p->tables[stream->table].items[stream->steps[s]]);
      }
    }
  }
  if (all.count > 0) {
    qsort(all.items, all.count, sizeof *all.items, compare_stores);
  }
  size_t kept = 0;
  for (size_t i = 0; i < all.count; i++) {
    if (i == 0 || compare_stores(&all.items[i - 1], &all.items[i]) != 0) {
      all.items[kept++] = all.items[i];
    }
  }
  all.count = kept;
  return all;
}

static bool loads_stored(const struct ap_run *run, const struct ap_block_plan *plan, uint64_t *const *marked) {
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_LOAD &&
        marked[ap_tensor_root(run->program, run->program->descs[e->instr->index].tensor)] != NULL) {
      return true;
    }
  }
  return false;
}

bool ap_block_order_matters(const struct ap_run *run, const struct ap_block_plan *plan) {
  const struct ap_program *p = run->program;
  struct stores all = list_stores(run, plan);
  uint64_t **marked = bf_alloc((size_t)p->ntensors + 1, sizeof *marked);
  bool matters = false;
  for (size_t i = 0; i < all.count && !matters; i++) {
    uint32_t root = ap_tensor_root(p, p->descs[all.items[i].desc].tensor);
    if (marked[root] == NULL) {
      marked[root] = bf_alloc(ap_tensor_elements(&p->tensors[root]) / 64 + 1, sizeof **marked);
    }
    matters = !ap_rows_mark(run, all.items[i].instr, marked[root]);
  }
  matters = matters || loads_stored(run, plan, marked);
  for (uint32_t t = 0; t < p->ntensors; t++) {
    free(marked[t]);
  }
  free(marked);
  free(all.items);
  return matters;
}
