// SPDX-License-Identifier: Apache-2.0
// Whole-file input, and output that is whole or absent.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bf_diag.h"

// Reads up to the limit; pipes and devices have no size beforehand.
static bool read_all(int fd, struct bf_buf *buf, const char **why) {
  char *chunk = bf_alloc(1 << 16, 1);
  bool ok = false;
  for (;;) {
    ssize_t n = read(fd, chunk, 1 << 16);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      *why = strerror(errno);
      break;
    }
    if (n == 0) {
      ok = true;
      break;
    }
    if (buf->length + (size_t)n > BF_MAX_FILE_BYTES) {
      *why = "the file is larger than 2 GiB";
      break;
    }
    bf_buf_append(buf, chunk, (size_t)n);
  }
  free(chunk);
  return ok;
}

// Room for a regular file at once, and what it holds straight into it; read_all reads the rest, should it have grown, and finds errors.
static void read_known(int fd, struct bf_buf *buf) {
  struct stat about;
  if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size <= 0 || (uint64_t)about.st_size > BF_MAX_FILE_BYTES) return;
  buf->capacity = (size_t)about.st_size + 1;
  buf->data = bf_realloc(NULL, buf->capacity, 1);
  ssize_t n = 1;
  while (n > 0 && buf->length < (size_t)about.st_size) {
    n = read(fd, buf->data + buf->length, (size_t)about.st_size - buf->length);
    buf->length += n > 0 ? (size_t)n : 0;
  }
}

bool bf_read_file(const char *path, char **data, size_t *length, const char **why) {
  *data = NULL;
  *length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    *why = strerror(errno);
    return false;
  }
  struct bf_buf buf = {0};
  read_known(fd, &buf);
  bool ok = read_all(fd, &buf, why);
  close(fd);
  if (!ok) {
    bf_buf_free(&buf);
    return false;
  }
  bf_buf_cstr(&buf);
  *data = buf.data;
  *length = buf.length;
  return true;
}

static bool write_all(int fd, const char *data, size_t length) {
  while (length) {
    ssize_t n = write(fd, data, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    length -= (size_t)n;
  }
  return true;
}

// A new file beside `path`. Not mkstemp: the file gets the permissions that any
// new file of the user has.
static int open_beside(const char *path, char **temporary) {
  for (unsigned attempt = 0; attempt < 1000; attempt++) {
    *temporary = bf_format("%s.%ld.%u.tmp", path, (long)getpid(), attempt);
    int fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return fd;
    int error = errno;
    free(*temporary);
    *temporary = NULL;
    errno = error;
    if (error != EEXIST) break;
  }
  return -1;
}

// Pipes and devices are written in place: there is nothing to rename over.
static bool write_special(const char *path, const void *data, size_t length, const char **why) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write_all(fd, data, length);
  if (!ok) *why = strerror(errno);
  if (fd >= 0 && close(fd) != 0 && ok) {
    *why = strerror(errno);
    ok = false;
  }
  return ok;
}

bool bf_write_file(const char *path, const void *data, size_t length, const char **why) {
  struct stat info;
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) return write_special(path, data, length, why);
  char *temporary;
  int fd = open_beside(path, &temporary);
  if (fd < 0) {
    *why = strerror(errno);
    return false;
  }
  bool ok = write_all(fd, data, length);
  if (!ok) *why = strerror(errno);
  if (close(fd) != 0 && ok) {
    *why = strerror(errno);
    ok = false;
  }
  if (ok && rename(temporary, path) != 0) {
    *why = strerror(errno);
    ok = false;
  }
  if (!ok) unlink(temporary);
  free(temporary);
  return ok;
}

bool bf_same_file(const char *a, const char *b) {
  struct stat x, y;
  return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino && S_ISREG(x.st_mode);
}

// --- with diagnostics ---

bool bf_diags_read(struct bf_diags *diags, const char *path, const char *hint, char **data, size_t *length) {
  const char *why;
  if (bf_read_file(path, data, length, &why)) return true;
  bf_error_file(diags, path, hint, "cannot read: %s", why);
  return false;
}

bool bf_diags_write(struct bf_diags *diags, const char *path, const void *data, size_t length) {
  const char *why;
  if (bf_write_file(path, data, length, &why)) return true;
  bf_error_file(diags, path, NULL, "cannot write: %s", why);
  return false;
}

const struct bf_source *bf_diags_read_source(struct bf_diags *diags, const char *path, const char *hint) {
  char *text;
  size_t length;
  if (!bf_diags_read(diags, path, hint, &text, &length)) return NULL;
  const struct bf_source *source = bf_diags_add_source(diags, path, text, length);
  free(text);
  return source;
}
