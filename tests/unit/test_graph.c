// SPDX-License-Identifier: Apache-2.0
// The graph IR: builders, text round trip (a graph with every operator, and random ones), one refusal for every rule
// of the parser and the verifier, hostile text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph.h"

// Every operator, attribute and requantization mode once.
static const char whole[] =
    "bfir 1;\n"
    "graph \"a \\\"net\\\"\";\n"
    "source\n  \"network a {\\n\"\n  \"}\";\n"
    "tensor x: s8[1, 4, 4, 2] input scale 0.5 zero -3;\n"
    "tensor w1: s4[4, 3, 3, 1] scale [0.1, 0.25, 0.5, 1] zero [0, 0, 1, 0] = [\n  "
    "1, 2, 3, 4, 5, 6, 7, -1, -2, -3, -4, -5, -6, -7, -8, 0, 1, 2, 3, 4, 5, 6, 7, -1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2];\n"
    "tensor b1: s32[4] = [100, -100, 7, 0];\n"
    "tensor conv1_out: u8[1, 4, 4, 4] scale 0.125 zero 128;\n"
    "tensor sum: u8[1, 4, 4, 4] scale 0.25 zero 0;\n"
    "tensor big: u8[1, 2, 2, 4] scale 0.25 zero 0;\n"
    "tensor mean: u8[1, 2, 2, 4] scale 0.25 zero 0;\n"
    "tensor cut: u8[1, 2, 2, 4] scale 0.25 zero 0;\n"
    "tensor wide: u8[1, 3, 4, 4] scale 0.25 zero 0;\n"
    "tensor flat: u8[1, 48] scale 0.25 zero 0;\n"
    "tensor twice: u8[1, 96] scale 0.25 zero 0;\n"
    "tensor wd: b1[3, 96] = [\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,\n  "
    "-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,\n  "
    "-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,\n  "
    "-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,\n  "
    "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];\n"
    "tensor fc: u2[1, 3];\n"
    "tensor logits: s8[1, 3] scale 0.1 zero 4;\n"
    "tensor probs: s8[1, 3] output scale 0.00390625 zero -128;\n"
    "tensor best: u2[1] output;\n"
    "tensor h1: s16[1, 3];\n"
    "tensor h2: s16[1, 3];\n"
    "tensor h3: s16[1, 3] output;\n"
    "node conv1: conv2d(x, w1, b1) -> conv1_out line 12 kernel [3, 3] stride [1, 1] dilation [1, 1] pad [1, 1, 1, 1] "
    "groups 2\n  requant tflite(mult [1073741824, 2147483647, 0, 1500000000], shift [-3, 1, 0, -31]) plus 128 "
    "clamp [128, 255];\n"
    "node sum: add(conv1_out, conv1_out) -> sum left_shift 20\n"
    "  left tflite(mult 1073741824, shift 0)\n  right tflite(mult 1200000000, shift -1)\n"
    "  requant tflite(mult 1073741824, shift -18) plus 0 clamp [0, 255];\n"
    "node pool1: max_pool2d(sum) -> big kernel [2, 2] stride [2, 2] dilation [1, 1] pad [0, 0, 0, 0]\n"
    "  requant none plus 0 clamp [0, 255];\n"
    "node pool2: avg_pool2d(sum) -> mean kernel [2, 2] stride [2, 2] dilation [1, 1] pad [0, 0, 0, 0]\n"
    "  requant none plus 0 clamp [0, 200];\n"
    "node cut: clamp(mean) -> cut\n  requant none plus 0 clamp [0, 100];\n"
    "node pad: pad(cut) -> wide pads [0, 0, 1, 0, 1, 1, 0, 0] value 9;\n"
    "node flat: reshape(wide) -> flat;\n"
    "node twice: concat(flat, flat) -> twice axis 1;\n"
    "node fc: dense(twice, wd) -> fc line 40\n"
    "  requant thresholds(levels [[-5, 0, 5], [1, 2, 3], [-9223372036854775808, 0, 9223372036854775807]]) plus 0 "
    "clamp [0, 3];\n"
    "node logits: requantize(fc) -> logits\n  requant float_rne(factor [0.3, 1.1754944e-38, 25]) plus 4 "
    "clamp [-128, 127];\n"
    "node probs: softmax(logits) -> probs beta 1;\n"
    "node best: argmax(logits) -> best axis 1;\n"
    "node h1: requantize(logits) -> h1\n  requant dyadic(mult 77, shift 3) plus 0 clamp [-32768, 32767];\n"
    "node h2: requantize(h1) -> h2\n  requant affine_floor(mult [1, 2, 3], add [-5, 0, 5], shift [0, 1, 62]) plus 0 "
    "clamp [-32768, 32767];\n"
    "node h3: add(h1, h2) -> h3 left_shift 0\n  left none\n  right pow2(shift 2)\n"
    "  requant tflite16(mult 1073741824, shift 1) plus 0 clamp [-32768, 32767];\n"
    "profile low {\n  conv1: w4 a4;\n  \"f c\": w8 a16;\n}\n";

static struct bf_graph *parse(const char *text, size_t length, struct bf_diags *diags) {
  return bf_graph_parse(bf_diags_add_source(diags, "test.bfir", text, length), diags);
}

static void render_and_fail(struct bf_diags *diags) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  fail_msg("%s", bf_buf_cstr(&text));
}

// Prints, parses, prints: the same text both times. Returns the text.
static struct bf_buf round_trip(const struct bf_graph *graph) {
  struct bf_buf first = {0}, second = {0};
  struct bf_diags diags = {0};
  bf_graph_print(graph, &first);
  struct bf_graph *again = parse(bf_buf_cstr(&first), first.length, &diags);
  if (!again) render_and_fail(&diags);
  bf_graph_print(again, &second);
  assert_string_equal(bf_buf_cstr(&first), bf_buf_cstr(&second));
  bf_buf_free(&second);
  bf_graph_free(again);
  bf_diags_free(&diags);
  return first;
}

static void test_whole(void **state) {
  struct bf_diags diags = {0};
  struct bf_graph *g = parse(whole, strlen(whole), &diags);
  if (!g || !bf_graph_verify(g, &diags)) render_and_fail(&diags);
  struct bf_buf text = round_trip(g);
  assert_string_equal(bf_buf_cstr(&text), whole);
  assert_string_equal(g->name, "a \"net\"");
  assert_string_equal(g->source, "network a {\n}");
  const struct bf_node *conv = g->nodes[0];
  assert_int_equal(conv->line, 12);
  assert_int_equal(conv->attrs.groups, 2);
  assert_int_equal(conv->attrs.requant.shift[3], -31);
  assert_int_equal(bf_node_macs(conv), 64 * 9);
  assert_int_equal(bf_node_macs(g->nodes[8]), 3 * 96);
  assert_int_equal(bf_node_macs(g->nodes[1]), 0);
  assert_true(bf_quant_scale(&conv->inputs[1]->quant, 1) == 0.25f);
  assert_int_equal(bf_quant_zero(&conv->inputs[1]->quant, 2), 1);
  assert_ptr_equal(bf_graph_find_tensor(g, "wide")->producer, g->nodes[5]);
  assert_null(bf_graph_find_tensor(g, "nothing"));
  struct bf_buf dot = {0};
  bf_graph_print_dot(g, &dot);
  assert_non_null(strstr(bf_buf_cstr(&dot), "conv1\\nconv2d"));
  bf_buf_free(&dot);
  bf_buf_free(&text);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- refusals: one change of the whole graph each

struct change {
  const char *from, *to, *message;
};

static const struct change parser_rules[] = {
    {"bfir 1;", "bfir 2;", "version 1"},
    {"graph ", "graaph ", "expected 'graph'"},
    {"a \\\"net", "a \\q", "wrong escape"},
    {"a \\\"net", "a \\x00", "wrong escape"},
    {"tensor x", "tensr x", "expected 'tensor'"},
    {"s8[1, 4, 4, 2]", "s49[1, 4, 4, 2]", "element type"},
    {"s8[1, 4, 4, 2]", "b2[1, 4, 4, 2]", "element type"},
    {"s8[1, 4, 4, 2]", "s8[1, 4, 4, 2, 1]", "at most 4 dimensions"},
    {"s8[1, 4, 4, 2]", "s8[1, 0, 4, 2]", "between 1"},
    {"s8[1, 4, 4, 2]", "s8[2147483647, 2147483647, 2147483647, 2]", "too many elements"},
    {"s8[1, 4, 4, 2]", "s8[99999999999999999999]", "between 1"},
    {"tensor b1", "tensor w1", "already"},
    {"[100, -100, 7, 0]", "[100, -100, 7]", "4 element(s), here are 3"},
    {"[100, -100, 7, 0]", "[100, -100, 7, 0.5]", "expected an integer"},
    {"[100, -100, 7, 0]", "[100, -100, 7, 0", "expected ']'"},
    {"scale 0.5 zero -3", "scale 0.5", "expected 'zero'"},
    {"scale 0.5 zero -3", "scale 1e99 zero -3", "too large"},
    {"scale 0.5 zero -3", "scale nan zero -3", "expected a number"},
    {"zero [0, 0, 1, 0]", "zero [0, 0, 1]", "4 scale(s) but 3"},
    {"conv2d(x", "conv2(x", "did you mean 'conv2d'"},
    {"conv2d(x", "conv2d(xx", "no tensor 'xx'"},
    {"kernel [3, 3]", "kernel [3]", "expected 2 numbers"},
    {"kernel [3, 3]", "kernal [3, 3]", "expected an attribute"},
    {"(flat, flat) -> twice", "(flat, flat) -> flat", "output of layer 'flat' already"},
    {"-> flat;", "-> flat kernel [1, 1];", "no such attribute"},
    {"requant tflite(mult [1", "requant tflight(mult [1", "requantization mode"},
    {"dyadic(mult 77, shift 3)", "dyadic(mult 77)", "missing"},
    {"dyadic(mult 77, shift 3)", "dyadic(mult 77, mult 3)", "twice"},
    {"dyadic(mult 77, shift 3)", "dyadic(mult 77, add 3)", "no such parameter"},
    {"dyadic(mult 77, shift 3)", "dyadic(mult 77, shift [3, 4, 5])", "numbers of channels"},
    {"dyadic(mult 77, shift 3)", "dyadic(mult 77, shft 3)", "'mult', 'add'"},
    {"[1, 2, 3], [-9", "[1, 2], [-9", "number of thresholds"},
    {"w4 a4", "w4 b4", "'a' and a bit width"},
    {"line 12", "line 0", "between 1"},
};

static const struct change verifier_rules[] = {
    {" input scale", " scale", "no input"},
    {"[1, 3] output", "[1, 3]", NULL},  // probs may be dropped as long as another output stays
    {"zero -3", "zero -129", "outside its type"},
    {"scale 0.5 zero -3", "scale 0 zero -3", "not a positive number"},
    {"scale 0.5 zero -3", "scale -1 zero -3", "not a positive number"},
    {"scale 0.5 zero -3", "axis 4 scale 0.5 zero -3", "outside its dimensions"},
    {"scale 0.5 zero -3", "axis 3 scale [1, 2] zero [0, 0]", "only constants"},
    {"scale [0.1", "axis 1 scale [0.1", "4 scales for 3"},
    {"s4[4", "s3[4", "outside s3"},
    {"s8[1, 4, 4, 2]", "s17[1, 4, 4, 2]", "activations are"},
    {"[1, 4, 4, 2] input", "[1, 4, 4, 2] input output", "cannot be an output as well"},
    {"tensor b1: s32[4]", "tensor b1: s32[4] input", "cannot be an input"},
    {"tensor b1: s32[4]", "tensor b1: s32[4] output", "cannot be an output"},
    {"tensor b1: s32[4] =", "tensor b1: s32[4] scale 1 zero 3 =", "zero point other than 0"},
    {"node best: argmax(logits) -> best axis 1;", "", "never computed"},
    {"node sum:", "node conv1:", "two layers"},
    {"node sum:", "node \"\":", "no name"},
    {"add(conv1_out, conv1_out)", "add(conv1_out, wide)", "before it is computed"},
    {"add(conv1_out, conv1_out)", "add(conv1_out)", "it takes 2"},
    {"conv2d(x, w1, b1)", "conv2d(x, x, b1)", "must be a constant"},
    {"requantize(h1)", "requantize(wc)", "must not be a constant"},
    {"add(h1, h2)", "add(wc, wc)", "at most one"},
    {"add(h1, h2)", "add(h1, wc)", NULL},
    {"add(h1, h2)", "add(h1, flat)", "equal, or one of them 1"},
    {"tensor conv1_out: u8[1, 4, 4, 4]", "tensor conv1_out: u8[1, 4, 4, 5]", "must have shape [1, 4, 4, 4]"},
    {"kernel [3, 3]", "kernel [3, 2]", "is not the weights'"},
    {"kernel [3, 3] stride [1, 1]", "kernel [3, 3] stride [0, 1]", "at least 1"},
    {"pad [1, 1, 1, 1]", "pad [1, 1, 1, -1]", "negative"},
    {"dilation [1, 1] pad [1, 1, 1, 1]", "dilation [9, 1] pad [1, 1, 1, 1]", "reaches over 19"},
    {"groups 2", "groups 3", "must divide"},
    {"groups 2", "groups 0", "must divide"},
    {"groups 2", "groups 1", "input channels"},
    {"conv2d(x, w1, b1)", "conv2d(x, w1, w1)", "bias needs shape"},
    {"conv2d(x, w1, b1)", "conv2d(x, wd, b1)", "needs 4 dimensions"},
    {"dense(twice, wd)", "dense(flat, wd)", "want 96 inputs"},
    {"max_pool2d(sum) -> big kernel [2, 2] stride [2, 2] dilation [1, 1] pad [0,",
     "max_pool2d(sum) -> big kernel [2, 2] stride [2, 2] dilation [1, 1] pad [2,", "smaller than the kernel"},
    {"max_pool2d(sum) -> big kernel [2, 2] stride [2, 2] dilation [1, 1]",
     "max_pool2d(sum) -> big kernel [2, 2] stride [2, 2] dilation [2, 1]", "no dilation"},
    {"max_pool2d(sum)", "max_pool2d(flat)", "used before"},
    {"tensor big: u8", "tensor big: s8", "same type"},
    {"tensor big: u8[1, 2, 2, 4] scale 0.25", "tensor big: u8[1, 2, 2, 4] scale 0.26", "same scale"},
    {"tensor flat: u8[1, 48] scale 0.25", "tensor flat: u8[1, 48] scale 0.26", "same scale"},
    {"requant none plus 0 clamp [0, 200]", "requant none plus 1 clamp [0, 200]", "only clamps"},
    {"requant none plus 0 clamp [0, 200]", "requant none plus 0 clamp [200, 0]", "empty"},
    {"requant none plus 0 clamp [0, 200]", "requant none plus 0 clamp [0, 256]", "leaves the output type"},
    {"requant none plus 0 clamp [0, 200]", "requant pow2(shift 1) plus 0 clamp [0, 200]", "only clamps"},
    {"pads [0, 0, 1, 0,", "pads [0, 0, -1, 0,", "negative"},
    {"value 9", "value 256", "outside the type"},
    {"tensor flat: u8[1, 48]", "tensor flat: u8[1, 47]", "cannot become 47"},
    {"-> twice axis 1", "-> twice axis 2", "axis 2 is outside"},
    {"concat(flat, flat)", "concat(flat, wide)", "dimensions"},
    {"-> best axis 1", "-> best axis 0", "only the last one"},
    {"tensor best: u2", "tensor best: u1", "cannot hold index 2"},
    {"tensor logits: s8", "tensor logits: s9", "softmax is defined from s8"},
    {"scale 0.00390625 zero -128", "scale 0.00390625 zero 0", "scale 1/256"},
    {"beta 1;", "beta 1e-9;", "out of range"},
    {"mult [1073741824,", "mult [-1,", "between 0"},
    {"tflite16(mult 1073741824", "tflite16(mult 1073741823", "neither 0"},
    {"shift [-3,", "shift [-32,", "between -31 and 31"},
    {"mult [1073741824, 2147483647, 0, 1500000000], shift [-3, 1, 0, -31]",
     "mult [1073741824, 2147483647], shift [-3, 1]", "parameters for 2 channels"},
    {"left_shift 20", "left_shift 31", "between 0 and 30"},
    {"left_shift 20\n  left tflite(mult 1073741824, shift 0)", "left_shift 20\n  left pow2(shift 0)", "operands only"},
    {"right pow2(shift 2)", "right pow2(shift 63)", "between 0 and 62"},
    {"left none", "left dyadic(mult 140737488355327, shift 0)", "may leave 48 bits"},
    {"dyadic(mult 77", "dyadic(mult 140737488355328", "more than 48 bits"},
    {"add [-5, 0, 5]", "add [-5, 0, 9223372036854775807]", "leaves 64 bits"},
    {"[1, 2, 3], [-9", "[1, 3, 2], [-9", "do not ascend"},
    {"b1: s32[4] = [100,", "b1: s48[4] = [140737488355327,", "may leave 48 bits"},
    {"tensor wd: b1[3, 96] = [\n  1", "tensor wd: b1[3, 96] = [\n  0", "outside b1"},
    {"tensor wd: b1[3, 96]", "tensor wd: s17[3, 96]", "more than 16 bits"},
    {"tensor wd: b1[3, 96]", "tensor wd: b1[3, 96] scale 1 zero 1", "zero point 0"},
    {"w4 a4", "w0 a4", "1 to 16 bits"},
    {"profile low", "profile low { x: w1 a1; }\nprofile low", "two profiles"},
};

static char *changed(const struct change *c) {
  const char *at = strstr(whole, c->from);
  if (!at) fail_msg("the graph has no '%s'", c->from);
  return bf_format("%.*s%s%s", (int)(at - whole), whole, c->to, at + strlen(c->from));
}

static void expect_message(const struct bf_diags *diags, const struct change *c) {
  struct bf_buf text = {0};
  bf_diags_render(diags, &text);
  if (!strstr(bf_buf_cstr(&text), c->message))
    fail_msg("'%s' for '%s': no '%s' in\n%s", c->to, c->from, c->message, bf_buf_cstr(&text));
  bf_buf_free(&text);
}

static void test_parser_rules(void **state) {
  for (size_t i = 0; i < BF_COUNT(parser_rules); i++) {
    struct bf_diags diags = {0};
    char *text = changed(&parser_rules[i]);
    if (parse(text, strlen(text), &diags)) fail_msg("'%s' was accepted", parser_rules[i].to);
    assert_true(diags.errors > 0);
    assert_non_null(diags.items[0].range.source);
    expect_message(&diags, &parser_rules[i]);
    free(text);
    bf_diags_free(&diags);
  }
}

static void test_verifier_rules(void **state) {
  for (size_t i = 0; i < BF_COUNT(verifier_rules); i++) {
    const struct change *c = &verifier_rules[i];
    struct bf_diags diags = {0};
    char *text = changed(c);
    // A constant that no layer needs, for the rule about constants as operands.
    const char *node = strstr(text, "node ");
    char *moved = bf_format("%.*stensor wc: s8[1, 3] = [1, 2, 3];\n%s", (int)(node - text), text, node);
    struct bf_graph *g = parse(moved, strlen(moved), &diags);
    if (!g) render_and_fail(&diags);
    bool ok = bf_graph_verify(g, &diags);
    if (ok != (c->message == NULL)) fail_msg("'%s' gave %d", c->to, ok);
    if (c->message) expect_message(&diags, c);
    bf_graph_free(g);
    free(text);
    free(moved);
    bf_diags_free(&diags);
  }
}

// What no text can say.
static void test_broken_structure(void **state) {
  struct bf_diags diags = {0};
  const uint64_t huge[] = {UINT64_MAX, UINT64_MAX}, none[] = {0}, five[] = {5};
  const struct bf_type s8 = {BF_TYPE_S, 8};
  struct bf_graph *g = bf_graph_new("g");
  assert_null(bf_graph_tensor(g, "t", s8, 2, huge));
  assert_null(bf_graph_tensor(g, "t", s8, 1, none));
  assert_null(bf_graph_tensor(g, "t", s8, 0, five));
  assert_null(bf_graph_tensor(g, "t", s8, 5, huge));
  struct bf_tensor *x = bf_graph_tensor(g, "x", s8, 1, five), *y = bf_graph_tensor(g, "y", s8, 1, five);
  x->is_input = y->is_output = true;
  struct bf_node *node = bf_graph_node(g, BF_OP_CLAMP, "n", &x, 1, y);
  node->attrs.requant.hi = 1;
  assert_true(bf_graph_verify(g, &diags));
  y->producer = NULL;
  assert_false(bf_graph_verify(g, &diags));
  y->producer = node;
  x->elements = 4;
  assert_false(bf_graph_verify(g, &diags));
  x->elements = 5;
  x->type.bits = 64;
  assert_false(bf_graph_verify(g, &diags));
  x->type = s8;
  node->attrs.requant.mode = BF_REQUANT_TFLITE;
  assert_false(bf_graph_verify(g, &diags));
  node->attrs.requant.mode = BF_REQUANT_NONE;
  node->op = BF_OP_COUNT;
  assert_false(bf_graph_verify(g, &diags));
  node->op = BF_OP_CLAMP;
  node->inputs[0] = NULL;
  assert_false(bf_graph_verify(g, &diags));
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// ---- random graphs

static uint64_t rng = 0x9E3779B97F4A7C15u;

static uint64_t random_below(uint64_t n) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return rng % n;
}

static int64_t random_i64(void) {
  random_below(1);
  return (int64_t)rng >> random_below(64);
}

static float random_float(void) {
  union {
    uint32_t bits;
    float value;
  } u;
  do {
    random_below(1);
    u.bits = (uint32_t)(rng >> 32);
  } while (!isfinite(u.value));
  return u.value;
}

static void random_name(char *out) {
  size_t length = 1 + random_below(10);
  for (size_t i = 0; i < length; i++) out[i] = (char)(random_below(3) ? 'a' + random_below(26) : 1 + random_below(255));
  out[length] = '\0';
}

static void random_requant(struct bf_graph *g, struct bf_requant *rq) {
  rq->mode = (enum bf_requant_mode)random_below(BF_REQUANT_COUNT);
  rq->count = rq->mode == BF_REQUANT_NONE ? 0 : 1 + (uint32_t)random_below(5);
  rq->nthresholds = (uint32_t)random_below(4);
  if (rq->mode != BF_REQUANT_THRESHOLDS) rq->nthresholds = 0;
  rq->mult = bf_arena_alloc(&g->arena, 5, sizeof *rq->mult);
  rq->add = bf_arena_alloc(&g->arena, 5, sizeof *rq->add);
  rq->shift = bf_arena_alloc(&g->arena, 5, sizeof *rq->shift);
  rq->fscale = bf_arena_alloc(&g->arena, 5, sizeof *rq->fscale);
  rq->thresholds = bf_arena_alloc(&g->arena, 20, sizeof *rq->thresholds);
  for (int i = 0; i < 5; i++) {
    rq->mult[i] = random_i64();
    rq->add[i] = random_i64();
    rq->shift[i] = (int32_t)random_i64();
    rq->fscale[i] = random_float();
  }
  for (int i = 0; i < 20; i++) rq->thresholds[i] = random_i64();
  rq->out_zero = random_i64();
  rq->lo = random_i64();
  rq->hi = random_i64();
}

static struct bf_tensor *random_tensor(struct bf_graph *g) {
  char name[16];
  do random_name(name);
  while (bf_graph_find_tensor(g, name));
  uint64_t shape[BF_MAX_RANK];
  unsigned rank = 1 + (unsigned)random_below(BF_MAX_RANK);
  for (unsigned i = 0; i < rank; i++) shape[i] = 1 + random_below(4);
  const struct bf_type types[] = {{BF_TYPE_U, 1 + (unsigned)random_below(48)}, {BF_TYPE_S, 1 + (unsigned)random_below(48)},
                                  {BF_TYPE_B, 1}, {BF_TYPE_T, 2}};
  struct bf_tensor *t = bf_graph_tensor(g, name, types[random_below(4)], rank, shape);
  t->is_input = random_below(2);
  t->is_output = random_below(2);
  t->quant.count = (uint32_t)random_below(4);
  t->quant.axis = t->quant.count ? (int)random_below(4) : 0;
  t->quant.scale = bf_arena_alloc(&g->arena, 4, sizeof(float));
  t->quant.zero = bf_arena_alloc(&g->arena, 4, sizeof(int32_t));
  for (int i = 0; i < 4; i++) {
    t->quant.scale[i] = random_float();
    t->quant.zero[i] = (int32_t)random_i64();
  }
  if (random_below(2)) t->data = bf_arena_alloc(&g->arena, t->elements, sizeof *t->data);
  for (uint64_t i = 0; t->data && i < t->elements; i++) t->data[i] = random_i64();
  return t;
}

static void random_attrs(struct bf_graph *g, struct bf_attrs *a) {
  int32_t *lists[] = {a->kernel, a->stride, a->dilation, a->pad, a->pad + 2};
  for (size_t i = 0; i < BF_COUNT(lists); i++)
    for (int k = 0; k < 2; k++) lists[i][k] = (int32_t)random_i64();
  a->groups = (uint32_t)random_i64();
  a->left_shift = (int32_t)random_i64();
  for (int i = 0; i < BF_MAX_RANK * 2; i++) a->pads[i / 2][i % 2] = (int32_t)random_i64();
  a->pad_value = random_i64();
  a->axis = (int)random_i64();
  a->beta = random_float();
  random_requant(g, &a->requant);
  random_requant(g, &a->in_requant[0]);
  random_requant(g, &a->in_requant[1]);
}

static void test_random_round_trips(void **state) {
  for (int round = 0; round < 300; round++) {
    char name[16];
    random_name(name);
    struct bf_graph *g = bf_graph_new(name);
    for (size_t n = 2 + random_below(8); g->ntensors < n;) random_tensor(g);
    for (size_t n = random_below(8); g->nnodes < n;) {
      struct bf_tensor *in[3];
      for (int i = 0; i < 3; i++) in[i] = g->tensors[random_below(g->ntensors)];
      random_name(name);
      struct bf_node *node = bf_graph_node(g, (enum bf_op)random_below(BF_OP_COUNT), name, in,
                                           (uint32_t)random_below(4), random_tensor(g));
      node->line = (uint32_t)random_i64();
      random_attrs(g, &node->attrs);
    }
    struct bf_buf text = round_trip(g);
    // Cut anywhere, the text is refused or is another graph; it never harms.
    struct bf_diags diags = {0};
    bf_graph_free(parse(text.data, random_below(text.length), &diags));
    // One byte altered: the same.
    text.data[random_below(text.length)] = (char)random_below(256);
    struct bf_graph *other = parse(text.data, text.length, &diags);
    if (other) bf_graph_verify(other, &diags);
    bf_graph_free(other);
    bf_diags_free(&diags);
    bf_buf_free(&text);
    bf_graph_free(g);
  }
}

// Every prefix of the whole graph, and every byte replaced: no crash, and never silence about a refusal.
static void test_hostile_text(void **state) {
  size_t length = strlen(whole);
  for (size_t i = 0; i < length; i++) {
    struct bf_diags diags = {0};
    struct bf_graph *g = parse(whole, i, &diags);
    assert_true(g || diags.errors);
    bf_graph_free(g);
    char *text = bf_strdup(whole);
    text[i] = (char)random_below(256);
    g = parse(text, length, &diags);
    assert_true(g || diags.errors);
    if (g) bf_graph_verify(g, &diags);
    bf_graph_free(g);
    free(text);
    bf_diags_free(&diags);
  }
}

static void test_types(void **state) {
  struct bf_type t, u;
  char text[8];
  for (unsigned bits = 1; bits <= 48; bits++)
    for (int kind = 0; kind < 2; kind++) {
      t = (struct bf_type){(enum bf_type_kind)kind, bits};
      bf_type_text(text, t);
      assert_true(bf_type_parse(text, strlen(text), &u));
      assert_true(bf_type_equal(t, u));
      assert_true(bf_type_max(t) - bf_type_min(t) + 1 == (int64_t)1 << bits);
    }
  const char *const wrong[] = {"", "u", "s0", "u08", "u49", "b2", "t1", "x8", "u8 ", "u999", "8", "S8", "s-1"};
  for (size_t i = 0; i < BF_COUNT(wrong); i++) assert_false(bf_type_parse(wrong[i], strlen(wrong[i]), &t));
  assert_true(bf_type_parse("b1", 2, &t) && bf_type_min(t) == -1 && bf_type_max(t) == 1);
  assert_true(bf_type_parse("t2", 2, &t) && bf_type_min(t) == -1 && bf_type_max(t) == 1);
}

static void test_tables(void **state) {
  for (int i = 0; i < BF_OP_COUNT; i++) assert_non_null(bf_op_info((enum bf_op)i)->name);
  assert_null(bf_op_info(BF_OP_COUNT));
  for (int i = 0; i < BF_REQUANT_COUNT; i++) {
    assert_non_null(bf_requant_mode_name((enum bf_requant_mode)i));
    assert_non_null(bf_requant_mode_rule((enum bf_requant_mode)i));
  }
  assert_null(bf_requant_mode_name(BF_REQUANT_COUNT));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),          cmocka_unit_test(test_tables),
      cmocka_unit_test(test_whole),          cmocka_unit_test(test_parser_rules),
      cmocka_unit_test(test_verifier_rules), cmocka_unit_test(test_broken_structure),
      cmocka_unit_test(test_random_round_trips), cmocka_unit_test(test_hostile_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
