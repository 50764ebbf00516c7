// SPDX-License-Identifier: Apache-2.0
// Rows, tiles, elements and distinct coordinates: the geometry that compiler, timing and engines share.
#include <stdlib.h>
#include <string.h>

#include "isa/program.h"

uint64_t ap_grid_rows(const struct ap_grid *grid) {
  return (uint64_t)grid->count[0] * grid->count[1] * grid->count[2] * grid->count[3];
}

uint32_t ap_grid_tiles(const struct ap_grid *grid) {
  uint64_t rows = ap_grid_rows(grid);
  return (uint32_t)((rows + grid->tile_rows - 1) / grid->tile_rows);
}

uint64_t ap_tensor_elements(const struct ap_tensor *tensor) {
  return (uint64_t)tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
}

uint32_t ap_tensor_root(const struct ap_program *program, uint32_t tensor) {
  while (program->tensors[tensor].alias != UINT32_MAX)
    tensor = program->tensors[tensor].alias;
  return tensor;
}

static void split(uint64_t index, const uint32_t count[4], uint32_t digit[4]) {
  for (int j = 3; j >= 0; j--) {
    digit[j] = (uint32_t)(index % count[j]);
    index /= count[j];
  }
}

int64_t ap_desc_element(const struct ap_program *program, const struct ap_desc *desc, uint64_t row, uint32_t tap) {
  const struct ap_grid *grid = &program->grids[desc->grid];
  const struct ap_tensor *tensor = &program->tensors[desc->tensor];
  uint32_t r[4], t[4];
  int64_t coordinate[4];
  split(row, grid->count, r);
  split(tap, desc->tap_count, t);
  for (int k = 0; k < 4; k++)
    coordinate[k] = (int64_t)desc->origin[k] + (int64_t)t[k] * desc->tap_step[k];
  for (int j = 0; j < 4; j++)
    if (desc->row_dim[j] < 4)
      coordinate[desc->row_dim[j]] += (int64_t)r[j] * desc->row_stride[j];
  int64_t element = 0;
  for (int k = 0; k < 4; k++) {
    if (coordinate[k] < 0 || coordinate[k] >= (int64_t)tensor->shape[k])
      return -1;
    element = element * (int64_t)tensor->shape[k] + coordinate[k];
  }
  return element;
}

// A row space of which some dimensions are seen and the others projected away. size[j] = product of
// count[j..3], seen[j] = the same product over the seen dimensions only.
struct space {
  uint64_t count[4], size[5], seen[5];
  bool keep[4];
};

// Distinct projections of the index interval [low, high] of dimensions j..3.
static uint64_t count_range(const struct space *s, int j, uint64_t low, uint64_t high);

// The same for [0, low] together with [high, size - 1].
static uint64_t count_ends(const struct space *s, int j, uint64_t low, uint64_t high) {
  if (j == 4 || high <= low + 1)
    return s->seen[j];
  uint64_t inner = s->size[j + 1], dl = low / inner, dh = high / inner;
  uint64_t rl = low % inner, rh = high % inner;
  if (!s->keep[j]) {
    if (dl > 0 || dh < s->count[j] - 1)
      return s->seen[j + 1];  // one digit has its whole inner space
    return count_ends(s, j + 1, rl, rh);
  }
  uint64_t whole = (dl + s->count[j] - 1 - dh) * s->seen[j + 1];
  if (dl == dh)
    return whole + count_ends(s, j + 1, rl, rh);
  return whole + count_range(s, j + 1, 0, rl) + count_range(s, j + 1, rh, inner - 1);
}

static uint64_t count_range(const struct space *s, int j, uint64_t low, uint64_t high) {
  if (j == 4 || (low == 0 && high == s->size[j] - 1))
    return s->seen[j];
  uint64_t inner = s->size[j + 1], dl = low / inner, dh = high / inner;
  uint64_t rl = low % inner, rh = high % inner;
  if (dl == dh)
    return count_range(s, j + 1, rl, rh);
  if (s->keep[j])
    return (dh - dl - 1) * s->seen[j + 1] + count_range(s, j + 1, rl, inner - 1) + count_range(s, j + 1, 0, rh);
  return dh - dl > 1 ? s->seen[j + 1] : count_ends(s, j + 1, rh, rl);
}

static uint64_t magnitude(int32_t v) {
  return v < 0 ? (uint64_t)-(int64_t)v : (uint64_t)v;
}

// How the rows of a grid select coordinates.
struct rows {
  const uint8_t *row_dim;
  const int32_t *row_stride;
};

// True if different values of the seen dimensions always give different coordinates: along each tensor
// dimension the strides, in ascending order, each exceed the reach of the smaller ones together.
static bool injective(const struct rows *desc, const struct space *s) {
  for (unsigned k = 0; k < 4; k++) {
    uint64_t reach = 0;
    bool done[4] = {false, false, false, false};
    for (;;) {
      int next = -1;
      for (int j = 0; j < 4; j++)
        if (s->keep[j] && !done[j] && desc->row_dim[j] == k &&
            (next < 0 || magnitude(desc->row_stride[j]) < magnitude(desc->row_stride[next])))
          next = j;
      if (next < 0)
        break;
      if (magnitude(desc->row_stride[next]) <= reach)
        return false;
      reach += (s->count[next] - 1) * magnitude(desc->row_stride[next]);
      done[next] = true;
    }
  }
  return true;
}

struct coordinate {
  int64_t at[4];
};

static int compare_coordinates(const void *x, const void *y) {
  const struct coordinate *a = x, *b = y;
  for (int k = 0; k < 4; k++)
    if (a->at[k] != b->at[k])
      return a->at[k] < b->at[k] ? -1 : 1;
  return 0;
}

// The general case: two row dimensions meet on one tensor dimension.
static uint64_t count_by_sorting(const struct ap_grid *grid, const struct rows *desc, uint64_t row0, uint64_t rows) {
  struct coordinate *all = bf_alloc(rows, sizeof *all);
  for (uint64_t i = 0; i < rows; i++) {
    uint32_t r[4];
    split(row0 + i, grid->count, r);
    for (int j = 0; j < 4; j++)
      if (desc->row_dim[j] < 4)
        all[i].at[desc->row_dim[j]] += (int64_t)r[j] * desc->row_stride[j];
  }
  qsort(all, rows, sizeof *all, compare_coordinates);
  uint64_t distinct = 1;
  for (uint64_t i = 1; i < rows; i++)
    distinct += compare_coordinates(&all[i - 1], &all[i]) != 0;
  free(all);
  return distinct;
}

static uint64_t count_distinct(const struct ap_grid *grid, const struct rows *desc, uint64_t row0, uint64_t rows) {
  if (rows == 0)
    return 0;
  struct space s = {.size[4] = 1, .seen[4] = 1};
  bool all = true;
  for (int j = 3; j >= 0; j--) {
    s.count[j] = grid->count[j];
    s.keep[j] = desc->row_dim[j] < 4 && desc->row_stride[j] != 0 && grid->count[j] > 1;
    s.size[j] = s.size[j + 1] * s.count[j];
    s.seen[j] = s.seen[j + 1] * (s.keep[j] ? s.count[j] : 1);
    all = all && (s.keep[j] || grid->count[j] == 1);
  }
  if (!injective(desc, &s))
    return count_by_sorting(grid, desc, row0, rows);
  return all ? rows : count_range(&s, 0, row0, row0 + rows - 1);
}

uint64_t ap_desc_distinct(const struct ap_program *program, const struct ap_desc *desc, uint64_t row0, uint64_t rows) {
  return count_distinct(&program->grids[desc->grid], &(struct rows){desc->row_dim, desc->row_stride}, row0, rows);
}

uint64_t ap_tile_distinct(const struct ap_grid *grid, const uint8_t row_dim[4], const int32_t row_stride[4], uint32_t tile) {
  uint64_t row0 = (uint64_t)tile * grid->tile_rows, rest = ap_grid_rows(grid) - row0;
  return count_distinct(grid, &(struct rows){row_dim, row_stride}, row0, rest < grid->tile_rows ? rest : grid->tile_rows);
}
