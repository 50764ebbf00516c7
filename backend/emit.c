// SPDX-License-Identifier: Apache-2.0
// Emission: allocated field IR to an AP program.
#include "backend/emit.h"

#include <stdlib.h>
#include <string.h>

static const enum ap_op op_of[BF_FOP_COUNT] = {
    [BF_FOP_LOAD] = AP_OP_LOAD,     [BF_FOP_LOADP] = AP_OP_LOADP, [BF_FOP_STORE] = AP_OP_STORE, [BF_FOP_SETK] = AP_OP_SETK,
    [BF_FOP_SETKIF] = AP_OP_SETKIF, [BF_FOP_COPY] = AP_OP_COPY,   [BF_FOP_COPYIF] = AP_OP_COPYIF, [BF_FOP_NOT] = AP_OP_NOT,
    [BF_FOP_ADD] = AP_OP_ADD,       [BF_FOP_SUB] = AP_OP_SUB,     [BF_FOP_ADDS] = AP_OP_ADDS,   [BF_FOP_ADDK] = AP_OP_ADDK,
    [BF_FOP_MUL] = AP_OP_MUL,       [BF_FOP_MULS] = AP_OP_MULS,     [BF_FOP_MAX] = AP_OP_MAX,     [BF_FOP_GTK] = AP_OP_GTK,     [BF_FOP_GT] = AP_OP_GT,
    [BF_FOP_MIN] = AP_OP_MIN,       [BF_FOP_COMPARE] = AP_OP_COMPARE, [BF_FOP_COMPOR] = AP_OP_COMPOR, [BF_FOP_WRITE] = AP_OP_WRITE,
    [BF_FOP_PATTERN] = AP_OP_PATTERN, [BF_FOP_ADDPAIR] = AP_OP_ADDPAIR,
};

#define MAX_STREAM_STEPS 60000u
static void emit_mem(struct bf_emitter *e, struct ap_tensor *t, const struct bf_fmem *mem, uint64_t *nconsts) {
  char text[16];
  t->name = bf_arena_strdup(&e->program->arena, mem->name);
  t->storage = mem->kind == BF_FMEM_CONST ? AP_STORAGE_CONST : mem->kind == BF_FMEM_TEMP ? AP_STORAGE_TEMP : AP_STORAGE_ACTIVATION;
  t->bits = (uint8_t)mem->bits;
  t->bias = mem->bias;
  memcpy(t->shape, mem->shape, sizeof t->shape);
  t->rank = 4;
  t->scale = 1;
  t->alias = mem->alias;
  if (mem->tensor) {
    t->type = bf_arena_strdup(&e->program->arena, bf_type_text(text, mem->tensor->type));
    t->rank = (uint8_t)mem->tensor->rank;
    t->scale = bf_quant_scale(&mem->tensor->quant, 0);
    t->zero = bf_quant_zero(&mem->tensor->quant, 0);
  } else {
    t->type = bf_arena_format(&e->program->arena, "u%u", mem->bits);
  }
  if (mem->kind == BF_FMEM_CONST) {
    t->data = *nconsts;
    *nconsts += mem->elements;
  }
}

static void emit_elements(struct ap_program *p, const struct bf_fmem *mem) {
  uint64_t values[512];
  for (uint64_t done = 0; done < mem->elements; done += BF_COUNT(values)) {
    uint64_t n = mem->elements - done < BF_COUNT(values) ? mem->elements - done : BF_COUNT(values);
    bf_fmem_elements(mem, done, n, values);
    ap_consts_add(&p->consts, &p->arena, values, n);
  }
}

static void emit_memory(struct bf_emitter *e, const struct bf_fprogram *f) {
  struct ap_program *p = e->program;
  uint64_t nconsts = 0;
  p->tensors = bf_arena_alloc(&p->arena, f->nmems + 1, sizeof *p->tensors);
  p->ntensors = (uint32_t)f->nmems;
  for (size_t i = 0; i < f->nmems; i++) emit_mem(e, &p->tensors[i], &f->mems[i], &nconsts);
  for (size_t i = 0; i < f->nmems; i++)
    if (f->mems[i].kind == BF_FMEM_CONST) emit_elements(p, &f->mems[i]);
}

struct ap_grid bf_emit_grid(const struct bf_fgrid *from) {
  struct ap_grid to = {.tile_rows = from->tile_rows};
  memcpy(to.count, from->count, sizeof to.count);
  return to;
}

struct ap_desc bf_emit_desc(const struct bf_fprogram *f, const struct bf_fdesc *from) {
  struct ap_desc to = {.grid = from->grid, .tensor = from->mem, .bit = from->bit, .pad_value = from->pad_value};
  to.bits = (uint8_t)bf_fdesc_bits(from, &f->mems[from->mem]);
  memcpy(to.row_dim, from->row_dim, sizeof to.row_dim);
  memcpy(to.row_stride, from->row_stride, sizeof to.row_stride);
  memcpy(to.origin, from->origin, sizeof to.origin);
  memcpy(to.tap_count, from->tap_count, sizeof to.tap_count);
  memcpy(to.tap_step, from->tap_step, sizeof to.tap_step);
  return to;
}

static void emit_descs(struct bf_emitter *e, const struct bf_fprogram *f) {
  struct ap_program *p = e->program;
  p->grids = bf_arena_alloc(&p->arena, f->ngrids + 1, sizeof *p->grids);
  p->ngrids = (uint32_t)f->ngrids;
  for (size_t i = 0; i < f->ngrids; i++) p->grids[i] = bf_emit_grid(&f->grids[i]);
  p->descs = bf_arena_alloc(&p->arena, f->ndescs + 1, sizeof *p->descs);
  p->ndescs = (uint32_t)f->ndescs;
  for (size_t i = 0; i < f->ndescs; i++) p->descs[i] = bf_emit_desc(f, &f->descs[i]);
}

static struct ap_field field_of(const struct bf_region *region, struct bf_slice slice) {
  if (!slice.width) return (struct ap_field){0, 0};
  return (struct ap_field){(uint16_t)((unsigned)region->fields[slice.field].col + slice.offset), slice.width};
}

enum ap_op bf_emit_op(const struct bf_fop *op) { return op_of[op->kind]; }

struct ap_instr bf_emit_instr(const struct bf_region *region, const struct bf_fop *op, size_t pattern) {
  struct ap_instr instr = {.op = op_of[op->kind], .f = {field_of(region, op->d), field_of(region, op->a), field_of(region, op->b)}};
  if (!op->d.width) {  // operators that only read
    instr.f[0] = instr.f[1];
    instr.f[1] = (struct ap_field){0, 0};
  }
  if (bf_fop_info(op->kind)->has_desc) {
    instr.index = op->desc;
    instr.tap = (uint16_t)op->tap;
  }
  if (op->kind == BF_FOP_PATTERN) instr.index = (uint32_t)(pattern + op->pattern);
  if (bf_fop_info(op->kind)->has_imm) instr.imm = op->imm;
  return instr;
}

// A run of stream operations from `at`, as many as the current table has entries for; returns the index after it. Regions that follow each other
// load and add alike, so a table serves as many of them as it can.
static size_t emit_stream(struct bf_emitter *e, const struct bf_region *region, size_t at, size_t pattern) {
  uint16_t steps[MAX_STREAM_STEPS];
  uint32_t count = 0;
  for (; at < region->nops && region->ops[at].in_stream && count < MAX_STREAM_STEPS; at++) {
    struct ap_instr instr = bf_emit_instr(region, &region->ops[at], pattern);
    uint32_t entry = bf_emit_table_entry(e, &instr);
    if (entry == BF_TABLE_FULL) break;
    steps[count++] = (uint16_t)entry;
  }
  if (!count) {
    bf_emit_close_table(e);
    return at;
  }
  struct ap_stream stream = {(uint32_t)e->ntables, bf_emit_keep(e, steps, count, sizeof *steps), count};
  BF_PUSH(e->streams, e->nstreams, e->streams_capacity) = stream;
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_STEPS, .index = (uint32_t)(e->nstreams - 1)});
  return at;
}

// Adds the region's patterns to the program; returns the number of the first.
static size_t emit_patterns(struct bf_emitter *e, const struct bf_region *region) {
  size_t first = e->npatterns;
  for (size_t i = 0; i < region->npatterns; i++) {
    const struct bf_pattern *from = &region->patterns[i];
    struct ap_pattern to = {.inputs = from->inputs, .key = from->key, .base = from->base};
    memcpy(to.add, from->add, sizeof to.add);
    BF_PUSH(e->patterns, e->npatterns, e->patterns_capacity) = to;
  }
  return first;
}

static void emit_region(struct bf_emitter *e, const struct bf_region *region) {
  if (e->grid != region->grid) bf_emit_close_table(e);  // descriptors of one table share their rows
  e->grid = region->grid;
  size_t pattern = emit_patterns(e, region);
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_GRID, .index = region->grid});
  for (size_t i = 0; i < region->nops;) {
    if (region->ops[i].in_stream) i = emit_stream(e, region, i, pattern);
    else bf_emit_code(e, bf_emit_instr(region, &region->ops[i++], pattern));
  }
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_ENDGRID});
  if (region->barrier_after) bf_emit_code(e, (struct ap_instr){.op = AP_OP_BARRIER});
}

static void emit_host(struct bf_emitter *e, const struct bf_flayer *layer) {
  struct ap_host host = {AP_HOST_SOFTMAX, layer->in_mem, layer->out_mem, bf_quant_scale(&layer->node->inputs[0]->quant, 0),
                         layer->node->attrs.beta};
  BF_PUSH(e->hosts, e->nhosts, e->hosts_capacity) = host;
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_HOST, .index = (uint32_t)(e->nhosts - 1)});
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_BARRIER});
}

static void begin_layer(struct bf_emitter *e, const struct bf_flayer *from, struct ap_layer *to) {
  struct bf_arena *arena = &e->program->arena;
  to->name = bf_arena_strdup(arena, from->node->name);
  to->op = bf_arena_strdup(arena, bf_op_info(from->node->op)->name);
  to->mapping = bf_arena_strdup(arena, from->mapping);
  to->line = from->node->line;
  to->bits_w = (uint8_t)from->bits_w;
  to->bits_a = (uint8_t)from->bits_a;
  to->macs = bf_node_macs(from->node);
  to->first = (uint32_t)e->ncode;
}

static void end_layer(struct bf_emitter *e, const struct bf_flayer *from, struct ap_layer *to) {
  to->output = from->out_mem;
  if (from->host) emit_host(e, from);
  bf_emit_close_table(e);
  to->end = (uint32_t)e->ncode;
  e->nlayers++;
}

void bf_emit_part(struct bf_emitter *e, const struct bf_fprogram *fields, bool whole) {
  for (size_t i = fields->first_layer; i < fields->nlayers; i++) {
    const struct bf_flayer *from = &fields->layers[i];
    struct ap_layer *to = &e->program->layers[i];
    if (!e->open) begin_layer(e, from, to);
    for (size_t r = 0; r < from->nregions; r++) {
      const struct bf_region *region = &fields->regions[from->first_region + r];
      emit_region(e, region);
      if (region->columns_used > to->columns_used) to->columns_used = region->columns_used;
    }
    e->open = !whole && i + 1 == fields->nlayers;
    if (!e->open) end_layer(e, from, to);
  }
}

#define MAX_DESCS 65536u  // a load or store has 16 bits for one

bool bf_emit_descs_fit(size_t count, struct bf_diags *diags) {
  if (count <= MAX_DESCS) return true;
  bf_error_file(diags, NULL, NULL, "%zu descriptors are needed, at most %u are possible", count, MAX_DESCS);
  return false;
}

static void emit_ends(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_fprogram *fields) {
  struct ap_program *p = e->program;
  p->inputs = bf_arena_alloc(&p->arena, graph->ntensors + 1, sizeof *p->inputs);
  p->outputs = bf_arena_alloc(&p->arena, graph->ntensors + 1, sizeof *p->outputs);
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    if (t->is_input) p->inputs[p->ninputs++] = fields->mem_of[i];
    if (t->is_output) p->outputs[p->noutputs++] = fields->mem_of[i];
  }
}

static void finish(struct bf_emitter *e) {
  struct ap_program *p = e->program;
  p->code = bf_emit_keep(e, e->code, e->ncode, sizeof *e->code);
  p->ncode = (uint32_t)e->ncode;
  p->tables = bf_emit_keep(e, e->tables, e->ntables, sizeof *e->tables);
  p->ntables = (uint32_t)e->ntables;
  p->streams = bf_emit_keep(e, e->streams, e->nstreams, sizeof *e->streams);
  p->nstreams = (uint32_t)e->nstreams;
  p->patterns = bf_emit_keep(e, e->patterns, e->npatterns, sizeof *e->patterns);
  p->npatterns = (uint32_t)e->npatterns;
  p->hosts = bf_emit_keep(e, e->hosts, e->nhosts, sizeof *e->hosts);
  p->nhosts = (uint32_t)e->nhosts;
}

static void describe(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_compile_options *options) {
  struct ap_program *p = e->program;
  p->network = bf_arena_strdup(&p->arena, graph->name);
  p->batch = options->batch ? options->batch : 1;
  p->machine = options->machine;
  p->tech = bf_arena_strdup(&p->arena, options->tech.name);
  p->vdd = options->tech.vdd;
  p->keep_all = options->keep_all;
  p->weights = bf_arena_strdup(&p->arena, graph->weights ? graph->weights : "");
  if (graph->source) {
    p->source.length = strlen(graph->source);
    p->source.data = bf_arena_strdup(&p->arena, graph->source);
  }
}

void bf_emit_begin(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_compile_options *options) {
  *e = (struct bf_emitter){.program = ap_program_new()};
  describe(e, graph, options);
  e->program->layers = bf_arena_alloc(&e->program->arena, graph->nnodes + 1, sizeof *e->program->layers);
}

struct ap_program *bf_emit_finish(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_fprogram *fields,
                                  const struct bf_compile_options *options, struct bf_diags *diags) {
  struct ap_program *p = e->program;
  if (!bf_emit_descs_fit(fields->ndescs, diags)) return NULL;
  p->nlayers = e->nlayers;
  emit_memory(e, fields);
  emit_descs(e, fields);
  bf_emit_code(e, (struct ap_instr){.op = AP_OP_HALT});
  emit_ends(e, graph, fields);
  if (!bf_emit_micros(e, ap_generator_features(&options->machine, &options->tech), diags)) return NULL;
  finish(e);
  e->program = NULL;
  return p;
}

void bf_emit_free(struct bf_emitter *e) {
  ap_program_free(e->program);
  free(e->code);
  free(e->tables);
  free(e->streams);
  free(e->patterns);
  free(e->hosts);
  free(e->items);
  free(e->keys);
  free(e->index);
}
