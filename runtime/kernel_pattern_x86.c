// SPDX-License-Identifier: Apache-2.0
// The pattern kernel for processors that look up 64 bytes at a time (AVX-512 VBMI) and transpose bits (GFNI).
//
// A row's value stands at its index in the table: field a in the lowest bits, then field b. The lowest 6 bits of the index choose
// within a block of 64 values, the others the block. A block is kept as 8 byte planes: plane c has byte c of its 64 values. So one
// instruction looks up one byte of 64 rows, in those of them that are of the block.
#include "runtime/pattern_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vpopcntdq,gfni,popcnt")))
#define INDEX_BITS 12  // of a table that is done here, at most; others go to the variant that needs no byte planes
#define BLOCK_BITS 6
#define PLANES 8
#define MANY_BLOCKS 20  // from which on looking up whole values is faster

// As 8 × 8 bit matrices, a byte a row: what reverses the bits of a byte, and the first operand of an affine transform that transposes
// the second (and reverses the order of its rows).
#define REVERSAL INT64_C(-0x7fbfdfeff7fbfdff)

// Byte 8 j + q of the result is byte 8 q + j.
TARGET static __m512i turn_bytes(__m512i x) {
  static const uint8_t ORDER[64] = {0, 8,  16, 24, 32, 40, 48, 56, 1, 9,  17, 25, 33, 41, 49, 57, 2, 10, 18, 26, 34, 42,
                                    50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12, 20, 28, 36, 44, 52, 60, 5, 13, 21, 29,
                                    37, 45, 53, 61, 6, 14, 22, 30, 38, 46, 54, 62, 7, 15, 23, 31, 39, 47, 55, 63};
  return _mm512_permutexvar_epi8(_mm512_loadu_si512(ORDER), x);
}

// Transposes 8 × 8 words.
TARGET static void turn_words(__m512i x[8]) {
  __m512i a[8], b[8];
  for (unsigned i = 0; i < 8; i += 2) {
    a[i] = _mm512_unpacklo_epi64(x[i], x[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 1]);
  }
  for (unsigned i = 0; i < 8; i += 4) {
    for (unsigned k = 0; k < 2; k++) {
      b[i + k] = _mm512_shuffle_i64x2(a[i + k], a[i + k + 2], 0x88);
      b[i + k + 2] = _mm512_shuffle_i64x2(a[i + k], a[i + k + 2], 0xdd);
    }
  }
  for (unsigned k = 0; k < 4; k++) {
    x[k] = _mm512_shuffle_i64x2(b[k], b[k + 4], 0x88);
    x[k + 4] = _mm512_shuffle_i64x2(b[k], b[k + 4], 0xdd);
  }
}

static unsigned index_bits(const struct ap_pattern_table *table) { return (unsigned)table->width[1] + table->width[2]; }

TARGET static void make_planes(const uint64_t *values, uint8_t *planes) {
  __m512i x[8];
  for (unsigned i = 0; i < 8; i++) {
    x[i] = turn_bytes(_mm512_loadu_si512(values + 8 * i));
  }
  turn_words(x);
  for (unsigned c = 0; c < PLANES; c++) {
    _mm512_store_si512(planes + c * 64, x[c]);
  }
}

// Blocks in which a key of the table has its values.
static void mark_blocks(const struct ap_pattern_table *table, bool *used) {
  unsigned inputs = table->width[1];
  for (unsigned k = 0; k < table->nkeys; k++) {
    unsigned first = (unsigned)table->keys[k] << inputs >> BLOCK_BITS;
    for (unsigned n = 0; n == 0 || n < 1u << inputs >> BLOCK_BITS; n++) {
      used[first + n] = true;
    }
  }
}

static void prepare_vbmi(struct ap_pattern_table *table) {
  unsigned bits = index_bits(table);
  table->nblocks = 0;
  if (bits > INDEX_BITS) {
    return;
  }
  bool used[1u << (INDEX_BITS - BLOCK_BITS)] = {false};
  unsigned blocks = bits > BLOCK_BITS ? 1u << (bits - BLOCK_BITS) : 1;
  if (table->planes == NULL) {
    table->planes = aligned_alloc(64, (size_t)64 * PLANES << (INDEX_BITS - BLOCK_BITS));
    if (table->planes == NULL) {
      abort();  // as bf_alloc
    }
  }
  mark_blocks(table, used);
  unsigned count = 0;
  for (unsigned i = 0; i < blocks; i++) {
    count += used[i];
  }
  for (unsigned i = 0; i < blocks && count <= MANY_BLOCKS; i++) {
    if (used[i]) {
      make_planes(table->values + ((size_t)i << BLOCK_BITS), table->planes + table->nblocks * PLANES * (size_t)64);
      table->blocks[table->nblocks++] = (uint8_t)i;
    }
  }
}

// The bits of a row's index, as columns; the rows of each byte in reverse order, which transposing the values will undo.
TARGET static void load_index(const struct ap_pattern_table *table, const uint64_t *a, const uint64_t *b, __m512i *index) {
  const __m512i reversal = _mm512_set1_epi64(REVERSAL);
  for (unsigned i = 0; i < table->width[1]; i++) {
    index[i] = _mm512_gf2p8affine_epi64_epi8(_mm512_load_si512(a + i * AP_COLUMN_WORDS), reversal, 0);
  }
  for (unsigned i = 0; i < table->width[2]; i++) {
    index[table->width[1] + i] = _mm512_gf2p8affine_epi64_epi8(_mm512_load_si512(b + i * AP_COLUMN_WORDS), reversal, 0);
  }
}

// Rows of each block of the table.
TARGET static void find_rows(const struct ap_pattern_table *table, const __m512i *high, unsigned bits, uint64_t *rows) {
  for (unsigned n = 0; n < table->nblocks; n++) {
    __m512i match = _mm512_set1_epi64(-1);
    for (unsigned i = 0; i < bits; i++) {
      bool one = table->blocks[n] >> i & 1;
      match = one ? _mm512_and_si512(match, high[i]) : _mm512_andnot_si512(high[i], match);
    }
    _mm512_store_si512(rows + n * AP_COLUMN_WORDS, match);
  }
}

// Values of the 64 rows of word w, byte plane by byte plane, as words of columns: 8 columns a plane.
TARGET static inline __attribute__((always_inline)) void look_up(const struct ap_pattern_table *table, __m512i index, const uint64_t *rows,
                                                                 unsigned w, unsigned planes, __m512i *out) {
  __m512i value[PLANES];
  for (unsigned c = 0; c < planes; c++) {
    value[c] = _mm512_setzero_si512();
  }
  const uint8_t *from = table->planes;
  for (unsigned n = 0; n < table->nblocks; n++, from += (size_t)PLANES * 64) {
    __mmask64 here = rows[n * AP_COLUMN_WORDS + w];
    for (unsigned c = 0; c < planes; c++) {
      value[c] = _mm512_mask_permutexvar_epi8(value[c], here, index, _mm512_load_si512(from + c * 64));
    }
  }
  const __m512i transpose = _mm512_set1_epi64(REVERSAL);
  for (unsigned c = 0; c < planes; c++) {
    out[c] = turn_bytes(_mm512_gf2p8affine_epi64_epi8(transpose, value[c], 0));
  }
}

// For each number of planes code of its own, so that values stay in registers.
TARGET static void look_up_planes(const struct ap_pattern_table *table, __m512i index, const uint64_t *rows, unsigned w, unsigned planes,
                                  __m512i *out) {
  switch (planes) {
    case 1: look_up(table, index, rows, w, 1, out); break;
    case 2: look_up(table, index, rows, w, 2, out); break;
    case 3: look_up(table, index, rows, w, 3, out); break;
    case 4: look_up(table, index, rows, w, 4, out); break;
    case 5: look_up(table, index, rows, w, 5, out); break;
    case 6: look_up(table, index, rows, w, 6, out); break;
    case 7: look_up(table, index, rows, w, 7, out); break;
    default: look_up(table, index, rows, w, 8, out); break;
  }
}

TARGET static __m512i index_of_word(const uint64_t *index, unsigned bits, unsigned w) {
  __m512i sum = _mm512_setzero_si512();
  for (unsigned i = 0; i < bits; i++) {
    sum = _mm512_mask_add_epi8(sum, index[i * AP_COLUMN_WORDS + w], sum, _mm512_set1_epi8((char)(1u << i)));
  }
  return sum;
}

// d := the values in the rows of the mask; returns how many cells that changes.
TARGET static uint64_t write_columns(uint64_t *d, const __m512i (*words)[PLANES], unsigned width, __m512i match, bool counted) {
  __m512i changed = _mm512_setzero_si512();
  for (unsigned c = 0; 8 * c < width; c++) {
    __m512i x[8];
    for (unsigned w = 0; w < 8; w++) {
      x[w] = words[w][c];
    }
    turn_words(x);
    for (unsigned i = 0; i < 8 && 8 * c + i < width; i++) {
      uint64_t *at = d + (8 * c + i) * AP_COLUMN_WORDS;
      __m512i old = _mm512_load_si512(at), change = _mm512_and_si512(_mm512_xor_si512(old, x[i]), match);
      _mm512_store_si512(at, _mm512_xor_si512(old, change));
      if (counted) {
        changed = _mm512_add_epi64(changed, _mm512_popcnt_epi64(change));
      }
    }
  }
  return (uint64_t)_mm512_reduce_add_epi64(changed);
}

TARGET static void run_vbmi(const struct ap_pattern_table *table, uint64_t *d, const uint64_t *a, const uint64_t *b, const uint64_t *mask,
                            struct ap_kernel_counts *counts) {
  _Alignas(64) uint64_t rows[AP_COLUMN_WORDS << (INDEX_BITS - BLOCK_BITS)], match[AP_COLUMN_WORDS];
  __m512i index[INDEX_BITS], words[8][PLANES];
  unsigned bits = index_bits(table), width = table->width[0], planes = (width + 7) / 8;
  if (table->nblocks == 0) {
    ap_pattern_wide(table, d, a, b, mask, counts);
    return;
  }
  ap_pattern_match(table, b, mask, match);
  __m512i matching = _mm512_load_si512(match);
  if (_mm512_test_epi64_mask(matching, matching) == 0) {
    return;
  }
  unsigned low = bits < BLOCK_BITS ? bits : BLOCK_BITS;
  load_index(table, a, b, index);
  find_rows(table, index + low, bits - low, rows);
  for (unsigned w = 0; w < 8; w++) {
    look_up_planes(table, index_of_word((const uint64_t *)index, low, w), rows, w, planes, words[w]);
  }
  uint64_t changed = write_columns(d, (const __m512i(*)[PLANES])words, width, matching, counts != NULL);
  if (counts != NULL) {
    uint64_t tagged = (uint64_t)_mm512_reduce_add_epi64(_mm512_popcnt_epi64(matching));
    counts->match_cells += tagged * bits;
    counts->written_cells += tagged * width;
    counts->changed_cells += changed;
  }
}

bool ap_pattern_has_vbmi(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vpopcntdq") &&
         __builtin_cpu_supports("gfni");
}
const struct ap_pattern_variant ap_pattern_vbmi = {"avx512vbmi", prepare_vbmi, run_vbmi};
#endif
