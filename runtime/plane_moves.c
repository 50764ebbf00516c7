// SPDX-License-Identifier: Apache-2.0
// Columns between planes and a block, in variants for the instruction sets of the host.
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/planes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define COLUMN_BYTES (AP_COLUMN_WORDS * sizeof(uint64_t))

// A block's columns lie in two successive blocks of the planes, from word `skip` of the first one on, shifted up by `bits`.
struct source {
  const uint64_t *low, *high;
  size_t low_pitch, high_pitch;
  unsigned skip, bits;
};
static const _Alignas(64) uint64_t no_rows[AP_COLUMN_WORDS];

static struct source find_source(const struct ap_planes *planes, const struct ap_plane_read *read, uint32_t channel) {
  int64_t word = (read->position - (read->position < 0 ? 63 : 0)) / 64;
  int64_t block = (word - (word < 0 ? AP_COLUMN_WORDS - 1 : 0)) / AP_COLUMN_WORDS;
  bool low = block >= 0 && (uint64_t)block < planes->blocks, high = block >= -1 && (uint64_t)(block + 1) < planes->blocks;
  size_t first = (size_t)read->bit * AP_COLUMN_WORDS;
  return (struct source){.low = low ? ap_planes_block(planes, channel, (uint64_t)block) + first : no_rows,
                         .high = high ? ap_planes_block(planes, channel, (uint64_t)(block + 1)) + first : no_rows,
                         .low_pitch = low ? AP_COLUMN_WORDS : 0, .high_pitch = high ? AP_COLUMN_WORDS : 0,
                         .skip = (unsigned)(word - block * AP_COLUMN_WORDS), .bits = (unsigned)(read->position - word * 64)};
}

// Words [first, end) of the columns, in which spans of `span` words begin with row 0.
static void read_words(const struct ap_planes *planes, const struct ap_plane_read *read, const struct source *s, unsigned first, unsigned end,
                       uint64_t *to) {
  uint64_t pair[2 * AP_COLUMN_WORDS] = {0};
  size_t bytes = ap_planes_span(planes) * sizeof *pair;
  unsigned inner = (AP_COLUMN_WORDS >> read->shift) - 1;
  for (unsigned b = 0; b < read->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t pad = read->pad >> b & 1 ? ~(uint64_t)0 : 0;
    memcpy(pair, s->low + b * s->low_pitch, bytes);
    memcpy(pair + AP_COLUMN_WORDS, s->high + b * s->high_pitch, bytes);
    for (unsigned i = first; i < end; i++) {
      unsigned at = s->skip + (i & inner);
      uint64_t word = pair[at] >> s->bits | pair[at + 1] << 1 << (63 - s->bits);
      to[i] = read->inside == NULL ? word : (word & read->inside[i]) | (pad & ~read->inside[i]);
    }
  }
}

static void read_portable(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to) {
  unsigned spans = read->apart ? 1u << read->shift : 1, words = AP_COLUMN_WORDS / spans;
  for (unsigned i = 0; i < spans; i++) {
    bool there = i < planes->channels - read->channel;  // of the others, padding is wanted
    struct source s = find_source(planes, read, there ? read->channel + i : read->channel);
    read_words(planes, read, &s, i * words, (i + 1) * words, to);
  }
}

#if defined(__x86_64__)
// The channels lie in the spans of the block as they are wanted.
__attribute__((target("avx512f"))) static void read_spans(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to) {
  const uint64_t *from = ap_planes_block(planes, read->channel, 0) + (size_t)read->bit * AP_COLUMN_WORDS;
  int64_t word = (read->position - (read->position < 0 ? 63 : 0)) / 64, inner = (AP_COLUMN_WORDS >> read->shift) - 1;
  unsigned bits = (unsigned)(read->position - word * 64);
  __m512i number = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), span = _mm512_set1_epi64(inner);
  __m512i first = _mm512_add_epi64(_mm512_and_si512(number, span), _mm512_set1_epi64(word)), next = _mm512_add_epi64(first, _mm512_set1_epi64(1));
  __mmask8 has_first = _mm512_cmple_epu64_mask(first, span), has_next = _mm512_cmple_epu64_mask(next, span);
  __m512i begin = _mm512_andnot_si512(span, number);
  first = _mm512_add_epi64(first, begin);
  next = _mm512_add_epi64(next, begin);
  __m512i inside = read->inside != NULL ? _mm512_loadu_si512(read->inside) : _mm512_set1_epi64(-1);
  __m128i down = _mm_cvtsi32_si128((int)bits), up = _mm_cvtsi32_si128((int)(64 - bits));
  for (unsigned b = 0; b < read->bits; b++) {
    __m512i column = _mm512_load_si512(from + b * AP_COLUMN_WORDS);
    __m512i x = _mm512_maskz_permutexvar_epi64(has_first, first, column), y = _mm512_maskz_permutexvar_epi64(has_next, next, column);
    __m512i all = _mm512_or_si512(_mm512_srl_epi64(x, down), _mm512_sll_epi64(y, up));
    __m512i pad = _mm512_set1_epi64(-(long long)(read->pad >> b & 1));
    _mm512_store_si512(to + b * AP_COLUMN_WORDS, _mm512_ternarylogic_epi64(inside, all, pad, 0xca));
  }
}

__attribute__((target("avx512f"))) static void read_avx512(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to) {
  if (read->apart && read->shift > 0) {
    bool as_wanted = planes->shift == read->shift && (read->channel & ((1u << read->shift) - 1)) == 0;
    (as_wanted ? read_spans : read_portable)(planes, read, to);
    return;
  }
  struct source s = find_source(planes, read, read->channel);
  __mmask8 words = (__mmask8)((1u << ap_planes_span(planes)) - 1);
  __m512i number = _mm512_and_si512(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64((AP_COLUMN_WORDS >> read->shift) - 1));
  __m512i first = _mm512_add_epi64(number, _mm512_set1_epi64((long long)s.skip));
  __m512i next = _mm512_add_epi64(first, _mm512_set1_epi64(1));
  if (s.bits == 0 && read->inside == NULL) {
    for (unsigned b = 0; b < read->bits; b++) {
      __m512i low = _mm512_maskz_loadu_epi64(words, s.low + b * s.low_pitch), high = _mm512_maskz_loadu_epi64(words, s.high + b * s.high_pitch);
      _mm512_store_si512(to + b * AP_COLUMN_WORDS, _mm512_permutex2var_epi64(low, first, high));
    }
    return;
  }
  __m512i inside = read->inside != NULL ? _mm512_loadu_si512(read->inside) : _mm512_set1_epi64(-1);
  __m128i down = _mm_cvtsi32_si128((int)s.bits), up = _mm_cvtsi32_si128((int)(64 - s.bits));  // a shift by 64 gives 0
  for (unsigned b = 0; b < read->bits; b++) {
    __m512i low = _mm512_maskz_loadu_epi64(words, s.low + b * s.low_pitch), high = _mm512_maskz_loadu_epi64(words, s.high + b * s.high_pitch);
    __m512i x = _mm512_permutex2var_epi64(low, first, high), y = _mm512_permutex2var_epi64(low, next, high);
    __m512i all = _mm512_or_si512(_mm512_srl_epi64(x, down), _mm512_sll_epi64(y, up));
    __m512i pad = _mm512_set1_epi64(-(long long)(read->pad >> b & 1));
    _mm512_store_si512(to + b * AP_COLUMN_WORDS, _mm512_ternarylogic_epi64(inside, all, pad, 0xca));  // inside ? all : pad
  }
}
#endif

ap_plane_reader *ap_plane_reader_variant(unsigned i) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (i == 1 && __builtin_cpu_supports("avx512f")) {
    return read_avx512;
  }
#endif
  return i == 0 ? read_portable : NULL;
}

ap_plane_reader *ap_plane_reader_best(void) {
  ap_plane_reader *best = read_portable;
  for (unsigned i = 0; ap_plane_reader_variant(i) != NULL; i++) {
    best = ap_plane_reader_variant(i);
  }
  return best;
}

void ap_planes_write(const struct ap_planes *planes, uint32_t channel, uint64_t position, uint64_t rows, const uint64_t *from) {
  uint64_t *to = ap_planes_block(planes, channel, position / AP_BLOCK_ROWS);
  bool whole = position % AP_BLOCK_ROWS == 0 && (rows == AP_BLOCK_ROWS || position + rows == planes->positions);
  if (whole && planes->shift == 0) {
    memcpy(to, from, planes->bits * COLUMN_BYTES);
    return;
  }
  for (uint64_t w = 0; w * 64 < rows; w++) {
    uint64_t word = position / 64 + w, left = rows - w * 64, mask = left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;
    uint64_t *of_word = ap_planes_block(planes, channel, word / AP_COLUMN_WORDS) + word % AP_COLUMN_WORDS;
    for (unsigned b = 0; b < planes->bits; b++) {
      uint64_t *at = &of_word[b * AP_COLUMN_WORDS];
      *at = (*at & ~mask) | (from[b * AP_COLUMN_WORDS + w] & mask);
    }
  }
}
