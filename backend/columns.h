// SPDX-License-Identifier: Apache-2.0
// Which columns hold which fields when: a table for terminals and a picture (SVG) of the busiest region of each layer.
#ifndef BF_COLUMNS_H
#define BF_COLUMNS_H

#include "ir/field.h"
#include "isa/machine.h"

enum bf_column_role {
#define BF_COLUMN_ROLE(id, ...) BF_COLUMN_##id,
#include "backend/column_roles.def"
  BF_COLUMN_ROLE_COUNT
};
struct bf_column_field { char *name; unsigned col, width; size_t first, last; enum bf_column_role role; };
// The region of a layer that uses most columns, and sums over all its regions.
struct bf_column_layer {
  char *name;
  const char *mapping;            // static text
  struct bf_column_field *fields; // by first use
  size_t nfields, nops, tail;     // tail: first operation of the requantization, 0: none
  unsigned columns_used;
  double mean_live;               // columns that hold something, mean over the operations
  uint64_t regions, joined, moves, spills;
};
struct bf_columns { struct bf_column_layer *layers; size_t nlayers, capacity; bool open; };

// Takes the regions that `fields` holds now, all with columns; `whole`: the last layer is complete with them.
void bf_columns_part(struct bf_columns *columns, const struct bf_fprogram *fields, bool whole);
void bf_columns_text(const struct bf_columns *columns, const struct ap_machine *machine, struct bf_buf *out);
void bf_columns_svg(const struct bf_columns *columns, const struct ap_machine *machine, struct bf_buf *out);
void bf_columns_free(struct bf_columns *columns);

#endif
