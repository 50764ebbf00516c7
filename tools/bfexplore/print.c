// SPDX-License-Identifier: Apache-2.0
// The outcome of `precision`: profile, text, JSON.
#include <jansson.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tools/bfexplore/precision.h"

unsigned bfx_chosen_bits(const struct bfx_outcome_view *v, size_t layer) {
  size_t item = v->item_of[layer];
  return v->problem->items[item].choices[v->solution->choice[item]].bits;
}

unsigned bfx_chosen_activation_bits(const struct bfx_outcome_view *v, size_t layer) {
  return v->settings->activation_bits ? v->settings->activation_bits : bfx_chosen_bits(v, layer);
}

static bool known(const struct bfx_outcome_view *v, unsigned measure) {
  unsigned wanted = measure == BFX_EDP ? 1u << BFX_CYCLES | 1u << BFX_ENERGY : 1u << measure;
  return measure == BFX_SENSITIVITY || (v->known & wanted) == wanted;
}

double bfx_gap(const struct bfx_solution *solution, unsigned objective) {
  double found = solution->value[objective];
  return found > 0 ? (found - solution->bound) / found : 0;
}

bool bfx_compiled_value(const struct bfx_whole *w, unsigned measure, double *out) {
  *out = measure == BFX_CYCLES ? w->cycles : measure == BFX_ENERGY ? w->energy : w->cycles * w->energy;
  return w->known && (measure == BFX_CYCLES || measure == BFX_ENERGY || measure == BFX_EDP);
}

static bool any_held(const struct bfx_outcome_view *v) {
  for (size_t i = 0; i < v->problem->nlimits; i++) {
    if (v->held[i].value < v->problem->limits[i].value) {
      return true;
    }
  }
  return false;
}

// The sums over layers that the compiled network needed to keep its budgets.
static void print_held(const struct bfx_outcome_view *v, struct bf_buf *out) {
  for (size_t i = 0; i < v->problem->nlimits; i++) {
    const struct bfx_limit *limit = &v->problem->limits[i];
    if (v->held[i].value < limit->value) {
      bf_buf_printf(out, "# held: the sum of %s over layers to %.9g, so that the compiled profile keeps %.9g (%u compilations)\n",
                    bfx_measure_name(limit->measure), v->held[i].value, limit->value, v->rounds);
    }
  }
}

// Where no choice was found that keeps a budget as compiled, it must be said.
static void print_passed(const struct bfx_outcome_view *v, struct bf_buf *out) {
  for (size_t i = 0; i < v->problem->nlimits; i++) {
    const struct bfx_limit *limit = &v->problem->limits[i];
    double value;
    if (bfx_compiled_value(&v->whole, limit->measure, &value) && value > limit->value * (1 + BFX_TOLERANCE)) {
      bf_buf_printf(out, "# OVER BUDGET as compiled: %s is %.9g, %.2f %% of at most %.9g; no choice that keeps it was found\n",
                    bfx_measure_name(limit->measure), value, 100 * value / limit->value, limit->value);
    }
  }
}

// Mean bits, by parameters or by MACs.
static double mean_bits(const struct bfx_outcome_view *v, bool by_macs) {
  double sum = 0, weight = 0;
  for (size_t i = 0; i < v->layers->count; i++) {
    const struct bfx_layer *layer = &v->layers->items[i];
    double w = (double)(by_macs ? layer->macs : layer->params);
    sum += w * bfx_chosen_bits(v, i);
    weight += w;
  }
  return sum / weight;
}

void bfx_print_profile(const struct bfx_outcome_view *v, struct bf_buf *out) {
  bf_buf_printf(out, "profile %s {\n", v->settings->profile);
  for (size_t i = 0; i < v->layers->count; i++) {
    bf_buf_printf(out, "  %s: w%u a%u;\n", v->layers->items[i].name, bfx_chosen_bits(v, i), bfx_chosen_activation_bits(v, i));
  }
  bf_buf_puts(out, "}\n");
}

void bfx_print_text(const struct bfx_outcome_view *v, struct bf_buf *out) {
  const struct bfx_solution *s = v->solution;
  unsigned objective = v->problem->objective;
  bf_buf_printf(out, "# Precision of %s: %zu layers, %zu choices\n", v->network, v->layers->count, v->problem->nitems);
  for (size_t i = 0; i < v->problem->nlimits; i++) {
    const struct bfx_limit *limit = &v->problem->limits[i];
    bf_buf_printf(out, "# budget %s: at most %.9g, used %.9g (%.2f %%)\n", v->settings->budgets[i].text, limit->value,
                  s->value[limit->measure], limit->value > 0 ? 100 * s->value[limit->measure] / limit->value : 100);
  }
  if (s->outcome == BFX_OPTIMAL) {
    bf_buf_printf(out, "# least %s: %.9g, proven optimal%s\n", bfx_measure_name(objective), s->value[objective],
                  any_held(v) ? " for the sums held to" : "");
  } else {
    bf_buf_printf(out, "# %s: %.9g, NOT proven optimal: the time is up; none is below %.9g (gap %.3g %%)\n",
                  bfx_measure_name(objective), s->value[objective], s->bound, 100 * bfx_gap(s, objective));
  }
  for (unsigned m = 0; m < BFX_MEASURES; m++) {
    if (known(v, m)) {
      const char *unit = bfx_measure_unit(m);
      bf_buf_printf(out, "# %s: %.9g%s%s\n", bfx_measure_name(m), s->value[m], *unit ? " " : "", unit);
    }
  }
  if (v->whole.known) {
    bf_buf_printf(out, "# compiled as a whole (%s): %.9g cycles, %.6g J, EDP %.6g J cycles = %.6g J s\n", v->settings->target, v->whole.cycles,
                  v->whole.energy, v->whole.cycles * v->whole.energy, v->whole.cycles * v->whole.energy / v->whole.clock_hz);
    print_held(v, out);
    print_passed(v, out);
  }
  bf_buf_printf(out, "# mean bits: %.3f by weights, %.3f by multiply-accumulates\n", mean_bits(v, false), mean_bits(v, true));
}

static json_t *measure_values(const struct bfx_outcome_view *v, const double value[BFX_MEASURES]) {
  json_t *o = json_object();
  for (unsigned m = 0; m < BFX_MEASURES; m++) {
    json_object_set_new(o, bfx_measure_name(m), known(v, m) ? json_real(value[m]) : json_null());
  }
  return o;
}

static json_t *budget_values(const struct bfx_outcome_view *v) {
  json_t *list = json_array();
  for (size_t i = 0; i < v->problem->nlimits; i++) {
    const struct bfx_limit *limit = &v->problem->limits[i];
    double value;
    json_t *compiled = bfx_compiled_value(&v->whole, limit->measure, &value) ? json_real(value) : json_null();
    json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f, s:o}", "measure", bfx_measure_name(limit->measure), "limit", limit->value,
                                          "held", v->held[i].value, "used", v->solution->value[limit->measure], "compiled", compiled));
  }
  return list;
}

static json_t *layer_values(const struct bfx_outcome_view *v) {
  json_t *list = json_array();
  for (size_t i = 0; i < v->layers->count; i++) {
    const struct bfx_layer *layer = &v->layers->items[i];
    json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:I, s:I, s:i}", "name", layer->name, "bits_w", (int)bfx_chosen_bits(v, i),
                                          "bits_a", (int)bfx_chosen_activation_bits(v, i), "macs", (json_int_t)layer->macs, "params",
                                          (json_int_t)layer->params, "choice", (int)v->item_of[i]));
  }
  return list;
}

void bfx_print_json(const struct bfx_outcome_view *v, struct bf_buf *out) {
  const struct bfx_solution *s = v->solution;
  unsigned objective = v->problem->objective;
  json_t *o = json_object();
  json_object_set_new(o, "schema", json_integer(1));
  json_object_set_new(o, "network", json_string(v->network));
  json_object_set_new(o, "profile", json_string(v->settings->profile));
  json_object_set_new(o, "objective", json_string(bfx_measure_name(objective)));
  json_object_set_new(o, "optimal", json_boolean(s->outcome == BFX_OPTIMAL && !any_held(v)));
  json_object_set_new(o, "value", json_real(s->value[objective]));
  json_object_set_new(o, "bound", json_real(s->bound));
  json_object_set_new(o, "gap", json_real(bfx_gap(s, objective)));
  json_object_set_new(o, "programs", json_integer((json_int_t)s->programs));
  json_object_set_new(o, "seconds", json_real(s->seconds));
  json_object_set_new(o, "bits_avg_weights", json_real(mean_bits(v, false)));
  json_object_set_new(o, "bits_avg_macs", json_real(mean_bits(v, true)));
  json_object_set_new(o, "budgets", budget_values(v));
  json_object_set_new(o, "totals", measure_values(v, s->value));
  json_object_set_new(o, "compiled", v->whole.known ? json_pack("{s:f, s:f, s:f}", "cycles", v->whole.cycles, "energy", v->whole.energy, "edp",
                                                                 v->whole.cycles * v->whole.energy) : json_null());
  json_object_set_new(o, "compilations", json_integer((json_int_t)v->rounds));
  json_object_set_new(o, "layers", layer_values(v));
  char *text = json_dumps(o, JSON_INDENT(1));
  bf_buf_puts(out, text);
  bf_buf_puts(out, "\n");
  free(text);
  json_decref(o);
}
