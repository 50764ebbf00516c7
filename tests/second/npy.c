// SPDX-License-Identifier: Apache-2.0
// Integer arrays in .npy files, format 1.0, C order, little endian.
#include <stdlib.h>
#include <string.h>

#include "second.h"

static const char *after(const char *header, const char *key) {
  const char *p = strstr(header, key);
  if (!p || !(p = strchr(p + strlen(key), ':')))
    die("an .npy header has no %s", key);
  return p + 1;
}

struct array npy_read(const char *path) {
  struct bytes file = read_file(path);
  struct array a = {.count = 1};
  if (file.length < 10 || memcmp(file.data, "\x93NUMPY\x01", 7) != 0)
    die("%s: no .npy file of format 1", path);
  size_t length = file.data[8] | (size_t)file.data[9] << 8;
  if (file.length - 10 < length)
    die("%s ends early", path);
  char *header = zalloc(length + 1, 1), sign = 0;
  unsigned size = 0;
  memcpy(header, file.data + 10, length);
  if (sscanf(after(header, "'descr'"), " '%*1[<|]%c%u'", &sign, &size) != 2 || !strchr("iu", sign) ||
      (size != 1 && size != 2 && size != 4 && size != 8) || strncmp(after(header, "'fortran_order'"), " False", 6) != 0)
    die("%s: not integers in C order", path);
  const char *p = strchr(after(header, "'shape'"), '(');
  for (p = p ? p + 1 : ""; a.rank < 8 && *p && *p != ')'; p += strspn(p, ", ")) {
    char *end;
    a.shape[a.rank] = strtoull(p, &end, 10);
    if (end == p)
      break;
    if (a.shape[a.rank] > UINT64_C(1) << 31 || (a.count *= a.shape[a.rank++]) > UINT64_C(1) << 31)
      die("%s is too large", path);
    p = end;
  }
  if (*p != ')' || (file.length - 10 - length) / size != a.count)
    die("%s: wrong shape", path);
  a.values = zalloc(a.count, sizeof *a.values);
  for (uint64_t i = 0; i < a.count; i++) {
    uint64_t v = 0;
    for (unsigned k = 0; k < size; k++)
      v |= (uint64_t)file.data[10 + length + i * size + k] << 8 * k;
    unsigned unused = 64 - 8 * size;
    a.values[i] = sign == 'i' ? (int64_t)(v << unused) >> unused : (int64_t)v;
  }
  free(header);
  free(file.data);
  return a;
}

void npy_write(const char *path, const struct array *a, int64_t low, int64_t high) {
  static const int64_t LIMIT[3] = {0xff, 0xffff, INT32_MAX};  // unsigned only below 32 bits
  unsigned size = 0;
  if (low >= 0)
    while (size < 3 && high > LIMIT[size])
      size++;
  else
    while (size < 3 && (low < -(INT64_C(1) << (8 * (1u << size) - 1)) || high >= INT64_C(1) << (8 * (1u << size) - 1)))
      size++;
  char header[512];
  int n = snprintf(header, sizeof header, "{'descr': '%c%c%u', 'fortran_order': False, 'shape': (", size == 0 ? '|' : '<',
                   low >= 0 && size < 2 ? 'u' : 'i', 1u << size);
  for (unsigned i = 0; i < a->rank; i++)
    n += snprintf(header + n, sizeof header - (size_t)n, "%s%llu", i > 0 ? ", " : "", (unsigned long long)a->shape[i]);
  n += snprintf(header + n, sizeof header - (size_t)n, "%s), }", a->rank == 1 ? "," : "");
  unsigned length = ((unsigned)n + 1 + 10 + 63) / 64 * 64 - 10;
  FILE *f = fopen(path, "wb");
  if (!f)
    die("cannot write %s", path);
  fwrite("\x93NUMPY\x01", 1, 8, f);  // the string's own zero is the minor version
  fputc((int)(length & 0xff), f);
  fputc((int)(length >> 8), f);
  fprintf(f, "%-*s\n", (int)length - 1, header);
  for (uint64_t i = 0; i < a->count; i++)
    for (unsigned k = 0; k < 1u << size; k++)
      fputc((int)((uint64_t)a->values[i] >> 8 * k & 0xff), f);
  if (fclose(f) != 0)
    die("cannot write %s", path);
}
