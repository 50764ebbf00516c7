// SPDX-License-Identifier: Apache-2.0
// Cost of one run of a microcode program, per row: exact numbers of steps and searched cells, and what is
// expected of the data under the stated assumption (every column an independent fair bit). A program does not know the distance
// of its instruction, so the heads of pairs are taken as half of the rows (they are 1 / (2 distance) of them); tags that an
// instruction finds are taken as half of the rows, too.
#include <math.h>

#include "isa/micro.h"

// What a write knows of the tagged rows: the compares whose matches they are.
struct tag {
  double fraction;     // of rows tagged
  uint32_t first, end; // steps of the compares; first == end: rows of which nothing is known
};

// Expected fraction of the rows that a compare tags.
static double match_fraction(const struct ap_step *compare) {
  bool pair = compare->kind == AP_STEP_PAIR || compare->kind == AP_STEP_PAIR_OR;
  return ldexp(pair ? 0.5 : 1, -(int)compare->nlits);
}

// Probability that a column holds the value that `write` would put there, given the matches of `compare`.
static double same_value(const struct ap_micro *m, const struct ap_step *compare, const struct ap_lit *write) {
  for (unsigned i = 0; i < compare->nlits; i++) {
    const struct ap_lit *lit = &m->lits[compare->first + i];
    if (lit->slot != write->slot || lit->bit != write->bit) {
      continue;
    }
    if (write->value == AP_LIT_S || write->value == AP_LIT_P) {
      return 0.5;
    }
    bool lit_keyed = lit->value >= AP_LIT_K, write_keyed = write->value >= AP_LIT_K;
    if (lit_keyed != write_keyed || lit->kbit != write->kbit) {
      return 0.5;  // depends on the immediate
    }
    return lit->value == write->value ? 1 : 0;
  }
  return 0.5;
}

static double expected_changes(const struct ap_micro *m, const struct tag *tag, const struct ap_step *write) {
  double changed = 0;
  for (unsigned i = 0; i < write->nlits; i++) {
    const struct ap_lit *lit = &m->lits[write->first + i];
    if (tag->first == tag->end) {
      changed += 0.5 * tag->fraction;
      continue;
    }
    for (uint32_t c = tag->first; c < tag->end; c++) {
      const struct ap_step *compare = &m->steps[c];
      changed += match_fraction(compare) * (1 - same_value(m, compare, lit));
    }
  }
  return changed;
}

static void add_compare(struct ap_micro_cost *cost, struct tag *tag, const struct ap_micro *m, uint32_t i) {
  const struct ap_step *step = &m->steps[i];
  double matches = match_fraction(step);
  cost->compares++;
  cost->compare_cells += step->nlits;
  cost->expected_matches += matches * step->nlits;
  if (step->kind == AP_STEP_COMPARE || step->kind == AP_STEP_PAIR) {
    *tag = (struct tag){matches, i, i + 1};
    return;
  }
  // The accumulated keys of our tables exclude each other.
  tag->fraction = fmin(1, tag->fraction + matches);
  if (tag->first < tag->end) {
    tag->end = i + 1;
  }
}

struct ap_micro_cost ap_micro_cost(const struct ap_micro *micro) {
  struct ap_micro_cost cost = {0};
  struct tag tag = {0.5, 0, 0};  // until the program itself sets the tags
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    const struct ap_step *step = &micro->steps[i];
    switch (ap_step_info(step->kind)->event) {
      case AP_EVENT_COMPARE: add_compare(&cost, &tag, micro, i); break;
      case AP_EVENT_SHIFT:
        cost.shifts++;
        tag.first = tag.end = 0;  // other rows than those that matched
        break;
      case AP_EVENT_COUNT: cost.counts++; break;
      case AP_EVENT_WRITE:
        if (step->kind == AP_STEP_WRITE_ALL) {
          tag = (struct tag){1, 0, 0};
        }
        cost.writes++;
        cost.expected_tags += tag.fraction * step->nlits;
        cost.expected_changed += expected_changes(micro, &tag, step);
        break;
    }
  }
  return cost;
}
