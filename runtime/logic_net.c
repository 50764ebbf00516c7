// SPDX-License-Identifier: Apache-2.0
// Values of the logic. Functions are brought to one form (no constant, equal, complemented or unused inputs, inputs in order), and
// swallow their inputs' functions where the union of the variables is at most three, so that equal values are found equal.
#include <stdlib.h>
#include <string.h>

#include "runtime/logic_internal.h"

// A function under way: input i is bit i of the index into `table`.
struct draft { uint32_t in[LOGIC_VARS + 3]; unsigned n; uint64_t table; };

uint64_t logic_var(unsigned i) {
  static const uint64_t VARS[LOGIC_VARS] = {
      UINT64_C(0xAAAAAAAAAAAAAAAA), UINT64_C(0xCCCCCCCCCCCCCCCC), UINT64_C(0xF0F0F0F0F0F0F0F0),
      UINT64_C(0xFF00FF00FF00FF00), UINT64_C(0xFFFF0000FFFF0000), UINT64_C(0xFFFFFFFF00000000)};
  return VARS[i];
}

uint64_t logic_spread(uint64_t table, unsigned n) {
  table &= n < LOGIC_VARS ? ((uint64_t)1 << (1u << n)) - 1 : UINT64_MAX;
  for (; n < LOGIC_VARS; n++) {
    table |= table << (1u << n);
  }
  return table;
}

uint64_t logic_cofactor(uint64_t table, unsigned var, bool one) {
  uint64_t v = logic_var(var), half = one ? (table & v) >> (1u << var) : table & ~v;  // in the places where the variable is 0
  for (unsigned i = var; i + 1 < LOGIC_VARS; i++) {  // close the gaps: blocks of 2^i bits, 2^(i+1) apart
    uint64_t keep = ~logic_var(i);
    uint64_t low = half & keep & ~logic_var(i + 1), high = half & keep & logic_var(i + 1);
    half = low | high >> (1u << i);
  }
  return logic_spread(half, LOGIC_VARS - 1);
}

bool logic_depends(uint64_t table, unsigned var) {
  return ((table >> (1u << var) ^ table) & ~logic_var(var)) != 0;
}

static size_t hash_value(const struct ap_logic_value *v) {
  uint64_t h = v->kind | (uint64_t)v->slot << 8 | (uint64_t)v->bit << 16 | (uint64_t)v->table << 24;
  h = (h ^ (uint64_t)v->x << 32) * UINT64_C(0x9E3779B97F4A7C15);
  h = (h ^ h >> 29 ^ v->y) * UINT64_C(0xBF58476D1CE4E5B9);
  h = (h ^ h >> 32 ^ v->z) * UINT64_C(0x94D049BB133111EB);
  return (size_t)(h ^ h >> 31);
}

static bool same_value(const struct ap_logic_value *a, const struct ap_logic_value *b) {
  return a->kind == b->kind && a->slot == b->slot && a->bit == b->bit && a->table == b->table && a->x == b->x &&
         a->y == b->y && a->z == b->z;
}

static uint32_t *find_slot(const struct logic_net *net, const struct ap_logic_value *value) {
  size_t i = hash_value(value) & (net->nslots - 1);
  while (net->slots[i] != LOGIC_NONE && !same_value(&net->out->values[net->slots[i]], value)) {
    i = (i + 1) & (net->nslots - 1);
  }
  return &net->slots[i];
}

static void resize(struct logic_net *net, size_t nslots) {
  free(net->slots);
  net->nslots = nslots;
  net->slots = bf_alloc(nslots, sizeof *net->slots);
  memset(net->slots, 0xff, nslots * sizeof *net->slots);
  for (size_t i = 0; i < net->out->nvalues; i++) {
    *find_slot(net, &net->out->values[i]) = (uint32_t)i;
  }
}

void logic_net_begin(struct logic_net *net, struct ap_logic *out) {
  *net = (struct logic_net){.out = out};
  resize(net, 256);
}
void logic_net_end(struct logic_net *net) {
  free(net->slots);
  net->slots = NULL;
}

static uint32_t intern(struct logic_net *net, const struct ap_logic_value *value) {
  uint32_t *slot = find_slot(net, value);
  if (*slot != LOGIC_NONE || net->lookup) {
    return *slot;
  }
  struct ap_logic *out = net->out;
  uint32_t index = *slot = (uint32_t)out->nvalues;
  BF_PUSH(out->values, out->nvalues, out->values_capacity) = *value;
  if (out->nvalues * 2 > net->nslots) {
    resize(net, net->nslots * 2);
  }
  return index;
}

uint32_t logic_leaf(struct logic_net *net, enum ap_logic_kind kind, unsigned slot, unsigned bit) {
  return intern(net, &(struct ap_logic_value){.kind = (uint8_t)kind, .slot = (uint8_t)slot, .bit = (uint8_t)bit});
}
uint32_t logic_const(struct logic_net *net, bool one) {
  return intern(net, &(struct ap_logic_value){.kind = AP_LOGIC_CONST, .table = one});
}

bool logic_is_const(const struct logic_net *net, uint32_t value, bool *one) {
  const struct ap_logic_value *v = &net->out->values[value];
  *one = v->table & 1;
  return v->kind == AP_LOGIC_CONST;
}

// A function of one value is its complement: the value itself is never wrapped.
uint32_t logic_strip_not(const struct logic_net *net, uint32_t value, bool *complement) {
  const struct ap_logic_value *v = &net->out->values[value];
  *complement = v->kind == AP_LOGIC_FUNCTION && v->x == v->z && v->y == v->z;
  return *complement ? v->z : value;
}

static void drop(struct draft *d, unsigned i, bool one) {
  d->table = logic_cofactor(d->table, i, one);
  d->n--;
  memmove(&d->in[i], &d->in[i + 1], (d->n - i) * sizeof *d->in);
}

// Input j goes: it is the same as input i.
static void merge(struct draft *d, unsigned i, unsigned j) {
  uint64_t vi = logic_var(i), zero = logic_cofactor(d->table, j, false), one = logic_cofactor(d->table, j, true);
  d->table = (zero & ~vi) | (one & vi);  // i < j: i keeps its place
  d->n--;
  memmove(&d->in[j], &d->in[j + 1], (d->n - j) * sizeof *d->in);
}

// No constant, complemented, equal or unused inputs.
static void simplify(const struct logic_net *net, struct draft *d) {
  for (unsigned i = 0; i < d->n;) {
    bool one, complement;
    if (logic_is_const(net, d->in[i], &one)) {
      drop(d, i, one);
      continue;
    }
    d->in[i] = logic_strip_not(net, d->in[i], &complement);
    if (complement) {
      uint64_t v = logic_var(i);
      unsigned shift = 1u << i;
      d->table = (d->table & v) >> shift | (d->table & ~v) << shift;
    }
    unsigned first = 0;
    while (d->in[first] != d->in[i]) {
      first++;
    }
    if (first < i) {
      merge(d, first, i);
      continue;
    }
    i++;
  }
  for (unsigned i = 0; i < d->n;) {
    if (logic_depends(d->table, i)) {
      i++;
    } else {
      drop(d, i, false);
    }
  }
}

// The draft with the inputs of `set` replaced by what they are functions of; false if these are too many.
static bool expand(const struct logic_net *net, const struct draft *d, unsigned set, struct draft *out) {
  *out = (struct draft){.n = 0};
  uint64_t in_table[3];
  for (unsigned pass = 0; pass < 2; pass++) {  // first the inputs of the result, then the old inputs as functions of them
    for (unsigned i = 0; i < d->n; i++) {
      const struct ap_logic_value *v = &net->out->values[d->in[i]];
      const uint32_t from[3] = {set >> i & 1 ? v->z : d->in[i], v->y, v->x};
      unsigned count = set >> i & 1 ? 3 : 1, at[3] = {0};
      for (unsigned k = 0; k < count; k++) {
        while (at[k] < out->n && out->in[at[k]] != from[k]) {
          at[k]++;
        }
        if (at[k] == out->n) {
          if (out->n == LOGIC_VARS) {
            return false;
          }
          out->in[out->n++] = from[k];
        }
      }
      if (pass == 1) {
        in_table[i] = logic_var(at[0]);
        if (count == 3) {
          in_table[i] = 0;
          for (unsigned m = 0; m < 8; m++) {
            uint64_t term = v->table >> m & 1 ? UINT64_MAX : 0;
            for (unsigned k = 0; k < 3; k++) {
              term &= m >> k & 1 ? logic_var(at[k]) : ~logic_var(at[k]);
            }
            in_table[i] |= term;
          }
        }
      }
    }
  }
  for (unsigned m = 0; m < 1u << d->n; m++) {
    uint64_t term = d->table >> m & 1 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < d->n; i++) {
      term &= m >> i & 1 ? in_table[i] : ~in_table[i];
    }
    out->table |= term;
  }
  simplify(net, out);
  return out->n <= 3;
}

// Swallows functions among the inputs while three variables remain: the function costs the same, and its inputs may turn out unused.
static void swallow(const struct logic_net *net, struct draft *d) {
  for (unsigned set = 1; d->n > 0 && set < 1u << d->n;) {
    struct draft wider;
    bool functions = true;
    for (unsigned i = 0; i < d->n; i++) {
      functions = functions && (!(set >> i & 1) || net->out->values[d->in[i]].kind == AP_LOGIC_FUNCTION);
    }
    if (functions && expand(net, d, set, &wider)) {
      *d = wider;
      set = 1;
    } else {
      set++;
    }
  }
}

static void swap_inputs(struct draft *d, unsigned i) {  // i and i + 1
  uint64_t a = logic_var(i) & ~logic_var(i + 1), b = ~logic_var(i) & logic_var(i + 1);
  unsigned shift = 1u << i;
  d->table = (d->table & ~(a | b)) | (d->table & a) << shift | (d->table & b) >> shift;
  uint32_t in = d->in[i];
  d->in[i] = d->in[i + 1];
  d->in[i + 1] = in;
}

uint32_t logic_function(struct logic_net *net, unsigned table, const uint32_t *inputs, unsigned ninputs) {
  struct draft d = {.n = ninputs, .table = logic_spread(table, ninputs)};
  memcpy(d.in, inputs, ninputs * sizeof *inputs);
  simplify(net, &d);
  swallow(net, &d);
  for (unsigned pass = 0; pass + 1 < d.n; pass++) {
    for (unsigned i = 0; i + 1 < d.n; i++) {
      if (d.in[i] > d.in[i + 1]) {
        swap_inputs(&d, i);
      }
    }
  }
  if (d.n == 0) {
    return logic_const(net, d.table & 1);
  }
  if (d.n == 1 && d.table == logic_var(0)) {
    return d.in[0];
  }
  struct ap_logic_value value = {.kind = AP_LOGIC_FUNCTION, .table = (uint8_t)d.table, .z = d.in[0]};
  value.y = d.n > 1 ? d.in[1] : d.in[0];
  value.x = d.n > 2 ? d.in[2] : d.in[0];
  return intern(net, &value);
}
