// SPDX-License-Identifier: Apache-2.0
// Random numbers, and how many rounds of them, for tests of words and bits.
#ifndef TESTS_RANDOM_BITS_H
#define TESTS_RANDOM_BITS_H

#include <stdlib.h>

#include "tests/support/random_graph.h"

static inline int rounds(int fallback) {
  const char *wanted = getenv("BFIMNA_ROUNDS");  // a longer campaign: BFIMNA_ROUNDS=5000 tests/test_engines
  return wanted != NULL ? atoi(wanted) : fallback;
}

static inline uint32_t pick(struct rng *rng, int64_t low, int64_t high) { return (uint32_t)rng_range(rng, low, high); }
static inline bool chance(struct rng *rng, uint32_t percent) { return rng_next(rng) % 100 < percent; }
static inline uint64_t number(struct rng *rng, unsigned bits) {
  uint64_t x = (uint64_t)rng_next(rng) << 32 | rng_next(rng);
  return bits >= 64 ? x : x & (((uint64_t)1 << bits) - 1);
}
static inline void fill(struct rng *rng, uint64_t *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    words[i] = number(rng, 64);
  }
}

#endif
