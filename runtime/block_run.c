// SPDX-License-Identifier: Apache-2.0
// A region's code on one block of rows.
#include "runtime/block_run.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/slices.h"

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

static uint64_t *columns_alloc(size_t columns) {
  uint64_t *words = aligned_alloc(COLUMN_BYTES, columns * COLUMN_BYTES);
  if (words == NULL) {
    abort();  // as bf_alloc
  }
  memset(words, 0, columns * COLUMN_BYTES);
  return words;
}

void ap_block_thread_init(struct ap_block_thread *t, const struct ap_run *run) {
  memset(t, 0, sizeof *t);
  t->run = run;
  t->zeros = columns_alloc(AP_MAX_WIDTH);
  t->gathered = (uint8_t *)columns_alloc(AP_BLOCK_ROWS * sizeof(uint64_t) / COLUMN_BYTES);
  t->moves = bf_alloc((size_t)run->program->ndescs + 1, sizeof *t->moves);
}

void ap_block_thread_free(struct ap_block_thread *t) {
  free(t->cells);
  free(t->masks);
  free(t->tags);
  free(t->zeros);
  free(t->gathered);
  free(t->moves);
  if (t->cap_ready) {
    ap_cap_free(&t->cap);
  }
}

void ap_block_reserve(struct ap_block_thread *t, size_t blocks) {
  if (blocks > t->blocks_capacity) {
    free(t->cells);
    free(t->masks);
    free(t->tags);
    t->cells = columns_alloc(blocks * t->run->program->machine.columns);
    t->masks = columns_alloc(blocks);
    t->tags = columns_alloc(blocks);
    t->blocks_capacity = blocks;
  }
}

unsigned ap_block_mask(uint64_t *mask, uint64_t rows) {
  for (uint64_t w = 0; w < AP_COLUMN_WORDS; w++) {
    mask[w] = rows >= 64 * w + 64 ? ~(uint64_t)0 : rows > 64 * w ? ((uint64_t)1 << (rows - 64 * w)) - 1 : 0;
  }
  return rows < AP_BLOCK_ROWS;
}

void ap_block_fill(struct ap_block_thread *t, const struct ap_instr *instr, uint64_t *to) {
  unsigned size = ap_run_memory(t->run, t->run->program->descs[instr->index].tensor)->size;
  ap_rows_gather(t->run, instr, t->row0, t->rows, t->gathered);
  ap_slice(t->gathered, size, t->rows, to, AP_COLUMN_WORDS, instr->f[0].width);
}

void ap_block_drain(struct ap_block_thread *t, const struct ap_instr *instr, const uint64_t *from) {
  unsigned size = ap_run_memory(t->run, t->run->program->descs[instr->index].tensor)->size;
  ap_unslice(from, AP_COLUMN_WORDS, instr->f[0].width, t->gathered, size, t->rows);
  ap_rows_scatter(t->run, instr, t->row0, t->rows, t->gathered);
}

// --- accounts ------------------------------------------------------------------------------------------

static uint64_t move_cycles(struct ap_block_thread *t, uint32_t desc, uint32_t tile, uint64_t row0, uint64_t rows) {
  struct ap_block_moves *m = &t->moves[desc];
  if (m->tile != tile + 1) {
    const struct ap_program *p = t->run->program;
    uint64_t distinct = ap_desc_distinct(p, &p->descs[desc], row0, rows);
    *m = (struct ap_block_moves){tile + 1, p->descs[desc].bits * ap_column_cycles(&p->machine, distinct)};
  }
  return m->cycles;
}

void ap_block_account(struct ap_block_thread *t, const struct ap_block_region *region, uint32_t tile) {
  const struct ap_program *p = t->run->program;
  uint64_t row0 = (uint64_t)tile * region->grid->tile_rows, left = ap_grid_rows(region->grid) - row0;
  uint64_t rows = left < region->grid->tile_rows ? left : region->grid->tile_rows, searched = ap_searched_rows(&p->machine, rows);
  struct ap_tile_time time = {.row_tile = tile, .load_key = region->region->load_key};
  struct ap_events events = {0};
  uint64_t within[AP_MAX_LOOP_NEST + 1] = {1};
  unsigned depth = 0;
  for (uint32_t i = 0, n = region->region->end - region->region->grid - 1; i < n; i++) {
    const struct ap_code_cost *cost = &region->costs[i];
    const struct ap_instr *instr = region->code[i].instr;
    if (instr->op == AP_OP_LOOP) {
      within[depth + 1] = within[depth] * instr->index;
      depth++;
    } else if (instr->op == AP_OP_ENDLOOP) {
      depth--;
    }
    uint64_t times = within[depth];  // those two cost nothing
    events.compare += times * cost->compares;
    events.write += times * cost->writes;
    events.shift += times * cost->shifts;
    events.count += times * cost->counts;
    events.compare_cells += times * cost->compare_cells * searched;
    for (uint32_t m = 0; m < cost->nmoves; m++) {
      const struct ap_move_cost *move = &t->plan->moves[cost->first_move + m];
      uint64_t cycles = move_cycles(t, move->desc, tile, row0, rows), bits = p->descs[move->desc].bits;
      events.load += times * (move->loads + move->prefetches) * bits;
      events.store += times * move->stores * bits;
      time.exposed += times * (move->loads + move->stores) * cycles;
      time.stored += times * move->stores * cycles;
      time.prefetched += times * move->prefetches * cycles;
    }
  }
  events.load_bits = events.load * rows;
  events.store_bits = events.store * rows;
  events.shift_rows = events.shift * rows;
  events.count_rows = events.count * rows;
  if (region->first_prefetch != UINT32_MAX) {
    time.first = move_cycles(t, region->first_prefetch, tile, row0, rows);
  }
  time.compute = ap_compute_cycles(t->tech, &events);
  t->times[region->first_tile + tile] = time;
  ap_events_add(&t->events, &events);
}

// --- planes --------------------------------------------------------------------------------------------

// Rows of the present block that the load finds inside of the tensor. Loads of other channels, which usually follow, have the same.
static const uint64_t *rows_inside(struct ap_block_thread *t, const struct ap_instr *instr) {
  const struct ap_desc *desc = &t->run->program->descs[instr->index];
  uint32_t tap = instr->tap / desc->tap_count[3];
  struct ap_block_inside *in = &t->inside[(tap + instr->index) % AP_BLOCK_INSIDE];
  if (in->rows != t->rows || in->row0 != t->row0 || in->desc != instr->index || in->tap != tap) {
    in->desc = instr->index;
    in->tap = tap;
    in->row0 = t->row0;
    in->rows = t->rows;
    ap_rows_inside(t->run, instr, t->row0, t->rows, in->mask);
  }
  return in->mask;
}

static void fill_from_planes(struct ap_block_thread *t, const struct ap_entry *e, uint64_t *to) {
  const struct ap_plane_access *x = e->planes;
  const struct ap_planes *planes = &t->run->planes[x->tensor];
  ap_planes_read(planes, x->channel, x->position + (int64_t)t->row0, t->rows, to);
  if (x->whole) {
    return;
  }
  const uint64_t *inside = rows_inside(t, e->instr);
  uint64_t pad = t->run->program->descs[e->instr->index].pad_value;
  for (unsigned b = 0; b < planes->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t ones = pad >> b & 1 ? ~(uint64_t)0 : 0;
    for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
      to[w] = (to[w] & inside[w]) | (ones & ~inside[w]);
    }
  }
}

static void fill(struct ap_block_thread *t, const struct ap_entry *e, uint64_t *to) {
  if (e->planes != NULL) {
    fill_from_planes(t, e, to);
  } else {
    ap_block_fill(t, e->instr, to);
  }
}

static void drain(struct ap_block_thread *t, const struct ap_entry *e, const uint64_t *from) {
  if (e->planes != NULL) {
    const struct ap_plane_access *x = e->planes;
    ap_planes_write(&t->run->planes[x->tensor], x->channel, (uint64_t)x->position + t->row0, t->rows, from);
  } else {
    ap_block_drain(t, e->instr, from);
  }
}

// The columns of the load as they lie in the planes; NULL if they have to be moved.
static uint64_t *find_in_planes(const struct ap_block_thread *t, const struct ap_entry *e) {
  const struct ap_plane_access *x = e->planes;
  if (x == NULL || !x->whole) {
    return NULL;
  }
  const struct ap_planes *planes = &t->run->planes[x->tensor];
  uint64_t position = (uint64_t)x->position + t->row0;
  bool there = planes->pitch == AP_COLUMN_WORDS && position % AP_BLOCK_ROWS == 0;
  return there ? ap_planes_block(planes, x->channel, position / AP_BLOCK_ROWS) : NULL;
}

// --- one block -----------------------------------------------------------------------------------------

static void run_load(struct ap_block_thread *t, const struct ap_entry *e) {
  uint64_t *place = t->cells + (size_t)e->instr->f[0].col * AP_COLUMN_WORDS;
  uint64_t *loaded = e->source != AP_NO_SOURCE ? t->area + t->plan->sources[e->source].column * AP_COLUMN_WORDS : find_in_planes(t, e);
  if (loaded == NULL) {
    fill(t, e, place);
  } else if (e->base[0] == 0) {
    memcpy(place, loaded, e->instr->f[0].width * COLUMN_BYTES);
  }
  if (e->base[0] != 0) {
    t->base[e->base[0]] = loaded != NULL ? loaded : place;
  }
}

static void run_entry(struct ap_block_thread *t, const struct ap_entry *e) {
  switch (e->kind) {
    case AP_ENTRY_KERNEL:
      ap_block_run(e->micro, t->base[e->base[0]] + e->at[0], t->base[e->base[1]] + e->at[1], t->base[e->base[2]] + e->at[2],
                   t->cells, t->tags, t->masks, e->instr->imm, &t->counts);
      break;
    case AP_ENTRY_LOAD: run_load(t, e); break;
    default: drain(t, e, t->base[e->base[0]] + e->at[0]); break;
  }
}

static inline void run_op(struct ap_block_thread *t, const struct ap_call *op) {
  if (op->kind == AP_CALL_KERNEL) {
    t->fn[op->kernel](t->base[op->base[0]] + op->at[0] * AP_COLUMN_WORDS, t->base[op->base[1]] + op->at[1] * AP_COLUMN_WORDS,
                      t->base[op->base[2]] + op->at[2] * AP_COLUMN_WORDS, t->cells, t->tags, t->masks, op->u.imm, &t->counts);
  } else if (op->kind == AP_CALL_CACHED) {
    t->base[op->base[0]] = t->area + (size_t)op->column * AP_COLUMN_WORDS;
  } else if (op->kind == AP_CALL_PLANES) {
    t->base[op->base[0]] = op->u.columns + t->grid_block * op->column * AP_COLUMN_WORDS;
  } else {
    run_entry(t, op->entry);
  }
}

static void run_code(struct ap_block_thread *t, const struct ap_block_region *region) {
  struct ap_block_loops loops = {.depth = 0};
  uint32_t count = region->region->end - region->region->grid - 1;
  for (uint32_t i = 0; i < count; i++) {
    const struct ap_entry *e = &region->code[i];
    if (e->kind == AP_ENTRY_NONE) {
      ap_block_loop(&loops, e->instr, &i);
    } else if (e->kind == AP_ENTRY_STEPS) {
      const struct ap_stream *stream = &t->run->program->streams[e->instr->index];
      const uint16_t *steps = stream->steps;
      for (uint32_t s = 0, n = stream->count; s < n; s++) {
        run_op(t, &e->ops[steps[s]]);
      }
    } else {
      run_op(t, e->op);
    }
  }
}

static inline uint64_t *at_place(const struct ap_block_member *m, unsigned place, uint32_t column) {
  return m->place[place] + (size_t)column * AP_COLUMN_WORDS;
}

static void run_other(struct ap_block_thread *t, const struct ap_block_member *m, const struct ap_flat *call) {
  const struct ap_entry *e = call->entry;
  uint64_t *d = at_place(m, call->dbase, call->d);
  t->row0 = m->row0;
  t->rows = m->rows;
  switch (call->kind) {
    case AP_FLAT_STEPS:
      ap_block_run(e->micro, d, at_place(m, call->abase, call->a), at_place(m, call->bbase, call->b), m->place[AP_PLACE_CELLS], m->tags,
                   m->masks, e->instr->imm, &t->counts);
      break;
    case AP_FLAT_STORE: drain(t, e, d); break;
    case AP_FLAT_LOAD_PLANES:
      ap_planes_read(&t->run->planes[call->b], call->a, (int64_t)(call->imm + t->row0), t->rows, d);
      break;
    case AP_FLAT_STORE_PLANES: ap_planes_write(&t->run->planes[call->b], call->a, call->imm + t->row0, t->rows, d); break;
    default:
      if (e->source != AP_NO_SOURCE) {  // kept, but wanted in the cells
        memcpy(d, m->area + t->plan->sources[e->source].column * AP_COLUMN_WORDS, e->instr->f[0].width * COLUMN_BYTES);
      } else {
        fill(t, e, d);
      }
      break;
  }
}

// Calls outermost: of several blocks, all but the first find the processor prepared for the kernel.
static void run_flat(struct ap_block_thread *t, unsigned nmembers, const struct ap_flat *call, size_t count) {
  for (const struct ap_flat *end = call + count; call < end; call++) {
    for (unsigned i = 0; i < nmembers; i++) {
      const struct ap_block_member *m = &t->members[i];
      if (call->kind == AP_FLAT_KERNEL) {
        m->fn[call->kernel](at_place(m, call->dbase, call->d), at_place(m, call->abase, call->a), at_place(m, call->bbase, call->b),
                            m->place[AP_PLACE_CELLS], m->tags, m->masks, call->imm, &t->counts);
      } else {
        run_other(t, m, call);
      }
    }
  }
}

// False: the last tile has fewer blocks.
static bool select_block(struct ap_block_thread *t, const struct ap_grid *grid, uint64_t block) {
  uint64_t blocks = ap_tile_blocks(grid), tile = block / blocks, first = block % blocks * AP_BLOCK_ROWS;
  uint64_t left = ap_grid_rows(grid) - tile * grid->tile_rows, tile_rows = left < grid->tile_rows ? left : grid->tile_rows;
  if (first >= tile_rows) {
    return false;
  }
  t->area = t->cache->words + block * t->plan->area_columns * AP_COLUMN_WORDS;
  t->row0 = tile * grid->tile_rows + first;
  t->rows = tile_rows - first < AP_BLOCK_ROWS ? tile_rows - first : AP_BLOCK_ROWS;
  t->grid_block = t->row0 / AP_BLOCK_ROWS;
  return true;
}

void ap_block_keep(struct ap_block_thread *t, const struct ap_source *source, uint64_t block) {
  if (select_block(t, source->grid, block)) {
    fill(t, source->load, t->area + source->column * AP_COLUMN_WORDS);
  }
}

static void set_zero(uint64_t *cells, const struct ap_columns *zero, size_t count) {
  for (size_t z = 0; z < count; z++) {
    memset(cells + (size_t)zero[z].first * AP_COLUMN_WORDS, 0, zero[z].count * COLUMN_BYTES);
  }
}

// The selected block as number i of those that advance together.
static void set_member(struct ap_block_thread *t, const struct ap_block_region *region, unsigned i) {
  const struct ap_block_plan *plan = t->plan;
  struct ap_block_member *m = &t->members[i];
  m->place[AP_PLACE_CELLS] = t->cells + i * (size_t)t->run->program->machine.columns * AP_COLUMN_WORDS;
  m->place[AP_PLACE_AREA] = m->area = t->area;
  m->place[AP_PLACE_ZEROS] = t->zeros;
  for (unsigned k = AP_PLACE_TENSORS; k < plan->nplaces; k++) {
    const struct ap_planes *planes = &t->run->planes[plan->place_tensor[k]];
    m->place[k] = planes->words + t->grid_block * planes->bits * AP_COLUMN_WORDS;
  }
  m->masks = t->masks + i * AP_COLUMN_WORDS;
  m->tags = t->tags + i * AP_COLUMN_WORDS;
  m->row0 = t->row0;
  m->rows = t->rows;
  m->fn = t->fns[ap_block_mask(m->masks, m->rows)];
  memset(m->tags, 0, COLUMN_BYTES);
  set_zero(m->place[AP_PLACE_CELLS], region->zero[t->counted], region->nzero[t->counted]);
}

static void run_block(struct ap_block_thread *t, const struct ap_block_region *region, uint64_t block) {
  const struct ap_block_plan *plan = t->plan;
  if (!select_block(t, region->grid, block)) {
    return;
  }
  ap_block_reserve(t, 1);
  t->fn = t->fns[ap_block_mask(t->masks, t->rows)];
  memset(t->tags, 0, COLUMN_BYTES);
  t->base[0] = t->cells;
  for (unsigned k = 1; k < plan->nbases; k++) {
    t->base[k] = t->zeros;
  }
  set_zero(t->cells, plan->zero, plan->nzero);
  run_code(t, region);
}

void ap_block_piece(struct ap_block_thread *t, const struct ap_block_region *region, uint64_t block, uint64_t end) {
  const struct ap_block_plan *plan = t->plan;
  uint64_t tile_blocks = ap_tile_blocks(region->grid);
  for (uint64_t b = block; b < end && plan->times == NULL; b++) {
    if (b % tile_blocks == 0) {
      ap_block_account(t, region, (uint32_t)(b / tile_blocks));
    }
  }
  if (!plan->flattened) {
    for (; block < end; block++) {
      run_block(t, region, block);
    }
    return;
  }
  unsigned members = 0;
  ap_block_reserve(t, (size_t)(end - block));
  for (; block < end; block++) {
    if (select_block(t, region->grid, block)) {
      set_member(t, region, members++);
    }
  }
  run_flat(t, members, plan->flat + region->flat, region->nflat);
}
