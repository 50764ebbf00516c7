// SPDX-License-Identifier: Apache-2.0
// Pieces of work: some regions on one block, or one region on some blocks, side by side in lanes.
//
// A lane is one region on one block; lanes have nothing to do with each other. What a processor loses most time with is jumping to a kernel other
// than the last one. So lanes of one region advance call by call; lanes of several regions in an order in which the same kernel is
// called by many of them, one after the other. Such an order is worked out once, for all blocks and all executions.
#include <stdlib.h>
#include <string.h>

#include "runtime/block_cursor.h"

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

// --- the order of lanes ------------------------------------------------------------------------------------

#define MANY_BLOCKS 4  // on which an order pays in the first execution

// The order of a group of regions; the first thread that needs it makes it. NULL: not worth it.
static const struct ap_block_order *order_of(const struct ap_block_thread *t, const struct ap_bundle *bundle, uint32_t group, unsigned lanes,
                                             const struct ap_block_region *regions) {
  const struct ap_block_plan *plan = t->plan;
  if (plan->room == NULL || (!plan->ordering && bundle->blocks < MANY_BLOCKS)) {
    return NULL;
  }
  _Atomic(struct ap_block_order *) *place = &bundle->orders[group];
  struct ap_block_order *there = atomic_load(place);
  if (there == NULL && !atomic_load(&plan->room->full)) {
    size_t taken = atomic_load(&plan->room->bytes);
    struct ap_block_order *made = ap_block_order_new(t->run, plan, regions, lanes, t->counted, taken < AP_ORDER_BYTES ? AP_ORDER_BYTES - taken : 0);
    if (made == NULL) {
      atomic_store(&plan->room->full, true);
      return NULL;
    }
    if (atomic_compare_exchange_strong(place, &there, made)) {
      atomic_fetch_add(&plan->room->bytes, made->bytes);
      return made;
    }
    ap_block_order_free(made);
  }
  return there;
}

#define FETCHED_BYTES 4096u

// Calls of the group that comes next, to be near when it does.
static void fetch_order(const struct ap_bundle *bundle, uint32_t group) {
  const struct ap_block_order *next = group + 1 < ap_bundle_groups(bundle) ? atomic_load_explicit(&bundle->orders[group + 1], memory_order_acquire) : NULL;
  if (next != NULL) {
    size_t bytes = next->nwide * sizeof *next->wide + next->count * sizeof *next->calls;
    for (size_t at = 0; at < bytes && at < FETCHED_BYTES; at += 64) {
      __builtin_prefetch((const char *)next->wide + at);
    }
  }
}

void ap_block_forget_orders(struct ap_block_plan *plan) {
  for (size_t i = 0; i < plan->nbundles; i++) {
    struct ap_bundle *b = &plan->bundles[i];
    for (uint32_t g = 0; b->orders != NULL && g < ap_bundle_groups(b); g++) {
      struct ap_block_order *order = atomic_exchange(&b->orders[g], NULL);
      if (order != NULL) {
        atomic_fetch_sub(&plan->room->bytes, order->bytes);
        atomic_store(&plan->room->full, false);
      }
      ap_block_order_free(order);
    }
  }
}

// --- a lane at work ----------------------------------------------------------------------------------------

static void select_lane(struct ap_block_thread *t, const struct ap_block_lane *lane) {
  t->at = lane->at;
}

static void run_load(struct ap_block_thread *t, struct ap_block_lane *lane, const struct ap_entry *e) {
  uint64_t *place = lane->cells + (size_t)e->instr->f[0].col * AP_COLUMN_WORDS, *loaded = NULL;
  if (e->source != AP_NO_SOURCE) {
    loaded = lane->area + t->plan->sources[e->source].column * AP_COLUMN_WORDS;
  } else {
    select_lane(t, lane);
    loaded = ap_block_in_planes(t, e);
  }
  if (loaded == NULL) {
    ap_block_move_in(t, e, place);
  } else if (e->base[0] == 0) {
    memcpy(place, loaded, e->instr->f[0].width * COLUMN_BYTES);
  }
  if (e->base[0] != 0) {
    lane->base[e->base[0]] = loaded != NULL ? loaded : place;
  }
}

static void run_entry(struct ap_block_thread *t, struct ap_block_lane *lane, const struct ap_entry *e) {
  uint64_t *d = lane->base[e->base[0]] + e->at[0];
  switch (e->kind) {
    case AP_ENTRY_KERNEL:
      ap_block_steps(t, e, &(struct ap_block_operands){d, lane->base[e->base[1]] + e->at[1], lane->base[e->base[2]] + e->at[2], lane->cells,
                                                       lane->tags, lane->masks});
      break;
    case AP_ENTRY_LOAD: run_load(t, lane, e); break;
    default:
      select_lane(t, lane);
      ap_block_move_out(t, e, d);
      break;
  }
}

static inline uint64_t *operand(const struct ap_block_lane *lane, const struct ap_call *call, unsigned slot) {
  return lane->base[call->base[slot]] + call->at[slot] * AP_COLUMN_WORDS;
}

static inline void run_call(struct ap_block_thread *t, struct ap_block_lane *lane, const struct ap_call *call) {
  if (call->kind == AP_CALL_KERNEL) {
    lane->fn[call->kernel](operand(lane, call, 0), operand(lane, call, 1), operand(lane, call, 2), lane->cells, lane->tags, lane->masks,
                           call->u.imm, &t->counts);
  } else if (call->kind == AP_CALL_CACHED) {
    lane->base[call->base[0]] = lane->area + (size_t)call->column * AP_COLUMN_WORDS;
  } else if (call->kind == AP_CALL_PLANES) {
    lane->base[call->base[0]] = call->u.columns + lane->along[call->along] * call->column * AP_COLUMN_WORDS;
  } else {
    run_entry(t, lane, call->entry);
  }
}

// --- a piece -----------------------------------------------------------------------------------------------

// `zero`: columns that have to be 0; NULL: all that the stage uses.
static void begin_lane(struct ap_block_thread *t, struct ap_block_lane *lane, const struct ap_row_order *order, const struct ap_columns *zero, size_t nzero) {
  const struct ap_block_plan *plan = t->plan;
  size_t i = (size_t)(lane - t->lanes);
  lane->cells = t->cells + i * ap_lane_columns(t->run->program) * AP_COLUMN_WORDS;
  lane->masks = t->masks + i * AP_COLUMN_WORDS;
  lane->tags = t->tags + i * AP_COLUMN_WORDS;
  lane->along[0] = lane->at.row0 / AP_BLOCK_ROWS;
  lane->along[1] = lane->at.block;
  lane->area = t->cache->words + (order != NULL ? lane->along[0] : lane->at.block) * plan->area_columns * AP_COLUMN_WORDS;
  lane->fn = t->fns[ap_order_mask(order, &lane->at, lane->masks)];
  lane->base[0] = lane->cells;
  for (unsigned k = 1; k < plan->nbases; k++) {
    lane->base[k] = t->zeros;
  }
  memset(lane->tags, 0, COLUMN_BYTES);
  if (zero == NULL) {
    zero = plan->zero;
    nzero = plan->nzero;
  }
  for (size_t z = 0; z < nzero; z++) {
    memset(lane->cells + (size_t)zero[z].first * AP_COLUMN_WORDS, 0, zero[z].count * COLUMN_BYTES);
  }
}

static bool same_operands(const struct ap_call *x, const struct ap_call *y) {
  return memcmp(x->base, y->base, sizeof x->base) == 0 && memcmp(x->at, y->at, sizeof x->at) == 0 && x->entry->micro == y->entry->micro;
}

// The pattern instruction that comes next, together with those behind it that differ in their keys alone.
static void run_patterns(struct ap_block_thread *t, unsigned lanes, struct ap_calls *c) {
  const struct ap_call *first = ap_calls_next(c);
  ap_block_table_begin(t, first->entry);
  while (c->ops != NULL) {
    const struct ap_call *call = ap_calls_next(c);
    if (call->kind != AP_CALL_PATTERN || !same_operands(first, call) || !ap_block_table_add(t, call->entry)) {
      break;
    }
    ap_calls_step(c, t->run->program);
  }
  ap_block_table_prepare(t);
  for (unsigned i = 0; i < lanes; i++) {
    const struct ap_block_lane *lane = &t->lanes[i];
    ap_block_table_run(t, operand(lane, first, 0), operand(lane, first, 1), operand(lane, first, 2), lane->masks);
  }
}

static void run_blocks(struct ap_block_thread *t, const struct ap_block_region *region, uint64_t block, uint64_t end) {
  const struct ap_program *program = t->run->program;
  unsigned lanes = 0;
  for (; block < end; block++) {
    struct ap_block_lane *lane = &t->lanes[lanes];
    if (ap_order_block(region->order, region->grid, block, &lane->at)) {
      begin_lane(t, lane, region->order, NULL, 0);
      lanes++;
    }
  }
  struct ap_calls c;
  for (ap_calls_begin(&c, program, region); c.ops != NULL && lanes > 0;) {
    const struct ap_call *call = ap_calls_next(&c);
    if (call->kind == AP_CALL_PATTERN) {
      run_patterns(t, lanes, &c);
      continue;
    }
    ap_calls_step(&c, program);
    for (unsigned i = 0; i < lanes; i++) {
      run_call(t, &t->lanes[i], call);
    }
  }
}

// One block of a piece that is executed in order, with its lanes.
struct member {
  uint64_t *places[AP_BLOCK_PLACES];
  struct ap_block_lane *lanes;
  ap_kernel *const *fn;  // of all lanes: at hand, as the jump to a kernel waits for it
};

static void run_entry_at(struct ap_block_thread *t, const struct ap_block_lane *lane, const struct ap_entry *e, uint64_t *const operand[3]) {
  if (e->kind == AP_ENTRY_KERNEL) {
    ap_block_steps(t, e, &(struct ap_block_operands){operand[0], operand[1], operand[2], lane->cells, lane->tags, lane->masks});
  } else if (e->kind == AP_ENTRY_STORE) {
    ap_block_move_out(t, e, operand[0]);
  } else if (e->source != AP_NO_SOURCE) {  // kept, but wanted in the cells
    memcpy(operand[0], lane->area + t->plan->sources[e->source].column * AP_COLUMN_WORDS, e->instr->f[0].width * COLUMN_BYTES);
  } else {
    ap_block_move_in(t, e, operand[0]);
  }
}

static void find_operands(const struct member *m, const struct ap_wide_call *w, uint64_t *operand[3]) {
  for (unsigned slot = 0; slot < 3; slot++) {
    operand[slot] = m->places[w->place[slot]] + (size_t)w->column[slot] * AP_COLUMN_WORDS;
  }
}

static void run_wide(struct ap_block_thread *t, const struct member *m, const struct ap_wide_call *w) {
  struct ap_block_lane *lane = &m->lanes[w->lane];
  uint64_t *operand[3];
  find_operands(m, w, operand);
  if (w->kind == AP_WIDE_KERNEL) {
    lane->fn[w->kernel](operand[0], operand[1], operand[2], lane->cells, lane->tags, lane->masks, w->imm, &t->counts);
    return;
  }
  if (w->kind == AP_WIDE_CONSTANTS) {
    t->spread->bytes(w->planes->values + lane->at.channel, w->planes->order->shift, w->planes->bits, operand[0]);
    return;
  }
  if (w->kind == AP_WIDE_COPY) {
    memcpy(operand[0], operand[1], w->imm * COLUMN_BYTES);
    return;
  }
  select_lane(t, lane);
  switch (w->kind) {
    case AP_WIDE_LOAD_PLANES: ap_block_load_planes(t, w->planes, operand[0]); break;
    case AP_WIDE_STORE_PLANES: ap_block_store_planes(t, w->planes, operand[0]); break;
    default: run_entry_at(t, lane, w->entry, operand); break;
  }
}

static void find_places(const struct ap_block_thread *t, struct member *m) {
  const struct ap_block_plan *plan = t->plan;
  m->places[AP_PLACE_CELLS] = m->lanes[0].cells;
  m->places[AP_PLACE_AREA] = m->lanes[0].area;
  m->places[AP_PLACE_ZEROS] = t->zeros;
  for (unsigned k = AP_PLACE_PLANES; k < plan->nplaces; k++) {
    const struct ap_plane_place *place = &plan->places[k];
    m->places[k] = place->planes->words + m->lanes[0].along[place->along] * place->planes->bits * AP_COLUMN_WORDS;
  }
}

static inline void run_short(struct ap_block_thread *t, const struct member *m, const struct ap_block_order *order, uint64_t call) {
  unsigned kernel = AP_SHORT_KERNEL(call);
  if (kernel == AP_SHORT_WIDE) {
    run_wide(t, m, &order->wide[AP_SHORT_A(call)]);
    return;
  }
  const struct ap_block_lane *lane = &m->lanes[AP_SHORT_LANE(call)];
  m->fn[kernel](m->places[AP_PLACE_CELLS] + AP_SHORT_D(call) * AP_COLUMN_WORDS,
                m->places[AP_SHORT_PLACE(call)] + AP_SHORT_A(call) * AP_COLUMN_WORDS, NULL, lane->cells, lane->tags, lane->masks, AP_SHORT_A(call),
                   &t->counts);
}

// The call if it is of a pattern instruction, else NULL.
static inline const struct ap_wide_call *pattern_call(const struct ap_block_order *order, uint64_t call) {
  const struct ap_wide_call *w = AP_SHORT_KERNEL(call) == AP_SHORT_WIDE ? &order->wide[AP_SHORT_A(call)] : NULL;
  return w != NULL && w->kind == AP_WIDE_PATTERN ? w : NULL;
}

static bool same_places(const struct ap_wide_call *x, const struct ap_wide_call *y) {
  return x->lane == y->lane && memcmp(x->place, y->place, sizeof x->place) == 0 && memcmp(x->column, y->column, sizeof x->column) == 0 &&
         x->entry->micro == y->entry->micro;
}

// As run_patterns, in order: returns the last call that it took.
static const uint64_t *run_pattern_calls(struct ap_block_thread *t, const struct member *members, unsigned count,
                                         const struct ap_block_order *order, const uint64_t *c, const uint64_t *last) {
  const struct ap_wide_call *first = pattern_call(order, *c), *w = first;
  ap_block_table_begin(t, first->entry);
  for (; w != NULL && same_places(first, w) && ap_block_table_add(t, w->entry); w = c < last ? pattern_call(order, *c) : NULL) {
    c++;
  }
  ap_block_table_prepare(t);
  for (unsigned i = 0; i < count; i++) {
    uint64_t *operand[3];
    find_operands(&members[i], first, operand);
    ap_block_table_run(t, operand[0], operand[1], operand[2], members[i].lanes[first->lane].masks);
  }
  return c - 1;
}

// Lanes of all regions on each block; there are several of one of the two.
static void run_in_order(struct ap_block_thread *t, const struct ap_block_region *regions, unsigned lanes, uint64_t block, uint64_t end,
                         const struct ap_block_order *order) {
  struct member members[AP_BLOCK_GROUP];
  unsigned count = 0;
  for (; block < end; block++) {
    struct ap_block_rows at;
    if (!ap_order_block(regions->order, regions->grid, block, &at)) {
      continue;
    }
    struct member *m = &members[count];
    m->lanes = &t->lanes[count++];
    for (unsigned i = 0; i < lanes; i++) {
      m->lanes[i].at = at;
      begin_lane(t, &m->lanes[i], regions->order, t->counted ? NULL : order->zero[i], order->nzero[i]);
    }
    find_places(t, m);
    m->fn = m->lanes[0].fn;
  }
  if (count == 1) {  // the compiler makes a tight loop of it
    const struct member one = members[0];
    for (const uint64_t *c = order->calls, *last = c + order->count; c < last; c++) {
      if (pattern_call(order, *c) != NULL) {
        c = run_pattern_calls(t, &one, 1, order, c, last);
        continue;
      }
      run_short(t, &one, order, *c);
    }
    return;
  }
  for (const uint64_t *c = order->calls, *last = c + order->count; c < last; c++) {
    if (pattern_call(order, *c) != NULL) {
      c = run_pattern_calls(t, members, count, order, c, last);
      continue;
    }
    for (unsigned i = 0; i < count; i++) {
      run_short(t, &members[i], order, *c);
    }
  }
}

// A group of regions on some blocks, the `piece`th of them.
static void run_group(struct ap_block_thread *t, const struct ap_bundle *bundle, uint32_t group, uint64_t piece) {
  const struct ap_block_plan *plan = t->plan;
  uint32_t first = group * bundle->lanes;
  uint64_t block = piece * bundle->group, end = block + bundle->group < bundle->blocks ? block + bundle->group : bundle->blocks;
  unsigned lanes = bundle->count - first < bundle->lanes ? bundle->count - first : bundle->lanes;
  const struct ap_block_region *regions = &plan->regions[bundle->first + first];
  for (unsigned i = 0; i < lanes && block == 0 && plan->times == NULL; i++) {
    ap_block_account(t, &regions[i]);
  }
  size_t columns = t->run->program->machine.columns, most = bundle->lanes > bundle->group ? bundle->lanes : bundle->group;
  ap_block_reserve(t, (most * ap_lane_columns(t->run->program) + columns - 1) / columns);
  const struct ap_block_order *order = order_of(t, bundle, group, lanes, regions);
  if (order != NULL) {
    fetch_order(bundle, group);
    run_in_order(t, regions, lanes, block, end, order);
    return;
  }
  for (unsigned i = 0; i < lanes; i++) {
    run_blocks(t, &regions[i], block, end);
  }
}

void ap_block_piece(struct ap_block_thread *t, const struct ap_bundle *bundle, uint64_t piece) {
  uint32_t groups = ap_bundle_groups(bundle);
  uint64_t along = (bundle->blocks + bundle->group - 1) / bundle->group;
  if (t->plan->regions[bundle->first].order != NULL) {  // blocks of one channel after the other see the same kept columns
    run_group(t, bundle, (uint32_t)(piece / along), piece % along);
    return;
  }
  if (!t->plan->blockwise) {
    run_group(t, bundle, (uint32_t)(piece % groups), piece / groups);
    return;
  }
  for (uint32_t group = 0; group < groups; group++) {
    run_group(t, bundle, group, piece);
  }
}
