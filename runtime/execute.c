// SPDX-License-Identifier: Apache-2.0
// One execution of a program: its stages in order, by the engine that was asked for, and the accounts of its layers.
#include <stdlib.h>

#include "runtime/block_engine.h"
#include "runtime/kernel.h"
#include "runtime/timeline.h"

struct execution {
  struct ap_run *run;
  const struct ap_program *program;
  const struct ap_technology *tech;
  struct ap_account *layers;      // of this execution alone
  struct ap_timeline line;
  struct ap_control control;
  struct ap_blocks_pool *pool;    // NULL: the interpreter
  struct ap_tile_time *times;     // of the present stage
  size_t capacity;
};

void ap_control_show(struct ap_control *control, uint32_t layer, double done) {
  control->done = done;
  if (control->how->progress != NULL && control->total > 0 && done - control->shown >= 0.002 * control->total) {
    control->shown = done;
    control->how->progress(control->how->context, layer, done / control->total);
  }
}

bool ap_engine_available(enum ap_engine engine) { return engine == AP_ENGINE_INTERP || ap_kernels_available(); }

static uint64_t stage_rows(const struct ap_run *run, const struct ap_stage *stage) {
  uint64_t rows = 0;
  for (uint32_t r = 0; r < stage->count; r++) {
    rows += ap_grid_rows(&run->program->grids[run->program->code[run->regions[stage->first + r].grid].index]);
  }
  return rows;
}

static bool run_regions(struct execution *x, const struct ap_stage *stage) {
  if (stage->tiles > x->capacity) {
    free(x->times);
    x->times = bf_alloc(stage->tiles, sizeof *x->times);
    x->capacity = stage->tiles;
  }
  struct ap_account *account = &x->layers[stage->layer];
  const struct ap_stage_run s = {x->run, stage, x->tech, x->times, &account->events, &x->control};
  double base = x->control.done;
  if (!(x->pool != NULL ? ap_blocks_stage(x->pool, &s) : ap_interp_stage(&s))) {
    return false;
  }
  x->control.done = base + stage->work;  // without the error of summing shares
  account->time.rows += stage_rows(x->run, stage);
  ap_timeline_add(&x->line, x->times, stage->tiles, stage->layer);
  return true;
}

static void run_host(struct execution *x, const struct ap_host *host) {
  ap_planes_to_memory(x->run, ap_tensor_root(x->program, host->input));
  ap_planes_to_memory(x->run, ap_tensor_root(x->program, host->output));
  x->run->planes[ap_tensor_root(x->program, host->output)].current = false;
  x->run->planes[ap_tensor_root(x->program, host->output)].memory_written = true;
  ap_host_softmax(x->run, host);
}

// The interpreter knows elements alone.
static void leave_planes(struct ap_run *run) {
  for (uint32_t t = 0; t < run->program->ntensors; t++) {
    if (!run->memory[t].shared) {  // those that share begin without values
      ap_planes_to_memory(run, t);
    }
    run->planes[t].memory_stale = false;
    run->planes[t].current = false;
    run->planes[t].memory_written = true;
  }
}

static bool run_stages(struct execution *x, size_t first, size_t end) {
  const struct ap_execution *how = x->control.how;
  for (size_t i = first; i < end; i++) {
    const struct ap_stage *stage = &x->run->stages[i];
    switch (stage->kind) {
      case AP_STAGE_REGIONS:
        if (!run_regions(x, stage)) {
          return false;
        }
        break;
      case AP_STAGE_HOST:
        run_host(x, &x->program->hosts[stage->index]);
        x->layers[stage->layer].events.host++;
        break;
      case AP_STAGE_EPOCH: ap_timeline_epoch(&x->line, x->layers); break;
      case AP_STAGE_LAYER:
        if (ap_control_stopped(&x->control) || (how->hook != NULL && !how->hook(how->context, x->run, stage->layer))) {
          return false;
        }
        break;
    }
  }
  return true;
}

// A program without profiles is all its stages. A profile is those of its layers, in its order: what is switched from one execution to
// the next is this list, and nothing else.
static bool run_profile(struct execution *x) {
  const struct ap_program *p = x->program;
  const size_t *stages = x->run->layer_stages;
  uint32_t profile = x->control.how->profile;
  bool done = p->nprofiles > 0 || run_stages(x, 0, x->run->nstages);
  for (uint32_t i = 0; done && p->nprofiles > 0 && i < ap_profile_length(p, profile); i++) {
    uint32_t layer = ap_profile_layer(p, profile, i);
    done = run_stages(x, stages[layer], stages[layer + 1]);
  }
  if (done) {
    ap_timeline_epoch(&x->line, x->layers);
  }
  return done;
}

static double profile_work(const struct ap_run *run, uint32_t profile) {
  double work = 0;
  for (uint32_t i = 0; i < ap_profile_length(run->program, profile); i++) {
    uint32_t layer = ap_profile_layer(run->program, profile, i);
    for (size_t s = run->layer_stages[layer]; s < run->layer_stages[layer + 1]; s++) {
      work += run->stages[s].work;
    }
  }
  return work;
}

// In static mode, what depends on data is what the compiler expects. That does not depend on the technology.
static void expect_counts(struct execution *x) {
  const struct ap_program *p = x->program;
  uint32_t profile = x->control.how->profile, length = ap_profile_length(p, profile);
  if (x->run->expected == NULL) {
    x->run->expected = bf_alloc((size_t)p->nlayers + 1, sizeof *x->run->expected);
    x->run->expected_of = bf_alloc((size_t)p->nprofiles + 1, sizeof *x->run->expected_of);
  }
  if (!x->run->expected_of[profile]) {
    struct ap_account *found = bf_alloc((size_t)p->nlayers + 1, sizeof *found);
    if (x->pool != NULL) {
      ap_blocks_expect(x->run, found);
    } else {
      ap_static_account_of(p, profile, x->tech, found, NULL);
    }
    for (uint32_t i = 0; i < length; i++) {
      x->run->expected[ap_profile_layer(p, profile, i)] = found[ap_profile_layer(p, profile, i)];
    }
    free(found);
    x->run->expected_of[profile] = true;
  }
  for (uint32_t i = 0; i < length; i++) {
    struct ap_events *events = &x->layers[ap_profile_layer(p, profile, i)].events;
    const struct ap_events *expected = &x->run->expected[ap_profile_layer(p, profile, i)].events;
    events->match_cells = expected->match_cells;
    events->written_cells = expected->written_cells;
    events->changed_cells = expected->changed_cells;
  }
}

static void add_accounts(struct execution *x, struct ap_account *layers, struct ap_account *total) {
  uint32_t profile = x->control.how->profile, length = ap_profile_length(x->program, profile);
  for (uint32_t i = 0; i < length; i++) {
    uint32_t layer = ap_profile_layer(x->program, profile, i);
    x->layers[layer].events.external += ap_external_bits(x->program, i == 0, i + 1 == length);
    ap_account_price(&x->layers[layer], x->tech, &x->program->machine);
    ap_account_add(&layers[layer], &x->layers[layer]);
    if (total != NULL) {
      ap_account_add(total, &x->layers[layer]);
    }
  }
}

bool ap_run_execute(struct ap_run *run, const struct ap_technology *tech, struct ap_account *layers,
                    struct ap_account *total, const struct ap_execution *how, struct bf_diags *diags) {
  const struct ap_program *p = run->program;
  struct execution x = {.run = run, .program = p, .tech = tech, .control = {.how = how, .total = profile_work(run, how->profile)}};
  if (how->engine == AP_ENGINE_JIT) {
    x.pool = ap_blocks_begin(run, how, diags);
    if (x.pool == NULL) {
      return false;
    }
  }
  if (x.pool == NULL) {
    leave_planes(run);
  }
  x.layers = bf_alloc((size_t)p->nlayers + 1, sizeof *x.layers);
  x.line = (struct ap_timeline){.program = p, .how = how, .open_layer = p->nlayers};
  bool done = run_profile(&x);
  ap_timeline_end(&x.line);
  if (done && how->count == AP_COUNT_STATIC) {
    expect_counts(&x);
  }
  run->executions[how->profile] += done;
  ap_blocks_end(x.pool);
  add_accounts(&x, layers, total);
  free(x.layers);
  free(x.times);
  return done;
}
