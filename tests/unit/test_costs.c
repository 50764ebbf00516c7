// SPDX-License-Identifier: Apache-2.0
// Costs without code against the static account of the compiled program, number by number: on random networks and a real one, for machines and
// technologies that share an analysis; and the cache, with entries that are missing, cut, altered, of another version or in the way.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "backend/costs.h"
#include "frontend/load.h"
#include "isa/packed.h"
#include "tests/support/random_graph.h"

static const char *const technologies[] = {"sram16", "reram", "pcm", "fefet"};

static void show(const struct bf_diags *diags) {
  struct bf_buf out = {0};
  bf_diags_render(diags, &out);
  if (out.length) print_error("%s", out.data);
  bf_buf_free(&out);
}

static struct bf_compile_options options_of(const char *machine, const char *tech, struct bf_diags *diags) {
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  assert_true(ap_machine_load(machine, &o.machine, &source, diags));
  assert_true(ap_technology_load(tech, &o.tech, diags));
  return o;
}

// What no code depends on.
static void vary_priced(struct rng *rng, struct bf_compile_options *o) {
  o->machine.mesh_bits = 1u << rng_range(rng, 0, 10);
  o->tech.shift_j *= 2;
  if (o->objective != BF_OBJECTIVE_CYCLES) return;
  o->machine.clock_hz = (double)rng_range(rng, 1, 4000) * 1e6;
  o->tech.leakage_w_per_cell *= (double)rng_range(rng, 1, 4);
  assert_true(ap_technology_set_vdd(&o->tech, o->tech.vdd_nominal * (0.7 + 0.1 * (double)rng_range(rng, 0, 4))));
}

// What may decide it (backend/code_facts.def).
static void vary_deciding(struct rng *rng, struct bf_compile_options *o, struct bf_diags *diags) {
  static const uint32_t ports[] = {1, 7, 64, 1024};
  o->machine.port_bits = ports[rng_range(rng, 0, 3)];
  o->machine.multicast = rng_range(rng, 0, 1);
  o->machine.map_bits = (uint64_t)rng_range(rng, 1 << 10, 1 << 30);
  ap_technology_free(&o->tech);
  assert_true(ap_technology_load(technologies[rng_range(rng, 0, 3)], &o->tech, diags));
  assert_true(ap_technology_set_vdd(&o->tech, o->tech.vdd_nominal * (0.7 + 0.1 * (double)rng_range(rng, 0, 4))));
}

static void assert_accounts(const struct ap_account *a, const struct ap_account *b) {
  assert_memory_equal(&a->events, &b->events, sizeof a->events);
  assert_true(a->time.cycles == b->time.cycles && a->time.compute == b->time.compute && a->time.stall == b->time.stall);
  assert_true(a->time.tiles == b->time.tiles && a->time.waves == b->time.waves && a->time.rows == b->time.rows && a->time.caps == b->time.caps);
  assert_true(a->energy_j == b->energy_j);
}

// The program compiled for the options against the analysis: accounts and reports.
static void compare(const struct bf_graph *g, const struct bf_costs *costs, const struct bf_compile_options *o) {
  struct bf_diags diags = {0};
  struct ap_program *p = bf_compile(g, o, &diags), head;
  show(&diags);
  assert_non_null(p);
  assert_int_equal(p->nlayers, bf_costs_layers(costs));
  struct ap_account *want = bf_alloc(p->nlayers + 1, sizeof *want), *got = bf_alloc(p->nlayers + 1, sizeof *got), total[2];
  ap_static_account(p, &o->tech, want, &total[0]);
  assert_true(bf_costs_price(costs, &o->machine, &o->tech, got, &total[1]));
  for (uint32_t i = 0; i < p->nlayers; i++) assert_accounts(&want[i], &got[i]);
  assert_accounts(&total[0], &total[1]);
  bf_costs_program(costs, &o->machine, &o->tech, &head);
  struct ap_report reports[2] = {{.program = p, .tech = &o->tech, .layers = want, .total = &total[0], .count = "expected"},
                                 {.program = &head, .tech = &o->tech, .layers = got, .total = &total[1], .count = "expected"}};
  struct bf_buf json[2] = {{0}, {0}}, text[2] = {{0}, {0}};
  for (int i = 0; i < 2; i++) {
    ap_report_json(&reports[i], &json[i]);
    ap_report_text(&reports[i], &text[i]);
  }
  assert_string_equal(bf_buf_cstr(&json[0]), bf_buf_cstr(&json[1]));
  assert_string_equal(bf_buf_cstr(&text[0]), bf_buf_cstr(&text[1]));
  for (int i = 0; i < 2; i++) {
    bf_buf_free(&json[i]);
    bf_buf_free(&text[i]);
  }
  free(want);
  free(got);
  ap_program_free(p);
  bf_diags_free(&diags);
}

// One analysis and the machines and technologies that share it; then others, that get code of their own where it may differ, by way of the same cache.
static void compare_many(struct rng *rng, const struct bf_graph *g, struct bf_compile_options *o, struct bf_cost_cache *cache, int points) {
  struct bf_diags diags = {0};
  struct bf_costs *costs = bf_costs_analyse(g, NULL, o, cache, &diags);
  show(&diags);
  assert_non_null(costs);
  for (int i = 0; i < points; i++) {
    struct bf_compile_options other = *o;
    assert_true(ap_technology_load(o->tech.name, &other.tech, &diags));
    vary_priced(rng, &other);
    assert_true(bf_costs_fit(costs, &other.machine, &other.tech));
    compare(g, costs, &other);
    vary_deciding(rng, &other, &diags);
    bool fits = bf_costs_fit(costs, &other.machine, &other.tech);
    struct bf_digest digests[2] = {bf_code_digest(o), bf_code_digest(&other)};
    assert_int_equal(bf_digest_equal(&digests[0], &digests[1]), fits);
    struct bf_costs *own = fits ? NULL : bf_costs_analyse(g, NULL, &other, cache, &diags);
    show(&diags);
    assert_true(fits || own);
    compare(g, fits ? costs : own, &other);
    bf_costs_free(own);
    ap_technology_free(&other.tech);
  }
  bf_costs_free(costs);
  bf_diags_free(&diags);
}

static const struct { const char *machine; uint32_t rows, caps; enum bf_mapping mapping; enum bf_objective objective; unsigned opt; } setups[] = {
    {"bf-imna-lr", 0, 0, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 2}, {"bf-imna-lr", 7, 0, BF_MAPPING_PIXEL, BF_OBJECTIVE_ENERGY, 0},
    {"edge", 65, 0, BF_MAPPING_OUTPUT, BF_OBJECTIVE_EDP, 2},       {"edge", 5, 2, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 3},
    {"bf-imna-ir", 9, 3, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 2}, {"research", 0, 0, BF_MAPPING_AUTO, BF_OBJECTIVE_CYCLES, 1},
};

static void test_random_networks(void **state) {
  (void)state;
  struct rng rng = {77};
  struct bf_cost_cache *cache = bf_cost_cache_new(NULL);
  const char *wanted = getenv("BFIMNA_ROUNDS");  // a longer campaign
  const int rounds = wanted ? atoi(wanted) : 6;
  for (int round = 0; round < rounds; round++)
    for (int kind = 0; kind < RANDOM_KINDS; kind++)
      for (size_t s = 0; s < BF_COUNT(setups); s++) {
        struct bf_graph *g = random_graph(&rng, (enum random_kind)kind);
        struct bf_diags diags = {0};
        assert_true(bf_graph_verify(g, &diags));
        struct bf_compile_options o = options_of(setups[s].machine, "sram16", &diags);
        o.opt_level = setups[s].opt, o.mapping = setups[s].mapping, o.objective = setups[s].objective;
        if (setups[s].rows) o.machine.rows = setups[s].rows;
        if (setups[s].caps) o.machine.caps_per_cluster = setups[s].caps, o.machine.clusters = 2;
        compare_many(&rng, g, &o, round & 1 ? cache : NULL, 2);
        ap_technology_free(&o.tech);
        bf_diags_free(&diags);
        bf_graph_free(g);
      }
  bf_cost_cache_free(cache);
}

// Networks of many layers, of which several differ in one fact of the machine only: one cache for all.
static void test_resnet8(void **state) {
  (void)state;
  struct rng rng = {3};
  struct bf_diags diags = {0};
  struct bf_graph *g = bf_load_network(BF_SOURCE_DIR "/examples/resnet8/resnet8.bfn", NULL, &diags);
  assert_non_null(g);
  struct bf_cost_cache *cache = bf_cost_cache_new(NULL);
  for (int i = 0; i < 5; i++) {
    struct bf_compile_options o = options_of(i == 4 ? "bf-imna-ir" : "bf-imna-lr", "sram16", &diags);
    if (i == 1) o.machine.columns = 192;
    if (i == 2) o.machine.rows = 100;
    if (i == 3) o.machine.clusters = 1, o.machine.caps_per_cluster = 3;
    compare_many(&rng, g, &o, cache, 2);
    ap_technology_free(&o.tech);
  }
  bf_cost_cache_free(cache);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// --- the cache ---------------------------------------------------------------------------------------------------

static char *temporary_folder(void) {
  char *folder = bf_strdup("costs-test-XXXXXX");
  assert_non_null(mkdtemp(folder));
  return folder;
}

// All files below a folder, removed or handed to `change`.
static int each_file(const char *folder, void (*change)(const char *path, void *context), void *context) {
  int files = 0;
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    char *path = bf_format("%s/%s", folder, e->d_name);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    if (S_ISDIR(info.st_mode)) {
      files += each_file(path, change, context);
      if (!change) rmdir(path);
    } else {
      if (change) change(path, context);
      else remove(path);
      files++;
    }
    free(path);
  }
  closedir(dir);
  return files;
}

static void remove_folder(char *folder) {
  each_file(folder, NULL, NULL);
  rmdir(folder);
  free(folder);
}

// Two convolutions; `weight`: of the second one.
static struct bf_graph *two_layers(int64_t weight) {
  struct bf_graph *g = bf_graph_new("two");
  const uint64_t xs[4] = {1, 6, 6, 2}, ws[4] = {3, 1, 1, 2}, ys[4] = {1, 6, 6, 3}, vs[4] = {2, 1, 1, 3}, zs[4] = {1, 6, 6, 2};
  struct bf_tensor *x = bf_graph_tensor(g, "x", (struct bf_type){BF_TYPE_S, 8}, 4, xs);
  struct bf_tensor *w = bf_graph_tensor(g, "w", (struct bf_type){BF_TYPE_S, 8}, 4, ws), *v = bf_graph_tensor(g, "v", (struct bf_type){BF_TYPE_S, 8}, 4, vs);
  struct bf_tensor *y = bf_graph_tensor(g, "y", (struct bf_type){BF_TYPE_S, 8}, 4, ys), *z = bf_graph_tensor(g, "z", (struct bf_type){BF_TYPE_S, 8}, 4, zs);
  w->data = bf_arena_alloc(&g->arena, 6, sizeof *w->data);
  v->data = bf_arena_alloc(&g->arena, 6, sizeof *v->data);
  for (int i = 0; i < 6; i++) w->data[i] = 11 * i - 30, v->data[i] = weight + i;
  x->is_input = z->is_output = true;
  struct bf_tensor *inputs[2][2] = {{x, w}, {y, v}}, *outputs[2] = {y, z};
  for (int i = 0; i < 2; i++) {
    struct bf_node *node = bf_graph_node(g, BF_OP_CONV2D, i ? "second" : "first", inputs[i], 2, outputs[i]);
    struct bf_requant *rq = &node->attrs.requant;
    *rq = (struct bf_requant){.mode = BF_REQUANT_DYADIC, .count = 1, .lo = -128, .hi = 127};
    rq->mult = bf_arena_alloc(&g->arena, 1, sizeof *rq->mult);
    rq->shift = bf_arena_alloc(&g->arena, 1, sizeof *rq->shift);
    rq->mult[0] = 77;
    rq->shift[0] = 12;
  }
  struct bf_diags diags = {0};
  bool ok = bf_graph_verify(g, &diags);
  show(&diags);
  assert_true(ok);
  bf_diags_free(&diags);
  return g;
}

// Through a new cache on the folder: what was found and made. The costs are compared with the program's.
static struct bf_cost_cache_use through(const char *folder, const struct bf_graph *g, const struct bf_digest *name,
                                        const struct bf_compile_options *o) {
  struct bf_diags diags = {0};
  struct bf_cost_cache *cache = bf_cost_cache_new(folder);
  struct bf_costs *costs = bf_costs_find(cache, name, o);
  if (!costs) costs = bf_costs_analyse(g, name, o, cache, &diags);
  show(&diags);
  assert_non_null(costs);
  compare(g, costs, o);
  struct bf_cost_cache_use use = bf_cost_cache_use(cache);
  bf_costs_free(costs);
  bf_cost_cache_free(cache);
  bf_diags_free(&diags);
  return use;
}

static void test_found_again(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags), other;
  char *folder = temporary_folder();
  struct bf_graph *g = two_layers(5), *changed = two_layers(6);
  const struct bf_digest name = {{1, 2}}, new_name = {{1, 3}};
  struct bf_cost_cache_use use = through(folder, g, &name, &o);
  assert_true(use.networks_found == 0 && use.networks_made == 1 && use.layers_made == 2 && !use.unwritable);
  use = through(folder, g, &name, &o);
  assert_true(use.networks_found == 1 && use.networks_made == 0 && use.layers_made == 0);
  // Another supply shares it, unless energy is the objective; another number of rows does not; changed weights of one layer leave the other.
  other = options_of("edge", "sram16", &diags);
  assert_true(ap_technology_set_vdd(&other.tech, 0.8 * other.tech.vdd));
  assert_int_equal(through(folder, g, &name, &other).networks_found, 1);
  other.objective = BF_OBJECTIVE_EDP;
  assert_int_equal(through(folder, g, &name, &other).networks_found, 0);
  assert_int_equal(through(folder, g, &name, &other).networks_found, 1);
  assert_true(ap_technology_set_vdd(&other.tech, 1.2 * other.tech.vdd));
  assert_int_equal(through(folder, g, &name, &other).networks_found, 0);
  other.objective = BF_OBJECTIVE_CYCLES;
  other.machine.rows /= 2;
  use = through(folder, g, &name, &other);
  assert_true(use.networks_found == 0 && use.layers_made == 2);
  use = through(folder, changed, &new_name, &o);
  assert_true(use.networks_found == 0 && use.layers_found == 1 && use.layers_made == 1);
  ap_technology_free(&o.tech);
  ap_technology_free(&other.tech);
  bf_graph_free(g);
  bf_graph_free(changed);
  remove_folder(folder);
  bf_diags_free(&diags);
}

// Costs of a machine that gets other code are not given.
static void test_does_not_fit(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags);
  struct bf_graph *g = two_layers(5);
  enum { COUNTS_ANY = 1, COUNTS_ENERGY = 0 };
  for (int objective = 0; objective < BF_OBJECTIVE_COUNT; objective++) {
    o.objective = (enum bf_objective)objective;
    struct bf_costs *costs = bf_costs_analyse(g, NULL, &o, NULL, &diags);
    struct ap_account layers[2];
    assert_non_null(costs);
    struct ap_machine machine = o.machine;
    struct ap_technology tech = o.tech;
#define BF_CODE_FACT(member, stage)                                    \
  machine.member ^= 1;                                                 \
  assert_false(bf_costs_price(costs, &machine, &tech, layers, NULL));  \
  machine = o.machine;
    // Small enough for ap_generator_features to stay the same.
#define BF_TECHNOLOGY_FACT(member, stage, when)                                                                               \
  tech.member = COUNTS_##when ? 2 * tech.member : 1.01 * tech.member;                                                          \
  assert_int_equal(bf_costs_price(costs, &machine, &tech, layers, NULL), !COUNTS_##when && objective == BF_OBJECTIVE_CYCLES);  \
  tech = o.tech;
#include "backend/code_facts.def"
    // What leaks in a cycle is one fact of both.
    tech.leakage_w_per_cell *= 2;
    assert_int_equal(bf_costs_price(costs, &machine, &tech, layers, NULL), objective == BF_OBJECTIVE_CYCLES);
    machine.clock_hz *= 2;
    assert_true(bf_costs_price(costs, &machine, &tech, layers, NULL));
    machine = o.machine, tech = o.tech;
    assert_true(bf_costs_price(costs, &machine, &tech, layers, NULL));
    bf_costs_free(costs);
  }
  ap_technology_free(&o.tech);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

struct damage { int kind; size_t at; };

static void damage_file(const char *path, void *context) {
  const struct damage *d = context;
  char *data;
  size_t length;
  const char *why;
  assert_true(bf_read_file(path, &data, &length, &why));
  size_t at = d->at % length;
  if (d->kind == 0) data[at] ^= 0x20;  // altered
  else if (d->kind == 1) length = at;  // cut
  else data[7]++;                      // of another version of the form
  assert_true(bf_write_file(path, data, length, &why));
  free(data);
}

static void test_damaged(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags);
  struct bf_graph *g = two_layers(5);
  const struct bf_digest name = {{7, 8}};
  char *folder = temporary_folder();
  for (int kind = 0; kind < 3; kind++)
    for (size_t at = 0; at < 400; at += kind == 2 ? 400 : 13) {
      through(folder, g, &name, &o);
      assert_int_equal(each_file(folder, damage_file, &(struct damage){kind, at}), 3);
      struct bf_cost_cache_use use = through(folder, g, &name, &o);
      assert_true(use.networks_found == 0 && use.layers_found == 0 && use.layers_made == 2);
      assert_int_equal(through(folder, g, &name, &o).networks_found, 1);  // mended
    }
  remove_folder(folder);
  ap_technology_free(&o.tech);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// The folder cannot be made: nothing is kept, and nothing is wrong.
static void test_unwritable(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags);
  struct bf_graph *g = two_layers(5);
  const struct bf_digest name = {{7, 8}};
  char *folder = temporary_folder(), *file = bf_format("%s/file", folder), *below = bf_format("%s/below", file);
  const char *why;
  assert_true(bf_write_file(file, "x", 1, &why));
  struct bf_cost_cache_use use = through(below, g, &name, &o);
  assert_true(use.layers_made == 2 && use.unwritable);
  assert_int_equal(through(below, g, &name, &o).networks_found, 0);
  free(file);
  free(below);
  remove_folder(folder);
  ap_technology_free(&o.tech);
  bf_graph_free(g);
  bf_diags_free(&diags);
}

// --- hostile entries ---------------------------------------------------------------------------------------------

// Bytes with a right checksum but any contents: refused, or numbers that can be priced without harm.
static void read_and_price(const struct bf_buf *bytes, const struct bf_compile_options *o, int *taken) {
  struct ap_layer_summary *layer = ap_layer_summary_read(bytes->data, bytes->length);
  if (!layer) return;
  struct ap_summary *s = ap_summary_new(1);
  struct ap_account account;
  s->layers[0] = layer;
  ap_summary_price(s, &o->machine, &o->tech, &account, NULL);
  ap_summary_free(s);
  (*taken)++;
}

static void test_hostile(void **state) {
  (void)state;
  struct rng rng = {11};
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags);
  int taken = 0;
  for (int round = 0; round < 400; round++) {
    struct bf_graph *g = random_graph(&rng, (enum random_kind)(round % RANDOM_KINDS));
    struct ap_program *p = bf_compile(g, &o, &diags);
    assert_non_null(p);
    struct ap_summary *s = ap_summary_of(p, 0);
    struct bf_buf bytes = {0};
    ap_layer_summary_write(s->layers[0], &bytes);
    struct bf_buf body = {.data = bytes.data + 24, .length = bytes.length - 24};
    for (int change = 0; change < 20; change++) {
      struct bf_buf altered = {0}, sealed = {0};
      bf_buf_append(&altered, body.data, body.length);
      for (int64_t i = rng_range(&rng, 1, 3); i > 0; i--) altered.data[rng_range(&rng, 0, (int64_t)body.length - 1)] = (char)rng_next(&rng);
      ap_packed_seal(&sealed, bytes.data, &altered);
      read_and_price(&sealed, &o, &taken);
      bf_buf_free(&altered);
      bf_buf_free(&sealed);
    }
    bf_buf_free(&bytes);
    ap_summary_free(s);
    ap_program_free(p);
    bf_graph_free(g);
  }
  assert_true(taken > 0);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
}

// What is written reads back as what it was.
static void test_bytes(void **state) {
  (void)state;
  struct bf_diags diags = {0};
  struct bf_compile_options o = options_of("edge", "sram16", &diags);
  struct bf_graph *g = two_layers(9);
  struct ap_program *p = bf_compile(g, &o, &diags);
  struct ap_summary *s = ap_summary_of(p, 0);
  for (uint32_t i = 0; i < p->nlayers; i++) {
    struct bf_buf first = {0}, second = {0};
    ap_layer_summary_write(s->layers[i], &first);
    struct ap_layer_summary *read = ap_layer_summary_read(first.data, first.length);
    assert_non_null(read);
    ap_layer_summary_write(read, &second);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    ap_layer_summary_drop(read);
    bf_buf_free(&first);
    bf_buf_free(&second);
  }
  ap_summary_free(s);
  ap_program_free(p);
  bf_graph_free(g);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_networks), cmocka_unit_test(test_resnet8),    cmocka_unit_test(test_found_again),
      cmocka_unit_test(test_does_not_fit),    cmocka_unit_test(test_damaged),    cmocka_unit_test(test_unwritable),
      cmocka_unit_test(test_hostile),         cmocka_unit_test(test_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
