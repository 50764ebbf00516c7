// SPDX-License-Identifier: Apache-2.0
#include "base/bf_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define C1 UINT64_C(0x87c37b91114253d5)
#define C2 UINT64_C(0x4cf5ad432745937f)

static uint64_t rotate(uint64_t x, unsigned r) { return x << r | x >> (64 - r); }

static uint64_t word(const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

static uint64_t scramble1(uint64_t k) { return rotate(k * C1, 31) * C2; }
static uint64_t scramble2(uint64_t k) { return rotate(k * C2, 33) * C1; }

static void add_blocks(uint64_t h[2], const unsigned char *data, size_t blocks) {
  uint64_t h1 = h[0], h2 = h[1];
  for (size_t i = 0; i < blocks; i++, data += 16) {
    h1 = (rotate(h1 ^ scramble1(word(data)), 27) + h2) * 5 + 0x52dce729;
    h2 = (rotate(h2 ^ scramble2(word(data + 8)), 31) + h1) * 5 + 0x38495ab5;
  }
  h[0] = h1;
  h[1] = h2;
}

void bf_hasher_begin(struct bf_hasher *hasher, uint32_t seed) { *hasher = (struct bf_hasher){.h = {seed, seed}}; }

void bf_hasher_add(struct bf_hasher *hasher, const void *data, size_t length) {
  const unsigned char *bytes = data;
  size_t held = hasher->length & 15;
  hasher->length += length;
  if (held > 0 || length < 16) {
    size_t take = length < 16 - held ? length : 16 - held;
    if (take > 0) memcpy(hasher->rest + held, bytes, take);
    if (held + take < 16) return;
    add_blocks(hasher->h, hasher->rest, 1);
    bytes += take;
    length -= take;
  }
  add_blocks(hasher->h, bytes, length / 16);
  memcpy(hasher->rest, bytes + (length & ~(size_t)15), length & 15);
}

static uint64_t finish(uint64_t k) {
  k = (k ^ k >> 33) * UINT64_C(0xff51afd7ed558ccd);
  k = (k ^ k >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return k ^ k >> 33;
}

struct bf_digest bf_hasher_end(const struct bf_hasher *hasher) {
  unsigned char tail[16] = {0};
  memcpy(tail, hasher->rest, hasher->length & 15);
  uint64_t h1 = hasher->h[0] ^ scramble1(word(tail)) ^ hasher->length;
  uint64_t h2 = hasher->h[1] ^ scramble2(word(tail + 8)) ^ hasher->length;
  h1 += h2;
  h2 += h1;
  h1 = finish(h1);
  h2 = finish(h2);
  h1 += h2;
  h2 += h1;
  return (struct bf_digest){{h1, h2}};
}

void bf_hasher_number(struct bf_hasher *hasher, uint64_t value) {
  unsigned char bytes[8];
  for (unsigned i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> 8 * i);
  bf_hasher_add(hasher, bytes, sizeof bytes);
}

void bf_hasher_text(struct bf_hasher *hasher, const char *text) {
  bf_hasher_number(hasher, text ? strlen(text) + 1 : 0);
  if (text) bf_hasher_add(hasher, text, strlen(text));
}

bool bf_hasher_file(struct bf_hasher *hasher, const char *path, const char **why) {
  enum { CHUNK = 1 << 18 };
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    *why = strerror(errno);
    return false;
  }
  unsigned char *chunk = bf_alloc(CHUNK, 1);
  uint64_t length = 0;
  ssize_t n;
  while ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR)) {
    if (n < 0) continue;
    bf_hasher_add(hasher, chunk, (size_t)n);
    length += (uint64_t)n;
  }
  if (n < 0) *why = strerror(errno);
  free(chunk);
  close(fd);
  bf_hasher_number(hasher, length);
  return n == 0;
}

bool bf_digest_equal(const struct bf_digest *a, const struct bf_digest *b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

char *bf_digest_text(char out[33], const struct bf_digest *digest) {
  snprintf(out, 33, "%016llx%016llx", (unsigned long long)digest->words[0], (unsigned long long)digest->words[1]);
  return out;
}
