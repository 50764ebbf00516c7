// SPDX-License-Identifier: Apache-2.0
// Variants of the step loops. One source, compiled for several instruction sets; the choice is made by what the
// processor has, not by what the build machine had.
#include "runtime/steps.h"

#include <stdbool.h>

#define STEP_GROUP 4  // vectors at a time, as registers allow; what is left goes by two and one
_Static_assert(AP_BLOCK_WORDS * sizeof(uint64_t) == 64 && STEP_GROUP == 4, "blocks are whole vectors, less than four of them 0, 1, 2 or 3");

// Vectors of 128 bits, which all hosts have or whose operations compilers split; bits are counted by arithmetic in
// bytes.
#define STEP_NAME(x) x##_portable
#define STEP_TARGET
#define STEP_BYTES 16
typedef uint64_t pair __attribute__((vector_size(STEP_BYTES)));
static inline __attribute__((always_inline)) pair bytes_of_bits(pair x) {
  x -= x >> 1 & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
  return (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
}
static inline __attribute__((always_inline)) pair sums_of_bytes(pair x) {
  x = (x & UINT64_C(0x00ff00ff00ff00ff)) + (x >> 8 & UINT64_C(0x00ff00ff00ff00ff));
  x += x >> 16;
  x += x >> 32;
  return x & 0xffff;
}
#define STEP_BITS(v) bytes_of_bits(v)
#define STEP_LANES(n) sums_of_bytes(n)
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET
#undef STEP_BYTES
#undef STEP_BITS
#undef STEP_LANES

#if defined(__x86_64__)
#include <immintrin.h>

#define STEP_NAME(x) x##_avx2
#define STEP_TARGET __attribute__((target("avx2")))
#define STEP_BYTES 32
// Half a byte at a time, from a table.
STEP_TARGET static inline __attribute__((always_inline)) __m256i bytes_of_bits_avx2(__m256i x) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
  return _mm256_add_epi8(a, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}
#define STEP_BITS(v) (rows_avx2) bytes_of_bits_avx2((__m256i)(v))
#define STEP_LANES(n) (rows_avx2) _mm256_sad_epu8((__m256i)(n), _mm256_setzero_si256())
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET
#undef STEP_BYTES
#undef STEP_BITS
#undef STEP_LANES

#define STEP_NAME(x) x##_avx512
#define STEP_TARGET __attribute__((target("avx512f,avx512bw,avx512vpopcntdq")))
#define STEP_BYTES 64
#define STEP_BITS(v) (rows_avx512) _mm512_popcnt_epi64((__m512i)(v))
#define STEP_LANES(n) (n)
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET
#undef STEP_BYTES
#undef STEP_BITS
#undef STEP_LANES
#endif

static const struct ap_steps variants[] = {
    {"portable", count_portable, run_portable},
#if defined(__x86_64__)
    {"avx2", count_avx2, run_avx2},
    {"avx512", count_avx512, run_avx512},
#endif
};

static int supported(unsigned i) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (i == 1) {
    return __builtin_cpu_supports("avx2");
  }
  if (i == 2) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vpopcntdq");
  }
#endif
  return i == 0;
}

const struct ap_steps *ap_steps_variant(unsigned i) {
  return i < sizeof variants / sizeof variants[0] && supported(i) ? &variants[i] : NULL;
}

const struct ap_steps *ap_steps_select(void) {
  const struct ap_steps *best = &variants[0];
  for (unsigned i = 1; i < sizeof variants / sizeof variants[0]; i++) {
    if (supported(i)) {
      best = &variants[i];
    }
  }
  return best;
}
