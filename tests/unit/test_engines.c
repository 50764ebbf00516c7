// SPDX-License-Identifier: Apache-2.0
// The block engine against the interpreter: outputs, every counter, cycles, energy and trace, on random programs at the
// level of instructions and on random compiled networks; with any number of threads, in both modes of counting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "backend/compiler.h"
#include "runtime/block_bind.h"
#include "runtime/slices.h"
#include "tests/support/random_bits.h"
#include "tests/unit/random_program.h"

struct trace { struct ap_trace_event *events; size_t count, capacity; };
static void record(void *context, const struct ap_trace_event *event) {
  struct trace *trace = context;
  BF_PUSH(trace->events, trace->count, trace->capacity) = *event;
}

// What a run of the block engine has made use of.
struct reached {
  unsigned alone, in_spans;    // grids channel by channel: of channels that have blocks of their own, that share them
  unsigned constants, bytes;   // of channels; in bytes
  unsigned views;              // of every stride-th position, in such a grid
  unsigned outside;            // loads with channels outside of the tensor
  unsigned kept;               // loads kept for the blocks of all channels
  unsigned stores;             // of columns, by blocks that channels share
  unsigned elements;           // moves of elements in such a grid
  unsigned orders, copies, spreads, numbers, wide_numbers;  // orders of calls; in them: loaded columns copied, constants, immediates in short calls and large ones
};

// All that an execution leaves behind.
struct outcome { int64_t *values; bool *shared; struct ap_account *layers, total; struct trace trace; struct reached reached; };  // shared: by tensor, it has no values

static void outcome_free(struct outcome *o) {
  free(o->values);
  free(o->shared);
  free(o->layers);
  free(o->trace.events);
}

static void set_inputs(const struct ap_program *p, struct ap_run *run, uint64_t seed) {
  struct rng rng = {seed};
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const struct ap_tensor *t = &p->tensors[p->inputs[i]];
    uint64_t n = ap_tensor_elements(t);
    int64_t *q = bf_alloc(n, sizeof *q);
    for (uint64_t e = 0; e < n; e++) {
      uint64_t u = (uint64_t)rng_next(&rng) << 32 | rng_next(&rng);
      q[e] = (int64_t)((u >> (64 - t->bits)) + (uint64_t)t->bias);
    }
    assert_true(ap_run_set(run, p->inputs[i], q));
    free(q);
  }
}

static void note_order(const struct ap_block_order *order, struct reached *r) {
  r->orders++;
  for (size_t i = 0; i < order->nwide; i++) {
    const struct ap_wide_call *w = &order->wide[i];
    r->copies += w->kind == AP_WIDE_COPY;
    r->spreads += w->kind == AP_WIDE_CONSTANTS;
    r->wide_numbers += w->kind == AP_WIDE_KERNEL && w->imm >= AP_SHORT_COLUMNS;
  }
  for (size_t i = 0; i < order->count; i++) {
    r->numbers += AP_SHORT_KERNEL(order->calls[i]) != AP_SHORT_WIDE && AP_SHORT_PLACE(order->calls[i]) == AP_PLACE_CELLS && AP_SHORT_A(order->calls[i]) > 0xffff;
  }
}

static void note_move(const struct ap_block_plan *plan, const struct ap_entry *e, struct reached *r) {
  const struct ap_plane_access *x = e->planes;
  if ((e->kind != AP_ENTRY_LOAD && e->kind != AP_ENTRY_STORE) || e->order == NULL) {
    return;
  }
  r->elements += x == NULL;
  r->constants += x != NULL && x->constants != NULL;
  r->bytes += x != NULL && x->values != NULL;
  r->outside += x != NULL && x->limit < e->order->channels;
  r->kept += e->kind == AP_ENTRY_LOAD && e->source != AP_NO_SOURCE;
  r->stores += x != NULL && e->kind == AP_ENTRY_STORE && e->order->shift > 0;
  for (size_t v = 0; x != NULL && v < plan->nviews; v++) {
    r->views += x->planes == &plan->views[v]->planes;
  }
}

static void note_run(const struct ap_run *run, struct reached *r) {
  size_t bytes = 0;
  for (size_t s = 0; run->blocks != NULL && s < run->nstages; s++) {
    const struct ap_block_plan *plan = run->blocks->plans[s];
    for (uint32_t i = 0; plan != NULL && i < plan->stage->count; i++) {
      const struct ap_row_order *order = plan->regions[i].order;
      r->alone += order != NULL && order->shift == 0;
      r->in_spans += order != NULL && order->shift > 0;
    }
    for (size_t i = 0; plan != NULL && i < plan->nused; i++) {
      note_move(plan, plan->used[i], r);
    }
    for (size_t i = 0; plan != NULL && i < plan->nbundles; i++) {
      const struct ap_bundle *b = &plan->bundles[i];
      for (uint32_t g = 0; b->orders != NULL && g < ap_bundle_groups(b); g++) {
        const struct ap_block_order *order = atomic_load(&b->orders[g]);
        if (order != NULL) {
          note_order(order, r);
          bytes += order->bytes;
          const struct ap_block_region *first = &plan->regions[b->first + g * b->lanes];
          assert_null(ap_block_order_new(run, plan, first, 1, false, sizeof *order - 1));  // no room for any
        }
      }
    }
  }
  assert_true(run->blocks == NULL || atomic_load(&run->blocks->room.bytes) == bytes);
}

#define REACHES(what) \
  what(alone) what(in_spans) what(constants) what(bytes) what(views) what(outside) what(kept) what(stores) what(elements) what(orders) what(copies) \
  what(spreads) what(numbers) what(wide_numbers)
static void add_reached(struct reached *to, const struct reached *from) {
#define ADD(field) to->field += from->field;
  REACHES(ADD)
#undef ADD
}
static void show_reached(const struct reached *r) {
#define SHOW(field) print_message(" " #field " %u", r->field);
  REACHES(SHOW)
#undef SHOW
  print_message("\n");
}

// repeats: by execution; many make all kernels worth compiling, one none of them here, some a part.
#define MANY ((uint64_t)1 << 30)
#define SOME 100
struct way { enum ap_engine engine; enum ap_count count; unsigned threads; bool plain; uint64_t repeats[2]; };

// Executes twice (temporary tensors keep what the first time left) and adds both up.
static struct outcome execute(const struct ap_program *p, const struct ap_technology *tech, struct way way, uint64_t seed) {
  struct outcome o = {.layers = bf_alloc((size_t)p->nlayers + 1, sizeof *o.layers)};
  struct bf_diags diags = {0};
  struct ap_run *run = ap_run_new(p, &diags);
  assert_non_null(run);
  run->plain_blocks = way.plain;
  struct ap_execution how = {.engine = way.engine, .count = way.count, .threads = way.threads, .trace = record, .context = &o.trace};
  for (unsigned i = 0; i < 2; i++) {
    how.repeats = way.repeats[i];
    set_inputs(p, run, seed + i);
    assert_true(ap_run_execute(run, tech, o.layers, &o.total, &how, &diags));
  }
  uint64_t nvalues = 0, at = 0;
  for (uint32_t t = 0; t < p->ntensors; t++) {
    nvalues += ap_tensor_elements(&p->tensors[t]);
  }
  o.values = bf_alloc(nvalues + 1, sizeof *o.values);
  o.shared = bf_alloc((size_t)p->ntensors + 1, sizeof *o.shared);
  for (uint32_t t = 0; t < p->ntensors; t++) {
    ap_run_get(run, t, o.values + at);
    o.shared[t] = ap_run_memory(run, t)->shared;
    assert_true(!o.shared[t] || p->tensors[t].storage == AP_STORAGE_TEMP);
    at += ap_tensor_elements(&p->tensors[t]);
  }
  note_run(run, &o.reached);
  ap_run_free(run);
  assert_int_equal(diags.errors, 0);
  bf_diags_free(&diags);
  return o;
}

static const char *difference(const struct ap_program *p, const struct outcome *a, const struct outcome *b) {
  uint64_t at = 0;
  for (uint32_t t = 0; t < p->ntensors; t++) {
    uint64_t n = ap_tensor_elements(&p->tensors[t]);
    if (!a->shared[t] && !b->shared[t] && memcmp(a->values + at, b->values + at, n * sizeof *a->values) != 0) {
      return "values";
    }
    at += n;
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_events *x = &a->layers[i].events, *y = &b->layers[i].events;
#define SAME(field) if (x->field != y->field) return #field
    SAME(compare); SAME(write); SAME(load); SAME(store); SAME(load_bits); SAME(store_bits); SAME(move); SAME(shift); SAME(count);
    SAME(shift_rows); SAME(count_rows); SAME(external); SAME(host); SAME(compare_cells); SAME(match_cells); SAME(written_cells);
    SAME(changed_cells);
#undef SAME
    if (memcmp(&a->layers[i].time, &b->layers[i].time, sizeof a->layers[i].time) != 0) {
      return "time";
    }
    if (a->layers[i].energy_j < b->layers[i].energy_j || a->layers[i].energy_j > b->layers[i].energy_j) {
      return "energy";
    }
  }
  if (memcmp(&a->total.events, &b->total.events, sizeof a->total.events) != 0) {
    return "total";
  }
  if (a->trace.count != b->trace.count) {
    return "number of trace events";
  }
  for (size_t i = 0; i < a->trace.count; i++) {
    const struct ap_trace_event *x = &a->trace.events[i], *y = &b->trace.events[i];
    if (x->kind != y->kind || x->layer != y->layer || x->tile != y->tile || x->cap != y->cap || x->begin != y->begin ||
        x->cycles != y->cycles) {
      return "trace";
    }
  }
  return NULL;
}

// What does not depend on data is in the static account as it is executed, here twice.
static void check_static(const struct ap_program *p, const struct ap_account *expected, const struct ap_account *twice) {
  for (uint32_t i = 0; i < p->nlayers; i++) {
    const struct ap_events *x = &expected[i].events, *y = &twice[i].events;
#define TWICE(field) assert_int_equal(2 * x->field, y->field)
    TWICE(compare); TWICE(write); TWICE(load); TWICE(store); TWICE(load_bits); TWICE(store_bits); TWICE(shift); TWICE(count);
    TWICE(compare_cells); TWICE(external); TWICE(host);
#undef TWICE
    assert_int_equal(2 * expected[i].time.cycles, twice[i].time.cycles);
    assert_int_equal(2 * expected[i].time.compute, twice[i].time.compute);
  }
}

// `numbers`: counters that depend on data are those of the first, or what the compiler expects, twice.
// Returns how many tensors shared memory in some way.
static unsigned compare_all(const struct ap_program *p, const struct ap_technology *tech, uint64_t seed, struct reached *reached) {
  static const struct way ways[] = {
      {AP_ENGINE_JIT, AP_COUNT_EXACT, 1, true, {1, 1}},         {AP_ENGINE_JIT, AP_COUNT_EXACT, 2, true, {MANY, MANY}},
      {AP_ENGINE_JIT, AP_COUNT_EXACT, 5, true, {1, MANY}},      {AP_ENGINE_JIT, AP_COUNT_STATIC, 2, true, {MANY, 1}},
      {AP_ENGINE_INTERP, AP_COUNT_STATIC, 1, false, {1, 1}},    {AP_ENGINE_JIT, AP_COUNT_EXACT, 2, false, {MANY, MANY}},
      {AP_ENGINE_JIT, AP_COUNT_STATIC, 1, false, {MANY, MANY}}, {AP_ENGINE_JIT, AP_COUNT_EXACT, 2, false, {SOME, MANY}},
      {AP_ENGINE_JIT, AP_COUNT_STATIC, 2, false, {1, SOME}},
  };
  struct outcome exact = execute(p, tech, (struct way){AP_ENGINE_INTERP, AP_COUNT_EXACT, 1, false, {1, 1}}, seed);
  struct ap_account *expected = bf_alloc((size_t)p->nlayers + 1, sizeof *expected);
  unsigned shared = 0;
  ap_static_account(p, tech, expected, NULL);
  check_static(p, expected, exact.layers);
  for (size_t w = 0; w < BF_COUNT(ways); w++) {
    if (ways[w].engine == AP_ENGINE_JIT && !ways[w].plain && !ap_engine_available(AP_ENGINE_JIT)) {
      continue;
    }
    struct outcome o = execute(p, tech, ways[w], seed);
    if (ways[w].count == AP_COUNT_STATIC) {
      for (uint32_t i = 0; i < p->nlayers; i++) {
        struct ap_events *e = &o.layers[i].events;
        assert_int_equal(e->match_cells, 2 * expected[i].events.match_cells);
        assert_int_equal(e->written_cells, 2 * expected[i].events.written_cells);
        assert_int_equal(e->changed_cells, 2 * expected[i].events.changed_cells);
        e->match_cells = exact.layers[i].events.match_cells;
        e->written_cells = exact.layers[i].events.written_cells;
        e->changed_cells = exact.layers[i].events.changed_cells;
        o.layers[i].energy_j = exact.layers[i].energy_j;
      }
      o.total.events.match_cells = exact.total.events.match_cells;
      o.total.events.written_cells = exact.total.events.written_cells;
      o.total.events.changed_cells = exact.total.events.changed_cells;
    }
    const char *what = difference(p, &exact, &o);
    if (what != NULL) {
      fail_msg("program of seed %llu, way %zu: %s differ", (unsigned long long)seed, w, what);
    }
    shared = 0;
    for (uint32_t t = 0; t < p->ntensors; t++) {
      shared += o.shared[t];
    }
    add_reached(reached, &o.reached);
    outcome_free(&o);
  }
  free(expected);
  outcome_free(&exact);
  return shared;
}

#define ENOUGH 80  // programs, in which all of the block engine occurs

static void test_random_programs(void **state) {
  const char *only = getenv("BFIMNA_SEED");  // one program alone
  struct reached reached = {0};
  struct ap_technology tech;
  struct bf_diags diags = {0};
  assert_true(ap_technology_load("reram", &tech, &diags));
  int count = only != NULL ? 1 : rounds(ENOUGH);
  uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
  for (uint64_t seed = first; seed < first + (uint64_t)count; seed++) {
    struct rng rng = {seed * UINT64_C(0x9E3779B97F4A7C15)};
    struct ap_program *p = random_program(&rng);
    if (!ap_program_validate(p, &diags)) {
      struct bf_buf text = {0};
      bf_diags_render(&diags, &text);
      fail_msg("seed %llu: %s", (unsigned long long)seed, bf_buf_cstr(&text));
    }
    compare_all(p, &tech, seed, &reached);
    ap_program_free(p);
  }
  print_message("%d random programs:", count);
  show_reached(&reached);
#define REACHED(field) assert_true(reached.field > 0)
  if (only == NULL && count >= ENOUGH) {
    REACHED(alone); REACHED(in_spans); REACHED(constants); REACHED(bytes); REACHED(views); REACHED(outside); REACHED(kept); REACHED(stores);
    REACHED(orders); REACHED(copies); REACHED(spreads);
    assert_true((reached.numbers > 0 && reached.wide_numbers > 0) || !ap_engine_available(AP_ENGINE_JIT));
  }
  ap_technology_free(&tech);
  bf_diags_free(&diags);
}

struct setup { const char *machine; uint32_t rows; enum bf_mapping mapping; };
static void test_random_networks(void **state) {
  static const struct setup setups[] = {{"bf-imna-lr", 0, BF_MAPPING_AUTO}, {"edge", 65, BF_MAPPING_OUTPUT}, {"edge", 7, BF_MAPPING_PIXEL},
                                       {"research", 0, BF_MAPPING_MAC}, {"edge", 33, BF_MAPPING_MAC}};
  struct rng rng = {20250102};
  struct reached reached = {0};
  int count = 0;
  unsigned shared = 0;
  for (int round = 0; round < (rounds(40) + 39) / 40; round++) {
    for (int kind = 0; kind < RANDOM_KINDS; kind++) {
      for (size_t s = 0; s < BF_COUNT(setups); s++, count++) {
        struct bf_graph *g = random_graph(&rng, (enum random_kind)kind);
        struct bf_diags diags = {0};
        struct bf_compile_options o = {.opt_level = 2, .mapping = setups[s].mapping, .batch = 1};
        assert_true(bf_graph_verify(g, &diags));
        assert_true(ap_machine_load(setups[s].machine, &o.machine, NULL, &diags));
        assert_true(ap_technology_load("sram16", &o.tech, &diags));
        o.machine.rows = setups[s].rows != 0 ? setups[s].rows : o.machine.rows;
        struct ap_program *p = bf_compile(g, &o, &diags);
        assert_non_null(p);
        shared += compare_all(p, &o.tech, (uint64_t)count, &reached);
        ap_program_free(p);
        ap_technology_free(&o.tech);
        bf_diags_free(&diags);
        bf_graph_free(g);
      }
    }
  }
  print_message("%d random networks, %u temporary tensors shared memory:", count, shared);
  show_reached(&reached);
  REACHED(in_spans); REACHED(views); REACHED(stores); REACHED(orders); REACHED(copies);
  assert_true(shared > 0 || !ap_engine_available(AP_ENGINE_JIT));
}

static bool stop_at_first(void *context, const struct ap_run *run, uint32_t layer) {
  *(volatile bool *)context = true;
  return run != NULL && layer < UINT32_MAX;
}

// A raised flag ends the execution at the next piece of work.
static void test_stop(void **state) {
  struct rng rng = {99};
  struct ap_program *p = random_program(&rng);
  struct ap_technology tech;
  struct bf_diags diags = {0};
  assert_true(ap_program_validate(p, &diags));
  assert_true(ap_technology_load("sram16", &tech, &diags));
  for (int engine = 0; engine < 2; engine++) {
    volatile bool stop = false;
    struct ap_run *run = ap_run_new(p, &diags);
    run->plain_blocks = true;
    struct ap_account *layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers);
    const struct ap_execution how = {.engine = (enum ap_engine)engine, .threads = 2, .hook = stop_at_first, .context = (void *)&stop, .stop = &stop};
    assert_false(ap_run_execute(run, &tech, layers, NULL, &how, &diags));
    free(layers);
    ap_run_free(run);
  }
  assert_int_equal(diags.errors, 0);
  ap_technology_free(&tech);
  ap_program_free(p);
  bf_diags_free(&diags);
}

// All variants of bit transposition against the definition, there and back.
static void test_slices(void **state) {
  struct rng rng = {4};
  uint8_t bytes[64], back[64];
  uint64_t columns[8 * 3];
  for (unsigned v = 0; v < 3; v++) {
    const struct ap_slicer *slicer = ap_slicer_variant(v);
    for (unsigned bits = 1; bits <= 8 && slicer != NULL; bits++) {
      for (unsigned i = 0; i < 64; i++) {
        bytes[i] = (uint8_t)rng_next(&rng);
      }
      slicer->slice(bytes, columns, 3, bits);
      slicer->unslice(columns, 3, bits, back);
      for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(back[i], bytes[i] & ((1u << bits) - 1));
        for (unsigned b = 0; b < bits; b++) {
          assert_int_equal(columns[3 * b] >> i & 1, bytes[i] >> b & 1);
        }
      }
    }
  }
}

static void test_slices_of_halves(void **state) {
  struct rng rng = {6};
  uint16_t elements[64], back[64];
  uint64_t columns[16 * 3];
  for (unsigned v = 0; v < 3; v++) {
    const struct ap_slicer *slicer = ap_slicer_variant(v);
    for (unsigned bits = 1; bits <= 16 && slicer != NULL && slicer->slice2 != NULL; bits++) {
      for (unsigned i = 0; i < 64; i++) {
        elements[i] = (uint16_t)rng_next(&rng);
      }
      slicer->slice2((const uint8_t *)elements, columns, 3, bits);
      slicer->unslice2(columns, 3, bits, (uint8_t *)back);
      for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(back[i], elements[i] & ((1u << bits) - 1));
        for (unsigned b = 0; b < bits; b++) {
          assert_int_equal(columns[3 * b] >> i & 1, elements[i] >> b & 1);
        }
      }
    }
  }
}

static void test_slices_of_words(void **state) {
  struct rng rng = {5};
  uint32_t elements[64], back[64];
  uint64_t columns[32 * 3];
  for (unsigned v = 0; v < 3; v++) {
    const struct ap_slicer *slicer = ap_slicer_variant(v);
    for (unsigned bits = 1; bits <= 32 && slicer != NULL && slicer->slice4 != NULL; bits++) {
      uint32_t most = bits < 32 ? ((uint32_t)1 << bits) - 1 : UINT32_MAX;
      for (unsigned i = 0; i < 64; i++) {
        elements[i] = (uint32_t)rng_next(&rng);
      }
      slicer->slice4((const uint8_t *)elements, columns, 3, bits);
      slicer->unslice4(columns, 3, bits, (uint8_t *)back);
      for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(back[i], elements[i] & most);
        for (unsigned b = 0; b < bits; b++) {
          assert_int_equal(columns[3 * b] >> i & 1, elements[i] >> b & 1);
        }
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slices),
      cmocka_unit_test(test_slices_of_halves), cmocka_unit_test(test_slices_of_words),
      cmocka_unit_test(test_stop),
      cmocka_unit_test(test_random_programs),
      cmocka_unit_test(test_random_networks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
