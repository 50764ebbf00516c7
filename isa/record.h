// SPDX-License-Identifier: Apache-2.0
// Table-driven access to the plain records of a program (isa/records.def). Internal to isa/.
#ifndef AP_RECORD_H
#define AP_RECORD_H

#include "isa/program.h"

enum ap_record {
#define AP_RECORD(id, tag, directive) AP_RECORD_##id,
#include "isa/records.def"
  AP_RECORD_COUNT
};
enum ap_kind {
  AP_KIND_U8, AP_KIND_U32, AP_KIND_I32, AP_KIND_U64, AP_KIND_I64, AP_KIND_F32, AP_KIND_F64, AP_KIND_BOOL,
  AP_KIND_STR, AP_KIND_DIM, AP_KIND_REF, AP_KIND_TENSOR, AP_KIND_GRID, AP_KIND_STORAGE, AP_KIND_HOSTKIND, AP_KIND_COUNT
};
struct ap_field_info {
  enum ap_record record;
  const char *key;
  enum ap_kind kind;
  unsigned count;
  size_t offset;
  const char *fallback;  // default of the assembly text; "*": computed, "": none
  const char *meaning;
};
// Field `i` of a record in the order of the table, or NULL.
const struct ap_field_info *ap_record_field(enum ap_record record, unsigned i);
const char *ap_record_directive(enum ap_record record);
size_t ap_record_size(enum ap_record record);      // bytes of the struct
size_t ap_record_min_bytes(enum ap_record record); // fewest bytes one takes in a container
size_t ap_kind_size(enum ap_kind kind);            // bytes in memory
const char *ap_storage_name(unsigned storage);     // NULL if unknown
const char *ap_host_kind_name(unsigned kind);      // NULL if unknown

// Element `i` of a field as its bits (STR: not allowed).
uint64_t ap_field_get(const struct ap_field_info *field, const void *record, unsigned i);
void ap_field_set(const struct ap_field_info *field, void *record, unsigned i, uint64_t bits);

void ap_record_write(enum ap_record record, const void *data, struct bf_buf *out);

// A bounded reader over one section. Reading past the end sets `bad` and gives zeros.
struct ap_cursor {
  const uint8_t *data;
  size_t length, at;
  const char *bad;  // NULL, or what is wrong at `at` (static text)
};
bool ap_cursor_need(struct ap_cursor *cursor, uint64_t bytes);
uint64_t ap_cursor_uint(struct ap_cursor *cursor, unsigned bytes);  // little endian
bool ap_record_read(enum ap_record record, void *data, struct ap_cursor *cursor, struct bf_arena *arena);

// " key=value" for each field, for the assembly text.
void ap_record_print(enum ap_record record, const void *data, struct bf_buf *out);
void ap_print_string(const char *text, size_t length, struct bf_buf *out);  // quoted and escaped

#endif
