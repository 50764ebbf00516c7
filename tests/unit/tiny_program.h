// SPDX-License-Identifier: Apache-2.0
// A small program by hand with one of everything: u8 [2,3,4] times a constant, a reshape, a softmax on the host.
#ifndef TINY_PROGRAM_H
#define TINY_PROGRAM_H

#include <stdlib.h>
#include <string.h>

#include "isa/program.h"

static inline void tiny_tensor(struct ap_program *p, struct ap_tensor *t, const char *name, enum ap_storage storage,
                               unsigned bits, const char *type, unsigned n, unsigned h, unsigned w, unsigned c) {
  *t = (struct ap_tensor){.storage = storage, .bits = (uint8_t)bits, .shape = {n, h, w, c}, .rank = 4, .scale = 0.1f,
                          .alias = UINT32_MAX};
  t->name = bf_arena_strdup(&p->arena, name);
  t->type = bf_arena_strdup(&p->arena, type);
}

static inline int tiny_order(const void *x, const void *y) {
  const struct ap_micro *a = x, *b = y;
  return a->op != b->op ? (a->op < b->op ? -1 : 1) : memcmp(a->width, b->width, 3);
}

static inline void tiny_micro(struct ap_program *p, enum ap_op op, unsigned d, unsigned a, unsigned b) {
  struct ap_micro made, *to = &p->micros[p->nmicros++];
  const uint8_t width[3] = {(uint8_t)d, (uint8_t)a, (uint8_t)b};
  if (!ap_micro_generate(op, width, p->machine.features, &made))
    abort();
  *to = made;
  to->steps = bf_arena_alloc(&p->arena, made.nsteps, sizeof *to->steps);
  to->lits = bf_arena_alloc(&p->arena, made.nlits, sizeof *to->lits);
  memcpy(to->steps, made.steps, made.nsteps * sizeof *to->steps);
  memcpy(to->lits, made.lits, made.nlits * sizeof *to->lits);
  ap_micro_free(&made);
}

static inline struct ap_layer tiny_layer(struct ap_program *p, const char *name, const char *op, const char *mapping,
                                         uint32_t line, uint32_t first, uint32_t end, uint32_t output) {
  return (struct ap_layer){.name = bf_arena_strdup(&p->arena, name), .op = bf_arena_strdup(&p->arena, op),
                           .mapping = bf_arena_strdup(&p->arena, mapping), .line = line, .first = first, .end = end,
                           .bits_w = 4, .bits_a = 8, .macs = 24, .columns_used = 32, .output = output};
}

static inline void tiny_code(struct ap_program *p) {
#define F(c, w) {c, w}
  static const struct ap_instr CODE[] = {
      {.op = AP_OP_GRID, .index = 0},
      {.op = AP_OP_LOADP, .f = {F(4, 8)}, .index = 0},
      {.op = AP_OP_LOAD, .f = {F(12, 4)}, .index = 1},
      {.op = AP_OP_MUL, .f = {F(16, 12), F(4, 8), F(12, 4)}},
      {.op = AP_OP_LOOP, .index = 2},
      {.op = AP_OP_STEPS, .index = 0},
      {.op = AP_OP_ENDLOOP},
      {.op = AP_OP_STORE, .f = {F(16, 12)}, .index = 2, .tap = 1},
      {.op = AP_OP_ENDGRID},
      {.op = AP_OP_BARRIER},
      {.op = AP_OP_HOST, .index = 0},
      {.op = AP_OP_HALT},
  };
  static const struct ap_instr TABLE[] = {
      {.op = AP_OP_ADDK, .f = {F(16, 12)}, .imm = 5},
      {.op = AP_OP_SUB, .f = {F(16, 12), F(4, 8)}},
      {.op = AP_OP_LOAD, .f = {F(4, 8)}, .index = 0, .tap = 0},
  };
  static const uint16_t STEPS[] = {0, 1, 1, 2, 0};
#undef F
  p->code = bf_arena_alloc(&p->arena, BF_COUNT(CODE), sizeof *p->code);
  memcpy(p->code, CODE, sizeof CODE);
  p->ncode = BF_COUNT(CODE);
  p->tables = bf_arena_alloc(&p->arena, p->ntables = 1, sizeof *p->tables);
  p->tables[0].items = bf_arena_alloc(&p->arena, p->tables[0].count = BF_COUNT(TABLE), sizeof *TABLE);
  memcpy(p->tables[0].items, TABLE, sizeof TABLE);
  p->streams = bf_arena_alloc(&p->arena, p->nstreams = 1, sizeof *p->streams);
  p->streams[0].steps = bf_arena_alloc(&p->arena, p->streams[0].count = BF_COUNT(STEPS), sizeof *STEPS);
  memcpy(p->streams[0].steps, STEPS, sizeof STEPS);
}

static inline struct ap_program *tiny_program(void) {
  static const char SOURCE[] = "bfn 1;\nnetwork tiny {\n  y = mul(x, \"w\");\t# \\ odd\n  p = softmax(v);\n}";
  struct bf_diags diags = {0};
  const struct bf_source *ini;
  struct ap_program *p = ap_program_new();
  if (!ap_machine_load("edge", &p->machine, &ini, &diags))
    abort();
  bf_diags_free(&diags);
  p->network = bf_arena_strdup(&p->arena, "tiny");
  p->tech = bf_arena_strdup(&p->arena, "sram16");
  p->weights = bf_arena_strdup(&p->arena, "synthetic (seed 7)");
  p->batch = 1;
  p->vdd = 0.8;
  p->tensors = bf_arena_alloc(&p->arena, p->ntensors = 5, sizeof *p->tensors);
  tiny_tensor(p, &p->tensors[0], "x", AP_STORAGE_ACTIVATION, 8, "s8", 1, 2, 3, 4);
  tiny_tensor(p, &p->tensors[1], "w", AP_STORAGE_CONST, 4, "u4", 1, 1, 1, 4);
  tiny_tensor(p, &p->tensors[2], "y", AP_STORAGE_ACTIVATION, 12, "u12", 1, 2, 3, 5);
  tiny_tensor(p, &p->tensors[3], "v/\"view\"", AP_STORAGE_ACTIVATION, 12, "u12", 1, 6, 1, 5);
  tiny_tensor(p, &p->tensors[4], "p", AP_STORAGE_ACTIVATION, 8, "u8", 1, 6, 1, 5);
  p->tensors[0].bias = -128;
  p->tensors[0].zero = -3;
  p->tensors[3].alias = 2;
  ap_consts_add(&p->consts, &p->arena, (const uint64_t[]){6, 9, 12, 15}, 4);
  p->grids = bf_arena_alloc(&p->arena, p->ngrids = 2, sizeof *p->grids);
  p->grids[0] = (struct ap_grid){{1, 2, 3, 4}, 7};
  p->grids[1] = (struct ap_grid){{1, 1, 1, 4}, 4};
  p->descs = bf_arena_alloc(&p->arena, p->ndescs = 4, sizeof *p->descs);
  p->descs[0] = (struct ap_desc){0, 0, 8, {0, 1, 2, 3}, {1, 1, 1, 1}, {0, -1, 0, 0}, {1, 3, 1, 1}, {0, 1, 0, 0}, 128, 0};
  p->descs[1] = (struct ap_desc){0, 1, 4, {255, 255, 255, 3}, {0, 0, 0, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}, {0, 0, 0, 0}, 0, 0};
  p->descs[2] = (struct ap_desc){0, 2, 12, {0, 1, 2, 3}, {1, -1, 1, 1}, {0, 1, 0, 0}, {1, 1, 1, 3}, {0, 0, 0, 1}, 0, 0};
  p->descs[3] = (struct ap_desc){1, 1, 4, {0, 1, 2, 3}, {0, 0, 0, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}, {0, 0, 0, 0}, 0, 0};
  p->hosts = bf_arena_alloc(&p->arena, p->nhosts = 1, sizeof *p->hosts);
  p->hosts[0] = (struct ap_host){AP_HOST_SOFTMAX, 4, 4, 0.25f, 1.0f};
  p->micros = bf_arena_alloc(&p->arena, 3, sizeof *p->micros);
  tiny_micro(p, AP_OP_MUL, 12, 8, 4);
  tiny_micro(p, AP_OP_SUB, 12, 8, 0);
  tiny_micro(p, AP_OP_ADDK, 12, 0, 0);
  qsort(p->micros, p->nmicros, sizeof *p->micros, tiny_order);
  tiny_code(p);
  p->layers = bf_arena_alloc(&p->arena, p->nlayers = 3, sizeof *p->layers);
  p->layers[0] = tiny_layer(p, "mul", "mul", "elementwise", 3, 0, 9, 2);
  p->layers[1] = tiny_layer(p, "view", "reshape", "alias", 0, 10, 10, 3);
  p->layers[2] = tiny_layer(p, "softmax", "softmax", "host", 4, 10, 11, 4);
  p->inputs = bf_arena_alloc(&p->arena, p->ninputs = 1, sizeof *p->inputs);
  p->outputs = bf_arena_alloc(&p->arena, p->noutputs = 1, sizeof *p->outputs);
  p->outputs[0] = 4;
  p->source.length = sizeof SOURCE - 1;
  p->source.data = bf_arena_strdup(&p->arena, SOURCE);
  return p;
}

#endif
