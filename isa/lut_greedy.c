// SPDX-License-Identifier: Apache-2.0
// A program found by always taking the pass that makes most rows right: the upper bound that the search starts from, and the
// answer for tables too large to search. If that gets stuck, rows are rewritten only to their final values, which succeeds
// wherever there is an order that rewrites each row once.
#include <string.h>

#include "isa/lut_internal.h"

struct greedy {
  const struct ap_lut_table *table;
  struct ap_lut_program *out;
  bool accumulate, strict;  // strict: no intermediate values
  unsigned writable, param;
  uint8_t now[AP_LUT_MAX_ROWS], before[AP_LUT_MAX_ROWS];  // before the last write
  bool tag[AP_LUT_MAX_ROWS];                              // tags of the last write
};

static bool wrong(const struct greedy *g, unsigned r) {
  return ((g->now[r] ^ g->table->row[r].out) & g->table->row[r].care) != 0;
}

bool lut_once_order(const struct ap_lut_table *table) {
  bool waits[256] = {false}, left[AP_LUT_MAX_ROWS] = {false};
  unsigned writable = 0;
  for (unsigned c = 0; c < table->ncolumns; c++)
    if (table->column[c].role == AP_LUT_INOUT || table->column[c].role == AP_LUT_OUTPUT)
      writable |= 1u << c;
  for (unsigned r = 0; r < table->nrows; r++) {
    const struct ap_lut_row *row = &table->row[r];
    left[r] = ((row->in ^ row->out) & row->care) != 0;
    waits[row->in] = left[r];
  }
  // A row can go first if it can land where no row waits for its own turn.
  for (bool progress = true; progress;) {
    progress = false;
    for (unsigned r = 0; r < table->nrows; r++) {
      const struct ap_lut_row *row = &table->row[r];
      unsigned free_columns = writable & ~(unsigned)row->care, kept = (row->out & row->care) | (row->in & ~writable);
      for (unsigned f = free_columns;; f = (f - 1) & free_columns) {
        if (left[r] && !waits[kept | f]) {
          left[r] = waits[row->in] = false;
          progress = true;
        }
        if (f == 0)
          break;
      }
    }
  }
  for (unsigned r = 0; r < table->nrows; r++)
    if (left[r])
      return false;
  return true;
}

// How many wrong rows become right by a compare and a write; -1 if a right row becomes wrong or a row can no longer be
// told from one that must differ.
static int gain(const struct greedy *g, const struct ap_lut_step *key, const struct ap_lut_step *write) {
  uint8_t next[AP_LUT_MAX_ROWS];
  unsigned owner[256] = {0};  // by current values: 1 + a row that holds them
  int rows = 0;
  for (unsigned r = 0; r < g->table->nrows; r++) {
    const struct ap_lut_row *row = &g->table->row[r];
    bool tag = false, param = (row->in & g->param) != 0;
    next[r] = g->now[r];
    ap_lut_apply(key, param, &next[r], &tag);
    ap_lut_apply(write, param, &next[r], &tag);
    bool right = ((next[r] ^ row->out) & row->care) == 0;
    if (!right && (!wrong(g, r) || (g->strict && next[r] != g->now[r])))
      return -1;
    rows += right && wrong(g, r);
  }
  for (unsigned r = 0; r < g->table->nrows; r++) {
    const struct ap_lut_row *row = &g->table->row[r], *other;
    if (!owner[next[r]])
      owner[next[r]] = r + 1;
    other = &g->table->row[owner[next[r]] - 1];
    if (((row->out ^ other->out) & row->care & other->care) != 0)
      return -1;
  }
  return rows;
}

static struct ap_lut_step step_of(const struct greedy *g, unsigned kind, unsigned columns, unsigned values, bool k_form, bool param) {
  struct ap_lut_step step = {.kind = (uint8_t)kind};
  for (unsigned c = 0; c < g->table->ncolumns; c++) {
    if (!(columns >> c & 1))
      continue;
    unsigned value = values >> c & 1;
    if (k_form)
      value = value == param ? AP_LIT_K : AP_LIT_NOT_K;
    step.lits[step.nlits++] = (struct ap_lut_lit){(uint8_t)c, (uint8_t)value};
  }
  return step;
}

// Drops the literals that are not needed to keep the gain (or that are in the way of more).
static int relax(const struct greedy *g, struct ap_lut_step *key, const struct ap_lut_step *write) {
  int best = gain(g, key, write);
  for (unsigned i = 0; best >= 0 && i < key->nlits;) {
    struct ap_lut_step fewer = *key;
    memmove(&fewer.lits[i], &fewer.lits[i + 1], (key->nlits - i - 1) * sizeof *fewer.lits);
    fewer.nlits--;
    int rows = gain(g, &fewer, write);
    if (rows >= best)
      best = rows, *key = fewer;
    else
      i++;
  }
  return best;
}

static bool same_write(const struct greedy *g, const struct ap_lut_step *write) {
  return g->accumulate && g->out->nsteps && memcmp(&g->out->steps[g->out->nsteps - 1], write, sizeof *write) == 0;
}

// The pass that makes most rows right; among these one that writes what the last one wrote. 0 if there is none.
static int best_pass(const struct greedy *g, struct ap_lut_step *key, struct ap_lut_step *write) {
  int best = 0;
  for (unsigned r = 0; r < g->table->nrows; r++) {
    const struct ap_lut_row *row = &g->table->row[r];
    unsigned free_columns = g->writable & ~(unsigned)row->care, need = (g->now[r] ^ row->out) & row->care;
    bool param = (row->in & g->param) != 0;
    for (unsigned form = 0; wrong(g, r) && form < (g->param ? 4 : 1); form++)
      for (unsigned f = free_columns;; f = (f - 1) & free_columns) {
        struct ap_lut_step k = step_of(g, AP_STEP_COMPARE, ((1u << g->table->ncolumns) - 1) & ~g->param, g->now[r], form & 1, param);
        struct ap_lut_step w = step_of(g, AP_STEP_WRITE, need | f, (row->out & need) | (~(unsigned)g->now[r] & f), form >> 1, param);
        int rows = relax(g, &k, &w), score = 2 * rows + (rows > 0 && same_write(g, &w));
        if (score > best)
          best = score, *key = k, *write = w;
        if (f == 0)
          break;
      }
  }
  return best;
}

// Moves a compare before the last write, which is its own too, if that comes to the same.
static bool merge(struct greedy *g, const struct ap_lut_step *key, const struct ap_lut_step *write, const uint8_t *after) {
  bool tags[AP_LUT_MAX_ROWS];
  if (!same_write(g, write))
    return false;
  for (unsigned r = 0; r < g->table->nrows; r++) {
    bool param = (g->table->row[r].in & g->param) != 0, match = false;
    uint8_t values = g->before[r];
    ap_lut_apply(key, param, &values, &match);
    tags[r] = g->tag[r] || match;
    ap_lut_apply(write, param, &values, &tags[r]);
    if (values != after[r])
      return false;
  }
  memcpy(g->tag, tags, sizeof tags);
  struct ap_lut_step *last = &g->out->steps[g->out->nsteps - 1];
  *last = *key;
  last->kind = AP_STEP_COMPARE_OR;
  g->out->steps[g->out->nsteps++] = *write;
  return true;
}

static bool add_pass(struct greedy *g, const struct ap_lut_step *key, const struct ap_lut_step *write) {
  uint8_t after[AP_LUT_MAX_ROWS];
  bool tags[AP_LUT_MAX_ROWS] = {false};
  memcpy(after, g->now, sizeof after);
  for (unsigned r = 0; r < g->table->nrows; r++) {
    bool param = (g->table->row[r].in & g->param) != 0;
    ap_lut_apply(key, param, &after[r], &tags[r]);
    ap_lut_apply(write, param, &after[r], &tags[r]);
  }
  if (g->out->nsteps + 2 > AP_LUT_MAX_STEPS)
    return false;
  if (!merge(g, key, write, after)) {
    memcpy(g->before, g->now, sizeof after);
    memcpy(g->tag, tags, sizeof tags);
    g->out->steps[g->out->nsteps++] = *key;
    g->out->steps[g->out->nsteps++] = *write;
  }
  memcpy(g->now, after, sizeof after);
  return true;
}

static bool greedy(const struct ap_lut_table *table, bool accumulate, bool strict, struct ap_lut_program *out) {
  struct greedy g = {.table = table, .out = out, .accumulate = accumulate, .strict = strict, .param = ap_lut_param(table)};
  *out = (struct ap_lut_program){0};
  for (unsigned c = 0; c < table->ncolumns; c++)
    if (table->column[c].role == AP_LUT_INOUT || table->column[c].role == AP_LUT_OUTPUT)
      g.writable |= 1u << c;
  for (unsigned r = 0; r < table->nrows; r++)
    g.now[r] = table->row[r].in;
  for (;;) {
    struct ap_lut_step key, write;
    bool done = true;
    for (unsigned r = 0; r < table->nrows; r++)
      done &= !wrong(&g, r);
    if (done)
      return true;
    if (best_pass(&g, &key, &write) == 0 || !add_pass(&g, &key, &write))
      return false;
  }
}

bool lut_greedy(const struct ap_lut_table *table, bool accumulate, struct ap_lut_program *out) {
  return greedy(table, accumulate, false, out) || greedy(table, accumulate, true, out);
}
