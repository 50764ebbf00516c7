// SPDX-License-Identifier: Apache-2.0
// The scheme `shared`: digits with odd multiples; the code of a region, executed on numbers, against plain sums.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/digits.h"
#include "passes/shared.h"
#include "tests/support/random_graph.h"

static void test_multiples(void **state) {
  (void)state;
  for (unsigned largest = 1, zeros = 1; largest <= 7; largest = 2 * largest + 1, zeros++)
    for (int64_t k = -70000; k <= 70000; k++) {
      struct bf_multiples m = bf_multiples_of(k, largest);
      int64_t sum = 0;
      for (unsigned i = 0; i < m.count; i++) {
        assert_true(m.at[i].odd % 2 == 1 && m.at[i].odd <= largest);
        if (i) assert_true(m.at[i].shift - m.at[i - 1].shift > (int)zeros);
        sum += m.at[i].sign * (int64_t)m.at[i].odd * ((int64_t)1 << m.at[i].shift);
      }
      assert_int_equal(sum, k);
      if (largest == 1) assert_int_equal(m.count, bf_digits_of(k, true).count);
    }
}

// --- field IR on numbers ------------------------------------------------------------------------------------------

static uint64_t mask(unsigned width) { return width < 64 ? ((uint64_t)1 << width) - 1 : UINT64_MAX; }
static uint64_t read(const uint64_t *fields, struct bf_slice s) { return fields[s.field] >> s.offset & mask(s.width); }
static void write(uint64_t *fields, struct bf_slice s, uint64_t value) {
  assert_int_equal(value & ~mask(s.width), 0);  // nothing is lost above the slice
  fields[s.field] = (fields[s.field] & ~(mask(s.width) << s.offset)) | value << s.offset;
}

static void execute(const struct bf_region *region, uint64_t *fields, const uint64_t *x) {
  for (size_t i = 0; i < region->nops; i++) {
    const struct bf_fop *op = &region->ops[i];
    struct bf_slice d = op->d;
    if (!d.width) d.width = region->fields[d.field].width & 127;
    assert_true(d.offset + d.width <= region->fields[d.field].width);
    if (op->a.width) assert_true(op->a.offset + op->a.width <= region->fields[op->a.field].width && op->a.width <= d.width);
    switch (op->kind) {
    case BF_FOP_LOADP: write(fields, d, x[op->tap]); break;
    case BF_FOP_SETK: write(fields, d, op->imm); break;
    case BF_FOP_COPY: write(fields, d, read(fields, op->a)); break;
    case BF_FOP_NOT: write(fields, d, ~read(fields, op->a) & mask(d.width)); break;
    case BF_FOP_ADD: write(fields, d, read(fields, d) + read(fields, op->a)); break;
    case BF_FOP_SUB: write(fields, d, read(fields, d) - read(fields, op->a)); break;
    default: fail_msg("operator %d", op->kind);
    }
  }
}

struct layer { struct bf_tensor x, w; struct bf_conv conv; };

static void random_layer(struct rng *rng, struct layer *y, uint32_t channels, uint32_t taps) {
  unsigned bits = (unsigned)rng_range(rng, 1, 8), x_bits = (unsigned)rng_range(rng, 1, 9);
  int64_t top = ((int64_t)1 << (bits - 1)), zeros = rng_range(rng, 0, 9);
  *y = (struct layer){.x = {.type = {BF_TYPE_U, x_bits}}, .w = {.type = {BF_TYPE_S, bits}}};
  y->w.data = bf_alloc((size_t)channels * taps, sizeof *y->w.data);
  for (size_t i = 0; i < (size_t)channels * taps; i++)
    y->w.data[i] = rng_range(rng, 0, 9) < zeros ? 0 : bits == 1 ? 2 * rng_range(rng, 0, 1) - 1 : rng_range(rng, -top, top - 1);
  y->conv = (struct bf_conv){.in4 = {1, 1, 1, taps}, .out4 = {1, 1, 1, channels}, .kernel = {1, 1}, .ic_group = taps, .groups = 1,
                             .oc_group = channels, .stride = {1, 1}, .dilation = {1, 1}, .x = &y->x, .w = &y->w};
}

static void check_region(struct rng *rng, const struct layer *y, const struct bf_shared *s, const struct bf_val *acc, uint32_t taps) {
  uint64_t *x = bf_alloc(taps, sizeof *x), *fields = bf_alloc(s->region->nfields + 1, sizeof *fields), top = mask(y->x.type.bits);
  for (int round = 0; round < 6; round++) {
    for (uint32_t t = 0; t < taps; t++) x[t] = round < 2 ? top * (uint64_t)round : rng_next(rng) % 3 ? rng_next(rng) & top : top * (rng_next(rng) % 2);
    for (size_t i = 0; i < s->region->nfields; i++) fields[i] = ((uint64_t)rng_next(rng) << 32 | rng_next(rng)) & mask(s->region->fields[i].width);
    execute(s->region, fields, x);
    for (uint32_t c = 0; c < s->count; c++) {
      uint64_t content = fields[acc[c].field];
      int64_t sum = 0;
      for (uint32_t t = s->taps.first; t < s->taps.end; t++) sum += (int64_t)x[t] * y->w.data[(size_t)(s->oc + c) * taps + t];
      assert_true(content >= acc[c].lo && content <= acc[c].hi);
      assert_true((int64_t)content - acc[c].bias == sum);
    }
  }
  free(x);
  free(fields);
}

static void test_regions(void **state) {
  (void)state;
  struct rng rng = {11};
  uint32_t shared = 0, multiples = 0;
  for (int i = 0; i < 3000; i++) {
    uint32_t channels = (uint32_t)rng_range(&rng, 1, i % 5 ? 20 : BF_MAX_SHARED_CHANNELS), taps = (uint32_t)rng_range(&rng, 1, 60);
    struct layer y;
    struct bf_region region = {0};
    struct bf_val acc[BF_MAX_SHARED_CHANNELS];
    random_layer(&rng, &y, channels, taps);
    bool *load = bf_alloc(taps, sizeof *load);
    memset(load, 1, taps);
    struct bf_shared s = {.region = &region, .conv = &y.conv, .oc = (uint32_t)rng_range(&rng, 0, channels - 1), .window = (uint32_t)rng_range(&rng, 1, 20),
                          .largest = (uint32_t)(2u << rng_next(&rng) % 3) - 1, .slots = rng_next(&rng) % 4 ? rng_next(&rng) % 40 : 0,
                          .both = rng_next(&rng) % 4 == 0, .load = rng_next(&rng) % 2 ? load : NULL};
    s.count = channels - s.oc;
    s.taps = (struct bf_taps){0, taps};
    if (rng_next(&rng) % 2) s.taps = bf_conv_part(taps, 1, 2);
    struct bf_shared_size size = bf_shared_accumulate(&s, acc);
    assert_true(size.fits && size.made == size.windows && size.slots <= s.slots);
    if (size.slots && s.largest == 1) shared++;
    if (size.slots && s.largest > 1) multiples++;
    check_region(&rng, &y, &s, acc, taps);
    for (size_t k = 0; k < region.nfields; k++) free(region.fields[k].name);
    free(region.fields);
    free(region.ops);
    free(load);
    free(y.w.data);
  }
  assert_true(shared > 300 && multiples > 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_multiples), cmocka_unit_test(test_regions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
