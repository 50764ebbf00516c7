// SPDX-License-Identifier: Apache-2.0
// Element types: ranges and their text.
#include "ir/graph.h"

#include <stdio.h>

#define MAX_BITS 48

int64_t bf_type_min(struct bf_type type) {
  switch (type.kind) {
    case BF_TYPE_U: return 0;
    case BF_TYPE_S: return -((int64_t)1 << (type.bits - 1));
    case BF_TYPE_B:
    case BF_TYPE_T: return -1;
  }
  return 0;
}

int64_t bf_type_max(struct bf_type type) {
  switch (type.kind) {
    case BF_TYPE_U: return ((int64_t)1 << type.bits) - 1;
    case BF_TYPE_S: return ((int64_t)1 << (type.bits - 1)) - 1;
    case BF_TYPE_B:
    case BF_TYPE_T: return 1;
  }
  return 0;
}

bool bf_type_holds(struct bf_type type, int64_t value) {
  if (type.kind == BF_TYPE_B && value == 0) return false;
  return value >= bf_type_min(type) && value <= bf_type_max(type);
}

bool bf_type_equal(struct bf_type a, struct bf_type b) {
  return a.kind == b.kind && a.bits == b.bits;
}

const char *bf_type_text(char *out, struct bf_type type) {
  unsigned bits = type.bits < 1000 ? type.bits : 999;
  snprintf(out, 8, "%c%u", "usbt"[(unsigned)type.kind & 3], bits);
  return out;
}

bool bf_type_parse(const char *text, size_t length, struct bf_type *out) {
  if (length < 2 || length > 3 || text[1] == '0') return false;
  unsigned bits = 0;
  for (size_t i = 1; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    bits = bits * 10 + (unsigned)(text[i] - '0');
  }
  enum bf_type_kind kind;
  switch (text[0]) {
    case 'u': kind = BF_TYPE_U; break;
    case 's': kind = BF_TYPE_S; break;
    case 'b': kind = BF_TYPE_B; break;
    case 't': kind = BF_TYPE_T; break;
    default: return false;
  }
  if (kind == BF_TYPE_B ? bits != 1 : kind == BF_TYPE_T ? bits != 2 : bits > MAX_BITS) return false;
  *out = (struct bf_type){.kind = kind, .bits = bits};
  return true;
}
