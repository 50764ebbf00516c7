// SPDX-License-Identifier: Apache-2.0
// A microcode program on one block of rows, step by step in plain C: what kernels are tested against, and what runs where there
// is no kernel. Compiled once for any processor and once for those with vectors of 512 bits.
#include <string.h>

#include "runtime/kernel.h"

struct block {
  uint64_t *slot[4];  // first column of d, a, b and the flags
  const uint64_t *mask;
  uint64_t tag[AP_COLUMN_WORDS];
  uint64_t imm;
  const struct ap_pattern *pattern;  // NULL: none
  uint64_t sum;                      // of the pattern, for the latest compare
  struct ap_kernel_counts counts;
};
_Static_assert(AP_SLOT_D == 0 && AP_SLOT_A == 1 && AP_SLOT_B == 2 && AP_SLOT_FLAG == 3, "slots are indices");

// ~0 or 0. The sum register stays 0: no step of such a program adds to it.
static uint64_t literal(const struct block *b, const struct ap_lit *lit) {
  switch (lit->value) {
    case AP_LIT_1: return ~(uint64_t)0;
    case AP_LIT_K: return -(b->imm >> lit->kbit & 1);
    case AP_LIT_NOT_K: return -(~b->imm >> lit->kbit & 1);
    case AP_LIT_P: return -(b->sum >> lit->kbit & 1);
    default: return 0;
  }
}

static uint64_t *column(const struct block *b, const struct ap_lit *lit) {
  return b->slot[lit->slot] + (size_t)lit->bit * AP_COLUMN_WORDS;
}

#define INLINE static inline __attribute__((always_inline))  // into each variant, whose instructions it takes

INLINE uint64_t count_rows(const uint64_t *words) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    sum += (uint64_t)__builtin_popcountll(words[i]);
  }
  return sum;
}

INLINE void compare(struct block *b, const struct ap_lit *lits, unsigned nlits, bool accumulate, bool counted) {
  uint64_t match[AP_COLUMN_WORDS];
  unsigned searched = 0;  // bits of field a that must be 1
  memcpy(match, b->mask, sizeof match);
  for (unsigned n = 0; n < nlits; n++) {
    const uint64_t *cells = column(b, &lits[n]);
    uint64_t flip = ~literal(b, &lits[n]);
    searched |= lits[n].slot == AP_SLOT_A && flip == 0 ? 1u << lits[n].bit % 32 : 0;
    for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
      match[i] &= cells[i] ^ flip;
    }
  }
  if (counted) {
    b->counts.match_cells += nlits * count_rows(match);
  }
  b->sum = b->pattern != NULL ? ap_pattern_sum(b->pattern, searched) : 0;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    b->tag[i] = match[i] | (accumulate ? b->tag[i] : 0);
  }
}

// Literal by literal, as fields may share columns.
INLINE void write_tagged(struct block *b, const struct ap_lit *lits, unsigned nlits, bool counted) {
  if (counted) {
    b->counts.written_cells += nlits * count_rows(b->tag);
  }
  for (unsigned n = 0; n < nlits; n++) {
    uint64_t *cells = column(b, &lits[n]), value = literal(b, &lits[n]), changed[AP_COLUMN_WORDS];
    for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
      changed[i] = b->tag[i] & (cells[i] ^ value);
      cells[i] ^= changed[i];
    }
    if (counted) {
      b->counts.changed_cells += count_rows(changed);
    }
  }
}

INLINE void run_steps(struct block *b, const struct ap_micro *micro, bool counted) {
  for (uint32_t s = 0; s < micro->nsteps; s++) {
    const struct ap_step *step = &micro->steps[s];
    const struct ap_lit *lits = &micro->lits[step->first];
    switch (step->kind) {
      case AP_STEP_COMPARE:
      case AP_STEP_COMPARE_OR: compare(b, lits, step->nlits, step->kind == AP_STEP_COMPARE_OR, counted); break;
      case AP_STEP_WRITE_ALL: memcpy(b->tag, b->mask, sizeof b->tag);  // fall through
      default: write_tagged(b, lits, step->nlits, counted); break;
    }
  }
}

typedef void run_function(struct block *b, const struct ap_micro *micro);
static void run_any(struct block *b, const struct ap_micro *micro) { run_steps(b, micro, false); }
static void count_any(struct block *b, const struct ap_micro *micro) { run_steps(b, micro, true); }
#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vpopcntdq,popcnt")))
WIDE static void run_wide(struct block *b, const struct ap_micro *micro) { run_steps(b, micro, false); }
WIDE static void count_wide(struct block *b, const struct ap_micro *micro) { run_steps(b, micro, true); }
static bool has_wide(void) {
  return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vpopcntdq");
}
#else
static run_function *const run_wide = run_any, *const count_wide = count_any;
static bool has_wide(void) { return false; }
#endif

// counts: NULL to count nothing.
static void run(struct block *b, const struct ap_micro *micro, struct ap_kernel_counts *counts) {
  run_function *wide = counts != NULL ? count_wide : run_wide, *any = counts != NULL ? count_any : run_any;
  (has_wide() ? wide : any)(b, micro);
  if (counts != NULL) {
    counts->match_cells += b->counts.match_cells;
    counts->written_cells += b->counts.written_cells;
    counts->changed_cells += b->counts.changed_cells;
  }
}

void ap_block_run(const struct ap_micro *micro, uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, uint64_t *tag,
                  const uint64_t *mask, uint64_t imm, struct ap_kernel_counts *counts) {
  struct block block = {.slot = {d, a, b, flags}, .mask = mask, .imm = imm};
  enum ap_tag_use use = ap_op_info(micro->op)->tag;
  for (unsigned i = 0; i < AP_COLUMN_WORDS && (use == AP_TAG_USES || use == AP_TAG_TAKES); i++) {
    block.tag[i] = tag[i] & mask[i];
  }
  run(&block, micro, counts);
  if (use == AP_TAG_USES || use == AP_TAG_SETS) {
    memcpy(tag, block.tag, sizeof block.tag);
  }
}

void ap_block_run_pattern(const struct ap_micro *micro, const struct ap_pattern *pattern, uint64_t *d, uint64_t *a, uint64_t *b,
                          uint64_t *flags, const uint64_t *mask, struct ap_kernel_counts *counts) {
  struct block block = {.slot = {d, a, b, flags}, .mask = mask, .imm = pattern->key, .pattern = pattern, .sum = pattern->base};
  run(&block, micro, counts);
}
