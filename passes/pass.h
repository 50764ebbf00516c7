// SPDX-License-Identifier: Apache-2.0
// Passes and the pass manager.
#ifndef BF_PASS_H
#define BF_PASS_H

#include "ir/field.h"
#include "ir/graph.h"
#include "isa/machine.h"
#include "passes/plan.h"

enum bf_objective { BF_OBJECTIVE_CYCLES, BF_OBJECTIVE_ENERGY, BF_OBJECTIVE_EDP, BF_OBJECTIVE_COUNT };

// What a node costs: cycles without and with loads and stores, J.
struct bf_node_cost { double compute, cycles, energy; };

// What passes work on.
struct bf_unit {
  const struct bf_graph *graph;
  const struct ap_machine *machine;
  unsigned opt_level;
  enum bf_mapping mapping;
  enum bf_objective objective;
  double movement_off;            // part of the waiting for loads and stores that plans leave out: 0 none, 1 all, as the closed formulas have it
  const struct ap_technology *tech;  // for energies; NULL: cycles decide alone
  double joule;                   // what a joule is worth now, in cycles (struct bf_plan); set by the passes
  const struct bf_choice *given;  // if not NULL: `map` takes these choices, by node
  // The exact costs of all nodes with these choices, for `map` (may be NULL: estimates decide). False: code for them cannot be made.
  bool (*measure)(const struct bf_unit *unit, const struct bf_choice *choices, struct bf_node_cost *costs);
  void *measure_context;
  struct bf_choice *choices;      // a node each; NULL before `map`
  struct bf_fprogram *fields;     // NULL before `lower`
  bool selected, allocated;       // what unit->fields holds now
  struct bf_diags *diags;
  // Set by the pass manager, called by `lower` when unit->fields holds enough complete regions (a region is never divided), and
  // with `whole` at the end of each layer: runs the passes behind `lower` on them, hands them to `take` and drops them.
  bool (*part)(struct bf_unit *unit, bool whole);
  void *part_context;
  // Takes the regions that have come through all passes (may be NULL: they are dropped). False: errors were added.
  bool (*take)(struct bf_unit *unit, bool whole);
  // Asked by `lower` before each node (may be NULL). True: what `take` would get of it is known already, it is not lowered.
  bool (*known)(struct bf_unit *unit, const struct bf_node *node);
  void *take_context;     // of both
};

typedef bool bf_pass_function(struct bf_unit *unit);  // false: errors were added
struct bf_pass_info {
  const char *name;
  bf_pass_function *run;
  bool needs_fields;
  const char *purpose;
};
extern const struct bf_pass_info bf_passes[];
extern const size_t bf_npasses;

struct bf_pass_times { struct { const char *name; double seconds; } items[32]; size_t count; };
#define BF_MAX_PIPELINE 31

// Runs a comma-separated pipeline (NULL: the default one). Passes behind `lower` run on one part of the network after the
// other. After each pass named by print_after ("all": each) the IR is printed to print_out, for such passes that of the part; with
// verify_each the IR is verified. Times are sums over all parts; what unit->take needs is "emit".
struct bf_pipeline_options {
  const char *passes, *print_after;
  struct bf_buf *print_out;
  bool verify_each;
  struct bf_pass_times *times;
};
bool bf_pipeline_run(struct bf_unit *unit, const struct bf_pipeline_options *options);
void bf_unit_free(struct bf_unit *unit);  // choices and fields

// One error about a node, at its line of the source where there is one. `hint` may be NULL.
void bf_node_error(const struct bf_unit *unit, const struct bf_node *node, const char *hint, const char *text);

#endif
