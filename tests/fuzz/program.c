// SPDX-License-Identifier: Apache-2.0
// What must hold for every validated program.
#include <stdlib.h>
#include <string.h>

#include "runtime/engine.h"
#include "tests/fuzz/fuzz.h"

// The engine has no budget of its own, so only programs whose work is known to be small are run.
#define MAX_TILES 2048.0
#define MAX_WORK 2e6            // microcode steps and moved elements, times words or rows
#define MAX_MEMORY (1u << 22)   // elements of all tensors

static double instr_work(const struct ap_program *p, const struct ap_instr *instr, double rows) {
  const struct ap_op_info *info = ap_op_info(instr->op);
  if (info->op_class == AP_CLASS_MOVE) return rows * 8;
  const struct ap_micro *micro = info->op_class == AP_CLASS_COMPUTE ? ap_program_micro(p, instr) : NULL;
  // Instructions that move tags touch each row; 64 words for a column is the machine's most, 1 its least.
  double steps = micro ? micro->nsteps + micro->nlits : 1;
  return steps * (rows / 64 + 1) + (info->imm == AP_IMM_ROWS ? rows : 1);
}

static double region_work(const struct ap_program *p, uint32_t grid, double *tiles) {
  const struct ap_grid *g = &p->grids[p->code[grid].index];
  double times[AP_MAX_LOOP_NEST + 1] = {1}, work = 0;
  unsigned depth = 0;
  *tiles += ap_grid_tiles(g);
  for (uint32_t i = grid + 1; p->code[i].op != AP_OP_ENDGRID; i++) {
    const struct ap_instr *instr = &p->code[i];
    if (instr->op == AP_OP_LOOP) {
      times[depth + 1] = times[depth] * instr->index;
      depth++;
    } else if (instr->op == AP_OP_ENDLOOP) {
      depth--;
    } else if (instr->op == AP_OP_STEPS) {
      const struct ap_stream *stream = &p->streams[instr->index];
      for (uint32_t s = 0; s < stream->count; s++)
        work += times[depth] * instr_work(p, &p->tables[stream->table].items[stream->steps[s]], g->tile_rows);
    } else {
      work += times[depth] * instr_work(p, instr, g->tile_rows);
    }
    work += times[depth];
  }
  return work * ap_grid_tiles(g);
}

// Whether account and run are cheap enough.
static bool is_small(const struct ap_program *p, bool *runs) {
  double tiles = 0, work = 0, elements = 0;
  for (uint32_t i = 0; i < p->ncode; i++)
    if (p->code[i].op == AP_OP_GRID) work += region_work(p, i, &tiles);
  for (uint32_t i = 0; i < p->ntensors; i++) elements += (double)ap_tensor_elements(&p->tensors[i]);
  for (uint32_t i = 0; i < p->nhosts; i++) work += 10 * (double)ap_tensor_elements(&p->tensors[p->hosts[i].input]);
  *runs = work <= MAX_WORK && elements <= MAX_MEMORY;
  return tiles <= MAX_TILES;
}

static void same_number(const char *what, uint32_t layer, uint64_t expected, uint64_t got) {
  FUZZ_CHECK(expected == got, "layer %u: %s: %llu in the static account, %llu executed", layer, what,
             (unsigned long long)expected, (unsigned long long)got);
}

static void same_accounts(const struct ap_program *p, const struct ap_account *expected, const struct ap_account *got) {
#define SAME(field) same_number(#field, i, expected[i].field, got[i].field)
  for (uint32_t i = 0; i < p->nlayers; i++) {
    SAME(events.compare), SAME(events.write), SAME(events.load), SAME(events.store);
    SAME(events.load_bits), SAME(events.store_bits), SAME(events.move), SAME(events.shift), SAME(events.count);
    SAME(events.external), SAME(events.host), SAME(events.compare_cells);
    SAME(time.cycles), SAME(time.compute), SAME(time.stall), SAME(time.tiles), SAME(time.waves), SAME(time.rows);
    SAME(time.caps);
    // Data decides the others, within bounds.
    const struct ap_events *e = &got[i].events;
    FUZZ_CHECK(e->match_cells <= e->compare_cells, "layer %u: more cells match than are searched", i);
    FUZZ_CHECK(e->changed_cells <= e->written_cells, "layer %u: more cells change than are written", i);
  }
#undef SAME
}

static void set_inputs(const struct ap_program *p, struct ap_run *run, const int64_t *const *inputs) {
  uint64_t state = 0x9E3779B97F4A7C15u;
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const struct ap_tensor *t = &p->tensors[p->inputs[i]];
    uint64_t n = ap_tensor_elements(t);
    int64_t *q = bf_alloc(n, sizeof *q);
    for (uint64_t e = 0; e < n; e++) q[e] = (int64_t)((fuzz_random(&state) >> (64 - t->bits)) + (uint64_t)t->bias);
    FUZZ_CHECK(ap_run_set(run, p->inputs[i], inputs ? inputs[i] : q), "input %u does not take its own values", i);
    free(q);
  }
}

static void check_values(const struct ap_program *p, const struct ap_run *run) {
  for (uint32_t i = 0; i < p->ntensors; i++) {
    const struct ap_tensor *t = &p->tensors[i], *root = &p->tensors[ap_tensor_root(p, i)];
    uint64_t n = ap_tensor_elements(t);
    int64_t *q = bf_alloc(n, sizeof *q);
    ap_run_get(run, i, q);
    for (uint64_t e = 0; e < n; e++) {
      uint64_t u = (uint64_t)q[e] - (uint64_t)t->bias;
      FUZZ_CHECK(t->bits == 64 || u >> t->bits == 0, "tensor %u: a value has more than %u bits", i, t->bits);
      FUZZ_CHECK(root->storage != AP_STORAGE_CONST || u == ap_consts_at(&p->consts, root->data + e), "tensor %u: a constant changed", i);
    }
    free(q);
  }
}

struct ap_run *fuzz_execute(const struct ap_program *p, const int64_t *const *inputs) {
  bool runs;
  if (!is_small(p, &runs)) return NULL;
  struct bf_diags diags = {0};
  struct ap_technology tech;
  FUZZ_CHECK(ap_technology_load("sram16", &tech, &diags), "no technology sram16");
  struct ap_account *expected = bf_alloc((size_t)p->nlayers + 1, sizeof *expected), total;
  ap_static_account(p, &tech, expected, &total);
  struct ap_run *run = runs ? ap_run_new(p, &diags) : NULL;
  if (run) {
    struct ap_account *got = bf_alloc((size_t)p->nlayers + 1, sizeof *got), sum = {0};
    set_inputs(p, run, inputs);
    FUZZ_CHECK(ap_run_execute(run, &tech, got, &sum, &(struct ap_execution){.threads = 1}, &diags), "the run was stopped by no one");
    same_accounts(p, expected, got);
    check_values(p, run);
    free(got);
  }
  fuzz_diags_end(&diags, run || !runs);
  free(expected);
  ap_technology_free(&tech);
  return run;
}

// Written, the program must read back, and be written equally.
static struct bf_buf container_round_trip(const struct ap_program *p) {
  struct bf_diags diags = {0};
  struct bf_buf first = {0}, second = {0};
  bool ok = ap_program_write(p, &first, &diags);
  struct ap_program *again = ok ? ap_program_read(first.data, first.length, "again", &diags) : NULL;
  ok = again && ap_program_write(again, &second, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "a valid program is not written and read back");
  ap_program_free(again);
  bf_diags_free(&diags);
  struct bf_buf copy = {0};
  bf_buf_append(&copy, first.data, first.length);
  fuzz_same("container", &copy, &second);
  return first;
}

static void assembly_round_trip(const struct ap_program *p, struct bf_buf *bytes) {
  struct bf_diags diags = {0};
  struct bf_buf text = {0}, second = {0};
  ap_asm_print(p, &text);
  const struct bf_source *source = bf_diags_add_source(&diags, "again.aps", bf_buf_cstr(&text), text.length);
  struct ap_program *again = ap_asm_parse(source, &diags);
  bool ok = again && ap_program_write(again, &second, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "the assembly text of a valid program is refused");
  ap_program_free(again);
  bf_buf_free(&text);
  bf_diags_free(&diags);
  fuzz_same("assembly", bytes, &second);
}

void fuzz_program(const struct ap_program *p) {
  struct bf_buf bytes = container_round_trip(p);
  assembly_round_trip(p, &bytes);
  ap_run_free(fuzz_execute(p, NULL));
}
