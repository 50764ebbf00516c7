// SPDX-License-Identifier: Apache-2.0
// Code of the scheme `shared` for one region. Contents are unsigned throughout: a value that may be negative carries a bias, a power of
// two that is written into a column above the content, so that it costs one cycle.
#include "passes/shared.h"

#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/cse.h"
#include "passes/digits.h"
#include "passes/narrow.h"
#include "passes/patterns.h"

#define NONE UINT32_MAX

// A column of the matrix: an activation, a multiple of one, or a common sum.
struct column { struct bf_narrow sum; uint32_t slot, uses; bool made; };

struct leaf { uint8_t tap, odd; };
struct digit { uint8_t channel, leaf, shift; int8_t sign; };
// A term of a channel: a column, shifted.
struct term { uint32_t column; uint8_t shift; int8_t sign; };

struct state {
  struct bf_shared *s;
  uint64_t x_lo, x_hi;
  unsigned half, bits;
  uint32_t x[2][BF_MAX_SHARED_TAPS], z, slot[BF_MAX_SHARED_SLOTS];  // fields
  bool busy[BF_MAX_SHARED_SLOTS];
  uint32_t nbusy, peak;
  bool dry, wrong;
  struct bf_narrow_code code;
  struct bf_conv_row rows[BF_MAX_SHARED_CHANNELS];
  struct bf_narrow acc[BF_MAX_SHARED_CHANNELS];
  int64_t low[BF_MAX_SHARED_CHANNELS], high[BF_MAX_SHARED_CHANNELS];  // of the true sums so far
  // The window.
  uint32_t tap[BF_MAX_SHARED_TAPS], ntaps;
  unsigned set;
  struct digit *digits;  // of all weights of the window
  size_t ndigits, digits_capacity;
  struct leaf leaves[4 * BF_MAX_SHARED_TAPS];
  uint32_t nleaves, planes, *row_of;  // row_of[channel * planes + plane]: row of the matrix, or NONE
  int8_t *matrix;
  size_t matrix_capacity;
  struct bf_cse cse, other;
  struct column *columns;
  size_t columns_capacity;
  struct term *terms;
  size_t nterms, terms_capacity;
};

// --- values of a window -------------------------------------------------------------------------------------------

static uint32_t take_slot(struct state *st) {
  uint32_t k = 0;
  while (k < BF_MAX_SHARED_SLOTS && st->busy[k]) k++;
  if (k == BF_MAX_SHARED_SLOTS) {
    st->peak = NONE;
    return 0;
  }
  st->busy[k] = true;
  if (++st->nbusy > st->peak) st->peak = st->nbusy;
  if (!st->dry && st->slot[k] == NONE) st->slot[k] = bf_field_new(st->s->region, "t%u", k);
  return k;
}

// A use of the column is over.
static void release(struct state *st, uint32_t c) {
  struct column *column = &st->columns[c];
  if (--column->uses || column->slot == NONE) return;
  st->busy[column->slot] = false;
  st->nbusy--;
}

static struct bf_val activation(const struct state *st, uint32_t tap) {
  return (struct bf_val){.field = st->x[st->set][tap], .offset = (uint16_t)st->half, .lo = st->x_lo >> st->half, .hi = st->x_hi >> st->half};
}

static void make(struct state *st, uint32_t c);

// Column c := a + sign * b, in place of a, or of b if it is added, where that is its last use.
static void make_pair(struct state *st, uint32_t c, const struct bf_cse_op *op) {
  struct column *column = &st->columns[c];
  uint32_t from = op->a, other = op->b;
  make(st, op->a);
  make(st, op->b);
  if (op->sign > 0 && st->columns[from].slot == NONE) from = op->b, other = op->a;
  bool in_place = st->columns[from].uses == 1 && st->columns[from].slot != NONE && from != other;
  if (in_place) {
    column->slot = st->columns[from].slot;
    column->sum = st->columns[from].sum;
    st->columns[from].uses = 0;
  } else {
    column->slot = take_slot(st);
    if (!st->dry) column->sum = bf_narrow_copy(&st->code, st->slot[column->slot], &st->columns[from].sum.v);
  }
  if (!st->dry) bf_narrow_add(&st->code, &column->sum, &st->columns[other].sum.v, 0, op->sign);
  if (!in_place) release(st, from);
  release(st, other);
}

static void make(struct state *st, uint32_t c) {
  struct column *column = &st->columns[c];
  if (column->made) return;
  column->made = true;
  if (c >= st->nleaves) {
    make_pair(st, c, &st->cse.ops[c - st->nleaves]);
    return;
  }
  struct bf_val x = activation(st, st->leaves[c].tap);
  column->slot = NONE;
  column->sum = (struct bf_narrow){.v = x, .first = BF_NO_OP};
  if (st->leaves[c].odd == 1) return;
  column->slot = take_slot(st);
  if (!st->dry) column->sum = bf_narrow_multiple(&st->code, st->slot[column->slot], &x, st->leaves[c].odd);
}

// --- the sum of a channel -----------------------------------------------------------------------------------------

static double addition(unsigned a, unsigned width) { return 8.0 * a + (width > a ? 4.0 * (width - a) : 0); }

// Whether the terms cost less when they meet in a field of their own.
static bool apart(const struct state *st, const struct bf_narrow *acc) {
  double direct = 0, local = 0;
  uint64_t hi = 0, sum = acc->v.hi;
  unsigned low = st->terms[0].shift;
  if (st->nterms < 2 || !acc->v.hi) return false;
  for (size_t i = 0; i < st->nterms; i++) {
    const struct term *t = &st->terms[i];
    const struct bf_val *v = &st->columns[t->column].sum.v;
    unsigned width = bf_bits(v->hi), shift = t->shift - low;
    hi += v->hi << shift;
    sum += v->hi << (t->shift + st->half);
    direct += addition(width, bf_narrow_columns(sum >> (t->shift + st->half)));
    local += i ? addition(width, bf_narrow_columns(hi >> shift)) : 2 * width + 1;
  }
  local += acc->v.hi ? addition(bf_narrow_columns(hi), bf_narrow_columns(sum >> (low + st->half))) : 2 * bf_narrow_columns(hi);
  return local < direct;
}

// All terms of a channel times `turn`, the lowest plane first, in each plane the positive ones first.
static void collect(struct state *st, uint32_t channel, int turn) {
  st->nterms = 0;
  for (uint32_t p = 0; p < st->planes; p++) {
    uint32_t row = st->row_of[channel * st->planes + p];
    if (row == NONE) continue;
    for (int sign = 1; sign >= -1; sign -= 2)
      for (size_t i = st->cse.first[row]; i < st->cse.first[row + 1]; i++) {
        const struct bf_cse_term *t = &st->cse.terms[i];
        if (t->sign * turn == sign) BF_PUSH(st->terms, st->nterms, st->terms_capacity) = (struct term){t->column, (uint8_t)p, (int8_t)sign};
      }
  }
}

// Sum of the terms in field z, relative to the lowest plane.
static struct bf_narrow meet(struct state *st) {
  if (st->z == NONE) st->z = bf_field_new(st->s->region, "z");
  const struct term *t = st->terms;
  const struct bf_val *first = &st->columns[t->column].sum.v;
  struct bf_narrow z = t->sign > 0 ? bf_narrow_copy(&st->code, st->z, first) : bf_narrow_complement(&st->code, st->z, first);
  for (size_t i = 1; i < st->nterms; i++)
    bf_narrow_add(&st->code, &z, &st->columns[t[i].column].sum.v, t[i].shift - t->shift, t[i].sign);
  return z;
}

// Sums with a bias are added while the accumulator is low, and subtracted, negated, where it can pay: so its bias stays small.
static int sign_of(const struct state *st, const struct bf_narrow *acc) {
  uint64_t reached = 0;
  for (size_t i = 0; i < st->nterms; i++) reached += st->columns[st->terms[i].column].sum.v.hi << (st->terms[i].shift + st->half);
  bool mixed = false;
  for (size_t i = 0; i < st->nterms; i++) mixed = mixed || st->terms[i].sign < 0 || st->columns[st->terms[i].column].sum.v.bias;
  return mixed && acc->v.lo >= 2 * reached ? -1 : 1;
}

static void sum_channel(struct state *st, uint32_t channel) {
  struct bf_narrow *acc = &st->acc[channel];
  if (!apart(st, acc)) {
    for (size_t i = 0; i < st->nterms; i++)
      bf_narrow_add(&st->code, acc, &st->columns[st->terms[i].column].sum.v, st->terms[i].shift + st->half, st->terms[i].sign);
  } else {
    int sign = sign_of(st, acc);
    if (sign < 0) collect(st, channel, -1);
    struct bf_narrow z = meet(st);
    bf_narrow_add(&st->code, acc, &z.v, st->terms[0].shift + st->half, sign);
  }
}

// --- a window -----------------------------------------------------------------------------------------------------

// The digits of a tap's weights that make the fewest cycles, the multiples that they need included.
static unsigned choose_digits(const struct state *st, uint32_t tap, uint32_t left) {
  static const unsigned choices[] = {1, 3, 7};
  double best = 0;
  unsigned largest = 1;
  for (unsigned i = 0; i < BF_COUNT(choices) && choices[i] <= st->s->largest; i++) {
    double cost = 0;
    unsigned used = 0, width = bf_bits(st->x_hi >> st->half);
    for (uint32_t c = 0; c < st->s->count; c++) {
      struct bf_multiples m = bf_multiples_of(bf_conv_weight(&st->rows[c], tap), choices[i]);
      for (unsigned k = 0; k < m.count; k++) {
        cost += 8 * (width + (m.at[k].odd > 1) + (m.at[k].odd > 3)) + 8;
        used |= 1u << m.at[k].odd;
      }
    }
    used &= ~3u;
    unsigned multiples = (unsigned)__builtin_popcount(used);
    cost += multiples * (10 * width + 16);
    if (multiples > left || (i && cost >= best)) continue;
    best = cost;
    largest = choices[i];
  }
  return largest;
}

static uint32_t leaf_of(struct state *st, uint32_t tap, unsigned odd) {
  for (uint32_t i = st->nleaves; i-- > 0 && st->leaves[i].tap == tap;)
    if (st->leaves[i].odd == odd) return i;
  st->leaves[st->nleaves] = (struct leaf){(uint8_t)tap, (uint8_t)odd};
  return st->nleaves++;
}

static void add_digit(struct state *st, uint32_t channel, uint32_t leaf, unsigned shift, int sign) {
  if (shift >= st->planes) st->planes = shift + 1;
  BF_PUSH(st->digits, st->ndigits, st->digits_capacity) = (struct digit){(uint8_t)channel, (uint8_t)leaf, (uint8_t)shift, (int8_t)sign};
}

// Digits of the weights of the window's tap i; returns how many multiples these need.
static uint32_t add_tap(struct state *st, uint32_t i, uint32_t left) {
  uint32_t before = st->nleaves, tap = st->tap[i];
  unsigned largest = st->s->largest > 1 ? choose_digits(st, tap, left) : 1;
  for (uint32_t c = 0; c < st->s->count; c++) {
    int64_t w = bf_conv_weight(&st->rows[c], tap);
    if (!w) continue;
    if (largest == 1) {
      struct bf_digit_masks m = bf_digit_masks_of(w, true);
      uint32_t leaf = leaf_of(st, i, 1);
      for (uint64_t rest = m.positive | m.negative; rest; rest &= rest - 1)
        add_digit(st, c, leaf, (unsigned)__builtin_ctzll(rest), m.negative & rest & -rest ? -1 : 1);
      continue;
    }
    struct bf_multiples m = bf_multiples_of(w, largest);
    for (unsigned k = 0; k < m.count; k++) add_digit(st, c, leaf_of(st, i, m.at[k].odd), m.at[k].shift, m.at[k].sign);
  }
  uint32_t multiples = 0;
  for (uint32_t k = before; k < st->nleaves; k++) multiples += st->leaves[k].odd > 1;
  return multiples;
}

// Digits of all weights of the window: leaves, planes, and the matrix of the planes that aren't empty. Returns its rows.
static uint32_t make_matrix(struct state *st) {
  uint32_t rows = 0, multiples = 0;
  st->nleaves = st->planes = 0;
  st->ndigits = 0;
  for (uint32_t i = 0; i < st->ntaps; i++) multiples += add_tap(st, i, st->s->slots - multiples);
  size_t most = (size_t)st->s->count * st->planes;
  for (size_t i = 0; i < most; i++) st->row_of[i] = NONE;
  if (most * st->nleaves > st->matrix_capacity) {
    st->matrix_capacity = 2 * most * st->nleaves;
    st->matrix = bf_realloc(st->matrix, st->matrix_capacity, 1);
  }
  for (size_t i = 0; i < st->ndigits; i++) {
    const struct digit *d = &st->digits[i];
    uint32_t *row = &st->row_of[d->channel * st->planes + d->shift];
    if (*row == NONE) {
      *row = rows++;
      memset(st->matrix + (size_t)*row * st->nleaves, 0, st->nleaves);
    }
    st->matrix[(size_t)*row * st->nleaves + d->leaf] = d->sign;
  }
  return rows;
}

static void count_uses(struct state *st) {
  size_t n = st->nleaves + st->cse.nops;
  if (n > st->columns_capacity) {
    st->columns_capacity = 2 * n + 64;
    st->columns = bf_realloc(st->columns, st->columns_capacity, sizeof *st->columns);
  }
  if (n) memset(st->columns, 0, n * sizeof *st->columns);
  for (size_t i = 0; i < st->cse.nops; i++) {
    st->columns[st->cse.ops[i].a].uses++;
    st->columns[st->cse.ops[i].b].uses++;
  }
  for (size_t i = 0; i < st->cse.nterms; i++) st->columns[st->cse.terms[i].column].uses++;
  memset(st->busy, 0, sizeof st->busy);
  st->nbusy = st->peak = 0;
}

// Makes the values and the channels' sums; a dry walk only counts slots.
static void walk(struct state *st, bool dry) {
  st->dry = dry;
  count_uses(st);
  for (uint32_t c = 0; c < st->s->count; c++) {
    collect(st, c, 1);
    for (size_t i = 0; i < st->nterms; i++) make(st, st->terms[i].column);
    if (!dry && st->nterms) sum_channel(st, c);
    for (size_t i = 0; i < st->nterms; i++) release(st, st->terms[i].column);
  }
}

// Common sums, as many as there are slots for.
static void share(struct state *st, uint32_t rows) {
  uint32_t multiples = 0, most = st->s->slots && st->nleaves > 1 && rows > 1 ? NONE : 0;
  for (uint32_t i = 0; i < st->nleaves; i++) multiples += st->leaves[i].odd > 1;
  for (;;) {
    bf_cse_top_down(&st->cse, st->matrix, rows, st->nleaves, most);
    if (most == NONE && st->s->both) {
      bf_cse_bottom_up(&st->other, st->matrix, rows, st->nleaves);
      if (bf_cse_count_of(&st->other).all < bf_cse_count_of(&st->cse).all) {
        struct bf_cse better = st->other;
        st->other = st->cse;
        st->cse = better;
      }
    }
    if (!st->cse.nops) return;
    walk(st, true);
    if (st->peak <= st->s->slots) return;
    most = most == NONE ? (st->s->slots > multiples ? st->s->slots - multiples : 0) : 0;
    if (st->cse.nops <= most) most = 0;
  }
}

// The window's share in the ranges of the true sums.
static void widen(struct state *st) {
  for (uint32_t c = 0; c < st->s->count; c++)
    for (uint32_t i = 0; i < st->ntaps; i++) {
      int64_t w = bf_conv_weight(&st->rows[c], st->tap[i]);
      st->low[c] += w * (int64_t)(w > 0 ? st->x_lo : st->x_hi);
      st->high[c] += w * (int64_t)(w > 0 ? st->x_hi : st->x_lo);
    }
}

// What the true sums can be by now bounds the contents better than the terms one by one do.
static void bound(struct state *st) {
  widen(st);
  for (uint32_t c = 0; c < st->s->count; c++) {
    struct bf_val *v = &st->acc[c].v;
    if (st->low[c] + v->bias > (int64_t)v->lo) v->lo = (uint64_t)(st->low[c] + v->bias);
    if (st->high[c] + v->bias < (int64_t)v->hi) v->hi = (uint64_t)(st->high[c] + v->bias);
  }
}

static void make_window(struct state *st) {
  uint32_t rows = make_matrix(st);
  if (!rows) return;  // loaded for other regions only
  share(st, rows);
#ifndef NDEBUG
  st->wrong = st->wrong || !bf_cse_check(&st->cse, st->matrix);
#endif
  walk(st, false);
  bound(st);
}

// --- all windows --------------------------------------------------------------------------------------------------

static bool used(const struct state *st, uint32_t tap) {
  for (uint32_t c = 0; c < st->s->count; c++)
    if (bf_conv_weight(&st->rows[c], tap)) return true;
  return false;
}

// Up to a window of taps with weights that aren't all zero; returns the tap behind them.
static uint32_t next(const struct state *st, uint32_t from, uint32_t *tap, uint32_t *count) {
  *count = 0;
  for (; from < st->s->taps.end && *count < st->s->window; from++)
    if (st->s->load ? st->s->load[from] : used(st, from)) tap[(*count)++] = from;
  return from;
}

static void load(struct state *st, unsigned set, const uint32_t *tap, uint32_t count) {
  struct bf_region *region = st->s->region;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t *field = &st->x[set][i];
    if (*field == NONE) {
      *field = bf_field_new(region, "x%u_%u", set, i);
      region->fields[*field].width = (uint16_t)st->bits;
    }
    bf_fop_append(region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = {*field, 0, st->bits & 127}, .desc = st->s->desc,
                                          .tap = bf_conv_load_tap(st->s->conv, st->s->oc, tap[i])});
  }
}

// For estimates: a window that isn't made. The true sums' ranges grow by its weights; a bias of the next power of two keeps contents from below zero.
static void skip_window(struct state *st) {
  widen(st);
  for (uint32_t c = 0; c < st->s->count; c++) {
    struct bf_val *v = &st->acc[c].v;
    int64_t hi = st->high[c] + v->bias;
    if (st->low[c] + v->bias < 0) v->bias += (int64_t)1 << bf_narrow_columns((uint64_t)(hi > 0 ? hi : 0));
    if (st->low[c] + v->bias < 0) v->bias = -st->low[c];
    v->lo = (uint64_t)(st->low[c] + v->bias);
    v->hi = (uint64_t)(st->high[c] + v->bias);
    bf_narrow_reach(&st->code, &st->acc[c], bf_bits(v->hi));
  }
}

static void begin(struct state *st) {
  struct bf_shared *s = st->s;
  bf_conv_x_range(s->conv, &st->x_lo, &st->x_hi);
  st->bits = bf_mem_bits(s->conv->x->type);
  st->half = s->conv->x->type.kind == BF_TYPE_B && bf_pattern_planes_of(s->conv).count == 1;
  st->z = NONE;
  for (int i = 0; i < 2; i++)
    for (unsigned k = 0; k < BF_MAX_SHARED_TAPS; k++) st->x[i][k] = NONE;
  for (unsigned k = 0; k < BF_MAX_SHARED_SLOTS; k++) st->slot[k] = NONE;
  st->row_of = bf_alloc((size_t)s->count * 66, sizeof *st->row_of);
  for (uint32_t c = 0; c < s->count; c++) {
    st->rows[c] = bf_conv_row(s->conv, s->oc + c);
    uint32_t field = bf_field_new(s->region, "acc%u", c);
    s->region->fields[field].width = 1;
    st->acc[c] = (struct bf_narrow){.v = {.field = field}, .first = BF_NO_OP};
    bf_fop_append(s->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = {field, 0, 0}});
  }
}

struct bf_shared_size bf_shared_accumulate(struct bf_shared *s, struct bf_val *acc) {
  struct state *st = bf_alloc(1, sizeof *st);
  struct bf_shared_size size = {0};
  uint32_t tap[BF_MAX_SHARED_TAPS] = {0}, count, from;
  st->s = s;
  st->code.region = s->region;
  begin(st);
  uint32_t all = (s->taps.end - s->taps.first + s->window - 1) / s->window, every = s->windows_most && all > s->windows_most ? all / s->windows_most : 1;
  from = next(st, s->taps.first, tap, &count);
  load(st, 0, tap, count);
  while (count && !st->code.overflow) {
    memcpy(st->tap, tap, sizeof tap);
    st->ntaps = count;
    st->set = size.windows & 1;
    size.loaded += count;
    from = next(st, from, tap, &count);
    if (size.windows++ % every) {
      skip_window(st);
      continue;
    }
    load(st, st->set ^ 1, tap, count);
    make_window(st);
    size.made++;
  }
  for (uint32_t c = 0; c < s->count; c++) acc[c] = st->acc[c].v;
  size.fits = !st->code.overflow;
  size.wrong = st->wrong;
  while (size.slots < BF_MAX_SHARED_SLOTS && st->slot[size.slots] != NONE) size.slots++;
  bf_cse_free(&st->cse);
  bf_cse_free(&st->other);
  free(st->row_of);
  free(st->matrix);
  free(st->columns);
  free(st->terms);
  free(st->digits);
  free(st);
  return size;
}

unsigned bf_region_columns(const struct bf_region *region) {
  unsigned columns = AP_FLAG_COLUMNS;
  for (size_t i = 0; i < region->nfields; i++) columns += region->fields[i].width;
  return columns;
}
