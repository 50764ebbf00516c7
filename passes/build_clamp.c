// SPDX-License-Identifier: Apache-2.0
// Clamping. The result's bias is congruent to the output's modulo 2^(bits of an element), so its lowest columns are the output already and the columns
// above them tell on which side of the type's range a row lies: aligned ranges of these are compared, and the bound is written into the
// rows that match. Bounds inside the type's range (a ReLU) are ranges of the lowest columns. No flags, no carries.
#include "isa/isa.h"
#include "passes/builder.h"
#include "passes/near.h"

// Numbers from `first` to `last` of a slice get `value` in another.
struct override { struct bf_slice in; uint64_t first, last, value; };

static void append_override(struct bf_lower *l, const struct override *o, struct bf_slice out) {
  bool joins = l->unit->machine->features & AP_FEATURE_ACCUMULATE, more = false;
  for (uint64_t at = o->first; at <= o->last; more = true) {
    uint64_t key = at;
    unsigned shift = bf_aligned_next(&at, o->last);
    struct bf_slice upper = {o->in.field, (uint16_t)(o->in.offset + shift), (uint16_t)(o->in.width - shift)};
    bf_fop_append(l->region, (struct bf_fop){.kind = more && joins ? BF_FOP_COMPOR : BF_FOP_COMPARE, .a = upper, .imm = key >> shift});
    if (!joins || at > o->last) bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = out, .imm = o->value});
  }
}

// The largest number of `bits` columns.
static uint64_t all_ones(unsigned bits) { return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1; }

// A clamp bound that a content may pass: the flag of the rows beyond it.
struct bound { bool needed; struct bf_val flag; uint64_t u; };

static void set_if(struct bf_lower *l, struct bf_slice d, const struct bound *bound) {
  if (!bound->needed) return;
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETKIF, .d = d, .a = bf_val_slice(&bound->flag), .imm = bound->u});
}

static struct bf_slice low_columns(struct bf_lower *l, struct bf_val *y, unsigned bits) {
  // Columns above a field that was loaded hold nothing yet; a copy clears them.
  if (l->region->fields[y->field].width < y->offset + bits) *y = bf_build_widen(l, *y, "out");
  return bf_val_low(l, y, bits);
}

// Content - shift = u, for any shift: comparisons with the bounds come first, then the addition.
static struct bf_slice by_flags(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type, __int128 shift) {
  int64_t min = bf_type_min(type);
  unsigned bits = bf_mem_bits(type);
  __int128 below = (__int128)rq->lo - min - shift, above = (__int128)rq->hi - min - shift;
  struct bound low = {.u = (uint64_t)(rq->lo - min)}, high = {.u = (uint64_t)(rq->hi - min)};
  low.needed = below > (__int128)y.lo;
  high.needed = above < (__int128)y.hi;
  if (low.needed) {
    struct bf_val ge = below > (__int128)y.hi ? bf_build_const(l, 0, 0, "ge") : bf_build_gtk(l, &y, (uint64_t)(below - 1), "ge");
    low.flag = bf_build_not(l, &ge);
  }
  if (high.needed)
    high.flag = above < 0 ? bf_build_const(l, 1, 0, "gt") : bf_build_gtk(l, &y, (uint64_t)above, "gt");
  struct bf_slice out = low_columns(l, &y, bits);
  uint64_t part = (uint64_t)shift & all_ones(bits);
  if (part) bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADDK, .d = out, .imm = part});
  set_if(l, out, &low);
  set_if(l, out, &high);
  return out;
}

// Where u = content - base with base a multiple of 2^bits.
static struct bf_slice by_ranges(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type, uint64_t base) {
  unsigned bits = bf_mem_bits(type);
  uint64_t lo = (uint64_t)(rq->lo - bf_type_min(type)), hi = (uint64_t)(rq->hi - bf_type_min(type)), window = base >> bits;
  uint64_t first = y.lo >> bits, last = y.hi >> bits;
  struct bf_slice whole = bf_val_slice(&y), out = low_columns(l, &y, bits);
  unsigned upper = whole.width > bits ? whole.width - bits : 0;
  struct bf_slice above = {out.field, (uint16_t)(out.offset + bits), (uint16_t)upper};
  if (first < window) append_override(l, &(struct override){above, 0, window - 1, lo}, out);
  if (last > window) append_override(l, &(struct override){above, window + 1, all_ones(upper), hi}, out);
  // Rows outside the window hold a bound by now, which the ranges below leave alone.
  uint64_t least = first < window ? 0 : y.lo - base, most = last > window ? all_ones(bits) : y.hi - base;
  if (least < lo) append_override(l, &(struct override){out, 0, lo - 1, lo}, out);
  if (most > hi) append_override(l, &(struct override){out, hi + 1, all_ones(bits), hi}, out);
  return out;
}

struct bf_slice bf_build_clamp(struct bf_lower *l, struct bf_val y, const struct bf_requant *rq, struct bf_type type) {
  int64_t min = bf_type_min(type);
  unsigned bits = bf_mem_bits(type);
  // q = content - bias + out_zero; stored u = q - min.
  __int128 shift = (__int128)rq->out_zero - y.bias - min, base = -shift;
  bool aligned = bits < 62 && base >= 0 && !(base & (__int128)all_ones(bits)) && base <= (__int128)y.hi && base + (__int128)all_ones(bits) >= (__int128)y.lo;
  bool inside = rq->lo >= min && rq->hi <= bf_type_max(type) && rq->lo <= rq->hi;
  if (aligned && inside && l->unit->opt_level > 0) return by_ranges(l, y, rq, type, (uint64_t)base);
  return by_flags(l, y, rq, type, shift);
}
