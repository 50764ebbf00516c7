// SPDX-License-Identifier: Apache-2.0
// Emission, inside the back end: growing lists of a program under construction.
#ifndef BF_EMIT_H
#define BF_EMIT_H

#include "backend/compiler.h"

// Lists grow on the heap; bf_emitter_finish moves them into the program's arena.
struct bf_emitter {
  struct ap_program *program;
  const struct bf_fprogram *fields;
  struct ap_instr *code; size_t ncode, code_capacity;
  struct ap_table *tables; size_t ntables, tables_capacity;
  struct ap_stream *streams; size_t nstreams, streams_capacity;
  struct ap_host *hosts; size_t nhosts, hosts_capacity;
  // The table that steps go to now: its items and a hash index of them.
  struct ap_instr *items; size_t nitems, items_capacity;
  uint32_t *index; size_t index_size;
};

void bf_emit_code(struct bf_emitter *e, struct ap_instr instr);
// Index of an instruction in the current table (added if new).
uint16_t bf_emit_table_entry(struct bf_emitter *e, const struct ap_instr *instr);
// Closes the current table, if it has entries; the next entry opens another.
void bf_emit_close_table(struct bf_emitter *e);
// Generates the microcode that code and tables need, sorted.
bool bf_emit_micros(struct bf_emitter *e, unsigned features, struct bf_diags *diags);
// A copy of `count` items in the program's arena.
void *bf_emit_keep(struct bf_emitter *e, const void *items, size_t count, size_t size);

#endif
