// SPDX-License-Identifier: Apache-2.0
// The assembly language: what its conveniences stand for, and what its errors say. Each convenience is held against the same
// program written without it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/program.h"

#define HEAD ".aps 1\n.machine research\n"
#define DATA                                                                       \
  ".tensor x type=u8 shape=[16]\n.tensor y type=u8 shape=[16]\n.input x\n.output y\n" \
  ".grid rows count=[16]\n.desc lx tensor=x\n.desc sy tensor=y\n"

static struct ap_program *parse(const char *text, struct bf_diags *diags) {
  *diags = (struct bf_diags){0};
  return ap_asm_parse(bf_diags_add_source(diags, "t.aps", text, strlen(text)), diags);
}

static struct ap_program *good(const char *text) {
  struct bf_diags diags;
  struct ap_program *p = parse(text, &diags);
  if (!p) {
    struct bf_buf shown = {0};
    bf_diags_render(&diags, &shown);
    print_error("%s\n", bf_buf_cstr(&shown));
    bf_buf_free(&shown);
  }
  assert_non_null(p);
  bf_diags_free(&diags);
  return p;
}

// The canonical text of what a text means.
static char *meaning(const char *text) {
  struct ap_program *p = good(text);
  struct bf_buf out = {0};
  ap_asm_print(p, &out);
  ap_program_free(p);
  return (char *)(uintptr_t)bf_buf_cstr(&out);
}

static char *code(const char *lines) { return bf_format(HEAD DATA "grid rows\n%s\nendgrid\nhalt\n", lines); }

static void same_code(const char *short_form, const char *long_form) {
  char *a = code(short_form), *b = code(long_form);
  char *x = meaning(a), *y = meaning(b);
  assert_string_equal(x, y);
  free(a);
  free(b);
  free(x);
  free(y);
}

static void test_expressions(void **state) {
  (void)state;
  static const struct { const char *text; unsigned long long value; } LIST[] = {
      {"1 + 2 * 3", 7},       {"(1 + 2) * 3", 9},      {"0x10 | 0b11", 19},   {"7 & 6 ^ 1", 7},  {"1 << 5 - 2", 8},
      {"100 >> 2", 25},       {"17 % 5", 2},           {"-1", 65535},         {"~0", 65535},     {"~5 & 0xff", 250},
      {"10 - 3 - 2", 5},      {"-7 / 2", 65532},       {"-7 % 4", 1},         {"K * 2", 84},     {"width(f[3:4])", 4},
      {"col(c20:4) + 1", 21}, {"1 << 16 - 1", 32768}, {"(1 << 64) >> 60", 16}, {"-(3 - 5)", 2}};
  for (size_t i = 0; i < BF_COUNT(LIST); i++) {
    char *a = bf_format(".equ K 42\n.field f c30:8\nsetk c4:16, #%s", LIST[i].text);
    char *b = bf_format("setk c4:16, #%llu", LIST[i].value);
    same_code(a, b);
    free(a);
    free(b);
  }
}

static void test_names(void **state) {
  (void)state;
  same_code(".field acc c20:18\n.field low acc[2:4]\nnot c50:4, low\nnot c50:1, acc[17]\n load c60:8, lx\nstore c60:8, sy[0]",
            "not c50:4, c22:4\nnot c50:1, c37:1\nload c60:8, desc0[0]\nstore c60:8, desc1[0]");
  // Fields are placed on the first columns that no other one has.
  same_code(".field a 8\n.field b c14:2\n.field c1x 4\nnot c50:8, a\nnot c50:4, c1x", "not c50:8, c4:8\nnot c50:4, c16:4");
  same_code(".field a 2\nsetk a, 3\nlp: loop 2 * 2\ninner:\nloop lp + 1\nsetk a, 1\nendloop inner\nendloop lp",
            "setk c4:2, #3\nloop #4\nloop #3\nsetk c4:2, #1\nendloop\nendloop");
  same_code("compare c20:1=1, c4:8=-1, c30:2=0b10\nwrite c40:1=1", "compare c20:1=1, c4:8=255, c30:2=2\nwrite c40:1=1");
}

static void test_macros(void **state) {
  (void)state;
  same_code(".macro m d, s\n.temp t\\@ width(\\s)\ncopy t\\@, \\s\nadd \\d, t\\@\n.endm\nm c20:10, c40:8\nm c20:10, c50:4",
            "copy c4:8, c40:8\nadd c20:10, c4:8\ncopy c4:4, c50:4\nadd c20:10, c4:4");
  same_code(".repeat 3\nsetk c(10 + \\i):1, \\i & 1\n.endr", "setk c10:1, #0\nsetk c11:1, #1\nsetk c12:1, #0");
  same_code(".repeat 2, j\n.repeat \\j + 1\nsetk c(10 + 4 * \\j + \\i):1, 1\n.endr\n.endr",
            "setk c10:1, #1\nsetk c14:1, #1\nsetk c15:1, #1");
  same_code(".repeat 2\n.repeat 2\nsetk c1\\i\\():1, 1\n.endr\n.endr", "setk c10:1, #1\nsetk c11:1, #1\nsetk c10:1, #1\nsetk c11:1, #1");
  same_code(".repeat 0\nnonsense\n.endr", "");
  same_code(".macro one\nsetk c4:1, #1\n.endm\n.macro two\none\none ; twice\n.endm\ntwo", "setk c4:1, #1\nsetk c4:1, #1");
}

// A text that leaves out what has a default, and the same with everything.
static void test_defaults(void **state) {
  (void)state;
  char *x = meaning(HEAD ".tensor x type=s8 shape=[2, 600, 3]\n.tensor w type=u4 shape=[3] values=[1, 2, 15]\n"
                         ".grid g count=[2, 600]\n.desc lx tensor=x\n.desc lw tensor=w row_dim=none tap_count=[3]\n"
                         ".input x\n.output x\ngrid g\nload c4:8, lx[2]\nload c20:4, lw[1]\nstore c4:8, lx\nendgrid\nhalt\n");
  struct ap_program *p = good(x);
  assert_string_equal(p->network, "program");
  assert_string_equal(p->tech, "sram16");
  assert_int_equal(p->batch, 1);
  assert_true(p->vdd > 0.1);
  assert_string_equal(p->layers[0].name, "main");
  assert_int_equal(p->layers[0].end, p->ncode);
  assert_int_equal(p->layers[0].columns_used, 24);
  assert_int_equal(p->tensors[0].bias, -128);
  assert_int_equal(p->tensors[0].rank, 3);
  assert_int_equal(p->tensors[1].storage, AP_STORAGE_CONST);
  assert_int_equal(p->consts.count, 3);
  assert_int_equal(ap_consts_at(&p->consts, 2), 15);
  assert_int_equal(p->grids[0].tile_rows, 512);
  // Row 601 is (1, 1): element [1][1][tap].
  assert_int_equal(ap_desc_element(p, &p->descs[0], 601, 2), (1 * 600 + 1) * 3 + 2);
  assert_int_equal(ap_desc_element(p, &p->descs[1], 601, 1), 1);
  ap_program_free(p);
  free(x);
}

// Microcode of the user is kept; what is missing is generated.
static void test_microcode(void **state) {
  (void)state;
  char *text = bf_format("%s", HEAD DATA "grid rows\nnot c4:1, c5:1\nnot c4:2, c6:2\nendgrid\nhalt\n"
                                         ".micro not d:1 a:1\n0: write.all d[0]=1\n1: compare a[0]=1\n1: write d[0]=0\n.end\n");
  struct ap_program *p = good(text);
  assert_int_equal(p->nmicros, 2);
  assert_int_equal(p->micros[0].width[0], 1);
  assert_int_equal(p->micros[0].nsteps, 3);
  assert_int_equal(p->micros[0].lits[0].value, AP_LIT_1);
  struct ap_micro made;
  assert_true(ap_micro_generate(AP_OP_NOT, (const uint8_t[3]){2, 2, 0}, p->machine.features, &made));
  assert_int_equal(p->micros[1].nsteps, made.nsteps);
  ap_micro_free(&made);
  ap_program_free(p);
  free(text);
}

// Negative numbers of a pattern, names, what is left out.
static void test_patterns(void **state) {
  (void)state;
  struct ap_program *p = good(HEAD DATA ".pattern p width=10 key=2 base=-1 add=[-512, 1023, 5 * 2]\n"
                                        "grid rows\npattern c4:10, c20:3, c30:2, p\nendgrid\nhalt\n");
  assert_int_equal(p->npatterns, 1);
  const struct ap_pattern *pattern = &p->patterns[0];
  assert_int_equal(pattern->inputs, 3);
  assert_int_equal(pattern->key, 2);
  assert_int_equal(pattern->base, 1023);
  assert_int_equal(pattern->add[0], 512);
  assert_int_equal(pattern->add[1], 1023);
  assert_int_equal(pattern->add[2], 10);
  assert_int_equal(pattern->add[3], 0);
  ap_program_free(p);
  same_code(".pattern p width=10 add=[-1, 2, 3]\npattern c4:10, c20:3, c30:2, p",
            ".pattern 0 key=0 base=0 add=[0x3ff, 2, 3]\npattern c4:10, c20:3, c30:2, #0");
}

// Steps of every kind and literals of every sort stay what they are in text.
static void test_steps(void **state) {
  (void)state;
  char *x = meaning(HEAD DATA "grid rows\nadd.pair c4:2, c8:2, #3\nmove.up c4:2, c8:2, #3\nmove.down c4:2, c8:2, #1\n"
                              "sum c4:6, c20:2\naddk c4:6, 5\nmul c30:8, c40:4, c44:4\n"
                              "pattern c50:4, c60:1, #0\nendgrid\nhalt\n.pattern 0 add=[3]\n"
                              ".micro addk d:6\n0: compare d[0]=k0 flag1=0\n0: compare.or d[0]=~k1\n0: write d[0]=1\n.end\n");
  static const char *const PIECES[] = {"pair p[0]=1",    "shift.up\n",  "shift.down\n",   "count sum[1]\n", "=s3", "=p3",
                                       "compare.or d[0]=~k1", "d[0]=k0 flag1=0", "write.all", "b[0]=1"};
  for (size_t i = 0; i < BF_COUNT(PIECES); i++)
    if (!strstr(x, PIECES[i]))
      fail_msg("the text lacks %s", PIECES[i]);
  char *y = meaning(x);
  assert_string_equal(x, y);
  free(x);
  free(y);
}

static void test_errors(void **state) {
  (void)state;
  static const struct { const char *text, *message; unsigned line; const char *hint;  } LIST[] = {
      {".field acc 8\nadd acc, akk", "expected a field", 11, "did you mean acc?"},
      {"ad c4:8, c20:8", "unknown instruction", 10, "did you mean"},
      {"setk c4:8, #256", "256 is outside -128..255", 10, NULL},
      {"setk c4:8, #1/0", "division by zero", 10, NULL},
      {"setk c4:8, #1 << 65", "shift", 10, NULL},
      {"setk c4:8, #(1 << 63) * 4", "-2^64..2^64", 10, NULL},
      {"load c4:8, lx[1]", "its tap does not exist", 10, NULL},
      {"load c4:8, ly", "expected a descriptor", 10, "did you mean"},
      {".field f 8\n.field f 9", "already a field", 11, NULL},
      {".field c7 8", "is a column", 10, NULL},
      {".field f 64\n.field g 64\n.field h 64\n.field i 64", "no 64 neighbouring columns", 13, NULL},
      {"not c4:8, c20:8[4:5]", "bits 4..8 of a field of 8 bits", 10, NULL},
      {"a: loop 2\nendloop b", "not the label", 11, NULL},
      {".pattern p key=1", "needs add=", 10, NULL},
      {".pattern p add=[1, 2, 3, 4, 5, 6, 7, 8, 9]", "more than 8 numbers", 10, NULL},
      {".pattern p add=[1] add=[2]", "given twice", 10, NULL},
      {".pattern p ad=[1]", "unknown field", 10, "did you mean add?"},
      {".pattern p add=[-1]", "without width=", 10, "width=W"},
      {".pattern p width=3 add=[8]", "does not fit its width", 10, NULL},
      {".pattern p width=0 add=[1]", "1 to 64 columns", 10, NULL},
      {".pattern p key=256 add=[1]", "256", 10, NULL},
      {".pattern p add=[1]\n.pattern p add=[1]", "already a pattern", 11, NULL},
      {"pattern c4:8, c20:2, #p", "expected a pattern", 10, NULL},
      {"pattern c4:8, c20:2, #0", "its pattern does not exist", 10, NULL},
      {".pattern p add=[1]\npattern c4:8, c20:2, #p", "not as wide as its pattern has inputs", 11, NULL},
      {"pattern c4:8, #0", "expected a field", 10, NULL},
      {"endloop", "what is open here is a grid", 10, NULL},
      {".macro m a\nsetk \\a, 1\n.endm\nm", "takes 1 argument, not 0", 13, "its parameters are a"},
      {".macro m\nm\n.endm\nm", "nest deeper than 32", 11, "does a macro call itself?"},
      {".macro m d\nadd \\d, c4:8\n.endm\nm c20:4", "d is narrower than a", 11, NULL},
      {".repeat 1000000\n.repeat 1000000\nsetk c4:1, 1\n.endr\n.endr", "16 MiB", 10, NULL},
      {".repeat 2\nsetk c4:1, 1", "not closed", 10, ".endr"},
      {".endm", "nothing is open here", 10, NULL},
      {"write c4:1=1", "no tags are defined", 10, NULL},
      {"add c4:8, c20:8 c5", "expected the end of the line", 10, NULL},
  };
  for (size_t i = 0; i < BF_COUNT(LIST); i++) {
    char *text = code(LIST[i].text);
    struct bf_diags diags;
    if (parse(text, &diags))
      fail_msg("accepted: %s", LIST[i].text);
    const struct bf_diag *d = &diags.items[0];
    unsigned line = 0, column;
    if (!strstr(d->message, LIST[i].message))
      fail_msg("%s: %s", LIST[i].text, d->message);
    assert_non_null(d->range.source);
    bf_source_position(d->range.source, d->range.begin, &line, &column);
    if (line != LIST[i].line + 1)  // the list counts from the line of grid
      fail_msg("%s: line %u", LIST[i].text, line);
    if (LIST[i].hint && (!d->hint || !strstr(d->hint, LIST[i].hint)))
      fail_msg("%s: hint %s", LIST[i].text, d->hint ? d->hint : "none");
    bf_diags_free(&diags);
    free(text);
  }
}

static void test_binary(void **state) {
  (void)state;
  static const char BYTES[] = "\177ELF\2\1\1\0\0\0\0\0more";
  struct bf_diags diags = {0};
  assert_null(ap_asm_parse(bf_diags_add_source(&diags, "x", BYTES, sizeof BYTES), &diags));
  assert_int_equal(diags.count, 1);
  assert_non_null(strstr(diags.items[0].message, "binary"));
  bf_diags_free(&diags);
}

// Examples: their canonical text assembles to the same bytes.
static void test_examples(void **state) {
  (void)state;
  static const char *const NAMES[] = {"vector-add", "dot-product", "max-over-rows", "sort16", "search"};
  for (size_t i = 0; i < BF_COUNT(NAMES); i++) {
    char *path = bf_format("%s/examples/asm/%s.aps", BF_SOURCE_DIR, NAMES[i]), *text;
    size_t length;
    const char *why;
    struct bf_diags diags = {0};
    struct bf_buf a = {0}, b = {0};
    assert_true(bf_read_file(path, &text, &length, &why));
    char *canonical = meaning(text);
    struct ap_program *x = good(text), *y = good(canonical);
    assert_true(ap_program_write(x, &a, &diags) && ap_program_write(y, &b, &diags));
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.data, b.data, a.length);
    // A text cut off anywhere, or with a byte changed, is an error or another program, never a crash.
    for (size_t n = 0; n < length; n += 7) {
      char old = text[n];
      text[n] = (char)("\n;[\\.#0\"c:("[n % 11]);
      struct ap_program *p = parse(text, &diags);
      ap_program_free(p);
      bf_diags_free(&diags);
      text[n] = old;
    }
    bf_buf_free(&a);
    bf_buf_free(&b);
    ap_program_free(x);
    ap_program_free(y);
    free(canonical);
    free(text);
    free(path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_expressions), cmocka_unit_test(test_names),  cmocka_unit_test(test_macros),
      cmocka_unit_test(test_defaults),    cmocka_unit_test(test_microcode), cmocka_unit_test(test_steps), cmocka_unit_test(test_patterns),
      cmocka_unit_test(test_errors),      cmocka_unit_test(test_binary), cmocka_unit_test(test_examples)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
