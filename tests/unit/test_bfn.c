// SPDX-License-Identifier: Apache-2.0
// The .bfn front end: every operator, blocks, profiles, and what it says about wrong texts.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/bfn.h"

// --- helpers ---

static struct bf_archive weights;

static void add_weights(const char *name, enum bf_dtype dtype, unsigned rank, const uint64_t *shape) {
  struct bf_array a = {.dtype = dtype, .rank = rank, .elements = 1};
  for (unsigned i = 0; i < rank; i++) a.elements *= a.shape[i] = shape[i];
  a.data = bf_alloc(a.elements, bf_dtype_size(dtype));
  for (uint64_t i = 0; i < a.elements; i++) {
    int value = (int)(i % 7) - 3;
    if (dtype == BF_DTYPE_I8) ((int8_t *)a.data)[i] = (int8_t)value;
    if (dtype == BF_DTYPE_I32) ((int32_t *)a.data)[i] = value;
    if (dtype == BF_DTYPE_F32) ((float *)a.data)[i] = 0.01f * (float)(i + 1);
  }
  bf_archive_add(&weights, name, a);
}

#define SHAPE(...) (sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)), (const uint64_t[]){__VA_ARGS__}

static int set_up(void **state) {
  add_weights("w", BF_DTYPE_I8, SHAPE(4, 3, 3, 2));
  add_weights("b", BF_DTYPE_I32, SHAPE(4));
  add_weights("w_scale", BF_DTYPE_F32, SHAPE(4));
  add_weights("real", BF_DTYPE_F32, SHAPE(4, 3, 3, 2));
  add_weights("dw", BF_DTYPE_I8, SHAPE(4, 3, 3, 1));
  add_weights("group", BF_DTYPE_I8, SHAPE(4, 3, 3, 1));
  add_weights("fc", BF_DTYPE_I8, SHAPE(3, 16));
  add_weights("s1.w", BF_DTYPE_I8, SHAPE(2, 3, 3, 2));
  add_weights("s2.w", BF_DTYPE_I8, SHAPE(2, 3, 3, 2));
  add_weights("s1.scale", BF_DTYPE_F32, SHAPE(2));
  add_weights("s2.scale", BF_DTYPE_F32, SHAPE(2));
  return 0;
}

static int tear_down(void **state) {
  bf_archive_free(&weights);
  return 0;
}

static struct bf_graph *compile_batch(const char *text, uint32_t batch, char **messages) {
  struct bf_diags diags = {0};
  struct bf_buf out = {0};
  struct bf_bfn_options options = {.batch = batch};
  const struct bf_source *source = bf_diags_add_source(&diags, "t.bfn", text, strlen(text));
  struct bf_graph *graph = bf_bfn_compile(source, &weights, &options, &diags);
  assert_true((graph == NULL) == (diags.errors > 0));
  bf_diags_render(&diags, &out);
  *messages = bf_strdup(bf_buf_cstr(&out));
  bf_buf_free(&out);
  bf_diags_free(&diags);
  return graph;
}

// The graph of a network with the body `body`; it must compile in silence.
static struct bf_graph *network(const char *body) {
  char *messages, *text = bf_format("bfn 1;\nnetwork n {\n%s\n}\n", body);
  struct bf_graph *graph = compile_batch(text, 1, &messages);
  if (!graph || *messages) fail_msg("%s", messages);
  free(text);
  free(messages);
  return graph;
}

static const struct bf_node *node(const struct bf_graph *graph, const char *name) {
  const struct bf_tensor *t = bf_graph_find_tensor(graph, name);
  if (!t || !t->producer) fail_msg("no layer %s", name);
  return t->producer;
}

static void has_shape(const struct bf_graph *graph, const char *name, unsigned rank, const uint64_t *shape) {
  const struct bf_tensor *t = bf_graph_find_tensor(graph, name);
  assert_non_null(t);
  assert_int_equal(t->rank, rank);
  for (unsigned i = 0; i < rank; i++) assert_int_equal(t->shape[i], shape[i]);
}

// What is said about a network with this body, exactly.
static void says(const char *body, const char *wanted) {
  char *messages, *text = bf_format("bfn 1;\nnetwork n {\n%s\n}\n", body);
  struct bf_graph *graph = compile_batch(text, 1, &messages);
  assert_string_equal(messages, wanted);
  assert_null(graph);
  free(text);
  free(messages);
}

// One error with this message (and hint) in the given line.
static void one_error(const char *text, unsigned line, const char *part) {
  char *messages, *place = bf_format("t.bfn:%u:", line);
  struct bf_graph *graph = compile_batch(text, 1, &messages);
  const char *first = strstr(messages, "error: ");
  if (graph || !first || strstr(first + 1, "error: ") || strncmp(messages, place, strlen(place)) || !strstr(messages, part))
    fail_msg("wanted \"%s\" in line %u of\n%s\ngot\n%s", part, line, text, messages);
  free(messages);
  free(place);
}

// Line 1 of `body` is line 5 of the text.
static void wrong(const char *body, unsigned line, const char *part) {
  char *text = bf_format("bfn 1;\nnetwork n {\n input x: s8[8, 8, 2] scale 0.5 zero 1;\n const w: s8[4, 3, 3, 2] scale 0.1;\n%s\n}\n", body);
  one_error(text, line + 4, part);
  free(text);
}

#define INPUT "input x: s8[8, 8, 2] scale 0.5 zero 1;\n"

// --- operators ---

static void test_conv(void **state) {
  struct bf_graph *g = network(
      INPUT "const w: s8[4, 3, 3, 2] scale \"w_scale\"; const b: s32[4];\n"
      "y = conv2d(x, w, b, stride 2, pad same, activation relu6) -> s8 scale 0.25 zero -100;\n"
      "z = conv2d(x, w, stride [1, 2], dilation 2, pad [1, 2, 3, 4]) -> u4 scale 0.3;\n"
      "output y, z;");
  const struct bf_node *y = node(g, "y"), *z = node(g, "z");
  has_shape(g, "y", SHAPE(1, 4, 4, 4));
  // 8 wide, stride 2, kernel 3: one row of padding, which goes below and right.
  assert_int_equal(y->attrs.pad[0], 0);
  assert_int_equal(y->attrs.pad[1], 1);
  assert_int_equal(y->attrs.pad[2], 0);
  assert_int_equal(y->attrs.pad[3], 1);
  assert_int_equal(y->attrs.requant.mode, BF_REQUANT_TFLITE);
  assert_int_equal(y->attrs.requant.count, 4);
  for (int i = 0; i < 4; i++) {
    int64_t mult;
    int32_t shift;
    bf_quantize_multiplier(0.5 * (double)(0.01f * (float)(i + 1)) / 0.25, &mult, &shift);
    assert_int_equal(y->attrs.requant.mult[i], mult);
    assert_int_equal(y->attrs.requant.shift[i], shift);
  }
  assert_int_equal(y->attrs.requant.out_zero, -100);
  assert_int_equal(y->attrs.requant.lo, -100);
  assert_int_equal(y->attrs.requant.hi, -76);  // -100 + 6 / 0.25
  assert_int_equal(y->line, 5);
  has_shape(g, "z", SHAPE(1, 7, 6, 4));  // (8+1+2-5)/1+1, floor((8+3+4-5)/2)+1
  assert_int_equal(z->attrs.pad[3], 4);
  assert_int_equal(z->attrs.requant.lo, 0);
  assert_int_equal(z->attrs.requant.hi, 15);
  bf_graph_free(g);
}

static void test_grouped(void **state) {
  struct bf_graph *g = network(
      INPUT "const dw: s8[4, 3, 3, 1]; const group: s8[_, 3, _, 1];\n"
      "a = depthwise_conv2d(x, dw, pad valid) -> s8;\n"
      "b = conv2d(x, group, groups 2) -> s8;\n"
      "output a, b;");
  assert_int_equal(node(g, "a")->attrs.groups, 2);
  assert_int_equal(node(g, "b")->attrs.groups, 2);
  has_shape(g, "group", SHAPE(4, 3, 3, 1));
  has_shape(g, "a", SHAPE(1, 6, 6, 4));
  bf_graph_free(g);
}

static void test_dense_add_softmax(void **state) {
  struct bf_graph *g = network(
      "input x: s8[16] scale 0.1 zero 3; const fc: s8[3, 16] scale 0.3;\n"
      "a = dense(x, fc) -> s8 scale 0.7 zero 2;\n"
      "b = dense(x, fc, activation clamp(-1.5, 2)) -> s8 scale 0.2 zero 1;\n"
      "c = add(a, b, activation relu) -> s8 scale 0.9 zero -5;\n"
      "p = softmax(c, beta 1.0);\n"
      "m = argmax(c); output p, m;");
  const struct bf_requant *rq = &node(g, "a")->attrs.requant;
  int64_t mult;
  int32_t shift;
  // One weight scale: TensorFlow Lite multiplies the scales of a dense layer in float32.
  bf_quantize_multiplier((double)(0.1f * 0.3f) / (double)0.7f, &mult, &shift);
  assert_int_equal(rq->mult[0], mult);
  assert_int_equal(rq->shift[0], shift);
  assert_int_equal(node(g, "b")->attrs.requant.lo, 1 - 8);  // -1.5 / 0.2 = -7.5, away from zero
  assert_int_equal(node(g, "b")->attrs.requant.hi, 11);
  const struct bf_attrs *add = &node(g, "c")->attrs;
  double twice = 2 * (double)0.7f;
  assert_int_equal(add->left_shift, 20);
  bf_quantize_multiplier((double)0.7f / twice, &mult, &shift);
  assert_int_equal(add->in_requant[0].mult[0], mult);
  bf_quantize_multiplier((double)0.2f / twice, &mult, &shift);
  assert_int_equal(add->in_requant[1].mult[0], mult);
  assert_int_equal(add->in_requant[1].shift[0], shift);
  bf_quantize_multiplier(twice / ((double)(1 << 20) * (double)0.9f), &mult, &shift);
  assert_int_equal(add->requant.mult[0], mult);
  assert_int_equal(add->requant.shift[0], shift);
  assert_int_equal(add->requant.lo, -5);
  assert_true(bf_quant_scale(&bf_graph_find_tensor(g, "p")->quant, 0) == 1.0f / 256);
  has_shape(g, "m", SHAPE(1));
  bf_graph_free(g);
}

static void test_small_ops(void **state) {
  struct bf_graph *g = network(
      INPUT
      "a = max_pool2d(x, kernel 2);\n"
      "b = avg_pool2d(x, kernel [3, 2], stride 2, pad same, activation relu);\n"
      "c = global_avg_pool(x); d = global_max_pool(x);\n"
      "e = relu(x); f = relu6(x); h = clamp(x, lo -2, hi 3.25);\n"
      "i = pad(x, pads [[1, 2], [0, 3], [0, 0]]); j = pad(x, pads [[0, 0], [1, 1], [1, 1], [0, 0]], value -7);\n"
      "k = reshape(x, shape [4, 16, 2]); l = reshape(x, shape [_]); m = flatten(x);\n"
      "o = concat(x, e, f); q = concat(x, e, axis -2);\n"
      "r = requantize(x) -> u5 scale 1 zero 7;\n"
      "output a, b, c, d, h, i, j, k, l, m, o, q, r;");
  has_shape(g, "a", SHAPE(1, 4, 4, 2));
  assert_int_equal(node(g, "a")->attrs.stride[0], 2);
  has_shape(g, "b", SHAPE(1, 4, 4, 2));
  assert_int_equal(node(g, "b")->attrs.requant.lo, 1);
  has_shape(g, "c", SHAPE(1, 1, 1, 2));
  has_shape(g, "d", SHAPE(1, 1, 1, 2));
  assert_int_equal(node(g, "e")->attrs.requant.lo, 1);
  assert_int_equal(node(g, "f")->attrs.requant.hi, 13);
  assert_int_equal(node(g, "h")->attrs.requant.lo, -3);
  assert_int_equal(node(g, "h")->attrs.requant.hi, 8);  // 1 + 6.5, away from zero
  has_shape(g, "i", SHAPE(1, 11, 11, 2));
  assert_int_equal(node(g, "i")->attrs.pad_value, 1);
  assert_int_equal(node(g, "j")->attrs.pad_value, -7);
  has_shape(g, "k", SHAPE(1, 4, 16, 2));
  has_shape(g, "l", SHAPE(1, 128));
  has_shape(g, "m", SHAPE(1, 128));
  has_shape(g, "o", SHAPE(1, 8, 8, 6));
  has_shape(g, "q", SHAPE(1, 8, 16, 2));
  assert_int_equal(node(g, "r")->attrs.requant.out_zero, 7);
  bf_graph_free(g);
}

static void test_modes(void **state) {
  struct bf_graph *g = network(
      INPUT "const w: s8[4, 3, 3, 2] scale 0.25;\n"
      "a = conv2d(x, w) -> s8 requantize dyadic(mult 77, shift 12);\n"
      "b = conv2d(x, w) -> u8 zero 4 requantize affine_floor(mult [1, 2, 3, 4], add \"b\", shift 16, zero 0);\n"
      "c = conv2d(x, w) -> s16 requantize none;\n"
      "d = conv2d(x, w) -> u2 requantize thresholds([[1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]]);\n"
      "e = conv2d(x, w) -> u2 requantize thresholds([-1, 5]);\n"
      "f = conv2d(x, w) -> s8 scale 4 requantize pow2;\n"
      "h = conv2d(x, w) -> s8 requantize pow2(shift 3);\n"
      "i = conv2d(x, w) -> s8 scale 0.3 requantize float_rne;\n"
      "j = conv2d(x, w) -> s8 requantize float_rne(scale \"w_scale\");\n"
      "k = conv2d(x, w) -> s16 scale 0.001;\n"
      "l = conv2d(x, w) -> s8 requantize tflite(mult 1073741824, shift -3);\n"
      "m = add(a, h, in0 pow2(shift 1), in1 none) -> s8 requantize dyadic(mult 3, shift [1, 2, 3, 4]);\n"
      "output a, b, c, d, e, f, i, j, k, l, m;");
  assert_int_equal(node(g, "a")->attrs.requant.mult[0], 77);
  const struct bf_requant *b = &node(g, "b")->attrs.requant;
  assert_int_equal(b->count, 4);
  assert_int_equal(b->mult[3], 4);
  assert_int_equal(b->add[0], -3);
  assert_int_equal(b->shift[3], 16);
  assert_int_equal(b->out_zero, 0);
  assert_int_equal(node(g, "c")->attrs.requant.mode, BF_REQUANT_NONE);
  assert_int_equal(node(g, "c")->attrs.requant.count, 0);
  assert_int_equal(node(g, "d")->attrs.requant.count, 4);
  assert_int_equal(node(g, "d")->attrs.requant.thresholds[5], 4);
  assert_int_equal(node(g, "e")->attrs.requant.nthresholds, 2);
  assert_int_equal(node(g, "f")->attrs.requant.shift[0], 5);  // 0.5 * 0.25 / 4 = 2^-5
  assert_true(node(g, "i")->attrs.requant.fscale[0] == 0.5f * 0.25f / 0.3f);
  assert_int_equal(node(g, "j")->attrs.requant.count, 4);
  assert_int_equal(node(g, "k")->attrs.requant.mode, BF_REQUANT_TFLITE16);
  assert_int_equal(node(g, "m")->attrs.in_requant[0].mode, BF_REQUANT_POW2);
  assert_int_equal(node(g, "m")->attrs.left_shift, 0);
  assert_int_equal(node(g, "m")->attrs.requant.shift[2], 3);
  bf_graph_free(g);
}

static void test_constants(void **state) {
  struct bf_graph *g = network(
      "input x: s8[4]; const a: t2[3, 4] = [[1, 0, -1, 1], [1, 1, 1, 1], [0, 0, 0, 0]];\n"
      "const z: s32[3] = 5; const s: b1[3, 4] = [1, 1, 1, 1, -1, -1, -1, -1, 1, -1, 1, -1];\n"
      "const f: s8[4, 3, 3, 2] from \"w\" scale [1, 2, 3, 4] zero [0, 1, 0, -1] axis 0;\n"
      "input im: s8[5, 5, 2]; v = conv2d(im, f) -> s8;\n"
      "p = dense(x, a, z) -> s8; q = dense(x, s) -> s8; i = reshape(x, shape [1, 1, 4]);\n"
      "output p, q, i, v; ");
  const struct bf_tensor *a = bf_graph_find_tensor(g, "a"), *f = bf_graph_find_tensor(g, "f");
  assert_int_equal(a->data[2], -1);
  assert_int_equal(bf_graph_find_tensor(g, "z")->data[2], 5);
  assert_int_equal(f->quant.count, 4);
  assert_int_equal(f->quant.zero[3], -1);
  bf_graph_free(g);
}

static void test_batch(void **state) {
  const char *text =
      "bfn 1; network n { input x: s8[4, 4, 2]; input y: s8[1, 4, 4, 2]; input v: s8[7]; input u: s8[1, 7];\n"
      "a = add(x, y) -> s8; b = flatten(a); c = reshape(x, shape [_, 32]); d = concat(v, u);\n"
      "e = reshape(x, shape [2, 4, 4]); h = reshape(x, shape [8, _, 2]); output b, c, d, e, h; }";
  char *messages;
  struct bf_graph *g = compile_batch(text, 5, &messages);
  assert_string_equal(messages, "");
  assert_non_null(g);
  has_shape(g, "x", SHAPE(5, 4, 4, 2));
  has_shape(g, "y", SHAPE(5, 4, 4, 2));
  has_shape(g, "v", SHAPE(5, 7));
  has_shape(g, "u", SHAPE(5, 7));
  has_shape(g, "b", SHAPE(5, 32));
  has_shape(g, "c", SHAPE(5, 32));
  has_shape(g, "e", SHAPE(5, 2, 4, 4));
  has_shape(g, "h", SHAPE(5, 8, 2, 2));
  free(messages);
  bf_graph_free(g);
}

// --- blocks and profiles ---

static const char blocks[] =
    "bfn 1;\n"
    "block conv(x, s, act = relu) -> y {\n"
    "  const w: s8[(channels(x) * s), 3, 3, channels(x)] scale \"{self}.scale\";\n"
    "  y = conv2d(x, w, pad same, stride s, activation act) -> s8 scale 0.5 zero -1;\n"
    "}\n"
    "block pair(x) -> a, b {\n"
    "  c = relu(x);\n"
    "  a = relu6(c);\n"
    "  b = max_pool2d(c, kernel (1 + 1));\n"
    "}\n"
    "network n {\n"
    "  input x: s8[8, 8, 2] scale 0.5 zero 1;\n"
    "  s1 = conv(x, 1);\n"
    "  s2 = conv(s1, s 1, act none);\n"
    "  p, q = pair(s2);\n"
    "  output p, q;\n"
    "  profile low { s1: w4 a4; p.c: w8 a2; default: w8 a8; }\n"
    "}\n";

static void test_blocks(void **state) {
  char *messages;
  struct bf_graph *g = compile_batch(blocks, 1, &messages);
  // The only message: relu keeps the type of its operand.
  assert_non_null(strstr(messages, "t.bfn:17:28: warning: the entry has no effect: `p.c` does not compute at a width of its own"));
  assert_null(strstr(messages, "error"));
  assert_non_null(bf_graph_find_tensor(g, "s1.w"));
  assert_int_equal(node(g, "s1")->attrs.requant.lo, -1);
  assert_int_equal(node(g, "s2")->attrs.requant.lo, -128);
  assert_int_equal(node(g, "s2")->line, 4);
  assert_string_equal(node(g, "p")->inputs[0]->name, "p.c");
  has_shape(g, "q", SHAPE(1, 4, 4, 2));
  assert_int_equal(g->nprofiles, 1);
  assert_int_equal(g->profiles[0].count, 3);
  assert_string_equal(g->profiles[0].entries[1].layer, "p.c");
  assert_int_equal(g->profiles[0].entries[1].bits_a, 2);
  assert_string_equal(g->source, blocks);
  bf_graph_free(g);
  free(messages);
}

static void test_wrong_blocks(void **state) {
  const char *end = "network n { input x: s8[4]; y = a(x); output y; }";
  static const struct {
    const char *text, *part;
    unsigned line;
  } rows[] = {
      {"block a(x) -> y { y = a(x); }", "part of its own expansion", 2},
      {"block a(x) -> y { z = relu(x); }", "there is no `y`", 2},
      {"block a(x, x) -> y { y = relu(x); }", "two parameters `x`", 2},
      {"block a(x, n) -> y { y = relu(x); }", "needs its parameter `n`", 3},
      {"block a(p) -> y { y = relu(x); }", "sees only its parameters", 2},
      {"block a() -> y { const y: s8[1] = 1; }", "has 0 parameters", 3},
      {"block a(x) -> y, z { y = relu(x); z = relu(x); }", "has 2 results, and 1 is named", 3},
      {"block a(x) -> y { y = x(x); }", "no operator or block `x`", 2},
      {"block a(x) -> x { }\nblock a(x) -> x { }", "defined twice", 3},
  };
  for (size_t i = 0; i < BF_COUNT(rows); i++) {
    char *text = bf_format("bfn 1;\n%s\n%s", rows[i].text, end);
    one_error(text, rows[i].line, rows[i].part);
    free(text);
  }
}

// Each block uses the one before twice: 2^30 layers are refused, not made.
static void test_explosion(void **state) {
  struct bf_buf text = {0};
  char *messages;
  bf_buf_puts(&text, "bfn 1;\nblock b0(x) -> y { y = relu(x); }\n");
  for (int i = 1; i < 30; i++)
    bf_buf_printf(&text, "block b%d(x) -> y { t = b%d(x); y = b%d(t); }\n", i, i - 1, i - 1);
  bf_buf_puts(&text, "network n { input x: s8[4]; y = b29(x); output y; }");
  assert_null(compile_batch(text.data, 1, &messages));
  assert_non_null(strstr(messages, "more than 100000 statements"));
  free(messages);
  text.length = 0;
  bf_buf_puts(&text, "bfn 1;\nblock b0(x) -> y { y = relu(x); }\n");
  for (int i = 1; i < 60; i++) bf_buf_printf(&text, "block b%d(x) -> y { y = b%d(x); }\n", i, i - 1);
  bf_buf_puts(&text, "network n { input x: s8[4]; y = b59(x); output y; }");
  assert_null(compile_batch(text.data, 1, &messages));
  assert_non_null(strstr(messages, "nested more than 32 levels"));
  free(messages);
  bf_buf_free(&text);
}

// --- diagnostics ---

static void test_golden(void **state) {
  says(INPUT "y = relux(x);\nz = relu(y) output z;",
       "t.bfn:5:13: error: expected `->` or `;`, found the reserved word `output`\n"
       "    5 | z = relu(y) output z;\n"
       "      |             ^~~~~~\n");
  says(INPUT "y = relux(x);\nz = add(x, a) -> s8;\noutput z;",
       "t.bfn:4:5: error: there is no operator or block `relux`\n"
       "    4 | y = relux(x);\n"
       "      |     ^~~~~\n"
       "hint: did you mean `relu`?\n"
       "t.bfn:5:12: error: add: there is no `a`\n"
       "    5 | z = add(x, a) -> s8;\n"
       "      |            ^\n");
  says("input x: s8[4, 4, 3];\ninput y: s8[4, 4, 2];\nz = add(x, y) -> s8;\noutput z;",
       "t.bfn:5:5: error: `add`: `x` has shape [1, 4, 4, 3], `y` has [1, 4, 4, 2]\n"
       "    5 | z = add(x, y) -> s8;\n"
       "      |     ^~~~~~~~~\n"
       "hint: sizes are equal, or one of them is 1\n");
}

static void test_syntax(void **state) {
  static const struct {
    const char *text, *part;
    unsigned line;
  } rows[] = {
      {"", "expected `bfn`, found the end of the file", 1},
      {"bfn 2; network n { input x: s8[1]; y = relu(x); output y; }", "unknown version", 1},
      {"bfn 1;", "no network", 1},
      {"bfn 1; network n {", "found the end of the file", 1},
      {"bfn 1; network n { a = relu(x }", "found `}`", 1},
      {"bfn 1; network output { }", "the reserved word `output`", 1},
      {"bfn 1; network n { } network m { }", "a second network, `m`", 1},
      {"bfn 1; network n { input x: s8[\"abc }", "unterminated string", 1},
      {"bfn 1; network n { input x: 8s[3]; }", "neither a number nor a name", 1},
      {"bfn 1; network n {\n a = relu(x)\n b = relu(a); }", "a statement ends with `;`", 2},
      {"bfn 1; network n {\n inptu x: s8[1]; }", "did you mean `input`?", 2},
      {"bfn 1; network n {\n input x: s8[1] scal 1; }", "did you mean `scale`?", 2},
      {"bfn 1; network n {\n input x: s8[1] scale 1 scale 2; }", "`scale` is given twice", 2},
      {"bfn 1; network n {\n input x: s8[99999999999999999999]; }", "too large", 2},
      {"bfn 1; network n { @ }", "unexpected character `@`", 1},
  };
  for (size_t i = 0; i < BF_COUNT(rows); i++) {
    char *messages;
    char *place = bf_format("t.bfn:%u:", rows[i].line);
    assert_null(compile_batch(rows[i].text, 1, &messages));
    if (strncmp(messages, place, strlen(place)) || !strstr(messages, rows[i].part))
      fail_msg("%s\nwanted %s\ngot %s", rows[i].text, rows[i].part, messages);
    free(messages);
    free(place);
  }
}

static size_t count_errors(const char *text) {
  char *messages;
  size_t count = 0;
  assert_null(compile_batch(text, 1, &messages));
  for (const char *at = messages; (at = strstr(at, "error: ")); at++) count++;
  free(messages);
  return count;
}

static void test_many_errors(void **state) {
  assert_int_equal(count_errors("bfn 1;\nnetwork n {\n input x s8[4];\n a = ;\n b = relu(x) 4;\n output ;\n}\n"), 4);
  assert_int_equal(count_errors("bfn 1;\nnetwork n {\n input x: s8[4];\n a = rel(x);\n b = add(a, x, strid 2) -> q8;\n"
                                " c = dense(x, x) -> s8;\n d = relu(nope);\n}\n"), 6);
  // What follows from an error is not told again.
  assert_int_equal(count_errors("bfn 1;\nnetwork n {\n input x: s8[4];\n a = rel(x);\n b = relu(a);\n c = add(a, b) -> s8;\n"
                                " output c;\n}\n"), 1);
}

static void test_semantics(void **state) {
  static const struct {
    const char *body, *part;
    unsigned line;
  } rows[] = {
      {"y = relu(z);\nz = relu(y);\noutput z;", "goes round in a circle: y -> z -> y", 1},
      {"y = relu(y);\noutput y;", "`y` is defined by itself", 1},
      {"y = relu(z);\nz = relu(x);\noutput z;", "used before it is defined", 1},
      {"y = relu(x);\ny = relu(x);\noutput y;", "defined twice", 2},
      {"const w: s8[1] = 1;\ny = relu(x); output y;", "`w` is defined twice", 1},
      {"const wide = 1;", "expected `:`, found `=`", 1},
      {"yes = relu(x);\ny = conv2d(yess, w) -> s8; output y;", "did you mean `yes`?", 2},
      {"y = conv2d(x) -> s8; output y;", "takes 2 or 3 operands, not 1", 1},
      {"y = conv2d(x, x) -> s8; output y;", "must be a constant", 1},
      {"y = relu(w); output y;", "must not be a constant", 1},
      {"y = conv2d(x, w); output y;", "needs the type of its result", 1},
      {"y = conv2d(x, w, stride 0) -> s8; output y;", "stride must be between 1 and", 1},
      {"y = conv2d(x, w, stride 1.5) -> s8; output y;", "stride must be a whole number", 1},
      {"y = conv2d(x, w, stride 1, stride 2) -> s8; output y;", "given twice", 1},
      {"y = conv2d(x, w, pad sam) -> s8; output y;", "`pad` must be `same`", 1},
      {"y = conv2d(x, w, kernel 5) -> s8; output y;", "the weights `w` have [3, 3]", 1},
      {"y = conv2d(x, w, dilation 9) -> s8; output y;", "the kernel reaches over 19", 1},
      {"y = conv2d(x, w, groups 2) -> s8; output y;", "want 4 input channels in 2 groups", 1},
      {"y = conv2d(x, w, activation rellu) -> s8; output y;", "did you mean `relu`?", 1},
      {"y = conv2d(x, w) -> s8 requantize tflight; output y;", "did you mean `tflite`?", 1},
      {"y = conv2d(x, w) -> s8 requantize dyadic(mult 3); output y;", "lacks its parameter `shift`", 1},
      {"y = conv2d(x, w) -> s8 requantize dyadic; output y;", "must be given", 1},
      {"y = conv2d(x, w) -> s8 requantize dyadic(mult [1, 2, 3], shift 1); output y;", "3 numbers for `mult`", 1},
      {"y = conv2d(x, w) -> s8 requantize pow2(shift 99); output y;", "between 0 and 62", 1},
      {"y = conv2d(x, w) -> s8 scale 0.3 requantize pow2; output y;", "needs a factor 2^-n", 1},
      {"y = conv2d(x, w) -> s8 requantize tflite(mult -5, shift 1); output y;", "between 0 and 2^31-1", 1},
      {"y = conv2d(x, w) -> s8 requantize thresholds([3, 1]); output y;", "ascending", 1},
      {"y = conv2d(x, w) -> s8 scale 0; output y;", "not a positive", 1},
      {"y = conv2d(x, w) -> s8 scale -1; output y;", "not a positive", 1},
      {"y = conv2d(x, w) -> s8 scale [1, 2]; output y;", "an activation has one", 1},
      {"y = conv2d(x, w) -> s8 zero 128; output y;", "outside the range of s8", 1},
      {"y = conv2d(x, w) -> s17; z = relu(y); output z;", "activations are u1 to u16", 1},
      {"y = conv2d(x, w) -> s8[3]; output y;", "a result has no shape", 1},
      {"y = conv2d(x, w) -> s8 from \"w\"; output y;", "`from` has no meaning", 1},
      {"y = relu(x) -> u8; output y;", "keeps the type and quantization", 1},
      {"const v: s8[4, 3, 3, 3] from \"w\";\ny = conv2d(x, v) -> s8; output y;", "has shape [4, 3, 3, 3], but member \"w\" has [4, 3, 3, 2]", 1},
      {"const real: s8[4, 3, 3, 2];\ny = conv2d(x, real) -> s8; output y;", "is float32, not integer", 1},
      {"const ww: s8[4, 3, 3, 2];\ny = conv2d(x, ww) -> s8; output y;", "no member \"ww\"", 1},
      {"const b: u8[4];\ny = conv2d(x, w, b) -> s8; output y;", "element 0 is -3, outside u8", 1},
      {"const b: b1[2] = [1, 0];\ny = conv2d(x, w, b) -> s8; output y;", "b1 holds -1 and 1", 1},
      {"const b: s8[3] = [1, 2];\ny = conv2d(x, w, b) -> s8; output y;", "needs 3 values, not 2", 1},
      {"const b: s8[3] = [1, 2, 3];\ny = conv2d(x, w, b) -> s8; output y;", "the bias `b` has shape [3]", 2},
      {"const b: s8[0] = 1;\ny = relu(x); output y;", "must be at least 1, not 0", 1},
      {"const b: s8[65536, 65536, 2] = 1;\ny = relu(x); output y;", "too large", 1},
      {"const b: s8[1, 1, 1, 1, 1] = 1;\ny = relu(x); output y;", "at most 4 dimensions", 1},
      {"const b: s8[9223372036854775807 + 1] = 1;\ny = relu(x); output y;", "leaves 64 bits", 1},
      {"const b: s8[1 / 0] = 1;\ny = relu(x); output y;", "division by zero", 1},
      {"const b: s49[1] = 1;\ny = relu(x); output y;", "`s49` is no type", 1},
      {"const b: s8[4] scale [1, 2];\ny = conv2d(x, w, b) -> s8; output y;", "2 scales or zero points for 4", 1},
      {"const b: s8[4] scale \"none\";\ny = conv2d(x, w, b) -> s8; output y;", "no member \"none\"", 1},
      {"y = max_pool2d(x); output y;", "needs a `kernel`", 1},
      {"y = dense(x, w) -> s8; output y;", "`flatten` makes two", 1},
      {"y = reshape(x, shape [3, 3]); output y;", "128 elements, which [3, 3] cannot hold", 1},
      {"y = concat(x, x, axis 4); output y;", "axis must be between -4 and 3", 1},
      {"y = concat(x, x, axis 0); output y;", "images of a batch", 1},
      {"y = pad(x, pads [1, 2]); output y;", "takes [before, after]", 1},
      {"y = argmax(x) -> u1; z = requantize(y) -> s8; y2 = argmax(x, axis 1); output y2, z;", "only the last", 1},
      {"y = softmax(x) -> s8 scale 1; output y;", "the result of `softmax` is", 1},
      {"y = relu(relu(x)); output y;", "operands are names, not calls", 1},
      {"y = relu(3); output y;", "must be a tensor, not an integer", 1},
      {"a, y = relu(x); output y;", "has one result", 1},
      {"output z;", "output: there is no `z`", 1},
      {"output x;", "is an input", 1},
      {"output w;", "is a constant", 1},
      {"y = relu(x); output y; profile p { z: w4 a4; }", "there is no layer `z`", 1},
      {"y = relu(x); output y; profile p { y: w4; }", "of weights and of activations", 1},
      {"y = relu(x); output y; profile p { y: w4 a17; }", "1 to 16 bits", 1},
      {"y = relu(x); output y; profile p { y: w4 a4; y: w4 a4; }", "two entries", 1},
      {"y = relu(x); output y; profile p { } profile p { }", "defined twice", 1},
      {"y = relu(x); output y; weights \"a\"; weights \"b\";", "`weights` is given twice", 1},
  };
  for (size_t i = 0; i < BF_COUNT(rows); i++) wrong(rows[i].body, rows[i].line, rows[i].part);
  one_error("bfn 1;\nnetwork n {\n input x: s8[4];\n y = relu(x);\n}\n", 2, "has no output");
  one_error("bfn 1;\nnetwork n {\n input x: s8[4294967296, 4294967296, 3];\n y = relu(x);\noutput y; }\n", 3, "too large");
  one_error("bfn 1;\nnetwork n {\n input x: s8;\n y = relu(x);\noutput y; }\n", 3, "needs a shape");
  // Found by the verifier, shown at the layer: the sum of 1 times 2^47 and more.
  one_error("bfn 1;\nnetwork n {\n input x: s16[4];\n const c: s16[1, 4] = 32767; const b: s48[1] = 140737488355327;\n"
            " y = dense(x, c, b) -> s8;\noutput y; }\n", 5, "may leave 48 bits");
}

static void test_no_archive(void **state) {
  struct bf_diags diags = {0};
  const char *text = "bfn 1; network n { input x: s8[4]; const w: s8[2, 4]; const b: s32[2];\n y = dense(x, w, b) -> s8; output y; }";
  const struct bf_source *source = bf_diags_add_source(&diags, "t.bfn", text, strlen(text));
  assert_null(bf_bfn_compile(source, NULL, NULL, &diags));
  assert_int_equal(diags.errors, 1);
  assert_non_null(strstr(diags.items[0].message, "there is none"));
  bf_diags_free(&diags);
}

static void test_load(void **state) {
  char dir[] = "bf_test_XXXXXX";
  assert_non_null(mkdtemp(dir));
  char *bfn = bf_format("%s/net.bfn", dir), *npz = bf_format("%s/net.npz", dir), *other = bf_format("%s/o.npz", dir);
  const char *text = "bfn 1; network n { input x: s8[8, 8, 2]; const w: s8; y = conv2d(x, w) -> s8; output y; }", *why;
  const char *named = "bfn 1; network n { weights \"o.npz\"; input x: s8[8, 8, 2]; const w: s8; y = conv2d(x, w) -> s8; output y; }";
  struct bf_diags diags = {0};
  assert_true(bf_write_file(bfn, text, strlen(text), &why));
  assert_null(bf_bfn_load(bfn, NULL, &diags));
  assert_int_equal(diags.errors, 1);
  assert_non_null(strstr(diags.items[0].message, "net.npz"));
  bf_diags_free(&diags);
  assert_true(bf_npz_write(npz, &weights, &diags));
  struct bf_graph *g = bf_bfn_load(bfn, NULL, &diags);
  assert_non_null(g);
  bf_graph_free(g);
  assert_true(bf_write_file(bfn, named, strlen(named), &why));
  assert_null(bf_bfn_load(bfn, NULL, &diags));
  assert_true(rename(npz, other) == 0);
  g = bf_bfn_load(bfn, NULL, &diags);
  assert_non_null(g);
  bf_graph_free(g);
  bf_diags_free(&diags);
  assert_null(bf_bfn_load(npz, NULL, &diags));
  bf_diags_free(&diags);
  const struct bf_source *source = bf_diags_add_source(&diags, "t", named, strlen(named));
  char *name = bf_bfn_weights_name(source);
  assert_string_equal(name, "o.npz");
  free(name);
  bf_diags_free(&diags);
  unlink(bfn);
  unlink(other);
  rmdir(dir);
  free(bfn);
  free(npz);
  free(other);
}

// --- hostile texts ---

static void test_truncated(void **state) {
  char *messages;
  for (size_t cut = 0; cut + 2 < strlen(blocks); cut++) {
    char *text = bf_strndup(blocks, cut);
    assert_null(compile_batch(text, 1, &messages));
    assert_true(strlen(messages) > 0);
    free(messages);
    free(text);
  }
}

static void test_mutated(void **state) {
  static const char bytes[] = "{}[]();:,=-+*/\"#x1 \n\xff_.";
  uint32_t seed = 1;
  char *messages;
  for (int round = 0; round < 3000; round++) {
    char *text = bf_strdup(blocks);
    for (int k = 0; k < 1 + round % 3; k++) {
      seed = seed * 1664525u + 1013904223u;
      text[(seed >> 8) % strlen(text)] = bytes[(seed >> 3) % (sizeof bytes - 1)];
    }
    struct bf_graph *g = compile_batch(text, 1, &messages);
    if (g) bf_graph_free(g);
    free(messages);
    free(text);
  }
}

static void nested(const char *open, const char *middle, const char *close, size_t count) {
  struct bf_buf text = {0};
  char *messages;
  bf_buf_puts(&text, "bfn 1; network n { input x: s8[");
  for (size_t i = 0; i < count; i++) bf_buf_puts(&text, open);
  bf_buf_puts(&text, middle);
  for (size_t i = 0; i < count; i++) bf_buf_puts(&text, close);
  bf_buf_puts(&text, "]; y = relu(x); output y; }");
  assert_null(compile_batch(text.data, 1, &messages));
  assert_non_null(strstr(messages, "nested"));
  free(messages);
  bf_buf_free(&text);
}

static void test_deep(void **state) {
  nested("[", "1", "]", 3000);
  nested("[", "1", "]", 100000);
  nested("- ", "1", "", 100000);
  nested("", "1", "+1", 100000);
  nested("f(", "1", ")", 3000);
}

static void test_tables(void **state) {
  assert_string_equal(bf_bfn_op_name(0), "conv2d");
  size_t count = 0;
  while (bf_bfn_op_name(count)) count++;
  assert_true(count >= BF_OP_COUNT);
  // Every operator of the graph can be written.
  for (int op = 0; op < BF_OP_COUNT; op++) {
    bool found = false;
    for (size_t i = 0; i < count; i++) found |= !strcmp(bf_bfn_op_name(i), bf_op_info((enum bf_op)op)->name);
    if (!found) fail_msg("no way to write %s", bf_op_info((enum bf_op)op)->name);
  }
  assert_true(bf_bfn_reserved("input"));
  assert_false(bf_bfn_reserved("scale"));
  // Words that are keywords in one place are names in others.
  struct bf_graph *g = network("input scale: s8[4] scale 1 zero 0; zero = relu(scale); axis = requantize(zero) -> s8; output axis;");
  bf_graph_free(g);
}

// The examples of the manual compile, in silence and without an archive.
static void test_manual(void **state) {
  char *page, *messages;
  size_t length, count = 0;
  const char *why, *fence = "```bfn\n";
  assert_true(bf_read_file(BF_SOURCE_DIR "/docs/language.md", &page, &length, &why));
  for (char *at = page; (at = strstr(at, fence)); count++) {
    at += strlen(fence);
    char *end = strstr(at, "```");
    assert_non_null(end);
    char *text = bf_strndup(at, (size_t)(end - at));
    struct bf_graph *g = compile_batch(text, 2, &messages);
    if (!g || *messages) fail_msg("%s", messages);
    bf_graph_free(g);
    free(messages);
    free(text);
    at = end;
  }
  assert_true(count >= 3);
  free(page);
}

// Whole-word search.
static bool mentions(const char *text, const char *word) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  size_t length = strlen(word);
  for (const char *at = text; (at = strstr(at, word)); at++)
    if ((at == text || !strchr(letters, at[-1])) && (!at[length] || !strchr(letters, at[length]))) return true;
  return false;
}

// What the language has, the manual and the editors know.
static void test_documented(void **state) {
  static const char *const files[] = {"docs/language.md", "editors/vscode/syntaxes/bfn.tmLanguage.json",
                                      "editors/vim/syntax/bfn.vim"};
  for (size_t f = 0; f < BF_COUNT(files); f++) {
    char *path = bf_format("%s/%s", BF_SOURCE_DIR, files[f]), *page;
    size_t length;
    const char *why;
    assert_true(bf_read_file(path, &page, &length, &why));
    // Vim matches any callee.
    for (size_t i = 0; f < 2 && bf_bfn_op_name(i); i++)
      if (!mentions(page, bf_bfn_op_name(i))) fail_msg("%s in %s", bf_bfn_op_name(i), path);
    for (size_t i = 0; bf_bfn_option_name(i); i++)
      if (!mentions(page, bf_bfn_option_name(i))) fail_msg("%s in %s", bf_bfn_option_name(i), path);
    for (int i = 0; i < BF_REQUANT_COUNT; i++)
      if (!mentions(page, bf_requant_mode_name((enum bf_requant_mode)i)))
        fail_msg("%s in %s", bf_requant_mode_name((enum bf_requant_mode)i), path);
    free(page);
    free(path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv),         cmocka_unit_test(test_grouped),
      cmocka_unit_test(test_dense_add_softmax), cmocka_unit_test(test_small_ops),
      cmocka_unit_test(test_modes),        cmocka_unit_test(test_constants),
      cmocka_unit_test(test_batch),        cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_wrong_blocks), cmocka_unit_test(test_explosion),
      cmocka_unit_test(test_golden),       cmocka_unit_test(test_syntax),
      cmocka_unit_test(test_many_errors),  cmocka_unit_test(test_semantics),
      cmocka_unit_test(test_no_archive),   cmocka_unit_test(test_load),
      cmocka_unit_test(test_truncated),    cmocka_unit_test(test_mutated),
      cmocka_unit_test(test_deep),         cmocka_unit_test(test_tables),
      cmocka_unit_test(test_manual),       cmocka_unit_test(test_documented),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
