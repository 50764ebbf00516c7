// SPDX-License-Identifier: Apache-2.0
#include "frontend/flatbuffer.h"

#include <string.h>

// Bytes are put together one by one: the file's byte order and alignment are then no
// concern of the host.
static uint64_t load(const uint8_t *p, unsigned size) {
  uint64_t v = 0;
  for (unsigned i = 0; i < size; i++) v |= (uint64_t)p[i] << (8 * i);
  return v;
}

static int64_t load_signed(const uint8_t *p, unsigned size) {
  uint64_t v = load(p, size), sign = (uint64_t)1 << (8 * size - 1);
  if (v & sign && size < 8) v |= ~(sign * 2 - 1);
  int64_t out;
  memcpy(&out, &v, sizeof out);
  return out;
}

static float load_float(const uint8_t *p) {
  uint32_t bits = (uint32_t)load(p, 4);
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

void bf_fb_fail(struct bf_fb *fb, uint64_t at, const char *error) {
  if (fb->error) return;
  fb->error = error;
  fb->error_at = at;
}

static bool inside(const struct bf_fb *fb, uint64_t at, uint64_t size) {
  return at <= fb->length && size <= fb->length - at;
}

// Follows the 32-bit forward offset at `at` (which is inside the file). 0: damage noted.
static uint64_t follow(struct bf_fb *fb, uint64_t at) {
  uint64_t offset = load(fb->data + at, 4);
  if (offset == 0) {
    bf_fb_fail(fb, at, "an offset of zero");
    return 0;
  }
  if (!inside(fb, at + offset, 4)) {
    bf_fb_fail(fb, at, "an offset that leaves the file");
    return 0;
  }
  return at + offset;
}

static struct bf_fb_table open_table(struct bf_fb *fb, uint64_t at) {
  const struct bf_fb_table absent = {0};
  int64_t vtable = (int64_t)at - load_signed(fb->data + at, 4);
  if (vtable < 0 || !inside(fb, (uint64_t)vtable, 4)) {
    bf_fb_fail(fb, at, "a table whose vtable is outside the file");
    return absent;
  }
  struct bf_fb_table table = {.at = at, .vtable = (uint64_t)vtable};
  table.vtable_size = (uint32_t)load(fb->data + vtable, 2);
  table.table_size = (uint32_t)load(fb->data + vtable + 2, 2);
  if (table.vtable_size < 4 || table.vtable_size % 2 || !inside(fb, table.vtable, table.vtable_size)) {
    bf_fb_fail(fb, table.vtable, "a vtable of impossible size");
    return absent;
  }
  if (table.table_size < 4 || !inside(fb, at, table.table_size)) {
    bf_fb_fail(fb, at, "a table that leaves the file");
    return absent;
  }
  return table;
}

bool bf_fb_open(struct bf_fb *fb, const void *data, size_t length, const char *identifier, struct bf_fb_table *root) {
  *fb = (struct bf_fb){.data = data, .length = length};
  *root = (struct bf_fb_table){0};
  if (length < 8) bf_fb_fail(fb, length, "too short for a FlatBuffers file");
  else if (memcmp(fb->data + 4, identifier, 4) != 0) bf_fb_fail(fb, 4, "a file identifier of another format");
  if (fb->error) return false;
  uint64_t at = follow(fb, 0);
  if (at) *root = open_table(fb, at);
  return !fb->error;
}

// Position of the field's `size` bytes, or 0 if the field is absent or lies outside its table.
static uint64_t field_at(const struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, unsigned size) {
  uint32_t entry = 4 + 2 * slot;
  if (fb->error || !table->at || entry + 2 > table->vtable_size) return 0;
  uint32_t offset = (uint32_t)load(fb->data + table->vtable + entry, 2);
  if (offset < 4 || offset + size > table->table_size) return 0;
  return table->at + offset;
}

// As field_at for a 32-bit offset, followed; an offset outside its table is a damage here,
// since leaving out a table or vector would change the meaning.
static uint64_t field_target(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot) {
  uint32_t entry = 4 + 2 * slot;
  if (fb->error || !table->at || entry + 2 > table->vtable_size) return 0;
  if (load(fb->data + table->vtable + entry, 2) == 0) return 0;
  uint64_t at = field_at(fb, table, slot, 4);
  if (!at) {
    bf_fb_fail(fb, table->vtable + entry, "a field outside its table");
    return 0;
  }
  return follow(fb, at);
}

int64_t bf_fb_int(const struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, enum bf_fb_kind kind,
                  int64_t otherwise) {
  static const struct {
    unsigned size;
    bool is_signed;
  } kinds[BF_FB_KINDS] = {
      [BF_FB_U8] = {1, false},  [BF_FB_I8] = {1, true},  [BF_FB_I32] = {4, true},
      [BF_FB_U32] = {4, false}, [BF_FB_I64] = {8, true}, [BF_FB_U64] = {8, true},
  };
  uint64_t at = field_at(fb, table, slot, kinds[kind].size);
  if (!at) return otherwise;
  return kinds[kind].is_signed ? load_signed(fb->data + at, kinds[kind].size)
                               : (int64_t)load(fb->data + at, kinds[kind].size);
}

float bf_fb_float(const struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot, float otherwise) {
  uint64_t at = field_at(fb, table, slot, 4);
  return at ? load_float(fb->data + at) : otherwise;
}

struct bf_fb_table bf_fb_table(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot) {
  uint64_t at = field_target(fb, table, slot);
  return at ? open_table(fb, at) : (struct bf_fb_table){0};
}

struct bf_fb_vector bf_fb_vector(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot,
                                 size_t element_size) {
  const struct bf_fb_vector absent = {0};
  uint64_t at = field_target(fb, table, slot);
  if (!at) return absent;
  uint64_t count = load(fb->data + at, 4);
  if (!inside(fb, at + 4, count * element_size)) {  // at most 2^32 * 8: no overflow
    bf_fb_fail(fb, at, "a vector that leaves the file");
    return absent;
  }
  return (struct bf_fb_vector){.data = fb->data + at + 4, .at = at + 4, .count = (uint32_t)count};
}

struct bf_fb_vector bf_fb_string(struct bf_fb *fb, const struct bf_fb_table *table, unsigned slot) {
  struct bf_fb_vector text = bf_fb_vector(fb, table, slot, 1);
  if (text.data && (!inside(fb, text.at + text.count, 1) || text.data[text.count] != 0)) {
    bf_fb_fail(fb, text.at, "a string without its final zero");
    return (struct bf_fb_vector){0};
  }
  return text;
}

struct bf_fb_table bf_fb_vector_table(struct bf_fb *fb, const struct bf_fb_vector *vector, uint32_t i) {
  if (fb->error || i >= vector->count) return (struct bf_fb_table){0};
  uint64_t at = follow(fb, vector->at + 4 * (uint64_t)i);
  return at ? open_table(fb, at) : (struct bf_fb_table){0};
}

int32_t bf_fb_vector_i32(const struct bf_fb_vector *vector, uint32_t i) {
  return (int32_t)load_signed(vector->data + 4 * (size_t)i, 4);
}

int64_t bf_fb_vector_i64(const struct bf_fb_vector *vector, uint32_t i) {
  return load_signed(vector->data + 8 * (size_t)i, 8);
}

float bf_fb_vector_f32(const struct bf_fb_vector *vector, uint32_t i) {
  return load_float(vector->data + 4 * (size_t)i);
}
