// SPDX-License-Identifier: Apache-2.0
// Each row of a pattern instruction matches exactly one compare (if its key does), so its write is known at once, and so are the
// counters: the passes need not be gone through.
#include "runtime/pattern_internal.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/slices.h"

void ap_pattern_begin(struct ap_pattern_table *table, const uint8_t width[3]) {
  size_t values = (size_t)1 << (width[1] + width[2]);
  values = values < 64 ? 64 : values;  // what variants read at once
  if (values > table->capacity) {
    free(table->values);
    table->values = bf_alloc(values, sizeof *table->values);  // zeros: keys that are absent are looked up, too
    table->capacity = values;
  }
  memcpy(table->width, width, sizeof table->width);
  table->nkeys = 0;
}

bool ap_pattern_add(struct ap_pattern_table *table, const struct ap_pattern *pattern) {
  for (unsigned i = 0; i < table->nkeys; i++) {
    if (table->keys[i] == pattern->key) {
      return false;
    }
  }
  table->keys[table->nkeys++] = (uint8_t)pattern->key;
  uint64_t *to = table->values + (pattern->key << table->width[1]);
  to[0] = pattern->base;
  for (unsigned i = 0; i < table->width[1]; i++) {
    for (unsigned p = 0; p < 1u << i; p++) {
      to[1u << i | p] = to[p] + pattern->add[i];
    }
  }
  return true;
}

void ap_pattern_free(struct ap_pattern_table *table) {
  free(table->values);
  free(table->planes);
  *table = (struct ap_pattern_table){0};
}

// Where each row's value stands in the table.
static void find_indices(const struct ap_pattern_table *table, const uint64_t *a, const uint64_t *b, uint16_t *index) {
  _Alignas(64) uint8_t of_a[AP_BLOCK_ROWS], of_b[AP_BLOCK_ROWS];
  unsigned shift = table->width[1];
  ap_unslice(a, AP_COLUMN_WORDS, shift, of_a, 1, AP_BLOCK_ROWS);
  if (table->width[2] == 0) {
    for (unsigned r = 0; r < AP_BLOCK_ROWS; r++) {
      index[r] = of_a[r];
    }
    return;
  }
  ap_unslice(b, AP_COLUMN_WORDS, table->width[2], of_b, 1, AP_BLOCK_ROWS);
  for (unsigned r = 0; r < AP_BLOCK_ROWS; r++) {
    index[r] = (uint16_t)(of_a[r] | of_b[r] << shift);
  }
}

// A column of the block.
typedef uint64_t column __attribute__((vector_size(AP_COLUMN_WORDS * sizeof(uint64_t)), may_alias));

static inline uint64_t count_bits(uint64_t x) {
  x -= x >> 1 & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return x * UINT64_C(0x0101010101010101) >> 56;
}
#define PATTERN_NAME(x) x##_portable
#define PATTERN_TARGET
#define PATTERN_POPCOUNT(x) count_bits(x)
#include "runtime/pattern_body.h"

#if defined(__x86_64__)
#define PATTERN_NAME(x) x##_avx2
#define PATTERN_TARGET __attribute__((target("avx2,popcnt")))
#define PATTERN_POPCOUNT(x) (uint64_t) __builtin_popcountll(x)
#include "runtime/pattern_body.h"

#define PATTERN_NAME(x) x##_avx512
#define PATTERN_TARGET __attribute__((target("avx512f,avx512bw,avx512vpopcntdq,popcnt")))
#define PATTERN_POPCOUNT(x) (uint64_t) __builtin_popcountll(x)
#include "runtime/pattern_body.h"
#endif

static const struct ap_pattern_variant VARIANTS[] = {
    {"portable", NULL, run_portable},
#if defined(__x86_64__)
    {"avx2", NULL, run_avx2},
    {"avx512", NULL, run_avx512},
#endif
};
#if defined(__x86_64__)
enum { AVX2 = 1, AVX512, VBMI };

void ap_pattern_match(const struct ap_pattern_table *table, const uint64_t *b, const uint64_t *mask, uint64_t *out) {
  match_avx512(table, (const column *)b, (const column *)mask, (column *)out);
}
void ap_pattern_wide(const struct ap_pattern_table *table, uint64_t *d, const uint64_t *a, const uint64_t *b, const uint64_t *mask,
                     struct ap_kernel_counts *counts) {
  run_avx512(table, d, a, b, mask, counts);
}
#endif

const struct ap_pattern_variant *ap_pattern_variant(unsigned i) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if ((i == AVX2 && !__builtin_cpu_supports("avx2")) ||
      (i == AVX512 && !(__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vpopcntdq")))) {
    return NULL;
  }
  if (i == VBMI) {
    return ap_pattern_has_vbmi() ? &ap_pattern_vbmi : NULL;
  }
#endif
  return i < BF_COUNT(VARIANTS) ? &VARIANTS[i] : NULL;
}

const struct ap_pattern_variant *ap_pattern_select(void) {
  for (unsigned i = BF_COUNT(VARIANTS); i > 0; i--) {  // the last one may stand apart
    if (ap_pattern_variant(i) != NULL) {
      return ap_pattern_variant(i);
    }
  }
  return &VARIANTS[0];
}

static bool same_program(const struct ap_micro *x, const struct ap_micro *y) {
  return x->nsteps == y->nsteps && x->nlits == y->nlits && memcmp(x->steps, y->steps, x->nsteps * sizeof *x->steps) == 0 &&
         memcmp(x->lits, y->lits, x->nlits * sizeof *x->lits) == 0;
}

// It has one form for arrays with the wide write and one for others.
bool ap_pattern_plain(const struct ap_micro *micro) {
  bool same = false;
  for (unsigned wide = 0; wide < 2 && !same && micro->op == AP_OP_PATTERN; wide++) {
    struct ap_micro made;
    if (ap_micro_generate(micro->op, micro->width, wide ? AP_FEATURE_WIDE_WRITE : 0, &made)) {
      same = same_program(micro, &made);
      ap_micro_free(&made);
    }
  }
  return same;
}
