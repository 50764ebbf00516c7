// SPDX-License-Identifier: Apache-2.0
// Reads of planes, and constants spread over the rows of channels, bit by bit in every variant for the host's instruction sets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/block_run.h"
#include "tests/support/random_bits.h"

#define WORDS ((size_t)AP_MAX_WIDTH * AP_COLUMN_WORDS)

static void check_read(const struct ap_planes *planes, const struct ap_plane_read *read, const uint64_t *columns) {
  unsigned span = AP_BLOCK_ROWS >> read->shift;
  for (unsigned at = 0; at < AP_BLOCK_ROWS; at++) {
    bool inside = read->inside == NULL || (read->inside[at / 64] >> at % 64 & 1) != 0;
    uint64_t channel = read->channel + (read->apart ? at / span : 0);
    int64_t position = read->position + at % span;
    if (inside && (channel >= planes->channels || position < 0 || position >= (int64_t)planes->positions)) {
      continue;  // undefined
    }
    for (unsigned b = 0; b < read->bits; b++) {
      uint64_t wanted = read->pad >> b & 1;
      if (inside) {
        const uint64_t *column = ap_planes_block(planes, (uint32_t)channel, (uint64_t)position / AP_BLOCK_ROWS) + (read->bit + b) * AP_COLUMN_WORDS;
        wanted = column[position % AP_BLOCK_ROWS / 64] >> position % 64 & 1;
      }
      assert_int_equal(columns[b * AP_COLUMN_WORDS + at / 64] >> at % 64 & 1, wanted);
    }
  }
}

static void test_reads(void **state) {
  static _Alignas(64) uint64_t columns[WORDS];
  struct rng rng = {79};
  uint64_t inside[AP_COLUMN_WORDS];
  for (int round = 0; round < 10 * rounds(300); round++) {
    struct ap_planes planes;
    ap_planes_shape(&planes, pick(&rng, 1, chance(&rng, 50) ? 260 : 1300), pick(&rng, 1, 20), pick(&rng, 1, 12));
    ap_planes_reserve(&planes);
    fill(&rng, planes.words, ap_planes_bytes(&planes) / sizeof *planes.words);
    for (int i = 0; i < 8; i++) {
      struct ap_plane_read read = {.channel = pick(&rng, 0, planes.channels - 1), .bit = (uint8_t)pick(&rng, 0, planes.bits - 1),
                                   .shift = chance(&rng, 50) ? planes.shift : pick(&rng, 0, 3), .apart = chance(&rng, 60), .pad = number(&rng, 64)};
      read.channel = chance(&rng, 50) ? read.channel & ~7u : read.channel;
      read.bits = (uint8_t)pick(&rng, 1, planes.bits - read.bit);
      read.position = chance(&rng, 40) ? 0 : rng_range(&rng, -1200, (int64_t)planes.positions + 600);
      read.position = chance(&rng, 30) ? read.position / 64 * 64 : chance(&rng, 30) ? rng_range(&rng, -20, 20) : read.position;
      read.inside = chance(&rng, 60) ? inside : NULL;
      fill(&rng, inside, AP_COLUMN_WORDS);
      for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
        inside[w] = chance(&rng, 30) ? 0 : chance(&rng, 30) ? UINT64_MAX : inside[w];
      }
      for (unsigned v = 0; ap_plane_reader_variant(v) != NULL; v++) {
        fill(&rng, columns, WORDS);
        ap_plane_reader_variant(v)(&planes, &read, columns);
        check_read(&planes, &read, columns);
      }
    }
    free(planes.owned);
  }
}

static void test_spreads(void **state) {
  static _Alignas(64) uint64_t columns[WORDS];
  struct rng rng = {80};
  for (int round = 0; round < rounds(300); round++) {
    uint64_t words[AP_COLUMN_WORDS];
    uint8_t bytes[AP_COLUMN_WORDS];
    fill(&rng, words, AP_COLUMN_WORDS);
    memcpy(bytes, words, sizeof bytes);
    for (unsigned v = 0; ap_channel_spread_variant(v) != NULL; v++) {
      unsigned bits = pick(&rng, 1, AP_MAX_WIDTH), shift = pick(&rng, 0, 3);
      ap_channel_spread_variant(v)->words(words, bits, columns);
      for (unsigned i = 0; i < bits * AP_COLUMN_WORDS; i++) {
        assert_int_equal(columns[i], (words[i % AP_COLUMN_WORDS] >> i / AP_COLUMN_WORDS & 1) != 0 ? UINT64_MAX : 0);
      }
      bits = pick(&rng, 1, 8);
      ap_channel_spread_variant(v)->bytes(bytes, shift, bits, columns);
      for (unsigned i = 0; i < bits * AP_COLUMN_WORDS; i++) {
        unsigned channel = i % AP_COLUMN_WORDS / (AP_COLUMN_WORDS >> shift);
        assert_int_equal(columns[i], (bytes[channel] >> i / AP_COLUMN_WORDS & 1) != 0 ? UINT64_MAX : 0);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads),
      cmocka_unit_test(test_spreads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
