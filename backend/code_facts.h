// SPDX-License-Identifier: Apache-2.0
// The facts of backend/code_facts.def. Inside the back end.
#ifndef BF_CODE_FACTS_H
#define BF_CODE_FACTS_H

#include "base/bf_hash.h"
#include "passes/pass.h"

struct bf_code_facts {
#define BF_CODE_FACT(member, stage) uint64_t member;
#define BF_TECHNOLOGY_FACT(member, stage, objective) double member;
#include "backend/code_facts.def"
  double leak_j;    // what a cell leaks in a cycle; an energy
  bool few_writes;  // ap_generator_features: of its microcode
};
enum bf_code_stage { BF_STAGE_CODE, BF_STAGE_PLAN };

// Facts that don't count for the objective are 0.
struct bf_code_facts bf_code_facts_of(const struct ap_machine *machine, const struct ap_technology *tech, enum bf_objective objective);
bool bf_code_facts_equal(const struct bf_code_facts *a, const struct bf_code_facts *b);
// Adds the facts up to a stage.
void bf_code_facts_hash(const struct bf_code_facts *facts, enum bf_code_stage last, struct bf_hasher *h);

#endif
