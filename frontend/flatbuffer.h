// SPDX-License-Identifier: Apache-2.0
// A bounds-checked reader of FlatBuffers (little endian; see "FlatBuffer Internals" of the
// FlatBuffers documentation). It reads in place, copies nothing, and never recurses: a caller
// walks a fixed schema, and every offset of the format points forward from what it was read
// from, except vtables, which are looked at only once per table.
//
// The first damage found is kept in the reader with its byte offset. After that every
// access gives an absent table, an empty vector or the default, so that a caller may read a
// whole table and look at bf_fb.error once. Positions need no alignment.
#ifndef BF_FLATBUFFER_H
#define BF_FLATBUFFER_H

#include "base/bf_base.h"

struct bf_fb {
  const uint8_t *data;  // not owned
  size_t length;
  const char *error;  // NULL, or what is wrong (static text)
  uint64_t error_at;  // byte offset of it
};

struct bf_fb_table {
  uint64_t at;  // 0: absent
  uint64_t vtable;
  uint32_t vtable_size, table_size;
};

// A vector of `count` elements, the first at data (not aligned). data == NULL: absent.
struct bf_fb_vector {
  const uint8_t *data;
  uint64_t at;  // byte offset of data
  uint32_t count;
};

enum bf_fb_kind { BF_FB_U8, BF_FB_I8, BF_FB_I32, BF_FB_U32, BF_FB_I64, BF_FB_U64, BF_FB_KINDS };

// Starts reading `data`, whose four-byte file identifier must be `identifier`. False: see error.
bool bf_fb_open(struct bf_fb *fb, const void *data, size_t length, const char *identifier, struct bf_fb_table *root);
// Notes a damage found by the caller; keeps the first.
void bf_fb_fail(struct bf_fb *fb, uint64_t at, const char *error);

// Field `slot` (counted from 0 in the order of the schema; a union takes two) of a table.
int64_t bf_fb_int(const struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, enum bf_fb_kind kind,
                  int64_t otherwise);
float bf_fb_float(const struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, float otherwise);
struct bf_fb_table bf_fb_table(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot);
struct bf_fb_vector bf_fb_vector(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, size_t element_size);
struct bf_fb_vector bf_fb_string(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot);
// Element `i` (< count) of a vector of tables.
struct bf_fb_table bf_fb_vector_table(struct bf_fb *fb, const struct bf_fb_vector *vector, uint32_t i);

// Element `i` (< count) of a vector of numbers.
int32_t bf_fb_vector_i32(const struct bf_fb_vector *vector, uint32_t i);
int64_t bf_fb_vector_i64(const struct bf_fb_vector *vector, uint32_t i);
float bf_fb_vector_f32(const struct bf_fb_vector *vector, uint32_t i);

#endif
