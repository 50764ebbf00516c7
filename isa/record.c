// SPDX-License-Identifier: Apache-2.0
#include "isa/record.h"

#include <math.h>
#include <string.h>

static const struct ap_field_info FIELDS[] = {
#define AP_FIELD(rec, tag, member, knd, cnt, otherwise, text)                                         \
  {.record = AP_RECORD_##rec, .key = #member, .kind = AP_KIND_##knd, .count = cnt,                    \
   .offset = offsetof(struct tag, member), .fallback = otherwise, .meaning = text},
#include "isa/records.def"
};

// The table tells the truth about the structs.
#define KIND_BYTES(kind)                                                                                    \
  ((kind) == AP_KIND_U8 || (kind) == AP_KIND_BOOL || (kind) == AP_KIND_DIM                            ? 1  \
   : (kind) == AP_KIND_U64 || (kind) == AP_KIND_I64 || (kind) == AP_KIND_F64                          ? 8  \
   : (kind) == AP_KIND_STR                                                                            ? sizeof(char *) \
                                                                                                      : 4)
#define AP_FIELD(rec, tag, member, knd, cnt, otherwise, text)                                            \
  _Static_assert(sizeof(((struct tag *)0)->member) == (cnt) * KIND_BYTES(AP_KIND_##knd), "size of " #member);
#include "isa/records.def"

const struct ap_field_info *ap_record_field(enum ap_record record, unsigned i) {
  for (size_t n = 0; n < BF_COUNT(FIELDS); n++)
    if (FIELDS[n].record == record && i-- == 0)
      return &FIELDS[n];
  return NULL;
}

const char *ap_record_directive(enum ap_record record) {
  static const char *const NAMES[] = {
#define AP_RECORD(id, tag, directive) directive,
#include "isa/records.def"
  };
  return NAMES[record];
}

size_t ap_record_size(enum ap_record record) {
  static const size_t SIZES[] = {
#define AP_RECORD(id, tag, directive) sizeof(struct tag),
#include "isa/records.def"
  };
  return SIZES[record];
}

size_t ap_kind_size(enum ap_kind kind) { return KIND_BYTES(kind); }

// Bytes of one element in a container; a string is its length and at least nothing.
static size_t stored_size(enum ap_kind kind) { return kind == AP_KIND_STR ? 4 : ap_kind_size(kind); }

size_t ap_record_min_bytes(enum ap_record record) {
  size_t bytes = 0;
  for (size_t n = 0; n < BF_COUNT(FIELDS); n++)
    if (FIELDS[n].record == record)
      bytes += FIELDS[n].count * stored_size(FIELDS[n].kind);
  return bytes;
}

const char *ap_storage_name(unsigned storage) {
  static const char *const NAMES[] = {
      [AP_STORAGE_ACTIVATION] = "activation", [AP_STORAGE_CONST] = "const", [AP_STORAGE_TEMP] = "temp"};
  return storage < BF_COUNT(NAMES) ? NAMES[storage] : NULL;
}

const char *ap_host_kind_name(unsigned kind) {
  static const char *const NAMES[] = {[AP_HOST_SOFTMAX] = "softmax"};
  _Static_assert(BF_COUNT(NAMES) == AP_HOST_KIND_COUNT, "a name for each host op");
  return kind < BF_COUNT(NAMES) ? NAMES[kind] : NULL;
}

uint64_t ap_field_get(const struct ap_field_info *field, const void *record, unsigned i) {
  size_t size = ap_kind_size(field->kind);
  const char *at = (const char *)record + field->offset + i * size;
  uint8_t v8;
  uint32_t v32;
  uint64_t v64;
  switch (size) {
  case 1: memcpy(&v8, at, 1); return v8;
  case 4: memcpy(&v32, at, 4); return v32;
  default: memcpy(&v64, at, 8); return v64;
  }
}

void ap_field_set(const struct ap_field_info *field, void *record, unsigned i, uint64_t bits) {
  size_t size = ap_kind_size(field->kind);
  char *at = (char *)record + field->offset + i * size;
  uint8_t v8 = (uint8_t)bits;
  uint32_t v32 = (uint32_t)bits;
  if (size == 1)
    memcpy(at, &v8, 1);
  else if (size == 4)
    memcpy(at, &v32, 4);
  else
    memcpy(at, &bits, 8);
}

static char **string_at(const struct ap_field_info *field, const void *record) {
  return (char **)((char *)record + field->offset);
}

void ap_record_write(enum ap_record record, const void *data, struct bf_buf *out) {
  for (size_t n = 0; n < BF_COUNT(FIELDS); n++) {
    const struct ap_field_info *field = &FIELDS[n];
    if (field->record != record)
      continue;
    if (field->kind == AP_KIND_STR) {
      const char *text = *string_at(field, data);
      size_t length = text ? strlen(text) : 0;
      bf_buf_u32(out, (uint32_t)length);
      bf_buf_append(out, text ? text : "", length);
      continue;
    }
    for (unsigned i = 0; i < field->count; i++) {
      uint64_t bits = ap_field_get(field, data, i);
      uint8_t byte = (uint8_t)bits;
      switch (ap_kind_size(field->kind)) {
      case 1: bf_buf_append(out, &byte, 1); break;
      case 4: bf_buf_u32(out, (uint32_t)bits); break;
      default: bf_buf_u64(out, bits); break;
      }
    }
  }
}

bool ap_cursor_need(struct ap_cursor *cursor, uint64_t bytes) {
  if (cursor->bad)
    return false;
  if (bytes <= cursor->length - cursor->at)
    return true;
  cursor->bad = "the section ends too early";
  return false;
}

uint64_t ap_cursor_uint(struct ap_cursor *cursor, unsigned bytes) {
  uint64_t value = 0;
  if (!ap_cursor_need(cursor, bytes))
    return 0;
  for (unsigned i = 0; i < bytes; i++)
    value |= (uint64_t)cursor->data[cursor->at + i] << 8 * i;
  cursor->at += bytes;
  return value;
}

static char *read_string(struct ap_cursor *cursor, struct bf_arena *arena) {
  uint64_t length = ap_cursor_uint(cursor, 4);
  if (!ap_cursor_need(cursor, length))
    return NULL;
  const char *text = (const char *)cursor->data + cursor->at;
  if (length && memchr(text, 0, length)) {
    cursor->bad = "a text contains a zero byte";
    return NULL;
  }
  cursor->at += length;
  return bf_arena_strndup(arena, length ? text : "", length);
}

// What the type of a field demands of its bits; NULL if nothing is wrong.
static const char *check_bits(enum ap_kind kind, uint64_t bits) {
  float single;
  double real;
  uint32_t low = (uint32_t)bits;
  switch (kind) {
  case AP_KIND_BOOL:
    return bits <= 1 ? NULL : "a truth value is neither 0 nor 1";
  case AP_KIND_STORAGE:
    return bits <= UINT32_MAX && ap_storage_name((unsigned)bits) ? NULL : "unknown storage class";
  case AP_KIND_HOSTKIND:
    return bits <= UINT32_MAX && ap_host_kind_name((unsigned)bits) ? NULL : "unknown host op";
  case AP_KIND_F32:
    memcpy(&single, &low, 4);
    return isfinite(single) ? NULL : "a real number is not finite";
  case AP_KIND_F64:
    memcpy(&real, &bits, 8);
    return isfinite(real) ? NULL : "a real number is not finite";
  default:
    return NULL;
  }
}

bool ap_record_read(enum ap_record record, void *data, struct ap_cursor *cursor, struct bf_arena *arena) {
  for (size_t n = 0; n < BF_COUNT(FIELDS); n++) {
    const struct ap_field_info *field = &FIELDS[n];
    if (field->record != record)
      continue;
    if (field->kind == AP_KIND_STR) {
      *string_at(field, data) = read_string(cursor, arena);
    } else {
      for (unsigned i = 0; i < field->count && !cursor->bad; i++) {
        size_t start = cursor->at;
        uint64_t bits = ap_cursor_uint(cursor, (unsigned)ap_kind_size(field->kind));
        const char *why = cursor->bad ? NULL : check_bits(field->kind, bits);
        if (why) {
          cursor->at = start;
          cursor->bad = why;
        } else {
          ap_field_set(field, data, i, bits);
        }
      }
    }
    if (cursor->bad)
      return false;
  }
  return true;
}

void ap_print_string(const char *text, size_t length, struct bf_buf *out) {
  bf_buf_puts(out, "\"");
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '\n')
      bf_buf_puts(out, "\\n");
    else if (c == '\t')
      bf_buf_puts(out, "\\t");
    else if (c == '"' || c == '\\')
      bf_buf_printf(out, "\\%c", c);
    else if (c < 32 || c == 127)
      bf_buf_printf(out, "\\x%02x", c);
    else
      bf_buf_append(out, &c, 1);
  }
  bf_buf_puts(out, "\"");
}

static void print_value(enum ap_kind kind, uint64_t bits, struct bf_buf *out) {
  char text[48];
  float single;
  double real;
  uint32_t low = (uint32_t)bits;
  switch (kind) {
  case AP_KIND_I32: bf_buf_printf(out, "%ld", (long)(int32_t)low); break;
  case AP_KIND_I64: bf_buf_printf(out, "%lld", (long long)(int64_t)bits); break;
  case AP_KIND_F32:
    memcpy(&single, &low, 4);
    bf_buf_puts(out, bf_float_text(text, single));
    break;
  case AP_KIND_F64:
    memcpy(&real, &bits, 8);
    bf_buf_puts(out, bf_double_text(text, real));
    break;
  case AP_KIND_STORAGE: bf_buf_puts(out, ap_storage_name(low)); break;
  case AP_KIND_HOSTKIND: bf_buf_puts(out, ap_host_kind_name(low)); break;
  default:
    if ((kind == AP_KIND_DIM && bits == UINT8_MAX) || (kind == AP_KIND_REF && bits == UINT32_MAX))
      bf_buf_puts(out, "none");
    else
      bf_buf_printf(out, "%llu", (unsigned long long)bits);
  }
}

void ap_record_print(enum ap_record record, const void *data, struct bf_buf *out) {
  for (size_t n = 0; n < BF_COUNT(FIELDS); n++) {
    const struct ap_field_info *field = &FIELDS[n];
    if (field->record != record)
      continue;
    bf_buf_printf(out, " %s=", field->key);
    if (field->kind == AP_KIND_STR) {
      const char *text = *string_at(field, data);
      ap_print_string(text ? text : "", text ? strlen(text) : 0, out);
      continue;
    }
    bf_buf_puts(out, field->count > 1 ? "[" : "");
    for (unsigned i = 0; i < field->count; i++) {
      bf_buf_puts(out, i ? ", " : "");
      print_value(field->kind, ap_field_get(field, data, i), out);
    }
    bf_buf_puts(out, field->count > 1 ? "]" : "");
  }
}
