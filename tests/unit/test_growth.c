// SPDX-License-Identifier: Apache-2.0
// A batch of images takes the memory of a few: what the heap holds after 10 executions of ResNet-8 it holds after 100, in both ways of
// counting (the interpreter takes too long for a hundred images).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <malloc.h>
#define HAVE_HEAP_SIZE 1
#endif

#include "backend/compiler.h"
#include "frontend/bfn.h"
#include "runtime/session.h"

#define FEW 10
#define MANY 100
#define SLACK ((size_t)16 << 10)  // what libraries keep for themselves; an image's activations are several times that

static size_t heap_bytes(void) {
#ifdef HAVE_HEAP_SIZE
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

static struct ap_program *compile(struct bf_diags *diags) {
  struct bf_graph *graph = bf_bfn_load(BF_SOURCE_DIR "/examples/resnet8/resnet8.bfn", NULL, diags);
  assert_non_null(graph);
  struct bf_compile_options o = {.opt_level = 2, .batch = 1};
  assert_true(ap_machine_load("bf-imna-lr", &o.machine, NULL, diags));
  assert_true(ap_technology_load("sram16", &o.tech, diags));
  struct ap_program *program = bf_compile(graph, &o, diags);
  assert_non_null(program);
  ap_technology_free(&o.tech);
  bf_graph_free(graph);
  return program;
}

struct heap { size_t few, many; };
static bool look(void *context, uint64_t done, uint64_t images) {
  struct heap *heap = context;
  heap->few = done == FEW ? heap_bytes() : heap->few;
  heap->many = done == images ? heap_bytes() : heap->many;
  return true;
}

static void batch(const struct ap_program *program, enum ap_count count, struct bf_diags *diags) {
  struct ap_technology tech;
  struct heap heap = {0, 0};
  struct ap_images input = {0};
  assert_true(ap_technology_load("sram16", &tech, diags));
  const struct ap_execution how = {.engine = ap_engine_available(AP_ENGINE_JIT) ? AP_ENGINE_JIT : AP_ENGINE_INTERP, .count = count, .threads = 2};
  bool *want = bf_alloc(program->ntensors, sizeof *want);
  want[program->outputs[0]] = true;
  ap_images_random(program, program->inputs[0], 1, MANY, &input);
  struct ap_session session = {.program = program, .tech = &tech, .inputs = &input, .want = want, .progress = look, .context = &heap, .how = &how};
  assert_true(ap_session_run(&session, diags));
  assert_int_equal(session.executions, MANY);
  print_message("%zu bytes after %d images, %zu after %d\n", heap.few, FEW, heap.many, MANY);
  assert_true(heap.many <= heap.few + SLACK);
  ap_session_free(&session);
  ap_images_free(&input);
  ap_technology_free(&tech);
  free(want);
}

static void test_no_growth(void **state) {
#ifndef HAVE_HEAP_SIZE
  print_message("skipped: this C library does not say how much memory is in use, or a sanitizer keeps it\n");
  skip();
#endif
  struct bf_diags diags = {0};
  struct ap_program *program = compile(&diags);
  if (ap_engine_available(AP_ENGINE_JIT)) {  // the interpreter takes seconds an image
    batch(program, AP_COUNT_STATIC, &diags);
    batch(program, AP_COUNT_EXACT, &diags);
  }
  assert_int_equal(diags.errors, 0);
  ap_program_free(program);
  bf_diags_free(&diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_growth)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
