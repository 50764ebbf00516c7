// SPDX-License-Identifier: Apache-2.0
// Random microcode on the array engine against a scalar model of the steps of isa/step_kinds.def: cells, tags and all
// counters, for every variant of the step loops.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "runtime/cap.h"
#include "runtime/rows.h"

enum { COLUMNS = 20, MOST_STEPS = 12, MOST_LITS = 5 };

static uint64_t seed;
static uint64_t draw(uint64_t below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (seed >> 33) % below;
}

// The array as bytes, one a cell.
struct model {
  uint64_t rows, sum;
  uint8_t *cells, *tag;  // row × column, row
  struct ap_events events;
};

struct subject {
  struct ap_instr instr;
  struct ap_micro micro;
  struct ap_step steps[MOST_STEPS];
  struct ap_lit lits[MOST_STEPS * MOST_LITS];
};

static unsigned value_of(const struct model *m, const struct ap_lit *lit, uint64_t imm) {
  switch (lit->value) {
    case AP_LIT_0: return 0;
    case AP_LIT_1: return 1;
    case AP_LIT_K: return imm >> lit->kbit & 1;
    case AP_LIT_NOT_K: return !(imm >> lit->kbit & 1);
    default: return m->sum >> lit->kbit & 1;
  }
}

static unsigned column_of(const struct subject *s, const struct ap_lit *lit) {
  unsigned field = lit->slot == AP_SLOT_PARTNER ? AP_SLOT_A : lit->slot;
  return lit->slot == AP_SLOT_FLAG ? lit->bit : s->instr.f[field].col + lit->bit;
}

static bool row_matches(const struct model *m, const struct subject *s, const struct ap_step *step, uint64_t row) {
  bool pair = step->kind == AP_STEP_PAIR || step->kind == AP_STEP_PAIR_OR;
  if (pair && row % (2 * s->instr.imm) != 0) {
    return false;
  }
  for (unsigned i = 0; i < step->nlits; i++) {
    const struct ap_lit *lit = &s->lits[step->first + i];
    uint64_t at = lit->slot == AP_SLOT_PARTNER ? row + s->instr.imm : row;
    unsigned cell = at < m->rows ? m->cells[at * COLUMNS + column_of(s, lit)] : 0;
    if (cell != value_of(m, lit, s->instr.imm)) {
      return false;
    }
  }
  return true;
}

static void model_compare(struct model *m, const struct subject *s, const struct ap_step *step, bool accumulate) {
  m->events.compare++;
  m->events.compare_cells += m->rows * step->nlits;
  for (uint64_t r = 0; r < m->rows; r++) {
    bool match = row_matches(m, s, step, r);
    m->events.match_cells += match ? step->nlits : 0;
    m->tag[r] = match || (accumulate && m->tag[r]);
  }
}

static void model_write(struct model *m, const struct subject *s, const struct ap_step *step) {
  m->events.write++;
  for (uint64_t r = 0; r < m->rows; r++) {
    for (unsigned i = 0; m->tag[r] && i < step->nlits; i++) {
      const struct ap_lit *lit = &s->lits[step->first + i];
      uint8_t *cell = &m->cells[r * COLUMNS + column_of(s, lit)];
      unsigned value = value_of(m, lit, s->instr.imm);
      m->events.written_cells++;
      m->events.changed_cells += *cell != value;
      *cell = (uint8_t)value;
    }
  }
}

static void model_shift(struct model *m, bool up, uint64_t distance) {
  uint8_t *old = malloc(m->rows);
  memcpy(old, m->tag, m->rows);
  for (uint64_t r = 0; r < m->rows; r++) {
    if (up) {
      m->tag[r] = r + distance < m->rows ? old[r + distance] : 0;
    } else {
      m->tag[r] = r >= distance ? old[r - distance] : 0;
    }
  }
  m->events.shift += distance;
  m->events.shift_rows += distance * m->rows;
  free(old);
}

static void model_count(struct model *m, unsigned power) {
  for (uint64_t r = 0; r < m->rows; r++) {
    m->sum += (uint64_t)m->tag[r] << power;
  }
  m->events.count++;
  m->events.count_rows += m->rows;
}

static void model_run(struct model *m, const struct subject *s) {
  m->sum = 0;
  for (uint32_t i = 0; i < s->micro.nsteps; i++) {
    const struct ap_step *step = &s->steps[i];
    switch (step->kind) {
      case AP_STEP_COMPARE:
      case AP_STEP_PAIR: model_compare(m, s, step, false); break;
      case AP_STEP_COMPARE_OR:
      case AP_STEP_PAIR_OR: model_compare(m, s, step, true); break;
      case AP_STEP_WRITE_ALL: memset(m->tag, 1, m->rows);  // fall through
      case AP_STEP_WRITE: model_write(m, s, step); break;
      case AP_STEP_SHIFT_UP: model_shift(m, true, s->instr.imm); break;
      case AP_STEP_SHIFT_DOWN: model_shift(m, false, s->instr.imm); break;
      default: model_count(m, s->lits[step->first].bit); break;
    }
  }
}

// --- random subjects -----------------------------------------------------------------------------------

static bool same_place(const struct ap_lit *x, const struct ap_lit *y) { return x->slot == y->slot && x->bit == y->bit; }

static struct ap_lit random_lit(const struct subject *s, const struct ap_step *step, unsigned imm_bits) {
  bool pair = step->kind == AP_STEP_PAIR || step->kind == AP_STEP_PAIR_OR;
  bool write = ap_step_info(step->kind)->literals == AP_LITERALS_VALUE;
  struct ap_lit lit = {.value = (uint8_t)draw(write ? AP_LIT_COUNT : AP_LIT_S)};
  do {
    lit.slot = (uint8_t)draw(pair ? AP_SLOT_PARTNER + 1 : AP_SLOT_FLAG + 1);
  } while (lit.slot < AP_SLOT_FLAG && s->instr.f[lit.slot].width == 0);
  if (lit.slot == AP_SLOT_FLAG) {
    lit.bit = (uint8_t)draw(AP_FLAG_COLUMNS);
  } else {
    lit.bit = (uint8_t)draw(s->instr.f[lit.slot == AP_SLOT_PARTNER ? AP_SLOT_A : lit.slot].width);
  }
  if (lit.value == AP_LIT_S) {
    lit.kbit = (uint8_t)draw(draw(8) == 0 ? 64 : 12);
  } else if (lit.value == AP_LIT_K || lit.value == AP_LIT_NOT_K) {
    lit.value = imm_bits > 0 ? lit.value : AP_LIT_1;
    lit.kbit = imm_bits > 0 ? (uint8_t)draw(imm_bits) : 0;
  }
  return lit;
}

static void random_lits(struct subject *s, struct ap_step *step, unsigned imm_bits) {
  step->first = s->micro.nlits;
  if (ap_step_info(step->kind)->literals == AP_LITERALS_NOTHING) {
    return;
  }
  if (ap_step_info(step->kind)->literals == AP_LITERALS_SUM) {
    unsigned power = (unsigned)draw(draw(8) == 0 ? 64 : 8);
    s->lits[s->micro.nlits++] = (struct ap_lit){AP_SLOT_SUM, (uint8_t)power, AP_LIT_1, 0};
    step->nlits = 1;
    return;
  }
  for (unsigned wanted = 1 + (unsigned)draw(draw(4) == 0 ? MOST_LITS : 2); wanted > 0; wanted--) {
    struct ap_lit lit = random_lit(s, step, imm_bits);
    bool again = false;
    for (unsigned i = 0; i < step->nlits; i++) {
      again = again || same_place(&s->lits[step->first + i], &lit);
    }
    if (!again) {
      s->lits[s->micro.nlits++] = lit;
      step->nlits++;
    }
  }
}

// A legal program: over rows (operands d and a, the immediate is a distance), or of a raw write (three fields and a
// key), which begins with the tags that are there.
static void random_subject(struct subject *s, bool between_rows, uint64_t rows) {
  memset(s, 0, sizeof *s);
  s->micro = (struct ap_micro){.steps = s->steps, .lits = s->lits};
  s->instr.f[0] = (struct ap_field){4, (uint8_t)(1 + draw(5))};
  s->instr.f[1] = (struct ap_field){10, (uint8_t)(1 + draw(s->instr.f[0].width))};
  if (between_rows) {
    uint64_t far = draw(8);
    s->instr.op = AP_OP_ADDPAIR;
    s->instr.imm = far == 0 ? 65535 : far == 1 ? 64 * (1 + draw(3)) : far == 2 ? rows : 1 + draw(rows + 3);
  } else {
    s->instr.op = AP_OP_WRITE;
    s->instr.f[2] = (struct ap_field){16, (uint8_t)(1 + draw(4))};
    s->instr.imm = draw((uint64_t)1 << (s->instr.f[0].width + s->instr.f[1].width + s->instr.f[2].width));
  }
  s->micro.op = s->instr.op;
  unsigned bits = 0;
  for (unsigned i = 0; i < 3; i++) {
    s->micro.width[i] = s->instr.f[i].width;
    bits += s->instr.f[i].width;
  }
  for (unsigned i = 0, n = 2 + (unsigned)draw(MOST_STEPS - 1); i < n; i++) {
    struct ap_step *step = &s->steps[s->micro.nsteps++];
    do {
      step->kind = (uint8_t)draw(AP_STEP_COUNT);
      step->nlits = 0;
      s->micro.nlits = i > 0 ? step[-1].first + step[-1].nlits : 0;
      random_lits(s, step, between_rows ? 0 : bits);
    } while (ap_micro_check(&s->micro) != NULL);
  }
}

// --- comparison ----------------------------------------------------------------------------------------

static void fill_both(struct ap_cap *cap, struct model *m) {
  for (unsigned c = 0; c < COLUMNS; c++) {
    uint64_t dense = 1 + draw(4);
    for (uint64_t r = 0; r < m->rows; r++) {
      uint64_t bit = draw(4) < dense;
      m->cells[r * COLUMNS + c] = (uint8_t)bit;
      ap_cap_column(cap, c)[r / 64] |= bit << r % 64;
    }
  }
}

static void check_equal(const struct ap_cap *cap, const struct model *m) {
  uint64_t tagged = 0;
  for (uint64_t r = 0; r < m->rows; r++) {
    if ((cap->tag[r / 64] >> r % 64 & 1) != m->tag[r]) {
      fail_msg("tag of row %llu of %llu", (unsigned long long)r, (unsigned long long)m->rows);
    }
    tagged += m->tag[r];
    for (unsigned c = 0; c < COLUMNS; c++) {
      if ((ap_cap_column(cap, c)[r / 64] >> r % 64 & 1) != m->cells[r * COLUMNS + c]) {
        fail_msg("row %llu of %llu, column %u", (unsigned long long)r, (unsigned long long)m->rows, c);
      }
    }
  }
  for (uint64_t r = m->rows; r < cap->words * 64; r++) {  // never outside the row mask
    assert_false(cap->tag[r / 64] >> r % 64 & 1);
    for (unsigned c = 0; c < COLUMNS; c++) {
      assert_false(ap_cap_column(cap, c)[r / 64] >> r % 64 & 1);
    }
  }
  assert_int_equal(cap->tagged, tagged);
  assert_memory_equal(&cap->events, &m->events, sizeof m->events);
}

static void run_tile(struct ap_cap *cap, uint64_t rows, unsigned instructions) {
  struct model m = {.rows = rows, .cells = calloc(rows, COLUMNS), .tag = calloc(rows, 1)};
  ap_cap_begin(cap, rows, rows);
  fill_both(cap, &m);
  for (unsigned i = 0; i < instructions; i++) {
    struct subject s;
    random_subject(&s, i % 2 == 0, rows);
    ap_cap_run(cap, &s.micro, &s.instr);
    model_run(&m, &s);
    check_equal(cap, &m);
  }
  free(m.cells);
  free(m.tag);
}

static void test_against_model(void **state) {
  for (unsigned v = 0; v < 8; v++) {
    if (ap_steps_variant(v) == NULL) {
      continue;
    }
    struct ap_cap cap;
    ap_cap_init(&cap, COLUMNS, 4800);
    cap.steps = ap_steps_variant(v);
    seed = 1;
    for (uint64_t rows = 1; rows <= 200; rows++) {
      run_tile(&cap, rows, 16);
    }
    run_tile(&cap, 4800, 60);
    ap_cap_free(&cap);
  }
}

// The longest distance, the most literals and the whole width of a partner.
static void test_widest_pair(void **state) {
  struct ap_step step = {.kind = AP_STEP_PAIR, .nlits = 64};
  struct ap_lit lits[64];
  struct ap_micro micro = {.op = AP_OP_ADDPAIR, .width = {64, 64}, .steps = &step, .nsteps = 1, .lits = lits, .nlits = 64};
  struct ap_instr instr = {.op = AP_OP_ADDPAIR, .f = {{4, 64}, {68, 64}}, .imm = 32768};
  for (unsigned i = 0; i < 64; i++) {
    lits[i] = (struct ap_lit){AP_SLOT_PARTNER, (uint8_t)i, AP_LIT_1, 0};
  }
  assert_null(ap_micro_check(&micro));
  struct ap_cap cap;
  ap_cap_init(&cap, 132, 65536);
  ap_cap_begin(&cap, 65536, 65536);
  for (unsigned i = 0; i < 64; i++) {
    ap_cap_column(&cap, 68 + i)[32768 / 64] = 1;
  }
  ap_cap_run(&cap, &micro, &instr);
  assert_int_equal(cap.tagged, 1);
  assert_int_equal(cap.tag[0], 1);
  ap_cap_column(&cap, 68 + 63)[32768 / 64] = 0;
  ap_cap_run(&cap, &micro, &instr);
  assert_int_equal(cap.tagged, 0);
  ap_cap_free(&cap);
}

// Heads belong to the rows of the present tile.
static void test_tiles_of_other_sizes(void **state) {
  struct ap_step step = {.kind = AP_STEP_PAIR, .nlits = 1};
  struct ap_lit zero = {AP_SLOT_D, 0, AP_LIT_0, 0};
  struct ap_micro micro = {.op = AP_OP_ADDPAIR, .width = {1, 1}, .steps = &step, .nsteps = 1, .lits = &zero, .nlits = 1};
  struct ap_instr instr = {.op = AP_OP_ADDPAIR, .f = {{4, 1}, {5, 1}}, .imm = 3};
  static const uint64_t rows[] = {10, 200, 64, 1};
  struct ap_cap cap;
  ap_cap_init(&cap, COLUMNS, 200);
  for (size_t i = 0; i < BF_COUNT(rows); i++) {
    ap_cap_begin(&cap, rows[i], rows[i]);
    assert_int_equal(cap.tagged, 0);
    ap_cap_run(&cap, &micro, &instr);
    assert_int_equal(cap.tagged, (rows[i] + 5) / 6);
  }
  ap_cap_free(&cap);
}

static void test_row_vectors(void **state) {
  uint64_t from[6], to[6], mask[6];
  seed = 5;
  for (uint64_t distance = 0; distance < 500; distance++) {
    for (unsigned w = 0; w < 6; w++) {
      from[w] = draw(UINT32_MAX) << 32 | draw(UINT32_MAX);
      mask[w] = draw(UINT32_MAX) << 32 | draw(UINT32_MAX);
    }
    ap_rows_up(to, from, mask, 6, distance);
    for (uint64_t r = 0; r < 384; r++) {
      uint64_t at = r + distance;
      assert_int_equal(to[r / 64] >> r % 64 & 1, at < 384 ? (from[at / 64] & mask[at / 64]) >> at % 64 & 1 : 0);
    }
    ap_rows_down(to, from, 6, distance);
    for (uint64_t r = 0; r < 384; r++) {
      uint64_t at = r - distance;
      assert_int_equal(to[r / 64] >> r % 64 & 1, r >= distance ? from[at / 64] >> at % 64 & 1 : 0);
    }
    ap_rows_multiples(to, 6, 300, distance + 1);
    for (uint64_t r = 0; r < 384; r++) {
      assert_int_equal(to[r / 64] >> r % 64 & 1, r < 300 && r % (distance + 1) == 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_model),
      cmocka_unit_test(test_widest_pair),
      cmocka_unit_test(test_tiles_of_other_sizes),
      cmocka_unit_test(test_row_vectors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
