// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. Each fuzz_NAME.c defines LLVMFuzzerTestOneInput; it is linked with libFuzzer (BF_FUZZ) or
// with replay.c. A target ends the process by abort() when a library breaks a promise; refusing an input is no failure.
#ifndef BF_FUZZ_H
#define BF_FUZZ_H

#include "base/bf_diag.h"
#include "ir/graph.h"
#include "isa/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
// A target may have one, which knows its format: changes data[0..size), of which `most` bytes are there; the new size.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
// The engine's change of bytes.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

// Says what is wrong on standard error, and aborts.
void fuzz_fail(const char *file, int line, const char *fmt, ...) BF_PRINTF(3, 4);
#define FUZZ_CHECK(condition, ...) \
  do { \
    if (!(condition)) fuzz_fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)

// Renders the diagnostics (which must not fail either) and frees them. `accepted`: what the library answered; an input is
// refused exactly if there is an error.
void fuzz_diags_end(struct bf_diags *diags, bool accepted);
// Renders them on standard error: for the message of a check that follows.
void fuzz_diags_show(const struct bf_diags *diags);
// Aborts if the texts differ; frees both.
void fuzz_same(const char *what, struct bf_buf *a, struct bf_buf *b);

// The next of a sequence of random numbers; any state but 0.
uint64_t fuzz_random(uint64_t *state);

// A verified graph: text form, and, if it is small, compilation, execution and the reference evaluator on equal inputs.
void fuzz_graph(const struct bf_graph *graph);
// A validated program: container and assembly round trips, static account, and, if it is small, execution with equal
// counters.
void fuzz_program(const struct ap_program *program);
// Executes once on random inputs unless that takes too much; checks counters, constants and ranges of values. The
// run, with its inputs in `inputs[i]` (q; may be NULL), is the caller's to free; NULL if it is too much.
struct ap_run;
struct ap_run *fuzz_execute(const struct ap_program *program, const int64_t *const *inputs);

#endif
