// SPDX-License-Identifier: Apache-2.0
// The public C API: tensors at the border, execution and reports.
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "isa/ledger.h"
#include "runtime/engine.h"

#define MAX_THREADS 256u

struct bfimna_result {
  int64_t **outputs;
  size_t noutputs;
  uint64_t cycles;
  double energy;
  struct bf_buf text, json;
};

size_t bfimna_input_count(const bfimna_program *program) { return program ? program->program->ninputs : 0; }
size_t bfimna_output_count(const bfimna_program *program) { return program ? program->program->noutputs : 0; }

static bfimna_status describe(const struct ap_tensor *from, bfimna_tensor *to) {
  *to = (bfimna_tensor){.name = from->name, .type = from->type, .rank = from->rank, .scale = from->scale,
                        .zero = from->zero, .elements = ap_tensor_elements(from)};
  for (unsigned i = 0; i < from->rank; i++) to->shape[i] = from->shape[4 - from->rank + i];
  return BFIMNA_OK;
}

bfimna_status bfimna_input(const bfimna_program *program, size_t index, bfimna_tensor *tensor) {
  if (!tensor || index >= bfimna_input_count(program)) return BFIMNA_USAGE;
  return describe(&program->program->tensors[program->program->inputs[index]], tensor);
}

bfimna_status bfimna_output(const bfimna_program *program, size_t index, bfimna_tensor *tensor) {
  if (!tensor || index >= bfimna_output_count(program)) return BFIMNA_USAGE;
  return describe(&program->program->tensors[program->program->outputs[index]], tensor);
}

static bool set_inputs(struct ap_run *run, const struct ap_program *program, const int64_t *const *inputs,
                       struct bf_diags *diags) {
  for (uint32_t i = 0; i < program->ninputs; i++) {
    uint32_t tensor = program->inputs[i];
    if (ap_run_set(run, tensor, inputs[i])) continue;
    bf_error_file(diags, NULL, NULL, "a value of input '%s' does not fit its type %s", program->tensors[tensor].name,
                  program->tensors[tensor].type);
    return false;
  }
  return true;
}

static bfimna_result *collect(const struct ap_run *run, const struct ap_report *report) {
  const struct ap_program *program = report->program;
  bfimna_result *result = bf_alloc(1, sizeof *result);
  result->noutputs = program->noutputs;
  result->outputs = bf_alloc(program->noutputs ? program->noutputs : 1, sizeof *result->outputs);
  for (uint32_t i = 0; i < program->noutputs; i++) {
    result->outputs[i] = bf_alloc(ap_tensor_elements(&program->tensors[program->outputs[i]]), sizeof(int64_t));
    ap_run_get(run, program->outputs[i], result->outputs[i]);
  }
  result->cycles = report->total->time.cycles;
  result->energy = report->total->energy_j;
  ap_report_text(report, &result->text);
  ap_report_json(report, &result->json);
  return result;
}

struct bfimna_session {
  const bfimna_program *handle;
  struct ap_run *run;
  struct ap_technology other;  // of `tech`, or empty
  bool repriced;
  struct ap_execution how;     // with the session's profile
};

static bfimna_result *execute(bfimna_session *session, const int64_t *const *inputs, uint32_t profile, struct bf_diags *diags) {
  const struct ap_program *program = session->handle->program;
  const struct ap_technology *tech = session->repriced ? &session->other : &session->handle->tech;
  struct ap_execution how = session->how;
  how.profile = profile;
  struct ap_account *all = bf_alloc((size_t)program->nlayers + 1, sizeof *all), total = {0};
  struct ap_account *layers = bf_alloc((size_t)program->nlayers + 1, sizeof *layers);
  bfimna_result *result = NULL;
  if (set_inputs(session->run, program, inputs, diags) && ap_run_execute(session->run, tech, all, &total, &how, diags)) {
    struct ap_program *view = ap_profile_view(program, profile);
    ap_profile_accounts(program, profile, all, layers);
    struct ap_report report = {.program = view, .tech = tech, .layers = layers, .total = &total, .images = 1,
                               .profile = program->nprofiles ? program->profiles[profile].name : NULL,
                               .engine = how.engine == AP_ENGINE_JIT ? "jit" : "interp",
                               .count = how.count == AP_COUNT_STATIC ? "expected" : "exact"};
    result = collect(session->run, &report);
    ap_profile_view_free(view);
  }
  free(layers);
  free(all);
  return result;
}

// The caller's words as settings of the engine. False: an error was added.
static bool translate(const bfimna_run_options *options, struct ap_execution *how, struct bf_diags *diags) {
  *how = (struct ap_execution){.engine = ap_engine_available(AP_ENGINE_JIT) ? AP_ENGINE_JIT : AP_ENGINE_INTERP,
                               .count = AP_COUNT_EXACT, .threads = options->threads};
  if (options->engine) {
    bool jit = !strcmp(options->engine, "jit");
    how->engine = jit ? AP_ENGINE_JIT : AP_ENGINE_INTERP;
    if (!jit && strcmp(options->engine, "interp")) {
      bf_error_file(diags, NULL, NULL, "unknown engine '%s'", options->engine);
      return false;
    }
    if (!ap_engine_available(how->engine)) {
      bf_error_file(diags, NULL, NULL, "engine '%s' is not part of this build: it was configured without LLVM", options->engine);
      return false;
    }
  }
  if (options->count && !strcmp(options->count, "static")) {
    how->count = AP_COUNT_STATIC;
  } else if (options->count && strcmp(options->count, "exact")) {
    bf_error_file(diags, NULL, NULL, "unknown count '%s'", options->count);
    return false;
  }
  if (options->threads > MAX_THREADS) {
    bf_error_file(diags, NULL, NULL, "%u threads are more than %u", options->threads, MAX_THREADS);
    return false;
  }
  return true;
}

static bool choose_profile(const struct ap_program *program, const char *name, uint32_t *profile, struct bf_diags *diags) {
  *profile = 0;
  if (!name || ap_profile_find(program, name, profile)) return true;
  ap_profile_unknown(program, name, NULL, diags);
  return false;
}

void bfimna_session_free(bfimna_session *session) {
  if (!session) return;
  ap_run_free(session->run);
  ap_technology_free(&session->other);
  free(session);
}

bfimna_status bfimna_session_new(const bfimna_program *program, const bfimna_run_options *given, bfimna_session **session,
                                 char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!session) return BFIMNA_USAGE;
  *session = NULL;
  if (!program || (given && given->size < sizeof given->size)) return BFIMNA_USAGE;
  bfimna_run_options options = {0};
  if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
  struct bf_diags diags = {0};
  bfimna_session *s = bf_alloc(1, sizeof *s);
  s->handle = program;
  s->repriced = options.tech != NULL;
  bool good = translate(&options, &s->how, &diags) && (!options.tech || ap_technology_load(options.tech, &s->other, &diags)) &&
              choose_profile(program->program, options.profile, &s->how.profile, &diags) &&
              (s->run = ap_run_new(program->program, &diags)) != NULL;
  if (good) *session = s;
  else bfimna_session_free(s);
  return bf_api_done(good ? BFIMNA_OK : BFIMNA_ERROR, &diags, diagnostics);
}

static bool have_inputs(const bfimna_program *program, const int64_t *const *inputs) {
  for (size_t i = 0; inputs && i < bfimna_input_count(program); i++)
    if (!inputs[i]) return false;
  return inputs != NULL;
}

bfimna_status bfimna_session_run(bfimna_session *session, const char *profile, const int64_t *const *inputs,
                                 bfimna_result **result, char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!result) return BFIMNA_USAGE;
  *result = NULL;
  if (!session || !have_inputs(session->handle, inputs)) return BFIMNA_USAGE;
  struct bf_diags diags = {0};
  uint32_t number = session->how.profile;
  if (!profile || choose_profile(session->handle->program, profile, &number, &diags))
    *result = execute(session, inputs, number, &diags);
  return bf_api_done(*result ? BFIMNA_OK : BFIMNA_ERROR, &diags, diagnostics);
}

bfimna_status bfimna_run_with(const bfimna_program *program, const int64_t *const *inputs, const bfimna_run_options *options,
                              bfimna_result **result, char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!result) return BFIMNA_USAGE;
  *result = NULL;
  if (!program || !have_inputs(program, inputs)) return BFIMNA_USAGE;
  bfimna_session *session;
  bfimna_status status = bfimna_session_new(program, options, &session, diagnostics);
  if (status == BFIMNA_OK) {
    if (diagnostics) bfimna_free(*diagnostics);
    status = bfimna_session_run(session, NULL, inputs, result, diagnostics);
  }
  bfimna_session_free(session);
  return status;
}

bfimna_status bfimna_run(const bfimna_program *program, const int64_t *const *inputs, const char *tech,
                         bfimna_result **result, char **diagnostics) {
  return bfimna_run_with(program, inputs, &(bfimna_run_options){.size = sizeof(bfimna_run_options), .tech = tech}, result, diagnostics);
}

const int64_t *bfimna_result_output(const bfimna_result *result, size_t index) {
  return result && index < result->noutputs ? result->outputs[index] : NULL;
}
uint64_t bfimna_result_cycles(const bfimna_result *result) { return result ? result->cycles : 0; }
double bfimna_result_energy(const bfimna_result *result) { return result ? result->energy : 0; }
const char *bfimna_result_text(const bfimna_result *result) { return result ? result->text.data : NULL; }
const char *bfimna_result_json(const bfimna_result *result) { return result ? result->json.data : NULL; }

void bfimna_result_free(bfimna_result *result) {
  if (!result) return;
  for (size_t i = 0; i < result->noutputs; i++) free(result->outputs[i]);
  free(result->outputs);
  bf_buf_free(&result->text);
  bf_buf_free(&result->json);
  free(result);
}

bfimna_status bfimna_static_json(const bfimna_program *program, char **json, char **diagnostics) {
  if (diagnostics) *diagnostics = NULL;
  if (!json) return BFIMNA_USAGE;
  *json = NULL;
  if (!program) return BFIMNA_USAGE;
  const struct ap_program *p = program->program;
  struct ap_account *all = bf_alloc((size_t)p->nlayers + 1, sizeof *all), total = {0};
  struct ap_account *layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers);
  struct ap_program *view = ap_profile_view(p, 0);
  ap_static_account(p, &program->tech, all, &total);
  ap_profile_accounts(p, 0, all, layers);
  struct ap_report report = {.program = view, .tech = &program->tech, .layers = layers, .total = &total,
                             .profile = p->nprofiles ? p->profiles[0].name : NULL, .count = "expected"};
  struct bf_buf out = {0};
  ap_report_json(&report, &out);
  bf_buf_cstr(&out);
  *json = out.data;
  ap_profile_view_free(view);
  free(layers);
  free(all);
  return BFIMNA_OK;
}
