// SPDX-License-Identifier: Apache-2.0
// Machine and technology files: presets, round trip, errors, supply scaling, the calibration of sram16.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "isa/ledger.h"
#include "isa/presets.h"

static void test_presets_parse_and_round_trip(void **state) {
  unsigned machines = 0, technologies = 0;
  for (const struct ap_preset *p = ap_presets; p->kind != NULL; p++) {
    struct bf_diags diags = {0};
    if (strcmp(p->kind, "machines") == 0) {
      struct ap_machine machine, again;
      const struct bf_source *source;
      assert_true(ap_machine_load(p->name, &machine, &source, &diags));
      assert_string_equal(machine.name, p->name);
      struct bf_buf text = {0}, second = {0};
      ap_machine_print(&machine, &text);
      source = bf_diags_add_source(&diags, "printed", bf_buf_cstr(&text), text.length);
      assert_true(ap_machine_parse(source, &again, &diags));
      ap_machine_print(&again, &second);
      assert_string_equal(bf_buf_cstr(&text), bf_buf_cstr(&second));
      assert_memory_equal(&machine, &again, sizeof machine);
      struct ap_technology tech;
      assert_true(ap_technology_load(machine.technology, &tech, &diags));
      ap_technology_free(&tech);
      bf_buf_free(&text);
      bf_buf_free(&second);
      machines++;
    } else {
      struct ap_technology tech;
      assert_true(ap_technology_load(p->name, &tech, &diags));
      assert_string_equal(tech.name, p->name);
      technologies++;
      ap_technology_free(&tech);
    }
    assert_int_equal(diags.errors, 0);
    bf_diags_free(&diags);
  }
  assert_true(machines >= 4 && technologies >= 4);
}

// Each constant of each preset has a provenance line with a known standing.
static void test_every_constant_has_a_source(void **state) {
  for (const struct ap_preset *p = ap_presets; p->kind != NULL; p++) {
    char *copy = bf_strdup(p->text);
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
      char *equals = strstr(line, " = ");
      if (line[0] == ';' || equals == NULL || strncmp(line, "name ", 5) == 0) {
        continue;
      }
      static const char *const standings[] = {"sourced", "derived", "assumed"};
      bool found = false;
      for (size_t i = 0; i < 3; i++) {
        char *wanted = bf_format("\n; %.*s: %s: ", (int)(equals - line), line, standings[i]);
        found = found || strstr(p->text, wanted) != NULL;
        free(wanted);
      }
      if (!found) {
        fail_msg("%s/%s: no source for '%s'", p->kind, p->name, line);
      }
    }
    free(copy);
  }
}

static const char good[] =
    "[machine]\nname = m\nclusters = 1\ncaps_per_cluster = 2\nrows = 64\ncolumns = 32\nclock_hz = 1e9\nmap_bits = 1000\n"
    "port_bits = 8\nmesh_bits = 8\nmulticast = yes\nunlimited_caps = no\nfeatures = wide-write, accumulate\ntechnology = sram16\n";

// Parses `good` with one replacement; returns the rendered diagnostics (caller frees), NULL if it was accepted.
static char *parse_with(const char *from, const char *to) {
  const char *at = strstr(good, from);
  assert_non_null(at);
  char *text = bf_format("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  struct bf_diags diags = {0};
  struct ap_machine machine;
  const struct bf_source *source = bf_diags_add_source(&diags, "m.ini", text, strlen(text));
  bool accepted = ap_machine_parse(source, &machine, &diags);
  struct bf_buf out = {0};
  bf_diags_render(&diags, &out);
  char *result = accepted ? NULL : bf_strdup(bf_buf_cstr(&out));
  assert_int_equal(accepted, diags.errors == 0);
  bf_buf_free(&out);
  bf_diags_free(&diags);
  free(text);
  return result;
}

static void expect(const char *from, const char *to, const char *message) {
  char *got = parse_with(from, to);
  if (got == NULL || strstr(got, message) == NULL) {
    fail_msg("'%s' for '%s' gave: %s", to, from, got != NULL ? got : "no error");
  }
  free(got);
}

static void test_wrong_machine_files(void **state) {
  assert_null(parse_with("rows = 64", "rows = 64"));
  assert_null(parse_with("rows = 64", "  rows = 64"));
  assert_null(parse_with("features = wide-write, accumulate", "features = classic"));
  expect("rows = 64", "rows = 0", "m.ini:5:1: error: rows = 0 is outside 1..65536");
  expect("rows = 64", "rows = 65537", "outside");
  expect("rows = 64", "rows = 1.5", "whole number");
  expect("rows = 64", "rows = many", "wants a number");
  expect("rows = 64", "rows = nan", "wants a number");
  expect("rows = 64", "row = 64", "did you mean 'rows'");
  expect("rows = 64\n", "", "lacks the key 'rows'");
  expect("rows = 64", "rows = 64\nrows = 64", "given twice");
  expect("rows = 64", "rows 64", "m.ini:5");
  expect("[machine]", "[technology]", "outside the section [machine]");
  expect("multicast = yes", "multicast = maybe", "yes or no");
  expect("accumulate", "telepathy", "unknown array feature 'telepathy'");
  expect("accumulate", "telepathy", "hint: known features: classic, accumulate, wide-write, row-gating, tag-shift, two-d, popcount\n");
  expect("name = m", "name = a b", "wants a word");
  expect("name = m", "name = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "wants a word");
  char *longer = bf_format("name = %0300d", 1);
  expect("name = m", longer, "longer than");
  free(longer);
}

static void test_unknown_presets(void **state) {
  struct bf_diags diags = {0};
  struct ap_machine machine;
  struct ap_technology tech;
  const struct bf_source *source;
  assert_false(ap_machine_load("no-such-machine", &machine, &source, &diags));
  assert_false(ap_machine_load("nowhere/machine.ini", &machine, &source, &diags));
  assert_false(ap_technology_load("no-such-technology", &tech, &diags));
  assert_int_equal(diags.errors, 3);
  bf_diags_free(&diags);
}

static void test_supply_scaling(void **state) {
  struct bf_diags diags = {0};
  struct ap_technology tech, scaled;
  assert_true(ap_technology_load("sram16", &tech, &diags));
  scaled = tech;
  assert_true(ap_technology_set_vdd(&scaled, 0.5 * tech.vdd_nominal));
  assert_float_equal(scaled.compare_mismatch_j, tech.compare_mismatch_j / 4, 1e-25);
  assert_float_equal(scaled.write_j, tech.write_j / 4, 1e-25);
  assert_true(tech.shift_j > 0 && tech.count_j > 0);
  assert_float_equal(scaled.shift_j, tech.shift_j / 4, 1e-25);
  assert_float_equal(scaled.count_j, tech.count_j / 4, 1e-25);
  assert_float_equal(scaled.leakage_w_per_cell, tech.leakage_w_per_cell / 2, 1e-20);
  assert_true(ap_technology_set_vdd(&scaled, tech.vdd_nominal));
  assert_float_equal(scaled.write_j, tech.write_j, 1e-25);
  assert_false(ap_technology_set_vdd(&scaled, 0.29 * tech.vdd_nominal));
  assert_false(ap_technology_set_vdd(&scaled, 1.51 * tech.vdd_nominal));
  assert_non_null(strstr(tech.provenance, "compare_mismatch_j: derived: "));
  ap_technology_free(&tech);
  bf_diags_free(&diags);
}

// The anchor of isa/technologies/sram16.ini: a classic 8-bit multiply and add (4 passes for each of 64 partial
// products and 8 sum bits) on independent random bits costs 5.41 fJ a row and cycle on average.
static void test_sram16_calibration(void **state) {
  struct bf_diags diags = {0};
  struct ap_technology tech;
  struct ap_machine machine;
  assert_true(ap_technology_load("sram16", &tech, &diags));
  assert_true(ap_machine_load("bf-imna-lr", &machine, NULL, &diags));
  const uint64_t rows = 1 << 10;  // makes all expectations whole
  // A multiply pass searches 4 columns (1/16 of the rows match), an add pass 3 (1/8); per bit step the passes
  // change 2 + 1 + 2 + 1 cells of matching rows.
  struct ap_events events = {0};
  events.compare_cells = rows * (64 * 4 * 4 + 8 * 4 * 3);
  events.match_cells = rows * 64 * 4 * 4 / 16 + rows * 8 * 4 * 3 / 8;
  events.written_cells = events.changed_cells = rows * 64 * 6 / 16 + rows * 8 * 6 / 8;
  double per_row_cycle = ap_energy(&tech, &machine, &events, 0, 0) / (double)rows / (8 * 64 + 8 * 8);
  assert_float_equal(per_row_cycle * 1e15, 5.41, 0.005);
  ap_technology_free(&tech);
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_presets_parse_and_round_trip), cmocka_unit_test(test_every_constant_has_a_source),
      cmocka_unit_test(test_wrong_machine_files),          cmocka_unit_test(test_unknown_presets),
      cmocka_unit_test(test_supply_scaling),               cmocka_unit_test(test_sram16_calibration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
