// SPDX-License-Identifier: Apache-2.0
// codegen-bench: how good the compiled code is, against the mapping of BF-IMNA and the closed formulas of the literature.
#ifndef CODEGEN_BENCH_H
#define CODEGEN_BENCH_H

#include "backend/cost_split.h"

enum { BENCH_NETWORKS = 4 };
extern const char *const bench_names[BENCH_NETWORKS];

struct bench_options {
  const char *target, *json, *features;
  const char *only;            // a network's name or file; NULL: the four
  unsigned bits;               // 8, 4; 0: both
  enum bf_objective objective;
  uint32_t batch;              // 0: auto
  enum bf_mapping mapping;     // of (a)
  double movement;  // weight of waiting for loads and stores when code is chosen
  bool mac, layers;
};

// A network of the zoo with all its types at `bits` bits (weights, activations and input) and seeded synthetic weights, or the file as it
// is where `name` is one (bits 0).
struct bf_graph *bench_load(const char *name, unsigned bits, uint32_t batch, struct bf_diags *diags);

// Cycles of the closed formula for a layer of conv2d or dense with `macs` multiply-accumulates, one image: a reconstruction
// (docs/testing.md); they leave out movement, and their reduction is not bit-exact.
double bench_formula(const struct ap_machine *machine, const struct bf_node *node, uint64_t macs);

struct bench_result {
  char *name;
  unsigned bits;
  uint32_t batch;
  struct bf_graph *graph, *single;  // at the batch, and one image
  // ours: chosen with its movement; still: chosen as if movement took no time, which the formulas ignore. mac_pairs: mac on an array that
  // adds pairs of rows. layers NULL: not measured.
  struct bf_cost_split ours, still, mac, mac_pairs;
  double formula;                   // sum over the layers
  double seconds;
};
bool bench_measure(const struct bench_options *options, const char *name, unsigned bits, struct bench_result *out, struct bf_diags *diags);
void bench_result_free(struct bench_result *result);

// Ratios, all per image; NAN where a side is missing. gemm_vs_formula: cycles without stalls of the code `still`; gemm_vs_formula_same: of
// `ours`, from which all the others are.
struct bench_ratios {
  double gemm_vs_formula, gemm_vs_formula_same, gemm_vs_mac, gemm_vs_mac_pairs, compute_vs_mac, energy_vs_mac, energy_vs_mac_pairs, total_vs_mac;
};
struct bench_ratios bench_ratios_of(const struct bench_result *result);
// What the issue wants: of gemm_vs_formula, gemm_vs_mac and (objective energy) energy_vs_mac; NAN: nothing.
struct bench_goals { double formula, mac, energy; };
struct bench_goals bench_goals_of(const struct bench_options *options, const struct bench_result *result);

void bench_print(const struct bench_options *options, const struct bench_result *result, struct bf_buf *out);
void bench_print_json(const struct bench_options *options, const struct bench_result *results, size_t count, struct bf_buf *out);

#endif
