// SPDX-License-Identifier: Apache-2.0
// kernel-bench [CPU FEATURES]: what single kernels cost, and what it costs to make them. Nanoseconds for one block of 512 rows over columns in
// the first-level cache, static, counted, and counted with a row mask; the number of functions and of population counts. CPU and FEATURES (LLVM's
// names) compile for a lesser processor than this one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/kernel_internal.h"
#include "runtime/logic.h"

#define VARIANTS 3  // static, counted, counted and masked
#define MOST 400

static const struct { enum ap_op op; uint8_t width[3]; } SUBJECTS[] = {
    {AP_OP_ADD, {8, 8, 0}},   {AP_OP_ADD, {16, 8, 0}},  {AP_OP_ADD, {24, 8, 0}},   {AP_OP_SUB, {24, 8, 0}},   {AP_OP_ADDS, {24, 8, 0}},
    {AP_OP_ADDO, {9, 8, 8}},  {AP_OP_ADDK, {24, 0, 0}}, {AP_OP_SETK, {24, 0, 0}},  {AP_OP_COPY, {8, 8, 0}},   {AP_OP_MUL, {16, 8, 8}},
    {AP_OP_MAX, {8, 8, 0}},   {AP_OP_RELU, {24, 0, 0}}, {AP_OP_MAXK, {24, 0, 0}},  {AP_OP_GTK, {1, 24, 0}},   {AP_OP_ROUND, {8, 24, 0}},
    {AP_OP_XORO, {8, 8, 8}},  {AP_OP_NEG, {24, 0, 0}},
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_kernel(ap_kernel *run) {
  static _Alignas(64) uint64_t cells[(4 + 3 * AP_MAX_WIDTH) * AP_COLUMN_WORDS], tag[AP_COLUMN_WORDS], mask[AP_COLUMN_WORDS];
  uint64_t *d = cells + 4 * AP_COLUMN_WORDS, *a = d + AP_MAX_WIDTH * AP_COLUMN_WORDS, *b = a + AP_MAX_WIDTH * AP_COLUMN_WORDS;
  struct ap_kernel_counts counts = {0};
  memset(mask, 0xff, sizeof mask);
  double best = 1;
  for (unsigned round = 0; round < 20; round++) {
    enum { RUNS = 2000 };
    double begin = now();
    for (unsigned i = 0; i < RUNS; i++) {
      run(d, a, b, cells, tag, mask, 0x2b, &counts);
    }
    double each = (now() - begin) / RUNS;
    best = each < best ? each : best;
  }
  return best * 1e9;
}

static void count_logic(const struct ap_micro *micro, size_t *functions, size_t *counts) {
  struct ap_logic logic;
  *functions = *counts = 0;
  if (!ap_logic_compose(micro, true, &logic)) {
    return;
  }
  for (size_t i = 0; i < logic.nvalues; i++) {
    *functions += logic.values[i].kind == AP_LOGIC_FUNCTION;
  }
  for (size_t i = 0; i < logic.ncounts; i++) {
    *counts += i == 0 || logic.counts[i].value != logic.counts[i - 1].value;
  }
  ap_logic_free(&logic);
}

static bool bench_subjects(struct ap_kernels *kernels, unsigned features, struct bf_diags *diags) {
  printf("%-9s %-9s %10s %12s %12s %10s %8s\n", "ns", "widths", "static", "counted", "masked", "functions", "counts");
  for (size_t i = 0; i < BF_COUNT(SUBJECTS); i++) {
    struct ap_micro micro;
    if (!ap_micro_generate(SUBJECTS[i].op, SUBJECTS[i].width, features, &micro)) {
      continue;
    }
    struct ap_kernel_key keys[VARIANTS] = {{&micro, false, false}, {&micro, true, false}, {&micro, true, true}};
    ap_kernel *runs[VARIANTS];
    if (!ap_kernels_compile(kernels, keys, VARIANTS, runs, diags)) {
      return false;
    }
    size_t functions, counts;
    count_logic(&micro, &functions, &counts);
    printf("%-9s %2u,%2u,%2u %11.1f %12.1f %12.1f %10zu %8zu\n", ap_op_info(micro.op)->mnemonic, micro.width[0], micro.width[1],
           micro.width[2], time_kernel(runs[0]), time_kernel(runs[1]), time_kernel(runs[2]), functions, counts);
    // The kernels keep pointing to the program: it lives as long as this process.
  }
  return true;
}

// As many kernels as a network has, of its sorts, in one go.
static bool bench_compile(struct ap_kernels *kernels, unsigned features, unsigned threads, struct bf_diags *diags) {
  static struct ap_micro micros[MOST];
  static struct ap_kernel_key keys[MOST];
  static ap_kernel *runs[MOST];
  static const enum ap_op OPS[] = {AP_OP_ADD, AP_OP_SUB, AP_OP_ADDS, AP_OP_SUBS, AP_OP_SETK, AP_OP_ADDK, AP_OP_RELU, AP_OP_COPYS};
  size_t count = 0;
  for (unsigned d = 9; d <= 24; d++) {
    for (unsigned a = 1; a <= 8; a += 2) {
      for (unsigned op = 0; op < BF_COUNT(OPS) && count < MOST; op++) {
        const uint8_t width[3] = {(uint8_t)d, (uint8_t)(op >= 4 && op < 7 ? 0 : a), 0};
        if ((width[1] > 0 || a == 1) && ap_micro_generate(OPS[op], width, features, &micros[count])) {
          keys[count] = (struct ap_kernel_key){&micros[count], true, false};
          count++;
        }
      }
    }
  }
  double begin = now();
  bool good = ap_kernels_compile(kernels, keys, count, runs, diags);
  printf("%zu counted kernels compiled in %.3f s on %u threads\n", count, now() - begin, threads);
  return good;
}

int main(int argc, char **argv) {
  struct bf_diags diags = {0};
  const unsigned threads = 2, features = AP_FEATURE_WIDE_WRITE | AP_FEATURE_ROW_GATING;
  struct ap_kernels *kernels = ap_kernels_new_for(threads, argc > 2 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, &diags);
  bool good = kernels != NULL;
  if (good) {
    struct ap_kernels_info info;
    ap_kernels_info(kernels, &info);
    printf("%s, vectors of %u bits\n", info.host, info.vector_bits);
    good = bench_compile(kernels, features, threads, &diags) && bench_subjects(kernels, features, &diags);
  }
  struct bf_buf text = {0};
  bf_diags_render(&diags, &text);
  fputs(bf_buf_cstr(&text), stderr);
  bf_buf_free(&text);
  bf_diags_free(&diags);
  ap_kernels_free(kernels);
  return good ? 0 : 1;
}
