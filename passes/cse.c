// SPDX-License-Identifier: Apache-2.0
// Top-down pair elimination over columns as bit masks of rows.
#include "passes/cse.h"

#include <stdlib.h>
#include <string.h>

// A column's partner, among the columns before it, in the largest pair. A stale one may be too large.
struct best { uint32_t count, with; int8_t sign; bool stale; };

struct bf_cse_work {
  uint32_t words, n;
  size_t masks;           // words that `mask` has room for
  uint32_t columns;       // that `best` has room for
  uint64_t *mask;         // of column c: words of +1 at 2 * words * c, then words of -1
  uint32_t *pairs;        // of columns j < i, at i (i - 1) / 2 + j: rows with equal signs, and with opposite ones, 2 numbers each
  size_t pairs_capacity;
  struct best *best;
};

static uint64_t *plus_of(const struct bf_cse_work *w, uint32_t column) { return w->mask + (size_t)2 * w->words * column; }
static uint64_t *minus_of(const struct bf_cse_work *w, uint32_t column) { return plus_of(w, column) + w->words; }
static size_t pair_at(uint32_t i, uint32_t j) { return ((size_t)i * (i - 1) / 2 + j) * 2; }

static void reserve(struct bf_cse_work *w, uint32_t columns) {
  size_t masks = (size_t)columns * 2 * w->words, pairs = pair_at(columns, 0);
  if (masks > w->masks) {
    w->masks = masks + masks / 2 + 64;
    w->mask = bf_realloc(w->mask, w->masks, sizeof *w->mask);
  }
  if (columns > w->columns) {
    w->columns = columns + columns / 2 + 16;
    w->best = bf_realloc(w->best, w->columns, sizeof *w->best);
  }
  if (pairs <= w->pairs_capacity) return;
  w->pairs_capacity = pairs * 2 + 64;
  w->pairs = bf_realloc(w->pairs, w->pairs_capacity, sizeof *w->pairs);
}

// Set bits. (The builtin is a call on processors without an instruction for it.)
static uint32_t ones(uint64_t x) {
  x -= x >> 1 & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
  return (uint32_t)(((x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * UINT64_C(0x0101010101010101) >> 56);
}

// Counts the pair (i, j), j < i, and keeps the best of i up to date.
static void count_pair(struct bf_cse_work *w, uint32_t i, uint32_t j) {
  const uint64_t *ip = plus_of(w, i), *in = minus_of(w, i), *jp = plus_of(w, j), *jn = minus_of(w, j);
  uint32_t *pair = &w->pairs[pair_at(i, j)], counts[2] = {0, 0};
  for (uint32_t k = 0; k < w->words; k++) {
    uint64_t same = (ip[k] & jp[k]) | (in[k] & jn[k]), opposite = (ip[k] & jn[k]) | (in[k] & jp[k]);
    if (same) counts[0] += ones(same);
    if (opposite) counts[1] += ones(opposite);
  }
  struct best *best = &w->best[i];
  for (int s = 0; s < 2; s++) {
    int8_t sign = s ? -1 : 1;
    pair[s] = counts[s];
    if (counts[s] > best->count) *best = (struct best){counts[s], j, sign, best->stale};
    else if (best->with == j && best->sign == sign && counts[s] < best->count) best->stale = true;
  }
}

static void rescan(struct bf_cse_work *w, uint32_t i) {
  struct best *best = &w->best[i];
  *best = (struct best){0, 0, 1, false};
  for (uint32_t j = 0; j < i; j++)
    for (int s = 0; s < 2; s++) {
      uint32_t count = w->pairs[pair_at(i, j) + (size_t)s];
      if (count > best->count) *best = (struct best){count, j, s ? -1 : 1, false};
    }
}

// Column of the largest pair, its partner in *best.
static uint32_t largest(struct bf_cse_work *w) {
  for (;;) {
    uint32_t at = 0;
    for (uint32_t i = 1; i < w->n; i++)
      if (w->best[i].count > w->best[at].count) at = i;
    if (!w->best[at].stale) return at;
    rescan(w, at);
  }
}

static void read_matrix(struct bf_cse_work *w, const int8_t *matrix, uint32_t rows, uint32_t inputs) {
  w->words = rows ? (rows + 63) / 64 : 1;
  reserve(w, inputs + 1);
  memset(w->mask, 0, (size_t)2 * w->words * inputs * sizeof *w->mask);
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t c = 0; c < inputs; c++) {
      int8_t m = matrix[(size_t)r * inputs + c];
      if (m) (m > 0 ? plus_of(w, c) : minus_of(w, c))[r / 64] |= (uint64_t)1 << r % 64;
    }
  for (w->n = 0; w->n < inputs; w->n++) {
    w->best[w->n] = (struct best){0, 0, 1, false};
    for (uint32_t j = 0; j < w->n; j++) count_pair(w, w->n, j);
  }
}

// Column n := i + sign * j in all rows that have both so, or both negated.
static void extract(struct bf_cse_work *w, uint32_t i, uint32_t j, int8_t sign) {
  uint32_t t = w->n++;
  reserve(w, w->n + 1);
  uint64_t *ip = plus_of(w, i), *in = minus_of(w, i), *jp = plus_of(w, j), *jn = minus_of(w, j), *tp = plus_of(w, t), *tn = minus_of(w, t);
  for (uint32_t k = 0; k < w->words; k++) {
    tp[k] = ip[k] & (sign > 0 ? jp[k] : jn[k]);
    tn[k] = in[k] & (sign > 0 ? jn[k] : jp[k]);
    uint64_t gone = tp[k] | tn[k];
    ip[k] &= ~gone, in[k] &= ~gone, jp[k] &= ~gone, jn[k] &= ~gone;
  }
  w->best[t] = (struct best){0, 0, 1, false};
  for (uint32_t k = 0; k < w->n; k++) {
    const uint32_t changed[3] = {i, j, t};
    for (int c = 0; c < 3; c++)
      if (k != changed[c]) count_pair(w, k > changed[c] ? k : changed[c], k > changed[c] ? changed[c] : k);
  }
}

static void collect(struct bf_cse *out, const struct bf_cse_work *w) {
  out->nterms = 0;
  if (out->rows >= out->first_capacity) {
    out->first_capacity = out->rows + 64;
    out->first = bf_realloc(out->first, out->first_capacity, sizeof *out->first);
  }
  for (uint32_t r = 0; r < out->rows; r++) {
    out->first[r] = out->nterms;
    for (uint32_t c = 0; c < w->n; c++) {
      bool plus = plus_of(w, c)[r / 64] >> r % 64 & 1, minus = minus_of(w, c)[r / 64] >> r % 64 & 1;
      if (plus || minus) BF_PUSH(out->terms, out->nterms, out->terms_capacity) = (struct bf_cse_term){(uint16_t)c, plus ? 1 : -1};
    }
  }
  out->first[out->rows] = out->nterms;
}

void bf_cse_top_down(struct bf_cse *out, const int8_t *matrix, uint32_t rows, uint32_t inputs, uint32_t most) {
  if (!out->work) out->work = bf_alloc(1, sizeof *out->work);
  struct bf_cse_work *w = out->work;
  out->rows = rows;
  out->inputs = inputs;
  out->nops = 0;
  read_matrix(w, matrix, rows, inputs);
  while (out->nops < most && w->n < BF_MAX_CSE_COLUMNS && w->n) {
    uint32_t i = largest(w);
    struct best best = w->best[i];
    if (best.count < 2) break;
    BF_PUSH(out->ops, out->nops, out->ops_capacity) = (struct bf_cse_op){(uint16_t)best.with, (uint16_t)i, best.sign};
    extract(w, best.with, i, best.sign);
  }
  collect(out, w);
}

void bf_cse_free(struct bf_cse *cse) {
  if (cse->work) {
    free(cse->work->mask);
    free(cse->work->pairs);
    free(cse->work->best);
    free(cse->work);
  }
  free(cse->ops);
  free(cse->terms);
  free(cse->first);
  *cse = (struct bf_cse){0};
}

struct bf_cse_count bf_cse_count_of(const struct bf_cse *cse) {
  struct bf_cse_count count = {cse->nops, cse->nops};
  for (uint32_t r = 0; r < cse->rows; r++) {
    size_t terms = cse->first[r + 1] - cse->first[r];
    count.local += terms ? terms - 1 : 0;
    count.all += terms;
  }
  return count;
}

bool bf_cse_check(const struct bf_cse *cse, const int8_t *matrix) {
  size_t columns = cse->inputs + cse->nops;
  int32_t *values = bf_alloc(columns * cse->inputs + 1, sizeof *values);  // each column as a sum of the inputs
  bool ok = true;
  for (uint32_t i = 0; i < cse->inputs; i++) values[(size_t)i * cse->inputs + i] = 1;
  for (size_t i = 0; i < cse->nops && ok; i++) {
    const struct bf_cse_op *op = &cse->ops[i];
    ok = op->a < cse->inputs + i && op->b < cse->inputs + i && (op->sign == 1 || op->sign == -1);
    for (uint32_t c = 0; c < cse->inputs && ok; c++)
      values[(cse->inputs + i) * cse->inputs + c] = values[(size_t)op->a * cse->inputs + c] + op->sign * values[(size_t)op->b * cse->inputs + c];
  }
  for (uint32_t r = 0; r < cse->rows && ok; r++)
    for (uint32_t c = 0; c < cse->inputs && ok; c++) {
      int32_t sum = 0;
      for (size_t t = cse->first[r]; t < cse->first[r + 1] && ok; t++) {
        ok = cse->terms[t].column < columns;
        if (ok) sum += cse->terms[t].sign * values[(size_t)cse->terms[t].column * cse->inputs + c];
      }
      ok = ok && sum == matrix[(size_t)r * cse->inputs + c];
    }
  free(values);
  return ok;
}
