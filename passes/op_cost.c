// SPDX-License-Identifier: Apache-2.0
#include "passes/op_cost.h"

#include "isa/ledger.h"
#include "isa/micro.h"

struct bf_op_costs *bf_op_costs_new(const struct bf_unit *unit) {
  struct bf_op_costs *costs = bf_alloc(1, sizeof *costs);
  costs->unit = unit;
  costs->features = unit->tech ? ap_generator_features(unit->machine, unit->tech) : unit->machine->features;
  return costs;
}

static struct bf_op_cost price(const struct bf_op_costs *costs, enum ap_op op, unsigned d, unsigned a) {
  const uint8_t width[3] = {(uint8_t)d, (uint8_t)a, 0};
  const struct ap_technology *t = costs->unit->tech;
  struct bf_op_cost cost = {.known = true};
  struct ap_micro micro;
  if (!ap_micro_generate(op, width, costs->features, &micro)) return cost;
  struct ap_micro_cost m = ap_micro_cost(&micro);
  ap_micro_free(&micro);
  cost.cycles = (float)m.compares * (float)(t ? t->compare_cycles : 1) + (float)m.writes * (float)(t ? t->write_cycles : 1);
  if (t)
    cost.energy = (float)(((double)m.compare_cells - m.expected_matches) * t->compare_mismatch_j + m.expected_matches * t->compare_match_j +
                          (m.expected_tags - m.expected_changed) * t->write_same_j + m.expected_changed * t->write_j);
  return cost;
}

struct bf_op_cost bf_op_cost_of(struct bf_op_costs *costs, const struct bf_region *region, const struct bf_fop *op) {
  static const struct { enum bf_fop_kind kind; enum ap_op op; bool one; } kinds[] = {
      {BF_FOP_SETK, AP_OP_SETK, true}, {BF_FOP_COPY, AP_OP_COPY, false}, {BF_FOP_NOT, AP_OP_NOT, false},
      {BF_FOP_ADD, AP_OP_ADD, false}, {BF_FOP_SUB, AP_OP_SUB, false}};
  for (size_t i = 0; i < BF_COUNT(kinds); i++) {
    if (op->kind != kinds[i].kind) continue;
    unsigned d = op->d.width ? op->d.width : region->fields[op->d.field].width, a = kinds[i].one ? 0 : op->a.width;
    if (d > 64 || a > 64) break;
    struct bf_op_cost *cost = &costs->at[i][d][a];
    if (!cost->known) *cost = price(costs, kinds[i].op, d, a);
    return *cost;
  }
  return (struct bf_op_cost){0};
}
