// SPDX-License-Identifier: Apache-2.0
// add and sub of small operands as one map (passes/sum_map.h), where that is cheaper than rescaling them, adding, and rescaling the sum.
#include "passes/lower_sum.h"

#include <stdlib.h>

#include "isa/isa.h"
#include "passes/digits.h"
#include "passes/sum_map.h"

#define MOST_PAIRS 32

struct bf_checkpoint bf_checkpoint_of(const struct bf_region *region) {
  return (struct bf_checkpoint){region->nops, region->nfields, region->nfacts, region->tail};
}

void bf_checkpoint_restore(struct bf_region *region, const struct bf_checkpoint *c) {
  while (region->nfields > c->fields) free(region->fields[--region->nfields].name);
  region->nops = c->ops;
  region->nfacts = c->facts;
  region->tail = c->tail;
}

// Cycles since the checkpoint, about.
static double cycles_since(const struct bf_lower *l, const struct bf_checkpoint *c) {
  double cycles = 0;
  for (size_t i = c->ops; i < l->region->nops; i++) {
    const struct bf_fop *op = &l->region->ops[i];
    switch (op->kind) {
    case BF_FOP_MACK: cycles += 8.0 * op->a.width * bf_digits_of((int64_t)op->imm, true).count; break;
    case BF_FOP_ADD: case BF_FOP_SUB: cycles += 8.0 * op->a.width; break;
    case BF_FOP_ADDK: cycles += 4.0 * op->d.width; break;
    case BF_FOP_COPY: case BF_FOP_GTK: cycles += 2.0 * op->a.width; break;
    default: cycles += 1; break;
    }
  }
  return cycles;
}

// The loads of the operands; false if there are others or they are wide.
static bool find_loads(const struct bf_lower *l, const struct bf_checkpoint *c, struct bf_fop load[2]) {
  unsigned count = 0;
  for (size_t i = c->ops; i < l->region->nops; i++) {
    const struct bf_fop *op = &l->region->ops[i];
    if (op->kind != BF_FOP_LOAD) continue;
    if (count == 2 || op->d.width > BF_SUM_MAP_BITS) return false;
    load[count++] = *op;
  }
  return count == 2;
}

static void build(struct bf_lower *l, const struct bf_sum_map *map, const struct bf_fop load[2], const struct bf_sum_operand operands[2],
                  const struct bf_requant *rq, uint32_t desc, uint32_t tap) {
  struct bf_type type = l->node->output->type;
  unsigned width[2] = {load[0].d.width, load[1].d.width}, bits = bf_mem_bits(type);
  uint32_t both = bf_field_new(l->region, "ab");
  l->region->fields[both].width = (uint16_t)(width[0] + width[1]);
  struct bf_val v[2];
  for (int i = 0; i < 2; i++) {
    struct bf_fop op = load[i];
    op.d.field = both & (BF_MAX_REGION_FIELDS - 1);
    op.d.offset = i ? width[0] & 127 : 0;
    bf_fop_append(l->region, op);
    v[i] = (struct bf_val){.field = both, .offset = (uint16_t)(i ? width[0] : 0), .lo = operands[i].lo, .hi = operands[i].hi};
  }
  // A bias that keeps the sum from becoming negative, congruent to the output's.
  int64_t low = map->r < 0 ? map->r : 0, modulus = (int64_t)1 << bits, zero = rq->out_zero - bf_type_min(type);
  for (int i = 0; i < 2; i++) low += map->m[i] < 0 ? map->m[i] * (int64_t)operands[i].hi : 0;
  int64_t z = (-low + (((int64_t)1 << map->s) - 1)) >> map->s, rest = (zero - z) % modulus;
  z += rest < 0 ? rest + modulus : rest;
  struct bf_val p = bf_build_const(l, (uint64_t)(map->r + z * ((int64_t)1 << map->s)), 0, "scaled");
  for (int i = 0; i < 2; i++) bf_build_mack(l, &p, &v[i], map->m[i], false);
  struct bf_val y = {.field = p.field, .offset = (uint16_t)map->s, .lo = p.lo >> map->s, .hi = p.hi >> map->s, .bias = z};
  bf_val_low(l, &y, bf_bits(y.hi));
  struct bf_slice out = bf_build_clamp(l, y, rq, type), whole = {both & (BF_MAX_REGION_FIELDS - 1), 0, (width[0] + width[1]) & 127};
  for (size_t i = 0; i < map->npairs; i++) {
    const struct bf_sum_pair *pair = &map->pairs[i];
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COMPARE, .a = whole, .imm = pair->content[0] | pair->content[1] << width[0]});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_WRITE, .d = out, .imm = (uint64_t)(pair->y + zero)});
  }
  bf_build_store(l, out, desc, tap);
}

void bf_sum_improve(struct bf_lower *l, const struct bf_checkpoint *c, bf_rescaled *rescaled, void *context, const struct bf_requant *rq, uint32_t channel,
                    uint32_t desc, uint32_t tap) {
  struct bf_fop load[2];
  double bound = cycles_since(l, c);
  if (l->failed || l->unit->opt_level < 2 || !find_loads(l, c, load)) return;
  struct bf_sum_operand *operands = bf_alloc(2, sizeof *operands);
  int64_t low = 0, high = 0;
  for (int i = 0; i < 2; i++) {
    bf_mem_range(l->node->inputs[i], &operands[i].lo, &operands[i].hi);
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (uint64_t u = operands[i].lo; u <= operands[i].hi; u++) {
      int64_t value = operands[i].value[u - operands[i].lo] = rescaled(l, context, i, u);
      if (value < least) least = value;
      if (value > most) most = value;
    }
    low += least, high += most;
  }
  struct bf_steps steps;
  struct bf_sum_map map = {.npairs = 0};
  unsigned bits = bf_mem_bits(l->node->output->type);
  double each = l->unit->machine->features & AP_FEATURE_WIDE_WRITE ? 2 : 1 + bits;
  struct bf_sum_costs costs = {{8.0 * load[0].d.width, 8.0 * load[1].d.width}, each, bound, MOST_PAIRS};
  if (bits < 32 && !l->failed && bf_steps_of(&steps, rq, channel, low, high)) {
    bf_steps_leave_to_clamp(&steps, rq);
    if (steps.count && bf_sum_map_of(operands, &steps, bf_requant_slope(rq, channel), &costs, &map)) {
      bf_checkpoint_restore(l->region, c);
      if (!l->region->tail) l->region->tail = l->region->nops + 2;  // behind the loads
      build(l, &map, load, operands, rq, desc, tap);
    }
    bf_steps_free(&steps);
  }
  free(map.pairs);
  free(operands);
}
