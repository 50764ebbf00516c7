// SPDX-License-Identifier: Apache-2.0
// Loads in planes of which several successive rows see the same position: rows with an identity of their own beside that of the
// element, as in row groups.
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/planes.h"

static uint64_t ones(unsigned count) { return count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1; }

// Repetitions that divide a word. Bits move apart in steps: groups of 2h bits, `repeat` of their lengths from one to the next, become
// groups of h.
struct spreading { unsigned repeat, steps; uint64_t mask[6]; };
static struct spreading spreading_of(unsigned repeat) {
  struct spreading s = {.repeat = repeat};
  for (unsigned half = 64 / repeat / 2; half >= 1; half /= 2) {
    s.mask[s.steps++] = ones(half) * (UINT64_MAX / ones(half * repeat));
  }
  return s;
}
static uint64_t spread(const struct spreading *s, uint64_t bits) {
  unsigned half = 64 / s->repeat / 2;
  for (unsigned i = 0; i < s->steps; i++, half /= 2) {
    bits = (bits | bits << half * (s->repeat - 1)) & s->mask[i];
  }
  return bits * ones(s->repeat);
}
static void repeat_aligned(const struct spreading *s, const uint64_t *from, uint64_t *to) {
  unsigned take = 64 / s->repeat;
  for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
    unsigned at = w * take;
    to[w] = spread(s, from[at / 64] >> at % 64 & ones(take));
  }
}

// Rows [low, high) of a column are ones.
static void set_rows(uint64_t *column, uint64_t low, uint64_t high) {
  for (uint64_t r = low; r < high; r += 64 - r % 64) {
    uint64_t left = high - r;
    column[r / 64] |= ones(left < 64 ? (unsigned)left : 64) << r % 64;
  }
}
static void repeat_any(const uint64_t *from, uint64_t count, uint64_t repeat, uint64_t phase, uint64_t *to) {
  memset(to, 0, AP_COLUMN_WORDS * sizeof *to);
  for (uint64_t i = 0; i < count; i++) {
    if (from[i / 64] >> i % 64 & 1) {
      uint64_t low = i * repeat, high = low + repeat - phase;
      set_rows(to, low < phase ? 0 : low - phase, high < AP_BLOCK_ROWS ? high : AP_BLOCK_ROWS);
    }
  }
}

// --- few positions -----------------------------------------------------------------------------------------

// Parts of words that see the same position, `at` of those that are read.
struct part { unsigned word, at; uint64_t mask; };
#define MAX_PARTS (64 + AP_COLUMN_WORDS)

static unsigned find_parts(uint64_t repeat, uint64_t phase, struct part *parts) {
  unsigned count = 0;
  uint64_t at = 0, left = repeat - phase;
  for (uint64_t row = 0; row < AP_BLOCK_ROWS;) {
    uint64_t room = 64 - row % 64, rows = left < room ? left : room;
    parts[count++] = (struct part){(unsigned)(row / 64), (unsigned)at, ones((unsigned)rows) << row % 64};
    row += rows;
    left -= rows;
    if (left == 0) {
      at++;
      left = repeat;
    }
  }
  return count;
}

// The first column of positions [64 word, 64 word + 64) of a channel, and words from a column to the next; where there are none, of zeros.
static const uint64_t *word_of(const struct ap_planes *planes, uint32_t channel, int64_t word, size_t *pitch) {
  static const uint64_t zero;
  uint64_t block = (uint64_t)word / AP_COLUMN_WORDS, in_block = (uint64_t)word % AP_COLUMN_WORDS;
  bool there = word >= 0 && block < planes->blocks && in_block < planes->pitch;
  *pitch = there ? planes->pitch : 0;
  return there ? ap_planes_block(planes, channel, block) + in_block : &zero;
}

static void read_few(const struct ap_planes *planes, const struct ap_plane_access *access, int64_t position, uint64_t phase, uint64_t *to) {
  int64_t word = (position - (position < 0 ? 63 : 0)) / 64;
  unsigned shift = (unsigned)(position - word * 64);
  size_t low_pitch, high_pitch;
  const uint64_t *low = word_of(planes, access->channel, word, &low_pitch), *high = word_of(planes, access->channel, word + 1, &high_pitch);
  struct part parts[MAX_PARTS];
  unsigned count = find_parts(access->repeat, phase, parts);
  low += access->bit * low_pitch;
  high += access->bit * high_pitch;
  memset(to, 0, access->bits * AP_COLUMN_WORDS * sizeof *to);
  for (unsigned b = 0; b < access->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t seen = low[b * low_pitch] >> shift | high[b * high_pitch] << 1 << (63 - shift);
    for (unsigned i = 0; i < count; i++) {
      to[parts[i].word] |= parts[i].mask & (0 - (seen >> parts[i].at & 1));
    }
  }
}

// --- loads -------------------------------------------------------------------------------------------------

void ap_planes_read_repeated(const struct ap_planes *planes, const struct ap_plane_access *access, ap_plane_reader *reader, uint64_t row0,
                             uint64_t rows, uint64_t *to) {
  _Alignas(64) uint64_t columns[AP_MAX_WIDTH * AP_COLUMN_WORDS];
  uint64_t repeat = access->repeat, first = row0 / repeat, phase = row0 % repeat, count = (phase + rows + repeat - 1) / repeat;
  bool aligned = repeat < 64 && (repeat & (repeat - 1)) == 0 && phase == 0;
  if (repeat >= 16) {  // at most 33 positions
    read_few(planes, access, access->position + (int64_t)first, phase, to);
    return;
  }
  struct spreading s = aligned ? spreading_of((unsigned)repeat) : (struct spreading){0};
  struct ap_plane_read read = {.channel = access->channel, .bit = access->bit, .bits = access->bits,
                               .position = access->position + (int64_t)first};
  reader(planes, &read, columns);
  for (unsigned b = 0; b < access->bits; b++) {
    if (aligned) {
      repeat_aligned(&s, columns + b * AP_COLUMN_WORDS, to + b * AP_COLUMN_WORDS);
    } else {
      repeat_any(columns + b * AP_COLUMN_WORDS, count, repeat, phase, to + b * AP_COLUMN_WORDS);
    }
  }
}
