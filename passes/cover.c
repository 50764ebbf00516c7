// SPDX-License-Identifier: Apache-2.0
// The ranges form a binary tree: node 1 is all of x, nodes 2n and 2n + 1 are the halves of node n.
//
// Upwards, each node gets the set of values that its range may inherit at least cost: the values that both halves
// accept, or, if there is none, those that either accepts (the other half is then overridden). Downwards, a node
// whose set does not hold what it inherits is overridden by a value of the set.
#include "passes/cover.h"

#include <string.h>

#define VALUES (1u << BF_COVER_BITS)
#define NODES (2 * VALUES)

// A set of values, by their number among the distinct ones.
struct set { uint64_t words[VALUES / 64]; };

struct tree {
  unsigned bits, nvalues;
  uint64_t values[VALUES];   // distinct
  struct set set[NODES];
  uint16_t inherits[NODES];  // number of the value that holds below the node
};

struct item { uint16_t node, value; };

static bool in_set(const struct set *s, unsigned i) { return s->words[i / 64] >> (i % 64) & 1; }

static unsigned first_of(const struct set *s) {
  unsigned i = 0;
  while (!in_set(s, i)) i++;
  return i;
}

static unsigned number_of(struct tree *t, uint64_t y) {
  for (unsigned i = 0; i < t->nvalues; i++)
    if (t->values[i] == y) return i;
  t->values[t->nvalues] = y;
  return t->nvalues++;
}

static void climb(struct tree *t, const uint64_t *y, unsigned lo, unsigned hi) {
  unsigned leaves = 1u << t->bits;
  for (unsigned x = 0; x < leaves; x++) {
    struct set *s = &t->set[leaves + x];
    if (x < lo || x > hi) {
      memset(s, 0xFF, sizeof *s);
    } else {
      unsigned n = number_of(t, y[x]);
      s->words[n / 64] |= (uint64_t)1 << (n % 64);
    }
  }
  for (unsigned n = leaves - 1; n > 0; n--) {
    const struct set *a = &t->set[2 * n], *b = &t->set[2 * n + 1];
    uint64_t common = 0;
    for (unsigned w = 0; w < BF_COUNT(a->words); w++) common |= t->set[n].words[w] = a->words[w] & b->words[w];
    for (unsigned w = 0; w < BF_COUNT(a->words) && !common; w++) t->set[n].words[w] = a->words[w] | b->words[w];
  }
}

// Overridden nodes, wider ranges first.
static unsigned descend(struct tree *t, struct item *items) {
  unsigned count = 0;
  t->inherits[1] = (uint16_t)first_of(&t->set[1]);
  for (unsigned n = 2; n < 2u << t->bits; n++) {
    t->inherits[n] = t->inherits[n / 2];
    if (in_set(&t->set[n], t->inherits[n])) continue;
    t->inherits[n] = (uint16_t)first_of(&t->set[n]);
    items[count++] = (struct item){(uint16_t)n, t->inherits[n]};
  }
  return count;
}

static bool inside(unsigned node, unsigned of) {
  while (node > of) node /= 2;
  return node == of;
}

// Values of items that no waiting item contains come next, the most frequent value first.
static void group(struct item *items, unsigned count) {
  struct item sorted[VALUES];
  bool done[VALUES] = {false};
  for (unsigned out = 0; out < count;) {
    bool ready[VALUES] = {false};
    unsigned often[VALUES] = {0}, best = 0;
    for (unsigned i = 0; i < count; i++) {
      ready[i] = !done[i];
      for (unsigned k = 0; k < i && ready[i]; k++) ready[i] = done[k] || !inside(items[i].node, items[k].node);
      if (ready[i] && ++often[items[i].value] > often[best]) best = items[i].value;
    }
    for (unsigned i = 0; i < count; i++)
      if (ready[i] && items[i].value == best) {
        sorted[out++] = items[i];
        done[i] = true;
      }
  }
  memcpy(items, sorted, count * sizeof *items);
}

void bf_cover_plan(struct bf_cover *cover, unsigned bits, const uint64_t *y, unsigned lo, unsigned hi, bool accumulate) {
  struct tree t = {.bits = bits};
  struct item items[VALUES];
  climb(&t, y, lo, hi);
  cover->count = descend(&t, items);
  cover->preset = t.values[t.inherits[1]];
  if (accumulate) group(items, cover->count);
  for (unsigned i = 0; i < cover->count; i++) {
    unsigned depth = 0;
    while (items[i].node >> (depth + 1)) depth++;
    cover->ranges[i] = (struct bf_cover_range){
        .shift = (uint8_t)(bits - depth),
        .key = (uint8_t)(items[i].node - (1u << depth)),
        .joins = accumulate && i > 0 && items[i].value == items[i - 1].value,
        .y = t.values[items[i].value]};
  }
}
