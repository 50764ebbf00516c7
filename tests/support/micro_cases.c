// SPDX-License-Identifier: Apache-2.0
#include "tests/support/micro_cases.h"

#include <stdlib.h>
#include <string.h>

uint64_t case_random(uint64_t *state) {  // xorshift64*
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(2685821657736338717);
}

static void place_fields(struct case_block *block, const struct ap_micro *m, uint64_t *state) {
  const struct ap_op_info *info = ap_op_info(m->op);
  for (unsigned i = 0; i < 3; i++) {
    size_t column = AP_FLAG_COLUMNS + (size_t)i * AP_MAX_WIDTH;
    block->slot[i] = m->width[i] ? block->cells + column * AP_COLUMN_WORDS : NULL;
  }
  block->slot[3] = block->cells;
  if (info->format == AP_FORMAT_KEY || case_random(state) % 2) {
    return;
  }
  if (m->width[2]) {
    block->slot[2] = block->slot[1] + case_random(state) % m->width[1] * AP_COLUMN_WORDS;
  } else if (m->op == AP_OP_SETKIF) {
    block->slot[1] = block->slot[0] + case_random(state) % m->width[0] * AP_COLUMN_WORDS;
  }
}

void case_fill(struct case_block *block, const struct ap_micro *micro, bool masked, uint64_t *state) {
  for (size_t i = 0; i < BF_COUNT(block->cells); i++) {
    block->cells[i] = case_random(state);
  }
  unsigned rows = masked ? (unsigned)(case_random(state) % AP_BLOCK_ROWS) : AP_BLOCK_ROWS;
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    unsigned here = rows > i * 64 ? rows - i * 64 : 0;
    block->mask[i] = here >= 64 ? UINT64_MAX : ((uint64_t)1 << here) - 1;
    block->tag[i] = case_random(state) & block->mask[i];
  }
  block->imm = case_random(state);
  place_fields(block, micro, state);
}

void case_copy(struct case_block *to, const struct case_block *from) {
  *to = *from;
  for (unsigned i = 0; i < 4; i++) {
    to->slot[i] = from->slot[i] == NULL ? NULL : to->cells + (from->slot[i] - from->cells);
  }
}

bool case_same(const struct case_block *a, const struct case_block *b) {
  uint64_t differs = 0;
  for (size_t i = 0; i < BF_COUNT(a->cells); i++) {
    differs |= (a->cells[i] ^ b->cells[i]) & a->mask[i % AP_COLUMN_WORDS];
  }
  for (unsigned i = 0; i < AP_COLUMN_WORDS; i++) {
    differs |= a->tag[i] ^ b->tag[i];  // never outside the mask
  }
  return differs == 0;
}

static void random_op(struct ap_micro *m, uint64_t *state) {
  unsigned most = case_random(state) % 4 ? 6 : AP_MAX_WIDTH;
  for (;;) {
    m->op = (enum ap_op)(case_random(state) % AP_OP_LIMIT);
    const struct ap_op_info *info = ap_op_info(m->op);
    if (info == NULL || info->op_class != AP_CLASS_COMPUTE || m->op == AP_OP_PATTERN) {  // those have no compiled kernel
      continue;
    }
    for (unsigned tries = 0; tries < 200; tries++) {
      for (unsigned i = 0; i < 3; i++) {
        m->width[i] = i < info->micro_widths ? (uint8_t)(1 + case_random(state) % most) : 0;
      }
      if (ap_micro_widths_legal(m->op, m->width)) {
        return;
      }
    }
  }
}

static bool random_lit(const struct ap_micro *m, bool write, uint64_t *state, struct ap_lit *lit) {
  const struct ap_op_info *info = ap_op_info(m->op);
  unsigned slot = (unsigned)(case_random(state) % 4), imm = info->imm == AP_IMM_ROWS ? 0 : ap_imm_width(info, m->width);
  unsigned width = slot == AP_SLOT_FLAG ? AP_FLAG_COLUMNS : m->width[slot];
  if (width == 0) {
    return false;
  }
  unsigned near = width < 3 || case_random(state) % 4 == 0 ? width : 3;  // the same few columns, mostly
  *lit = (struct ap_lit){.slot = (uint8_t)slot, .bit = (uint8_t)(case_random(state) % near)};
  lit->value = (uint8_t)(case_random(state) % (write ? AP_LIT_P : AP_LIT_S));
  if (lit->value == AP_LIT_S) {
    lit->kbit = (uint8_t)(case_random(state) % 64);
  } else if (lit->value >= AP_LIT_K && imm == 0) {
    lit->value -= AP_LIT_K;
  } else if (lit->value >= AP_LIT_K) {
    lit->kbit = (uint8_t)(case_random(state) % imm);
  }
  return true;
}

static unsigned random_kind(const struct ap_micro *m, uint32_t i, uint64_t *state) {
  enum ap_tag_use use = ap_op_info(m->op)->tag;
  bool given = use == AP_TAG_USES || use == AP_TAG_TAKES;
  for (;;) {
    unsigned kind = (unsigned)(case_random(state) % 4);
    unsigned before = i > 0 ? m->steps[i - 1].kind : AP_STEP_COUNT;
    bool compared = before == AP_STEP_COMPARE || before == AP_STEP_COMPARE_OR || (i == 0 && given);
    if (kind == AP_STEP_COMPARE || (kind == AP_STEP_WRITE_ALL && case_random(state) % 4 == 0) ||
        (kind == AP_STEP_WRITE && (i > 0 || given)) || (kind == AP_STEP_COMPARE_OR && compared)) {
      return kind;
    }
  }
}

void case_random_micro(struct ap_micro *m, uint64_t *state) {
  memset(m, 0, sizeof *m);
  random_op(m, state);
  uint32_t nsteps = 1 + (uint32_t)(case_random(state) % 24);
  m->steps = bf_alloc(nsteps, sizeof *m->steps);
  m->lits = bf_alloc((size_t)nsteps * AP_MAX_LITS, sizeof *m->lits);
  for (uint32_t i = 0; i < nsteps; i++) {
    struct ap_step *step = &m->steps[i];
    step->kind = (uint8_t)random_kind(m, i, state);
    step->group = (uint16_t)((i > 0 ? step[-1].group : 0) + (case_random(state) % 5 == 0));
    step->first = m->nlits;
    unsigned wanted = 1 + (unsigned)(case_random(state) % (case_random(state) % 6 ? 4 : 40));
    for (unsigned tries = 0; tries < 200 && (step->nlits < wanted && (tries < 100 || step->nlits == 0)); tries++) {
      struct ap_lit lit;
      bool good = random_lit(m, step->kind >= AP_STEP_WRITE, state, &lit);
      for (unsigned n = 0; n < step->nlits && good; n++) {
        good = m->lits[step->first + n].slot != lit.slot || m->lits[step->first + n].bit != lit.bit;
      }
      if (good) {
        m->lits[m->nlits++] = lit;
        step->nlits++;
      }
    }
    m->nsteps++;
  }
}

void case_each_shipped(unsigned max_width, unsigned features, void (*visit)(void *context, const struct ap_micro *micro), void *context) {
  for (unsigned op = 1; op < AP_OP_LIMIT; op++) {
    for (unsigned d = 0; d <= 2 * max_width; d++) {
      for (unsigned a = 0; a <= max_width; a++) {
        for (unsigned b = 0; b <= max_width; b++) {
          struct ap_micro micro;
          bool wide = d > max_width && d != a + b;  // only products are wider
          if (!wide && op != AP_OP_PATTERN && ap_micro_generate((enum ap_op)op, (uint8_t[3]){(uint8_t)d, (uint8_t)a, (uint8_t)b}, features, &micro)) {
            visit(context, &micro);
            ap_micro_free(&micro);
          }
        }
      }
    }
  }
}
