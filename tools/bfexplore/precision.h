// SPDX-License-Identifier: Apache-2.0
// Parts of the command `precision`.
#ifndef BFX_PRECISION_H
#define BFX_PRECISION_H

#include "backend/cost_cache.h"
#include "tools/bfexplore/layers.h"

#define BFX_MAX_OPTIONS 64u  // how often one option may be given

// METRIC:AMOUNT of --budget.
struct bfx_budget {
  const char *text;
  unsigned measure;
  enum { BFX_ABSOLUTE, BFX_SHARE, BFX_BETWEEN, BFX_UNIFORM } kind;
  double amount;  // value; share of the widest; 0..1 between narrowest and widest; bits
};

struct bfx_settings {
  const char *network, *sensitivity, *costs, *out, *profile;
  const char *ties[BFX_MAX_OPTIONS], *fixes[BFX_MAX_OPTIONS];
  size_t nties, nfixes;
  struct { unsigned bits; const char *path; } reports[BFX_MAX_BITS];
  size_t nreports;
  struct bfx_budget budgets[BFX_MAX_OPTIONS];
  size_t nbudgets;
  uint32_t bits;              // bit b: width b may be chosen
  unsigned activation_bits;   // 0: as the weights
  unsigned objective;
  bool json;
  double seconds;
  const char *target, *tech;  // of costs that the compiler gives; tech NULL: the target's
  double vdd;                 // 0: nominal
  uint64_t seed;              // of synthetic weights
  struct bf_cost_cache *cache;  // of what the compiler gives; may be NULL
};
// Fills the settings. -1: go on, else the exit status (a message was printed).
int bfx_precision_options(struct bfx_settings *settings, int argc, char **argv);

// False: no budget. *why says what is expected.
bool bfx_budget_parse(const char *text, struct bfx_budget *out);
// The largest value that the budget allows. False: an error was added (a uniform width that some item lacks; a product of 0).
bool bfx_budget_resolve(const struct bfx_budget *budget, const struct bfx_problem *problem, struct bfx_limit *out,
                        struct bf_diags *diags);

// Provider: cycles and energy of the network compiled with all layers at each width that may be chosen (a layer keeps its own where that is
// narrower). False: errors were added.
bool bfx_costs_compiled(const struct bfx_settings *settings, const struct bfx_layers *layers, struct bfx_costs *costs, struct bf_diags *diags);
// What the profile costs when it is compiled as a whole, neighbours and all.
struct bfx_whole { bool known; double cycles, energy, clock_hz; };
bool bfx_costs_whole(const struct bfx_settings *settings, const struct bf_profile *profile, struct bfx_whole *out, struct bf_diags *diags);

// What was solved, for the printers.
struct bfx_outcome_view {
  const struct bfx_settings *settings;
  const char *network;               // its name
  const struct bfx_layers *layers;
  const struct bfx_problem *problem;
  const struct bfx_solution *solution;
  const size_t *item_of;             // a layer's item
  unsigned known;                    // metrics
  struct bfx_whole whole;            // not known where costs came from files
  const struct bfx_limit *held;      // what the sums over layers were held to, so that the compiled network keeps problem->limits
  unsigned rounds;                   // compilations of a choice
};
// False where nothing was compiled, or compiling doesn't change the measure.
bool bfx_compiled_value(const struct bfx_whole *whole, unsigned measure, double *out);
unsigned bfx_chosen_bits(const struct bfx_outcome_view *view, size_t layer);
unsigned bfx_chosen_activation_bits(const struct bfx_outcome_view *view, size_t layer);
void bfx_print_profile(const struct bfx_outcome_view *view, struct bf_buf *out);  // the block of .bfn text
void bfx_print_text(const struct bfx_outcome_view *view, struct bf_buf *out);     // as comments of .bfn text
void bfx_print_json(const struct bfx_outcome_view *view, struct bf_buf *out);
double bfx_gap(const struct bfx_solution *solution, unsigned objective);  // relative to what was found

#endif
