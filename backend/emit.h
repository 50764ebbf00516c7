// SPDX-License-Identifier: Apache-2.0
// Emission, inside the back end: growing lists of a program under construction.
#ifndef BF_EMIT_H
#define BF_EMIT_H

#include "backend/compiler.h"

// What compiling and analysing have in common: the passes' unit, the pipeline; and `take` where fields have no columns.
struct bf_unit bf_compile_unit(const struct bf_graph *graph, const struct bf_compile_options *options, struct bf_diags *diags);
struct bf_pipeline_options bf_compile_pipeline(const struct bf_compile_options *options);
bool bf_compile_unfinished(struct bf_unit *unit, bool whole);

// What tells one instruction of a table from another.
struct bf_entry_key { uint64_t words[3]; };

// A program under construction. Layers come in parts, as the pass manager hands them on. Lists grow on the heap; bf_emit_finish
// moves them into the program's arena.
struct bf_emitter {
  struct ap_program *program;
  uint32_t nlayers;  // whole ones
  bool open;         // part of another one is there
  struct ap_instr *code; size_t ncode, code_capacity;
  struct ap_table *tables; size_t ntables, tables_capacity;
  struct ap_stream *streams; size_t nstreams, streams_capacity;
  struct ap_pattern *patterns; size_t npatterns, patterns_capacity;
  struct ap_host *hosts; size_t nhosts, hosts_capacity;
  // The table that steps go to now: its items and a hash index of them.
  struct ap_instr *items; size_t nitems, items_capacity;
  struct bf_entry_key *keys; size_t nkeys, keys_capacity;
  uint32_t *index; size_t index_size;
  uint32_t grid;  // of the region emitted last
};

// Begins the program of a graph.
void bf_emit_begin(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_compile_options *options);
// Code of the regions that `fields` holds now, all with columns; `whole`: its last layer is complete with them.
void bf_emit_part(struct bf_emitter *e, const struct bf_fprogram *fields, bool whole);
// Memory, constants and microcode; the caller owns the program. NULL and errors if there is no such microcode.
struct ap_program *bf_emit_finish(struct bf_emitter *e, const struct bf_graph *graph, const struct bf_fprogram *fields,
                                  const struct bf_compile_options *options, struct bf_diags *diags);
void bf_emit_free(struct bf_emitter *e);  // what the emitter holds, the program too if it was not finished

// What the analysis shares with emission: one item of the field IR as it will be in the program.
enum ap_op bf_emit_op(const struct bf_fop *op);
// pattern: number of the region's first pattern in the program.
struct ap_instr bf_emit_instr(const struct bf_region *region, const struct bf_fop *op, size_t pattern);
struct ap_grid bf_emit_grid(const struct bf_fgrid *from);
struct ap_desc bf_emit_desc(const struct bf_fprogram *fields, const struct bf_fdesc *from);
bool bf_emit_descs_fit(size_t count, struct bf_diags *diags);  // false: an error was added

void bf_emit_code(struct bf_emitter *e, struct ap_instr instr);
// Index of an instruction in the current table (added if new), or BF_TABLE_FULL.
#define BF_TABLE_FULL UINT32_MAX
uint32_t bf_emit_table_entry(struct bf_emitter *e, const struct ap_instr *instr);
// Closes the current table, if it has entries; the next entry opens another.
void bf_emit_close_table(struct bf_emitter *e);
// Generates the microcode that code and tables need, sorted.
bool bf_emit_micros(struct bf_emitter *e, unsigned features, struct bf_diags *diags);
// A copy of `count` items in the program's arena.
void *bf_emit_keep(struct bf_emitter *e, const void *items, size_t count, size_t size);

#endif
