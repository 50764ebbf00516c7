// SPDX-License-Identifier: Apache-2.0
// Which kernels are worth compiling, and plans whose entries know their kernels.
#include "runtime/block_bind.h"

#include <stdlib.h>

// A kernel takes about as long to compile as this many of its calls take step by step.
#define WORTH_COMPILING 1000

// Whether the program is executed often enough in `horizon` executions.
static bool is_hot(const struct ap_block_calls *calls, uint64_t horizon) {
  uint64_t sum = calls->whole + calls->partial;
  return sum > 0 && (horizon > WORTH_COMPILING || sum * horizon >= WORTH_COMPILING);
}

// Adds the kernels of one kind that are missing.
static bool compile_kind(struct ap_blocks *blocks, const struct ap_program *p, const struct ap_block_uses *uses, bool counted, bool masked,
                         uint64_t horizon, struct bf_diags *diags) {
  struct ap_kernel_key *keys = bf_alloc((size_t)p->nmicros + 1, sizeof *keys);
  ap_kernel **fn = bf_alloc((size_t)p->nmicros + 1, sizeof *fn), **all = blocks->fn[counted][masked];
  size_t count = 0;
  for (uint32_t i = 0; i < p->nmicros; i++) {
    const struct ap_block_calls *calls = &uses->micros[i];
    bool occurs = !counted || (masked ? calls->partial : calls->whole) > 0;
    if (all[i] == NULL && occurs && !blocks->facts[i].between_rows && p->micros[i].op != AP_OP_PATTERN && is_hot(calls, horizon)) {
      keys[count++] = (struct ap_kernel_key){&p->micros[i], counted, masked};
    }
  }
  bool good = count == 0 || ap_kernels_compile(blocks->kernels, keys, count, fn, diags);
  for (size_t i = 0; i < count && good; i++) {
    all[keys[i].micro - p->micros] = fn[i];
    blocks->bindings += i == 0;
  }
  free(keys);
  free(fn);
  return good;
}

// Compiles what is worth it by now. Kernels that do not count need no mask: what they leave outside of it is of no account.
bool ap_blocks_compile(struct ap_run *run, const struct ap_execution *how, unsigned threads, struct bf_diags *diags) {
  struct ap_blocks *blocks = run->blocks;
  const struct ap_program *p = run->program;
  bool counted = how->count == AP_COUNT_EXACT, good = true;
  uint64_t done = run->executions[how->profile], repeats = how->repeats > 0 ? how->repeats : 1;
  if (repeats == 1 && (done & (done - 1)) != 0 && blocks->fn[counted][0] != NULL) {
    return true;  // look again when twice as many are done
  }
  if (blocks->kernels == NULL && (blocks->kernels = ap_kernels_new(threads, diags)) == NULL) {
    return false;
  }
  ap_kernels_stop_on(blocks->kernels, how->stop);
  for (unsigned masked = 0; masked <= counted && good; masked++) {
    if (blocks->fn[counted][masked] == NULL) {
      blocks->fn[counted][masked] = bf_alloc((size_t)p->nmicros + 1, sizeof(ap_kernel *));
    }
    good = compile_kind(blocks, p, blocks->uses[how->profile], counted, masked, done + repeats, diags);
  }
  return good;
}

// Kinds of blocks, whole and partial, that a stage has.
struct kinds { bool has[2]; };

static struct kinds find_kinds(const struct ap_block_plan *plan) {
  struct kinds kinds = {{false, false}};
  for (uint32_t r = 0; r < plan->stage->count; r++) {
    struct ap_block_calls blocks = ap_order_count(plan->regions[r].order, plan->regions[r].grid);
    kinds.has[0] = kinds.has[0] || blocks.whole > 0;
    kinds.has[1] = kinds.has[1] || blocks.partial > 0;
  }
  return kinds;
}

// A kernel may be there for one kind of blocks alone, for a profile that has no others.
static bool has_kernels(const struct ap_entry *e, struct kinds kinds) {
  return (!kinds.has[0] || e->fn[0] != NULL) && (!kinds.has[1] || e->fn[1] != NULL);
}

static enum ap_call_kind op_kind(const struct ap_run *run, const struct ap_entry *e, struct kinds kinds) {
  if (e->pattern != NULL) {
    return e->stepwise || run->plain_blocks ? AP_CALL_OTHER : AP_CALL_PATTERN;
  }
  if (e->kind == AP_ENTRY_KERNEL) {
    bool numbered = e->micro - run->program->micros <= UINT16_MAX;  // a call has 16 bits for it
    return numbered && has_kernels(e, kinds) ? AP_CALL_KERNEL : AP_CALL_OTHER;
  }
  if (e->kind != AP_ENTRY_LOAD || e->base[0] == 0) {
    return AP_CALL_OTHER;
  }
  if (e->source != AP_NO_SOURCE) {
    return AP_CALL_CACHED;
  }
  const struct ap_grid *grid = &run->program->grids[run->program->descs[e->instr->index].grid];
  return ap_block_in_place(run, grid, e) ? AP_CALL_PLANES : AP_CALL_OTHER;
}

static void bind_op(const struct ap_run *run, const struct ap_block_plan *plan, const struct ap_entry *e, struct kinds kinds) {
  struct ap_call *op = e->op;
  op->kind = (uint8_t)op_kind(run, e, kinds);
  op->entry = e;
  for (unsigned i = 0; i < 3; i++) {
    op->base[i] = e->base[i];
    op->at[i] = (uint16_t)(e->at[i] / AP_COLUMN_WORDS);
  }
  if (op->kind == AP_CALL_KERNEL) {
    op->kernel = (uint16_t)(e->micro - run->program->micros);
    op->u.imm = e->instr->imm;
  } else if (op->kind == AP_CALL_CACHED) {
    op->column = (uint32_t)plan->sources[e->source].column;
  } else if (op->kind == AP_CALL_PLANES) {
    const struct ap_planes *planes = e->planes->planes;
    op->along = ap_plane_along(e->planes);
    op->u.columns = ap_planes_block(planes, e->planes->channel, (uint64_t)e->planes->position / AP_BLOCK_ROWS) +
                    (size_t)e->planes->bit * AP_COLUMN_WORDS;
    op->column = planes->bits;
  }
}

static void bind(const struct ap_run *run, struct ap_block_plan *plan, bool counted) {
  ap_kernel **const *fn = run->blocks->fn[counted];
  struct kinds kinds = find_kinds(plan);
  for (size_t i = 0; i < plan->nused; i++) {
    struct ap_entry *e = plan->used[i];
    for (unsigned masked = 0; masked < 2 && e->kind == AP_ENTRY_KERNEL; masked++) {
      ap_kernel **of = fn[counted ? masked : 0];
      e->fn[masked] = of != NULL && !e->stepwise && !run->plain_blocks ? of[e->micro - run->program->micros] : NULL;
    }
    bind_op(run, plan, e, kinds);
  }
}

// To find the order of lanes takes as long as running them: where regions have few blocks, it pays from the second execution on.
static void allow_orders(struct ap_run *run, const struct ap_execution *how, struct ap_block_plan *plan) {
  plan->room = &run->blocks->room;
  plan->ordering = run->executions[how->profile] > 0 || how->repeats > 1;
}

bool ap_blocks_keep_plan(struct ap_run *run, const struct ap_stage *stage, struct ap_block_plan *plan) {
  struct ap_blocks *blocks = run->blocks;
  if (plan->bytes > AP_PLAN_BYTES - blocks->plan_bytes) {
    return false;
  }
  blocks->plan_bytes += plan->bytes;
  blocks->plans[stage - run->stages] = plan;
  blocks->bound[stage - run->stages] = 0;
  return true;
}

struct ap_block_plan *ap_blocks_plan(struct ap_run *run, const struct ap_stage *stage, const struct ap_execution *how) {
  struct ap_blocks *blocks = run->blocks;
  struct ap_block_plan *plan = blocks->plans[stage - run->stages];
  if (plan == NULL) {
    plan = ap_block_plan_new(run, stage, blocks->facts, blocks->uses[how->profile]);
    blocks->bound[stage - run->stages] = 0;
    ap_blocks_keep_plan(run, stage, plan);
  }
  return plan;
}

void ap_blocks_bind(struct ap_run *run, struct ap_block_plan *plan, const struct ap_execution *how) {
  struct ap_blocks *blocks = run->blocks;
  bool counted = how->count == AP_COUNT_EXACT;
  size_t at = (size_t)(plan->stage - run->stages);
  uint64_t binding = 2 * blocks->bindings + counted + 1;
  ap_block_prepare_tensors(run, plan);
  if (blocks->bound[at] != binding) {
    ap_block_forget_orders(plan);
    bind(run, plan, counted);
    blocks->bound[at] = binding;
  }
  if (blocks->plans[at] == plan) {
    allow_orders(run, how, plan);
  }
}
