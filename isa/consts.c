// SPDX-License-Identifier: Apache-2.0
#include "isa/consts.h"

#include <string.h>

unsigned ap_const_bytes(const uint64_t *values, size_t count) {
  uint64_t all = 0;
  for (size_t i = 0; i < count; i++) all |= values[i];
  return all >> 32 ? 8 : all >> 16 ? 4 : all >> 8 ? 2 : 1;
}

static void put(uint8_t *to, unsigned bytes, uint64_t value) {
  for (unsigned b = 0; b < bytes; b++) to[b] = (uint8_t)(value >> 8 * b);
}

static uint64_t get(const uint8_t *from, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned b = 0; b < bytes; b++) value |= (uint64_t)from[b] << 8 * b;
  return value;
}

static uint8_t *pack(struct bf_arena *arena, const uint64_t *values, unsigned bytes) {
  uint8_t *chunk = bf_arena_alloc(arena, AP_CONST_CHUNK, bytes);
  for (size_t i = 0; i < AP_CONST_CHUNK; i++) put(chunk + i * bytes, bytes, values[i]);
  return chunk;
}

// Packs the full tail.
static void seal(struct ap_consts *c, struct bf_arena *arena) {
  if (c->nchunks == c->capacity) {
    uint64_t capacity = c->capacity ? 2 * c->capacity : 64;
    uint8_t **chunks = bf_arena_alloc(arena, capacity, sizeof *chunks), *bytes = bf_arena_alloc(arena, capacity, sizeof *bytes);
    if (c->nchunks) {
      memcpy(chunks, c->chunks, c->nchunks * sizeof *chunks);
      memcpy(bytes, c->bytes, c->nchunks * sizeof *bytes);
    }
    c->chunks = chunks;
    c->bytes = bytes;
    c->capacity = capacity;
  }
  c->bytes[c->nchunks] = (uint8_t)ap_const_bytes(c->tail, AP_CONST_CHUNK);
  c->chunks[c->nchunks] = pack(arena, c->tail, c->bytes[c->nchunks]);
  c->nchunks++;
}

void ap_consts_add(struct ap_consts *c, struct bf_arena *arena, const uint64_t *values, uint64_t count) {
  if (!c->tail) c->tail = bf_arena_alloc(arena, AP_CONST_CHUNK, sizeof *c->tail);
  for (uint64_t done = 0; done < count;) {
    uint64_t at = c->count % AP_CONST_CHUNK, n = count - done < AP_CONST_CHUNK - at ? count - done : AP_CONST_CHUNK - at;
    memcpy(c->tail + at, values + done, n * sizeof *values);
    c->count += n;
    done += n;
    if (at + n == AP_CONST_CHUNK) seal(c, arena);
  }
}

uint64_t ap_consts_at(const struct ap_consts *c, uint64_t index) {
  uint64_t chunk = index / AP_CONST_CHUNK, at = index % AP_CONST_CHUNK;
  return chunk < c->nchunks ? get(c->chunks[chunk] + at * c->bytes[chunk], c->bytes[chunk]) : c->tail[at];
}

void ap_consts_read(const struct ap_consts *c, uint64_t first, uint64_t count, uint64_t *out) {
  for (uint64_t done = 0; done < count;) {
    uint64_t chunk = (first + done) / AP_CONST_CHUNK, at = (first + done) % AP_CONST_CHUNK;
    uint64_t n = count - done < AP_CONST_CHUNK - at ? count - done : AP_CONST_CHUNK - at;
    if (chunk < c->nchunks) {
      unsigned bytes = c->bytes[chunk];
      for (uint64_t i = 0; i < n; i++) out[done + i] = get(c->chunks[chunk] + (at + i) * bytes, bytes);
    } else {
      memcpy(out + done, c->tail + at, n * sizeof *out);
    }
    done += n;
  }
}

void ap_consts_set(struct ap_consts *c, struct bf_arena *arena, uint64_t index, uint64_t value) {
  uint64_t chunk = index / AP_CONST_CHUNK, at = index % AP_CONST_CHUNK;
  if (chunk >= c->nchunks) {
    c->tail[at] = value;
    return;
  }
  uint64_t values[AP_CONST_CHUNK];
  ap_consts_read(c, chunk * AP_CONST_CHUNK, AP_CONST_CHUNK, values);
  values[at] = value;
  c->bytes[chunk] = (uint8_t)ap_const_bytes(values, AP_CONST_CHUNK);
  c->chunks[chunk] = pack(arena, values, c->bytes[chunk]);
}

bool ap_consts_equal(const struct ap_consts *x, uint64_t a, const struct ap_consts *y, uint64_t b, uint64_t count) {
  uint64_t left[512], right[512];
  for (uint64_t done = 0; done < count; done += BF_COUNT(left)) {
    uint64_t n = count - done < BF_COUNT(left) ? count - done : BF_COUNT(left);
    ap_consts_read(x, a + done, n, left);
    ap_consts_read(y, b + done, n, right);
    if (memcmp(left, right, n * sizeof *left) != 0) return false;
  }
  return true;
}

void ap_consts_copy(struct ap_consts *to, struct bf_arena *arena, const struct ap_consts *from, uint64_t first, uint64_t count) {
  uint64_t values[512];
  for (uint64_t done = 0; done < count; done += BF_COUNT(values)) {
    uint64_t n = count - done < BF_COUNT(values) ? count - done : BF_COUNT(values);
    ap_consts_read(from, first + done, n, values);
    ap_consts_add(to, arena, values, n);
  }
}
