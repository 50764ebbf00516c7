// SPDX-License-Identifier: Apache-2.0
// The report as a table for people.
#include <stdio.h>

#include "isa/ledger.h"
#include "isa/report.h"

// A number with a metric prefix: "3.41 mJ".
static const char *metric(char *out, size_t size, double v, const char *unit) {
  static const struct { double factor; const char *prefix; } scale[] = {
      {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "u"}, {1e-9, "n"}, {1e-12, "p"}, {1e-15, "f"}};
  size_t i = 0;
  while (i + 1 < BF_COUNT(scale) && v < scale[i].factor) {
    i++;
  }
  if (v <= 0) {
    snprintf(out, size, "0 %s", unit);
  } else {
    snprintf(out, size, "%.4g %s%s", v / scale[i].factor, scale[i].prefix, unit);
  }
  return out;
}

static void print_layer(const struct ap_layer *layer, const struct ap_account *a, double total_cycles,
                        struct bf_buf *out) {
  char energy[32], bits[16] = "-";
  if (layer->bits_w > 0 || layer->bits_a > 0) {
    snprintf(bits, sizeof bits, "w%ua%u", layer->bits_w, layer->bits_a);
  }
  double share = total_cycles > 0 ? 100 * (double)a->time.cycles / total_cycles : 0;
  bf_buf_printf(out, "%-24.24s %-12.12s %-11.11s %-7s %9llu %6u %5u %5u %12llu %12llu %5.1f%% %12s\n", layer->name,
                layer->op, layer->mapping, bits, (unsigned long long)a->time.rows, a->time.tiles, a->time.waves,
                layer->columns_used, (unsigned long long)a->time.cycles, (unsigned long long)a->time.stall, share,
                metric(energy, sizeof energy, a->energy_j, "J"));
}

static void print_totals(const struct ap_report *r, const struct ap_figures *f, struct bf_buf *out) {
  const struct ap_account *t = r->total;
  char a[32], b[32], c[32], d[32];
  bf_buf_printf(out, "\ncycles  %llu (compute %llu, stall %llu)\n", (unsigned long long)t->time.cycles,
                (unsigned long long)t->time.compute, (unsigned long long)t->time.stall);
  bf_buf_printf(out, "time    %s   energy  %s (%s counts)   EDP  %s\n", metric(a, sizeof a, f->time_s, "s"),
                metric(b, sizeof b, t->energy_j, "J"), r->count != NULL ? r->count : "exact",
                metric(c, sizeof c, f->edp_js, "Js"));
  bf_buf_printf(out, "MACs    %llu   %s   %s   area %.4g mm2\n", (unsigned long long)f->macs,
                metric(c, sizeof c, f->gops * 1e9, "op/s"), metric(d, sizeof d, f->gops_per_w * 1e9, "op/s/W"),
                f->area_mm2);
  const struct ap_events *e = &t->events;
  bf_buf_printf(out, "events  compare %llu, write %llu, load %llu, store %llu, external %llu bits, host %llu\n",
                (unsigned long long)e->compare, (unsigned long long)e->write, (unsigned long long)e->load,
                (unsigned long long)e->store, (unsigned long long)e->external, (unsigned long long)e->host);
  if (e->shift > 0 || e->count > 0) {
    bf_buf_printf(out, "        tag shifts by a row %llu, tag counts %llu\n", (unsigned long long)e->shift,
                  (unsigned long long)e->count);
  }
  if (e->host > 0) {
    bf_buf_printf(out, "        host ops (softmax) run on the host and have no AP cycles\n");
  }
  if (r->images > 1) {
    double n = (double)r->images;
    bf_buf_printf(out, "means   %.6g cycles, %s, %s an image\n", (double)t->time.cycles / n,
                  metric(a, sizeof a, f->time_s / n, "s"), metric(b, sizeof b, t->energy_j / n, "J"));
  }
}

static void print_uses(const struct ap_report *r, struct bf_buf *out) {
  char energy[32];
  bf_buf_printf(out, "\n%-24s %9s %10s %12s %14s %12s\n", "profile", "images", "executions", "cycles", "cycles/image", "energy");
  for (uint32_t i = 0; i < r->nuses; i++) {
    const struct ap_profile_use *use = &r->uses[i];
    if (use->executions > 0) {
      bf_buf_printf(out, "%-24.24s %9llu %10llu %12llu %14.6g %12s\n", use->name, (unsigned long long)use->images,
                    (unsigned long long)use->executions, (unsigned long long)use->total.time.cycles,
                    (double)use->total.time.cycles / (double)use->images, metric(energy, sizeof energy, use->total.energy_j, "J"));
    }
  }
  bf_buf_printf(out, "%llu switches of the profile at %u cycles: the controllers begin at other code, nothing is loaded\n",
                (unsigned long long)r->switches, AP_SWITCH_CYCLES);
}

static void print_bound(double bound, const struct ap_account *layer, struct bf_buf *out) {
  if (bound > 0) {
    bf_buf_printf(out, " %12.0f %7.4g", bound, (double)layer->time.cycles / bound);
  } else {
    bf_buf_printf(out, " %12s %7s", "-", "-");
  }
}

// What was chosen, how far from the bound that is, and what the others were estimated at.
static void print_plans(const struct ap_report *r, struct bf_buf *out) {
  bf_buf_printf(out, "\n%-24s %12s %7s %12s %7s  %s\n", "layer", "bound", "times", "plan's own", "times",
                "plan [estimate; rejected: estimates], cycles and energy");
  for (uint32_t i = 0; i < r->program->nlayers; i++) {
    const struct ap_report_plan *p = &r->plans[i];
    char energy[32];
    if (p->bound <= 0 && p->plan == NULL) {
      continue;
    }
    bf_buf_printf(out, "%-24.24s", r->program->layers[i].name);
    print_bound(p->bound, &r->layers[i], out);
    print_bound(p->plan != NULL ? p->scheme_bound : 0, &r->layers[i], out);
    if (p->plan != NULL) {
      bf_buf_printf(out, "  %s [%.4g, %s", p->plan, p->cycles, metric(energy, sizeof energy, p->energy_j, "J"));
      for (unsigned k = 0; k < p->nrejected; k++) {
        bf_buf_printf(out, "%s %s %.4g, %s", k == 0 ? "; rejected:" : ";", p->rejected[k].scheme, p->rejected[k].cycles,
                      metric(energy, sizeof energy, p->rejected[k].energy_j, "J"));
      }
      bf_buf_puts(out, "]");
    }
    bf_buf_puts(out, "\n");
  }
}

void ap_report_text(const struct ap_report *r, struct bf_buf *out) {
  const struct ap_program *p = r->program;
  struct ap_figures f = ap_report_figures(r);
  const char *with = r->profile != NULL ? r->profile : r->uses != NULL ? "several in turn" : NULL;
  bf_buf_printf(out, "network %s on %s, technology %s at %.4g V, %s", p->network, p->machine.name, r->tech->name,
                r->tech->vdd, r->engine != NULL ? r->engine : "static");
  if (with != NULL) {
    bf_buf_printf(out, ", profile %s", with);
  }
  if (r->images > 0) {
    bf_buf_printf(out, ", %llu image%s", (unsigned long long)r->images, r->images == 1 ? "" : "s");
  } else {
    bf_buf_printf(out, ", batch of %u", p->batch);
  }
  bf_buf_printf(out, "\n%s\n",
                p->machine.features & AP_FEATURE_ROW_GATING ? "rows outside the row mask burn no compare energy (row gating)"
                                                            : "all rows of a CAP burn compare energy (no row gating)");
  if (p->weights != NULL && p->weights[0]) {
    bf_buf_printf(out, "weights: %s\n", p->weights);
  }
  if (ap_report_repriced(r)) {
    bf_buf_printf(out, "the code was selected for %s at %.4g V; its events are priced for %s at %.4g V here\n", p->tech, p->vdd,
                  r->tech->name, r->tech->vdd);
  }
  bf_buf_printf(out, "\n%-24s %-12s %-11s %-7s %9s %6s %5s %5s %12s %12s %6s %12s\n", "layer", "op", "mapping", "bits", "rows",
                "tiles", "waves", "cols", "cycles", "stall", "share", "energy");
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (ap_report_skips(r, i)) {
      continue;
    }
    print_layer(&p->layers[i], &r->layers[i], (double)r->total->time.cycles, out);
  }
  print_totals(r, &f, out);
  if (r->uses != NULL) {
    print_uses(r, out);
  }
  if (r->plans != NULL) {
    print_plans(r, out);
  }
}
