// SPDX-License-Identifier: Apache-2.0
#include "backend/columns.h"
#include "backend/emit.h"
#include "backend/measure.h"
#include "backend/merge.h"
#include "ir/profile.h"

struct bf_unit bf_compile_unit(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_diags *diags) {
  return (struct bf_unit){.graph = graph, .machine = &options->machine, .tech = &options->tech, .opt_level = options->opt_level,
                          .mapping = options->mapping, .objective = options->objective, .movement_off = options->movement_off,
                          .diags = diags};
}

struct bf_pipeline_options bf_compile_pipeline(const struct bf_compile_options *options) {
  return (struct bf_pipeline_options){options->passes, options->print_after, options->print_out, options->verify_each, options->times};
}

bool bf_compile_unfinished(struct bf_unit *unit, bool whole) {
  if (unit->fields->nlayers < unit->graph->nnodes || !whole) return true;  // told once, at the end
  bf_error_file(unit->diags, "--passes", "end the pipeline with select,allocate", "the pipeline leaves fields without columns");
  return false;
}

// What takes the finished parts.
struct taker { struct bf_emitter emitter; struct bf_columns *columns; };

static bool take(struct bf_unit *unit, bool whole) {
  struct taker *t = unit->take_context;
  if (!unit->allocated || !unit->selected) return bf_compile_unfinished(unit, whole);
  if (t->columns) bf_columns_part(t->columns, unit->fields, whole);
  bf_emit_part(&t->emitter, unit->fields, whole);
  return true;
}

struct ap_program *bf_compile(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_diags *diags) {
  struct taker taker = {.columns = options->columns};
  struct bf_unit unit = bf_compile_unit(graph, options, diags);
  struct bf_pipeline_options pipeline = bf_compile_pipeline(options);
  unit.take = take;
  unit.take_context = &taker;
  struct bf_measurer measurer = {.options = options};
  bf_measure_with(&unit, &measurer);
  struct ap_program *program = NULL;
  bf_emit_begin(&taker.emitter, graph, options);
  if (bf_pipeline_run(&unit, &pipeline)) {
    if (unit.fields) program = bf_emit_finish(&taker.emitter, graph, unit.fields, options, diags);
    else bf_error_file(diags, "--passes", "end the pipeline with lower,select,allocate", "the pipeline makes no code");
  }
  bf_emit_free(&taker.emitter);
  bf_measurer_end(&measurer);
  if (options->choices) {
    *options->choices = unit.choices;
    unit.choices = NULL;
  }
  bf_unit_free(&unit);
  if (program && !ap_program_validate(program, diags)) {
    ap_program_free(program);
    program = NULL;
  }
  return program;
}

uint32_t bf_compile_batch(const struct bf_graph *graph, const struct bf_compile_options *options, uint32_t most, struct bf_diags *diags) {
  struct bf_unit unit = bf_compile_unit(graph, options, diags);
  return bf_plan_batch(&unit, most);
}

static bool add_profile(struct bf_merger *merger, const struct bf_graph *graph, const char *name,
                        const struct bf_compile_options *options, struct bf_diags *diags) {
  struct bf_graph *narrow = bf_graph_apply_profile(graph, name, diags);
  struct ap_program *program = narrow ? bf_compile(narrow, options, diags) : NULL;
  bool ok = program && bf_merge_add(merger, program, name, diags);
  ap_program_free(program);
  bf_graph_free(narrow);
  return ok;
}

struct ap_program *bf_compile_profiles(const struct bf_graph *graph, const struct bf_compile_options *options,
                                       struct bf_diags *diags) {
  struct ap_program *program = bf_compile(graph, options, diags);
  if (!program || graph->nprofiles == 0) return program;
  struct bf_merger *merger = bf_merge_begin(program, BF_PROFILE_BASE);
  struct bf_compile_options further = *options;  // what is told is about the network as written
  further.choices = NULL;
  further.columns = NULL;
  bool ok = true;
  for (size_t i = 0; ok && i < graph->nprofiles; i++) ok = add_profile(merger, graph, graph->profiles[i].name, &further, diags);
  program = bf_merge_end(merger, ok);
  if (program && !ap_program_validate(program, diags)) {
    ap_program_free(program);
    program = NULL;
  }
  return program;
}
