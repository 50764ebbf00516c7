// SPDX-License-Identifier: Apache-2.0
// The studies of HAWQ-V3's networks: five assignments of bits from INT8 to INT4 on the machine, the published accuracy beside them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/paper.h"
#include "tools/bfexplore/hawq.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/point_setup.h"
#include "tools/bfexplore/pool.h"
#include "tools/bfexplore/study.h"
#include "tools/bfexplore/variant.h"

// Top-1 % on ImageNet as published: Zhen-Dong/HAWQ, model_zoo.md (commit 1616df6).
static const struct level { const char *name, *column; double top1[2]; } levels[] = {
    {"INT8", "uniform8", {71.56, 77.58}},        {"high", "latency_0.75", {70.40, 76.63}}, {"medium", "latency_0.5", {70.34, 74.95}},
    {"low", "latency_0.25", {68.56, 74.26}},     {"INT4", "uniform4", {68.45, 74.24}},
};
#define NLEVELS BF_COUNT(levels)

struct point {
  struct bf_diags diags;
  struct bfx_variant variant;
  struct bfx_code *code;
  double bits_avg, bits_weight;
};

struct work {
  struct bfx_study *study;
  const char *network;
  struct bf_compile_options options;
  const struct bf_source *csv;
  size_t index[NLEVELS];   // of the levels that are wanted
  struct point points[NLEVELS];
};

// The column's bits as a profile, and their means: over the convolutions that HAWQ-V3 assigns (all but the first; not the
// dense layer at the end), and over all weights.
static bool read_profile(const struct work *w, const struct level *level, const struct bf_graph *g, struct point *point,
                         struct bf_profile *profile) {
  double sum = 0, weighted = 0, weights = 0;
  size_t count = 0, seen = 0;
  for (size_t i = 0; i < g->nnodes; i++) {
    const struct bf_node *n = g->nodes[i];
    if (!bfx_is_layer(n)) {
      continue;
    }
    unsigned bits = bfx_hawq_bits(w->csv, n->name, level->column, &point->diags);
    if (!bits) {
      return false;
    }
    bfx_profile_add(profile, n->name, bits, bits);
    double size = (double)n->inputs[1]->elements;
    weighted += size * bits;
    weights += size;
    if (seen++ > 0 && n->op == BF_OP_CONV2D) {
      sum += bits;
      count++;
    }
  }
  point->bits_avg = count ? sum / (double)count : 0;
  point->bits_weight = weights > 0 ? weighted / weights : 0;
  return true;
}

static void work_on(void *context, size_t i) {
  struct work *w = context;
  struct point *point = &w->points[i];
  const struct level *level = &levels[w->index[i]];
  struct bf_profile profile = {.name = bf_strdup(level->name)};
  struct bf_graph *base = bfx_network_load(w->network, 1, w->study->seed, &point->diags);
  bool ok = base && read_profile(w, level, base, point, &profile);
  if (bfx_variant_make(&point->variant, base, &profile, &point->diags) && ok) {
    point->code = bfx_code_new(point->variant.graph, &w->options, NULL, &point->diags);
  }
  bfx_profile_free(&profile);
}

static void put(json_t *row, const char *key, double value) { json_object_set_new(row, key, json_real(value)); }

static bool execute(struct work *w, const struct point *point, const struct bfx_price *price, json_t *row) {
  struct ap_account total;
  if (!w->study->run) {
    return true;
  }
  struct ap_program *program = bf_compile(point->variant.graph, &w->options, w->study->diags);
  bool ok = program && bfx_study_execute(w->study, program, &w->options.tech, price->layers, &total);
  ap_program_free(program);
  if (!ok) {
    return false;
  }
  json_object_set_new(row, "cycles_executed", json_integer((json_int_t)total.time.cycles));
  put(row, "energy_executed_j", total.energy_j);
  return true;
}

static bool add_row(struct work *w, size_t i) {
  struct point *point = &w->points[i];
  const struct level *level = &levels[w->index[i]];
  struct bfx_price price;
  json_t *row = json_object();
  bfx_code_price(point->code, &w->options.tech, &price);
  struct ap_paper_cost paper = bf_paper_graph(point->variant.graph, &w->options.machine, w->options.tech.vdd, NULL);
  double paper_s = paper.cycles / w->options.machine.clock_hz;
  json_object_set_new(row, "profile", json_string(level->name));
  json_object_set_new(row, "column", json_string(level->column));
  put(row, "bits_avg", point->bits_avg);
  put(row, "bits_per_weight", point->bits_weight);
  json_object_set_new(row, "cycles", json_integer((json_int_t)price.total.time.cycles));
  json_object_set_new(row, "stall_cycles", json_integer((json_int_t)price.total.time.stall));
  put(row, "time_s", price.figures.time_s);
  put(row, "energy_j", price.total.energy_j);
  put(row, "edp_js", price.figures.edp_js);
  put(row, "top1_published", level->top1[!strcmp(w->network, "resnet50")]);
  put(row, "paper_cycles", paper.cycles);
  put(row, "paper_energy_j", paper.energy_j);
  put(row, "paper_edp_js", paper.energy_j * paper_s);
  bool ok = execute(w, point, &price, row);
  bfx_price_free(&price);
  json_array_append_new(w->study->rows, row);
  return ok;
}

// Every measure relative to that of INT8, if it is there.
static void normalise(json_t *rows) {
  static const char *const keys[][2] = {{"cycles", "cycles_norm"}, {"energy_j", "energy_norm"}, {"edp_js", "edp_norm"},
                                        {"paper_cycles", "paper_cycles_norm"}, {"paper_energy_j", "paper_energy_norm"},
                                        {"paper_edp_js", "paper_edp_norm"}};
  json_t *base = json_array_get(rows, 0), *row;
  size_t i;
  if (!base || strcmp(json_string_value(json_object_get(base, "profile")), levels[0].name) != 0) {
    return;
  }
  json_array_foreach(rows, i, row) {
    for (size_t k = 0; k < BF_COUNT(keys); k++) {
      double of = json_number_value(json_object_get(base, keys[k][0]));
      put(row, keys[k][1], of > 0 ? json_number_value(json_object_get(row, keys[k][0])) / of : 0);
    }
  }
}

static void draw(struct bfx_study *s) {
  struct bfx_plot *bars = bfx_study_plot(s, "Energy-delay product by assignment of bits", "assignment (HAWQ-V3)", "EDP, INT8 = 1");
  struct bfx_plot *points = bfx_study_plot(s, "Published accuracy against EDP", "EDP (J s)", "top-1 on ImageNet (%)");
  size_t ours = bfx_plot_series(bars, "compiled", BFX_BARS), paper = bfx_plot_series(bars, "formulas, unconfirmed", BFX_BARS), i;
  size_t scatter = bfx_plot_series(points, "compiled", BFX_LINE);
  json_t *row;
  json_array_foreach(s->rows, i, row) {
    const char *name = json_string_value(json_object_get(row, "profile"));
    double x = (double)bfx_plot_category(bars, name), edp = json_number_value(json_object_get(row, "edp_norm"));
    char label[32];
    snprintf(label, sizeof label, "%.3f", edp);
    bfx_plot_point(bars, ours, x, edp, label);
    bfx_plot_point(bars, paper, x, json_number_value(json_object_get(row, "paper_edp_norm")), NULL);
    bfx_plot_point(points, scatter, json_number_value(json_object_get(row, "edp_js")),
                   json_number_value(json_object_get(row, "top1_published")), name);
  }
}

static void notes(struct work *w) {
  struct bfx_study *s = w->study;
  const struct ap_machine *m = &w->options.machine;
  bfx_study_note(s, "bits: %s (HAWQ-V3, Zhen-Dong/HAWQ commit 1616df6, bit_config.py, MIT licence: sourced); avg bits: mean over the"
                 " convolutions it assigns; weights and their inputs have the same bits.", w->csv->name);
  bfx_study_note(s, "top-1: published (model_zoo.md of the same repository: sourced), of its trained networks; nothing here measures it.");
  bfx_study_note(s, "weights: synthetic (seed %llu); cycles and expected energy depend on them by their distribution only.",
                 (unsigned long long)s->seed);
  bfx_study_note(s, "network: residual additions carry 8 bits (HAWQ-V3: 16); narrower inputs of a layer are requantized from them, which is counted.");
  bfx_study_note(s, "machine %s: %u clusters x %u CAPs x %u rows x %u columns, %g Hz; rows and clock derived from unconfirmed figures,"
                 " columns, ports and memories assumed (isa/machines/%s.ini).", m->name, m->clusters, m->caps_per_cluster, m->rows, m->columns,
                 m->clock_hz, m->name);
  bfx_study_note(s, "cycles, energy: our compiler's code; cycles are those of a bit-exact execution, energy is expected over random data%s.",
                 s->run ? "; executed: one random image, every event that does not depend on data was compared with the static account" : "");
  bfx_study_note(s, "paper: closed formulas 2M+8M^2+8log2(j)+2M+log2(j) a fold, a RECONSTRUCTION, unconfirmed; they leave out movement,"
                 " requantization and the width of sums (docs/bf-imna.md). Energy %.3g J a row and cycle, unconfirmed.", AP_PAPER_ROW_CYCLE_J);
  bfx_study_note_technology(s, &w->options.tech);
}

static const struct bfx_column columns[] = {
    {"profile", "profile", "%s"},           {"bits_avg", "avg bits", "%.2f"},        {"cycles", "cycles", "%d"},
    {"energy_j", "energy J", "%.4g"},       {"edp_js", "EDP J s", "%.4g"},           {"cycles_norm", "cycles/INT8", "%.3f"},
    {"energy_norm", "energy/INT8", "%.3f"}, {"edp_norm", "EDP/INT8", "%.3f"},        {"top1_published", "top-1 %", "%.2f"},
    {"paper_cycles", "paper cycles", "%.0f"}, {"paper_energy_j", "paper J", "%.4g"}, {"paper_edp_norm", "paper EDP/INT8", "%.3f"},
    {NULL, NULL, NULL}};
static const struct bfx_column columns_run[] = {
    {"profile", "profile", "%s"},           {"bits_avg", "avg bits", "%.2f"},  {"cycles", "cycles", "%d"},
    {"cycles_executed", "executed", "%d"},  {"energy_j", "energy J", "%.4g"},  {"energy_executed_j", "executed J", "%.4g"},
    {"edp_js", "EDP J s", "%.4g"},          {"edp_norm", "EDP/INT8", "%.3f"},  {"top1_published", "top-1 %", "%.2f"},
    {"paper_cycles", "paper cycles", "%.0f"}, {"paper_edp_norm", "paper EDP/INT8", "%.3f"}, {NULL, NULL, NULL}};

// The table of the network: from --data (the folder or its hawq/), $BFIMNA_DATA, else the compiled-in copy.
static const struct bf_source *find_table(struct work *w) {
  char *file = bf_format("%s_bits.csv", w->network);
  const char *folder = w->study->data ? w->study->data : getenv("BFIMNA_DATA");
  char *below = folder ? bf_format("%s/hawq", folder) : NULL, *path = below ? bf_format("%s/%s", below, file) : NULL;
  const char *where = path && access(path, R_OK) == 0 ? below : w->study->data;
  const struct bf_source *csv = bfx_hawq_table(where, file, w->study->diags);
  free(path);
  free(below);
  free(file);
  return csv;
}

static bool study(struct bfx_study *s, const char *network) {
  struct work *w = bf_alloc(1, sizeof *w);
  *w = (struct work){.study = s, .network = network};
  size_t count = 0;
  s->columns = s->run ? columns_run : columns;
  bool ok = (w->csv = find_table(w)) != NULL && bfx_study_options(s, &w->options);
  for (size_t i = 0; ok && i < NLEVELS; i++) {
    if (bfx_study_wants(s, levels[i].name)) {
      w->index[count++] = i;
    }
  }
  if (ok) {
    bfx_pool_run(count, s->jobs, work_on, NULL, w);
  }
  for (size_t i = 0; i < count; i++) {
    ok = ok && w->points[i].code && add_row(w, i);
    bfx_errors_take(s->diags, &w->points[i].diags);
    bfx_code_free(w->points[i].code);
    bfx_variant_free(&w->points[i].variant);
    bf_diags_free(&w->points[i].diags);
  }
  if (ok) {
    normalise(s->rows);
    draw(s);
    notes(w);
  }
  ap_technology_free(&w->options.tech);
  free(w);
  return ok;
}

bool bfx_study_hawq18(struct bfx_study *s) { return study(s, "resnet18"); }
bool bfx_study_hawq50(struct bfx_study *s) { return study(s, "resnet50"); }
