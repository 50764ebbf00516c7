// SPDX-License-Identifier: Apache-2.0
// Collecting what the allocator decided, and the table of it.
#include "backend/columns.h"

#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"

static void touch(struct bf_column_field *fields, const struct bf_slice *slice, size_t at) {
  if (!slice->width) return;
  struct bf_column_field *f = &fields[slice->field];
  if (f->first == SIZE_MAX) f->first = at;
  f->last = at;
}

static void note_role(struct bf_column_field *fields, const struct bf_fop *op) {
  bool load = op->kind == BF_FOP_LOAD || op->kind == BF_FOP_LOADP;
  if (op->kind == BF_FOP_STORE) {
    if (fields[op->a.field].role == BF_COLUMN_TEMPORARY) fields[op->a.field].role = BF_COLUMN_STORED;
  } else if (load && fields[op->d.field].role != BF_COLUMN_SUM) {
    fields[op->d.field].role = BF_COLUMN_LOADED;
  } else if (op->in_stream && (op->kind == BF_FOP_ADD || op->kind == BF_FOP_SUB || op->kind == BF_FOP_ADDS)) {
    fields[op->d.field].role = BF_COLUMN_SUM;
  }
}

static int by_first(const void *a, const void *b) {
  const struct bf_column_field *x = a, *y = b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return (x->col > y->col) - (x->col < y->col);
}

static void free_fields(struct bf_column_layer *layer) {
  for (size_t i = 0; i < layer->nfields; i++) free(layer->fields[i].name);
  free(layer->fields);
  layer->fields = NULL;
  layer->nfields = 0;
}

static void keep_region(struct bf_column_layer *layer, const struct bf_region *region) {
  struct bf_column_field *fields = bf_alloc(region->nfields + 1, sizeof *fields);
  for (size_t i = 0; i < region->nfields; i++) fields[i] = (struct bf_column_field){.first = SIZE_MAX, .role = BF_COLUMN_TEMPORARY};
  for (size_t i = 0; i < region->nops; i++) {
    const struct bf_fop *op = &region->ops[i];
    touch(fields, &op->d, i);
    touch(fields, &op->a, i);
    touch(fields, &op->b, i);
    note_role(fields, op);
  }
  size_t used = 0;
  double area = 0;
  for (size_t i = 0; i < region->nfields; i++) {
    if (fields[i].first == SIZE_MAX) continue;
    struct bf_column_field f = fields[i];
    f.name = bf_strdup(region->fields[i].name);
    f.col = (unsigned)region->fields[i].col;
    f.width = region->fields[i].width;
    area += (double)f.width * (double)(f.last + 1 - f.first);
    fields[used++] = f;
  }
  qsort(fields, used, sizeof *fields, by_first);
  free_fields(layer);
  layer->fields = fields;
  layer->nfields = used;
  layer->nops = region->nops;
  layer->tail = region->tail;
  layer->columns_used = region->columns_used;
  layer->mean_live = region->nops ? area / (double)region->nops : 0;
}

void bf_columns_part(struct bf_columns *columns, const struct bf_fprogram *fields, bool whole) {
  for (size_t l = fields->first_layer; l < fields->nlayers; l++) {
    const struct bf_flayer *from = &fields->layers[l];
    if (!columns->open)
      BF_PUSH(columns->layers, columns->nlayers, columns->capacity) =
          (struct bf_column_layer){.name = bf_strdup(from->node->name), .mapping = from->mapping};
    struct bf_column_layer *layer = &columns->layers[columns->nlayers - 1];
    columns->open = !whole && l + 1 == fields->nlayers;
    for (size_t r = from->first_region; r < from->first_region + from->nregions; r++) {
      const struct bf_region *region = &fields->regions[r];
      layer->regions++;
      layer->joined += region->joined;
      layer->moves += region->moves;
      layer->spills += region->spills;
      bool busier = region->columns_used > layer->columns_used || (region->columns_used == layer->columns_used && region->nops > layer->nops);
      if (busier) keep_region(layer, region);
    }
  }
}

void bf_columns_free(struct bf_columns *columns) {
  for (size_t i = 0; i < columns->nlayers; i++) {
    free_fields(&columns->layers[i]);
    free(columns->layers[i].name);
  }
  free(columns->layers);
  *columns = (struct bf_columns){0};
}

void bf_columns_text(const struct bf_columns *columns, const struct ap_machine *machine, struct bf_buf *out) {
  bf_buf_puts(out, "layer                          mapping       columns  of   mean  regions   joined    moves   spills\n");
  for (size_t i = 0; i < columns->nlayers; i++) {
    const struct bf_column_layer *l = &columns->layers[i];
    bf_buf_printf(out, "%-30s %-12s %8u %4u %6.1f %8llu %8llu %8llu %8llu\n", l->name, l->mapping, l->columns_used, machine->columns,
                  l->nfields ? l->mean_live + AP_FLAG_COLUMNS : 0, (unsigned long long)l->regions, (unsigned long long)l->joined,
                  (unsigned long long)l->moves, (unsigned long long)l->spills);
  }
}
