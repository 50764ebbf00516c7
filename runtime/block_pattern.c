// SPDX-License-Identifier: Apache-2.0
// What the block engine does without a compiled kernel: pattern instructions, those that differ in their keys alone together, and
// all others step by step.
#include "runtime/block_run.h"

void ap_block_table_begin(struct ap_block_thread *t, const struct ap_entry *e) { ap_pattern_begin(&t->table, e->micro->width); }

bool ap_block_table_add(struct ap_block_thread *t, const struct ap_entry *e) { return ap_pattern_add(&t->table, e->pattern); }

void ap_block_table_prepare(struct ap_block_thread *t) {
  if (t->pattern_variant->prepare != NULL) {
    t->pattern_variant->prepare(&t->table);
  }
}

void ap_block_table_run(struct ap_block_thread *t, uint64_t *d, const uint64_t *a, const uint64_t *b, const uint64_t *mask) {
  t->pattern_variant->run(&t->table, d, a, b, mask, t->counted ? &t->counts : NULL);
}

void ap_block_steps(struct ap_block_thread *t, const struct ap_entry *e, const struct ap_block_operands *o) {
  struct ap_kernel_counts *counts = t->counted ? &t->counts : NULL;
  if (e->pattern == NULL) {
    ap_block_run(e->micro, o->d, o->a, o->b, o->flags, o->tag, o->mask, e->instr->imm, counts);
  } else if (e->stepwise || t->run->plain_blocks) {
    ap_block_run_pattern(e->micro, e->pattern, o->d, o->a, o->b, o->flags, o->mask, counts);
  } else {
    ap_block_table_begin(t, e);
    ap_block_table_add(t, e);
    ap_block_table_prepare(t);
    ap_block_table_run(t, o->d, o->a, o->b, o->mask);
  }
}
