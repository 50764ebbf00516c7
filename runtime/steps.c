// SPDX-License-Identifier: Apache-2.0
// Variants of the step loops. One source, compiled for several instruction sets; the choice is made by what the
// processor has, not by what the build machine had.
#include "runtime/steps.h"

// Bit counting in arithmetic, for processors without an instruction for it.
static inline uint64_t count_bits(uint64_t x) {
  x -= x >> 1 & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  x += x >> 8;
  x += x >> 16;
  x += x >> 32;
  return x & 0x7f;
}
#define STEP_NAME(x) x##_portable
#define STEP_TARGET
#define STEP_POPCOUNT(x) count_bits(x)
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET
#undef STEP_POPCOUNT

#if defined(__x86_64__)
#define STEP_POPCOUNT(x) (uint64_t) __builtin_popcountll(x)
#define STEP_NAME(x) x##_avx2
#define STEP_TARGET __attribute__((target("avx2,popcnt")))
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET

#define STEP_NAME(x) x##_avx512
#if defined(__clang__)
#define STEP_TARGET __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vpopcntdq,popcnt")))
#else
#define STEP_TARGET \
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vpopcntdq,popcnt,prefer-vector-width=512")))
#endif
#include "runtime/steps_body.h"
#undef STEP_NAME
#undef STEP_TARGET
#undef STEP_POPCOUNT
#endif

static const struct ap_steps variants[] = {
    {"portable", compare_portable, write_portable},
#if defined(__x86_64__)
    {"avx2", compare_avx2, write_avx2},
    {"avx512", compare_avx512, write_avx512},
#endif
};

static int supported(unsigned i) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (i == 1) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
  }
  if (i == 2) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vpopcntdq");
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
