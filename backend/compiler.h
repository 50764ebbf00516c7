// SPDX-License-Identifier: Apache-2.0
// The compiler as a library: graph in, AP program out.
#ifndef BF_COMPILER_H
#define BF_COMPILER_H

#include "ir/graph.h"
#include "isa/program.h"
#include "passes/pass.h"

struct bf_compile_options {
  struct ap_machine machine;
  struct ap_technology tech;   // for costs; not owned
  unsigned opt_level;          // 0..3
  enum bf_mapping mapping;     // BF_MAPPING_AUTO or one for all layers that can take it
  enum bf_objective objective;
  uint32_t batch;              // of the graph already (its shapes hold it); recorded
  bool keep_all;
  bool verify_each;
  const char *passes;          // textual pipeline or NULL for the default
  const char *print_after;     // pass name, "all" or NULL
  struct bf_buf *print_out;    // where --print-after writes; may be NULL
  struct bf_pass_times *times; // filled if not NULL
};

// Compiles a verified graph. The graph must outlive the call only. NULL and errors in diags if a layer
// cannot be mapped or allocated. The result is validated (ap_program_validate) and owned by the caller.
struct ap_program *bf_compile(const struct bf_graph *graph, const struct bf_compile_options *options,
                              struct bf_diags *diags);

// The network as it is written and all of its profiles as one program (ir/profile.h, backend/merge.h); without profiles the same as
// bf_compile. The first profile of the result is "base". `options->times` are sums over the profiles.
struct ap_program *bf_compile_profiles(const struct bf_graph *graph, const struct bf_compile_options *options,
                                       struct bf_diags *diags);

#endif
