// SPDX-License-Identifier: Apache-2.0
// Softmax as a host op on 16 bits: tflite-micro's kernel of tables with 513 entries and interpolation.
#include <math.h>

#include "runtime/host_softmax.h"

#define ENTRIES 513

static double limit16(double v) { return v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v; }

static float exponential(float x) { return expf(x); }
static float one_over_one_plus(float x) { return 1.0f / (1.0f + x); }

// A product in float32, never contracted with what follows.
static float times(float a, float b) {
  volatile float product = a * b;
  return product;
}

// Samples of f over [least, least + 512 steps], lowered by half of what interpolation overshoots amid a step.
static void fill(int16_t table[ENTRIES], float (*f)(float), float least, float most) {
  volatile float scale = 2.0f / 65535.0f;
  volatile float range = times(scale, 32767) - times(scale, -32768);
  volatile float per_unit = 65536.0f / range, step = (most - least) / (ENTRIES - 1), half = step / 2;
  for (int i = 0; i < ENTRIES - 1; i++) {
    volatile float x = least + times((float)i, step), right = least + times((float)(i + 1), step), middle = x + half;
    float sample = roundf(times(f(x), per_unit));
    volatile float ends = times(f(right), per_unit) + sample;
    float excess = roundf(ends / 2) - roundf(times(f(middle), per_unit));
    table[i] = (int16_t)limit16(sample - roundf(excess / 2));
  }
  table[ENTRIES - 1] = (int16_t)limit16(roundf(times(f(most), per_unit)));
}

static int32_t look_up(const int16_t table[ENTRIES], int64_t x) {
  int v = (int)limit16((double)x) - INT16_MIN;
  int entry = v >> 7, part = v & 127;
  return table[entry] + (((table[entry + 1] - table[entry]) * part + 64) >> 7);
}

struct scaling { int64_t multiplier; int shift; };

static struct scaling prepare(float beta, float scale) {
  struct scaling s;
  double real = (double)scale * (double)beta / (10.0 / 65535.0);
  s.multiplier = llround(ldexp(frexp(real, &s.shift), 31));
  if (s.multiplier == (int64_t)1 << 31) {
    s.multiplier /= 2;
    s.shift++;
  }
  if (s.shift < -31) s = (struct scaling){0, 0};
  return s;
}

// Differences are at most 0: half away from zero is half down.
static int64_t scaled(const struct scaling *s, int64_t diff) {
  int64_t x = s->shift > 0 ? diff * ((int64_t)1 << s->shift) : diff;
  if (x < INT32_MIN) x = INT32_MIN;
  int64_t high = (x * s->multiplier + ((int64_t)1 << 30)) >> 31;
  if (s->shift >= 0) return high;
  return -((-high + ((int64_t)1 << (-s->shift - 1))) >> -s->shift);
}

static void row(const struct scaling *s, const int16_t exps[ENTRIES], const int16_t inverses[ENTRIES], const struct ap_memory *in,
                const struct ap_memory *out, uint64_t first, uint32_t depth) {
  int64_t most = 0, sum = 0;
  for (uint32_t i = 0; i < depth; i++) {
    int64_t u = (int64_t)ap_memory_get(in, first + i);
    most = u > most ? u : most;
  }
  for (uint32_t i = 0; i < depth; i++)
    sum += look_up(exps, scaled(s, (int64_t)ap_memory_get(in, first + i) - most) + INT16_MAX);
  if (sum <= 0) sum = 1;  // the largest input alone gives almost 2^15
  int zeros = __builtin_clz((uint32_t)sum), shift = 31 - zeros;
  int64_t mantissa = ((sum << (zeros - 1)) + (1 << 13)) >> 14;  // 2^16 … 2^17
  int64_t inverse = look_up(inverses, mantissa - 3 * (1 << 15));
  int64_t half = shift ? (int64_t)1 << (shift - 1) : 0;
  for (uint32_t i = 0; i < depth; i++) {
    int64_t e = look_up(exps, scaled(s, (int64_t)ap_memory_get(in, first + i) - most) + INT16_MAX);
    int64_t y = (e * inverse + half) >> shift;
    y = y < 0 ? 0 : y > INT16_MAX ? INT16_MAX : y;
    ap_memory_set(out, first + i, (uint64_t)(y - INT16_MIN));
  }
}

void ap_host_softmax16(const struct ap_run *run, const struct ap_host *host) {
  const struct ap_tensor *input = &run->program->tensors[host->input];
  const struct ap_memory *in = ap_run_memory(run, host->input), *out = ap_run_memory(run, host->output);
  const float exp_unit = 10.0f / 65535.0f, inverse_unit = 1.0f / 65535.0f;
  int16_t exps[ENTRIES], inverses[ENTRIES];
  fill(exps, exponential, times(exp_unit, -65535), 0);
  fill(inverses, one_over_one_plus, 0, times(inverse_unit, 65535));
  struct scaling s = prepare(host->beta, host->in_scale);
  uint32_t depth = input->shape[3];
  for (uint64_t first = 0, n = ap_tensor_elements(input); first < n; first += depth) row(&s, exps, inverses, in, out, first, depth);
}
