// SPDX-License-Identifier: Apache-2.0
// Moves of a block whose rows are taken channel by channel (runtime/row_order.h).
#include <string.h>

#include "runtime/block_run.h"
#include "runtime/slices.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

// --- constants -------------------------------------------------------------------------------------------

static void words_portable(const uint64_t *values, unsigned bits, uint64_t *to) {
  for (unsigned b = 0; b < bits; b++) {
    for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
      *to++ = -(values[w] >> b & 1);
    }
  }
}

static void bytes_portable(const uint8_t *values, unsigned shift, unsigned bits, uint64_t *to) {
  uint64_t words[AP_COLUMN_WORDS];
  for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
    words[w] = values[w << shift >> 3];
  }
  words_portable(words, bits, to);
}

#if defined(__x86_64__)
#define SPREAD(all)                                                                                \
  do {                                                                                             \
    __m512i bit = _mm512_set1_epi64(1);                                                            \
    for (unsigned b = 0; b < bits; b++, to += AP_COLUMN_WORDS) {                                   \
      _mm512_store_si512(to, _mm512_maskz_set1_epi64(_mm512_test_epi64_mask(all, bit), -1));       \
      bit = _mm512_slli_epi64(bit, 1);                                                             \
    }                                                                                              \
  } while (0)
__attribute__((target("avx512f"))) static void words_avx512(const uint64_t *values, unsigned bits, uint64_t *to) {
  __m512i all = _mm512_loadu_si512(values);
  SPREAD(all);
}

__attribute__((target("avx512f"))) static void bytes_avx512(const uint8_t *values, unsigned shift, unsigned bits, uint64_t *to) {
  __m512i channels = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)values));
  __m512i number = _mm512_srl_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm_cvtsi32_si128((int)(3 - shift)));
  __m512i all = _mm512_permutexvar_epi64(number, channels);
  SPREAD(all);
}
#endif

const struct ap_channel_spread *ap_channel_spread_variant(unsigned i) {
  static const struct ap_channel_spread portable = {words_portable, bytes_portable};
#if defined(__x86_64__)
  static const struct ap_channel_spread avx512 = {words_avx512, bytes_avx512};
  __builtin_cpu_init();
  if (i == 1 && __builtin_cpu_supports("avx512f")) {
    return &avx512;
  }
#endif
  return i == 0 ? &portable : NULL;
}

const struct ap_channel_spread *ap_channel_spread_best(void) {
  const struct ap_channel_spread *best = NULL;
  for (unsigned i = 0; ap_channel_spread_variant(i) != NULL; i++) {
    best = ap_channel_spread_variant(i);
  }
  return best;
}

static void load_constants(const struct ap_block_thread *t, const struct ap_plane_access *x, uint64_t *to) {
  uint64_t values[AP_COLUMN_WORDS] = {0};
  unsigned span = AP_COLUMN_WORDS >> x->order->shift;
  if (x->values != NULL) {
    t->spread->bytes(x->values + t->at.channel, x->order->shift, x->bits, to);
    return;
  }
  for (uint32_t c = 0; c < t->at.channels; c++) {
    uint64_t value = ap_memory_get(x->constants, x->element + (t->at.channel + c) * x->step) >> x->bit;
    for (unsigned w = 0; w < span; w++) {
      values[c * span + w] = value;
    }
  }
  t->spread->words(values, x->bits, to);
}

// --- planes ----------------------------------------------------------------------------------------------

// Takes channels that are not the tensor's out of the rows inside; false: none is left.
static bool limit_inside(const struct ap_block_thread *t, const struct ap_plane_access *x, struct ap_plane_read *read, uint64_t *inside) {
  uint32_t there = x->limit > t->at.channel ? x->limit - t->at.channel : 0;
  if (there >= t->at.channels) {
    return true;
  }
  unsigned words = there * (AP_COLUMN_WORDS >> x->order->shift);
  for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
    inside[w] = w >= words ? 0 : read->inside != NULL ? read->inside[w] : ~(uint64_t)0;
  }
  read->inside = inside;
  return there > 0;
}

void ap_block_load_channels(struct ap_block_thread *t, const struct ap_plane_access *x, uint64_t *to) {
  _Alignas(64) uint64_t inside[AP_COLUMN_WORDS], limited[AP_COLUMN_WORDS];
  if (x->constants != NULL) {
    load_constants(t, x, to);
    return;
  }
  struct ap_plane_read read = {.channel = x->channel + (uint32_t)x->step * t->at.channel, .bit = x->bit, .bits = x->bits, .pad = x->pad,
                               .position = x->position + (int64_t)t->at.row0, .shift = x->order->shift, .apart = x->step > 0};
  if (x->inside != NULL) {
    read.inside = x->inside + t->at.row0 / AP_BLOCK_ROWS * AP_COLUMN_WORDS;
  } else if (!x->whole) {
    struct ap_move move = ap_move_of(t->run->program, x->move);
    ap_channel_rows_inside(t->run, x->order, &move, t->at.row0, t->at.rows, inside);
    read.inside = inside;
  }
  if (!limit_inside(t, x, &read, limited)) {
    read.channel = 0;  // any: nothing of it is seen
  }
  t->read_planes(x->planes, &read, to);
}

void ap_block_store_channels(struct ap_block_thread *t, const struct ap_plane_access *x, const uint64_t *from) {
  uint32_t channel = x->channel + t->at.channel;
  if (x->order->shift > 0) {  // all channels of the block, and all their positions
    memcpy(ap_planes_block(x->planes, channel, 0), from, x->planes->bits * COLUMN_BYTES);
  } else {
    ap_planes_write(x->planes, channel, (uint64_t)x->position + t->at.row0, t->at.rows, from);
  }
}

// --- elements --------------------------------------------------------------------------------------------

void ap_block_fill_channels(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_move *move, uint64_t *to) {
  unsigned size = ap_run_memory(t->run, move->desc->tensor)->size, span = AP_COLUMN_WORDS >> order->shift;
  for (uint32_t c = 0; c < t->at.channels; c++) {
    struct ap_channel_move of;
    ap_move_of_channel(move, t->at.channel + c, &of);
    ap_rows_gather(t->run, &of.move, t->at.row0, t->at.rows, t->gathered);
    ap_slice(t->gathered, size, t->at.rows, to + c * span, AP_COLUMN_WORDS, move->width);
  }
}

void ap_block_drain_channels(struct ap_block_thread *t, const struct ap_row_order *order, const struct ap_move *move, const uint64_t *from) {
  unsigned size = ap_run_memory(t->run, move->desc->tensor)->size, span = AP_COLUMN_WORDS >> order->shift;
  for (uint32_t c = 0; c < t->at.channels; c++) {
    struct ap_channel_move of;
    ap_move_of_channel(move, t->at.channel + c, &of);
    ap_unslice(from + c * span, AP_COLUMN_WORDS, move->width, t->gathered, size, t->at.rows);
    ap_rows_scatter(t->run, &of.move, t->at.row0, t->at.rows, t->gathered);
  }
}
