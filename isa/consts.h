// SPDX-License-Identifier: Apache-2.0
// The constant pool of a program: up to hundreds of millions of numbers of few bits, held in as many bytes as they need.
#ifndef AP_CONSTS_H
#define AP_CONSTS_H

#include "base/bf_base.h"

#define AP_CONST_CHUNK 4096u  // numbers of one width, in memory as in the file

// Chunk c holds numbers [c * AP_CONST_CHUNK, …) with bytes[c] bytes each, little endian; the last one may be open: its numbers are in `tail`.
struct ap_consts {
  uint64_t count;
  uint8_t **chunks, *bytes;
  uint64_t nchunks, capacity;
  uint64_t *tail;
};

// Bytes that hold any of the numbers: 1, 2, 4 or 8.
unsigned ap_const_bytes(const uint64_t *values, size_t count);
// Whether `count` numbers from `a` on in the one pool are those from `b` on in the other.
bool ap_consts_equal(const struct ap_consts *x, uint64_t a, const struct ap_consts *y, uint64_t b, uint64_t count);
// Appends numbers; memory is the arena's.
void ap_consts_add(struct ap_consts *consts, struct bf_arena *arena, const uint64_t *values, uint64_t count);
// Appends numbers [first, first + count) of another pool.
void ap_consts_copy(struct ap_consts *to, struct bf_arena *arena, const struct ap_consts *from, uint64_t first, uint64_t count);
// Numbers [first, first + count), all of them there.
void ap_consts_read(const struct ap_consts *consts, uint64_t first, uint64_t count, uint64_t *out);
uint64_t ap_consts_at(const struct ap_consts *consts, uint64_t index);
// Replaces one number.
void ap_consts_set(struct ap_consts *consts, struct bf_arena *arena, uint64_t index, uint64_t value);

#endif
