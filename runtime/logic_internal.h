// SPDX-License-Identifier: Apache-2.0
// Parts of runtime/logic.c: hash-consed values, synthesis of truth tables, decomposition of counters.
#ifndef AP_LOGIC_INTERNAL_H
#define AP_LOGIC_INTERNAL_H

#include "base/bf_base.h"
#include "runtime/logic.h"

#define LOGIC_NONE UINT32_MAX
#define LOGIC_VARS 6  // variables of a truth table of 64 bits

// Values, no two of which are the same function of the same values.
struct logic_net {
  struct ap_logic *out;
  uint32_t *slots;    // hash table of value indices, LOGIC_NONE where empty
  size_t nslots;      // a power of two
  bool lookup;        // only look for values: what is not there gives LOGIC_NONE
};
void logic_net_begin(struct logic_net *net, struct ap_logic *out);
void logic_net_end(struct logic_net *net);
uint32_t logic_leaf(struct logic_net *net, enum ap_logic_kind kind, unsigned slot, unsigned bit);
uint32_t logic_const(struct logic_net *net, bool one);
// The function of up to three values with this truth table: input i at bit i of the index into `table`.
uint32_t logic_function(struct logic_net *net, unsigned table, const uint32_t *inputs, unsigned ninputs);
// Whether the value is a constant (then its bit in *one).
bool logic_is_const(const struct logic_net *net, uint32_t value, bool *one);
// The value itself, or what it is the complement of (then *complement).
uint32_t logic_strip_not(const struct logic_net *net, uint32_t value, bool *complement);

// Truth table of variable i: bit m of it is bit i of m.
uint64_t logic_var(unsigned i);
// Copies the table's first 2^n bits over all 64.
uint64_t logic_spread(uint64_t table, unsigned n);
// The table without its variable `var` (which is set to `one`); the variables above move down.
uint64_t logic_cofactor(uint64_t table, unsigned var, bool one);
bool logic_depends(uint64_t table, unsigned var);

// Tables that have values already, so that equal functions share one.
struct logic_known { uint64_t table; uint32_t value; };
struct logic_vars {
  uint32_t values[LOGIC_VARS];
  unsigned count;
  struct logic_known *known; size_t nknown, known_capacity;
};
// The value with this table over the variables (spread over 64 bits).
uint32_t logic_synthesise(struct logic_net *net, struct logic_vars *vars, uint64_t table);
// How many functions that would add, roughly; 0: the value is there.
unsigned logic_cost(struct logic_net *net, const struct logic_vars *vars, uint64_t table);

// A Boolean function that occurs in counters, and how often in each.
struct logic_term { uint64_t table; int32_t weight[AP_LOGIC_COUNTERS]; };
struct logic_terms { struct logic_term *items; size_t count, capacity; };
void logic_terms_add(struct logic_terms *terms, uint64_t table, enum ap_logic_counter counter, int32_t weight);
// Ways to write counters over classes of rows, found before.
struct logic_splits { struct logic_split *items; size_t count, capacity; };
// Adds the counts of all terms to the logic, as few functions as it finds.
void logic_count(struct logic_net *net, struct logic_vars *vars, const struct logic_terms *terms, struct logic_splits *splits);
void logic_count_value(struct logic_net *net, uint32_t value, enum ap_logic_counter counter, int32_t weight);

#endif
