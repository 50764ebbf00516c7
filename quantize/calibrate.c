// SPDX-License-Identifier: Apache-2.0
// What the calibration images tell: distributions of activations, samples of the inputs of layers.
#include <math.h>
#include <stdlib.h>

#include "quantize/quantize_inside.h"

#define LARGEST 1e30f             // numbers beyond it are none of a working network
#define SAMPLES 4096              // inputs of a layer that are kept, at least 4 for each weight of an output
#define MOST_DEPTH 1152           // of layers that get samples: their factor takes depth^3 operations
#define MOST_NUMBERS ((uint64_t)1 << 32)  // of activations at a time, 16 GB

static bool fill_histogram(const float *v, uint64_t n, struct bf_histogram *h) {
  double lo = 0, hi = 0;
  for (uint64_t i = 0; i < n; i++) {
    if (!(fabsf(v[i]) < LARGEST)) return false;
    if (v[i] < lo) lo = v[i];
    if (v[i] > hi) hi = v[i];
  }
  h->lo = lo;
  h->hi = hi;
  double scale = hi > lo ? BF_HISTOGRAM / (hi - lo) : 0;
  for (uint64_t i = 0; i < n; i++) {
    unsigned at = (unsigned)((v[i] - lo) * scale);
    h->count[at < BF_HISTOGRAM ? at : BF_HISTOGRAM - 1]++;
  }
  return true;
}

// Inputs at places spread evenly over all images.
static void keep_samples(struct bf_calibration *c, const struct bf_float_node *n, const float *in) {
  if (n->groups > 1 || n->depth > MOST_DEPTH) return;
  uint64_t pixels = n->h * n->w, all = c->count * pixels, want = 4 * n->depth > SAMPLES ? 4 * n->depth : SAMPLES;
  uint64_t count = want < all ? want : all;
  float *samples = c->samples[n->index] = bf_alloc(count * n->depth, sizeof *samples);
  c->nsamples[n->index] = count;
  for (uint64_t s = 0; s < count; s++) {
    uint64_t at = (uint64_t)((double)s * (double)all / (double)count);
    const float *image = in + at / pixels * bf_float_elements(n->in[0]);
    bf_float_patch(n, image, at % pixels / n->w, at % n->w, 0, samples + s * n->depth);
  }
}

struct observer { struct bf_calibration *calibration; struct bf_diags *diags; };

static bool observe(void *context, const struct bf_float_node *n, float *const *values) {
  const struct observer *o = context;
  struct bf_calibration *c = o->calibration;
  if (bf_float_layer(n)) keep_samples(c, n, values[n->in[0]->index]);
  if (!bf_float_computes(n->op)) return true;
  struct bf_histogram *h = c->histograms[n->index] = bf_alloc(1, sizeof *h);
  if (fill_histogram(values[n->index], c->count * bf_float_elements(n), h)) return true;
  bf_error_file(o->diags, NULL, "are the images normalized as the model wants them?", "layer `%s` gives numbers that are not finite, or huge", n->name);
  return false;
}

// The largest sum of the sizes of tensors that are alive at one time.
static bool fits(const struct bf_float_net *net, uint64_t images) {
  unsigned *left = bf_alloc(net->count, sizeof *left);
  uint64_t alive = 0, most = 0, ignored;
  for (size_t i = 0; i < net->count; i++) {
    const struct bf_float_node *n = net->nodes[i];
    left[i] = n->readers;
    alive += bf_float_elements(n);
    most = alive > most ? alive : most;
    for (unsigned k = 0; k < n->nin; k++)
      if (!--left[n->in[k]->index]) alive -= bf_float_elements(n->in[k]);
  }
  free(left);
  return bf_mul_limit(most, images, MOST_NUMBERS, &ignored);
}

struct bf_calibration *bf_calibrate(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads,
                                    struct bf_diags *diags) {
  if (!fits(net, count)) {
    bf_error_file(diags, NULL, "give fewer images", "%llu images are too many at a time for a network of this size", (unsigned long long)count);
    return NULL;
  }
  struct bf_calibration *c = bf_alloc(1, sizeof *c);
  *c = (struct bf_calibration){.net = net, .images = images, .count = count, .threads = threads};
  c->histograms = bf_alloc(net->count, sizeof *c->histograms);
  c->samples = bf_alloc(net->count, sizeof *c->samples);
  c->nsamples = bf_alloc(net->count, sizeof *c->nsamples);
  c->factors = bf_alloc(net->count, sizeof *c->factors);
  c->values = bf_alloc(net->count, sizeof *c->values);
  float *outputs = bf_float_watch(net, images, count, threads, observe, &(struct observer){c, diags});
  bool ok = outputs != NULL;
  free(outputs);
  if (ok) return c;
  bf_calibration_free(c);
  return NULL;
}

void bf_calibration_free(struct bf_calibration *c) {
  if (!c) return;
  for (size_t i = 0; i < c->net->count; i++) {
    free(c->histograms[i]);
    free(c->samples[i]);
    free(c->factors[i]);
    free(c->values[i]);
  }
  free(c->histograms);
  free(c->samples);
  free(c->nsamples);
  free(c->factors);
  free(c->values);
  free(c);
}
