// SPDX-License-Identifier: Apache-2.0
// The static account: what a program will cost, by way of its summary. Counters that do not depend on data are exact; the others are
// expectations (isa/micro.h says of what).
#include <stdlib.h>
#include <string.h>

#include "isa/summary.h"
#include "isa/validate.h"

struct walk {
  const struct ap_program *program;
  struct ap_summary_maker *maker;
  // Of the table that steps go through: kinds of its compute items, and how often each was stepped on.
  uint32_t *kinds;
  uint64_t *histogram;
  uint32_t table;
};

static bool cost_of(void *context, uint32_t key, struct ap_micro_cost costs[AP_MICROCODES]) {
  const struct ap_program *program = context;
  struct ap_instr instr = {.op = (enum ap_op)(key >> 24)};
  for (unsigned i = 0; i < 3; i++) instr.f[i].width = (uint8_t)(key >> (16 - 8 * i));
  const struct ap_micro *micro = ap_program_micro(program, &instr);
  if (micro) costs[0] = ap_micro_cost(micro);
  return micro != NULL;
}

static bool is_load(const struct ap_instr *instr) { return instr->op == AP_OP_LOAD || instr->op == AP_OP_LOADP; }

static void add_move(struct walk *w, const struct ap_instr *instr, uint64_t times) {
  if (!ap_maker_knows(w->maker, instr->index)) ap_maker_desc(w->maker, instr->index, &w->program->descs[instr->index]);
  ap_maker_move(w->maker, instr->op, instr->index, times);
}

static void add_instr(struct walk *w, const struct ap_instr *instr, uint32_t kind, uint64_t times) {
  if (ap_op_info(instr->op)->op_class == AP_CLASS_COMPUTE) ap_maker_run(w->maker, kind, times);
  else if (ap_op_info(instr->op)->op_class == AP_CLASS_MOVE) add_move(w, instr, times);
}

static uint32_t kind_of(struct walk *w, const struct ap_instr *instr) {
  uint32_t key = ap_micro_key(instr);
  return key ? ap_maker_kind(w->maker, key, instr->imm) : 0;
}

static void use_table(struct walk *w, uint32_t number) {
  const struct ap_table *table = &w->program->tables[number];
  if (w->table == number) return;
  w->table = number;
  w->kinds = bf_realloc(w->kinds, (size_t)table->count + 1, sizeof *w->kinds);
  w->histogram = bf_realloc(w->histogram, (size_t)table->count + 1, sizeof *w->histogram);
  memset(w->histogram, 0, ((size_t)table->count + 1) * sizeof *w->histogram);
  for (uint32_t i = 0; i < table->count; i++) w->kinds[i] = kind_of(w, &table->items[i]);
}

// A stream as its histogram times the table; loads in their order, on which the first of them and the key of all depend.
static void add_stream(struct walk *w, uint32_t index, uint64_t times, uint64_t *key) {
  const struct ap_stream *stream = &w->program->streams[index];
  const struct ap_table *table = &w->program->tables[stream->table];
  use_table(w, stream->table);
  for (uint32_t i = 0; i < stream->count; i++) {
    const struct ap_instr *instr = &table->items[stream->steps[i]];
    bool load = is_load(instr);
    w->histogram[stream->steps[i]] += !load;
    if (!load) continue;
    *key = ap_load_key_load(*key, instr->index, instr->tap);
    if (times) add_instr(w, instr, 0, times);
  }
  for (uint32_t i = 0; i < table->count; i++) {
    if (w->histogram[i] && times) add_instr(w, &table->items[i], w->kinds[i], w->histogram[i] * times);
    w->histogram[i] = 0;
  }
}

// The region's code with the product of the open loop counts; returns the index of its end.
static uint32_t add_region(struct walk *w, uint32_t at) {
  const struct ap_instr *code = w->program->code;
  uint64_t times[AP_MAX_LOOP_NEST + 1] = {1}, key = AP_LOAD_KEY_BEGIN;
  unsigned depth = 0;
  ap_maker_region(w->maker, &w->program->grids[code[at].index]);
  for (at++; code[at].op != AP_OP_ENDGRID; at++) {
    const struct ap_instr *instr = &code[at];
    switch (instr->op) {
      case AP_OP_LOOP:
        times[depth + 1] = times[depth] * instr->index;
        depth++;
        key = ap_load_key_loop(key, instr);
        break;
      case AP_OP_ENDLOOP:
        depth--;
        key = ap_load_key_loop(key, instr);
        break;
      case AP_OP_STEPS: add_stream(w, instr->index, times[depth], &key); break;
      default:
        if (is_load(instr)) key = ap_load_key_load(key, instr->index, instr->tap);
        if (times[depth]) add_instr(w, instr, kind_of(w, instr), times[depth]);
        break;
    }
  }
  ap_maker_end_region(w->maker, key);
  return at;
}

// `from`: end of the layer before. Hand-written code may have its barriers between layers.
static struct ap_layer_summary *add_layer(struct walk *w, const struct ap_layer *layer, uint32_t from) {
  for (uint32_t i = from; i < layer->first; i++)
    if (w->program->code[i].op == AP_OP_BARRIER) ap_maker_barrier(w->maker);
  for (uint32_t i = layer->first; i < layer->end; i++) {
    switch (w->program->code[i].op) {
      case AP_OP_GRID: i = add_region(w, i); break;
      case AP_OP_HOST: ap_maker_host(w->maker); break;
      case AP_OP_BARRIER:
      case AP_OP_HALT: ap_maker_barrier(w->maker); break;
      default: break;
    }
  }
  struct ap_layer_summary *summary = ap_maker_end_layer(w->maker);
  if (!summary) abort();  // not of a validated program
  summary->op = bf_arena_strdup(&summary->arena, layer->op ? layer->op : "");
  summary->mapping = bf_arena_strdup(&summary->arena, layer->mapping ? layer->mapping : "");
  summary->bits_w = layer->bits_w;
  summary->bits_a = layer->bits_a;
  summary->macs = layer->macs;
  summary->columns_used = layer->columns_used;
  return summary;
}

// `p`: as the profile has it.
static void describe(struct ap_summary *s, const struct ap_program *p) {
  struct bf_arena *arena = &s->head.arena;
  s->head.network = bf_arena_strdup(arena, p->network ? p->network : "");
  s->head.weights = bf_arena_strdup(arena, p->weights ? p->weights : "");
  s->head.batch = p->batch;
  for (uint32_t i = 0; i < p->nlayers; i++) {
    s->head.layers[i].name = bf_arena_strdup(arena, p->layers[i].name ? p->layers[i].name : "");
    s->head.layers[i].line = p->layers[i].line;
  }
  ap_summary_name_layers(s);
  for (uint32_t i = 0; i < p->ninputs; i++) s->input_bits += ap_tensor_bits(&p->tensors[p->inputs[i]]);
  for (uint32_t i = 0; i < p->noutputs; i++) s->output_bits += ap_tensor_bits(&p->tensors[p->outputs[i]]);
}

struct ap_summary *ap_summary_of(const struct ap_program *program, uint32_t profile) {
  struct ap_program *view = ap_profile_view(program, profile);
  struct walk w = {.program = program, .table = UINT32_MAX};
  struct ap_summary *summary = ap_summary_new(view->nlayers);
  w.maker = ap_summary_maker_new(1, AP_MAX_TILES, cost_of, (void *)program);
  for (uint32_t i = 0; i < view->nlayers; i++) {
    const struct ap_layer *layer = &view->layers[i];
    uint32_t from = program->nprofiles ? layer->first : i ? layer[-1].end : 0;  // with profiles, all code belongs to layers
    summary->layers[i] = add_layer(&w, layer, from);
  }
  describe(summary, view);
  ap_summary_maker_free(w.maker);
  ap_profile_view_free(view);
  free(w.kinds);
  free(w.histogram);
  return summary;
}

void ap_static_account(const struct ap_program *program, const struct ap_technology *tech, struct ap_account *layers,
                       struct ap_account *total) {
  ap_static_account_of(program, 0, tech, layers, total);
}

void ap_static_account_of(const struct ap_program *program, uint32_t profile, const struct ap_technology *tech,
                          struct ap_account *layers, struct ap_account *total) {
  uint32_t length = ap_profile_length(program, profile);
  struct ap_account *own = bf_alloc((size_t)length + 1, sizeof *own);
  struct ap_summary *summary = ap_summary_of(program, profile);
  ap_summary_price(summary, &program->machine, tech, own, total);
  memset(layers, 0, program->nlayers * sizeof *layers);
  for (uint32_t i = 0; i < length; i++) layers[ap_profile_layer(program, profile, i)] = own[i];
  ap_summary_free(summary);
  free(own);
}
