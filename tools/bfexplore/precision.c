// SPDX-License-Identifier: Apache-2.0
// The command `precision`: from a network, sensitivities and costs to a profile.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/explore.h"
#include "tools/bfexplore/network.h"
#include "tools/bfexplore/precision.h"
#include "tools/bfexplore/variant.h"

#define MOST_COMPILATIONS 12  // of choices, to keep the budgets as compiled

struct work {
  struct bfx_settings settings;
  struct bf_diags diags;
  struct bf_graph *graph;
  struct bfx_layers layers;
  struct bfx_costs costs;
  struct bfx_problem problem;
  struct bfx_limit limits[BFX_MAX_OPTIONS], held[BFX_MAX_OPTIONS];  // as asked; what the sums over layers are held to
  struct bfx_solution solution;
  size_t *item_of;
};

static const struct bf_range nowhere;

static bool apply_tie(struct work *w, const char *list) {
  size_t previous = w->layers.count;
  for (const char *at = list; ; ) {
    size_t length = strcspn(at, ",");
    char *name = bf_strndup(at, length);
    size_t layer = bfx_layers_index(&w->layers, name, nowhere, "--tie", &w->diags);
    free(name);
    if (layer == w->layers.count) {
      return false;
    }
    bfx_layers_tie(&w->layers, previous == w->layers.count ? layer : previous, layer);
    previous = layer;
    if (!at[length]) {
      return true;
    }
    at += length + 1;
  }
}

static bool apply_fix(struct work *w, const char *text) {
  const char *colon = strrchr(text, ':');
  char *end;
  unsigned long bits = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
  if (bits < 1 || bits > BFX_MAX_BITS || *end) {
    bf_error_file(&w->diags, "--fix", "for instance --fix=conv1:8", "'%s' is no layer with a width from 1 to 16", text);
    return false;
  }
  char *name = bf_strndup(text, (size_t)(colon - text));
  size_t layer = bfx_layers_index(&w->layers, name, nowhere, "--fix", &w->diags);
  free(name);
  if (layer == w->layers.count) {
    return false;
  }
  w->layers.items[layer].fixed = (unsigned)bits;
  return true;
}

// Cycles and energy are spoken of, and no file gives them: the compiler does.
static bool wants_compiler(const struct bfx_settings *s) {
  bool speaks = s->objective == BFX_CYCLES || s->objective == BFX_ENERGY || s->objective == BFX_EDP;
  for (size_t i = 0; i < s->nbudgets; i++) {
    unsigned m = s->budgets[i].measure;
    speaks |= m == BFX_CYCLES || m == BFX_ENERGY || m == BFX_EDP;
  }
  return speaks && !s->costs && s->nreports == 0;
}

static bool read_costs(struct work *w) {
  const struct bfx_settings *s = &w->settings;
  bfx_costs_init(&w->costs, w->layers.count);
  bfx_costs_model(&w->layers, s->activation_bits, &w->costs);
  bool ok = true;
  for (size_t i = 0; ok && i < s->nreports; i++) {
    ok = bfx_costs_report(s->reports[i].path, s->reports[i].bits, &w->layers, &w->costs, &w->diags);
  }
  ok = ok && (!wants_compiler(s) || bfx_costs_compiled(s, &w->layers, &w->costs, &w->diags));
  return ok && (!s->costs || bfx_costs_read(s->costs, &w->layers, &w->costs, &w->diags));
}

static bool apply_lists(struct work *w) {
  bool ok = true;
  for (size_t i = 0; ok && i < w->settings.nties; i++) {
    ok = apply_tie(w, w->settings.ties[i]);
  }
  for (size_t i = 0; ok && i < w->settings.nfixes; i++) {
    ok = apply_fix(w, w->settings.fixes[i]);
  }
  return ok;
}

// The costs that objective and budgets speak of must be known.
static bool check_known(struct work *w, unsigned measure) {
  unsigned wanted = measure == BFX_EDP ? 1u << BFX_CYCLES | 1u << BFX_ENERGY : 1u << measure;
  if (measure == BFX_SENSITIVITY || (w->costs.known & wanted) == wanted) {
    return true;
  }
  bf_error_file(&w->diags, NULL, "give --costs=FILE, or --costs-report=BITS:FILE for every width",
                "nothing is known of the costs in %s", bfx_measure_name(measure));
  return false;
}

static bool pose(struct work *w) {
  const struct bfx_settings *s = &w->settings;
  bool ok = check_known(w, s->objective);
  for (size_t i = 0; ok && i < s->nbudgets; i++) {
    ok = check_known(w, s->budgets[i].measure);
  }
  w->item_of = bf_alloc(w->layers.count, sizeof *w->item_of);
  ok = ok && bfx_items_make(&w->layers, &w->costs, s->bits, s->network, &w->problem, w->item_of, &w->diags);
  for (size_t i = 0; ok && i < s->nbudgets; i++) {
    ok = bfx_budget_resolve(&s->budgets[i], &w->problem, &w->limits[i], &w->diags);
  }
  w->problem.objective = s->objective;
  w->problem.limits = w->limits;
  w->problem.nlimits = s->nbudgets;
  w->problem.seconds = s->seconds;
  return ok;
}

// False: no choice; an error was added if it was the first search.
static bool solve(struct work *w, bool first) {
  bfx_solution_free(&w->solution);
  w->solution = (struct bfx_solution){.choice = NULL};
  bfx_solve(&w->problem, &w->solution);
  if (first && w->solution.outcome == BFX_INFEASIBLE) {
    bf_error_file(&w->diags, NULL, "allow more, or narrower widths with --bits", "no choice of widths meets the budgets");
  } else if (first && w->solution.outcome == BFX_UNKNOWN) {
    bf_error_file(&w->diags, NULL, "allow more time with --seconds", "no choice was found in %g seconds", w->settings.seconds);
  }
  return w->solution.choice != NULL;
}

// The sum over layers leaves out what neighbours do to each other: the choice is compiled as a whole beside it.
static bool compile_choice(struct work *w, struct bfx_outcome_view *view) {
  if (!wants_compiler(&w->settings)) {
    return true;
  }
  struct bf_profile profile = {.name = bf_strdup(w->settings.profile)};
  for (size_t i = 0; i < w->layers.count; i++) {
    bfx_profile_add(&profile, w->layers.items[i].name, bfx_chosen_bits(view, i), bfx_chosen_activation_bits(view, i));
  }
  bool ok = bfx_costs_whole(&w->settings, &profile, &view->whole, &w->diags);
  bfx_profile_free(&profile);
  view->rounds += ok && view->whole.known;
  return ok;
}

// The largest part of a budget that the compiled choice takes, 0 if it keeps all. What passes its budget as compiled must be so much less as a sum: `held`.
static double passed_by(const struct work *w, const struct bfx_whole *whole, struct bfx_limit *held) {
  double most = 0;
  for (size_t i = 0; i < w->settings.nbudgets; i++) {
    const struct bfx_limit *limit = &w->limits[i];
    double value;
    if (!bfx_compiled_value(whole, limit->measure, &value) || !(value > limit->value * (1 + BFX_TOLERANCE))) {
      continue;
    }
    if (value > most * limit->value) {
      most = limit->value > 0 ? value / limit->value : INFINITY;
    }
    held[i].value = w->solution.value[limit->measure] * limit->value / value * (1 - 2 * BFX_TOLERANCE);
  }
  return most;
}

// A choice as compiled, and the part of a budget that it takes where it passes one (0: none).
struct found { struct bfx_solution solution; struct bfx_whole whole; struct bfx_limit held[BFX_MAX_OPTIONS]; double passed; };

// Keeps the solution of w if it passes budgets by less than what was found before.
static void keep(struct work *w, const struct bfx_whole *whole, double passed, struct found *best) {
  if (best->solution.choice && passed >= best->passed) {
    return;
  }
  bfx_solution_free(&best->solution);
  best->solution = w->solution;
  best->whole = *whole;
  memcpy(best->held, w->held, sizeof best->held);
  best->passed = passed;
  w->solution.choice = NULL;
}

// The choice that is least by the sums over layers; where the network compiled with it passes a budget, the least of those with smaller sums, until one keeps it.
// If none is found, the one that passes by least.
static bool choose(struct work *w, struct bfx_outcome_view *view) {
  struct found best = {.passed = 0};
  bool ok = true;
  memcpy(w->held, w->limits, sizeof w->held);
  w->problem.limits = w->held;
  for (int round = 0; ok && round < MOST_COMPILATIONS && solve(w, round == 0); round++) {
    struct bfx_limit next[BFX_MAX_OPTIONS];
    memcpy(next, w->held, sizeof next);
    ok = compile_choice(w, view);
    double passed = passed_by(w, &view->whole, next);
    keep(w, &view->whole, passed, &best);
    if (passed == 0) {
      break;
    }
    memcpy(w->held, next, sizeof next);
  }
  bfx_solution_free(&w->solution);
  w->solution = best.solution;
  view->whole = best.whole;
  memcpy(w->held, best.held, sizeof best.held);
  w->problem.limits = w->limits;
  return ok && w->solution.choice;
}

static bool print(struct work *w, struct bf_buf *out) {
  const struct bfx_settings *s = &w->settings;
  struct bfx_outcome_view view = {s, w->graph->name, &w->layers, &w->problem, &w->solution, w->item_of, w->costs.known, {.known = false}, w->held, 0};
  if (!choose(w, &view)) {
    return false;
  }
  (s->json ? bfx_print_json : bfx_print_text)(&view, out);
  if (!s->out) {
    if (!s->json) {
      bfx_print_profile(&view, out);
    }
    return true;
  }
  struct bf_buf file = {0};
  bfx_print_text(&view, &file);
  bfx_print_profile(&view, &file);
  bool ok = bf_diags_write(&w->diags, s->out, file.data, file.length);
  bf_buf_free(&file);
  return ok;
}

// No result over its own source.
static bool check_output(struct work *w) {
  const struct bfx_settings *s = &w->settings;
  const char *inputs[3 + BFX_MAX_BITS] = {s->network, s->sensitivity, s->costs};
  for (size_t i = 0; i < s->nreports; i++) {
    inputs[3 + i] = s->reports[i].path;
  }
  for (size_t i = 0; s->out && i < BF_COUNT(inputs); i++) {
    if (inputs[i] && bf_same_file(inputs[i], s->out)) {
      bf_error_file(&w->diags, s->out, NULL, "is an input: it would be overwritten");
      return false;
    }
  }
  return true;
}

int command_precision(int argc, char **argv) {
  struct work *w = bf_alloc(1, sizeof *w);
  struct bfx_settings *s = &w->settings;
  struct bf_buf out = {0};
  *s = (struct bfx_settings){.profile = "mixed", .seconds = 60, .target = "bf-imna-lr", .seed = 1, .objective = BFX_SENSITIVITY,
                             .bits = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 8};
  int status = bfx_precision_options(s, argc, argv);
  if (status < 0) {
    s->cache = bf_cost_cache_new(NULL);
    w->diags.default_file = s->network;
    w->graph = check_output(w) ? bfx_network_load(s->network, 1, s->seed, &w->diags) : NULL;
    (void)(w->graph && bfx_layers_find(w->graph, &w->layers, &w->diags) &&
           bfx_sensitivity_read(s->sensitivity, &w->layers, &w->diags) && apply_lists(w) && read_costs(w) && pose(w) &&
           print(w, &out));
    status = bfx_end(&w->diags, &out);
  }
  bf_cost_cache_free(s->cache);
  bfx_solution_free(&w->solution);
  free(w->problem.items);
  free(w->item_of);
  bfx_costs_free(&w->costs);
  bfx_layers_free(&w->layers);
  bf_graph_free(w->graph);
  free(w);
  return status;
}
