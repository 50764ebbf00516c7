// SPDX-License-Identifier: Apache-2.0
// Weights of a layer: a scale for each output that makes the squared error least, then rounding.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/quantize_inside.h"

#define STEPS 80        // scales that are tried
#define FINE_BITS 10    // from here on the largest weight says the scale

static void limits(unsigned bits, double *lo, double *hi) {
  *hi = bits == 1 ? 1 : ldexp(1, (int)bits - 1) - 1;
  *lo = bits == 1 ? -1 : -ldexp(1, (int)bits - 1);
}

// Of 1 bit there are -1 and 1.
static double rounded(double v, unsigned bits, double lo, double hi) {
  if (bits == 1) return v < 0 ? -1 : 1;
  v = floor(v + 0.5);
  return v < lo ? lo : v > hi ? hi : v;
}

static double squared_error(const float *w, uint64_t n, unsigned bits, double scale, double lo, double hi, double limit) {
  double sum = 0, inverse = 1 / scale;
  for (uint64_t i = 0; i < n && sum < limit; i++) {
    double e = (double)w[i] - scale * rounded((double)w[i] * inverse, bits, lo, hi);
    sum += e * e;
  }
  return sum;
}

static double best_scale(const float *w, uint64_t n, unsigned bits) {
  double lo, hi, largest = 0, sum = 0;
  limits(bits, &lo, &hi);
  for (uint64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)w[i])), sum += fabs((double)w[i]);
  if (bits == 1) return sum / (double)n;
  double best = largest / hi, least = INFINITY;
  if (!(best > 0) || bits >= FINE_BITS) return best;
  for (int i = STEPS; i > STEPS / 5; i--) {
    double scale = largest / hi * i / STEPS, e = squared_error(w, n, bits, scale, lo, hi, least);
    if (e < least) least = e, best = scale;
  }
  return best;
}

static void round_nearest(const float *w, uint64_t n, unsigned bits, double scale, int32_t *q) {
  double lo, hi;
  limits(bits, &lo, &hi);
  for (uint64_t i = 0; i < n; i++) q[i] = (int32_t)rounded((double)w[i] / scale, bits, lo, hi);
}

// One weight after the other; the later ones make good what is lost (quantize/factor.c).
static void round_compensated(const float *w, uint64_t n, unsigned bits, double scale, const float *factor, int32_t *q) {
  double lo, hi;
  float *rest = bf_alloc(n, sizeof *rest);
  memcpy(rest, w, n * sizeof *rest);
  limits(bits, &lo, &hi);
  for (uint64_t i = 0; i < n; i++) {
    const float *u = factor + i * n;
    q[i] = (int32_t)rounded((double)rest[i] / scale, bits, lo, hi);
    float e = (float)(((double)rest[i] - scale * q[i]) / (double)u[i]);
    for (uint64_t k = i + 1; k < n; k++) rest[k] -= e * u[k];
  }
  free(rest);
}

void bf_layer_weights_make(const struct bf_float_node *n, unsigned bits, float in_scale, const float *factor,
                           struct bf_layer_weights *out) {
  *out = (struct bf_layer_weights){.bits = bits, .q = bf_alloc(n->c * n->depth, sizeof *out->q),
                                   .scale = bf_alloc(n->c, sizeof *out->scale), .bias = bf_alloc(n->c, sizeof *out->bias)};
  for (uint64_t o = 0; o < n->c; o++) {
    const float *w = n->weights + o * n->depth;
    double scale = best_scale(w, n->depth, bits), bias = fabs((double)n->bias[o]) / (double)in_scale;
    if (!(scale > 1e-30)) scale = bias > 0 ? ldexp(bias, -16) : 1;  // no weights: the bias alone has to be fine
    if (scale < ldexp(bias, -30)) scale = ldexp(bias, -30);
    if (scale < 1e-30) scale = 1e-30;
    out->scale[o] = (float)scale;
    out->bias[o] = n->bias[o];
    int32_t *q = out->q + o * n->depth;
    if (factor) round_compensated(w, n->depth, bits, (double)out->scale[o], factor, q);
    else round_nearest(w, n->depth, bits, (double)out->scale[o], q);
  }
}

void bf_layer_weights_free(struct bf_layer_weights *w) {
  free(w->q);
  free(w->scale);
  free(w->bias);
}

float *bf_layer_weights_real(const struct bf_float_node *n, const struct bf_layer_weights *w) {
  float *real = bf_alloc(n->c * n->depth, sizeof *real);
  for (uint64_t i = 0; i < n->c * n->depth; i++) real[i] = (float)w->q[i] * w->scale[i / n->depth];
  return real;
}
