// SPDX-License-Identifier: Apache-2.0
#include "backend/emit.h"

static bool take(struct bf_unit *unit, bool whole) {
  if (unit->allocated && unit->selected) {
    bf_emit_part(unit->take_context, unit->fields, whole);
    return true;
  }
  if (unit->fields->nlayers < unit->graph->nnodes || !whole) return true;  // told once, at the end
  bf_error_file(unit->diags, "--passes", "end the pipeline with select,allocate", "the pipeline leaves fields without columns");
  return false;
}

struct ap_program *bf_compile(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_diags *diags) {
  struct bf_emitter emitter;
  struct bf_unit unit = {.graph = graph, .machine = &options->machine, .opt_level = options->opt_level,
                         .mapping = options->mapping, .objective = options->objective, .diags = diags,
                         .take = take, .take_context = &emitter};
  struct bf_pipeline_options pipeline = {options->passes, options->print_after, options->print_out, options->verify_each,
                                         options->times};
  struct ap_program *program = NULL;
  bf_emit_begin(&emitter, graph, options);
  if (bf_pipeline_run(&unit, &pipeline)) {
    if (unit.fields) program = bf_emit_finish(&emitter, graph, unit.fields, options, diags);
    else bf_error_file(diags, "--passes", "end the pipeline with lower,select,allocate", "the pipeline makes no code");
  }
  bf_emit_free(&emitter);
  bf_unit_free(&unit);
  if (program && !ap_program_validate(program, diags)) {
    ap_program_free(program);
    program = NULL;
  }
  return program;
}
