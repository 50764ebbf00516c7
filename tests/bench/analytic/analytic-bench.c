// SPDX-License-Identifier: Apache-2.0
// How long costs take: analysis of a network's weights, the same again from the cache, prices of design points, and the whole compilation for
// comparison. By hand: analytic-bench NETWORK... [--compile]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tools/common/diagnostics.h"
#include "tools/common/network_costs.h"

#define POINTS 200

// Of the processor: other work on the machine doesn't count.
static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_mb(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)use.ru_maxrss / 1024;
}

// Design points that share the code: meshes, supplies.
static double price(const struct bf_costs *costs, const struct bf_compile_options *o) {
  struct ap_account *layers = bf_alloc(bf_costs_layers(costs) + 1, sizeof *layers), total;
  double begin = seconds();
  for (unsigned i = 0; i < POINTS; i++) {
    struct ap_machine machine = o->machine;
    struct ap_technology tech = o->tech;
    machine.mesh_bits = 64u << i % 8;
    ap_technology_set_vdd(&tech, tech.vdd_nominal * (0.6 + 0.4 * i / POINTS));
    bf_costs_price(costs, &machine, &tech, layers, &total);
  }
  double each = (seconds() - begin) / POINTS;
  free(layers);
  return each;
}

static bool measure(const char *path, struct bf_compile_options *o, bool compile, struct bf_diags *diags) {
  struct bf_cost_cache *cache = bf_cost_cache_new(NULL);
  double begin = seconds();
  struct bf_load_options load = {.batch = 1};
  struct bf_costs *costs = tool_costs_open(path, &load, o, cache, NULL, diags);
  double first = seconds() - begin;
  if (costs) {
    begin = seconds();
    struct bf_costs *found = tool_costs_open(path, &load, o, cache, NULL, diags);
    double again = seconds() - begin;
    printf("%s: %u layers\n  load and analyse %.3f s (%.0f MB so far), again %.2f ms, a design point %.3f ms\n", path,
           bf_costs_layers(costs), first, peak_mb(), 1e3 * again, 1e3 * price(costs, o));
    bf_costs_free(found);
  }
  bf_cost_cache_free(cache);
  bool ok = costs != NULL;
  bf_costs_free(costs);
  struct bf_graph *graph = ok && compile ? bf_load_network(path, &load, diags) : NULL;
  begin = seconds();
  struct ap_program *program = graph ? bf_compile(graph, o, diags) : NULL;
  if (program) printf("  compile %.3f s (%.0f MB so far)\n", seconds() - begin, peak_mb());
  ap_program_free(program);
  bf_graph_free(graph);
  return ok;
}

int main(int argc, char **argv) {
  struct bf_diags diags = {0};
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  const struct bf_source *source;
  bool compile = argc > 1 && !strcmp(argv[argc - 1], "--compile");
  bool ok = ap_machine_load("bf-imna-lr", &o.machine, &source, &diags) && ap_technology_load("sram16", &o.tech, &diags);
  for (int i = 1; i < argc - compile && ok; i++) ok = measure(argv[i], &o, compile, &diags);
  tool_print_diagnostics(&diags);
  ap_technology_free(&o.tech);
  bf_diags_free(&diags);
  return ok ? 0 : 1;
}
