// SPDX-License-Identifier: Apache-2.0
// Bit transposition in groups of 64 rows, in variants for the instruction sets of the host.
#include "runtime/slices.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Transposes an 8 × 8 bit matrix, a row a byte, by swapping ever larger blocks across the diagonal.
static uint64_t transpose8(uint64_t x) {
  uint64_t t = (x ^ x >> 7) & UINT64_C(0x00AA00AA00AA00AA);
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & UINT64_C(0x0000CCCC0000CCCC);
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & UINT64_C(0x00000000F0F0F0F0);
  return x ^ t ^ t << 28;
}

static void slice_portable(const uint8_t *bytes, uint64_t *columns, size_t pitch, unsigned bits) {
  uint64_t out[8] = {0};
  for (unsigned group = 0; group < 8; group++) {
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++) {
      x |= (uint64_t)bytes[8 * group + i] << 8 * i;
    }
    x = transpose8(x);
    for (unsigned b = 0; b < 8; b++) {
      out[b] |= (x >> 8 * b & 0xff) << 8 * group;
    }
  }
  for (unsigned b = 0; b < bits; b++) {
    columns[b * pitch] = out[b];
  }
}

static void unslice_portable(const uint64_t *columns, size_t pitch, unsigned bits, uint8_t *bytes) {
  for (unsigned group = 0; group < 8; group++) {
    uint64_t x = 0;
    for (unsigned b = 0; b < bits; b++) {
      x |= (columns[b * pitch] >> 8 * group & 0xff) << 8 * b;
    }
    x = transpose8(x);
    for (unsigned i = 0; i < 8; i++) {
      bytes[8 * group + i] = (uint8_t)(x >> 8 * i);
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void slice_avx2(const uint8_t *bytes, uint64_t *columns, size_t pitch, unsigned bits) {
  __m256i low = _mm256_loadu_si256((const __m256i *)bytes), high = _mm256_loadu_si256((const __m256i *)(bytes + 32));
  for (unsigned b = 0; b < bits; b++) {
    __m128i shift = _mm_cvtsi32_si128((int)(7 - b));
    uint32_t l = (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(low, shift));
    uint32_t h = (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(high, shift));
    columns[b * pitch] = l | (uint64_t)h << 32;
  }
}

__attribute__((target("avx512f,avx512bw"))) static void slice_avx512(const uint8_t *bytes, uint64_t *columns, size_t pitch,
                                                                     unsigned bits) {
  __m512i v = _mm512_loadu_si512(bytes);
  for (unsigned b = 0; b < bits; b++) {
    columns[b * pitch] = _mm512_test_epi8_mask(v, _mm512_set1_epi8((char)(1u << b)));
  }
}

__attribute__((target("avx512f,avx512bw"))) static void unslice_avx512(const uint64_t *columns, size_t pitch, unsigned bits,
                                                                       uint8_t *bytes) {
  __m512i v = _mm512_setzero_si512();
  for (unsigned b = 0; b < bits; b++) {
    v = _mm512_mask_add_epi8(v, columns[b * pitch], v, _mm512_set1_epi8((char)(1u << b)));
  }
  _mm512_storeu_si512(bytes, v);
}

__attribute__((target("avx512f,avx512bw"))) static void slice2_avx512(const uint8_t *elements, uint64_t *columns, size_t pitch,
                                                                      unsigned bits) {
  __m512i low = _mm512_loadu_si512(elements), high = _mm512_loadu_si512(elements + 64);
  for (unsigned bit = 0; bit < bits; bit += 8) {
    __m512i bytes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(low)), _mm512_cvtepi16_epi8(high), 1);
    for (unsigned b = 0; b < 8 && bit + b < bits; b++) {
      columns[(bit + b) * pitch] = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((char)(1u << b)));
    }
    low = _mm512_srli_epi16(low, 8);
    high = _mm512_srli_epi16(high, 8);
  }
}

__attribute__((target("avx512f,avx512bw"))) static void unslice2_avx512(const uint64_t *columns, size_t pitch, unsigned bits,
                                                                        uint8_t *elements) {
  __m512i v[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (unsigned bit = 0; bit < bits; bit += 8) {
    __m512i bytes = _mm512_setzero_si512();
    for (unsigned b = 0; b < 8 && bit + b < bits; b++) {
      bytes = _mm512_mask_add_epi8(bytes, columns[(bit + b) * pitch], bytes, _mm512_set1_epi8((char)(1u << b)));
    }
    __m128i up = _mm_cvtsi32_si128((int)bit);
    v[0] = _mm512_or_si512(v[0], _mm512_sll_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes)), up));
    v[1] = _mm512_or_si512(v[1], _mm512_sll_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(bytes, 1)), up));
  }
  _mm512_storeu_si512(elements, v[0]);
  _mm512_storeu_si512(elements + 64, v[1]);
}

__attribute__((target("avx512f,avx512bw"))) static void slice4_avx512(const uint8_t *elements, uint64_t *columns, size_t pitch,
                                                                      unsigned bits) {
  __m512i v[4];
  for (unsigned i = 0; i < 4; i++) {
    v[i] = _mm512_loadu_si512(elements + (size_t)64 * i);
  }
  for (unsigned bit = 0; bit < bits; bit += 8) {
    __m512i bytes = _mm512_castsi128_si512(_mm512_cvtepi32_epi8(v[0]));
    bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(v[1]), 1);
    bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(v[2]), 2);
    bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(v[3]), 3);
    for (unsigned b = 0; b < 8 && bit + b < bits; b++) {
      columns[(bit + b) * pitch] = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((char)(1u << b)));
    }
    for (unsigned i = 0; i < 4; i++) {
      v[i] = _mm512_srli_epi32(v[i], 8);
    }
  }
}

__attribute__((target("avx512f,avx512bw"))) static void unslice4_avx512(const uint64_t *columns, size_t pitch, unsigned bits,
                                                                        uint8_t *elements) {
  __m512i v[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  for (unsigned bit = (bits - 1) / 8 * 8;; bit -= 8) {
    __m512i bytes = _mm512_setzero_si512();
    for (unsigned b = 0; b < 8 && bit + b < bits; b++) {
      bytes = _mm512_mask_add_epi8(bytes, columns[(bit + b) * pitch], bytes, _mm512_set1_epi8((char)(1u << b)));
    }
    v[0] = _mm512_or_si512(_mm512_slli_epi32(v[0], 8), _mm512_cvtepu8_epi32(_mm512_castsi512_si128(bytes)));
    v[1] = _mm512_or_si512(_mm512_slli_epi32(v[1], 8), _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 1)));
    v[2] = _mm512_or_si512(_mm512_slli_epi32(v[2], 8), _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 2)));
    v[3] = _mm512_or_si512(_mm512_slli_epi32(v[3], 8), _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 3)));
    if (bit == 0) {
      break;
    }
  }
  for (unsigned i = 0; i < 4; i++) {
    _mm512_storeu_si512(elements + (size_t)64 * i, v[i]);
  }
}
#endif

static const struct ap_slicer variants[] = {
    {"portable", slice_portable, unslice_portable, NULL, NULL, NULL, NULL},
#if defined(__x86_64__)
    {"avx2", slice_avx2, unslice_portable, NULL, NULL, NULL, NULL},
    {"avx512", slice_avx512, unslice_avx512, slice2_avx512, unslice2_avx512, slice4_avx512, unslice4_avx512},
#endif
};

const struct ap_slicer *ap_slicer_variant(unsigned i) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if ((i == 1 && !__builtin_cpu_supports("avx2")) ||
      (i == 2 && !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")))) {
    return NULL;
  }
#endif
  return i < sizeof variants / sizeof variants[0] ? &variants[i] : NULL;
}

static const struct ap_slicer *best_slicer(void) {
  for (unsigned i = sizeof variants / sizeof variants[0]; i-- > 1;) {
    if (ap_slicer_variant(i) != NULL) {
      return &variants[i];
    }
  }
  return &variants[0];
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

#define EACH_ROW(size, code)              \
  for (unsigned i = 0; i < 64; i++) {     \
    code((size_t)i * (size));             \
  }
// One byte of 64 elements; the sizes are constants, so that compilers turn each loop into vector code.
static void pick_bytes(const uint8_t *from, unsigned size, uint8_t *to) {
#define PICK(at) to[i] = from[at]
  switch (size) {
    case 2: EACH_ROW(2, PICK) break;
    case 4: EACH_ROW(4, PICK) break;
    default: EACH_ROW(8, PICK) break;
  }
#undef PICK
}
static void place_bytes(const uint8_t *from, unsigned size, uint8_t *to) {
#define PLACE(at) to[at] = from[i]
  switch (size) {
    case 2: EACH_ROW(2, PLACE) break;
    case 4: EACH_ROW(4, PLACE) break;
    default: EACH_ROW(8, PLACE) break;
  }
#undef PLACE
}

void ap_slice(const void *elements, unsigned size, size_t rows, uint64_t *columns, size_t pitch, unsigned width) {
  const struct ap_slicer *slicer = best_slicer();
  void (*whole)(const uint8_t *, uint64_t *, size_t, unsigned) = size == 2 ? slicer->slice2 : size == 4 ? slicer->slice4 : NULL;
  uint64_t rest = rows % 64 != 0 ? ((uint64_t)1 << rows % 64) - 1 : ~(uint64_t)0;
  uint8_t bytes[64];
  for (size_t w = 0; w < (rows + 63) / 64; w++) {
    if (whole != NULL) {
      whole((const uint8_t *)elements + w * 64 * size, columns + w, pitch, width);
    }
    for (unsigned bit = 0; bit < width && whole == NULL; bit += 8) {
      const uint8_t *from = (const uint8_t *)elements + w * 64 * size;
      if (size > 1) {
        pick_bytes(from + plane_offset(bit / 8, size), size, bytes);
        from = bytes;
      }
      slicer->slice(from, columns + bit * pitch + w, pitch, width - bit < 8 ? width - bit : 8);
    }
    for (unsigned bit = 0; (w + 1) * 64 > rows && bit < width; bit++) {
      columns[bit * pitch + w] &= rest;
    }
  }
}

void ap_unslice(const uint64_t *columns, size_t pitch, unsigned width, void *elements, unsigned size, size_t rows) {
  const struct ap_slicer *slicer = best_slicer();
  void (*whole)(const uint64_t *, size_t, unsigned, uint8_t *) = size == 2 ? slicer->unslice2 : size == 4 ? slicer->unslice4 : NULL;
  uint8_t bytes[64];
  for (size_t w = 0; w < (rows + 63) / 64; w++) {
    uint8_t *to = (uint8_t *)elements + w * 64 * size;
    if (whole != NULL && width > 0) {
      whole(columns + w, pitch, width, to);
      continue;
    }
    if (size > 1) {
      memset(to, 0, (size_t)64 * size);
    }
    for (unsigned bit = 0; bit < width; bit += 8) {
      unsigned bits = width - bit < 8 ? width - bit : 8;
      if (size == 1) {
        slicer->unslice(columns + bit * pitch + w, pitch, bits, to);
      } else {
        slicer->unslice(columns + bit * pitch + w, pitch, bits, bytes);
        place_bytes(bytes, size, to + plane_offset(bit / 8, size));
      }
    }
  }
}
