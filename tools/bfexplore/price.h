// SPDX-License-Identifier: Apache-2.0
// What a network costs on a machine: code is made once, and priced in all technologies and at all supplies that get the same code for next to nothing.
#ifndef BFX_PRICE_H
#define BFX_PRICE_H

#include "backend/compiler.h"
#include "backend/cost_cache.h"
#include "isa/ledger.h"
#include "isa/report.h"

struct bfx_code;  // the code of a network, selected for a machine; used by one thread at a time

struct bfx_price {
  struct ap_account *layers;      // of bfx_code_program(code)->layers; owned, bfx_price_free
  struct ap_account total;
  struct ap_figures figures;      // time, EDP, GOPS, GOPS/W, area
};

// Compiles. `options->tech` decides with the machine what code is best. cache: may be NULL; layers that it knows are not compiled again. NULL and errors in diags.
struct bfx_code *bfx_code_new(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_cost_cache *cache,
                              struct bf_diags *diags);
void bfx_code_free(struct bfx_code *code);
// Names, operators and numbers of its layers; not to be executed.
const struct ap_program *bfx_code_program(const struct bfx_code *code);
// The static account of the code in that technology at its vdd: equal to ap_static_account of the program. False, and nothing to free, if the technology
// gets other code (bf_costs_fit).
bool bfx_code_price(struct bfx_code *code, const struct ap_technology *tech, struct bfx_price *out);
void bfx_price_free(struct bfx_price *price);

#endif
