// SPDX-License-Identifier: Apache-2.0
// The compiler and the interpreter against the reference evaluator, on random networks, mappings and machines;
// static account against the executed one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cost_split.h"
#include "backend/compiler.h"
#include "ir/reference.h"
#include "passes/digits.h"
#include "runtime/engine.h"
#include "tests/support/random_graph.h"

static void show(const struct bf_diags *diags) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  if (out.length) print_error("%s", out.data);
  bf_buf_free(&out);
}

struct setup { const char *machine; uint32_t rows, columns, caps; enum bf_mapping mapping; enum bf_objective objective; unsigned opt; uint64_t map_bits; };

static struct bf_compile_options options_of(const struct setup *s, struct bf_diags *diags) {
  struct bf_compile_options o = {.opt_level = s->opt, .mapping = s->mapping, .objective = s->objective, .batch = 1,
                                 .verify_each = true};
  const struct bf_source *source;
  assert_true(ap_machine_load(s->machine, &o.machine, &source, diags));
  if (s->rows) o.machine.rows = s->rows;
  if (s->columns) o.machine.columns = s->columns;
  if (s->caps) o.machine.caps_per_cluster = s->caps;
  if (s->map_bits) o.machine.map_bits = s->map_bits;
  assert_true(ap_technology_load("sram16", &o.tech, diags));
  return o;
}

static void compare_outputs(const struct bf_graph *g, const struct ap_program *p, const struct ap_run *run,
                            const struct bf_ref_run *ref) {
  for (size_t i = 0; i < g->ntensors; i++) {
    const struct bf_tensor *t = g->tensors[i];
    if (t->data) continue;
    for (uint32_t m = 0; m < p->ntensors; m++) {
      if (strcmp(p->tensors[m].name, t->name)) continue;
      int64_t *got = bf_alloc(t->elements, sizeof *got);
      ap_run_get(run, m, got);
      for (uint64_t e = 0; e < t->elements; e++)
        if (got[e] != ref->values[i][e]) {
          struct bf_buf text = {0};
          bf_graph_print(g, &text);
          print_error("%s", bf_buf_cstr(&text));
          fail_msg("tensor %s element %llu: got %lld, want %lld", t->name, (unsigned long long)e, (long long)got[e],
                   (long long)ref->values[i][e]);
        }
      free(got);
    }
  }
}

static void compare_accounts(const struct ap_program *p, const struct ap_technology *tech, const struct ap_account *ran) {
  struct ap_account *expect = bf_alloc(p->nlayers + 1, sizeof *expect), total = {0};
  ap_static_account(p, tech, expect, &total);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_events *a = &expect[i].events, *b = &ran[i].events;
    assert_int_equal(a->compare, b->compare);
    assert_int_equal(a->write, b->write);
    assert_int_equal(a->load, b->load);
    assert_int_equal(a->store, b->store);
    assert_int_equal(a->load_bits, b->load_bits);
    assert_int_equal(a->store_bits, b->store_bits);
    assert_int_equal(a->compare_cells, b->compare_cells);
    assert_int_equal(a->host, b->host);
    assert_int_equal(a->external, b->external);
    assert_int_equal(expect[i].time.cycles, ran[i].time.cycles);
    assert_int_equal(expect[i].time.stall, ran[i].time.stall);
  }
  free(expect);
}

static void run_both(struct rng *rng, const struct bf_graph *g, const struct ap_program *p, const struct ap_technology *tech) {
  struct bf_diags diags = {0};
  struct ap_run *run = ap_run_new(p, &diags);
  assert_non_null(run);
  struct bf_ref_run *ref = bf_ref_new(g);
  uint32_t input = 0;
  for (size_t i = 0; i < g->ntensors; i++) {
    if (!g->tensors[i]->is_input) continue;
    int64_t *values = random_values(rng, g->tensors[i]);
    assert_true(bf_ref_set_input(ref, g->tensors[i], values));
    assert_true(ap_run_set(run, p->inputs[input++], values));
    free(values);
  }
  struct ap_account *layers = bf_alloc(p->nlayers + 1, sizeof *layers), total = {0};
  assert_true(bf_ref_run(ref, &diags));
  assert_true(ap_run_execute(run, tech, layers, &total, &(struct ap_execution){.threads = 1}, &diags));
  compare_outputs(g, p, run, ref);
  compare_accounts(p, tech, layers);
  free(layers);
  ap_run_free(run);
  bf_ref_free(ref);
  bf_diags_free(&diags);
}

// The analysis without emission against the account of the emitted program, counter by counter.
static void compare_analysis(const struct bf_graph *g, const struct bf_compile_options *o, const struct ap_program *p) {
  struct ap_account *expect = bf_alloc(p->nlayers + 1, sizeof *expect), total;
  struct bf_diags diags = {0};
  struct bf_cost_split analysis;
  ap_static_account(p, &o->tech, expect, &total);
  assert_true(bf_cost_split_of(g, o, &analysis, &diags));
  assert_int_equal(analysis.nlayers, p->nlayers);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_account *all = &analysis.layers[i].all, *gemm = &analysis.layers[i].gemm;
    assert_memory_equal(&all->events, &expect[i].events, sizeof all->events);
    assert_int_equal(all->time.cycles, expect[i].time.cycles);
    assert_int_equal(all->time.compute, expect[i].time.compute);
    assert_int_equal(all->time.tiles, expect[i].time.tiles);
    assert_true(all->energy_j <= expect[i].energy_j && all->energy_j >= expect[i].energy_j);
    assert_true(gemm->time.cycles <= all->time.cycles && gemm->events.compare <= all->events.compare && gemm->energy_j <= all->energy_j);
  }
  bf_cost_split_free(&analysis);
  bf_diags_free(&diags);
  free(expect);
}

static void one_case(struct rng *rng, enum random_kind kind, const struct setup *s) {
  struct bf_graph *g = random_graph(rng, kind);
  struct bf_diags diags = {0};
  if (!bf_graph_verify(g, &diags)) {
    struct bf_buf text = {0};
    bf_graph_print(g, &text);
    print_error("%s", bf_buf_cstr(&text));
    show(&diags);
    fail_msg("the random graph of kind %d is not legal", kind);
  }
  struct bf_compile_options o = options_of(s, &diags);
  struct ap_program *p = bf_compile(g, &o, &diags);
  show(&diags);
  if (!p) {
    struct bf_buf text = {0};
    bf_graph_print(g, &text);
    print_error("%s", bf_buf_cstr(&text));
  }
  assert_non_null(p);
  run_both(rng, g, p, &o.tech);
  compare_analysis(g, &o, p);
  ap_program_free(p);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

static const struct setup setups[] = {
    {"bf-imna-lr", 0, 0, 0, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 3, 0},
    {"bf-imna-lr", 7, 0, 0, BF_MAPPING_PIXEL, BF_OBJECTIVE_ENERGY, 0, 0},
    {"edge", 65, 0, 0, BF_MAPPING_OUTPUT, BF_OBJECTIVE_EDP, 2, 0},
    {"rtm-256", 0, 0, 0, BF_MAPPING_PIXEL, BF_OBJECTIVE_CYCLES, 1, 0},
    {"edge", 5, 0, 2, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 3, 0},  // many waves
    {"research", 0, 0, 0, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 3, 0},
    {"bf-imna-lr", 40, 0, 0, BF_MAPPING_OUTPUT, BF_OBJECTIVE_CYCLES, 2, 0},
    {"edge", 3, 0, 1, BF_MAPPING_OUTPUT, BF_OBJECTIVE_ENERGY, 0, 0},
    {"edge", 0, 0, 0, BF_MAPPING_MAC, BF_OBJECTIVE_CYCLES, 2, 0},
    {"research", 0, 0, 0, BF_MAPPING_MAC, BF_OBJECTIVE_ENERGY, 2, 0},
    {"research", 6, 0, 0, BF_MAPPING_MAC, BF_OBJECTIVE_EDP, 1, 0},
    {"edge", 9, 0, 0, BF_MAPPING_MAC, BF_OBJECTIVE_CYCLES, 2, 60000},  // memory for a few channels at a time
    {"research", 0, 0, 2, BF_MAPPING_MAC, BF_OBJECTIVE_CYCLES, 2, 60000},
    {"bf-imna-lr", 11, 0, 0, BF_MAPPING_AUTO, BF_OBJECTIVE_EDP, 3, 0},  // layers chosen by different prices of energy
    {"edge", 0, 0, 2, BF_MAPPING_AUTO, BF_OBJECTIVE_EDP, 2, 0},
};

static void test_random_networks(void **state) {
  (void)state;
  struct rng rng = {20240917};
  int cases = 0;
  const char *wanted = getenv("BFIMNA_ROUNDS");  // a longer campaign: BFIMNA_ROUNDS=5000 build/tests/test_compile
  const char *only = getenv("BFIMNA_SETUP");      // one of the setups alone
  const int rounds = wanted ? atoi(wanted) : 24;
  for (int round = 0; round < rounds; round++)
    for (int kind = 0; kind < RANDOM_KINDS; kind++)
      for (size_t s = only ? strtoul(only, NULL, 10) : 0; s < BF_COUNT(setups); s += only ? BF_COUNT(setups) : 1, cases++) one_case(&rng, (enum random_kind)kind, &setups[s]);
  print_message("%d random networks\n", cases);
}

static void test_digits(void **state) {
  (void)state;
  for (int64_t k = -70000; k <= 70000; k++)
    for (int canonical = 0; canonical < 2; canonical++) {
      struct bf_digits d = bf_digits_of(k, canonical);
      int64_t sum = 0;
      for (unsigned i = 0; i < d.count; i++) {
        sum += d.at[i].sign * ((int64_t)1 << d.at[i].shift);
        if (canonical && i) assert_true(d.at[i].shift - d.at[i - 1].shift >= 2);
      }
      assert_int_equal(sum, k);
      if (canonical && k > 0) assert_int_equal(bf_digits_count(k), d.count);
    }
}

static void test_too_few_columns(void **state) {
  (void)state;
  struct rng rng = {5};
  struct bf_graph *g = random_graph(&rng, RANDOM_CONV);
  struct bf_diags diags = {0};
  struct setup s = {"edge", 0, 16, 0, BF_MAPPING_PIXEL, BF_OBJECTIVE_CYCLES, 2, 0};
  struct bf_compile_options o = options_of(&s, &diags);
  assert_null(bf_compile(g, &o, &diags));
  assert_int_equal(diags.errors, 1);
  assert_non_null(strstr(diags.items[0].message, "missing"));
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_digits),
      cmocka_unit_test(test_random_networks),
      cmocka_unit_test(test_too_few_columns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
