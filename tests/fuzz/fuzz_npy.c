// SPDX-License-Identifier: Apache-2.0
// .npy files: what is read is written and read equally.
#include "base/bf_npy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bf_array array, again;
  const char *why = NULL;
  if (!bf_npy_parse(size ? (const void *)data : "", size, &array, &why)) {
    FUZZ_CHECK(why && !array.data, "refused without a reason");
    return 0;
  }
  struct bf_buf first = {0}, second = {0};
  bf_npy_print(&array, &first);
  FUZZ_CHECK(bf_npy_parse(first.data, first.length, &again, &why), "its own output is refused: %s", why);
  bf_npy_print(&again, &second);
  fuzz_same("npy", &first, &second);
  for (uint64_t i = 0; i < array.elements; i++) {
    double a = bf_array_real(&array, i), b = bf_array_real(&again, i);
    FUZZ_CHECK(bf_array_int(&array, i) == bf_array_int(&again, i) && (a == b || (a != a && b != b)), "an element differs");
  }
  bf_array_free(&array);
  bf_array_free(&again);
  return 0;
}
