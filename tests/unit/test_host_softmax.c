// SPDX-License-Identifier: Apache-2.0
// The runtime's softmax against the reference evaluator's, which was written independently.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the headers above first
#include <cmocka.h>

#include "ir/reference.h"
#include "isa/validate.h"
#include "runtime/run.h"

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

// One random row of `depth` classes with values spread over `spread` below 127.
static void check_row(uint32_t depth, int spread, float scale, float beta, unsigned out_bits) {
  uint8_t in[64];
  uint16_t out[64];
  int64_t q[64], want[64];
  for (uint32_t i = 0; i < depth; i++) {
    in[i] = (uint8_t)(255 - (spread ? next_random() % (unsigned)spread : 0));
    q[i] = (int64_t)in[i] - 128;
  }
  struct ap_tensor tensors[2] = {{.bits = 8, .bias = -128, .shape = {1, 1, 1, depth}, .alias = UINT32_MAX},
                                 {.bits = (uint8_t)out_bits, .bias = -(1 << (out_bits - 1)), .shape = {1, 1, 1, depth},
                                  .alias = UINT32_MAX}};
  struct ap_program program = {.tensors = tensors, .ntensors = 2};
  struct ap_memory memory[2] = {{.data = in, .size = 1}, {.data = out, .size = 2}};
  struct ap_run run = {.program = &program, .memory = memory};
  struct ap_host host = {AP_HOST_SOFTMAX, 0, 1, scale, beta};
  assert_null(ap_host_softmax_check(&program, &host));
  ap_host_softmax(&run, &host);
  bf_ref_softmax(q, want, depth, (struct bf_type){BF_TYPE_S, 8}, (struct bf_type){BF_TYPE_S, out_bits}, scale, beta);
  for (uint32_t i = 0; i < depth; i++) {
    if ((int64_t)out[i] + tensors[1].bias != want[i]) {
      fail_msg("class %u of %u, scale %g, beta %g: runtime %lld, reference %lld", i, depth, (double)scale, (double)beta,
               (long long)(out[i] + tensors[1].bias), (long long)want[i]);
    }
  }
}

// 16 bits in and out.
static void check_words(uint32_t depth, int spread, float scale, float beta) {
  uint16_t in[64], out[64];
  int64_t q[64], want[64];
  int top = (int)(next_random() % 65536);
  for (uint32_t i = 0; i < depth; i++) {
    int u = top - (spread ? (int)(next_random() % (unsigned)spread) : 0);
    in[i] = (uint16_t)(u < 0 ? 0 : u);
    q[i] = (int64_t)in[i] - 32768;
  }
  struct ap_tensor tensors[2];
  for (int i = 0; i < 2; i++)
    tensors[i] = (struct ap_tensor){.bits = 16, .bias = -32768, .shape = {1, 1, 1, depth}, .alias = UINT32_MAX};
  struct ap_program program = {.tensors = tensors, .ntensors = 2};
  struct ap_memory memory[2] = {{.data = in, .size = 2}, {.data = out, .size = 2}};
  struct ap_run run = {.program = &program, .memory = memory};
  struct ap_host host = {AP_HOST_SOFTMAX, 0, 1, scale, beta};
  assert_null(ap_host_softmax_check(&program, &host));
  ap_host_softmax(&run, &host);
  const struct bf_type s16 = {BF_TYPE_S, 16};
  bf_ref_softmax(q, want, depth, s16, s16, scale, beta);
  for (uint32_t i = 0; i < depth; i++)
    if ((int64_t)out[i] - 32768 != want[i])
      fail_msg("class %u of %u, scale %g, beta %g: runtime %d, reference %lld", i, depth, (double)scale, (double)beta,
               (int)out[i] - 32768, (long long)want[i]);
}

static void test_random_words(void **unused) {
  for (unsigned n = 0; n < 5000; n++) {
    static const int spreads[] = {0, 2, 50, 3000, 65536};
    float scale = n % 3 ? 1e-4f * (float)(1 + next_random() % 9999) : 1e-7f * (float)(1 + next_random() % 1000);
    check_words(1 + (uint32_t)(next_random() % 64), spreads[n % 5], scale, n % 4 ? 1.0f : 0.25f * (float)(1 + next_random() % 4));
  }
}

static void test_random_rows(void **unused) {
  for (unsigned n = 0; n < 20000; n++) {
    uint32_t depth = 1 + (uint32_t)(next_random() % 64);
    int spread = (int)(next_random() % 257);
    float scale = 1e-4f * (float)(1 + next_random() % 20000);
    float beta = n % 4 ? 1.0f : 0.25f * (float)(1 + next_random() % 16);
    check_row(depth, spread, scale, beta, 8);
  }
}

static void test_refused(void **unused) {
  struct ap_tensor tensors[2] = {{.bits = 8, .shape = {1, 1, 1, 10}, .alias = UINT32_MAX},
                                 {.bits = 8, .shape = {1, 1, 1, 10}, .alias = UINT32_MAX}};
  struct ap_program program = {.tensors = tensors, .ntensors = 2};
  struct ap_host host = {AP_HOST_SOFTMAX, 0, 1, 0.1f, 1};
  assert_null(ap_host_softmax_check(&program, &host));
  host.beta = 0;
  assert_non_null(ap_host_softmax_check(&program, &host));
  host.beta = 1, tensors[0].bits = 16;  // 16 to 8 is not defined
  assert_non_null(ap_host_softmax_check(&program, &host));
  tensors[0].bits = 8, tensors[1].shape[3] = 9;
  assert_non_null(ap_host_softmax_check(&program, &host));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_rows), cmocka_unit_test(test_random_words), cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
