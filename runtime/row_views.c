// SPDX-License-Identifier: Apache-2.0
// Constants as the rows of a load see them, in planes: what it loads for any block is then a shifted copy of columns.
//
// Where the slower dimensions of a grid select nothing, the rows of a load repeat: row r sees what row r % period does. The planes of a view have a
// channel for each tap, whose position p is row p % period; there are enough of them for a block from any phase on.
#include <stdlib.h>

#include "runtime/kernel.h"
#include "runtime/planes.h"
#include "runtime/run.h"
#include "runtime/slices.h"

#define MAX_VIEW_BYTES ((uint64_t)32 << 20)

// Rows after which a load sees the same elements again.
static uint64_t row_period(const struct ap_desc *desc, const struct ap_grid *grid) {
  int slow = 0;
  while (slow < 4 && (grid->count[slow] == 1 || desc->row_dim[slow] >= 4 || desc->row_stride[slow] == 0)) {
    slow++;
  }
  uint64_t period = 1;
  for (int j = slow; j < 4; j++) {
    period *= grid->count[j];
  }
  return period;
}

bool ap_row_view(const struct ap_run *run, const struct ap_instr *load, struct ap_row_view *view) {
  const struct ap_program *p = run->program;
  const struct ap_desc *desc = &p->descs[load->index];
  uint64_t most = MAX_VIEW_BYTES / sizeof(uint64_t), taps = ap_desc_taps(desc, most);
  *view = (struct ap_row_view){.desc = load->index, .period = row_period(desc, &p->grids[desc->grid])};
  if (p->tensors[ap_tensor_root(p, desc->tensor)].storage != AP_STORAGE_CONST || load->f[0].width != desc->bits || view->period > most || taps > most) {
    return false;
  }
  ap_planes_shape(&view->planes, view->period + AP_BLOCK_ROWS - 1, (uint32_t)taps, desc->bits);
  return ap_planes_bytes(&view->planes) <= MAX_VIEW_BYTES;
}

// Rows [row0, row0 + 512) of a load, row0 in the first period.
static void gather_rows(const struct ap_run *run, const struct ap_row_view *view, const struct ap_instr *load, uint64_t row0, unsigned size,
                        uint8_t *elements) {
  struct ap_move move = ap_move_of(run->program, load);
  uint64_t row = row0;
  for (uint64_t at = 0; at < AP_BLOCK_ROWS;) {
    uint64_t left = view->period - row, room = AP_BLOCK_ROWS - at, rows = left < room ? left : room;
    ap_rows_gather(run, &move, row, rows, elements + at * size);
    at += rows;
    row = 0;
  }
}

void ap_row_view_fill(const struct ap_run *run, struct ap_row_view *view, const struct ap_instr *load) {
  _Alignas(64) uint64_t elements[AP_BLOCK_ROWS];
  unsigned size = ap_run_memory(run, run->program->descs[view->desc].tensor)->size;
  ap_planes_reserve(&view->planes);
  if (view->filled == NULL) {
    view->filled = bf_alloc(view->planes.channels, sizeof *view->filled);
  }
  if (view->filled[load->tap]) {
    return;
  }
  view->filled[load->tap] = true;
  for (uint64_t block = 0; block < view->planes.blocks; block++) {
    gather_rows(run, view, load, block * AP_BLOCK_ROWS % view->period, size, (uint8_t *)elements);
    ap_slice(elements, size, AP_BLOCK_ROWS, ap_planes_block(&view->planes, load->tap, block), AP_COLUMN_WORDS, view->planes.bits);
  }
}

struct ap_plane_access ap_row_view_access(struct ap_row_view *view, const struct ap_instr *load) {
  return (struct ap_plane_access){.planes = &view->planes, .channel = load->tap, .whole = true, .repeat = 1, .period = view->period,
                                  .bits = (uint8_t)view->planes.bits};
}

void ap_row_view_free(struct ap_row_view *view) {
  if (view != NULL) {
    free(view->planes.owned);
    free(view->filled);
    free(view);
  }
}
