// SPDX-License-Identifier: Apache-2.0
// Requantizations whose product needs more than 63 bits, against the reference evaluator; and a layer that comes through the
// pipeline in parts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/compiler.h"
#include "ir/reference.h"
#include "runtime/engine.h"

struct rng { uint64_t state; };

static uint64_t next(struct rng *rng) {
  rng->state = rng->state * 6364136223846793005u + 1442695040888963407u;
  return rng->state >> 33;
}

static int64_t between(struct rng *rng, int64_t lo, int64_t hi) {
  return lo + (int64_t)((next(rng) << 31 | next(rng)) % (uint64_t)(hi - lo + 1));
}

static struct bf_tensor *constant(struct bf_graph *g, const char *name, struct bf_type type, unsigned rank, const uint64_t *shape) {
  struct bf_tensor *t = bf_graph_tensor(g, name, type, rank, shape);
  t->data = bf_arena_alloc(&g->arena, t->elements, sizeof *t->data);
  return t;
}

// A dense layer with sums of about `sum_bits` bits.
struct shape { uint64_t inputs, outputs; unsigned x_bits, w_bits; bool extreme; };

static struct bf_graph *dense(struct rng *rng, const struct shape *s, struct bf_requant rq, struct bf_type out) {
  struct bf_graph *g = bf_graph_new("wide");
  const uint64_t xs[] = {1, s->inputs}, ws[] = {s->outputs, s->inputs}, ys[] = {1, s->outputs};
  const struct bf_type x_type = {BF_TYPE_S, s->x_bits}, w_type = {BF_TYPE_S, s->w_bits};
  struct bf_tensor *x = bf_graph_tensor(g, "x", x_type, 2, xs), *w = constant(g, "w", w_type, 2, ws);
  x->is_input = true;
  int64_t top = bf_type_max(w_type);
  for (uint64_t i = 0; i < w->elements; i++) w->data[i] = s->extreme ? (i % 3 ? top : -top) : between(rng, -top, top);
  struct bf_tensor *y = bf_graph_tensor(g, "y", out, 2, ys);
  y->is_output = true;
  struct bf_tensor *inputs[] = {x, w};
  bf_graph_node(g, BF_OP_DENSE, "y", inputs, 2, y)->attrs.requant = rq;
  return g;
}

static void fill(struct rng *rng, const struct bf_tensor *x, int64_t *values, int round) {
  int64_t lo = bf_type_min(x->type), hi = bf_type_max(x->type);
  for (uint64_t i = 0; i < x->elements; i++)
    values[i] = round == 0 ? lo : round == 1 ? hi : round == 2 ? (i % 3 ? hi : lo) : round == 3 ? 0 : between(rng, lo, hi);
}

static void fail_with(const struct bf_diags *diags) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  print_error("%s", bf_buf_cstr(&out));
  bf_buf_free(&out);
}

static struct ap_program *compile(const struct bf_graph *g, unsigned opt, enum bf_mapping mapping, struct bf_compile_options *o,
                                  struct bf_diags *diags) {
  const struct bf_source *source;
  *o = (struct bf_compile_options){.opt_level = opt, .mapping = mapping, .batch = 1, .verify_each = true};
  assert_true(ap_machine_load("bf-imna-lr", &o->machine, &source, diags));
  assert_true(ap_technology_load("sram16", &o->tech, diags));
  struct ap_program *p = bf_compile(g, o, diags);
  if (!p) fail_with(diags);
  assert_non_null(p);
  return p;
}

static void compare(struct rng *rng, const struct bf_graph *g, const struct ap_program *p, const struct bf_compile_options *o) {
  struct bf_diags diags = {0};
  const struct bf_tensor *x = g->tensors[0], *y = g->nodes[g->nnodes - 1]->output;
  int64_t *values = bf_alloc(x->elements, sizeof *values), *got = bf_alloc(y->elements, sizeof *got);
  struct ap_account *layers = bf_alloc(p->nlayers + 1, sizeof *layers), total;
  for (int round = 0; round < 8; round++) {
    struct ap_run *run = ap_run_new(p, &diags);
    struct bf_ref_run *ref = bf_ref_new(g);
    fill(rng, x, values, round);
    assert_true(bf_ref_set_input(ref, x, values));
    assert_true(ap_run_set(run, p->inputs[0], values));
    assert_true(bf_ref_run(ref, &diags));
    assert_true(ap_run_execute(run, &o->tech, layers, &total, &(struct ap_execution){.threads = 1}, &diags));
    ap_run_get(run, p->outputs[0], got);
    for (uint64_t i = 0; i < y->elements; i++) assert_int_equal(got[i], ref->values[y->id][i]);
    ap_run_free(run);
    bf_ref_free(ref);
  }
  free(layers);
  free(values);
  free(got);
  bf_diags_free(&diags);
}

static void check(struct rng *rng, const struct bf_graph *g, unsigned opt, enum bf_mapping mapping) {
  struct bf_diags diags = {0};
  struct bf_compile_options o;
  if (!bf_graph_verify(g, &diags)) fail_with(&diags);
  assert_int_equal(diags.errors, 0);
  struct ap_program *p = compile(g, opt, mapping, &o, &diags);
  compare(rng, g, p, &o);
  ap_program_free(p);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
}

static void test_wide(void **state) {
  (void)state;
  struct rng rng = {7};
  static const struct shape shapes[] = {{64, 3, 16, 16, true}, {40, 2, 16, 16, false}, {900, 1, 16, 14, true}, {33, 2, 16, 9, false}};
  for (size_t i = 0; i < BF_COUNT(shapes); i++)
    for (int round = 0; round < 12; round++) {
      int64_t mult = between(&rng, 1 << 30, INT32_MAX), add = between(&rng, -((int64_t)1 << 40), (int64_t)1 << 40);
      int32_t shift = (int32_t)between(&rng, -26, -1), right = (int32_t)between(&rng, 32, 52);
      if (round % 3 == 2) mult >>= 7;  // this mode is defined in 64 bits
      struct bf_requant rq = {.mode = round % 3 == 0   ? BF_REQUANT_TFLITE
                                      : round % 3 == 1 ? BF_REQUANT_DYADIC
                                                       : BF_REQUANT_AFFINE_FLOOR,
                              .count = 1, .mult = &mult, .add = &add, .shift = round % 3 ? &right : &shift, .out_zero = round - 5};
      struct bf_type out = {BF_TYPE_S, round & 1 ? 16 : 24};
      rq.lo = bf_type_min(out);
      rq.hi = bf_type_max(out);
      struct bf_graph *g = dense(&rng, &shapes[i], rq, out);
      check(&rng, g, round & 2 ? 2 : 0, round % 5 ? BF_MAPPING_PIXEL : BF_MAPPING_OUTPUT);
      bf_graph_free(g);
    }
}

// Part of a layer is emitted, and gone, before the next part is made. --passes and --print-after see each part.
static void test_parts(void **state) {
  (void)state;
  struct rng rng = {11};
  const struct shape s = {500, 160, 8, 8, false};
  int64_t mult = 1 << 30;
  int32_t shift = -9;
  struct bf_type out = {BF_TYPE_S, 8};
  struct bf_requant rq = {.mode = BF_REQUANT_TFLITE, .count = 1, .mult = &mult, .shift = &shift, .lo = -128, .hi = 127};
  struct bf_graph *g = dense(&rng, &s, rq, out);
  check(&rng, g, 2, BF_MAPPING_PIXEL);
  struct bf_diags diags = {0};
  struct bf_compile_options o;
  ap_program_free(compile(g, 2, BF_MAPPING_PIXEL, &o, &diags));
  struct bf_buf printed = {0};
  o.print_after = "allocate";
  o.passes = "verify,map,lower,select,allocate";
  o.print_out = &printed;
  struct ap_program *p = bf_compile(g, &o, &diags);
  assert_non_null(p);
  unsigned parts = 0, regions = 0;
  for (const char *at = printed.data; (at = strstr(at, "# after allocate")); at++) parts++;
  for (const char *at = printed.data; (at = strstr(at, "  region ")); at++, regions++) {
    char want[32];
    snprintf(want, sizeof want, "  region %u rows", regions);
    assert_memory_equal(at, want, strlen(want));
  }
  assert_true(parts > 1);
  assert_true(regions >= parts);
  assert_int_equal(p->nlayers, 1);
  ap_program_free(p);
  static const char *const unfinished[] = {"verify", "verify,map,lower", "verify,map,lower,select", "map,select", "map,lower,verify",
                                           "map,lower,lower"};
  for (size_t i = 0; i < BF_COUNT(unfinished); i++) {
    size_t before = diags.errors;
    o.passes = unfinished[i];
    assert_null(bf_compile(g, &o, &diags));
    assert_int_equal(diags.errors, before + 1);
  }
  bf_buf_free(&printed);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  bf_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_wide), cmocka_unit_test(test_parts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
