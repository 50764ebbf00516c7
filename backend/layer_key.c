// SPDX-License-Identifier: Apache-2.0
// Keys of what has been analysed: a hash of everything that decides it.
#include "backend/analyse.h"
#include "backend/build_id.h"  // of the build: a hash of the compiler's sources
#include "backend/code_facts.h"
#include "passes/builder.h"

// Facts of machine and technology up to a stage, and what passes weigh them by; of a network both stages count.
static void add_setting(struct bf_hasher *h, const struct ap_machine *machine, const struct ap_technology *tech, enum bf_objective objective,
                        double movement_off, enum bf_code_stage last) {
  struct bf_code_facts facts = bf_code_facts_of(machine, tech, objective);
  bf_code_facts_hash(&facts, last, h);
  bf_hasher_number(h, objective);
  bf_hasher_add(h, &movement_off, sizeof movement_off);
}

static void add_type(struct bf_hasher *h, struct bf_type type) {
  bf_hasher_number(h, type.kind);
  bf_hasher_number(h, type.bits);
}

static void add_array(struct bf_hasher *h, const void *items, uint64_t count, size_t size) {
  bf_hasher_number(h, items ? count + 1 : 0);
  if (items) bf_hasher_add(h, items, count * size);
}

// A tensor as a layer sees it: a constant with its values, another one with the range that its producer leaves.
static void add_tensor(struct bf_hasher *h, const struct bf_tensor *t) {
  add_type(h, t->type);
  bf_hasher_number(h, t->rank);
  for (unsigned i = 0; i < t->rank; i++) bf_hasher_number(h, t->shape[i]);
  bf_hasher_number(h, (uint64_t)t->quant.axis);
  add_array(h, t->quant.scale, t->quant.count, sizeof *t->quant.scale);
  add_array(h, t->quant.zero, t->quant.count, sizeof *t->quant.zero);
  add_array(h, t->data, t->data ? t->elements : 0, sizeof *t->data);
  bf_hasher_number(h, (uint64_t)t->is_input << 1 | t->is_output);
  if (t->data) return;
  uint64_t lo, hi;
  bf_mem_range(t, &lo, &hi);
  bf_hasher_number(h, lo);
  bf_hasher_number(h, hi);
}

static void add_requant(struct bf_hasher *h, const struct bf_requant *rq) {
  bf_hasher_number(h, rq->mode);
  bf_hasher_number(h, rq->count);
  add_array(h, rq->mult, rq->count, sizeof *rq->mult);
  add_array(h, rq->shift, rq->count, sizeof *rq->shift);
  add_array(h, rq->add, rq->count, sizeof *rq->add);
  add_array(h, rq->fscale, rq->count, sizeof *rq->fscale);
  bf_hasher_number(h, rq->nthresholds);
  add_array(h, rq->thresholds, (uint64_t)rq->count * rq->nthresholds, sizeof *rq->thresholds);
  bf_hasher_number(h, (uint64_t)rq->out_zero);
  bf_hasher_number(h, (uint64_t)rq->lo);
  bf_hasher_number(h, (uint64_t)rq->hi);
}

static void add_node(struct bf_hasher *h, const struct bf_node *node) {
  struct bf_attrs attrs = node->attrs;
  bf_hasher_number(h, node->op);
  bf_hasher_number(h, node->ninputs);
  for (uint32_t i = 0; i < node->ninputs; i++) {
    add_tensor(h, node->inputs[i]);
    bf_hasher_number(h, node->inputs[i] == node->inputs[0]);  // x + x loads x once
  }
  add_tensor(h, node->output);
  add_requant(h, &attrs.requant);
  for (int i = 0; i < 2; i++) add_requant(h, &attrs.in_requant[i]);
  // The rest has no pointers.
  attrs.requant = attrs.in_requant[0] = attrs.in_requant[1] = (struct bf_requant){0};
#define ADD(member) bf_hasher_add(h, &attrs.member, sizeof attrs.member)
  ADD(kernel), ADD(stride), ADD(dilation), ADD(pad), ADD(groups), ADD(left_shift), ADD(pads), ADD(pad_value), ADD(axis), ADD(beta);
  ADD(axes), ADD(perm), ADD(begin), ADD(step), ADD(count), ADD(factor);
#undef ADD
}

struct bf_digest bf_layer_key(const struct bf_unit *unit, const struct bf_node *node) {
  struct bf_hasher h;
  bf_hasher_begin(&h, 1);
  bf_hasher_text(&h, BF_BUILD_ID);
  add_setting(&h, unit->machine, unit->tech, unit->objective, unit->movement_off, BF_STAGE_CODE);
  bf_hasher_number(&h, unit->opt_level);
  const struct bf_plan *plan = &unit->choices[node->id].plan;  // without its estimates, which tell of other machines with the same choice
  const uint32_t parts[] = {plan->mapping, plan->scheme, plan->group, plan->split, plan->keys, plan->taps, plan->largest, plan->slots, plan->both};
  bf_hasher_add(&h, parts, sizeof parts);
  bf_hasher_add(&h, &plan->joule, sizeof plan->joule);
  add_node(&h, node);
  return bf_hasher_end(&h);
}

struct bf_digest bf_network_key(const struct bf_digest *network, const struct bf_compile_options *options) {
  struct bf_hasher h;
  bf_hasher_begin(&h, 2);
  bf_hasher_text(&h, BF_BUILD_ID);
  add_setting(&h, &options->machine, &options->tech, options->objective, options->movement_off, BF_STAGE_PLAN);
  bf_hasher_number(&h, options->opt_level);
  bf_hasher_number(&h, options->mapping);
  bf_hasher_number(&h, options->batch);
  bf_hasher_number(&h, options->keep_all);
  bf_hasher_number(&h, network->words[0]);
  bf_hasher_number(&h, network->words[1]);
  return bf_hasher_end(&h);
}
