// SPDX-License-Identifier: Apache-2.0
// Native kernels: microcode programs compiled for blocks of rows.
//
// A block is 512 rows. Its columns lie one after the other, 8 words each: column c from word 8 c, row r of the block at bit r % 64 of
// word r / 64 of the column. A kernel does to one block what the interpreter does to all rows with one instruction. Only programs
// whose steps stay within their row have one (compare, compare.or, write, write.all).
#ifndef AP_KERNEL_H
#define AP_KERNEL_H

#include "base/bf_diag.h"
#include "isa/program.h"
#include "runtime/steps.h"

#define AP_BLOCK_ROWS 512
#define AP_COLUMN_WORDS AP_BLOCK_WORDS

// d, a, b: first column of the operand (NULL if absent); flags: column 0 of the block; mask: the block's row mask (8 words);
// tag: 8 words, read and written by programs of raw tag instructions alone. All are 64-byte aligned. Rows outside the mask are never
// counted; what the kernel leaves in their cells is not defined.
typedef void ap_kernel(uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, uint64_t *tag, const uint64_t *mask, uint64_t imm,
                       struct ap_kernel_counts *counts);

struct ap_kernels;  // kernels compiled so far, with the code they live in

// Whether this build has the compiler (LLVM found when it was configured).
bool ap_kernels_available(void);
// NULL and an error if there is no compiler or it cannot serve this processor. `threads`: how many compile at a time.
struct ap_kernels *ap_kernels_new(unsigned threads, struct bf_diags *diags);
void ap_kernels_free(struct ap_kernels *kernels);
// From now on compilation ends early once *stop is set (by a signal handler, say); NULL: never.
void ap_kernels_stop_on(struct ap_kernels *kernels, const volatile bool *stop);

// What a kernel is for. The microcode must have passed ap_micro_check and must live as long as the kernels.
struct ap_kernel_key {
  const struct ap_micro *micro;
  bool counted;  // adds to *counts; else counts may be NULL
  bool masked;   // some rows may be outside the mask; else the mask is taken to be all ones
};
// Compiles the kernels of all keys that are not there yet (several threads, a module each) and gives their entry points. A program that steps
// between rows gives NULL there. False: an error was added.
bool ap_kernels_compile(struct ap_kernels *kernels, const struct ap_kernel_key *keys, size_t count, ap_kernel **out,
                        struct bf_diags *diags);
// Facts for benchmarks and reports.
struct ap_kernels_info { const char *host; unsigned vector_bits; size_t kernels; double compile_s; };
void ap_kernels_info(const struct ap_kernels *kernels, struct ap_kernels_info *out);

// The same step by step: for programs without a kernel of the compiler, and to test kernels against.
void ap_block_run(const struct ap_micro *micro, uint64_t *d, uint64_t *a, uint64_t *b, uint64_t *flags, uint64_t *tag,
                  const uint64_t *mask, uint64_t imm, struct ap_kernel_counts *counts);  // counts: NULL to count nothing
// The same for an instruction with a pattern; `imm` is the pattern's key.
void ap_block_run_pattern(const struct ap_micro *micro, const struct ap_pattern *pattern, uint64_t *d, uint64_t *a, uint64_t *b,
                          uint64_t *flags, const uint64_t *mask, struct ap_kernel_counts *counts);

#endif
