// SPDX-License-Identifier: Apache-2.0
// Formats of activations: scale and zero point from a distribution.
#include <math.h>

#include "quantize/quantize_inside.h"

#define STEPS 128         // ranges that are tried
#define FINE_BITS 10      // from here on the whole range is taken: steps are no wider than bars of the histogram

int64_t bf_format_min(const struct bf_format *f) { return f->is_signed ? -((int64_t)1 << (f->bits - 1)) : 0; }
int64_t bf_format_max(const struct bf_format *f) { return ((int64_t)1 << (f->bits - f->is_signed)) - 1; }

struct bf_type bf_format_type(const struct bf_format *f) {
  return (struct bf_type){f->is_signed ? BF_TYPE_S : BF_TYPE_U, f->bits};
}

// The format whose numbers reach from lo (at most 0) to hi (at least 0).
static struct bf_format spanning(double lo, double hi, unsigned bits) {
  struct bf_format f = {.bits = bits, .is_signed = lo < 0};
  double steps = (double)(bf_format_max(&f) - bf_format_min(&f)), scale = (hi - lo) / steps;
  if (!(scale > 1e-30)) scale = 1;  // nothing but zeros
  f.scale = (float)scale;
  if (!f.is_signed) return f;
  double zero = round((double)bf_format_min(&f) - lo / scale);
  f.zero = (int32_t)fmin(fmax(zero, (double)bf_format_min(&f)), (double)bf_format_max(&f));
  return f;
}

static double nearest(const struct bf_format *f, double v) {
  double q = floor(v / (double)f->scale + 0.5) + f->zero;
  q = fmin(fmax(q, (double)bf_format_min(f)), (double)bf_format_max(f));
  return (double)f->scale * (q - f->zero);
}

static double squared_error(const struct bf_histogram *h, const struct bf_format *f) {
  double width = (h->hi - h->lo) / BF_HISTOGRAM, sum = 0;
  for (unsigned i = 0; i < BF_HISTOGRAM; i++) {
    if (!h->count[i]) continue;
    double v = h->lo + (i + 0.5) * width, e = v - nearest(f, v);
    sum += (double)h->count[i] * e * e;
  }
  return sum;
}

// The range outside of which lie `percent` of the numbers, in equal parts on both sides if there are two.
static void percentile(const struct bf_histogram *h, double percent, double *lo, double *hi) {
  double all = 0, width = (h->hi - h->lo) / BF_HISTOGRAM, rest;
  for (unsigned i = 0; i < BF_HISTOGRAM; i++) all += (double)h->count[i];
  rest = all * (100 - percent) / 100 / (h->lo < 0 ? 2 : 1);
  unsigned top = BF_HISTOGRAM, bottom = 0;
  for (double seen = 0; top > 1 && (seen += (double)h->count[top - 1]) <= rest;) top--;
  for (double seen = 0; h->lo < 0 && bottom + 1 < BF_HISTOGRAM && (seen += (double)h->count[bottom]) <= rest;) bottom++;
  *hi = fmax(h->lo + top * width, 0);
  *lo = fmin(h->lo + bottom * width, 0);
}

struct bf_format bf_format_choose(const struct bf_histogram *h, unsigned bits, const struct bf_quantize_spec *spec) {
  double lo = h->lo, hi = h->hi;
  if (spec->method == BF_RANGE_PERCENTILE && bits < BF_OUTPUT_BITS)  // else there is room for all
    percentile(h, spec->percentile, &lo, &hi);
  struct bf_format best = spanning(lo, hi, bits);
  if (spec->method != BF_RANGE_MSE || bits >= FINE_BITS) return best;
  double least = squared_error(h, &best);
  for (int i = 1; i < STEPS; i++) {
    double part = (double)i / STEPS;
    struct bf_format f = spanning(lo * part, hi * part, bits);
    double e = squared_error(h, &f);
    if (e < least) least = e, best = f;
  }
  return best;
}

void bf_format_apply(const struct bf_format *f, const float *in, float *out, uint64_t count) {
  float lo = (float)bf_format_min(f) - (float)f->zero, hi = (float)bf_format_max(f) - (float)f->zero, inverse = 1 / f->scale;
  for (uint64_t i = 0; i < count; i++) {
    float q = floorf(in[i] * inverse + 0.5f);
    q = q < lo ? lo : q > hi ? hi : q;
    out[i] = q * f->scale;
  }
}
