// SPDX-License-Identifier: Apache-2.0
// Bottom-up elimination: the largest parts that rows have in common.
#include <stdlib.h>
#include <string.h>

#include "passes/cse.h"

// Rows over columns as bit masks. A part that has become a column of its own is a row as well: row rows + p makes column inputs + p.
struct work {
  uint32_t rows, inputs, n, words, capacity;
  uint64_t *mask;       // of row r: words of +1 at 2 * words * r, then words of -1
  uint32_t *size;       // of the largest part that row r has in common with an earlier row, with[r], negated or not
  uint32_t *with;
  int8_t *sign;
};

static uint64_t *plus_of(const struct work *w, uint32_t row) { return w->mask + (size_t)2 * w->words * row; }
static uint64_t *minus_of(const struct work *w, uint32_t row) { return plus_of(w, row) + w->words; }

// Size of what rows i and j have in common (sign 1), or i and the negative of j; as masks into plus, minus if they are given.
static uint32_t common(const struct work *w, uint32_t i, uint32_t j, int8_t sign, uint64_t *plus, uint64_t *minus) {
  const uint64_t *ip = plus_of(w, i), *in = minus_of(w, i), *jp = sign > 0 ? plus_of(w, j) : minus_of(w, j);
  const uint64_t *jn = sign > 0 ? minus_of(w, j) : plus_of(w, j);
  uint32_t size = 0;
  for (uint32_t k = 0; k < w->words; k++) {
    uint64_t p = ip[k] & jp[k], n = in[k] & jn[k];
    size += (uint32_t)__builtin_popcountll(p | n);
    if (plus) plus[k] = p, minus[k] = n;
  }
  return size;
}

static void look(struct work *w, uint32_t i, uint32_t j) {
  for (int8_t sign = -1; sign <= 1; sign += 2) {
    uint32_t size = common(w, i, j, sign, NULL, NULL);
    if (size > w->size[i]) w->size[i] = size, w->with[i] = j, w->sign[i] = sign;
  }
}

static void look_back(struct work *w, uint32_t i) {
  w->size[i] = 0;
  for (uint32_t j = 0; j < i; j++) look(w, i, j);
}

// Rows that hold the part, negated or not.
static uint32_t holders(const struct work *w, const uint64_t *plus, const uint64_t *minus) {
  uint32_t count = 0;
  for (uint32_t r = 0; r < w->n; r++) {
    const uint64_t *p = plus_of(w, r), *m = minus_of(w, r);
    bool same = true, negated = true;
    for (uint32_t k = 0; k < w->words; k++) {
      same = same && !(plus[k] & ~p[k]) && !(minus[k] & ~m[k]);
      negated = negated && !(plus[k] & ~m[k]) && !(minus[k] & ~p[k]);
    }
    count += same || negated;
  }
  return count;
}

// The largest part in common into plus, minus; its size.
static uint32_t largest(struct work *w, uint64_t *plus, uint64_t *minus) {
  uint32_t size = 0, most = 0;
  uint64_t *p = bf_alloc(2 * (size_t)w->words, sizeof *p), *m = p + w->words;
  for (uint32_t r = 0; r < w->n; r++)
    if (w->size[r] > size) size = w->size[r];
  for (uint32_t r = 0; r < w->n && size > 2; r++) {
    if (w->size[r] != size) continue;
    common(w, r, w->with[r], w->sign[r], p, m);
    uint32_t count = holders(w, p, m);
    if (count <= most) continue;
    most = count;
    memcpy(plus, p, w->words * sizeof *p);
    memcpy(minus, m, w->words * sizeof *p);
  }
  free(p);
  return size;
}

// Replaces the part by column `column` in row r if the row holds it.
static bool replace(struct work *w, uint32_t r, const uint64_t *plus, const uint64_t *minus, uint32_t column) {
  uint64_t *p = plus_of(w, r), *m = minus_of(w, r);
  bool same = true, negated = true;
  for (uint32_t k = 0; k < w->words; k++) {
    same = same && !(plus[k] & ~p[k]) && !(minus[k] & ~m[k]);
    negated = negated && !(plus[k] & ~m[k]) && !(minus[k] & ~p[k]);
  }
  if (!same && !negated) return false;
  for (uint32_t k = 0; k < w->words; k++) {
    p[k] &= ~(plus[k] | minus[k]);
    m[k] &= ~(plus[k] | minus[k]);
  }
  (same ? p : m)[column / 64] |= (uint64_t)1 << column % 64;
  return true;
}

static void extract(struct work *w, const uint64_t *plus, const uint64_t *minus) {
  uint32_t part = w->n++, column = w->inputs + part - w->rows;
  bool *changed = bf_alloc(w->n, sizeof *changed);
  for (uint32_t r = 0; r < part; r++) changed[r] = replace(w, r, plus, minus, column);
  memcpy(plus_of(w, part), plus, w->words * sizeof *plus);
  memcpy(minus_of(w, part), minus, w->words * sizeof *plus);
  changed[part] = true;
  for (uint32_t i = 1; i < w->n; i++) {
    if (changed[i] || changed[w->with[i]]) {
      look_back(w, i);
      continue;
    }
    for (uint32_t j = 0; j < i; j++)
      if (changed[j]) look(w, i, j);
  }
  free(changed);
}

// --- columns in an order in which each stands behind what it is made of -------------------------------------------

// Column c of `cse` becomes sign[c] * column name[c] of `out`: the first operand of every operation counts as positive.
struct order { const struct bf_cse *cse; const struct work *w; struct bf_cse *out; uint32_t *name; int8_t *sign; };

static void chain(struct order *o, uint32_t column, const struct bf_cse_term *terms, size_t count) {
  struct bf_cse *out = o->out;
  int8_t first = (int8_t)(terms[0].sign * o->sign[terms[0].column]);
  uint32_t at = o->name[terms[0].column];
  for (size_t i = 1; i < count; i++) {
    uint32_t c = terms[i].column;
    int8_t sign = (int8_t)(first * terms[i].sign * o->sign[c]);
    BF_PUSH(out->ops, out->nops, out->ops_capacity) = (struct bf_cse_op){(uint16_t)at, (uint16_t)o->name[c], sign};
    at = (uint32_t)(out->inputs + out->nops - 1);
  }
  o->name[column] = at;
  o->sign[column] = first;
}

// Makes the column, after those it needs. Top-down columns stand behind all inputs and parts: inputs + parts + i.
static void make(struct order *o, uint32_t column) {
  uint32_t inputs = o->w->inputs, parts = o->w->n - o->w->rows;
  if (o->name[column] != UINT32_MAX) return;
  if (column < inputs + parts) {
    uint32_t row = o->w->rows + column - inputs;
    const struct bf_cse_term *terms = o->cse->terms + o->cse->first[row];
    size_t count = o->cse->first[row + 1] - o->cse->first[row];
    for (size_t i = 0; i < count; i++) make(o, terms[i].column);
    chain(o, column, terms, count);
    return;
  }
  struct bf_cse_op op = o->cse->ops[column - inputs - parts];
  make(o, op.a);
  make(o, op.b);
  const struct bf_cse_term terms[2] = {{op.a, 1}, {op.b, op.sign}};
  chain(o, column, terms, 2);
}

static void finish(struct bf_cse *out, const struct work *w) {
  uint32_t columns = w->inputs + w->n - w->rows;
  int8_t *matrix = bf_alloc((size_t)w->n * columns + 1, 1);
  for (uint32_t r = 0; r < w->n; r++)
    for (uint32_t c = 0; c < columns; c++)
      matrix[(size_t)r * columns + c] = (int8_t)((int)(plus_of(w, r)[c / 64] >> c % 64 & 1) - (int)(minus_of(w, r)[c / 64] >> c % 64 & 1));
  struct bf_cse cse = {0};
  bf_cse_top_down(&cse, matrix, w->n, columns, UINT32_MAX);
  size_t all = columns + cse.nops;
  struct order o = {&cse, w, out, bf_alloc(all + 1, sizeof *o.name), bf_alloc(all + 1, 1)};
  for (size_t i = 0; i < all; i++) {
    o.name[i] = i < w->inputs ? (uint32_t)i : UINT32_MAX;
    o.sign[i] = 1;
  }
  for (size_t i = w->inputs; i < all; i++) make(&o, (uint32_t)i);
  if (w->rows >= out->first_capacity) {
    out->first_capacity = w->rows + 64;
    out->first = bf_realloc(out->first, out->first_capacity, sizeof *out->first);
  }
  for (uint32_t r = 0; r < w->rows; r++) {
    out->first[r] = out->nterms;
    for (size_t i = cse.first[r]; i < cse.first[r + 1]; i++) {
      struct bf_cse_term t = cse.terms[i];
      BF_PUSH(out->terms, out->nterms, out->terms_capacity) = (struct bf_cse_term){(uint16_t)o.name[t.column], (int8_t)(t.sign * o.sign[t.column])};
    }
  }
  out->first[w->rows] = out->nterms;
  free(o.name);
  free(o.sign);
  free(matrix);
  bf_cse_free(&cse);
}

static void read_matrix(struct work *w, const int8_t *matrix) {
  for (uint32_t r = 0; r < w->rows; r++)
    for (uint32_t c = 0; c < w->inputs; c++) {
      int8_t m = matrix[(size_t)r * w->inputs + c];
      if (m) (m > 0 ? plus_of(w, r) : minus_of(w, r))[c / 64] |= (uint64_t)1 << c % 64;
    }
  for (w->n = 0; w->n < w->rows; w->n++) look_back(w, w->n);
}

void bf_cse_bottom_up(struct bf_cse *out, const int8_t *matrix, uint32_t rows, uint32_t inputs) {
  // Each part of three columns or more in two rows or more takes at least four terms away and adds none.
  size_t terms = 0;
  for (size_t i = 0; i < (size_t)rows * inputs; i++) terms += matrix[i] != 0;
  uint32_t parts = (uint32_t)(terms / 4 < BF_MAX_CSE_COLUMNS / 2 ? terms / 4 : BF_MAX_CSE_COLUMNS / 2);
  struct work w = {.rows = rows, .inputs = inputs, .words = (inputs + parts + 63) / 64, .capacity = rows + parts + 1};
  w.mask = bf_alloc((size_t)w.capacity * 2 * w.words + 1, sizeof *w.mask);
  w.size = bf_alloc(w.capacity, sizeof *w.size);
  w.with = bf_alloc(w.capacity, sizeof *w.with);
  w.sign = bf_alloc(w.capacity, sizeof *w.sign);
  read_matrix(&w, matrix);
  uint64_t *part = bf_alloc((size_t)2 * w.words + 1, sizeof *part);
  while (w.n < w.capacity - 1 && largest(&w, part, part + w.words) > 2) extract(&w, part, part + w.words);
  out->rows = rows;
  out->inputs = inputs;
  out->nops = out->nterms = 0;
  finish(out, &w);
  free(part);
  free(w.mask);
  free(w.size);
  free(w.with);
  free(w.sign);
}
