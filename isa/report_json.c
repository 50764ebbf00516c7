// SPDX-License-Identifier: Apache-2.0
// The report as JSON, with the keys of the command-line contract (docs/cost-model.md).
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa/report.h"

static bool has_layer(const struct ap_profile *profile, uint32_t layer) {
  for (uint32_t i = 0; i < profile->nlayers; i++) {
    if (profile->layers[i] == layer) {
      return true;
    }
  }
  return false;
}

// Images that a layer has seen: of several profiles in turn those of the profiles that have it.
static uint64_t layer_images(const struct ap_report *report, uint32_t layer) {
  uint64_t images = 0;
  for (uint32_t i = 0; i < report->nuses; i++) {
    images += has_layer(&report->program->profiles[i], layer) ? report->uses[i].images : 0;
  }
  return report->uses != NULL ? images : report->images;
}

bool ap_report_skips(const struct ap_report *report, uint32_t layer) {
  return report->uses != NULL && layer_images(report, layer) == 0;
}

uint64_t ap_report_macs(const struct ap_report *report, const struct ap_layer *layer) {
  if (report->images == 0) {
    return layer->macs;
  }
  // A padded batch does no more useful work.
  return layer->macs / report->program->batch * layer_images(report, (uint32_t)(layer - report->program->layers));
}

bool ap_report_repriced(const struct ap_report *report) {
  return strcmp(report->program->tech, report->tech->name) != 0 || report->program->vdd != report->tech->vdd;
}

struct ap_figures ap_report_figures(const struct ap_report *report) {
  const struct ap_program *p = report->program;
  struct ap_figures f = {.time_s = (double)report->total->time.cycles / p->machine.clock_hz};
  for (uint32_t i = 0; i < p->nlayers; i++) {
    f.macs += ap_report_macs(report, &p->layers[i]);
  }
  double operations = 2 * (double)f.macs, energy = report->total->energy_j;
  uint64_t caps = ap_machine_caps(&p->machine, report->total->time.caps);
  f.edp_js = energy * f.time_s;
  f.gops = f.time_s > 0 ? operations / f.time_s / 1e9 : 0;
  f.gops_per_w = energy > 0 ? operations / energy / 1e9 : 0;
  f.area_mm2 = (double)caps * p->machine.rows * p->machine.columns * report->tech->cell_area_m2 * 1e6;
  return f;
}

static json_t *integer(uint64_t v) { return json_integer((json_int_t)v); }
static json_t *real(double v) { return json_real(isfinite(v) ? v : 0); }
// Names may come from a binary: what is no UTF-8 becomes "?".
static json_t *text(const char *s) {
  json_t *value = json_string(s != NULL ? s : "");
  return value != NULL ? value : json_string("?");
}

static json_t *events_json(const struct ap_account *a) {
  json_t *o = json_object();
  json_object_set_new(o, "compare", integer(a->events.compare));
  json_object_set_new(o, "write", integer(a->events.write));
  json_object_set_new(o, "load", integer(a->events.load));
  json_object_set_new(o, "store", integer(a->events.store));
  json_object_set_new(o, "move", integer(a->events.move));
  json_object_set_new(o, "shift", integer(a->events.shift));
  json_object_set_new(o, "count", integer(a->events.count));
  json_object_set_new(o, "external", integer(a->events.external));
  json_object_set_new(o, "host", integer(a->events.host));
  json_object_set_new(o, "stall", integer(a->time.stall));
  return o;
}

static void add_plan(json_t *o, const struct ap_report_plan *p) {
  json_t *rejected = json_array();
  for (unsigned i = 0; i < p->nrejected; i++) {
    json_t *item = json_object();
    json_object_set_new(item, "scheme", text(p->rejected[i].scheme));
    json_object_set_new(item, "cycles", real(p->rejected[i].cycles));
    json_object_set_new(item, "energy_j", real(p->rejected[i].energy_j));
    json_array_append_new(rejected, item);
  }
  json_object_set_new(o, "bound_cycles", real(p->bound));
  json_object_set_new(o, "plan", p->plan != NULL ? text(p->plan) : json_null());
  if (p->plan != NULL) {
    json_object_set_new(o, "estimated_cycles", real(p->cycles));
    json_object_set_new(o, "estimated_energy_j", real(p->energy_j));
    json_object_set_new(o, "scheme_bound_cycles", real(p->scheme_bound));
  }
  json_object_set_new(o, "rejected", rejected);
}

static json_t *layer_json(const struct ap_report *r, uint32_t i) {
  const struct ap_layer *layer = &r->program->layers[i];
  const struct ap_account *a = &r->layers[i];
  json_t *o = json_object();
  json_object_set_new(o, "name", text(layer->name));
  json_object_set_new(o, "op", text(layer->op));
  json_object_set_new(o, "mapping", text(layer->mapping));
  json_object_set_new(o, "bits_w", integer(layer->bits_w));
  json_object_set_new(o, "bits_a", integer(layer->bits_a));
  json_object_set_new(o, "macs", integer(ap_report_macs(r, layer)));
  json_object_set_new(o, "rows", integer(a->time.rows));
  json_object_set_new(o, "tiles", integer(a->time.tiles));
  json_object_set_new(o, "waves", integer(a->time.waves));
  json_object_set_new(o, "cycles", integer(a->time.cycles));
  json_object_set_new(o, "energy_j", real(a->energy_j));
  json_object_set_new(o, "columns_used", integer(layer->columns_used));
  json_object_set_new(o, "events", events_json(a));
  if (r->plans != NULL) {
    add_plan(o, &r->plans[i]);
  }
  return o;
}

// Of several profiles in turn.
static void add_uses(json_t *o, const struct ap_report *r) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < r->nuses; i++) {
    const struct ap_profile_use *use = &r->uses[i];
    if (use->executions == 0) {
      continue;
    }
    json_t *item = json_object();
    json_object_set_new(item, "profile", text(use->name));
    json_object_set_new(item, "images", integer(use->images));
    json_object_set_new(item, "executions", integer(use->executions));
    json_object_set_new(item, "cycles", integer(use->total.time.cycles));
    json_object_set_new(item, "energy_j", real(use->total.energy_j));
    json_object_set_new(item, "events", events_json(&use->total));
    json_array_append_new(list, item);
  }
  json_object_set_new(o, "profiles", list);
  json_object_set_new(o, "switches", integer(r->switches));
  json_object_set_new(o, "switch_cycles", integer(r->switches * AP_SWITCH_CYCLES));
}

void ap_report_json(const struct ap_report *r, struct bf_buf *out) {
  const struct ap_program *p = r->program;
  struct ap_figures f = ap_report_figures(r);
  json_t *o = json_object(), *layers = json_array();
  json_object_set_new(o, "schema", json_integer(1));
  json_object_set_new(o, "network", text(p->network));
  json_object_set_new(o, "target", text(p->machine.name));
  json_object_set_new(o, "tech", text(r->tech->name));
  json_object_set_new(o, "vdd", real(r->tech->vdd));
  json_object_set_new(o, "profile", r->profile != NULL ? text(r->profile) : json_null());
  json_object_set_new(o, "weights", p->weights != NULL && p->weights[0] ? text(p->weights) : json_null());
  json_object_set_new(o, "engine", r->engine != NULL ? text(r->engine) : json_null());
  json_object_set_new(o, "count", text(r->count != NULL ? r->count : r->engine != NULL ? "exact" : "expected"));
  json_object_set_new(o, "images", r->images > 0 ? integer(r->images) : json_null());
  json_object_set_new(o, "cycles", integer(r->total->time.cycles));
  json_object_set_new(o, "time_s", real(f.time_s));
  json_object_set_new(o, "energy_j", real(r->total->energy_j));
  json_object_set_new(o, "edp_js", real(f.edp_js));
  json_object_set_new(o, "macs", integer(f.macs));
  json_object_set_new(o, "gops", real(f.gops));
  json_object_set_new(o, "gops_per_w", real(f.gops_per_w));
  json_object_set_new(o, "area_mm2", real(f.area_mm2));
  json_object_set_new(o, "events", events_json(r->total));
  if (r->uses != NULL) {
    add_uses(o, r);
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (ap_report_skips(r, i)) {
      continue;
    }
    json_array_append_new(layers, layer_json(r, i));
  }
  json_object_set_new(o, "layers", layers);
  char *printed = json_dumps(o, JSON_INDENT(1));
  if (printed != NULL) {
    bf_buf_puts(out, printed);
    bf_buf_puts(out, "\n");
  }
  free(printed);
  json_decref(o);
}
