// SPDX-License-Identifier: Apache-2.0
// Numbers packed into bytes, for files of our own that we read back: 7 bits a byte, least significant first.
#ifndef AP_PACKED_H
#define AP_PACKED_H

#include <string.h>

#include "base/bf_base.h"

static inline void ap_put(struct bf_buf *out, uint64_t v) {
  char bytes[10];
  size_t n = 0;
  for (; v > 127; v >>= 7) bytes[n++] = (char)(v | 128);
  bytes[n++] = (char)v;
  bf_buf_append(out, bytes, n);
}

// Small numbers of either sign become small ones.
static inline uint64_t ap_fold(int64_t v) { return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0); }
static inline int64_t ap_unfold(uint64_t v) { return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0)); }
static inline void ap_put_signed(struct bf_buf *out, int64_t v) { ap_put(out, ap_fold(v)); }

static inline void ap_put_real(struct bf_buf *out, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  bf_buf_u64(out, bits);
}

static inline void ap_put_text(struct bf_buf *out, const char *text) {
  size_t length = text ? strlen(text) : 0;
  ap_put(out, length);
  bf_buf_append(out, text ? text : "", length);
}

// Bytes being read. What isn't there or is out of its range sets `wrong` and reads as 0.
struct ap_packed {
  const unsigned char *at, *end;
  bool wrong;
};

static inline uint64_t ap_get(struct ap_packed *in, uint64_t most) {
  uint64_t v = 0;
  for (unsigned shift = 0; in->at < in->end && shift < 64; shift += 7) {
    unsigned char byte = *in->at++;
    v |= (uint64_t)(byte & 127) << shift;
    if (byte > 127) continue;
    if (v > most) break;
    return v;
  }
  in->wrong = true;
  return 0;
}

static inline int64_t ap_get_signed(struct ap_packed *in) { return ap_unfold(ap_get(in, UINT64_MAX)); }

static inline double ap_get_real(struct ap_packed *in) {
  double v = 0;
  uint64_t bits = 0;
  in->wrong |= in->end - in->at < 8;
  if (in->wrong) return 0;
  for (unsigned i = 0; i < 8; i++) bits |= (uint64_t)*in->at++ << 8 * i;
  memcpy(&v, &bits, sizeof v);
  return v;
}

// The number of elements that follow, of at least `least` bytes each.
static inline uint32_t ap_get_count(struct ap_packed *in, size_t least) {
  uint64_t left = (uint64_t)(in->end - in->at) / least;
  return (uint32_t)ap_get(in, left < INT32_MAX ? left : INT32_MAX);
}

static inline char *ap_get_text(struct ap_packed *in, struct bf_arena *arena) {
  uint32_t length = ap_get_count(in, 1);
  char *text = bf_arena_strndup(arena, (const char *)in->at, in->wrong ? 0 : length);
  in->at += in->wrong ? 0 : length;
  in->wrong |= strlen(text) != length;
  return text;
}

// A whole file: 8 letters of its kind and version, a checksum of the body, the body.
void ap_packed_seal(struct bf_buf *out, const char mark[8], const struct bf_buf *body);
bool ap_packed_open(struct ap_packed *in, const char mark[8], const void *data, size_t length);

#endif
