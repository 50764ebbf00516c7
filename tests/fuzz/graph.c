// SPDX-License-Identifier: Apache-2.0
// What must hold for every verified graph.
#include <stdlib.h>
#include <string.h>

#include "backend/compiler.h"
#include "ir/profile.h"
#include "ir/reference.h"
#include "runtime/engine.h"
#include "tests/fuzz/fuzz.h"

// Larger graphs are not printed or not compiled: a run must take milliseconds.
#define MAX_PRINTED 50000.0     // elements of constants
#define MAX_ELEMENTS 1500.0     // of all tensors
#define MAX_WINDOWS 20000.0     // taps of all windows and dense layers
#define MAX_NODES 12
#define MAX_PROFILES 3

static void text_round_trip(const struct bf_graph *graph) {
  struct bf_diags diags = {0};
  struct bf_buf first = {0}, second = {0}, dot = {0};
  bf_graph_print(graph, &first);
  const struct bf_source *source = bf_diags_add_source(&diags, "again.bfir", bf_buf_cstr(&first), first.length);
  struct bf_graph *again = bf_graph_parse(source, &diags);
  bool ok = again && bf_graph_verify(again, &diags);
  if (!ok) fuzz_diags_show(&diags);
  FUZZ_CHECK(ok, "the text of a verified graph is refused");
  bf_graph_print(again, &second);
  bf_graph_print_dot(again, &dot);
  bf_graph_free(again);
  bf_buf_free(&dot);
  bf_diags_free(&diags);
  fuzz_same("graph text", &first, &second);
}

static void measure(const struct bf_graph *graph, double *constants, double *elements, double *windows) {
  *constants = *elements = *windows = 0;
  for (size_t i = 0; i < graph->ntensors; i++) {
    *elements += (double)graph->tensors[i]->elements;
    if (graph->tensors[i]->data) *constants += (double)graph->tensors[i]->elements;
  }
  for (size_t i = 0; i < graph->nnodes; i++) {
    const struct bf_node *node = graph->nodes[i];
    *windows += (double)bf_node_macs(node);
    if (bf_op_info(node->op)->attrs & BF_ATTR_WINDOW)
      *windows += (double)node->output->elements * node->attrs.kernel[0] * node->attrs.kernel[1];
    *windows += (double)node->attrs.requant.nthresholds * (double)node->output->elements;
  }
}

static int64_t *random_values(const struct bf_tensor *t, uint64_t *state) {
  int64_t lo = bf_type_min(t->type), hi = bf_type_max(t->type), *q = bf_alloc(t->elements, sizeof *q);
  for (uint64_t e = 0; e < t->elements; e++) {
    q[e] = lo + (int64_t)(fuzz_random(state) % ((uint64_t)(hi - lo) + 1));
    if (t->type.kind == BF_TYPE_B && q[e] == 0) q[e] = 1;
  }
  return q;
}

static void same_values(const struct bf_tensor *t, const struct ap_program *p, const struct ap_run *run,
                        const int64_t *expected) {
  for (uint32_t m = 0; m < p->ntensors; m++) {
    if (strcmp(p->tensors[m].name, t->name)) continue;
    int64_t *got = bf_alloc(t->elements, sizeof *got);
    ap_run_get(run, m, got);
    for (uint64_t e = 0; e < t->elements; e++)
      FUZZ_CHECK(got[e] == expected[e], "tensor %s, element %llu: %lld executed, %lld by the reference", t->name,
                 (unsigned long long)e, (long long)got[e], (long long)expected[e]);
    free(got);
  }
}

static void run_both(const struct bf_graph *graph, const struct ap_program *p) {
  uint64_t state = 88172645463325252u;
  struct bf_ref_run *ref = bf_ref_new(graph);
  const int64_t **inputs = bf_alloc((size_t)p->ninputs + 1, sizeof *inputs);
  uint32_t n = 0;
  for (size_t i = 0; i < graph->ntensors; i++) {
    const struct bf_tensor *t = graph->tensors[i];
    if (!t->is_input) continue;
    FUZZ_CHECK(n < p->ninputs, "the program lost an input");
    inputs[n] = random_values(t, &state);
    FUZZ_CHECK(bf_ref_set_input(ref, t, inputs[n]), "the reference refuses values of the type of %s", t->name);
    n++;
  }
  FUZZ_CHECK(n == p->ninputs, "the program has %u inputs, the graph %u", p->ninputs, n);
  struct ap_run *run = fuzz_execute(p, inputs);
  if (run) {
    struct bf_diags diags = {0};
    bool ok = bf_ref_run(ref, &diags);
    fuzz_diags_end(&diags, ok);
    for (size_t i = 0; ok && i < graph->ntensors; i++)
      if (graph->tensors[i]->is_output) same_values(graph->tensors[i], p, run, ref->values[i]);
  }
  ap_run_free(run);
  for (uint32_t i = 0; i < n; i++) free((void *)(uintptr_t)inputs[i]);
  free(inputs);
  bf_ref_free(ref);
}

static void compile_and_run(const struct bf_graph *graph) {
  static const char *const MACHINES[] = {"edge", "rtm-256"};
  size_t pick = graph->ntensors + graph->tensors[0]->elements;  // any choice that the graph decides
  struct bf_diags diags = {0};
  struct bf_compile_options o = {.opt_level = pick % 4, .mapping = (enum bf_mapping)(pick / 4 % BF_MAPPING_COUNT), .batch = 1,
                                 .verify_each = true};
  const struct bf_source *source;
  bool ok = ap_machine_load(MACHINES[pick % 2], &o.machine, &source, &diags) &&
            ap_technology_load(o.machine.technology, &o.tech, &diags);
  FUZZ_CHECK(ok, "no preset");
  if (pick % 3 == 0) o.machine.rows = 64;
  struct ap_program *p = graph->nprofiles <= MAX_PROFILES ? bf_compile_profiles(graph, &o, &diags) : bf_compile(graph, &o, &diags);
  fuzz_diags_end(&diags, p != NULL);
  if (p) {
    run_both(graph, p);
    ap_program_free(p);
  }
  ap_technology_free(&o.tech);
}

// A profile is refused with an error, or gives a graph that holds all that a graph must.
static void apply_profiles(const struct bf_graph *graph, bool small) {
  for (size_t i = 0; i < graph->nprofiles && i < MAX_PROFILES; i++) {
    struct bf_diags diags = {0};
    struct bf_graph *narrow = bf_graph_apply_profile(graph, graph->profiles[i].name, &diags);
    fuzz_diags_end(&diags, narrow != NULL);
    if (!narrow) continue;
    text_round_trip(narrow);
    if (small) compile_and_run(narrow);
    bf_graph_free(narrow);
  }
}

void fuzz_graph(const struct bf_graph *graph) {
  double constants, elements, windows;
  measure(graph, &constants, &elements, &windows);
  if (constants <= MAX_PRINTED) text_round_trip(graph);
  bool small = elements <= MAX_ELEMENTS && windows <= MAX_WINDOWS && graph->nnodes <= MAX_NODES && graph->ntensors > 0;
  if (small) compile_and_run(graph);
  if (constants <= MAX_PRINTED) apply_profiles(graph, small);
}
