// SPDX-License-Identifier: Apache-2.0
// Budgets: MEASURE:AMOUNT, and what they come to.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bfexplore/precision.h"

// A plain decimal number, the whole text up to `stop`.
static bool number(const char *text, char stop, double *out) {
  char *end;
  if ((*text < '0' || *text > '9') && *text != '.') {
    return false;
  }
  *out = strtod(text, &end);
  return end > text && *end == stop && (stop == 0 || end[1] == 0) && isfinite(*out);
}

bool bfx_budget_parse(const char *text, struct bfx_budget *out) {
  const char *colon = strchr(text, ':');
  int measure = colon ? bfx_measure_find(text, (size_t)(colon - text)) : -1;
  if (measure < 0) {
    return false;
  }
  const char *amount = colon + 1;
  *out = (struct bfx_budget){.text = text, .measure = (unsigned)measure};
  if (strncmp(amount, "uniform", 7) == 0) {
    out->kind = BFX_UNIFORM;
    return number(amount + 7, 0, &out->amount) && out->amount == floor(out->amount) && out->amount >= 1 &&
           out->amount <= BFX_MAX_BITS;
  }
  if (strncmp(amount, "between=", 8) == 0) {
    out->kind = BFX_BETWEEN;
    return number(amount + 8, 0, &out->amount) && out->amount <= 1;
  }
  if (number(amount, '%', &out->amount)) {
    out->kind = BFX_SHARE;
    out->amount /= 100;
    return out->amount > 0;
  }
  out->kind = BFX_ABSOLUTE;
  return number(amount, 0, &out->amount) && out->amount > 0;
}

enum { NARROWEST = 0, WIDEST = 17 };

// All items at `bits`, or at their narrowest or widest. False: an item has no such width.
static bool evaluate_at(const struct bfx_problem *problem, unsigned bits, double value[BFX_MEASURES]) {
  unsigned *choice = bf_alloc(problem->nitems, sizeof *choice);
  bool ok = true;
  for (size_t i = 0; i < problem->nitems; i++) {
    const struct bfx_item *item = &problem->items[i];
    unsigned k = bits == NARROWEST ? 0 : item->nchoices - 1;
    if (bits != NARROWEST && bits != WIDEST) {
      for (k = 0; k < item->nchoices && item->choices[k].bits != bits; k++) {
      }
    }
    // What has no choice keeps its width whatever the others have.
    choice[i] = item->nchoices == 1 ? 0 : k;
    ok = ok && choice[i] < item->nchoices;
  }
  if (ok) {
    bfx_evaluate(problem, choice, value);
  }
  free(choice);
  return ok;
}

bool bfx_budget_resolve(const struct bfx_budget *budget, const struct bfx_problem *problem, struct bfx_limit *out,
                        struct bf_diags *diags) {
  double low[BFX_MEASURES], high[BFX_MEASURES];
  unsigned m = budget->measure;
  out->measure = m;
  switch (budget->kind) {
    case BFX_ABSOLUTE: out->value = budget->amount; break;
    case BFX_SHARE:
      evaluate_at(problem, WIDEST, high);
      out->value = high[m] * budget->amount;
      break;
    case BFX_BETWEEN:
      evaluate_at(problem, NARROWEST, low);
      evaluate_at(problem, WIDEST, high);
      out->value = low[m] + budget->amount * (high[m] - low[m]);
      break;
    default:
      if (!evaluate_at(problem, (unsigned)budget->amount, high)) {
        bf_error_file(diags, NULL, NULL, "--budget=%s: not every layer has the width %u", budget->text, (unsigned)budget->amount);
        return false;
      }
      out->value = high[m];
  }
  if (m == BFX_EDP && !(out->value > 0)) {
    bf_error_file(diags, NULL, NULL, "--budget=%s: comes to 0", budget->text);
    return false;
  }
  return true;
}
