// SPDX-License-Identifier: Apache-2.0
// Sums of two operands as one map, for every pair of contents, against the two rescalings and the rule that it replaces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ir/reference.h"
#include "passes/sum_map.h"
#include "tests/support/random_graph.h"

static int64_t by_map(const struct bf_sum_map *m, const struct bf_requant *rq, uint64_t a, uint64_t b) {
  for (size_t i = 0; i < m->npairs; i++)
    if (m->pairs[i].content[0] == a && m->pairs[i].content[1] == b) return m->pairs[i].y + rq->out_zero;
  int64_t y = ((m->m[0] * (int64_t)a + m->m[1] * (int64_t)b + m->r) >> m->s) + rq->out_zero;
  return y < rq->lo ? rq->lo : y > rq->hi ? rq->hi : y;
}

static void test_all_pairs(void **state) {
  (void)state;
  struct rng rng = {5};
  unsigned found = 0, with_pairs = 0;
  for (int round = 0; round < 60; round++) {
    struct bf_sum_operand operands[2];
    int64_t low = 0, high = 0;
    for (int i = 0; i < 2; i++) {
      operands[i].lo = (uint64_t)rng_range(&rng, 0, 20);
      operands[i].hi = (uint64_t)rng_range(&rng, 40, 255);
      int64_t scale = rng_range(&rng, 1 << 18, 1 << 20), zero = rng_range(&rng, 0, 255), sign = i && round % 3 == 0 ? -1 : 1;
      for (uint64_t u = operands[i].lo; u <= operands[i].hi; u++) operands[i].value[u - operands[i].lo] = sign * (((int64_t)u - zero) * scale + 64) / 128;
      int64_t first = operands[i].value[0], last = operands[i].value[operands[i].hi - operands[i].lo];
      low += first < last ? first : last;
      high += first < last ? last : first;
    }
    int64_t mult = rng_range(&rng, 1 << 30, INT32_MAX);
    int32_t shift = (int32_t)rng_range(&rng, -14, -11);
    struct bf_requant rq = {.mode = BF_REQUANT_TFLITE, .count = 1, .mult = &mult, .shift = &shift, .out_zero = rng_range(&rng, -20, 20), .lo = rng_range(&rng, -128, 0), .hi = 127};
    struct bf_steps steps;
    struct bf_sum_map map = {.npairs = 0};
    struct bf_sum_costs costs = {{64, 64}, 2, 1500, 32};
    assert_true(bf_steps_of(&steps, &rq, 0, low, high));
    bf_steps_leave_to_clamp(&steps, &rq);
    if (bf_sum_map_of(operands, &steps, bf_requant_slope(&rq, 0), &costs, &map)) {
      found++;
      with_pairs += map.npairs > 0;
      for (uint64_t a = operands[0].lo; a <= operands[0].hi; a++)
        for (uint64_t b = operands[1].lo; b <= operands[1].hi; b++)
          assert_int_equal(by_map(&map, &rq, a, b), bf_ref_requant(&rq, 0, operands[0].value[a - operands[0].lo] + operands[1].value[b - operands[1].lo]));
    }
    bf_steps_free(&steps);
    free(map.pairs);
  }
  assert_true(found > 40 && with_pairs > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_pairs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
