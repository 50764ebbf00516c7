// SPDX-License-Identifier: Apache-2.0
// The binary tree of ranges is walked only where a step or an end of the interval lies inside: n * bits nodes. A set of values is a word.
#include "passes/stairs.h"

#include <stdlib.h>

struct node { uint64_t set, key; uint32_t left, right; uint8_t shift; };  // 0: no children (node 0 is the root)
struct tree {
  const uint64_t *at;
  uint32_t n;
  uint64_t lo, hi;
  struct node *nodes;
  size_t count, capacity;
};

static uint32_t value_of(const struct tree *t, uint64_t x) {
  uint32_t v = 0;
  while (v < t->n && t->at[v] <= x) v++;
  return v;
}

static uint32_t grow(struct tree *t, uint64_t key, unsigned shift) {
  uint32_t me = (uint32_t)t->count;
  BF_PUSH(t->nodes, t->count, t->capacity) = (struct node){.key = key, .shift = (uint8_t)shift};
  uint64_t first = key << shift, last = first + (((uint64_t)1 << shift) - 1);
  if (last < t->lo || first > t->hi) {
    t->nodes[me].set = UINT64_MAX;
    return me;
  }
  uint32_t low = value_of(t, first > t->lo ? first : t->lo), high = value_of(t, last < t->hi ? last : t->hi);
  if (low == high) {
    t->nodes[me].set = (uint64_t)1 << low;
    return me;
  }
  uint32_t left = grow(t, key << 1, shift - 1), right = grow(t, key << 1 | 1, shift - 1);
  uint64_t a = t->nodes[left].set, b = t->nodes[right].set;
  t->nodes[me].left = left;
  t->nodes[me].right = right;
  t->nodes[me].set = a & b ? a & b : a | b;
  return me;
}

static void descend(const struct tree *t, uint32_t at, uint32_t inherited, struct bf_stairs *out) {
  const struct node *n = &t->nodes[at];
  if (!(n->set >> inherited & 1)) {
    inherited = (uint32_t)__builtin_ctzll(n->set);
    BF_PUSH(out->items, out->count, out->capacity) = (struct bf_stair){n->key, inherited, n->shift};
  }
  if (!n->left) return;
  descend(t, n->left, inherited, out);
  descend(t, n->right, inherited, out);
}

void bf_stairs_plan(struct bf_stairs *stairs, unsigned bits, const uint64_t *at, uint32_t n, uint64_t lo, uint64_t hi) {
  struct tree t = {.at = at, .n = n, .lo = lo, .hi = hi};
  *stairs = (struct bf_stairs){0};
  grow(&t, 0, bits);
  stairs->preset = (uint32_t)__builtin_ctzll(t.nodes[0].set);
  descend(&t, 0, stairs->preset, stairs);
  free(t.nodes);
}
