// SPDX-License-Identifier: Apache-2.0
// Counters. What the passes of a few steps add to the three counters depends on the values of their variables: rows fall into classes that
// add the same. Each counter is then a weighted sum of a few functions of the class, of as few as possible, the same ones for all
// counters: each costs a population count.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/logic_internal.h"

#define MAX_CLASSES 6  // above, no search
#define MAX_SPLIT 3    // functions that the search goes up to
#define MAX_CHOICES 48

struct class { int32_t adds[AP_LOGIC_COUNTERS]; };
// Sets of classes (bit c: class c; never class 0) and their weights, such that the weights of the sets that hold a class make
// what it adds beyond what class 0 adds.
struct choice { uint8_t sets[MAX_SPLIT]; int32_t weight[MAX_SPLIT][AP_LOGIC_COUNTERS]; };
struct logic_split {
  struct class classes[MAX_CLASSES];
  unsigned nclasses, size, nchoices;  // size 0: nothing better than a set for each class
  struct choice choices[MAX_CHOICES];
};

void logic_terms_add(struct logic_terms *terms, uint64_t table, enum ap_logic_counter counter, int32_t weight) {
  size_t i = 0;
  while (i < terms->count && terms->items[i].table != table) {
    i++;
  }
  if (i == terms->count) {
    BF_PUSH(terms->items, terms->count, terms->capacity) = (struct logic_term){.table = table};
  }
  terms->items[i].weight[counter] += weight;
}

void logic_count_value(struct logic_net *net, uint32_t value, enum ap_logic_counter counter, int32_t weight) {
  struct ap_logic *out = net->out;
  bool one, complement;
  if (logic_is_const(net, value, &one) && !one) {
    return;
  }
  uint32_t base = logic_strip_not(net, value, &complement);
  if (complement) {  // rows - rows with the value itself
    logic_count_value(net, logic_const(net, true), counter, weight);
    weight = -weight;
  }
  BF_PUSH(out->counts, out->ncounts, out->counts_capacity) = (struct ap_logic_count){(uint8_t)counter, weight, base};
}

// Solves for the weights of the sets; false if there are none or they are no integers.
static bool solve(const struct logic_split *split, struct choice *choice, unsigned size) {
  double rows[MAX_CLASSES][MAX_SPLIT + AP_LOGIC_COUNTERS];
  unsigned nrows = split->nclasses - 1, columns = size + AP_LOGIC_COUNTERS;
  for (unsigned c = 0; c < nrows; c++) {
    for (unsigned s = 0; s < size; s++) {
      rows[c][s] = choice->sets[s] >> (c + 1) & 1;
    }
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      rows[c][size + k] = split->classes[c + 1].adds[k] - split->classes[0].adds[k];
    }
  }
  for (unsigned s = 0; s < size; s++) {
    unsigned pivot = s;
    while (pivot < nrows && fabs(rows[pivot][s]) < 1e-6) {
      pivot++;
    }
    if (pivot >= nrows) {
      return false;  // a smaller choice would do
    }
    for (unsigned x = 0; x < columns; x++) {
      double t = rows[s][x];
      rows[s][x] = rows[pivot][x];
      rows[pivot][x] = t;
    }
    for (unsigned c = 0; c < nrows; c++) {
      double factor = c == s ? 0 : rows[c][s] / rows[s][s];
      for (unsigned x = 0; x < columns && factor != 0; x++) {
        rows[c][x] -= factor * rows[s][x];
      }
    }
  }
  for (unsigned s = 0; s < size; s++) {
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      choice->weight[s][k] = (int32_t)lrint(rows[s][size + k] / rows[s][s]);
    }
  }
  for (unsigned c = 1; c < split->nclasses; c++) {  // exactly, in integers
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      int64_t sum = split->classes[0].adds[k];
      for (unsigned s = 0; s < size; s++) {
        sum += choice->sets[s] >> c & 1 ? choice->weight[s][k] : 0;
      }
      if (sum != split->classes[c].adds[k]) {
        return false;
      }
    }
  }
  return true;
}

// Whether the sets tell all classes apart.
static bool distinguishes(const struct logic_split *split, const struct choice *choice, unsigned size) {
  unsigned seen = 0;
  for (unsigned c = 0; c < split->nclasses; c++) {
    unsigned code = 0;
    for (unsigned s = 0; s < size; s++) {
      code |= (choice->sets[s] >> c & 1u) << s;
    }
    if (seen >> code & 1) {
      return false;
    }
    seen |= 1u << code;
  }
  return true;
}

static void search(struct logic_split *split, struct choice *choice, unsigned at, unsigned size) {
  if (at == size) {
    if (distinguishes(split, choice, size) && solve(split, choice, size)) {
      split->choices[split->nchoices++] = *choice;
    }
    return;
  }
  unsigned first = at > 0 ? choice->sets[at - 1] + 2u : 2, end = 1u << split->nclasses;
  for (unsigned set = first; set < end && split->nchoices < MAX_CHOICES; set += 2) {
    choice->sets[at] = (uint8_t)set;
    search(split, choice, at + 1, size);
  }
}

static const struct logic_split *find_split(struct logic_splits *splits, const struct class *classes, unsigned nclasses) {
  for (size_t i = 0; i < splits->count; i++) {
    if (splits->items[i].nclasses == nclasses && memcmp(splits->items[i].classes, classes, nclasses * sizeof *classes) == 0) {
      return &splits->items[i];
    }
  }
  struct logic_split *split = &BF_PUSH(splits->items, splits->count, splits->capacity);
  memset(split, 0, sizeof *split);
  split->nclasses = nclasses;
  memcpy(split->classes, classes, nclasses * sizeof *classes);
  for (unsigned size = 1; size <= MAX_SPLIT && size < nclasses && split->nchoices == 0; size++) {
    struct choice choice = {0};
    search(split, &choice, 0, size);
    split->size = split->nchoices > 0 ? size : 0;
  }
  return split;
}

// Classes of the 2^count combinations of variables, and which combinations each has.
struct partition { struct class classes[64]; uint64_t members[64]; unsigned count; };

static void classify(const struct logic_terms *terms, unsigned nvars, struct partition *p) {
  p->count = 0;
  for (unsigned m = 0; m < 1u << nvars; m++) {
    struct class here = {{0}};
    for (size_t i = 0; i < terms->count; i++) {
      for (unsigned k = 0; k < AP_LOGIC_COUNTERS && terms->items[i].table >> m & 1; k++) {
        here.adds[k] += terms->items[i].weight[k];
      }
    }
    unsigned c = 0;
    while (c < p->count && memcmp(&p->classes[c], &here, sizeof here) != 0) {
      c++;
    }
    if (c == p->count) {
      p->classes[p->count] = here;
      p->members[p->count++] = 0;
    }
    p->members[c] |= (uint64_t)1 << m;
  }
  for (unsigned c = 0; c < p->count; c++) {
    p->members[c] = logic_spread(p->members[c], nvars);
  }
  static const struct class NOTHING = {{0}};
  for (unsigned c = 1; c < p->count; c++) {  // class 0 adds nothing if one does; then there is no constant part
    if (memcmp(&p->classes[c], &NOTHING, sizeof NOTHING) == 0) {
      uint64_t members = p->members[c];
      p->classes[c] = p->classes[0];
      p->members[c] = p->members[0];
      p->classes[0] = NOTHING;
      p->members[0] = members;
    }
  }
}

static uint64_t set_table(const struct partition *p, unsigned set) {
  uint64_t table = 0;
  for (unsigned c = 0; c < p->count; c++) {
    table |= set >> c & 1 ? p->members[c] : 0;
  }
  return table;
}

static void count_table(struct logic_net *net, struct logic_vars *vars, uint64_t table, const int32_t *weight) {
  // The complement, where that is there already.
  bool flip = logic_cost(net, vars, table) > 0 && logic_cost(net, vars, ~table) == 0;
  uint32_t value = logic_synthesise(net, vars, flip ? ~table : table);
  for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
    if (weight[k] != 0) {
      logic_count_value(net, value, k, flip ? -weight[k] : weight[k]);
      if (flip) {
        logic_count_value(net, logic_const(net, true), k, weight[k]);
      }
    }
  }
}

// The cheapest of the choices, with what is there already.
static const struct choice *cheapest(struct logic_net *net, const struct logic_vars *vars, const struct partition *p,
                                     const struct logic_split *split) {
  const struct choice *best = NULL;
  unsigned best_cost = UINT32_MAX;
  for (unsigned i = 0; i < split->nchoices; i++) {
    unsigned cost = 0;
    for (unsigned s = 0; s < split->size; s++) {
      uint64_t table = set_table(p, split->choices[i].sets[s]);
      unsigned plain = logic_cost(net, vars, table);
      cost += plain > 0 && logic_cost(net, vars, ~table) == 0 ? 0 : plain;
    }
    if (cost < best_cost) {
      best = &split->choices[i];
      best_cost = cost;
    }
  }
  return best;
}

void logic_count(struct logic_net *net, struct logic_vars *vars, const struct logic_terms *terms, struct logic_splits *splits) {
  struct partition p;
  classify(terms, vars->count, &p);
  const struct logic_split *split = p.count <= MAX_CLASSES ? find_split(splits, p.classes, p.count) : NULL;
  bool found = split != NULL && split->size > 0 && split->size < p.count - 1;
  if (!found && terms->count < p.count - 1) {  // as the steps themselves have them
    for (size_t i = 0; i < terms->count; i++) {
      count_table(net, vars, terms->items[i].table, terms->items[i].weight);
    }
    return;
  }
  uint32_t rows = logic_const(net, true);
  for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
    if (p.classes[0].adds[k] != 0) {
      logic_count_value(net, rows, k, p.classes[0].adds[k]);
    }
  }
  if (found) {
    const struct choice *choice = cheapest(net, vars, &p, split);
    for (unsigned s = 0; s < split->size; s++) {
      count_table(net, vars, set_table(&p, choice->sets[s]), choice->weight[s]);
    }
    return;
  }
  for (unsigned c = 1; c < p.count; c++) {
    int32_t weight[AP_LOGIC_COUNTERS];
    for (unsigned k = 0; k < AP_LOGIC_COUNTERS; k++) {
      weight[k] = p.classes[c].adds[k] - p.classes[0].adds[k];
    }
    count_table(net, vars, p.members[c], weight);
  }
}
