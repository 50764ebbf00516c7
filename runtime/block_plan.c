// SPDX-License-Identifier: Apache-2.0
#include "runtime/block_plan.h"

#include <stdlib.h>
#include <string.h>

struct ap_micro_facts ap_micro_facts(const struct ap_micro *micro) {
  struct ap_micro_facts facts = {.cost = ap_micro_cost(micro)};
  facts.altered = micro->op == AP_OP_PATTERN && !ap_pattern_plain(micro);
  bool seen[AP_MAX_WIDTH] = {false};
  facts.defines = true;
  memset(facts.first_write, 0xff, sizeof facts.first_write);
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    const struct ap_step *step = &micro->steps[s];
    bool writes = step->kind == AP_STEP_WRITE || step->kind == AP_STEP_WRITE_ALL;
    facts.between_rows = facts.between_rows || step->kind > AP_STEP_WRITE_ALL;
    for (unsigned i = 0; i < step->nlits; i++) {
      unsigned slot = micro->lits[step->first + i].slot;
      if (slot > AP_SLOT_FLAG) {
        continue;  // of programs between rows, which are executed as they stand
      }
      unsigned bit = micro->lits[step->first + i].bit;
      if (slot == AP_SLOT_D && !seen[bit]) {
        seen[bit] = true;
        facts.defines = facts.defines && step->kind == AP_STEP_WRITE_ALL;
      }
      facts.accessed[slot] = true;
      facts.last_access[slot] = s;
      if (writes && s < facts.first_write[slot]) {
        facts.first_write[slot] = s;
      }
    }
  }
  for (unsigned bit = 0; bit < micro->width[0]; bit++) {
    facts.defines = facts.defines && seen[bit];
  }
  return facts;
}

struct builder {
  struct ap_block_plan *plan;
  const struct ap_run *run;
  const struct ap_program *program;
  const struct ap_micro_facts *facts;
  struct ap_entry **tables;   // by table of the program; NULL where not met yet
  struct ap_call **table_ops;
  const struct ap_block_uses *uses;
};

static const struct ap_micro_facts *facts_of(const struct builder *b, const struct ap_micro *micro) {
  return &b->facts[micro - b->program->micros];
}

// A kernel reads all operands, then writes. That is what the steps do unless one of them uses a column that an earlier one has written
// under the name of another operand.
static bool is_stepwise(const struct ap_instr *instr, const struct ap_micro_facts *f) {
  for (unsigned x = 0; x < 3; x++) {
    for (unsigned y = 0; y < 3; y++) {
      if (x != y && ap_fields_meet(instr->f[x], instr->f[y]) && f->accessed[y] && f->first_write[x] <= f->last_access[y]) {
        return true;
      }
    }
  }
  return false;
}

static void init_entry(struct builder *b, struct ap_entry *e, struct ap_call *op, const struct ap_instr *instr,
                       const struct ap_micro *micro) {
  e->op = op;
  e->instr = instr;
  e->micro = micro;
  e->source = AP_NO_SOURCE;
  if (micro != NULL) {
    const struct ap_micro_facts *f = facts_of(b, micro);
    e->kind = f->between_rows ? AP_ENTRY_ROWS : AP_ENTRY_KERNEL;
    e->stepwise = is_stepwise(instr, f) || f->altered;
    e->pattern = instr->op == AP_OP_PATTERN ? &b->program->patterns[instr->index] : NULL;
    b->plan->between_rows = b->plan->between_rows || f->between_rows;
    b->plan->patterns = b->plan->patterns || e->pattern != NULL;
  } else {
    e->kind = instr->op == AP_OP_STORE ? AP_ENTRY_STORE : AP_ENTRY_LOAD;
  }
  for (unsigned i = 0; i < 3; i++) {
    e->at[i] = (uint32_t)instr->f[i].col * AP_COLUMN_WORDS;
  }
  BF_PUSH(b->plan->used, b->plan->nused, b->plan->used_capacity) = e;
}

// --- entries of the code and of tables -----------------------------------------------------------------

// Entries of all instructions of a table that the program uses. Its other stages hardly use others, and if they do, that costs time at most.
static void build_table(struct builder *b, uint32_t number, uint64_t blocks) {
  const struct ap_table *table = &b->program->tables[number];
  const struct ap_block_calls *calls = ap_block_uses_of(b->uses, number);
  struct ap_entry *items = bf_arena_alloc(&b->plan->arena, (size_t)table->count + 1, sizeof *items);
  struct ap_call *ops = bf_arena_alloc(&b->plan->arena, (size_t)table->count + 1, sizeof *ops);
  for (uint32_t i = 0; i < table->count; i++) {
    uint64_t uses = calls[i].whole + calls[i].partial;
    if (uses > 0) {
      init_entry(b, &items[i], &ops[i], &table->items[i], b->run->table_micro[number][i]);
      items[i].source = uses > blocks ? 2 : 1;  // for now: how often it is loaded
    }
  }
  b->tables[number] = items;
  b->table_ops[number] = ops;
  b->plan->bytes += table->count * (sizeof *items + sizeof *ops);
}

static void build_steps(struct builder *b, const struct ap_block_region *region, struct ap_entry *e) {
  uint32_t table = b->program->streams[e->instr->index].table;
  if (b->tables[table] == NULL) {
    struct ap_block_calls blocks = ap_block_count(b->run, region->grid);
    build_table(b, table, blocks.whole + blocks.partial);
  }
  e->kind = AP_ENTRY_STEPS;
  e->table = b->tables[table];
  e->ops = b->table_ops[table];
}

static void build_region(struct builder *b, struct ap_block_region *region) {
  const struct ap_program *p = b->program;
  uint32_t first = region->region->grid + 1, count = region->region->end - first;
  double times[AP_MAX_LOOP_NEST + 1] = {1};
  unsigned depth = 0;
  region->code = bf_arena_alloc(&b->plan->arena, (size_t)count + 1, sizeof *region->code);
  region->ops = bf_arena_alloc(&b->plan->arena, (size_t)count + 1, sizeof *region->ops);
  b->plan->bytes += count * (sizeof *region->code + sizeof *region->ops);
  for (uint32_t i = 0; i < count; i++) {
    const struct ap_instr *instr = &p->code[first + i];
    struct ap_entry *e = &region->code[i];
    e->instr = instr;
    switch (instr->op) {
      case AP_OP_LOOP:
        times[depth + 1] = times[depth] * instr->index;
        depth++;
        break;
      case AP_OP_ENDLOOP: depth--; break;
      case AP_OP_STEPS:
        build_steps(b, region, e);
        b->plan->calls += times[depth] * p->streams[instr->index].count;
        break;
      default:
        init_entry(b, e, &region->ops[i], instr, b->run->code_micro[first + i]);
        e->source = times[depth] > 1 ? 2 : 1;
        b->plan->calls += times[depth];
        break;
    }
  }
}

static void build_regions(struct builder *b) {
  struct ap_block_plan *plan = b->plan;
  uint32_t tiles = 0;
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    struct ap_block_region *region = &plan->regions[r];
    region->region = &b->run->regions[plan->stage->first + r];
    region->grid = &b->program->grids[b->program->code[region->region->grid].index];
    region->first_tile = tiles;
    tiles += region->region->tiles;
    build_region(b, region);
  }
}

// --- loads that return ---------------------------------------------------------------------------------

static int compare_loads(const void *x, const void *y) {
  const struct ap_instr *a = (*(struct ap_entry *const *)x)->instr, *b = (*(struct ap_entry *const *)y)->instr;
  if (a->index != b->index) {
    return a->index < b->index ? -1 : 1;
  }
  return (a->tap > b->tap) - (a->tap < b->tap);
}

// A place for a source in the area of each block, as far as memory allows.
static void place_source(struct ap_block_plan *plan, struct ap_source *s, unsigned bits) {
  size_t most = AP_CACHE_BYTES / (AP_COLUMN_WORDS * sizeof(uint64_t)) / plan->area_blocks;
  s->placed = plan->area_columns + bits <= most;
  s->column = plan->area_columns;
  plan->area_columns += s->placed ? bits : 0;
}

static const struct ap_grid *grid_of(const struct builder *b, const struct ap_entry *e) {
  return &b->program->grids[b->program->descs[e->instr->index].grid];
}

static uint64_t area_blocks(const struct ap_row_order *order, const struct ap_grid *grid) {
  return order != NULL ? order->each : ap_order_blocks(NULL, grid);
}

// Whether blocks of other channels load the same again.
static bool same_for_channels(const struct ap_entry *load) {
  const struct ap_row_order *order = load->order;
  return load->planes != NULL && load->planes->constants == NULL && load->planes->step == 0 && order->channels > 1u << order->shift;
}

static bool changes(const struct ap_entry *load) { return load->planes != NULL && load->planes->changes; }

static void find_sources(struct builder *b) {
  struct ap_block_plan *plan = b->plan;
  struct ap_entry **loads = bf_alloc(plan->nused + 1, sizeof *loads);
  size_t count = 0;
  for (size_t i = 0; i < plan->nused; i++) {
    if (plan->used[i]->kind == AP_ENTRY_LOAD) {
      loads[count++] = plan->used[i];
    }
  }
  qsort(loads, count, sizeof *loads, compare_loads);
  plan->sources = bf_arena_alloc(&plan->arena, count + 1, sizeof *plan->sources);
  plan->bytes += count * sizeof *plan->sources;
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    uint64_t blocks = area_blocks(plan->regions[r].order, plan->regions[r].grid);
    plan->area_blocks = blocks > plan->area_blocks ? blocks : plan->area_blocks;
  }
  for (size_t i = 0, end; i < count; i = end) {
    uint32_t uses = 0;
    for (end = i; end < count && compare_loads(&loads[i], &loads[end]) == 0; end++) {
      uses += loads[end]->source;
    }
    bool returns = loads[i]->order == NULL ? uses > 1 : same_for_channels(loads[i]);
    bool kept = returns && !plan->tilewise && !changes(loads[i]) && !ap_block_in_place(b->run, grid_of(b, loads[i]), loads[i]);
    for (size_t l = i; l < end; l++) {
      loads[l]->source = kept ? plan->nsources : AP_NO_SOURCE;
    }
    if (kept) {
      struct ap_source *s = &plan->sources[plan->nsources++];
      s->load = loads[i];
      s->blocks = area_blocks(loads[i]->order, grid_of(b, loads[i]));
      place_source(plan, s, s->load->instr->f[0].width);
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (loads[i]->source != AP_NO_SOURCE && !plan->sources[loads[i]->source].placed) {
      loads[i]->source = AP_NO_SOURCE;  // it found no place
    }
  }
  free(loads);
}

// --- bases ---------------------------------------------------------------------------------------------

static bool same_field(struct ap_field x, struct ap_field y) { return x.col == y.col && x.width == y.width; }

static bool may_write(const struct builder *b, const struct ap_entry *e, unsigned slot) {
  return e->micro == NULL ? e->kind == AP_ENTRY_LOAD : e->kind == AP_ENTRY_ROWS || facts_of(b, e->micro)->first_write[slot] != UINT32_MAX;
}

static bool contains(struct ap_field outer, struct ap_field inner) {
  return inner.col >= outer.col && inner.col + inner.width <= outer.col + outer.width;
}

// Whether this use of columns forbids that the field has a base of its own.
static bool forbids(const struct builder *b, const struct ap_entry *e, unsigned slot, struct ap_field field) {
  if (!ap_fields_meet(e->instr->f[slot], field)) {
    return false;
  }
  if (e->kind == AP_ENTRY_LOAD) {
    return !same_field(e->instr->f[0], field);
  }
  return may_write(b, e, slot) || !contains(field, e->instr->f[slot]);
}

#define MAX_TRIED 64  // fields of loads that are looked at

// Fields that only loads write get a base.
static void find_bases(struct builder *b) {
  struct ap_block_plan *plan = b->plan;
  struct ap_field tried[MAX_TRIED];
  unsigned ntried = 0;
  plan->nbases = 1;
  for (size_t i = 0; i < plan->nused && plan->nbases < AP_BLOCK_BASES && ntried < MAX_TRIED && !plan->tilewise; i++) {
    struct ap_field field = plan->used[i]->instr->f[0];
    bool good = plan->used[i]->kind == AP_ENTRY_LOAD;
    for (unsigned k = 0; k < ntried && good; k++) {
      good = !same_field(tried[k], field);
    }
    if (!good) {
      continue;
    }
    tried[ntried++] = field;
    for (size_t u = 0; u < plan->nused && good; u++) {
      for (unsigned slot = 0; slot < 3 && good; slot++) {
        good = !forbids(b, plan->used[u], slot, field);
      }
    }
    if (good) {
      plan->base_field[plan->nbases++] = field;
    }
  }
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    for (unsigned slot = 0; slot < 3; slot++) {
      for (unsigned k = 1; k < plan->nbases; k++) {
        if (ap_fields_meet(e->instr->f[slot], plan->base_field[k])) {
          e->base[slot] = (uint8_t)k;
          e->at[slot] = (uint32_t)(e->instr->f[slot].col - plan->base_field[k].col) * AP_COLUMN_WORDS;
        }
      }
    }
  }
}

// Columns that something reads or writes, but for loads: an engine begins a region with zeros in them.
static void find_zero_columns(struct builder *b) {
  struct ap_block_plan *plan = b->plan;
  bool touched[AP_MAX_COLUMNS + 1] = {true, true, true, true};
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    for (unsigned slot = 0; slot < 3 && e->kind != AP_ENTRY_LOAD; slot++) {
      struct ap_field f = e->instr->f[slot];
      for (unsigned c = 0; c < f.width && e->base[slot] == 0; c++) {
        touched[f.col + c] = true;
      }
    }
  }
  for (unsigned c = 0; c < AP_MAX_COLUMNS; c++) {
    if (touched[c] && (c == 0 || !touched[c - 1])) {
      BF_PUSH(plan->zero, plan->nzero, plan->zero_capacity) = (struct ap_columns){(uint16_t)c, 0};
    }
    if (touched[c]) {
      plan->zero[plan->nzero - 1].count++;
    }
  }
}

#define GROUP_BYTES ((size_t)512 << 10)  // what a piece should find in the second-level cache
#define LANES_BYTES ((size_t)32 << 10)   // what the columns of all lanes should find in the first-level cache
#define MIN_LANES 8                      // fewer are not worth it
#define MIN_CALLS 200.0                  // nor are regions of fewer calls
#define MANY_PIECES 64

// Bytes of columns that a region of the stage has in its cells, at most.
static size_t cells_bytes(const struct ap_block_plan *plan) {
  bool used[AP_MAX_COLUMNS] = {false};
  size_t count = 0;
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    for (unsigned slot = 0; slot < 3; slot++) {
      for (unsigned c = 0; c < e->instr->f[slot].width && e->base[slot] == 0; c++) {
        used[e->instr->f[slot].col + c] = true;
      }
    }
  }
  for (unsigned c = 0; c < AP_MAX_COLUMNS; c++) {
    count += used[c];
  }
  return (AP_FLAG_COLUMNS + count) * AP_COLUMN_WORDS * sizeof(uint64_t);
}

// Regions or blocks that advance together: as many as leave work for all threads and, of blocks, as the caches hold.
static void choose_piece(const struct ap_block_plan *plan, struct ap_bundle *b, size_t cells) {
  uint64_t all = b->blocks * b->count;
  b->lanes = b->group = 1;
  if (plan->blockwise) {
    b->group = b->blocks < 4 ? 1 : b->blocks < 16 ? 2 : AP_BLOCK_GROUP;
    return;
  }
  while (!plan->tilewise && 2 * b->lanes <= AP_BLOCK_LANES && 2 * b->lanes <= b->count && all / (2 * b->lanes) >= MANY_PIECES &&
         2 * b->lanes * cells <= LANES_BYTES) {
    b->lanes *= 2;
  }
  bool many_calls = plan->calls >= MIN_CALLS * plan->stage->count;
  // Of a pattern's table, made for a region, all its blocks have the use.
  b->lanes = b->lanes < MIN_LANES || !many_calls || plan->patterns ? 1 : b->lanes;
  while (!plan->tilewise && b->lanes == 1 && 2 * b->group <= AP_BLOCK_GROUP && all / (2 * b->group) >= MANY_PIECES &&
         2 * b->group * plan->area_columns * AP_COLUMN_WORDS * sizeof(uint64_t) <= GROUP_BYTES) {
    b->group *= 2;
  }
}

static void find_bundles(struct ap_block_plan *plan) {
  size_t cells = cells_bytes(plan);
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    const struct ap_block_region *region = &plan->regions[r];
    uint64_t blocks = plan->tilewise ? region->region->tiles : ap_order_blocks(region->order, region->grid);
    if (r == 0 || region->grid != plan->regions[r - 1].grid || plan->ordered) {
      BF_PUSH(plan->bundles, plan->nbundles, plan->bundles_capacity) = (struct ap_bundle){.first = r, .blocks = blocks};
    }
    plan->bundles[plan->nbundles - 1].count++;
  }
  for (size_t i = 0; i < plan->nbundles; i++) {
    struct ap_bundle *b = &plan->bundles[i];
    choose_piece(plan, b, cells);
    b->pieces_before = plan->pieces;
    b->orders = !plan->tilewise ? bf_alloc(ap_bundle_groups(b), sizeof *b->orders) : NULL;
    plan->pieces += (plan->blockwise ? 1 : ap_bundle_groups(b)) * ((b->blocks + b->group - 1) / b->group);
  }
}

// Planes in which loads find their columns, as many as there are numbers for.
static void find_places(struct ap_block_plan *plan) {
  plan->nplaces = AP_PLACE_PLANES;
  for (size_t i = 0; i < plan->nused; i++) {
    const struct ap_entry *e = plan->used[i];
    bool found = e->kind != AP_ENTRY_LOAD || e->planes == NULL || e->planes->planes == NULL || e->planes->period > 0 || plan->nplaces == AP_BLOCK_PLACES;
    for (unsigned k = AP_PLACE_PLANES; k < plan->nplaces && !found; k++) {
      found = ap_plane_place_is(&plan->places[k], e->planes);
    }
    if (!found) {
      plan->places[plan->nplaces++] = (struct ap_plane_place){e->planes->planes, ap_plane_along(e->planes)};
    }
  }
}

const struct ap_row_order *ap_plan_order(const struct ap_run *run, const struct ap_block_plan *plan, uint32_t grid) {
  bool free_order = !plan->tilewise && !plan->blockwise && run->orders[grid].channels > 0;
  return free_order ? &run->orders[grid] : NULL;
}

static void order_rows(struct builder *b) {
  struct ap_block_plan *plan = b->plan;
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    plan->regions[r].order = ap_plan_order(b->run, plan, (uint32_t)(plan->regions[r].grid - b->program->grids));
  }
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    if (e->kind == AP_ENTRY_LOAD || e->kind == AP_ENTRY_STORE) {
      e->order = ap_plan_order(b->run, plan, b->program->descs[e->instr->index].grid);
    }
  }
}

struct ap_block_plan *ap_block_plan_new(const struct ap_run *run, const struct ap_stage *stage, const struct ap_micro_facts *facts,
                                        const struct ap_block_uses *uses) {
  struct ap_block_plan *plan = bf_alloc(1, sizeof *plan);
  struct builder b = {.plan = plan, .run = run, .program = run->program, .facts = facts, .uses = uses};
  b.tables = bf_alloc((size_t)run->program->ntables + 1, sizeof *b.tables);
  b.table_ops = bf_alloc((size_t)run->program->ntables + 1, sizeof *b.table_ops);
  plan->stage = stage;
  plan->facts = facts;
  plan->regions = bf_arena_alloc(&plan->arena, stage->count, sizeof *plan->regions);
  build_regions(&b);
  plan->ordered = ap_block_order_matters(run, plan, uses);
  plan->blockwise = plan->ordered && !plan->between_rows && ap_block_meets_in_blocks(run, plan);
  plan->ordered = plan->ordered && !plan->blockwise;
  plan->tilewise = plan->between_rows || plan->ordered;
  order_rows(&b);
  ap_block_find_planes(run, plan);
  find_sources(&b);
  find_bases(&b);
  find_zero_columns(&b);
  find_bundles(plan);
  find_places(plan);
  plan->bytes += plan->nused * sizeof *plan->used;
  free(b.tables);
  free(b.table_ops);
  return plan;
}

void ap_block_plan_free(struct ap_block_plan *plan) {
  if (plan == NULL) {
    return;
  }
  bf_arena_free(&plan->arena);
  free(plan->used);
  free(plan->tensors);
  for (size_t i = 0; i < plan->nviews; i++) {
    free(plan->views[i]->planes.owned);
    free(plan->views[i]);
  }
  for (size_t i = 0; i < plan->nrow_views; i++) {
    ap_row_view_free(plan->row_views[i]);
  }
  free(plan->row_views);
  for (uint32_t i = 0; plan->channel_values != NULL && i < plan->ndescs; i++) {
    free(plan->channel_values[i]);
  }
  free(plan->channel_values);
  free(plan->times);
  free(plan->zero);
  ap_block_forget_orders(plan);
  for (size_t i = 0; i < plan->nbundles; i++) {
    free(plan->bundles[i].orders);
  }
  free(plan->bundles);
  free(plan);
}
