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

static struct source find_source(const struct ap_planes *planes, const struct ap_plane_read *read) {
  int64_t word = (read->position - (read->position < 0 ? 63 : 0)) / 64;
  int64_t block = (word - (word < 0 ? AP_COLUMN_WORDS - 1 : 0)) / AP_COLUMN_WORDS;
  bool low = block >= 0 && (uint64_t)block < planes->blocks, high = block >= -1 && (uint64_t)(block + 1) < planes->blocks;
  size_t first = (size_t)read->bit * AP_COLUMN_WORDS;
  return (struct source){.low = low ? ap_planes_block(planes, read->channel, (uint64_t)block) + first : no_rows,
                         .high = high ? ap_planes_block(planes, read->channel, (uint64_t)(block + 1)) + first : no_rows,
                         .low_pitch = low ? AP_COLUMN_WORDS : 0, .high_pitch = high ? AP_COLUMN_WORDS : 0,
                         .skip = (unsigned)(word - block * AP_COLUMN_WORDS), .bits = (unsigned)(read->position - word * 64)};
}

static void read_portable(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to) {
  struct source s = find_source(planes, read);
  uint64_t pair[2 * AP_COLUMN_WORDS] = {0};
  size_t bytes = ap_planes_span(planes) * sizeof *pair;
  for (unsigned b = 0; b < read->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t pad = read->pad >> b & 1 ? ~(uint64_t)0 : 0;
    memcpy(pair, s.low + b * s.low_pitch, bytes);
    memcpy(pair + AP_COLUMN_WORDS, s.high + b * s.high_pitch, bytes);
    for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
      uint64_t word = pair[s.skip + i] >> s.bits | pair[s.skip + i + 1] << 1 << (63 - s.bits);
      to[i] = read->inside == NULL ? word : (word & read->inside[i]) | (pad & ~read->inside[i]);
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void read_avx512(const struct ap_planes *planes, const struct ap_plane_read *read, uint64_t *to) {
  struct source s = find_source(planes, read);
  __mmask8 words = (__mmask8)((1u << ap_planes_span(planes)) - 1);
  __m512i first = _mm512_add_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64((long long)s.skip));
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
