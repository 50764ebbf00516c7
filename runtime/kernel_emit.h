// SPDX-License-Identifier: Apache-2.0
// One kernel as a function of an LLVM module.
#ifndef AP_KERNEL_EMIT_H
#define AP_KERNEL_EMIT_H

#include "runtime/kernel_internal.h"
#include "runtime/llvm_compat.h"
#include "runtime/logic.h"

struct ap_kernel_host {
  unsigned vector_words;  // words of its vectors: 1, 2, 4 or 8
  bool ternary;         // one instruction computes any function of three vectors
  bool vector_count;    // one instruction counts the bits of a vector's elements
  struct ap_formula formulas[256];
};
// Adds the function `name` to the module.
void ap_kernel_emit(LLVMModuleRef module, const struct ap_kernel_host *host, const struct ap_kernel_key *key,
                    const struct ap_logic *logic, const char *name);

#endif
