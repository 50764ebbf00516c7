// SPDX-License-Identifier: Apache-2.0
// Column allocation on machines with hardly any columns: what compiles equals the reference in both engines, what doesn't says how many
// columns are missing; and what moves and spills do to single regions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/columns.h"
#include "backend/compiler.h"
#include "ir/reference.h"
#include "runtime/engine.h"
#include "tests/support/random_graph.h"

static void compare(const struct bf_graph *g, const struct ap_program *p, const struct ap_run *run, const struct bf_ref_run *ref) {
  for (size_t i = 0; i < g->ntensors; i++) {
    const struct bf_tensor *t = g->tensors[i];
    for (uint32_t m = 0; m < p->ntensors && !t->data; m++) {
      if (strcmp(p->tensors[m].name, t->name)) continue;
      int64_t *got = bf_alloc(t->elements, sizeof *got);
      ap_run_get(run, m, got);
      for (uint64_t e = 0; e < t->elements; e++)
        if (got[e] != ref->values[i][e]) fail_msg("tensor %s element %llu", t->name, (unsigned long long)e);
      free(got);
    }
  }
}

static void run_both(struct rng *rng, const struct bf_graph *g, const struct ap_program *p, const struct ap_technology *tech) {
  struct bf_diags diags = {0};
  struct bf_ref_run *ref = bf_ref_new(g);
  struct ap_run *runs[2];
  for (int e = 0; e < 2; e++) {
    runs[e] = ap_run_new(p, &diags);
    assert_non_null(runs[e]);
  }
  uint32_t input = 0;
  for (size_t i = 0; i < g->ntensors; i++) {
    if (!g->tensors[i]->is_input) continue;
    int64_t *values = random_values(rng, g->tensors[i]);
    assert_true(bf_ref_set_input(ref, g->tensors[i], values));
    for (int e = 0; e < 2; e++) assert_true(ap_run_set(runs[e], p->inputs[input], values));
    input++;
    free(values);
  }
  assert_true(bf_ref_run(ref, &diags));
  for (int e = 0; e < 2; e++) {
    if (!ap_engine_available(e ? AP_ENGINE_JIT : AP_ENGINE_INTERP)) {  // a build without LLVM
      ap_run_free(runs[e]);
      continue;
    }
    struct ap_account *layers = bf_alloc(p->nlayers + 1, sizeof *layers), total = {0};
    const struct ap_execution how = {.engine = e ? AP_ENGINE_JIT : AP_ENGINE_INTERP, .threads = 2};
    assert_true(ap_run_execute(runs[e], tech, layers, &total, &how, &diags));
    compare(g, p, runs[e], ref);
    ap_run_free(runs[e]);
    free(layers);
  }
  bf_ref_free(ref);
  bf_diags_free(&diags);
}

struct tally { unsigned compiled, refused; uint64_t moves, spills, joined; };

static bool count_splits(struct bf_unit *unit, bool whole) {
  (void)whole;
  struct tally *t = unit->take_context;
  for (size_t i = 0; i < unit->fields->nregions; i++) {
    t->moves += unit->fields->regions[i].moves;
    t->spills += unit->fields->regions[i].spills;
    t->joined += unit->fields->regions[i].joined;
  }
  return true;
}

static void one_network(struct rng *rng, enum random_kind kind, uint32_t columns, struct tally *tally) {
  struct bf_graph *g = random_graph(rng, kind);
  struct bf_diags diags = {0};
  struct bf_compile_options o = {.opt_level = 2, .batch = 1, .verify_each = true};
  const struct bf_source *source;
  assert_true(bf_graph_verify(g, &diags));
  assert_true(ap_machine_load("edge", &o.machine, &source, &diags));
  assert_true(ap_technology_load("sram16", &o.tech, &diags));
  o.machine.columns = columns;
  struct ap_program *p = bf_compile(g, &o, &diags);
  if (p) {
    struct bf_unit unit = {.graph = g, .machine = &o.machine, .tech = &o.tech, .opt_level = 2, .diags = &diags, .take = count_splits, .take_context = tally};
    assert_true(bf_pipeline_run(&unit, &(struct bf_pipeline_options){0}));
    bf_unit_free(&unit);
    run_both(rng, g, p, &o.tech);
    tally->compiled++;
  } else {
    assert_true(diags.errors > 0);
    tally->refused++;
  }
  ap_program_free(p);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

static void test_few_columns(void **state) {
  (void)state;
  const char *wanted = getenv("BFIMNA_ROUNDS");
  const int rounds = wanted ? atoi(wanted) : 4;
  struct rng rng = {31};
  uint64_t splits = 0, joined = 0;
  for (uint32_t columns = 24; columns <= 56; columns += 4) {
    struct tally t = {0};
    for (int round = 0; round < rounds; round++)
      for (int kind = 0; kind < RANDOM_KINDS; kind++) one_network(&rng, (enum random_kind)kind, columns, &t);
    print_message("%u columns: %u compiled, %u refused, %llu moves, %llu spills, %llu copies saved\n", columns, t.compiled, t.refused,
                  (unsigned long long)t.moves, (unsigned long long)t.spills, (unsigned long long)t.joined);
    splits += t.moves + t.spills;
    joined += t.joined;
  }
  assert_true(splits > 0 && joined > 0);  // else nothing was tested
}

// The picture shows every layer with code once, and is the same each time.
static void test_picture(void **state) {
  (void)state;
  struct bf_column_field fields[] = {{"acc<0>", 4, 12, 0, 90, BF_COLUMN_SUM}, {"x", 16, 8, 10, 20, BF_COLUMN_LOADED}};
  struct bf_column_layer layer = {.name = "a&b", .mapping = "pixel", .fields = fields, .nfields = 2, .nops = 100, .columns_used = 24, .regions = 1};
  struct bf_columns columns = {.layers = &layer, .nlayers = 1};
  struct ap_machine machine = {.columns = 64};
  struct bf_buf one = {0}, two = {0};
  bf_columns_svg(&columns, &machine, &one);
  bf_columns_svg(&columns, &machine, &two);
  assert_string_equal(bf_buf_cstr(&one), bf_buf_cstr(&two));
  assert_non_null(strstr(one.data, "acc&lt;0&gt;: columns 4 to 15, operations 0 to 90"));
  assert_non_null(strstr(one.data, "a&amp;b"));
  assert_null(strstr(one.data, "a&b"));
  bf_buf_free(&one);
  bf_buf_free(&two);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_columns), cmocka_unit_test(test_picture)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
