// SPDX-License-Identifier: Apache-2.0
// Parts of the studies and sweeps: formulas against hand calculations and an independent table, plots, widths, prices, keys.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "ir/reference.h"
#include "passes/paper.h"
#include "runtime/engine.h"
#include "tools/bfexplore/hawq.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/plot.h"
#include "tools/bfexplore/point_setup.h"
#include "tools/bfexplore/points.h"
#include "tools/bfexplore/pool.h"
#include "tools/bfexplore/price.h"
#include "tools/bfexplore/variant.h"

// ---- formulas

static void test_paper_by_hand(void **state) {
  (void)state;
  // 8 bits, 576 products: 32 + 512 + 9 log2(576); one bit, one product: 4 + 8.
  assert_true(fabs(ap_paper_matmul_cycles(8, 8, 576) - (544 + 9 * log2(576))) < 1e-9);
  assert_true(ap_paper_matmul_cycles(1, 1, 1) == 12);
  struct ap_machine m = {.clusters = 2, .caps_per_cluster = 2, .rows = 10};
  struct ap_paper_layer layer = {.kind = AP_PAPER_MATMUL, .bits_w = 4, .bits_a = 4, .rows = 81, .terms = 8};
  struct ap_paper_cost cost = ap_paper_cost(&layer, &m, 1);
  assert_int_equal(cost.folds, 3);  // of 40 rows
  assert_true(fabs(cost.cycles - 3 * (16 + 128 + 27)) < 1e-9);
  assert_true(fabs(cost.energy_j / (5.41e-15 * 81 * (8 * 16 + 8 * 4)) - 1) < 1e-12);
  assert_true(fabs(ap_paper_cost(&layer, &m, 0.5).energy_j * 4 / cost.energy_j - 1) < 1e-12);
  m.unlimited_caps = true;
  assert_int_equal(ap_paper_cost(&layer, &m, 1).folds, 1);
  struct ap_paper_layer relu = {.kind = AP_PAPER_NONE, .bits_a = 8, .relu = true, .outputs = 40};
  assert_true(ap_paper_cost(&relu, &m, 1).cycles == 33);
}

// Matrix products of HAWQ-V3's ResNet-18 alone, relative to INT8: a table that was worked out from the same formulas
// by another program.
static void test_paper_resnet18(void **state) {
  (void)state;
  static const struct { const char *column; double energy, cycles; } rows[] = {
      {"uniform8", 1, 1}, {"latency_0.75", 0.816, 0.846}, {"latency_0.5", 0.678, 0.730}, {"latency_0.25", 0.489, 0.563}, {"uniform4", 0.326, 0.422}};
  struct bf_diags diags = {0};
  struct ap_machine machine;
  const struct bf_source *source, *csv = bfx_hawq_table(NULL, "resnet18_bits.csv", &diags);
  struct bf_graph *g = bfx_network_load("resnet18", 1, 1, &diags);
  assert_true(g && csv && ap_machine_load("bf-imna-lr", &machine, &source, &diags));
  double energy[5] = {0}, cycles[5] = {0};
  for (size_t i = 0; i < g->nnodes; i++) {
    struct ap_paper_layer layer = bf_paper_layer(g->nodes[i]);
    for (size_t k = 0; layer.kind == AP_PAPER_MATMUL && k < 5; k++) {
      layer.relu = false;
      layer.bits_w = layer.bits_a = bfx_hawq_bits(csv, g->nodes[i]->name, rows[k].column, &diags);
      assert_int_not_equal(layer.bits_w, 0);
      struct ap_paper_cost cost = ap_paper_cost(&layer, &machine, 1);
      energy[k] += cost.energy_j;
      cycles[k] += cost.cycles;
    }
  }
  for (size_t k = 0; k < 5; k++) {
    assert_true(fabs(energy[k] / energy[0] - rows[k].energy) < 0.003);
    assert_true(fabs(cycles[k] / cycles[0] - rows[k].cycles) < 0.003);
  }
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- plots

static size_t occurrences(const char *text, const char *what) {
  size_t n = 0;
  for (; (text = strstr(text, what)) != NULL; text++) n++;
  return n;
}

static void fill_plot(struct bfx_plot *p) {
  *p = (struct bfx_plot){.title = "a < b & c", .x_label = "x (s)", .y_label = "y (J)", .x_log = true, .y_log = true};
  size_t s = bfx_plot_series(p, "one", BFX_POINTS);
  for (int i = 0; i < 40; i++) bfx_plot_point(p, s, pow(10, -3 + 0.1 * ((i * 17) % 40)), 1 + (i * 7) % 13, i % 5 ? NULL : "<p>");
  bfx_plot_point(p, s, 0, 1, NULL);
  bfx_plot_point(p, s, -1, 1, NULL);
  bfx_plot_point(p, s, NAN, 1, NULL);
  assert_int_equal(p->series[s].count, 40);
}

static void test_plot(void **state) {
  (void)state;
  struct bfx_plot p[2];
  struct bf_buf a = {0}, b = {0};
  fill_plot(&p[0]);
  fill_plot(&p[1]);
  bfx_plot_front(&p[1], "front");
  bfx_plot_svg(p, 2, &a);
  bfx_plot_svg(p, 2, &b);
  assert_int_equal(a.length, b.length);
  assert_memory_equal(a.data, b.data, a.length);
  assert_int_equal(occurrences(a.data, "<text"), occurrences(a.data, "</text>"));
  assert_non_null(strstr(a.data, "a &lt; b &amp; c"));
  assert_null(strstr(a.data, "<p>"));
  assert_null(strstr(a.data, "nan"));
  assert_null(strstr(a.data, "inf"));
  // Nothing dominates a point of the front, and something equals or dominates each point.
  const struct bfx_series *all = &p[1].series[0], *front = &p[1].series[1];
  for (size_t i = 0; i < all->count; i++) {
    bool covered = false;
    for (size_t k = 0; k < front->count; k++) {
      covered |= front->points[k].x <= all->points[i].x && front->points[k].y <= all->points[i].y;
      assert_false(all->points[i].x < front->points[k].x && all->points[i].y < front->points[k].y);
    }
    assert_true(covered);
  }
  bf_buf_free(&a);
  bf_buf_free(&b);
  bfx_plot_free(&p[0]);
  bfx_plot_free(&p[1]);
}

static void test_plot_degenerate(void **state) {
  (void)state;
  struct bfx_plot p = {.title = "none", .x_label = "", .y_label = ""};
  struct bf_buf out = {0};
  bfx_plot_svg(&p, 1, &out);
  size_t bars = bfx_plot_series(&p, "bars", BFX_BARS);
  bfx_plot_point(&p, bars, (double)bfx_plot_category(&p, "only"), 3, "3");
  assert_int_equal(bfx_plot_category(&p, "only"), 0);
  bfx_plot_svg(&p, 1, &out);
  assert_null(strstr(out.data, "nan"));
  assert_null(strstr(out.data, "inf"));
  bf_buf_free(&out);
  bfx_plot_free(&p);
}

// ---- widths

static const char tiny[] =
    "bfn 1;\nnetwork tiny {\n  input image: u8[2, 2, 1] scale 0.5;\n  const w: s8[2, 1, 1, 1] scale 0.25 = [32, -48];\n"
    "  const b: s32[2] = [1024, 512];\n  const v: s8[1, 1, 1, 2] scale 0.125 = [64, 16];\n"
    "  c1 = conv2d(image, w, b, activation relu) -> u8 scale 8;\n  m = max_pool2d(c1, kernel 2, stride 2);\n"
    "  c2 = conv2d(m, v) -> s8 scale 64;\n  output c2;\n  profile own { c2: w2 a3; default: w8 a8; }\n}\n";

static struct bf_graph *tiny_graph(struct bf_diags *diags) {
  const struct bf_source *source = bf_diags_add_source(diags, "tiny.bfn", tiny, strlen(tiny));
  return bf_bfn_compile(source, NULL, NULL, diags);
}

static int64_t evaluate(const struct bf_graph *g, const int64_t image[4]) {
  struct bf_ref_run *run = bf_ref_new(g);
  struct bf_diags diags = {0};
  const struct bf_tensor *in = NULL, *out = NULL;
  for (size_t i = 0; i < g->ntensors; i++) {
    in = g->tensors[i]->is_input ? g->tensors[i] : in;
    out = g->tensors[i]->is_output ? g->tensors[i] : out;
  }
  assert_true(bf_ref_set_input(run, in, image) && bf_ref_run(run, &diags));
  int64_t y = run->values[out->id][0];
  bf_ref_free(run);
  bf_diags_free(&diags);
  return y;
}

// All numbers are multiples of 16, so that 4 bits lose nothing but a rounding of the requantizations.
static void test_variant_exact(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_graph *wide = tiny_graph(&diags);
  struct bf_profile profile = {.name = bf_strdup("p")};
  struct bfx_variant v;
  bfx_profile_add(&profile, "default", 4, 4);
  assert_true(bfx_variant_make(&v, tiny_graph(&diags), &profile, &diags));
  const struct bf_tensor *w = bf_graph_find_tensor(v.graph, "w~w4"), *c1 = bf_graph_find_tensor(v.graph, "c1"),
                         *m = bf_graph_find_tensor(v.graph, "m");
  assert_true(w->type.bits == 4 && w->data[0] == 2 && w->data[1] == -3 && w->quant.scale[0] == 4);
  assert_true(c1->type.bits == 4 && m->type.bits == 4 && c1->quant.scale[0] == 128 && m->quant.scale[0] == 128);
  // The input keeps its type and is requantized; what lies between is made narrow where it is produced.
  assert_int_equal(v.graph->nnodes, wide->nnodes + 1);
  assert_int_equal(v.graph->nodes[0]->op, BF_OP_REQUANTIZE);
  const int64_t image[4] = {16, 144, 240, 64};
  assert_true(llabs(evaluate(v.graph, image) - evaluate(wide, image)) <= 2);
  assert_int_not_equal(evaluate(wide, image), 0);
  bfx_variant_free(&v);
  bfx_profile_free(&profile);
  bf_graph_free(wide);
  bf_diags_free(&diags);
}

// Compiled and executed, narrow networks equal their reference, and take the cycles that they are priced at.
static void test_variant_runs(void **state) {
  (void)state;
  static const unsigned widths[][2] = {{8, 8}, {4, 4}, {2, 3}, {8, 4}, {5, 8}, {1, 1}};
  struct bf_diags diags = {0};
  struct bf_compile_options options = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  const int64_t image[4] = {33, 144, 250, 71};
  assert_true(ap_machine_load("edge", &options.machine, &source, &diags) && ap_technology_load("sram16", &options.tech, &diags));
  for (size_t i = 0; i < BF_COUNT(widths); i++) {
    struct bf_profile profile = {.name = bf_strdup("p")};
    struct bfx_variant v;
    bfx_profile_add(&profile, "default", widths[i][0], widths[i][1]);
    assert_true(bfx_variant_make(&v, tiny_graph(&diags), &profile, &diags));
    struct ap_program *p = bf_compile(v.graph, &options, &diags);
    struct bfx_code *code = bfx_code_new(v.graph, &options, NULL, &diags);
    assert_true(p && code);
    struct bfx_price price;
    struct ap_account *layers = bf_alloc(p->nlayers, sizeof *layers), total = {0};
    struct ap_execution how = {.engine = AP_ENGINE_INTERP, .count = AP_COUNT_EXACT, .threads = 1};
    struct ap_run *run = ap_run_new(p, &diags);
    int64_t y;
    assert_true(run && ap_run_set(run, p->inputs[0], image) && ap_run_execute(run, &options.tech, layers, &total, &how, &diags));
    ap_run_get(run, p->outputs[0], &y);
    bfx_code_price(code, &options.tech, &price);
    assert_true(price.total.time.cycles == total.time.cycles);
    assert_int_equal(y, evaluate(v.graph, image));
    ap_run_free(run);
    free(layers);
    bfx_price_free(&price);
    bfx_code_free(code);
    ap_program_free(p);
    bfx_variant_free(&v);
    bfx_profile_free(&profile);
  }
  ap_technology_free(&options.tech);
  bf_diags_free(&diags);
}

static void test_variant_unknown(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_profile profile = {.name = bf_strdup("p")};
  struct bfx_variant v;
  bfx_profile_add(&profile, "c9", 4, 4);
  assert_false(bfx_variant_make(&v, tiny_graph(&diags), &profile, &diags));
  assert_int_equal(diags.errors, 1);
  bfx_variant_free(&v);
  bfx_profile_free(&profile);
  bf_diags_free(&diags);
}

static const struct bf_profile_entry *entry(const struct bf_profile *p, const char *layer) {
  for (size_t i = 0; i < p->count; i++)
    if (strcmp(p->entries[i].layer, layer) == 0) return &p->entries[i];
  fail_msg("no entry for %s", layer);
  return NULL;
}

static void test_profile_text(void **state) {
  (void)state;
  static const char *const wrong[] = {"w4", "w0a4", "w4a17", "w4a4x", "ends8:w4", "hawq:latency_0.5", "other", "no/such.profile"};
  struct bf_diags diags = {0};
  struct bf_graph *g = tiny_graph(&diags);
  struct bf_profile p = {0};
  assert_true(bfx_profile_read("base", "tiny", g, &p, &diags) && p.count == 0);
  bfx_profile_free(&p);
  assert_true(bfx_profile_read("ends8:w2a3", "tiny", g, &p, &diags) && p.count == 2);
  assert_int_equal(entry(&p, "c1")->bits_a, 8);
  assert_int_equal(entry(&p, "c2")->bits_w, 8);
  bfx_profile_free(&p);
  assert_true(bfx_profile_read("w2a3", "tiny", g, &p, &diags) && p.count == 2);
  assert_int_equal(entry(&p, "c1")->bits_a, 3);
  assert_int_equal(entry(&p, "c2")->bits_w, 2);
  bfx_profile_free(&p);
  assert_true(bfx_profile_read("own", "tiny", g, &p, &diags));
  assert_int_equal(entry(&p, "c2")->bits_w, 2);
  bfx_profile_free(&p);
  for (size_t i = 0; i < BF_COUNT(wrong); i++) {
    size_t before = diags.errors;
    assert_false(bfx_profile_read(wrong[i], "tiny", g, &p, &diags));
    assert_int_equal(diags.errors, before + 1);
    bfx_profile_free(&p);
  }
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- prices

// What code costs in every technology that gets it is what the static account says.
static void test_price(void **state) {
  (void)state;
  static const char *const techs[] = {"sram16", "reram", "pcm", "fefet"};
  struct bf_diags diags = {0};
  struct bf_compile_options options = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  struct bf_graph *g = tiny_graph(&diags);
  assert_true(ap_machine_load("edge", &options.machine, &source, &diags) && ap_technology_load("sram16", &options.tech, &diags));
  struct ap_account *layers = bf_alloc(g->nnodes, sizeof *layers), total;
  for (size_t t = 0; t < BF_COUNT(techs); t++) {
    ap_technology_free(&options.tech);
    assert_true(ap_technology_load(techs[t], &options.tech, &diags));
    struct bfx_code *code = bfx_code_new(g, &options, NULL, &diags);
    struct ap_program *program = bf_compile(g, &options, &diags);
    assert_true(code && program);
    for (double vdd = 0.5; vdd <= 1; vdd += 0.25) {
      struct ap_technology tech;
      struct bfx_price price;
      assert_true(ap_technology_load(techs[t], &tech, &diags) && ap_technology_set_vdd(&tech, vdd));
      ap_static_account(program, &tech, layers, &total);
      assert_true(bfx_code_price(code, &tech, &price));  // cycles are the objective: any supply shares the code
      assert_memory_equal(&price.total.events, &total.events, sizeof total.events);
      assert_true(price.total.time.cycles == total.time.cycles && price.total.time.stall == total.time.stall);
      for (uint32_t i = 0; i < program->nlayers; i++) assert_true(price.layers[i].energy_j == layers[i].energy_j);
      assert_true(price.total.energy_j == total.energy_j);
      bfx_price_free(&price);
      ap_technology_free(&tech);
    }
    struct ap_technology other = options.tech;
    struct bfx_price price;
    other.write_cycles += 3;
    assert_false(bfx_code_price(code, &other, &price));
    ap_program_free(program);
    bfx_code_free(code);
  }
  free(layers);
  ap_technology_free(&options.tech);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- points

static void test_points_keys(void **state) {
  (void)state;
  struct bfx_points points = {.seed = 1};
  static const struct { enum bfx_axis axis; const char *value; } changes[] = {
      {BFX_AXIS_NETWORK, "alexnet"}, {BFX_AXIS_NETWORK, "alexnet"},   {BFX_AXIS_VDD, "0.5"},  {BFX_AXIS_TECH, "reram"},
      {BFX_AXIS_TECH, "pcm"},        {BFX_AXIS_PROFILE, "w4a4"},      {BFX_AXIS_ROWS, "512"}, {BFX_AXIS_ROWS, "0"},
      {BFX_AXIS_NETWORK, "alexnot"}, {BFX_AXIS_MAPPING, "sideways"},  {BFX_AXIS_VDD, "9"},    {BFX_AXIS_FEATURES, "teleport"},
      {BFX_AXIS_COLUMNS, "64\nrows = 3"}};
  for (size_t i = 0; i < BF_COUNT(changes); i++) {
    struct bfx_point *p = bfx_points_add(&points);
    bfx_point_set(p, BFX_AXIS_NETWORK, "alexnet");
    bfx_point_set(p, changes[i].axis, changes[i].value);
  }
  bfx_points_resolve(&points);
  const struct bfx_point *p = points.items;
  assert_true(p[0].key == p[1].key && p[0].code == p[1].code);
  assert_true(p[2].key != p[0].key && p[2].code == p[0].code);  // a voltage
  assert_true(p[3].code != p[0].code && p[4].code != p[3].code);  // technologies whose writes take other times: plans weigh them
  assert_true(p[5].code != p[0].code && p[6].code != p[0].code);
  for (size_t i = 0; i < BF_COUNT(changes); i++) {
    assert_int_equal(p[i].done, i >= 7);
    assert_int_equal(p[i].error != NULL, i >= 7);
  }
  bfx_points_free(&points);
}

struct counting { atomic_uint seen[100]; };
static void count_piece(void *context, size_t i) { ((struct counting *)context)->seen[i]++; }

static void test_pool(void **state) {
  (void)state;
  struct counting *c = bf_alloc(1, sizeof *c);
  bfx_pool_run(100, 4, count_piece, NULL, c);
  for (size_t i = 0; i < 100; i++) assert_int_equal(c->seen[i], 1);
  bfx_pool_run(0, 0, count_piece, NULL, c);
  bfx_pool_run(1, 8, count_piece, NULL, c);
  assert_int_equal(c->seen[0], 2);
  free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paper_by_hand),   cmocka_unit_test(test_paper_resnet18), cmocka_unit_test(test_plot),
      cmocka_unit_test(test_plot_degenerate), cmocka_unit_test(test_variant_exact),  cmocka_unit_test(test_variant_runs), cmocka_unit_test(test_variant_unknown),
      cmocka_unit_test(test_profile_text),    cmocka_unit_test(test_price),          cmocka_unit_test(test_points_keys),
      cmocka_unit_test(test_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
