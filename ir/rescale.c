// SPDX-License-Identifier: Apache-2.0
#include "ir/rescale.h"

#include <math.h>

typedef __int128 wide;

int64_t bf_round_half_up(int64_t v, unsigned drop) {
  return drop ? (int64_t)(((wide)v + ((wide)1 << (drop - 1))) >> drop) : v;
}

static int64_t within(struct bf_type type, int64_t v) {
  int64_t lo = bf_type_min(type), hi = bf_type_max(type);
  return v < lo ? lo : v > hi ? hi : v;
}

struct bf_narrowing bf_narrowing_of(struct bf_type type, int64_t zero, unsigned bits) {
  struct bf_narrowing n = {.from = type, .to = type, .zero = zero};
  if (bits < type.bits) {
    n.drop = type.bits - bits;
    n.to.bits = bits;
  }
  n.new_zero = within(n.to, bf_round_half_up(zero, n.drop));
  return n;
}

int64_t bf_narrow_value(const struct bf_narrowing *n, int64_t v) {
  return within(n->to, bf_round_half_up(v - n->zero, n->drop) + n->new_zero);
}

int64_t bf_narrow_bound(const struct bf_narrowing *n, int64_t v) {
  if (v == bf_type_min(n->from)) return bf_type_min(n->to);
  if (v == bf_type_max(n->from)) return bf_type_max(n->to);
  return bf_narrow_value(n, v);
}

int64_t bf_widen_value(const struct bf_narrowing *n, int64_t v) {
  return within(n->from, (v - n->new_zero) * ((int64_t)1 << n->drop) + n->zero);
}

// ---- requantizations. `grow` is the factor 2^grow that the rule's argument needs besides what it had.

static void set_fixed(const struct bf_requant *from, struct bf_requant *to, uint32_t c, int grow, double ratio) {
  int64_t mult = from->mult[from->count > 1 ? c : 0];
  int32_t shift = from->shift[from->count > 1 ? c : 0];
  if (ratio != 1) bf_quantize_multiplier(ldexp((double)mult * ratio, shift - 31), &mult, &shift);
  bool flushed = mult == 0 || shift + grow < -31;  // as bf_quantize_multiplier does
  to->mult[c] = flushed ? 0 : mult;
  to->shift[c] = flushed ? 0 : shift + grow;
}

static void set_dyadic(struct bf_requant *to, uint32_t c, int64_t mult, int32_t shift, int grow, double ratio) {
  if (ratio != 1) {
    bool negative = mult < 0;
    int exponent;
    double fraction = frexp(fabs((double)mult) * ratio, &exponent);
    mult = (int64_t)round(ldexp(fraction, 31));
    shift += 31 - exponent;
    if (negative) mult = -mult;
  }
  shift -= grow;
  while (shift < 0 && mult > -((int64_t)1 << 46) && mult < (int64_t)1 << 46) mult *= 2, shift++;
  while (shift > 62 && mult % 2 == 0 && mult) mult /= 2, shift--;
  to->mult[c] = mult;
  to->shift[c] = shift;
}

// floor((v m + add) / 2^shift) + zero, rounded once more to the narrower result: one floor of a finer sum.
static const char *set_affine(const struct bf_requant *from, struct bf_requant *to, uint32_t c, const struct bf_rescaling *how) {
  uint32_t at = from->count > 1 ? c : 0;
  unsigned drop = how->result ? how->result->drop : 0;
  int64_t zero = how->result ? how->result->zero : from->out_zero;
  wide mult = from->mult[at], add = from->add[at];
  int shift = from->shift[at] + (int)drop, grow = how->grow;
  if (drop) add += ((wide)(from->out_zero - zero) + ((wide)1 << (drop - 1))) * ((wide)1 << from->shift[at]);
  int common = grow < shift ? grow : shift;  // v m 2^grow is a multiple of it
  add = add >> common;
  shift -= common;
  mult *= (wide)1 << (grow - common);
  if (mult > INT64_MAX || mult < INT64_MIN || add > INT64_MAX || add < INT64_MIN || shift > 62) return "its numbers leave 64 bits";
  to->mult[c] = (int64_t)mult;
  to->add[c] = (int64_t)add;
  to->shift[c] = shift;
  return NULL;
}

// The thresholds at which the narrower count steps, in the new unit of the sum.
static void set_thresholds(struct bf_arena *arena, const struct bf_requant *from, struct bf_requant *to,
                           const struct bf_rescaling *how) {
  const struct bf_narrowing *r = how->result;
  unsigned drop = r ? r->drop : 0;
  int64_t offset = r ? from->out_zero - r->zero : 0;
  uint32_t kept = 0, *which = bf_arena_alloc(arena, from->nthresholds + (size_t)1, sizeof *which);
  for (uint32_t i = 1; i <= from->nthresholds; i++)
    if (bf_round_half_up(offset + i, drop) != bf_round_half_up(offset + i - 1, drop)) which[kept++] = i - 1;
  to->nthresholds = kept;
  to->thresholds = bf_arena_alloc(arena, (size_t)to->count * kept + 1, sizeof *to->thresholds);
  for (uint32_t c = 0; c < to->count; c++)
    for (uint32_t i = 0; i < kept; i++) {
      wide t = from->thresholds[(size_t)(from->count > 1 ? c : 0) * from->nthresholds + which[i]];
      double exact = how->ratio ? ceil((double)t / how->ratio[c]) : 0;
      if (how->ratio) t = exact > 0x1p62 ? (wide)1 << 62 : exact < -0x1p62 ? -((wide)1 << 62) : (wide)exact;
      // v 2^grow >= t means v >= t / 2^grow, rounded up.
      to->thresholds[(size_t)c * kept + i] = (int64_t)-(-t >> how->grow);
    }
}

static void allocate(struct bf_arena *arena, struct bf_requant *to) {
  to->mult = bf_arena_alloc(arena, to->count, sizeof *to->mult);
  to->shift = bf_arena_alloc(arena, to->count, sizeof *to->shift);
  to->add = bf_arena_alloc(arena, to->count, sizeof *to->add);
  to->fscale = bf_arena_alloc(arena, to->count, sizeof *to->fscale);
}

static const char *set_channel(const struct bf_requant *from, struct bf_requant *to, uint32_t c, int net,
                               const struct bf_rescaling *how) {
  uint32_t at = from->count > 1 ? c : 0;
  double ratio = how->ratio ? how->ratio[c] : 1;
  switch (from->mode) {
    case BF_REQUANT_TFLITE:
    case BF_REQUANT_TFLITE16: set_fixed(from, to, c, net, ratio); return NULL;
    case BF_REQUANT_DYADIC: set_dyadic(to, c, from->mult[at], from->shift[at], net, ratio); return NULL;
    case BF_REQUANT_FLOAT_RNE:
      to->fscale[c] = how->ratio ? (float)ldexp((double)from->fscale[at] * ratio, net) : ldexpf(from->fscale[at], net);
      return NULL;
    case BF_REQUANT_AFFINE_FLOOR: return how->ratio ? "it has explicit numbers" : set_affine(from, to, c, how);
    case BF_REQUANT_POW2:
      if (how->ratio) return "it divides by powers of two only";
      to->mult[c] = (int64_t)1 << (net > from->shift[at] ? net - from->shift[at] : 0);
      to->shift[c] = net > from->shift[at] ? 0 : from->shift[at] - net;
      return NULL;
    default: return NULL;
  }
}

// A pow2 that would have to multiply in some channel becomes affine_floor, which floors likewise.
static bool multiplies(const struct bf_requant *rq, int net) {
  for (uint32_t c = 0; c < rq->count; c++)
    if (rq->mode == BF_REQUANT_POW2 && net > rq->shift[c]) return true;
  return false;
}

static const char *rescale_none(struct bf_arena *arena, struct bf_requant *to, int net, const struct bf_rescaling *how) {
  if (how->ratio) return "there is none that could take the ratio of the scales";
  if (net == 0) return NULL;
  to->mode = BF_REQUANT_DYADIC;
  to->count = 1;
  allocate(arena, to);
  set_dyadic(to, 0, 1, 0, net, 1);
  return NULL;
}

const char *bf_rescale_requant(struct bf_arena *arena, const struct bf_requant *from, const struct bf_rescaling *how,
                               struct bf_requant *to) {
  const struct bf_narrowing *r = how->result;
  int net = how->grow - (r ? (int)r->drop : 0);
  const char *why = NULL;
  *to = *from;
  if (r) {
    bool counted = from->mode == BF_REQUANT_THRESHOLDS;
    to->out_zero = r->drop && from->mode == BF_REQUANT_AFFINE_FLOOR
                       ? r->new_zero
                       : bf_round_half_up(from->out_zero - r->zero, r->drop) + r->new_zero;
    if (counted && !r->drop) to->out_zero = from->out_zero;
    to->lo = bf_narrow_bound(r, from->lo);
    to->hi = bf_narrow_bound(r, from->hi);
  }
  if (net == 0 && how->grow == 0 && !how->ratio) return NULL;
  if (from->mode == BF_REQUANT_NONE) return rescale_none(arena, to, net, how);
  to->count = how->ratio && from->count == 1 ? (uint32_t)how->channels : from->count;
  if (from->mode == BF_REQUANT_THRESHOLDS) {
    set_thresholds(arena, from, to, how);
    return NULL;
  }
  if (multiplies(from, net)) to->mode = BF_REQUANT_AFFINE_FLOOR;
  allocate(arena, to);
  for (uint32_t c = 0; c < to->count && !why; c++) why = set_channel(from, to, c, net, how);
  return why;
}
