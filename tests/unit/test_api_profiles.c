// SPDX-License-Identifier: Apache-2.0
// Profiles through the public C API: one session, another profile at each run.
#define _DEFAULT_SOURCE  // mkstemps
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bfimna/bfimna.h"

static const char network[] =
    "bfn 1;\n"
    "network n {\n"
    "  input x: s8[2, 2, 2] scale 0.05 zero -3;\n"
    "  const w: s8[2, 1, 1, 2] scale 0.02 = [90, -77, 3, -128];\n"
    "  a = conv2d(x, w) -> s8 scale 0.1;\n"
    "  b = conv2d(a, w) -> s8 scale 0.1;\n"
    "  output b;\n"
    "  profile low { b: w4 a4; }\n"
    "}\n";

static bfimna_program *compile(const char *profile) {
  char path[] = "./bfimna-XXXXXX.bfn", *said = NULL;
  int file = mkstemps(path, 4);
  assert_true(file >= 0 && write(file, network, strlen(network)) == (ssize_t)strlen(network));
  close(file);
  bfimna_options options = {.size = sizeof options, .target = "edge", .profile = profile};
  bfimna_program *program = NULL;
  bfimna_status status = bfimna_compile(path, &options, &program, &said);
  remove(path);
  if (status != BFIMNA_OK) print_error("%s", said);
  bfimna_free(said);
  return program;
}

static uint64_t run(bfimna_session *session, const char *profile, int64_t out[8]) {
  static const int64_t image[8] = {1, -128, 127, 33, -90, 5, 64, -3};
  const int64_t *inputs[] = {image};
  bfimna_result *result;
  assert_int_equal(bfimna_session_run(session, profile, inputs, &result, NULL), BFIMNA_OK);
  memcpy(out, bfimna_result_output(result, 0), 8 * sizeof *out);
  assert_non_null(strstr(bfimna_result_json(result), profile ? profile : "base"));
  uint64_t cycles = bfimna_result_cycles(result);
  bfimna_result_free(result);
  return cycles;
}

static void test_session(void **state) {
  (void)state;
  bfimna_program *all = compile(NULL), *low = compile("low");
  assert_int_equal(bfimna_profile_count(all), 2);
  assert_string_equal(bfimna_profile_name(all, 0), "base");
  assert_string_equal(bfimna_profile_name(all, 1), "low");
  assert_null(bfimna_profile_name(all, 2));
  assert_true(bfimna_profile_bytes(all, 0) > bfimna_profile_bytes(all, 1) && bfimna_profile_bytes(all, 1) > 100);
  assert_int_equal(bfimna_profile_bytes(all, 2), 0);
  assert_int_equal(bfimna_profile_count(low), 0);
  bfimna_session *session, *alone;
  assert_int_equal(bfimna_session_new(all, NULL, &session, NULL), BFIMNA_OK);
  assert_int_equal(bfimna_session_new(low, NULL, &alone, NULL), BFIMNA_OK);
  int64_t wide[8], narrow[8], want[8], again[8];
  uint64_t cycles = run(session, NULL, wide), fewer = run(session, "low", narrow);
  static const int64_t image[8] = {1, -128, 127, 33, -90, 5, 64, -3};
  const int64_t *inputs[] = {image};
  bfimna_result *result;
  assert_int_equal(bfimna_session_run(alone, NULL, inputs, &result, NULL), BFIMNA_OK);
  memcpy(want, bfimna_result_output(result, 0), sizeof want);
  assert_int_equal(bfimna_result_cycles(result), fewer);
  bfimna_result_free(result);
  assert_memory_equal(narrow, want, sizeof want);
  assert_true(fewer < cycles && memcmp(narrow, wide, sizeof wide) != 0);
  assert_int_equal(run(session, "base", again), cycles);
  assert_memory_equal(again, wide, sizeof wide);
  char *said;
  assert_int_equal(bfimna_session_run(session, "lo", inputs, &result, &said), BFIMNA_ERROR);
  assert_non_null(strstr(said, "no profile 'lo'"));
  assert_null(result);
  bfimna_free(said);
  bfimna_run_options options = {.size = sizeof options, .profile = "low"};
  assert_int_equal(bfimna_run_with(all, inputs, &options, &result, NULL), BFIMNA_OK);
  assert_int_equal(bfimna_result_cycles(result), fewer);
  bfimna_result_free(result);
  assert_int_equal(bfimna_session_run(NULL, NULL, inputs, &result, NULL), BFIMNA_USAGE);
  bfimna_session_free(session);
  bfimna_session_free(alone);
  bfimna_program_free(all);
  bfimna_program_free(low);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_session)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
