// SPDX-License-Identifier: Apache-2.0
// The block engine: regions run block by block (512 rows, whose columns stay in the first-level cache), an instruction a call of a
// kernel (runtime/kernel.h), blocks in several threads. Results and counters depend neither on the number of threads nor on the
// order of blocks.
#ifndef AP_BLOCK_ENGINE_H
#define AP_BLOCK_ENGINE_H

#include "runtime/run.h"

struct ap_blocks_pool;  // the threads of one execution

// Starts the threads, and compiles the kernels for the mode that are worth it and not there yet. NULL and an error if there is no compiler; NULL alone if
// it was stopped.
struct ap_blocks_pool *ap_blocks_begin(struct ap_run *run, const struct ap_execution *how, struct bf_diags *diags);
// One stage of regions, as ap_interp_stage.
bool ap_blocks_stage(struct ap_blocks_pool *pool, const struct ap_stage_run *s);
// After an execution: sets the counters of layers that depend on data to what is expected.
void ap_blocks_expect(const struct ap_run *run, struct ap_account *layers);
void ap_blocks_end(struct ap_blocks_pool *pool);  // may be NULL
void ap_blocks_free(struct ap_blocks *blocks, const struct ap_run *run);  // may be NULL

#endif
