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
  BF_PUSH(all->items, all->count, all->capacity) = (struct store){region, instr->index, instr->tap, instr};
}

// Which items of each table are stores. Most tables have none, and then their streams need not be looked through.
struct table_stores { bool seen; bool *is_store; };

static const bool *stores_of(const struct ap_program *p, const struct ap_block_uses *uses, struct table_stores *tables, uint32_t number) {
  struct table_stores *t = &tables[number];
  const struct ap_table *table = &p->tables[number];
  const struct ap_block_calls *calls = ap_block_uses_of(uses, number);
  for (uint32_t i = 0; i < table->count && !t->seen; i++) {
    if (table->items[i].op == AP_OP_STORE && calls[i].whole + calls[i].partial > 0) {
      t->is_store = t->is_store != NULL ? t->is_store : bf_alloc(table->count, sizeof *t->is_store);
      t->is_store[i] = true;
    }
  }
  t->seen = true;
  return t->is_store;
}

// The stores of each region. In one region, the same store again meets only itself, row by row.
static struct stores list_stores(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_block_uses *uses) {
  const struct ap_program *p = run->program;
  struct table_stores *tables = bf_alloc((size_t)p->ntables + 1, sizeof *tables);
  struct stores all = {0};
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    const struct ap_region *region = plan->regions[r].region;
    for (uint32_t i = region->grid + 1; i < region->end; i++) {
      if (p->code[i].op == AP_OP_STORE) {
        add_store(&all, r, &p->code[i]);
      }
      if (p->code[i].op != AP_OP_STEPS) {
        continue;
      }
      const struct ap_stream *stream = &p->streams[p->code[i].index];
      const bool *is_store = stores_of(p, uses, tables, stream->table);
      for (uint32_t s = 0; s < stream->count && is_store != NULL; s++) {
        if (is_store[stream->steps[s]]) {
          add_store(&all, r, &p->tables[stream->table].items[stream->steps[s]]);
        }
      }
    }
  }
  for (uint32_t t = 0; t < p->ntables; t++) {
    free(tables[t].is_store);
  }
  free(tables);
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

// --- stores of rows that lie alike -----------------------------------------------------------------------

// Elements from an index of a row dimension to the next, those that have more than one index, from the nearest on. False: they do not move forward.
struct dimension { uint64_t step, count; };
struct lattice { struct dimension dims[4]; unsigned count; };

static int compare_dimensions(const void *x, const void *y) {
  const struct dimension *a = x, *b = y;
  return (a->step > b->step) - (a->step < b->step);
}

static void find_pitch(const struct ap_tensor *tensor, uint64_t pitch[4]) {
  pitch[3] = 1;
  for (int k = 2; k >= 0; k--) {
    pitch[k] = pitch[k + 1] * tensor->shape[k + 1];
  }
}

static bool find_lattice(const struct ap_program *p, const struct ap_desc *desc, struct lattice *l) {
  uint64_t pitch[4], reach;
  find_pitch(&p->tensors[desc->tensor], pitch);
  *l = (struct lattice){.count = 0};
  for (unsigned j = 0; j < 4; j++) {
    uint64_t count = p->grids[desc->grid].count[j];
    if (count == 1) {
      continue;
    }
    if (desc->row_dim[j] >= 4 || desc->row_stride[j] <= 0) {
      return false;
    }
    struct dimension *d = &l->dims[l->count++];
    *d = (struct dimension){(uint64_t)desc->row_stride[j] * pitch[desc->row_dim[j]], count};
    if (!bf_mul_limit(d->step, count, BF_MAX_ELEMENTS, &reach)) {
      return false;
    }
  }
  qsort(l->dims, l->count, sizeof *l->dims, compare_dimensions);
  return true;
}

static bool same_lattice(const struct lattice *a, const struct lattice *b) {
  bool same = a->count == b->count;
  for (unsigned i = 0; i < a->count && same; i++) {
    same = a->dims[i].step == b->dims[i].step && a->dims[i].count == b->dims[i].count;
  }
  return same;
}

// Where a store's row 0 goes.
struct origin { uint32_t root; uint64_t element; const struct store *store; };

static uint64_t origin_element(const struct ap_program *p, const struct store *s) {
  const struct ap_desc *desc = &p->descs[s->desc];
  uint64_t pitch[4], element = 0;
  uint32_t tap = s->tap;
  find_pitch(&p->tensors[desc->tensor], pitch);
  for (int k = 3; k >= 0; k--) {
    element += (uint64_t)(desc->origin[k] + (int64_t)(tap % desc->tap_count[k]) * desc->tap_step[k]) * pitch[k];
    tap /= desc->tap_count[k];
  }
  return element;
}

static int compare_origins(const void *x, const void *y) {
  const struct origin *a = x, *b = y;
  if (a->root != b->root) {
    return a->root < b->root ? -1 : 1;
  }
  return (a->element > b->element) - (a->element < b->element);
}

// Whether no element is stored twice by rows of this lattice from these origins on. So it is if the dimensions and the origins, as one more of them,
// can be put in an order in which an index moves by more than all those before it do together.
static bool origins_apart(const struct lattice *l, const struct origin *origins, size_t count) {
  uint64_t span = origins[count - 1].element - origins[0].element, least = UINT64_MAX, reach = 0;
  bool placed = count == 1;
  for (size_t i = 1; i < count; i++) {
    uint64_t gap = origins[i].element - origins[i - 1].element;
    least = gap < least ? gap : least;
  }
  for (unsigned i = 0; i <= l->count; i++) {
    uint64_t step = i < l->count ? l->dims[i].step : UINT64_MAX;
    if (!placed && least > reach && span < step - reach && step > reach) {
      placed = true;
      reach += span;
    }
    if (step <= reach) {
      return false;
    }
    reach += i < l->count ? step * (l->dims[i].count - 1) : 0;
  }
  return placed;
}

static bool root_apart(const struct ap_program *p, const struct origin *origins, size_t count) {
  struct lattice first, other;
  bool alike = find_lattice(p, &p->descs[origins[0].store->desc], &first);
  for (size_t i = 1; i < count && alike; i++) {
    uint32_t desc = origins[i].store->desc;
    alike = desc == origins[i - 1].store->desc || (find_lattice(p, &p->descs[desc], &other) && same_lattice(&first, &other));
  }
  return alike && origins_apart(&first, origins, count);
}

// Leaves the stores out that do not meet as all of their tensor lie alike. Finds out which tensors are wholly stored by such.
static void leave_out_apart(const struct ap_program *p, struct stores *all, bool *covers) {
  struct origin *origins = bf_alloc(all->count + 1, sizeof *origins);
  bool *apart = bf_alloc((size_t)p->ntensors + 1, sizeof *apart);
  for (size_t i = 0; i < all->count; i++) {
    const struct store *s = &all->items[i];
    origins[i] = (struct origin){ap_tensor_root(p, p->descs[s->desc].tensor), origin_element(p, s), s};
  }
  if (all->count > 0) {
    qsort(origins, all->count, sizeof *origins, compare_origins);
  }
  for (size_t i = 0, end; i < all->count; i = end) {
    for (end = i + 1; end < all->count && origins[end].root == origins[i].root; end++) {
    }
    uint32_t root = origins[i].root;
    apart[root] = root_apart(p, origins + i, end - i);
    uint64_t rows = ap_grid_rows(&p->grids[p->descs[origins[i].store->desc].grid]);
    covers[root] = apart[root] && rows * (end - i) == ap_tensor_elements(&p->tensors[root]);
  }
  size_t kept = 0;
  for (size_t i = 0; i < all->count; i++) {
    if (!apart[ap_tensor_root(p, p->descs[all->items[i].desc].tensor)]) {
      all->items[kept++] = all->items[i];
    }
  }
  all->count = kept;
  free(origins);
  free(apart);
}

// --- stores of successive positions ----------------------------------------------------------------------

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

bool ap_block_order_matters(const struct ap_run *run, struct ap_block_plan *plan, const struct ap_block_uses *uses) {
  const struct ap_program *p = run->program;
  bool *stored = bf_alloc((size_t)p->ntensors + 1, sizeof *stored);
  struct stores all = list_stores(run, plan, uses);
  for (size_t i = 0; i < all.count; i++) {
    stored[ap_tensor_root(p, p->descs[all.items[i].desc].tensor)] = true;
  }
  bool matters = loads_stored(run, plan, stored);
  plan->covers = bf_arena_alloc(&plan->arena, (size_t)p->ntensors + 1, sizeof *plan->covers);
  if (!matters) {
    leave_out_apart(p, &all, plan->covers);
    matters = !ranges_apart(run, &all) && elements_meet(run, &all);
  }
  free(stored);
  free(all.items);
  return matters;
}
