// SPDX-License-Identifier: Apache-2.0
// .npz archives: what is read is written and read equally.
#include "base/bf_npy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_diags diags = {0};
  struct bf_archive archive, again;
  bool ok = bf_npz_parse(size ? (const void *)data : "", size, "fuzz.npz", &archive, &diags);
  fuzz_diags_end(&diags, ok);
  if (!ok) return 0;
  struct bf_buf first = {0}, second = {0};
  FUZZ_CHECK(bf_npz_print(&archive, &first), "an archive is not written");
  ok = bf_npz_parse(first.data, first.length, "again.npz", &again, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "its own output is refused");
  FUZZ_CHECK(bf_npz_print(&again, &second), "an archive is not written");
  fuzz_same("npz", &first, &second);
  bf_archive_free(&archive);
  bf_archive_free(&again);
  bf_diags_free(&diags);
  return 0;
}
