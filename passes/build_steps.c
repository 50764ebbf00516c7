// SPDX-License-Identifier: Apache-2.0
// Requantization by its steps: counting thresholds, or another multiplication that has the same steps.
#include <stdlib.h>

#include "isa/isa.h"
#include "passes/builder.h"
#include "passes/digits.h"
#include "passes/near.h"
#include "passes/stairs.h"

// Thresholds whose comparison is open; below are `passed` ones that every value reaches. v >= t <=> content > t + bias - 1.
struct open { const int64_t *t; uint32_t count, passed; };

static struct open open_of(const struct bf_val *v, const int64_t *t, uint32_t count) {
  struct open o = {0};
  while (o.passed < count && (__int128)t[o.passed] + v->bias <= (__int128)v->lo) o.passed++;
  o.t = t + o.passed;
  while (o.passed + o.count < count && (__int128)o.t[o.count] + v->bias <= (__int128)v->hi) o.count++;
  return o;
}

static uint32_t distinct(const struct open *o) {
  uint32_t n = o->count > 0;
  for (uint32_t i = 1; i < o->count; i++) n += o->t[i] != o->t[i - 1];
  return n;
}

// The open ones as a staircase over v's contents.
static void stairs_of(struct bf_stairs *stairs, const struct open *o, const struct bf_val *v) {
  uint64_t at[BF_MOST_STAIRS];
  for (uint32_t i = 0; i < o->count; i++) at[i] = (uint64_t)(o->t[i] + v->bias);
  bf_stairs_plan(stairs, bf_bits(v->hi), at, o->count, v->lo, v->hi);
}

// --- cycles, about ------------------------------------------------------------------------------------------------

static uint64_t write_cost(const struct bf_lower *l, unsigned width) {
  return l->unit->machine->features & AP_FEATURE_WIDE_WRITE ? 1 : width;
}
static uint64_t line_cost(const struct bf_lower *l, uint32_t count, const struct bf_val *v) {
  return (uint64_t)count * (2 * bf_bits(v->hi) + 2 + write_cost(l, bf_bits(count)));
}
static uint64_t search_cost(const struct bf_lower *l, uint32_t count, const struct bf_val *v) {
  unsigned levels = bf_bits(count), width = bf_bits(v->hi);
  return 4ull * levels * width + ((1ull << levels) - 1) * (1 + write_cost(l, width));
}
// Ranges of the staircase's cover, exactly; UINT64_MAX if it has too many steps.
static uint64_t ranges_cost(const struct bf_lower *l, const struct open *o, const struct bf_val *v) {
  if (o->count > BF_MOST_STAIRS || !o->count) return UINT64_MAX;
  struct bf_stairs stairs;
  stairs_of(&stairs, o, v);
  uint64_t cost = 1 + stairs.count * (1 + write_cost(l, bf_bits(o->count)));
  free(stairs.items);
  return cost;
}
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t thresholds_cost(const struct bf_lower *l, const struct open *o, const struct bf_val *v) {
  return least(ranges_cost(l, o, v), least(line_cost(l, distinct(o), v), search_cost(l, o->count, v)));
}
static uint64_t digits_cost(unsigned digits, const struct bf_val *v) { return 8ull * digits * bf_bits(v->hi); }

// --- thresholds ---------------------------------------------------------------------------------------------------

// One after the other: a later one that is reached overwrites what earlier ones counted. Equal ones are one comparison.
static void count_in_line(struct bf_lower *l, struct bf_val v, const struct open *o, struct bf_slice n, uint64_t start) {
  for (uint32_t i = 0, end; i < o->count; i = end) {
    for (end = i; end < o->count && o->t[end] == o->t[i];) end++;
    struct bf_val f = bf_build_gtk(l, &v, (uint64_t)(o->t[i] + v.bias - 1), "above");
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = n, .a = bf_val_slice(&f), .imm = start + end});
  }
}

// What v is compared with at a node of the search: the bits of the count found so far are `prefix`.
static uint64_t node_content(const struct open *o, struct bf_val v, uint32_t prefix, unsigned level, unsigned levels) {
  uint64_t i = ((uint64_t)prefix << (levels - level)) + (1ull << (levels - level - 1)) - 1;
  return i < o->count ? (uint64_t)(o->t[i] + v.bias - 1) : v.hi;  // beyond the last: never above
}

// Binary search in all rows at once: each row gets, by the bits it has found, the threshold it compares with next.
static struct bf_val count_by_search(struct bf_lower *l, struct bf_val v, const struct open *o) {
  unsigned levels = bf_bits(o->count);
  struct bf_val n = {.field = bf_field_new(l->region, "count"), .hi = ((uint64_t)1 << levels) - 1};
  struct bf_val k = {.field = bf_field_new(l->region, "bound"), .hi = v.hi};
  struct bf_slice sn = bf_val_low(l, &n, levels), sk = bf_val_low(l, &k, bf_bits(v.hi)), sv = bf_val_slice(&v);
  for (unsigned level = 0; level < levels; level++) {
    struct bf_slice bit = {sn.field, (uint16_t)(levels - 1 - level), 1};
    struct bf_slice found = {sn.field, (uint16_t)(levels - level), (uint16_t)level};
    uint64_t preset = node_content(o, v, 0, level, levels);
    if (!level) {
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GTK, .d = bit, .a = sv, .imm = preset});
      continue;
    }
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = sk, .imm = preset});
    for (uint32_t prefix = 1; prefix < 1u << level; prefix++) {
      if ((uint64_t)prefix << (levels - level) > o->count) break;  // no row has found so many
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COMPARE, .a = found, .imm = prefix});
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = sk, .imm = node_content(o, v, prefix, level, levels)});
    }
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_GT, .d = bit, .a = sv, .b = sk});
  }
  n.hi = o->count;
  n.bias = -(int64_t)o->passed;
  return n;
}

// Aligned ranges of v's contents, each a compare and a write; those inside others come behind them.
static void count_by_ranges(struct bf_lower *l, struct bf_val v, const struct open *o, struct bf_slice n, uint64_t start) {
  struct bf_stairs stairs;
  stairs_of(&stairs, o, &v);
  struct bf_slice sv = bf_val_slice(&v);
  l->region->ops[l->region->nops - 1].imm = start + stairs.preset;  // of the constant just made
  for (size_t i = 0; i < stairs.count; i++) {
    const struct bf_stair *r = &stairs.items[i];
    struct bf_slice upper = {sv.field, (uint16_t)(sv.offset + r->shift), (uint16_t)(sv.width - r->shift)};
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COMPARE, .a = upper, .imm = r->key});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = n, .imm = start + r->value});
  }
  free(stairs.items);
}

static struct bf_val count_thresholds(struct bf_lower *l, struct bf_val v, const int64_t *t, uint32_t count, int64_t want,
                                      unsigned want_bits) {
  uint64_t start = want_bits ? (uint64_t)want & (((uint64_t)1 << want_bits) - 1) : 0;
  struct open o = open_of(&v, t, count);
  if (o.count == 1 && start + o.passed == 0) return bf_build_gtk(l, &v, (uint64_t)(o.t[0] + v.bias - 1), "above");
  uint64_t line = o.count ? line_cost(l, distinct(&o), &v) : 0, ranges = l->unit->opt_level ? ranges_cost(l, &o, &v) : UINT64_MAX;
  if (o.count && search_cost(l, o.count, &v) < least(line, ranges)) return count_by_search(l, v, &o);
  struct bf_val n = bf_build_const(l, start + o.passed, 0, "count");
  n.hi = start + o.passed + o.count;
  n.bias = (int64_t)start;
  struct bf_slice counted = bf_val_low(l, &n, bf_bits(n.hi));
  if (o.count && ranges < line) count_by_ranges(l, v, &o, counted, start + o.passed);
  else count_in_line(l, v, &o, counted, start + o.passed);
  return n;
}

struct bf_val bf_build_thresholds(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel,
                                  int64_t want, unsigned want_bits) {
  const int64_t *t = rq->thresholds + (rq->count > 1 ? (uint64_t)channel * rq->nthresholds : 0);
  return count_thresholds(l, v, t, rq->nthresholds, want, want_bits);
}

// --- multiplications ----------------------------------------------------------------------------------------------

// A map with one constant or one on each side of zero.
static struct bf_val build_affine(struct bf_lower *l, struct bf_val v, const struct bf_affine *a, int64_t want, unsigned want_bits) {
  if (a->same) return bf_build_scale(l, v, a->m, a->r[0], a->s, 0, want, want_bits);
  __int128 modulus = (__int128)1 << want_bits, start[2], low;
  for (int i = 0; i < 2; i++) start[i] = (__int128)a->r[i] - (__int128)a->m * v.bias;
  low = start[0] < start[1] ? start[0] : start[1];
  __int128 z = low < 0 ? (-low + (((__int128)1 << a->s) - 1)) >> a->s : 0, rest = (want - z) % modulus;
  z += rest < 0 ? rest + modulus : rest;
  for (int i = 0; i < 2; i++) start[i] += z << a->s;
  if ((start[0] | start[1]) >> 62) {
    bf_lower_fail(l, "use a requantization with a shorter multiplier", "requantization needs more than 62 bits");
    return v;
  }
  struct bf_val p = bf_build_const(l, (uint64_t)start[0], 0, "scaled");
  struct bf_val nonneg = bf_build_gtk(l, &v, (uint64_t)(v.bias - 1), "nonneg");
  struct bf_val second = {.field = p.field, .hi = (uint64_t)(start[0] | start[1])};
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = bf_val_low(l, &second, bf_bits(second.hi)),
                                           .a = bf_val_slice(&nonneg), .imm = (uint64_t)start[1]});
  p.lo = (uint64_t)(start[0] < start[1] ? start[0] : start[1]);
  p.hi = (uint64_t)(start[0] < start[1] ? start[1] : start[0]);
  bf_build_mack(l, &p, &v, a->m, false);
  struct bf_val h = {.field = p.field, .offset = (uint16_t)a->s, .lo = p.lo >> a->s, .hi = p.hi >> a->s, .bias = (int64_t)z};
  bf_val_low(l, &h, bf_bits(h.hi));
  return h;
}

// Whether a map with two constants fits in 62 bits (one with a single constant is split where it doesn't).
static bool affine_fits(const struct bf_val *v, const struct bf_affine *a, unsigned want_bits) {
  if (a->same) return true;
  __int128 most = (__int128)a->m * v->hi + ((__int128)1 << (a->s + want_bits)), low = 0;
  for (int i = 0; i < 2; i++) {
    __int128 start = (__int128)a->r[i] - (__int128)a->m * v->bias;
    if (start < low) low = start;
    if (start > 0) most += start;
  }
  return (most - low) >> 61 == 0;
}

// Digits of the multiplier that the rule itself has; 0 if it is no integer multiplication.
static unsigned rule_digits(const struct bf_requant *rq, uint32_t c) {
  switch (rq->mode) {
  case BF_REQUANT_TFLITE: return bf_digits_of(rq->mult[c], true).count + (rq->shift[c] < 0);
  case BF_REQUANT_TFLITE16: return bf_digits_of(rq->mult[c] >> 16, true).count + 1;
  case BF_REQUANT_DYADIC:
  case BF_REQUANT_AFFINE_FLOOR: return bf_digits_of(rq->mult[c], true).count;
  default: return 0;
  }
}

// More thresholds than these are too much code for each channel, if there is another way.
#define MANY_THRESHOLDS 63
#define MOST_FIXES 24  // ranges that a nearly right multiplication may leave to compares

static bool near_map(const struct bf_lower *l, const struct bf_val *v, const struct bf_steps *steps, const struct bf_requant *rq, uint32_t channel,
                     double bound, struct bf_affine *near) {
  if (bound > 1e15) bound = 1e15;
  double each = 1 + (double)write_cost(l, bf_bits((uint64_t)(rq->hi - rq->lo))), cycles;
  return bf_steps_near(steps, bf_requant_slope(rq, channel), &(struct bf_near_costs){(double)digits_cost(1, v), each, bound, MOST_FIXES, v->bias},
                       near, &cycles);
}

bool bf_build_steps(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel, int64_t want,
                    unsigned want_bits, struct bf_fixes *fixes, struct bf_val *y) {
  struct bf_steps steps;
  struct bf_affine affine, near;
  if (!bf_steps_of(&steps, rq, channel, (int64_t)v.lo - v.bias, (int64_t)v.hi - v.bias)) return false;
  if (fixes) bf_steps_leave_to_clamp(&steps, rq);
  unsigned digits = rule_digits(rq, rq->count > 1 ? channel : 0);
  bool fits = steps.count && bf_steps_affine(&steps, bf_requant_slope(rq, channel), &affine) && affine_fits(&v, &affine, want_bits);
  struct open o = open_of(&v, steps.at, steps.count);
  uint64_t count = thresholds_cost(l, &o, &v), given = digits ? digits_cost(digits, &v) : UINT64_MAX;
  uint64_t scale = fits ? digits_cost(bf_digits_of(affine.m, true).count + !affine.same, &v) : UINT64_MAX;
  if (steps.count > MANY_THRESHOLDS && (fits || digits)) count = UINT64_MAX;
  bool chosen = steps.count == 0 || given > least(count, scale);
  bool fixed = fixes && steps.count && near_map(l, &v, &steps, rq, channel, (double)least(given, least(count, scale)), &near);
  if (fixed) {
    bf_fixes_of(&steps, &near, fixes);
    *y = build_affine(l, v, &near, want, want_bits);
  } else if (chosen && count <= scale) {
    *y = count_thresholds(l, v, steps.at, steps.count, want + steps.y0, want_bits);
    y->bias -= steps.y0;
  } else if (chosen) {
    *y = build_affine(l, v, &affine, want, want_bits);
  }
  bf_steps_free(&steps);
  return chosen || fixed;
}
