// SPDX-License-Identifier: Apache-2.0
// Microcode against its integer meaning: every compute op, every width up to 8 with all operand values, random
// values above. Each program runs on a small scalar executor written here and on the engine's step
// primitive; both must give the integer result, the same step counts and tags and untouched operands.
// BFIMNA_PROOF=full in the environment proves all sets of features at all widths (scripts/prove-microcode); without it widths end at 5.
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

static uint64_t magnitude(uint64_t v, unsigned width) {
  int64_t x = sign_extend(v, width);
  return x < 0 ? -(uint64_t)x : (uint64_t)x;
}
// (a + 2^(s-1)) >> s without a carry out of 64 bits.
static uint64_t rounded(uint64_t a, unsigned shift) { return (shift < 64 ? a >> shift : 0) + (a >> (shift - 1) & 1); }

// The meaning of each op that stays within its row, from the semantics column of isa/ap_isa.def; modulo 2^W(d).
static uint64_t meaning(enum ap_op op, const uint8_t w[3], const struct ap_pattern *pattern, uint64_t d, uint64_t a, uint64_t b,
                        uint64_t k) {
  int64_t sa = w[1] ? sign_extend(a, w[1]) : 0, sb = w[2] ? sign_extend(b, w[2]) : 0;
  switch (op) {
    case AP_OP_SETK: return k;
    case AP_OP_SETKIF: return a ? k : d;
    case AP_OP_COPY: return a;
    case AP_OP_COPYS: return (uint64_t)sa;
    case AP_OP_COPYIF: return b ? a : d;
    case AP_OP_NOT: return ~a;
    case AP_OP_AND: return d & a;
    case AP_OP_OR: return d | a;
    case AP_OP_XOR: return d ^ a;
    case AP_OP_ANDO: return a & b;
    case AP_OP_ORO: return a | b;
    case AP_OP_XORO: return a ^ b;
    case AP_OP_ADD: return d + a;
    case AP_OP_SUB: return d - a;
    case AP_OP_ADDS: return d + (uint64_t)sa;
    case AP_OP_SUBS: return d - (uint64_t)sa;
    case AP_OP_ADDK: return d + k;
    case AP_OP_SUBK: return d - k;
    case AP_OP_SUBR: return a - d;
    case AP_OP_ADDO: return a + b;
    case AP_OP_SUBO: return a - b;
    case AP_OP_NEG: return -d;
    case AP_OP_NEGO: return -a;
    case AP_OP_ABSO: return magnitude(a, w[1]);
    case AP_OP_ROUND: return rounded(a, w[1] - w[0]);
    case AP_OP_MUL: return a * b;
    case AP_OP_MULS: return a * (uint64_t)sb;
    case AP_OP_MULSS: return (uint64_t)sa * (uint64_t)sb;
    case AP_OP_MAX: return d > a ? d : a;
    case AP_OP_MIN: return d < a ? d : a;
    case AP_OP_GTK: return a > k;
    case AP_OP_EQK: return a == k;
    case AP_OP_GT: return a > b;
    case AP_OP_LT: return a < b;
    case AP_OP_LE: return a <= b;
    case AP_OP_EQ: return a == b;
    case AP_OP_LTS: return sa < sb;
    case AP_OP_LES: return sa <= sb;
    case AP_OP_MINK: return d < k ? d : k;
    case AP_OP_MAXK: return d > k ? d : k;
    case AP_OP_RELU: return sign_extend(d, w[0]) < 0 ? 0 : d;
    case AP_OP_PATTERN:
      if (b != pattern->key) {
        return d;
      }
      d = pattern->base;
      for (unsigned i = 0; i < w[1]; i++) {
        d += (a >> i & 1) * pattern->add[i];
      }
      return d;
    case AP_OP_COMPARE:
    case AP_OP_COMPOR:
    case AP_OP_TAGUP:
    case AP_OP_TAGDOWN: return d;
    default: fail_msg("op without meaning"); return 0;
  }
}

struct bench {
  row_t *rows, *start;     // as executed by the scalar executor, and before
  bool *tags, *start_tags; // the same
  uint32_t nrows;
  struct ap_pattern pattern;  // of the pattern instruction
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

// Columns and values of a step's literals in the own row (of `slot` other than PARTNER) or in the partner row.
static void literals(const struct bench *t, const struct ap_micro *m, const struct ap_step *step, const struct ap_instr *instr,
                     bool partner, uint64_t sum, row_t *mask, row_t *key) {
  *mask = *key = 0;
  for (unsigned i = 0; i < step->nlits; i++) {
    struct ap_lit lit = m->lits[step->first + i];
    if ((lit.slot == AP_SLOT_PARTNER) != partner) {
      continue;
    }
    unsigned col = (lit.slot == AP_SLOT_FLAG ? 0 : instr->f[partner ? 1 : lit.slot].col) + lit.bit;
    unsigned k = (unsigned)((m->op == AP_OP_PATTERN ? t->pattern.key : instr->imm) >> lit.kbit & 1), s = sum >> lit.kbit & 1;
    unsigned values[AP_LIT_COUNT] = {0, 1, k, !k, s, s};
    *mask |= (row_t)1 << col;
    *key |= (row_t)values[lit.value] << col;
  }
}

static unsigned popcount(row_t x) {
  return (unsigned)(__builtin_popcountll((uint64_t)x) + __builtin_popcountll((uint64_t)(x >> 64)));
}

static void scalar_compare(struct bench *t, const struct ap_micro *m, const struct ap_step *step,
                           const struct ap_instr *instr, struct ap_events *count) {
  bool pair = step->kind == AP_STEP_PAIR || step->kind == AP_STEP_PAIR_OR;
  bool accumulate = step->kind == AP_STEP_COMPARE_OR || step->kind == AP_STEP_PAIR_OR;
  row_t mask, key, far_mask = 0, far_key = 0;
  literals(t, m, step, instr, false, 0, &mask, &key);
  if (pair) {
    literals(t, m, step, instr, true, 0, &far_mask, &far_key);
  }
  for (uint32_t r = 0; r < t->nrows; r++) {
    row_t partner = pair && r + instr->imm < t->nrows ? t->rows[r + instr->imm] : 0;
    bool match = (t->rows[r] & mask) == key && (partner & far_mask) == far_key;
    match = match && !(pair && r % (2 * instr->imm) != 0);
    t->tags[r] = match || (accumulate && t->tags[r]);
    count->match_cells += match ? step->nlits : 0;
  }
  count->compare++;
  count->compare_cells += (uint64_t)step->nlits * t->nrows;
}

static void scalar_write(struct bench *t, const struct ap_micro *m, const struct ap_step *step,
                         const struct ap_instr *instr, uint64_t sum, struct ap_events *count) {
  row_t mask, key;
  literals(t, m, step, instr, false, sum, &mask, &key);
  for (uint32_t r = 0; r < t->nrows; r++) {
    t->tags[r] = t->tags[r] || step->kind == AP_STEP_WRITE_ALL;
    if (t->tags[r]) {
      row_t after = (t->rows[r] & ~mask) | key;
      count->written_cells += step->nlits;
      count->changed_cells += popcount(after ^ t->rows[r]);
      t->rows[r] = after;
    }
  }
  count->write++;
}

static void scalar_shift(struct bench *t, bool up, uint64_t distance, struct ap_events *count) {
  bool *before = malloc(t->nrows * sizeof *before);
  memcpy(before, t->tags, t->nrows * sizeof *before);
  for (uint32_t r = 0; r < t->nrows; r++) {
    t->tags[r] = up ? r + distance < t->nrows && before[r + distance] : r >= distance && before[r - distance];
  }
  free(before);
  count->shift += distance;
  count->shift_rows += distance * t->nrows;
}

// The numbers of a pattern that a compare chooses by the bits of a that it wants to be 1.
static uint64_t chosen(const struct bench *t, const struct ap_micro *m, const struct ap_step *step, const struct ap_instr *instr) {
  row_t mask, key;
  uint64_t sum = t->pattern.base;
  literals(t, m, step, instr, false, 0, &mask, &key);
  for (unsigned i = 0; i < instr->f[1].width; i++) {
    sum += key >> (instr->f[1].col + i) & 1 ? t->pattern.add[i] : 0;
  }
  return sum;
}

// The scalar executor: step by step, all rows.
static void execute(struct bench *t, const struct ap_micro *m, const struct ap_instr *instr, struct ap_events *count) {
  uint64_t sum = 0;
  for (uint32_t s = 0; s < m->nsteps; s++) {
    const struct ap_step *step = &m->steps[s];
    switch (ap_step_info(step->kind)->event) {
      case AP_EVENT_COMPARE:
        scalar_compare(t, m, step, instr, count);
        sum = m->op == AP_OP_PATTERN ? chosen(t, m, step, instr) : sum;
        break;
      case AP_EVENT_WRITE: scalar_write(t, m, step, instr, sum, count); break;
      case AP_EVENT_SHIFT: scalar_shift(t, step->kind == AP_STEP_SHIFT_UP, instr->imm, count); break;
      case AP_EVENT_COUNT:
        for (uint32_t r = 0; r < t->nrows; r++) {
          sum += (uint64_t)t->tags[r] << m->lits[step->first].bit;
        }
        count->count++;
        count->count_rows += t->nrows;
        break;
    }
  }
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
  for (uint32_t r = 0; r < t->nrows; r++) {
    t->cap.tag[r / 64] |= (uint64_t)t->start_tags[r] << r % 64;
  }
  ap_cap_run(&t->cap, m, instr);
  for (uint32_t r = 0; r < t->nrows; r++) {
    if ((t->cap.tag[r / 64] >> r % 64 & 1) != (unsigned)t->tags[r]) {
      fail_msg("%s: the engine's tags differ in row %u", ap_op_info(m->op)->mnemonic, r);
    }
  }
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

// d of row r after an instruction that reads other rows or the tags.
static uint64_t row_meaning(const struct bench *t, const struct ap_instr *in, uint32_t r) {
  uint64_t d = field_of(t->start[r], in->f[0]), sum = 0;
  bool above = r >= in->imm, below = r + in->imm < t->nrows;
  switch (in->op) {
    case AP_OP_WRITE: return t->start_tags[r] ? in->imm : d;
    case AP_OP_MOVEUP: return below ? field_of(t->start[r + in->imm], in->f[1]) : 0;
    case AP_OP_MOVEDN: return above ? field_of(t->start[r - in->imm], in->f[1]) : 0;
    case AP_OP_ADDPAIR:
      return d + (r % (2 * in->imm) == 0 && below ? field_of(t->start[r + in->imm], in->f[1]) : 0);
    case AP_OP_TALLY:
      for (uint32_t i = 0; i < t->nrows; i++) sum += t->start_tags[i];
      return sum;
    case AP_OP_SUMROWS:
      for (uint32_t i = 0; i < t->nrows; i++) sum += field_of(t->start[i], in->f[1]);
      return sum;
    default: fail_msg("op without meaning"); return 0;
  }
}

static bool crosses_rows(enum ap_op op) {
  return op == AP_OP_WRITE || op == AP_OP_MOVEUP || op == AP_OP_MOVEDN || op == AP_OP_ADDPAIR || op == AP_OP_TALLY ||
         op == AP_OP_SUMROWS;
}

// The tags that raw instructions promise.
static void check_tags(const struct bench *t, const struct ap_instr *in) {
  for (uint32_t r = 0; r < t->nrows; r++) {
    uint64_t held = 0;
    bool key = ap_op_info(in->op)->format == AP_FORMAT_KEY;
    for (unsigned i = 0, at = 0; key && i < 3 && in->f[i].width; at += in->f[i++].width) {
      held |= field_of(t->start[r], in->f[i]) << at;
    }
    bool before = t->start_tags[r], want = before, below = r + in->imm < t->nrows, above = r >= in->imm;
    switch (in->op) {
      case AP_OP_COMPARE: want = held == in->imm; break;
      case AP_OP_COMPOR: want = before || held == in->imm; break;
      case AP_OP_WRITE: break;
      case AP_OP_TAGUP: want = below && t->start_tags[r + in->imm]; break;
      case AP_OP_TAGDOWN: want = above && t->start_tags[r - in->imm]; break;
      default: return;  // clobbered
    }
    assert_int_equal(t->tags[r], want);
  }
}

// A raw write: each field takes its part of the key.
static row_t wanted(const struct bench *t, const struct ap_micro *m, const struct ap_instr *in, uint32_t r) {
  row_t start = t->start[r];
  uint64_t d = field_of(start, in->f[0]), a = field_of(start, in->f[1]), b = field_of(start, in->f[2]);
  uint64_t value = crosses_rows(m->op) ? row_meaning(t, in, r) : meaning(m->op, m->width, &t->pattern, d, a, b, in->imm);
  row_t want = (start & ~place(UINT64_MAX, in->f[0])) | place(value, in->f[0]);
  if (m->op == AP_OP_WRITE && t->start_tags[r]) {
    for (unsigned i = 1, at = m->width[0]; i < 3 && m->width[i]; at += m->width[i++]) {
      want = (want & ~place(UINT64_MAX, in->f[i])) | place(in->imm >> at, in->f[i]);
    }
  }
  return m->width[0] ? want : start;  // all else as before, flags zero
}

static void check_instr(struct bench *t, const struct ap_micro *m, const struct ap_instr *instr) {
  struct ap_events count = {0};
  memcpy(t->rows, t->start, t->nrows * sizeof *t->rows);
  for (uint32_t r = 0; r < t->nrows; r++) {
    t->tags[r] = t->start_tags[r] = next_random() & 1;
  }
  execute(t, m, instr, &count);
  for (uint32_t r = 0; r < t->nrows; r++) {
    if (t->rows[r] != wanted(t, m, instr, r)) {
      fail_msg("%s %u,%u,%u: d=%llu a=%llu b=%llu k=%llu gives %llu", ap_op_info(m->op)->mnemonic, m->width[0],
               m->width[1], m->width[2], (unsigned long long)field_of(t->start[r], instr->f[0]),
               (unsigned long long)field_of(t->start[r], instr->f[1]),
               (unsigned long long)field_of(t->start[r], instr->f[2]), (unsigned long long)instr->imm,
               (unsigned long long)field_of(t->rows[r], instr->f[0]));
    }
  }
  check_tags(t, instr);
  check_engine(t, m, instr, &count, FIRST_COLUMN + (unsigned)m->width[0] + m->width[1] + m->width[2] + 1);
  cases += t->nrows;
}

static void check_program(struct bench *t, const struct ap_micro *m, uint64_t k) {
  struct ap_instr instr = instr_for(m->op, m->width, k);
  if (m->op == AP_OP_PATTERN) {
    t->pattern = (struct ap_pattern){.inputs = m->width[1], .key = k, .base = low_bits(next_random(), m->width[0])};
    for (unsigned i = 0; i < m->width[1]; i++) {
      t->pattern.add[i] = low_bits(next_random(), m->width[0]);
    }
    t->cap.patterns = &t->pattern;
    instr.imm = 0;
  }
  check_instr(t, m, &instr);
}

static bool reads_d(enum ap_op op) {
  switch (op) {
    case AP_OP_SETKIF: case AP_OP_COPYIF: case AP_OP_ADD: case AP_OP_SUB: case AP_OP_ADDS: case AP_OP_SUBS:
    case AP_OP_ADDK: case AP_OP_SUBK: case AP_OP_SUBR: case AP_OP_MAX: case AP_OP_MIN: case AP_OP_AND: case AP_OP_OR:
    case AP_OP_XOR: case AP_OP_NEG: case AP_OP_MINK: case AP_OP_MAXK: case AP_OP_RELU: case AP_OP_COMPARE:
    case AP_OP_COMPOR: case AP_OP_ADDPAIR: return true;
    default: return false;
  }
}

// All values of the operands that are read; d is random where it is not. A pair of rows has d in the first, a in the second.
static void all_rows(struct bench *t, const struct ap_micro *m) {
  struct ap_instr instr = instr_for(m->op, m->width, 0);
  unsigned wd = reads_d(m->op) ? m->width[0] : 0, wa = m->width[1], wb = m->width[2];
  unsigned pair = m->op == AP_OP_ADDPAIR;
  t->nrows = 1u << (wd + wa + wb + pair);
  assert_true(t->nrows <= MAX_ROWS);
  for (uint32_t r = 0; r < t->nrows; r++) {
    uint32_t v = r >> pair, v_a = v >> wd;
    uint64_t d = wd ? low_bits(v, wd) : next_random();
    t->start[r] = m->width[0] ? place(d, instr.f[0]) : 0;
    t->start[r] |= (wa ? place(pair && !(r & 1) ? next_random() : v_a, instr.f[1]) : 0) |
                   (wb ? place(v >> (wd + wa), instr.f[2]) : 0);
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

// Distances between rows, short and beyond the tile, over row counts of all kinds.
static void check_distances(struct bench *t, const struct ap_micro *m) {
  static const uint32_t COUNTS[] = {1, 2, 63, 64, 65, 200, 515};
  static const uint64_t DISTANCES[] = {1, 2, 3, 31, 64, 65, 128, 300, 511, AP_MAX_ROW_DISTANCE};
  for (size_t n = 0; n < BF_COUNT(COUNTS); n++) {
    for (size_t i = 0; i < BF_COUNT(DISTANCES); i++) {
      random_rows(t, m, COUNTS[n]);
      check_program(t, m, DISTANCES[i]);
    }
  }
}

static void check_widths(struct bench *t, enum ap_op op, unsigned d, unsigned a, unsigned b, unsigned features) {
  uint8_t width[3] = {(uint8_t)d, (uint8_t)a, (uint8_t)b};
  const struct ap_op_info *info = ap_op_info(op);
  struct ap_micro m;
  if (!ap_micro_generate(op, width, features, &m)) {
    assert_true(!ap_micro_widths_legal(op, width) || (info->needs & ~features));
    return;
  }
  assert_true(ap_micro_widths_legal(op, width));
  assert_null(ap_micro_check(&m));
  for (uint32_t s = 0; s < m.nsteps; s++) {
    assert_int_equal(ap_step_info(m.steps[s].kind)->needs & ~features, 0);
  }
  programs++;
  bool distance = info->imm == AP_IMM_ROWS;
  unsigned k_bits = distance ? 0 : ap_imm_width(info, width);
  unsigned read = (reads_d(op) ? d : 0) + a + b;
  bool all = d <= 9 && a <= 8 && b <= 8 && read <= 16 && read + k_bits <= 18;
  all = all || (a + b <= 16 && !reads_d(op) && k_bits <= 8);  // products
  all = all && (op != AP_OP_PATTERN || a + b <= 8);           // 2^a passes for each of 2^b keys
  for (uint64_t k = 0; all && k < (uint64_t)1 << k_bits; k++) {
    all_rows(t, &m);
    check_program(t, &m, distance ? 1 : k);
  }
  if (distance) {
    check_distances(t, &m);
  }
  for (unsigned i = 0; !all && i < (k_bits ? 8u : 2u); i++) {
    random_rows(t, &m, 1500);
    check_program(t, &m, distance ? 1 + i : k_bits ? low_bits(next_random(), k_bits) : 0);
  }
  ap_micro_free(&m);
}

static void bench_new(struct bench *t) {
  memset(t, 0, sizeof *t);
  t->rows = calloc(MAX_ROWS + SPARE_ROWS, sizeof *t->rows);
  t->start = calloc(MAX_ROWS + SPARE_ROWS, sizeof *t->start);
  t->tags = calloc(MAX_ROWS, sizeof *t->tags);
  t->start_tags = calloc(MAX_ROWS, sizeof *t->start_tags);
  ap_cap_init(&t->cap, COLUMNS, MAX_ROWS);
}
static void bench_free(struct bench *t) {
  free(t->rows);
  free(t->start);
  free(t->tags);
  free(t->start_tags);
  ap_cap_free(&t->cap);
}

#define ROWS_FEATURES (AP_FEATURE_TAG_SHIFT | AP_FEATURE_TWO_D | AP_FEATURE_POPCOUNT)

static bool full_proof(void) {
  const char *set = getenv("BFIMNA_PROOF");
  return set != NULL && strcmp(set, "full") == 0;
}

// All programs of the features, d up to one bit beyond what the rules let it need.
static void sweep(unsigned features) {
  struct bench t;
  unsigned most = full_proof() ? 8 : 5;
  bench_new(&t);
  programs = cases = 0;
  for (unsigned op = 0; op < AP_OP_LIMIT; op++) {
    const struct ap_op_info *info = ap_op_info(op);
    if (info == NULL || info->op_class != AP_CLASS_COMPUTE) {
      continue;
    }
    unsigned least = ap_format_info(info->format)->least;
    unsigned fields = info->micro_widths, md = fields == 0 ? 0 : info->rule == AP_RULE_SUM ? 2 * most : most + 1;
    unsigned ma = fields >= 2 ? most : 0, mb = fields >= 3 ? most : 0;
    for (unsigned a = ma && least >= 2 ? 1 : 0; a <= ma; a++) {
      for (unsigned b = mb && least >= 3 ? 1 : 0; b <= mb; b++) {
        for (unsigned d = md ? 1 : 0; d <= md; d++) {
          check_widths(&t, (enum ap_op)op, d, a, b, features);
        }
      }
    }
  }
  print_message("features %#x, widths to %u: %llu programs, %llu cases, step loops '%s'\n", features, most,
                (unsigned long long)programs, (unsigned long long)cases, t.cap.steps->name);
  assert_true(programs > 300);
  bench_free(&t);
}

static void test_all_values_classic(void **state) { sweep(ROWS_FEATURES); }
static void test_all_values_wide(void **state) {
  sweep(AP_FEATURE_WIDE_WRITE | AP_FEATURE_ROW_GATING | ROWS_FEATURES);
}
static void test_all_values_accumulate(void **state) {
  sweep(AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE | ROWS_FEATURES);
}
static void test_all_values_few_writes(void **state) {
  sweep(AP_FEATURE_ACCUMULATE | AP_FEATURE_WIDE_WRITE | AP_PREFER_FEW_WRITES | ROWS_FEATURES);
}
static void test_all_values_narrow(void **state) {
  if (!full_proof()) {
    skip();
  }
  sweep(AP_FEATURE_ACCUMULATE | ROWS_FEATURES);
  sweep(AP_PREFER_FEW_WRITES | ROWS_FEATURES);
}

// A reduction in place: the operand is d itself, in the partner row.
static void test_pair_in_place(void **state) {
  struct bench t;
  bench_new(&t);
  for (unsigned features = 0; features < 4; features++) {
    for (unsigned a = 1; a <= 8; a++) {
      uint8_t width[3] = {(uint8_t)(a + 1), (uint8_t)a, 0};
      struct ap_micro m;
      assert_true(ap_micro_generate(AP_OP_ADDPAIR, width, features | ROWS_FEATURES, &m));
      for (uint64_t distance = 1; distance < 100; distance *= 2) {
        struct ap_instr instr = instr_for(AP_OP_ADDPAIR, width, distance);
        random_rows(&t, &m, 77);
        instr.f[1].col = instr.f[0].col;
        assert_null(ap_instr_check(&instr, COLUMNS));
        check_instr(&t, &m, &instr);
      }
      ap_micro_free(&m);
    }
  }
  bench_free(&t);
}

static void test_wide_operands(void **state) {
  static const struct { enum ap_op op; uint8_t d, a, b; } wide[] = {
      {AP_OP_ADD, 32, 9, 0}, {AP_OP_ADD, 24, 8, 0}, {AP_OP_ADD, 60, 60, 0}, {AP_OP_SUB, 32, 17, 0},
      {AP_OP_SUB, 48, 48, 0}, {AP_OP_ADDS, 40, 20, 0}, {AP_OP_SUBS, 40, 20, 0}, {AP_OP_ADDS, 33, 1, 0},
      {AP_OP_ADDK, 64, 0, 0}, {AP_OP_ADDK, 31, 0, 0}, {AP_OP_SETK, 64, 0, 0}, {AP_OP_SETKIF, 63, 1, 0},
      {AP_OP_COPY, 60, 33, 0}, {AP_OP_COPYIF, 40, 40, 1}, {AP_OP_NOT, 50, 50, 0}, {AP_OP_MUL, 32, 20, 12},
      {AP_OP_MUL, 41, 9, 32}, {AP_OP_MULS, 50, 18, 32}, {AP_OP_MULS, 20, 19, 1}, {AP_OP_MULS, 17, 1, 16},
      {AP_OP_MAX, 40, 40, 0}, {AP_OP_GTK, 1, 64, 0}, {AP_OP_GT, 1, 50, 50}, {AP_OP_MIN, 33, 33, 0},
      {AP_OP_COPYS, 60, 33, 0}, {AP_OP_AND, 50, 50, 0}, {AP_OP_OR, 50, 50, 0}, {AP_OP_XOR, 50, 50, 0},
      {AP_OP_ANDO, 40, 40, 40}, {AP_OP_ORO, 40, 40, 40}, {AP_OP_XORO, 40, 40, 40}, {AP_OP_SUBR, 40, 40, 0},
      {AP_OP_ADDO, 41, 40, 33}, {AP_OP_ADDO, 60, 32, 4}, {AP_OP_SUBO, 41, 40, 33}, {AP_OP_SUBO, 60, 32, 4},
      {AP_OP_NEG, 64, 0, 0}, {AP_OP_NEGO, 60, 60, 0}, {AP_OP_ABSO, 60, 60, 0}, {AP_OP_ROUND, 20, 60, 0},
      {AP_OP_ROUND, 1, 60, 0}, {AP_OP_SUBK, 64, 0, 0}, {AP_OP_MULSS, 50, 18, 32}, {AP_OP_MULSS, 33, 1, 32},
      {AP_OP_MULSS, 33, 32, 1}, {AP_OP_LT, 1, 50, 50}, {AP_OP_LE, 1, 50, 50}, {AP_OP_EQ, 1, 50, 50},
      {AP_OP_LTS, 1, 50, 50}, {AP_OP_LES, 1, 50, 50}, {AP_OP_EQK, 1, 64, 0}, {AP_OP_MINK, 64, 0, 0},
      {AP_OP_MAXK, 63, 0, 0}, {AP_OP_RELU, 64, 0, 0}, {AP_OP_COMPARE, 20, 20, 24}, {AP_OP_COMPOR, 64, 0, 0},
      {AP_OP_WRITE, 20, 20, 24}, {AP_OP_TALLY, 20, 0, 0}, {AP_OP_MOVEUP, 40, 33, 0}, {AP_OP_MOVEDN, 40, 33, 0},
      {AP_OP_ADDPAIR, 40, 33, 0}, {AP_OP_SUMROWS, 50, 40, 0}, {AP_OP_PATTERN, 64, 3, 0}, {AP_OP_PATTERN, 64, 6, 5},
      {AP_OP_PATTERN, 48, 8, 0}, {AP_OP_PATTERN, 33, 2, 8}, {AP_OP_PATTERN, 64, 8, 8},
  };
  struct bench t;
  bench_new(&t);
  for (unsigned variant = 0; ap_steps_variant(variant) != NULL; variant++) {
    t.cap.steps = ap_steps_variant(variant);
    for (size_t i = 0; i < BF_COUNT(wide); i++) {
      for (unsigned features = 0; features < 4; features++) {
        check_widths(&t, wide[i].op, wide[i].d, wide[i].a, wide[i].b, features | ROWS_FEATURES);
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
    assert_int_equal(cycles(AP_OP_SUBK, m, 0, 0, wide), 4 * m + 1);
    assert_int_equal(cycles(AP_OP_RELU, m, 0, 0, wide), 2);
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
      cmocka_unit_test(test_all_values_classic),   cmocka_unit_test(test_all_values_few_writes),
      cmocka_unit_test(test_all_values_narrow),    cmocka_unit_test(test_pair_in_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
