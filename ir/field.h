// SPDX-License-Identifier: Apache-2.0
// The field IR: what each row of a tile does, as operations on virtual bit fields. Between the graph
// (tensors) and AP code (columns). Widths are exact, columns not yet assigned.
#ifndef BF_FIELD_H
#define BF_FIELD_H

#include "ir/graph.h"

enum bf_fop_kind {
#define BF_FOP(id, ...) BF_FOP_##id,
#include "ir/field_ops.def"
  BF_FOP_COUNT
};
struct bf_fop_info {
  const char *name, *operands;
  bool has_imm, has_desc;
  const char *semantics;
};
const struct bf_fop_info *bf_fop_info(enum bf_fop_kind kind);

#define BF_NO_INDEX UINT32_MAX

// A slice of a virtual field; width 0: operand absent.
struct bf_slice {
  uint32_t field;
  uint16_t offset, width;
};
struct bf_fop {
  enum bf_fop_kind kind;
  bool in_stream;         // part of the region's step stream (weights drive it)
  struct bf_slice d, a, b;
  uint64_t imm;           // MACK: two's complement
  uint32_t desc;
  uint32_t tap;
  // MACK: interval facts for the widths of its expansion: largest content of d's slice before, and of a's.
  uint64_t d_hi, a_hi;
};
struct bf_field {
  char *name;
  uint16_t width;
  int32_t col;            // first column, -1 until allocated
};

// A region: code run once for each row tile of its grid.
struct bf_region {
  uint32_t grid;
  struct bf_field *fields;
  size_t nfields, fields_capacity;
  struct bf_fop *ops;
  size_t nops, ops_capacity;
  bool barrier_after;     // the next region sees what this one stored
  uint16_t columns_used;  // by the allocator
};

// Memory, row spaces and data movement: the same notions as in isa/program.h, before encoding.
enum bf_fmem_kind { BF_FMEM_ACTIVATION, BF_FMEM_CONST, BF_FMEM_TEMP };
struct bf_fmem {
  char *name;
  enum bf_fmem_kind kind;
  unsigned bits;
  int64_t bias;           // q = u + bias
  uint32_t shape[4];
  const struct bf_tensor *tensor;  // of the graph, or NULL
  uint32_t alias;         // BF_NO_INDEX or the memory it shares
  uint64_t *data;         // CONST: elements (heap)
  uint64_t elements;
};
struct bf_fgrid { uint32_t count[4], tile_rows; };
struct bf_fdesc {
  uint32_t grid, mem;
  uint8_t row_dim[4];
  int32_t row_stride[4], origin[4];
  uint32_t tap_count[4];
  int32_t tap_step[4];
  uint64_t pad_value;
};

struct bf_flayer {
  const struct bf_node *node;
  const char *mapping;    // static text
  size_t first_region, nregions;
  unsigned bits_w, bits_a;
  bool host;              // runs as a host op
  uint32_t in_mem, out_mem;
};

struct bf_fprogram {
  struct bf_fmem *mems; size_t nmems, mems_capacity;
  struct bf_fgrid *grids; size_t ngrids, grids_capacity;
  struct bf_fdesc *descs; size_t ndescs, descs_capacity;
  struct bf_region *regions; size_t nregions, regions_capacity;
  struct bf_flayer *layers; size_t nlayers, layers_capacity;
  uint32_t *mem_of;       // graph tensor id -> memory, BF_NO_INDEX if none
};

struct bf_fprogram *bf_fprogram_new(size_t ntensors);
void bf_fprogram_free(struct bf_fprogram *program);
uint32_t bf_field_new(struct bf_region *region, const char *fmt, ...) BF_PRINTF(2, 3);
struct bf_fop *bf_fop_append(struct bf_region *region, struct bf_fop op);
unsigned bf_bits(uint64_t max);  // columns that hold 0..max (at least 1)

// Every slice inside its field, operands present as the table says, widths fit the op, taps in range,
// fields read only after they were written. False: errors were added (file-less, naming layer and op).
bool bf_fprogram_verify(const struct bf_fprogram *program, struct bf_diags *diags);
void bf_fprogram_print(const struct bf_fprogram *program, struct bf_buf *out);

#endif
