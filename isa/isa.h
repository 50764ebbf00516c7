// SPDX-License-Identifier: Apache-2.0
// Instructions: the table's enum and information, encoding and decoding of words.
#ifndef AP_ISA_H
#define AP_ISA_H

#include "base/bf_base.h"

#define AP_MAX_COLUMNS 1024
#define AP_MAX_WIDTH 64
#define AP_MAX_LOOP_NEST 4
#define AP_FLAG_COLUMNS 4  // columns 0..3: carry C, F, G, H; zero between instructions

enum ap_op {
  AP_OP_INVALID = 0,
#define AP_OP(id, code, ...) AP_OP_##id = code,
#include "isa/ap_isa.def"
  AP_OP_LIMIT = 256
};
enum ap_format {
#define AP_FORMAT(id, ...) AP_FORMAT_##id,
#include "isa/formats.def"
  AP_FORMAT_COUNT
};
enum ap_class { AP_CLASS_CONTROL, AP_CLASS_MOVE, AP_CLASS_COMPUTE, AP_CLASS_HOST };

struct ap_op_info {
  const char *mnemonic;
  enum ap_format format;
  enum ap_class op_class;
  unsigned micro_widths;
  const char *semantics;
};
struct ap_format_info {
  unsigned fields;
  bool has_index, has_tap, has_imm;
  unsigned words;
  const char *pattern;
};
const struct ap_op_info *ap_op_info(unsigned op);  // NULL for an unknown opcode
const struct ap_format_info *ap_format_info(enum ap_format format);
enum ap_op ap_op_find(const char *mnemonic, size_t length);  // AP_OP_INVALID if unknown

// A field: `width` columns (1..64) from column `col`, least significant bit first.
struct ap_field {
  uint16_t col;
  uint8_t width;
};
struct ap_instr {
  enum ap_op op;
  struct ap_field f[3];  // d, a, b
  uint32_t index;        // grid, loop count, stream, host op; descriptor of a load or store
  uint16_t tap;
  uint64_t imm;
};

// Writes 1 or 2 words; returns their number. The instruction must be legal for its format.
unsigned ap_encode(const struct ap_instr *instr, uint64_t words[2]);
// Decodes from `count` available words; returns the number used, or 0 and *why (static text) if
// the opcode is unknown, a reserved bit is set or a word is missing. encode(decode(w)) == w.
unsigned ap_decode(const uint64_t *words, size_t count, struct ap_instr *out, const char **why);
// Legality of the operands alone: the width and overlap conditions of the table's semantics and columns
// below `columns`, flag columns not named. NULL if legal, else what is wrong (static text).
const char *ap_instr_check(const struct ap_instr *instr, unsigned columns);

#endif
