// SPDX-License-Identifier: Apache-2.0
// Steps of requantizations, and the multiplications found for them, against the reference at every sum of a range.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ir/reference.h"
#include "passes/near.h"
#include "passes/stairs.h"
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

// A nearly right multiplication, clamped and put right, at every sum; the list holds no sum twice.
static void check_near(const struct bf_requant *rq, const struct bf_steps *steps, const struct bf_affine *a) {
  struct bf_fixes fixes = {0};
  bf_fixes_of(steps, a, &fixes);
  for (int64_t v = steps->first; v <= steps->last; v++) {
    int64_t want = bf_ref_requant(rq, 0, v), got = clamp(by_affine(a, v) + rq->out_zero, rq->lo, rq->hi);
    unsigned listed = 0;
    for (size_t i = 0; i < fixes.count; i++) {
      if (v < fixes.items[i].first || v > fixes.items[i].last) continue;
      assert_int_equal(fixes.items[i].y + rq->out_zero, want);
      if (want != rq->lo && want != rq->hi) assert_int_not_equal(got, want);  // a clamp may do it, too
      listed++;
    }
    if (!listed) assert_int_equal(got, want);
    assert_true(listed <= 1);
  }
  free(fixes.items);
}

static void test_near(void **state) {
  (void)state;
  struct rng rng = {12};
  unsigned found = 0;
  for (int round = 0; round < 1500; round++) {
    int64_t mult, add;
    int32_t shift;
    float scale;
    struct bf_requant rq = random_rule(&rng, &mult, &shift, &add, &scale);
    int64_t first = rng_range(&rng, -3000, 1000), last = rng_range(&rng, first, first + 4000);
    struct bf_steps steps;
    struct bf_affine a = {.m = rng_range(&rng, 1, 400), .s = (unsigned)rng_range(&rng, 0, 14), .r = {rng_range(&rng, -2000, 2000), 0}, .same = true};
    a.r[1] = a.r[0];
    assert_true(bf_steps_of(&steps, &rq, 0, first, last));
    check_near(&rq, &steps, &a);  // any map at all
    struct bf_near_costs costs = {.digit_cycles = 100, .fix_cycles = 2, .bound = 500, .most = 40, .bias = -first};
    double cycles;
    if (bf_steps_near(&steps, bf_requant_slope(&rq, 0), &costs, &a, &cycles)) {
      check_near(&rq, &steps, &a);
      assert_true(cycles < costs.bound);
      found++;
    }
    bf_steps_free(&steps);
  }
  assert_true(found > 300);
}

// Staircases by nested ranges at every number, and never more ranges than the boundaries of all steps can need.
static void test_stairs(void **state) {
  (void)state;
  struct rng rng = {13};
  for (int round = 0; round < 2000; round++) {
    unsigned bits = (unsigned)rng_range(&rng, 1, 12);
    uint64_t at[BF_MOST_STAIRS], lo = (uint64_t)rng_range(&rng, 0, (1 << bits) - 1), hi = (uint64_t)rng_range(&rng, (int64_t)lo, (1 << bits) - 1);
    uint32_t n = (uint32_t)rng_range(&rng, 0, BF_MOST_STAIRS);
    for (uint32_t i = 0; i < n; i++) at[i] = (uint64_t)rng_range(&rng, i ? (int64_t)at[i - 1] : 0, (1 << bits));
    struct bf_stairs stairs;
    bf_stairs_plan(&stairs, bits, at, n, lo, hi);
    for (uint64_t x = lo; x <= hi; x++) {
      uint32_t want = 0, got = stairs.preset;
      while (want < n && at[want] <= x) want++;
      for (size_t i = 0; i < stairs.count; i++)
        if (x >> stairs.items[i].shift == stairs.items[i].key) got = stairs.items[i].value;
      assert_int_equal(got, want);
    }
    assert_true(stairs.count <= (size_t)n * bits);
    free(stairs.items);
  }
}

// Every multiplier, shift and interval of a small world, all modes with integers: nothing is sampled.
static void test_all_small_rules(void **state) {
  (void)state;
  static const enum bf_requant_mode modes[] = {BF_REQUANT_DYADIC, BF_REQUANT_AFFINE_FLOOR, BF_REQUANT_TFLITE, BF_REQUANT_TFLITE16};
  for (size_t k = 0; k < BF_COUNT(modes); k++)
    for (int64_t m = 0; m < 48; m++)
      for (int32_t s = 0; s <= 6; s++) {
        bool tflite = modes[k] == BF_REQUANT_TFLITE || modes[k] == BF_REQUANT_TFLITE16;
        int64_t mult = tflite ? (1 << 30) + m * 22369621 : m, add = m * 5 - 100;
        int32_t shift = tflite ? 1 - s : s;
        struct bf_requant rq = {.mode = modes[k], .count = 1, .mult = &mult, .shift = &shift, .add = &add, .lo = -8, .hi = 7};
        for (int64_t first = -70; first <= 10; first += 40) {
          struct bf_steps steps;
          struct bf_affine a;
          assert_true(bf_steps_of(&steps, &rq, 0, first, 70));
          bool fits = bf_steps_affine(&steps, bf_requant_slope(&rq, 0), &a);
          for (int64_t v = first; v <= 70; v++) {
            assert_int_equal(by_steps(&steps, v), bf_ref_requant(&rq, 0, v));
            if (fits) assert_int_equal(clamp(by_affine(&a, v), rq.lo, rq.hi), bf_ref_requant(&rq, 0, v));
          }
          struct bf_near_costs costs = {.digit_cycles = 10, .fix_cycles = 2, .bound = 1000, .most = 100, .bias = -first};
          double cycles;
          if (bf_steps_near(&steps, bf_requant_slope(&rq, 0), &costs, &a, &cycles)) check_near(&rq, &steps, &a);
          bf_steps_free(&steps);
        }
      }
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_rules), cmocka_unit_test(test_near), cmocka_unit_test(test_stairs), cmocka_unit_test(test_all_small_rules), cmocka_unit_test(test_not_ascending)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
