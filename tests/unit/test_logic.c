// SPDX-License-Identifier: Apache-2.0
// The logic of programs, evaluated here value by value, against their steps executed one by one: cells, tags and counts, for all
// programs that ship and for random ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/logic.h"
#include "tests/support/micro_cases.h"

static uint64_t seed = 7, programs, composed, functions, counted_functions;

static uint64_t leaf_word(const struct ap_logic_value *v, const struct case_block *block, unsigned w) {
  switch (v->kind) {
    case AP_LOGIC_COLUMN: return block->slot[v->slot][v->bit * AP_COLUMN_WORDS + w];
    case AP_LOGIC_TAG: return block->tag[w];
    case AP_LOGIC_IMM: return -(block->imm >> v->bit & 1);
    default: return -(uint64_t)(v->table & 1);
  }
}

static void evaluate_word(const struct ap_logic *logic, struct case_block *block, unsigned w, uint64_t *at,
                          struct ap_kernel_counts *counts) {
  for (size_t i = 0; i < logic->nvalues; i++) {
    const struct ap_logic_value *v = &logic->values[i];
    if (v->kind != AP_LOGIC_FUNCTION) {
      at[i] = leaf_word(v, block, w);
      continue;
    }
    assert_true(v->x < i && v->y < i && v->z < i);
    at[i] = 0;
    for (unsigned m = 0; m < 8; m++) {
      uint64_t term = (m & 4 ? at[v->x] : ~at[v->x]) & (m & 2 ? at[v->y] : ~at[v->y]) & (m & 1 ? at[v->z] : ~at[v->z]);
      at[i] |= v->table >> m & 1 ? term : 0;
    }
  }
  for (size_t i = 0; i < logic->nstores; i++) {
    const struct ap_logic_store *s = &logic->stores[i];
    block->slot[s->slot][s->bit * AP_COLUMN_WORDS + w] = at[s->value];
  }
  if (logic->tag != UINT32_MAX) {
    block->tag[w] = at[logic->tag] & block->mask[w];
  }
  for (size_t i = 0; i < logic->ncounts; i++) {
    const struct ap_logic_count *c = &logic->counts[i];
    uint64_t rows = (uint64_t)(int64_t)c->weight * (uint64_t)__builtin_popcountll(at[c->value] & block->mask[w]);
    uint64_t *to[AP_LOGIC_COUNTERS] = {&counts->match_cells, &counts->written_cells, &counts->changed_cells};
    *to[c->counter] += rows;
  }
}

static void evaluate(const struct ap_logic *logic, struct case_block *block, struct ap_kernel_counts *counts) {
  uint64_t *at = malloc((logic->nvalues + 1) * sizeof *at);
  for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
    evaluate_word(logic, block, w, at, counts);
  }
  free(at);
}

static bool check(const struct ap_micro *micro, bool counted) {
  struct ap_logic logic;
  if (!ap_logic_compose(micro, counted, &logic)) {
    return false;
  }
  static struct case_block start, steps, values;
  case_fill(&start, micro, case_random(&seed) % 2, &seed);
  case_copy(&steps, &start);
  case_copy(&values, &start);
  struct ap_kernel_counts want = {0}, got = {0};
  ap_block_run(micro, steps.slot[0], steps.slot[1], steps.slot[2], steps.slot[3], steps.tag, steps.mask, steps.imm, &want);
  evaluate(&logic, &values, &got);
  if (!case_same(&steps, &values)) {
    fail_msg("%s %u,%u,%u: cells differ", ap_op_info(micro->op)->mnemonic, micro->width[0], micro->width[1], micro->width[2]);
  }
  if (counted && memcmp(&want, &got, sizeof want) != 0) {
    fail_msg("%s %u,%u,%u: counts differ", ap_op_info(micro->op)->mnemonic, micro->width[0], micro->width[1], micro->width[2]);
  }
  *(counted ? &counted_functions : &functions) += logic.nvalues;
  ap_logic_free(&logic);
  return true;
}

static void visit(void *context, const struct ap_micro *micro) {
  (void)context;
  programs++;
  composed += check(micro, false);
  check(micro, true);
}

static void test_shipped(void **state) {
  (void)state;
  const unsigned all = AP_FEATURE_ROW_GATING | AP_FEATURE_TAG_SHIFT | AP_FEATURE_TWO_D | AP_FEATURE_POPCOUNT;
  for (unsigned set = 0; set < 8; set++) {
    unsigned features = all | (set & 1 ? AP_FEATURE_ACCUMULATE : 0) | (set & 2 ? AP_FEATURE_WIDE_WRITE : 0) |
                        (set & 4 ? AP_PREFER_FEW_WRITES : 0);
    case_each_shipped(set < 4 ? 5 : 3, features, visit, NULL);
  }
  case_each_shipped(8, all | AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE, visit, NULL);
  print_message("%llu programs, %llu with logic, %llu values, %llu with counts\n", (unsigned long long)programs,
                (unsigned long long)composed, (unsigned long long)functions, (unsigned long long)counted_functions);
  assert_true(composed * 10 > programs * 8);
}

static void test_random(void **state) {
  (void)state;
  unsigned some = 0;
  for (unsigned i = 0; i < 6000; i++) {
    struct ap_micro micro;
    case_random_micro(&micro, &seed);
    const char *why = ap_micro_check(&micro);
    if (why != NULL) {
      fail_msg("random program %u: %s", i, why);
    }
    some += check(&micro, true);
    check(&micro, false);
    ap_micro_free(&micro);
  }
  assert_true(some > 2000);  // fields that may overlap and are written leave few of three operands
}

// An addition of 8 bits to 8 bits needs no more than two functions a bit.
static void test_adder(void **state) {
  (void)state;
  struct ap_micro micro;
  struct ap_logic logic;
  assert_true(ap_micro_generate(AP_OP_ADD, (uint8_t[3]){8, 8, 0}, AP_FEATURE_WIDE_WRITE, &micro));
  assert_true(ap_logic_compose(&micro, false, &logic));
  size_t count = 0;
  for (size_t i = 0; i < logic.nvalues; i++) {
    count += logic.values[i].kind == AP_LOGIC_FUNCTION;
  }
  assert_true(count <= 17);
  ap_logic_free(&logic);
  ap_micro_free(&micro);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_adder), cmocka_unit_test(test_random), cmocka_unit_test(test_shipped)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
