// SPDX-License-Identifier: Apache-2.0
#include "runtime/planes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/run.h"
#include "runtime/slices.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MAX_PLANE_BYTES ((uint64_t)256 << 20)  // of one tensor
#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

// Words of a column: a short channel takes as few as it needs.
static unsigned column_words(uint64_t positions) {
  return positions <= 64 ? 1 : positions <= 128 ? 2 : positions <= 256 ? 4 : AP_COLUMN_WORDS;
}
static uint64_t plane_bytes(const struct ap_tensor *t) {  // a multiple of 64
  uint64_t positions = ap_tensor_elements(t) / t->shape[3], blocks = (positions + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
  uint64_t bytes = t->shape[3] * blocks * t->bits * column_words(positions) * sizeof(uint64_t);
  return (bytes + COLUMN_BYTES - 1) / COLUMN_BYTES * COLUMN_BYTES;
}

// --- how rows lie ----------------------------------------------------------------------------------------

// Elements from a row to the next, the same for all rows; 0 if there is only one. False if it is not the same.
static bool row_step(const struct ap_desc *desc, const struct ap_grid *grid, const uint64_t *pitch, int64_t *step) {
  uint64_t below = 1;  // rows from one index of the dimension to the next
  *step = 0;
  for (int j = 3; j >= 0; j--) {
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

bool ap_plane_access(const struct ap_program *program, const struct ap_instr *move, struct ap_plane_access *out) {
  const struct ap_desc *desc = &program->descs[move->index];
  const struct ap_grid *grid = &program->grids[desc->grid];
  const struct ap_tensor *tensor = &program->tensors[desc->tensor];
  uint32_t root = ap_tensor_root(program, desc->tensor), tap = move->tap;
  int64_t channels = program->tensors[root].shape[3], step, element = 0;
  uint64_t pitch[4] = {0, 0, 0, 1};
  for (int k = 2; k >= 0; k--) {
    pitch[k] = pitch[k + 1] * tensor->shape[k + 1];
  }
  bool same_bits = desc->bits == program->tensors[root].bits && move->f[0].width == desc->bits;
  if (plane_bytes(&program->tensors[root]) > MAX_PLANE_BYTES || !same_bits || !row_step(desc, grid, pitch, &step) ||
      (step != 0 && step != channels)) {
    return false;
  }
  out->whole = true;
  for (int k = 3; k >= 0; k--) {
    int64_t low = desc->origin[k] + (int64_t)(tap % desc->tap_count[k]) * desc->tap_step[k], high = low;
    tap /= desc->tap_count[k];
    element += low * (int64_t)pitch[k];
    for (int j = 0; j < 4; j++) {
      high += desc->row_dim[j] == k ? (int64_t)(grid->count[j] - 1) * desc->row_stride[j] : 0;
    }
    out->whole = out->whole && low >= 0 && high < tensor->shape[k];
  }
  int64_t channel = element % channels;
  channel += channel < 0 ? channels : 0;
  out->tensor = root;
  out->channel = (uint32_t)channel;
  out->position = (element - channel) / channels;
  return true;
}

// --- both forms ------------------------------------------------------------------------------------------

unsigned ap_planes_pitch(const struct ap_tensor *tensor) { return column_words(ap_tensor_elements(tensor) / tensor->shape[3]); }

static struct ap_planes *planes_of(const struct ap_run *run, uint32_t root) {
  struct ap_planes *planes = &run->planes[root];
  const struct ap_tensor *t = &run->program->tensors[root];
  if (planes->words == NULL) {
    planes->channels = t->shape[3];
    planes->positions = ap_tensor_elements(t) / t->shape[3];
    planes->blocks = (planes->positions + AP_BLOCK_ROWS - 1) / AP_BLOCK_ROWS;
    planes->bits = t->bits;
    planes->pitch = column_words(planes->positions);
    size_t bytes = plane_bytes(t);
    planes->words = aligned_alloc(COLUMN_BYTES, bytes);
    if (planes->words == NULL) {
      abort();  // as bf_alloc
    }
    memset(planes->words, 0, bytes);
  }
  return planes;
}

#define EXCHANGE(type)                                                                                                     \
  static void pick_##type(const type *from, type *to, size_t count, size_t step) {                                        \
    for (size_t i = 0; i < count; i++) {                                                                                   \
      to[i] = from[i * step];                                                                                              \
    }                                                                                                                      \
  }                                                                                                                        \
  static void place_##type(const type *from, type *to, size_t count, size_t step) {                                       \
    for (size_t i = 0; i < count; i++) {                                                                                   \
      to[i * step] = from[i];                                                                                              \
    }                                                                                                                      \
  }
EXCHANGE(uint8_t)
EXCHANGE(uint16_t)
EXCHANGE(uint32_t)
EXCHANGE(uint64_t)
#undef EXCHANGE

// Elements first, first + step, … of a tensor's memory.
static void pick(const struct ap_memory *memory, uint64_t first, void *to, size_t count, size_t step) {
  switch (memory->size) {
    case 1: pick_uint8_t((const uint8_t *)memory->data + first, to, count, step); break;
    case 2: pick_uint16_t((const uint16_t *)memory->data + first, to, count, step); break;
    case 4: pick_uint32_t((const uint32_t *)memory->data + first, to, count, step); break;
    default: pick_uint64_t((const uint64_t *)memory->data + first, to, count, step); break;
  }
}
static void place(const struct ap_memory *memory, uint64_t first, const void *from, size_t count, size_t step) {
  switch (memory->size) {
    case 1: place_uint8_t(from, (uint8_t *)memory->data + first, count, step); break;
    case 2: place_uint16_t(from, (uint16_t *)memory->data + first, count, step); break;
    case 4: place_uint32_t(from, (uint32_t *)memory->data + first, count, step); break;
    default: place_uint64_t(from, (uint64_t *)memory->data + first, count, step); break;
  }
}

static void convert(const struct ap_run *run, uint32_t root, bool to_planes) {
  const struct ap_planes *planes = planes_of(run, root);
  const struct ap_memory *memory = &run->memory[root];
  _Alignas(64) uint64_t elements[AP_BLOCK_ROWS];
  for (uint64_t block = 0; block < planes->blocks; block++) {
    uint64_t first = block * AP_BLOCK_ROWS, left = planes->positions - first, rows = left < AP_BLOCK_ROWS ? left : AP_BLOCK_ROWS;
    for (uint32_t c = 0; c < planes->channels; c++) {
      uint64_t *columns = ap_planes_block(planes, c, block), at = first * planes->channels + c;
      if (to_planes) {
        pick(memory, at, elements, rows, planes->channels);
        ap_slice(elements, memory->size, rows, columns, planes->pitch, planes->bits);
      } else {
        ap_unslice(columns, planes->pitch, planes->bits, elements, memory->size, rows);
        place(memory, at, elements, rows, planes->channels);
      }
    }
  }
}

void ap_planes_update(const struct ap_run *run, uint32_t root) {
  if (!run->planes[root].current) {
    convert(run, root, true);
    run->planes[root].current = true;
  }
}

void ap_planes_to_memory(const struct ap_run *run, uint32_t root) {
  if (run->planes[root].memory_stale) {
    convert(run, root, false);
    run->planes[root].memory_stale = false;
  }
}

// --- columns ---------------------------------------------------------------------------------------------

// Words `skip` to skip + 8 of two columns one after the other, shifted down by `bits`.
static void shift_portable(const uint64_t *low, const uint64_t *high, unsigned skip, unsigned bits, uint64_t *to) {
  uint64_t pair[2 * AP_COLUMN_WORDS];
  memcpy(pair, low, COLUMN_BYTES);
  memcpy(pair + AP_COLUMN_WORDS, high, COLUMN_BYTES);
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    to[i] = pair[skip + i] >> bits | pair[skip + i + 1] << 1 << (63 - bits);
  }
}

static const _Alignas(64) uint64_t no_rows[AP_COLUMN_WORDS];
typedef void shift_columns(const uint64_t *low, size_t low_pitch, const uint64_t *high, size_t high_pitch, unsigned skip, unsigned bits,
                           uint64_t *to, unsigned count);

static void columns_portable(const uint64_t *low, size_t low_pitch, const uint64_t *high, size_t high_pitch, unsigned skip, unsigned bits,
                             uint64_t *to, unsigned count) {
  for (unsigned b = 0; b < count; b++) {
    shift_portable(low + b * low_pitch, high + b * high_pitch, skip, bits, to + b * AP_COLUMN_WORDS);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void columns_avx512(const uint64_t *low, size_t low_pitch, const uint64_t *high,
                                                              size_t high_pitch, unsigned skip, unsigned bits, uint64_t *to,
                                                              unsigned count) {
  __m512i first = _mm512_add_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64((long long)skip));
  __m512i next = _mm512_add_epi64(first, _mm512_set1_epi64(1));
  __m128i down = _mm_cvtsi32_si128((int)bits), up = _mm_cvtsi32_si128((int)(64 - bits));  // a shift by 64 gives 0
  for (unsigned b = 0; b < count; b++) {
    __m512i l = _mm512_load_si512(low + b * low_pitch), h = _mm512_load_si512(high + b * high_pitch);
    __m512i x = _mm512_permutex2var_epi64(l, first, h), y = _mm512_permutex2var_epi64(l, next, h);
    _mm512_store_si512(to + b * AP_COLUMN_WORDS, _mm512_or_si512(_mm512_srl_epi64(x, down), _mm512_sll_epi64(y, up)));
  }
}
#endif

static shift_columns *best_shift(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return columns_avx512;
  }
#endif
  return columns_portable;
}

// Of a channel with one block, whose columns may be short.
static void read_short(const struct ap_planes *planes, const uint64_t *from, int64_t word, unsigned bits, unsigned words, uint64_t *to) {
  if (planes->pitch == 1 && words == 1 && (word == 0 || word == -1)) {
    for (unsigned b = 0; b < planes->bits; b++) {
      to[b * AP_COLUMN_WORDS] = word == 0 ? from[b] >> bits : from[b] << 1 << (63 - bits);
    }
    return;
  }
  for (unsigned b = 0; b < planes->bits; b++, from += planes->pitch, to += AP_COLUMN_WORDS) {
    for (unsigned i = 0; i < words; i++) {
      int64_t at = word + i;
      uint64_t low = at >= 0 && at < (int64_t)planes->pitch ? from[at] : 0;
      uint64_t high = at + 1 >= 0 && at + 1 < (int64_t)planes->pitch ? from[at + 1] : 0;
      to[i] = low >> bits | high << 1 << (63 - bits);
    }
  }
}

void ap_planes_read(const struct ap_planes *planes, uint32_t channel, int64_t position, uint64_t rows, uint64_t *to) {
  int64_t word = position >= 0 ? position / 64 : -((63 - position) / 64);
  unsigned bits = (unsigned)(position - word * 64);
  if (planes->pitch < AP_COLUMN_WORDS) {
    read_short(planes, ap_planes_block(planes, channel, 0), word, bits, (unsigned)((rows + 63) / 64), to);
    return;
  }
  int64_t block = word >= 0 ? word / AP_COLUMN_WORDS : -((AP_COLUMN_WORDS - 1 - word) / AP_COLUMN_WORDS);
  unsigned skip = (unsigned)(word - block * AP_COLUMN_WORDS);
  bool low = block >= 0 && (uint64_t)block < planes->blocks, high = block >= -1 && (uint64_t)(block + 1) < planes->blocks;
  const uint64_t *l = low ? ap_planes_block(planes, channel, (uint64_t)block) : no_rows;
  const uint64_t *h = high ? ap_planes_block(planes, channel, (uint64_t)(block + 1)) : no_rows;
  best_shift()(l, low ? AP_COLUMN_WORDS : 0, h, high ? AP_COLUMN_WORDS : 0, skip, bits, to, planes->bits);
}

void ap_planes_write(const struct ap_planes *planes, uint32_t channel, uint64_t position, uint64_t rows, const uint64_t *from) {
  uint64_t *to = ap_planes_block(planes, channel, position / AP_BLOCK_ROWS);
  bool whole = position % AP_BLOCK_ROWS == 0 && (rows == AP_BLOCK_ROWS || position + rows == planes->positions);
  if (whole && planes->pitch == AP_COLUMN_WORDS) {
    memcpy(to, from, planes->bits * COLUMN_BYTES);
    return;
  }
  for (uint64_t w = 0; w * 64 < rows; w++) {
    uint64_t word = position / 64 + w, left = rows - w * 64, mask = left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;
    uint64_t *of_word = ap_planes_block(planes, channel, word / AP_COLUMN_WORDS) + word % AP_COLUMN_WORDS;
    for (unsigned b = 0; b < planes->bits; b++) {
      uint64_t *at = &of_word[b * planes->pitch];
      *at = (*at & ~mask) | (from[b * AP_COLUMN_WORDS + w] & mask);
    }
  }
}
