// SPDX-License-Identifier: Apache-2.0
// --check: runs a program on the engine's compares and writes and holds the array against the integer meaning: the
// result, all other columns (operands, flags, a bystander), and rows outside the row mask.
#include <stdlib.h>
#include <string.h>

#include "runtime/cap.h"
#include "tools/aplut/aplut.h"

enum {
  EXHAUSTIVE_BITS = 20,  // up to this many bits of operands all values are run
  MAX_BATCH = 4000,      // rows at once; no multiple of the engine's block, so that there are rows outside the mask
  SAMPLES = 4            // batches of corner and random values where there are too many
};

// Rows to be run at once: initial and demanded values of d, a, b, and tags of raw tag instructions.
struct batch {
  uint64_t rows, imm;
  uint64_t in[3][MAX_BATCH], out[3][MAX_BATCH];
  bool tag_in[MAX_BATCH], tag_out[MAX_BATCH];
};
struct run {
  const struct ap_micro *micro;
  const struct ap_op_info *info;
  struct ap_cap cap;
  struct ap_field field[3];
  uint32_t columns;
  uint64_t random;
  bool across;              // rows see each other: rows outside the mask stay empty, as engines keep them
  struct ap_pattern pattern;  // of the pattern instruction: its key is the immediate of the batch
  struct ap_events events;  // of all batches
  struct batch *batch;
  struct verdict *verdict;
};

static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}
static uint64_t low(uint64_t v, unsigned width) { return width >= 64 ? v : v & ((UINT64_C(1) << width) - 1); }

// A corner value now and then, else a random one.
static uint64_t sample(uint64_t *state, unsigned width) {
  if (width == 0) {
    return 0;
  }
  uint64_t top = UINT64_C(1) << (width - 1), pick = next_random(state);
  const uint64_t corners[] = {0, 1, ~UINT64_C(0), top, top - 1, top + 1, UINT64_C(0x5555555555555555), UINT64_C(0xaaaaaaaaaaaaaaaa)};
  return low(pick % 3 == 0 ? corners[pick >> 32 & 7] : next_random(state), width);
}

// --- cells -----------------------------------------------------------------------------------------------

static bool cell(const struct ap_cap *cap, unsigned column, uint64_t row) {
  return ap_cap_column(cap, column)[row / 64] >> row % 64 & 1;
}
static void set_cell(uint64_t *column, uint64_t row, uint64_t bit) {
  column[row / 64] = (column[row / 64] & ~(UINT64_C(1) << row % 64)) | (bit & 1) << row % 64;
}
static void put_field(uint64_t *cells, size_t words, struct ap_field field, const uint64_t *values, uint64_t rows) {
  for (unsigned i = 0; i < field.width; i++) {
    for (uint64_t r = 0; r < rows; r++) {
      set_cell(cells + (field.col + i) * words, r, values[r] >> i);
    }
  }
}

static void fill_cells(struct run *run) {
  struct ap_cap *cap = &run->cap;
  const struct batch *b = run->batch;
  ap_cap_begin(cap, b->rows, b->rows);
  size_t outside = run->across ? b->rows : 64 * cap->words;
  for (unsigned c = 0; c < run->columns; c++) {
    bool bystander = c == run->columns - 1;
    for (uint64_t r = bystander ? 0 : b->rows; r < outside; r++) {
      set_cell(ap_cap_column(cap, c), r, next_random(&run->random));
    }
  }
  for (unsigned f = 0; f < 3; f++) {
    put_field(cap->cells, cap->words, run->field[f], b->in[f], b->rows);
  }
  for (uint64_t r = 0; r < b->rows; r++) {
    set_cell(cap->tag, r, b->tag_in[r]);
  }
}

// --- one batch -------------------------------------------------------------------------------------------

static uint64_t get_field(const struct ap_cap *cap, struct ap_field field, uint64_t row) {
  uint64_t value = 0;
  for (unsigned i = 0; i < field.width; i++) {
    value |= (uint64_t)cell(cap, field.col + i, row) << i;
  }
  return value;
}

static char *describe(const struct run *run, const uint64_t *expected) {
  static const char NAMES[] = "dab";
  const struct ap_cap *cap = &run->cap;
  const struct batch *b = run->batch;
  for (uint64_t r = 0; r < b->rows; r++) {
    for (unsigned f = 0; f < 3; f++) {
      if (run->field[f].width > 0 && get_field(cap, run->field[f], r) != b->out[f][r]) {
        return bf_format("with d=%llu a=%llu b=%llu imm=%llu, %c becomes %llu, not %llu", (unsigned long long)b->in[0][r],
                         (unsigned long long)b->in[1][r], (unsigned long long)b->in[2][r], (unsigned long long)b->imm, NAMES[f],
                         (unsigned long long)get_field(cap, run->field[f], r), (unsigned long long)b->out[f][r]);
      }
    }
  }
  for (unsigned c = 0; c < run->columns; c++) {
    for (uint64_t r = 0; r < 64 * cap->words; r++) {
      if (cell(cap, c, r) != (expected[c * cap->words + r / 64] >> r % 64 & 1)) {
        return c < AP_FLAG_COLUMNS && r < b->rows ? bf_format("flag %c is left set", "CFGH"[c])
               : r >= b->rows                     ? bf_format("a row outside the row mask is written, in column %u", c)
                                                  : bf_format("a column of no operand is written");
      }
    }
  }
  return NULL;
}

static void run_batch(struct run *run) {
  struct ap_cap *cap = &run->cap;
  struct batch *b = run->batch;
  fill_cells(run);
  size_t bytes = cap->words * run->columns * sizeof *cap->cells;
  uint64_t *expected = bf_alloc(bytes, 1);
  memcpy(expected, cap->cells, bytes);
  struct ap_instr instr = {.op = run->micro->op, .imm = run->info->imm == AP_IMM_PATTERN ? 0 : b->imm};
  for (unsigned f = 0; f < 3; f++) {
    put_field(expected, cap->words, run->field[f], b->out[f], b->rows);
    instr.f[f] = run->field[f];
  }
  ap_cap_run(cap, run->micro, &instr);
  run->verdict->cases += b->rows;
  ap_events_add(&run->events, &cap->events);
  if (memcmp(expected, cap->cells, bytes) != 0) {
    run->verdict->failure = describe(run, expected);
  }
  bool tags = run->info->tag == AP_TAG_SETS || run->info->tag == AP_TAG_USES;
  for (uint64_t r = 0; r < b->rows && tags && run->verdict->failure == NULL; r++) {
    if ((cap->tag[r / 64] >> r % 64 & 1) != b->tag_out[r]) {
      run->verdict->failure = bf_format("row %llu is %stagged with imm=%llu", (unsigned long long)r, b->tag_out[r] ? "not " : "",
                                        (unsigned long long)b->imm);
    }
  }
  free(expected);
}

// --- what is demanded ------------------------------------------------------------------------------------

// Raw tag instructions.
static void demand_tags(struct run *run) {
  struct batch *b = run->batch;
  unsigned wd = run->field[0].width, wa = run->field[1].width;
  uint64_t count = 0;
  for (uint64_t r = 0; r < b->rows; r++) {
    count += b->tag_in[r];
  }
  for (uint64_t r = 0; r < b->rows; r++) {
    uint64_t key[3] = {low(b->imm, wd), low(wd < 64 ? b->imm >> wd : 0, wa), wd + wa < 64 ? b->imm >> (wd + wa) : 0};
    bool match = b->in[0][r] == key[0] && b->in[1][r] == key[1] && b->in[2][r] == key[2], tag = b->tag_in[r];
    b->tag_out[r] = tag;
    switch (run->micro->op) {
      case AP_OP_COMPARE: b->tag_out[r] = match; break;
      case AP_OP_COMPOR: b->tag_out[r] = tag || match; break;
      case AP_OP_TAGUP: b->tag_out[r] = b->imm < b->rows - r && b->tag_in[r + b->imm]; break;
      case AP_OP_TAGDOWN: b->tag_out[r] = r >= b->imm && b->tag_in[r - b->imm]; break;
      case AP_OP_TALLY: b->out[0][r] = low(count, wd); break;
      default:  // WRITE
        for (unsigned f = 0; f < 3 && tag; f++) {
          b->out[f][r] = key[f];
        }
    }
  }
}

// False: the instruction has no meaning here.
static bool demand(struct run *run) {
  struct batch *b = run->batch;
  memcpy(b->out, b->in, sizeof b->out);
  memcpy(b->tag_out, b->tag_in, sizeof b->tag_out);
  if (run->info->format == AP_FORMAT_KEY || run->info->tag != AP_TAG_CLOBBERS) {
    demand_tags(run);
    return true;
  }
  struct meaning_rows rows = {b->in[0], b->in[1], b->in[2], b->out[0], b->rows, b->imm, &run->pattern};
  return meaning(run->micro->op, run->micro->width, &rows);
}

// Other numbers for each batch.
static void choose_pattern(struct run *run) {
  const uint8_t *width = run->micro->width;
  run->pattern = (struct ap_pattern){.inputs = width[1], .key = run->batch->imm, .base = sample(&run->random, width[0])};
  for (unsigned i = 0; i < width[1]; i++) {
    run->pattern.add[i] = sample(&run->random, width[0]);
  }
  run->cap.patterns = &run->pattern;
}

static bool go(struct run *run) {
  if (run->info->imm == AP_IMM_PATTERN) {
    choose_pattern(run);
  }
  if (!demand(run)) {
    run->verdict->failure = bf_format("this tool does not know what %s means", run->info->mnemonic);
    return false;
  }
  run_batch(run);
  return run->verdict->failure == NULL;
}

// --- values ----------------------------------------------------------------------------------------------

// All values of the operands that are read, for one value of the immediate. A result that is not read starts at random.
static bool run_all(struct run *run, unsigned operand_bits) {
  struct batch *b = run->batch;
  uint64_t total = UINT64_C(1) << operand_bits;
  for (uint64_t at = 0; at < total; at += b->rows) {
    b->rows = total - at < MAX_BATCH ? total - at : MAX_BATCH;
    b->rows -= b->rows > 1 && b->rows % 512 == 0;  // leaves a row outside the mask
    for (uint64_t r = 0; r < b->rows; r++) {
      uint64_t bits = at + r;
      for (unsigned f = 0; f < 3; f++) {
        unsigned width = run->field[f].width;
        bool counted = f > 0 || meaning_reads_d(run->micro->op);
        b->in[f][r] = counted ? low(bits, width) : low(next_random(&run->random), width);
        bits = counted ? (width < 64 ? bits >> width : 0) : bits;
      }
    }
    if (!go(run)) {
      return false;
    }
  }
  return true;
}

static bool run_samples(struct run *run, uint64_t rows) {
  struct batch *b = run->batch;
  b->rows = rows;
  for (uint64_t r = 0; r < b->rows; r++) {
    for (unsigned f = 0; f < 3; f++) {
      b->in[f][r] = sample(&run->random, run->field[f].width);
    }
    b->tag_in[r] = next_random(&run->random) & 1;
  }
  return go(run);
}

static void check_across(struct run *run) {
  static const uint64_t ROWS[] = {1, 2, 3, 63, 64, 65, 511, 777, 2000}, DISTANCES[] = {1, 2, 3, 7, 63, 64, 65, 128, 600, AP_MAX_ROW_DISTANCE};
  bool distance = run->info->imm == AP_IMM_ROWS;
  for (size_t i = 0; i < BF_COUNT(ROWS); i++) {
    for (size_t k = 0; k < (distance ? BF_COUNT(DISTANCES) : 1); k++) {
      run->batch->imm = distance ? DISTANCES[k] : 0;
      if (!run_samples(run, ROWS[i])) {
        return;
      }
    }
  }
}

static void check_values(struct run *run) {
  unsigned imm_bits = ap_imm_width(run->info, run->micro->width), operands = 0;
  bool raw = run->info->tag != AP_TAG_CLOBBERS;
  for (unsigned f = 0; f < 3; f++) {
    operands += f > 0 || raw || meaning_reads_d(run->micro->op) ? run->field[f].width : 0;
  }
  bool all = operands + imm_bits <= EXHAUSTIVE_BITS && !raw;
  run->verdict->exhaustive = all && run->info->imm != AP_IMM_PATTERN;  // of its numbers some are tried
  uint64_t immediates = imm_bits == 0 ? 1 : imm_bits <= (all ? EXHAUSTIVE_BITS : 6) ? UINT64_C(1) << imm_bits : 32;
  for (uint64_t i = 0; i < immediates; i++) {
    run->batch->imm = immediates == 32 && imm_bits > 6 ? sample(&run->random, imm_bits) : i;
    if (all && !run_all(run, operands)) {
      return;
    }
    for (unsigned k = 0; k < (imm_bits > 0 ? 1 : SAMPLES) && !all; k++) {
      if (!run_samples(run, imm_bits > 0 ? 1000 : MAX_BATCH - 1)) {
        return;
      }
    }
  }
}

static double price(const struct ap_events *e, const struct ap_technology *t, uint64_t rows) {
  double energy = (double)e->match_cells * t->compare_match_j + (double)(e->compare_cells - e->match_cells) * t->compare_mismatch_j +
                  (double)e->changed_cells * t->write_j + (double)(e->written_cells - e->changed_cells) * t->write_same_j +
                  (double)e->shift_rows * t->shift_j + (double)e->count_rows * t->count_j;
  return rows > 0 ? energy / (double)rows : 0;
}

static struct verdict check_instruction(const struct subject *subject, const struct array *array) {
  struct verdict verdict = {0};
  struct run run = {.micro = &subject->micro, .info = subject->info, .random = 1, .verdict = &verdict};
  unsigned column = AP_FLAG_COLUMNS;
  for (unsigned f = 0; f < 3; f++) {
    run.field[f] = (struct ap_field){(uint16_t)column, subject->micro.width[f]};
    column += subject->micro.width[f];
  }
  run.columns = column + 1;  // and a bystander
  run.batch = bf_alloc(1, sizeof *run.batch);
  ap_cap_init(&run.cap, run.columns, MAX_BATCH);
  const char *why = ap_micro_check(&subject->micro);
  for (uint32_t s = 0; s < subject->micro.nsteps; s++) {
    run.across |= ap_step_info(subject->micro.steps[s].kind)->needs & ~AP_FEATURE_ACCUMULATE;
  }
  if (why != NULL) {
    verdict.failure = bf_strdup(why);
  } else if (run.across) {
    check_across(&run);
  } else {
    check_values(&run);
  }
  verdict.energy_j = price(&run.events, &array->tech, verdict.cases);
  ap_cap_free(&run.cap);
  free(run.batch);
  return verdict;
}

// --- tables ----------------------------------------------------------------------------------------------

// The program as microcode of a field d that has all columns of the table.
static struct ap_micro as_micro(const struct ap_lut_program *program, unsigned ncolumns) {
  struct ap_micro m = {.op = AP_OP_WRITE, .width = {(uint8_t)ncolumns}};
  m.steps = bf_alloc(program->nsteps + 1, sizeof *m.steps);
  m.lits = bf_alloc((size_t)program->nsteps * AP_LUT_MAX_COLUMNS + 1, sizeof *m.lits);
  for (unsigned s = 0; s < program->nsteps; s++) {
    const struct ap_lut_step *step = &program->steps[s];
    m.steps[m.nsteps++] = (struct ap_step){step->kind, step->nlits, 0, m.nlits};
    for (unsigned l = 0; l < step->nlits; l++) {
      m.lits[m.nlits++] = (struct ap_lit){AP_SLOT_D, step->lits[l].column, step->lits[l].value, 0};
    }
  }
  return m;
}

static char *check_rows(const struct ap_lut_table *table, const struct ap_cap *cap, unsigned param, unsigned immediate) {
  for (unsigned r = 0; r < table->nrows; r++) {
    const struct ap_lut_row *row = &table->row[r];
    for (unsigned c = 0; c < table->ncolumns; c++) {
      bool keeps = table->column[c].role == AP_LUT_INPUT;
      unsigned want = (keeps ? row->in : row->out) >> c & 1;
      bool counted = c != param && (keeps || (row->care >> c & 1)) && (param == AP_LUT_MAX_COLUMNS || (row->in >> param & 1u) == immediate);
      if (counted && cell(cap, c, r) != want) {
        return bf_format("row %u: column %s becomes %u, not %u", r, table->column[c].name, !want, want);
      }
    }
  }
  return NULL;
}

static struct verdict check_table(const struct subject *subject) {
  const struct ap_lut_table *table = &subject->table;
  struct verdict verdict = {.cases = table->nrows, .exhaustive = true};
  struct ap_micro micro = as_micro(&subject->program, table->ncolumns);
  struct ap_instr instr = {.op = AP_OP_WRITE, .f = {{0, (uint8_t)table->ncolumns}}};
  unsigned param = AP_LUT_MAX_COLUMNS;
  for (unsigned c = 0; c < table->ncolumns; c++) {
    param = table->column[c].role == AP_LUT_PARAM ? c : param;
  }
  struct ap_cap cap;
  unsigned runs = param < AP_LUT_MAX_COLUMNS ? 2 : 1;
  ap_cap_init(&cap, AP_LUT_MAX_COLUMNS, AP_LUT_MAX_ROWS);
  for (instr.imm = 0; instr.imm < runs && verdict.failure == NULL; instr.imm++) {
    ap_cap_begin(&cap, table->nrows, table->nrows);
    for (unsigned r = 0; r < table->nrows; r++) {
      for (unsigned c = 0; c < table->ncolumns; c++) {
        set_cell(ap_cap_column(&cap, c), r, (uint64_t)table->row[r].in >> c);
      }
    }
    ap_cap_run(&cap, &micro, &instr);
    verdict.failure = check_rows(table, &cap, param, (unsigned)instr.imm);
  }
  ap_cap_free(&cap);
  ap_micro_free(&micro);
  return verdict;
}

struct verdict subject_check(const struct subject *subject, const struct array *array) {
  return subject->info != NULL ? check_instruction(subject, array) : check_table(subject);
}
