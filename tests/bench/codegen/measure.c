// SPDX-License-Identifier: Apache-2.0
// One network: our code, the mapping of BF-IMNA, the formulas; and their ratios.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "isa/isa.h"
#include "tests/bench/codegen/codegen.h"

static bool add_features(const char *list, unsigned *features, struct bf_diags *diags) {
  while (list && *list) {
    size_t length = strcspn(list, ",");
    unsigned bit = 0, found = 0;
    const char *name;
    for (unsigned i = 0; (name = ap_feature_name(i, &bit)) != NULL; i++)
      if (strlen(name) == length && !strncmp(name, list, length)) found = bit;
    if (!found) {
      bf_error_file(diags, "--features", NULL, "unknown feature '%.*s'", (int)length, list);
      return false;
    }
    *features |= found;
    list += length + (list[length] == ',');
  }
  return true;
}

static bool machine_of(const struct bench_options *options, struct bf_compile_options *o, struct bf_diags *diags) {
  const struct bf_source *source;
  *o = (struct bf_compile_options){.opt_level = 3, .batch = 1};
  return ap_machine_load(options->target, &o->machine, &source, diags) && add_features(options->features, &o->machine.features, diags) &&
         ap_technology_load(o->machine.technology, &o->tech, diags);
}

static uint32_t batch_of(const struct bench_options *options, const struct bf_compile_options *o, const struct bf_graph *single) {
  struct bf_unit unit = {.graph = single, .machine = &o->machine, .tech = &o->tech, .opt_level = o->opt_level, .mapping = options->mapping,
                         .objective = options->objective, .movement_off = 1 - options->movement};
  return options->batch ? options->batch : bf_plan_batch(&unit, 256);
}

static bool measure_ours(const struct bench_options *options, struct bf_compile_options o, struct bench_result *out, const char *name,
                         struct bf_diags *diags) {
  o.mapping = options->mapping;
  o.objective = options->objective;
  o.movement_off = 1 - options->movement;
  o.batch = out->batch = batch_of(options, &o, out->single);
  out->graph = out->batch == 1 ? out->single : bench_load(name, out->bits, out->batch, diags);
  if (!out->graph || !bf_cost_split_of(out->graph, &o, &out->ours, diags)) return false;
  o.movement_off = 1;
  return bf_cost_split_of(out->graph, &o, &out->still, diags);
}

static bool measure_mac(const struct bench_options *options, struct bf_compile_options o, struct bench_result *out, struct bf_diags *diags) {
  if (!options->mac) return true;
  o.mapping = BF_MAPPING_MAC;
  if (!bf_cost_split_of(out->single, &o, &out->mac, diags)) return false;
  o.machine.features |= AP_FEATURE_TWO_D;
  return bf_cost_split_of(out->single, &o, &out->mac_pairs, diags);
}

bool bench_measure(const struct bench_options *options, const char *name, unsigned bits, struct bench_result *out, struct bf_diags *diags) {
  struct bf_compile_options o;
  clock_t begin = clock();
  *out = (struct bench_result){.name = bf_strdup(name), .bits = bits};
  if (!machine_of(options, &o, diags)) return false;
  out->single = bench_load(name, bits, 1, diags);
  bool ok = out->single && measure_mac(options, o, out, diags) && measure_ours(options, o, out, name, diags);
  for (size_t i = 0; ok && i < out->single->nnodes; i++) {
    const struct bf_node *node = out->single->nodes[i];
    if (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE) out->formula += bench_formula(&o.machine, node, bf_node_macs(node));
  }
  ap_technology_free(&o.tech);
  out->seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
  return ok;
}

void bench_result_free(struct bench_result *r) {
  if (r->ours.layers) bf_cost_split_free(&r->ours);
  if (r->still.layers) bf_cost_split_free(&r->still);
  if (r->mac.layers) bf_cost_split_free(&r->mac);
  if (r->mac_pairs.layers) bf_cost_split_free(&r->mac_pairs);
  if (r->graph && r->graph != r->single) bf_graph_free(r->graph);
  if (r->single) bf_graph_free(r->single);
  free(r->name);
}

static double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

struct bench_ratios bench_ratios_of(const struct bench_result *r) {
  const struct ap_account *gemm = &r->ours.gemm, *all = &r->ours.all;
  double n = r->batch;
  struct bench_ratios out = {.gemm_vs_formula = ratio((double)r->still.gemm.time.compute / n, r->formula),
                             .gemm_vs_formula_same = ratio((double)gemm->time.compute / n, r->formula),
                             .gemm_vs_mac = ratio((double)gemm->time.cycles / n, (double)r->mac.gemm.time.cycles),
                             .gemm_vs_mac_pairs = ratio((double)gemm->time.cycles / n, (double)r->mac_pairs.gemm.time.cycles),
                             .compute_vs_mac = ratio((double)gemm->time.compute / n, (double)r->mac_pairs.gemm.time.compute),
                             .energy_vs_mac = ratio(gemm->energy_j / n, r->mac.gemm.energy_j),
                             .energy_vs_mac_pairs = ratio(gemm->energy_j / n, r->mac_pairs.gemm.energy_j),
                             .total_vs_mac = ratio((double)all->time.cycles / n, (double)r->mac.all.time.cycles)};
  return out;
}

struct bench_goals bench_goals_of(const struct bench_options *options, const struct bench_result *r) {
  struct bench_goals none = {NAN, NAN, NAN};
  bool four = r->bits == 4, vgg = !strcmp(r->name, "vgg16");
  if (!r->bits) return none;
  if (options->objective == BF_OBJECTIVE_ENERGY) return (struct bench_goals){NAN, NAN, four ? 0.30 : 0.32};
  if (options->objective != BF_OBJECTIVE_CYCLES) return none;
  if (!options->batch) return four ? (struct bench_goals){0.26, 0.05, NAN} : (struct bench_goals){0.30, 0.08, NAN};
  if (options->batch == 16) return four ? (struct bench_goals){0.42, 0.08, NAN} : (struct bench_goals){0.45, 0.12, NAN};
  if (options->batch == 4) return four ? (struct bench_goals){0.70, 0.13, NAN} : (struct bench_goals){0.65, 0.18, NAN};
  if (options->batch == 1 && vgg) return four ? (struct bench_goals){0.45, 0.08, NAN} : (struct bench_goals){0.48, 0.13, NAN};
  if (options->batch == 1) return four ? (struct bench_goals){1.75, 0.34, NAN} : (struct bench_goals){1.45, 0.42, NAN};
  return none;
}
