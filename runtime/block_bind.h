// SPDX-License-Identifier: Apache-2.0
// What the block engine keeps: kernels, plans and threads' memory. Internal to the block engine.
#ifndef AP_BLOCK_BIND_H
#define AP_BLOCK_BIND_H

#include "runtime/block_run.h"

#define AP_PLAN_BYTES ((size_t)512 << 20)  // plans kept for the next execution, at most

// What a run keeps for the block engine from one execution to the next.
struct ap_blocks {
  struct ap_kernels *kernels;
  ap_kernel **fn[2][2];          // by counted, masked: of each microcode program
  struct ap_micro_facts *facts;  // of each microcode program
  struct ap_block_uses **uses;   // by profile; NULL: not counted yet
  struct ap_meter *meter;
  struct ap_expectation *expected;  // by region
  struct ap_block_plan **plans;  // by stage; NULL if not made yet or not kept
  uint64_t *bound;               // by stage: number of the binding of its entries to kernels; 0: none
  uint64_t bindings;             // how often kernels have been added
  size_t plan_bytes;
  struct ap_order_room room;
  bool *planned;                 // by profile: all of its stages have been planned once
  struct ap_block_cache cache;
  struct ap_block_thread *threads;
  unsigned nthreads;
};

// Compiles the kernels for the mode that are worth it by now and not there yet. False: an error was added, or it was stopped.
bool ap_blocks_compile(struct ap_run *run, const struct ap_execution *how, unsigned threads, struct bf_diags *diags);
// The plan of a stage. It is the caller's to free unless run->blocks->plans has it.
struct ap_block_plan *ap_blocks_plan(struct ap_run *run, const struct ap_stage *stage, const struct ap_execution *how);
// Keeps a plan of the stage that it has none of, if there is room for it.
bool ap_blocks_keep_plan(struct ap_run *run, const struct ap_stage *stage, struct ap_block_plan *plan);
// Once all stages of a program without profiles have plans that are kept: temporary tensors that are not in use at the same time get the same memory
// (runtime/block_share.c).
void ap_blocks_share(struct ap_run *run);
// Makes a plan ready to run with the kernels that are there by now.
void ap_blocks_bind(struct ap_run *run, struct ap_block_plan *plan, const struct ap_execution *how);

#endif
