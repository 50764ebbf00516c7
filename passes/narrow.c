// SPDX-License-Identifier: Apache-2.0
#include "passes/narrow.h"

#define MOST_BITS 62

static void put(struct bf_narrow_code *code, enum bf_fop_kind kind, struct bf_slice d, struct bf_slice a, uint64_t imm) {
  bf_fop_append(code->region, (struct bf_fop){.kind = (uint8_t)kind, .in_stream = true, .d = d, .a = a, .imm = imm});
}

// The sum has reached column `width`.
void bf_narrow_reach(struct bf_narrow_code *code, struct bf_narrow *sum, unsigned width) {
  struct bf_field *field = &code->region->fields[sum->v.field];
  if (width > MOST_BITS) code->overflow = true;
  if (width > sum->width) sum->width = width;
  if (width > field->width) field->width = (uint16_t)width;
  if (sum->first != BF_NO_OP) code->region->ops[sum->first].d.width = sum->width & 127;
}

struct bf_narrow bf_narrow_copy(struct bf_narrow_code *code, uint32_t field, const struct bf_val *v) {
  struct bf_narrow sum = {.v = *v, .first = code->region->nops};
  sum.v.field = field;
  sum.v.offset = 0;
  put(code, BF_FOP_COPY, (struct bf_slice){field, 0, 0}, bf_val_slice(v), 0);
  bf_narrow_reach(code, &sum, bf_bits(v->hi));
  return sum;
}

// 2^width - 1 - v.
struct bf_narrow bf_narrow_complement(struct bf_narrow_code *code, uint32_t field, const struct bf_val *v) {
  struct bf_slice a = bf_val_slice(v);
  uint64_t ones = ((uint64_t)1 << a.width) - 1;
  struct bf_narrow sum = {.v = {.field = field, .lo = ones - v->hi, .hi = ones - v->lo, .bias = (int64_t)ones - v->bias}, .first = code->region->nops};
  put(code, BF_FOP_SETK, (struct bf_slice){field, 0, 0}, (struct bf_slice){0, 0, 0}, 0);
  put(code, BF_FOP_NOT, (struct bf_slice){field, 0, a.width}, a, 0);
  bf_narrow_reach(code, &sum, a.width);
  return sum;
}

static void add(struct bf_narrow_code *code, struct bf_narrow *sum, const struct bf_val *v, unsigned shift) {
  struct bf_slice a = bf_val_slice(v);
  struct bf_val *d = &sum->v;
  bool copied = !d->hi;  // nothing there yet
  d->lo += v->lo << shift;
  d->hi += v->hi << shift;
  d->bias += v->bias * ((int64_t)1 << shift);
  unsigned width = bf_bits(d->hi >> shift);
  if (width < a.width) width = a.width;
  put(code, copied ? BF_FOP_COPY : BF_FOP_ADD, (struct bf_slice){d->field, shift & 127, width & 127}, a, 0);
  bf_narrow_reach(code, sum, shift + width);
}

// Raises the content by a power of two above it, so that `need` can be subtracted.
static void raise(struct bf_narrow_code *code, struct bf_narrow *sum, uint64_t need) {
  struct bf_val *d = &sum->v;
  if (d->lo >= need) return;
  unsigned above = bf_narrow_columns(d->hi), enough = bf_narrow_columns(need - d->lo - 1), k = above > enough ? above : enough;
  if (k >= MOST_BITS) {
    code->overflow = true;
    return;
  }
  uint64_t bias = (uint64_t)1 << k;
  put(code, BF_FOP_SETK, (struct bf_slice){d->field, k & 127, 1}, (struct bf_slice){0, 0, 0}, 1);
  d->lo += bias;
  d->hi += bias;
  d->bias += (int64_t)bias;
  bf_narrow_reach(code, sum, k + 1);
}

static void subtract(struct bf_narrow_code *code, struct bf_narrow *sum, const struct bf_val *v, unsigned shift) {
  struct bf_slice a = bf_val_slice(v);
  struct bf_val *d = &sum->v;
  if (!d->hi) {  // nothing there yet: the complement
    uint64_t ones = ((uint64_t)1 << a.width) - 1;
    d->lo = (ones - v->hi) << shift;
    d->hi = (ones - v->lo) << shift;
    d->bias += (int64_t)(ones << shift) - v->bias * ((int64_t)1 << shift);
    put(code, BF_FOP_NOT, (struct bf_slice){d->field, shift & 127, a.width}, a, 0);
    bf_narrow_reach(code, sum, shift + a.width);
    return;
  }
  raise(code, sum, v->hi << shift);
  unsigned width = bf_bits(d->hi >> shift);
  if (width < a.width) width = a.width;
  put(code, BF_FOP_SUB, (struct bf_slice){d->field, shift & 127, width & 127}, a, 0);
  bf_narrow_reach(code, sum, shift + width);
  d->lo -= v->hi << shift;
  d->hi -= v->lo << shift;
  d->bias -= v->bias * ((int64_t)1 << shift);
}

void bf_narrow_add(struct bf_narrow_code *code, struct bf_narrow *sum, const struct bf_val *v, unsigned shift, int sign) {
  if (sign > 0) add(code, sum, v, shift);
  else subtract(code, sum, v, shift);
}

// 3x = x + 2x, 5x = x + 4x, 7x = 8x - x.
struct bf_narrow bf_narrow_multiple(struct bf_narrow_code *code, uint32_t field, const struct bf_val *x, unsigned odd) {
  struct bf_narrow sum;
  if (odd == 7) {
    struct bf_slice a = bf_val_slice(x);
    sum = (struct bf_narrow){.v = {.field = field, .lo = x->lo << 3, .hi = x->hi << 3}, .first = code->region->nops};
    put(code, BF_FOP_SETK, (struct bf_slice){field, 0, 0}, (struct bf_slice){0, 0, 0}, 0);
    put(code, BF_FOP_COPY, (struct bf_slice){field, 3, a.width}, a, 0);
    bf_narrow_reach(code, &sum, 3u + a.width);
    put(code, BF_FOP_SUB, (struct bf_slice){field, 0, (3u + a.width) & 127}, a, 0);
  } else {
    sum = bf_narrow_copy(code, field, x);
    add(code, &sum, x, odd == 3 ? 1 : 2);
  }
  sum.v.lo = odd * x->lo;
  sum.v.hi = odd * x->hi;
  return sum;
}
