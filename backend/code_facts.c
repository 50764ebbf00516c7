// SPDX-License-Identifier: Apache-2.0
#include "backend/code_facts.h"

#include "isa/program.h"

enum { COUNTS_ANY = 1, COUNTS_ENERGY = 0 };

struct bf_code_facts bf_code_facts_of(const struct ap_machine *machine, const struct ap_technology *tech, enum bf_objective objective) {
  bool energy = objective != BF_OBJECTIVE_CYCLES;
  return (struct bf_code_facts){
#define BF_CODE_FACT(member, stage) .member = machine->member,
#define BF_TECHNOLOGY_FACT(member, stage, when) .member = energy || COUNTS_##when ? tech->member : 0,
#include "backend/code_facts.def"
      .leak_j = energy ? tech->leakage_w_per_cell / machine->clock_hz : 0,
      .few_writes = ap_generator_features(machine, tech) & AP_PREFER_FEW_WRITES,
  };
}

bool bf_code_facts_equal(const struct bf_code_facts *a, const struct bf_code_facts *b) {
  return a->few_writes == b->few_writes && a->leak_j == b->leak_j
#define BF_CODE_FACT(member, stage) &&a->member == b->member
#define BF_TECHNOLOGY_FACT(member, stage, when) &&a->member == b->member
#include "backend/code_facts.def"
      ;
}

void bf_code_facts_hash(const struct bf_code_facts *facts, enum bf_code_stage last, struct bf_hasher *h) {
#define BF_CODE_FACT(member, stage) \
  if (BF_STAGE_##stage <= last) bf_hasher_number(h, facts->member);
#define BF_TECHNOLOGY_FACT(member, stage, when) \
  if (BF_STAGE_##stage <= last) bf_hasher_add(h, &facts->member, sizeof facts->member);
#include "backend/code_facts.def"
  if (last != BF_STAGE_PLAN) return;
  bf_hasher_number(h, facts->few_writes);
  bf_hasher_add(h, &facts->leak_j, sizeof facts->leak_j);
}
