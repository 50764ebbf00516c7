// SPDX-License-Identifier: Apache-2.0
// Range covers of tables: they compute the table, and no smaller set of nested ranges does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "passes/cover.h"
#include "tests/support/random_graph.h"

static uint64_t evaluate(const struct bf_cover *c, unsigned x) {
  uint64_t y = c->preset;
  for (unsigned i = 0; i < c->count; i++)
    if (x >> c->ranges[i].shift == c->ranges[i].key) y = c->ranges[i].y;
  return y;
}

// Writes of a group happen at its end: a range that joins must not lie inside a range of another value in between,
// which the plain order above would hide. Executes as the array does.
static uint64_t execute(const struct bf_cover *c, unsigned x) {
  uint64_t y = c->preset;
  bool tag = false;
  for (unsigned i = 0; i < c->count; i++) {
    bool match = x >> c->ranges[i].shift == c->ranges[i].key;
    tag = c->ranges[i].joins ? tag || match : match;
    if (i + 1 < c->count && c->ranges[i + 1].joins) continue;
    if (tag) y = c->ranges[i].y;
  }
  return y;
}

static void check(unsigned bits, const uint64_t *y, unsigned lo, unsigned hi) {
  unsigned counts[2];
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    struct bf_cover c;
    bf_cover_plan(&c, bits, y, lo, hi, accumulate);
    counts[accumulate] = c.count;
    for (unsigned x = lo; x <= hi; x++) {
      assert_int_equal(execute(&c, x), y[x]);
      if (!accumulate) assert_int_equal(evaluate(&c, x), y[x]);
    }
  }
  assert_int_equal(counts[0], counts[1]);
}

// Fewest overrides inside [first, first + 2^bits) if the value `above` holds there already.
static unsigned fewest(unsigned bits, const uint64_t *y, unsigned first, uint64_t above, unsigned nvalues) {
  if (!bits) return y[first] != above;
  unsigned half = 1u << (bits - 1);
  unsigned best = fewest(bits - 1, y, first, above, nvalues) + fewest(bits - 1, y, first + half, above, nvalues);
  for (uint64_t v = 0; v < nvalues; v++) {
    if (v == above) continue;
    unsigned n = 1 + fewest(bits - 1, y, first, v, nvalues) + fewest(bits - 1, y, first + half, v, nvalues);
    if (n < best) best = n;
  }
  return best;
}

static void test_all_small_tables(void **state) {
  (void)state;
  for (unsigned code = 0; code < 6561; code++) {  // all tables of 3 bits with three values
    uint64_t y[8];
    for (unsigned x = 0, c = code; x < 8; x++, c /= 3) y[x] = c % 3;
    struct bf_cover c;
    bf_cover_plan(&c, 3, y, 0, 7, false);
    unsigned best = fewest(3, y, 0, 0, 3);
    for (uint64_t v = 1; v < 3; v++)
      if (fewest(3, y, 0, v, 3) < best) best = fewest(3, y, 0, v, 3);
    assert_int_equal(c.count, best);
    check(3, y, 0, 7);
    check(3, y, 2, 5);
  }
}

static void test_random_tables(void **state) {
  (void)state;
  struct rng rng = {7};
  for (int round = 0; round < 2000; round++) {
    unsigned bits = (unsigned)rng_range(&rng, 1, 8), size = 1u << bits;
    int64_t values = rng_range(&rng, 1, round % 2 ? 4 : 70000);
    uint64_t y[256];
    for (unsigned x = 0; x < size; x++) {
      y[x] = (uint64_t)rng_range(&rng, 0, values);
      if (x && rng_next(&rng) % 3) y[x] = y[x - 1];
    }
    unsigned lo = (unsigned)rng_range(&rng, 0, size - 1);
    check(bits, y, 0, size - 1);
    check(bits, y, lo, (unsigned)rng_range(&rng, lo, size - 1));
  }
}

static void test_shapes(void **state) {
  (void)state;
  uint64_t y[256];
  struct bf_cover c;
  for (unsigned x = 0; x < 256; x++) y[x] = 5;
  bf_cover_plan(&c, 8, y, 0, 255, false);
  assert_int_equal(c.count, 0);
  for (unsigned x = 0; x < 256; x++) y[x] = x < 128 ? 0 : x;  // relu: one range for nothing
  bf_cover_plan(&c, 8, y, 0, 255, false);
  assert_int_equal(c.count, 128);
  for (unsigned x = 0; x < 256; x++) y[x] = x & 1;  // two values: one write with an accumulating tag
  bf_cover_plan(&c, 8, y, 0, 255, true);
  assert_int_equal(c.count, 128);
  for (unsigned i = 1; i < c.count; i++) assert_true(c.ranges[i].joins);
  for (unsigned x = 0; x < 256; x++) y[x] = x * x / 256;  // monotone
  check(8, y, 0, 255);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_small_tables),
      cmocka_unit_test(test_random_tables),
      cmocka_unit_test(test_shapes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
