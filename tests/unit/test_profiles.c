// SPDX-License-Identifier: Apache-2.0
// Profiles end to end on random networks: what `bf_graph_apply_profile` means, held against one binary with all profiles in both engines,
// against binaries of one profile each, and static accounts against executed ones.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/compiler.h"
#include "frontend/bfn.h"
#include "ir/profile.h"
#include "ir/reference.h"
#include "runtime/engine.h"
#include "tests/support/random_graph.h"

#define PROFILES 3

// ---- random networks as text

struct text {
  struct bf_buf out;
  struct rng *rng;
  int layers, constants;
  struct { char name[16]; int h, w, c; bool is_signed; unsigned bits; double scale; int zero; } at;  // the last layer
};

static int pick(struct text *t, int lo, int hi) { return (int)rng_range(t->rng, lo, hi); }

static void numbers(struct text *t, int count, int lo, int hi) {
  for (int i = 0; i < count; i++) bf_buf_printf(&t->out, "%s%d", i ? ", " : "", pick(t, lo, hi));
}

// A type with scale and zero point for a result, and where the network stands then.
static void result(struct text *t, int h, int w, int c) {
  t->at.h = h, t->at.w = w, t->at.c = c;
  t->at.is_signed = pick(t, 0, 2) != 0;
  t->at.bits = (unsigned)pick(t, 3, 9);
  t->at.scale = 0.01 * pick(t, 2, 9);
  int half = 1 << (t->at.bits - 1), lo = t->at.is_signed ? -half : 0;
  t->at.zero = pick(t, 0, 2) == 0 ? lo : pick(t, 0, 1) ? pick(t, lo, lo + 2 * half - 1) : 0;
  snprintf(t->at.name, sizeof t->at.name, "l%d", t->layers++);
  bf_buf_printf(&t->out, " -> %c%u scale %g zero %d", t->at.is_signed ? 's' : 'u', t->at.bits, t->at.scale, t->at.zero);
}

static void thresholds(struct text *t) {
  int at = pick(t, -2000, 0), count = pick(t, 1, 7);
  bf_buf_puts(&t->out, " requantize thresholds([");
  for (int i = 0; i < count; i++) bf_buf_printf(&t->out, "%s%d", i ? ", " : "", at += pick(t, 1, 400));
  bf_buf_puts(&t->out, "])");
}

static void mode(struct text *t, int channels) {
  switch (pick(t, 0, 7)) {
    case 0: bf_buf_printf(&t->out, " requantize dyadic(mult %d, shift %d)", pick(t, 1, 300), pick(t, 4, 14)); break;
    case 1: bf_buf_printf(&t->out, " requantize pow2(shift %d)", pick(t, 0, 9)); break;
    case 2: bf_buf_puts(&t->out, " requantize float_rne"); break;
    case 3:
      bf_buf_puts(&t->out, " requantize affine_floor(mult [");
      numbers(t, channels, -90, 90);
      bf_buf_puts(&t->out, "], add [");
      numbers(t, channels, -9000, 9000);
      bf_buf_printf(&t->out, "], shift %d)", pick(t, 3, 12));
      break;
    case 4: thresholds(t); break;
    case 5: bf_buf_puts(&t->out, pick(t, 0, 1) ? " requantize tflite16" : ""); break;
    default: break;
  }
}

static void weighted(struct text *t) {
  int out = pick(t, 1, 4), size = pick(t, 0, 1) ? 3 : 1, bits = pick(t, 2, 8), half = 1 << (bits - 1), c = t->at.c;
  bool bias = pick(t, 0, 1), each = pick(t, 0, 1);
  bf_buf_printf(&t->out, "  const w%d: s%d[%d, %d, %d, %d] scale ", t->layers, bits, out, size, size, c);
  if (each) {
    bf_buf_puts(&t->out, "[");
    for (int i = 0; i < out; i++) bf_buf_printf(&t->out, "%s%g", i ? ", " : "", 0.001 * pick(t, 5, 90));
    bf_buf_puts(&t->out, "] = [");
  } else {
    bf_buf_printf(&t->out, "%g = [", 0.001 * pick(t, 5, 90));
  }
  numbers(t, out * size * size * c, -half, half - 1);
  bf_buf_puts(&t->out, "];\n");
  if (bias) {
    bf_buf_printf(&t->out, "  const b%d: s32[%d] = [", t->layers, out);
    numbers(t, out, -3000, 3000);
    bf_buf_puts(&t->out, "];\n");
  }
  bf_buf_printf(&t->out, "  l%d = conv2d(%s, w%d%s", t->layers, t->at.name, t->layers, "");
  if (bias) bf_buf_printf(&t->out, ", b%d", t->layers);
  int stride = pick(t, 0, 3) == 0 ? 2 : 1;
  bf_buf_printf(&t->out, ", stride %d, pad same%s)", stride, pick(t, 0, 1) ? ", activation relu" : "");
  result(t, (t->at.h + stride - 1) / stride, (t->at.w + stride - 1) / stride, out);
  mode(t, out);
  bf_buf_puts(&t->out, ";\n");
}

static void pointwise(struct text *t, const char *other) {
  static const char *const ops[] = {"add", "sub", "mul"};
  bf_buf_printf(&t->out, "  l%d = %s(%s, %s)", t->layers, ops[pick(t, 0, 2)], t->at.name, other);
  result(t, t->at.h, t->at.w, t->at.c);
  bf_buf_puts(&t->out, ";\n");
}

static void table(struct text *t) {
  if (t->at.bits > 8) return;
  char in[16];
  int count = 1 << t->at.bits;
  snprintf(in, sizeof in, "%s", t->at.name);
  bf_buf_printf(&t->out, "  const t%d: s6[%d] scale 0.1 zero -3 = [", t->layers, count);
  numbers(t, count, -32, 31);
  bf_buf_printf(&t->out, "];\n  l%d = table(%s, t%d);\n", t->layers, in, t->layers);
  snprintf(t->at.name, sizeof t->at.name, "l%d", t->layers++);
  t->at.is_signed = true, t->at.bits = 6, t->at.scale = 0.1, t->at.zero = -3;
}

// Layers that keep the type of their operand.
static void keeping(struct text *t) {
  char in[16];
  snprintf(in, sizeof in, "%s", t->at.name);
  bf_buf_printf(&t->out, "  l%d = ", t->layers);
  switch (pick(t, 0, 6)) {
    case 0: bf_buf_printf(&t->out, "max_pool2d(%s, kernel 3, stride 1, pad same)", in); break;
    case 1: bf_buf_printf(&t->out, "avg_pool2d(%s, kernel 2, stride 1, pad same)", in); break;
    case 2: bf_buf_printf(&t->out, "relu(%s)", in); break;
    case 3: bf_buf_printf(&t->out, "concat(%s, %s)", in, in), t->at.c *= 2; break;
    case 4: bf_buf_printf(&t->out, "pad(%s, pads [[1, 0], [0, 1], [0, 0]])", in), t->at.h++, t->at.w++; break;
    case 5: bf_buf_printf(&t->out, "maximum(%s, %s)", in, in); break;
    default: bf_buf_printf(&t->out, "transpose(%s, perm [0, 2, 1, 3])", in); int h = t->at.h; t->at.h = t->at.w, t->at.w = h; break;
  }
  bf_buf_puts(&t->out, ";\n");
  snprintf(t->at.name, sizeof t->at.name, "l%d", t->layers++);
}

static void profiles(struct text *t) {
  for (int p = 0; p < PROFILES; p++) {
    bf_buf_printf(&t->out, "  profile p%d {", p);
    for (int l = 0; l < t->layers; l++)
      if (pick(t, 0, 2) == 0) bf_buf_printf(&t->out, " l%d: w%d a%d;", l, pick(t, 1, 9), pick(t, 1, 9));
    if (pick(t, 0, 1)) bf_buf_printf(&t->out, " default: w%d a%d;", pick(t, 1, 8), pick(t, 1, 8));
    bf_buf_puts(&t->out, " }\n");
  }
}

static char *random_text(struct rng *rng) {
  struct text t = {.rng = rng, .at = {.name = "x", .h = pick(&(struct text){.rng = rng}, 2, 4), .w = 3, .c = 2, .is_signed = true, .bits = 8}};
  if (pick(&t, 0, 3) == 0) t.at.h = pick(&t, 8, 30), t.at.w = pick(&t, 8, 24);  // columns of several words and blocks
  char earlier[16] = "";
  int h = 0, w = 0, c = 0, depth = pick(&t, 2, 6);
  bf_buf_printf(&t.out, "bfn 1;\nnetwork random {\n  input x: s8[%d, %d, 2] scale 0.05 zero -3;\n", t.at.h, t.at.w);
  for (int i = 0; i < depth; i++) {
    bool fits = *earlier && t.at.h == h && t.at.w == w && t.at.c == c;
    if (fits && pick(&t, 0, 1)) pointwise(&t, earlier);
    else if (pick(&t, 0, 1)) weighted(&t);
    else if (pick(&t, 0, 4) == 0) table(&t);
    else keeping(&t);
    if (pick(&t, 0, 1)) {
      snprintf(earlier, sizeof earlier, "%s", t.at.name);
      h = t.at.h, w = t.at.w, c = t.at.c;
    }
  }
  weighted(&t);
  bf_buf_printf(&t.out, "  output %s;\n", t.at.name);
  profiles(&t);
  bf_buf_puts(&t.out, "}\n");
  char *text = bf_strdup(bf_buf_cstr(&t.out));
  bf_buf_free(&t.out);
  return text;
}

// ---- comparisons

static void give_up(const char *text, const struct bf_diags *diags) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  print_error("%s\n%s", text, bf_buf_cstr(&out));
  bf_buf_free(&out);
  fail();
}

static struct bf_compile_options options_of(const char *machine, uint32_t rows, enum bf_mapping mapping, struct bf_diags *diags) {
  struct bf_compile_options o = {.opt_level = 2, .mapping = mapping, .batch = 1, .verify_each = true};
  assert_true(ap_machine_load(machine, &o.machine, NULL, diags));
  if (rows) o.machine.rows = rows;
  assert_true(ap_technology_load("sram16", &o.tech, diags));
  return o;
}

static const struct bf_tensor *layer_tensor(const struct bf_graph *g, const char *name) {
  for (size_t i = 0; i < g->nnodes; i++)
    if (!strcmp(g->nodes[i]->name, name)) return g->nodes[i]->output;
  return NULL;
}

static void same_values(const char *text, const struct bf_graph *g, const struct ap_program *view, const struct ap_run *run,
                        const struct bf_ref_run *ref) {
  for (uint32_t l = 0; l < view->nlayers; l++) {
    const struct bf_tensor *t = layer_tensor(g, view->layers[l].name);
    assert_non_null(t);
    int64_t *got = bf_alloc(t->elements, sizeof *got);
    ap_run_get(run, view->layers[l].output, got);
    for (uint64_t e = 0; e < t->elements; e++)
      if (got[e] != ref->values[t->id][e]) {
        struct bf_buf printed = {0};
        bf_graph_print(g, &printed);
        print_error("%s\n%s\n", text, bf_buf_cstr(&printed));
        fail_msg("layer %s, element %llu: %lld, not %lld", view->layers[l].name, (unsigned long long)e, (long long)got[e],
                 (long long)ref->values[t->id][e]);
      }
    free(got);
  }
  assert_int_equal(view->nlayers, g->nnodes);
}

static void same_account(const struct ap_account *a, const struct ap_account *b) {
#define SAME(field) assert_int_equal(a->field, b->field)
  SAME(events.compare), SAME(events.write), SAME(events.load), SAME(events.store), SAME(events.load_bits), SAME(events.store_bits);
  SAME(events.external), SAME(events.host), SAME(events.compare_cells);
  SAME(time.cycles), SAME(time.compute), SAME(time.stall), SAME(time.tiles), SAME(time.rows), SAME(time.caps);
#undef SAME
}

static void same_expectation(const struct ap_events *a, const struct ap_events *b) {
  assert_int_equal(a->match_cells, b->match_cells);
  assert_int_equal(a->written_cells, b->written_cells);
  assert_int_equal(a->changed_cells, b->changed_cells);
}

struct form { struct bf_graph *graph; struct ap_program *view; struct ap_account *expected, total; };

static void execute(const char *text, const struct ap_program *p, const struct form *forms, uint32_t profile, struct ap_run *run,
                    const struct ap_technology *tech, struct ap_execution how, struct rng *rng) {
  const struct form *f = &forms[profile];
  struct bf_diags diags = {0};
  struct bf_ref_run *ref = bf_ref_new(f->graph);
  for (size_t i = 0; i < f->graph->ntensors; i++) {
    if (!f->graph->tensors[i]->is_input) continue;
    int64_t *values = random_values(rng, f->graph->tensors[i]);
    assert_true(bf_ref_set_input(ref, f->graph->tensors[i], values));
    assert_true(ap_run_set(run, p->inputs[0], values));
    free(values);
  }
  struct ap_account *layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers), total = {0};
  how.profile = profile;
  assert_true(bf_ref_run(ref, &diags));
  assert_true(ap_run_execute(run, tech, layers, &total, &how, &diags));
  same_values(text, f->graph, f->view, run, ref);
  for (uint32_t l = 0; l < p->nlayers; l++) same_account(&f->expected[l], &layers[l]);
  same_account(&f->total, &total);
  for (uint32_t l = 0; how.count == AP_COUNT_STATIC && l < p->nlayers; l++) same_expectation(&f->expected[l].events, &layers[l].events);
  free(layers);
  bf_ref_free(ref);
  bf_diags_free(&diags);
}

static void round_trips(const struct ap_program *p) {
  struct bf_diags diags = {0};
  struct bf_buf bytes = {0}, again = {0}, third = {0}, text = {0};
  assert_true(ap_program_write(p, &bytes, &diags));
  struct ap_program *q = ap_program_read(bytes.data, bytes.length, "p.apbin", &diags);
  assert_non_null(q);
  assert_true(ap_program_write(q, &again, &diags));
  assert_int_equal(bytes.length, again.length);
  assert_memory_equal(bytes.data, again.data, bytes.length);
  ap_asm_print(p, &text);
  struct ap_program *r = ap_asm_parse(bf_diags_add_source(&diags, "p.aps", bf_buf_cstr(&text), text.length), &diags);
  assert_non_null(r);
  assert_true(ap_program_write(r, &third, &diags));
  assert_int_equal(bytes.length, third.length);
  assert_memory_equal(bytes.data, third.data, bytes.length);
  // What each profile adds, together, is what the sections hold.
  uint64_t sizes[PROFILES + 1], sum = 0;
  ap_profile_sizes(p, sizes);
  for (uint32_t i = 0; i < p->nprofiles; i++) sum += sizes[i];
  assert_true(sum < bytes.length && sum + 4096 + 64 * (uint64_t)p->nlayers > bytes.length);
  ap_program_free(q);
  ap_program_free(r);
  bf_buf_free(&bytes);
  bf_buf_free(&again);
  bf_buf_free(&third);
  bf_buf_free(&text);
  bf_diags_free(&diags);
}

// A binary of this profile alone costs the same.
static void same_as_alone(const struct form *f, const struct bf_compile_options *o) {
  struct bf_diags diags = {0};
  struct ap_program *alone = bf_compile(f->graph, o, &diags);
  assert_non_null(alone);
  assert_int_equal(alone->nlayers, f->view->nlayers);
  struct ap_account *layers = bf_alloc((size_t)alone->nlayers + 1, sizeof *layers), total = {0};
  ap_static_account(alone, &o->tech, layers, &total);
  same_account(&f->total, &total);
  free(layers);
  ap_program_free(alone);
  bf_diags_free(&diags);
}

static bool one_network(struct rng *rng, const char *machine, uint32_t rows, enum bf_mapping mapping) {
  struct bf_diags diags = {0};
  char *text = random_text(rng);
  struct bf_compile_options o = options_of(machine, rows, mapping, &diags);
  struct bf_graph *g = bf_bfn_compile(bf_diags_add_source(&diags, "random.bfn", text, strlen(text)), NULL, NULL, &diags);
  if (!g) give_up(text, &diags);
  struct ap_program *p = bf_compile_profiles(g, &o, &diags);
  bool possible = p != NULL;
  if (!p && !strstr(diags.items[diags.count - 1].message, "cannot") && !strstr(diags.items[diags.count - 1].message, "shift") &&
      !strstr(diags.items[diags.count - 1].message, "multiplier"))
    give_up(text, &diags);  // a requantization that cannot follow is an error of the network
  struct form forms[PROFILES + 1] = {{0}};
  struct ap_run *runs[2] = {p ? ap_run_new(p, &diags) : NULL, p ? ap_run_new(p, &diags) : NULL};
  for (uint32_t i = 0; p && i < p->nprofiles; i++) {
    forms[i].graph = bf_graph_apply_profile(g, p->profiles[i].name, &diags);
    assert_non_null(forms[i].graph);
    forms[i].view = ap_profile_view(p, i);
    forms[i].expected = bf_alloc((size_t)p->nlayers + 1, sizeof *forms[i].expected);
    ap_static_account_of(p, i, &o.tech, forms[i].expected, &forms[i].total);
    same_as_alone(&forms[i], &o);
  }
  for (int turn = 0; p && turn < 6; turn++) {
    uint32_t profile = rng_next(rng) % p->nprofiles;
    struct ap_execution how = {.engine = AP_ENGINE_INTERP, .threads = 1, .count = turn % 2 ? AP_COUNT_STATIC : AP_COUNT_EXACT};
    execute(text, p, forms, profile, runs[0], &o.tech, how, rng);
    // Kernels of the one profile are compiled and bound, while those of the others may be still to come.
    how.engine = AP_ENGINE_JIT;
    how.repeats = turn % 3 == 2 ? 300 : 1;
    how.threads = 1 + (unsigned)turn % 2;
    if (ap_engine_available(AP_ENGINE_JIT)) execute(text, p, forms, profile, runs[1], &o.tech, how, rng);
  }
  if (p) round_trips(p);
  for (uint32_t i = 0; p && i < p->nprofiles; i++) {
    bf_graph_free(forms[i].graph);
    ap_profile_view_free(forms[i].view);
    free(forms[i].expected);
  }
  ap_run_free(runs[0]);
  ap_run_free(runs[1]);
  ap_program_free(p);
  bf_graph_free(g);
  ap_technology_free(&o.tech);
  free(text);
  bf_diags_free(&diags);
  return possible;
}

static void test_random_networks(void **state) {
  (void)state;
  static const struct { const char *machine; uint32_t rows; enum bf_mapping mapping; } setups[] = {
      {"bf-imna-lr", 0, BF_MAPPING_AUTO}, {"edge", 7, BF_MAPPING_PIXEL}, {"edge", 65, BF_MAPPING_OUTPUT}};
  const char *wanted = getenv("BFIMNA_ROUNDS");  // a longer campaign: BFIMNA_ROUNDS=3000 build/tests/test_profiles
  int rounds = wanted ? atoi(wanted) : 40, possible = 0;
  struct rng rng = {20251121};
  for (int i = 0; i < rounds; i++)
    possible += one_network(&rng, setups[i % 3].machine, setups[i % 3].rows, setups[i % 3].mapping);
  print_message("%d of %d random networks have all their profiles\n", possible, rounds);
  assert_true(possible * 10 > rounds * 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_networks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
