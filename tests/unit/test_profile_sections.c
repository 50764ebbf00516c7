// SPDX-License-Identifier: Apache-2.0
// Profiles in binaries and in assembly text: what is shared, what the validator refuses, hostile bytes, switching in one run.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/compiler.h"
#include "frontend/bfn.h"
#include "isa/container.h"
#include "runtime/session.h"
#include "tests/support/refused.h"

static const char network[] =
    "bfn 1;\n"
    "network n {\n"
    "  input x: s8[4, 4, 2] scale 0.05 zero -3;\n"
    "  const w0: s8[3, 3, 3, 2] scale 0.02 = 37;\n"
    "  const w1: s8[2, 1, 1, 3] scale 0.02 = [90, -77, 3, 1, 5, -128];\n"
    "  const w2: s8[2, 1, 1, 2] scale 0.02 = [9, -7, 30, 1];\n"
    "  a = conv2d(x, w0, pad same, activation relu) -> s8 scale 0.1 zero -128;\n"
    "  b = conv2d(a, w1) -> s8 scale 0.1;\n"
    "  c = conv2d(b, w2) -> s8 scale 0.1;\n"
    "  output c;\n"
    "}\n"
    "profile same { default: w8 a8; }\n"
    "profile low { b: w4 a4; default: w8 a8; }\n"
    "profile lower { b: w4 a4; c: w2 a8; default: w8 a8; }\n";

static void show(const struct bf_diags *diags) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  print_error("%s", bf_buf_cstr(&out));
  bf_buf_free(&out);
}

static struct ap_program *compile(void) {
  struct bf_diags diags = {0};
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  assert_true(ap_machine_load("edge", &o.machine, NULL, &diags) && ap_technology_load("sram16", &o.tech, &diags));
  struct bf_graph *g = bf_bfn_compile(bf_diags_add_source(&diags, "n.bfn", network, strlen(network)), NULL, NULL, &diags);
  struct ap_program *p = g ? bf_compile_profiles(g, &o, &diags) : NULL;
  if (!p) show(&diags);
  assert_non_null(p);
  bf_graph_free(g);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  return p;
}

static uint32_t layer_of(const struct ap_program *p, const char *name) {
  for (uint32_t i = 0; i < p->nlayers; i++)
    if (!strcmp(p->layers[i].name, name)) return i;
  fail_msg("there is no layer %s", name);
  return 0;
}

static uint32_t tensor_of(const struct ap_program *p, const char *name) {
  for (uint32_t i = 0; i < p->ntensors; i++)
    if (!strcmp(p->tensors[i].name, name)) return i;
  fail_msg("there is no tensor %s", name);
  return 0;
}

static void test_sharing(void **state) {
  (void)state;
  struct ap_program *p = compile();
  assert_int_equal(p->nprofiles, 4);
  static const char *const names[] = {"base", "same", "low", "lower"};
  for (int i = 0; i < 4; i++) assert_string_equal(p->profiles[i].name, names[i]);
  // `low` needs another a (its result has 4 bits) and b; `lower` another c besides.
  uint32_t a = layer_of(p, "a"), b = layer_of(p, "b"), c = layer_of(p, "c");
  uint32_t a4 = layer_of(p, "a@low"), b4 = layer_of(p, "b@low"), c2 = layer_of(p, "c@lower");
  const uint32_t want[4][3] = {{a, b, c}, {a, b, c}, {a4, b4, c}, {a4, b4, c2}};
  assert_int_equal(p->nlayers, 6);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(p->profiles[i].nlayers, 3);
    assert_memory_equal(p->profiles[i].layers, want[i], sizeof want[i]);
  }
  // The narrow tensor lies in the memory of the wide one.
  const struct ap_tensor *narrow = &p->tensors[tensor_of(p, "a@low")];
  assert_int_equal(narrow->bits, 4);
  assert_int_equal(narrow->alias, tensor_of(p, "a"));
  assert_int_equal(p->layers[a4].output, narrow - p->tensors);
  struct ap_program *view = ap_profile_view(p, 3);
  assert_string_equal(view->layers[0].name, "a");
  assert_string_equal(view->layers[2].name, "c");
  ap_profile_view_free(view);
  uint64_t bytes[4];
  ap_profile_sizes(p, bytes);
  assert_int_equal(bytes[1], 4 + strlen("same") + 4 + 3 * 4);  // a name and three numbers
  assert_true(bytes[0] > bytes[2] && bytes[2] > bytes[3] && bytes[3] > bytes[1]);
  ap_program_free(p);
}

// ---- the validator

#define CASES(X)                                                                                       \
  X(name_empty, p->profiles[1].name = strcpy(p->profiles[1].name, ""), "its name is no word")          \
  X(name_sign, p->profiles[1].name[0] = '@', "its name is no word")                                    \
  X(name_control, p->profiles[1].name[0] = '\033', "its name is no word")                              \
  X(name_twice, p->profiles[1].name = p->profiles[2].name, "two profiles are called low")              \
  X(no_layers, p->profiles[1].nlayers = 0, "has no layers")                                            \
  X(layer_missing, p->profiles[2].layers[1] = 6, "there is no layer 6")                                \
  X(layer_huge, p->profiles[2].layers[1] = UINT32_MAX, "there is no layer 4294967295")                 \
  X(layer_twice, p->profiles[2].layers[1] = p->profiles[2].layers[0], "comes twice")                   \
  X(order, (p->profiles[0].layers[0] = 1, p->profiles[0].layers[1] = 0), "no layer before it has written: a") \
  X(width, p->profiles[2].layers[1] = 1, "layer b reads at another width than it was written at: a")  \
  X(output, p->profiles[0].nlayers = 2, "no layer writes the output c")                                \
  X(gap, p->layers[0].end--, "all code but the last halt belongs to layers")                           \
  X(alias_wider, p->tensors[tensor_of(p, "a@low")].bits = 9, "their elements or bits differ")          \
  X(alias_alone, p->nprofiles = 0, "their elements or bits differ")

CASES(REFUSED_CHANGE)

static void test_validator(void **state) {
  (void)state;
  static const struct refused list[] = {CASES(REFUSED_ROW)};
  expect_refused(compile, list, BF_COUNT(list));
}

// ---- bytes

static struct bf_buf bytes_of(const struct ap_program *p) {
  struct bf_diags diags = {0};
  struct bf_buf out = {0};
  assert_true(ap_program_write(p, &out, &diags));
  bf_diags_free(&diags);
  return out;
}

// Each byte of the section, altered: refused with an error, or read as a valid program.
static void test_hostile_bytes(void **state) {
  (void)state;
  struct ap_program *p = compile();
  struct bf_buf bytes = bytes_of(p), section = {0};
  ap_section_write(AP_SECTION_PROFILES, p, &section);
  char *at = NULL;
  for (size_t i = 0; i + section.length <= bytes.length && !at; i++)
    if (!memcmp(bytes.data + i, section.data, section.length)) at = bytes.data + i;
  assert_non_null(at);
  unsigned refused = 0;
  static const unsigned char values[] = {0, 1, 0x7F, 0x80, 0xFF};
  for (size_t i = 0; i < section.length; i++)
    for (size_t v = 0; v < BF_COUNT(values); v++) {
      struct bf_diags diags = {0};
      char old = at[i];
      at[i] = (char)values[v];
      struct ap_program *q = ap_program_read(bytes.data, bytes.length, "hostile.apbin", &diags);
      assert_true((q == NULL) == (diags.errors > 0));
      refused += q == NULL;
      ap_program_free(q);
      bf_diags_free(&diags);
      at[i] = old;
    }
  assert_true(refused > 3 * section.length);
  bf_buf_free(&section);
  bf_buf_free(&bytes);
  ap_program_free(p);
}

// ---- text

static void expect_text_error(const char *text, const char *from, const char *to, const char *words) {
  const char *at = strstr(text, from);
  assert_non_null(at);
  char *changed = bf_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  struct bf_diags diags = {0};
  struct ap_program *p = ap_asm_parse(bf_diags_add_source(&diags, "p.aps", changed, strlen(changed)), &diags);
  assert_null(p);
  if (!strstr(diags.items[0].message, words)) fail_msg("%s: %s", words, diags.items[0].message);
  assert_non_null(diags.items[0].range.source);
  bf_diags_free(&diags);
  free(changed);
}

static void test_text(void **state) {
  (void)state;
  struct ap_program *p = compile();
  struct bf_buf text = {0};
  ap_asm_print(p, &text);
  const char *all = bf_buf_cstr(&text), *line = ".profile name=\"same\" layers=[0, 1, 2]";
  expect_text_error(all, line, ".profile name=\"same\"", "needs name= and layers=");
  expect_text_error(all, line, ".profile layers=[0]", "needs name= and layers=");
  expect_text_error(all, line, ".profile name=same name=other layers=[0]", "given twice");
  expect_text_error(all, line, ".profile name=same layer=[0]", "unknown field");
  expect_text_error(all, line, ".profile name=same layers=0", "expected");
  expect_text_error(all, line, ".profile name=same layers=[0, ]", "expected");
  expect_text_error(all, line, ".profile name=same layers=[0, 1, 2, 77]", "there is no layer 77");
  expect_text_error(all, line, ".profile name=low layers=[0, 1, 2]", "two profiles are called low");
  bf_buf_free(&text);
  ap_program_free(p);
}

// ---- switching

static bool constants_unchanged(const struct ap_program *p, const struct ap_run *run) {
  bool same = true;
  for (uint32_t t = 0; t < p->ntensors; t++) {
    if (p->tensors[t].storage != AP_STORAGE_CONST) continue;
    uint64_t n = ap_tensor_elements(&p->tensors[t]);
    int64_t *q = bf_alloc(n, sizeof *q);
    ap_run_get(run, t, q);
    for (uint64_t e = 0; e < n; e++) same = same && (uint64_t)(q[e] - p->tensors[t].bias) == ap_consts_at(&p->consts, p->tensors[t].data + e);
    free(q);
  }
  return same;
}

// A schedule gives each image what its profile alone gives it, at the sum of the cycles.
static void test_schedule(void **state) {
  (void)state;
  static const uint32_t schedule[] = {0, 2, 3};
  struct ap_program *p = compile();
  struct bf_diags diags = {0};
  struct ap_technology tech;
  assert_true(ap_technology_load("sram16", &tech, &diags));
  bool *want = bf_alloc(p->ntensors, sizeof *want);
  want[p->outputs[0]] = true;
  struct ap_images images;
  ap_images_random(p, p->inputs[0], 11, 7, &images);
  struct ap_session mixed = {.program = p, .tech = &tech, .inputs = &images, .want = want, .schedule = schedule, .nschedule = 3};
  assert_true(ap_session_run(&mixed, &diags));
  assert_int_equal(mixed.switches, 6);
  uint64_t cycles = 0;
  for (uint32_t i = 0; i < 3; i++) {
    struct ap_session alone = {.program = p, .tech = &tech, .inputs = &images, .want = want, .profile = schedule[i]};
    assert_true(ap_session_run(&alone, &diags));
    const struct ap_images *got = &mixed.values[p->outputs[0]], *expected = &alone.values[p->outputs[0]];
    uint64_t count = 0;
    for (uint64_t image = i; image < 7; image += 3, count++)
      assert_memory_equal(got->q + image * got->elements, expected->q + image * got->elements, got->elements * sizeof *got->q);
    assert_int_equal(mixed.uses[schedule[i]].images, count);
    assert_int_equal(mixed.uses[schedule[i]].total.time.cycles, alone.total.time.cycles / 7 * count);
    cycles += mixed.uses[schedule[i]].total.time.cycles;
    ap_session_free(&alone);
  }
  assert_int_equal(mixed.total.time.cycles, cycles + mixed.switches * AP_SWITCH_CYCLES);
  struct ap_run *run = ap_run_new(p, &diags);
  assert_true(constants_unchanged(p, run));
  ap_run_free(run);
  ap_session_free(&mixed);
  ap_images_free(&images);
  free(want);
  ap_technology_free(&tech);
  bf_diags_free(&diags);
  ap_program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sharing),       cmocka_unit_test(test_validator), cmocka_unit_test(test_hostile_bytes),
      cmocka_unit_test(test_text),          cmocka_unit_test(test_schedule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
