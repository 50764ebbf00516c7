// SPDX-License-Identifier: Apache-2.0
// Truth tables of up to six variables to functions of three: first what is there already, then a set of two or three variables that
// matters as one bit only (a decomposition without loss), then a choice by the variable that leaves the simplest halves.
#include <stdlib.h>

#include "runtime/logic_internal.h"

// A table over its own variables, all of which it depends on.
struct table { uint64_t bits; uint32_t vars[LOGIC_VARS]; unsigned n; };

static struct table reduce(const uint32_t *vars, unsigned n, uint64_t bits) {
  struct table t = {.bits = bits};
  for (unsigned i = 0, left = n; i < n; i++, left--) {
    if (logic_depends(t.bits, t.n)) {
      t.vars[t.n++] = vars[i];
    } else {
      t.bits = logic_cofactor(t.bits, t.n, false);
    }
  }
  return t;
}

static unsigned support(uint64_t bits, unsigned n) {
  unsigned count = 0;
  for (unsigned i = 0; i < n; i++) {
    count += logic_depends(bits, i);
  }
  return count;
}

// Brings variable i to place 0 (the others keep their order).
static void to_front(struct table *t, unsigned i) {
  uint64_t zero = logic_cofactor(t->bits, i, false), one = logic_cofactor(t->bits, i, true), bits = 0;
  for (unsigned m = 0; m < 32; m++) {
    bits |= (zero >> m & 1) << (2 * m) | (one >> m & 1) << (2 * m + 1);
  }
  uint32_t var = t->vars[i];
  for (; i > 0; i--) {
    t->vars[i] = t->vars[i - 1];
  }
  t->vars[0] = var;
  t->bits = bits;
}

static uint32_t build(struct logic_net *net, const uint32_t *vars, unsigned n, uint64_t bits);

// Whether the first `size` variables matter as one bit only: then that bit replaces them.
static bool bind_front(struct logic_net *net, struct table *t, unsigned size) {
  unsigned width = 1u << size, inner = 0;
  uint64_t zero = 0, one = 0;
  bool second = false;
  for (unsigned a = 0; a < width; a++) {
    uint64_t column = 0;  // over the other variables
    for (unsigned m = 0; m < 64 / width; m++) {
      column |= (t->bits >> (m * width + a) & 1) << m;
    }
    if (a == 0) {
      zero = column;
    } else if (column != zero) {
      if (second && column != one) {
        return false;
      }
      one = column;
      second = true;
      inner |= 1u << a;
    }
  }
  uint32_t bit = logic_function(net, inner, t->vars, size);
  struct table outer = {.n = t->n - size + 1, .vars = {bit}};
  for (unsigned i = size; i < t->n; i++) {
    outer.vars[i - size + 1] = t->vars[i];
  }
  for (unsigned m = 0; m < 64 / width; m++) {
    outer.bits |= (zero >> m & 1) << (2 * m) | (one >> m & 1) << (2 * m + 1);
  }
  outer.bits = logic_spread(outer.bits, outer.n);
  *t = outer;
  return true;
}

static bool bind_any(struct logic_net *net, struct table *t) {
  for (unsigned size = 3; size >= 2; size--) {
    for (unsigned set = 0; set < 1u << t->n; set++) {
      if ((unsigned)__builtin_popcount(set) != size) {
        continue;
      }
      struct table moved = *t;
      for (unsigned i = 0; i < t->n; i++) {  // each member goes to the front; those behind keep their places
        if (set >> i & 1) {
          to_front(&moved, i);
        }
      }
      if (bind_front(net, &moved, size)) {
        *t = moved;
        return true;
      }
    }
  }
  return false;
}

static uint32_t choose(struct logic_net *net, const struct table *t) {
  unsigned best = 0, best_cost = UINT32_MAX;
  for (unsigned i = 0; i < t->n; i++) {
    uint64_t zero = logic_cofactor(t->bits, i, false), one = logic_cofactor(t->bits, i, true);
    unsigned cost = support(zero, t->n - 1) * 2 + support(one, t->n - 1) * 2 - (zero == ~one ? 3 : 0);
    if (cost < best_cost) {
      best = i;
      best_cost = cost;
    }
  }
  struct table moved = *t;
  to_front(&moved, best);
  uint32_t zero = build(net, moved.vars + 1, t->n - 1, logic_cofactor(moved.bits, 0, false));
  uint32_t one = build(net, moved.vars + 1, t->n - 1, logic_cofactor(moved.bits, 0, true));
  // Index: zero + 2 one + 4 choice.
  return logic_function(net, 0xCA, (uint32_t[]){zero, one, moved.vars[0]}, 3);
}

static uint32_t build(struct logic_net *net, const uint32_t *vars, unsigned n, uint64_t bits) {
  struct table t = reduce(vars, n, bits);
  if (t.n <= 3) {
    return logic_function(net, (unsigned)t.bits & 0xff, t.vars, t.n);
  }
  return bind_any(net, &t) ? build(net, t.vars, t.n, t.bits) : choose(net, &t);
}

static const struct logic_known *find_known(const struct logic_vars *vars, uint64_t table) {
  for (size_t i = 0; i < vars->nknown; i++) {
    if (vars->known[i].table == table) {
      return &vars->known[i];
    }
  }
  return NULL;
}

uint32_t logic_synthesise(struct logic_net *net, struct logic_vars *vars, uint64_t table) {
  const struct logic_known *known = find_known(vars, table);
  if (known != NULL) {
    return known->value;
  }
  known = find_known(vars, ~table);
  uint32_t value = known != NULL ? logic_function(net, 1, &known->value, 1) : build(net, vars->values, vars->count, table);
  BF_PUSH(vars->known, vars->nknown, vars->known_capacity) = (struct logic_known){table, value};
  return value;
}

unsigned logic_cost(struct logic_net *net, const struct logic_vars *vars, uint64_t table) {
  if (find_known(vars, table) != NULL) {
    return 0;
  }
  struct table t = reduce(vars->values, vars->count, table);
  if (t.n > 3) {
    return t.n - 1;
  }
  net->lookup = true;
  bool there = t.n > 0 && logic_function(net, (unsigned)t.bits & 0xff, t.vars, t.n) != LOGIC_NONE;
  net->lookup = false;
  return !there;
}
