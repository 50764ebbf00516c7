// SPDX-License-Identifier: Apache-2.0
// Random legal programs at the level of instructions: every instruction of the table that the array allows, loops, streams,
// regions of several tiles, loads and stores of all shapes, microcode as generated or with a value altered.
#ifndef RANDOM_PROGRAM_H
#define RANDOM_PROGRAM_H

#include <stdlib.h>
#include <string.h>

#include "isa/program.h"
#include "tests/support/random_graph.h"

enum { RP_GRIDS = 3, RP_SOURCES = 4, RP_LOADS = 4, RP_STORES = 3, RP_TABLES = 2, RP_TABLE_ITEMS = 24, RP_STREAMS = 5, RP_STEPS = 40,
       RP_CODE = 400, RP_PATTERNS = 4 * (RP_CODE + RP_TABLES * RP_TABLE_ITEMS), RP_MICROS = 600, RP_LAYERS = 4, RP_ALIASES = 2,
       RP_TENSORS = RP_SOURCES + RP_GRIDS * RP_STORES + RP_ALIASES };

struct random_program {
  struct rng *rng;
  struct ap_program *p;
  bool rows;          // steps between rows are wanted
  bool alter;         // some microcode is altered
  bool by_channel[RP_GRIDS];  // moves of the grid are such that its rows may be taken channel by channel
  uint32_t table_grid[RP_TABLES];
};

static inline uint32_t rp_pick(struct random_program *g, uint32_t low, uint32_t high) {
  return (uint32_t)rng_range(g->rng, low, high);
}
static inline bool rp_chance(struct random_program *g, uint32_t percent) { return rng_next(g->rng) % 100 < percent; }
static inline uint64_t rp_number(struct random_program *g, unsigned bits) {
  uint64_t x = (uint64_t)rng_next(g->rng) << 32 | rng_next(g->rng);
  return bits >= 64 ? x : x & (((uint64_t)1 << bits) - 1);
}

static inline void rp_tensor(struct random_program *g, uint32_t at, enum ap_storage storage, unsigned bits, const uint32_t shape[4]) {
  struct ap_tensor *t = &g->p->tensors[at];
  *t = (struct ap_tensor){.storage = storage, .bits = (uint8_t)bits, .rank = 4, .scale = 1, .alias = UINT32_MAX};
  t->name = bf_arena_format(&g->p->arena, "t%u", at);
  t->type = bf_arena_format(&g->p->arena, "u%u", bits);
  memcpy(t->shape, shape, sizeof t->shape);
}

static inline void rp_memory(struct random_program *g) {
  struct ap_program *p = g->p;
  p->tensors = bf_arena_alloc(&p->arena, RP_TENSORS, sizeof *p->tensors);
  p->ntensors = RP_TENSORS;
  p->inputs = bf_arena_alloc(&p->arena, RP_SOURCES, sizeof *p->inputs);
  p->outputs = bf_arena_alloc(&p->arena, 1, sizeof *p->outputs);
  for (uint32_t i = 0; i < RP_SOURCES; i++) {
    bool large = rp_chance(g, 30);  // channels that have blocks of their own
    const uint32_t shape[4] = {rp_pick(g, 1, 2), rp_pick(g, 1, large ? 25 : 9), rp_pick(g, 1, large ? 30 : 20), rp_pick(g, 1, 9)};
    bool constant = i > 0 && rp_chance(g, 30), row = constant && rp_chance(g, 60);  // row: a value for each channel
    unsigned bits = rp_chance(g, 70) ? rp_pick(g, 1, 9) : rp_pick(g, 10, constant ? 40 : 16);
    const uint32_t values[4] = {1, 1, rp_pick(g, 1, 3), rp_pick(g, 4, 24)};
    rp_tensor(g, i, constant ? AP_STORAGE_CONST : AP_STORAGE_ACTIVATION, bits, row ? values : shape);
    if (!constant) {
      p->inputs[p->ninputs++] = i;
      continue;
    }
    p->tensors[i].data = p->consts.count;
    for (uint64_t n = ap_tensor_elements(&p->tensors[i]); n > 0; n--) {
      uint64_t value = rp_number(g, bits);
      ap_consts_add(&p->consts, &p->arena, &value, 1);
    }
  }
}

// Other shapes of sources, in the same memory.
static inline void rp_aliases(struct random_program *g) {
  for (uint32_t i = RP_TENSORS - RP_ALIASES; i < RP_TENSORS; i++) {
    uint32_t root = rp_pick(g, 0, RP_SOURCES - 1), shape[4];
    const struct ap_tensor *of = &g->p->tensors[root];
    uint64_t left = ap_tensor_elements(of);
    for (int k = 3; k > 0; left /= shape[k], k--) {
      shape[k] = rp_chance(g, 50) ? of->shape[k] : rp_pick(g, 1, 12);
      while (left % shape[k] != 0) {
        shape[k]--;
      }
    }
    shape[0] = (uint32_t)left;
    rp_tensor(g, i, of->storage, of->bits, shape);
    g->p->tensors[i].alias = root;
    g->p->tensors[i].data = of->data;
  }
}

// A tensor that takes a field of each row of a grid at a number of taps; with `overlap`, taps meet.
static inline void rp_store(struct random_program *g, uint32_t grid, uint32_t tensor, uint32_t desc) {
  struct ap_program *p = g->p;
  const uint32_t *count = p->grids[grid].count;
  bool plain = g->by_channel[grid];
  uint32_t taps = plain && rp_chance(g, 60) ? 1 : rp_pick(g, 1, 4), step = plain || rp_chance(g, 85) ? count[3] : rp_pick(g, 0, 2);
  const uint32_t shape[4] = {count[0], count[1], count[2], count[3] + step * (taps - 1)};
  unsigned bits = rp_chance(g, 70) ? rp_pick(g, 1, 12) : rp_pick(g, 13, 40);
  rp_tensor(g, tensor, AP_STORAGE_TEMP, bits, shape);
  struct ap_desc *d = &p->descs[desc];
  *d = (struct ap_desc){.grid = grid, .tensor = tensor, .bits = (uint8_t)bits, .row_dim = {0, 1, 2, 3}, .row_stride = {1, 1, 1, 1},
                        .tap_count = {1, 1, 1, taps}, .tap_step = {0, 0, 0, (int32_t)step}};
  if (!plain && rp_chance(g, 20)) {  // backwards
    d->row_stride[2] = -1;
    d->origin[2] = (int32_t)count[2] - 1;
  }
}

// Some bits of a tensor's elements.
static inline void rp_bits(struct random_program *g, struct ap_desc *d) {
  unsigned bits = g->p->tensors[d->tensor].bits, bit = rp_chance(g, 30) ? rp_pick(g, 0, bits - 1) : 0;
  d->bit = (uint8_t)bit;
  d->bits = (uint8_t)(bits - bit);
  d->bits = rp_chance(g, 30) ? (uint8_t)rp_pick(g, 1, d->bits) : d->bits;
  d->pad_value = rp_number(g, d->bits);
}

// The grid's positions in a tensor that it is made for, maybe with a stride, or values for its channels.
static inline void rp_channel_load(struct random_program *g, uint32_t grid, uint32_t source, uint32_t desc) {
  struct ap_program *p = g->p;
  struct ap_desc *d = &p->descs[desc];
  uint32_t tensor = source;
  int32_t stride = p->grids[grid].count[1] < p->tensors[source].shape[1] ? 2 : 1;
  for (uint32_t t = 0; t < RP_SOURCES && rp_chance(g, 60); t++) {
    tensor = p->tensors[t].storage == AP_STORAGE_CONST ? t : tensor;
  }
  bool constant = p->tensors[tensor].storage == AP_STORAGE_CONST;
  *d = (struct ap_desc){.grid = grid, .tensor = tensor, .row_dim = {0, 1, 2, 3}, .row_stride = {1, stride, stride, 1}, .tap_count = {1, 1, 1, 1}};
  rp_bits(g, d);
  if (constant) {
    memset(d->row_dim, UINT8_MAX, 3);
    d->tap_count[2] = p->tensors[tensor].shape[2];
    d->tap_step[2] = 1;
    d->row_dim[3] = p->grids[grid].count[3] <= p->tensors[tensor].shape[3] ? 3 : UINT8_MAX;
    return;
  }
  for (unsigned k = 1; k < 3; k++) {
    d->tap_count[k] = rp_pick(g, 1, 3);
    d->tap_step[k] = 1;
    d->origin[k] = -(int32_t)rp_pick(g, 0, 1);
  }
  d->origin[3] = rp_chance(g, 70) ? 0 : (int32_t)rp_pick(g, 0, 3);
  if (rp_chance(g, 30)) {  // the same for all channels
    d->row_dim[3] = UINT8_MAX;
    d->tap_count[3] = p->tensors[tensor].shape[3];
    d->tap_step[3] = 1;
    d->origin[3] = 0;
  }
}

static inline void rp_load(struct random_program *g, uint32_t grid, uint32_t desc) {
  struct ap_program *p = g->p;
  uint32_t tensor = rp_chance(g, 85) ? rp_pick(g, 0, RP_SOURCES - 1) : rp_pick(g, 0, RP_TENSORS - 1);
  struct ap_desc *d = &p->descs[desc];
  *d = (struct ap_desc){.grid = grid, .tensor = tensor};
  rp_bits(g, d);
  for (unsigned k = 0; k < 4; k++) {
    d->row_dim[k] = rp_chance(g, 80) ? (uint8_t)k : rp_chance(g, 50) ? 255 : (uint8_t)rp_pick(g, 0, 3);
    d->row_stride[k] = (int32_t)rp_pick(g, 0, 4) - 1;
    d->origin[k] = (int32_t)rp_pick(g, 0, 4) - 2;
    d->tap_count[k] = rp_pick(g, 1, 3);
    d->tap_step[k] = (int32_t)rp_pick(g, 0, 3) - 1;
  }
  if (rp_chance(g, 30)) {  // the same element for the rows of all groups
    memcpy(d->row_dim, (const uint8_t[4]){0, 1, 2, 255}, sizeof d->row_dim);
    d->row_stride[2] = 1;
  }
}

// Positions of a source, all or every second one, and channels of its own.
static inline void rp_channel_grid(struct random_program *g, uint32_t source, struct ap_grid *grid) {
  const struct ap_tensor *t = &g->p->tensors[source];
  bool half = rp_chance(g, 30);
  for (unsigned k = 0; k < 3; k++) {
    grid->count[k] = half && k > 0 ? (t->shape[k] + 1) / 2 : t->shape[k];
  }
  grid->count[3] = rp_chance(g, 60) ? t->shape[3] : rp_pick(g, 2, 16);
}

static inline void rp_grids(struct random_program *g) {
  struct ap_program *p = g->p;
  p->grids = bf_arena_alloc(&p->arena, p->ngrids = RP_GRIDS, sizeof *p->grids);
  p->descs = bf_arena_alloc(&p->arena, p->ndescs = RP_GRIDS * (RP_LOADS + RP_STORES), sizeof *p->descs);
  for (uint32_t i = 0; i < RP_GRIDS; i++) {
    struct ap_grid *grid = &p->grids[i];
    *grid = (struct ap_grid){{rp_pick(g, 1, 2), rp_pick(g, 1, 9), rp_pick(g, 1, 30), rp_pick(g, 1, 12)}, 0};
    if (rp_chance(g, 40)) {  // pixels and row groups
      *grid = (struct ap_grid){{1, 1, rp_pick(g, 1, 300), rp_chance(g, 60) ? 1u << rp_pick(g, 0, 7) : rp_pick(g, 1, 90)}, 0};
    }
    uint32_t source = p->inputs[rp_pick(g, 0, p->ninputs - 1)];
    g->by_channel[i] = rp_chance(g, 40);
    if (g->by_channel[i]) {
      rp_channel_grid(g, source, grid);
    }
    uint64_t rows = ap_grid_rows(grid);
    grid->tile_rows = rp_chance(g, 50) ? p->machine.rows : rp_pick(g, 1, p->machine.rows);
    for (int attempt = 0; attempt < 6 && rows / grid->tile_rows > 12; attempt++) {
      grid->tile_rows = rp_pick(g, grid->tile_rows, p->machine.rows);
    }
    for (uint32_t s = 0; s < RP_STORES; s++) {
      rp_store(g, i, RP_SOURCES + i * RP_STORES + s, RP_GRIDS * RP_LOADS + i * RP_STORES + s);
    }
    for (uint32_t l = 0; g->by_channel[i] && l < RP_LOADS; l++) {
      rp_channel_load(g, i, source, i * RP_LOADS + l);
    }
  }
  for (uint32_t i = 0; i < RP_GRIDS * RP_LOADS; i++) {
    if (!g->by_channel[i / RP_LOADS]) {
      rp_load(g, i / RP_LOADS, i);
    }
  }
}

// --- instructions --------------------------------------------------------------------------------------

// setk.if that looks at its condition again before each bit of d that it writes: where the condition is one of them, that can be seen.
static inline void rp_condition_again(struct random_program *g, struct ap_micro *micro) {
  unsigned bits = micro->width[0];
  micro->steps = bf_arena_alloc(&g->p->arena, micro->nsteps = 2 * bits, sizeof *micro->steps);
  micro->lits = bf_arena_alloc(&g->p->arena, micro->nlits = 2 * bits, sizeof *micro->lits);
  for (unsigned b = 0; b < bits; b++) {
    micro->lits[2 * b] = (struct ap_lit){.slot = AP_SLOT_A, .value = AP_LIT_1};
    micro->lits[2 * b + 1] = (struct ap_lit){.slot = AP_SLOT_D, .bit = (uint8_t)b, .value = AP_LIT_K, .kbit = (uint8_t)b};
    for (unsigned i = 2 * b; i < 2 * b + 2; i++) {
      micro->steps[i] = (struct ap_step){.kind = i % 2 == 0 ? AP_STEP_COMPARE : AP_STEP_WRITE, .nlits = 1, .first = i};
    }
  }
}

static inline bool rp_micro(struct random_program *g, const struct ap_instr *instr) {
  struct ap_program *p = g->p;
  const struct ap_op_info *info = ap_op_info(instr->op);
  uint8_t width[3] = {0, 0, 0};
  for (unsigned i = 0; i < info->micro_widths; i++) {
    width[i] = instr->f[i].width;
  }
  for (uint32_t i = 0; i < p->nmicros; i++) {
    if (p->micros[i].op == instr->op && memcmp(p->micros[i].width, width, 3) == 0) {
      return true;
    }
  }
  struct ap_micro made;
  if (p->nmicros == RP_MICROS || !ap_micro_generate(instr->op, width, p->machine.features, &made)) {
    return false;
  }
  struct ap_micro *to = &p->micros[p->nmicros++];
  *to = made;
  to->steps = bf_arena_alloc(&p->arena, made.nsteps + 1, sizeof *to->steps);
  to->lits = bf_arena_alloc(&p->arena, made.nlits + 1, sizeof *to->lits);
  memcpy(to->steps, made.steps, made.nsteps * sizeof *to->steps);
  if (made.nlits > 0) {  // a shift of the tags has none
    memcpy(to->lits, made.lits, made.nlits * sizeof *to->lits);
  }
  ap_micro_free(&made);
  if (g->alter && instr->op == AP_OP_SETKIF && rp_chance(g, 70)) {
    rp_condition_again(g, to);
  } else if (g->alter && to->nlits > 0 && rp_chance(g, 30)) {
    struct ap_lit *lit = &to->lits[rp_pick(g, 0, to->nlits - 1)], old = *lit;
    if (lit->value <= AP_LIT_1 && lit->slot != AP_SLOT_SUM) {
      lit->value ^= 1;
    }
    if (ap_micro_check(to) != NULL) {
      *lit = old;
    }
  }
  return true;
}

static inline struct ap_field rp_field(struct random_program *g, unsigned most) {
  unsigned width = rp_pick(g, 1, rp_chance(g, 80) && most > 12 ? 12 : most);
  uint32_t last = g->p->machine.columns - width, low = rp_chance(g, 30) ? AP_FLAG_COLUMNS : rp_pick(g, AP_FLAG_COLUMNS, last);  // loads favour the first columns
  return (struct ap_field){(uint16_t)low, (uint8_t)width};
}

// Widths that the rule of an instruction is likely to accept.
static inline void rp_widths(struct random_program *g, const struct ap_op_info *info, struct ap_field *f) {
  if (info->rule == AP_RULE_EQ || info->rule == AP_RULE_EQ3 || info->rule == AP_RULE_D1E) {
    f[1].width = info->rule == AP_RULE_D1E ? f[1].width : f[0].width;
    f[2].width = f[1].width;
  }
  if (info->rule == AP_RULE_D1E || info->rule == AP_RULE_D1) f[0].width = 1;
  if (info->rule == AP_RULE_A1) f[1].width = 1;
  if (info->rule == AP_RULE_IF) f[1].width = f[0].width, f[2].width = 1;
  if (info->rule == AP_RULE_PAT) {
    f[1].width = (uint8_t)rp_pick(g, 1, rp_chance(g, 90) ? 5 : AP_MAX_PATTERN_INPUTS), f[2].width = (uint8_t)rp_pick(g, 1, 3);
  }
  if (info->rule == AP_RULE_SUM) {
    f[1].width = (uint8_t)rp_pick(g, 1, 5), f[2].width = (uint8_t)rp_pick(g, 1, 5);
    f[0].width = (uint8_t)(f[1].width + f[2].width);
  }
}

// The number of a new pattern. There are fewer instructions than places.
static inline uint32_t rp_pattern(struct random_program *g, const uint8_t width[3]) {
  struct ap_program *p = g->p;
  struct ap_pattern *pattern = &p->patterns[p->npatterns];
  *pattern = (struct ap_pattern){.inputs = width[1], .key = rp_number(g, width[2]), .base = rp_number(g, width[0])};
  for (unsigned i = 0; i < width[1]; i++) {
    pattern->add[i] = rp_number(g, width[0]);
  }
  return p->npatterns++;
}

static inline bool rp_compute(struct random_program *g, enum ap_op op, struct ap_instr *out) {
  const struct ap_op_info *info = ap_op_info(op);
  if (info == NULL || info->op_class != AP_CLASS_COMPUTE || (info->needs & ~g->p->machine.features) != 0) {
    return false;
  }
  for (int attempt = 0; attempt < 30; attempt++) {
    struct ap_instr instr = {.op = op};
    unsigned fields = rp_pick(g, ap_format_info(info->format)->least, ap_format_info(info->format)->fields);
    for (unsigned i = 0; i < fields; i++) {
      instr.f[i] = rp_field(g, info->format == AP_FORMAT_KEY ? 6 : 30);
    }
    if (info->format != AP_FORMAT_KEY) {
      rp_widths(g, info, instr.f);
      for (unsigned i = fields; i < 3; i++) {
        instr.f[i] = (struct ap_field){0, 0};
      }
    }
    if (op == AP_OP_SETK && rp_chance(g, 30)) {  // immediates of many bits
      instr.f[0] = (struct ap_field){AP_FLAG_COLUMNS, (uint8_t)rp_pick(g, 27, 50)};
    }
    if (op == AP_OP_SETKIF && rp_chance(g, 40)) {  // the condition a column of d
      instr.f[0].col = AP_FLAG_COLUMNS;
      instr.f[1].col = (uint16_t)(AP_FLAG_COLUMNS + rp_pick(g, 0, instr.f[0].width - 1u));
    }
    const uint8_t width[3] = {instr.f[0].width, instr.f[1].width, instr.f[2].width};
    instr.imm = info->imm == AP_IMM_NONE ? 0 : rp_number(g, ap_imm_width(info, width));
    if (info->imm == AP_IMM_ROWS) {
      instr.imm = rp_chance(g, 80) ? rp_pick(g, 1, 70) : rp_pick(g, 1, 2000);
    }
    if (info->imm == AP_IMM_PATTERN) {
      instr.imm = 0;
    }
    if (ap_instr_check(&instr, g->p->machine.columns) == NULL && rp_micro(g, &instr)) {
      if (info->imm == AP_IMM_PATTERN) {
        instr.index = rp_pattern(g, width);
      }
      *out = instr;
      return true;
    }
  }
  return false;
}

// Loads favour two fields, so that code looks like that of a compiler now and then.
static inline struct ap_instr rp_move(struct random_program *g, uint32_t grid) {
  bool store = rp_chance(g, 15);
  uint32_t index = store ? RP_GRIDS * RP_LOADS + grid * RP_STORES + rp_pick(g, 0, RP_STORES - 1) : grid * RP_LOADS + rp_pick(g, 0, RP_LOADS - 1);
  const struct ap_desc *d = &g->p->descs[index];
  uint32_t taps = d->tap_count[0] * d->tap_count[1] * d->tap_count[2] * d->tap_count[3], last = g->p->machine.columns - d->bits;
  uint32_t col = rp_chance(g, 60) ? (rp_chance(g, 50) ? AP_FLAG_COLUMNS : last) : rp_pick(g, AP_FLAG_COLUMNS, last);
  enum ap_op op = store ? AP_OP_STORE : rp_chance(g, 60) ? AP_OP_LOADP : AP_OP_LOAD;
  return (struct ap_instr){.op = op, .f = {{(uint16_t)col, d->bits}}, .index = index, .tap = (uint16_t)rp_pick(g, 0, taps - 1)};
}

static inline bool rp_between_rows(enum ap_op op) { return op >= AP_OP_MOVEUP && op <= AP_OP_SUMROWS; }
static inline bool rp_raw(enum ap_op op) { return op >= AP_OP_COMPARE && op <= AP_OP_TALLY; }

// A move or an instruction that does not use tags.
static inline struct ap_instr rp_plain(struct random_program *g, uint32_t grid) {
  struct ap_instr instr;
  for (;;) {
    if (rp_chance(g, 30)) {
      return rp_move(g, grid);
    }
    enum ap_op op = (enum ap_op)rp_pick(g, AP_OP_SETK, AP_OP_SUMROWS);
    if (!rp_raw(op) && (g->rows || !rp_between_rows(op)) && rp_compute(g, op, &instr)) {
      return instr;
    }
  }
}

static inline void rp_put(struct random_program *g, struct ap_instr instr) {
  if (g->p->ncode < RP_CODE) {
    g->p->code[g->p->ncode++] = instr;
  }
}

// Writes a key whose second field is of columns just loaded, then loads them again.
static inline void rp_write_loaded(struct random_program *g, uint32_t grid) {
  struct ap_instr load = rp_move(g, grid), write = {.op = AP_OP_WRITE}, compare;
  if (load.op == AP_OP_STORE || load.f[0].col + load.f[0].width >= g->p->machine.columns || !rp_compute(g, AP_OP_COMPARE, &compare)) {
    return;
  }
  write.f[0] = (struct ap_field){(uint16_t)(g->p->machine.columns - 1), 1};
  write.f[1] = (struct ap_field){load.f[0].col, (uint8_t)rp_pick(g, 1, load.f[0].width < 4 ? load.f[0].width : 4)};
  write.imm = rp_number(g, 1u + write.f[1].width);
  if (ap_instr_check(&write, g->p->machine.columns) == NULL && rp_micro(g, &write)) {
    rp_put(g, load);
    rp_put(g, compare);
    rp_put(g, write);
    rp_put(g, load);
  }
}

static inline void rp_tags(struct random_program *g, uint32_t grid) {
  static const enum ap_op ops[] = {AP_OP_COMPOR, AP_OP_WRITE, AP_OP_WRITE, AP_OP_TAGUP, AP_OP_TAGDOWN};
  struct ap_instr instr;
  if (!rp_compute(g, AP_OP_COMPARE, &instr)) {
    return;
  }
  rp_put(g, instr);
  for (uint32_t n = rp_pick(g, 1, 5); n > 0; n--) {
    enum ap_op op = ops[rp_pick(g, 0, g->rows ? 4 : 2)];
    if (rp_chance(g, 20)) {
      rp_put(g, rp_move(g, grid));
    } else if (rp_compute(g, op, &instr)) {
      rp_put(g, instr);
    }
  }
  if (g->rows && rp_chance(g, 30) && rp_compute(g, AP_OP_TALLY, &instr)) {
    rp_put(g, instr);
  }
}

// The same with other numbers and, likely, another key.
static inline struct ap_instr rp_other_pattern(struct random_program *g, struct ap_instr instr) {
  const uint8_t width[3] = {instr.f[0].width, instr.f[1].width, instr.f[2].width};
  instr.index = rp_pattern(g, width);
  return instr;
}

static inline void rp_patterns(struct random_program *g) {
  struct ap_instr instr;
  if (!rp_compute(g, AP_OP_PATTERN, &instr)) {
    return;
  }
  rp_put(g, instr);
  for (uint32_t n = rp_pick(g, 0, 5); n > 0; n--) {
    rp_put(g, rp_other_pattern(g, instr));
  }
}

static inline void rp_tables(struct random_program *g) {
  struct ap_program *p = g->p;
  p->tables = bf_arena_alloc(&p->arena, p->ntables = RP_TABLES, sizeof *p->tables);
  p->streams = bf_arena_alloc(&p->arena, p->nstreams = RP_STREAMS, sizeof *p->streams);
  for (uint32_t t = 0; t < RP_TABLES; t++) {
    p->tables[t].items = bf_arena_alloc(&p->arena, p->tables[t].count = RP_TABLE_ITEMS, sizeof *p->tables[t].items);
    g->table_grid[t] = rp_pick(g, 0, RP_GRIDS - 1);
    for (uint32_t i = 0; i < RP_TABLE_ITEMS; i++) {
      struct ap_instr *item = &p->tables[t].items[i];
      bool more = i > 0 && item[-1].op == AP_OP_PATTERN && rp_chance(g, 70);
      if (more) {
        *item = rp_other_pattern(g, item[-1]);
      } else if (!rp_chance(g, 10) || !rp_compute(g, AP_OP_PATTERN, item)) {
        *item = rp_plain(g, g->table_grid[t]);
      }
    }
  }
  for (uint32_t s = 0; s < RP_STREAMS; s++) {
    struct ap_stream *stream = &p->streams[s];
    stream->table = s % RP_TABLES;
    stream->count = rp_pick(g, 0, RP_STEPS);
    stream->steps = bf_arena_alloc(&p->arena, RP_STEPS, sizeof *stream->steps);
    for (uint32_t i = 0; i < stream->count; i++) {
      bool next = i > 0 && stream->steps[i - 1] + 1 < RP_TABLE_ITEMS && rp_chance(g, 50);
      stream->steps[i] = (uint16_t)(next ? stream->steps[i - 1] + 1u : rp_pick(g, 0, RP_TABLE_ITEMS - 1));
    }
  }
}

static inline void rp_region(struct random_program *g, uint32_t grid) {
  unsigned open = 0;
  rp_put(g, (struct ap_instr){.op = AP_OP_GRID, .index = grid});
  for (uint32_t n = rp_pick(g, 0, 12); n > 0; n--) {
    uint32_t what = rp_pick(g, 0, 9), stream = rp_pick(g, 0, RP_STREAMS - 1);
    if (what == 0 && open < AP_MAX_LOOP_NEST) {
      rp_put(g, (struct ap_instr){.op = AP_OP_LOOP, .index = rp_pick(g, 1, 3)});
      open++;
    } else if (what == 1 && open > 0) {
      rp_put(g, (struct ap_instr){.op = AP_OP_ENDLOOP});
      open--;
    } else if (what <= 3 && g->table_grid[stream % RP_TABLES] == grid) {
      rp_put(g, (struct ap_instr){.op = AP_OP_STEPS, .index = stream});
    } else if (what == 4) {
      rp_tags(g, grid);
      rp_write_loaded(g, grid);
    } else if (what == 5) {
      rp_patterns(g);
    } else {
      rp_put(g, rp_plain(g, grid));
    }
  }
  for (; open > 0; open--) {
    rp_put(g, (struct ap_instr){.op = AP_OP_ENDLOOP});
  }
  uint32_t store = RP_GRIDS * RP_LOADS + grid * RP_STORES + rp_pick(g, 0, RP_STORES - 1), bits = g->p->descs[store].bits;
  rp_put(g, (struct ap_instr){.op = AP_OP_STORE, .index = store, .tap = (uint16_t)rp_pick(g, 0, g->p->descs[store].tap_count[3] - 1),
                              .f = {{(uint16_t)(rp_chance(g, 40) ? AP_FLAG_COLUMNS : rp_pick(g, AP_FLAG_COLUMNS, g->p->machine.columns - bits)), (uint8_t)bits}}});
  rp_put(g, (struct ap_instr){.op = AP_OP_ENDGRID});
}

static inline void rp_code(struct random_program *g) {
  struct ap_program *p = g->p;
  p->code = bf_arena_alloc(&p->arena, RP_CODE + 1, sizeof *p->code);
  p->layers = bf_arena_alloc(&p->arena, RP_LAYERS, sizeof *p->layers);
  for (p->nlayers = 0; p->nlayers < RP_LAYERS && p->ncode < RP_CODE / 2; p->nlayers++) {
    struct ap_layer *layer = &p->layers[p->nlayers];
    *layer = (struct ap_layer){.name = bf_arena_format(&p->arena, "l%u", p->nlayers), .op = bf_arena_strdup(&p->arena, "code"),
                               .mapping = bf_arena_strdup(&p->arena, "hand"), .first = p->ncode, .output = RP_SOURCES};
    uint32_t grid = rp_pick(g, 0, RP_GRIDS - 1);
    for (uint32_t r = rp_pick(g, 1, 4); r > 0 && p->ncode < RP_CODE / 2; r--) {
      grid = rp_chance(g, 70) ? grid : rp_pick(g, 0, RP_GRIDS - 1);
      rp_region(g, grid);
      if (rp_chance(g, 15)) {
        rp_put(g, (struct ap_instr){.op = AP_OP_BARRIER});
      }
    }
    layer->end = p->ncode;
    if (rp_chance(g, 60)) {
      rp_put(g, (struct ap_instr){.op = AP_OP_BARRIER});
    }
  }
  p->code[p->ncode++] = (struct ap_instr){.op = AP_OP_HALT};
}

static inline int rp_micro_order(const void *x, const void *y) {
  const struct ap_micro *a = x, *b = y;
  return a->op != b->op ? (a->op < b->op ? -1 : 1) : memcmp(a->width, b->width, 3);
}

// Owned by the caller.
static inline struct ap_program *random_program(struct rng *rng) {
  static const char *const machines[] = {"edge", "rtm-256", "bf-imna-lr"};
  struct bf_diags diags = {0};
  struct random_program g = {.rng = rng, .p = ap_program_new()};
  struct ap_program *p = g.p;
  if (!ap_machine_load(machines[rp_pick(&g, 0, 2)], &p->machine, NULL, &diags)) {
    abort();
  }
  bf_diags_free(&diags);
  g.rows = rp_chance(&g, 35);
  g.alter = rp_chance(&g, 30);
  p->machine.features = rng_next(rng) & (AP_FEATURE_ACCUMULATE | AP_FEATURE_ROW_GATING | AP_FEATURE_TAG_SHIFT | AP_FEATURE_TWO_D | AP_FEATURE_POPCOUNT);
  p->machine.features |= AP_FEATURE_WIDE_WRITE;
  p->machine.rows = rp_chance(&g, 50) ? rp_pick(&g, 513, 1700) : rp_pick(&g, 1, 700);
  p->machine.columns = rp_pick(&g, 60, 128);
  p->network = bf_arena_strdup(&p->arena, "random");
  p->tech = bf_arena_strdup(&p->arena, "sram16");
  p->vdd = 0.8;
  p->batch = 1;
  p->micros = bf_arena_alloc(&p->arena, RP_MICROS, sizeof *p->micros);
  p->patterns = bf_arena_alloc(&p->arena, RP_PATTERNS, sizeof *p->patterns);
  rp_memory(&g);
  rp_aliases(&g);
  rp_grids(&g);
  rp_tables(&g);
  rp_code(&g);
  p->outputs[p->noutputs++] = RP_SOURCES;
  qsort(p->micros, p->nmicros, sizeof *p->micros, rp_micro_order);
  return p;
}

#endif
