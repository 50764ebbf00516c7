// SPDX-License-Identifier: Apache-2.0
// HAWQ-V3's inputs and published assignments (docs/bfexplore.md), as problems for the solver.
#ifndef BFX_HAWQ_H
#define BFX_HAWQ_H

#include "tools/bfexplore/json_file.h"
#include "tools/bfexplore/solve.h"

#define BFX_HAWQ_MAX_LAYERS 4096u

struct bfx_hawq_net {
  const char *name;
  size_t count;
  struct bfx_hawq_layer {
    char *name;
    double penalty;                          // of 4 bits; 8 bits: 0
    double params, macs, latency4, latency8;  // latencies in ms
    size_t item;                             // a downsample convolution has that of its block's first convolution
  } *layers;
  struct bfx_item *items;
  size_t nitems;
};

// The network's layers and items. False: an error was added. Freed by bfx_hawq_free in either case.
bool bfx_hawq_read(const struct bfx_json *file, const char *name, struct bfx_hawq_net *out, struct bf_diags *diags);
void bfx_hawq_free(struct bfx_hawq_net *net);

// A column of the CSV file of published bits as a choice of each item (0: 4 bits, 1: 8 bits). False: an error was added.
bool bfx_hawq_published(const struct bfx_hawq_net *net, const struct bf_source *csv, const char *column, unsigned *choice,
                        struct bf_diags *diags);

// Bits of one module in a column of the CSV file, 4 or 8. 0: an error was added.
unsigned bfx_hawq_bits(const struct bf_source *csv, const char *layer, const char *column, struct bf_diags *diags);

#endif
