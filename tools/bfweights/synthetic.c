// SPDX-License-Identifier: Apache-2.0
#include "tools/bfweights/synthetic.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ONE ((int64_t)1 << 16)  // of fixed-point numbers
#define SIGMAS 3
#define BIAS_SIGMA 128          // biases in units of the accumulator: small beside the sums of products

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), with a counter: element i needs no element before it.
uint64_t synthetic_random(uint64_t key, uint64_t index) {
  uint64_t z = key + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

// Each member has a sequence of its own, whatever the order of the text.
static uint64_t member_key(uint64_t seed, const char *member) {
  return synthetic_random(seed, bf_hash(member, strlen(member)));
}

// The sum of twelve uniform numbers of 16 bits has variance 1 (times 2^32) and is close to normal up to 3 sigma.
int32_t synthetic_normal(uint64_t key, uint64_t index) {
  int64_t sum = -6 * (ONE - 1);
  for (uint64_t i = 0; i < 3; i++)
    for (uint64_t r = synthetic_random(key, 3 * index + i), n = 0; n < 4; n++, r >>= 16) sum += (int64_t)(r & 0xffff);
  return (int32_t)(sum > SIGMAS * ONE ? SIGMAS * ONE : sum < -SIGMAS * ONE ? -SIGMAS * ONE : sum);
}

// In ±3 * 2^16.
static int64_t draw(const struct synthetic *s, uint64_t key, uint64_t index) {
  if (!s->uniform) return synthetic_normal(key, index);
  return (int64_t)(synthetic_random(key, index) % (2 * SIGMAS * ONE + 1)) - SIGMAS * ONE;
}

static unsigned bits_used(const struct synthetic *s, struct bf_type type) {
  return s->bits && s->bits < type.bits ? s->bits : type.bits;
}

// Numbers on each side of the middle: 127 of 8 bits.
static int64_t half_range(const struct synthetic *s, struct bf_type type) {
  return type.kind == BF_TYPE_B || type.kind == BF_TYPE_T ? 1 : ((int64_t)1 << (bits_used(s, type) - 1)) - 1;
}

// Half away from zero, by a positive divisor.
static int64_t divide(int64_t a, int64_t b) { return a < 0 ? -((b / 2 - a) / b) : (a + b / 2) / b; }

static int64_t weight(const struct synthetic *s, struct bf_type type, int64_t z) {
  int64_t half = half_range(s, type);
  if (type.kind == BF_TYPE_B) return z < 0 ? -1 : 1;
  // Ternary weights: the usual threshold of 0.7 times the mean magnitude, 0.56 sigma.
  if (type.kind == BF_TYPE_T) return z > ONE * 56 / 100 ? 1 : z < -ONE * 56 / 100 ? -1 : 0;
  if (half == 0) return type.kind == BF_TYPE_U ? z >= 0 : -(z < 0);  // one bit
  int64_t middle = type.kind == BF_TYPE_U ? (int64_t)1 << (bits_used(s, type) - 1) : 0;
  return middle + divide(z * half, SIGMAS * ONE);
}

static int64_t bias(struct bf_type type, int64_t z) {
  int64_t v = divide(z * BIAS_SIGMA, ONE), lo = bf_type_min(type), hi = bf_type_max(type);
  return v < lo ? lo : v > hi ? hi : v;
}

static void put(struct bf_array *out, uint64_t i, int64_t v) {
  char *at = (char *)out->data + i * bf_dtype_size(out->dtype);
  switch (bf_dtype_size(out->dtype)) {
  case 1: *at = (char)v; break;
  case 2: memcpy(at, &(int16_t){(int16_t)v}, 2); break;
  case 4: memcpy(at, &(int32_t){(int32_t)v}, 4); break;
  default: memcpy(at, &v, 8);
  }
}

static uint64_t fan_in(const struct bf_bfn_want *want) {
  uint64_t depth = 1;
  for (unsigned i = 1; i < want->rank; i++) depth *= want->shape[i];
  return depth;
}

// The last convolution of a residual branch: a quarter of the usual scale, so that sums do not grow from block to block, which
// batch normalization sees to in trained networks. The text asks for it by the member's name.
static bool damped(const char *member) {
  static const char suffix[] = ".damped";
  size_t length = strlen(member);
  return length >= sizeof suffix && strcmp(member + length - (sizeof suffix - 1), suffix) == 0;
}

// Scales that keep the variance of activations through a layer and a relu (He et al. 2015: sigma of a weight
// sqrt(2 / fan-in)), spread by up to a quarter from channel to channel.
static void make_scales(const struct synthetic *s, uint64_t key, const struct bf_bfn_want *want, float *scales) {
  int64_t half = half_range(s, want->type);
  double full = want->type.kind == BF_TYPE_B || want->type.kind == BF_TYPE_T ? 1 : SIGMAS;
  double scale = full * sqrt(2.0 / (double)fan_in(want)) / (double)(half ? half : 1);
  if (damped(want->member)) scale /= 4;
  for (uint64_t i = 0; i < want->count; i++) {
    double factor = 0.75 + (double)(synthetic_random(key, i) & 0xffff) / 0x1p17;
    scales[i] = (float)(scale * factor);
  }
}

bool synthetic_make(void *settings, const struct bf_bfn_want *want, struct bf_array *out) {
  const struct synthetic *s = settings;
  uint64_t key = member_key(s->seed, want->member);
  if (want->scales) {
    make_scales(s, key, want, out->data);
    return true;
  }
  for (uint64_t i = 0; i < want->count; i++) {
    int64_t z = draw(s, key, i);
    put(out, i, want->rank == 1 ? bias(want->type, z) : weight(s, want->type, z));
  }
  return true;
}

void synthetic_about(const struct synthetic *s, struct bf_archive *archive) {
  struct bf_buf text = {0};
  bf_buf_printf(&text, "synthetic (seed %" PRIu64 ")\n", s->seed);
  bf_buf_printf(&text, "Made by bfweights " BF_VERSION ", not trained: outputs mean nothing, costs do.\n");
  bf_buf_printf(&text, "distribution: %s\n", s->uniform ? "uniform" : "normal, clipped at 3 sigma");
  if (s->bits) bf_buf_printf(&text, "bits used: %u at most\n", s->bits);
  struct bf_array array = {.dtype = BF_DTYPE_U8, .rank = 1, .shape = {text.length}, .elements = text.length};
  array.data = bf_alloc(text.length, 1);
  memcpy(array.data, text.data, text.length);
  bf_archive_add(archive, BF_BFN_ABOUT, array);
  bf_buf_free(&text);
}
