// SPDX-License-Identifier: Apache-2.0
// Rows taken channel by channel: blocks of an order cover each row once; moves of whole columns are what descriptors say, row by row, with every variant
// for the host's instruction sets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/block_run.h"
#include "tests/support/random_bits.h"

#define WORDS ((size_t)AP_MAX_WIDTH * AP_COLUMN_WORDS)
enum { ROOT, ALIAS, FIXED, TENSORS };  // FIXED: constants

static struct ap_row_order order_of_grid(const struct ap_grid *grid) {
  struct ap_row_order order = {.channels = grid->count[3], .positions = (uint64_t)grid->count[0] * grid->count[1] * grid->count[2]};
  order.shift = ap_span_shift(order.positions);
  order.each = (order.positions + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
  return order;
}

// --- blocks ------------------------------------------------------------------------------------------------

// The row of the grid at row `at` of a block. The order may be NULL.
static uint64_t row_of(const struct ap_row_order *order, const struct ap_block_rows *rows, unsigned at, uint32_t *channel) {
  if (order == NULL) {
    return rows->row0 + at;
  }
  unsigned span = AP_BLOCK_ROWS >> order->shift;
  *channel = rows->channel + at / span;
  return (rows->row0 + at % span) * order->channels + *channel;
}

static void check_cover(const struct ap_grid *grid, const struct ap_row_order *order) {
  uint64_t all = ap_grid_rows(grid), seen = 0, mask[AP_COLUMN_WORDS];
  uint8_t *times = bf_alloc(all, 1);
  struct ap_block_calls kinds = {0, 0}, counted = ap_order_count(order, grid);
  for (uint64_t b = 0, n = ap_order_blocks(order, grid); b < n; b++) {
    struct ap_block_rows rows;
    unsigned inside = 0;
    if (!ap_order_block(order, grid, b, &rows)) {
      assert_null(order);
      continue;
    }
    assert_int_equal(rows.block, b);
    bool partial = ap_order_mask(order, &rows, mask);
    for (unsigned at = 0; at < AP_BLOCK_ROWS; at++) {
      uint32_t channel = 0;
      if ((mask[at / 64] >> at % 64 & 1) != 0) {
        uint64_t row = row_of(order, &rows, at, &channel);
        assert_true(row < all && (order == NULL || channel < order->channels));
        assert_int_equal(times[row]++, 0);
        assert_true(order != NULL || row / grid->tile_rows == rows.row0 / grid->tile_rows);
        inside++;
      }
    }
    assert_int_equal(partial, inside < AP_BLOCK_ROWS);
    *(partial ? &kinds.partial : &kinds.whole) += 1;
    seen += inside;
  }
  assert_int_equal(seen, all);
  assert_int_equal(kinds.whole, counted.whole);
  assert_int_equal(kinds.partial, counted.partial);
  free(times);
}

static void test_blocks_cover(void **state) {
  struct rng rng = {31};
  for (int round = 0; round < rounds(300); round++) {
    struct ap_grid grid = {{pick(&rng, 1, 3), pick(&rng, 1, 12), pick(&rng, 1, 20), pick(&rng, 1, 21)}, 0};
    if (chance(&rng, 40)) {  // the ends of spans and blocks
      grid.count[0] = grid.count[1] = 1;
      grid.count[2] = (64u << pick(&rng, 0, 4)) + pick(&rng, 0, 2) - 1;
    }
    grid.tile_rows = pick(&rng, 1, (int64_t)ap_grid_rows(&grid) + 5);
    struct ap_row_order order = order_of_grid(&grid), none = {0};
    check_cover(&grid, NULL);
    check_cover(&grid, &order);
    assert_int_equal(ap_order_blocks(&none, &grid), ap_order_blocks(NULL, &grid));
  }
}

// --- moves -------------------------------------------------------------------------------------------------

// Tensors, grids and descriptors alone: moves need no code.
struct world {
  struct ap_program *p;
  struct ap_run *run;
  struct ap_block_thread thread;
  struct ap_row_order order;
  struct ap_instr instr;
  struct ap_move move;
};

// What a generator has to reach.
struct reached {
  unsigned loads, refused, shared, alone, views, constants, bytes, words, some_channels, no_channels, one_channel, padded, whole, apart, in_place;
  unsigned stores, stores_shared, stores_refused;
};

static struct ap_tensor tensor_of(enum ap_storage storage, unsigned bits, uint32_t n, uint32_t h, uint32_t w, uint32_t c) {
  return (struct ap_tensor){.storage = storage, .bits = (uint8_t)bits, .shape = {n, h, w, c}, .rank = 4, .scale = 1, .alias = UINT32_MAX, .name = "t", .type = "u8"};
}

static uint32_t divisor(struct rng *rng, uint64_t of) {
  uint32_t d = pick(rng, 1, 12);
  while (of % d != 0) {
    d--;
  }
  return d;
}

static void make_tensors(struct rng *rng, struct ap_program *p) {
  unsigned bits = chance(rng, 70) ? pick(rng, 1, 9) : pick(rng, 10, 40);
  p->tensors = bf_arena_alloc(&p->arena, p->ntensors = TENSORS, sizeof *p->tensors);
  struct ap_tensor *t = &p->tensors[ROOT], *alias = &p->tensors[ALIAS];
  *t = tensor_of(AP_STORAGE_ACTIVATION, bits, pick(rng, 1, 2), pick(rng, 1, 12), pick(rng, 1, 12), pick(rng, 1, 20));
  if (chance(rng, 30)) {
    *t = tensor_of(AP_STORAGE_ACTIVATION, bits, 1, 1, pick(rng, 1, 1200), pick(rng, 1, 9));
  }
  *alias = *t;
  alias->alias = ROOT;
  if (chance(rng, 50)) {
    uint64_t left = ap_tensor_elements(t);
    for (int k = 3; k > 0; left /= alias->shape[k], k--) {
      alias->shape[k] = chance(rng, 30) && left % t->shape[3] == 0 ? t->shape[3] : divisor(rng, left);
    }
    alias->shape[0] = (uint32_t)left;
  } else if (chance(rng, 50)) {  // a part of the channels
    alias->shape[3] = divisor(rng, t->shape[3]);
    alias->shape[2] = (uint32_t)(ap_tensor_elements(t) / alias->shape[3]);
    alias->shape[0] = alias->shape[1] = 1;
  }
  unsigned wide = chance(rng, 60) ? pick(rng, 1, 8) : pick(rng, 9, 50);
  p->tensors[FIXED] = tensor_of(AP_STORAGE_CONST, wide, pick(rng, 1, 3), 1, pick(rng, 1, 3), pick(rng, 1, 24));
  p->tensors[FIXED].data = 0;
  for (uint64_t n = ap_tensor_elements(&p->tensors[FIXED]); n > 0; n--) {
    uint64_t value = number(rng, wide);
    ap_consts_add(&p->consts, &p->arena, &value, 1);
  }
}

// Rows that are likely to be successive positions of the tensor, or every stride-th of them; anything now and then.
static void make_move(struct rng *rng, struct ap_program *p) {
  uint32_t tensor = chance(rng, 50) ? ROOT : chance(rng, 60) ? ALIAS : FIXED;
  const struct ap_tensor *t = &p->tensors[tensor];
  struct ap_grid *grid = bf_arena_alloc(&p->arena, p->ngrids = 1, sizeof *grid);
  struct ap_desc *d = bf_arena_alloc(&p->arena, p->ndescs = 1, sizeof *d);
  uint32_t stride = chance(rng, 30) ? pick(rng, 2, 3) : 1;
  p->grids = grid;
  p->descs = d;
  *d = (struct ap_desc){.tensor = tensor, .row_dim = {0, 1, 2, 3}, .row_stride = {1, (int32_t)stride, (int32_t)stride, 1}};
  for (unsigned k = 0; k < 4; k++) {
    uint32_t by = k == 1 || k == 2 ? stride : 1;
    grid->count[k] = (t->shape[k] + by - 1) / by;
    d->tap_count[k] = chance(rng, 40) ? pick(rng, 1, 3) : 1;
    d->tap_step[k] = (int32_t)pick(rng, 0, 2) - (chance(rng, 30) ? 1 : 0);
    d->origin[k] = chance(rng, 60) ? 0 : (int32_t)pick(rng, 0, 4) - 2;
  }
  if (chance(rng, 25)) {
    grid->count[3] = pick(rng, 1, 24);
  }
  if (chance(rng, 15)) {
    d->origin[3] = (int32_t)pick(rng, 0, 24);
  }
  if (chance(rng, 20)) {  // successive positions from anywhere to anywhere
    grid->count[0] = grid->count[1] = 1;
    grid->count[2] = pick(rng, 2, 600);
    d->origin[2] = chance(rng, 30) ? AP_BLOCK_ROWS * (int32_t)pick(rng, 0, 1) : (int32_t)pick(rng, 0, 700) - 100;
  }
  if (chance(rng, 20)) {
    d->row_dim[3] = UINT8_MAX;
    grid->count[3] = pick(rng, 1, 20);
  }
  if (tensor == FIXED) {
    memset(d->row_dim, UINT8_MAX, 3);
    d->row_dim[3] = chance(rng, 80) ? 3 : (uint8_t)pick(rng, 0, 3);
    d->row_stride[3] = chance(rng, 80) ? 1 : (int32_t)pick(rng, 0, 2);
    grid->count[0] = 1, grid->count[1] = pick(rng, 1, 20), grid->count[2] = pick(rng, 2, 20);
    grid->count[3] = d->row_dim[3] < 3 ? t->shape[d->row_dim[3]] : grid->count[3];
  }
  uint32_t channels = p->tensors[ROOT].shape[3], parts = t->shape[3] < channels && channels % t->shape[3] == 0 ? channels / t->shape[3] : 1;
  if (tensor == ALIAS && parts > 1 && chance(rng, 70)) {
    d->row_stride[2] = (int32_t)parts;
    d->origin[2] = (int32_t)pick(rng, 0, parts);
    grid->count[0] = grid->count[1] = 1;
    grid->count[2] = t->shape[2] / parts;
    grid->count[3] = pick(rng, 1, (int64_t)t->shape[3] + 3);
  }
  if (tensor == ALIAS && chance(rng, 20)) {  // positions along the dimension that has the channels, too
    d->row_dim[2] = 3;
    d->row_stride[2] = (int32_t)p->tensors[ROOT].shape[3];
    grid->count[0] = grid->count[1] = 1;
    grid->count[2] = pick(rng, 2, 6);
    grid->count[3] = pick(rng, 2, 6);
  }
  if (chance(rng, 10)) {
    d->row_dim[pick(rng, 0, 3)] = (uint8_t)pick(rng, 0, 3);
    d->row_stride[pick(rng, 0, 3)] = (int32_t)pick(rng, 0, 8) - 1;
    grid->count[pick(rng, 0, 3)] = pick(rng, 1, 9);
  }
  grid->tile_rows = 64;
  d->bit = chance(rng, 30) ? (uint8_t)pick(rng, 0, t->bits - 1) : 0;
  d->bits = (uint8_t)(t->bits - d->bit);
  d->bits = chance(rng, 30) ? (uint8_t)pick(rng, 1, d->bits) : d->bits;
  d->pad_value = number(rng, d->bits);
}

// Positions of a tensor of its own, or of a part of its channels.
static void make_store(struct rng *rng, struct ap_program *p) {
  const struct ap_tensor *t = &p->tensors[ROOT];
  struct ap_grid *grid = bf_arena_alloc(&p->arena, p->ngrids = 1, sizeof *grid);
  struct ap_desc *d = bf_arena_alloc(&p->arena, p->ndescs = 1, sizeof *d);
  p->grids = grid;
  p->descs = d;
  *grid = (struct ap_grid){{t->shape[0], t->shape[1], t->shape[2], t->shape[3]}, 64};
  *d = (struct ap_desc){.tensor = ROOT, .bits = t->bits, .row_dim = {0, 1, 2, 3}, .row_stride = {1, 1, 1, 1}, .tap_count = {1, 1, 1, 1}};
  if (chance(rng, 50)) {
    d->origin[3] = (int32_t)(chance(rng, 60) ? pick(rng, 0, t->shape[3] - 1) & 0x1cu : pick(rng, 0, t->shape[3] - 1));
    uint32_t left = t->shape[3] - (uint32_t)d->origin[3];
    grid->count[3] = chance(rng, 50) ? left : pick(rng, 1, left);
  }
  if (chance(rng, 20) && t->shape[0] == 1 && t->shape[1] == 1) {
    d->origin[2] = (int32_t)(chance(rng, 70) ? pick(rng, 0, t->shape[2] - 1) & 0x7c0u : pick(rng, 0, t->shape[2] - 1));
    grid->count[2] = pick(rng, 1, t->shape[2] - (uint32_t)d->origin[2]);
  }
}

static void fill_memory(struct rng *rng, struct ap_run *run) {
  const struct ap_tensor *t = &run->program->tensors[ROOT];
  for (uint64_t e = 0, n = ap_tensor_elements(t); e < n; e++) {
    ap_memory_set(&run->memory[ROOT], e, number(rng, t->bits));
  }
  run->planes[ROOT].memory_written = true;
  ap_planes_update(run, ROOT);
}

static void world_begin(struct rng *rng, struct world *w, void (*make)(struct rng *, struct ap_program *)) {
  struct bf_diags diags = {0};
  w->p = ap_program_new();
  assert_true(ap_machine_load("edge", &w->p->machine, NULL, &diags));
  make_tensors(rng, w->p);
  make(rng, w->p);
  const struct ap_desc *d = w->p->descs;
  uint32_t taps = d->tap_count[0] * d->tap_count[1] * d->tap_count[2] * d->tap_count[3];
  w->instr = (struct ap_instr){.op = AP_OP_LOADP, .f = {{AP_FLAG_COLUMNS, d->bits}}, .tap = (uint16_t)pick(rng, 0, taps - 1)};
  w->run = ap_run_new(w->p, &diags);
  assert_non_null(w->run);
  bf_diags_free(&diags);
  fill_memory(rng, w->run);
  ap_block_thread_init(&w->thread, w->run);
  w->order = order_of_grid(w->p->grids);
  w->move = ap_move_of(w->p, &w->instr);
}

static void world_end(struct world *w) {
  ap_block_thread_free(&w->thread);
  ap_run_free(w->run);
  ap_program_free(w->p);
}

// The element of a row of the grid, as isa/program.h defines it. False: outside of the tensor.
static bool find_element(const struct ap_move *move, const struct ap_tensor *t, uint64_t row, uint64_t *element) {
  int64_t at[4];
  uint32_t tap = move->tap;
  for (int k = 3; k >= 0; k--) {
    at[k] = move->desc->origin[k] + (int64_t)(tap % move->desc->tap_count[k]) * move->desc->tap_step[k];
    tap /= move->desc->tap_count[k];
  }
  for (int j = 3; j >= 0; j--) {
    if (move->desc->row_dim[j] < 4) {
      at[move->desc->row_dim[j]] += (int64_t)(row % move->grid->count[j]) * move->desc->row_stride[j];
    }
    row /= move->grid->count[j];
  }
  *element = 0;
  for (unsigned k = 0; k < 4; k++) {
    if (at[k] < 0 || at[k] >= t->shape[k]) {
      return false;
    }
    *element = *element * t->shape[k] + (uint64_t)at[k];
  }
  return true;
}

static uint64_t loaded_value(const struct world *w, uint64_t row) {
  const struct ap_desc *d = w->move.desc;
  uint64_t element;
  if (!find_element(&w->move, &w->p->tensors[d->tensor], row, &element)) {
    return d->pad_value;
  }
  uint64_t value = ap_memory_get(ap_run_memory(w->run, d->tensor), element) >> d->bit;
  return d->bits < 64 ? value & (((uint64_t)1 << d->bits) - 1) : value;
}

static void check_columns(const struct world *w, const struct ap_block_rows *rows, const uint64_t *columns, const char *how) {
  uint64_t mask[AP_COLUMN_WORDS];
  ap_order_mask(&w->order, rows, mask);
  for (unsigned at = 0; at < AP_BLOCK_ROWS; at++) {
    uint32_t channel;
    if ((mask[at / 64] >> at % 64 & 1) == 0) {
      continue;
    }
    uint64_t value = 0, wanted = loaded_value(w, row_of(&w->order, rows, at, &channel));
    for (unsigned b = 0; b < w->move.width; b++) {
      value |= (columns[b * AP_COLUMN_WORDS + at / 64] >> at % 64 & 1) << b;
    }
    if (value != wanted) {
      fail_msg("%s: position %llu of channel %u is %llu, not %llu", how, (unsigned long long)(rows->row0 + at), channel, (unsigned long long)value,
               (unsigned long long)wanted);
    }
  }
}

// As a plan keeps constants of a byte.
static uint8_t *channel_bytes(const struct world *w, const struct ap_plane_access *x) {
  uint8_t *values = bf_alloc((size_t)w->order.channels + 7, 1);
  for (uint32_t c = 0; c < w->order.channels; c++) {
    values[c] = (uint8_t)(ap_memory_get(x->constants, x->element + c * x->step) >> x->bit);
  }
  return values;
}

static uint64_t *inside_masks(const struct world *w) {
  uint64_t *masks = bf_alloc(w->order.each * AP_COLUMN_WORDS, sizeof *masks);
  for (uint64_t b = 0; b < w->order.each; b++) {
    struct ap_block_rows rows;
    assert_true(ap_order_block(&w->order, w->p->grids, b, &rows));
    ap_channel_rows_inside(w->run, &w->order, &w->move, rows.row0, rows.rows, masks + b * AP_COLUMN_WORDS);
  }
  return masks;
}

// All blocks of the grid with the present variants.
static void check_loads(struct rng *rng, struct world *w, const struct ap_plane_access *x) {
  static _Alignas(64) uint64_t columns[WORDS];
  struct ap_entry entry = {.kind = AP_ENTRY_LOAD, .instr = &w->instr, .planes = (struct ap_plane_access *)x, .order = &w->order};
  bool in_place = ap_block_in_place(w->run, w->p->grids, &entry);
  for (uint64_t b = 0, n = ap_order_blocks(&w->order, w->p->grids); b < n; b++) {
    assert_true(ap_order_block(&w->order, w->p->grids, b, &w->thread.at));
    fill(rng, columns, WORDS);
    ap_block_load_channels(&w->thread, x, columns);
    check_columns(w, &w->thread.at, columns, "columns");
    if (in_place) {
      uint64_t along = ap_plane_along(x) ? w->thread.at.block : w->thread.at.row0 / AP_BLOCK_ROWS;
      const uint64_t *there = ap_planes_block(x->planes, x->channel, (uint64_t)x->position / AP_BLOCK_ROWS) + x->bit * AP_COLUMN_WORDS;
      check_columns(w, &w->thread.at, there + along * x->planes->bits * AP_COLUMN_WORDS, "in place");
    }
  }
}

static void check_elements(struct rng *rng, struct world *w) {
  static _Alignas(64) uint64_t columns[WORDS];
  for (uint64_t b = 0, n = ap_order_blocks(&w->order, w->p->grids); b < n; b++) {
    assert_true(ap_order_block(&w->order, w->p->grids, b, &w->thread.at));
    fill(rng, columns, WORDS);
    ap_block_fill_channels(&w->thread, &w->order, &w->move, columns);
    check_columns(w, &w->thread.at, columns, "elements");
  }
}

static void note_load(const struct world *w, const struct ap_plane_access *x, struct reached *r) {
  struct ap_entry entry = {.kind = AP_ENTRY_LOAD, .planes = (struct ap_plane_access *)x, .order = &w->order};
  uint32_t inner = (1u << w->order.shift) - 1;
  r->loads++;
  *(w->order.shift > 0 ? &r->shared : &r->alone) += 1;
  if (x->constants != NULL) {
    r->constants++;
    *(x->bits <= 8 ? &r->bytes : &r->words) += 1;
    return;
  }
  r->views += x->planes != &w->run->planes[x->tensor];
  r->some_channels += x->limit > 0 && x->limit < w->order.channels;
  r->no_channels += x->limit == 0;
  r->one_channel += x->step == 0;
  *(x->whole ? &r->whole : &r->padded) += 1;
  r->apart += w->order.shift > 0 && x->step > 0 && (x->planes->shift != w->order.shift || (x->channel & inner) != 0);
  r->in_place += ap_block_in_place(w->run, w->p->grids, &entry);
}

static void check_load(struct rng *rng, struct world *w, struct reached *reached) {
  struct ap_plane_view view;
  struct ap_plane_access x;
  check_elements(rng, w);
  if (!ap_channel_access(w->run, &w->order, &w->move, false, &view, &x)) {
    reached->refused++;
    return;
  }
  bool of_view = x.constants == NULL && x.planes == NULL;
  ap_planes_update(w->run, x.tensor);
  if (of_view) {
    x.planes = &view.planes;
    ap_plane_view_update(w->run, &view);
  }
  x.move = &w->instr;
  x.pad = w->move.desc->pad_value;
  note_load(w, &x, reached);
  uint8_t *bytes = x.constants != NULL && x.bits <= 8 ? channel_bytes(w, &x) : NULL;
  uint64_t *inside = x.constants == NULL && !x.whole ? inside_masks(w) : NULL;
  for (unsigned kept = 0; kept < 2; kept++) {  // without and with what a plan has worked out
    x.values = kept ? bytes : NULL;
    x.inside = kept ? inside : NULL;
    for (unsigned i = 0; ap_plane_reader_variant(i) != NULL; i++) {
      w->thread.read_planes = ap_plane_reader_variant(i);
      w->thread.spread = ap_channel_spread_variant(i) != NULL ? ap_channel_spread_variant(i) : ap_channel_spread_best();
      check_loads(rng, w, &x);
    }
  }
  free(bytes);
  free(inside);
  if (of_view) {
    free(view.planes.owned);
  }
}

#define REACHED(field) assert_true(reached.field > 0)
static void test_loads(void **state) {
  struct rng rng = {77};
  struct reached reached = {0};
  for (int round = 0; round < 10 * rounds(300); round++) {
    struct world w;
    world_begin(&rng, &w, make_move);
    check_load(&rng, &w, &reached);
    world_end(&w);
  }
  REACHED(loads); REACHED(refused); REACHED(shared); REACHED(alone); REACHED(views); REACHED(constants); REACHED(bytes); REACHED(words);
  REACHED(some_channels); REACHED(no_channels); REACHED(one_channel); REACHED(padded); REACHED(whole); REACHED(apart); REACHED(in_place);
  print_message("%u loads, %u of views, %u of constants, %u with channels outside\n", reached.loads, reached.views, reached.constants,
                reached.some_channels + reached.no_channels);
}

// Rows as far outside of the tensor as a program may say, of positions and of every second one.
static void make_far(struct rng *rng, struct ap_program *p) {
  struct ap_grid *grid = bf_arena_alloc(&p->arena, p->ngrids = 1, sizeof *grid);
  struct ap_desc *d = bf_arena_alloc(&p->arena, p->ndescs = 1, sizeof *d);
  int32_t stride = (int32_t)pick(rng, 1, 2);
  p->grids = grid;
  p->descs = d;
  p->tensors[ROOT] = p->tensors[ALIAS] = tensor_of(AP_STORAGE_ACTIVATION, 1, 2, 1, 300000, 1);
  p->tensors[ALIAS].alias = ROOT;
  *grid = (struct ap_grid){{2, 1, 300000 / (uint32_t)stride, 1}, 64};
  *d = (struct ap_desc){.tensor = ROOT, .bits = 1, .row_dim = {0, 1, 2, 3}, .row_stride = {1, 1, stride, 1}, .tap_count = {UINT16_MAX + 1u, 1, 1, 1},
                        .tap_step = {chance(rng, 50) ? INT32_MIN : INT32_MAX, 0, 0, 0}, .pad_value = 1};
}

static void test_far_loads(void **state) {
  struct rng rng = {81};
  struct reached reached = {0};
  for (int round = 0; round < 12; round++) {
    struct world w;
    world_begin(&rng, &w, make_far);
    check_load(&rng, &w, &reached);
    world_end(&w);
  }
  REACHED(views); REACHED(padded);
  assert_true(reached.loads > reached.views);
}

// --- stores ------------------------------------------------------------------------------------------------

// What the tensor holds when the rows of all blocks have been stored by `planes`, or element by element. The rows' values come from `seed`.
static uint64_t *store_all(struct world *w, const struct ap_plane_access *planes, uint64_t seed) {
  static _Alignas(64) uint64_t columns[WORDS];
  struct rng rng = {seed};
  uint64_t n = ap_tensor_elements(&w->p->tensors[ROOT]), *held = bf_alloc(n, sizeof *held);
  for (uint64_t b = 0, all = ap_order_blocks(&w->order, w->p->grids); b < all; b++) {
    assert_true(ap_order_block(&w->order, w->p->grids, b, &w->thread.at));
    fill(&rng, columns, WORDS);
    if (planes != NULL) {
      ap_block_store_channels(&w->thread, planes, columns);
    } else {
      ap_block_drain_channels(&w->thread, &w->order, &w->move, columns);
    }
  }
  w->run->planes[ROOT].memory_stale = planes != NULL;
  ap_planes_to_memory(w->run, ROOT);
  for (uint64_t e = 0; e < n; e++) {
    held[e] = ap_memory_get(&w->run->memory[ROOT], e);
  }
  return held;
}

// Row by row as the descriptor says.
static uint64_t *expected_store(const struct world *w, uint64_t seed) {
  static _Alignas(64) uint64_t columns[WORDS];
  struct rng rng = {seed};
  uint64_t n = ap_tensor_elements(&w->p->tensors[ROOT]), *held = bf_alloc(n, sizeof *held), mask[AP_COLUMN_WORDS], element;
  for (uint64_t e = 0; e < n; e++) {
    held[e] = ap_memory_get(&w->run->memory[ROOT], e);
  }
  for (uint64_t b = 0, all = ap_order_blocks(&w->order, w->p->grids); b < all; b++) {
    struct ap_block_rows rows;
    assert_true(ap_order_block(&w->order, w->p->grids, b, &rows));
    ap_order_mask(&w->order, &rows, mask);
    fill(&rng, columns, WORDS);
    for (unsigned at = 0; at < AP_BLOCK_ROWS; at++) {
      uint32_t channel;
      if ((mask[at / 64] >> at % 64 & 1) == 0) {
        continue;
      }
      assert_true(find_element(&w->move, &w->p->tensors[ROOT], row_of(&w->order, &rows, at, &channel), &element));
      held[element] = 0;
      for (unsigned c = 0; c < w->move.width; c++) {
        held[element] |= (columns[c * AP_COLUMN_WORDS + at / 64] >> at % 64 & 1) << c;
      }
    }
  }
  return held;
}

static void test_stores(void **state) {
  struct rng rng = {78};
  struct reached reached = {0};
  for (int round = 0; round < 5 * rounds(300); round++) {
    struct world w;
    struct ap_plane_view view;
    struct ap_plane_access x;
    world_begin(&rng, &w, make_store);
    uint64_t seed = number(&rng, 32), size = ap_tensor_elements(&w.p->tensors[ROOT]) * sizeof(uint64_t);
    uint64_t *expected = expected_store(&w, seed), *found;
    bool columns = ap_channel_access(w.run, &w.order, &w.move, true, &view, &x);
    *(columns ? &reached.stores : &reached.stores_refused) += 1;
    reached.stores_shared += columns && w.order.shift > 0;
    found = store_all(&w, columns ? &x : NULL, seed);  // the same again by elements gives the same
    assert_memory_equal(found, expected, size);
    free(found);
    found = store_all(&w, NULL, seed);
    assert_memory_equal(found, expected, size);
    free(found);
    free(expected);
    world_end(&w);
  }
  REACHED(stores); REACHED(stores_shared); REACHED(stores_refused);
  assert_true(reached.stores > reached.stores_shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_blocks_cover),
      cmocka_unit_test(test_loads),
      cmocka_unit_test(test_far_loads),
      cmocka_unit_test(test_stores),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
