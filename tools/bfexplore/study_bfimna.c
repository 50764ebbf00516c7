// SPDX-License-Identifier: Apache-2.0
// The study of BF-IMNA: networks end to end over precision, technology and supply voltage.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "isa/paper.h"
#include "tools/bfexplore/points.h"
#include "tools/bfexplore/study.h"

static const char *const networks[] = {"alexnet", "vgg16", "resnet50"};
static const char *const technologies[] = {"sram16", "reram", "pcm", "fefet"};
static const char *const voltages[] = {"0.5", "0.6", "0.7", "0.8", "0.9", "1.0"};

struct work {
  struct bfx_study *study;
  struct bfx_points points;
  time_t begin;
  atomic_size_t done;
};

// "8" is w8a8; "mixed" HAWQ-V3's assignment of medium latency where there is one, else 4 bits between 8 bits at the ends.
static bool profile_of(const char *precision, size_t length, const char *network, char *out, size_t size) {
  if (length == 5 && !strncmp(precision, "mixed", 5)) {
    bool hawq = !strcmp(network, "resnet50") || !strcmp(network, "resnet18");
    snprintf(out, size, "%s", hawq ? "hawq:latency_0.5" : "ends8:w4a4");
    return true;
  }
  int bits = length > 0 && length < 3 && *precision >= '0' && *precision <= '9' ? atoi(precision) : 0;
  snprintf(out, size, "w%da%d", bits, bits);
  return bits >= 1 && bits <= 8;
}

// --tech and --vdd leave one of each.
static void add_points(struct work *w, const char *network, const char *profile) {
  char volts[40];
  const char *tech = w->study->tech, *vdd = w->study->vdd > 0 ? bf_double_text(volts, w->study->vdd) : NULL;
  for (size_t t = 0; t < (tech ? 1 : BF_COUNT(technologies)); t++) {
    for (size_t v = 0; v < (vdd ? 1 : BF_COUNT(voltages)); v++) {
      struct bfx_point *point = bfx_points_add(&w->points);
      bfx_point_set(point, BFX_AXIS_NETWORK, network);
      bfx_point_set(point, BFX_AXIS_PROFILE, profile);
      bfx_point_set(point, BFX_AXIS_TARGET, w->study->target);
      bfx_point_set(point, BFX_AXIS_TECH, tech ? tech : technologies[t]);
      bfx_point_set(point, BFX_AXIS_VDD, vdd ? vdd : voltages[v]);
    }
  }
}

static bool add_all(struct work *w) {
  const char *bits = w->study->bits ? w->study->bits : "8,4,mixed";
  for (size_t n = 0; n < BF_COUNT(networks); n++) {
    for (const char *at = bits; bfx_study_wants(w->study, networks[n]); at++) {
      char profile[40];
      size_t length = strcspn(at, ",");
      if (!profile_of(at, length, networks[n], profile, sizeof profile)) {
        bf_error_file(w->study->diags, "--bits", "for instance 8,6,4,mixed", "precisions are 1 to 8 and mixed, not `%.*s`", (int)length, at);
        return false;
      }
      add_points(w, networks[n], profile);
      at += length;
      if (!*at) {
        break;
      }
    }
  }
  return true;
}

static void finished(void *context, const struct bfx_point *point) {
  (void)point;
  ((struct work *)context)->done++;
}

static bool watch(void *context) {
  struct work *w = context;
  size_t done = w->done;
  if (isatty(STDERR_FILENO)) {
    fprintf(stderr, "\r%zu of %zu points, %lld s ", done, w->points.count, (long long)(time(NULL) - w->begin));
    if (done == w->points.count) {
      fputs("\n", stderr);
    }
  }
  return true;
}

static double figure(const struct bfx_point *p, const char *key) { return json_number_value(json_object_get(p->result, key)); }

// The same network in the same technology at the same voltage at 8 bits: what the normalised figures are relative to.
static const struct bfx_point *base_of(const struct work *w, const struct bfx_point *p) {
  for (size_t i = 0; i < w->points.count; i++) {
    const struct bfx_point *q = &w->points.items[i];
    if (q->result && !strcmp(q->axis[BFX_AXIS_PROFILE], "w8a8") && !strcmp(q->axis[BFX_AXIS_NETWORK], p->axis[BFX_AXIS_NETWORK]) &&
        !strcmp(q->axis[BFX_AXIS_TECH], p->axis[BFX_AXIS_TECH]) && !strcmp(q->axis[BFX_AXIS_VDD], p->axis[BFX_AXIS_VDD])) {
      return q;
    }
  }
  return NULL;
}

static bool add_rows(struct work *w) {
  for (size_t i = 0; i < w->points.count; i++) {
    const struct bfx_point *p = &w->points.items[i], *base = base_of(w, p);
    if (p->error) {
      bf_error_file(w->study->diags, p->axis[BFX_AXIS_NETWORK], NULL, "%s", p->error);
      return false;
    }
    json_t *row = bfx_point_row(p);
    json_object_set_new(row, "bits_avg", json_real(figure(p, "bits_w_avg")));
    if (base) {
      json_object_set_new(row, "edp_norm", json_real(figure(p, "edp_js") / figure(base, "edp_js")));
    }
    json_array_append_new(w->study->rows, row);
  }
  return true;
}

// A panel for each network: energy against time, a line over the voltages for each technology and precision.
static void draw(struct work *w) {
  for (size_t n = 0; n < BF_COUNT(networks); n++) {
    struct bfx_plot *plot = bfx_study_wants(w->study, networks[n]) ? bfx_study_plot(w->study, networks[n], "time (s)", "energy (J)") : NULL;
    const char *tech = "", *profile = "";
    size_t series = 0;
    for (size_t i = 0; plot && i < w->points.count; i++) {
      const struct bfx_point *p = &w->points.items[i];
      plot->x_log = plot->y_log = true;
      if (strcmp(p->axis[BFX_AXIS_NETWORK], networks[n]) != 0) {
        continue;
      }
      if (strcmp(tech, p->axis[BFX_AXIS_TECH]) != 0 || strcmp(profile, p->axis[BFX_AXIS_PROFILE]) != 0) {
        tech = p->axis[BFX_AXIS_TECH];
        profile = p->axis[BFX_AXIS_PROFILE];
        char *name = bf_format("%s %s", tech, profile);
        series = bfx_plot_series(plot, name, BFX_LINE);
        free(name);
      }
      bfx_plot_point(plot, series, figure(p, "time_s"), figure(p, "energy_j"), NULL);
    }
  }
}

static void notes(struct bfx_study *s) {
  bfx_study_note(s, "precision: wBaB: weights and activations of all layers (inputs of a layer are requantized where that is needed, which is counted);"
                 " hawq:latency_0.5: HAWQ-V3's medium latency budget; ends8:w4a4: 4 bits, but 8 in the first and the last layer. bits: of"
                 " weights, mean over the multiply-accumulates of the whole network.");
  bfx_study_note(s, "weights: synthetic (seed %llu). Networks: examples/zoo; residual additions carry 8 bits.", (unsigned long long)s->seed);
  bfx_study_note(s, "code: selected for the technology (cheap or dear writes) by our compiler; cycles are those of a bit-exact execution; external"
                 " transfers cost energy, no time; energy is expected over random data.");
  bfx_study_note(s, "area: cells of all CAPs alone. GOPS: 2 operations a multiply-accumulate of the network.");
  bfx_study_note(s, "voltage: dynamic energy x (V/nominal)^2, leakage power x V/nominal, latency and clock as at nominal: an assumption, real cells"
                 " get slower; 5.41 fJ a row and cycle at 1 V (sram16) is an unconfirmed anchor.");
  bfx_study_note(s, "paper: closed formulas, a RECONSTRUCTION, unconfirmed (docs/bf-imna.md); always with the SRAM anchor of %.3g J a row and cycle.", AP_PAPER_ROW_CYCLE_J);
  for (size_t t = 0; t < (s->tech ? 1 : BF_COUNT(technologies)); t++) {
    struct ap_technology tech;
    if (ap_technology_load(s->tech ? s->tech : technologies[t], &tech, s->diags)) {
      bfx_study_note_technology(s, &tech);
      ap_technology_free(&tech);
    }
  }
}

bool bfx_study_bfimna(struct bfx_study *s) {
  static const struct bfx_column columns[] = {
      {"network", "network", "%s"},    {"profile", "precision", "%s"},  {"bits_avg", "bits", "%.2f"},      {"tech", "tech", "%s"},
      {"vdd", "V", "%s"},              {"time_s", "time s", "%.4g"},    {"energy_j", "energy J", "%.4g"},  {"edp_js", "EDP J s", "%.3g"},
      {"edp_norm", "EDP/8b", "%.3f"},  {"gops", "GOPS", "%.0f"},        {"gops_per_w", "GOPS/W", "%.4g"},  {"gops_per_mm2", "GOPS/mm2", "%.3g"},
      {"area_mm2", "mm2", "%.0f"},     {"paper_cycles", "paper cycles", "%.0f"}, {"paper_energy_j", "paper J", "%.4g"}, {NULL, NULL, NULL}};
  struct work w = {.study = s, .points = {.seed = s->seed, .jobs = s->jobs}, .begin = time(NULL)};
  s->columns = columns;
  s->group = "profile";
  w.points.watch = watch;
  w.points.finished = finished;
  w.points.context = &w;
  bool ok = add_all(&w);
  if (ok) {
    bfx_points_resolve(&w.points);
    bfx_points_run(&w.points);
    watch(&w);
    ok = add_rows(&w);
  }
  if (ok) {
    draw(&w);
    notes(s);
  }
  bfx_points_free(&w.points);
  return ok;
}
