// SPDX-License-Identifier: Apache-2.0
// States of the search: writes on them, and the lower bound of what remains to be done.
#include <string.h>

#include "isa/lut_internal.h"

static unsigned count(uint64_t rows) { return (unsigned)__builtin_popcountll(rows); }

static void add_columns(struct lut_space *s) {
  const struct ap_lut_table *table = s->table;
  for (unsigned c = 0; c < table->ncolumns; c++) {
    enum ap_lut_role role = table->column[c].role;
    bool writable = role == AP_LUT_INOUT || role == AP_LUT_OUTPUT;
    unsigned p = s->nplanes;
    s->plane[c] = writable ? (int)p : -1;
    if (role != AP_LUT_PARAM)
      s->key[s->nkeys++] = c;
    else
      s->has_param = true;
    if (writable)
      s->column[s->nplanes++] = c;
    for (unsigned r = 0; r < s->nrows; r++) {
      const struct ap_lut_row *row = &table->row[r];
      uint64_t bit = (uint64_t)1 << r;
      s->fixed[c] |= row->in >> c & 1 ? bit : 0;
      s->param |= role == AP_LUT_PARAM && (row->in >> c & 1) ? bit : 0;
      s->target[p] |= writable && (row->out >> c & 1) ? bit : 0;
      s->care[p] |= writable && (row->care >> c & 1) ? bit : 0;
    }
  }
}

// A write without compare leaves at most half of the values of the written columns to rows that agree in the others. If more rows
// than that must differ, it never helps.
static bool write_all_possible(const struct lut_space *s, unsigned readonly) {
  for (unsigned r = 0; r < s->nrows; r++) {
    uint64_t clique = (uint64_t)1 << r;
    for (unsigned q = 0; q < s->nrows; q++)
      if (((s->table->row[r].in ^ s->table->row[q].in) & readonly) == 0 && (clique & ~s->conflict[q]) == 0)
        clique |= (uint64_t)1 << q;
    if (count(clique) > 1u << (s->nplanes - 1))
      return false;
  }
  return true;
}

void lut_space_init(struct lut_space *s, const struct ap_lut_table *table, const struct ap_lut_options *options) {
  *s = (struct lut_space){.table = table, .cost = options->cost, .nrows = table->nrows};
  s->accumulate = (options->features & AP_FEATURE_ACCUMULATE) != 0;
  s->all = s->nrows == 64 ? UINT64_MAX : ((uint64_t)1 << s->nrows) - 1;
  unsigned readonly = 0;
  add_columns(s);
  s->stride = s->nplanes + 1;
  for (unsigned c = 0; c < table->ncolumns; c++)
    readonly |= s->plane[c] < 0 ? 1u << c : 0;
  for (unsigned r = 0; r < s->nrows; r++)
    for (unsigned q = 0; q < s->nrows; q++) {
      const struct ap_lut_row *x = &table->row[r], *y = &table->row[q];
      if (((x->in ^ y->in) & readonly) == 0 && ((x->out ^ y->out) & x->care & y->care & ~readonly) != 0)
        s->conflict[r] |= (uint64_t)1 << q;
    }
  s->write_all = s->nplanes > 0 && write_all_possible(s, readonly);
  double unit = s->cost.compare + s->cost.write;
  s->cost.change_cell += unit * LUT_CELL_TIE;
  s->cost.same_cell += unit * LUT_CELL_TIE;
  s->literal_tie = unit * LUT_LITERAL_TIE;
  s->tolerance = unit * LUT_TOLERANCE;
  double cell = s->cost.match_cell < s->cost.mismatch_cell ? s->cost.match_cell : s->cost.mismatch_cell;
  s->compare_min = s->cost.compare + cell + s->literal_tie;
  s->write_min = s->cost.write + unit * LUT_WRITE_TIE;
}

void lut_space_start(const struct lut_space *s, uint64_t *state) {
  for (unsigned p = 0; p < s->nplanes; p++)
    state[p] = s->fixed[s->column[p]];
  state[s->nplanes] = 0;
}

static uint64_t value_rows(const struct lut_space *s, unsigned value) {
  switch (value) {
  case AP_LIT_0: return 0;
  case AP_LIT_1: return s->all;
  case AP_LIT_K: return s->param;
  default: return s->all & ~s->param;
  }
}

uint64_t lut_rows(const struct lut_space *s, const uint64_t *state, unsigned column, unsigned value) {
  uint64_t ones = s->plane[column] >= 0 ? state[s->plane[column]] : s->fixed[column];
  return s->all & ~(ones ^ value_rows(s, value));
}

double lut_compare_cost(const struct lut_space *s, uint64_t rows, unsigned nlits) {
  double matches = (double)count(rows) / s->nrows;
  return s->cost.compare + nlits * (s->literal_tie + s->cost.match_cell * matches + s->cost.mismatch_cell * (1 - matches));
}

// Whether some changed row has become equal to one that it must differ from.
static bool dead(const struct lut_space *s, const uint64_t *state, uint64_t changed) {
  for (; changed; changed &= changed - 1) {
    unsigned r = (unsigned)__builtin_ctzll(changed);
    uint64_t same = s->conflict[r];
    for (unsigned p = 0; p < s->nplanes && same; p++)
      same &= ~(state[p] ^ (0 - (state[p] >> r & 1)));
    if (same)
      return true;
  }
  return false;
}

double lut_write(const struct lut_space *s, const uint64_t *state, uint64_t rows, uint32_t code, uint64_t *child) {
  uint64_t any = 0;
  unsigned cells = 0, changes = 0;
  for (unsigned p = 0; p < s->nplanes; p++, code >>= LUT_CODE_BITS) {
    unsigned value = code & ((1u << LUT_CODE_BITS) - 1);
    child[p] = state[p];
    if (!value)
      continue;
    uint64_t changed = (state[p] ^ value_rows(s, value - 1)) & rows;
    if (!changed)
      return -1;
    child[p] ^= changed;
    any |= changed;
    cells += count(rows);
    changes += count(changed);
  }
  child[s->nplanes] = s->accumulate ? rows : 0;
  if (dead(s, child, any))
    return -1;
  return s->write_min + (s->cost.change_cell * changes + s->cost.same_cell * (cells - changes)) / s->nrows;
}

// The rows that must not be tagged if one write is to finish a plane with these wrong rows; false if none can.
static bool finish_plane(const struct lut_space *s, unsigned p, uint64_t wrong, uint64_t *forbidden) {
  uint64_t least = s->all;
  bool found = false;
  for (unsigned v = AP_LIT_0; v <= (s->has_param ? AP_LIT_NOT_K : AP_LIT_1); v++) {
    uint64_t bad = (s->target[p] ^ value_rows(s, v)) & s->care[p];
    if (bad & wrong)
      continue;
    least &= bad;  // optimistic where several values would do
    found = true;
  }
  *forbidden |= least;
  return found;
}

// The smallest set that contains the rows and that one compare could tag, or less than that (two literals of one column).
static uint64_t closure(const struct lut_space *s, const uint64_t *state, uint64_t rows) {
  uint64_t hull = s->all;
  for (unsigned k = 0; k < s->nkeys; k++)
    for (unsigned v = AP_LIT_0; v <= (s->has_param ? AP_LIT_NOT_K : AP_LIT_1); v++) {
      uint64_t literal = lut_rows(s, state, s->key[k], v);
      if ((rows & ~literal) == 0)
        hull &= literal;
    }
  return hull;
}

// At least this many compares tag all needed and no forbidden rows: rows of which no two can share a key.
static unsigned compares_needed(const struct lut_space *s, const uint64_t *state, uint64_t needed, uint64_t forbidden, unsigned most) {
  uint64_t chosen[LUT_EXACT_ROWS];
  unsigned n = 0;
  for (; needed && n < most; needed &= needed - 1) {
    uint64_t row = needed & (0 - needed);
    bool apart = true;
    for (unsigned i = 0; i < n && apart; i++)
      apart = (closure(s, state, row | chosen[i]) & forbidden) != 0;
    if (apart)
      chosen[n++] = row;
  }
  return n ? n : 1;
}

// The bound without the cells that have to change.
static double bound_steps(const struct lut_space *s, const uint64_t *state, uint64_t needed, uint64_t forbidden, bool one) {
  double two = 2 * s->write_min + (s->write_all ? 1 : 2) * s->compare_min;
  if (!one)
    return two;
  if (!forbidden && s->write_all)
    return s->write_min;
  if (!s->accumulate)
    return (closure(s, state, needed) & forbidden) == 0 ? s->write_min + s->compare_min : two;
  uint64_t tags = state[s->nplanes];
  if ((tags & forbidden) == 0)
    needed &= ~tags;
  double by_one = s->write_min + s->compare_min * compares_needed(s, state, needed, forbidden, LUT_EXACT_ROWS);
  return by_one < two ? by_one : two;
}

double lut_bound(const struct lut_space *s, const uint64_t *state) {
  uint64_t needed = 0, forbidden = 0;
  unsigned cells = 0;
  bool one = true;
  for (unsigned p = 0; p < s->nplanes; p++) {
    uint64_t wrong = (state[p] ^ s->target[p]) & s->care[p];
    needed |= wrong;
    cells += count(wrong);
    if (wrong && one)
      one = finish_plane(s, p, wrong, &forbidden);
  }
  return needed ? bound_steps(s, state, needed, forbidden, one) + s->cost.change_cell * cells / s->nrows : 0;
}
