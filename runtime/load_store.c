// SPDX-License-Identifier: Apache-2.0
// Loads and stores: tensor elements to and from bit-sliced columns.
//
// Rows are walked in runs along the fastest row dimension that has more than one index: within a run at most one tensor coordinate moves, so
// bounds are checked once a run. Runs that follow each other along the next dimension, all of whose rows are inside, are walked at once: rows of products
// are often short runs. The elements of a tile are gathered into an array, then turned 64 rows at a time into columns (stores the other way round).
#include <string.h>

#include "runtime/run.h"
#include "runtime/slices.h"

// A run of rows: elements at first, first + step, …; rows [low, high) of it are inside the tensor.
// Element numbers wrap around modulo 2^64 where a run begins outside the tensor; those of the rows inside are right.
struct row_run {
  uint64_t count, low, high;
  uint64_t first, step;
  uint64_t times, pitch;  // so many runs, one `pitch` elements behind the other; if more than one, all of their rows are inside
};

struct row_walk {
  const struct ap_desc *desc;
  const struct ap_grid *grid;
  const struct ap_tensor *tensor;
  int64_t origin[4];    // with the tap
  uint64_t pitch[4];    // elements from one index of a dimension to the next
  uint32_t r[4];        // next row
  int fast;             // the last row dimension that has more than one index: runs go along it
  int slow;             // the one before it, or -1
  uint64_t left;
};

static void walk_begin(struct row_walk *w, const struct ap_program *p, const struct ap_move *move, uint64_t row0, uint64_t rows) {
  w->desc = move->desc;
  w->grid = move->grid;
  w->tensor = &p->tensors[w->desc->tensor];
  w->left = rows;
  for (w->fast = 3; w->fast > 0 && w->grid->count[w->fast] == 1; w->fast--) {
  }
  for (w->slow = w->fast - 1; w->slow >= 0 && w->grid->count[w->slow] == 1; w->slow--) {
  }
  uint32_t tap = move->tap;
  for (int k = 3; k >= 0; k--) {
    uint32_t count = w->grid->count[k], taps = w->desc->tap_count[k];
    w->r[k] = count > 1 ? (uint32_t)(row0 % count) : 0;  // a division takes as long as moving many elements
    row0 = count > 1 ? row0 / count : row0;
    w->origin[k] = w->desc->origin[k] + (taps > 1 ? (int64_t)(tap % taps) * w->desc->tap_step[k] : 0);
    tap = taps > 1 ? tap / taps : tap;
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
    high = at >= size ? 0 : at + (high - 1) * stride < size ? high : (size - at + stride - 1) / stride;
  } else {
    low = at >= size ? (at - size) / -stride + 1 : 0;
    high = at < 0 ? 0 : at / -stride + 1;
  }
  high = high > (int64_t)run->count ? (int64_t)run->count : high;
  run->low = (uint64_t)(low > high ? high : low);
  run->high = (uint64_t)high;
}

// How many runs from a whole one on have all rows inside. `at`: coordinates of its first row.
static void find_times(const struct row_walk *w, const int64_t *at, struct row_run *run) {
  run->times = 1;
  run->pitch = 0;
  if (w->slow < 0 || run->low > 0 || run->high < run->count || run->count < w->grid->count[w->fast]) {
    return;
  }
  uint64_t times = w->grid->count[w->slow] - w->r[w->slow];
  times = times * run->count <= w->left ? times : w->left / run->count;
  unsigned k = w->desc->row_dim[w->slow];
  int64_t stride = k < 4 ? w->desc->row_stride[w->slow] : 0;
  if (stride != 0) {
    int64_t length = w->desc->row_dim[w->fast] == k ? (int64_t)(run->count - 1) * w->desc->row_stride[w->fast] : 0;
    int64_t low = at[k] + (length < 0 ? length : 0), high = at[k] + (length > 0 ? length : 0);
    int64_t room = stride > 0 ? w->tensor->shape[k] - 1 - high : low, by = stride > 0 ? stride : -stride;
    times = (int64_t)(times - 1) * by <= room ? times : (uint64_t)(room / by) + 1;
    run->pitch = (uint64_t)stride * w->pitch[k];
  }
  run->times = times;
}

// The next run begins at index 0 of the fastest dimension.
static void walk_on(struct row_walk *w, uint64_t times) {
  w->r[w->fast] = 0;
  for (int j = w->slow; j >= 0; j--) {
    w->r[j] += (uint32_t)times;
    if (w->r[j] < w->grid->count[j]) {
      break;
    }
    w->r[j] = 0;
    times = 1;
  }
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
  unsigned moving = w->desc->row_dim[w->fast];
  run->count = w->grid->count[w->fast] - w->r[w->fast];
  run->count = run->count > w->left ? w->left : run->count;
  run->first = (uint64_t)at[0] * w->pitch[0] + (uint64_t)at[1] * w->pitch[1] + (uint64_t)at[2] * w->pitch[2] +
               (uint64_t)at[3];
  run->step = moving < 4 ? (uint64_t)(int64_t)w->desc->row_stride[w->fast] * w->pitch[moving] : 0;
  run->low = 0, run->high = run->count;
  for (unsigned k = 0; k < 4; k++) {
    if (k == moving) {
      clip(run, at[k], w->desc->row_stride[w->fast], w->tensor->shape[k]);
    }
  }
  for (unsigned k = 0; k < 4; k++) {
    if (k != moving && (at[k] < 0 || at[k] >= w->tensor->shape[k])) {
      run->low = run->high = 0;
    }
  }
  find_times(w, at, run);
  w->left -= run->times * run->count;
  walk_on(w, run->times);  // the run has reached the end of the fastest dimension, or it is the last
  return true;
}

#define SHORT_RUN 16  // up to which a loop of its own is faster than a call

// Whether a row of the runs' first elements, then one of their second, … is a walk through memory that moves forward, and touches nothing twice.
static bool runs_interleave(const struct row_run *run) {
  return run->times > 1 && run->pitch == 1 && run->step >= run->times && run->step <= INT64_MAX;
}

#define GATHER(type)                                                                                                  \
  static void gather_run_##type(const type *data, const struct row_run *run, type pad, type *out) {                   \
    for (uint64_t i = 0; i < run->low; i++) {                                                                         \
      out[i] = pad;                                                                                                   \
    }                                                                                                                 \
    if (run->step == 1 && run->high - run->low > SHORT_RUN) {                                                         \
      memcpy(out + run->low, data + (run->first + run->low), (run->high - run->low) * sizeof *out);                   \
    } else {                                                                                                          \
      for (uint64_t i = run->low; i < run->high; i++) {                                                               \
        out[i] = data[run->first + i * run->step];                                                                    \
      }                                                                                                               \
    }                                                                                                                 \
    for (uint64_t i = run->high; i < run->count; i++) {                                                               \
      out[i] = pad;                                                                                                   \
    }                                                                                                                 \
  }                                                                                                                   \
  static void gather_##type(const type *data, struct row_run run, type pad, type *out) {                              \
    uint64_t times = run.times, first = run.first;                                                                    \
    if (run.pitch == 0 && times > 1) {                                                                                \
      gather_run_##type(data, &run, pad, out);                                                                        \
      for (uint64_t have = run.count, all = have * times, more; have < all; have += more) {                           \
        more = have < all - have ? have : all - have;                                                                 \
        memcpy(out + have, out, more * sizeof *out);                                                                  \
      }                                                                                                               \
      return;                                                                                                         \
    }                                                                                                                 \
    for (uint64_t t = 0; t < times; t++) {                                                                            \
      run.first = first + t * run.pitch;                                                                              \
      gather_run_##type(data, &run, pad, out + t * run.count);                                                        \
    }                                                                                                                 \
  }                                                                                                                   \
  static void scatter_##type(type *data, const struct row_run *run, const type *in) {                                 \
    const uint64_t times = run->times, pitch = run->pitch, step = run->step, count = run->count;                      \
    if (runs_interleave(run)) {                                                                                       \
      for (uint64_t i = 0; i < count; i++) {                                                                          \
        for (uint64_t t = 0; t < times; t++) {                                                                        \
          data[run->first + i * step + t] = in[t * count + i];                                                        \
        }                                                                                                             \
      }                                                                                                               \
      return;                                                                                                         \
    }                                                                                                                 \
    for (uint64_t t = 0; t < times; t++, in += count) {                                                               \
      if (step == 1 && count > SHORT_RUN) {                                                                           \
        memcpy(data + (run->first + t * pitch + run->low), in + run->low, (run->high - run->low) * sizeof *in);       \
        continue;                                                                                                     \
      }                                                                                                               \
      for (uint64_t i = run->low; i < run->high; i++) {                                                               \
        data[run->first + t * pitch + i * step] = in[i];                                                              \
      }                                                                                                               \
    }                                                                                                                 \
  }
GATHER(uint8_t)
GATHER(uint16_t)
GATHER(uint32_t)
GATHER(uint64_t)
#undef GATHER

static void gather(const struct ap_memory *memory, const struct row_run *run, uint64_t pad, void *all, uint64_t at) {
  switch (memory->size) {
    case 1: gather_uint8_t(memory->data, *run, (uint8_t)pad, (uint8_t *)all + at); break;
    case 2: gather_uint16_t(memory->data, *run, (uint16_t)pad, (uint16_t *)all + at); break;
    case 4: gather_uint32_t(memory->data, *run, (uint32_t)pad, (uint32_t *)all + at); break;
    default: gather_uint64_t(memory->data, *run, pad, (uint64_t *)all + at); break;
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

#define SHIFT_DOWN(type)                                                                                              \
  for (uint64_t i = 0; i < rows; i++) {                                                                               \
    ((type *)all)[i] = (type)(((type *)all)[i] >> bit);                                                               \
  }
// Elements of which only the bits from `bit` on are wanted.
static void shift_down(void *all, unsigned size, uint64_t rows, unsigned bit) {
  switch (size) {
    case 1: SHIFT_DOWN(uint8_t) break;
    case 2: SHIFT_DOWN(uint16_t) break;
    case 4: SHIFT_DOWN(uint32_t) break;
    default: SHIFT_DOWN(uint64_t) break;
  }
}
#undef SHIFT_DOWN

void ap_rows_gather(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, void *out) {
  struct row_walk walk;
  struct row_run part;
  walk_begin(&walk, run->program, move, row0, rows);
  const struct ap_memory *memory = ap_run_memory(run, walk.desc->tensor);
  for (uint64_t at = 0; walk_next(&walk, &part); at += part.times * part.count) {
    gather(memory, &part, walk.desc->pad_value << walk.desc->bit, out, at);
  }
  if (walk.desc->bit > 0) {
    shift_down(out, memory->size, rows, walk.desc->bit);
  }
}

void ap_rows_scatter(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, const void *in) {
  struct row_walk walk;
  struct row_run part;
  walk_begin(&walk, run->program, move, row0, rows);
  const struct ap_memory *memory = ap_run_memory(run, walk.desc->tensor);
  for (uint64_t at = 0; walk_next(&walk, &part); at += part.times * part.count) {
    scatter(memory, &part, in, at);
  }
}

void ap_rows_inside(const struct ap_run *run, const struct ap_move *move, uint64_t row0, uint64_t rows, uint64_t *inside) {
  struct row_walk walk;
  struct row_run part;
  walk_begin(&walk, run->program, move, row0, rows);
  memset(inside, 0, 8 * sizeof *inside);
  for (uint64_t at = 0; walk_next(&walk, &part); at += part.times * part.count) {
    for (uint64_t r = at + part.low, end = at + (part.times - 1) * part.count + part.high; r < end; r += 64 - r % 64) {
      uint64_t left = end - r, bits = left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;
      inside[r / 64] |= bits << r % 64;
    }
  }
}

bool ap_rows_mark(const struct ap_run *run, const struct ap_instr *instr, uint64_t *marked) {
  const struct ap_program *p = run->program;
  struct row_walk walk;
  struct row_run part;
  struct ap_move move = ap_move_of(p, instr);
  uint64_t twice = 0;
  walk_begin(&walk, p, &move, 0, ap_grid_rows(&p->grids[p->descs[instr->index].grid]));
  while (twice == 0 && walk_next(&walk, &part)) {
    for (uint64_t t = 0; t < part.times; t++) {
      for (uint64_t i = part.low; i < part.high; i++) {
        uint64_t element = part.first + t * part.pitch + i * part.step, bit = (uint64_t)1 << element % 64;
        twice |= marked[element / 64] & bit;
        marked[element / 64] |= bit;
      }
    }
  }
  return twice == 0;
}

void ap_run_load(struct ap_run *run, const struct ap_instr *instr, uint64_t row0) {
  struct ap_cap *cap = &run->cap;
  struct ap_move move = ap_move_of(run->program, instr);
  unsigned size = ap_run_memory(run, move.desc->tensor)->size;
  ap_rows_gather(run, &move, row0, cap->rows, run->gathered);
  ap_slice(run->gathered, size, cap->rows, ap_cap_column(cap, instr->f[0].col), cap->words, instr->f[0].width);
  cap->events.load += instr->f[0].width;
  cap->events.load_bits += instr->f[0].width * cap->rows;
}

void ap_run_store(struct ap_run *run, const struct ap_instr *instr, uint64_t row0) {
  struct ap_cap *cap = &run->cap;
  struct ap_move move = ap_move_of(run->program, instr);
  unsigned size = ap_run_memory(run, move.desc->tensor)->size;
  ap_unslice(ap_cap_column(cap, instr->f[0].col), cap->words, instr->f[0].width, run->gathered, size, cap->rows);
  ap_rows_scatter(run, &move, row0, cap->rows, run->gathered);
  cap->events.store += instr->f[0].width;
  cap->events.store_bits += instr->f[0].width * cap->rows;
}
