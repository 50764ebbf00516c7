// SPDX-License-Identifier: Apache-2.0
// Microcode against its integer meaning: every compute op, every width up to 8 with all operand values, random
// values above. Each program runs on a small scalar executor written here and on the engine's step
// primitive; both must give the integer result, the same step counts and untouched operands.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/cap.h"

typedef unsigned __int128 row_t;  // the columns of one row
#define COLUMNS 128
#define FIRST_COLUMN 4
#define MAX_ROWS (1u << 17)
#define SPARE_ROWS 37  // rows outside the mask

static uint64_t programs, cases;

static uint64_t random_state = 1;
static uint64_t next_random(void) {  // xorshift64*
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * UINT64_C(2685821657736338717);
}

static uint64_t low_bits(uint64_t v, unsigned width) { return width < 64 ? v & (((uint64_t)1 << width) - 1) : v; }
static int64_t sign_extend(uint64_t v, unsigned width) {
  uint64_t sign = (uint64_t)1 << (width - 1);
  return (int64_t)((low_bits(v, width) ^ sign) - sign);
}

// The meaning of each op, from the semantics column of isa/ap_isa.def.
static uint64_t meaning(enum ap_op op, const uint8_t w[3], uint64_t d, uint64_t a, uint64_t b, uint64_t k) {
  switch (op) {
    case AP_OP_SETK: return k;
    case AP_OP_SETKIF: return a ? k : d;
    case AP_OP_COPY: return a;
    case AP_OP_COPYIF: return b ? a : d;
    case AP_OP_NOT: return low_bits(~a, w[0]);
    case AP_OP_ADD: return low_bits(d + a, w[0]);
    case AP_OP_SUB: return low_bits(d - a, w[0]);
    case AP_OP_ADDS: return low_bits(d + (uint64_t)sign_extend(a, w[1]), w[0]);
    case AP_OP_SUBS: return low_bits(d - (uint64_t)sign_extend(a, w[1]), w[0]);
    case AP_OP_ADDK: return low_bits(d + k, w[0]);
    case AP_OP_MUL: return low_bits(a * b, w[0]);
    case AP_OP_MULS: return low_bits(a * (uint64_t)sign_extend(b, w[2]), w[0]);
    case AP_OP_MAX: return d > a ? d : a;
    case AP_OP_GTK: return a > k;
    case AP_OP_GT: return a > b;
    default: fail_msg("op without meaning"); return 0;
  }
}

struct bench {
  row_t *rows, *start;  // as executed by the scalar executor, and before
  uint32_t nrows;
  struct ap_cap cap;
};

static struct ap_instr instr_for(enum ap_op op, const uint8_t w[3], uint64_t k) {
  struct ap_instr instr = {.op = op, .imm = k};
  unsigned col = FIRST_COLUMN;
  for (unsigned i = 0; i < 3; i++) {
    instr.f[i] = (struct ap_field){(uint16_t)(w[i] ? col : 0), w[i]};
    col += w[i];
  }
  return instr;
}

static uint64_t field_of(row_t row, struct ap_field f) {
  return f.width ? low_bits((uint64_t)(row >> f.col), f.width) : 0;
}
static row_t place(uint64_t v, struct ap_field f) { return (row_t)low_bits(v, f.width ? f.width : 1) << f.col; }

static void literals(const struct ap_micro *m, const struct ap_step *step, const struct ap_instr *instr, row_t *mask,
                     row_t *key) {
  *mask = *key = 0;
  for (unsigned i = 0; i < step->nlits; i++) {
    struct ap_lit lit = m->lits[step->first + i];
    unsigned col = (lit.slot == AP_SLOT_FLAG ? 0 : instr->f[lit.slot].col) + lit.bit;
    unsigned k = (unsigned)(instr->imm >> lit.kbit & 1);
    unsigned value = lit.value == AP_LIT_0 ? 0 : lit.value == AP_LIT_1 ? 1 : lit.value == AP_LIT_K ? k : !k;
    *mask |= (row_t)1 << col;
    *key |= (row_t)value << col;
  }
}

static unsigned popcount(row_t x) {
  return (unsigned)(__builtin_popcountll((uint64_t)x) + __builtin_popcountll((uint64_t)(x >> 64)));
}

// The scalar executor: row by row, all steps.
static void execute(struct bench *t, const struct ap_micro *m, const struct ap_instr *instr, struct ap_events *count) {
  row_t *mask = calloc(m->nsteps, sizeof *mask), *key = calloc(m->nsteps, sizeof *key);
  for (uint32_t s = 0; s < m->nsteps; s++) {
    literals(m, &m->steps[s], instr, &mask[s], &key[s]);
    bool is_compare = m->steps[s].kind == AP_STEP_COMPARE || m->steps[s].kind == AP_STEP_COMPARE_OR;
    *(is_compare ? &count->compare : &count->write) += 1;
    count->compare_cells += is_compare ? (uint64_t)m->steps[s].nlits * t->nrows : 0;
  }
  for (uint32_t r = 0; r < t->nrows; r++) {
    row_t row = t->rows[r];
    bool tag = false;
    for (uint32_t s = 0; s < m->nsteps; s++) {
      unsigned kind = m->steps[s].kind;
      if (kind == AP_STEP_COMPARE || kind == AP_STEP_COMPARE_OR) {
        bool match = (row & mask[s]) == key[s];
        tag = match || (kind == AP_STEP_COMPARE_OR && tag);
        count->match_cells += match ? m->steps[s].nlits : 0;
        continue;
      }
      tag = tag || kind == AP_STEP_WRITE_ALL;
      if (tag) {
        row_t after = (row & ~mask[s]) | key[s];
        count->written_cells += m->steps[s].nlits;
        count->changed_cells += popcount(after ^ row);
        row = after;
      }
    }
    t->rows[r] = row;
  }
  free(mask);
  free(key);
}

static void to_cap(struct bench *t, uint32_t nrows) {
  memset(t->cap.cells, 0, t->cap.words * COLUMNS * sizeof(uint64_t));
  for (uint32_t r = 0; r < nrows; r++) {
    for (row_t rest = t->start[r]; rest != 0; rest &= rest - 1) {
      uint64_t low = (uint64_t)rest;
      unsigned c = low ? (unsigned)__builtin_ctzll(low) : 64 + (unsigned)__builtin_ctzll((uint64_t)(rest >> 64));
      ap_cap_column(&t->cap, c)[r / 64] |= (uint64_t)1 << r % 64;
    }
  }
}

// The engine on the same rows, with rows beyond the mask that must stay as they are.
static void check_engine(struct bench *t, const struct ap_micro *m, const struct ap_instr *instr,
                         const struct ap_events *count, unsigned columns) {
  ap_cap_begin(&t->cap, t->nrows, t->nrows);
  uint32_t spare = (uint32_t)(t->cap.words * 64 - t->nrows);
  spare = spare > SPARE_ROWS ? SPARE_ROWS : spare;
  for (uint32_t i = 0; i < spare; i++) {
    t->start[t->nrows + i] = t->rows[t->nrows + i] = (row_t)next_random() << 64 | next_random();
  }
  to_cap(t, t->nrows + spare);
  ap_cap_run(&t->cap, m, instr);
  if (memcmp(&t->cap.events, count, sizeof *count) != 0) {
    fail_msg("%s: the engine's counters differ", ap_op_info(m->op)->mnemonic);
  }
  for (unsigned c = 0; c < columns; c++) {
    const uint64_t *column = ap_cap_column(&t->cap, c);
    for (uint32_t r = 0; r < t->nrows + spare; r++) {
      if ((column[r / 64] >> r % 64 & 1) != (unsigned)(t->rows[r] >> c & 1)) {
        fail_msg("%s: engine differs in column %u of row %u", ap_op_info(m->op)->mnemonic, c, r);
      }
    }
  }
}

static void check_program(struct bench *t, const struct ap_micro *m, uint64_t k) {
  struct ap_instr instr = instr_for(m->op, m->width, k);
  struct ap_events count = {0};
  memcpy(t->rows, t->start, t->nrows * sizeof *t->rows);
  execute(t, m, &instr, &count);
  for (uint32_t r = 0; r < t->nrows; r++) {
    uint64_t d = field_of(t->start[r], instr.f[0]), a = field_of(t->start[r], instr.f[1]);
    uint64_t b = field_of(t->start[r], instr.f[2]);
    row_t want = t->start[r] & ~place(UINT64_MAX, instr.f[0]);
    want |= place(meaning(m->op, m->width, d, a, b, k), instr.f[0]);  // all else as before, flags zero
    if (t->rows[r] != want) {
      fail_msg("%s %u,%u,%u: d=%llu a=%llu b=%llu k=%llu gives %llu", ap_op_info(m->op)->mnemonic, m->width[0],
               m->width[1], m->width[2], (unsigned long long)d, (unsigned long long)a, (unsigned long long)b,
               (unsigned long long)k, (unsigned long long)field_of(t->rows[r], instr.f[0]));
    }
  }
  check_engine(t, m, &instr, &count, FIRST_COLUMN + (unsigned)m->width[0] + m->width[1] + m->width[2] + 1);
  cases += t->nrows;
}

static bool reads_d(enum ap_op op) {
  return op == AP_OP_SETKIF || op == AP_OP_COPYIF || op == AP_OP_ADD || op == AP_OP_SUB || op == AP_OP_ADDS ||
         op == AP_OP_SUBS || op == AP_OP_ADDK || op == AP_OP_MAX;
}

// All values of the operands that are read; d is random where it is not.
static void all_rows(struct bench *t, const struct ap_micro *m) {
  struct ap_instr instr = instr_for(m->op, m->width, 0);
  unsigned wd = reads_d(m->op) ? m->width[0] : 0, wa = m->width[1], wb = m->width[2];
  t->nrows = 1u << (wd + wa + wb);
  assert_true(t->nrows <= MAX_ROWS);
  for (uint32_t r = 0; r < t->nrows; r++) {
    uint64_t d = wd ? low_bits(r, wd) : next_random();
    t->start[r] = place(d, instr.f[0]) | (wa ? place(r >> wd, instr.f[1]) : 0) | (wb ? place(r >> (wd + wa), instr.f[2]) : 0);
  }
}

static void random_rows(struct bench *t, const struct ap_micro *m, uint32_t nrows) {
  struct ap_instr instr = instr_for(m->op, m->width, 0);
  t->nrows = nrows;
  for (uint32_t r = 0; r < nrows; r++) {
    t->start[r] = 0;
    for (unsigned i = 0; i < 3; i++) {
      if (instr.f[i].width) {  // corners and small distances, not only random values
        uint64_t v = next_random();
        switch (next_random() % 8) {
          case 0: v = 0; break;
          case 1: v = UINT64_MAX; break;
          case 2: v = (uint64_t)1 << next_random() % instr.f[i].width; break;
          case 3: v = ((uint64_t)1 << next_random() % instr.f[i].width) - 1; break;
          default: break;
        }
        t->start[r] |= place(v, instr.f[i]);
      }
    }
  }
}

static unsigned imm_bits(const struct ap_micro *m) {
  if (!ap_format_info(ap_op_info(m->op)->format)->has_imm) {
    return 0;
  }
  return m->op == AP_OP_GTK ? m->width[1] : m->width[0];
}

static void check_widths(struct bench *t, enum ap_op op, unsigned d, unsigned a, unsigned b, unsigned features) {
  uint8_t width[3] = {(uint8_t)d, (uint8_t)a, (uint8_t)b};
  struct ap_micro m;
  if (!ap_micro_generate(op, width, features, &m)) {
    assert_false(ap_micro_widths_legal(op, width));
    return;
  }
  assert_true(ap_micro_widths_legal(op, width));
  assert_null(ap_micro_check(&m));
  programs++;
  unsigned k_bits = imm_bits(&m);
  bool exhaustive = d <= 9 && a <= 8 && b <= 8 && (reads_d(op) ? d : 0) + a + b <= 17;
  exhaustive = exhaustive || (a + b <= 16 && !reads_d(op) && k_bits <= 8);  // products
  if (exhaustive) {
    for (uint64_t k = 0; k < (uint64_t)1 << k_bits; k++) {
      all_rows(t, &m);
      check_program(t, &m, k);
    }
  } else {
    for (unsigned i = 0; i < (k_bits ? 8u : 2u); i++) {
      random_rows(t, &m, 1500);
      check_program(t, &m, k_bits ? low_bits(next_random(), k_bits) : 0);
    }
  }
  ap_micro_free(&m);
}

static void bench_new(struct bench *t) {
  memset(t, 0, sizeof *t);
  t->rows = calloc(MAX_ROWS + SPARE_ROWS, sizeof *t->rows);
  t->start = calloc(MAX_ROWS + SPARE_ROWS, sizeof *t->start);
  ap_cap_init(&t->cap, COLUMNS, MAX_ROWS);
}
static void bench_free(struct bench *t) {
  free(t->rows);
  free(t->start);
  ap_cap_free(&t->cap);
}

static void sweep(unsigned features) {
  struct bench t;
  bench_new(&t);
  programs = cases = 0;
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (info == NULL || info->op_class != AP_CLASS_COMPUTE) {
      continue;
    }
    unsigned na = info->micro_widths >= 2 ? 8 : 0, nb = info->micro_widths >= 3 ? 8 : 0;
    for (unsigned a = na ? 1 : 0; a <= na; a++) {
      for (unsigned b = nb ? 1 : 0; b <= nb; b++) {
        for (unsigned d = 1; d <= (op == AP_OP_MUL || op == AP_OP_MULS ? 16 : 9); d++) {
          check_widths(&t, (enum ap_op)op, d, a, b, features);
        }
      }
    }
  }
  print_message("features %u: %llu programs, %llu cases, step loops '%s'\n", features, (unsigned long long)programs,
                (unsigned long long)cases, t.cap.steps->name);
  bench_free(&t);
}

static void test_all_values_classic(void **state) { sweep(0); }
static void test_all_values_wide(void **state) { sweep(AP_FEATURE_WIDE_WRITE | AP_FEATURE_ROW_GATING); }
static void test_all_values_accumulate(void **state) { sweep(AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE); }

static void test_wide_operands(void **state) {
  static const struct { enum ap_op op; uint8_t d, a, b; } wide[] = {
      {AP_OP_ADD, 32, 9, 0}, {AP_OP_ADD, 24, 8, 0}, {AP_OP_ADD, 60, 60, 0}, {AP_OP_SUB, 32, 17, 0},
      {AP_OP_SUB, 48, 48, 0}, {AP_OP_ADDS, 40, 20, 0}, {AP_OP_SUBS, 40, 20, 0}, {AP_OP_ADDS, 33, 1, 0},
      {AP_OP_ADDK, 64, 0, 0}, {AP_OP_ADDK, 31, 0, 0}, {AP_OP_SETK, 64, 0, 0}, {AP_OP_SETKIF, 63, 1, 0},
      {AP_OP_COPY, 60, 33, 0}, {AP_OP_COPYIF, 40, 40, 1}, {AP_OP_NOT, 50, 50, 0}, {AP_OP_MUL, 32, 20, 12},
      {AP_OP_MUL, 41, 9, 32}, {AP_OP_MULS, 50, 18, 32}, {AP_OP_MULS, 20, 19, 1}, {AP_OP_MULS, 17, 1, 16},
      {AP_OP_MAX, 40, 40, 0}, {AP_OP_GTK, 1, 64, 0}, {AP_OP_GT, 1, 50, 50},
  };
  struct bench t;
  bench_new(&t);
  for (unsigned variant = 0; ap_steps_variant(variant) != NULL; variant++) {
    t.cap.steps = ap_steps_variant(variant);
    for (size_t i = 0; i < BF_COUNT(wide); i++) {
      for (unsigned features = 0; features < 4; features++) {
        check_widths(&t, wide[i].op, wide[i].d, wide[i].a, wide[i].b, features);
      }
    }
  }
  bench_free(&t);
}

static uint64_t cycles(enum ap_op op, unsigned d, unsigned a, unsigned b, unsigned features) {
  uint8_t width[3] = {(uint8_t)d, (uint8_t)a, (uint8_t)b};
  struct ap_micro m;
  assert_true(ap_micro_generate(op, width, features, &m));
  struct ap_micro_cost cost = ap_micro_cost(&m);
  ap_micro_free(&m);
  return cost.compares + cost.writes;
}

// The published or exhaustively found optima of one bit step (docs/isa.md), as the cost of one more bit.
static void test_known_optima(void **state) {
  const unsigned wide = AP_FEATURE_WIDE_WRITE, acc = AP_FEATURE_WIDE_WRITE | AP_FEATURE_ACCUMULATE;
  static const enum ap_op sums[] = {AP_OP_ADD, AP_OP_SUB};
  for (size_t i = 0; i < 2; i++) {
    for (unsigned w = 2; w < 16; w++) {
      assert_int_equal(cycles(sums[i], w + 1, w + 1, 0, wide) - cycles(sums[i], w, w, 0, wide), 8);
      assert_int_equal(cycles(sums[i], w + 1, w + 1, 0, acc) - cycles(sums[i], w, w, 0, acc), 7);
      assert_int_equal(cycles(sums[i], w + 2, w, 0, wide) - cycles(sums[i], w + 1, w, 0, wide), 4);
    }
    assert_int_equal(cycles(sums[i], 8, 8, 0, wide), 4 + 7 * 8 + 1);
    assert_int_equal(cycles(sums[i], 24, 8, 0, wide), 4 + 7 * 8 + 16 * 4);
  }
  for (unsigned m = 1; m <= 16; m++) {
    assert_int_equal(cycles(AP_OP_MUL, 2 * m, m, m, wide), 8 * m * m - 10 * m + 4 + 1);
    assert_int_equal(cycles(AP_OP_COPY, m, m, 0, wide), 2 * m + 1);
    assert_int_equal(cycles(AP_OP_ADDK, m, 0, 0, wide), 4 * m + 1);
    assert_int_equal(cycles(AP_OP_GTK, 1, m, 0, wide), 2 * m + 1);
    assert_true(cycles(AP_OP_GT, 1, m, m, wide) <= 4 * m + 1);
    assert_true(cycles(AP_OP_MAX, m, m, 0, wide) <= 6 * m + 1);
    assert_int_equal(cycles(AP_OP_SETK, m, 0, 0, wide), 1);
    assert_int_equal(cycles(AP_OP_SETKIF, m, 1, 0, wide), 2);
  }
}

// On uniform random operands the expectation of a program without carries is exact.
static void test_expected_counts(void **state) {
  uint8_t width[3] = {8, 8, 0};
  struct ap_micro m;
  assert_true(ap_micro_generate(AP_OP_COPY, width, AP_FEATURE_WIDE_WRITE, &m));
  struct ap_micro_cost cost = ap_micro_cost(&m);
  struct bench t;
  bench_new(&t);
  t.nrows = 1 << 16;
  struct ap_instr instr = instr_for(AP_OP_COPY, width, 0);
  for (uint32_t r = 0; r < t.nrows; r++) {
    t.rows[r] = place(r, instr.f[0]) | place(r >> 8, instr.f[1]);
  }
  struct ap_events count = {0};
  execute(&t, &m, &instr, &count);
  assert_int_equal(count.match_cells, (uint64_t)(cost.expected_matches * t.nrows));
  assert_int_equal(count.written_cells, (uint64_t)(cost.expected_tags * t.nrows));
  assert_int_equal(count.compare, cost.compares);
  assert_int_equal(count.write, cost.writes);
  assert_int_equal(count.compare_cells, cost.compare_cells * t.nrows);
  bench_free(&t);
  ap_micro_free(&m);
}

static void test_check_rejects(void **state) {
  uint8_t width[3] = {8, 4, 0};
  struct ap_micro m;
  assert_true(ap_micro_generate(AP_OP_ADD, width, AP_FEATURE_WIDE_WRITE, &m));
#define REJECTS(lvalue, value)            \
  do {                                    \
    __typeof__(lvalue) saved = (lvalue);  \
    (lvalue) = (value);                   \
    assert_non_null(ap_micro_check(&m));  \
    (lvalue) = saved;                     \
    assert_null(ap_micro_check(&m));      \
  } while (0)
  REJECTS(m.lits[0].slot, AP_SLOT_COUNT);
  REJECTS(m.lits[0].slot, AP_SLOT_B);      // an operand that add has not
  REJECTS(m.lits[0].bit, 4);
  REJECTS(m.lits[0].value, AP_LIT_COUNT);
  REJECTS(m.lits[0].value, AP_LIT_K);      // no immediate
  REJECTS(m.lits[0].kbit, 1);
  REJECTS(m.lits[1], m.lits[0]);           // a column twice
  REJECTS(m.steps[0].kind, AP_STEP_COUNT);
  REJECTS(m.steps[0].kind, AP_STEP_COMPARE_OR);
  REJECTS(m.steps[0].kind, AP_STEP_WRITE);
  REJECTS(m.steps[2].kind, AP_STEP_COMPARE_OR);
  REJECTS(m.steps[0].nlits, 0);
  REJECTS(m.steps[0].nlits, AP_MAX_LITS + 1);
  REJECTS(m.steps[0].first, UINT32_MAX);
  REJECTS(m.steps[0].group, 9);
  REJECTS(m.nsteps, 0);
  REJECTS(m.op, AP_OP_LOAD);
  REJECTS(m.width[1], 9);
  REJECTS(m.width[2], 1);
#undef REJECTS
  ap_micro_free(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_optima),         cmocka_unit_test(test_check_rejects),
      cmocka_unit_test(test_expected_counts),      cmocka_unit_test(test_wide_operands),
      cmocka_unit_test(test_all_values_wide),      cmocka_unit_test(test_all_values_accumulate),
      cmocka_unit_test(test_all_values_classic),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
