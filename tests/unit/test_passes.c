// SPDX-License-Identifier: Apache-2.0
// Compares and writes of all variants (runtime/steps.h) against rows that are Booleans, one at a time: tags, cells and counters.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/steps.h"

#define COLUMNS 12
#define MOST_WORDS (13 * AP_BLOCK_WORDS)
#define MOST_STEPS 40
#define MOST_LITS 9  // of a step

static uint64_t seed = 7;
static uint64_t next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 33;
}
static uint64_t random_word(void) { return next_random() << 40 ^ next_random() << 20 ^ next_random(); }

struct subject {
  _Alignas(AP_BLOCK_WORDS * sizeof(uint64_t)) uint64_t cells[COLUMNS][MOST_WORDS], mask[MOST_WORDS], tag[MOST_WORDS];
};
struct code {
  struct ap_step steps[MOST_STEPS];
  struct ap_lit lits[MOST_STEPS * MOST_LITS];  // bit: the column; value: AP_LIT_0 or AP_LIT_1
  uint32_t nsteps, nlits;
};

static void random_rows(struct subject *s) {
  for (size_t w = 0; w < MOST_WORDS; w++) {
    s->mask[w] = next_random() % 4 == 0 ? random_word() : ~(uint64_t)0;
    s->tag[w] = random_word() & s->mask[w];
    for (unsigned c = 0; c < COLUMNS; c++) {
      s->cells[c][w] = random_word();
    }
  }
}

// A column may occur twice in a write: fields that share columns are legal.
static void random_code(struct code *code) {
  *code = (struct code){.nsteps = (uint32_t)(next_random() % (MOST_STEPS + 1))};
  for (uint32_t i = 0; i < code->nsteps; i++) {
    struct ap_step *step = &code->steps[i];
    step->kind = (uint8_t)(next_random() % 8 == 0 ? AP_STEP_WRITE_ALL : next_random() % (AP_STEP_WRITE + 1));
    step->nlits = (uint8_t)(1 + (next_random() % 4 == 0 ? next_random() % MOST_LITS : next_random() % 3));
    step->first = code->nlits;
    for (unsigned n = 0; n < step->nlits; n++) {
      code->lits[code->nlits++] = (struct ap_lit){.bit = (uint8_t)(next_random() % COLUMNS), .value = (uint8_t)(next_random() % 2)};
    }
  }
}

static bool get(const uint64_t *words, uint64_t row) { return words[row / 64] >> row % 64 & 1; }
static void set(uint64_t *words, uint64_t row, bool value) {
  words[row / 64] = (words[row / 64] & ~((uint64_t)1 << row % 64)) | (uint64_t)value << row % 64;
}

// What the kinds of steps mean (isa/step_kinds.def), for one row.
static void model_row(const struct code *code, struct subject *s, uint64_t row, struct ap_kernel_counts *counts) {
  for (uint32_t i = 0; i < code->nsteps; i++) {
    const struct ap_step *step = &code->steps[i];
    const struct ap_lit *lits = &code->lits[step->first];
    if (step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_COMPARE_OR) {
      bool match = get(s->mask, row);
      for (unsigned n = 0; n < step->nlits; n++) {
        match = match && get(s->cells[lits[n].bit], row) == lits[n].value;
      }
      counts->match_cells += match ? step->nlits : 0;
      set(s->tag, row, match || (step->kind == AP_STEP_COMPARE_OR && get(s->tag, row)));
      continue;
    }
    if (step->kind == AP_STEP_WRITE_ALL) {
      set(s->tag, row, get(s->mask, row));
    }
    for (unsigned n = 0; n < step->nlits && get(s->tag, row); n++) {
      counts->written_cells++;
      counts->changed_cells += get(s->cells[lits[n].bit], row) != lits[n].value;
      set(s->cells[lits[n].bit], row, lits[n].value);
    }
  }
}

static void resolve(const struct code *code, struct subject *s, struct ap_operand *to) {
  for (uint32_t n = 0; n < code->nlits; n++) {
    to[n] = (struct ap_operand){s->cells[code->lits[n].bit], code->lits[n].value ? ~(uint64_t)0 : 0};
  }
}

// Whole columns are compared, those words too that the passes must leave alone.
static void check(const struct ap_steps *variant, const struct code *code, const struct subject *start, const struct subject *want,
                  const struct ap_kernel_counts *counts, size_t words) {
  static struct subject got;
  struct ap_operand lits[MOST_STEPS * MOST_LITS];
  const struct ap_passes passes = {code->steps, code->nsteps, lits, got.mask, got.tag, words};
  resolve(code, &got, lits);
  for (int counted = 0; counted < 2; counted++) {
    struct ap_kernel_counts sum = {1, 2, 3};
    memcpy(&got, start, sizeof got);
    if (counted) {
      variant->count(&passes, &sum);
      assert_int_equal(sum.match_cells, counts->match_cells + 1);
      assert_int_equal(sum.written_cells, counts->written_cells + 2);
      assert_int_equal(sum.changed_cells, counts->changed_cells + 3);
    } else {
      variant->run(&passes);
    }
    assert_memory_equal(&got, want, sizeof got);
  }
}

static void test_variants(void **state) {
  (void)state;
  static struct subject start, want;
  static struct code code;
  unsigned variants = 0;
  for (int round = 0; round < 300; round++) {
    struct ap_kernel_counts counts = {0};
    size_t words = (size_t)(round % (MOST_WORDS / AP_BLOCK_WORDS + 1)) * AP_BLOCK_WORDS;
    random_rows(&start);
    random_code(&code);
    want = start;
    for (uint64_t row = 0; row < 64 * words; row++) {
      model_row(&code, &want, row, &counts);
    }
    for (variants = 0; ap_steps_variant(variants) != NULL; variants++) {
      check(ap_steps_variant(variants), &code, &start, &want, &counts, words);
    }
  }
  assert_true(variants >= 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_variants)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
