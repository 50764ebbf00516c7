// SPDX-License-Identifier: Apache-2.0
// The interpreter on a small program built by hand: results against plain C, the executed account against the
// static one and against counts worked out by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/session.h"

// out[y][x] = sum over a 3-tap row window of in[y][x + t - 1] (padding -3), plus 2 * in[y][x], clamped from below at
// 5, over a grid of 7 × 13 pixels in tiles of 40 rows. Columns: 4..11 x, 12..23 acc, 24..35 k, 36..43 out.
enum { H = 7, W = 13, TILE = 40, BATCH = 2 };
enum { IN, OUT, COPY, NTENSORS };

static struct ap_field field(unsigned col, unsigned width) { return (struct ap_field){(uint16_t)col, (uint8_t)width}; }
static struct ap_instr op0(enum ap_op op, uint32_t index) { return (struct ap_instr){.op = op, .index = index}; }
static struct ap_instr move(enum ap_op op, struct ap_field d, uint32_t desc, unsigned tap) {
  return (struct ap_instr){.op = op, .f = {d}, .index = desc, .tap = (uint16_t)tap};
}
static struct ap_instr compute(enum ap_op op, struct ap_field d, struct ap_field a, uint64_t imm) {
  return (struct ap_instr){.op = op, .f = {d, a}, .imm = imm};
}

static void add_micro(struct ap_program *p, const struct ap_instr *instr) {
  unsigned n = ap_op_info(instr->op)->micro_widths;
  uint8_t width[3] = {instr->f[0].width, n > 1 ? instr->f[1].width : 0, n > 2 ? instr->f[2].width : 0};
  struct ap_micro m, *slot;
  if (ap_op_info(instr->op)->op_class != AP_CLASS_COMPUTE || ap_program_micro(p, instr) != NULL) {
    return;
  }
  assert_true(ap_micro_generate(instr->op, width, p->machine.features, &m));
  for (slot = p->micros + p->nmicros; slot > p->micros; slot--) {  // sorted
    if (slot[-1].op < m.op || (slot[-1].op == m.op && memcmp(slot[-1].width, m.width, 3) < 0)) {
      break;
    }
    *slot = slot[-1];
  }
  *slot = m;
  slot->steps = bf_arena_alloc(&p->arena, m.nsteps, sizeof *m.steps);
  slot->lits = bf_arena_alloc(&p->arena, m.nlits, sizeof *m.lits);
  memcpy(slot->steps, m.steps, m.nsteps * sizeof *m.steps);
  memcpy(slot->lits, m.lits, m.nlits * sizeof *m.lits);
  p->nmicros++;
  ap_micro_free(&m);
}

static void add_tensors(struct ap_program *p) {
  static const char *const names[] = {"in", "out", "copy"};
  p->tensors = bf_arena_alloc(&p->arena, NTENSORS, sizeof *p->tensors);
  p->ntensors = NTENSORS;
  for (unsigned i = 0; i < NTENSORS; i++) {
    p->tensors[i] = (struct ap_tensor){.name = bf_arena_strdup(&p->arena, names[i]), .bits = 8, .bias = i == IN ? -128 : 0,
                                       .type = bf_arena_strdup(&p->arena, i == IN ? "s8" : "u8"), .shape = {BATCH, H, W, 1},
                                       .rank = 4, .scale = 0.5f, .zero = i == IN ? -3 : 0, .alias = UINT32_MAX};
  }
  p->tensors[COPY].bits = 12;
  p->tensors[COPY].type = bf_arena_strdup(&p->arena, "u12");
  p->inputs = bf_arena_alloc(&p->arena, 1, sizeof *p->inputs);
  p->outputs = bf_arena_alloc(&p->arena, 2, sizeof *p->outputs);
  p->inputs[0] = IN, p->outputs[0] = OUT, p->outputs[1] = COPY;
  p->ninputs = 1, p->noutputs = 2;
}

static void add_descs(struct ap_program *p) {
  p->grids = bf_arena_alloc(&p->arena, 1, sizeof *p->grids);
  p->grids[0] = (struct ap_grid){{BATCH, H, W, 1}, TILE};
  p->ngrids = 1;
  p->descs = bf_arena_alloc(&p->arena, 3, sizeof *p->descs);
  for (unsigned i = 0; i < 3; i++) {
    p->descs[i] = (struct ap_desc){.tensor = i, .bits = p->tensors[i].bits, .row_dim = {0, 1, 2, 255}, .row_stride = {1, 1, 1, 0},
                                   .tap_count = {1, 1, 1, 1}};
  }
  p->descs[0].origin[2] = -1;
  p->descs[0].tap_count[2] = 3;
  p->descs[0].tap_step[2] = 1;
  p->descs[0].pad_value = 125;  // -3
  p->ndescs = 3;
}

// u of -3 is 125: acc holds sums of u; the bias is taken off by an addk at the end.
static void add_code(struct ap_program *p) {
  struct ap_field x = field(4, 8), acc = field(12, 12), flag = field(24, 1), out = field(36, 8);
  const struct ap_instr table[] = {
      move(AP_OP_LOADP, x, 0, 0), move(AP_OP_LOADP, x, 0, 1), move(AP_OP_LOADP, x, 0, 2),
      compute(AP_OP_ADD, acc, x, 0), compute(AP_OP_ADD, field(13, 11), x, 0),
  };
  static const uint16_t steps[] = {0, 3, 1, 3, 2, 3, 1, 4};
  const struct ap_instr code[] = {
      op0(AP_OP_GRID, 0),
      compute(AP_OP_SETK, acc, field(0, 0), 4095),
      op0(AP_OP_LOOP, 3),
      compute(AP_OP_ADDK, acc, field(0, 0), 1),  // 4095 + 3 = 2 modulo 4096
      op0(AP_OP_ENDLOOP, 0),
      op0(AP_OP_STEPS, 0),
      move(AP_OP_STORE, acc, 2, 0),
      compute(AP_OP_COPY, out, field(12, 8), 0),
      compute(AP_OP_GTK, flag, acc, 255),
      compute(AP_OP_SETKIF, out, flag, 255),
      move(AP_OP_STORE, out, 1, 0),
      op0(AP_OP_ENDGRID, 0),
      op0(AP_OP_BARRIER, 0),
      op0(AP_OP_HALT, 0),
  };
  p->micros = bf_arena_alloc(&p->arena, 16, sizeof *p->micros);
  p->tables = bf_arena_alloc(&p->arena, 1, sizeof *p->tables);
  p->tables[0] = (struct ap_table){bf_arena_alloc(&p->arena, BF_COUNT(table), sizeof *table), BF_COUNT(table)};
  memcpy(p->tables[0].items, table, sizeof table);
  p->streams = bf_arena_alloc(&p->arena, 1, sizeof *p->streams);
  p->streams[0] = (struct ap_stream){0, bf_arena_alloc(&p->arena, BF_COUNT(steps), sizeof *steps), BF_COUNT(steps)};
  memcpy(p->streams[0].steps, steps, sizeof steps);
  p->ntables = p->nstreams = 1;
  p->code = bf_arena_alloc(&p->arena, BF_COUNT(code), sizeof *code);
  memcpy(p->code, code, sizeof code);
  p->ncode = BF_COUNT(code);
  for (size_t i = 0; i < BF_COUNT(table); i++) {
    add_micro(p, &table[i]);
  }
  for (size_t i = 0; i < BF_COUNT(code); i++) {
    add_micro(p, &code[i]);
  }
}

static struct ap_program *build(unsigned features) {
  struct bf_diags diags = {0};
  struct ap_program *p = ap_program_new();
  assert_true(ap_machine_load("edge", &p->machine, NULL, &diags));
  p->machine.rows = TILE + 8;
  p->machine.features = features;
  p->network = bf_arena_strdup(&p->arena, "hand");
  p->tech = bf_arena_strdup(&p->arena, "sram16");
  p->vdd = 1;
  p->batch = BATCH;
  add_tensors(p);
  add_descs(p);
  add_code(p);
  p->layers = bf_arena_alloc(&p->arena, 1, sizeof *p->layers);
  p->layers[0] = (struct ap_layer){.name = bf_arena_strdup(&p->arena, "sum"), .op = bf_arena_strdup(&p->arena, "conv2d"),
                                   .mapping = bf_arena_strdup(&p->arena, "pixel"), .first = 0, .end = p->ncode - 1,
                                   .columns_used = 40, .output = OUT, .macs = 100};
  p->nlayers = 1;
  if (!ap_program_validate(p, &diags)) {
    struct bf_buf text = {0};
    bf_diags_render(&diags, &text);
    fail_msg("%s", bf_buf_cstr(&text));
  }
  bf_diags_free(&diags);
  return p;
}

// The same in plain C.
static void expected(const int64_t *in, int64_t *out, int64_t *copy) {
  for (int i = 0; i < BATCH * H * W; i++) {
    int64_t sum = 2;
    for (int t = 0; t < 3; t++) {
      int at = i % W + t - 1;
      sum += at < 0 || at >= W ? 125 : in[i + t - 1] + 128;
    }
    sum += 2 * (in[i] + 128);
    copy[i] = sum;
    out[i] = sum > 255 ? 255 : sum;
  }
}

static void fill(int64_t *in, unsigned seed) {
  for (int i = 0; i < BATCH * H * W; i++) {
    in[i] = (int64_t)((i * 37u + seed * 101u) * 2654435761u >> 24) - 128;
    in[i] = i % 3 == 0 ? in[i] / 4 - 96 : in[i];
  }
}

static void check_equal_accounts(const struct ap_account *a, const struct ap_account *b) {
  assert_int_equal(a->events.compare, b->events.compare);
  assert_int_equal(a->events.write, b->events.write);
  assert_int_equal(a->events.load, b->events.load);
  assert_int_equal(a->events.store, b->events.store);
  assert_int_equal(a->events.load_bits, b->events.load_bits);
  assert_int_equal(a->events.store_bits, b->events.store_bits);
  assert_int_equal(a->events.external, b->events.external);
  assert_int_equal(a->events.host, b->events.host);
  assert_int_equal(a->events.compare_cells, b->events.compare_cells);
  assert_memory_equal(&a->time, &b->time, sizeof a->time);
}

static void run_and_check(unsigned features) {
  struct ap_program *p = build(features);
  struct bf_diags diags = {0};
  struct ap_technology tech;
  assert_true(ap_technology_load("reram", &tech, &diags));
  struct ap_run *run = ap_run_new(p, &diags);
  assert_non_null(run);
  struct ap_account still, still_total, done = {0}, done_total = {0};
  ap_static_account(p, &tech, &still, &still_total);
  int64_t in[BATCH * H * W], out[BATCH * H * W], copy[BATCH * H * W], got[BATCH * H * W];
  fill(in, features);
  expected(in, out, copy);
  assert_true(ap_run_set(run, IN, in));
  assert_true(ap_run_execute(run, &tech, &done, &done_total, &(struct ap_execution){.threads = 1}, &diags));
  ap_run_get(run, OUT, got);
  assert_memory_equal(got, out, sizeof out);
  ap_run_get(run, COPY, got);
  assert_memory_equal(got, copy, sizeof copy);
  check_equal_accounts(&done, &still);
  check_equal_accounts(&done_total, &still_total);
  assert_true(done.energy_j > 0 && done.energy_j < 10 * still.energy_j && still.energy_j < 10 * done.energy_j);
  ap_run_free(run);
  ap_technology_free(&tech);
  ap_program_free(p);
  bf_diags_free(&diags);
}

static void test_results_and_account(void **state) {
  for (unsigned features = 0; features < 8; features++) {
    run_and_check(features);
  }
}

// 182 rows in 5 tiles (4 × 40 + 22), wide writes: steps by the tables of docs/isa.md.
static void test_counts_by_hand(void **state) {
  struct ap_program *p = build(AP_FEATURE_WIDE_WRITE | AP_FEATURE_ROW_GATING);
  struct bf_diags diags = {0};
  struct ap_technology tech;
  assert_true(ap_technology_load("sram16", &tech, &diags));
  struct ap_account a, total;
  ap_static_account(p, &tech, &a, &total);
  const uint64_t addk = 2 * 12, add12 = 2 + 7 * 4 + 4 * 2, add11 = 2 + 7 * 4 + 3 * 2, copy = 8, gtk = 12, setkif = 1;
  uint64_t compares = 3 * addk + 3 * add12 + add11 + copy + gtk + setkif;
  uint64_t writes = compares + 1 + 3 + 1 + 1;  // setk, three carry clears of addk, clears of copy and gtk
  assert_int_equal(a.time.tiles, 5);
  assert_int_equal(a.time.rows, 182);
  assert_int_equal(a.events.compare, 5 * compares);
  assert_int_equal(a.events.write, 5 * writes);
  assert_int_equal(a.events.load, 5 * 4 * 8);
  assert_int_equal(a.events.load_bits, 182 * 4 * 8);
  assert_int_equal(a.events.store, 5 * (8 + 12));
  assert_int_equal(a.events.store_bits, 182 * (8 + 12));
  assert_int_equal(a.events.external, 182 * (8 + 8 + 12));
  assert_int_equal(a.time.compute, compares + writes);  // a tile a CAP, one cycle a step
  // Of one tile: the first load (8 columns) and the stores (20) stall; the port of the one cluster serves 5 tiles.
  uint64_t cap = compares + writes + 8 + 20, port = 5 * (4 * 8 + 20);
  assert_int_equal(a.time.cycles, cap > port ? cap : port);
  assert_int_equal(a.time.caps, 5);
  ap_technology_free(&tech);
  ap_program_free(p);
  bf_diags_free(&diags);
}

static bool count_layers(void *context, const struct ap_run *run, uint32_t layer) {
  assert_int_equal(layer, 0);
  return ++*(int *)context < 2;
}

// Three images in groups of two: the last group is padded, accounts add up, layers are announced.
static void test_session_groups(void **state) {
  struct ap_program *p = build(AP_FEATURE_WIDE_WRITE);
  struct bf_diags diags = {0};
  struct ap_technology tech;
  assert_true(ap_technology_load("sram16", &tech, &diags));
  float real[3 * H * W];
  int64_t q[4 * H * W], out[4 * H * W], copy[4 * H * W];
  fill(q, 1);
  fill(q + 2 * H * W, 2);
  for (int i = 0; i < 3 * H * W; i++) {
    real[i] = 0.5f * (float)(q[i] + 3);
  }
  real[0] = 1e30f, q[0] = 127;
  real[1] = 0.25f, q[1] = -2;   // half a step: away from zero
  real[2] = -0.25f, q[2] = -4;
  struct bf_array array = {.dtype = BF_DTYPE_F32, .rank = 4, .shape = {3, H, W, 1}, .elements = 3 * H * W, .data = real};
  struct ap_images in;
  assert_true(ap_images_convert(p, IN, &array, "x.npy", &in, &diags));
  assert_int_equal(in.images, 3);
  assert_memory_equal(in.q, q, 3 * H * W * sizeof *q);
  bool want[NTENSORS] = {[OUT] = true};
  struct ap_session s = {.program = p, .tech = &tech, .inputs = &in, .want = want};
  assert_true(ap_session_run(&s, &diags));
  expected(q, out, copy);
  expected(q + 2 * H * W, out + 2 * H * W, copy);
  assert_memory_equal(s.values[OUT].q, out, 3 * H * W * sizeof *out);
  assert_int_equal(s.executions, 2);
  assert_int_equal(s.padded, 1);
  struct ap_account still, still_total;
  ap_static_account(p, &tech, &still, &still_total);
  assert_int_equal(s.total.time.cycles, 2 * still.time.cycles);
  struct bf_array back = ap_images_array(p, OUT, &s.values[OUT]);
  assert_int_equal(back.dtype, BF_DTYPE_U8);
  assert_int_equal(back.shape[0], 3);
  assert_int_equal(bf_array_int(&back, 5), out[5]);
  bf_array_free(&back);
  ap_session_free(&s);
  ap_images_free(&in);
  struct ap_run *run = ap_run_new(p, &diags);
  int layers = 0;
  struct ap_account a = {0};
  const struct ap_execution how = {.hook = count_layers, .context = &layers};
  assert_true(ap_run_execute(run, &tech, &a, NULL, &how, &diags));
  assert_false(ap_run_execute(run, &tech, &a, NULL, &how, &diags));
  ap_run_free(run);
  ap_technology_free(&tech);
  ap_program_free(p);
  bf_diags_free(&diags);
}

static void test_wrong_images(void **state) {
  struct ap_program *p = build(0);
  struct bf_diags diags = {0};
  struct ap_images in;
  int16_t data[H * W] = {0};
  struct bf_array array = {.dtype = BF_DTYPE_I16, .rank = 3, .shape = {H, W, 1}, .elements = H * W, .data = data};
  assert_true(ap_images_convert(p, IN, &array, "x.npy", &in, &diags));
  assert_int_equal(in.images, 1);
  ap_images_free(&in);
  data[7] = 128;
  assert_false(ap_images_convert(p, IN, &array, "x.npy", &in, &diags));
  array.shape[0] = W, array.shape[1] = H;
  assert_false(ap_images_convert(p, IN, &array, "x.npy", &in, &diags));
  array.dtype = BF_DTYPE_I64;
  assert_false(ap_images_convert(p, IN, &array, "x.npy", &in, &diags));
  assert_int_equal(diags.errors, 3);
  bf_diags_free(&diags);
  ap_program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results_and_account), cmocka_unit_test(test_counts_by_hand),
      cmocka_unit_test(test_session_groups),      cmocka_unit_test(test_wrong_images),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
