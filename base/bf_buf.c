// SPDX-License-Identifier: Apache-2.0
// Growable byte strings.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf_base.h"

// Room for `more` bytes and a NUL.
static void reserve(struct bf_buf *buf, size_t more) {
  size_t need;
  if (__builtin_add_overflow(buf->length, more, &need) || need > SIZE_MAX / 2 - 64) abort();
  if (need + 1 <= buf->capacity) return;
  size_t capacity = buf->capacity * 2 > need + 1 ? buf->capacity * 2 : need + 1;
  if (capacity < 64) capacity = 64;
  buf->data = bf_realloc(buf->data, capacity, 1);
  buf->capacity = capacity;
}

void bf_buf_reserve(struct bf_buf *buf, size_t more) {
  size_t need;
  if (__builtin_add_overflow(buf->length, more, &need) || need > SIZE_MAX / 2 - 64) abort();
  if (need + 1 <= buf->capacity) return;
  buf->data = bf_realloc(buf->data, need + 1, 1);
  buf->capacity = need + 1;
}

void bf_buf_append(struct bf_buf *buf, const void *data, size_t length) {
  reserve(buf, length);
  if (length) memcpy(buf->data + buf->length, data, length);
  buf->length += length;
  buf->data[buf->length] = 0;
}

void bf_buf_puts(struct bf_buf *buf, const char *text) {
  bf_buf_append(buf, text, strlen(text));
}

void bf_buf_printf(struct bf_buf *buf, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (length > 0) {
    reserve(buf, (size_t)length);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, fmt, again);
    buf->length += (size_t)length;
  }
  va_end(again);
}

static void append_little(struct bf_buf *buf, uint64_t v, unsigned bytes) {
  unsigned char out[8];
  for (unsigned i = 0; i < bytes; i++) out[i] = (unsigned char)(v >> (8 * i));
  bf_buf_append(buf, out, bytes);
}

void bf_buf_u16(struct bf_buf *buf, uint16_t v) {
  append_little(buf, v, 2);
}

void bf_buf_u32(struct bf_buf *buf, uint32_t v) {
  append_little(buf, v, 4);
}

void bf_buf_u64(struct bf_buf *buf, uint64_t v) {
  append_little(buf, v, 8);
}

const char *bf_buf_cstr(struct bf_buf *buf) {
  reserve(buf, 0);
  buf->data[buf->length] = 0;
  return buf->data;
}

void bf_buf_free(struct bf_buf *buf) {
  free(buf->data);
  *buf = (struct bf_buf){0};
}
