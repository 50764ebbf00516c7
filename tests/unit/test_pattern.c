// SPDX-License-Identifier: Apache-2.0
// The pattern instruction: its microcode against its meaning for all values of the operands, the kernels of the block engine
// against the passes, one by one; loads of rows that share elements.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/cap.h"
#include "runtime/pattern.h"
#include "runtime/planes.h"
#include "tests/support/micro_cases.h"

static uint64_t low_bits(uint64_t v, unsigned width) { return width < 64 ? v & (((uint64_t)1 << width) - 1) : v; }

static struct ap_pattern random_pattern(const uint8_t width[3], uint64_t *state) {
  struct ap_pattern pattern = {.inputs = width[1], .key = low_bits(case_random(state), width[2]),
                               .base = low_bits(case_random(state), width[0])};
  for (unsigned i = 0; i < width[1]; i++) {
    pattern.add[i] = low_bits(case_random(state), width[0]);
  }
  return pattern;
}

static bool legal(const uint8_t width[3], unsigned features, struct ap_micro *out) {
  return ap_micro_generate(AP_OP_PATTERN, width, features, out);
}

// --- microcode -------------------------------------------------------------------------------------------

// Row r holds a in its lowest bits, then b; d is random.
static void fill(struct ap_cap *cap, const struct ap_instr *in, uint64_t rows, uint64_t *d, uint64_t *state) {
  ap_cap_begin(cap, rows, rows);
  for (uint64_t r = 0; r < rows; r++) {
    d[r] = low_bits(case_random(state), in->f[0].width);
    const uint64_t values[3] = {d[r], r, r >> in->f[1].width};
    for (unsigned f = 0; f < 3; f++) {
      for (unsigned i = 0; i < in->f[f].width; i++) {
        ap_cap_column(cap, in->f[f].col + i)[r / 64] |= (values[f] >> i & 1) << r % 64;
      }
    }
  }
}

static uint64_t value_of(const struct ap_cap *cap, struct ap_field f, uint64_t row) {
  uint64_t value = 0;
  for (unsigned i = 0; i < f.width; i++) {
    value |= (ap_cap_column(cap, f.col + i)[row / 64] >> row % 64 & 1) << i;
  }
  return value;
}

static void check_meaning(struct ap_cap *cap, const struct ap_micro *m, const struct ap_pattern *pattern, uint64_t *state) {
  static uint64_t d[1 << 12];
  struct ap_instr in = {.op = AP_OP_PATTERN, .f = {{4, m->width[0]}, {70, m->width[1]}, {80, m->width[2]}}};
  uint64_t rows = (uint64_t)1 << (m->width[1] + m->width[2]), in_group = (uint64_t)1 << m->width[1];
  fill(cap, &in, rows, d, state);
  cap->patterns = pattern;
  ap_cap_run(cap, m, &in);
  for (uint64_t r = 0; r < rows; r++) {
    uint64_t want = d[r];
    if (r >> m->width[1] == pattern->key) {
      want = pattern->base;
      for (unsigned i = 0; i < m->width[1]; i++) {
        want += (r >> i & 1) * pattern->add[i];
      }
    }
    assert_int_equal(value_of(cap, in.f[0], r), low_bits(want, m->width[0]));
    assert_int_equal(value_of(cap, in.f[1], r), low_bits(r, m->width[1]));
    assert_int_equal(value_of(cap, in.f[2], r), r >> m->width[1]);
  }
  // One pass a value; each row of the group matches exactly one.
  struct ap_micro_cost cost = ap_micro_cost(m);
  assert_int_equal(cost.compares, in_group);
  assert_int_equal(cap->events.compare, cost.compares);
  assert_int_equal(cap->events.write, cost.writes);
  assert_int_equal(cap->events.compare_cells, cost.compare_cells * rows);
  assert_int_equal(cap->events.match_cells, in_group * (m->width[1] + (uint64_t)m->width[2]));
  assert_int_equal(cap->events.written_cells, in_group * m->width[0]);
  assert_true(cost.expected_matches * (double)rows == (double)cap->events.match_cells);
  assert_true(cost.expected_tags * (double)rows == (double)cap->events.written_cells);
}

static void test_meaning(void **context) {
  uint64_t state = 1;
  struct ap_cap cap;
  struct ap_micro m;
  ap_cap_init(&cap, 96, 1 << 12);
  for (unsigned wide = 0; wide < 2; wide++) {
    for (unsigned a = 1; a <= 8; a++) {
      for (unsigned b = 0; b <= 4; b++) {
        static const uint8_t WIDTHS[] = {1, 2, 7, 8, 19, 48, 63, 64};
        for (unsigned i = 0; i < BF_COUNT(WIDTHS); i++) {
          const uint8_t width[3] = {WIDTHS[i], (uint8_t)a, (uint8_t)b};
          assert_true(legal(width, wide ? AP_FEATURE_WIDE_WRITE : 0, &m));
          assert_null(ap_micro_check(&m));
          assert_int_equal(m.nsteps, (wide ? 2u : 1u + width[0]) << a);
          struct ap_pattern pattern = random_pattern(width, &state);
          check_meaning(&cap, &m, &pattern, &state);
          ap_micro_free(&m);
        }
      }
    }
  }
  ap_cap_free(&cap);
}

static void test_widths(void **context) {
  struct ap_micro m;
  assert_false(legal((const uint8_t[3]){8, 9, 0}, AP_FEATURE_WIDE_WRITE, &m));
  assert_false(legal((const uint8_t[3]){8, 8, 9}, AP_FEATURE_WIDE_WRITE, &m));
  assert_false(legal((const uint8_t[3]){8, 0, 2}, AP_FEATURE_WIDE_WRITE, &m));
  assert_false(legal((const uint8_t[3]){0, 2, 2}, AP_FEATURE_WIDE_WRITE, &m));
  assert_true(legal((const uint8_t[3]){64, 8, 8}, AP_FEATURE_WIDE_WRITE, &m));
  assert_true(ap_pattern_plain(&m));
  ap_micro_free(&m);
}

// A literal of the sum stands in writes alone, and only for bits of d.
static void test_literals(void **context) {
  struct ap_micro m;
  assert_true(legal((const uint8_t[3]){5, 2, 1}, AP_FEATURE_WIDE_WRITE, &m));
  struct ap_lit *compared = &m.lits[m.steps[0].first], *written = &m.lits[m.steps[1].first];
  struct ap_lit saved = *compared;
  compared->value = AP_LIT_P;
  assert_non_null(ap_micro_check(&m));
  *compared = saved;
  written->kbit = 5;
  assert_non_null(ap_micro_check(&m));
  written->kbit = 4;
  assert_null(ap_micro_check(&m));
  assert_false(ap_pattern_plain(&m));
  ap_micro_free(&m);
  assert_true(ap_micro_generate(AP_OP_SETK, (const uint8_t[3]){5, 0, 0}, AP_FEATURE_WIDE_WRITE, &m));
  m.lits[0] = (struct ap_lit){AP_SLOT_D, 0, AP_LIT_P, 0};
  assert_non_null(ap_micro_check(&m));
  ap_micro_free(&m);
}

// --- kernels ---------------------------------------------------------------------------------------------

static void check_kernel(const struct ap_pattern_variant *variant, const struct ap_micro *m, unsigned count, bool masked, uint64_t *state) {
  struct ap_pattern patterns[32];
  struct ap_pattern_table table = {0};
  static struct case_block block, passes;
  struct ap_kernel_counts counts = {0}, want = {0};
  case_fill(&block, m, masked, state);
  case_copy(&passes, &block);
  ap_pattern_begin(&table, m->width);
  for (unsigned i = 0; i < count; i++) {
    patterns[i] = random_pattern(m->width, state);
    bool twice = false;
    for (unsigned k = 0; k < i; k++) {
      twice = twice || patterns[k].key == patterns[i].key;
    }
    bool added = ap_pattern_add(&table, &patterns[i]);
    assert_int_equal(added, !twice);
    if (!added) {
      count = i;
      break;
    }
    ap_block_run_pattern(m, &patterns[i], passes.slot[0], passes.slot[1], passes.slot[2], passes.slot[3], passes.mask, &want);
  }
  if (variant->prepare != NULL) {
    variant->prepare(&table);
  }
  variant->run(&table, block.slot[0], block.slot[1], block.slot[2], block.mask, &counts);
  assert_true(case_same(&block, &passes));
  assert_int_equal(counts.match_cells, want.match_cells);
  assert_int_equal(counts.written_cells, want.written_cells);
  assert_int_equal(counts.changed_cells, want.changed_cells);
  case_copy(&block, &passes);
  variant->run(&table, block.slot[0], block.slot[1], block.slot[2], block.mask, NULL);  // again: nothing is left to change
  assert_true(case_same(&block, &passes));
  ap_pattern_free(&table);
}

static void test_kernels(void **context) {
  uint64_t state = 7;
  for (unsigned v = 0; v < 8; v++) {
    const struct ap_pattern_variant *variant = ap_pattern_variant(v);
    if (variant == NULL) {
      continue;
    }
    for (unsigned round = 0; round < 600; round++) {
      const uint8_t width[3] = {(uint8_t)(1 + case_random(&state) % 64), (uint8_t)(1 + case_random(&state) % 8),
                                (uint8_t)(case_random(&state) % 9)};
      struct ap_micro m;
      assert_true(legal(width, round % 2 ? AP_FEATURE_WIDE_WRITE : 0, &m));
      check_kernel(variant, &m, 1 + (unsigned)(case_random(&state) % 32), round % 3 == 0, &state);
      ap_micro_free(&m);
    }
    print_message("variant %s\n", variant->name);
  }
}

// --- loads of row groups ---------------------------------------------------------------------------------

// Bit `bit` of a position, by the definition in runtime/planes.h.
static unsigned plane_bit(const struct ap_planes *p, uint32_t channel, unsigned bit, uint64_t position) {
  const uint64_t *column = ap_planes_block(p, channel, position / AP_BLOCK_ROWS) + bit * AP_COLUMN_WORDS;
  return column[position % AP_BLOCK_ROWS / 64] >> position % 64 & 1;
}

static void test_repeated_rows(void **context) {
  enum { BITS = 3, BLOCKS = 3, CHANNELS = 2 };
  static _Alignas(64) uint64_t words[CHANNELS * BLOCKS * BITS * AP_COLUMN_WORDS], to[BITS * AP_COLUMN_WORDS];
  const struct ap_planes planes = {.words = words, .positions = 1400, .blocks = BLOCKS, .channels = CHANNELS, .bits = BITS};
  uint64_t state = 3;
  for (size_t i = 0; i < BF_COUNT(words); i++) {
    words[i] = case_random(&state);
  }
  for (uint64_t repeat = 2; repeat <= 700; repeat += repeat < 70 ? 1 : 90) {
    for (unsigned round = 0; round < 40; round++) {
      uint64_t rows = 1 + case_random(&state) % AP_BLOCK_ROWS, row0 = case_random(&state) % 1000 * (round % 2 ? repeat : 1);
      uint64_t position = case_random(&state) % 100;
      row0 %= (planes.positions - 100) * repeat - AP_BLOCK_ROWS;
      struct ap_plane_access access = {.channel = round % CHANNELS, .position = (int64_t)position, .repeat = repeat, .bit = round % BITS};
      access.bits = (uint8_t)(1 + case_random(&state) % (BITS - access.bit));
      ap_plane_reader *reader = ap_plane_reader_variant(round / 2 % 2);
      ap_planes_read_repeated(&planes, &access, reader != NULL ? reader : ap_plane_reader_best(), row0, rows, to);
      for (unsigned b = 0; b < access.bits; b++) {
        for (uint64_t r = 0; r < rows; r++) {
          unsigned want = plane_bit(&planes, access.channel, access.bit + b, position + (row0 + r) / repeat);
          assert_int_equal(to[b * AP_COLUMN_WORDS + r / 64] >> r % 64 & 1, want);
        }
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_meaning), cmocka_unit_test(test_widths), cmocka_unit_test(test_literals),
                                     cmocka_unit_test(test_kernels),
                                     cmocka_unit_test(test_repeated_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
