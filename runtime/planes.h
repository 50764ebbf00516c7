// SPDX-License-Identifier: Apache-2.0
// Tensors as bit planes: a second form of a tensor's memory, in which the block engine moves whole columns in place of elements.
//
// The elements of a tensor whose last dimension has C indices are number p C + c: position p of channel c. Bit b of position p of a channel is
// bit p % 64 of word p % 512 / 64 of column b of block p / 512 of the channel. So a load whose rows are successive positions copies columns,
// shifted by bits where it must, and one that begins at a multiple of 512 needs no copy at all. Channels of up to 256 positions share a block: each
// has a span of words of every column.
#ifndef AP_PLANES_H
#define AP_PLANES_H

#include "isa/program.h"

struct ap_run;
struct ap_memory;
struct ap_row_order;
struct ap_planes {
  void *owned;                   // the memory that `words` lie in
  uint64_t *words;               // channels that share blocks × blocks × room × 8, of which bits are used; NULL until they are used
  uint64_t positions, blocks;    // of a channel
  uint32_t channels;
  unsigned bits;                 // of the tensor that uses them now, which may be an alias with fewer than the root
  unsigned room;                 // of the root: columns that there is memory for
  unsigned shift;                // 2^shift channels share a block, in spans of 8 >> shift words
  bool current;                  // the planes hold the tensor's values
  bool memory_stale;             // the array of elements does not
  bool memory_written;           // the array of elements has been written to; until then it is zeros, and so are planes that are not current
};

// A load or store as its descriptor and grid say, or as an engine sees it that takes the rows of one channel after the other (runtime/row_order.h).
struct ap_move { const struct ap_desc *desc; const struct ap_grid *grid; uint32_t tap; unsigned width; };
static inline struct ap_move ap_move_of(const struct ap_program *program, const struct ap_instr *move) {
  const struct ap_desc *desc = &program->descs[move->index];
  return (struct ap_move){desc, &program->grids[desc->grid], move->tap, move->f[0].width};
}

// Taps of a descriptor; most + 1 if there are more than `most`, which is below 2^32.
static inline uint64_t ap_desc_taps(const struct ap_desc *desc, uint64_t most) {
  uint64_t taps = 1;
  for (unsigned k = 0; k < 4 && taps <= most; k++) {
    taps *= desc->tap_count[k];
  }
  return taps <= most ? taps : most + 1;
}

// How the rows of a load or store lie in the planes of a tensor, or of a view of it: row r is position `position` + r / repeat of the channel.
struct ap_plane_access {
  struct ap_planes *planes;      // NULL if the rows are successive positions of neither
  uint32_t tensor;               // root
  uint32_t channel;
  int64_t position;              // may be outside of the tensor where a load has padding
  bool whole;                    // all rows of the grid are inside the tensor
  uint64_t repeat;               // of a load: successive rows that see the same position
  uint64_t period;               // of a load: row r sees what row r % period does; 0: rows do not return
  bool changes;                  // of a load: the stage stores there, too
  const struct ap_row_order *order;       // rows are taken channel by channel: all this is of the first one; NULL: as the grid numbers them
  uint64_t step;                 // from a channel of the grid to the next: channels of the planes (0 or 1), elements of the constants
  uint32_t limit;                // of a load: channels of the grid that are inside of the tensor; the others are padding
  const struct ap_memory *constants;      // not in planes: element `element` of these, the same for all rows of a channel
  uint64_t element;
  const uint8_t *values;         // the same, a byte for each channel of the grid and 7 beyond them; NULL: not there
  uint8_t bit, bits;             // columns of each position that are moved
  uint64_t pad;                  // of a load: value of the rows that are not
  const struct ap_instr *move;
  const uint64_t *inside;        // where not whole: the rows that are, 8 words for each block of the grid; NULL: not worked out
};
// False if the rows are not successive positions of the tensor.
bool ap_plane_access(const struct ap_run *run, const struct ap_move *move, struct ap_plane_access *out);

// Successive rows that see the same element: those along the fastest dimensions that select nothing. Returns the dimension before them, or -1.
int ap_repeated_rows(const struct ap_desc *desc, const struct ap_grid *grid, uint64_t *repeat);

// Every stride-th position of a tensor, from a phase on, in planes of its own (runtime/plane_views.c): loads with a stride find their rows
// one after the other there. Dimensions 0 to 2 of the tensor as the descriptor sees it, the last of which is the fastest.
struct ap_plane_view {
  uint32_t root, shape[3], stride[3], phase[3], count[3];  // count: positions of the view
  struct ap_planes planes;
};
// The view in which the rows of a load are successive, its planes without memory, and where they lie in it. False if there is none.
bool ap_plane_view(const struct ap_run *run, const struct ap_move *load, struct ap_plane_view *view, struct ap_plane_access *out);
bool ap_plane_same_view(const struct ap_plane_view *a, const struct ap_plane_view *b);  // but for their planes
// Fills the planes of a view from those of its tensor, which are current.
void ap_plane_view_update(const struct ap_run *run, struct ap_plane_view *view);

// What the rows of a load of constants see, in planes of its own with a channel for each tap (runtime/row_views.c).
struct ap_row_view {
  uint32_t desc;
  uint64_t period;               // of its rows
  struct ap_planes planes;       // row r is position r % period
  bool *filled;                  // by tap
};
// The view of a load, its planes without memory. False if there is none.
bool ap_row_view(const struct ap_run *run, const struct ap_instr *load, struct ap_row_view *view);
void ap_row_view_fill(const struct ap_run *run, struct ap_row_view *view, const struct ap_instr *load);  // the tap of that load
struct ap_plane_access ap_row_view_access(struct ap_row_view *view, const struct ap_instr *load);
void ap_row_view_free(struct ap_row_view *view);  // may be NULL

// Gives the planes as many columns as the tensor at hand has bits, at most those of the root.
void ap_planes_narrow(const struct ap_run *run, uint32_t root, unsigned bits);
// Makes the planes, or the array of elements, hold the values of a tensor that is no alias.
void ap_planes_update(const struct ap_run *run, uint32_t root);
void ap_planes_to_memory(const struct ap_run *run, uint32_t root);
// The same in parts, in any order and by several threads: how many there are, 0 if it has its values there; one of them; all are done.
uint64_t ap_planes_conversion(const struct ap_run *run, uint32_t root, bool to_planes);
void ap_planes_convert(const struct ap_run *run, uint32_t root, bool to_planes, uint64_t part);
void ap_planes_converted(const struct ap_run *run, uint32_t root, bool to_planes);

// Sets the shape of planes without memory; makes memory for them, all zero, if there is none yet.
void ap_planes_shape(struct ap_planes *planes, uint64_t positions, uint32_t channels, unsigned bits);
void ap_planes_reserve(struct ap_planes *planes);
uint64_t ap_planes_bytes(const struct ap_planes *planes);
bool ap_planes_too_large(const struct ap_planes *planes);

// Words of a column that a channel of so many positions needs, as the power of two by which 8 is more.
static inline unsigned ap_span_shift(uint64_t positions) { return positions <= 64 ? 3 : positions <= 128 ? 2 : positions <= 256 ? 1 : 0; }
static inline unsigned ap_planes_span(const struct ap_planes *planes) { return 8u >> planes->shift; }
// The span of a channel in the first column of a block that begins at a multiple of 512 positions; 8 words to the next column.
static inline uint64_t *ap_planes_block(const struct ap_planes *planes, uint32_t channel, uint64_t block) {
  uint64_t columns = ((channel >> planes->shift) * planes->blocks + block) * planes->bits;
  return planes->words + columns * 8 + (channel & ((1u << planes->shift) - 1)) * (8u >> planes->shift);
}
// Reads of columns [bit, bit + bits) of each position (runtime/plane_moves.c). `inside` (8 words) says which rows are the tensor's, the others get pad; NULL: all, and what is outside of
// the planes is undefined.
struct ap_plane_read {
  uint32_t channel;
  uint8_t bit, bits;
  int64_t position;              // of row 0
  const uint64_t *inside;
  uint64_t pad;
  unsigned shift;                // 2^shift spans of 8 >> shift words each begin with row 0, all of this channel, or
  bool apart;                    // each of the next one
};
typedef void ap_plane_reader(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to);  // columns of 8 words, 512 rows
ap_plane_reader *ap_plane_reader_variant(unsigned i);  // NULL beyond the last or if this processor cannot run it; the last is the best
ap_plane_reader *ap_plane_reader_best(void);
// The same without `inside`, for rows [row0, row0 + rows) of a load of which several rows see the same position (runtime/plane_repeat.c).
void ap_planes_read_repeated(const struct ap_planes *planes, const struct ap_plane_access *access, ap_plane_reader *reader, uint64_t row0,
                             uint64_t rows, uint64_t *to);
// Writes `rows` (1 to 512) positions from `position` on, which is a multiple of 64; all are inside the tensor.
void ap_planes_write(const struct ap_planes *planes, uint32_t channel, uint64_t position, uint64_t rows, const uint64_t *from);

// Memory for columns, all zero, from a multiple of 64 bytes on. Freed by free().
uint64_t *ap_columns_alloc(size_t bytes);

#endif
