// SPDX-License-Identifier: Apache-2.0
#include "runtime/planes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/run.h"
#include "runtime/slices.h"

#define MAX_PLANE_BYTES ((uint64_t)256 << 20)  // of one tensor
#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

uint64_t ap_planes_bytes(const struct ap_planes *p) {
  uint64_t shared = ((uint64_t)p->channels + (1u << p->shift) - 1) >> p->shift;
  return shared * p->blocks * p->room * COLUMN_BYTES;
}
bool ap_planes_too_large(const struct ap_planes *planes) { return ap_planes_bytes(planes) > MAX_PLANE_BYTES; }

// --- how rows lie ----------------------------------------------------------------------------------------

int ap_repeated_rows(const struct ap_desc *desc, const struct ap_grid *grid, uint64_t *repeat) {
  int j = 3;
  for (*repeat = 1; j >= 0 && (grid->count[j] == 1 || desc->row_dim[j] >= 4 || desc->row_stride[j] == 0); j--) {
    *repeat *= grid->count[j];
  }
  return j;
}

// Elements from a row to the next that does not repeat it, the same for all rows; 0 if there is only one. False if it is not the same.
static bool row_step(const struct ap_desc *desc, const struct ap_grid *grid, const uint64_t *pitch, int64_t *step, uint64_t *repeat) {
  uint64_t below = 1;  // such rows from one index of the dimension to the next
  *step = 0;
  for (int j = ap_repeated_rows(desc, grid, repeat); j >= 0; j--) {
    if (grid->count[j] == 1) {
      continue;
    }
    if (desc->row_dim[j] >= 4 || desc->row_stride[j] <= 0) {
      return false;
    }
    uint64_t elements = (uint64_t)desc->row_stride[j] * pitch[desc->row_dim[j]];
    if (*step == 0) {
      *step = (int64_t)elements;
    } else if (elements != (uint64_t)*step * below) {
      return false;
    }
    below *= grid->count[j];
  }
  return true;
}

bool ap_plane_access(const struct ap_run *run, const struct ap_move *move, struct ap_plane_access *out) {
  const struct ap_program *program = run->program;
  const struct ap_desc *desc = move->desc;
  const struct ap_grid *grid = move->grid;
  const struct ap_tensor *tensor = &program->tensors[desc->tensor];
  uint32_t root = ap_tensor_root(program, desc->tensor), tap = move->tap;
  int64_t channels = program->tensors[root].shape[3], step;
  uint64_t first = 0;  // element of row 0, modulo 2^64: where it is as far outside that this matters, no row is inside
  uint64_t pitch[4] = {0, 0, 0, 1};
  for (int k = 2; k >= 0; k--) {
    pitch[k] = pitch[k + 1] * tensor->shape[k + 1];
  }
  uint64_t repeat;
  bool fits = tensor->bits <= program->tensors[root].bits && move->width == desc->bits;
  if (ap_planes_too_large(&run->planes[root]) || !fits || !row_step(desc, grid, pitch, &step, &repeat) ||
      (step != 0 && step != channels)) {
    return false;
  }
  *out = (struct ap_plane_access){.planes = &run->planes[root], .tensor = root, .whole = true, .repeat = repeat, .bit = desc->bit,
                                  .bits = desc->bits};
  for (int k = 3; k >= 0; k--) {
    int64_t low = desc->origin[k] + (int64_t)(tap % desc->tap_count[k]) * desc->tap_step[k], high = low;
    tap /= desc->tap_count[k];
    first += (uint64_t)low * pitch[k];
    for (int j = 0; j < 4; j++) {
      high += desc->row_dim[j] == k ? (int64_t)(grid->count[j] - 1) * desc->row_stride[j] : 0;
    }
    out->whole = out->whole && low >= 0 && high < tensor->shape[k];
  }
  int64_t element = (int64_t)first, channel = element % channels;
  channel += channel < 0 ? channels : 0;
  out->channel = (uint32_t)channel;
  out->position = (element - channel) / channels;
  return true;
}

// --- both forms ------------------------------------------------------------------------------------------

uint64_t *ap_columns_alloc(size_t bytes) {
  size_t size = (bytes + COLUMN_BYTES - 1) / COLUMN_BYTES * COLUMN_BYTES;
  uint64_t *words = aligned_alloc(COLUMN_BYTES, size > 0 ? size : COLUMN_BYTES);
  if (words == NULL) {
    abort();  // as bf_alloc
  }
  memset(words, 0, size);
  return words;
}

void ap_planes_shape(struct ap_planes *planes, uint64_t positions, uint32_t channels, unsigned bits) {
  *planes = (struct ap_planes){.positions = positions, .channels = channels, .bits = bits, .room = bits, .shift = ap_span_shift(positions)};
  planes->blocks = (positions + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
}

void ap_planes_reserve(struct ap_planes *planes) {
  if (planes->words == NULL) {
    // Zeros that take no time until they are used. Not in large pages: to get those takes longer than a run gains by them.
    planes->owned = bf_alloc(ap_planes_bytes(planes) + COLUMN_BYTES, 1);
    planes->words = (uint64_t *)(((uintptr_t)planes->owned + COLUMN_BYTES - 1) / COLUMN_BYTES * COLUMN_BYTES);
  }
}

// Elements are moved a line of the cache at a time: 64 positions of some channels together. `elements`: 64 of each channel, one after the other.
#define CHANNELS_AT_ONCE 16
#define EXCHANGE(type)                                                                                                     \
  static void pick_##type(const type *from, type *elements, size_t positions, size_t channels, size_t step) {             \
    for (size_t p = 0; p < positions; p++) {                                                                               \
      for (size_t c = 0; c < channels; c++) {                                                                              \
        elements[c * 64 + p] = from[p * step + c];                                                                         \
      }                                                                                                                    \
    }                                                                                                                      \
  }                                                                                                                        \
  static void place_##type(const type *elements, type *to, size_t positions, size_t channels, size_t step) {              \
    for (size_t p = 0; p < positions; p++) {                                                                               \
      for (size_t c = 0; c < channels; c++) {                                                                              \
        to[p * step + c] = elements[c * 64 + p];                                                                           \
      }                                                                                                                    \
    }                                                                                                                      \
  }
EXCHANGE(uint8_t)
EXCHANGE(uint16_t)
EXCHANGE(uint32_t)
EXCHANGE(uint64_t)
#undef EXCHANGE

// Channels first, first + 1, … of a tensor's successive positions, `step` elements apart.
static void pick(const struct ap_memory *memory, uint64_t first, void *to, size_t positions, size_t channels, size_t step) {
  switch (memory->size) {
    case 1: pick_uint8_t((const uint8_t *)memory->data + first, to, positions, channels, step); break;
    case 2: pick_uint16_t((const uint16_t *)memory->data + first, to, positions, channels, step); break;
    case 4: pick_uint32_t((const uint32_t *)memory->data + first, to, positions, channels, step); break;
    default: pick_uint64_t((const uint64_t *)memory->data + first, to, positions, channels, step); break;
  }
}
static void place(const struct ap_memory *memory, uint64_t first, const void *from, size_t positions, size_t channels, size_t step) {
  switch (memory->size) {
    case 1: place_uint8_t(from, (uint8_t *)memory->data + first, positions, channels, step); break;
    case 2: place_uint16_t(from, (uint16_t *)memory->data + first, positions, channels, step); break;
    case 4: place_uint32_t(from, (uint32_t *)memory->data + first, positions, channels, step); break;
    default: place_uint64_t(from, (uint64_t *)memory->data + first, positions, channels, step); break;
  }
}

// 64 positions (or what is left) from word `word` of the columns on, of channels [begin, end).
static void convert_word(const struct ap_planes *planes, const struct ap_memory *memory, uint64_t word, uint32_t begin, uint32_t end,
                         bool to_planes) {
  _Alignas(64) uint64_t elements[CHANNELS_AT_ONCE * 64];
  uint64_t first = word * 64, left = planes->positions - first, rows = left < 64 ? left : 64;
  for (uint32_t c = begin, count; c < end; c += count) {
    uint64_t at = first * planes->channels + c;
    count = end - c < CHANNELS_AT_ONCE ? end - c : CHANNELS_AT_ONCE;
    if (to_planes) {
      pick(memory, at, elements, rows, count, planes->channels);
    }
    for (uint32_t i = 0; i < count; i++) {
      uint64_t *columns = ap_planes_block(planes, c + i, word / AP_COLUMN_WORDS) + word % AP_COLUMN_WORDS;
      uint8_t *of_channel = (uint8_t *)elements + (size_t)i * 64 * memory->size;
      if (to_planes) {
        ap_slice(of_channel, memory->size, rows, columns, AP_COLUMN_WORDS, planes->bits);
      } else {
        ap_unslice(columns, AP_COLUMN_WORDS, planes->bits, of_channel, memory->size, rows);
      }
    }
    if (!to_planes) {
      place(memory, at, elements, rows, count, planes->channels);
    }
  }
}

// Parts of a conversion: words, and of each some channels, whole lines of the cache in both forms.
#define PART_CHANNELS 256u
static uint64_t channel_parts(const struct ap_planes *planes) { return (planes->channels + (uint64_t)PART_CHANNELS - 1) / PART_CHANNELS; }

uint64_t ap_planes_conversion(const struct ap_run *run, uint32_t root, bool to_planes) {
  struct ap_planes *planes = &run->planes[root];
  if (to_planes ? planes->current || !planes->memory_written : !planes->memory_stale) {
    return 0;
  }
  ap_planes_reserve(planes);
  return (planes->positions + 63) / 64 * channel_parts(planes);
}

void ap_planes_convert(const struct ap_run *run, uint32_t root, bool to_planes, uint64_t part) {
  const struct ap_planes *planes = &run->planes[root];
  uint64_t parts = channel_parts(planes);
  uint32_t begin = (uint32_t)(part % parts) * PART_CHANNELS, left = planes->channels - begin;
  convert_word(planes, &run->memory[root], part / parts, begin, begin + (left < PART_CHANNELS ? left : PART_CHANNELS), to_planes);
}

void ap_planes_converted(const struct ap_run *run, uint32_t root, bool to_planes) {
  struct ap_planes *planes = &run->planes[root];
  if (to_planes) {
    planes->current = true;
  } else {
    planes->memory_stale = false;
    planes->memory_written = true;
  }
}

static void convert(const struct ap_run *run, uint32_t root, bool to_planes) {
  uint64_t parts = ap_planes_conversion(run, root, to_planes);
  for (uint64_t part = 0; part < parts; part++) {
    ap_planes_convert(run, root, to_planes, part);
  }
  if (parts > 0) {
    ap_planes_converted(run, root, to_planes);
  }
}

void ap_planes_narrow(const struct ap_run *run, uint32_t root, unsigned bits) {
  struct ap_planes *planes = &run->planes[root];
  if (planes->bits != bits) {
    ap_planes_to_memory(run, root);
    planes->bits = bits;
    planes->current = false;
  }
}

void ap_planes_update(const struct ap_run *run, uint32_t root) {
  if (!run->planes[root].current && !run->planes[root].memory_written) {
    ap_planes_reserve(&run->planes[root]);
    run->planes[root].current = true;
  }
  convert(run, root, true);
}

void ap_planes_to_memory(const struct ap_run *run, uint32_t root) {
  convert(run, root, false);
}
