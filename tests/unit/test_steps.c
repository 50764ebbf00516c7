// SPDX-License-Identifier: Apache-2.0
// Steps of requantizations, and the multiplications found for them, against the reference at every sum of a range.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/reference.h"
#include "passes/steps.h"
#include "tests/support/random_graph.h"

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static int64_t by_steps(const struct bf_steps *s, int64_t v) {
  int64_t y = s->y0;
  for (uint32_t i = 0; i < s->count; i++) y += v >= s->at[i];
  return y;
}

static int64_t by_affine(const struct bf_affine *a, int64_t v) {
  return (int64_t)(((__int128)v * a->m + a->r[v >= 0]) >> a->s);
}

static struct bf_requant random_rule(struct rng *rng, int64_t *mult, int32_t *shift, int64_t *add, float *scale) {
  static const enum bf_requant_mode modes[] = {BF_REQUANT_TFLITE, BF_REQUANT_TFLITE16, BF_REQUANT_DYADIC,
                                               BF_REQUANT_AFFINE_FLOOR, BF_REQUANT_FLOAT_RNE};
  struct bf_requant rq = {.mode = modes[rng_next(rng) % BF_COUNT(modes)], .count = 1, .mult = mult, .shift = shift, .add = add,
                          .fscale = scale};
  bool tflite = rq.mode == BF_REQUANT_TFLITE || rq.mode == BF_REQUANT_TFLITE16;
  *mult = tflite ? rng_range(rng, 1 << 30, INT32_MAX) : rng_range(rng, 0, 100000);
  *shift = (int32_t)(tflite ? rng_range(rng, -10, 2) : rng_range(rng, 0, 24));
  *add = rng_range(rng, -1000000, 1000000);
  *scale = rng_next(rng) % 4 ? (float)rng_range(rng, 0, 1000000) / 1e7f : 1.0f / (float)(1 << rng_range(rng, 0, 10));
  rq.out_zero = rng_range(rng, -128, 127);
  rq.lo = rng_range(rng, -128, 127);
  rq.hi = rng_range(rng, rq.lo, 127);
  return rq;
}

static void test_random_rules(void **state) {
  (void)state;
  struct rng rng = {11};
  unsigned maps = 0, two = 0;
  for (int round = 0; round < 3000; round++) {
    int64_t mult, add;
    int32_t shift;
    float scale;
    struct bf_requant rq = random_rule(&rng, &mult, &shift, &add, &scale);
    int64_t first = rng_range(&rng, -3000, 1000), last = rng_range(&rng, first, first + 4000);
    struct bf_steps steps;
    assert_true(bf_steps_of(&steps, &rq, 0, first, last));
    struct bf_affine a;
    bool fits = bf_steps_affine(&steps, bf_requant_slope(&rq, 0), &a);
    maps += fits;
    two += fits && !a.same;
    for (int64_t v = first; v <= last; v++) {
      int64_t want = bf_ref_requant(&rq, 0, v);
      assert_int_equal(by_steps(&steps, v) + rq.out_zero, want);
      if (fits) assert_int_equal(clamp(by_affine(&a, v) + rq.out_zero, rq.lo, rq.hi), want);
    }
    bf_steps_free(&steps);
  }
  assert_true(maps > 1500 && two > 0);
}

static void test_not_ascending(void **state) {
  (void)state;
  int64_t mult = -3, add = 0;
  int32_t shift = 2;
  struct bf_steps steps;
  struct bf_requant rq = {.mode = BF_REQUANT_AFFINE_FLOOR, .count = 1, .mult = &mult, .shift = &shift, .add = &add, .lo = -8, .hi = 7};
  assert_false(bf_steps_of(&steps, &rq, 0, -10, 10));
  mult = 1;
  rq.lo = INT16_MIN, rq.hi = INT16_MAX;
  assert_false(bf_steps_of(&steps, &rq, 0, -1000000, 1000000));  // too many steps
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_rules), cmocka_unit_test(test_not_ascending)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
