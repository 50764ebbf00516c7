// SPDX-License-Identifier: Apache-2.0
// Parts of runtime-bench.
#ifndef BENCH_H
#define BENCH_H

#include "runtime/engine.h"

double bench_now(void);  // seconds of a steady clock

// Row additions a second of this machine: d := d + a, a of 8 bits, d of 24, kernels of the JIT called one after the other.
struct bench_limit {
  char host[128];        // processor, as the compiler names it, or "plain C"
  unsigned vector_bits;  // 0: plain C
  unsigned threads;
  double fused, counted;                // columns in the first-level cache
  double memory_fused, memory_counted;  // columns in main memory
};
// Measures with so many threads at a time. False: an error was added.
bool bench_measure_limit(unsigned threads, struct bench_limit *out, struct bf_diags *diags);

// Additions and subtractions that a layer's code executes in one execution, those of products among them.
struct bench_additions {
  uint64_t rows;   // additions × rows of their tile
  uint64_t products;  // of these, in products
  uint64_t slots;  // additions × rows that the vector words of the tile have room for
};
// Whether a run as it is measured, of the first profile, executes the layer.
bool bench_layer_runs(const struct ap_program *program, uint32_t layer);
// out: program->nlayers + 1 entries, the last one the sum over the layers that run.
void bench_count_additions(const struct ap_program *program, struct bench_additions *out);

struct bench_run {
  enum ap_engine engine;
  enum ap_count count;
  double first_s, best_s;  // of one execution: the first one, compilation included; the best
  double *layer_s;         // the best of each layer; owned
};
struct bench_network {
  const char *file;
  struct ap_program *program;
  struct bench_additions *additions;
  struct bench_run runs[3];  // jit static, jit exact, interp exact, as far as there are
  size_t nruns;
};
struct bench_result {
  struct bench_limit limit;
  struct bench_network *networks;
  size_t count;
  double peak_bytes;  // resident
};
// Share of the limit at the layer's row fill; layer nlayers: the whole network.
double bench_fraction(const struct bench_limit *limit, const struct bench_network *network, const struct bench_run *run, uint32_t layer);
const char *bench_run_name(const struct bench_run *run);  // "jit static"
void bench_print_limit(const struct bench_limit *limit);
void bench_print_network(const struct bench_limit *limit, const struct bench_network *network);
void bench_json(const struct bench_result *result, struct bf_buf *out);

#endif
