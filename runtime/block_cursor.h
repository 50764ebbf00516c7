// SPDX-License-Identifier: Apache-2.0
// The calls of a region one by one. Internal to the block engine.
#ifndef AP_BLOCK_CURSOR_H
#define AP_BLOCK_CURSOR_H

#include "runtime/block_run.h"

// What code comes next: calls ops[*step], ops[step[1]], … to `end`, then the instructions from number `at` on.
struct ap_calls {
  const struct ap_call *ops;
  const uint16_t *step, *end;
  const struct ap_block_region *region;
  uint32_t at, count;
  struct ap_block_loops loops;
};

// Goes on to the next instruction that is a call. False: there is none.
static inline bool ap_calls_go_on(struct ap_calls *c, const struct ap_program *program) {
  static const uint16_t one[1] = {0};
  for (; c->at < c->count; c->at++) {
    const struct ap_entry *e = &c->region->code[c->at];
    if (e->kind == AP_ENTRY_NONE) {
      ap_block_loop(&c->loops, e->instr, &c->at);
      continue;
    }
    c->ops = e->kind == AP_ENTRY_STEPS ? e->ops : e->op;
    c->step = one;
    c->end = one + 1;
    if (e->kind == AP_ENTRY_STEPS) {
      const struct ap_stream *stream = &program->streams[e->instr->index];
      c->step = stream->steps;
      c->end = stream->steps + stream->count;
    }
    if (c->step < c->end) {
      c->at++;
      return true;
    }
  }
  c->ops = NULL;
  return false;
}

static inline void ap_calls_begin(struct ap_calls *c, const struct ap_program *program, const struct ap_block_region *region) {
  *c = (struct ap_calls){.region = region, .count = region->region->end - region->region->grid - 1};
  ap_calls_go_on(c, program);
}

static inline const struct ap_call *ap_calls_next(const struct ap_calls *c) { return &c->ops[*c->step]; }

static inline void ap_calls_step(struct ap_calls *c, const struct ap_program *program) {
  if (++c->step == c->end) {
    ap_calls_go_on(c, program);
  }
}

#endif
