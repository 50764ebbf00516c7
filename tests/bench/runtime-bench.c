// SPDX-License-Identifier: Apache-2.0
// runtime-bench: how fast the engines run networks, against the limit of the machine at hand (docs/runtime.md).
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tools/common/diagnostics.h"

#define TOOL_OPTION_ROWS "tests/bench/options.def"
#include "tools/common/option_rows.h"

struct options { const char *json; unsigned images, threads; bool interp; };

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct stopwatch { double last, *layer; };

static bool layer_done(void *context, const struct ap_run *run, uint32_t layer) {
  struct stopwatch *watch = context;
  double t = bench_now();
  watch->layer[layer] = t - watch->last;
  watch->last = t;
  return run != NULL;
}

static void fill(struct ap_run *run, const struct ap_program *p) {
  uint64_t seed = 1;
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const struct ap_tensor *t = &p->tensors[p->inputs[i]];
    uint64_t n = ap_tensor_elements(t), most = t->bits < 64 ? ((uint64_t)1 << t->bits) - 1 : UINT64_MAX;
    int64_t *q = bf_alloc(n > 0 ? n : 1, sizeof *q);
    for (uint64_t e = 0; e < n; e++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      q[e] = (int64_t)((uint64_t)t->bias + (seed >> 20 & most));
    }
    ap_run_set(run, p->inputs[i], q);
    free(q);
  }
}

#define BENCH_REPEATS 1000000

static uint64_t hash_outputs(const struct ap_run *run, const struct ap_program *p) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < p->noutputs; i++) {
    uint64_t n = ap_tensor_elements(&p->tensors[p->outputs[i]]);
    int64_t *q = bf_alloc(n > 0 ? n : 1, sizeof *q);
    ap_run_get(run, p->outputs[i], q);
    hash = hash * 31 + bf_hash(q, n * sizeof *q);
    free(q);
  }
  return hash;
}

// Executes `times`; keeps the first, and the best of the whole and of each layer: what others do on the machine meanwhile only adds to them. A fresh struct ap_run each time a run begins, so that the first pays for compilation.
static bool measure(const struct ap_program *p, const struct ap_technology *tech, struct bench_run *out, unsigned times, unsigned threads,
                    uint64_t *hash, struct bf_diags *diags) {
  struct ap_run *run = ap_run_new(p, diags);
  struct stopwatch watch = {.layer = bf_alloc((size_t)p->nlayers + 1, sizeof *watch.layer)};
  struct ap_account *layers = bf_alloc((size_t)p->nlayers + 1, sizeof *layers), total = {0};
  struct ap_execution how = {.engine = out->engine, .count = out->count, .threads = threads, .hook = layer_done, .context = &watch};
  bool good = run != NULL;
  out->layer_s = bf_alloc((size_t)p->nlayers + 1, sizeof *out->layer_s);
  for (unsigned i = 0; good && i < times; i++) {
    how.repeats = i == 0 ? 1 : BENCH_REPEATS;  // the first compiles what is worth it for one execution, the second what is for many
    fill(run, p);
    double begin = watch.last = bench_now();
    good = ap_run_execute(run, tech, layers, &total, &how, diags);
    double seconds = bench_now() - begin;
    out->first_s = i == 0 ? seconds : out->first_s;
    out->best_s = i == 0 || seconds < out->best_s ? seconds : out->best_s;
    for (uint32_t l = 0; l < p->nlayers; l++) {
      out->layer_s[l] = i == 0 || watch.layer[l] < out->layer_s[l] ? watch.layer[l] : out->layer_s[l];
    }
  }
  if (good) {
    *hash = hash_outputs(run, p);
  }
  free(layers);
  free(watch.layer);
  ap_run_free(run);
  return good;
}

static bool bench_network(const char *file, const struct options *options, struct bench_network *n, struct bf_diags *diags) {
  static const struct { enum ap_engine engine; enum ap_count count; } modes[] = {
      {AP_ENGINE_JIT, AP_COUNT_STATIC}, {AP_ENGINE_JIT, AP_COUNT_EXACT}, {AP_ENGINE_INTERP, AP_COUNT_EXACT}};
  struct ap_technology tech = {0};
  uint64_t hash[BF_COUNT(modes)];
  n->file = file;
  n->program = ap_program_load(file, diags);
  bool good = n->program != NULL && ap_technology_load(n->program->tech, &tech, diags);
  if (good) {
    n->additions = bf_alloc((size_t)n->program->nlayers + 1, sizeof *n->additions);
    bench_count_additions(n->program, n->additions);
  }
  for (size_t i = 0; good && i < BF_COUNT(modes); i++) {
    bool interp = modes[i].engine == AP_ENGINE_INTERP;
    if (!ap_engine_available(modes[i].engine) || (interp && !options->interp)) {
      continue;
    }
    struct bench_run *run = &n->runs[n->nruns++];
    *run = (struct bench_run){.engine = modes[i].engine, .count = modes[i].count};
    good = measure(n->program, &tech, run, interp ? 1 : options->images, options->threads, &hash[n->nruns - 1], diags);
    if (good && hash[n->nruns - 1] != hash[0]) {
      bf_error_file(diags, file, NULL, "%s and %s give different outputs", bench_run_name(run), bench_run_name(&n->runs[0]));
      good = false;
    }
  }
  ap_technology_free(&tech);
  return good;
}

static void free_result(struct bench_result *result) {
  for (size_t i = 0; i < result->count; i++) {
    for (size_t r = 0; r < result->networks[i].nruns; r++) {
      free(result->networks[i].runs[r].layer_s);
    }
    free(result->networks[i].additions);
    ap_program_free(result->networks[i].program);
  }
  free(result->networks);
}

static bool bench(const struct options *options, char **files, size_t count, struct bf_diags *diags) {
  struct bench_result result = {.networks = bf_alloc(count + 1, sizeof *result.networks)};
  struct rusage usage;
  bool good = bench_measure_limit(options->threads, &result.limit, diags);
  if (good) {
    bench_print_limit(&result.limit);
  }
  for (; good && result.count < count;) {
    size_t i = result.count++;
    good = bench_network(files[i], options, &result.networks[i], diags);
    if (good) {
      bench_print_network(&result.limit, &result.networks[i]);
    }
  }
  getrusage(RUSAGE_SELF, &usage);
  result.peak_bytes = 1024.0 * (double)usage.ru_maxrss;
  if (good && options->json != NULL) {
    struct bf_buf out = {0};
    bench_json(&result, &out);
    good = bf_diags_write(diags, options->json, bf_buf_cstr(&out), out.length);
    bf_buf_free(&out);
  }
  free_result(&result);
  return good;
}

static int usage(const char *fmt, const char *what) { return tool_wrong_usage("runtime-bench", fmt, what); }

static void help(void) {
  puts("Usage: runtime-bench [OPTION]... [NET.apbin]...\n\n"
       "Measures the best rate of additions over resident columns, then each network with each engine, on random inputs.\n");
  tool_options_help(rows, NROWS, 24);
}

static int take(void *settings, int id, const char *arg) {
  struct options *o = settings;
  uint64_t number = 0;
  switch (id) {
    case OPTION_JSON: o->json = arg; return -1;
    case OPTION_NO_INTERP: o->interp = false; return -1;
    case OPTION_HELP: help(); return 0;
    case OPTION_IMAGES:
      if (!tool_whole(arg, 1, 1000000, &number)) {
        return usage("--images wants 1 to 1000000, not '%s'", arg);
      }
      o->images = (unsigned)number;
      return -1;
    default:
      if (!tool_whole(arg, 1, 256, &number)) {
        return usage("--threads wants 1 to 256, not '%s'", arg);
      }
      o->threads = (unsigned)number;
      return -1;
  }
}

int main(int argc, char **argv) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  struct options options = {.images = 3, .threads = processors < 1 ? 1 : processors > 256 ? 256 : (unsigned)processors, .interp = true};
  int status = tool_options_parse(rows, NROWS, argc, argv, usage, take, &options);
  if (status >= 0) {
    return status;
  }
  struct bf_diags diags = {.default_file = "runtime-bench"};
  status = bench(&options, argv + optind, (size_t)(argc - optind), &diags) ? 0 : 1;
  tool_print_diagnostics(&diags);
  bf_diags_free(&diags);
  return status;
}
