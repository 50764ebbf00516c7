// SPDX-License-Identifier: Apache-2.0
// Views of planes: every stride-th position, packed.
#include <stdlib.h>
#include <string.h>

#include "runtime/kernel.h"
#include "runtime/planes.h"
#include "runtime/run.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// --- which view ------------------------------------------------------------------------------------------

static int64_t floor_div(int64_t x, int64_t by) { return x / by - (x % by < 0); }

struct view_rows { bool moving[3]; int64_t low[4]; uint64_t repeat; };

// Which dimensions the rows move along, from slow to fast, none twice, after those that see the same position. False: they do not move like that.
static bool find_rows(const struct ap_desc *desc, const struct ap_grid *grid, uint32_t tap, struct ap_plane_view *view, struct view_rows *rows) {
  int last = -1, moving = ap_repeated_rows(desc, grid, &rows->repeat);
  for (int k = 3; k >= 0; k--) {
    rows->low[k] = desc->origin[k] + (int64_t)(tap % desc->tap_count[k]) * desc->tap_step[k];
    tap /= desc->tap_count[k];
  }
  for (int j = 0; j <= moving; j++) {
    if (grid->count[j] == 1) {
      continue;
    }
    int k = desc->row_dim[j];
    if (k > 2 || k <= last || desc->row_stride[j] <= 0) {
      return false;
    }
    last = k;
    rows->moving[k] = true;
    view->stride[k] = (uint32_t)desc->row_stride[j];
    view->count[k] = grid->count[j];
  }
  return true;
}

// Rounds out one dimension: phase and count of the view; *position: of row 0. `first`: no slower dimension moves.
static bool find_dimension(struct ap_plane_view *view, const struct view_rows *rows, unsigned k, bool first, int64_t *position, bool *whole) {
  int64_t low = rows->low[k], size = view->shape[k], stride = view->stride[k];
  if (!rows->moving[k]) {
    view->phase[k] = (uint32_t)low;
    return low >= 0 && low < size;
  }
  int64_t at = floor_div(low, stride), phase = low - at * stride, count = (size - phase + stride - 1) / stride;
  *whole = *whole && low >= 0 && low + (int64_t)(view->count[k] - 1) * stride < size;
  view->phase[k] = (uint32_t)phase;
  if (phase >= size || (!first && count > view->count[k])) {
    return false;  // a row of positions would run into the next one
  }
  view->count[k] = first ? (uint32_t)count : view->count[k];
  *position = (int64_t)((uint64_t)*position * view->count[k] + (uint64_t)at);  // modulo 2^64 where no row is inside
  return true;
}

bool ap_plane_view(const struct ap_run *run, const struct ap_move *load, struct ap_plane_view *view, struct ap_plane_access *out) {
  const struct ap_program *p = run->program;
  const struct ap_desc *desc = load->desc;
  const struct ap_tensor *tensor = &p->tensors[desc->tensor];
  struct view_rows rows = {0};
  bool first = true;
  *view = (struct ap_plane_view){.root = ap_tensor_root(p, desc->tensor), .stride = {1, 1, 1}, .count = {1, 1, 1}};
  const struct ap_tensor *root = &p->tensors[view->root];
  *out = (struct ap_plane_access){.tensor = view->root, .whole = true, .repeat = 1, .bit = desc->bit, .bits = desc->bits};
  memcpy(view->shape, tensor->shape, sizeof view->shape);
  if (tensor->bits > root->bits || load->width != desc->bits || tensor->shape[3] != root->shape[3] ||
      !find_rows(desc, load->grid, load->tap, view, &rows) || rows.low[3] < 0 || rows.low[3] >= tensor->shape[3]) {
    return false;
  }
  for (unsigned k = 0; k < 3; k++) {
    if (!find_dimension(view, &rows, k, first, &out->position, &out->whole)) {
      return false;
    }
    first = first && !rows.moving[k];
  }
  out->repeat = rows.repeat;
  out->channel = (uint32_t)rows.low[3];
  uint64_t positions = (uint64_t)view->count[0] * view->count[1];  // each of a tensor's shape or of a grid's
  if (!bf_mul_limit(positions, view->count[2], BF_MAX_ELEMENTS, &positions)) {
    return false;
  }
  ap_planes_shape(&view->planes, positions, root->shape[3], tensor->bits);
  return !ap_planes_too_large(&view->planes) && !ap_planes_too_large(&run->planes[view->root]);  // which it is filled from
}

bool ap_plane_same_view(const struct ap_plane_view *a, const struct ap_plane_view *b) {
  return a->root == b->root && memcmp(a->shape, b->shape, sizeof a->shape) == 0 && memcmp(a->stride, b->stride, sizeof a->stride) == 0 &&
         memcmp(a->phase, b->phase, sizeof a->phase) == 0 && memcmp(a->count, b->count, sizeof a->count) == 0;
}

// --- packing bits ----------------------------------------------------------------------------------------

// Every stride-th of the bits from `from` on, `count` of them, to the bits from `to` on, which are 0.
struct picking { const uint64_t *bits; uint64_t *packed; uint32_t stride, each; uint64_t every; };  // every: the `each` of them in a word
typedef void pick_bits(const struct picking *p, uint64_t from, uint64_t to, uint32_t count);

static inline uint64_t bits_at(const uint64_t *bits, uint64_t at) {
  uint64_t word = at / 64;
  unsigned shift = (unsigned)(at % 64);
  return bits[word] >> shift | bits[word + 1] << 1 << (63 - shift);
}

// Bits of x at each place of the mask, packed.
static inline uint64_t extract_portable(uint64_t x, uint64_t mask) {
  uint64_t out = 0;
  if (mask == UINT64_MAX) {
    return x;
  }
  if (mask == UINT64_C(0x5555555555555555)) {
    x &= mask;
    x = (x | x >> 1) & UINT64_C(0x3333333333333333);
    x = (x | x >> 2) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    x = (x | x >> 4) & UINT64_C(0x00FF00FF00FF00FF);
    x = (x | x >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    return (x | x >> 16) & UINT64_C(0x00000000FFFFFFFF);
  }
  for (unsigned i = 0; mask != 0; mask &= mask - 1) {
    out |= (x >> __builtin_ctzll(mask) & 1) << i++;
  }
  return out;
}

// Up to 64 packed bits at a time, from as many parts of the source as that takes.
#define PICK_BITS(name, attribute, extract)                                                                          \
  attribute static void name(const struct picking *p, uint64_t from, uint64_t to, uint32_t count) {                   \
    while (count > 0) {                                                                                               \
      uint64_t bits = 0;                                                                                              \
      uint32_t n = 0;                                                                                                 \
      for (; n + p->each <= 64 && n < count; n += p->each, from += (uint64_t)p->each * p->stride) {                   \
        bits |= extract(bits_at(p->bits, from), p->every) << n;                                                       \
      }                                                                                                               \
      n = n < count ? n : count;                                                                                      \
      bits &= UINT64_MAX >> (64 - n);                                                                                 \
      p->packed[to / 64] |= bits << to % 64;                                                                          \
      p->packed[to / 64 + 1] |= bits >> 1 >> (63 - to % 64);                                                          \
      to += n;                                                                                                        \
      count -= n;                                                                                                     \
    }                                                                                                                 \
  }
PICK_BITS(pick_portable, , extract_portable)
#if defined(__x86_64__)
PICK_BITS(pick_bmi2, __attribute__((target("bmi2"))), _pext_u64)
#endif
#undef PICK_BITS

static pick_bits *best_pick(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("bmi2")) {
    return pick_bmi2;
  }
#endif
  return pick_portable;
}

// --- filling ---------------------------------------------------------------------------------------------

// One column of a channel as one string of bits, from or to the planes.
static void exchange(const struct ap_planes *planes, uint32_t channel, unsigned bit, uint64_t *string, bool back) {
  for (uint64_t block = 0; block < planes->blocks; block++) {
    uint64_t *column = ap_planes_block(planes, channel, block) + bit * AP_COLUMN_WORDS, *part = string + block * AP_COLUMN_WORDS;
    memcpy(back ? column : part, back ? part : column, ap_planes_span(planes) * sizeof *part);
  }
}

static void pack(const struct ap_plane_view *v, const struct picking *p, pick_bits *pick) {
  uint32_t rest = v->shape[2] - v->phase[2], there = (rest + v->stride[2] - 1) / v->stride[2];
  uint64_t to = 0;
  there = there < v->count[2] ? there : v->count[2];
  for (uint32_t i = 0; i < v->count[0]; i++) {
    uint64_t y = v->phase[0] + (uint64_t)i * v->stride[0];
    for (uint32_t j = 0; j < v->count[1]; j++, to += v->count[2]) {
      uint64_t x = v->phase[1] + (uint64_t)j * v->stride[1];
      if (y < v->shape[0] && x < v->shape[1]) {
        pick(p, (y * v->shape[1] + x) * v->shape[2] + v->phase[2], to, there);
      }
    }
  }
}

void ap_plane_view_update(const struct ap_run *run, struct ap_plane_view *view) {
  const struct ap_planes *from = &run->planes[view->root];
  struct ap_planes *to = &view->planes;
  ap_planes_reserve(to);
  uint64_t *bits = bf_alloc(from->blocks * AP_COLUMN_WORDS + 2, sizeof *bits);  // 64 bits are read from any of them on
  uint64_t words = to->blocks * AP_COLUMN_WORDS, *packed = bf_alloc(words + 2, sizeof *packed);
  struct picking p = {.bits = bits, .packed = packed, .stride = view->stride[2]};
  p.each = p.stride < 64 ? 64 / p.stride : 1;
  for (uint32_t i = 0; i < p.each; i++) {
    p.every |= (uint64_t)1 << i * p.stride;
  }
  pick_bits *pick = best_pick();
  for (uint32_t c = 0; c < from->channels; c++) {
    for (unsigned b = 0; b < from->bits; b++) {
      exchange(from, c, b, bits, false);
      memset(packed, 0, words * sizeof *packed);
      pack(view, &p, pick);
      exchange(to, c, b, packed, true);
    }
  }
  free(bits);
  free(packed);
}
