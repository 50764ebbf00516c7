// SPDX-License-Identifier: Apache-2.0
// Output files are held back until everything has succeeded.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/aprun/aprun.h"

struct bf_buf *pending_add(struct pending *pending, const char *path) {
  struct pending_file *file = &BF_PUSH(pending->items, pending->count, pending->capacity);
  *file = (struct pending_file){bf_strdup(path), {0}};
  return &file->data;
}

bool pending_write(struct pending *pending, struct bf_diags *diags) {
  bool *was_there = bf_alloc(pending->count + 1, sizeof *was_there);
  bool good = true;
  for (size_t i = 0; i < pending->count && good; i++) {
    struct pending_file *file = &pending->items[i];
    was_there[i] = access(file->path, F_OK) == 0;
    good = bf_diags_write(diags, file->path, bf_buf_cstr(&file->data), file->data.length);
    if (!good) {
      while (i-- > 0) {
        if (!was_there[i]) {
          remove(pending->items[i].path);
        }
      }
      break;
    }
  }
  free(was_there);
  return good;
}

void pending_free(struct pending *pending) {
  for (size_t i = 0; i < pending->count; i++) {
    free(pending->items[i].path);
    bf_buf_free(&pending->items[i].data);
  }
  free(pending->items);
}
