// SPDX-License-Identifier: Apache-2.0
// Machine and technology files. A machine's canonical text gives the same machine.
#include "isa/machine.h"
#include "tests/fuzz/fuzz.h"

static void machine(const char *text, size_t size) {
  struct bf_diags diags = {0};
  struct ap_machine first, again;
  bool ok = ap_machine_parse(bf_diags_add_source(&diags, "fuzz.ini", text, size), &first, &diags);
  fuzz_diags_end(&diags, ok);
  if (!ok) return;
  struct bf_buf a = {0}, b = {0};
  ap_machine_print(&first, &a);
  ok = ap_machine_parse(bf_diags_add_source(&diags, "again.ini", bf_buf_cstr(&a), a.length), &again, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "the canonical text of a machine is refused");
  ap_machine_print(&again, &b);
  fuzz_same("machine", &a, &b);
  bf_diags_free(&diags);
}

static void technology(const char *text, size_t size) {
  struct bf_diags diags = {0};
  struct ap_technology tech = {0};
  bool ok = ap_technology_parse(bf_diags_add_source(&diags, "fuzz.ini", text, size), &tech, &diags);
  if (ok) FUZZ_CHECK(ap_technology_set_vdd(&tech, tech.vdd_nominal), "the nominal voltage is refused");
  if (ok) ap_technology_free(&tech);
  fuzz_diags_end(&diags, ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = size ? (const char *)data : "";
  machine(text, size);
  technology(text, size);
  return 0;
}
