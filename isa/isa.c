// SPDX-License-Identifier: Apache-2.0
#include "isa/isa.h"

#include <string.h>

const struct ap_op_info ap_op_table[AP_OP_LIMIT] = {
#define AP_OP(id, code, name, fmt, cls, micro, widths, bound, tags, features, text)                         \
  [code] = {.mnemonic = name, .format = AP_FORMAT_##fmt, .op_class = AP_CLASS_##cls, .micro_widths = micro, \
            .rule = AP_RULE_##widths, .imm = AP_IMM_##bound, .tag = AP_TAG_##tags, .needs = features, .semantics = text},
#include "isa/ap_isa.def"
};

static const struct ap_format_info FORMATS[AP_FORMAT_COUNT] = {
#define AP_FORMAT(id, nleast, nfields, index, with_tap, with_imm, nwords, text)                               \
  [AP_FORMAT_##id] = {.least = nleast, .fields = nfields, .has_index = index, .has_tap = with_tap, .has_imm = with_imm, \
                      .words = nwords, .pattern = text},
#include "isa/formats.def"
};

const struct ap_format_info *ap_format_info(enum ap_format format) {
  return (unsigned)format < AP_FORMAT_COUNT ? &FORMATS[format] : NULL;
}

enum ap_op ap_op_find(const char *mnemonic, size_t length) {
  for (unsigned op = 0; op < AP_OP_LIMIT; op++)
    if (ap_op_table[op].mnemonic && strlen(ap_op_table[op].mnemonic) == length && memcmp(ap_op_table[op].mnemonic, mnemonic, length) == 0)
      return (enum ap_op)op;
  return AP_OP_INVALID;
}

// Bit position of field i in a word of the format: a load keeps the upper half for descriptor and tap.
static unsigned field_shift(const struct ap_format_info *format, unsigned i) {
  return format->has_tap ? 8 : 16 + 16 * i;
}

static uint64_t pack_field(struct ap_field field) {
  return (uint64_t)(field.col & 0x3FFu) | (uint64_t)((field.width - 1u) & 0x3Fu) << 10;
}

static struct ap_field unpack_field(uint64_t bits) {
  return (struct ap_field){.col = (uint16_t)(bits & 0x3FF), .width = (uint8_t)((bits >> 10 & 0x3F) + 1)};
}

// Formats with a number of fields of their own carry it in the word.
static bool is_counted(const struct ap_format_info *format) { return format->least < format->fields; }

// Fields of such an instruction: those with a width come first.
static unsigned given_fields(const struct ap_instr *instr) {
  return instr->f[1].width == 0 ? 1 : instr->f[2].width == 0 ? 2 : 3;
}

// The index is in the upper half of the first word or, where the fields leave no room for it, the lower half of the second.
static bool index_follows(const struct ap_format_info *format) { return format->has_index && format->words == 2; }

// The bits of the first word that carry something; all others are zero.
static uint64_t used_bits(const struct ap_format_info *format, unsigned fields) {
  uint64_t used = is_counted(format) ? 0x3FF : 0xFF;
  for (unsigned i = 0; i < fields; i++)
    used |= (uint64_t)0xFFFF << field_shift(format, i);
  if (format->has_index && !index_follows(format))
    used |= 0xFFFFFFFF00000000u;
  return used;
}

unsigned ap_encode(const struct ap_instr *instr, uint64_t words[2]) {
  const struct ap_format_info *format = &FORMATS[ap_op_table[instr->op].format];
  uint64_t word = (uint64_t)instr->op;
  unsigned fields = format->fields;
  if (is_counted(format)) {
    fields = given_fields(instr);
    word |= (uint64_t)fields << 8;
  }
  for (unsigned i = 0; i < fields; i++)
    word |= pack_field(instr->f[i]) << field_shift(format, i);
  if (format->has_tap)
    word |= (uint64_t)(instr->index & 0xFFFFu) << 32 | (uint64_t)instr->tap << 48;
  else if (index_follows(format))
    words[1] = instr->index;
  else if (format->has_index)
    word |= (uint64_t)instr->index << 32;
  words[0] = word;
  if (format->has_imm)
    words[1] = instr->imm;
  return format->words;
}

unsigned ap_decode(const uint64_t *words, size_t count, struct ap_instr *out, const char **why) {
  memset(out, 0, sizeof *out);
  if (count == 0) {
    *why = "a word is missing";
    return 0;
  }
  uint64_t word = words[0];
  const struct ap_op_info *info = ap_op_info((unsigned)(word & 0xFF));
  if (!info) {
    *why = "unknown opcode";
    return 0;
  }
  const struct ap_format_info *format = &FORMATS[info->format];
  unsigned fields = is_counted(format) ? (unsigned)(word >> 8 & 3) : format->fields;
  if (fields < format->least) {
    *why = "an instruction with too few fields";
    return 0;
  }
  if (word & ~used_bits(format, fields)) {
    *why = "a reserved bit is set";
    return 0;
  }
  if (count < format->words) {
    *why = "the second word is missing";
    return 0;
  }
  if (index_follows(format) && words[1] >> 32) {
    *why = "a reserved bit is set";
    return 0;
  }
  out->op = (enum ap_op)(word & 0xFF);
  for (unsigned i = 0; i < fields; i++)
    out->f[i] = unpack_field(word >> field_shift(format, i) & 0xFFFF);
  if (format->has_tap) {
    out->index = (uint32_t)(word >> 32 & 0xFFFF);
    out->tap = (uint16_t)(word >> 48);
  } else if (format->has_index) {
    out->index = (uint32_t)(index_follows(format) ? words[1] : word >> 32);
  }
  if (format->has_imm)
    out->imm = words[1];
  return format->words;
}
