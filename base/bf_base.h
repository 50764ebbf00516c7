// SPDX-License-Identifier: Apache-2.0
// Base utilities: memory with two lifetimes, growable byte buffers, checked
// size arithmetic, whole-file input and all-or-nothing file output.
#ifndef BF_BASE_H
#define BF_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BF_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

// Limits on what one input may ask for; checked once, at the door.
#define BF_MAX_ELEMENTS ((uint64_t)1 << 31)    // elements of one tensor
#define BF_MAX_FILE_BYTES ((uint64_t)1 << 31)  // bytes of one input file

// Heap allocation, zeroed. Sizes that come from input pass the limits above
// first; if the host itself has no memory left these end the process by
// abort(), the library's only such case.
void *bf_alloc(size_t count, size_t size);
void *bf_realloc(void *old, size_t count, size_t size);
char *bf_strdup(const char *text);
char *bf_strndup(const char *text, size_t length);
char *bf_format(const char *fmt, ...) BF_PRINTF(1, 2);  // caller frees
char *bf_vformat(const char *fmt, va_list args);

// An arena: everything allocated from it (zeroed, 16-byte aligned) lives until
// bf_arena_free.
struct bf_arena {
  struct bf_arena_block *head;
};
void *bf_arena_alloc(struct bf_arena *arena, size_t count, size_t size);
char *bf_arena_strdup(struct bf_arena *arena, const char *text);
char *bf_arena_strndup(struct bf_arena *arena, const char *text, size_t length);
char *bf_arena_format(struct bf_arena *arena, const char *fmt, ...) BF_PRINTF(2, 3);
void bf_arena_free(struct bf_arena *arena);  // the struct may be used again

// Grows the heap array `ptr` (elements of its own type) so that index `count`
// exists: BF_PUSH(list->items, list->count, list->capacity) = item;
void *bf_grow(void *items, size_t count, size_t *capacity, size_t size);
#define BF_PUSH(items, count, capacity) \
  (*((items) = bf_grow((items), (count), &(capacity), sizeof *(items)), &(items)[(count)++]))

// A growable byte string. `data` is NUL-terminated whenever length > 0 or
// after bf_buf_cstr.
struct bf_buf {
  char *data;
  size_t length, capacity;
};
void bf_buf_append(struct bf_buf *buf, const void *data, size_t length);
void bf_buf_reserve(struct bf_buf *buf, size_t more);  // room for what is known to come, no more
void bf_buf_puts(struct bf_buf *buf, const char *text);
void bf_buf_printf(struct bf_buf *buf, const char *fmt, ...) BF_PRINTF(2, 3);
void bf_buf_u16(struct bf_buf *buf, uint16_t v);  // little endian
void bf_buf_u32(struct bf_buf *buf, uint32_t v);
void bf_buf_u64(struct bf_buf *buf, uint64_t v);
const char *bf_buf_cstr(struct bf_buf *buf);
void bf_buf_free(struct bf_buf *buf);

// The shortest decimal text that reads back as the same float (9 digits) or
// double (17 digits); returns `out`, which holds at least 40 bytes.
char *bf_float_text(char *out, float value);
char *bf_double_text(char *out, double value);

// Checked products: false on overflow of 64 bits or a result above `limit`.
bool bf_mul_limit(uint64_t a, uint64_t b, uint64_t limit, uint64_t *out);

// 64-bit FNV-1a.
uint64_t bf_hash(const void *data, size_t length);

// Whole-file reading. On failure returns false and sets *why (static text or
// strerror text; not owned). On success *data is NUL-terminated and owned by the
// caller.
bool bf_read_file(const char *path, char **data, size_t *length, const char **why);

// Whole-or-absent writing: a temporary file beside `path`, renamed when
// complete. False and *why on failure, with nothing left behind.
bool bf_write_file(const char *path, const void *data, size_t length, const char **why);

// Whether both paths name one existing file, through links too. Writing a result
// over its own source is refused by the tools.
bool bf_same_file(const char *a, const char *b);

// The nearest of `count` names to `name` by edit distance, or NULL if none is near
// enough to be a plausible slip ("did you mean …").
const char *bf_nearest(const char *name, const char *const *names, size_t count);

#endif
