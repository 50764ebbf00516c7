// SPDX-License-Identifier: Apache-2.0
// Instructions: the table's enum and information, encoding and decoding of words.
#ifndef AP_ISA_H
#define AP_ISA_H

#include "base/bf_base.h"

#define AP_MAX_COLUMNS 1024
#define AP_MAX_WIDTH 64
#define AP_MAX_LOOP_NEST 4
#define AP_FLAG_COLUMNS 4  // columns 0..3: carry C, F, G, H; zero between instructions
#define AP_MAX_ROW_DISTANCE 65535
#define AP_MAX_PATTERN_INPUTS 8  // columns of a in a pattern instruction
#define AP_MAX_PATTERN_KEY 8     // and of b

// Features of an array.
#define AP_FEATURE_ACCUMULATE 1u   // a compare may OR into the tag
#define AP_FEATURE_WIDE_WRITE 2u   // a write mask may cover any number of columns
#define AP_FEATURE_ROW_GATING 4u   // rows outside the row mask burn no compare energy
#define AP_FEATURE_TAG_SHIFT 8u    // tags move between rows
#define AP_FEATURE_TWO_D 16u       // compares over pairs of rows, segmented at any distance
#define AP_FEATURE_POPCOUNT 32u    // tags are counted

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

enum ap_width_rule {
#define AP_WIDTH_RULE(id, ...) AP_RULE_##id,
#include "isa/width_rules.def"
  AP_RULE_COUNT
};
enum ap_imm_bound { AP_IMM_NONE, AP_IMM_D, AP_IMM_A, AP_IMM_KEY, AP_IMM_ROWS, AP_IMM_PATTERN };
enum ap_tag_use { AP_TAG_CLOBBERS, AP_TAG_SETS, AP_TAG_USES, AP_TAG_TAKES };

struct ap_op_info {
  const char *mnemonic;
  enum ap_format format;
  enum ap_class op_class;
  unsigned micro_widths;
  enum ap_width_rule rule;
  enum ap_imm_bound imm;
  enum ap_tag_use tag;
  unsigned needs;  // AP_FEATURE_*
  const char *semantics;
};
struct ap_format_info {
  unsigned least, fields;  // number of fields: at least, at most
  bool has_index, has_tap, has_imm;
  unsigned words;
  const char *pattern;
};
extern const struct ap_op_info ap_op_table[AP_OP_LIMIT];  // by opcode; unknown ones have no mnemonic
// NULL for an unknown opcode.
static inline const struct ap_op_info *ap_op_info(unsigned op) {
  return op < AP_OP_LIMIT && ap_op_table[op].mnemonic != NULL ? &ap_op_table[op] : NULL;
}
const struct ap_format_info *ap_format_info(enum ap_format format);
enum ap_op ap_op_find(const char *mnemonic, size_t length);  // AP_OP_INVALID if unknown

// Whether the widths (0: no such field) satisfy the rule of the op; else what is wrong (static text).
const char *ap_widths_check(const struct ap_op_info *info, const uint8_t width[3]);
// Number of meaningful bits of an immediate (or of a pattern's key) at these widths; 0 without one.
unsigned ap_imm_width(const struct ap_op_info *info, const uint8_t width[3]);

// A field: `width` columns (1..64) from column `col`, least significant bit first.
struct ap_field {
  uint16_t col;
  uint8_t width;
};
struct ap_instr {
  enum ap_op op;
  struct ap_field f[3];  // d, a, b
  uint32_t index;        // grid, loop count, stream, host op, pattern; descriptor of a load or store
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
