// SPDX-License-Identifier: Apache-2.0
// Microcode steps on one array, a byte for a cell (docs/isa.md, "Microcode").
#include <stdlib.h>
#include <string.h>

#include "second.h"

static int by_key(const void *a, const void *b) { return memcmp(a, b, 4); }

static const struct micro *find_micro(const struct binary *b, const struct instr *in) {
  struct micro key = {.op = (uint8_t)in->op, .width = {(uint8_t)in->f[0].width, (uint8_t)in->f[1].width,
                                                       (uint8_t)in->f[2].width}};
  const struct micro *m = bsearch(&key, b->micros, b->nmicros, sizeof key, by_key);
  if (!m)
    die("no microcode for opcode 0x%02x at widths %u, %u, %u", in->op, in->f[0].width, in->f[1].width, in->f[2].width);
  return m;
}

static uint8_t *column(const struct cell_array *cap, const struct instr *in, const struct lit *l) {
  unsigned col = l->bit;
  if (l->slot != 3) {
    struct field f = in->f[l->slot == 4 ? 1 : l->slot];
    if (l->slot == 5 || l->bit >= f.width)
      die("a literal lies outside its field");
    col += f.col;
  }
  return cap->cells + (size_t)col * cap->rows;
}

// What the literals of an instruction stand for beside 0 and 1.
struct numbers { uint64_t imm, sum, pattern; };

static uint8_t value(const struct numbers *n, const struct lit *l) {
  switch (l->value) {
    case 0:
    case 1: return l->value;
    case 2: return n->imm >> l->kbit & 1;
    case 3: return ~n->imm >> l->kbit & 1;
    case 4: return n->sum >> l->kbit & 1;
    default: return n->pattern >> l->kbit & 1;
  }
}

// cap->match := the rows that match the step's key.
static void match(struct cell_array *cap, const struct instr *in, const struct step *s, const struct numbers *n) {
  uint32_t rows = cap->rows;
  uint8_t *m = cap->match;
  memset(m, 1, rows);
  if (s->kind >= 4)
    for (uint32_t r = 0; r < rows; r++)
      m[r] = r % (2 * in->imm) == 0;
  for (unsigned i = 0; i < s->nlits; i++) {
    const struct lit *l = &s->lits[i];
    const uint8_t *cells = column(cap, in, l);
    if (l->value > 3)
      die("a sum is compared");
    uint8_t wanted = value(n, l);
    if (l->slot != 4)
      for (uint32_t r = 0; r < rows; r++)
        m[r] &= cells[r] == wanted;
    else if (s->kind >= 4)
      for (uint32_t r = 0; r < rows; r++)
        m[r] &= (r + in->imm < rows ? cells[r + in->imm] : 0) == wanted;
    else
      die("a partner row in a plain step");
  }
}

static void compare(struct cell_array *cap, const struct instr *in, const struct step *s, const struct numbers *n) {
  uint64_t matches = 0;
  bool accumulates = s->kind == 1 || s->kind == 5;
  match(cap, in, s, n);
  for (uint32_t r = 0; r < cap->rows; r++) {
    matches += cap->match[r];
    cap->tag[r] = cap->match[r] | (accumulates ? cap->tag[r] : 0);
  }
  cap->events[EV_compare]++;
  cap->events[EV_compare_cells] += (uint64_t)s->nlits * cap->searched;
  cap->events[EV_match_cells] += s->nlits * matches;
  cap->compute += cap->compare_cycles;
}

static void write_step(struct cell_array *cap, const struct instr *in, const struct step *s, const struct numbers *n) {
  uint64_t tagged = 0, changed = 0;
  if (s->kind == 3)
    memset(cap->tag, 1, cap->rows);
  for (uint32_t r = 0; r < cap->rows; r++)
    tagged += cap->tag[r];
  for (unsigned i = 0; i < s->nlits; i++) {
    if (s->lits[i].slot == 4)
      die("a write into the partner row");
    uint8_t *cells = column(cap, in, &s->lits[i]), v = value(n, &s->lits[i]);
    for (uint32_t r = 0; r < cap->rows; r++) {
      uint8_t flips = cap->tag[r] & (cells[r] ^ v);
      changed += flips;
      cells[r] ^= flips;
    }
  }
  cap->events[EV_write]++;
  cap->events[EV_written_cells] += s->nlits * tagged;
  cap->events[EV_changed_cells] += changed;
  cap->compute += cap->write_cycles;
}

static void shift(struct cell_array *cap, const struct instr *in, bool up) {
  uint64_t rows = cap->rows, distance = in->imm;
  for (uint64_t r = 0; r < rows; r++)
    if (up)
      cap->match[r] = distance < rows - r ? cap->tag[r + distance] : 0;
    else
      cap->match[r] = distance <= r ? cap->tag[r - distance] : 0;
  memcpy(cap->tag, cap->match, rows);
  cap->events[EV_shift] += distance;
  cap->events[EV_shift_rows] += distance * rows;
  cap->compute += distance;
}

static const struct pattern *find_pattern(const struct binary *b, const struct instr *in) {
  if (in->op != 0x68)
    return NULL;
  if (in->index >= b->npatterns)
    die("pattern %u of %u", in->index, b->npatterns);
  const struct pattern *p = &b->patterns[in->index];
  uint64_t all = p->base;
  for (unsigned k = 0; k < p->inputs; k++)
    all |= p->add[k];
  if (p->inputs != in->f[1].width || p->key >> in->f[2].width || (in->f[0].width < 64 && all >> in->f[0].width))
    die("pattern %u does not fit its instruction", in->index);
  return p;
}

// The numbers of the pattern that the compare chooses: those of the bits of a that it wants to be 1.
static uint64_t chosen(const struct pattern *p, const struct step *s, const struct numbers *n) {
  uint64_t sum = p->base;
  for (unsigned i = 0; i < s->nlits; i++)
    if (s->lits[i].slot == 1 && value(n, &s->lits[i]))
      sum += p->add[s->lits[i].bit];
  return sum;
}

void run_micro(struct cell_array *cap, const struct binary *b, const struct instr *in) {
  const struct micro *m = find_micro(b, in);
  const struct pattern *p = find_pattern(b, in);
  struct numbers n = {p ? p->key : in->imm, 0, p ? p->base : 0};
  for (uint32_t i = 0; i < m->nsteps; i++) {
    const struct step *s = &m->steps[i];
    if (s->kind >= 4 && s->kind <= 7 && (in->imm < 1 || in->imm > 65535))
      die("a row distance of %llu", (unsigned long long)in->imm);
    if (s->kind <= 1 || s->kind == 4 || s->kind == 5) {
      compare(cap, in, s, &n);
      if (p)
        n.pattern = chosen(p, s, &n);
    } else if (s->kind <= 3) {
      write_step(cap, in, s, &n);
    } else if (s->kind <= 7) {
      shift(cap, in, s->kind == 6);
    } else {
      if (s->lits[0].slot != 5)
        die("a count without sum[i]");
      for (uint32_t r = 0; r < cap->rows; r++)
        n.sum += (uint64_t)cap->tag[r] << s->lits[0].bit;
      cap->events[EV_count]++;
      cap->events[EV_count_rows] += cap->rows;
      cap->compute++;
    }
  }
}
