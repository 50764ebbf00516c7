// SPDX-License-Identifier: Apache-2.0
// What writer and reader of the container agree on (docs/apbin.md). Internal to isa/.
#ifndef AP_CONTAINER_H
#define AP_CONTAINER_H

#include "isa/record.h"

#define AP_CONTAINER_VERSION 3u
#define AP_ELF_MACHINE 0xBF1Au

// AP_SECTION(ID, "name"), in the order of the file. .ap.meta comes first: it has the version.
#define AP_SECTIONS(X)         \
  X(META, ".ap.meta")          \
  X(MACHINE, ".ap.machine")    \
  X(TENSORS, ".ap.tensors")    \
  X(DESC, ".ap.desc")          \
  X(MICRO, ".ap.micro")        \
  X(TABLES, ".ap.tables")      \
  X(STREAMS, ".ap.streams")    \
  X(PATTERNS, ".ap.patterns")  \
  X(CODE, ".ap.code")          \
  X(CONST, ".ap.const")        \
  X(LINES, ".ap.lines")        \
  X(PROFILES, ".ap.profiles")  \
  X(SOURCE, ".ap.source")

enum ap_section {
#define AP_SECTION_ID(id, name) AP_SECTION_##id,
  AP_SECTIONS(AP_SECTION_ID)
#undef AP_SECTION_ID
  AP_SECTION_COUNT
};
const char *ap_section_name(enum ap_section section);

// The contents of one section.
void ap_section_write(enum ap_section section, const struct ap_program *program, struct bf_buf *out);

// Reads one section into the program; sections come in the order of the enum. False: cursor->bad says why.
struct ap_reader {
  struct ap_program *program;
  struct bf_diags *diags;
  const char *file;
  uint64_t machine_hash;  // from .ap.meta
};
bool ap_section_read(enum ap_section section, struct ap_reader *reader, struct ap_cursor *cursor);

#endif
