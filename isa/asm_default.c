// SPDX-License-Identifier: Apache-2.0
// What a record's fields are when the text leaves them out and they follow from others (docs/assembly.md, "Defaults").
#include <stdlib.h>
#include <string.h>

#include "isa/asm.h"

static bool has(const struct ap_filled *filled, enum ap_record record, const char *key) {
  return ap_filled_has(filled, record, key);
}

static bool needs(struct ap_parser *p, const struct ap_filled *filled, const char *key, const char *hint) {
  ap_parse_error(p, filled->directive, hint, "this needs %s=", key);
  return false;
}

// Bits and lowest value of s1..s64, u1..u64, b1, t2; false for other texts.
static bool read_type(const char *type, unsigned *bits, int64_t *low) {
  uint64_t n;
  if (!ap_number_text(type + (*type != 0), strlen(type) - (*type != 0), 64, &n) || n < 1)
    return false;
  *bits = (unsigned)n;
  *low = *type == 's' ? (int64_t)(~(uint64_t)0 << (n - 1)) : *type == 'u' ? 0 : -1;
  return strchr("sbtu", *type) != NULL;
}

static const struct ap_tensor *tensors(const struct ap_parser *p) {
  return (const struct ap_tensor *)(const void *)p->lists[AP_RECORD_TENSOR].items;
}

static uint64_t elements_of(const struct ap_tensor *t) {
  uint64_t n = 1;
  for (unsigned k = 0; k < 4; k++)
    if (!bf_mul_limit(n, t->shape[k], BF_MAX_ELEMENTS, &n))
      return 0;  // the validator says so
  return n;
}

static bool take_values(struct ap_parser *p, const struct ap_tensor *t, const struct ap_filled *filled) {
  if (filled->values.count != elements_of(t)) {
    ap_parse_error(p, filled->directive, NULL, "%zu values for %llu elements", filled->values.count,
                   (unsigned long long)elements_of(t));
    return false;
  }
  if (p->has_const) {
    ap_parse_error(p, filled->directive, NULL, "values= and a .const block exclude each other");
    return false;
  }
  for (size_t i = 0; i < filled->values.count; i++) {
    ap_int stored = filled->values.items[i] - t->bias;
    if (stored < 0 || stored >= (ap_int)1 << t->bits) {
      ap_parse_error(p, filled->directive, NULL, "value number %zu does not fit type %s", i + 1, t->type);
      return false;
    }
    BF_PUSH(p->consts.items, p->consts.count, p->consts.capacity) = (uint64_t)stored;
  }
  return true;
}

// Where the next constant lies in the pool.
static uint64_t pool_end(const struct ap_parser *p) {
  uint64_t end = 0;
  for (size_t i = 0; i + 1 < p->lists[AP_RECORD_TENSOR].count; i++)
    if (tensors(p)[i].storage == AP_STORAGE_CONST && tensors(p)[i].alias == UINT32_MAX)
      end += elements_of(&tensors(p)[i]);
  return end;
}

static bool complete_tensor(struct ap_parser *p, struct ap_tensor *t, const struct ap_filled *filled) {
  enum ap_record r = AP_RECORD_TENSOR;
  struct bf_arena *arena = &p->program->arena;
  unsigned bits = 0;
  int64_t low = 0;
  size_t length;
  if (!has(filled, r, "type") && !has(filled, r, "bits"))
    return needs(p, filled, "type", "a type like s8 or u4, or bits=");
  if (!has(filled, r, "type"))
    t->type = bf_arena_format(arena, "u%u", t->bits);
  if (!read_type(t->type, &bits, &low) && !(has(filled, r, "bits") && has(filled, r, "bias"))) {
    ap_parse_error(p, filled->directive, "types are s1..s64, u1..u64, b1 and t2", "unknown type");
    return false;
  }
  if (!has(filled, r, "bits"))
    t->bits = (uint8_t)bits;
  if (!has(filled, r, "bias"))
    t->bias = low;
  if (!has(filled, r, "name")) {
    if (filled->name.kind != AP_TOKEN_WORD)
      return needs(p, filled, "name", "or a name in place of the number");
    const char *name = ap_token_text(p, filled->name, &length);
    t->name = bf_arena_strndup(arena, name, length);
  }
  if (!has(filled, r, "rank"))
    t->rank = (uint8_t)ap_filled_count(filled, r, "shape");
  if (!has(filled, r, "storage"))
    t->storage = filled->has_values ? AP_STORAGE_CONST : AP_STORAGE_ACTIVATION;
  if (!has(filled, r, "data"))
    t->data = t->storage == AP_STORAGE_CONST && t->alias == UINT32_MAX ? pool_end(p) : 0;
  return !filled->has_values || take_values(p, t, filled);
}

static bool complete_grid(struct ap_parser *p, struct ap_grid *g, const struct ap_filled *filled) {
  uint64_t rows = 1;
  p->grid_ranks.items[p->grid_ranks.count - 1] = ap_filled_count(filled, AP_RECORD_GRID, "count");
  if (has(filled, AP_RECORD_GRID, "tile_rows"))
    return true;
  if (!p->has_machine)
    return needs(p, filled, "tile_rows", "or .machine before it: then a tile has as many rows as a CAP");
  for (unsigned j = 0; j < 4; j++)
    if (!bf_mul_limit(rows, g->count[j], UINT32_MAX, &rows))
      rows = UINT32_MAX;
  g->tile_rows = rows < p->program->machine.rows ? (uint32_t)rows : p->program->machine.rows;
  return true;
}

// The rows go over the first dimensions of the tensor as it is written, the taps over the others.
static bool map_rows(struct ap_parser *p, struct ap_desc *d, const struct ap_tensor *t, const struct ap_filled *filled) {
  unsigned rank = p->grid_ranks.items[d->grid];
  if (rank > t->rank || t->rank < 1 || t->rank > 4) {
    ap_parse_error(p, filled->directive, "row_dim=[…] says which dimension each one selects",
                   "the grid has %u row dimensions, the tensor only %u", rank, t->rank);
    return false;
  }
  for (unsigned j = 0; j < 4; j++)
    d->row_dim[j] = UINT8_MAX;
  for (unsigned j = 0; j < rank; j++)
    d->row_dim[4 - rank + j] = (uint8_t)(4 - t->rank + j);
  for (unsigned k = 0; k < 4 && !has(filled, AP_RECORD_DESC, "tap_count"); k++)
    d->tap_count[k] = k >= 4u - t->rank + rank ? t->shape[k] : 1;
  return true;
}

static bool complete_desc(struct ap_parser *p, struct ap_desc *d, const struct ap_filled *filled) {
  enum ap_record r = AP_RECORD_DESC;
  size_t ngrids = p->lists[AP_RECORD_GRID].count;
  bool grid = has(filled, r, "grid"), dims = has(filled, r, "row_dim"), taps = has(filled, r, "tap_count");
  if (!grid && ngrids != 1)
    return needs(p, filled, "grid", "it may be left out where there is one grid");
  if ((!has(filled, r, "bits") || !dims) && d->tensor >= p->lists[AP_RECORD_TENSOR].count) {
    ap_parse_error(p, filled->directive, NULL, "its tensor must stand before it, or bits= and row_dim= in it");
    return false;
  }
  if (!dims && d->grid >= ngrids) {
    ap_parse_error(p, filled->directive, NULL, "its grid must stand before it, or row_dim= in it");
    return false;
  }
  if (!has(filled, r, "bits"))
    d->bits = (uint8_t)(tensors(p)[d->tensor].bits - (d->bit < tensors(p)[d->tensor].bits ? d->bit : 0));
  for (unsigned k = 0; k < 4 && !taps; k++)
    d->tap_count[k] = 1;
  if (!dims && !map_rows(p, d, &tensors(p)[d->tensor], filled))
    return false;
  for (unsigned j = 0; j < 4 && !has(filled, r, "row_stride"); j++)
    d->row_stride[j] = d->row_dim[j] != UINT8_MAX;
  for (unsigned k = 0; k < 4 && !has(filled, r, "tap_step"); k++)
    d->tap_step[k] = d->tap_count[k] > 1;
  return true;
}

static bool complete_host(struct ap_parser *p, struct ap_host *h, const struct ap_filled *filled) {
  if (!has(filled, AP_RECORD_HOST, "in_scale"))
    h->in_scale = h->input < p->lists[AP_RECORD_TENSOR].count ? tensors(p)[h->input].scale : 1;
  return true;
}

bool ap_record_complete(struct ap_parser *p, enum ap_record record, void *data, const struct ap_filled *filled) {
  switch (record) {
  case AP_RECORD_TENSOR: return complete_tensor(p, data, filled);
  case AP_RECORD_GRID: return complete_grid(p, data, filled);
  case AP_RECORD_DESC: return complete_desc(p, data, filled);
  case AP_RECORD_HOST: return complete_host(p, data, filled);
  default: return true;
  }
}

// Columns up to the last one that the code names; the tensor of the last store or host op.
void ap_layer_complete(struct ap_parser *p, struct ap_layer *layer, bool columns, bool output) {
  const struct ap_desc *descs = (const struct ap_desc *)(const void *)p->lists[AP_RECORD_DESC].items;
  const struct ap_host *hosts = (const struct ap_host *)(const void *)p->lists[AP_RECORD_HOST].items;
  if (columns)
    layer->columns_used = AP_FLAG_COLUMNS;
  for (uint32_t at = layer->first; at < layer->end && (columns || output); at++) {
    const struct ap_instr *instr = &p->code.items[at];
    for (unsigned i = 0; i < 3 && columns; i++)
      if ((uint32_t)instr->f[i].col + instr->f[i].width > layer->columns_used)
        layer->columns_used = (uint32_t)instr->f[i].col + instr->f[i].width;
    if (output && instr->op == AP_OP_STORE && instr->index < p->lists[AP_RECORD_DESC].count)
      layer->output = descs[instr->index].tensor;
    if (output && instr->op == AP_OP_HOST && instr->index < p->lists[AP_RECORD_HOST].count)
      layer->output = hosts[instr->index].output;
  }
}

// Technology and voltage follow from the machine.
void ap_network_complete(struct ap_parser *p) {
  struct ap_program *to = p->program;
  if (!p->has_network) {
    to->network = bf_arena_strdup(&to->arena, ap_record_field(AP_RECORD_PROGRAM, 0)->fallback);
    to->batch = 1;
  }
  if (!to->weights)
    to->weights = bf_arena_strdup(&to->arena, "");
  if (!p->has_tech)
    to->tech = bf_arena_strdup(&to->arena, to->machine.technology);
  if (p->has_vdd)
    return;
  struct ap_technology technology = {0};
  struct bf_diags unseen = {0};
  const char *name = to->tech ? to->tech : "";
  // The text must not make the assembler read a file.
  if (!strchr(name, '/') && !strchr(name, '.') && ap_technology_load(name, &technology, &unseen))
    to->vdd = technology.vdd_nominal;
  else
    p->vdd_unknown = true;
  ap_technology_free(&technology);
  bf_diags_free(&unseen);
}
