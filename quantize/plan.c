// SPDX-License-Identifier: Apache-2.0
// Which format each activation has, and the correction of scales and biases.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/quantize_inside.h"

const struct bf_float_node *bf_quantize_layer(const struct bf_float_net *net, size_t index) {
  for (size_t i = 0; i < net->count; i++)
    if (bf_float_layer(net->nodes[i]) && index-- == 0) return net->nodes[i];
  return NULL;
}

struct bf_widths bf_quantize_widths(const struct bf_quantize_spec *spec, const struct bf_float_node *layer, size_t index, size_t count) {
  for (size_t i = 0; i < spec->nlayers; i++)
    if (strcmp(spec->layers[i].name, layer->name) == 0) return spec->layers[i].widths;
  if (index == 0 && spec->first.w) return spec->first;
  return index + 1 == count && spec->last.w ? spec->last : spec->all;
}

// What gives the numbers that the node holds.
static const struct bf_float_node *source_of(const struct bf_float_node *n) {
  while (!bf_float_computes(n->op)) n = n->in[0];
  return n;
}

static unsigned top_bit(unsigned set) {
  unsigned bit = 0;
  while (set >>= 1) bit++;
  return bit;
}

// The network's output has room for twice the numbers seen: nothing behind it needs its steps to be small.
static struct bf_format output_format(const struct bf_histogram *h, const struct bf_quantize_spec *spec) {
  struct bf_histogram wide = *h;
  wide.lo *= 2;
  wide.hi *= 2;
  return bf_format_choose(&wide, BF_OUTPUT_BITS, spec);
}

static void find_demands(struct bf_quantize_plan *plan, struct bf_widths *widths) {
  const struct bf_float_net *net = plan->calibration->net;
  size_t nlayers = 0, index = 0;
  while (bf_quantize_layer(net, nlayers)) nlayers++;
  for (size_t i = 0; i < net->count; i++)
    if (bf_float_layer(net->nodes[i])) {
      widths[i] = bf_quantize_widths(plan->spec, net->nodes[i], index, nlayers);
      index++;
    }
  plan->nodes[net->output->index].demands |= 1u << BF_OUTPUT_BITS;
  for (size_t i = net->count; i-- > 1;) {
    const struct bf_float_node *n = net->nodes[i];
    unsigned wanted = bf_float_layer(n) ? 1u << widths[i].a : bf_float_computes(n->op) ? 1u << plan->spec->residual : plan->nodes[i].demands;
    for (unsigned k = 0; k < n->nin; k++) plan->nodes[n->in[k]->index].demands |= wanted;
  }
}

static void make_layer(struct bf_quantize_plan *plan, const struct bf_float_node *n, struct bf_widths widths) {
  struct bf_calibration *c = plan->calibration;
  struct bf_plan_node *p = &plan->nodes[n->index];
  const struct bf_float_node *from = source_of(n->in[0]);
  p->reads = plan->nodes[from->index].format;
  if (p->reads.bits != widths.a) p->reads = bf_format_choose(c->histograms[from->index], widths.a, plan->spec);
  const float *factor = plan->spec->rounding == BF_ROUND_COMPENSATED ? bf_calibration_factor(c, n) : NULL;
  bf_layer_weights_make(n, widths.w, p->reads.scale, factor, &p->weights);
}

void bf_quantize_plan_make(struct bf_quantize_plan *plan, struct bf_calibration *c, const struct bf_quantize_spec *spec) {
  const struct bf_float_net *net = c->net;
  *plan = (struct bf_quantize_plan){.calibration = c, .spec = spec, .nodes = bf_alloc(net->count, sizeof *plan->nodes)};
  struct bf_widths *widths = bf_alloc(net->count, sizeof *widths);
  find_demands(plan, widths);
  for (size_t i = 0; i < net->count; i++) {
    const struct bf_float_node *n = net->nodes[i];
    struct bf_plan_node *p = &plan->nodes[i];
    if (n == net->output && bf_float_computes(n->op)) p->format = output_format(c->histograms[i], spec);
    else if (bf_float_computes(n->op)) p->format = bf_format_choose(c->histograms[i], top_bit(p->demands), spec);
    else p->format = plan->nodes[n->in[0]->index].format;
    if (bf_float_layer(n)) make_layer(plan, n, widths[i]);
  }
  free(widths);
}

void bf_quantize_plan_free(struct bf_quantize_plan *plan) {
  for (size_t i = 0; i < plan->calibration->net->count; i++) bf_layer_weights_free(&plan->nodes[i].weights);
  free(plan->nodes);
}

// ---- corrections

static float *numbers(uint64_t images, const struct bf_float_node *n) { return bf_alloc(images * bf_float_elements(n), sizeof(float)); }

// Sums over all images of one channel of a layer: `wanted` by the float network, `have` by the quantized one.
struct fit {
  const struct bf_float_node *n;
  const float *wanted, *have;
  uint64_t images;
  double *gain, *shift;
  bool gains;
};

// The line gain * have + shift that comes nearest to `wanted`; a gain of 1 where only the mean is to be met.
static void fit_channel(void *context, uint64_t o) {
  const struct fit *f = context;
  uint64_t count = f->images * f->n->h * f->n->w, c = f->n->c;
  double w = 0, h = 0, hh = 0, wh = 0;
  for (uint64_t i = 0; i < count; i++) w += (double)f->wanted[i * c + o], h += (double)f->have[i * c + o];
  w /= (double)count;
  h /= (double)count;
  for (uint64_t i = 0; i < count; i++) {
    double a = (double)f->wanted[i * c + o] - w, b = (double)f->have[i * c + o] - h;
    wh += a * b;
    hh += b * b;
  }
  double gain = f->gains && hh > 0 ? wh / hh : 1;
  f->gain[o] = gain < 0.5 ? 0.5 : gain > 2 ? 2 : gain;
  f->shift[o] = w - f->gain[o] * h;
}

// The node without its clamp.
static struct bf_float_node unclamped(const struct bf_float_node *n) {
  struct bf_float_node open = *n;
  open.lo = -INFINITY;
  open.hi = INFINITY;
  return open;
}

// Runs the node on values by their nodes' index.
static void run_one(const struct bf_float_node *n, const struct bf_calibration *c, uint64_t images, float **values) {
  struct bf_float_job job = {.node = n, .out = values[n->index], .images = images, .threads = c->threads};
  for (unsigned k = 0; k < n->nin; k++) job.in[k] = values[n->in[k]->index];
  bf_float_run_node(&job);
}

// The layer without its clamp. `wanted`: its results in the float network before the clamp, or NULL: nothing is corrected.
static void run_quantized(const struct bf_float_job *given, struct bf_plan_node *p, const float *wanted, enum bf_correction correction) {
  const struct bf_float_node open = unclamped(given->node);
  struct bf_float_job job = *given;
  struct bf_layer_weights *w = &p->weights;
  uint64_t elements = given->images * bf_float_elements(open.in[0]), results = given->images * bf_float_elements(&open);
  float *in = bf_alloc(elements, sizeof *in), *real = bf_layer_weights_real(&open, w), *bias = bf_alloc(open.c, sizeof *bias);
  for (uint64_t o = 0; o < open.c; o++) bias[o] = (float)w->bias[o];
  bf_format_apply(&p->reads, given->in[0], in, elements);
  job.node = &open;
  job.in[0] = in;
  job.weights = real;
  job.bias = bias;
  bf_float_run_node(&job);
  if (wanted && correction != BF_CORRECT_NOTHING) {
    struct fit fit = {&open, wanted, job.out, job.images, bf_alloc(open.c, sizeof(double)), bf_alloc(open.c, sizeof(double)), correction == BF_CORRECT_AFFINE};
    bf_parallel(open.c, job.threads, fit_channel, &fit);
    for (uint64_t o = 0; o < open.c; o++) {
      w->bias[o] = w->bias[o] * fit.gain[o] + fit.shift[o];
      w->scale[o] = (float)((double)w->scale[o] * fit.gain[o]);
    }
    for (uint64_t i = 0; i < results; i++) job.out[i] = (float)(fit.gain[i % open.c] * (double)job.out[i] + fit.shift[i % open.c]);
    free(fit.gain);
    free(fit.shift);
  }
  free(bias);
  free(real);
  free(in);
}

static void clamp_all(const struct bf_float_node *n, uint64_t images, float *v) {
  for (uint64_t i = 0; i < images * bf_float_elements(n); i++) v[i] = v[i] < n->lo ? n->lo : v[i] > n->hi ? n->hi : v[i];
}

// A layer in both networks: wanted before the clamp, then corrected, then both clamped.
static void run_both(const struct bf_float_node *n, struct bf_quantize_plan *plan, float **wanted, float **have) {
  const struct bf_calibration *c = plan->calibration;
  const struct bf_float_node open = unclamped(n);
  run_one(&open, c, c->count, wanted);
  struct bf_float_job job = {.node = n, .in = {have[n->in[0]->index]}, .out = have[n->index], .images = c->count, .threads = c->threads};
  run_quantized(&job, &plan->nodes[n->index], wanted[n->index], plan->spec->correction);
  clamp_all(n, c->count, wanted[n->index]);
  clamp_all(n, c->count, have[n->index]);
}

void bf_quantize_plan_correct(struct bf_quantize_plan *plan) {
  struct bf_calibration *c = plan->calibration;
  const struct bf_float_net *net = c->net;
  float **wanted = bf_alloc(net->count, sizeof *wanted), **have = bf_alloc(net->count, sizeof *have);
  unsigned *left = bf_alloc(net->count, sizeof *left);
  for (size_t i = 0; i < net->count; i++) {
    const struct bf_float_node *n = net->nodes[i];
    left[i] = n->readers;
    wanted[i] = numbers(c->count, n);
    have[i] = numbers(c->count, n);
    if (i == 0) {
      memcpy(wanted[0], c->images, c->count * bf_float_elements(n) * sizeof **wanted);
      memcpy(have[0], c->images, c->count * bf_float_elements(n) * sizeof **have);
    } else if (bf_float_layer(n)) {
      run_both(n, plan, wanted, have);
    } else {
      run_one(n, c, c->count, wanted);
      run_one(n, c, c->count, have);
    }
    if (bf_float_computes(n->op)) bf_format_apply(&plan->nodes[i].format, have[i], have[i], c->count * bf_float_elements(n));
    for (unsigned k = 0; k < n->nin; k++) {
      size_t from = n->in[k]->index;
      if (--left[from]) continue;
      free(wanted[from]);
      free(have[from]);
      wanted[from] = have[from] = NULL;
    }
  }
  for (size_t i = 0; i < net->count; i++) free(wanted[i]), free(have[i]);
  free(wanted);
  free(have);
  free(left);
}

// ---- one layer alone

static void keep_values(struct bf_calibration *c, uint64_t images) {
  if (c->nvalues == images) return;
  for (size_t i = 0; i < c->net->count; i++) {
    const struct bf_float_node *n = c->net->nodes[i];
    uint64_t elements = images * bf_float_elements(n);
    free(c->values[i]);
    c->values[i] = bf_alloc(elements, sizeof **c->values);
    if (i == 0) memcpy(c->values[0], c->images, elements * sizeof **c->values);
    else run_one(n, c, images, c->values);
  }
  c->nvalues = images;
}

static double output_difference(const struct bf_calibration *c, const float *output) {
  const struct bf_float_node *n = c->net->output;
  const float *reference = c->values[n->index];
  uint64_t elements = c->nvalues * bf_float_elements(n);
  double sum = 0;
  for (uint64_t i = 0; i < elements; i++) {
    double e = (double)output[i] - (double)reference[i];
    sum += e * e;
  }
  return sum / (double)elements;
}

// What depends on layer `from` is computed anew, the rest taken from the float network.
static double run_from(struct bf_calibration *c, const struct bf_float_node *from, struct bf_plan_node *p, enum bf_correction correction) {
  const struct bf_float_net *net = c->net;
  const struct bf_float_node open = unclamped(from);
  float **values = bf_alloc(net->count, sizeof *values), *wanted = numbers(c->nvalues, from);
  struct bf_float_job first = {.node = &open, .in = {c->values[from->in[0]->index]}, .out = wanted, .images = c->nvalues, .threads = c->threads};
  bf_float_run_node(&first);
  for (size_t i = from->index; i < net->count; i++) {
    const struct bf_float_node *n = net->nodes[i];
    bool changed = n == from;
    struct bf_float_job job = {.node = n, .images = c->nvalues, .threads = c->threads};
    for (unsigned k = 0; k < n->nin; k++) {
      size_t in = n->in[k]->index;
      changed |= values[in] != NULL;
      job.in[k] = values[in] ? values[in] : c->values[in];
    }
    if (!changed) continue;
    job.out = values[i] = numbers(c->nvalues, n);
    if (n == from) {
      run_quantized(&job, p, wanted, correction);
      clamp_all(n, c->nvalues, job.out);
    } else {
      bf_float_run_node(&job);
    }
  }
  double result = values[net->output->index] ? output_difference(c, values[net->output->index]) : 0;
  for (size_t i = 0; i < net->count; i++) free(values[i]);
  free(values);
  free(wanted);
  return result;
}

double bf_quantize_sensitivity(struct bf_calibration *c, const struct bf_quantize_spec *spec, size_t layer,
                               struct bf_widths widths, uint64_t images) {
  const struct bf_float_node *n = bf_quantize_layer(c->net, layer), *source = source_of(n->in[0]);
  struct bf_plan_node p = {.reads = bf_format_choose(c->histograms[source->index], widths.a, spec)};
  keep_values(c, images < c->count ? images : c->count);
  bf_layer_weights_make(n, widths.w, p.reads.scale, spec->rounding == BF_ROUND_COMPENSATED ? bf_calibration_factor(c, n) : NULL, &p.weights);
  double result = run_from(c, n, &p, spec->correction);
  bf_layer_weights_free(&p.weights);
  return result;
}
