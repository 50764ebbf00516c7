// SPDX-License-Identifier: Apache-2.0
// Loads in planes of which several successive rows see the same position: rows with an identity of their own beside that of the
// element, as in row groups.
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/planes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

// Parts of words that see the same position: of each word the first, the second, …; which position, as a bit of those that are read, and its rows.
#define MIN_FEW 16   // repetitions
#define MAX_PARTS 6  // of a word
struct parts { _Alignas(64) uint64_t position[MAX_PARTS][AP_COLUMN_WORDS], rows[MAX_PARTS][AP_COLUMN_WORDS]; unsigned count; };

static void find_parts(uint64_t repeat, uint64_t phase, struct parts *parts) {
  uint64_t at = 0, left = repeat - phase;
  memset(parts, 0, sizeof *parts);
  parts->count = 1;
  for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
    unsigned n = 0;
    for (unsigned row = 0; row < 64; n++) {
      uint64_t room = 64 - row, rows = left < room ? left : room;
      parts->position[n][w] = (uint64_t)1 << at;
      parts->rows[n][w] = ones((unsigned)rows) << row;
      row += (unsigned)rows;
      left -= rows;
      at += left == 0;
      left = left == 0 ? repeat : left;
    }
    parts->count = n > parts->count ? n : parts->count;
  }
}

// Bits of successive positions in each column: low >> shift, and above them those of high.
struct few { const uint64_t *low, *high; size_t low_pitch, high_pitch; unsigned shift, bits; };
static inline uint64_t positions_of(const struct few *f, unsigned b) {
  return f->low[b * f->low_pitch] >> f->shift | f->high[b * f->high_pitch] << 1 << (63 - f->shift);
}

static void repeat_few_portable(const struct few *f, const struct parts *parts, uint64_t *to) {
  memset(to, 0, f->bits * AP_COLUMN_WORDS * sizeof *to);
  for (unsigned b = 0; b < f->bits; b++, to += AP_COLUMN_WORDS) {
    uint64_t seen = positions_of(f, b);
    for (unsigned i = 0; i < parts->count; i++) {
      for (unsigned w = 0; w < AP_COLUMN_WORDS; w++) {
        to[w] |= (seen & parts->position[i][w]) != 0 ? parts->rows[i][w] : 0;
      }
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void repeat_few_avx512(const struct few *f, const struct parts *parts, uint64_t *to) {
  for (unsigned b = 0; b < f->bits; b++, to += AP_COLUMN_WORDS) {
    __m512i seen = _mm512_set1_epi64((long long)positions_of(f, b)), all = _mm512_setzero_si512();
    for (unsigned i = 0; i < parts->count; i++) {
      __mmask8 set = _mm512_test_epi64_mask(seen, _mm512_load_si512(parts->position[i]));
      all = _mm512_or_si512(all, _mm512_maskz_load_epi64(set, parts->rows[i]));
    }
    _mm512_store_si512(to, all);
  }
}
#endif

// The first column of positions [64 word, 64 word + 64) of a channel, and words from a column to the next; where there are none, of zeros.
static const uint64_t *word_of(const struct ap_planes *planes, uint32_t channel, int64_t word, size_t *pitch) {
  static const uint64_t zero;
  uint64_t block = (uint64_t)word / AP_COLUMN_WORDS, in_block = (uint64_t)word % AP_COLUMN_WORDS;
  bool there = word >= 0 && block < planes->blocks && in_block < ap_planes_span(planes);
  *pitch = there ? AP_COLUMN_WORDS : 0;
  return there ? ap_planes_block(planes, channel, block) + in_block : &zero;
}

static void read_few(const struct ap_planes *planes, const struct ap_plane_access *access, int64_t position, uint64_t phase, uint64_t *to) {
  int64_t word = (position - (position < 0 ? 63 : 0)) / 64;
  struct few f = {.shift = (unsigned)(position - word * 64), .bits = access->bits};
  struct parts parts;
  f.low = word_of(planes, access->channel, word, &f.low_pitch);
  f.high = word_of(planes, access->channel, word + 1, &f.high_pitch);
  f.low += access->bit * f.low_pitch;
  f.high += access->bit * f.high_pitch;
  find_parts(access->repeat, phase, &parts);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    repeat_few_avx512(&f, &parts, to);
    return;
  }
#endif
  repeat_few_portable(&f, &parts, to);
}

// --- loads -------------------------------------------------------------------------------------------------

void ap_planes_read_repeated(const struct ap_planes *planes, const struct ap_plane_access *access, ap_plane_reader *reader, uint64_t row0,
                             uint64_t rows, uint64_t *to) {
  _Alignas(64) uint64_t columns[AP_MAX_WIDTH * AP_COLUMN_WORDS];
  uint64_t repeat = access->repeat, first = row0 / repeat, phase = row0 % repeat, count = (phase + rows + repeat - 1) / repeat;
  bool aligned = repeat < 64 && (repeat & (repeat - 1)) == 0 && phase == 0;
  if (repeat >= MIN_FEW) {  // at most 33 positions
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
