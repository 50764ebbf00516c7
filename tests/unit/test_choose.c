// SPDX-License-Identifier: Apache-2.0
// What the pass `map` promises, by the costs that reports show: a product of cycles and energy that no other objective beats, -O3 never behind -O2; the
// least product against all combinations; estimated loads at a port against the timing model.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "backend/costs.h"
#include "isa/ledger.h"
#include "passes/conv.h"
#include "passes/least_product.h"
#include "tests/support/random_graph.h"

static int rounds_or(int few) {
  const char *wanted = getenv("BFIMNA_ROUNDS");  // a longer campaign
  return wanted ? atoi(wanted) : few;
}

// --- the least product -------------------------------------------------------------------------------------------

enum { ITEMS = 5, CHOICES = 4 };

static struct bf_point sum_of(const struct bf_point *points, const size_t *picked, size_t items, size_t choices) {
  struct bf_point sum = {0, 0};
  for (size_t i = 0; i < items; i++) {
    assert_true(picked[i] < choices);
    sum.cycles += points[i * choices + picked[i]].cycles;
    sum.energy += points[i * choices + picked[i]].energy;
  }
  return sum;
}

// Of all combinations.
static double least_of_all(const struct bf_point *points, size_t items, size_t choices) {
  size_t picked[ITEMS] = {0};
  double least = -1;
  for (;;) {
    struct bf_point sum = sum_of(points, picked, items, choices);
    if (least < 0 || sum.cycles * sum.energy < least) least = sum.cycles * sum.energy;
    size_t i = 0;
    while (i < items && ++picked[i] == choices) picked[i++] = 0;
    if (i == items) return least;
  }
}

static void test_least_product(void **state) {
  (void)state;
  struct rng rng = {11};
  int not_the_parts = 0;
  for (int round = 0; round < 3000; round++) {
    size_t items = (size_t)rng_range(&rng, 1, ITEMS), choices = (size_t)rng_range(&rng, 1, CHOICES), picked[ITEMS], own[ITEMS];
    int64_t most = rng_range(&rng, 0, 2) ? 1000 : 3;  // small numbers: equal points, points on a line, zeros
    struct bf_point points[ITEMS * CHOICES];
    for (size_t i = 0; i < items * choices; i++)
      points[i] = (struct bf_point){(double)rng_range(&rng, 0, most), (double)rng_range(&rng, 0, most)};
    bf_least_product(points, items, choices, picked);
    struct bf_point sum = sum_of(points, picked, items, choices);
    assert_true(sum.cycles * sum.energy == least_of_all(points, items, choices));
    // The least product of each item alone is another matter.
    for (size_t i = 0; i < items; i++) {
      own[i] = 0;
      for (size_t k = 1; k < choices; k++) {
        const struct bf_point *p = &points[i * choices + k], *q = &points[i * choices + own[i]];
        if (p->cycles * p->energy < q->cycles * q->energy) own[i] = k;
      }
    }
    struct bf_point alone = sum_of(points, own, items, choices);
    not_the_parts += alone.cycles * alone.energy > sum.cycles * sum.energy;
  }
  assert_true(not_the_parts > 100);
}

// --- objectives and levels on networks ---------------------------------------------------------------------------

struct result { double cycles, energy; };

static struct result cost_of(const struct bf_graph *g, const struct bf_compile_options *from, enum bf_objective objective, unsigned level) {
  struct bf_diags diags = {0};
  struct bf_compile_options o = *from;
  o.objective = objective;
  o.opt_level = level;
  struct bf_costs *costs = bf_costs_analyse(g, NULL, &o, NULL, &diags);
  assert_non_null(costs);
  struct ap_account *layers = bf_alloc(bf_costs_layers(costs) + 1, sizeof *layers), total;
  assert_true(bf_costs_price(costs, &o.machine, &o.tech, layers, &total));
  free(layers);
  bf_costs_free(costs);
  bf_diags_free(&diags);
  return (struct result){(double)total.time.cycles, total.energy_j};
}

static struct bf_tensor *tensor(struct bf_graph *g, const char *name, uint64_t h, uint64_t c) {
  const uint64_t shape[4] = {1, h, h, c};
  return bf_graph_tensor(g, name, (struct bf_type){BF_TYPE_S, 8}, 4, shape);
}

static struct bf_tensor *weights(struct bf_graph *g, struct rng *rng, const char *name, uint64_t out, uint64_t k, uint64_t in) {
  const uint64_t shape[4] = {out, k, k, in};
  struct bf_tensor *w = bf_graph_tensor(g, name, (struct bf_type){BF_TYPE_S, 8}, 4, shape);
  int64_t spread = rng_range(rng, 1, 127);
  w->data = bf_arena_alloc(&g->arena, w->elements, sizeof *w->data);
  for (uint64_t i = 0; i < w->elements; i++) w->data[i] = rng_range(rng, -spread, spread);
  return w;
}

// Some convolutions of different shapes, one behind the other.
static struct bf_graph *random_chain(struct rng *rng) {
  struct bf_graph *g = bf_graph_new("chain");
  uint64_t h = (uint64_t)rng_range(rng, 4, 24), c = (uint64_t)rng_range(rng, 1, 16);
  struct bf_tensor *x = tensor(g, "x", h, c);
  x->is_input = true;
  int layers = (int)rng_range(rng, 2, 4);
  for (int i = 0; i < layers; i++) {
    uint64_t k = h > 3 && rng_range(rng, 0, 1) ? 3 : 1, out = (uint64_t)rng_range(rng, 1, 48);
    h -= k - 1;
    char name[8] = {'y', (char)('0' + i)}, of[8] = {'w', (char)('0' + i)};
    struct bf_tensor *y = tensor(g, name, h, out), *inputs[2] = {x, weights(g, rng, of, out, k, c)};
    struct bf_node *node = bf_graph_node(g, BF_OP_CONV2D, name, inputs, 2, y);
    struct bf_requant *rq = &node->attrs.requant;
    *rq = (struct bf_requant){.mode = BF_REQUANT_DYADIC, .count = 1, .lo = -128, .hi = 127};
    rq->mult = bf_arena_alloc(&g->arena, 1, sizeof *rq->mult);
    rq->shift = bf_arena_alloc(&g->arena, 1, sizeof *rq->shift);
    rq->mult[0] = 77;
    rq->shift[0] = 14;
    node->attrs.kernel[0] = node->attrs.kernel[1] = (int32_t)k;
    x = y;
    c = out;
  }
  x->is_output = true;
  return g;
}

static void compare(const struct bf_graph *g, const struct bf_compile_options *o, int *better) {
  struct result r[2][BF_OBJECTIVE_COUNT];
  for (unsigned level = 2; level <= 3; level++) {
    struct result *now = r[level - 2];
    for (int k = 0; k < BF_OBJECTIVE_COUNT; k++) now[k] = cost_of(g, o, (enum bf_objective)k, level);
    double product = now[BF_OBJECTIVE_EDP].cycles * now[BF_OBJECTIVE_EDP].energy;
    // Sums of doubles in another order: a hair.
    for (int k = 0; k < BF_OBJECTIVE_COUNT; k++)
      if (product > now[k].cycles * now[k].energy * (1 + 1e-9))
        fail_msg("-O%u: EDP %g, but with objective %d it is %g", level, product, k, now[k].cycles * now[k].energy);
    *better += product < 0.99 * now[BF_OBJECTIVE_CYCLES].cycles * now[BF_OBJECTIVE_CYCLES].energy;
  }
  const struct result *low = r[0], *high = r[1];
  assert_true(high[BF_OBJECTIVE_CYCLES].cycles <= low[BF_OBJECTIVE_CYCLES].cycles);
  assert_true(high[BF_OBJECTIVE_ENERGY].energy <= low[BF_OBJECTIVE_ENERGY].energy * (1 + 1e-9));
  double products[2] = {low[BF_OBJECTIVE_EDP].cycles * low[BF_OBJECTIVE_EDP].energy, high[BF_OBJECTIVE_EDP].cycles * high[BF_OBJECTIVE_EDP].energy};
  assert_true(products[1] <= products[0] * (1 + 1e-9));
}

static struct bf_compile_options options_of(struct rng *rng, struct bf_diags *diags) {
  static const char *const machines[] = {"bf-imna-lr", "edge"}, *const technologies[] = {"sram16", "reram"};
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  assert_true(ap_machine_load(machines[rng_range(rng, 0, 1)], &o.machine, &source, diags));
  assert_true(ap_technology_load(technologies[rng_range(rng, 0, 1)], &o.tech, diags));
  if (rng_range(rng, 0, 1)) o.machine.rows = (uint32_t)rng_range(rng, 8, 300);
  if (rng_range(rng, 0, 1)) o.machine.clusters = 2, o.machine.caps_per_cluster = (uint32_t)rng_range(rng, 1, 6);
  return o;
}

static void test_objectives_and_levels(void **state) {
  (void)state;
  struct rng rng = {5};
  int better = 0, networks = rounds_or(6);
  for (int round = 0; round < networks; round++) {
    struct bf_diags diags = {0};
    struct bf_compile_options o = options_of(&rng, &diags);
    struct bf_graph *g = random_chain(&rng);
    if (!bf_graph_verify(g, &diags)) fail_msg("%s", diags.items[0].message);
    compare(g, &o, &better);
    bf_graph_free(g);
    ap_technology_free(&o.tech);
    bf_diags_free(&diags);
  }
  if (networks > 5) assert_true(better > 0);  // the search is not idle
}

// --- loads at a port ---------------------------------------------------------------------------------------------

// What the busiest port serves of loads of a cycle each, by the timing model. The loads of a region's tiles differ; those of a part are alike in all blocks.
static double served(const struct ap_machine *m, uint32_t tiles, uint32_t parts, uint32_t blocks, bool parts_inside) {
  uint32_t count = tiles * parts * blocks, i = 0;
  struct ap_tile_time *times = bf_alloc(count, sizeof *times);
  uint32_t *loads = bf_alloc(count, sizeof *loads);
  for (uint32_t a = 0; a < (parts_inside ? blocks : parts); a++)
    for (uint32_t b = 0; b < (parts_inside ? parts : blocks); b++)
      for (uint32_t t = 0; t < tiles; t++, i++) {
        times[i] = (struct ap_tile_time){.row_tile = t, .prefetched = 1};
        loads[i] = (parts_inside ? b : a) * tiles + t;
      }
  struct ap_layer_time out = {0};
  ap_time_tiles(m, times, loads, count, &out);
  free(times);
  free(loads);
  return (double)out.cycles;
}

static void test_loads_at_port(void **state) {
  (void)state;
  struct rng rng = {23};
  int unshared = 0;
  for (int round = 0; round < 600; round++) {
    struct ap_machine m = {.rows = 100, .columns = 256, .clusters = 1u << rng_range(&rng, 0, 5), .caps_per_cluster = 1u << rng_range(&rng, 0, 5),
                           .port_bits = 64, .multicast = true};
    struct bf_unit unit = {.machine = &m};
    struct bf_planner p = {.unit = &unit, .f = {.rows = m.rows, .ports = m.clusters, .caps = (double)m.clusters * m.caps_per_cluster}};
    uint32_t tiles = (uint32_t)rng_range(&rng, 1, 50), parts = (uint32_t)rng_range(&rng, 1, 9), blocks = (uint32_t)rng_range(&rng, 1, 70);
    bool inside = rng_range(&rng, 0, 1);
    double tasks = (double)tiles * parts * blocks, is = served(&m, tiles, parts, blocks, inside);
    double said = inside ? bf_plan_loads(&p, tasks, tiles * parts, tasks) : bf_plan_loads(&p, tasks, tiles, tiles * blocks);
    // Runs that begin amid a wave, and unequal ports, are estimated.
    if (said < 0.6 * is - 1 || said > 2 * is + 1) fail_msg("%u clusters of %u, %u tiles, %u parts, %u blocks: %g loads, estimated %g", m.clusters, m.caps_per_cluster, tiles, parts, blocks, is, said);
    unshared += is >= 2 * ceil(tasks / (m.clusters * m.caps_per_cluster)) * ceil((double)tiles * parts / m.clusters);
  }
  assert_true(unshared > 20);  // where a multicast serves less than one might hope
}

static void test_even_tiles(void **state) {
  (void)state;
  struct ap_machine m = {.rows = 4800, .clusters = 64, .caps_per_cluster = 64, .multicast = true};
  // 39 tiles would meet each port in turn; 40 have a factor of 8 in common with 64.
  assert_int_equal(bf_loads_at_port(&m, 39), 39);
  assert_int_equal(bf_loads_at_port(&m, 40), 5);
  for (uint64_t rows = 1; rows < 500000; rows += 4801)
    for (uint64_t regions = 1; regions < 600; regions += 37) {
      uint64_t least = (rows + 4799) / 4800, tiles = bf_even_tiles(&m, rows, regions);
      assert_true(tiles >= least && bf_loads_at_port(&m, tiles) <= bf_loads_at_port(&m, least));
      assert_true((regions * tiles + 4095) / 4096 == (regions * least + 4095) / 4096 || 10 * (tiles - least) <= least);
      uint64_t tile_rows = (rows + tiles - 1) / tiles;
      assert_int_equal((rows + tile_rows - 1) / tile_rows, tiles);
    }
  m.multicast = false;
  assert_int_equal(bf_even_tiles(&m, 39 * 4800, 256), 39);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_least_product), cmocka_unit_test(test_objectives_and_levels),
                                     cmocka_unit_test(test_loads_at_port), cmocka_unit_test(test_even_tiles)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
