// SPDX-License-Identifier: Apache-2.0
#include "backend/compiler.h"

struct ap_program *bf_compile(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_diags *diags) {
  struct bf_unit unit = {.graph = graph, .machine = &options->machine, .opt_level = options->opt_level,
                         .mapping = options->mapping, .objective = options->objective, .diags = diags};
  struct bf_pipeline_options pipeline = {options->passes, options->print_after, options->print_out, options->verify_each,
                                         options->times};
  struct ap_program *program = NULL;
  if (bf_pipeline_run(&unit, &pipeline)) {
    if (!unit.allocated || !unit.selected)
      bf_error_file(diags, "--passes", "end the pipeline with select,allocate", "the pipeline leaves fields without columns");
    else
      program = bf_emit(graph, unit.fields, options, diags);
  }
  bf_unit_free(&unit);
  if (program && !ap_program_validate(program, diags)) {
    ap_program_free(program);
    program = NULL;
  }
  return program;
}
