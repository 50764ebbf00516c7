// SPDX-License-Identifier: Apache-2.0
// The timing model and the energy function on examples worked out by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "isa/ledger.h"

static struct ap_machine machine(uint32_t clusters, uint32_t caps) {
  return (struct ap_machine){.clusters = clusters, .caps_per_cluster = caps, .rows = 64, .columns = 32,
                             .clock_hz = 1e9, .port_bits = 8, .mesh_bits = 8};
}

static struct ap_layer_time epoch(struct ap_machine m, const struct ap_tile_time *tiles, uint32_t count) {
  struct ap_layer_time time = {0};
  ap_time_epoch(&m, tiles, count, &time);
  return time;
}

static void test_column_cycles(void **state) {
  struct ap_machine m = machine(1, 1);
  assert_int_equal(ap_column_cycles(&m, 0), 1);
  assert_int_equal(ap_column_cycles(&m, 1), 1);
  assert_int_equal(ap_column_cycles(&m, 8), 1);
  assert_int_equal(ap_column_cycles(&m, 9), 2);
  assert_int_equal(ap_column_cycles(&m, 64), 8);
}

// One tile: what is exposed and the first prefetch stall, later prefetches hide under compute.
static void test_one_tile(void **state) {
  struct ap_tile_time t = {.compute = 100, .exposed = 30, .stored = 10, .prefetched = 50, .first = 5};
  struct ap_layer_time time = epoch(machine(1, 1), &t, 1);
  assert_int_equal(time.cycles, 135);
  assert_int_equal(time.compute, 100);
  assert_int_equal(time.stall, 35);
  assert_int_equal(time.tiles, 1);
  assert_int_equal(time.waves, 1);
  assert_int_equal(time.caps, 1);
  t.prefetched = 200;  // the port is busy for 30 + 200 cycles
  assert_int_equal(epoch(machine(1, 1), &t, 1).cycles, 230);
}

// Three tiles on two CAPs of one cluster: CAP 0 works on two of them; the port serves all.
static void test_waves_and_port(void **state) {
  struct ap_tile_time t[3] = {{.row_tile = 0, .compute = 100, .exposed = 20}, {.row_tile = 1, .compute = 90, .exposed = 20},
                              {.row_tile = 2, .compute = 50, .exposed = 20}};
  struct ap_layer_time time = epoch(machine(1, 2), t, 3);
  assert_int_equal(time.cycles, 190);  // 120 + 70; the port only 60
  assert_int_equal(time.compute, 150);
  assert_int_equal(time.waves, 2);
  assert_int_equal(time.caps, 2);
  time = epoch(machine(3, 1), t, 3);  // a CAP and a port each
  assert_int_equal(time.cycles, 120);
  assert_int_equal(time.waves, 1);
  for (int i = 0; i < 3; i++) {
    t[i].exposed = 80;
  }
  assert_int_equal(epoch(machine(1, 3), t, 3).cycles, 240);  // one port for three
}

// Equal loads of one wave and cluster count once with multicast; stores and other waves do not.
static void test_multicast(void **state) {
  struct ap_tile_time t[2] = {{.compute = 10, .exposed = 70, .stored = 20, .load_key = 7},
                              {.compute = 10, .exposed = 70, .stored = 20, .load_key = 7}};
  struct ap_machine m = machine(1, 2);
  assert_int_equal(epoch(m, t, 2).cycles, 140);
  m.multicast = true;
  assert_int_equal(epoch(m, t, 2).cycles, 90);  // 50 + 20 + 20
  t[1].row_tile = 1;
  assert_int_equal(epoch(m, t, 2).cycles, 140);
  t[1].row_tile = 0, t[1].load_key = 8;
  assert_int_equal(epoch(m, t, 2).cycles, 140);
  t[1].load_key = 7;
  m.caps_per_cluster = 1;  // two waves on one CAP
  assert_int_equal(epoch(m, t, 2).cycles, 160);
}

static void test_unlimited_caps(void **state) {
  struct ap_tile_time t[5] = {{.compute = 10}, {.compute = 20}, {.compute = 30}, {.compute = 20}, {.compute = 10}};
  struct ap_machine m = machine(1, 2);
  assert_int_equal(epoch(m, t, 5).cycles, 50);  // CAP 0: 10 + 30 + 10
  m.unlimited_caps = true;
  struct ap_layer_time time = epoch(m, t, 5);
  assert_int_equal(time.cycles, 30);
  assert_int_equal(time.waves, 1);
  assert_int_equal(time.caps, 5);
}

static void test_epochs_add(void **state) {
  struct ap_tile_time t = {.compute = 100};
  struct ap_machine m = machine(1, 1);
  struct ap_layer_time time = {0};
  ap_time_epoch(&m, &t, 1, &time);
  ap_time_epoch(&m, &t, 1, &time);
  ap_time_epoch(&m, &t, 0, &time);
  assert_int_equal(time.cycles, 200);
  assert_int_equal(time.tiles, 2);
  assert_int_equal(time.caps, 1);
}

// The rules of docs/cost-model.md word by word, in quadratic time.
static struct ap_layer_time by_the_rules(struct ap_machine m, const struct ap_tile_time *tiles, uint32_t count) {
  uint64_t n = ap_machine_caps(&m, count), clusters = (n + m.caps_per_cluster - 1) / m.caps_per_cluster, longest = 0, work = 0;
  clusters = clusters > m.clusters ? clusters : m.clusters;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t busy = 0, compute = 0, port = 0, cluster = i % n % clusters;
    for (uint32_t k = 0; k < count; k++) {
      const struct ap_tile_time *t = &tiles[k];
      busy += k % n == i % n ? t->compute + t->exposed + t->first : 0;
      compute += k % n == i % n ? t->compute : 0;
      if (k % n % clusters != cluster) continue;
      bool shared = false;
      for (uint32_t e = 0; e < k && m.multicast; e++)
        shared |= e / n == k / n && e % n % clusters == cluster && tiles[e].row_tile == t->row_tile && tiles[e].load_key == t->load_key;
      port += t->stored + (shared ? 0 : t->exposed - t->stored + t->prefetched);
    }
    uint64_t slower = busy > port ? busy : port;
    longest = slower > longest ? slower : longest;
    work = compute > work ? compute : work;
  }
  return (struct ap_layer_time){.cycles = longest, .compute = work, .stall = longest - work};
}

static void test_rules(void **state) {
  uint64_t seed = 9;
  for (int round = 0; round < 400; round++) {
    struct ap_tile_time t[60];
    uint32_t numbers[70];
    for (size_t i = 0; i < BF_COUNT(numbers); i++) {
      seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
      numbers[i] = (uint32_t)(seed >> 40);
    }
    uint32_t count = 1 + numbers[0] % 60;
    struct ap_machine m = machine(1 + numbers[1] % (round & 1 ? 4 : 200), 1 + numbers[2] % 5);
    m.multicast = numbers[3] & 1;
    m.unlimited_caps = numbers[3] & 2;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t x = numbers[4 + i], key = x % 3, row_tile = x / 3 % 3, loads = 10 * key + row_tile;  // equal loads take equal time
      t[i] = (struct ap_tile_time){.row_tile = row_tile, .load_key = key, .compute = x % 97, .stored = x % 11, .exposed = loads + x % 11,
                                   .prefetched = 7 * key, .first = key};
    }
    struct ap_layer_time want = by_the_rules(m, t, count), got = epoch(m, t, count);
    assert_int_equal(got.cycles, want.cycles);
    assert_int_equal(got.compute, want.compute);
    assert_int_equal(got.stall, want.stall);
  }
}

static void test_energy(void **state) {
  struct ap_technology tech = {.compare_match_j = 1, .compare_mismatch_j = 10, .write_j = 100, .write_same_j = 1000,
                               .load_bit_j = 1e4, .store_bit_j = 1e5, .external_bit_j = 1e6, .leakage_w_per_cell = 1e9};
  struct ap_machine m = machine(1, 1);
  struct ap_events e = {.compare_cells = 5, .match_cells = 2, .written_cells = 7, .changed_cells = 3, .load_bits = 2,
                        .store_bits = 3, .external = 4};
  double dynamic = 2 * 1 + 3 * 10 + 3 * 100 + 4 * 1000 + 2 * 1e4 + 3 * 1e5 + 4 * 1e6;
  assert_float_equal(ap_energy(&tech, &m, &e, 0, 0), dynamic, 1e-6);
  assert_float_equal(ap_energy(&tech, &m, &e, 6, 10), dynamic + 1e9 * 10 * 6e-9, 1e-3);
  tech.shift_j = 1e7, tech.count_j = 1e8;
  e.shift = e.count = 100;  // time, no energy
  e.shift_rows = 3, e.count_rows = 2;
  dynamic += 3 * 1e7 + 2 * 1e8;
  assert_float_equal(ap_energy(&tech, &m, &e, 0, 0), dynamic, 1e-6);
  e.match_cells = 6;  // a rounded expectation above the whole
  assert_true(ap_energy(&tech, &m, &e, 0, 0) > 0);
}

static void test_compute_cycles(void **state) {
  const struct ap_technology tech = {.compare_cycles = 3, .write_cycles = 10};
  const struct ap_events e = {.compare = 5, .write = 2, .shift = 1000, .count = 100, .shift_rows = 7, .count_rows = 7};
  assert_int_equal(ap_compute_cycles(&tech, &e), 1135);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_column_cycles), cmocka_unit_test(test_one_tile),  cmocka_unit_test(test_waves_and_port),
      cmocka_unit_test(test_multicast),     cmocka_unit_test(test_unlimited_caps), cmocka_unit_test(test_epochs_add),
      cmocka_unit_test(test_rules), cmocka_unit_test(test_energy),        cmocka_unit_test(test_compute_cycles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
