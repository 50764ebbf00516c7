// SPDX-License-Identifier: Apache-2.0
// Tables and JSON of runtime-bench.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

static double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

const char *bench_run_name(const struct bench_run *run) {
  return run->engine == AP_ENGINE_INTERP ? (run->count == AP_COUNT_EXACT ? "interp exact" : "interp static")
                                         : (run->count == AP_COUNT_EXACT ? "jit exact" : "jit static");
}

double bench_fraction(const struct bench_limit *limit, const struct bench_network *network, const struct bench_run *run, uint32_t layer) {
  const struct bench_additions *a = &network->additions[layer];
  double seconds = layer < network->program->nlayers ? run->layer_s[layer] : run->best_s;
  double rate = run->count == AP_COUNT_EXACT ? limit->counted : limit->fused;
  // At the layer's row fill: rows / slots of what full words could do.
  return rate > 0 ? per_second((double)a->slots, seconds) / rate : 0;
}

// Of the layers that run.
static uint64_t network_macs(const struct ap_program *p) {
  uint64_t macs = 0;
  for (uint32_t i = 0; i < p->nlayers; i++) {
    macs += bench_layer_runs(p, i) ? p->layers[i].macs : 0;
  }
  return macs;
}

void bench_print_limit(const struct bench_limit *limit) {
  printf("limit: 8-bit additions into 24 bits, %u thread%s, %s", limit->threads, limit->threads == 1 ? "" : "s", limit->host);
  if (limit->vector_bits > 0) {
    printf(", %u-bit vectors", limit->vector_bits);
  }
  printf("\n  %-28s %14s %14s\n", "row additions a second", "fused", "counted");
  printf("  %-28s %14.3e %14.3e\n", "columns in cache", limit->fused, limit->counted);
  printf("  %-28s %14.3e %14.3e\n", "columns in memory", limit->memory_fused, limit->memory_counted);
}

static void print_run(const struct bench_limit *limit, const struct bench_network *n, const struct bench_run *run) {
  const struct ap_program *p = n->program;
  double batch = p->batch, macs = (double)network_macs(p), adds = (double)n->additions[p->nlayers].rows;
  printf("%-14s %10.4f %10.4f %12.3e %12.3e %9.1f%%\n", bench_run_name(run), run->best_s / batch, run->first_s, per_second(macs, run->best_s),
         per_second(adds, run->best_s), 100 * bench_fraction(limit, n, run, p->nlayers));
}

static void print_layers(const struct bench_limit *limit, const struct bench_network *n) {
  const struct ap_program *p = n->program;
  printf("\n%-24s %10s %10s %5s", "layer", "macs", "additions", "fill");
  for (size_t r = 0; r < n->nruns; r++) {
    printf(" | %12s ms  limit", bench_run_name(&n->runs[r]));
  }
  printf("\n");
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (!bench_layer_runs(p, i)) {
      continue;
    }
    const struct bench_additions *a = &n->additions[i];
    printf("%-24.24s %10.2e %10.2e %4.0f%%", p->layers[i].name, (double)p->layers[i].macs, (double)a->rows,
           a->slots > 0 ? 100 * (double)a->rows / (double)a->slots : 0);
    for (size_t r = 0; r < n->nruns; r++) {
      printf(" | %15.3f %5.1f%%", 1e3 * n->runs[r].layer_s[i], 100 * bench_fraction(limit, n, &n->runs[r], i));
    }
    printf("\n");
  }
}

static const struct bench_run *find_run(const struct bench_network *n, enum ap_engine engine, enum ap_count count) {
  for (size_t i = 0; i < n->nruns; i++) {
    if (n->runs[i].engine == engine && n->runs[i].count == count) {
      return &n->runs[i];
    }
  }
  return NULL;
}

// How many times slower the first is; 0 if one is missing.
static double ratio(const struct bench_run *slow, const struct bench_run *fast) {
  return slow != NULL && fast != NULL ? per_second(slow->best_s, fast->best_s) : 0;
}

void bench_print_network(const struct bench_limit *limit, const struct bench_network *n) {
  const struct bench_run *exact = find_run(n, AP_ENGINE_JIT, AP_COUNT_EXACT);
  const struct bench_additions *all = &n->additions[n->program->nlayers];
  printf("\n%s (%s), batch of %u, %.3e MACs and %.3e row additions (%.3e of them in products) an execution\n", n->program->network, n->file,
         n->program->batch, (double)network_macs(n->program), (double)all->rows, (double)all->products);
  printf("%-14s %10s %10s %12s %12s %10s\n", "engine", "s an image", "first s", "MACs/s", "additions/s", "of limit");
  for (size_t r = 0; r < n->nruns; r++) {
    print_run(limit, n, &n->runs[r]);
  }
  double counting = ratio(exact, find_run(n, AP_ENGINE_JIT, AP_COUNT_STATIC)), interp = ratio(find_run(n, AP_ENGINE_INTERP, AP_COUNT_EXACT), exact);
  if (counting > 0) {
    printf("exact takes %.2f times static", counting);
    if (interp > 0) {
      printf(", the interpreter (1 thread) %.2f times the JIT's exact (%u)", interp, limit->threads);
    }
    printf("\n");
  }
  print_layers(limit, n);
}

static json_t *real(double v) { return json_real(isfinite(v) ? v : 0); }
static json_t *text(const char *s) {
  json_t *value = json_string(s);
  return value != NULL ? value : json_string("?");
}

static json_t *run_json(const struct bench_limit *limit, const struct bench_network *n, const struct bench_run *run) {
  const struct ap_program *p = n->program;
  json_t *layers = json_array();
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (!bench_layer_runs(p, i)) {
      continue;
    }
    json_t *o = json_object();
    json_object_set_new(o, "name", text(p->layers[i].name));
    json_object_set_new(o, "seconds", real(run->layer_s[i]));
    json_object_set_new(o, "fraction", real(bench_fraction(limit, n, run, i)));
    json_array_append_new(layers, o);
  }
  json_t *o = json_object();
  json_object_set_new(o, "engine", json_string(run->engine == AP_ENGINE_JIT ? "jit" : "interp"));
  json_object_set_new(o, "count", json_string(run->count == AP_COUNT_EXACT ? "exact" : "static"));
  json_object_set_new(o, "seconds_per_image", real(run->best_s / p->batch));
  json_object_set_new(o, "first_seconds", real(run->first_s));
  json_object_set_new(o, "macs_per_s", real(per_second((double)network_macs(p), run->best_s)));
  json_object_set_new(o, "additions_per_s", real(per_second((double)n->additions[p->nlayers].rows, run->best_s)));
  json_object_set_new(o, "fraction", real(bench_fraction(limit, n, run, p->nlayers)));
  json_object_set_new(o, "layers", layers);
  return o;
}

static json_t *network_json(const struct bench_limit *limit, const struct bench_network *n) {
  const struct ap_program *p = n->program;
  const struct bench_run *exact = find_run(n, AP_ENGINE_JIT, AP_COUNT_EXACT);
  json_t *o = json_object(), *runs = json_array(), *layers = json_array();
  for (size_t i = 0; i < n->nruns; i++) {
    json_array_append_new(runs, run_json(limit, n, &n->runs[i]));
  }
  for (uint32_t i = 0; i < p->nlayers; i++) {
    if (!bench_layer_runs(p, i)) {
      continue;
    }
    const struct bench_additions *a = &n->additions[i];
    json_t *layer = json_object();
    json_object_set_new(layer, "name", text(p->layers[i].name));
    json_object_set_new(layer, "macs", json_integer((json_int_t)p->layers[i].macs));
    json_object_set_new(layer, "additions", json_integer((json_int_t)a->rows));
    json_object_set_new(layer, "additions_in_products", json_integer((json_int_t)a->products));
    json_object_set_new(layer, "row_fill", real(a->slots > 0 ? (double)a->rows / (double)a->slots : 0));
    json_array_append_new(layers, layer);
  }
  json_object_set_new(o, "network", text(p->network));
  json_object_set_new(o, "file", text(n->file));
  json_object_set_new(o, "batch", json_integer(p->batch));
  json_object_set_new(o, "macs", json_integer((json_int_t)network_macs(p)));
  json_object_set_new(o, "additions", json_integer((json_int_t)n->additions[p->nlayers].rows));
  json_object_set_new(o, "exact_to_static", real(ratio(exact, find_run(n, AP_ENGINE_JIT, AP_COUNT_STATIC))));
  json_object_set_new(o, "interp_to_jit", real(ratio(find_run(n, AP_ENGINE_INTERP, AP_COUNT_EXACT), exact)));
  json_object_set_new(o, "layers", layers);
  json_object_set_new(o, "runs", runs);
  return o;
}

void bench_json(const struct bench_result *result, struct bf_buf *out) {
  const struct bench_limit *l = &result->limit;
  json_t *o = json_object(), *limit = json_object(), *networks = json_array();
  json_object_set_new(limit, "fused", real(l->fused));
  json_object_set_new(limit, "counted", real(l->counted));
  json_object_set_new(limit, "memory_fused", real(l->memory_fused));
  json_object_set_new(limit, "memory_counted", real(l->memory_counted));
  for (size_t i = 0; i < result->count; i++) {
    json_array_append_new(networks, network_json(l, &result->networks[i]));
  }
  json_object_set_new(o, "schema", json_integer(1));
  json_object_set_new(o, "host", text(l->host));
  json_object_set_new(o, "vector_bits", json_integer(l->vector_bits));
  json_object_set_new(o, "threads", json_integer(l->threads));
  json_object_set_new(o, "limit_row_additions_per_s", limit);
  json_object_set_new(o, "peak_resident_bytes", real(result->peak_bytes));
  json_object_set_new(o, "networks", networks);
  char *printed = json_dumps(o, JSON_INDENT(1));
  bf_buf_puts(out, printed != NULL ? printed : "");
  bf_buf_puts(out, "\n");
  free(printed);
  json_decref(o);
}
