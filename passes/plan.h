// SPDX-License-Identifier: Apache-2.0
// Plans: how a layer is put into rows and code. The pass `map` chooses among the candidates that the schemes offer.
#ifndef BF_PLAN_H
#define BF_PLAN_H

#include "base/bf_base.h"

enum bf_mapping { BF_MAPPING_AUTO, BF_MAPPING_MAC, BF_MAPPING_OUTPUT, BF_MAPPING_PIXEL, BF_MAPPING_COUNT };
enum bf_scheme {
#define BF_SCHEME(id, ...) BF_SCHEME_##id,
#include "passes/schemes.def"
  BF_SCHEME_COUNT
};

struct bf_plan {
  enum bf_mapping mapping;
  enum bf_scheme scheme;
  uint32_t group;   // output channels (accumulators) of one row (pixel)
  uint32_t split;   // parts of the reduction; 1: none
  uint32_t keys;    // groups of rows with weights of their own (patterns); 1: none
  uint32_t taps;    // taps searched together (patterns), resident together (shared)
  uint32_t largest; // odd multiples up to this one (shared: 1, 3, 7; others 0)
  uint32_t slots;   // fields for multiples and common sums (shared)
  uint32_t both;    // 1: common sums are looked for both ways (shared, from -O3 on)
  // What a joule was worth where it was chosen, in cycles: 0 nothing, INFINITY all. Code depends on it (joins, common loads).
  double joule;
  // Estimates for the layer: critical path without and with loads and stores, CAPs at work at the same time, and energy (J; 0 without a technology)
  // without what the CAPs leak meanwhile.
  double compute, cycles, caps, energy;
};

// What was chosen for a node, and the best of each other scheme, for reports.
struct bf_choice {
  struct bf_plan plan, others[BF_SCHEME_COUNT];
  unsigned nothers;
};

// "patterns: 8 channels a row, 16 keys, 5 taps a search, split 4" into `out`.
struct bf_buf;
void bf_plan_print(const struct bf_plan *plan, struct bf_buf *out);

struct bf_unit;
struct bf_node;
struct bf_conv;
// What a joule is worth by the unit's objective, to begin with.
double bf_plan_joule(const struct bf_unit *unit);
// Energy with what the CAPs leak, as accounts have it.
double bf_plan_energy(const struct bf_unit *unit, const struct bf_plan *plan);
// Choice, by unit->joule and unit->opt_level, for a conv2d or dense, as if there were `times` as many images.
struct bf_choice bf_plan_node(const struct bf_unit *unit, const struct bf_node *node, uint32_t times);
// Images to compute side by side: up to `most` and what the MAPs hold, by the estimates per image. The graph of `unit` has one image.
uint32_t bf_plan_batch(const struct bf_unit *unit, uint32_t most);

// --- for the schemes ---

// Facts of a convolution on a machine that all estimates need.
struct bf_plan_facts {
  double pixels, caps, rows, columns;  // output pixels of the batch; the machine's CAPs, rows, columns
  double channels, taps;
  double x_bits, w_bits, acc_bits;     // of a whole sum
  double digits;                       // nonzero signed digits of an output channel's weights, mean
  double weight;                       // mean |w - zw|
  double zeros;                        // part of the weights that are 0
  double requant;                      // cycles of a requantization with constants in the code
  double requant_rows;                 // the same with constants in the row
  bool uniform;                        // one requantization for all channels
  double ports, port_bits;             // ports between memory and CAPs
};
struct bf_planner {
  const struct bf_unit *unit;
  const struct bf_node *node;
  const struct bf_conv *conv;
  struct bf_plan_facts f;
  struct bf_choice choice;
  double scores[BF_SCHEME_COUNT];      // best of each scheme so far; INFINITY: none
  struct bf_plan best[BF_SCHEME_COUNT];
};
// Cycles as the unit counts movement.
double bf_plan_latency(const struct bf_unit *unit, double compute, double cycles);
// What unit->joule makes of the estimates: less is better.
double bf_plan_score(const struct bf_unit *unit, const struct bf_plan *plan);
// Whether weights as code are too many steps for the rows that share them, with `group` channels a row.
bool bf_plan_wasteful(const struct bf_planner *planner, double group);
// Offers a candidate; the estimates must be set.
void bf_plan_offer(struct bf_planner *planner, struct bf_plan plan);
// Estimated cycles, without and with movement, and energy of joining partial sums (lower_join.c).
struct bf_join_cost { double compute, cycles, caps, energy; };
struct bf_join_cost bf_plan_join(const struct bf_planner *planner, double parts, double bits);
// Tiles of the layer's pixels times `rows` in each of `regions` regions that load alike (bf_even_tiles).
double bf_plan_tiles(const struct bf_planner *planner, double rows, double regions);
// Loads that a port serves one after the other for `tasks` tiles whose loads repeat after `period` of them, `run` tiles at a time before others follow
// that load something else; a multicast serves equal ones of a wave.
double bf_plan_loads(const struct bf_planner *planner, double tasks, double period, double run);
// Port cycles of moving `columns` bit columns with `distinct` different bits each, `times` over all CAPs at one port.
double bf_plan_port(const struct bf_planner *planner, double columns, double distinct, double times);

#define BF_SCHEME(id, mapping, name, lower, planner, ...) void planner(struct bf_planner *planner_);
#include "passes/schemes.def"

#endif
