// SPDX-License-Identifier: Apache-2.0
// One variant of the pattern kernel: PATTERN_NAME names it, PATTERN_TARGET says for which instruction set.
// NO INCLUDE GUARD: included several times.

// Rows of `mask` whose field b holds one of the table's keys.
PATTERN_TARGET static void PATTERN_NAME(match)(const struct ap_pattern_table *table, const column *b, const column *mask, column *out) {
  unsigned bits = table->width[2];
  if (table->nkeys == 1u << bits) {
    *out = *mask;
    return;
  }
  column any = *mask ^ *mask;
  for (unsigned k = 0; k < table->nkeys; k++) {
    column match = *mask;
    for (unsigned i = 0; i < bits; i++) {
      match &= table->keys[k] >> i & 1 ? b[i] : ~b[i];
    }
    any |= match;
  }
  *out = any;
}

// Turns 64 columns of 64-bit numbers, number r of lane w that of row 64 w + r, into bit columns. Only the first `width` are made.
PATTERN_TARGET static void PATTERN_NAME(turn)(column *x, unsigned width) {
  static const uint64_t LOW[6] = {UINT64_C(0x5555555555555555), UINT64_C(0x3333333333333333), UINT64_C(0x0f0f0f0f0f0f0f0f),
                                  UINT64_C(0x00ff00ff00ff00ff), UINT64_C(0x0000ffff0000ffff), UINT64_C(0x00000000ffffffff)};
  for (unsigned stage = 6; stage-- > 0;) {
    unsigned half = 1u << stage;
    uint64_t low = LOW[stage];
    for (unsigned base = 0; base < width; base += 2 * half) {
      bool upper = base + half < width;
      for (unsigned i = base; i < base + half; i++) {
        column p = x[i], q = x[i + half];
        x[i] = (p & low) | (q & low) << half;
        if (upper) {
          x[i + half] = (p >> half & low) | (q & ~low);
        }
      }
    }
  }
}

PATTERN_TARGET static uint64_t PATTERN_NAME(total)(const column *x) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    sum += PATTERN_POPCOUNT((*x)[i]);
  }
  return sum;
}

// d := the values in the matching rows; returns how many cells that changes.
PATTERN_TARGET static uint64_t PATTERN_NAME(write)(column *d, const column *values, unsigned width, const column *match, bool counted) {
  uint64_t changed = 0;
  for (unsigned i = 0; i < width; i++) {
    column change = (d[i] ^ values[i]) & *match;
    d[i] ^= change;
    if (counted) {
      changed += PATTERN_NAME(total)(&change);
    }
  }
  return changed;
}

PATTERN_TARGET static bool PATTERN_NAME(none)(const column *x) {
  uint64_t any = 0;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    any |= (*x)[i];
  }
  return any == 0;
}

PATTERN_TARGET static void PATTERN_NAME(run)(const struct ap_pattern_table *table, uint64_t *d, const uint64_t *a, const uint64_t *b,
                                             const uint64_t *mask, struct ap_kernel_counts *counts) {
  _Alignas(64) uint16_t index[AP_BLOCK_ROWS];
  column x[64], match;
  unsigned width = table->width[0];
  PATTERN_NAME(match)(table, (const column *)b, (const column *)mask, &match);
  if (PATTERN_NAME(none)(&match)) {
    return;
  }
  find_indices(table, a, b, index);
  const uint64_t *values = table->values;
  uint64_t *to = (uint64_t *)x;
  for (unsigned r = 0; r < 64; r++, to += AP_COLUMN_WORDS) {
    for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
      to[w] = values[index[64 * w + r]];
    }
  }
  PATTERN_NAME(turn)(x, width);
  uint64_t changed = PATTERN_NAME(write)((column *)d, x, width, &match, counts != NULL);
  if (counts != NULL) {
    uint64_t rows = PATTERN_NAME(total)(&match);
    counts->match_cells += rows * ((uint64_t)table->width[1] + table->width[2]);
    counts->written_cells += rows * width;
    counts->changed_cells += changed;
  }
}
#undef PATTERN_NAME
#undef PATTERN_TARGET
#undef PATTERN_POPCOUNT
