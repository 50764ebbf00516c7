// SPDX-License-Identifier: Apache-2.0
// A number of independent pieces of work on all cores.
#ifndef BFX_POOL_H
#define BFX_POOL_H

#include "base/bf_base.h"

// Calls work(context, 0 … count−1), each once, on `jobs` threads (0: one for each processor), the first ones first. `watch` (may be NULL) is
// called by the calling thread about eight times a second; while it returns false no new piece is begun.
void bfx_pool_run(size_t count, unsigned jobs, void (*work)(void *context, size_t index), bool (*watch)(void *context), void *context);
unsigned bfx_processors(void);

#endif
