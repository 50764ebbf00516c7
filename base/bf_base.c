// SPDX-License-Identifier: Apache-2.0
// Heap memory, arenas, checked sizes, hashing, numbers as text.
#include "base/bf_base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *bf_alloc(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size ? size : 1);
  if (!memory) abort();
  return memory;
}

void *bf_realloc(void *old, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) abort();
  void *memory = realloc(old, bytes ? bytes : 1);
  if (!memory) abort();
  return memory;
}

char *bf_strndup(const char *text, size_t length) {
  if (length == SIZE_MAX) abort();
  char *copy = bf_alloc(length + 1, 1);
  if (length) memcpy(copy, text, length);
  return copy;
}

char *bf_strdup(const char *text) {
  return bf_strndup(text, strlen(text));
}

char *bf_vformat(const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, fmt, args);
  if (length < 0) length = 0;
  char *text = bf_alloc((size_t)length + 1, 1);
  vsnprintf(text, (size_t)length + 1, fmt, again);
  va_end(again);
  return text;
}

char *bf_format(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  return text;
}

void *bf_grow(void *items, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return items;
  if (count > SIZE_MAX / 2 - 8) abort();
  *capacity = count < 8 ? 8 : count * 2;
  return bf_realloc(items, *capacity, size);
}

// --- arenas ---

struct bf_arena_block {
  struct bf_arena_block *next;
  size_t used, size;
  _Alignas(16) char bytes[];
};

enum { ARENA_BLOCK = 64 * 1024 };

static struct bf_arena_block *arena_block(size_t size) {
  if (size > SIZE_MAX - sizeof(struct bf_arena_block)) abort();
  struct bf_arena_block *block = bf_alloc(1, sizeof *block + size);
  block->size = size;
  return block;
}

void *bf_arena_alloc(struct bf_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 15) abort();
  bytes = bytes ? (bytes + 15) & ~(size_t)15 : 16;
  struct bf_arena_block *head = arena->head;
  if (!head || bytes > head->size - head->used) {
    bool alone = bytes > ARENA_BLOCK / 4;
    struct bf_arena_block *block = arena_block(alone ? bytes : ARENA_BLOCK);
    if (head && alone) {
      // A block of its own goes behind the head, which keeps its free space.
      block->next = head->next;
      head->next = block;
    } else {
      block->next = head;
      arena->head = block;
    }
    head = block;
  }
  void *memory = head->bytes + head->used;
  head->used += bytes;
  return memory;
}

char *bf_arena_strndup(struct bf_arena *arena, const char *text, size_t length) {
  if (length == SIZE_MAX) abort();
  char *copy = bf_arena_alloc(arena, length + 1, 1);
  if (length) memcpy(copy, text, length);
  return copy;
}

char *bf_arena_strdup(struct bf_arena *arena, const char *text) {
  return bf_arena_strndup(arena, text, strlen(text));
}

char *bf_arena_format(struct bf_arena *arena, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = bf_vformat(fmt, args);
  va_end(args);
  char *copy = bf_arena_strdup(arena, text);
  free(text);
  return copy;
}

void bf_arena_free(struct bf_arena *arena) {
  for (struct bf_arena_block *block = arena->head, *next; block; block = next) {
    next = block->next;
    free(block);
  }
  arena->head = NULL;
}

// --- numbers ---

char *bf_float_text(char *out, float value) {
  for (int digits = 1; digits <= 9; digits++) {
    snprintf(out, 40, "%.*g", digits, (double)value);
    if (isnan(value) || strtof(out, NULL) == value) break;
  }
  return out;
}

char *bf_double_text(char *out, double value) {
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(out, 40, "%.*g", digits, value);
    if (isnan(value) || strtod(out, NULL) == value) break;
  }
  return out;
}

bool bf_mul_limit(uint64_t a, uint64_t b, uint64_t limit, uint64_t *out) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product) || product > limit) return false;
  *out = product;
  return true;
}

uint64_t bf_hash(const void *data, size_t length) {
  const unsigned char *bytes = data;
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

// --- the nearest name ---

enum { NEAREST_MAX = 64 };

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

// Edit distance with transpositions of neighbours (optimal string alignment).
static size_t edit_distance(const char *a, size_t la, const char *b, size_t lb) {
  size_t rows[3][NEAREST_MAX + 1];
  size_t *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= lb; j++) last[j] = j;
  for (size_t i = 1; i <= la; i++) {
    now[0] = i;
    for (size_t j = 1; j <= lb; j++) {
      size_t cost = a[i - 1] != b[j - 1];
      now[j] = smaller(smaller(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = smaller(now[j], before[j - 2] + 1);
    }
    size_t *oldest = before;
    before = last;
    last = now;
    now = oldest;
  }
  return last[lb];
}

const char *bf_nearest(const char *name, const char *const *names, size_t count) {
  size_t length = strlen(name), best = length < 3 ? 2 : length / 3 + 2;
  const char *nearest = NULL;
  if (length == 0 || length > NEAREST_MAX) return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t other = strlen(names[i]);
    if (other > NEAREST_MAX || (other > length ? other - length : length - other) >= best) continue;
    size_t distance = edit_distance(name, length, names[i], other);
    // A name that shares nothing with the other one is no slip of it.
    if (distance < best && distance < length) {
      best = distance;
      nearest = names[i];
    }
  }
  return nearest;
}
