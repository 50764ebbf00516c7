// SPDX-License-Identifier: Apache-2.0
// Loads and stores: tensor elements to and from bit-sliced columns.
//
// Rows are walked in runs along the fastest row dimension: within a run at most one tensor coordinate moves, so
// bounds are checked once a run. The elements of a tile are gathered into an array, then turned 64 rows at
// a time into columns (stores the other way round).
#include <string.h>

#include "runtime/run.h"

// A run of rows: elements at first, first + step, …; rows [low, high) of it are inside the tensor.
// Element numbers wrap around modulo 2^64 where a run begins outside the tensor; those of the rows inside are right.
struct row_run {
  uint64_t count, low, high;
  uint64_t first, step;
};

struct row_walk {
  const struct ap_desc *desc;
  const struct ap_grid *grid;
  const struct ap_tensor *tensor;
  int64_t origin[4];    // with the tap
  uint64_t pitch[4];    // elements from one index of a dimension to the next
  uint32_t r[4];        // next row
  uint64_t left;
};

static void walk_begin(struct row_walk *w, const struct ap_program *p, const struct ap_instr *instr, uint64_t row0,
                       uint64_t rows) {
  w->desc = &p->descs[instr->index];
  w->grid = &p->grids[w->desc->grid];
  w->tensor = &p->tensors[w->desc->tensor];
  w->left = rows;
  uint32_t tap = instr->tap;
  for (int k = 3; k >= 0; k--) {
    w->r[k] = (uint32_t)(row0 % w->grid->count[k]);
    row0 /= w->grid->count[k];
    w->origin[k] = w->desc->origin[k] + (int64_t)(tap % w->desc->tap_count[k]) * w->desc->tap_step[k];
    tap /= w->desc->tap_count[k];
    w->pitch[k] = k == 3 ? 1 : w->pitch[k + 1] * w->tensor->shape[k + 1];
  }
}

// Rows i of a run with 0 <= at + i * stride < size.
static void clip(struct row_run *run, int64_t at, int64_t stride, int64_t size) {
  int64_t low = 0, high = (int64_t)run->count;
  if (stride == 0) {
    high = at >= 0 && at < size ? high : 0;
  } else if (stride > 0) {
    low = at < 0 ? (-at + stride - 1) / stride : 0;
    high = at >= size ? 0 : (size - at + stride - 1) / stride;
  } else {
    low = at >= size ? (at - size) / -stride + 1 : 0;
    high = at < 0 ? 0 : at / -stride + 1;
  }
  high = high > (int64_t)run->count ? (int64_t)run->count : high;
  run->low = (uint64_t)(low > high ? high : low);
  run->high = (uint64_t)high;
}

static bool walk_next(struct row_walk *w, struct row_run *run) {
  if (w->left == 0) {
    return false;
  }
  int64_t at[4] = {w->origin[0], w->origin[1], w->origin[2], w->origin[3]};
  for (int j = 0; j < 4; j++) {
    if (w->desc->row_dim[j] < 4) {
      at[w->desc->row_dim[j]] += (int64_t)w->r[j] * w->desc->row_stride[j];
    }
  }
  unsigned moving = w->desc->row_dim[3];
  run->count = w->grid->count[3] - w->r[3];
  run->count = run->count > w->left ? w->left : run->count;
  run->first = (uint64_t)at[0] * w->pitch[0] + (uint64_t)at[1] * w->pitch[1] + (uint64_t)at[2] * w->pitch[2] +
               (uint64_t)at[3];
  run->step = moving < 4 ? (uint64_t)(int64_t)w->desc->row_stride[3] * w->pitch[moving] : 0;
  run->low = 0, run->high = run->count;
  for (unsigned k = 0; k < 4; k++) {
    if (k == moving) {
      clip(run, at[k], w->desc->row_stride[3], w->tensor->shape[k]);
    }
  }
  for (unsigned k = 0; k < 4; k++) {
    if (k != moving && (at[k] < 0 || at[k] >= w->tensor->shape[k])) {
      run->low = run->high = 0;
    }
  }
  w->left -= run->count;
  w->r[3] = 0;
  for (int j = 2; j >= 0; j--) {  // the run has reached the end of the fastest dimension, or it is the last
    if (++w->r[j] < w->grid->count[j]) {
      break;
    }
    w->r[j] = 0;
  }
  return true;
}

#define GATHER(type)                                                                     \
  static void gather_##type(const type *data, const struct row_run *run, type pad, type *out) { \
    for (uint64_t i = 0; i < run->low; i++) {                                            \
      out[i] = pad;                                                                      \
    }                                                                                    \
    for (uint64_t i = run->low; i < run->high; i++) {                                    \
      out[i] = data[run->first + i * run->step];                                \
    }                                                                                    \
    for (uint64_t i = run->high; i < run->count; i++) {                                  \
      out[i] = pad;                                                                      \
    }                                                                                    \
  }                                                                                      \
  static void scatter_##type(type *data, const struct row_run *run, const type *in) {    \
    for (uint64_t i = run->low; i < run->high; i++) {                                    \
      data[run->first + i * run->step] = in[i];                                 \
    }                                                                                    \
  }
GATHER(uint8_t)
GATHER(uint16_t)
GATHER(uint32_t)
GATHER(uint64_t)
#undef GATHER

static void gather(const struct ap_memory *memory, const struct row_run *run, uint64_t pad, void *all, uint64_t at) {
  switch (memory->size) {
    case 1: gather_uint8_t(memory->data, run, (uint8_t)pad, (uint8_t *)all + at); break;
    case 2: gather_uint16_t(memory->data, run, (uint16_t)pad, (uint16_t *)all + at); break;
    case 4: gather_uint32_t(memory->data, run, (uint32_t)pad, (uint32_t *)all + at); break;
    default: gather_uint64_t(memory->data, run, pad, (uint64_t *)all + at); break;
  }
}

static void scatter(const struct ap_memory *memory, const struct row_run *run, const void *all, uint64_t at) {
  switch (memory->size) {
    case 1: scatter_uint8_t(memory->data, run, (const uint8_t *)all + at); break;
    case 2: scatter_uint16_t(memory->data, run, (const uint16_t *)all + at); break;
    case 4: scatter_uint32_t(memory->data, run, (const uint32_t *)all + at); break;
    default: scatter_uint64_t(memory->data, run, (const uint64_t *)all + at); break;
  }
}

// Transposes an 8 × 8 bit matrix, a row a byte, by swapping ever larger blocks across the diagonal.
static uint64_t transpose8(uint64_t x) {
  uint64_t t = (x ^ x >> 7) & UINT64_C(0x00AA00AA00AA00AA);
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & UINT64_C(0x0000CCCC0000CCCC);
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & UINT64_C(0x00000000F0F0F0F0);
  return x ^ t ^ t << 28;
}

// Eight values' bytes at `from`, `size` bytes apart, as one word and back.
static uint64_t pack_bytes(const uint8_t *from, unsigned size) {
  uint64_t x = 0;
  for (unsigned i = 0; i < 8; i++) {
    x |= (uint64_t)from[i * size] << 8 * i;
  }
  return x;
}
static void unpack_bytes(uint8_t *to, unsigned size, uint64_t x) {
  for (unsigned i = 0; i < 8; i++) {
    to[i * size] = (uint8_t)(x >> 8 * i);
  }
}

// Byte `plane` (from the least significant) of an element in host memory.
static unsigned plane_offset(unsigned plane, unsigned size) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return size - 1 - plane;
#else
  (void)size;
  return plane;
#endif
}

// Elements of 64 rows to word `w` of the columns.
static void slice(struct ap_cap *cap, struct ap_field field, size_t w, const uint8_t *elements, unsigned size) {
  for (unsigned bit = 0; bit < field.width; bit += 8) {
    const uint8_t *from = elements + plane_offset(bit / 8, size);
    uint64_t out[8] = {0};
    for (unsigned group = 0; group < 8; group++) {
      uint64_t x = transpose8(pack_bytes(from + (size_t)group * 8 * size, size));
      for (unsigned b = 0; b < 8; b++) {
        out[b] |= (x >> 8 * b & 0xff) << 8 * group;
      }
    }
    for (unsigned b = 0; b < 8 && bit + b < field.width; b++) {
      ap_cap_column(cap, field.col + bit + b)[w] = out[b];
    }
  }
}

static void unslice(const struct ap_cap *cap, struct ap_field field, size_t w, uint8_t *elements, unsigned size) {
  memset(elements, 0, (size_t)64 * size);
  for (unsigned bit = 0; bit < field.width; bit += 8) {
    uint8_t *to = elements + plane_offset(bit / 8, size);
    for (unsigned group = 0; group < 8; group++) {
      uint64_t x = 0;
      for (unsigned b = 0; b < 8 && bit + b < field.width; b++) {
        x |= (ap_cap_column(cap, field.col + bit + b)[w] >> 8 * group & 0xff) << 8 * b;
      }
      unpack_bytes(to + (size_t)group * 8 * size, size, transpose8(x));
    }
  }
}

void ap_run_load(struct ap_run *run, const struct ap_instr *instr, uint64_t row0) {
  struct ap_cap *cap = &run->cap;
  struct row_walk walk;
  struct row_run rows;
  walk_begin(&walk, run->program, instr, row0, cap->rows);
  const struct ap_memory *memory = ap_run_memory(run, walk.desc->tensor);
  uint64_t at = 0;
  while (walk_next(&walk, &rows)) {
    gather(memory, &rows, walk.desc->pad_value, run->gathered, at);
    at += rows.count;
  }
  uint64_t padded = (at + 63) / 64 * 64;
  memset((uint8_t *)run->gathered + at * memory->size, 0, (padded - at) * memory->size);
  for (size_t w = 0; w < padded / 64; w++) {
    slice(cap, instr->f[0], w, (const uint8_t *)run->gathered + w * 64 * memory->size, memory->size);
  }
  cap->events.load += instr->f[0].width;
  cap->events.load_bits += instr->f[0].width * cap->rows;
}

void ap_run_store(struct ap_run *run, const struct ap_instr *instr, uint64_t row0) {
  struct ap_cap *cap = &run->cap;
  struct row_walk walk;
  struct row_run rows;
  walk_begin(&walk, run->program, instr, row0, cap->rows);
  const struct ap_memory *memory = ap_run_memory(run, walk.desc->tensor);
  for (size_t w = 0; w < (cap->rows + 63) / 64; w++) {
    unslice(cap, instr->f[0], w, (uint8_t *)run->gathered + w * 64 * memory->size, memory->size);
  }
  uint64_t at = 0;
  while (walk_next(&walk, &rows)) {
    scatter(memory, &rows, run->gathered, at);
    at += rows.count;
  }
  cap->events.store += instr->f[0].width;
  cap->events.store_bits += instr->f[0].width * cap->rows;
}
