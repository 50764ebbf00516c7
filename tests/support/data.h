// SPDX-License-Identifier: Apache-2.0
// Where the recorded data lie: $BFIMNA_DATA, else ../shared/data beside the source tree.
#ifndef BF_TEST_DATA_H
#define BF_TEST_DATA_H

#include <stdlib.h>
#include <unistd.h>

#include "base/bf_base.h"

// The path of a file of the data folder, or NULL if it is not there. The caller frees it.
static inline char *test_data_path(const char *relative) {
  const char *folder = getenv("BFIMNA_DATA");
  char *path = folder ? bf_format("%s/%s", folder, relative)
                      : bf_format("%s/../shared/data/%s", BF_SOURCE_DIR, relative);
  if (access(path, R_OK) == 0) return path;
  free(path);
  return NULL;
}

// The bytes of such a file, or NULL. The caller frees them.
static inline char *test_data_read(const char *relative, size_t *length) {
  char *path = test_data_path(relative), *data = NULL;
  const char *why;
  if (path && !bf_read_file(path, &data, length, &why)) data = NULL;
  free(path);
  return data;
}

#endif
