// SPDX-License-Identifier: Apache-2.0
// Body of one variant of the step loops; runtime/steps.c includes it once for each instruction set with
// STEP_NAME(x), STEP_TARGET and STEP_POPCOUNT(x) defined. NO INCLUDE GUARD.

// Inner loops have the constant length of a block, so that a compiler turns them into whole vectors.
STEP_TARGET static uint64_t STEP_NAME(count)(const uint64_t *words, size_t count) {
  uint64_t sum = 0;
  for (size_t w = 0; w < count; w += AP_BLOCK_WORDS) {
    for (size_t i = 0; i < AP_BLOCK_WORDS; i++) {
      sum += STEP_POPCOUNT(words[w + i]);
    }
  }
  return sum;
}

#define STEP_KEY(n) (lits[n].column[w + i] ^ lits[n].flip)
// tag := mask and key, for a key of a fixed number of columns.
#define STEP_LOOP(key)                                     \
  for (size_t w = 0; w < words; w += AP_BLOCK_WORDS) {     \
    uint64_t block[AP_BLOCK_WORDS];                        \
    for (size_t i = 0; i < AP_BLOCK_WORDS; i++) {          \
      block[i] = mask[w + i] & (key);                      \
      sum += STEP_POPCOUNT(block[i]);                      \
    }                                                      \
    for (size_t i = 0; i < AP_BLOCK_WORDS; i++) {          \
      tag[w + i] = block[i];                               \
    }                                                      \
  }

STEP_TARGET static uint64_t STEP_NAME(match)(uint64_t *restrict tag, const uint64_t *restrict mask,
                                             const struct ap_operand *lits, unsigned nlits, size_t words) {
  uint64_t sum = 0;
  switch (nlits) {
    case 1: STEP_LOOP(STEP_KEY(0)) return sum;
    case 2: STEP_LOOP(STEP_KEY(0) & STEP_KEY(1)) return sum;
    case 3: STEP_LOOP(STEP_KEY(0) & STEP_KEY(1) & STEP_KEY(2)) return sum;
    case 4: STEP_LOOP(STEP_KEY(0) & STEP_KEY(1) & STEP_KEY(2) & STEP_KEY(3)) return sum;
    default: break;
  }
  for (size_t w = 0; w < words; w++) {
    uint64_t match = mask[w];
    for (unsigned n = 0; n < nlits; n++) {
      match &= lits[n].column[w] ^ lits[n].flip;
    }
    tag[w] = match;
  }
  return STEP_NAME(count)(tag, words);
}
#undef STEP_LOOP
#undef STEP_KEY

STEP_TARGET static uint64_t STEP_NAME(compare)(uint64_t *tag, const uint64_t *mask, const struct ap_operand *lits,
                                               unsigned nlits, size_t words, int accumulate, uint64_t *tagged) {
  if (!accumulate) {
    *tagged = STEP_NAME(match)(tag, mask, lits, nlits, words);
    return *tagged;
  }
  uint64_t matches = 0, sum = 0;
  for (size_t w = 0; w < words; w++) {
    uint64_t match = mask[w];
    for (unsigned n = 0; n < nlits; n++) {
      match &= lits[n].column[w] ^ lits[n].flip;
    }
    matches += STEP_POPCOUNT(match);
    tag[w] |= match;
    sum += STEP_POPCOUNT(tag[w]);
  }
  *tagged = sum;
  return matches;
}

STEP_TARGET static uint64_t STEP_NAME(write)(const uint64_t *restrict tag, const struct ap_operand *lits,
                                             unsigned nlits, size_t words) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < nlits; n++) {
    uint64_t *restrict column = lits[n].column;
    uint64_t flip = lits[n].flip;
    for (size_t w = 0; w < words; w += AP_BLOCK_WORDS) {
      for (size_t i = 0; i < AP_BLOCK_WORDS; i++) {
        uint64_t change = tag[w + i] & (column[w + i] ^ flip);
        column[w + i] ^= change;
        sum += STEP_POPCOUNT(change);
      }
    }
  }
  return sum;
}
