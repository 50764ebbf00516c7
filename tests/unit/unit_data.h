// SPDX-License-Identifier: Apache-2.0
// Finding the recorded data: the folder that BFIMNA_DATA names, else ../shared/data beside the
// source tree. Tests that need it are skipped where it is absent.
#ifndef BF_UNIT_DATA_H
#define BF_UNIT_DATA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bf_base.h"

// Path of a file of the data folder; the caller frees it.
static inline BF_PRINTF(1, 0) char *unit_data_vpath(const char *format, va_list args) {
  const char *folder = getenv("BFIMNA_DATA");
  char *name = bf_vformat(format, args);
  char *path = folder ? bf_format("%s/%s", folder, name) : bf_format("%s/../shared/data/%s", BF_SOURCE_DIR, name);
  free(name);
  return path;
}

// The bytes of a file of the data folder, NUL-terminated; skips the test if it is absent.
static inline BF_PRINTF(2, 3) char *unit_data_read(size_t *length, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *path = unit_data_vpath(format, args), *data;
  const char *why;
  va_end(args);
  bool ok = bf_read_file(path, &data, length, &why);
  if (!ok) printf("skipped: %s: %s\n", path, why);
  free(path);
  if (!ok) skip();
  return data;
}

#endif
