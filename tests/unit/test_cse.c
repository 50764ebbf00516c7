// SPDX-License-Identifier: Apache-2.0
// Common subexpressions of ternary matrices: every result is multiplied back; savings are those that facts about random slices say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/cse.h"
#include "tests/support/random_graph.h"

static int8_t *random_matrix(struct rng *rng, uint32_t rows, uint32_t inputs, double sparsity) {
  int8_t *m = bf_alloc((size_t)rows * inputs + 1, 1);
  for (size_t i = 0; i < (size_t)rows * inputs; i++) {
    bool zero = rng_next(rng) < sparsity * 4294967296.0;
    int8_t sign = rng_next(rng) >> 16 & 1 ? 1 : -1;
    m[i] = zero ? 0 : sign;
  }
  return m;
}

// Additions without any sharing.
static struct bf_cse_count plain(const int8_t *m, uint32_t rows, uint32_t inputs) {
  struct bf_cse_count count = {0, 0};
  for (uint32_t r = 0; r < rows; r++) {
    uint64_t terms = 0;
    for (uint32_t c = 0; c < inputs; c++) terms += m[(size_t)r * inputs + c] != 0;
    count.all += terms;
    count.local += terms ? terms - 1 : 0;
  }
  return count;
}

// Fewer additions in percent for random 3 x 3 slices of one input channel, greedy top-down, one random matrix a cell (a
// computation of its own, independent of this code).
static const struct { uint32_t rows; double sparsity[5], all[5], local[5]; } table[] = {
    {64, {0.5, 0.7, 0.8, 0.85, 0.9}, {41, 28, 15, 6, 5}, {52, 40, 28, 18, 14}},
    {128, {0.5, 0.7, 0.8, 0.85, 0.9}, {43, 29, 23, 12, 4}, {56, 45, 41, 33, 14}},
    {256, {0.5, 0.7, 0.8, 0.85, 0.9}, {47, 36, 26, 17, 11}, {61, 56, 50, 41, 34}},
    {512, {0.5, 0.7, 0.8, 0.85, 0.9}, {53, 39, 30, 26, 14}, {68, 62, 60, 58, 47}},
};
enum { SEEDS = 40 };

static void test_savings(void **state) {
  (void)state;
  struct rng rng = {77};
  struct bf_cse cse = {0};
  for (size_t i = 0; i < BF_COUNT(table); i++)
    for (int s = 0; s < 5; s++) {
      double sum = 0, least = 100, most = 0, local = 0;
      for (int seed = 0; seed < SEEDS; seed++) {
        int8_t *m = random_matrix(&rng, table[i].rows, 9, table[i].sparsity[s]);
        bf_cse_top_down(&cse, m, table[i].rows, 9, UINT32_MAX);
        assert_true(bf_cse_check(&cse, m));
        struct bf_cse_count before = plain(m, table[i].rows, 9), after = bf_cse_count_of(&cse);
        double saved = 100.0 * (double)(before.all - after.all) / (double)before.all;
        sum += saved;
        local += 100.0 * (double)(before.local - after.local) / (double)before.local;
        if (saved < least) least = saved;
        if (saved > most) most = saved;
        free(m);
      }
      print_message("%u channels, %.0f %% zeros: %.1f %% fewer additions (%.1f to %.1f), table %.0f; in the slice %.1f, table %.0f\n",
                    table[i].rows, 100 * table[i].sparsity[s], sum / SEEDS, least, most, table[i].all[s], local / SEEDS, table[i].local[s]);
      assert_true(sum / SEEDS > table[i].all[s] - 3);
      assert_true(table[i].all[s] > least - 1 && table[i].all[s] < most + 1);  // one matrix among others
    }
  bf_cse_free(&cse);
}

static void test_random(void **state) {
  (void)state;
  struct rng rng = {3};
  struct bf_cse cse = {0};
  for (int i = 0; i < 600; i++) {
    uint32_t rows = (uint32_t)rng_range(&rng, 1, 80), inputs = (uint32_t)rng_range(&rng, 1, 90);
    int8_t *m = random_matrix(&rng, rows, inputs, (double)rng_range(&rng, 0, 10) / 10);
    struct bf_cse_count before = plain(m, rows, inputs);
    bf_cse_top_down(&cse, m, rows, inputs, UINT32_MAX);
    assert_true(bf_cse_check(&cse, m));
    assert_true(bf_cse_count_of(&cse).all <= before.all);
    uint32_t most = (uint32_t)rng_range(&rng, 0, 5);
    bf_cse_top_down(&cse, m, rows, inputs, most);
    assert_true(bf_cse_check(&cse, m) && cse.nops <= most);
    bf_cse_bottom_up(&cse, m, rows, inputs);
    assert_true(bf_cse_check(&cse, m));
    assert_true(bf_cse_count_of(&cse).all <= before.all);
    free(m);
  }
  bf_cse_free(&cse);
}

// The check itself sees an altered sign, operand and term.
static void test_check(void **state) {
  (void)state;
  static const int8_t m[] = {1, -1, 1, 0, -1, 1, 0, 1, 1, -1, 1, 1};
  struct bf_cse cse = {0};
  bf_cse_top_down(&cse, m, 3, 4, UINT32_MAX);
  assert_true(cse.nops > 0 && bf_cse_check(&cse, m));
  cse.ops[0].sign = (int8_t)-cse.ops[0].sign;
  assert_false(bf_cse_check(&cse, m));
  cse.ops[0].sign = (int8_t)-cse.ops[0].sign;
  cse.terms[0].sign = (int8_t)-cse.terms[0].sign;
  assert_false(bf_cse_check(&cse, m));
  cse.terms[0].sign = (int8_t)-cse.terms[0].sign;
  cse.ops[0].b = 4;
  assert_false(bf_cse_check(&cse, m));
  bf_cse_free(&cse);
}

// Two rows of eight with six columns in common take one part; pairs alone would need more columns.
static void test_known(void **state) {
  (void)state;
  static const int8_t m[] = {1, -1, 1, 1, -1, 1, 1, 0, -1, 1, -1, -1, 1, -1, 0, 1};
  struct bf_cse cse = {0};
  bf_cse_bottom_up(&cse, m, 2, 8);
  assert_true(bf_cse_check(&cse, m));
  assert_int_equal(bf_cse_count_of(&cse).local, 7);  // 5 for the part, one each; 12 without
  bf_cse_free(&cse);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_savings), cmocka_unit_test(test_random), cmocka_unit_test(test_check),
                                     cmocka_unit_test(test_known)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
