// SPDX-License-Identifier: Apache-2.0
// The limit: how many 8-bit additions a second the kernels do when nothing else has to be done.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernel.h"
#include "tests/bench/bench.h"

#define D_WIDTH 24u
#define A_WIDTH 8u
#define BLOCK_WORDS ((AP_FLAG_COLUMNS + D_WIDTH + A_WIDTH) * AP_COLUMN_WORDS)
#define CACHED_BLOCKS 8u                                   // 18 KiB
#define MEMORY_BYTES ((size_t)192 << 20)                   // of all threads together: more than last-level caches hold for one process
#define SAMPLE_S 0.02
#define SAMPLES 12
#define PATIENCE_S 2.0

struct subject {
  const struct ap_micro *micro;
  ap_kernel *kernel;  // NULL: plain C
  bool counted;
  size_t blocks, rounds;
};
struct worker {
  const struct subject *subject;
  uint64_t *data;
  pthread_barrier_t *start;
  double begin, end;
};

static void work(const struct subject *s, uint64_t *data) {
  static const _Alignas(64) uint64_t mask[AP_COLUMN_WORDS] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0),
                                                              ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)};
  _Alignas(64) uint64_t tag[AP_COLUMN_WORDS] = {0};
  struct ap_kernel_counts counts = {0}, *c = s->counted ? &counts : NULL;
  for (size_t round = 0; round < s->rounds; round++) {
    for (size_t b = 0; b < s->blocks; b++) {
      uint64_t *flags = data + b * BLOCK_WORDS, *d = flags + AP_FLAG_COLUMNS * AP_COLUMN_WORDS, *a = d + D_WIDTH * AP_COLUMN_WORDS;
      if (s->kernel != NULL) {
        s->kernel(d, a, NULL, flags, tag, mask, 0, c);
      } else {
        ap_block_run(s->micro, d, a, NULL, flags, tag, mask, 0, &counts);
      }
    }
  }
}

static void *worker_main(void *argument) {
  struct worker *w = argument;
  pthread_barrier_wait(w->start);
  w->begin = bench_now();
  work(w->subject, w->data);
  w->end = bench_now();
  return NULL;
}

// Seconds that all threads together take for the subject; negative if there can be no threads.
static double sample(const struct subject *subject, uint64_t **data, unsigned threads) {
  pthread_t ids[256];
  struct worker workers[256];
  pthread_barrier_t start;
  pthread_barrier_init(&start, NULL, threads);
  for (unsigned i = 0; i < threads; i++) {
    workers[i] = (struct worker){subject, data[i], &start, 0, 0};
    if (i > 0 && pthread_create(&ids[i], NULL, worker_main, &workers[i]) != 0) {
      abort();  // a benchmark has nothing to rescue; the others wait at the barrier
    }
  }
  worker_main(&workers[0]);
  double begin = workers[0].begin, end = workers[0].end;
  for (unsigned i = 1; i < threads; i++) {
    pthread_join(ids[i], NULL);
    begin = workers[i].begin < begin ? workers[i].begin : begin;
    end = workers[i].end > end ? workers[i].end : end;
  }
  pthread_barrier_destroy(&start);
  return end - begin;
}

static double best_rate(struct subject subject, uint64_t **data, unsigned threads) {
  double best = 0, begin = bench_now();
  subject.rounds = 1;
  for (double t = sample(&subject, data, threads); t < SAMPLE_S; t = sample(&subject, data, threads)) {
    subject.rounds = t < SAMPLE_S / 8 ? subject.rounds * 8 : (size_t)((double)subject.rounds * SAMPLE_S / t * 1.2) + 1;
  }
  for (int i = 0; i < SAMPLES && (i < 2 || bench_now() - begin < PATIENCE_S); i++) {
    double rows = (double)subject.rounds * (double)subject.blocks * AP_BLOCK_ROWS * threads, t = sample(&subject, data, threads);
    best = rows / t > best ? rows / t : best;
  }
  return best;
}

static uint64_t *random_blocks(size_t blocks) {
  uint64_t *data = aligned_alloc(64, blocks * BLOCK_WORDS * sizeof *data), seed = 1;
  if (data == NULL) {
    abort();
  }
  for (size_t i = 0; i < blocks * BLOCK_WORDS; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    bool flag = i % BLOCK_WORDS < AP_FLAG_COLUMNS * AP_COLUMN_WORDS;  // zero between instructions
    data[i] = flag ? 0 : seed ^ seed >> 31;
  }
  return data;
}

static void measure(const struct ap_micro *micro, ap_kernel *const kernels[2], unsigned threads, struct bench_limit *out) {
  size_t bytes = kernels[0] != NULL ? MEMORY_BYTES : MEMORY_BYTES / 8;  // plain C is too slow for memory to matter
  size_t many = bytes / threads / (BLOCK_WORDS * sizeof(uint64_t));
  uint64_t *data[256];
  for (unsigned i = 0; i < threads; i++) {
    data[i] = random_blocks(many);
  }
  struct subject fused = {micro, kernels[0], false, CACHED_BLOCKS, 0}, counted = {micro, kernels[1], true, CACHED_BLOCKS, 0};
  out->fused = best_rate(fused, data, threads);
  out->counted = best_rate(counted, data, threads);
  fused.blocks = counted.blocks = many;
  out->memory_fused = best_rate(fused, data, threads);
  out->memory_counted = best_rate(counted, data, threads);
  for (unsigned i = 0; i < threads; i++) {
    free(data[i]);
  }
}

bool bench_measure_limit(unsigned threads, struct bench_limit *out, struct bf_diags *diags) {
  static const uint8_t width[3] = {D_WIDTH, A_WIDTH, 0};
  struct ap_micro micro;
  ap_kernel *entry[2] = {NULL, NULL};
  struct ap_kernels *kernels = NULL;
  *out = (struct bench_limit){.host = "plain C", .threads = threads};
  if (!ap_micro_generate(AP_OP_ADD, width, AP_FEATURE_WIDE_WRITE | AP_FEATURE_ROW_GATING, &micro)) {
    bf_error_file(diags, NULL, NULL, "no program for the addition");
    return false;
  }
  bool good = true;
  if (ap_kernels_available()) {
    struct ap_kernel_key keys[2] = {{&micro, false, false}, {&micro, true, false}};
    kernels = ap_kernels_new(threads, diags);
    good = kernels != NULL && ap_kernels_compile(kernels, keys, 2, entry, diags);
    if (good) {
      struct ap_kernels_info info;
      ap_kernels_info(kernels, &info);
      snprintf(out->host, sizeof out->host, "%s", info.host);
      out->vector_bits = info.vector_bits;
    }
  }
  if (good) {
    measure(&micro, entry, threads, out);
  }
  ap_kernels_free(kernels);
  ap_micro_free(&micro);
  return good;
}
