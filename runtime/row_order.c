// SPDX-License-Identifier: Apache-2.0
#include "runtime/row_order.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernel.h"

// --- blocks ----------------------------------------------------------------------------------------------

static bool by_channel(const struct ap_row_order *order) { return order != NULL && order->channels > 0; }

static uint64_t blocks_of(uint64_t rows) { return rows / AP_BLOCK_ROWS + (rows % AP_BLOCK_ROWS != 0); }

uint64_t ap_order_blocks(const struct ap_row_order *order, const struct ap_grid *grid) {
  if (by_channel(order)) {
    return (((uint64_t)order->channels + (1u << order->shift) - 1) >> order->shift) * order->each;
  }
  return ap_grid_tiles(grid) * blocks_of(grid->tile_rows);
}

bool ap_order_block(const struct ap_row_order *order, const struct ap_grid *grid, uint64_t block, struct ap_block_rows *rows) {
  uint64_t each = by_channel(order) ? order->each : blocks_of(grid->tile_rows), group = block / each, first = block % each * AP_BLOCK_ROWS;
  uint64_t start = by_channel(order) ? 0 : group * grid->tile_rows, all = by_channel(order) ? order->positions : ap_grid_rows(grid) - start;
  uint64_t end = by_channel(order) || all < grid->tile_rows ? all : grid->tile_rows;
  if (first >= end) {
    return false;
  }
  *rows = (struct ap_block_rows){.block = block, .row0 = start + first, .channels = 1};
  rows->rows = end - first < AP_BLOCK_ROWS ? end - first : AP_BLOCK_ROWS;
  if (by_channel(order)) {
    rows->channel = (uint32_t)(group << order->shift);
    uint32_t left = order->channels - rows->channel, most = 1u << order->shift;
    rows->channels = left < most ? left : most;
  }
  return true;
}

// The mask of one channel's rows, for each channel of a block.
static void spread(const struct ap_row_order *order, uint64_t *mask) {
  unsigned span = AP_COLUMN_WORDS >> order->shift;
  for (unsigned w = span; w < AP_COLUMN_WORDS; w++) {
    mask[w] = mask[w - span];
  }
}

bool ap_order_mask(const struct ap_row_order *order, const struct ap_block_rows *rows, uint64_t *mask) {
  for (uint64_t w = 0; w < AP_COLUMN_WORDS; w++) {
    mask[w] = rows->rows >= 64 * w + 64 ? ~(uint64_t)0 : rows->rows > 64 * w ? ((uint64_t)1 << (rows->rows - 64 * w)) - 1 : 0;
  }
  if (by_channel(order) && order->shift > 0) {
    unsigned span = AP_COLUMN_WORDS >> order->shift;
    spread(order, mask);
    memset(mask + rows->channels * span, 0, (AP_COLUMN_WORDS - rows->channels * span) * sizeof *mask);
  }
  return rows->rows * rows->channels < AP_BLOCK_ROWS;
}

// --- moves -----------------------------------------------------------------------------------------------

void ap_move_of_channel(const struct ap_move *move, uint32_t channel, struct ap_channel_move *out) {
  unsigned k = move->desc->row_dim[3];
  out->desc = *move->desc;
  out->grid = *move->grid;
  out->grid.count[3] = 1;
  if (k < 4) {
    out->desc.origin[k] += (int32_t)channel * out->desc.row_stride[3];
  }
  out->desc.row_dim[3] = UINT8_MAX;
  out->desc.row_stride[3] = 0;
  out->move = (struct ap_move){&out->desc, &out->grid, move->tap, move->width};
}

void ap_channel_rows_inside(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *load, uint64_t row0, uint64_t rows,
                            uint64_t *inside) {
  struct ap_channel_move first;
  ap_move_of_channel(load, 0, &first);
  ap_rows_inside(run, &first.move, row0, rows, inside);
  spread(order, inside);
}

static int64_t lowest(const struct ap_move *move, unsigned dim) {
  uint32_t tap = move->tap;
  for (unsigned k = 3; k > dim; k--) {
    tap /= move->desc->tap_count[k];
  }
  return move->desc->origin[dim] + (int64_t)(tap % move->desc->tap_count[dim]) * move->desc->tap_step[dim];
}

static bool selects(const struct ap_move *move, unsigned row_dim) {
  return move->grid->count[row_dim] > 1 && move->desc->row_dim[row_dim] < 4 && move->desc->row_stride[row_dim] != 0;
}

// Whether the rows of a channel move along the dimension that channels do: then not the same of them are inside of the tensor for each.
static bool rows_cross(const struct ap_move *move) {
  bool cross = false;
  for (unsigned j = 0; j < 3; j++) {
    cross = cross || (selects(move, j) && move->desc->row_dim[j] == 3);
  }
  return cross;
}

// A constant that all rows of a channel see.
static bool constant_access(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *move, struct ap_plane_access *out) {
  const struct ap_program *p = run->program;
  const struct ap_desc *desc = move->desc;
  const struct ap_tensor *t = &p->tensors[desc->tensor];
  uint32_t root = ap_tensor_root(p, desc->tensor);
  uint64_t element = 0, step = 0, pitch = 1;
  if (p->tensors[root].storage != AP_STORAGE_CONST || selects(move, 0) || selects(move, 1) || selects(move, 2) || move->width != desc->bits) {
    return false;
  }
  for (int k = 3; k >= 0; pitch *= t->shape[k], k--) {
    int64_t low = lowest(move, (unsigned)k), stride = selects(move, 3) && desc->row_dim[3] == k ? desc->row_stride[3] : 0;
    if (low < 0 || stride < 0 || low + (int64_t)(order->channels - 1) * stride >= t->shape[k]) {
      return false;
    }
    element += (uint64_t)low * pitch;
    step += (uint64_t)stride * pitch;
  }
  *out = (struct ap_plane_access){.tensor = root, .whole = true, .repeat = 1, .bit = desc->bit, .bits = desc->bits, .order = order,
                                  .limit = order->channels, .constants = &run->memory[root], .element = element, .step = step};
  return true;
}

static bool fits_store(const struct ap_row_order *order, const struct ap_plane_access *x) {
  const struct ap_planes *planes = x->planes;
  uint64_t end = (uint64_t)x->channel + order->channels;
  uint32_t inner = (1u << order->shift) - 1;
  bool together = x->position == 0 && planes->positions == order->positions && (x->channel & inner) == 0 &&
                  ((end & inner) == 0 || end == planes->channels);
  return x->step == 1 && x->whole && x->limit == order->channels && (order->shift > 0 ? together : x->position % 64 == 0);
}

bool ap_channel_access(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *move, bool store,
                       struct ap_plane_view *view, struct ap_plane_access *out) {
  const struct ap_desc *desc = move->desc;
  struct ap_channel_move first;
  if (!store && constant_access(run, order, move, out)) {
    return true;
  }
  ap_move_of_channel(move, 0, &first);
  bool steps = selects(move, 3), in_tensor = ap_plane_access(run, &first.move, out);
  if ((!in_tensor && (store || !ap_plane_view(run, &first.move, view, out))) || out->repeat != 1) {
    return false;
  }
  const struct ap_planes *planes = in_tensor ? out->planes : &view->planes;
  int64_t low = lowest(move, 3), left = (int64_t)run->program->tensors[desc->tensor].shape[3] - low;
  if ((steps && (desc->row_dim[3] != 3 || desc->row_stride[3] != 1 || rows_cross(move))) || low < 0 || (!steps && left <= 0)) {
    return false;
  }
  out->order = order;
  out->step = steps;
  out->limit = !steps || left >= order->channels ? order->channels : left > 0 ? (uint32_t)left : 0;
  if (out->limit == 0) {
    out->channel = 0;
    out->whole = true;
  }
  uint32_t last = steps && out->limit > 0 ? out->limit - 1 : 0;
  return (uint64_t)out->channel + last < planes->channels && (!store || fits_store(order, out));
}

// --- which order -----------------------------------------------------------------------------------------

enum { USED = 1, STORED = 2 };

static void note_move(uint8_t *uses, const struct ap_instr *instr) {
  if (ap_op_info(instr->op)->op_class == AP_CLASS_MOVE) {
    uses[instr->index] |= instr->op == AP_OP_STORE ? USED | STORED : USED;
  }
}

static uint8_t *find_uses(const struct ap_program *p) {
  uint8_t *uses = bf_alloc((size_t)p->ndescs + 1, sizeof *uses);
  for (uint32_t i = 0; i < p->ncode; i++) {
    note_move(uses, &p->code[i]);
  }
  for (uint32_t t = 0; t < p->ntables; t++) {
    for (uint32_t i = 0; i < p->tables[t].count; i++) {
      note_move(uses, &p->tables[t].items[i]);
    }
  }
  return uses;
}

// Whether the move is of columns as the grid numbers rows.
static bool moves_columns(const struct ap_run *run, const struct ap_move *move, bool store) {
  struct ap_plane_access access;
  struct ap_plane_view view;
  uint32_t root = ap_tensor_root(run->program, move->desc->tensor);
  return run->program->tensors[root].storage == AP_STORAGE_CONST ||
         ((ap_plane_access(run, move, &access) || (!store && ap_plane_view(run, move, &view, &access))) && access.repeat == 1);
}

// The same channel by channel, for the first and the last tap and what lies between them.
static bool moves_channels(const struct ap_run *run, const struct ap_row_order *order, const struct ap_move *move, bool store) {
  const struct ap_desc *desc = move->desc;
  struct ap_plane_access access;
  struct ap_plane_view view;
  struct ap_move last = *move;
  last.tap = (uint32_t)(ap_desc_taps(desc, UINT32_MAX) - 1);
  bool apart = selects(move, 3) && desc->row_dim[3] == 3 && desc->tap_count[3] > 1 && (desc->tap_step[3] & (int32_t)((1u << order->shift) - 1)) != 0;
  return !apart && ap_channel_access(run, order, move, store, &view, &access) && ap_channel_access(run, order, &last, store, &view, &access);
}

// All that a grid has channel by channel; no channels if that cannot be.
static struct ap_row_order channels_of(const struct ap_grid *grid) {
  struct ap_row_order order = {.channels = grid->count[3], .positions = (uint64_t)grid->count[0] * grid->count[1] * grid->count[2]};
  order.shift = ap_span_shift(order.positions);
  order.each = blocks_of(order.positions);
  bool pays = order.positions > 1 && order.channels > 1 && order.channels <= INT32_MAX / 2 && ap_order_blocks(&order, grid) <= 2 * ap_order_blocks(NULL, grid);
  return pays ? order : (struct ap_row_order){0};
}

static bool origin_fits(const struct ap_move *move) {
  unsigned k = move->desc->row_dim[3];
  int64_t end = k < 4 ? move->desc->origin[k] + (int64_t)(move->grid->count[3] - 1) * move->desc->row_stride[3] : 0;
  return end >= INT32_MIN && end <= INT32_MAX;
}

struct ap_row_order *ap_row_orders_new(const struct ap_run *run) {
  const struct ap_program *p = run->program;
  struct ap_row_order *orders = bf_alloc((size_t)p->ngrids + 1, sizeof *orders);
  bool *gains = bf_alloc((size_t)p->ngrids + 1, sizeof *gains);
  uint8_t *uses = find_uses(p);
  for (uint32_t g = 0; g < p->ngrids; g++) {
    orders[g] = channels_of(&p->grids[g]);
  }
  for (uint32_t i = 0; i < p->ndescs; i++) {
    struct ap_row_order *order = &orders[p->descs[i].grid];
    struct ap_move move = {&p->descs[i], &p->grids[p->descs[i].grid], 0, p->descs[i].bits};
    bool store = (uses[i] & STORED) != 0;
    if (uses[i] == 0 || order->channels == 0) {
      continue;
    }
    gains[p->descs[i].grid] = gains[p->descs[i].grid] || !moves_columns(run, &move, store);
    order->channels = origin_fits(&move) && moves_channels(run, order, &move, store) ? order->channels : 0;
  }
  for (uint32_t g = 0; g < p->ngrids; g++) {
    orders[g].channels = gains[g] ? orders[g].channels : 0;
  }
  free(gains);
  free(uses);
  return orders;
}
