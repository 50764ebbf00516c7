// SPDX-License-Identifier: Apache-2.0
// .aps texts: the assembler; programs that it accepts are valid, print, encode and run.
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  const struct bf_source *source = bf_diags_add_source(&diags, "fuzz.aps", size ? (const char *)data : "", size);
  struct ap_program *program = ap_asm_parse(source, &diags);
  bool ok = program != NULL;
  fuzz_diags_end(&diags, ok);
  if (!ok) return 0;
  ok = ap_program_validate(program, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "the assembler accepts an invalid program");
  fuzz_program(program);
  ap_program_free(program);
  return 0;
}
