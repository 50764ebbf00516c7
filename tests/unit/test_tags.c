// SPDX-License-Identifier: Apache-2.0
// A program of instructions on tags and between rows, with microcode written here by hand: results against plain C, the
// executed account against the static one, and what the validator refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/engine.h"

// Rows are in tiles of TILE; steps between rows stay within a tile. Columns: 4..7 x, 8..11 moved, 12..17 sum, 18 pair,
// 20..23 tally, 24 mark, 32..35 a copy of x.
enum { ROWS = 333, TILE = 70, UP = 3, DOWN = 65, DISTANCE = 2, IN = 0, OUT = 1 };
#define ALL_FEATURES \
  (AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE | AP_FEATURE_TAG_SHIFT | AP_FEATURE_TWO_D | AP_FEATURE_POPCOUNT)

// Microcode in the making.
struct maker { struct ap_program *p; struct ap_micro *m; };

static struct maker begin(struct ap_program *p, enum ap_op op, unsigned d, unsigned a, unsigned b) {
  struct ap_micro *m = &p->micros[p->nmicros++];
  *m = (struct ap_micro){.op = op, .width = {(uint8_t)d, (uint8_t)a, (uint8_t)b}};
  m->steps = bf_arena_alloc(&p->arena, 64, sizeof *m->steps);
  m->lits = bf_arena_alloc(&p->arena, 128, sizeof *m->lits);
  return (struct maker){p, m};
}
static void step(struct maker k, enum ap_step_kind kind) {
  k.m->steps[k.m->nsteps++] = (struct ap_step){(uint8_t)kind, 0, 0, k.m->nlits};
}
static void lit(struct maker k, unsigned slot, unsigned bit, unsigned value, unsigned kbit) {
  k.m->steps[k.m->nsteps - 1].nlits++;
  k.m->lits[k.m->nlits++] = (struct ap_lit){(uint8_t)slot, (uint8_t)bit, (uint8_t)value, (uint8_t)kbit};
}

static void make_raw(struct ap_program *p, enum ap_op op, enum ap_step_kind kind, unsigned width) {
  struct maker k = begin(p, op, width, 0, 0);
  step(k, kind);
  for (unsigned i = 0; i < width; i++) {
    lit(k, AP_SLOT_D, i, AP_LIT_K, i);
  }
}

// d := number of tagged rows, d := sum of a.
static void write_sum(struct maker k, unsigned width) {
  step(k, AP_STEP_WRITE_ALL);
  for (unsigned i = 0; i < width; i++) {
    lit(k, AP_SLOT_D, i, AP_LIT_S, i);
  }
}
static void make_counts(struct ap_program *p) {
  struct maker k = begin(p, AP_OP_TALLY, 4, 0, 0);
  step(k, AP_STEP_TALLY);
  lit(k, AP_SLOT_SUM, 0, AP_LIT_1, 0);
  write_sum(k, 4);
  k = begin(p, AP_OP_SUMROWS, 6, 4, 0);
  for (unsigned i = 0; i < 4; i++) {
    step(k, AP_STEP_COMPARE);
    lit(k, AP_SLOT_A, i, AP_LIT_1, 0);
    step(k, AP_STEP_TALLY);
    lit(k, AP_SLOT_SUM, i, AP_LIT_1, 0);
  }
  write_sum(k, 6);
}

static void make_moves(struct ap_program *p) {
  struct maker k = begin(p, AP_OP_TAGUP, 0, 0, 0);
  step(k, AP_STEP_SHIFT_UP);
  k = begin(p, AP_OP_TAGDOWN, 0, 0, 0);
  step(k, AP_STEP_SHIFT_DOWN);
  k = begin(p, AP_OP_MOVEUP, 4, 4, 0);
  step(k, AP_STEP_WRITE_ALL);
  for (unsigned i = 0; i < 4; i++) {
    lit(k, AP_SLOT_D, i, AP_LIT_0, 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    step(k, AP_STEP_COMPARE);
    lit(k, AP_SLOT_A, i, AP_LIT_1, 0);
    step(k, AP_STEP_SHIFT_UP);
    step(k, AP_STEP_WRITE);
    lit(k, AP_SLOT_D, i, AP_LIT_1, 0);
  }
  k = begin(p, AP_OP_ADDPAIR, 1, 1, 0);  // one bit: d := d ^ p
  step(k, AP_STEP_PAIR);
  lit(k, AP_SLOT_D, 0, AP_LIT_0, 0), lit(k, AP_SLOT_PARTNER, 0, AP_LIT_1, 0);
  step(k, AP_STEP_WRITE);
  lit(k, AP_SLOT_D, 0, AP_LIT_1, 0), lit(k, AP_SLOT_FLAG, 1, AP_LIT_1, 0);
  step(k, AP_STEP_PAIR);
  lit(k, AP_SLOT_D, 0, AP_LIT_1, 0), lit(k, AP_SLOT_PARTNER, 0, AP_LIT_1, 0), lit(k, AP_SLOT_FLAG, 1, AP_LIT_0, 0);
  step(k, AP_STEP_WRITE);
  lit(k, AP_SLOT_D, 0, AP_LIT_0, 0);
  step(k, AP_STEP_WRITE_ALL);
  lit(k, AP_SLOT_FLAG, 1, AP_LIT_0, 0);
}

static int micro_order(const void *x, const void *y) {
  const struct ap_micro *a = x, *b = y;
  return a->op != b->op ? (a->op < b->op ? -1 : 1) : memcmp(a->width, b->width, 3);
}

static void add_memory(struct ap_program *p) {
  p->tensors = bf_arena_alloc(&p->arena, 2, sizeof *p->tensors);
  p->descs = bf_arena_alloc(&p->arena, 2, sizeof *p->descs);
  p->grids = bf_arena_alloc(&p->arena, 1, sizeof *p->grids);
  p->inputs = bf_arena_alloc(&p->arena, 1, sizeof *p->inputs);
  p->outputs = bf_arena_alloc(&p->arena, 1, sizeof *p->outputs);
  p->ntensors = p->ndescs = 2, p->ngrids = p->ninputs = p->noutputs = 1;
  p->outputs[0] = OUT;
  p->grids[0] = (struct ap_grid){{1, 1, ROWS, 1}, TILE};
  for (unsigned i = 0; i < 2; i++) {
    uint8_t bits = i == IN ? 4 : 21;
    p->tensors[i] = (struct ap_tensor){.name = bf_arena_strdup(&p->arena, i == IN ? "in" : "out"), .bits = bits,
                                       .type = bf_arena_strdup(&p->arena, i == IN ? "u4" : "u21"), .shape = {1, 1, ROWS, 1},
                                       .rank = 4, .scale = 1, .alias = UINT32_MAX};
    p->descs[i] = (struct ap_desc){.tensor = i, .bits = bits, .row_dim = {0, 1, 2, 3}, .row_stride = {1, 1, 1, 1},
                                   .tap_count = {1, 1, 1, 1}};
  }
}

static const struct ap_instr good[] = {
    {.op = AP_OP_GRID},
    {.op = AP_OP_LOAD, .f = {{4, 4}}},
    {.op = AP_OP_MOVEUP, .f = {{8, 4}, {4, 4}}, .imm = UP},
    {.op = AP_OP_SUMROWS, .f = {{12, 6}, {4, 4}}},
    {.op = AP_OP_ADDPAIR, .f = {{4, 1}, {4, 1}}, .imm = DISTANCE},
    {.op = AP_OP_COMPARE, .f = {{8, 4}}, .imm = 9},
    {.op = AP_OP_COMPOR, .f = {{8, 4}}, .imm = 14},
    {.op = AP_OP_LOAD, .f = {{32, 4}}},  // keeps the tags
    {.op = AP_OP_TAGDOWN, .imm = DOWN},
    {.op = AP_OP_TAGUP, .imm = 1},
    {.op = AP_OP_WRITE, .f = {{24, 1}}, .imm = 1},
    {.op = AP_OP_TALLY, .f = {{20, 4}}},
    {.op = AP_OP_STORE, .f = {{4, 21}}, .index = OUT},
    {.op = AP_OP_ENDGRID},
    {.op = AP_OP_HALT},
};
enum { AT_COMPARE = 5, AT_COMPOR, AT_LOAD, AT_TAGDOWN, AT_TAGUP, AT_WRITE, AT_TALLY };

static struct ap_program *build(unsigned features) {
  struct bf_diags diags = {0};
  struct ap_program *p = ap_program_new();
  assert_true(ap_machine_load("edge", &p->machine, NULL, &diags));
  bf_diags_free(&diags);
  p->machine.features = features;
  p->network = bf_arena_strdup(&p->arena, "tags");
  p->tech = bf_arena_strdup(&p->arena, "sram16");
  p->vdd = 1;
  p->batch = 1;
  add_memory(p);
  p->micros = bf_arena_alloc(&p->arena, 16, sizeof *p->micros);
  make_raw(p, AP_OP_COMPARE, AP_STEP_COMPARE, 4);
  make_raw(p, AP_OP_COMPOR, AP_STEP_COMPARE_OR, 4);
  make_raw(p, AP_OP_WRITE, AP_STEP_WRITE, 1);
  make_counts(p);
  make_moves(p);
  qsort(p->micros, p->nmicros, sizeof *p->micros, micro_order);
  p->code = bf_arena_alloc(&p->arena, BF_COUNT(good) + 8, sizeof *p->code);
  memcpy(p->code, good, sizeof good);
  p->ncode = BF_COUNT(good);
  p->layers = bf_arena_alloc(&p->arena, 1, sizeof *p->layers);
  p->layers[0] = (struct ap_layer){.name = bf_arena_strdup(&p->arena, "tags"), .op = bf_arena_strdup(&p->arena, "raw"),
                                   .mapping = bf_arena_strdup(&p->arena, "pixel"), .end = p->ncode, .output = OUT};
  p->nlayers = 1;
  return p;
}

// The same in plain C, one tile.
static void expected(const int64_t *in, int64_t *out, int rows) {
  int64_t sum = 0;
  uint8_t tag[TILE], moved[TILE];
  int count = 0;
  for (int r = 0; r < rows; r++) {
    sum += in[r];
    moved[r] = r + UP < rows ? (uint8_t)in[r + UP] : 0;
  }
  for (int r = 0; r < rows; r++) {
    int from = r + 1 - DOWN;
    tag[r] = r + 1 < rows && from >= 0 && (moved[from] == 9 || moved[from] == 14);
    count += tag[r];
  }
  for (int r = 0; r < rows; r++) {
    int64_t x = in[r];
    if (r % (2 * DISTANCE) == 0 && r + DISTANCE < rows) {
      x ^= in[r + DISTANCE] & 1;
    }
    out[r] = x | (int64_t)moved[r] << 4 | (sum & 63) << 8 | (int64_t)(count & 15) << 16 | (int64_t)tag[r] << 20;
  }
}

static void check_accounts(const struct ap_account *done, const struct ap_account *still) {
  struct ap_events a = done->events, b = still->events;
  a.match_cells = b.match_cells = 0;
  a.written_cells = b.written_cells = 0;
  a.changed_cells = b.changed_cells = 0;
  assert_memory_equal(&a, &b, sizeof a);
  assert_memory_equal(&done->time, &still->time, sizeof done->time);
}

static void run_with(unsigned features, const char *technology) {
  struct ap_program *p = build(features);
  struct bf_diags diags = {0};
  struct ap_technology tech;
  int64_t in[ROWS], want[ROWS], got[ROWS];
  if (!ap_program_validate(p, &diags)) {
    struct bf_buf text = {0};
    bf_diags_render(&diags, &text);
    fail_msg("%s", bf_buf_cstr(&text));
  }
  for (int r = 0; r < ROWS; r++) {
    in[r] = (int64_t)((uint32_t)(r * 37 + 11) * 2654435761u >> 28);
  }
  for (int r = 0; r < ROWS; r += TILE) {
    expected(in + r, want + r, ROWS - r < TILE ? ROWS - r : TILE);
  }
  assert_true(ap_technology_load(technology, &tech, &diags));
  struct ap_run *run = ap_run_new(p, &diags);
  struct ap_account still, done = {0};
  ap_static_account(p, &tech, &still, NULL);
  assert_true(ap_run_set(run, IN, in));
  assert_true(ap_run_execute(run, &tech, &done, NULL, &(struct ap_execution){.threads = 1}, &diags));
  ap_run_get(run, OUT, got);
  assert_memory_equal(got, want, sizeof got);
  check_accounts(&done, &still);
  const uint64_t tiles = (ROWS + TILE - 1) / TILE, shifts = 4 * UP + DOWN + 1, counts = 4 + 1;
  assert_int_equal(done.events.shift, tiles * shifts);
  assert_int_equal(done.events.count, tiles * counts);
  assert_int_equal(done.events.shift_rows, ROWS * shifts);
  assert_int_equal(done.events.count_rows, ROWS * counts);
  assert_int_equal(done.events.compare, tiles * (4 + 4 + 2 + 2));
  assert_int_equal(done.events.write, tiles * (5 + 1 + 3 + 1 + 1));
  assert_int_equal(done.time.compute, 12 * tech.compare_cycles + 11 * tech.write_cycles + shifts + counts);
  double without = ap_energy(&tech, &p->machine, &done.events, 0, 0);
  done.events.shift_rows = done.events.count_rows = 0;
  without -= ap_energy(&tech, &p->machine, &done.events, 0, 0);
  double steps = ROWS * ((double)shifts * tech.shift_j + (double)counts * tech.count_j);
  assert_true(without > 0.999 * steps && without < 1.001 * steps && steps > 0);
  ap_run_free(run);
  ap_technology_free(&tech);
  ap_program_free(p);
  bf_diags_free(&diags);
}

static void test_results_and_account(void **state) {
  run_with(ALL_FEATURES, "sram16");
  run_with(ALL_FEATURES | AP_FEATURE_ROW_GATING, "reram");
}

// --- refusals ------------------------------------------------------------------------------------------

static void expect_refused(struct ap_program *p, const char *message) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0};
  bool good_program = ap_program_validate(p, &diags);
  bf_diags_render(&diags, &text);
  if (good_program != (message == NULL) || (message != NULL && strstr(bf_buf_cstr(&text), message) == NULL)) {
    fail_msg("wanted '%s', got: %s", message != NULL ? message : "no error", bf_buf_cstr(&text));
  }
  bf_buf_free(&text);
  bf_diags_free(&diags);
  ap_program_free(p);
}

static struct ap_program *with(unsigned at, struct ap_instr instr, bool replace) {
  struct ap_program *p = build(ALL_FEATURES);
  if (!replace) {
    memmove(p->code + at + 1, p->code + at, (p->ncode - at) * sizeof *p->code);
    p->ncode++;
    p->layers[0].end++;
  }
  p->code[at] = instr;
  return p;
}

static void test_undefined_tags(void **state) {
  static const char message[] = "no tags are defined here";
  const struct ap_instr sum = good[3], mark = {.op = AP_OP_WRITE, .f = {{25, 1}}}, loop = {.op = AP_OP_LOOP, .index = 2};
  expect_refused(with(AT_COMPARE, good[1], true), message);      // compare.or without a compare
  expect_refused(with(AT_TAGDOWN, sum, false), message);         // a clobbering instruction between
  expect_refused(with(AT_TALLY, good[AT_TALLY], false), message);  // tag.count takes the tags
  expect_refused(with(AT_WRITE, mark, false), NULL);             // write keeps them
  expect_refused(with(1, mark, false), message);                 // at the beginning of a region
  struct ap_program *p = with(AT_WRITE, loop, false);
  memmove(p->code + AT_WRITE + 3, p->code + AT_WRITE + 2, (p->ncode - AT_WRITE - 2) * sizeof *p->code);
  p->code[AT_WRITE + 2] = (struct ap_instr){.op = AP_OP_ENDLOOP};
  p->ncode++, p->layers[0].end++;
  expect_refused(p, message);
}

static void test_steps_undefine_tags(void **state) {
  for (unsigned i = 0; i < 3; i++) {
    const struct ap_instr steps = {.op = AP_OP_STEPS}, tagged = {.op = AP_OP_COMPARE, .f = {{8, 4}}};
    struct ap_program *p = with(i == 1 ? AT_TAGDOWN : 1, steps, false);
    p->ntables = p->nstreams = 1;
    p->tables = bf_arena_alloc(&p->arena, 1, sizeof *p->tables);
    p->streams = bf_arena_alloc(&p->arena, 1, sizeof *p->streams);
    p->tables[0] = (struct ap_table){bf_arena_alloc(&p->arena, 1, sizeof *p->code), 1};
    p->tables[0].items[0] = i == 2 ? tagged : good[1];
    static const char *const messages[] = {NULL, "no tags are defined here", "cannot stand in a table"};
    expect_refused(p, messages[i]);
  }
}

static void test_lacking_features(void **state) {
  expect_refused(build(ALL_FEATURES & ~AP_FEATURE_ACCUMULATE), "lacks the feature accumulate");
  expect_refused(build(ALL_FEATURES & ~AP_FEATURE_TAG_SHIFT), "lacks the feature tag-shift");
  expect_refused(build(ALL_FEATURES & ~AP_FEATURE_TWO_D), "lacks the feature two-d");
  expect_refused(build(ALL_FEATURES & ~AP_FEATURE_POPCOUNT), "lacks the feature popcount");
  expect_refused(build(ALL_FEATURES & ~AP_FEATURE_WIDE_WRITE), "lacks the feature wide-write");
  struct ap_program *p = build(ALL_FEATURES & ~AP_FEATURE_TWO_D);  // the instruction, not only its steps
  for (uint32_t i = 0; i < p->nmicros; i++) {
    if (p->micros[i].op == AP_OP_ADDPAIR) {
      p->micros[i].nsteps = 1;
      p->micros[i].steps[0] = (struct ap_step){AP_STEP_WRITE_ALL, 1, 0, 0};
    }
  }
  expect_refused(p, "of layer tags: the machine's array lacks the feature two-d");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results_and_account),
      cmocka_unit_test(test_undefined_tags),
      cmocka_unit_test(test_steps_undefine_tags),
      cmocka_unit_test(test_lacking_features),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
