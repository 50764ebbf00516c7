// SPDX-License-Identifier: Apache-2.0
// How fast the interpreter runs a network: network-bench NET.apbin [RUNS]
// Prints seconds an image, multiply-accumulates a second and each layer's share of the time (best of RUNS).
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/engine.h"

struct clock { double last, *layer; };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool layer_done(void *context, const struct ap_run *run, uint32_t layer) {
  struct clock *clock = context;
  double t = now();
  clock->layer[layer] = t - clock->last;
  clock->last = t;
  return run != NULL;
}

static void fill(struct ap_run *run, const struct ap_program *p) {
  uint64_t seed = 1;
  for (uint32_t i = 0; i < p->ninputs; i++) {
    const struct ap_tensor *t = &p->tensors[p->inputs[i]];
    uint64_t n = ap_tensor_elements(t);
    int64_t *q = bf_alloc(n, sizeof *q);
    for (uint64_t e = 0; e < n; e++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      q[e] = t->bias + (int64_t)(seed >> 33 & (((uint64_t)1 << t->bits) - 1));
    }
    ap_run_set(run, p->inputs[i], q);
    free(q);
  }
}

static void print(const struct ap_program *p, const double *layer, double best) {
  uint64_t macs = 0;
  for (uint32_t i = 0; i < p->nlayers; i++) macs += p->layers[i].macs;
  printf("%-28s %12s %10s %8s %14s\n", "layer", "macs", "ms", "share", "macs/s");
  for (uint32_t i = 0; i < p->nlayers; i++)
    printf("%-28s %12llu %10.3f %7.1f%% %14.3e\n", p->layers[i].name, (unsigned long long)p->layers[i].macs, 1e3 * layer[i],
           100 * layer[i] / best, layer[i] > 0 ? (double)p->layers[i].macs / layer[i] : 0);
  printf("%s: %.4f s a run of %u images, %.3e MACs/s\n", p->network, best, p->batch, (double)macs / best);
}

static bool bench(const struct ap_program *p, int runs, struct bf_diags *diags) {
  struct ap_technology tech;
  struct ap_run *run = ap_technology_load(p->tech, &tech, diags) ? ap_run_new(p, diags) : NULL;
  if (!run) return false;
  double best = 1e300, *kept = bf_alloc(p->nlayers + 1, sizeof *kept);
  struct clock clock = {.layer = bf_alloc(p->nlayers + 1, sizeof *clock.layer)};
  struct ap_account *layers = bf_alloc(p->nlayers + 1, sizeof *layers), total = {0};
  fill(run, p);
  for (int r = 0; r < runs; r++) {
    double start = clock.last = now();
    ap_run_execute(run, &tech, layers, &total, layer_done, &clock);
    double t = now() - start;
    if (t >= best) continue;
    best = t;
    for (uint32_t i = 0; i < p->nlayers; i++) kept[i] = clock.layer[i];
  }
  print(p, kept, best);
  free(layers);
  free(kept);
  free(clock.layer);
  ap_run_free(run);
  ap_technology_free(&tech);
  return true;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: network-bench NET.apbin [RUNS]\n");
    return 2;
  }
  struct bf_diags diags = {.default_file = argv[1]};
  char *data;
  size_t length;
  const char *why;
  bool ok = false;
  if (!bf_read_file(argv[1], &data, &length, &why)) {
    bf_error_file(&diags, argv[1], NULL, "cannot read: %s", why);
  } else {
    struct ap_program *p = ap_program_read(data, length, argv[1], &diags);
    ok = p && bench(p, argc > 2 ? atoi(argv[2]) : 3, &diags);
    ap_program_free(p);
    free(data);
  }
  struct bf_buf out = {0};
  bf_diags_render(&diags, &out);
  if (out.length) fputs(out.data, stderr);
  bf_buf_free(&out);
  bf_diags_free(&diags);
  return ok ? 0 : 1;
}
