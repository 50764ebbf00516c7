// SPDX-License-Identifier: Apache-2.0
// The compiler as a library: graph in, AP program out.
#ifndef BF_COMPILER_H
#define BF_COMPILER_H

#include "ir/graph.h"
#include "isa/program.h"
#include "passes/pass.h"

struct bf_columns;
struct bf_compile_options {
  struct ap_machine machine;
  struct ap_technology tech;   // for costs; not owned
  unsigned opt_level;          // 0..3
  enum bf_mapping mapping;     // BF_MAPPING_AUTO or one for all layers that can take it
  enum bf_objective objective;
  double movement_off;         // part of the waiting for loads and stores that plans leave out (0: none)
  uint32_t batch;              // of the graph already (its shapes hold it); recorded
  bool keep_all;
  bool verify_each;
  const char *passes;          // textual pipeline or NULL for the default
  const char *print_after;     // pass name, "all" or NULL
  struct bf_buf *print_out;    // where --print-after writes; may be NULL
  struct bf_pass_times *times; // filled if not NULL
  struct bf_choice **choices;  // if not NULL: gets the choices of `map`, by node (heap, the caller's; NULL where no pass made any)
  struct bf_columns *columns;  // if not NULL: gets what the allocator decided (backend/columns.h); bf_columns_free it
};

// Compiles a verified graph. The graph must outlive the call only. NULL and errors in diags if a layer
// cannot be mapped or allocated. The result is validated (ap_program_validate) and owned by the caller.
struct ap_program *bf_compile(const struct bf_graph *graph, const struct bf_compile_options *options,
                              struct bf_diags *diags);

// Images to compute side by side, up to `most`: what estimates say of a graph of one image (passes/plan.h).
uint32_t bf_compile_batch(const struct bf_graph *graph, const struct bf_compile_options *options, uint32_t most, struct bf_diags *diags);
// The network as it is written and all of its profiles as one program (ir/profile.h, backend/merge.h); without profiles the same as
// bf_compile. The first profile of the result is "base". `options->times` are sums over the profiles.
struct ap_program *bf_compile_profiles(const struct bf_graph *graph, const struct bf_compile_options *options,
                                       struct bf_diags *diags);

#endif
