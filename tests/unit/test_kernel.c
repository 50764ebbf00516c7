// SPDX-License-Identifier: Apache-2.0
// Native kernels against the steps of their programs executed one by one: cells, tags and counts, for programs that ship and
// for random ones, as compiled for this processor and for lesser ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/kernel_internal.h"
#include "tests/support/micro_cases.h"

static uint64_t seed = 3;

struct programs { struct ap_micro *items; size_t count, capacity; };

static void free_programs(struct programs *p) {
  for (size_t i = 0; i < p->count; i++) {
    ap_micro_free(&p->items[i]);
  }
  free(p->items);
}

static void copy_program(void *context, const struct ap_micro *from) {
  struct programs *to = context;
  struct ap_micro copy = *from;
  copy.steps = bf_alloc(from->nsteps, sizeof *copy.steps);
  copy.lits = bf_alloc(from->nlits + 1, sizeof *copy.lits);
  memcpy(copy.steps, from->steps, from->nsteps * sizeof *copy.steps);
  if (from->nlits > 0) {
    memcpy(copy.lits, from->lits, from->nlits * sizeof *copy.lits);
  }
  BF_PUSH(to->items, to->count, to->capacity) = copy;
}

static void check_kernel(const struct ap_kernel_key *key, ap_kernel *run) {
  static struct case_block start, steps, native;
  const struct ap_micro *m = key->micro;
  case_fill(&start, m, key->masked, &seed);
  case_copy(&steps, &start);
  case_copy(&native, &start);
  struct ap_kernel_counts want = {1, 2, 3}, got = want;
  ap_block_run(m, steps.slot[0], steps.slot[1], steps.slot[2], steps.slot[3], steps.tag, steps.mask, steps.imm, &want);
  run(native.slot[0], native.slot[1], native.slot[2], native.slot[3], native.tag, native.mask, native.imm, key->counted ? &got : NULL);
  if (!case_same(&steps, &native)) {
    fail_msg("%s %u,%u,%u: cells or tags differ", ap_op_info(m->op)->mnemonic, m->width[0], m->width[1], m->width[2]);
  }
  if (key->counted && memcmp(&want, &got, sizeof want) != 0) {
    fail_msg("%s %u,%u,%u: counts differ", ap_op_info(m->op)->mnemonic, m->width[0], m->width[1], m->width[2]);
  }
}

// All programs, counted or not, masked or not. Returns how many have kernels.
static size_t check_programs(struct ap_kernels *kernels, const struct programs *p) {
  struct ap_kernel_key *keys = bf_alloc(4 * p->count, sizeof *keys);
  ap_kernel **runs = bf_alloc(4 * p->count, sizeof *runs);
  for (size_t i = 0; i < 4 * p->count; i++) {
    keys[i] = (struct ap_kernel_key){.micro = &p->items[i / 4], .counted = i & 1, .masked = i & 2};
  }
  struct bf_diags diags = {0};
  assert_true(ap_kernels_compile(kernels, keys, 4 * p->count, runs, &diags));
  assert_int_equal(diags.errors, 0);
  size_t with = 0;
  for (size_t i = 0; i < 4 * p->count; i++) {
    with += runs[i] != NULL;
    if (runs[i] != NULL) {
      check_kernel(&keys[i], runs[i]);
      check_kernel(&keys[i], runs[i]);
    }
  }
  free(keys);
  free(runs);
  return with;
}

static struct ap_kernels *begin(const char *cpu, const char *features) {
  struct bf_diags diags = {0};
  if (!ap_kernels_available()) {
    assert_null(ap_kernels_new_for(1, cpu, features, &diags));
    assert_int_equal(diags.errors, 1);
    bf_diags_free(&diags);
    print_message("skipped: built without LLVM\n");
    skip();
  }
  struct ap_kernels *kernels = ap_kernels_new_for(2, cpu, features, &diags);
  assert_non_null(kernels);
  return kernels;
}

static struct programs shipped(unsigned width, unsigned features) {
  struct programs p = {0};
  const unsigned all = AP_FEATURE_ROW_GATING | AP_FEATURE_TAG_SHIFT | AP_FEATURE_TWO_D | AP_FEATURE_POPCOUNT;
  case_each_shipped(width, all | features, copy_program, &p);
  return p;
}
// Wide programs, of each instruction or of every `every`th.
static void add_wide(struct programs *p, unsigned every) {
  static const uint8_t WIDTHS[][3] = {{24, 0, 0}, {24, 8, 0}, {16, 16, 0}, {1, 16, 0}, {20, 16, 12}, {12, 12, 12}, {12, 6, 6},
                                      {1, 12, 12}, {64, 64, 0}, {40, 20, 4}, {5, 20, 0}};
  unsigned count = 0;
  for (unsigned op = 1; op < AP_OP_LIMIT; op++) {
    for (size_t i = 0; i < BF_COUNT(WIDTHS); i++) {
      struct ap_micro micro;
      if (ap_micro_generate((enum ap_op)op, WIDTHS[i], AP_FEATURE_WIDE_WRITE | AP_FEATURE_ACCUMULATE, &micro)) {
        if (count++ % every == 0) {
          BF_PUSH(p->items, p->count, p->capacity) = micro;
        } else {
          ap_micro_free(&micro);
        }
      }
    }
  }
}

static void test_shipped(void **state) {
  (void)state;
  struct ap_kernels *kernels = begin(NULL, NULL);
  struct programs p = shipped(3, AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE), q = shipped(2, 0), r = shipped(2, AP_PREFER_FEW_WRITES);
  add_wide(&p, 1);
  struct ap_micro product;  // so long that its counters do not fit into one word
  assert_true(ap_micro_generate(AP_OP_MUL, (uint8_t[3]){32, 16, 16}, AP_FEATURE_WIDE_WRITE, &product));
  assert_true(product.nlits > 4096);
  BF_PUSH(p.items, p.count, p.capacity) = product;
  size_t with = check_programs(kernels, &p) + check_programs(kernels, &q) + check_programs(kernels, &r);
  struct ap_kernels_info info;
  ap_kernels_info(kernels, &info);
  print_message("%s, %u bits: %zu kernels of %zu programs compiled in %.3f s\n", info.host, info.vector_bits, info.kernels,
                p.count + q.count + r.count, info.compile_s);
  assert_true(with > 3 * (p.count + q.count + r.count));
  assert_true(info.kernels <= with);
  ap_kernels_free(kernels);
  free_programs(&p);
  free_programs(&q);
  free_programs(&r);
}

static void random_programs(struct programs *p, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct ap_micro micro;
    case_random_micro(&micro, &seed);
    BF_PUSH(p->items, p->count, p->capacity) = micro;
  }
}

static void test_random(void **state) {
  (void)state;
  struct ap_kernels *kernels = begin(NULL, NULL);
  struct programs p = {0};
  random_programs(&p, 600);
  assert_true(check_programs(kernels, &p) > 600);
  ap_kernels_free(kernels);
  free_programs(&p);
}

// Code for processors that this one can stand in for.
static void test_lesser_hosts(void **state) {
  (void)state;
#if defined(__x86_64__)
  static const struct { const char *cpu, *features; } HOSTS[] = {
      {"x86-64", ""}, {"x86-64", "+avx2,+bmi,+bmi2,+popcnt"}, {"skylake-avx512", "+avx512f"}};
  __builtin_cpu_init();
  bool avx512 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  unsigned hosts = avx512 ? 3 : __builtin_cpu_supports("avx2") ? 2 : 1;
  for (unsigned i = 0; i < hosts; i++) {
    struct ap_kernels *kernels = begin(HOSTS[i].cpu, HOSTS[i].features);
    struct ap_kernels_info info;
    ap_kernels_info(kernels, &info);
    assert_int_equal(info.vector_bits, 128u << i);
    struct programs p = shipped(1, AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE);
    add_wide(&p, 7);
    random_programs(&p, 60);
    assert_true(check_programs(kernels, &p) > p.count);
    ap_kernels_free(kernels);
    free_programs(&p);
  }
#else
  print_message("skipped: no x86-64 processor\n");
  skip();
#endif
}

// A kernel is made once; a program that steps between rows has none.
static void test_keys(void **state) {
  (void)state;
  struct ap_kernels *kernels = begin(NULL, NULL);
  struct ap_micro add, again, move;
  assert_true(ap_micro_generate(AP_OP_ADD, (uint8_t[3]){8, 4, 0}, 0, &add));
  assert_true(ap_micro_generate(AP_OP_ADD, (uint8_t[3]){8, 4, 0}, 0, &again));
  assert_true(ap_micro_generate(AP_OP_MOVEUP, (uint8_t[3]){8, 8, 0}, AP_FEATURE_TAG_SHIFT, &move));
  struct ap_kernel_key keys[3] = {{.micro = &add}, {.micro = &again}, {.micro = &move}};
  ap_kernel *runs[3];
  struct bf_diags diags = {0};
  struct ap_kernels_info info;
  assert_true(ap_kernels_compile(kernels, keys, 3, runs, &diags));
  assert_true(runs[0] == runs[1] && runs[0] != NULL && runs[2] == NULL);
  ap_kernel *first = runs[0];
  assert_true(ap_kernels_compile(kernels, keys, 3, runs, &diags));
  assert_true(runs[0] == first && runs[2] == NULL);
  assert_true(ap_kernels_compile(kernels, NULL, 0, runs, &diags));
  again.lits[0].value ^= 1;  // another program
  assert_true(ap_kernels_compile(kernels, keys, 3, runs, &diags));
  assert_true(runs[0] == first && runs[1] != first && runs[1] != NULL);
  ap_kernels_info(kernels, &info);
  assert_int_equal(info.kernels, 2);
  ap_kernels_free(kernels);
  ap_micro_free(&add);
  ap_micro_free(&again);
  ap_micro_free(&move);
}

// Formulas for hosts without an instruction for all functions compute what they are for.
static unsigned formula_value(const struct ap_formula *table, unsigned function) {
  const struct ap_formula *f = &table[function];
  if (f->op == AP_FORMULA_LEAF) {
    return function;
  }
  unsigned left = formula_value(table, f->left), right = f->op == AP_FORMULA_NOT ? 0 : formula_value(table, f->right);
  switch (f->op) {
    case AP_FORMULA_NOT: return ~left & 0xff;
    case AP_FORMULA_AND: return left & right;
    case AP_FORMULA_ANDNOT: return ~left & right;
    case AP_FORMULA_OR: return left | right;
    default: return left ^ right;
  }
}
static void test_formulas(void **state) {
  (void)state;
  static struct ap_formula table[256];
  ap_formulas(table);
  for (unsigned i = 0; i < 256; i++) {
    assert_int_equal(formula_value(table, i), i);
  }
  assert_int_equal(table[0x96].cost, 2);
  assert_int_equal(table[0xCA].cost, 3);
  assert_int_equal(table[0xE8].cost, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_formulas), cmocka_unit_test(test_keys), cmocka_unit_test(test_random),
                                     cmocka_unit_test(test_lesser_hosts), cmocka_unit_test(test_shipped)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
