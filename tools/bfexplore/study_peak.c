// SPDX-License-Identifier: Apache-2.0
// The study of peaks: what all rows of a machine do when each multiplies and adds without end, by our microcode, by the formulas of the
// literature, and what other designs publish.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/micro.h"
#include "isa/paper.h"
#include "tools/bfexplore/study.h"

static const unsigned widths[] = {1, 8, 16};

struct peak {
  const struct bfx_study *study;
  const struct ap_machine *machine;
  const struct ap_technology *tech;
  double rows, area_mm2;
};

static void put(json_t *row, const char *key, double value) {
  json_object_set_new(row, key, value > 0 && isfinite(value) ? json_real(value) : json_null());
}

static void add_row(const struct peak *p, const char *design, unsigned bits, double cycles, double gops, double gops_per_w,
                    double gops_per_mm2, const char *standing, const char *source) {
  json_t *row = json_object();
  json_object_set_new(row, "profile", json_string(design));
  json_object_set_new(row, "bits", json_integer(bits));
  json_object_set_new(row, "bits_avg", json_integer(bits));
  if (cycles > 0) {
    json_object_set_new(row, "cycles", json_integer((json_int_t)llround(cycles)));
  }
  put(row, "gops", gops);
  put(row, "gops_per_w", gops_per_w);
  put(row, "gops_per_mm2", gops_per_mm2);
  json_object_set_new(row, "standing", json_string(standing));
  json_object_set_new(row, "source", json_string(source));
  json_array_append_new(p->study->rows, row);
}

// Adds what one instruction costs per row, in events and cycles.
static bool add_cost(const struct peak *p, enum ap_op op, const uint8_t width[3], unsigned features, struct ap_events *events) {
  struct ap_micro micro;
  if (!ap_micro_generate(op, width, features, &micro)) {
    return false;
  }
  struct ap_micro_cost cost = ap_micro_cost(&micro);
  events->compare += cost.compares;
  events->write += cost.writes;
  events->compare_cells += (uint64_t)llround((double)cost.compare_cells * p->rows);
  events->match_cells += (uint64_t)llround(cost.expected_matches * p->rows);
  events->written_cells += (uint64_t)llround(cost.expected_tags * p->rows);
  events->changed_cells += (uint64_t)llround(cost.expected_changed * p->rows);
  ap_micro_free(&micro);
  return true;
}

// A product of M by M bits and its addition to a field of `sum` bits, in every row of the machine.
static bool ours(const struct peak *p, const char *design, unsigned m, unsigned sum, unsigned add, unsigned features, const char *what) {
  struct ap_events events = {0};
  const uint8_t mul[3] = {(uint8_t)(2 * m), (uint8_t)m, (uint8_t)m}, plus[3] = {(uint8_t)sum, (uint8_t)add, 0};
  if (!add_cost(p, AP_OP_MUL, mul, features, &events) || !add_cost(p, AP_OP_ADD, plus, features, &events)) {
    bf_error_file(p->study->diags, NULL, NULL, "there is no microcode for a product of %u bits and its addition", m);
    return false;
  }
  uint64_t cycles = ap_compute_cycles(p->tech, &events), cells = (uint64_t)(p->rows * p->machine->columns);
  double energy = ap_energy(p->tech, p->machine, &events, cycles, cells), operations = 2 * p->rows;
  double gops = operations / ((double)cycles / p->machine->clock_hz) / 1e9;
  add_row(p, design, m, (double)cycles, gops, operations / energy / 1e9, gops / p->area_mm2, "computed", what);
  return true;
}

static void formula(const struct peak *p, const char *design, unsigned m, double cycles, const char *what) {
  double passes = 8.0 * m * m + 8.0 * m, gops = 2 * p->rows * p->machine->clock_hz / cycles / 1e9;
  add_row(p, design, m, cycles, gops, 2 / (AP_PAPER_ROW_CYCLE_J * passes * p->tech->vdd * p->tech->vdd) / 1e9, 0, "unconfirmed", what);
}

static bool all_rows(const struct peak *p) {
  static const struct { const char *design; unsigned bits; double gops, per_w, per_mm2; const char *standing, *source; } others[] = {
#define BFX_ACCELERATOR(design, bits, gops, per_w, per_mm2, standing, source) {design, bits, gops, per_w, per_mm2, standing, source},
#include "tools/bfexplore/accelerators.def"
  };
  unsigned own = ap_generator_features(p->machine, p->tech);
  for (size_t i = 0; i < BF_COUNT(widths); i++) {
    unsigned m = widths[i];
    double w = m;
    if (!ours(p, "ours: product + sum of 2M bits", m, 2 * m, 2 * m, own, "microcode of the machine, checked exhaustively") ||
        !ours(p, "ours: product + sum of M bits", m, m, m, own, "microcode; the operations of the literature's count 8M^2+8M") ||
        !ours(p, "ours: 2M bits, accumulating tag", m, 2 * m, 2 * m, own | AP_FEATURE_ACCUMULATE, "microcode of an array whose compares may OR into the tag")) {
      return false;
    }
    formula(p, "formula 3M^2+11M", m, 3 * w * w + 11 * w, "fits the three recollected peaks exactly; no known multiply takes 3M^2");
    formula(p, "formula 8M^2+4M", m, 8 * w * w + 4 * w, "2M+8M^2+2M: the LUT multiply as published elsewhere, recollected");
    formula(p, "formula 8M^2+8M", m, 8 * w * w + 8 * w, "LUT multiply and LUT add: what the recollected energies fit");
    for (size_t k = 0; k < BF_COUNT(others); k++) {
      if (others[k].bits == m) {
        add_row(p, others[k].design, m, 0, others[k].gops, others[k].per_w, others[k].per_mm2, others[k].standing, others[k].source);
      }
    }
  }
  return true;
}

static void draw(struct bfx_study *s) {
  struct bfx_plot *plot = bfx_study_plot(s, "Peak throughput and efficiency", "GOPS", "GOPS/W");
  size_t kinds[] = {bfx_plot_series(plot, "ours", BFX_POINTS), bfx_plot_series(plot, "formulas, unconfirmed", BFX_POINTS),
                    bfx_plot_series(plot, "published", BFX_POINTS), bfx_plot_series(plot, "unconfirmed", BFX_POINTS)}, i;
  json_t *row;
  plot->x_log = plot->y_log = true;
  json_array_foreach(s->rows, i, row) {
    const char *design = json_string_value(json_object_get(row, "profile")), *standing = json_string_value(json_object_get(row, "standing"));
    size_t kind = !strncmp(design, "ours", 4) ? 0 : !strncmp(design, "formula", 7) ? 1 : !strcmp(standing, "published") ? 2 : 3;
    bool named = kind > 1 || !strcmp(design, "ours: product + sum of 2M bits") || !strcmp(design, "formula 8M^2+8M");
    char *label = bf_format("%.*s %lldb", (int)strcspn(design, kind > 1 ? "(" : ": "), design, (long long)json_integer_value(json_object_get(row, "bits")));
    bfx_plot_point(plot, kinds[kind], json_number_value(json_object_get(row, "gops")), json_number_value(json_object_get(row, "gops_per_w")),
                   named ? label : NULL);
    free(label);
  }
}

static void notes(struct bfx_study *s, const struct peak *p) {
  bfx_study_note(s, "machine %s: %.0f rows in all at %g Hz (derived from unconfirmed peaks), %u columns a CAP (assumed), %.1f mm2 of cells.",
                 p->machine->name, p->rows, p->machine->clock_hz, p->machine->columns, p->area_mm2);
  bfx_study_note(s, "ours: every row multiplies and adds without end (2 operations), nothing is moved; cycles are compares and writes of the"
                 " microcode, energy is expected over random data, area is that of all columns' cells alone.");
  bfx_study_note(s, "published: figures of the sources, of other nodes and with memories, converters and wires: an order of magnitude, no ranking.");
  bfx_study_note(s, "unconfirmed: recollected, the source was not at hand; not to be quoted.");
  bfx_study_note(s, "puzzle: the recollected peaks of BF-IMNA (2,808,686, 140,434 and 41,654 GOPS at 1, 8, 16 bits) are 2 operations on 19,660,800 rows at"
                 " 1 GHz in exactly 14, 280 and 944 cycles, that is 3M^2+11M. 11M fits an addition (2M+8M+M); 3M^2 is no LUT multiply known:"
                 " that takes 8M^2 (8M^2-10M+4 when passes that cannot match are left out). The energies fit 8M^2+8M at 5.41 fJ. Two coefficients"
                 " against three points are little evidence, so both are shown; 41,654 GOPS is not to be expected of an 8M^2 multiply.");
  bfx_study_note_technology(s, p->tech);
}

bool bfx_study_peak(struct bfx_study *s) {
  static const struct bfx_column columns[] = {
      {"profile", "design", "%s"},          {"bits", "bits", "%d"},          {"cycles", "cycles", "%d"},        {"gops", "GOPS", "%.7g"},
      {"gops_per_w", "GOPS/W", "%.0f"},     {"gops_per_mm2", "GOPS/mm2", "%.1f"}, {"standing", "standing", "%s"}, {"source", "source", "%s"},
      {NULL, NULL, NULL}};
  struct bf_compile_options options;
  s->columns = columns;
  s->group = "bits";
  if (!bfx_study_options(s, &options)) {
    return false;
  }
  struct peak p = {.study = s, .machine = &options.machine, .tech = &options.tech};
  p.rows = (double)options.machine.clusters * options.machine.caps_per_cluster * options.machine.rows;
  p.area_mm2 = p.rows * options.machine.columns * options.tech.cell_area_m2 * 1e6;
  bool ok = all_rows(&p);
  if (ok) {
    draw(s);
    notes(s, &p);
  }
  ap_technology_free(&options.tech);
  return ok;
}
