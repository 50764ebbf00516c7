// SPDX-License-Identifier: Apache-2.0
// Machine and technology texts (docs/machine-files.md).
#include <stdlib.h>
#include <string.h>

#include "second.h"

bool ini_find(struct bytes text, const char *key, char *out, size_t size) {
  size_t length = strlen(key);
  const char *p = (const char *)text.data, *end = p + text.length;
  while (p < end) {
    const char *eol = memchr(p, '\n', (size_t)(end - p));
    eol = eol ? eol : end;
    if ((size_t)(eol - p) > length && memcmp(p, key, length) == 0 && (p[length] == ' ' || p[length] == '=')) {
      const char *value = p + length;
      while (value < eol && (*value == ' ' || *value == '='))
        value++;
      if ((size_t)(eol - value) >= size)
        die("the value of %s is too long", key);
      memcpy(out, value, (size_t)(eol - value));
      out[eol - value] = 0;
      return true;
    }
    p = eol < end ? eol + 1 : end;
  }
  return false;
}

static uint64_t whole(struct bytes text, const char *key) {
  char value[64];
  if (!ini_find(text, key, value, sizeof value))
    die("the machine has no %s", key);
  return (uint64_t)strtod(value, NULL);  // up to 2^53 is enough here
}

static bool yes(struct bytes text, const char *key) {
  char value[64];
  return ini_find(text, key, value, sizeof value) && strcmp(value, "yes") == 0;
}

static bool word(const char *list, const char *wanted) {
  size_t length = strlen(wanted);
  for (const char *p = strstr(list, wanted); p; p = strstr(p + 1, wanted))
    if ((p == list || p[-1] == ' ') && (p[length] == 0 || p[length] == ' '))
      return true;
  return false;
}

void machine_parse(struct bytes text, struct machine *out) {
  char features[256] = "";
  ini_find(text, "features", features, sizeof features);
  *out = (struct machine){
      .clusters = whole(text, "clusters"),
      .caps_per_cluster = whole(text, "caps_per_cluster"),
      .rows = whole(text, "rows"),
      .columns = whole(text, "columns"),
      .port_bits = whole(text, "port_bits"),
      .multicast = yes(text, "multicast"),
      .unlimited = yes(text, "unlimited_caps"),
      .row_gating = word(features, "row-gating"),
      .accumulate = word(features, "accumulate"),
      .two_d = word(features, "two-d"),
      .tag_shift = word(features, "tag-shift"),
      .popcount = word(features, "popcount"),
      .wide_write = word(features, "wide-write"),
  };
  if (out->clusters == 0 || out->caps_per_cluster == 0 || out->rows == 0 || out->rows > 65536 || out->columns < 16 ||
      out->columns > 1024 || out->port_bits == 0)
    die("the machine is wrong");
}
