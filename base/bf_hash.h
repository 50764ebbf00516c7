// SPDX-License-Identifier: Apache-2.0
// A 128-bit hash of byte strings, for contents that name themselves: MurmurHash3's x64 variant, after Austin Appleby's
// description, which he put into the public domain (SMHasher, 2011). Good against accidents, not against malice.
#ifndef BF_HASH_H
#define BF_HASH_H

#include "base/bf_base.h"

struct bf_digest { uint64_t words[2]; };

// A hash in the making; bytes may come in pieces of any size.
struct bf_hasher {
  uint64_t h[2], length;
  unsigned char rest[16];  // the last length % 16 bytes
};
void bf_hasher_begin(struct bf_hasher *hasher, uint32_t seed);
void bf_hasher_add(struct bf_hasher *hasher, const void *data, size_t length);
struct bf_digest bf_hasher_end(const struct bf_hasher *hasher);

// Numbers and texts with their lengths, so that different lists of them are different byte strings.
void bf_hasher_number(struct bf_hasher *hasher, uint64_t value);
void bf_hasher_text(struct bf_hasher *hasher, const char *text);  // NULL is not ""
// The bytes of a file and their number. False and *why if it can't be read.
bool bf_hasher_file(struct bf_hasher *hasher, const char *path, const char **why);

bool bf_digest_equal(const struct bf_digest *a, const struct bf_digest *b);
// 32 hexadecimal digits and a NUL; returns `out`.
char *bf_digest_text(char out[33], const struct bf_digest *digest);

#endif
