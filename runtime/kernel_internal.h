// SPDX-License-Identifier: Apache-2.0
// Parts of runtime/kernel.c.
#ifndef AP_KERNEL_INTERNAL_H
#define AP_KERNEL_INTERNAL_H

#include "runtime/kernel.h"

// How to compute a function of three values by operations of two: the last operation, and the tables that it takes.
enum ap_formula_op { AP_FORMULA_LEAF, AP_FORMULA_NOT, AP_FORMULA_AND, AP_FORMULA_ANDNOT, AP_FORMULA_OR, AP_FORMULA_XOR };
struct ap_formula { uint8_t op, left, right, cost; };  // ANDNOT: not left and right; LEAF: a variable or a constant
// The shortest formulas of all functions (index: table, as in struct ap_logic_value).
void ap_formulas(struct ap_formula table[256]);

// As ap_kernels_new, for another processor than this one (LLVM names; NULL: this one). For tests: code for a processor with more than this one
// has must not be called.
struct ap_kernels *ap_kernels_new_for(unsigned threads, const char *cpu, const char *features, struct bf_diags *diags);

#endif
