// SPDX-License-Identifier: Apache-2.0
// Builds without LLVM: there are no kernels; the interpreter does all.
#ifndef BF_HAVE_LLVM
#include <string.h>

#include "runtime/kernel_internal.h"

bool ap_kernels_available(void) { return false; }

struct ap_kernels *ap_kernels_new_for(unsigned threads, const char *cpu, const char *features, struct bf_diags *diags) {
  (void)threads, (void)cpu, (void)features;
  bf_error_file(diags, NULL, "build it where LLVM is installed, or use the interpreter",
                "this build of the runtime has no JIT compiler");
  return NULL;
}
struct ap_kernels *ap_kernels_new(unsigned threads, struct bf_diags *diags) {
  return ap_kernels_new_for(threads, NULL, NULL, diags);
}
void ap_kernels_free(struct ap_kernels *kernels) { (void)kernels; }
void ap_kernels_stop_on(struct ap_kernels *kernels, const volatile bool *stop) { (void)kernels, (void)stop; }

bool ap_kernels_compile(struct ap_kernels *kernels, const struct ap_kernel_key *keys, size_t count, ap_kernel **out,
                        struct bf_diags *diags) {
  (void)kernels, (void)keys, (void)diags;
  for (size_t i = 0; i < count; i++) {
    out[i] = NULL;
  }
  return false;
}
void ap_kernels_info(const struct ap_kernels *kernels, struct ap_kernels_info *out) {
  (void)kernels;
  memset(out, 0, sizeof *out);
}
#endif
