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
static struct stores list_stores(const struct ap_run *run, const struct ap_block_plan *plan, const bool *table_stores) {
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
      for (uint32_t s = 0; s < stream->count && table_stores[stream->table]; s++) {
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

static bool loads_stored(const struct ap_run *run, const struct ap_block_plan *plan, const bool *stored) {
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_LOAD && stored[ap_tensor_root(run->program, run->program->descs[e->instr->index].tensor)]) {
      return true;
    }
  }
  return false;
}

// By table: whether a stream takes a store from it. Most do not, and then their streams need not be looked through.
static bool *find_stores(const struct ap_program *p, const struct ap_block_uses *uses) {
  bool *found = bf_alloc((size_t)p->ntables + 1, sizeof *found);
  for (uint32_t t = 0; t < p->ntables; t++) {
    const struct ap_block_calls *calls = ap_block_uses_of(uses, t);
    for (uint32_t i = 0; i < p->tables[t].count && !found[t]; i++) {
      found[t] = p->tables[t].items[i].op == AP_OP_STORE && calls[i].whole + calls[i].partial > 0;
    }
  }
  return found;
}

// A store of successive positions of one channel.
struct range { uint32_t root, channel; int64_t first, end; };

static int compare_ranges(const void *x, const void *y) {
  const struct range *a = x, *b = y;
  if (a->root != b->root) {
    return a->root < b->root ? -1 : 1;
  }
  if (a->channel != b->channel) {
    return a->channel < b->channel ? -1 : 1;
  }
  return (a->first > b->first) - (a->first < b->first);
}

// Whether the stores are all of successive positions, and none of two meet.
static bool ranges_apart(const struct ap_run *run, const struct stores *all) {
  const struct ap_program *p = run->program;
  struct range *ranges = bf_alloc(all->count + 1, sizeof *ranges);
  bool apart = true;
  for (size_t i = 0; i < all->count && apart; i++) {
    struct ap_plane_access access;
    struct ap_move move = ap_move_of(p, all->items[i].instr);
    int64_t rows = (int64_t)ap_grid_rows(&p->grids[p->descs[all->items[i].desc].grid]);
    apart = ap_plane_access(run, &move, &access) && access.whole && access.repeat == 1;
    ranges[i] = (struct range){access.tensor, access.channel, access.position, access.position + rows};
  }
  if (apart) {
    qsort(ranges, all->count, sizeof *ranges, compare_ranges);
  }
  for (size_t i = 1; i < all->count && apart; i++) {
    const struct range *a = &ranges[i - 1], *b = &ranges[i];
    apart = a->root != b->root || a->channel != b->channel || a->end <= b->first;
  }
  free(ranges);
  return apart;
}

// The general case: all elements that the stores write, one by one.
static bool elements_meet(const struct ap_run *run, const struct stores *all) {
  const struct ap_program *p = run->program;
  uint64_t **marked = bf_alloc((size_t)p->ntensors + 1, sizeof *marked);
  bool meet = false;
  for (size_t i = 0; i < all->count && !meet; i++) {
    uint32_t root = ap_tensor_root(p, p->descs[all->items[i].desc].tensor);
    if (marked[root] == NULL) {
      marked[root] = bf_alloc(ap_tensor_elements(&p->tensors[root]) / 64 + 1, sizeof **marked);
    }
    meet = !ap_rows_mark(run, all->items[i].instr, marked[root]);
  }
  for (uint32_t t = 0; t < p->ntensors; t++) {
    free(marked[t]);
  }
  free(marked);
  return meet;
}

bool ap_block_order_matters(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_block_uses *uses) {
  const struct ap_program *p = run->program;
  bool *table_stores = find_stores(p, uses), *stored = bf_alloc((size_t)p->ntensors + 1, sizeof *stored);
  struct stores all = list_stores(run, plan, table_stores);
  for (size_t i = 0; i < all.count; i++) {
    stored[ap_tensor_root(p, p->descs[all.items[i].desc].tensor)] = true;
  }
  bool matters = loads_stored(run, plan, stored) || (!ranges_apart(run, &all) && elements_meet(run, &all));
  free(table_stores);
  free(stored);
  free(all.items);
  return matters;
}
