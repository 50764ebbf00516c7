// SPDX-License-Identifier: Apache-2.0
// .apbin files: reader and validator; programs that they accept print, encode and run.
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct ap_program *program = ap_program_read(size ? (const void *)data : "", size, "fuzz.apbin", &diags);
  fuzz_diags_end(&diags, program != NULL);
  if (!program) return 0;
  fuzz_program(program);
  ap_program_free(program);
  return 0;
}
