// SPDX-License-Identifier: Apache-2.0
// Tables and JSON of the results.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "tests/bench/codegen/codegen.h"

static const char *const objectives[BF_OBJECTIVE_COUNT] = {"cycles", "energy", "edp"};

static bool is_gemm(const struct bf_node *node) { return node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE; }

static void print_choice(const struct bf_choice *choice, double n, struct bf_buf *out) {
  bf_plan_print(&choice->plan, out);
  bf_buf_puts(out, " [");
  bf_buf_printf(out, "estimate %.4g", choice->plan.cycles / n);
  for (unsigned i = 0; i < choice->nothers; i++) {
    bf_buf_puts(out, "; ");
    bf_plan_print(&choice->others[i], out);
    bf_buf_printf(out, " %.4g", choice->others[i].cycles / n);
  }
  bf_buf_puts(out, "]");
}

static double formula_of(const struct bench_result *r, size_t layer, const struct ap_machine *machine) {
  const struct bf_node *node = r->single->nodes[layer];
  return bench_formula(machine, node, bf_node_macs(node));
}

static void print_layer(const struct bench_result *r, size_t i, const struct ap_machine *machine, struct bf_buf *out) {
  const struct bf_layer_cost *c = &r->ours.layers[i];
  double n = r->batch;
  bf_buf_printf(out, "  %-36s %11.0f %11.0f", c->node->name, (double)c->all.time.cycles / n, (double)c->gemm.time.cycles / n);
  if (!is_gemm(c->node)) {
    bf_buf_puts(out, "\n");
    return;
  }
  bf_buf_printf(out, " %11.0f %11.0f", (double)c->gemm.time.compute / n, (double)r->still.layers[i].gemm.time.compute / n);
  bf_buf_printf(out, " %11.0f", formula_of(r, i, machine));
  if (r->mac.layers) bf_buf_printf(out, " %11.0f", (double)r->mac.layers[i].gemm.time.cycles);
  if (r->mac_pairs.layers) bf_buf_printf(out, " %11.0f", (double)r->mac_pairs.layers[i].gemm.time.cycles);
  bf_buf_puts(out, "  ");
  print_choice(&r->ours.choices[i], n, out);
  bf_buf_puts(out, " | chosen without movement: ");
  bf_plan_print(&r->still.choices[i].plan, out);
  bf_buf_puts(out, "\n");
}

static void print_ratio(const char *what, double value, double goal, struct bf_buf *out) {
  if (isnan(value)) return;
  bf_buf_printf(out, "  %-58s %8.3f", what, value);
  if (!isnan(goal)) bf_buf_printf(out, "   goal %.2f: %s", goal, value <= goal ? "met" : "missed");
  bf_buf_puts(out, "\n");
}

void bench_print(const struct bench_options *options, const struct bench_result *r, struct bf_buf *out) {
  struct bf_diags diags = {0};
  const struct bf_source *source;
  struct ap_machine machine = {0};
  ap_machine_load(options->target, &machine, &source, &diags);
  bf_diags_free(&diags);
  struct bench_ratios q = bench_ratios_of(r);
  struct bench_goals goals = bench_goals_of(options, r);
  bf_buf_printf(out, "%s, ", r->name);
  if (r->bits) bf_buf_printf(out, "INT%u, ", r->bits);
  bf_buf_printf(out, "objective %s, batch %u, %s%s%s (%.1f s)\n", objectives[options->objective], r->batch, options->target,
                options->features ? " with " : "", options->features ? options->features : "", r->seconds);
  if (options->layers) {
    bf_buf_puts(out, "  cycles an image                            all        gemm  no stalls  chosen so     formula");
    bf_buf_puts(out, r->mac.layers ? "         mac   mac two-d  scheme [rejected]\n" : "  scheme [rejected]\n");
    for (size_t i = 0; i < r->ours.nlayers; i++) print_layer(r, i, &machine, out);
  }
  double n = r->batch;
  bf_buf_printf(out, "  %-58s %.4g cycles (%.4g without stalls), %.4g J\n", "GEMM part an image", (double)r->ours.gemm.time.cycles / n,
                (double)r->ours.gemm.time.compute / n, r->ours.gemm.energy_j / n);
  bf_buf_printf(out, "  %-58s %.4g cycles (%.4g without stalls), %.4g J\n", "whole network an image", (double)r->ours.all.time.cycles / n,
                (double)r->ours.all.time.compute / n, r->ours.all.energy_j / n);
  print_ratio("GEMM without stalls, chosen so / closed formulas", q.gemm_vs_formula, goals.formula, out);
  print_ratio("the same of the code that is chosen with its movement", q.gemm_vs_formula_same, NAN, out);
  print_ratio("GEMM / mac", q.gemm_vs_mac, goals.mac, out);
  print_ratio("GEMM / mac with sums of pairs inside a CAP (two-d)", q.gemm_vs_mac_pairs, goals.mac, out);
  print_ratio("the same, both without stalls", q.compute_vs_mac, goals.mac, out);
  print_ratio("energy of GEMM / mac", q.energy_vs_mac, goals.energy, out);
  print_ratio("energy of GEMM / mac two-d", q.energy_vs_mac_pairs, goals.energy, out);
  print_ratio("whole network / mac", q.total_vs_mac, 2 * goals.mac, out);
}

// --- JSON ---------------------------------------------------------------------------------------------------------

static json_t *real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *plan_json(const struct bf_plan *plan) {
  struct bf_buf text = {0};
  bf_plan_print(plan, &text);
  json_t *o = json_object();
  json_object_set_new(o, "scheme", json_string(bf_buf_cstr(&text)));
  json_object_set_new(o, "estimated_cycles", real(plan->cycles));
  json_object_set_new(o, "estimated_compute", real(plan->compute));
  json_object_set_new(o, "estimated_energy_j", real(plan->energy));
  bf_buf_free(&text);
  return o;
}

static void part_json(json_t *o, const char *name, const struct ap_account *a, double images) {
  json_t *part = json_object();
  json_object_set_new(part, "cycles", real((double)a->time.cycles / images));
  json_object_set_new(part, "compute", real((double)a->time.compute / images));
  json_object_set_new(part, "energy_j", real(a->energy_j / images));
  json_object_set_new(o, name, part);
}

static json_t *layer_json(const struct bench_result *r, size_t i, const struct ap_machine *machine) {
  const struct bf_layer_cost *c = &r->ours.layers[i];
  json_t *o = json_object();
  json_object_set_new(o, "name", json_string(c->node->name));
  json_object_set_new(o, "op", json_string(bf_op_info(c->node->op)->name));
  json_object_set_new(o, "mapping", json_string(c->mapping));
  json_object_set_new(o, "columns_used", json_integer(c->columns_used));
  part_json(o, "all", &c->all, r->batch);
  if (!is_gemm(c->node)) return o;
  json_object_set_new(o, "macs", json_integer((json_int_t)bf_node_macs(r->single->nodes[i])));
  part_json(o, "gemm", &c->gemm, r->batch);
  part_json(o, "gemm_chosen_without_movement", &r->still.layers[i].gemm, r->batch);
  json_object_set_new(o, "formula_cycles", real(formula_of(r, i, machine)));
  if (r->mac.layers) part_json(o, "mac", &r->mac.layers[i].gemm, 1);
  if (r->mac_pairs.layers) part_json(o, "mac_two_d", &r->mac_pairs.layers[i].gemm, 1);
  const struct bf_choice *choice = &r->ours.choices[i];
  json_t *others = json_array();
  for (unsigned k = 0; k < choice->nothers; k++) json_array_append_new(others, plan_json(&choice->others[k]));
  json_object_set_new(o, "plan", plan_json(&choice->plan));
  json_object_set_new(o, "rejected", others);
  return o;
}

static json_t *network_json(const struct bench_options *options, const struct bench_result *r, const struct ap_machine *machine) {
  struct bench_ratios q = bench_ratios_of(r);
  json_t *o = json_object(), *layers = json_array();
  json_object_set_new(o, "name", json_string(r->name));
  json_object_set_new(o, "bits", r->bits ? json_integer(r->bits) : json_null());
  json_object_set_new(o, "objective", json_string(objectives[options->objective]));
  json_object_set_new(o, "batch", json_integer(r->batch));
  json_object_set_new(o, "features", options->features ? json_string(options->features) : json_null());
  json_object_set_new(o, "gemm_vs_formula", real(q.gemm_vs_formula));
  json_object_set_new(o, "gemm_vs_formula_same_code", real(q.gemm_vs_formula_same));
  json_object_set_new(o, "gemm_vs_mac", real(q.gemm_vs_mac));
  json_object_set_new(o, "gemm_vs_mac_two_d", real(q.gemm_vs_mac_pairs));
  json_object_set_new(o, "compute_vs_mac_two_d", real(q.compute_vs_mac));
  json_object_set_new(o, "energy_vs_mac", real(q.energy_vs_mac));
  json_object_set_new(o, "energy_vs_mac_two_d", real(q.energy_vs_mac_pairs));
  json_object_set_new(o, "total_vs_mac", real(q.total_vs_mac));
  json_object_set_new(o, "seconds", real(r->seconds));
  part_json(o, "all", &r->ours.all, r->batch);
  part_json(o, "gemm", &r->ours.gemm, r->batch);
  for (size_t i = 0; i < r->ours.nlayers; i++) json_array_append_new(layers, layer_json(r, i, machine));
  json_object_set_new(o, "layers", layers);
  return o;
}

void bench_print_json(const struct bench_options *options, const struct bench_result *results, size_t count, struct bf_buf *out) {
  struct bf_diags diags = {0};
  const struct bf_source *source;
  struct ap_machine machine = {0};
  ap_machine_load(options->target, &machine, &source, &diags);
  bf_diags_free(&diags);
  json_t *o = json_object(), *networks = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(networks, network_json(options, &results[i], &machine));
  json_object_set_new(o, "networks", networks);
  char *text = json_dumps(o, JSON_INDENT(1));
  bf_buf_puts(out, text ? text : "");
  bf_buf_puts(out, "\n");
  free(text);
  json_decref(o);
}
