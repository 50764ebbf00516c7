// SPDX-License-Identifier: Apache-2.0
// In which order the block engine takes the rows of a grid. Internal to the runtime.
//
// Compares and writes know nothing of other rows, so rows may be executed in any order. As a grid numbers them, the index of its last dimension
// changes first: in most layers a channel, and channels lie apart in planes (runtime/planes.h). Taken channel by channel, rows are
// successive positions, and moves are of whole columns.
#ifndef AP_ROW_ORDER_H
#define AP_ROW_ORDER_H

#include "runtime/run.h"

struct ap_row_order {
  uint32_t channels;   // indices of the last dimension; 0: rows are taken as the grid numbers them, tile by tile
  uint64_t positions;  // rows of each
  unsigned shift;      // 2^shift channels share a block, in spans of 8 >> shift words each
  uint64_t each;       // blocks of a channel, or of those that share it
};
// The rows of a block. Channel by channel, row 0 is that of the channel, and all channels of the block have these rows.
struct ap_block_rows {
  uint64_t block;
  uint64_t row0, rows;
  uint32_t channel, channels;  // the first, and how many; 0 and 1 as the grid numbers rows
};

// The best order for each grid of the program: where moves gain by it, channel by channel. Grids of stages whose order can be seen must be taken
// as they are nevertheless. The caller frees it.
struct ap_row_order *ap_row_orders_new(const struct ap_run *run);

// `order` NULL or with no channels: as the grid numbers rows.
uint64_t ap_order_blocks(const struct ap_row_order *order, const struct ap_grid *grid);
// False: a tile has fewer blocks, and this would be one of them.
bool ap_order_block(const struct ap_row_order *order, const struct ap_grid *grid, uint64_t block, struct ap_block_rows *rows);
// Sets the 8 words of a block's mask. Returns whether some rows are outside.
bool ap_order_mask(const struct ap_row_order *order, const struct ap_block_rows *rows, uint64_t *mask);

// What a move is for the rows of one index of the last dimension.
struct ap_channel_move { struct ap_desc desc; struct ap_grid grid; struct ap_move move; };
void ap_move_of_channel(const struct ap_move *move, uint32_t channel, struct ap_channel_move *out);
// The rows of a block that a load finds inside of its tensor, the same for each channel.
void ap_channel_rows_inside(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *load, uint64_t row0, uint64_t rows,
                            uint64_t *inside);
// How the rows of each channel lie in planes; out->planes is NULL if it is a view that they lie in. False: they do not.
bool ap_channel_access(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *move, bool store,
                       struct ap_plane_view *view, struct ap_plane_access *out);

#endif
