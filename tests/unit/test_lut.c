// SPDX-License-Identifier: Apache-2.0
// The LUT generator: bit steps against their integer meaning, optima against a naive search that is written here and shares
// nothing with the generator, impossible tables, wrong and mangled expressions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/lut.h"

static uint64_t seed = 1;
static uint64_t random64(void) {  // splitmix64
  uint64_t z = seed += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}
static unsigned pick(unsigned low, unsigned high) { return low + (unsigned)(random64() % (high - low + 1)); }

static const struct ap_lut_cost CYCLES = {.compare = 1, .write = 1};

// Parses; on failure returns the message in `message`.
static bool parse(const char *text, size_t length, struct ap_lut_table *table, char *message, size_t size) {
  struct bf_diags diags = {0};
  struct bf_buf out = {0};
  bool ok = ap_lut_parse(bf_diags_add_source(&diags, "table", text, length), table, &diags);
  assert_true(ok == (diags.errors == 0));
  bf_diags_render(&diags, &out);
  snprintf(message, size, "%s", bf_buf_cstr(&out));
  bf_buf_free(&out);
  bf_diags_free(&diags);
  return ok;
}
static struct ap_lut_table table_of(const char *text) {
  struct ap_lut_table table;
  char message[1000];
  if (!parse(text, strlen(text), &table, message, sizeof message))
    fail_msg("%s", message);
  return table;
}

// --- a simulator and a search of its own ---------------------------------------------------------------------

static unsigned literal_value(unsigned value, unsigned k) { return value < 2 ? value : value == AP_LIT_K ? k : !k; }

// Values of all columns after the program; `k`: the parameter.
static unsigned simulate(const struct ap_lut_program *p, unsigned values, unsigned k) {
  bool tag = false;
  for (unsigned i = 0; i < p->nsteps; i++) {
    const struct ap_lut_step *step = &p->steps[i];
    bool hit = true;
    unsigned next = values;
    for (unsigned l = 0; l < step->nlits; l++) {
      unsigned bit = 1u << step->lits[l].column, want = literal_value(step->lits[l].value, k) ? bit : 0;
      hit = hit && (values & bit) == want;
      next = (next & ~bit) | want;
    }
    if (step->kind == AP_STEP_COMPARE)
      tag = hit;
    if (step->kind == AP_STEP_COMPARE_OR)
      tag = tag || hit;
    if (step->kind == AP_STEP_WRITE_ALL)
      tag = true;
    if (step->kind >= AP_STEP_WRITE && tag)
      values = next;
  }
  return values;
}

struct naive {
  const struct ap_lut_table *t;
  unsigned writable, param, bits;
  bool accumulate;
  int compare, write, change, match;  // costs; cells in units of one row
};
#define NAIVE_NEVER INT32_MAX
#define NAIVE_MOST 2000

static unsigned naive_param(const struct naive *n, unsigned row) { return (n->t->row[row].in & n->param) != 0; }
static bool naive_goal(const struct naive *n, const unsigned *v) {
  for (unsigned r = 0; r < n->t->nrows; r++)
    if ((v[r] ^ n->t->row[r].out) & n->t->row[r].care)
      return false;
  return true;
}
// A state: tags, then the writable columns of each row.
static uint32_t naive_pack(const struct naive *n, const unsigned *v, unsigned tags) {
  uint32_t state = tags;
  for (unsigned r = 0; r < n->t->nrows; r++)
    for (unsigned c = 0; c < n->t->ncolumns; c++)
      if (n->writable >> c & 1)
        state = state << 1 | (v[r] >> c & 1);
  return state;
}
static unsigned naive_unpack(const struct naive *n, uint32_t state, unsigned *v) {
  for (unsigned r = n->t->nrows; r-- > 0;) {
    v[r] = n->t->row[r].in;
    for (unsigned c = n->t->ncolumns; c-- > 0;)
      if (n->writable >> c & 1)
        v[r] = (v[r] & ~(1u << c)) | (state & 1) << c, state >>= 1;
  }
  return state;
}

// One step: `code` has base-5 digits, 0: column not named, else 1 + value. Returns its cost, or -1 if it is none.
static int naive_step(const struct naive *n, unsigned kind, unsigned code, unsigned *v, unsigned *tags) {
  unsigned set = 0, named = 0, ones = 0, ks = 0, nots = 0;
  int cost = kind >= AP_STEP_WRITE ? n->write : n->compare;
  for (unsigned c = 0; c < n->t->ncolumns; c++, code /= 5) {
    unsigned digit = code % 5;
    named |= digit ? 1u << c : 0;
    ones |= digit == 2 ? 1u << c : 0;
    ks |= digit == 3 ? 1u << c : 0;
    nots |= digit == 4 ? 1u << c : 0;
  }
  if ((named & n->param) || ((ks | nots) && !n->param) || (kind >= AP_STEP_WRITE && (!named || (named & ~n->writable))))
    return -1;
  for (unsigned r = 0; r < n->t->nrows; r++) {
    unsigned want = ones | (naive_param(n, r) ? ks : nots), old = v[r];
    bool hit = (v[r] & named) == want, tagged = kind == AP_STEP_WRITE_ALL || (*tags >> r & 1);
    if (kind < AP_STEP_WRITE) {
      set |= hit ? 1u << r : 0;
      cost += hit ? n->match * __builtin_popcount(named) : 0;
    } else if (tagged) {
      v[r] = (v[r] & ~named) | want;
      cost += n->change * __builtin_popcount(old ^ v[r]);
    }
  }
  if (kind == AP_STEP_COMPARE)
    *tags = set;
  else if (kind == AP_STEP_COMPARE_OR)
    *tags |= set;
  else if (kind == AP_STEP_WRITE_ALL)
    *tags = (1u << n->t->nrows) - 1;
  return cost;
}

// Least cost over all programs, step by step, over every state there is; NAIVE_NEVER if none.
static int naive_search(const struct ap_lut_table *t, bool accumulate, int compare, int write, int change, int match) {
  struct naive n = {.t = t, .accumulate = accumulate, .compare = compare, .write = write, .change = change, .match = match};
  unsigned v[8], start[8], codes = 1, writables = 0;
  for (unsigned c = 0; c < t->ncolumns; c++, codes *= 5) {
    n.writable |= t->column[c].role == AP_LUT_INOUT || t->column[c].role == AP_LUT_OUTPUT ? 1u << c : 0;
    n.param |= t->column[c].role == AP_LUT_PARAM ? 1u << c : 0;
  }
  writables = (unsigned)__builtin_popcount(n.writable);
  size_t states = (size_t)1 << (t->nrows * (writables + 1));
  int *dist = malloc(states * sizeof *dist), found = NAIVE_NEVER;
  uint32_t *queue = malloc(states * sizeof *queue);
  for (size_t s = 0; s < states; s++)
    dist[s] = NAIVE_NEVER;
  for (unsigned r = 0; r < t->nrows; r++)
    start[r] = t->row[r].in;
  dist[naive_pack(&n, start, 0)] = 0;
  // Costs are small whole numbers: one sweep a cost.
  for (int cost = 0; cost < NAIVE_MOST && found == NAIVE_NEVER; cost++) {
    size_t count = 0;
    bool left = false;
    for (size_t s = 0; s < states; s++) {
      left |= dist[s] >= cost && dist[s] != NAIVE_NEVER;
      if (dist[s] == cost)
        queue[count++] = (uint32_t)s;
    }
    if (!left)
      break;
    for (size_t q = 0; q < count && found == NAIVE_NEVER; q++) {
      unsigned tags = naive_unpack(&n, queue[q], v);
      if (naive_goal(&n, v))
        found = cost;
      for (unsigned kind = AP_STEP_COMPARE; kind <= AP_STEP_WRITE_ALL; kind++)
        for (unsigned code = 0; code < codes; code++) {
          unsigned w[8], after = tags;
          memcpy(w, v, sizeof w);
          if ((kind == AP_STEP_COMPARE_OR && !accumulate) || (kind == AP_STEP_WRITE && !tags))
            continue;
          int step = naive_step(&n, kind, code, w, &after);
          uint32_t next = step < 0 ? 0 : naive_pack(&n, w, after);
          if (step > 0 && cost + step < dist[next])
            dist[next] = cost + step;
        }
    }
  }
  free(dist);
  free(queue);
  return found;
}

static struct ap_lut_table random_table(unsigned max_rows) {
  struct ap_lut_table t = {.ncolumns = pick(2, 3)};
  unsigned writable = 0;
  bool param = pick(0, 3) == 0;
  for (unsigned c = 0; c < t.ncolumns; c++) {
    t.column[c].name[0] = (char)('a' + c);
    t.column[c].role = param && c == 0 ? AP_LUT_PARAM : pick(0, 2) || writable == 3 ? AP_LUT_INOUT : AP_LUT_INPUT;
    if (c == 1 && !writable)
      t.column[c].role = AP_LUT_INOUT;
    if (t.column[c].role == AP_LUT_INOUT)
      writable |= 1u << c;
    if (writable == 7)
      t.column[c].role = AP_LUT_INPUT, writable = 3;
  }
  for (unsigned in = 0; in < 1u << t.ncolumns && t.nrows < max_rows; in++) {
    if (pick(0, 3) == 0 && in)
      continue;
    unsigned out = (in & ~writable) | ((unsigned)random64() & writable), care = pick(0, 4) ? 255 : (unsigned)random64();
    if (pick(0, 2) == 0)
      out = in;
    t.row[t.nrows++] = (struct ap_lut_row){(uint8_t)in, (uint8_t)out, (uint8_t)((care | ~writable) & ((1u << t.ncolumns) - 1))};
  }
  return t;
}

static void random_tables_have_least_cost(void **state) {
  unsigned solved = 0, impossible = 0;
  for (unsigned i = 0; i < 400; i++) {
    struct ap_lut_table t = random_table(5);
    int compare = 1, write = (int)pick(1, 4), change = (int)pick(0, 2), match = (int)pick(0, 1);
    struct ap_lut_options options = {.cost = {compare, write, match * (int)t.nrows, 0, change * (int)t.nrows, 0}};
    options.features = i & 1 ? AP_FEATURE_ACCUMULATE : 0;
    struct ap_lut_program p;
    const char *why;
    enum ap_lut_result result = ap_lut_search(&t, &options, &p, &why);
    int naive = naive_search(&t, i & 1, compare, write, change, match);
    if (naive == NAIVE_NEVER) {
      assert_int_equal(result, AP_LUT_IMPOSSIBLE);
      assert_non_null(why);
      impossible++;
      continue;
    }
    assert_int_equal(result, AP_LUT_FOUND);
    assert_true(p.optimal);
    assert_null(ap_lut_check(&t, &p));
    if (p.cost < naive - 1e-9 || p.cost > naive + 1e-9)
      fail_msg("table %u: cost %.12g, least cost %d", i, p.cost, naive);
    solved++;
  }
  printf("%u random tables have their least cost, %u are impossible\n", solved, impossible);
  assert_true(solved > 50 && impossible > 20);
}

// --- bit steps --------------------------------------------------------------------------------------------------

// Integer meanings of a choice of steps, written from arithmetic, not from the expressions of the table. v: values by the
// letter of the column; returns true if the row can occur, with the results in v.
static bool meaning(enum ap_bit_step step, unsigned *v) {
  unsigned a = v['a'], b = v['b'], c = v['c'], d = v['d'], f = v['f'], g = v['g'], k = v['$'];
  int sum;
  switch (step) {
  case AP_BIT_ADD: sum = (int)(a + d + c); v['d'] = sum & 1, v['c'] = sum > 1; return true;
  case AP_BIT_ADD_FIRST: sum = (int)(a + d); v['d'] = sum & 1, v['c'] = sum > 1; return !c;
  case AP_BIT_SUB: sum = (int)d - (int)a - (int)c; v['d'] = (unsigned)sum & 1, v['c'] = sum < 0; return true;
  case AP_BIT_SUBR: sum = (int)a - (int)d - (int)c; v['d'] = (unsigned)sum & 1, v['c'] = sum < 0; return true;
  case AP_BIT_INC: sum = (int)(d + c); v['d'] = sum & 1, v['c'] = sum > 1; return true;
  case AP_BIT_DEC: sum = (int)d - (int)c; v['d'] = (unsigned)sum & 1, v['c'] = sum < 0; return true;
  case AP_BIT_ADDK: sum = (int)(d + c + k); v['d'] = sum & 1, v['c'] = sum > 1; return true;
  case AP_BIT_SUBK: sum = (int)d - (int)c - (int)k; v['d'] = (unsigned)sum & 1, v['c'] = sum < 0; return true;
  case AP_BIT_ADDO: sum = (int)(a + b + c); v['r'] = sum & 1, v['c'] = sum > 1; return true;
  case AP_BIT_SUBO: sum = (int)a - (int)b - (int)c; v['r'] = (unsigned)sum & 1, v['c'] = sum < 0; return true;
  case AP_BIT_COPY: v['r'] = a; return true;
  case AP_BIT_NOT: v['r'] = 1 - a; return true;
  case AP_BIT_AND: v['d'] = a * d; return true;
  case AP_BIT_OR: v['d'] = a + d > 0; return true;
  case AP_BIT_XORO: v['r'] = a != b; return true;
  case AP_BIT_GT: v['d'] = a > b || (a == b && d); return true;
  case AP_BIT_LT: v['d'] = a < b || (a == b && d); return true;
  case AP_BIT_GTK: v['d'] = a > k || (a == k && d); return true;
  case AP_BIT_LTK: v['d'] = a < k || (a == k && d); return true;
  case AP_BIT_EQ: v['d'] = a == b && d; return true;
  case AP_BIT_MAX: case AP_BIT_MIN: {
    // The numbers seen so far, each by one digit above the others: f says that a's wins, g that d's does.
    int winner = f ? 1 : g ? 2 : a == d ? 0 : (a > d) == (step == AP_BIT_MAX) ? 1 : 2;
    v['d'] = winner == 1 ? a : d;
    v['f'] = winner == 1, v['g'] = winner == 2;
    return !(f && g);
  }
  default: return true;
  }
}

static bool has_meaning(unsigned step) {
  unsigned v[128] = {0};
  static const enum ap_bit_step LIST[] = {AP_BIT_ADD, AP_BIT_ADD_FIRST, AP_BIT_SUB, AP_BIT_SUBR, AP_BIT_INC, AP_BIT_DEC, AP_BIT_ADDK,
                                          AP_BIT_SUBK, AP_BIT_ADDO, AP_BIT_SUBO, AP_BIT_COPY, AP_BIT_NOT, AP_BIT_AND, AP_BIT_OR,
                                          AP_BIT_XORO, AP_BIT_GT, AP_BIT_LT, AP_BIT_GTK, AP_BIT_LTK, AP_BIT_EQ, AP_BIT_MAX, AP_BIT_MIN};
  for (size_t i = 0; i < BF_COUNT(LIST); i++)
    if (LIST[i] == step)
      return meaning(LIST[i], v) || true;
  return false;
}

// The program against arithmetic, over all combinations of initial values.
static void check_meaning(unsigned step, const struct ap_lut_table *t, const struct ap_lut_program *p) {
  unsigned rows = 0;
  for (unsigned in = 0; in < 1u << t->ncolumns; in++) {
    unsigned v[128] = {0}, want = 0, k = 0;
    bool initial = true;
    for (unsigned c = 0; c < t->ncolumns; c++) {
      v[(unsigned char)t->column[c].name[0]] = in >> c & 1;
      if (t->column[c].role == AP_LUT_PARAM)
        k = in >> c & 1;
      if (t->column[c].role == AP_LUT_OUTPUT)
        initial = initial && (in >> c & 1) == t->column[c].initial;
    }
    if (!initial || !meaning((enum ap_bit_step)step, v))
      continue;
    for (unsigned c = 0; c < t->ncolumns; c++)
      want |= v[(unsigned char)t->column[c].name[0]] << c;
    assert_int_equal(simulate(p, in, k), want);
    rows++;
  }
  assert_int_equal(rows, t->nrows);
}

static void bit_steps_do_what_they_say(void **state) {
  unsigned proven = 0, programs = 0;
  for (unsigned step = 0; step < AP_BIT_STEP_COUNT; step++) {
    const struct ap_bit_step_info *info = ap_bit_step_info(step);
    struct ap_lut_table t = table_of(info->table);
    for (unsigned variant = 0; variant < 4; variant++) {
      unsigned features = variant & 1 ? AP_FEATURE_ACCUMULATE : 0, known = variant & 1 ? info->known_accumulate : info->known_classic;
      const struct ap_lut_program *p = ap_bit_step_program((enum ap_bit_step)step, features, variant >> 1);
      assert_non_null(p);
      if (ap_lut_check(&t, p))
        fail_msg("%s: %s", info->name, ap_lut_check(&t, p));
      for (unsigned r = 0; r < t.nrows; r++) {
        unsigned k = 0;
        for (unsigned c = 0; c < t.ncolumns; c++)
          k |= t.column[c].role == AP_LUT_PARAM ? t.row[r].in >> c & 1 : 0;
        assert_int_equal((simulate(p, t.row[r].in, k) ^ t.row[r].out) & t.row[r].care, 0);
      }
      for (unsigned s = 0; s < p->nsteps && !(variant & 1); s++)
        assert_int_not_equal(p->steps[s].kind, AP_STEP_COMPARE_OR);
      if (has_meaning(step))
        check_meaning(step, &t, p);
      if (known && !(variant >> 1))
        assert_int_equal(p->nsteps, known);
      assert_int_equal(p->compares + p->writes, p->nsteps);
      proven += p->optimal;
      programs++;
    }
    const struct ap_lut_program *few = ap_bit_step_program((enum ap_bit_step)step, AP_FEATURE_ACCUMULATE, true);
    assert_true(few->writes <= ap_bit_step_program((enum ap_bit_step)step, AP_FEATURE_ACCUMULATE, false)->writes);
  }
  assert_null(ap_bit_step_info(AP_BIT_STEP_COUNT));
  printf("%u programs of bit steps, %u proven optimal\n", programs, proven);
  assert_int_equal(proven, programs);
}

static void search_is_deterministic(void **state) {
  struct ap_lut_table t = table_of("d, c = a ^ d ^ c, maj(a, d, c)");
  struct ap_lut_options options = {.features = AP_FEATURE_ACCUMULATE, .cost = CYCLES};
  struct ap_lut_program p, q;
  const char *why;
  assert_int_equal(ap_lut_search(&t, &options, &p, &why), AP_LUT_FOUND);
  assert_int_equal(ap_lut_search(&t, &options, &q, &why), AP_LUT_FOUND);
  assert_int_equal(p.nsteps, q.nsteps);
  assert_memory_equal(p.steps, q.steps, p.nsteps * sizeof *p.steps);
}

// --- tables without a program, large ones, small budgets ----------------------------------------------------------

static enum ap_lut_result search_text(const char *text, unsigned features, uint64_t max_states, struct ap_lut_program *p, const char **why) {
  struct ap_lut_table t = table_of(text);
  struct ap_lut_options options = {.features = features, .cost = CYCLES, .max_states = max_states};
  enum ap_lut_result result = ap_lut_search(&t, &options, p, why);
  if (result == AP_LUT_FOUND)
    assert_null(ap_lut_check(&t, p));
  else
    assert_non_null(*why);
  return result;
}

static void impossible_tables_are_refused(void **state) {
  struct ap_lut_program p;
  const char *why;
  for (unsigned features = 0; features < 2; features++) {
    assert_int_equal(search_text("d = !d", features, 0, &p, &why), AP_LUT_IMPOSSIBLE);
    assert_int_equal(search_text("a, b = b, a", features, 0, &p, &why), AP_LUT_IMPOSSIBLE);
    assert_int_equal(search_text("d = a ^ d", features, 0, &p, &why), AP_LUT_IMPOSSIBLE);
    assert_int_equal(search_text("d = d ^ $k", features, 0, &p, &why), AP_LUT_IMPOSSIBLE);
  }
  struct ap_lut_table t = {.ncolumns = 1, .nrows = 2, .column = {{"a", AP_LUT_INPUT, 0}}, .row = {{0, 0, 1}, {0, 0, 1}}};
  struct ap_lut_options options = {.cost = CYCLES};
  assert_int_equal(ap_lut_search(&t, &options, &p, &why), AP_LUT_IMPOSSIBLE);  // equal rows
  t.row[1] = (struct ap_lut_row){1, 0, 1};
  assert_int_equal(ap_lut_search(&t, &options, &p, &why), AP_LUT_IMPOSSIBLE);  // an input would change
  assert_non_null(ap_lut_check(&t, &p));
}

static void cyclic_tables_are_explained(void **state) {
  struct ap_lut_program p;
  const char *why;
  assert_int_equal(search_text("d, c = a ^ d ^ c, maj(!a, d, c)", 0, 0, &p, &why), AP_LUT_FOUND);
  assert_non_null(why);
  assert_non_null(strstr(why, "cyclic"));
  assert_false(p.once);
  assert_int_equal(search_text("d, c = a ^ d ^ c, maj(a, d, c)", 0, 0, &p, &why), AP_LUT_FOUND);
  assert_null(why);
  assert_true(p.once);
}

static void trivial_and_large_tables(void **state) {
  struct ap_lut_program p;
  const char *why;
  assert_int_equal(search_text("d = d", 0, 0, &p, &why), AP_LUT_FOUND);
  assert_int_equal(p.nsteps, 0);
  assert_true(p.optimal);
  assert_int_equal(search_text("d, f = 0, 1 where d | !f", 0, 0, &p, &why), AP_LUT_FOUND);
  assert_int_equal(p.nsteps, 1);
  assert_int_equal(p.steps[0].kind, AP_STEP_WRITE_ALL);
  // Eight columns, more rows than the exact search takes.
  assert_int_equal(search_text("r = a & b & c & d & e & f & g", 0, 0, &p, &why), AP_LUT_FOUND);
  assert_int_equal(p.nsteps, 2);
  assert_int_equal(search_text("r, c = a ^ b ^ c ^ d ^ e ^ f, a & b & d", AP_FEATURE_ACCUMULATE, 2000, &p, &why), AP_LUT_FOUND);
}

static void a_small_budget_gives_a_right_program(void **state) {
  struct ap_lut_program p;
  const char *why;
  for (uint64_t budget = 1; budget < 2000; budget *= 3) {
    assert_int_equal(search_text("r, c = a ^ b ^ c, maj(a, b, c)", AP_FEATURE_ACCUMULATE, budget, &p, &why), AP_LUT_FOUND);
    assert_true(p.nsteps >= 7);
  }
  assert_int_equal(search_text("d, c = a ^ d ^ c, maj(!a, d, c)", 0, 1, &p, &why), AP_LUT_BUDGET);
}

static void check_finds_wrong_programs(void **state) {
  struct ap_lut_table t = table_of("d, c = a ^ d ^ c, maj(a, d, c)");
  struct ap_lut_program right = *ap_bit_step_program(AP_BIT_ADD, 0, false);
  assert_null(ap_lut_check(&t, &right));
  for (unsigned s = 0; s < right.nsteps; s++) {
    struct ap_lut_program wrong = right;
    wrong.steps[s].lits[0].value ^= 1;
    assert_non_null(ap_lut_check(&t, &wrong));
    wrong = right;
    wrong.steps[s].lits[0].column = 3;
    assert_non_null(ap_lut_check(&t, &wrong));
    wrong = right;
    wrong.steps[s].lits[0].value = AP_LIT_K;
    assert_non_null(ap_lut_check(&t, &wrong));
    wrong = right;
    wrong.steps[s].kind = 9;
    assert_non_null(ap_lut_check(&t, &wrong));
    wrong = right;
    wrong.steps[s].lits[1] = wrong.steps[s].lits[0];
    wrong.steps[s].nlits = 2;
    assert_non_null(ap_lut_check(&t, &wrong));
  }
  right.steps[0].kind = AP_STEP_WRITE;
  assert_non_null(ap_lut_check(&t, &right));
  right.nsteps = AP_LUT_MAX_STEPS + 1;
  assert_non_null(ap_lut_check(&t, &right));
}

// --- the language -------------------------------------------------------------------------------------------------

static void columns_have_roles_and_order(void **state) {
  struct ap_lut_table t = table_of("r(1), s, d = $k ? a : !b, d = a, d < b where !(a & b)");
  static const struct { const char *name; enum ap_lut_role role; unsigned initial; } WANT[] = {
    {"$k", AP_LUT_PARAM, 0}, {"a", AP_LUT_INPUT, 0}, {"b", AP_LUT_INPUT, 0}, {"d", AP_LUT_INOUT, 0}, {"r", AP_LUT_OUTPUT, 1},
    {"s", AP_LUT_OUTPUT, 0}};
  assert_int_equal(t.ncolumns, BF_COUNT(WANT));
  for (unsigned c = 0; c < t.ncolumns; c++) {
    assert_string_equal(t.column[c].name, WANT[c].name);
    assert_int_equal(t.column[c].role, WANT[c].role);
    assert_int_equal(t.column[c].initial, WANT[c].initial);
  }
  assert_int_equal(t.nrows, 12);
  for (unsigned i = 0; i < t.nrows; i++) {
    unsigned in = t.row[i].in, k = in & 1, a = in >> 1 & 1, b = in >> 2 & 1, d = in >> 3 & 1;
    assert_false(a && b);
    assert_int_equal(in >> 4, 1);
    assert_int_equal(t.row[i].out, (in & 7) | (unsigned)(d < b) << 3 | (k ? a : !b) << 4 | (unsigned)(d == a) << 5);
    assert_int_equal(t.row[i].care, 63);
  }
}

static void operators_bind_as_documented(void **state) {
  static const char *const PAIRS[][2] = {
    {"r = a | b & c", "r = a | (b & c)"},       {"r = a ^ b & c", "r = a ^ (b & c)"},
    {"r = a | b ^ c", "r = a | (b ^ c)"},       {"r = a ^ b = c", "r = (a ^ b) = c"},
    {"r = a < b | c", "r = a < (b | c)"},       {"r = a ? b : c ? a : b", "r = mux(a, b, mux(c, a, b))"},
    {"r = !a & b | ~!c", "r = ((!a) & b) | c"}, {"r = maj(a, b, c)", "r = a & b | a & c | b & c"}};
  for (size_t i = 0; i < BF_COUNT(PAIRS); i++) {
    struct ap_lut_table x = table_of(PAIRS[i][0]), y = table_of(PAIRS[i][1]);
    assert_memory_equal(x.row, y.row, sizeof x.row);
  }
}

static void wrong_expressions_are_located(void **state) {
  static const struct { const char *text, *want; } CASES[] = {
    {"", "table:1:1: error: the name of a result"},
    {"d", "table:1:2: error: ',' or '='"},
    {"d = ", "table:1:5: error: an operand"},
    {"d = a +b", "table:1:7: error: "},
    {"d = (a", "table:1:7: error: ')'"},
    {"d = a)", "table:1:6: error: the end or 'where'"},
    {"d = maj(a, b)", "table:1:13: error: ','"},
    {"d = maj(a, b, c, d)", "table:1:16: error: ')'"},
    {"d, e = a", "table:1:9: error: there are fewer"},
    {"d = a, b", "table:1:6: error: there are more"},
    {"d, d = a, b", "table:1:4: error: the result is named twice"},
    {"d(2) = a", "table:1:3: error: the initial value"},
    {"d(1) = d & a", "table:1:1: error: the result is also an operand"},
    {"d = $j & $k", "table:1:10: error: a table has at most one parameter"},
    {"$d = a", "table:1:1: error: a parameter is no result"},
    {"d = a & -", "table:1:9: error: an operand"},
    {"d = a where", "table:1:12: error: an operand"},
    {"d = a where a & !a", "table:1:7: error: no combination"},
    {"d = a ? b", "table:1:10: error: ':'"},
    {"d = a & b & c & e & f & g & h & i", "table:1:1: error: too many columns"},
    {"d = abcdefghijklmnopqrstuvwxyz", "table:1:5: error: the name is too long"},
    {"r = a & b & c & e & f & g & h & i & k", "table:1:37: error: too many columns"},
    {"r = a & b & c & e & f & g & h\n, a", "table:2:1: error: there are more"}};
  for (size_t i = 0; i < BF_COUNT(CASES); i++) {
    struct ap_lut_table t;
    char message[1000];
    assert_false(parse(CASES[i].text, strlen(CASES[i].text), &t, message, sizeof message));
    if (!strstr(message, CASES[i].want))
      fail_msg("%s\ngives: %s\nnot:   %s", CASES[i].text, message, CASES[i].want);
  }
}

static void mangled_expressions_do_no_harm(void **state) {
  static const char TEXT[] = "d, f(1), g = f & a | g & d | !($k ^ g) ? maj(a, b, d) : mux(a < b, 0, 1), -, a = b where !(a & b)";
  struct ap_lut_table t;
  char message[1000], copy[sizeof TEXT], deep[4000];
  for (size_t length = 0; length < sizeof TEXT; length++)
    parse(TEXT, length, &t, message, sizeof message);
  for (unsigned i = 0; i < 5000; i++) {
    memcpy(copy, TEXT, sizeof TEXT);
    for (unsigned edits = pick(1, 4); edits > 0; edits--)
      copy[pick(0, sizeof TEXT - 2)] = pick(0, 3) ? "!~&^|=<?:(),01-$ adfgbw"[pick(0, 22)] : (char)random64();
    parse(copy, sizeof TEXT - 1, &t, message, sizeof message);
  }
  static const char *const REPEATED[] = {"(", "!", "a?", "a?b:", "maj(", "a&", "a,", "$", "-"};
  for (size_t i = 0; i < BF_COUNT(REPEATED); i++) {
    size_t length = (size_t)snprintf(deep, sizeof deep, "d = "), step = strlen(REPEATED[i]);
    for (; length + step < sizeof deep - 2; length += step)
      memcpy(deep + length, REPEATED[i], step);
    deep[length++] = 'a';
    parse(deep, length, &t, message, sizeof message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bit_steps_do_what_they_say),
    cmocka_unit_test(search_is_deterministic),
    cmocka_unit_test(random_tables_have_least_cost),
    cmocka_unit_test(impossible_tables_are_refused),
    cmocka_unit_test(cyclic_tables_are_explained),
    cmocka_unit_test(trivial_and_large_tables),
    cmocka_unit_test(a_small_budget_gives_a_right_program),
    cmocka_unit_test(check_finds_wrong_programs),
    cmocka_unit_test(columns_have_roles_and_order),
    cmocka_unit_test(operators_bind_as_documented),
    cmocka_unit_test(wrong_expressions_are_located),
    cmocka_unit_test(mangled_expressions_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
