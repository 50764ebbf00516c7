// SPDX-License-Identifier: Apache-2.0
// Lower bounds hold: random networks on random machines never take fewer cycles than the bound of their layers, nor than that of the scheme
// chosen. And they say something: on machines that the layer fills they come within a factor of the code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend/cost_split.h"
#include "passes/bound.h"
#include "tests/support/random_graph.h"

static struct bf_compile_options random_options(struct rng *rng, struct bf_diags *diags) {
  static const char *const machines[] = {"bf-imna-lr", "edge", "rtm-256", "research", "bf-imna-ir"};
  static const char *const technologies[] = {"sram16", "reram", "fefet"};
  const struct bf_source *source;
  struct bf_compile_options o = {.opt_level = (unsigned)rng_range(rng, 0, 3), .mapping = (enum bf_mapping)rng_range(rng, 0, BF_MAPPING_COUNT - 1),
                                 .objective = (enum bf_objective)rng_range(rng, 0, BF_OBJECTIVE_COUNT - 1), .batch = 1};
  assert_true(ap_machine_load(machines[rng_next(rng) % BF_COUNT(machines)], &o.machine, &source, diags));
  assert_true(ap_technology_load(technologies[rng_next(rng) % BF_COUNT(technologies)], &o.tech, diags));
  o.machine.rows = (uint32_t)rng_range(rng, 2, 64);
  o.machine.columns = 256;
  if (rng_next(rng) % 2) o.machine.clusters = o.machine.caps_per_cluster = (uint32_t)rng_range(rng, 1, 3);
  if (rng_next(rng) % 2) o.machine.port_bits = (uint32_t)rng_range(rng, 1, 64);
  return o;
}

struct tally { unsigned layers, conv; double best; };

static void one_network(struct rng *rng, enum random_kind kind, struct tally *tally) {
  struct bf_graph *g = random_graph(rng, kind);
  struct bf_diags diags = {0};
  struct bf_compile_options o = random_options(rng, &diags);
  struct bf_cost_split a;
  assert_true(bf_graph_verify(g, &diags));
  if (!bf_cost_split_of(g, &o, &a, &diags)) {  // too few columns or memory
    ap_technology_free(&o.tech);
    bf_diags_free(&diags);
    bf_graph_free(g);
    return;
  }
  struct bf_unit unit = {.graph = g, .machine = &o.machine, .tech = &o.tech, .opt_level = o.opt_level, .mapping = o.mapping, .objective = o.objective};
  for (size_t i = 0; i < a.nlayers; i++) {
    const struct bf_node *node = a.layers[i].node;
    struct bf_bound b = bf_bound_of(&unit, node);
    bool conv = node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE;
    double least = b.cycles, cycles = (double)a.layers[i].all.time.cycles;
    if (conv) least = bf_bound_scheme(&b, a.choices[node->id].plan.scheme);
    if (least < b.cycles) fail_msg("the bound of all schemes is above that of one");
    if (cycles < least) fail_msg("layer %s: %g cycles, bound %g (movement %g, depth %g, scheme %d)", node->name, cycles, least, b.movement, b.depth, conv ? (int)a.choices[node->id].plan.scheme : -1);
    tally->layers++;
    tally->conv += conv;
    if (conv && cycles > 0 && least / cycles > tally->best) tally->best = least / cycles;
  }
  bf_cost_split_free(&a);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

static void test_bounds_hold(void **state) {
  (void)state;
  const char *wanted = getenv("BFIMNA_ROUNDS");
  const int rounds = wanted ? atoi(wanted) : 60;
  struct rng rng = {77};
  struct tally t = {0};
  for (int round = 0; round < rounds; round++)
    for (int kind = 0; kind < RANDOM_KINDS; kind++) one_network(&rng, (enum random_kind)kind, &t);
  print_message("%u layers, %u of them convolutions; bound of the scheme up to %.2f of the cycles\n", t.layers, t.conv, t.best);
  assert_true(t.conv > 100 && t.best > 0.4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds_hold)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
