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

#define BF_MAX_REGION_FIELDS (1u << 18)

// A slice of a virtual field; width 0: operand absent.
struct bf_slice {
  uint32_t field : 18, offset : 7, width : 7;
};
// There are millions of them: 32 bytes.
struct bf_fop {
  uint8_t kind;           // enum bf_fop_kind
  bool in_stream;         // part of the region's step stream (weights drive it)
  struct bf_slice d, a, b;
  uint64_t imm;           // MACK: two's complement
  union {
    uint32_t desc;        // LOAD, LOADP, STORE
    uint32_t facts;       // MACK: index in the region's facts
    uint32_t pattern;     // PATTERN: index in the region's patterns
  };
  uint32_t tap;
};
// Interval facts of a MACK, for the widths of its expansion: largest content of d's slice before, and of a's.
struct bf_mack_facts { uint64_t d_hi, a_hi; };
// Constants of a PATTERN, residues modulo 2^(width of d).
#define BF_MAX_PATTERN_TAPS 8
struct bf_pattern { uint64_t base, add[BF_MAX_PATTERN_TAPS]; uint8_t inputs, key; };
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
  struct bf_mack_facts *facts;
  size_t nfacts, facts_capacity;
  struct bf_pattern *patterns;
  size_t npatterns, patterns_capacity;
  size_t tail;            // first op of the requantization behind a sum, for reports; 0: none
  bool barrier_after;     // the next region sees what this one stored
  uint16_t columns_used;  // by the allocator
  uint32_t joined, moves, spills;  // copies saved by coalescing; copies and trips to memory that the allocator added
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
  // CONST: the elements (heap), or NULL: they are the values of `tensor` less the bias or, without one, those of `weights` less
  // its zero point (of an index of dimension 0, if there are several), as two's complement of `bits`.
  uint64_t *data;
  const struct bf_tensor *weights;
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
  uint8_t bit, bits;      // a load of bits [bit, bit + bits) of the elements only; bits 0: of all
};
static inline unsigned bf_fdesc_bits(const struct bf_fdesc *desc, const struct bf_fmem *mem) { return desc->bits ? desc->bits : mem->bits; }

struct bf_flayer {
  const struct bf_node *node;
  const char *mapping;    // static text
  size_t first_region, nregions;  // of those not yet dropped
  unsigned bits_w, bits_a;
  bool host;              // runs as a host op
  uint32_t in_mem, out_mem;
};

struct bf_fprogram {
  struct bf_fmem *mems; size_t nmems, mems_capacity;
  struct bf_fgrid *grids; size_t ngrids, grids_capacity;
  struct bf_fdesc *descs; size_t ndescs, descs_capacity;
  struct bf_flayer *layers; size_t nlayers, layers_capacity;
  // Layers from first_layer on have their regions here, but for those that were dropped.
  struct bf_region *regions; size_t nregions, regions_capacity;
  size_t first_layer, dropped;
  size_t nops;            // in complete regions that are here, as `lower` made them
  uint32_t *mem_of;       // graph tensor id -> memory, BF_NO_INDEX if none
};

struct bf_fprogram *bf_fprogram_new(size_t ntensors);
void bf_fprogram_free(struct bf_fprogram *program);
// Frees all regions. Their layers are behind us (first_layer moves on), but for the last one if it is not whole yet.
void bf_fprogram_drop_regions(struct bf_fprogram *program, bool whole);
// Writes elements [first, first + count) of a constant.
void bf_fmem_elements(const struct bf_fmem *mem, uint64_t first, uint64_t count, uint64_t *out);
uint32_t bf_field_new(struct bf_region *region, const char *fmt, ...) BF_PRINTF(2, 3);
struct bf_fop *bf_fop_append(struct bf_region *region, struct bf_fop op);
// Columns that hold 0..max (at least 1).
static inline unsigned bf_bits(uint64_t max) { return 64 - (unsigned)__builtin_clzll(max | 1); }

// Every slice inside its field, operands present as the table says, widths fit the op, taps in range,
// fields read only after they were written. False: errors were added (file-less, naming layer and op).
bool bf_fprogram_verify(const struct bf_fprogram *program, struct bf_diags *diags);
void bf_fprogram_print(const struct bf_fprogram *program, struct bf_buf *out);

#endif
