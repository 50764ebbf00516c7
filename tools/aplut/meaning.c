// SPDX-License-Identifier: Apache-2.0
// What compute instructions mean, in integers: the semantics column of isa/ap_isa.def and nothing else. Programs are checked
// against it, so it shares nothing with the generator.
#include "tools/aplut/aplut.h"

static uint64_t low(uint64_t v, unsigned width) { return width >= 64 ? v : v & ((UINT64_C(1) << width) - 1); }
static int64_t sign(uint64_t v, unsigned width) {
  uint64_t top = UINT64_C(1) << (width - 1);
  return (int64_t)((low(v, width) ^ top) - top);
}

// One row of an instruction whose rows do not see each other; `w` are the widths of d, a, b. Instructions of the same kind of
// operands stand together; each group says false for what is not in it.
struct row { uint64_t d, a, b, imm; const uint8_t *w; };

static bool arithmetic(enum ap_op op, const struct row *r, uint64_t *out) {
  uint64_t as = r->w[1] > 0 ? (uint64_t)sign(r->a, r->w[1]) : 0, bs = r->w[2] > 0 ? (uint64_t)sign(r->b, r->w[2]) : 0;
  switch (op) {
    case AP_OP_ADD: *out = r->d + r->a; return true;
    case AP_OP_SUB: *out = r->d - r->a; return true;
    case AP_OP_ADDS: *out = r->d + as; return true;
    case AP_OP_SUBS: *out = r->d - as; return true;
    case AP_OP_ADDK: *out = r->d + r->imm; return true;
    case AP_OP_SUBK: *out = r->d - r->imm; return true;
    case AP_OP_SUBR: *out = r->a - r->d; return true;
    case AP_OP_ADDO: *out = r->a + r->b; return true;
    case AP_OP_SUBO: *out = r->a - r->b; return true;
    case AP_OP_NEG: *out = 0 - r->d; return true;
    case AP_OP_NEGO: *out = 0 - r->a; return true;
    case AP_OP_ABSO: *out = as >> 63 ? 0 - as : as; return true;
    case AP_OP_MUL: *out = r->a * r->b; return true;
    case AP_OP_MULS: *out = r->a * bs; return true;
    case AP_OP_MULSS: *out = as * bs; return true;
    case AP_OP_ROUND: {
      unsigned shift = r->w[1] - r->w[0];
      uint64_t half = UINT64_C(1) << (shift - 1);
      // (a + half) >> shift without the carry out of 64 bits; d keeps the low bits of it
      *out = (r->a >> shift) + ((r->a & half) != 0);
      return true;
    }
    default: return false;
  }
}

static bool order(enum ap_op op, const struct row *r, uint64_t *out) {
  int64_t as = r->w[1] > 0 ? sign(r->a, r->w[1]) : 0, bs = r->w[2] > 0 ? sign(r->b, r->w[2]) : 0;
  switch (op) {
    case AP_OP_MAX: *out = r->d > r->a ? r->d : r->a; return true;
    case AP_OP_MIN: *out = r->d < r->a ? r->d : r->a; return true;
    case AP_OP_MAXK: *out = r->d > r->imm ? r->d : r->imm; return true;
    case AP_OP_MINK: *out = r->d < r->imm ? r->d : r->imm; return true;
    case AP_OP_RELU: *out = sign(r->d, r->w[0]) < 0 ? 0 : r->d; return true;
    case AP_OP_GT: *out = r->a > r->b; return true;
    case AP_OP_LT: *out = r->a < r->b; return true;
    case AP_OP_LE: *out = r->a <= r->b; return true;
    case AP_OP_EQ: *out = r->a == r->b; return true;
    case AP_OP_LTS: *out = as < bs; return true;
    case AP_OP_LES: *out = as <= bs; return true;
    case AP_OP_GTK: *out = r->a > r->imm; return true;
    case AP_OP_EQK: *out = r->a == r->imm; return true;
    default: return false;
  }
}

static bool logic(enum ap_op op, const struct row *r, uint64_t *out) {
  switch (op) {
    case AP_OP_SETK: *out = r->imm; return true;
    case AP_OP_SETKIF: *out = r->a ? r->imm : r->d; return true;
    case AP_OP_COPY: *out = r->a; return true;
    case AP_OP_COPYIF: *out = r->b ? r->a : r->d; return true;
    case AP_OP_NOT: *out = ~r->a; return true;
    case AP_OP_COPYS: *out = (uint64_t)sign(r->a, r->w[1]); return true;
    case AP_OP_AND: *out = r->d & r->a; return true;
    case AP_OP_OR: *out = r->d | r->a; return true;
    case AP_OP_XOR: *out = r->d ^ r->a; return true;
    case AP_OP_ANDO: *out = r->a & r->b; return true;
    case AP_OP_ORO: *out = r->a | r->b; return true;
    case AP_OP_XORO: *out = r->a ^ r->b; return true;
    default: return false;
  }
}

static uint64_t pattern_value(const struct ap_pattern *pattern, const struct row *r) {
  uint64_t sum = pattern->base;
  if (r->w[2] > 0 && r->b != pattern->key) {
    return r->d;
  }
  for (unsigned i = 0; i < r->w[1]; i++) {
    sum += r->a >> i & 1 ? pattern->add[i] : 0;
  }
  return sum;
}

// Instructions whose rows see each other.
static bool between_rows(enum ap_op op, const struct meaning_rows *m) {
  uint64_t sum = 0;
  switch (op) {
    case AP_OP_MOVEUP:
      for (uint64_t r = 0; r < m->rows; r++) {
        m->out[r] = m->imm < m->rows - r ? m->a[r + m->imm] : 0;
      }
      return true;
    case AP_OP_MOVEDN:
      for (uint64_t r = 0; r < m->rows; r++) {
        m->out[r] = r >= m->imm ? m->a[r - m->imm] : 0;
      }
      return true;
    case AP_OP_ADDPAIR:
      for (uint64_t r = 0; r < m->rows; r++) {
        bool head = r % (2 * m->imm) == 0 && m->imm < m->rows - r;
        m->out[r] = m->d[r] + (head ? m->a[r + m->imm] : 0);
      }
      return true;
    case AP_OP_SUMROWS:
      for (uint64_t r = 0; r < m->rows; r++) {
        sum += m->a[r];
      }
      for (uint64_t r = 0; r < m->rows; r++) {
        m->out[r] = sum;
      }
      return true;
    default: return false;
  }
}

bool meaning(enum ap_op op, const uint8_t width[3], const struct meaning_rows *m) {
  bool across = between_rows(op, m);
  for (uint64_t r = 0; r < m->rows; r++) {
    struct row row = {m->d[r], m->a[r], m->b[r], m->imm, width};
    uint64_t *out = &m->out[r];
    if (op == AP_OP_PATTERN) {
      *out = pattern_value(m->pattern, &row);
    } else if (!across && !arithmetic(op, &row, out) && !order(op, &row, out) && !logic(op, &row, out)) {
      return false;
    }
    *out = low(*out, width[0]);
  }
  return true;
}

bool meaning_reads_d(enum ap_op op) {
  switch (op) {
    case AP_OP_SETKIF: case AP_OP_COPYIF: case AP_OP_AND: case AP_OP_OR: case AP_OP_XOR: case AP_OP_ADD: case AP_OP_SUB:
    case AP_OP_ADDS: case AP_OP_SUBS: case AP_OP_ADDK: case AP_OP_SUBK: case AP_OP_SUBR: case AP_OP_NEG: case AP_OP_MAX:
    case AP_OP_MIN: case AP_OP_MINK: case AP_OP_MAXK: case AP_OP_RELU: case AP_OP_ADDPAIR: return true;
    default: return false;
  }
}
