// SPDX-License-Identifier: Apache-2.0
// The instruction table: every row round-trips through words and through text; wrong words are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/asm.h"
#include "isa/program.h"

struct row { enum ap_op op; unsigned code; const char *name; enum ap_format format; };
static const struct row ROWS[] = {
#define AP_OP(id, opcode, mnemonic, fmt, ...) {AP_OP_##id, opcode, mnemonic, AP_FORMAT_##fmt},
#include "isa/ap_isa.def"
};

static uint64_t seed = 1;
static uint64_t random64(void) {  // splitmix64
  uint64_t z = seed += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}
static unsigned pick(unsigned low, unsigned high) { return low + (unsigned)(random64() % (high - low + 1)); }

// Random operands: widths, places and immediates are drawn until the rules hold.
static struct ap_instr random_instr(const struct row *row) {
  const struct ap_format_info *format = ap_format_info(row->format);
  const struct ap_op_info *info = ap_op_info(row->code);
  for (;;) {
    struct ap_instr in = {.op = row->op};
    unsigned w[3] = {pick(1, 64), pick(1, 64), pick(1, 64)};
    unsigned fields = pick(format->least, format->fields);
    for (unsigned i = 0; row->op == AP_OP_PATTERN && i < 3; i++)
      w[i] = pick(1, i ? 8 : 64);
    for (unsigned i = 1; i < 3 && row->op != AP_OP_PATTERN; i++)  // equal widths and bits are what rules ask for most
      if (pick(0, 2))
        w[i] = pick(0, 1) ? w[i - 1] : 1;
    if (!pick(0, 2) && row->op != AP_OP_PATTERN)
      w[0] = pick(0, 1) ? 1 : w[1] + w[2] <= 64 ? w[1] + w[2] : 64;
    for (unsigned i = 0; i < fields; i++)
      in.f[i] = (struct ap_field){(uint16_t)pick(4, 1024 - w[i]), (uint8_t)w[i]};
    uint8_t width[3] = {in.f[0].width, in.f[1].width, in.f[2].width};
    if (ap_widths_check(info, width))
      continue;
    if (format->has_index)
      in.index = format->has_tap ? pick(0, 65535) : (uint32_t)random64();
    if (format->has_tap)
      in.tap = (uint16_t)random64();
    if (format->has_imm)
      in.imm = random64() >> (64 - pick(1, ap_imm_width(info, width)));
    if (!ap_instr_check(&in, AP_MAX_COLUMNS))
      return in;
  }
}

static void assert_same(const struct ap_instr *x, const struct ap_instr *y) {
  assert_int_equal(x->op, y->op);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(x->f[i].col, y->f[i].col);
    assert_int_equal(x->f[i].width, y->f[i].width);
  }
  assert_int_equal(x->index, y->index);
  assert_int_equal(x->tap, y->tap);
  assert_true(x->imm == y->imm);
}

static void test_table(void **state) {
  (void)state;
  unsigned known = 0;
  for (unsigned op = 0; op < 256; op++)
    known += ap_op_info(op) != NULL;
  assert_int_equal(known, BF_COUNT(ROWS));  // no opcode twice
  assert_null(ap_op_info(0));
  assert_null(ap_op_info(256));
  for (size_t i = 0; i < BF_COUNT(ROWS); i++) {
    assert_string_equal(ap_op_info(ROWS[i].code)->mnemonic, ROWS[i].name);
    assert_int_equal(ap_op_find(ROWS[i].name, strlen(ROWS[i].name)), ROWS[i].op);
    assert_true(strlen(ap_op_info(ROWS[i].code)->semantics) > 5);
  }
  assert_int_equal(ap_op_find("frobnicate", 10), AP_OP_INVALID);
  assert_int_equal(ap_op_find("", 0), AP_OP_INVALID);
}

static void test_words(void **state) {
  (void)state;
  for (size_t i = 0; i < BF_COUNT(ROWS); i++)
    for (int round = 0; round < 200; round++) {
      struct ap_instr in = random_instr(&ROWS[i]), out;
      uint64_t words[2] = {0, 0}, again[2] = {0, 0};
      const char *why = NULL;
      unsigned n = ap_encode(&in, words);
      assert_int_equal(n, ap_format_info(ROWS[i].format)->words);
      assert_int_equal(ap_decode(words, n, &out, &why), n);
      assert_same(&in, &out);
      assert_int_equal(ap_encode(&out, again), n);
      assert_memory_equal(words, again, sizeof words);
      for (unsigned k = 0; k < n; k++) {  // a missing word
        assert_int_equal(ap_decode(words, k, &out, &why), 0);
        assert_non_null(why);
      }
    }
}

// Whatever word decodes at all encodes to itself: no bit is ignored.
static void test_any_word(void **state) {
  (void)state;
  unsigned good = 0, bad = 0;
  for (int i = 0; i < 200000; i++) {
    uint64_t words[2] = {random64(), random64()}, again[2];
    words[0] = (words[0] & ~(uint64_t)0xFF) | (i & 0xFF);
    if (i & 0x100)
      words[0] &= 0xFFFFFFFFFFFF00FFu;
    if (i & 0x200)
      words[0] &= 0x00000000FFFFFFFFu;
    if (i & 0x400)
      words[0] &= 0xFFFFFFFF000000FFu;
    struct ap_instr out;
    const char *why = NULL;
    unsigned n = ap_decode(words, 2, &out, &why);
    if (n == 0) {
      assert_non_null(why);
      bad++;
      continue;
    }
    good++;
    again[1] = words[1];
    assert_int_equal(ap_encode(&out, again), n);
    assert_memory_equal(words, again, sizeof words);
  }
  assert_true(good > 100 && bad > 100);
}

static void test_reserved(void **state) {
  (void)state;
  for (size_t i = 0; i < BF_COUNT(ROWS); i++) {
    struct ap_instr in = random_instr(&ROWS[i]), out;
    const struct ap_format_info *format = ap_format_info(ROWS[i].format);
    bool counted = format->least < format->fields, late = ROWS[i].format == AP_FORMAT_DABX;
    unsigned fields = !counted ? format->fields : in.f[2].width ? 3 : in.f[1].width ? 2 : 1;
    for (unsigned bit = counted ? 10 : 8; bit < 64; bit++) {  // bits 8-9 of those: the number of fields
      // The layout as formats.def describes it, written a second time.
      bool used = format->has_tap ? bit < 24 || bit >= 32
                  : format->has_index && !late ? bit >= 32
                                      : bit >= 16 && bit < 16 + 16 * fields;
      uint64_t words[2] = {0, 0};
      const char *why;
      ap_encode(&in, words);
      words[0] ^= (uint64_t)1 << bit;
      assert_int_equal(ap_decode(words, 2, &out, &why) != 0, used);
      words[0] ^= (uint64_t)1 << bit;
      words[1] ^= (uint64_t)1 << bit;
      assert_int_equal(ap_decode(words, 2, &out, &why) != 0, !late || bit < 32);
    }
  }
}

static void test_text(void **state) {
  (void)state;
  for (size_t i = 0; i < BF_COUNT(ROWS); i++)
    for (int round = 0; round < 50; round++) {
      struct ap_instr in = random_instr(&ROWS[i]), out;
      struct bf_buf text = {0};
      struct bf_diags diags = {0};
      ap_asm_print_instr(&in, &text);
      struct ap_parser parser;
      ap_parser_init(&parser, bf_diags_add_source(&diags, "t", bf_buf_cstr(&text), text.length), &diags);
      ap_parse_instr(&parser, &out);
      assert_int_equal(diags.errors, 0);
      assert_int_equal(parser.token.kind, AP_TOKEN_END);
      assert_same(&in, &out);
      ap_program_free(parser.program);
      ap_parser_free(&parser);
      bf_diags_free(&diags);
      bf_buf_free(&text);
    }
}

static struct ap_instr make(enum ap_op op, unsigned dc, unsigned dw, unsigned ac, unsigned aw, unsigned bc, unsigned bw,
                            uint64_t imm) {
  return (struct ap_instr){.op = op,
                           .f = {{(uint16_t)dc, (uint8_t)dw}, {(uint16_t)ac, (uint8_t)aw}, {(uint16_t)bc, (uint8_t)bw}},
                           .imm = imm};
}

static void test_rules(void **state) {
  (void)state;
  const struct { struct ap_instr in; bool legal; } CASES[] = {
      {make(AP_OP_ADD, 20, 16, 4, 8, 0, 0, 0), true},
      {make(AP_OP_ADD, 20, 8, 4, 16, 0, 0, 0), false},     // d narrower than a
      {make(AP_OP_ADD, 10, 16, 4, 8, 0, 0, 0), false},     // overlap
      {make(AP_OP_ADD, 3, 8, 20, 8, 0, 0, 0), false},      // flag column
      {make(AP_OP_ADD, 250, 8, 4, 8, 0, 0, 0), false},     // beyond 256 columns
      {make(AP_OP_ADD, 248, 8, 4, 8, 0, 0, 0), true},
      {make(AP_OP_ADD, 20, 16, 4, 8, 40, 1, 0), false},    // an operand too many
      {make(AP_OP_ADD, 20, 16, 4, 8, 0, 0, 1), false},     // an immediate too many
      {make(AP_OP_ADD, 20, 0, 4, 8, 0, 0, 0), false},      // no width
      {make(AP_OP_ADD, 20, 65, 4, 8, 0, 0, 0), false},
      {make(AP_OP_SETK, 20, 8, 0, 0, 0, 0, 255), true},
      {make(AP_OP_SETK, 20, 8, 0, 0, 0, 0, 256), false},
      {make(AP_OP_SETK, 20, 64, 0, 0, 0, 0, UINT64_MAX), true},
      {make(AP_OP_SETKIF, 20, 8, 27, 1, 0, 0, 0), true},   // its condition may lie in d
      {make(AP_OP_SETKIF, 20, 8, 30, 2, 0, 0, 0), false},
      {make(AP_OP_COPYIF, 20, 8, 30, 8, 40, 1, 0), true},
      {make(AP_OP_COPYIF, 20, 8, 30, 8, 27, 1, 0), false},
      {make(AP_OP_COPYIF, 20, 8, 30, 7, 40, 1, 0), false},
      {make(AP_OP_MUL, 20, 16, 40, 8, 40, 8, 0), true},    // a square
      {make(AP_OP_MUL, 20, 15, 40, 8, 50, 8, 0), false},
      {make(AP_OP_GTK, 20, 1, 40, 8, 0, 0, 255), true},
      {make(AP_OP_GTK, 20, 1, 40, 8, 0, 0, 256), false},
      {make(AP_OP_GTK, 20, 2, 40, 8, 0, 0, 3), false},
      {make(AP_OP_GT, 20, 1, 40, 8, 50, 7, 0), false},
      {make(AP_OP_MAX, 20, 8, 40, 7, 0, 0, 0), false},
      {make(AP_OP_NOT, 20, 8, 40, 8, 0, 0, 0), true},
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 110, 8, 0), true},
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 0, 0, 0), true},   // no row key
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 104, 8, 0), true}, // a and b may overlap
      {make(AP_OP_PATTERN, 20, 64, 100, 9, 110, 8, 0), false},
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 110, 9, 0), false},
      {make(AP_OP_PATTERN, 20, 64, 80, 8, 110, 8, 0), false}, // d overlaps a
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 80, 8, 0), false},
      {make(AP_OP_PATTERN, 20, 64, 0, 0, 100, 8, 0), false},
      {make(AP_OP_PATTERN, 20, 64, 0, 0, 0, 0, 0), false},
      {make(AP_OP_PATTERN, 20, 64, 100, 8, 0, 0, 1), false},  // the key is the pattern's
  };
  for (size_t i = 0; i < BF_COUNT(CASES); i++) {
    const char *why = ap_instr_check(&CASES[i].in, 256);
    if ((why == NULL) != CASES[i].legal)
      fail_msg("case %zu: %s", i, why ? why : "accepted");
  }
  struct ap_instr loop = {.op = AP_OP_LOOP, .index = 0};
  assert_non_null(ap_instr_check(&loop, 256));
  loop.index = INT32_MAX;
  assert_null(ap_instr_check(&loop, 256));
  loop.index++;
  assert_non_null(ap_instr_check(&loop, 256));
}

// docs/isa.md has one row for each instruction, with its opcode, operands and semantics.
static void test_manual(void **state) {
  (void)state;
  char *text;
  size_t length;
  const char *why;
  assert_true(bf_read_file(BF_SOURCE_DIR "/docs/isa.md", &text, &length, &why));
  for (size_t i = 0; i < BF_COUNT(ROWS); i++) {
    const struct ap_op_info *info = ap_op_info(ROWS[i].code);
    const char *pattern = ap_format_info(info->format)->pattern;
    char *row = bf_format("| 0x%02X | `%s%s%s` | %s |", ROWS[i].code, info->mnemonic, *pattern ? " " : "", pattern,
                          info->semantics);
    if (!strstr(text, row))
      fail_msg("docs/isa.md lacks the row\n%s", row);
    free(row);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table), cmocka_unit_test(test_words), cmocka_unit_test(test_any_word),
      cmocka_unit_test(test_reserved), cmocka_unit_test(test_text), cmocka_unit_test(test_rules),
      cmocka_unit_test(test_manual),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
