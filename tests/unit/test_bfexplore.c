// SPDX-License-Identifier: Apache-2.0
// The precision solver against exhaustive enumeration, on random problems with sums and products; budgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/precision.h"
#include "tools/bfexplore/solve.h"

static uint64_t next(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *state >> 33;
}

static double real(uint64_t *state) { return (double)next(state) / 2147483648.0; }

// Costs grow with the width, more or less; sensitivities fall, not always. Cycles and energy are correlated or opposed.
static void fill(struct bfx_item *items, size_t count, unsigned choices, bool opposed, uint64_t *state) {
  for (size_t i = 0; i < count; i++) {
    double size = 1 + 50 * real(state), weight = real(state);
    items[i].nchoices = 1 + (unsigned)(next(state) % choices);
    for (unsigned k = 0; k < choices; k++) {
      struct bfx_choice *c = &items[i].choices[k];
      c->bits = k + 2;
      c->value[BFX_SENSITIVITY] = weight * (choices - k) * (0.8 + 0.4 * real(state));
      c->value[BFX_CYCLES] = 1e5 * size * (k + 1 + real(state));
      c->value[BFX_ENERGY] = 1e-9 * size * ((opposed ? choices - k : k + 1) + real(state));
      c->value[BFX_SIZE] = size * (k + 2);
      c->value[BFX_BOPS] = 1e9 * size * (k + 2) * (k + 2);
    }
  }
}

// Best objective over all assignments; INFINITY if none meets the budgets.
static double enumerate(const struct bfx_problem *p) {
  unsigned choice[16] = {0};
  double best = INFINITY, value[BFX_MEASURES];
  for (;;) {
    bfx_evaluate(p, choice, value);
    if (bfx_within(p, value) && value[p->objective] < best) {
      best = value[p->objective];
    }
    size_t i = 0;
    while (i < p->nitems && ++choice[i] == p->items[i].nchoices) {
      choice[i++] = 0;
    }
    if (i == p->nitems) {
      return best;
    }
  }
}

static void compare(const struct bfx_problem *p) {
  double best = enumerate(p);
  struct bfx_solution s;
  bfx_solve(p, &s);
  if (isinf(best)) {
    assert_int_equal(s.outcome, BFX_INFEASIBLE);
    assert_null(s.choice);
  } else {
    double again[BFX_MEASURES];
    assert_int_equal(s.outcome, BFX_OPTIMAL);
    bfx_evaluate(p, s.choice, again);
    assert_memory_equal(again, s.value, sizeof again);
    assert_true(bfx_within(p, again));
    assert_true(s.value[p->objective] <= best * (1 + 1e-6));
    assert_true(s.value[p->objective] >= best * (1 - 1e-12));
    assert_true(s.bound <= s.value[p->objective]);
  }
  bfx_solution_free(&s);
}

// A budget somewhere between the cheapest and the dearest, sometimes out of reach.
static struct bfx_limit random_limit(const struct bfx_problem *p, unsigned measure, uint64_t *state) {
  double least = INFINITY, most = 0;
  unsigned choice[16] = {0};
  for (unsigned n = 0; n < 200; n++) {
    double value[BFX_MEASURES];
    for (size_t i = 0; i < p->nitems; i++) {
      choice[i] = (unsigned)(next(state) % p->items[i].nchoices);
    }
    bfx_evaluate(p, choice, value);
    least = fmin(least, value[measure]);
    most = fmax(most, value[measure]);
  }
  return (struct bfx_limit){measure, least * 0.9 + (most - least * 0.9) * real(state)};
}

// Random problems with budgets of these measures.
static void campaign(unsigned objective, const unsigned *measures, size_t nmeasures, uint64_t seed) {
  uint64_t state = seed;
  for (unsigned round = 0; round < 25; round++) {
    struct bfx_item items[7];
    memset(items, 0, sizeof items);
    struct bfx_limit limits[2];
    struct bfx_problem p = {.items = items, .nitems = 1 + round % 7, .objective = objective, .limits = limits, .nlimits = nmeasures};
    fill(items, p.nitems, 4, round & 1, &state);
    p.base[BFX_CYCLES] = round % 3 ? 0 : 1e6;
    p.base[BFX_ENERGY] = round % 4 ? 0 : 1e-8;
    for (size_t i = 0; i < nmeasures; i++) {
      limits[i] = random_limit(&p, measures[i], &state);
    }
    compare(&p);
  }
}

static void test_one_budget(void **context) {
  (void)context;
  for (unsigned m = BFX_CYCLES; m < BFX_METRICS; m++) {
    campaign(BFX_SENSITIVITY, &m, 1, 100 + m);
  }
}

static void test_two_budgets(void **context) {
  (void)context;
  campaign(BFX_SENSITIVITY, (const unsigned[]){BFX_CYCLES, BFX_ENERGY}, 2, 1);
  campaign(BFX_ENERGY, (const unsigned[]){BFX_SENSITIVITY, BFX_CYCLES}, 2, 2);
}

static void test_edp_budget(void **context) {
  (void)context;
  campaign(BFX_SENSITIVITY, (const unsigned[]){BFX_EDP}, 1, 3);
  campaign(BFX_SENSITIVITY, (const unsigned[]){BFX_EDP, BFX_SIZE}, 2, 4);
  campaign(BFX_CYCLES, (const unsigned[]){BFX_EDP, BFX_SENSITIVITY}, 2, 5);
}

static void test_edp_objective(void **context) {
  (void)context;
  campaign(BFX_EDP, (const unsigned[]){BFX_SENSITIVITY}, 1, 6);
  campaign(BFX_EDP, (const unsigned[]){BFX_SENSITIVITY, BFX_SIZE}, 2, 7);
}

// Sensitivities over twelve orders of magnitude, as those of very low widths are: the solver's tolerances must not blur the choice.
static void test_far_apart(void **context) {
  (void)context;
  uint64_t state = 8;
  for (unsigned round = 0; round < 40; round++) {
    struct bfx_item items[6];
    memset(items, 0, sizeof items);
    struct bfx_limit limits[2];
    struct bfx_problem p = {.items = items, .nitems = 6, .objective = BFX_SENSITIVITY, .limits = limits, .nlimits = 1};
    fill(items, p.nitems, 4, false, &state);
    for (size_t i = 0; i < p.nitems; i++) {
      items[i].nchoices = 4;
      for (unsigned k = 0; k < items[i].nchoices; k++) {
        items[i].choices[k].value[BFX_SENSITIVITY] = pow(10, 6 - 4.0 * k + real(&state));
      }
    }
    // Loose enough that only the small sensitivities take part.
    double widest[BFX_MEASURES];
    unsigned choice[16];
    for (size_t i = 0; i < p.nitems; i++) {
      choice[i] = items[i].nchoices - 1;
    }
    bfx_evaluate(&p, choice, widest);
    limits[0] = (struct bfx_limit){BFX_CYCLES, widest[BFX_CYCLES] * (0.8 + 0.2 * real(&state))};
    compare(&p);
    p.objective = BFX_ENERGY;
    p.nlimits = 2;
    limits[1] = (struct bfx_limit){BFX_SENSITIVITY, pow(10, 6 - 10 * real(&state))};
    compare(&p);
  }
}

static void test_nothing_to_choose(void **context) {
  (void)context;
  struct bfx_item item = {.nchoices = 1, .choices = {{.bits = 8}}};
  struct bfx_limit limit = {BFX_EDP, 1};
  struct bfx_problem p = {.items = &item, .nitems = 1, .objective = BFX_SENSITIVITY, .limits = &limit, .nlimits = 1};
  compare(&p);  // all values 0
  item.choices[0].value[BFX_CYCLES] = 2;
  item.choices[0].value[BFX_ENERGY] = 1;
  compare(&p);  // over the budget
  limit.value = 2;
  compare(&p);  // just met
}

static void test_budget_text(void **context) {
  (void)context;
  static const char *const wrong[] = {"", ":", "cycles", "cycles:", "cycles:x", "cycles:-1", "cycles:1e999", "cycles:nan", "cycles:0x",
                                      "time:3", "edp:50%%", "edp:0", "bops:between=1.5", "bops:between=", "size:uniform0",
                                      "size:uniform17", "size:uniform2.5", "cycles:inf", "cycles:0%", " cycles:1", "cycles: 1"};
  struct bfx_budget b;
  for (size_t i = 0; i < BF_COUNT(wrong); i++) {
    assert_false(bfx_budget_parse(wrong[i], &b));
  }
  assert_true(bfx_budget_parse("cycles:1e6", &b) && b.kind == BFX_ABSOLUTE && b.measure == BFX_CYCLES && b.amount == 1e6);
  assert_true(bfx_budget_parse("edp:60%", &b) && b.kind == BFX_SHARE && b.measure == BFX_EDP && fabs(b.amount - 0.6) < 1e-15);
  assert_true(bfx_budget_parse("bops:between=0.25", &b) && b.kind == BFX_BETWEEN && b.amount == 0.25);
  assert_true(bfx_budget_parse("size:uniform4", &b) && b.kind == BFX_UNIFORM && b.amount == 4);
}

static void test_budget_amounts(void **context) {
  (void)context;
  struct bfx_item items[2] = {
      {2, {{.bits = 4, .value[BFX_SIZE] = 10}, {.bits = 8, .value[BFX_SIZE] = 30}}},
      {1, {{.bits = 6, .value[BFX_SIZE] = 5}}},
  };
  struct bfx_problem p = {.items = items, .nitems = 2, .base[BFX_SIZE] = 1};
  const struct { const char *text; double value; } cases[] = {
      {"size:7", 7}, {"size:50%", 18}, {"size:between=0.5", 26}, {"size:uniform4", 16}, {"size:uniform8", 36}};
  struct bf_diags diags = {0};
  struct bfx_budget b;
  struct bfx_limit limit;
  for (size_t i = 0; i < BF_COUNT(cases); i++) {
    assert_true(bfx_budget_parse(cases[i].text, &b) && bfx_budget_resolve(&b, &p, &limit, &diags));
    assert_true(fabs(limit.value - cases[i].value) < 1e-12 && limit.measure == BFX_SIZE);
  }
  assert_true(bfx_budget_parse("size:uniform3", &b));
  assert_false(bfx_budget_resolve(&b, &p, &limit, &diags));
  assert_true(bfx_budget_parse("edp:50%", &b));
  assert_false(bfx_budget_resolve(&b, &p, &limit, &diags));
  assert_int_equal(diags.errors, 2);
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_budget),    cmocka_unit_test(test_two_budgets),       cmocka_unit_test(test_edp_budget),
      cmocka_unit_test(test_edp_objective), cmocka_unit_test(test_nothing_to_choose), cmocka_unit_test(test_far_apart), cmocka_unit_test(test_budget_text),
      cmocka_unit_test(test_budget_amounts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
