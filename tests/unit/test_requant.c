// SPDX-License-Identifier: Apache-2.0
// Requantization: every mode against a formula worked out another way (division with remainder instead of
// shifts), at its ties, at corner values and at random.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "ir/reference.h"

typedef __int128 wide;

static uint64_t rng = 88172645463325252u;

static uint64_t random_bits(void) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return rng;
}

// A value of random size below 2^bits, either sign.
static int64_t random_value(unsigned bits) {
  uint64_t v = random_bits() >> (64 - bits);
  v >>= random_bits() % bits;
  return random_bits() & 1 ? -(int64_t)v : (int64_t)v;
}

static wide power(int e) {
  wide p = 1;
  while (e-- > 0) p *= 2;
  return p;
}

// Quotient rounded down.
static wide divide_down(wide a, wide b) {
  wide q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

// Quotient rounded to nearest, halves away from zero.
static wide divide_away(wide a, wide b) {
  wide q = a / b, r = a % b;
  if (2 * (r < 0 ? -r : r) >= b) q += a < 0 ? -1 : 1;
  return q;
}

// Quotient rounded to nearest, halves up.
static wide divide_up(wide a, wide b) {
  wide q = divide_down(a, b), r = a - q * b;
  return 2 * r >= b ? q + 1 : q;
}

static int64_t limit(wide v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : (int64_t)v; }

static const int64_t corners[] = {0, 1, -1, 2, -2, 127, -128, 255, 32767, -32768, INT32_MAX, INT32_MIN,
                                  ((int64_t)1 << 47) - 1, -((int64_t)1 << 47)};

struct one {
  struct bf_requant rq;
  int64_t mult, add;
  int32_t shift;
  float scale;
};

static struct bf_requant *make(struct one *o, enum bf_requant_mode mode, int64_t mult, int32_t shift, int64_t add,
                               int64_t zero) {
  *o = (struct one){.mult = mult, .add = add, .shift = shift};
  o->rq = (struct bf_requant){.mode = mode, .count = 1, .mult = &o->mult, .shift = &o->shift, .add = &o->add,
                              .out_zero = zero, .lo = -((int64_t)1 << 50), .hi = (int64_t)1 << 50};
  return &o->rq;
}

static void check(const struct bf_requant *rq, int64_t v, wide expected) {
  int64_t got = bf_ref_requant(rq, 0, v), want = limit(expected + rq->out_zero, rq->lo, rq->hi);
  if (got != want)
    fail_msg("%s: v %lld mult %lld shift %d: got %lld, expected %lld", bf_requant_mode_name(rq->mode), (long long)v,
             (long long)rq->mult[0], rq->shift[0], (long long)got, (long long)want);
}

static wide expect_tflite(int64_t v, int64_t mult, int e) {
  wide high = divide_up((wide)v * power(e > 0 ? e : 0) * mult, power(31));
  return divide_away(high, power(e < 0 ? -e : 0));
}

static void test_tflite(void **state) {
  struct one o;
  for (int e = -31; e <= 31; e++) {
    for (size_t i = 0; i < BF_COUNT(corners); i++)
      for (int k = 0; k < 3; k++) {
        int64_t mult = (int64_t[]){0, (int64_t)1 << 30, INT32_MAX}[k];
        make(&o, BF_REQUANT_TFLITE, mult, e, 0, k - 1);
        check(&o.rq, corners[i], expect_tflite(corners[i], mult, e));
      }
    for (int i = 0; i < 2000; i++) {
      int64_t v = random_value(40), mult = ((int64_t)1 << 30) | (int64_t)(random_bits() >> 34);
      make(&o, BF_REQUANT_TFLITE, mult, e, 0, 0);
      check(&o.rq, v, expect_tflite(v, mult, e));
    }
  }
}

// Ties by hand: 2^30 / 2^31 = one half; the high multiply rounds halves up, the shift away from zero.
static void test_tflite_ties(void **state) {
  struct one o;
  make(&o, BF_REQUANT_TFLITE, (int64_t)1 << 30, 0, 0, 0);
  assert_int_equal(bf_ref_requant(&o.rq, 0, 1), 1);    // 0.5
  assert_int_equal(bf_ref_requant(&o.rq, 0, -1), 0);   // -0.5, up
  assert_int_equal(bf_ref_requant(&o.rq, 0, -3), -1);  // -1.5, up
  make(&o, BF_REQUANT_TFLITE, (int64_t)1 << 30, -1, 0, 0);
  assert_int_equal(bf_ref_requant(&o.rq, 0, 2), 1);    // 1 / 2
  assert_int_equal(bf_ref_requant(&o.rq, 0, -2), -1);  // -1 / 2, away from zero
  assert_int_equal(bf_ref_requant(&o.rq, 0, 1), 1);    // 0.25 doubly rounded: 0.5 to 1, 1/2 to 1
  assert_int_equal(bf_ref_requant(&o.rq, 0, -1), 0);
}

static void test_tflite16(void **state) {
  struct one o;
  for (int e = -31; e <= 7; e++)
    for (int i = 0; i < 2000; i++) {
      int64_t v = i < (int)BF_COUNT(corners) ? corners[i] : random_value(47);
      int64_t mult = i % 7 == 0 ? INT32_MAX - i : ((int64_t)1 << 30) | (int64_t)(random_bits() >> 34);
      int64_t m = mult >= 0x7FFF0000 ? 0x7FFF : (int64_t)divide_up(mult, 65536);
      make(&o, BF_REQUANT_TFLITE16, mult, e, 0, 0);
      check(&o.rq, v, divide_up((wide)v * m, power(15 - e)));
    }
}

static void test_integer_modes(void **state) {
  struct one o;
  for (int shift = 0; shift <= 62; shift++)
    for (int i = 0; i < 1000; i++) {
      int64_t v = i < (int)BF_COUNT(corners) ? corners[i] : random_value(47);
      int64_t mult = random_value(40), add = random_value(60);
      make(&o, BF_REQUANT_DYADIC, mult, shift, 0, 3);
      check(&o.rq, v, divide_up((wide)v * mult, power(shift)));
      make(&o, BF_REQUANT_AFFINE_FLOOR, mult, shift, add, -3);
      check(&o.rq, v, divide_down((wide)v * mult + add, power(shift)));
      make(&o, BF_REQUANT_POW2, 0, shift, 0, 0);
      check(&o.rq, v, divide_down(v, power(shift)));
      make(&o, BF_REQUANT_NONE, 0, 0, 0, 5);
      check(&o.rq, v, v);
    }
}

static void test_integer_ties(void **state) {
  struct one o;
  make(&o, BF_REQUANT_DYADIC, 1, 1, 0, 0);
  assert_int_equal(bf_ref_requant(&o.rq, 0, 3), 2);    // 1.5 up
  assert_int_equal(bf_ref_requant(&o.rq, 0, -3), -1);  // -1.5 up
  make(&o, BF_REQUANT_POW2, 0, 1, 0, 0);
  assert_int_equal(bf_ref_requant(&o.rq, 0, -3), -2);  // down
  make(&o, BF_REQUANT_AFFINE_FLOOR, 1, 1, 1, 0);
  assert_int_equal(bf_ref_requant(&o.rq, 0, -4), -2);  // -3/2 down
}

// To nearest even, found by trying the neighbours of the product's integer part.
static wide nearest_even(double x) {
  double down = floor(x), rest = x - down;
  if (rest > 0.5 || (rest == 0.5 && fmod(down, 2) != 0)) down += 1;
  return (wide)down;
}

static void test_float_rne(void **state) {
  struct one o;
  const float scales[] = {0.5f, 0.25f, 1.0f, 0.1f, 3.5e-4f, 1.0f / 3, 2.5f};
  for (size_t k = 0; k < BF_COUNT(scales); k++)
    for (int i = -5000; i < 5000; i++) {
      int64_t v = i < 0 || i % 2 ? i : random_value(30);
      make(&o, BF_REQUANT_FLOAT_RNE, 0, 0, 0, 0);
      o.scale = scales[k];
      o.rq.fscale = &o.scale;
      float f = (float)v;
      // A product of two floats is exact in double; one rounding to float follows.
      check(&o.rq, v, nearest_even((double)(float)((double)f * scales[k])));
    }
  o.scale = 3e38f;  // overflows to infinity: the clamp decides
  assert_int_equal(bf_ref_requant(&o.rq, 0, 1000), o.rq.hi);
  assert_int_equal(bf_ref_requant(&o.rq, 0, -1000), o.rq.lo);
}

static void test_thresholds(void **state) {
  int64_t levels[] = {-3, 0, 0, 7, 10, 20, 30, 40};
  struct bf_requant rq = {.mode = BF_REQUANT_THRESHOLDS, .count = 2, .nthresholds = 4, .thresholds = levels,
                          .lo = 0, .hi = 3};
  assert_int_equal(bf_ref_requant(&rq, 0, -4), 0);
  assert_int_equal(bf_ref_requant(&rq, 0, -3), 1);
  assert_int_equal(bf_ref_requant(&rq, 0, 0), 3);
  assert_int_equal(bf_ref_requant(&rq, 0, 7), 3);  // 4, clamped
  assert_int_equal(bf_ref_requant(&rq, 1, 9), 0);
  assert_int_equal(bf_ref_requant(&rq, 1, 29), 2);
}

static void test_clamp_and_channels(void **state) {
  int64_t mult[] = {(int64_t)1 << 30, (int64_t)1 << 30};
  int32_t shift[] = {1, 2};
  struct bf_requant rq = {.mode = BF_REQUANT_TFLITE, .count = 2, .mult = mult, .shift = shift,
                          .out_zero = -128, .lo = -128, .hi = 127};
  assert_int_equal(bf_ref_requant(&rq, 0, 5), 5 - 128);
  assert_int_equal(bf_ref_requant(&rq, 1, 5), 10 - 128);
  assert_int_equal(bf_ref_requant(&rq, 0, -5), -128);
  assert_int_equal(bf_ref_requant(&rq, 0, 1000), 127);
}

// The multiplier is the real number to 31 bits; limits of the rule by hand.
static void test_multiplier(void **state) {
  int64_t mult;
  int32_t shift;
  for (int i = 0; i < 100000; i++) {
    double real = ldexp(1 + (double)(random_bits() >> 12) * 0x1p-52, (int)(random_bits() % 60) - 31);
    bf_quantize_multiplier(real, &mult, &shift);
    assert_in_range(mult, (int64_t)1 << 30, INT32_MAX);
    double error = fabs(ldexp((double)mult, shift - 31) - real);
    assert_true(error <= ldexp(0.5, shift - 31));
  }
  bf_quantize_multiplier(0.5, &mult, &shift);
  assert_true(mult == (int64_t)1 << 30 && shift == 0);
  bf_quantize_multiplier(1, &mult, &shift);
  assert_true(mult == (int64_t)1 << 30 && shift == 1);
  bf_quantize_multiplier(nextafter(1, 0), &mult, &shift);  // rounds up to 2^31, renormalised
  assert_true(mult == (int64_t)1 << 30 && shift == 1);
  bf_quantize_multiplier(0x1p-32, &mult, &shift);
  assert_true(mult == (int64_t)1 << 30 && shift == -31);
  bf_quantize_multiplier(0x1p-33, &mult, &shift);  // flushed to zero
  assert_true(mult == 0 && shift == 0);
  const double none[] = {0, -1, NAN, INFINITY};
  for (size_t i = 0; i < BF_COUNT(none); i++) {
    bf_quantize_multiplier(none[i], &mult, &shift);
    assert_true(mult == 0 && shift == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tflite),          cmocka_unit_test(test_tflite_ties),
      cmocka_unit_test(test_tflite16),        cmocka_unit_test(test_integer_modes),
      cmocka_unit_test(test_integer_ties),    cmocka_unit_test(test_float_rne),
      cmocka_unit_test(test_thresholds),      cmocka_unit_test(test_clamp_and_channels),
      cmocka_unit_test(test_multiplier),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
