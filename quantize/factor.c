// SPDX-License-Identifier: Apache-2.0
// How errors of a layer's weights add up: the second moments H of its inputs, factored for compensated rounding. With
// H^-1 = U' U, U upper triangular, the error e of weight k is best answered by taking e * U[k][j] / U[k][k] from each later weight j.
// As H = R R' with R upper triangular gives U = R^-1, one factorization and one inversion are enough.
// Source: Hassibi, Stork, "Second order derivatives for network pruning" (NIPS 1992); Frantar et al., "GPTQ" (2022).
#include <math.h>
#include <stdlib.h>

#include "quantize/quantize_inside.h"

#define DAMPING 0.01  // of the mean of H's diagonal, added to it

struct moments {
  const float *samples;
  uint64_t count, depth;
  float *h;
};

static void moments_row(void *context, uint64_t row) {
  const struct moments *m = context;
  float *h = m->h + row * m->depth;
  for (uint64_t s = 0; s < m->count; s++) {
    const float *x = m->samples + s * m->depth;
    float v = x[row];
    if (v == 0) continue;
    for (uint64_t k = row; k < m->depth; k++) h[k] += v * x[k];
  }
}

// H = R R', R upper triangular: from the last column back. `a` holds the upper triangle of H and becomes R.
static void factor(double *a, uint64_t n) {
  for (uint64_t j = n; j-- > 0;) {
    double *column = a + j * n;  // row j of the transpose: a[i][j] stands at column[i], kept so for unit stride
    double d = column[j];
    for (uint64_t k = j + 1; k < n; k++) d -= a[k * n + j] * a[k * n + j];
    d = sqrt(d > 1e-30 ? d : 1e-30);
    column[j] = d;
    for (uint64_t k = j + 1; k < n; k++) {
      double r = a[k * n + j];
      for (uint64_t i = 0; i < j; i++) column[i] -= r * a[k * n + i];
    }
    for (uint64_t i = 0; i < j; i++) column[i] /= d;
  }
}

// U = R^-1 for a column-wise R (as factor leaves it), row-wise and in float.
static void invert(const double *r, uint64_t n, float *u) {
  double *x = bf_alloc(n, sizeof *x);
  for (uint64_t j = 0; j < n; j++) {
    for (uint64_t i = 0; i < n; i++) x[i] = i == j;
    for (uint64_t i = j + 1; i-- > 0;) {
      x[i] /= r[i * n + i];
      for (uint64_t k = 0; k < i; k++) x[k] -= r[i * n + k] * x[i];
    }
    for (uint64_t i = 0; i <= j; i++) u[i * n + j] = (float)x[i];
  }
  free(x);
}

const float *bf_calibration_factor(struct bf_calibration *c, const struct bf_float_node *n) {
  float **slot = &c->factors[n->index];
  uint64_t depth = n->depth;
  if (*slot || !c->samples[n->index]) return *slot;
  struct moments m = {c->samples[n->index], c->nsamples[n->index], depth, bf_alloc(depth * depth, sizeof(float))};
  bf_parallel(depth, c->threads, moments_row, &m);
  double *a = bf_alloc(depth * depth, sizeof *a), mean = 0;
  for (uint64_t i = 0; i < depth; i++) mean += (double)m.h[i * depth + i] / (double)depth;
  for (uint64_t i = 0; i < depth; i++)
    for (uint64_t j = i; j < depth; j++) a[j * depth + i] = (double)m.h[i * depth + j] + (i == j ? DAMPING * mean + 1e-12 : 0);
  factor(a, depth);
  *slot = bf_alloc(depth * depth, sizeof **slot);
  invert(a, depth, *slot);
  free(a);
  free(m.h);
  return *slot;
}
