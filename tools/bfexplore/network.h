// SPDX-License-Identifier: Apache-2.0
// Networks and tables that are compiled into the program (examples/zoo, examples/hawq), and networks from files.
#ifndef BFX_NETWORK_H
#define BFX_NETWORK_H

#include "base/bf_hash.h"
#include "ir/graph.h"

struct bfx_file { const char *name, *text; };  // "zoo/resnet18.bfn", "hawq/resnet18_bits.csv"
extern const struct bfx_file bfx_files[];      // generated (cmake/embed_files.cmake); a row of NULL ends it
const char *bfx_file_text(const char *name);   // NULL if there is none

// A network of the zoo by its name ("resnet18"), with synthetic weights of the seed; or a file (its name has a '.' or '/'), whose
// weights are synthetic too if it is a .bfn that has no archive. graph->weights says so. NULL and errors in diags.
struct bf_graph *bfx_network_load(const char *name, uint32_t batch, uint64_t seed, struct bf_diags *diags);
// Adds all that bfx_network_load reads for this name, so that a changed file can be told. False and an error: it can't be read.
bool bfx_network_hash(const char *name, uint64_t seed, struct bf_hasher *hasher, struct bf_diags *diags);

// Text of a table of HAWQ-V3 ("resnet18_bits.csv") from the folder; `folder` NULL: the compiled-in copy. NULL and an error.
const struct bf_source *bfx_hawq_table(const char *folder, const char *file, struct bf_diags *diags);

#endif
