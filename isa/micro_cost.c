// SPDX-License-Identifier: Apache-2.0
// Cost of one run of a microcode program, per row: exact numbers of steps and searched cells, and what is
// expected of the data under the stated assumption (every column an independent fair bit).
#include <math.h>

#include "isa/micro.h"

// What a write knows of the tagged rows: the compares whose matches they are.
struct tag {
  double fraction;     // of rows tagged
  uint32_t first, end; // steps of the compares; first == end: all rows
};

// Probability that a column holds the value that `write` would put there, given the matches of `compare`.
static double same_value(const struct ap_micro *m, const struct ap_step *compare, const struct ap_lit *write) {
  for (unsigned i = 0; i < compare->nlits; i++) {
    const struct ap_lit *lit = &m->lits[compare->first + i];
    if (lit->slot != write->slot || lit->bit != write->bit) {
      continue;
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
      changed += ldexp(1, -(int)compare->nlits) * (1 - same_value(m, compare, lit));
    }
  }
  return changed;
}

struct ap_micro_cost ap_micro_cost(const struct ap_micro *micro) {
  struct ap_micro_cost cost = {0};
  struct tag tag = {1, 0, 0};
  for (uint32_t i = 0; i < micro->nsteps; i++) {
    const struct ap_step *step = &micro->steps[i];
    double matches = ldexp(1, -(int)step->nlits);
    switch (step->kind) {
      case AP_STEP_COMPARE:
      case AP_STEP_COMPARE_OR:
        cost.compares++;
        cost.compare_cells += step->nlits;
        cost.expected_matches += matches * step->nlits;
        if (step->kind == AP_STEP_COMPARE) {
          tag = (struct tag){matches, i, i + 1};
        } else {  // the accumulated keys of our tables exclude each other
          tag.fraction = fmin(1, tag.fraction + matches);
          tag.end = i + 1;
        }
        break;
      case AP_STEP_WRITE_ALL:
        tag = (struct tag){1, 0, 0};
        __attribute__((fallthrough));
      default:
        cost.writes++;
        cost.expected_tags += tag.fraction * step->nlits;
        cost.expected_changed += expected_changes(micro, &tag, step);
        break;
    }
  }
  return cost;
}
