// SPDX-License-Identifier: Apache-2.0
#include "backend/analyse.h"

#include <stdlib.h>
#include <string.h>

#include "backend/emit.h"
#include "backend/measure.h"
#include "isa/validate.h"
#include "passes/builder.h"

#define MEMO 4096u
#define MANY_TILES ((uint64_t)1 << 30)  // of code that is not to run

// A summary in the making.
struct counter {
  struct ap_summary *summary;
  struct ap_summary_maker *maker;
  struct { uint64_t shape; uint32_t kind; } memo[MEMO];  // kinds by operator and widths; shape 0: free
};

struct analysis {
  const struct bf_compile_options *options;
  struct bf_cost_cache *cache;
  const struct bf_choice *given;
  struct counter all, gemm;        // gemm.maker NULL: not asked for
  struct bf_digest *keys;          // a node each
  size_t descs;                    // when the layer began
  bool open, failed;
  uint32_t columns;
  struct bf_diags *diags;
};

static bool cost_of(void *context, uint32_t key, struct ap_micro_cost costs[AP_MICROCODES]) {
  struct analysis *a = context;
  const uint8_t width[3] = {(uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};
  for (unsigned i = 0; i < AP_MICROCODES; i++) {
    struct ap_micro micro;
    unsigned features = a->options->machine.features | (i == AP_MICROCODE_FEW_WRITES ? AP_PREFER_FEW_WRITES : 0);
    if (!ap_micro_generate((enum ap_op)(key >> 24), width, features, &micro)) {
      bf_error_file(a->diags, NULL, NULL, "internal: no microcode for %s at widths %u, %u, %u", ap_op_info(key >> 24)->mnemonic, width[0],
                    width[1], width[2]);
      a->failed = true;
      return false;
    }
    costs[i] = ap_micro_cost(&micro);
    ap_micro_free(&micro);
  }
  return true;
}

static void add_compute(struct counter *c, const struct bf_region *region, const struct bf_fop *op) {
  uint64_t shape = (uint64_t)op->kind << 24 | op->d.width << 16 | op->a.width << 8 | op->b.width;
  size_t at = (shape * UINT64_C(0x9E3779B97F4A7C15)) >> 52;
  if (c->memo[at].shape != shape) {
    struct ap_instr instr = bf_emit_instr(region, op, 0);
    uint32_t kind = ap_maker_kind(c->maker, ap_micro_key(&instr), instr.imm);
    if (ap_op_info(instr.op)->imm == AP_IMM_ROWS) {  // the distance counts, too
      ap_maker_run(c->maker, kind, 1);
      return;
    }
    c->memo[at].shape = shape;
    c->memo[at].kind = kind;
  }
  ap_maker_run(c->maker, c->memo[at].kind, 1);
}

static void add_move(struct counter *c, const struct bf_fprogram *fields, const struct bf_fop *op) {
  if (!ap_maker_knows(c->maker, op->desc)) {
    struct ap_desc desc = bf_emit_desc(fields, &fields->descs[op->desc]);
    ap_maker_desc(c->maker, op->desc, &desc);
  }
  ap_maker_move(c->maker, bf_emit_op(op), op->desc, 1);
}

// The region's operations up to `end`.
static void count_region(struct counter *c, const struct bf_fprogram *fields, const struct bf_region *region, size_t end) {
  struct ap_grid grid = bf_emit_grid(&fields->grids[region->grid]);
  uint64_t key = AP_LOAD_KEY_BEGIN;
  ap_maker_region(c->maker, &grid);
  for (const struct bf_fop *op = region->ops; op < region->ops + end; op++) {
    if (op->kind == BF_FOP_LOAD || op->kind == BF_FOP_LOADP) key = ap_load_key_load(key, op->desc, (uint16_t)op->tap);
    else if (op->kind != BF_FOP_STORE) {
      add_compute(c, region, op);
      continue;
    }
    add_move(c, fields, op);
  }
  ap_maker_end_region(c->maker, key);
}

static bool is_gemm(const struct bf_node *node) { return node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE; }

static void end_epoch(struct analysis *a) {
  ap_maker_barrier(a->all.maker);
  if (a->gemm.maker) ap_maker_barrier(a->gemm.maker);
}

static void add_region(struct analysis *a, const struct bf_fprogram *fields, const struct bf_flayer *layer, const struct bf_region *region) {
  count_region(&a->all, fields, region, region->nops);
  if (a->gemm.maker && is_gemm(layer->node)) count_region(&a->gemm, fields, region, region->tail ? region->tail : region->nops);
  if (region->barrier_after) end_epoch(a);
  if (region->columns_used > a->columns) a->columns = region->columns_used;
}

static bool end_layer(struct analysis *a, const struct bf_fprogram *fields, const struct bf_flayer *from) {
  if (from->host) {
    ap_maker_host(a->all.maker);
    end_epoch(a);
  }
  uint32_t id = from->node->id;
  struct ap_layer_summary *layer = a->all.summary->layers[id] = ap_maker_end_layer(a->all.maker);
  if (a->gemm.maker) a->gemm.summary->layers[id] = ap_maker_end_layer(a->gemm.maker);
  if (!layer) {
    if (!a->failed) bf_error_file(a->diags, NULL, "use a machine with more rows or a smaller batch", "the program has more than 2^20 tiles");
    return false;
  }
  layer->op = bf_arena_strdup(&layer->arena, bf_op_info(from->node->op)->name);
  layer->mapping = bf_arena_strdup(&layer->arena, from->mapping);
  layer->bits_w = (uint8_t)from->bits_w;
  layer->bits_a = (uint8_t)from->bits_a;
  layer->macs = bf_node_macs(from->node);
  layer->columns_used = a->columns;
  layer->descs = (uint32_t)(fields->ndescs - a->descs);
  if (a->cache) bf_cost_cache_add_layer(a->cache, &a->keys[id], layer);
  a->columns = 0;
  a->descs = fields->ndescs;
  return true;
}

static bool take(struct bf_unit *unit, bool whole) {
  struct analysis *a = unit->take_context;
  const struct bf_fprogram *fields = unit->fields;
  if (!unit->allocated || !unit->selected) return bf_compile_unfinished(unit, whole);
  for (size_t i = fields->first_layer; i < fields->nlayers; i++) {
    const struct bf_flayer *layer = &fields->layers[i];
    for (size_t r = 0; r < layer->nregions; r++) add_region(a, fields, layer, &fields->regions[layer->first_region + r]);
    a->open = !whole && i + 1 == fields->nlayers;
    if (!a->open && !end_layer(a, fields, layer)) return false;
  }
  return !a->failed;
}

// Where a layer of the same content was analysed before, it isn't again.
static bool known(struct bf_unit *unit, const struct bf_node *node) {
  struct analysis *a = unit->take_context;
  if (!a->cache) return false;
  a->keys[node->id] = bf_layer_key(unit, node);
  struct ap_layer_summary *layer = bf_cost_cache_layer(a->cache, &a->keys[node->id]);
  if (layer && layer->microcodes != AP_MICROCODES) {
    ap_layer_summary_drop(layer);
    layer = NULL;
  }
  a->all.summary->layers[node->id] = layer;
  return layer != NULL;
}

static void describe(struct ap_summary *s, const struct bf_graph *graph, const struct bf_compile_options *options) {
  struct bf_arena *arena = &s->head.arena;
  s->head.network = bf_arena_strdup(arena, graph->name);
  s->head.weights = bf_arena_strdup(arena, graph->weights ? graph->weights : "");
  s->head.batch = options->batch ? options->batch : 1;
  s->head.keep_all = options->keep_all;
  for (size_t i = 0; i < graph->nnodes; i++) {
    s->head.layers[i].name = bf_arena_strdup(arena, graph->nodes[i]->name);
    s->head.layers[i].line = graph->nodes[i]->line;
  }
  s->profiles = bf_arena_alloc(arena, graph->nprofiles + 1, sizeof *s->profiles);
  for (size_t i = 0; i < graph->nprofiles; i++) s->profiles[s->nprofiles++] = bf_arena_strdup(arena, graph->profiles[i].name);
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    uint64_t bits = t->elements * bf_mem_bits(t->type);
    if (t->is_input) s->input_bits += bits;
    if (t->is_output) s->output_bits += bits;
  }
}

static bool within_limits(const struct ap_summary *s, struct bf_diags *diags) {
  uint64_t tiles = 0, descs = 0;
  for (uint32_t i = 0; i < s->head.nlayers; i++) {
    tiles += s->layers[i]->tiles;
    descs += s->layers[i]->descs;
  }
  if (tiles > AP_MAX_TILES) {
    bf_error_file(diags, NULL, "use a machine with more rows or a smaller batch", "the program has more than 2^20 tiles");
    return false;
  }
  return bf_emit_descs_fit(descs, diags);
}

static bool run(struct analysis *a, const struct bf_graph *graph, struct bf_choice **choices, struct bf_diags *diags) {
  struct bf_unit unit = bf_compile_unit(graph, a->options, diags);
  struct bf_pipeline_options pipeline = bf_compile_pipeline(a->options);
  unit.take = take;
  unit.known = known;
  unit.take_context = a;
  unit.given = a->given;
  struct bf_measurer measurer = {.options = a->options, .cache = a->cache};
  bf_measure_with(&unit, &measurer);
  bool ok = bf_pipeline_run(&unit, &pipeline);
  bf_measurer_end(&measurer);
  if (ok && !unit.fields) {
    bf_error_file(diags, "--passes", "end the pipeline with lower,select,allocate", "the pipeline makes no code");
    ok = false;
  }
  if (choices) {
    *choices = unit.choices;
    unit.choices = NULL;
  }
  bf_unit_free(&unit);
  return ok;
}

static void begin(struct analysis *a, struct counter *c, uint32_t layers, uint64_t most_tiles) {
  c->summary = ap_summary_new(layers);
  c->maker = ap_summary_maker_new(AP_MICROCODES, most_tiles, cost_of, a);
}

struct ap_summary *bf_analyse(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_cache *cache,
                              const struct bf_choice *given, struct bf_digest *keys, struct bf_code_details *details, struct bf_diags *diags) {
  struct analysis *a = bf_alloc(1, sizeof *a);
  struct bf_digest *own = keys ? NULL : bf_alloc(graph->nnodes, sizeof *own);
  uint32_t layers = (uint32_t)graph->nnodes;
  a->options = options;
  a->cache = cache;
  a->given = given;
  a->diags = diags;
  a->keys = keys ? keys : own;
  begin(a, &a->all, layers, details ? MANY_TILES : AP_MAX_TILES);
  if (details) begin(a, &a->gemm, layers, MANY_TILES);
  struct ap_summary *summary = a->all.summary, *gemm = a->gemm.summary;
  describe(summary, graph, options);
  bool ok = run(a, graph, details ? &details->choices : NULL, diags);
  for (uint32_t i = 0; i < layers && ok; i++) ok = summary->layers[i] != NULL;
  ok = ok && (details || within_limits(summary, diags));
  if (ok) ap_summary_name_layers(summary);
  ap_summary_maker_free(a->all.maker);
  ap_summary_maker_free(a->gemm.maker);
  free(own);
  free(a);
  if (ok && details) details->gemm = gemm;
  if (ok) return summary;
  if (details) free(details->choices);
  ap_summary_free(gemm);
  ap_summary_free(summary);
  return NULL;
}
