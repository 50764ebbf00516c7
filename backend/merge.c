// SPDX-License-Identifier: Apache-2.0
// Programs of one network at different widths become one program. Items keep their numbers and order; what a further profile needs
// and does not find is appended. Equality is that of contents: references are followed, numbers of items do not matter.
#include "backend/merge.h"

#include <stdlib.h>
#include <string.h>

#include "ir/names.h"

#define NONE UINT32_MAX
#define MAX_DESCS 65536u  // a load or store has 16 bits for one

struct bf_merger {
  struct ap_program *p;  // its lists are on the heap until the end
  size_t tensors_capacity, grids_capacity, descs_capacity, tables_capacity, streams_capacity, patterns_capacity, hosts_capacity, micros_capacity,
      layers_capacity, profiles_capacity, code_capacity;
};

// One program being added: where its items are in the merged one, or NONE.
struct adding {
  struct bf_merger *m;
  struct ap_program *to;
  const struct ap_program *from;
  const char *name;
  uint32_t *tensors;                                    // of all that layers use
  uint32_t *grids, *descs, *tables, *streams, *patterns, *hosts;   // of the layer at hand
  struct bf_names tensor_names, layer_names;            // of `to`
  struct bf_diags *diags;
};

// A list that is appended to: arrays of the program itself, as its own counts are 32 bits wide.
#define APPEND(m, list, count, item)                                                        \
  do {                                                                                      \
    (m)->p->list = bf_grow((m)->p->list, (m)->p->count, &(m)->list##_capacity, sizeof *(m)->p->list); \
    (m)->p->list[(m)->p->count++] = (item);                                                 \
  } while (0)

static void *to_heap(const void *items, size_t count, size_t size) {
  void *copy = bf_alloc(count + 1, size);
  if (count) memcpy(copy, items, count * size);
  return copy;
}

static void *to_arena(struct ap_program *p, void *items, size_t count, size_t size) {
  void *copy = bf_arena_alloc(&p->arena, count + 1, size);
  if (count) memcpy(copy, items, count * size);
  free(items);
  return copy;
}

#define LISTS(X) X(tensors, ntensors) X(grids, ngrids) X(descs, ndescs) X(tables, ntables) X(streams, nstreams) X(patterns, npatterns) X(hosts, nhosts) \
                 X(micros, nmicros) X(layers, nlayers) X(profiles, nprofiles) X(code, ncode)

static void add_profile(struct bf_merger *m, const char *name, uint32_t *layers, uint32_t count) {
  struct ap_profile profile = {.name = bf_arena_strdup(&m->p->arena, name), .layers = layers, .nlayers = count};
  APPEND(m, profiles, nprofiles, profile);
}

struct bf_merger *bf_merge_begin(struct ap_program *first, const char *name) {
  struct bf_merger *m = bf_alloc(1, sizeof *m);
  m->p = first;
#define TO_HEAP(list, count) first->list = to_heap(first->list, first->count, sizeof *first->list), m->list##_capacity = first->count + (size_t)1;
  LISTS(TO_HEAP)
#undef TO_HEAP
  first->ncode--;  // the halt comes back at the end
  uint32_t *layers = bf_arena_alloc(&first->arena, first->nlayers + (size_t)1, sizeof *layers);
  for (uint32_t i = 0; i < first->nlayers; i++) layers[i] = i;
  add_profile(m, name, layers, first->nlayers);
  return m;
}

static int compare_micros(const void *x, const void *y) {
  const struct ap_micro *a = x, *b = y;
  return a->op != b->op ? (a->op < b->op ? -1 : 1) : memcmp(a->width, b->width, 3);
}

struct ap_program *bf_merge_end(struct bf_merger *m, bool keep) {
  struct ap_program *p = m->p;
  if (keep) {
    struct ap_instr halt = {.op = AP_OP_HALT};
    APPEND(m, code, ncode, halt);
    qsort(p->micros, p->nmicros, sizeof *p->micros, compare_micros);
#define TO_ARENA(list, count) p->list = to_arena(p, p->list, p->count, sizeof *p->list);
    LISTS(TO_ARENA)
#undef TO_ARENA
  } else {
#define FREE(list, count) free(p->list);
    LISTS(FREE)
#undef FREE
    ap_program_free(p);
    p = NULL;
  }
  free(m);
  return p;
}

// ---- tensors

static bool same_tensor(const struct adding *a, const struct ap_tensor *mine, const struct ap_tensor *t, uint32_t alias) {
  uint64_t elements = ap_tensor_elements(t);
  bool same = mine->storage == t->storage && mine->bits == t->bits && mine->bias == t->bias && strcmp(mine->type, t->type) == 0 &&
              memcmp(mine->shape, t->shape, sizeof t->shape) == 0 && mine->rank == t->rank && mine->scale == t->scale &&
              mine->zero == t->zero;
  if (!same) return false;
  if (t->alias != NONE || t->storage != AP_STORAGE_CONST) return t->alias == NONE ? true : mine->alias == alias;
  return ap_consts_equal(&a->to->consts, mine->data, &a->from->consts, t->data, elements);
}

// The next variant of a name behind tensor `at`: those that profiles brought are called NAME@PROFILE.
static uint32_t find_variant(const struct adding *a, const char *name, uint32_t profile) {
  char *variant = profile ? bf_format("%s@%s", name, a->to->profiles[profile].name) : bf_strdup(name);
  uint32_t found = bf_names_find(&a->tensor_names, variant);
  free(variant);
  return found;
}

// A new variant lies in the memory of the tensor that it is one of, if it fits there.
static uint32_t add_variant(struct adding *a, const struct ap_tensor *t, uint32_t alias) {
  struct ap_tensor copy = *t;
  struct bf_arena *arena = &a->to->arena;
  uint32_t original = find_variant(a, t->name, 0);
  copy.name = original == NONE ? bf_arena_strdup(arena, t->name) : bf_arena_format(arena, "%s@%s", t->name, a->name);
  copy.type = bf_arena_strdup(arena, t->type);
  copy.alias = alias;
  if (t->storage == AP_STORAGE_CONST && t->alias == NONE) {
    copy.data = a->to->consts.count;
    ap_consts_copy(&a->to->consts, arena, &a->from->consts, t->data, ap_tensor_elements(t));
  } else if (t->alias == NONE && original != NONE) {
    const struct ap_tensor *root = &a->to->tensors[ap_tensor_root(a->to, original)];
    bool fits = root->storage == t->storage && ap_tensor_elements(root) == ap_tensor_elements(t) && root->bits >= t->bits;
    copy.alias = fits ? (uint32_t)(root - a->to->tensors) : NONE;
  }
  APPEND(a->m, tensors, ntensors, copy);
  bf_names_add(&a->tensor_names, copy.name, a->to->ntensors - 1);
  return a->to->ntensors - 1;
}

static uint32_t map_tensor(struct adding *a, uint32_t tensor) {
  const struct ap_tensor *t = &a->from->tensors[tensor];
  if (a->tensors[tensor] != NONE) return a->tensors[tensor];
  uint32_t alias = t->alias == NONE ? NONE : map_tensor(a, t->alias), found = NONE;
  for (uint32_t i = 0; found == NONE && i < a->to->nprofiles; i++) {
    uint32_t at = find_variant(a, t->name, i);
    if (at != NONE && same_tensor(a, &a->to->tensors[at], t, alias)) found = at;
  }
  return a->tensors[tensor] = found != NONE ? found : add_variant(a, t, alias);
}

// ---- equality of a layer's code: each item of the one corresponds to exactly one of the other

static bool agree(uint32_t *map, uint32_t from, uint32_t to, bool *known) {
  *known = map[from] != NONE;
  if (!*known) map[from] = to;
  return map[from] == to;
}

static bool same_grid(struct adding *a, uint32_t from, uint32_t to) {
  bool known;
  const struct ap_grid *x = &a->from->grids[from], *y = &a->to->grids[to];
  return agree(a->grids, from, to, &known) && (known || (memcmp(x->count, y->count, sizeof x->count) == 0 && x->tile_rows == y->tile_rows));
}

static bool same_desc(struct adding *a, uint32_t from, uint32_t to) {
  bool known;
  const struct ap_desc *x = &a->from->descs[from], *y = &a->to->descs[to];
  if (!agree(a->descs, from, to, &known)) return false;
  return known || (same_grid(a, x->grid, y->grid) && map_tensor(a, x->tensor) == y->tensor && x->bits == y->bits && x->bit == y->bit &&
                   x->pad_value == y->pad_value && memcmp(x->row_dim, y->row_dim, sizeof x->row_dim) == 0 &&
                   memcmp(x->row_stride, y->row_stride, sizeof x->row_stride) == 0 && memcmp(x->origin, y->origin, sizeof x->origin) == 0 &&
                   memcmp(x->tap_count, y->tap_count, sizeof x->tap_count) == 0 &&
                   memcmp(x->tap_step, y->tap_step, sizeof x->tap_step) == 0);
}

static bool same_host(struct adding *a, uint32_t from, uint32_t to) {
  bool known;
  const struct ap_host *x = &a->from->hosts[from], *y = &a->to->hosts[to];
  return agree(a->hosts, from, to, &known) &&
         (known || (x->kind == y->kind && x->in_scale == y->in_scale && x->beta == y->beta &&
                    map_tensor(a, x->input) == y->input && map_tensor(a, x->output) == y->output));
}

static bool same_pattern(struct adding *a, uint32_t from, uint32_t to) {
  bool known;
  const struct ap_pattern *x = &a->from->patterns[from], *y = &a->to->patterns[to];
  return agree(a->patterns, from, to, &known) && (known || (x->inputs == y->inputs && x->key == y->key && x->base == y->base &&
                                                            memcmp(x->add, y->add, sizeof x->add) == 0));
}

static bool same_code(struct adding *a, const struct ap_instr *x, const struct ap_instr *y, uint32_t count);

static bool same_stream(struct adding *a, uint32_t from, uint32_t to) {
  bool known;
  const struct ap_stream *x = &a->from->streams[from], *y = &a->to->streams[to];
  if (!agree(a->streams, from, to, &known)) return false;
  if (known) return true;
  if (x->count != y->count || memcmp(x->steps, y->steps, x->count * sizeof *x->steps) != 0) return false;
  const struct ap_table *tx = &a->from->tables[x->table], *ty = &a->to->tables[y->table];
  if (!agree(a->tables, x->table, y->table, &known)) return false;
  return known || (tx->count == ty->count && same_code(a, tx->items, ty->items, tx->count));
}

static bool same_instr(struct adding *a, const struct ap_instr *x, const struct ap_instr *y) {
  if (x->op != y->op || x->tap != y->tap || x->imm != y->imm) return false;
  for (int i = 0; i < 3; i++)
    if (x->f[i].col != y->f[i].col || x->f[i].width != y->f[i].width) return false;
  if (ap_op_info((unsigned)x->op)->op_class == AP_CLASS_MOVE) return same_desc(a, x->index, y->index);
  switch (x->op) {
    case AP_OP_GRID: return same_grid(a, x->index, y->index);
    case AP_OP_STEPS: return same_stream(a, x->index, y->index);
    case AP_OP_HOST: return same_host(a, x->index, y->index);
    case AP_OP_PATTERN: return same_pattern(a, x->index, y->index);
    default: return x->index == y->index;
  }
}

static bool same_code(struct adding *a, const struct ap_instr *x, const struct ap_instr *y, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!same_instr(a, &x[i], &y[i])) return false;
  return true;
}

static void forget(struct adding *a) {
  memset(a->grids, 0xFF, a->from->ngrids * sizeof *a->grids);
  memset(a->descs, 0xFF, a->from->ndescs * sizeof *a->descs);
  memset(a->tables, 0xFF, a->from->ntables * sizeof *a->tables);
  memset(a->streams, 0xFF, a->from->nstreams * sizeof *a->streams);
  memset(a->patterns, 0xFF, a->from->npatterns * sizeof *a->patterns);
  memset(a->hosts, 0xFF, a->from->nhosts * sizeof *a->hosts);
}

static bool same_layer(struct adding *a, const struct ap_layer *x, const struct ap_layer *y) {
  if (strcmp(x->op, y->op) != 0 || strcmp(x->mapping, y->mapping) != 0 || x->line != y->line || x->bits_w != y->bits_w ||
      x->bits_a != y->bits_a || x->macs != y->macs || x->columns_used != y->columns_used || x->end - x->first != y->end - y->first)
    return false;
  forget(a);
  return map_tensor(a, x->output) == y->output &&
         same_code(a, a->from->code + x->first, a->to->code + y->first, x->end - x->first);
}

// ---- copies

static uint32_t copy_grid(struct adding *a, uint32_t grid) {
  if (a->grids[grid] == NONE) {
    APPEND(a->m, grids, ngrids, a->from->grids[grid]);
    a->grids[grid] = a->to->ngrids - 1;
  }
  return a->grids[grid];
}

static uint32_t copy_desc(struct adding *a, uint32_t desc) {
  if (a->descs[desc] == NONE) {
    struct ap_desc copy = a->from->descs[desc];
    copy.grid = copy_grid(a, copy.grid);
    copy.tensor = map_tensor(a, copy.tensor);
    APPEND(a->m, descs, ndescs, copy);
    a->descs[desc] = a->to->ndescs - 1;
  }
  return a->descs[desc];
}

static uint32_t copy_host(struct adding *a, uint32_t host) {
  if (a->hosts[host] == NONE) {
    struct ap_host copy = a->from->hosts[host];
    copy.input = map_tensor(a, copy.input);
    copy.output = map_tensor(a, copy.output);
    APPEND(a->m, hosts, nhosts, copy);
    a->hosts[host] = a->to->nhosts - 1;
  }
  return a->hosts[host];
}

static uint32_t copy_pattern(struct adding *a, uint32_t pattern) {
  if (a->patterns[pattern] == NONE) {
    APPEND(a->m, patterns, npatterns, a->from->patterns[pattern]);
    a->patterns[pattern] = a->to->npatterns - 1;
  }
  return a->patterns[pattern];
}

static struct ap_instr copy_instr(struct adding *a, const struct ap_instr *instr);

static uint32_t copy_table(struct adding *a, uint32_t table) {
  if (a->tables[table] == NONE) {
    const struct ap_table *from = &a->from->tables[table];
    struct ap_table copy = {bf_arena_alloc(&a->to->arena, from->count + (size_t)1, sizeof *copy.items), from->count};
    for (uint32_t i = 0; i < from->count; i++) copy.items[i] = copy_instr(a, &from->items[i]);
    APPEND(a->m, tables, ntables, copy);
    a->tables[table] = a->to->ntables - 1;
  }
  return a->tables[table];
}

static uint32_t copy_stream(struct adding *a, uint32_t stream) {
  if (a->streams[stream] == NONE) {
    const struct ap_stream *from = &a->from->streams[stream];
    struct ap_stream copy = {copy_table(a, from->table), NULL, from->count};
    copy.steps = bf_arena_alloc(&a->to->arena, from->count + (size_t)1, sizeof *copy.steps);
    memcpy(copy.steps, from->steps, from->count * sizeof *copy.steps);
    APPEND(a->m, streams, nstreams, copy);
    a->streams[stream] = a->to->nstreams - 1;
  }
  return a->streams[stream];
}

static struct ap_instr copy_instr(struct adding *a, const struct ap_instr *instr) {
  struct ap_instr copy = *instr;
  if (ap_op_info((unsigned)instr->op)->op_class == AP_CLASS_MOVE) copy.index = copy_desc(a, instr->index);
  else if (instr->op == AP_OP_GRID) copy.index = copy_grid(a, instr->index);
  else if (instr->op == AP_OP_STEPS) copy.index = copy_stream(a, instr->index);
  else if (instr->op == AP_OP_HOST) copy.index = copy_host(a, instr->index);
  else if (instr->op == AP_OP_PATTERN) copy.index = copy_pattern(a, instr->index);
  return copy;
}

static uint32_t copy_layer(struct adding *a, const struct ap_layer *layer) {
  struct ap_layer copy = *layer;
  struct bf_arena *arena = &a->to->arena;
  bool taken = bf_names_find(&a->layer_names, layer->name) != BF_NAME_NONE;
  copy.name = taken ? bf_arena_format(arena, "%s@%s", layer->name, a->name) : bf_arena_strdup(arena, layer->name);
  copy.op = bf_arena_strdup(arena, layer->op);
  copy.mapping = bf_arena_strdup(arena, layer->mapping);
  copy.output = map_tensor(a, layer->output);
  copy.first = a->to->ncode;
  forget(a);
  for (uint32_t i = layer->first; i < layer->end; i++) {
    struct ap_instr instr = copy_instr(a, &a->from->code[i]);
    APPEND(a->m, code, ncode, instr);
  }
  copy.end = a->to->ncode;
  APPEND(a->m, layers, nlayers, copy);
  bf_names_add(&a->layer_names, copy.name, a->to->nlayers - 1);
  return a->to->nlayers - 1;
}

static uint32_t map_layer(struct adding *a, const struct ap_layer *layer) {
  for (uint32_t i = 0; i < a->to->nprofiles; i++) {
    char *name = i ? bf_format("%s@%s", layer->name, a->to->profiles[i].name) : bf_strdup(layer->name);
    uint32_t found = bf_names_find(&a->layer_names, name);
    free(name);
    if (found != BF_NAME_NONE && same_layer(a, layer, &a->to->layers[found])) return found;
  }
  return copy_layer(a, layer);
}

static struct ap_micro copy_micro(struct bf_arena *arena, const struct ap_micro *from) {
  struct ap_micro copy = *from;
  copy.steps = bf_arena_alloc(arena, from->nsteps + (size_t)1, sizeof *copy.steps);
  copy.lits = bf_arena_alloc(arena, from->nlits + (size_t)1, sizeof *copy.lits);
  memcpy(copy.steps, from->steps, from->nsteps * sizeof *copy.steps);
  memcpy(copy.lits, from->lits, from->nlits * sizeof *copy.lits);
  return copy;
}

// Equal operations and widths have equal programs: they are generated for one machine.
static void add_micros(struct adding *a) {
  uint32_t before = a->to->nmicros;
  qsort(a->to->micros, before, sizeof *a->to->micros, compare_micros);
  for (uint32_t i = 0; i < a->from->nmicros; i++) {
    const struct ap_micro *m = &a->from->micros[i];
    if (bsearch(m, a->to->micros, before, sizeof *m, compare_micros)) continue;
    struct ap_micro copy = copy_micro(&a->to->arena, m);
    APPEND(a->m, micros, nmicros, copy);
  }
}

static bool within_limits(const struct adding *a) {
  if (a->to->ndescs <= MAX_DESCS) return true;
  bf_error_file(a->diags, NULL, "compile fewer profiles into one binary, or one alone with --profile",
                "with profile `%s` the program needs %u descriptors, at most %u are possible", a->name, a->to->ndescs, MAX_DESCS);
  return false;
}

static uint32_t *new_map(uint32_t count) {
  uint32_t *map = bf_alloc((size_t)count + 1, sizeof *map);
  memset(map, 0xFF, ((size_t)count + 1) * sizeof *map);
  return map;
}

bool bf_merge_add(struct bf_merger *m, const struct ap_program *program, const char *name, struct bf_diags *diags) {
  struct adding a = {.m = m, .to = m->p, .from = program, .name = name, .diags = diags};
  a.tensors = new_map(program->ntensors);
  a.grids = new_map(program->ngrids);
  a.descs = new_map(program->ndescs);
  a.tables = new_map(program->ntables);
  a.streams = new_map(program->nstreams);
  a.patterns = new_map(program->npatterns);
  a.hosts = new_map(program->nhosts);
  for (uint32_t i = 0; i < m->p->ntensors; i++) bf_names_add(&a.tensor_names, m->p->tensors[i].name, i);
  for (uint32_t i = 0; i < m->p->nlayers; i++) bf_names_add(&a.layer_names, m->p->layers[i].name, i);
  uint32_t *layers = bf_arena_alloc(&m->p->arena, program->nlayers + (size_t)1, sizeof *layers);
  for (uint32_t i = 0; i < program->ninputs; i++) map_tensor(&a, program->inputs[i]);
  for (uint32_t i = 0; i < program->nlayers; i++) layers[i] = map_layer(&a, &program->layers[i]);
  add_micros(&a);
  add_profile(m, name, layers, program->nlayers);
  bf_names_free(&a.tensor_names);
  bf_names_free(&a.layer_names);
  free(a.tensors), free(a.grids), free(a.descs), free(a.tables), free(a.streams), free(a.patterns), free(a.hosts);
  return within_limits(&a);
}
