// SPDX-License-Identifier: Apache-2.0
// What a program costs, without the program: for each layer and region the numbers that its cycles and events follow from. The static
// account of a program is computed through its summary (isa/static_account.c); an analysis makes the same summary without
// making code (backend/costs.h). Prices for a machine and a technology come from the summary alone.
//
// A summary holds what follows from the code: rows of a tile, runs of microcode, columns moved. It holds nothing of CAPs, clusters, ports,
// multicast, clock, supply and constants of the technology.
#ifndef AP_SUMMARY_H
#define AP_SUMMARY_H

#include "isa/ledger.h"

// A summary may know its cycles with more than one choice of microcode.
enum ap_microcode { AP_MICROCODE_OWN, AP_MICROCODE_FEW_WRITES, AP_MICROCODES };

// Steps of one tile of a region: what ap_compute_cycles weighs.
struct ap_runs { uint64_t compares, writes, others; };  // others: shifts by one row, counts
// What the compute instructions of a layer do, summed over its tiles.
struct ap_layer_steps {
  uint64_t compare, write, shift, count;
  uint64_t shift_rows, count_rows;
  uint64_t cells_rows, cells_tiles;   // searched columns times the rows of the tile; times 1
  double matches, written, changed;   // expected
};
// Descriptors that load and store alike: of one grid, with the same distinct bits.
struct ap_move_class {
  uint32_t grid;
  uint8_t bits, row_dim[4], unused[3];  // compared as bytes
  int32_t row_stride[4];
};
struct ap_move { uint32_t class; uint64_t loads, prefetches, stores; };  // runs in one tile
// The moves of a region: `count` of them from `first` on. Regions share them.
struct ap_moves {
  uint32_t grid, first, count;
  uint32_t prefetch;                  // class of the first double-buffered load, or UINT32_MAX
};
struct ap_region_summary {
  uint32_t moves;
  uint32_t load;                      // row tile t loads the same bits as any tile of the epoch with the same load + t
  bool ends_epoch;
};

struct ap_layer_summary {
  struct bf_arena arena;              // owns the arrays and texts
  char *op, *mapping;
  uint8_t bits_w, bits_a;
  uint64_t macs;
  uint32_t columns_used;
  uint32_t descs;                     // descriptors that its code uses
  uint32_t hosts;                     // host operations
  bool ends_before;                   // a barrier stands before its first region
  unsigned microcodes;                // entries of runs and steps: 1 or AP_MICROCODES
  struct ap_grid *grids; uint32_t ngrids;
  struct ap_move_class *classes; uint32_t nclasses;
  struct ap_move *items; uint32_t nitems;
  struct ap_moves *moves; uint32_t nmoves;
  struct ap_region_summary *regions; uint32_t nregions;
  struct ap_runs *runs[AP_MICROCODES];             // a region each
  struct ap_layer_steps steps[AP_MICROCODES];
  // Derived by ap_layer_summary_settle:
  uint32_t *grid_tiles;               // a grid each
  uint32_t *moves_tile;               // for each of `moves` the number of tiles of those before
  uint32_t move_tiles;                // of all
  uint64_t *class_tile, *distinct;    // distinct[class_tile[class] + tile]: bits of a column; NULL if they are too many to keep
  uint64_t tiles, rows, load, store, load_bits, store_bits;
  unsigned refs;                      // holders; atomic
};
struct ap_layer_summary *ap_layer_summary_new(void);  // with one holder
struct ap_layer_summary *ap_layer_summary_hold(struct ap_layer_summary *layer);
void ap_layer_summary_drop(struct ap_layer_summary *layer);
// Fills what is derived. False if the numbers contradict each other or lead beyond `most_tiles` (at most 2^30): then they must not be used.
bool ap_layer_summary_settle(struct ap_layer_summary *layer, uint64_t most_tiles);

// A whole network. `head`: a program without code, for its texts and layers.
struct ap_summary {
  struct ap_program head;
  uint64_t input_bits, output_bits;   // of the network's inputs and outputs
  struct ap_layer_summary **layers;   // head.nlayers, each held
  char **profiles; uint32_t nprofiles;  // further ways to compile the network, by name; this summary is not theirs
};
struct ap_summary *ap_summary_new(uint32_t nlayers);
void ap_summary_size(struct ap_summary *summary, uint32_t nlayers);  // of one without layers
void ap_summary_free(struct ap_summary *summary);
void ap_summary_name_layers(struct ap_summary *summary);  // head.layers get what the layers' summaries say
// The summary of one profile of a validated program (0 where it has none), with its own microcode; layers in the profile's order. The caller
// frees it.
struct ap_summary *ap_summary_of(const struct ap_program *program, uint32_t profile);

// Accounts per layer (head.nlayers) and total (may be NULL) on a machine and a technology. The machine must have the rows, columns and features that
// the summary was made for. Pure: any number of threads may price one summary.
void ap_summary_price(const struct ap_summary *summary, const struct ap_machine *machine, const struct ap_technology *tech,
                      struct ap_account *layers, struct ap_account *total);

// Bytes of a layer's summary, and back. NULL if they are none of this version or contradict themselves. Bytes are
// covered by a checksum.
void ap_layer_summary_write(const struct ap_layer_summary *layer, struct bf_buf *out);
struct ap_layer_summary *ap_layer_summary_read(const void *data, size_t length);

// --- making one ------------------------------------------------------------------------------------------------

// Costs of the microcode of instruction key `key` (ap_micro_key), for each of `microcodes`. False: there is none.
typedef bool ap_cost_function(void *context, uint32_t key, struct ap_micro_cost costs[AP_MICROCODES]);
struct ap_summary_maker;
// most_tiles: of a layer; AP_MAX_TILES (isa/validate.h) for code that is to run.
struct ap_summary_maker *ap_summary_maker_new(unsigned microcodes, uint64_t most_tiles, ap_cost_function *cost, void *context);
void ap_summary_maker_free(struct ap_summary_maker *maker);

// Op and operand widths that select microcode, as one number; 0 for an instruction without.
uint32_t ap_micro_key(const struct ap_instr *instr);
// A number for all instructions with this key and, where it counts, distance (`imm`).
uint32_t ap_maker_kind(struct ap_summary_maker *maker, uint32_t key, uint64_t imm);
// What follows is for the region that is open: `times` runs of a kind; of a load or store.
void ap_maker_region(struct ap_summary_maker *maker, const struct ap_grid *grid);
void ap_maker_run(struct ap_summary_maker *maker, uint32_t kind, uint64_t times);
// number: of the descriptor in its program, the same for equal ones; made known once a layer, in a region over its grid.
bool ap_maker_knows(const struct ap_summary_maker *maker, uint32_t number);
void ap_maker_desc(struct ap_summary_maker *maker, uint32_t number, const struct ap_desc *desc);
void ap_maker_move(struct ap_summary_maker *maker, enum ap_op op, uint32_t number, uint64_t times);
// Closes it. load_key: as ap_region_load_key.
void ap_maker_end_region(struct ap_summary_maker *maker, uint64_t load_key);
void ap_maker_barrier(struct ap_summary_maker *maker);
void ap_maker_host(struct ap_summary_maker *maker);
// Everything since the last call, settled; NULL if there was an instruction without microcode or there are too many tiles. The caller
// sets op, mapping, bits, macs and columns.
struct ap_layer_summary *ap_maker_end_layer(struct ap_summary_maker *maker);

#endif
