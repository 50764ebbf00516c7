// SPDX-License-Identifier: Apache-2.0
// What studies share: machine and technology, notes, execution.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine.h"
#include "runtime/session.h"
#include "tools/bfexplore/point_setup.h"
#include "tools/bfexplore/study.h"

bool bfx_study_wants(const struct bfx_study *study, const char *name) {
  size_t length = strlen(name);
  for (const char *at = study->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    if (!strncmp(at, name, length) && (at[length] == 0 || at[length] == ',')) {
      return true;
    }
  }
  return study->only == NULL;
}

void bfx_study_note(struct bfx_study *study, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  bf_buf_printf(&study->notes, "%s\n", text);
  free(text);
}

struct bfx_plot *bfx_study_plot(struct bfx_study *study, const char *title, const char *x_label, const char *y_label) {
  if (study->nplots == BFX_MAX_PLOTS) {
    return NULL;
  }
  struct bfx_plot *plot = &study->plots[study->nplots++];
  *plot = (struct bfx_plot){.title = title, .x_label = x_label, .y_label = y_label};
  return plot;
}

// The line of the provenance that begins with the key; empty if it has none.
static void find_provenance(const struct ap_technology *tech, const char *key, char *out, size_t size) {
  size_t length = strlen(key);
  *out = 0;
  for (const char *at = tech->provenance; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
    if (!strncmp(at, key, length) && at[length] == ':') {
      snprintf(out, size, "%.*s", (int)(strcspn(at, "\n") - length - 1), at + length + 1);
      return;
    }
  }
}

void bfx_study_note_technology(struct bfx_study *study, const struct ap_technology *tech) {
  char origin[512];
  const struct { const char *key; double value; } values[] = {
#define AP_TECHNOLOGY_KEY(key, KIND, member, min, max) {key, KIND##_VALUE(member)},
#define NAME_VALUE(member) 0
#define REAL_VALUE(member) tech->member
#define U32_VALUE(member) (double)tech->member
#include "isa/machine_keys.def"
#undef NAME_VALUE
#undef REAL_VALUE
#undef U32_VALUE
  };
  bfx_study_note(study, "technology %s at %g V (dynamic energy x (V/nominal)^2, leakage power x V/nominal, latencies as at nominal):",
                 tech->name, tech->vdd);
  for (size_t i = 0; i < BF_COUNT(values); i++) {
    find_provenance(tech, values[i].key, origin, sizeof origin);
    if (strcmp(values[i].key, "name") != 0) {
      bfx_study_note(study, "  %s = %.5g:%s", values[i].key, values[i].value, *origin ? origin : " no standing given");
    }
  }
}

bool bfx_study_options(struct bfx_study *study, struct bf_compile_options *out) {
  return bfx_machine_options(study->target, study->tech, study->vdd, out, study->diags);
}

// What must be equal: everything that doesn't depend on data.
static bool same(const struct ap_account *a, const struct ap_account *b) {
  const struct ap_events *x = &a->events, *y = &b->events;
  return a->time.cycles == b->time.cycles && a->time.compute == b->time.compute && a->time.stall == b->time.stall &&
         a->time.tiles == b->time.tiles && x->compare == y->compare && x->write == y->write && x->load == y->load && x->store == y->store &&
         x->load_bits == y->load_bits && x->store_bits == y->store_bits && x->move == y->move && x->shift == y->shift &&
         x->count == y->count && x->external == y->external && x->host == y->host && x->compare_cells == y->compare_cells;
}

static bool set_inputs(struct ap_run *run, const struct ap_program *p, uint64_t seed) {
  bool ok = true;
  for (uint32_t i = 0; ok && i < p->ninputs; i++) {
    struct ap_images images;
    ap_images_random(p, p->inputs[i], seed, p->batch, &images);
    ok = ap_run_set(run, p->inputs[i], images.q);
    ap_images_free(&images);
  }
  return ok;
}

bool bfx_study_execute(struct bfx_study *study, const struct ap_program *program, const struct ap_technology *tech,
                       const struct ap_account *expected, struct ap_account *total) {
  struct ap_execution how = {.engine = ap_engine_available(AP_ENGINE_JIT) ? AP_ENGINE_JIT : AP_ENGINE_INTERP,
                             .count = AP_COUNT_EXACT, .threads = study->threads};
  struct ap_account *layers = bf_alloc(program->nlayers + 1, sizeof *layers);
  struct ap_run *run = ap_run_new(program, study->diags);
  memset(total, 0, sizeof *total);
  bool ok = run && set_inputs(run, program, study->seed) && ap_run_execute(run, tech, layers, total, &how, study->diags);
  for (uint32_t i = 0; ok && i < program->nlayers; i++) {
    if (!same(&layers[i], &expected[i])) {
      bf_error_file(study->diags, NULL, NULL, "layer `%s`: %llu cycles were executed, %llu were expected, or an event differs",
                    program->layers[i].name, (unsigned long long)layers[i].time.cycles, (unsigned long long)expected[i].time.cycles);
      ok = false;
    }
  }
  ap_run_free(run);
  free(layers);
  return ok;
}
