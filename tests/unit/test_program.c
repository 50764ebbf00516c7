// SPDX-License-Identifier: Apache-2.0
// Container, assembly text and validator on a small program; hostile bytes; geometry against plain counting.
#define _GNU_SOURCE  // memmem
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isa/record.h"
#include "tests/support/refused.h"
#include "tiny_program.h"

static uint64_t seed = 7;
static uint64_t random64(void) {  // splitmix64
  uint64_t z = seed += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static void show(const struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
}

static void write_program(const struct ap_program *p, struct bf_buf *out) {
  struct bf_diags diags = {0};
  if (!ap_program_validate(p, &diags) || !ap_program_write(p, out, &diags)) {
    show(&diags);
    fail();
  }
  bf_diags_free(&diags);
}

static struct ap_program *read_program(const struct bf_buf *bytes) {
  struct bf_diags diags = {0};
  struct ap_program *p = ap_program_read(bytes->data, bytes->length, "tiny.apbin", &diags);
  if (!p)
    show(&diags);
  assert_non_null(p);
  bf_diags_free(&diags);
  return p;
}

static void assert_bytes(const struct bf_buf *x, const struct bf_buf *y) {
  assert_int_equal(x->length, y->length);
  assert_memory_equal(x->data, y->data, x->length);
}

static void test_container(void **state) {
  (void)state;
  struct ap_program *p = tiny_program(), *q;
  struct bf_buf first = {0}, second = {0};
  write_program(p, &first);
  q = read_program(&first);
  write_program(q, &second);
  assert_bytes(&first, &second);
  assert_string_equal(q->tensors[3].name, "v/\"view\"");
  assert_int_equal(ap_consts_at(&q->consts, 3), 15);
  assert_int_equal(q->source.length, p->source.length);
  assert_int_equal(q->layers[2].first, 10);
  ap_program_free(p);
  ap_program_free(q);
  bf_buf_free(&first);
  bf_buf_free(&second);
}

static void test_assembly(void **state) {
  (void)state;
  struct ap_program *p = tiny_program(), *q;
  struct bf_buf text = {0}, again = {0}, first = {0}, second = {0};
  struct bf_diags diags = {0};
  ap_asm_print(p, &text);
  q = ap_asm_parse(bf_diags_add_source(&diags, "tiny.aps", text.data, text.length), &diags);
  if (!q)
    show(&diags);
  assert_non_null(q);
  write_program(p, &first);
  write_program(q, &second);
  assert_bytes(&first, &second);
  ap_asm_print(q, &again);
  assert_bytes(&text, &again);
  bf_diags_free(&diags);
  ap_program_free(p);
  ap_program_free(q);
  bf_buf_free(&text);
  bf_buf_free(&again);
  bf_buf_free(&first);
  bf_buf_free(&second);
}

static void patterned(struct ap_program *p);
static void expect_read_error(struct bf_buf *bytes, const char *words);
static char *section_header(struct bf_buf *bytes, const char *name);

// Patterns through both forms; numbers of 8 bytes and of 2.
static void test_patterns(void **state) {
  (void)state;
  struct ap_program *p = tiny_program(), *q, *r;
  struct bf_buf text = {0}, first = {0}, second = {0}, third = {0};
  struct bf_diags diags = {0};
  patterned(p);
  p->descs[1].bit = 2, p->descs[1].bits = 2;
  p->code[2].f[0].width = 2;
  write_program(p, &first);
  q = read_program(&first);
  assert_int_equal(q->npatterns, 2);
  assert_memory_equal(q->patterns[0].add, p->patterns[0].add, sizeof p->patterns[0].add);
  assert_true(q->patterns[0].base == UINT64_MAX && q->patterns[0].key == 255 && q->patterns[0].inputs == 8);
  assert_memory_equal(q->patterns[1].add, p->patterns[1].add, sizeof p->patterns[1].add);
  write_program(q, &second);
  assert_bytes(&first, &second);
  ap_asm_print(p, &text);
  r = ap_asm_parse(bf_diags_add_source(&diags, "tiny.aps", text.data, text.length), &diags);
  if (!r)
    show(&diags);
  assert_non_null(r);
  write_program(r, &third);
  assert_bytes(&first, &third);
  uint64_t place;
  memcpy(&place, section_header(&first, ".ap.patterns") + 0x18, 8);
  char *item = first.data + place + 4 + 3 + 9 * 8;  // inputs, key, size and numbers of the second
  assert_int_equal(item[0], 3);
  item[0] = 9;
  expect_read_error(&first, "inputs of a pattern");
  item[0] = 3, item[2] = 9;
  expect_read_error(&first, "number size of a pattern is not");
  item[2] = 2, item[4] = item[6] = item[8] = item[10] = 0;
  expect_read_error(&first, "larger than needed");
  bf_diags_free(&diags);
  ap_program_free(p);
  ap_program_free(q);
  ap_program_free(r);
  bf_buf_free(&text);
  bf_buf_free(&first);
  bf_buf_free(&second);
  bf_buf_free(&third);
}

// Streams above 255 and constants of each size take other paths of the writer.
static void test_wide(void **state) {
  (void)state;
  struct ap_program *p = tiny_program(), *q;
  struct bf_buf first = {0}, second = {0};
  struct ap_instr *items = bf_arena_alloc(&p->arena, 300, sizeof *items);
  for (unsigned i = 0; i < 300; i++) {
    items[i] = p->tables[0].items[0];
    items[i].imm = i;
  }
  p->tables[0].items = items;
  p->tables[0].count = 300;
  p->streams[0].steps[3] = 299;
  p->tensors[1].shape[2] = 3000;
  p->tensors[1].bits = p->descs[1].bits = p->descs[3].bits = 64;
  p->code[2] = (struct ap_instr){.op = AP_OP_LOAD, .f = {{40, 64}}, .index = 1};
  p->consts = (struct ap_consts){0};
  for (unsigned i = 0; i < 12000; i++)
    ap_consts_add(&p->consts, &p->arena, (const uint64_t[]){random64() >> (i < 4096 ? 56 : i < 8192 ? 40 : 0)}, 1);
  write_program(p, &first);
  q = read_program(&first);
  assert_true(q->consts.count == 12000 && ap_consts_equal(&p->consts, 0, &q->consts, 0, 12000));
  assert_int_equal(q->streams[0].steps[3], 299);
  write_program(q, &second);
  assert_bytes(&first, &second);
  ap_program_free(p);
  ap_program_free(q);
  bf_buf_free(&first);
  bf_buf_free(&second);
}

static void test_truncation(void **state) {
  (void)state;
  struct ap_program *p = tiny_program();
  struct bf_buf bytes = {0};
  write_program(p, &bytes);
  for (size_t length = 0; length < bytes.length; length++) {
    struct bf_diags diags = {0};
    char *copy = malloc(length + !length);  // exact, so that a sanitizer sees reads behind it
    memcpy(copy, bytes.data, length);
    assert_null(ap_program_read(copy, length, "cut.apbin", &diags));
    assert_true(diags.errors > 0);
    bf_diags_free(&diags);
    free(copy);
  }
  ap_program_free(p);
  bf_buf_free(&bytes);
}

// A changed file is refused with an error, or it is a valid program that survives both round trips.
static bool survives(const struct bf_buf *bytes) {
  struct bf_diags diags = {0};
  struct ap_program *p = ap_program_read(bytes->data, bytes->length, "flip.apbin", &diags);
  if (!p) {
    assert_true(diags.errors > 0);
    bf_diags_free(&diags);
    return false;
  }
  struct bf_buf written = {0}, text = {0}, assembled = {0};
  write_program(p, &written);
  ap_asm_print(p, &text);
  struct ap_program *q = ap_asm_parse(bf_diags_add_source(&diags, "t", text.data, text.length), &diags);
  if (!q)
    show(&diags);
  assert_non_null(q);
  write_program(q, &assembled);
  assert_bytes(&written, &assembled);
  ap_program_free(p);
  ap_program_free(q);
  bf_diags_free(&diags);
  bf_buf_free(&written);
  bf_buf_free(&text);
  bf_buf_free(&assembled);
  return true;
}

static void test_flips(void **state) {
  (void)state;
  struct ap_program *p = tiny_program();
  struct bf_buf good = {0}, bytes = {0};
  unsigned accepted = 0, rounds = 6000;
  write_program(p, &good);
  for (unsigned i = 0; i < rounds; i++) {
    bytes.length = 0;
    bf_buf_append(&bytes, good.data, good.length);
    unsigned flips = 1 + (unsigned)(random64() % 3);
    for (unsigned k = 0; k < flips; k++) {
      char *at = &bytes.data[random64() % bytes.length];
      *at = random64() & 1 ? (char)random64() : (char)(*at ^ 1 << random64() % 8);
    }
    accepted += survives(&bytes);
  }
  assert_true(accepted > 0 && accepted < rounds);
  ap_program_free(p);
  bf_buf_free(&good);
  bf_buf_free(&bytes);
}

static void test_text_flips(void **state) {
  (void)state;
  static const char BYTES[] = "0123456789abcdefk#:;,.[]=\"\\\n -~\x80\x01";
  struct ap_program *p = tiny_program();
  struct bf_buf good = {0}, text = {0};
  ap_asm_print(p, &good);
  for (unsigned i = 0; i < 3000; i++) {
    struct bf_diags diags = {0};
    text.length = 0;
    bf_buf_append(&text, good.data, i % 7 ? good.length : random64() % good.length);
    for (unsigned k = 0; k < 1 + i % 3 && text.length; k++)
      text.data[random64() % text.length] = BYTES[random64() % (sizeof BYTES - 1)];
    struct ap_program *q = ap_asm_parse(bf_diags_add_source(&diags, "t", bf_buf_cstr(&text), text.length), &diags);
    assert_true(q != NULL || diags.errors > 0);
    struct bf_buf shown = {0};
    bf_diags_render(&diags, &shown);
    bf_buf_free(&shown);
    ap_program_free(q);
    bf_diags_free(&diags);
  }
  ap_program_free(p);
  bf_buf_free(&good);
  bf_buf_free(&text);
}

// One case a rule: a change to the good program and words of the message.
#define CASES(X)                                                                                            \
  X(network, p->network = NULL, "network has no name")                                                      \
  X(tech, p->tech = NULL, "no technology")                                                                  \
  X(weights, p->weights = "a\033[31m", "origin of the weights")                                                \
  X(batch, p->batch = 0, "batch is 0")                                                                      \
  X(vdd, p->vdd = -1, "supply voltage")                                                                     \
  X(columns, p->machine.columns = 5000, "columns")                                                          \
  X(tensor_name, p->tensors[0].name = NULL, "no name")                                                      \
  X(tensor_names, p->tensors[0].name = p->tensors[1].name, "two tensors")                                   \
  X(storage, p->tensors[0].storage = 9, "storage class")                                                    \
  X(bits, p->tensors[0].bits = 65, "bits are outside")                                                      \
  X(rank, p->tensors[0].rank = 5, "rank is outside")                                                        \
  X(rank_shape, p->tensors[0].rank = 2, "more dimensions")                                                  \
  X(shape_zero, p->tensors[0].shape[2] = 0, "shape")                                                        \
  X(shape_huge, p->tensors[0].shape[2] = UINT32_MAX, "too many elements")                                   \
  X(scale, p->tensors[0].scale = 0, "scale")                                                                \
  X(alias_missing, p->tensors[3].alias = 77, "does not exist")                                              \
  X(alias_self, p->tensors[3].alias = 3, "circle")                                                          \
  X(alias_circle, p->tensors[2].alias = 3, "circle")                                                        \
  X(alias_shape, p->tensors[3].shape[1] = 7, "elements or bits differ")                                     \
  X(alias_const, p->tensors[3].storage = AP_STORAGE_CONST, "only one is constant")                          \
  X(const_place, p->tensors[1].data = 1, "constant pool")                                                   \
  X(const_short, p->consts.count = 3, "constant pool")                                                           \
  X(const_bits, ap_consts_set(&p->consts, &p->arena, 2, 16), "more than 4 bits")                                                      \
  X(input_missing, p->inputs[0] = 5, "does not exist")                                                      \
  X(input_const, p->inputs[0] = 1, "not an activation")                                                     \
  X(output_type, p->tensors[4].type = bf_arena_strdup(&p->arena, "x9"), "no type")                          \
  X(host_kind, p->hosts[0].kind = 3, "unknown kind")                                                        \
  X(host_tensor, p->hosts[0].output = 5, "unknown kind or tensor")                                          \
  X(host_const, p->hosts[0].output = 1, "writes the constant")                                              \
  X(host_shape, p->hosts[0].input = 0, "shapes of")                                                         \
  X(host_scale, p->hosts[0].in_scale = -1, "not a positive number")                                         \
  X(host_bits, p->hosts[0].input = 3, "at most 8 bits")                                                     \
  X(host_beta, p->hosts[0].beta = 0, "beta out of range")                                                   \
  X(layer_name, p->layers[0].name = NULL, "no name")                                                        \
  X(layer_names, p->layers[0].name = p->layers[1].name, "two layers")                                       \
  X(grid_zero, p->grids[0].count[1] = 0, "row dimension is 0")                                              \
  X(grid_huge, p->grids[0].count[1] = UINT32_MAX, "too many")                                               \
  X(grid_tile, p->grids[0].tile_rows = 0, "a CAP has 1 to")                                                 \
  X(grid_tile_large, p->grids[0].tile_rows = p->machine.rows + 1, "a CAP has 1 to")                         \
  X(desc_grid, p->descs[0].grid = 2, "grid does not exist")                                                 \
  X(desc_tensor, p->descs[0].tensor = 9, "tensor does not exist")                                           \
  X(desc_bits, p->descs[0].bits = 9, "not among those of its tensor")                                       \
  X(desc_no_bits, p->descs[0].bits = 0, "not among those of its tensor")                                    \
  X(desc_bit, p->descs[0].bit = 1, "not among those of its tensor")                                         \
  X(desc_bit_pad, (p->descs[0].bit = 7, p->descs[0].bits = 1), "padding value")                             \
  X(pattern_inputs, (patterned(p), p->patterns[0].inputs = 9), "9 inputs")                                  \
  X(pattern_no_inputs, (patterned(p), p->patterns[0].inputs = 0), "0 inputs")                               \
  X(pattern_key, (patterned(p), p->patterns[0].key = 256), "more than 8 bits")                              \
  X(pattern_behind, (patterned(p), p->patterns[1].add[3] = 1), "behind its last input")                     \
  X(pattern_missing, (patterned(p), p->tables[0].items[0].index = 2), "its pattern does not exist")         \
  X(pattern_width, (patterned(p), p->patterns[1].inputs = 4), "not as wide as its pattern")                 \
  X(pattern_key_width, (patterned(p), p->patterns[1].key = 4), "wider than field b")                        \
  X(pattern_base, (patterned(p), p->patterns[1].base = 4096), "wider than d")                               \
  X(pattern_add, (patterned(p), p->patterns[1].add[2] = 4096), "wider than d")                              \
  X(store_bits, (p->descs[2].bits = 11, p->code[7].f[0].width = 11), "a part of the element's bits")        \
  X(desc_pad, p->descs[0].pad_value = 256, "padding value")                                                 \
  X(desc_dim, p->descs[0].row_dim[2] = 4, "selects no tensor dimension")                                    \
  X(desc_taps, p->descs[0].tap_count[0] = 65536, "taps are more")                                           \
  X(desc_tap_zero, p->descs[0].tap_count[0] = 0, "tap dimension is 0")                                      \
  X(micro_order, struct ap_micro m = p->micros[0]; p->micros[0] = p->micros[1]; p->micros[1] = m, "ascending")                                                  \
  X(micro_op, p->micros[0].op = AP_OP_LOAD, "microcode program 0")                                          \
  X(micro_width, p->micros[0].width[2] = 3, "microcode program 0")                                          \
  X(micro_lits, p->micros[0].lits[0].slot = 9, "microcode program 0")                                       \
  X(micro_imm, (p->micros[0].lits[0].value = AP_LIT_K, p->micros[0].lits[0].kbit = 12), "microcode program 0") \
  X(micro_accumulate, p->micros[0].steps[1].kind = AP_STEP_COMPARE_OR, "microcode program 0")               \
  X(table_op, p->tables[0].items[0] = (struct ap_instr){.op = AP_OP_BARRIER}, "neither a move")             \
  X(table_grid, p->tables[0].items[0] = ((struct ap_instr){.op = AP_OP_LOAD, .f = {{4, 4}}, .index = 3}), "another grid") \
  X(stream_table, p->streams[0].table = 1, "its table does not exist")                                      \
  X(stream_step, p->streams[0].steps[4] = 3, "no entry 3")                                                  \
  X(steps_grid, p->code[0].index = 1, "another grid")                                                       \
  X(no_halt, p->ncode--, "does not end with halt")                                                          \
  X(halt_early, p->code[9].op = AP_OP_HALT, "not at the end")                                               \
  X(grid_missing, p->code[0].index = 2, "grid does not exist")                                              \
  X(endgrid, (p->code[0] = (struct ap_instr){.op = AP_OP_BARRIER}), "outside a tile region")                  \
  X(grid_nested, (p->code[3] = (struct ap_instr){.op = AP_OP_GRID}), "region within a region")                \
  X(endgrid_alone, (p->code[9] = (struct ap_instr){.op = AP_OP_ENDGRID}), "no region is open")                \
  X(region_open, (p->code[8] = (struct ap_instr){.op = AP_OP_LOOP, .index = 1}), "within a tile region")      \
  X(barrier_inside, (p->code[3] = (struct ap_instr){.op = AP_OP_BARRIER}), "within a tile region")            \
  X(host_inside, (p->code[3] = (struct ap_instr){.op = AP_OP_HOST}), "within a tile region")                  \
  X(host_index, p->code[10].index = 1, "host op does not exist")                                            \
  X(loop_open, p->code[6] = p->code[3], "ends within a loop")                                               \
  X(loop_alone, p->code[4] = p->code[3], "no loop is open")                                                 \
  X(loop_outside, (p->code[10] = (struct ap_instr){.op = AP_OP_ENDLOOP}), "outside a tile region")            \
  X(loop_deep, loops(p, 5), "nest deeper")                                                                  \
  X(loop_work, loops(p, 2), "2^40")                                                                         \
  X(compute_outside, (p->code[10] = p->code[3]), "outside a tile region")                                   \
  X(steps_outside, (p->code[10] = p->code[5]), "outside a tile region")                                     \
  X(stream_missing, p->code[5].index = 1, "stream does not exist")                                          \
  X(no_micro, p->code[3].op = AP_OP_MULS, "no microcode")                                                   \
  X(column, p->code[3].f[0].col = 1020, "beyond the machine")                                               \
  X(move_desc, p->code[1].index = 4, "descriptor does not exist")                                           \
  X(move_tap, p->code[1].tap = 3, "tap does not exist")                                                     \
  X(move_width, p->code[1].f[0].width = 7, "not as wide")                                                   \
  X(move_grid, p->code[2].index = 3, "another grid")                                                        \
  X(store_const, p->code[2].op = AP_OP_STORE, "into a constant")                                            \
  X(store_range, p->code[7].tap = 2, "outside the tensor")                                                  \
  X(store_negative, p->descs[2].origin[1] = 0, "outside the tensor")                                        \
  X(layer_order, p->layers[2].first = 3, "not in order")                                                    \
  X(layer_range, p->layers[2].end = 13, "not in range")                                                     \
  X(layer_output, p->layers[2].output = 5, "output tensor")                                                 \
  X(layer_none, p->nlayers = 2, "belongs to no layer")                                                      \
  X(layer_region, p->layers[0].end = 5, "within a tile region")

// Replaces the code of the region by nested long loops.
static void loops(struct ap_program *p, unsigned depth) {
  for (unsigned i = 0; i < depth; i++)
    p->code[1 + i] = (struct ap_instr){.op = AP_OP_LOOP, .index = depth > 2 ? 1 : INT32_MAX};
}

// The first entry of the table becomes a pattern instruction.
static void patterned(struct ap_program *p) {
  struct ap_micro *micros = bf_arena_alloc(&p->arena, 4, sizeof *micros);
  memcpy(micros, p->micros, 3 * sizeof *micros);
  p->micros = micros;
  tiny_micro(p, AP_OP_PATTERN, 12, 3, 2);
  qsort(p->micros, p->nmicros, sizeof *p->micros, tiny_order);
  p->tables[0].items[0] = (struct ap_instr){.op = AP_OP_PATTERN, .f = {{16, 12}, {4, 3}, {7, 2}}, .index = 1};
  p->patterns = bf_arena_alloc(&p->arena, p->npatterns = 2, sizeof *p->patterns);
  p->patterns[0] = (struct ap_pattern){.inputs = 8, .key = 255, .base = UINT64_MAX, .add = {1, 0, UINT64_MAX, 3, 1, 1, 1, 9}};
  p->patterns[1] = (struct ap_pattern){.inputs = 3, .key = 3, .base = 4095, .add = {0, 1, 300}};
}

CASES(REFUSED_CHANGE)

static void test_validator(void **state) {
  (void)state;
  static const struct refused list[] = {CASES(REFUSED_ROW)};
  expect_refused(tiny_program, list, BF_COUNT(list));
}

static void expect_read_error(struct bf_buf *bytes, const char *words) {
  struct bf_diags diags = {0};
  assert_null(ap_program_read(bytes->data, bytes->length, "bad.apbin", &diags));
  assert_int_equal(diags.errors, 1);
  if (!strstr(diags.items[0].message, words))
    fail_msg("expected \"%s\", got \"%s\"", words, diags.items[0].message);
  assert_string_equal(diags.items[0].file, "bad.apbin");
  bf_diags_free(&diags);
}

// Place of a string in the file.
static char *find(struct bf_buf *bytes, const char *text, size_t length) {
  char *at = memmem(bytes->data, bytes->length, text, length);
  assert_non_null(at);
  return at;
}

// The section header of `name`, by a reading of the ELF layout that shares nothing with the reader.
static char *section_header(struct bf_buf *bytes, const char *name) {
  uint64_t table;
  uint16_t count, names;
  memcpy(&table, bytes->data + 0x28, 8);
  memcpy(&count, bytes->data + 0x3C, 2);
  memcpy(&names, bytes->data + 0x3E, 2);
  uint64_t strings;
  memcpy(&strings, bytes->data + table + 64 * (uint64_t)names + 0x18, 8);
  for (unsigned i = 1; i < count; i++) {
    uint32_t offset;
    memcpy(&offset, bytes->data + table + 64 * i, 4);
    if (strcmp(bytes->data + strings + offset, name) == 0)
      return bytes->data + table + 64 * i;
  }
  fail_msg("no section %s", name);
  return NULL;
}

static void test_reader_errors(void **state) {
  (void)state;
  struct ap_program *p = tiny_program();
  struct bf_buf good = {0}, bytes = {0};
  write_program(p, &good);
#define FRESH() (bytes.length = 0, bf_buf_append(&bytes, good.data, good.length))
  FRESH();
  bytes.data[1] = 'X';
  expect_read_error(&bytes, "no ELF file");
  FRESH();
  bytes.data[0x12] = 62;
  bytes.data[0x13] = 0;
  expect_read_error(&bytes, "another machine");
  FRESH();
  bytes.data[0x12] = bytes.data[0x13] = 0;  // what GNU strip leaves
  ap_program_free(read_program(&bytes));
  FRESH();
  find(&bytes, ".ap.micro", 10)[4] = 'M';
  expect_read_error(&bytes, "unknown to this version");
  FRESH();
  memcpy(find(&bytes, ".ap.micro", 10), ".no.micro", 9);
  expect_read_error(&bytes, "section .ap.micro is missing");
  for (int delta = -9; delta <= 9; delta++) {
    if (delta == 0)
      continue;
    FRESH();
    uint64_t size;
    memcpy(&size, section_header(&bytes, ".ap.micro") + 0x20, 8);
    size += (uint64_t)(int64_t)delta;
    memcpy(section_header(&bytes, ".ap.micro") + 0x20, &size, 8);
    expect_read_error(&bytes, "section .ap.micro");
  }
  FRESH();
  find(&bytes, "rows = ", 7)[7] = '9';
  expect_read_error(&bytes, "does not match its hash");
  FRESH();
  uint64_t place;
  memcpy(&place, section_header(&bytes, ".ap.meta") + 0x18, 8);
  bytes.data[place] = 2;
  expect_read_error(&bytes, "unknown version");
  FRESH();
  memcpy(&place, section_header(&bytes, ".ap.code") + 0x18, 8);
  bytes.data[place + 1] = 1;
  expect_read_error(&bytes, "reserved bit");
  FRESH();
  bytes.data[place] = 0x7F;
  expect_read_error(&bytes, "unknown opcode");
#undef FRESH
  ap_program_free(p);
  bf_buf_free(&good);
  bf_buf_free(&bytes);
}

static void test_assembler_errors(void **state) {
  (void)state;
  static const struct { const char *from, *to, *words; } LIST[] = {
      {"mul c16:12, c4:8, c12:4", "mull c16:12, c4:8, c12:4", "unknown instruction"},
      {"mul c16:12, c4:8, c12:4", "mul c16:12, c4:8, c14:4", "overlaps"},
      {"mul c16:12, c4:8, c12:4", "mul c16:12, c4:8", "expected ','"},
      {"mul c16:12, c4:8, c12:4", "mul c16:12, c4:8, c1024:4", "expected c0..c1023"},
      {"mul c16:12, c4:8, c12:4", "mul c16:12, c4:8, c12:4 c5", "expected the end of the line"},
      {".grid 0", ".grid 1", "number 1 where 0"},
      {".grid 0", ".gridd 0", "expected a directive"},
      {"tile_rows=7", "tile_rose=7", "unknown field"},
      {"tile_rows=7", "tile_rows=x", "expected a value"},
      {" tensor=0", "", ".desc needs tensor="},
      {"count=[1, 2, 3, 4]", "count=[1, 2, 3, 4, 5]", "at most 4 elements"},
      {"storage=const", "storage=konst", "unknown value of storage"},
      {"scale=0.1", "scale=nan", "finite number"},
      {"\"tiny\"", "\"ti\\qny\"", "unknown escape"},
      {"\"tiny\"", "[tiny]", "expected a quoted text"},
      {".aps 1", ".aps 2", "unknown version"},
      {".aps 1", "", "no .aps directive"},
      {": write", ": wrote", "unknown microcode step"},
      {"flag0=", "flag4=", "expected flag0..flag3"},
  };
  struct ap_program *p = tiny_program();
  struct bf_buf good = {0};
  ap_asm_print(p, &good);
  for (size_t i = 0; i < BF_COUNT(LIST); i++) {
    struct bf_diags diags = {0};
    struct bf_buf text = {0};
    const char *at = strstr(bf_buf_cstr(&good), LIST[i].from);
    if (!at)
      fail_msg("the text lacks %s", LIST[i].from);
    bf_buf_append(&text, good.data, (size_t)(at - good.data));
    bf_buf_puts(&text, LIST[i].to);
    bf_buf_puts(&text, at + strlen(LIST[i].from));
    assert_null(ap_asm_parse(bf_diags_add_source(&diags, "bad.aps", text.data, text.length), &diags));
    assert_true(diags.errors > 0);
    if (!strstr(diags.items[0].message, LIST[i].words))
      fail_msg("case %zu: %s", i, diags.items[0].message);
    assert_non_null(diags.items[0].range.source);
    bf_diags_free(&diags);
    bf_buf_free(&text);
  }
  ap_program_free(p);
  bf_buf_free(&good);
}

// Coordinates of a row by the formula of the header, and distinct ones by comparing all pairs.
static uint64_t count_distinct(const struct ap_grid *grid, const struct ap_desc *desc, uint64_t row0, uint64_t rows) {
  int64_t at[64][4] = {{0}};
  uint64_t distinct = 0;
  for (uint64_t i = 0; i < rows; i++) {
    uint64_t r = row0 + i;
    for (int j = 3; j >= 0; j--) {
      if (desc->row_dim[j] < 4)
        at[i][desc->row_dim[j]] += (int64_t)(r % grid->count[j]) * desc->row_stride[j];
      r /= grid->count[j];
    }
    bool known = false;
    for (uint64_t k = 0; k < i && !known; k++)
      known = memcmp(at[k], at[i], sizeof at[i]) == 0;
    distinct += !known;
  }
  return distinct;
}

static void test_distinct(void **state) {
  (void)state;
  for (int round = 0; round < 20000; round++) {
    struct ap_grid grid = {.tile_rows = 64};
    struct ap_desc desc = {0};
    struct ap_program p = {.grids = &grid, .ngrids = 1};
    for (unsigned j = 0; j < 4; j++) {
      grid.count[j] = 1 + (uint32_t)(random64() % 5);
      desc.row_dim[j] = random64() % 3 ? (uint8_t)(random64() % 4) : UINT8_MAX;
      desc.row_stride[j] = (int32_t)(random64() % 7) - 3;
    }
    uint64_t all = ap_grid_rows(&grid), row0 = random64() % all, rows = 1 + random64() % (all - row0);
    rows = rows > 64 ? 64 : rows;
    assert_int_equal(ap_desc_distinct(&p, &desc, row0, rows), count_distinct(&grid, &desc, row0, rows));
  }
}

static void test_geometry(void **state) {
  (void)state;
  struct ap_program *p = tiny_program();
  assert_int_equal(ap_grid_rows(&p->grids[0]), 24);
  assert_int_equal(ap_grid_tiles(&p->grids[0]), 4);
  assert_int_equal(ap_tensor_root(p, 3), 2);
  // Row 17 of 1x2x3x4 is (0, 1, 1, 1); tap t moves y by t - 1.
  assert_int_equal(ap_desc_element(p, &p->descs[0], 17, 0), 0 * 12 + 1 * 4 + 1);
  assert_int_equal(ap_desc_element(p, &p->descs[0], 17, 1), 1 * 12 + 1 * 4 + 1);
  assert_int_equal(ap_desc_element(p, &p->descs[0], 17, 2), -1);
  assert_int_equal(ap_desc_element(p, &p->descs[1], 17, 0), 1);
  // A store that mirrors y: y = 1 - 1, x = 1, channel 1 + tap.
  assert_int_equal(ap_desc_element(p, &p->descs[2], 17, 1), 0 * 15 + 1 * 5 + 2);
  assert_int_equal(ap_desc_distinct(p, &p->descs[1], 3, 2), 2);
  assert_int_equal(ap_desc_distinct(p, &p->descs[1], 0, 7), 4);
  ap_program_free(p);
}

// docs/apbin.md names every field of every record.
static void test_manual(void **state) {
  (void)state;
  char *text;
  size_t length;
  const char *why;
  assert_true(bf_read_file(BF_SOURCE_DIR "/docs/apbin.md", &text, &length, &why));
  static const char *const KINDS[AP_KIND_COUNT] = {"u8",  "u32", "i32", "u64", "i64", "f32", "f64",
                                                   "bool", "text", "dim", "ref", "u32", "u32", "storage", "host kind"};
  for (enum ap_record r = 0; r < AP_RECORD_COUNT; r++)
    for (unsigned i = 0; ap_record_field(r, i); i++) {
      const struct ap_field_info *f = ap_record_field(r, i);
      char *times = f->count > 1 ? bf_format(" x %u", f->count) : bf_strdup("");
      char *row = bf_format("| `%s` | %s%s | %s |", f->key, KINDS[f->kind], times, f->meaning);
      if (!strstr(text, row))
        fail_msg("docs/apbin.md lacks the row\n%s", row);
      free(row);
      free(times);
    }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_container), cmocka_unit_test(test_assembly), cmocka_unit_test(test_wide), cmocka_unit_test(test_patterns),
      cmocka_unit_test(test_truncation), cmocka_unit_test(test_flips), cmocka_unit_test(test_text_flips),
      cmocka_unit_test(test_validator), cmocka_unit_test(test_reader_errors),
      cmocka_unit_test(test_assembler_errors), cmocka_unit_test(test_distinct), cmocka_unit_test(test_geometry),
      cmocka_unit_test(test_manual),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
