// SPDX-License-Identifier: Apache-2.0
// Body of one variant of the step loops; runtime/steps.c includes it once for each instruction set with STEP_NAME(x), STEP_TARGET,
// STEP_BYTES (of a vector, at most a block), STEP_BITS(v) and STEP_LANES(n) defined. NO INCLUDE GUARD. Bits are counted in two parts:
// STEP_BITS gives the numbers of bits of parts of the 64-bit lanes, STEP_LANES makes sums of them in the lanes out of sums of STEP_GROUP such.
//
// Neither compares nor writes cross rows, so all steps are executed on the rows of a group of vectors, with tag and counters in registers,
// then on the next rows. Each step waits for the one before; the vectors of a group do not wait for each other.

#define STEP_INLINE STEP_TARGET static inline __attribute__((always_inline))
#define STEP_WORDS (STEP_BYTES / sizeof(uint64_t))
#define STEP_EACH(g) _Pragma("GCC unroll 4") for (unsigned g = 0; g < group; g++)  // group: 1 to STEP_GROUP, a constant after inlining

// Operations with a vector take a number for each lane.
typedef uint64_t STEP_NAME(rows) __attribute__((vector_size(STEP_BYTES), may_alias));
typedef uint16_t STEP_NAME(small) __attribute__((vector_size(STEP_BYTES)));
struct STEP_NAME(state) {
  STEP_NAME(rows) mask[STEP_GROUP], tag[STEP_GROUP];
  STEP_NAME(rows) tagged;                   // number of rows in the tag; this and the counters lane by lane, added up at the end
  STEP_NAME(rows) match, written, changed;
};

STEP_INLINE STEP_NAME(rows) STEP_NAME(popcount)(const STEP_NAME(rows) *v, unsigned group) {
  STEP_NAME(rows) sum = {0};
  STEP_EACH(g) { sum += STEP_BITS(v[g]); }
  return STEP_LANES(sum);
}

// Numbers of rows, at most 64 × STEP_GROUP, times a number of literals.
STEP_INLINE STEP_NAME(rows) STEP_NAME(times)(STEP_NAME(rows) numbers, unsigned nlits) {
  return (STEP_NAME(rows))((STEP_NAME(small))numbers * (uint16_t)nlits);
}

STEP_INLINE void STEP_NAME(compare)(struct STEP_NAME(state) *s, const struct ap_operand *lits, unsigned nlits, bool accumulate, size_t at,
                                    unsigned group, bool counted) {
  STEP_NAME(rows) match[STEP_GROUP];
  STEP_EACH(g) { match[g] = s->mask[g]; }
  for (const struct ap_operand *lit = lits; lit < lits + nlits; lit++) {
    const STEP_NAME(rows) *cells = (const STEP_NAME(rows) *)(lit->column + at), value = lit->value + (STEP_NAME(rows)){0};
    STEP_EACH(g) { match[g] &= ~(cells[g] ^ value); }
  }
  STEP_NAME(rows) matching = {0};
  if (counted) {
    matching = STEP_NAME(popcount)(match, group);
    s->match += STEP_NAME(times)(matching, nlits);
  }
  if (accumulate) {
    STEP_EACH(g) { match[g] |= s->tag[g]; }
    matching = counted ? STEP_NAME(popcount)(match, group) : matching;
  }
  STEP_EACH(g) { s->tag[g] = match[g]; }
  s->tagged = matching;
}

// Literal by literal, as fields may share columns.
STEP_INLINE void STEP_NAME(write)(struct STEP_NAME(state) *s, const struct ap_operand *lits, unsigned nlits, size_t at, unsigned group,
                                  bool counted) {
  STEP_NAME(rows) change[STEP_GROUP];
  for (const struct ap_operand *lit = lits; lit < lits + nlits; lit++) {
    STEP_NAME(rows) *cells = (STEP_NAME(rows) *)(lit->column + at), value = lit->value + (STEP_NAME(rows)){0};
    STEP_EACH(g) {
      change[g] = s->tag[g] & (cells[g] ^ value);
      cells[g] ^= change[g];
    }
    if (counted) {
      s->changed += STEP_NAME(popcount)(change, group);
    }
  }
  if (counted) {
    s->written += STEP_NAME(times)(s->tagged, nlits);
  }
}

STEP_INLINE void STEP_NAME(steps)(const struct ap_passes *p, struct STEP_NAME(state) *s, size_t at, unsigned group, bool counted) {
  const struct ap_operand *lits = p->lits;
  for (const struct ap_step *step = p->steps; step < p->steps + p->count; lits += step->nlits, step++) {
    switch (step->kind) {
      case AP_STEP_COMPARE: STEP_NAME(compare)(s, lits, step->nlits, false, at, group, counted); break;
      case AP_STEP_COMPARE_OR: STEP_NAME(compare)(s, lits, step->nlits, true, at, group, counted); break;
      case AP_STEP_WRITE_ALL:
        STEP_EACH(g) { s->tag[g] = s->mask[g]; }
        s->tagged = STEP_NAME(popcount)(s->tag, group);
        STEP_NAME(write)(s, lits, step->nlits, at, group, counted);
        break;
      default: STEP_NAME(write)(s, lits, step->nlits, at, group, counted); break;
    }
  }
}

STEP_INLINE void STEP_NAME(group)(const struct ap_passes *p, struct STEP_NAME(state) *s, size_t at, unsigned group, bool counted) {
  const STEP_NAME(rows) *mask = (const STEP_NAME(rows) *)(p->mask + at);
  STEP_NAME(rows) *tag = (STEP_NAME(rows) *)(p->tag + at);
  STEP_EACH(g) { s->mask[g] = mask[g], s->tag[g] = tag[g]; }
  s->tagged = STEP_NAME(popcount)(s->tag, group);
  STEP_NAME(steps)(p, s, at, group, counted);
  STEP_EACH(g) { tag[g] = s->tag[g]; }
}

STEP_INLINE struct STEP_NAME(state) STEP_NAME(all)(const struct ap_passes *p, bool counted) {
  struct STEP_NAME(state) s = {.match = {0}};
  size_t at = 0;
  for (; at + STEP_GROUP * STEP_WORDS <= p->words; at += STEP_GROUP * STEP_WORDS) {
    STEP_NAME(group)(p, &s, at, STEP_GROUP, counted);
  }
  if (at + 2 * STEP_WORDS <= p->words) {
    STEP_NAME(group)(p, &s, at, 2, counted);
    at += 2 * STEP_WORDS;
  }
  if (at < p->words) {
    STEP_NAME(group)(p, &s, at, 1, counted);
  }
  return s;
}

STEP_TARGET static void STEP_NAME(count)(const struct ap_passes *p, struct ap_kernel_counts *counts) {
  struct STEP_NAME(state) s = STEP_NAME(all)(p, true);
  for (size_t i = 0; i < STEP_WORDS; i++) {
    counts->match_cells += s.match[i];
    counts->written_cells += s.written[i];
    counts->changed_cells += s.changed[i];
  }
}

STEP_TARGET static void STEP_NAME(run)(const struct ap_passes *p) { STEP_NAME(all)(p, false); }
#undef STEP_INLINE
#undef STEP_WORDS
#undef STEP_EACH
