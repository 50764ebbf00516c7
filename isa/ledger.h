// SPDX-License-Identifier: Apache-2.0
// Events, the timing model and energy: one definition for the static report and for execution.
#ifndef AP_LEDGER_H
#define AP_LEDGER_H

#include "isa/program.h"

// Integer counters. The first block does not depend on data and is equal in the compiler's account and in
// every engine's; the second depends on data (static accounts hold the rounded expectation).
struct ap_events {
  uint64_t compare, write;      // compare and write steps, summed over tiles
  uint64_t load, store;         // bit columns loaded and stored, summed over tiles
  uint64_t load_bits, store_bits;  // rows × columns moved
  uint64_t move;                // between CAPs (none of the present code)
  uint64_t shift, count;        // one-row shifts of the tag, counts of the tag, summed over tiles
  uint64_t shift_rows, count_rows;  // the same times the rows of the tile
  uint64_t external;            // bits crossing the chip border (network inputs and outputs)
  uint64_t host;                // host ops run
  uint64_t compare_cells;       // rows of the tile × columns searched

  uint64_t match_cells;         // searched columns × matching rows
  uint64_t written_cells;       // tagged rows × columns written
  uint64_t changed_cells;       // of these, cells whose value changed
};
void ap_events_add(struct ap_events *to, const struct ap_events *from);

// What the timing model knows of one executed tile.
struct ap_tile_time {
  uint32_t row_tile;
  uint64_t compute;       // ap_compute_cycles of its events
  uint64_t exposed;       // cycles of its plain loads and stores at the port
  uint64_t stored;        // of these, cycles of its stores (never shared by a multicast)
  uint64_t prefetched;    // cycles of its double-buffered loads at the port
  uint64_t first;         // cycles of the first double-buffered load (pipeline fill), 0 if none
  uint64_t load_key;      // hash over the (descriptor, tap) sequence of its loads: equal keys and row tiles
                          // load the same bits
};
struct ap_layer_time { uint64_t cycles, compute, stall; uint32_t tiles, waves; uint64_t rows; uint32_t caps; };

// Cycles that the steps among the events take: compares and writes by the technology's latency, one for each one-row shift of
// the tag and each count.
uint64_t ap_compute_cycles(const struct ap_technology *tech, const struct ap_events *events);
// Cycles of one loaded or stored bit column: max(1, ceil(distinct / port)).
uint64_t ap_column_cycles(const struct ap_machine *machine, uint64_t distinct);
// Time of one epoch (the tiles between two barriers, in program order). Tile i runs on CAP i mod CAPs; CAPs
// are dealt over clusters round robin in blocks (docs/cost-model.md gives the rule). Adds to *out:
// cycles += max over clusters of max(max over its CAPs of the sum of compute+exposed+first, port busy time), where port busy time sums
// exposed + prefetched of its tiles, the loads of those of one wave with equal (row_tile, load_key) counted
// once if the machine has multicast; compute += the largest compute sum of a CAP; stall = cycles - compute.
void ap_time_epoch(const struct ap_machine *machine, const struct ap_tile_time *tiles, uint32_t ntiles,
                   struct ap_layer_time *out);
// The same where tiles that load the same bits are known: they have the same number in `loads`, and others have others. `row_tile` and
// `load_key` are not looked at.
void ap_time_tiles(const struct ap_machine *machine, const struct ap_tile_time *tiles, const uint32_t *loads, uint32_t ntiles,
                   struct ap_layer_time *out);

// The load_key of the tile region that begins at instruction `grid` (a GRID): a hash over the loads of its
// code in program order, loops as they stand, the same for all its tiles.
uint64_t ap_region_load_key(const struct ap_program *program, uint32_t grid);
// The hash's parts.
#define AP_LOAD_KEY_BEGIN UINT64_C(0xcbf29ce484222325)
static inline uint64_t ap_load_key_mix(uint64_t key, uint64_t value) {
  key ^= value;
  return key * UINT64_C(0x100000001b3) ^ key >> 29;
}
static inline uint64_t ap_load_key_load(uint64_t key, uint32_t desc, uint16_t tap) { return ap_load_key_mix(key, (uint64_t)desc << 16 | tap); }
static inline uint64_t ap_load_key_loop(uint64_t key, const struct ap_instr *loop) {
  return ap_load_key_mix(key, (uint64_t)loop->op << 56 | loop->index);
}
// Index of the ENDGRID of the region that begins at `grid`.
uint32_t ap_region_end(const struct ap_program *program, uint32_t grid);
// Index of the layer whose code holds instruction `index`; nlayers if none does.
uint32_t ap_layer_of(const struct ap_program *program, uint32_t index);
// Rows that burn compare energy when a tile of `rows` rows searches: these alone with row gating, else all
// rows of the CAP.
uint64_t ap_searched_rows(const struct ap_machine *machine, uint64_t rows);
// Bits crossing the chip border that are charged to a layer in one execution: those of all network inputs to
// the first layer, of all network outputs to the last.
uint64_t ap_external_bits(const struct ap_program *program, bool first, bool last);
uint64_t ap_tensor_bits(const struct ap_tensor *tensor);

// Cycles that a change of profile between two executions takes: the controllers begin at other code, which is there already. Neither
// microcode nor constants nor the layout of memory change (docs/cost-model.md).
#define AP_SWITCH_CYCLES 0u
// CAPs that can work at the same time on `tiles` tiles.
uint64_t ap_machine_caps(const struct ap_machine *machine, uint64_t tiles);

// Account of a layer or of a whole run.
struct ap_account { struct ap_events events; struct ap_layer_time time; double energy_j; };
// Sums, except for caps, of which the larger is kept.
void ap_account_add(struct ap_account *to, const struct ap_account *from);
// Sets energy_j from the account's own events, cycles and CAPs by ap_energy.
void ap_account_price(struct ap_account *account, const struct ap_technology *tech, const struct ap_machine *machine);

// Energy of integer counters: the one function (docs/cost-model.md). `cells` is the number of powered
// cells (CAPs used × rows × columns) that leak for `cycles`.
double ap_energy(const struct ap_technology *tech, const struct ap_machine *machine, const struct ap_events *events,
                 uint64_t cycles, uint64_t cells);

// Static account of a program: per layer and total (arrays of program->nlayers; total may be NULL). Walks the code, tables,
// stream histograms and grids; never executes. Of a program with profiles: of the first one; the layers of others have zero.
void ap_static_account(const struct ap_program *program, const struct ap_technology *tech, struct ap_account *layers,
                       struct ap_account *total);
// The same of any profile.
void ap_static_account_of(const struct ap_program *program, uint32_t profile, const struct ap_technology *tech,
                          struct ap_account *layers, struct ap_account *total);

// What executions of one profile took.
struct ap_profile_use {
  const char *name;
  uint64_t images, executions;
  struct ap_account total;
};
// The accounts of a profile's layers, in its order, from those of the program's (for a report on its view).
void ap_profile_accounts(const struct ap_program *program, uint32_t profile, const struct ap_account *layers,
                         struct ap_account *out);

// Why a layer's code is as it is, for reports: the plan that was chosen, by estimates, and the best of each other kind. The compiler knows it; a
// program doesn't.
struct ap_report_rejected { const char *scheme; double cycles, energy_j; };  // estimates
struct ap_report_plan {
  const char *plan;         // NULL: nothing to choose
  double cycles, energy_j;  // estimates for it
  double bound;             // cycles that no schedule can do without, 0: not known
  double scheme_bound;      // the same for code of the chosen kind
  const struct ap_report_rejected *rejected;
  unsigned nrejected;
};

// Reports (text table and the JSON of the command-line contract) from accounts; used by compiler and runtime.
struct ap_report {
  const struct ap_program *program;
  const struct ap_technology *tech;
  const struct ap_account *layers;
  const struct ap_account *total;
  const char *engine;   // NULL: static
  uint64_t images;      // 0: static
  const char *profile;  // NULL: none, or several
  // Several profiles in turn: what each took. `program` and `layers` are then those of the binary, not of a view.
  const struct ap_profile_use *uses;
  uint32_t nuses;
  uint64_t switches;    // changes of the profile from one execution to the next
  const char *count;    // "exact" or "expected"
  const struct ap_report_plan *plans;  // a layer each, or NULL
};
void ap_report_text(const struct ap_report *report, struct bf_buf *out);
void ap_report_json(const struct ap_report *report, struct bf_buf *out);

#endif
