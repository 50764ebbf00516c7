// SPDX-License-Identifier: Apache-2.0
// Evaluation in float32, node by node over many images: layers as products of patches with a matrix.
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quantize/float_net.h"

// ---- threads

struct crew {
  uint64_t count;
  atomic_ullong next;
  void (*work)(void *, uint64_t);
  void *context;
};

static void *labour(void *arg) {
  struct crew *crew = arg;
  for (uint64_t i; (i = atomic_fetch_add(&crew->next, 1)) < crew->count;) crew->work(crew->context, i);
  return NULL;
}

void bf_parallel(uint64_t count, unsigned threads, void (*work)(void *, uint64_t), void *context) {
  enum { MOST = 64 };
  pthread_t others[MOST];
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  if (!threads) threads = processors > 0 ? (unsigned)processors : 1;
  if (threads > MOST) threads = MOST;
  if (threads > count) threads = (unsigned)count;
  struct crew crew = {.count = count, .work = work, .context = context};
  unsigned started = 0;
  while (started + 1 < threads && pthread_create(&others[started], NULL, labour, &crew) == 0) started++;
  labour(&crew);
  for (unsigned i = 0; i < started; i++) pthread_join(others[i], NULL);
}

// ---- layers

#define OUTPUTS 8  // of one step of the product
#define PIXELS 4
typedef float lane __attribute__((vector_size(16), aligned(4)));

// sums[PIXELS][OUTPUTS] += patches[PIXELS][depth] x matrix[depth][OUTPUTS]. Order of the additions: along the depth.
static void product(const float *patches, uint64_t stride, const float *matrix, uint64_t depth, float *sums) {
  lane s[PIXELS][2];
  memcpy(s, sums, sizeof s);
  for (uint64_t k = 0; k < depth; k++) {
    lane m[2];
    memcpy(m, matrix + k * OUTPUTS, sizeof m);
    for (int p = 0; p < PIXELS; p++) {
      float x = patches[(uint64_t)p * stride + k];
      lane v = {x, x, x, x};
      s[p][0] += v * m[0];
      s[p][1] += v * m[1];
    }
  }
  memcpy(sums, s, sizeof s);
}

void bf_float_patch(const struct bf_float_node *n, const float *image, uint64_t y, uint64_t x, uint32_t group, float *patch) {
  const struct bf_float_node *in = n->in[0];
  if (n->op == BF_FLOAT_DENSE) {
    memcpy(patch, image, n->depth * sizeof *patch);
    return;
  }
  uint64_t channels = in->c / n->groups;
  for (int32_t ky = 0; ky < n->kernel[0]; ky++)
    for (int32_t kx = 0; kx < n->kernel[1]; kx++, patch += channels) {
      int64_t py = (int64_t)y * n->stride[0] - n->pad[0] + (int64_t)ky * n->dilation[0];
      int64_t px = (int64_t)x * n->stride[1] - n->pad[2] + (int64_t)kx * n->dilation[1];
      bool inside = py >= 0 && px >= 0 && py < (int64_t)in->h && px < (int64_t)in->w;
      if (inside) memcpy(patch, image + ((uint64_t)py * in->w + (uint64_t)px) * in->c + group * channels, channels * sizeof *patch);
      else memset(patch, 0, channels * sizeof *patch);
    }
}

struct layer_job {
  const struct bf_float_job *job;
  float *matrix;   // [group][outputs / OUTPUTS][depth][OUTPUTS], filled up with zeros
  uint64_t blocks; // of outputs in a group
};

static void pack(struct layer_job *l) {
  const struct bf_float_node *n = l->job->node;
  const float *w = l->job->weights ? l->job->weights : n->weights;
  uint64_t outputs = n->c / n->groups;
  l->blocks = (outputs + OUTPUTS - 1) / OUTPUTS;
  l->matrix = bf_alloc(n->groups * l->blocks * n->depth, OUTPUTS * sizeof *l->matrix);
  for (uint64_t o = 0; o < n->c; o++) {
    uint64_t at = o % outputs, block = o / outputs * l->blocks + at / OUTPUTS;
    for (uint64_t k = 0; k < n->depth; k++) l->matrix[(block * n->depth + k) * OUTPUTS + at % OUTPUTS] = w[o * n->depth + k];
  }
}

static float clamp(const struct bf_float_node *n, float v) { return v < n->lo ? n->lo : v > n->hi ? n->hi : v; }

// Some pixels of one row: patches to outputs.
static void pixels(const struct layer_job *l, uint32_t group, const float *patches, uint64_t count, float *out) {
  const struct bf_float_node *n = l->job->node;
  const float *bias = l->job->bias ? l->job->bias : n->bias;
  uint64_t outputs = n->c / n->groups;
  for (uint64_t b = 0; b < l->blocks; b++) {
    float sums[PIXELS * OUTPUTS];
    uint64_t first = b * OUTPUTS, some = outputs - first < OUTPUTS ? outputs - first : OUTPUTS;
    for (uint64_t p = 0; p < PIXELS; p++)
      for (uint64_t o = 0; o < OUTPUTS; o++) sums[p * OUTPUTS + o] = o < some ? bias[group * outputs + first + o] : 0;
    product(patches, n->depth, l->matrix + (group * l->blocks + b) * n->depth * OUTPUTS, n->depth, sums);
    for (uint64_t p = 0; p < count; p++)
      for (uint64_t o = 0; o < some; o++) out[p * n->c + group * outputs + first + o] = clamp(n, sums[p * OUTPUTS + o]);
  }
}

static void layer_image(void *context, uint64_t image) {
  const struct layer_job *l = context;
  const struct bf_float_node *n = l->job->node;
  const float *in = l->job->in[0] + image * bf_float_elements(n->in[0]);
  float *out = l->job->out + image * bf_float_elements(n), *patches = bf_alloc(PIXELS * n->depth, sizeof *patches);
  for (uint64_t at = 0; at < n->h * n->w; at += PIXELS) {
    uint64_t count = n->h * n->w - at < PIXELS ? n->h * n->w - at : PIXELS;
    for (uint32_t g = 0; g < n->groups; g++) {
      for (uint64_t p = 0; p < count; p++) bf_float_patch(n, in, (at + p) / n->w, (at + p) % n->w, g, patches + p * n->depth);
      pixels(l, g, patches, count, out + at * n->c);
    }
  }
  free(patches);
}

// ---- the rest

static void pool_image(const struct bf_float_node *n, const float *in, float *out) {
  const struct bf_float_node *x = n->in[0];
  bool max = n->op == BF_FLOAT_MAX_POOL;
  for (uint64_t i = 0; i < bf_float_elements(n); i++) {
    uint64_t c = i % n->c, ox = i / n->c % n->w, oy = i / n->c / n->w;
    double sum = 0;
    float best = -INFINITY;
    for (int32_t ky = 0; ky < n->kernel[0]; ky++)
      for (int32_t kx = 0; kx < n->kernel[1]; kx++) {
        int64_t py = (int64_t)oy * n->stride[0] - n->pad[0] + ky, px = (int64_t)ox * n->stride[1] - n->pad[2] + kx;
        if (py < 0 || px < 0 || py >= (int64_t)x->h || px >= (int64_t)x->w) continue;
        float v = in[((uint64_t)py * x->w + (uint64_t)px) * x->c + c];
        sum += v;
        best = v > best ? v : best;
      }
    out[i] = clamp(n, max ? best : (float)(sum / ((double)n->kernel[0] * n->kernel[1])));
  }
}

static void pad_image(const struct bf_float_node *n, const float *in, float *out) {
  const struct bf_float_node *x = n->in[0];
  memset(out, 0, bf_float_elements(n) * sizeof *out);
  for (uint64_t y = 0; y < x->h; y++)
    for (uint64_t px = 0; px < x->w; px++)
      memcpy(out + ((y + (uint64_t)n->pad[0]) * n->w + px + (uint64_t)n->pad[2]) * n->c + n->channel_pad[0],
             in + (y * x->w + px) * x->c, x->c * sizeof *out);
}

static void slice_image(const struct bf_float_node *n, const float *in, float *out) {
  const struct bf_float_node *x = n->in[0];
  for (uint64_t i = 0; i < bf_float_elements(n); i++) {
    const int64_t at[3] = {(int64_t)(i / n->c / n->w), (int64_t)(i / n->c % n->w), (int64_t)(i % n->c)};
    int64_t from[3];
    for (int d = 0; d < 3; d++) from[d] = n->begin[d] + at[d] * n->step[d];
    out[i] = in[(from[0] * (int64_t)x->w + from[1]) * (int64_t)x->c + from[2]];
  }
}

static void other_image(void *context, uint64_t image) {
  const struct bf_float_job *job = context;
  const struct bf_float_node *n = job->node;
  uint64_t elements = bf_float_elements(n);
  const float *a = job->in[0] + image * bf_float_elements(n->in[0]), *b = job->in[1] ? job->in[1] + image * elements : NULL;
  float *out = job->out + image * elements;
  switch (n->op) {
    case BF_FLOAT_ADD:
      for (uint64_t i = 0; i < elements; i++) out[i] = clamp(n, a[i] + b[i]);
      return;
    case BF_FLOAT_AVERAGE:
    case BF_FLOAT_MAX_POOL: pool_image(n, a, out); return;
    case BF_FLOAT_PAD: pad_image(n, a, out); return;
    case BF_FLOAT_SLICE: slice_image(n, a, out); return;
    default:
      for (uint64_t i = 0; i < elements; i++) out[i] = clamp(n, a[i]);
      return;
  }
}

void bf_float_run_node(const struct bf_float_job *job) {
  if (!bf_float_layer(job->node)) {
    bf_parallel(job->images, job->threads, other_image, (void *)job);
    return;
  }
  struct layer_job l = {.job = job};
  pack(&l);
  bf_parallel(job->images, job->threads, layer_image, &l);
  free(l.matrix);
}

static void forget_operands(const struct bf_float_node *n, float **values, unsigned *left) {
  for (unsigned k = 0; k < n->nin; k++) {
    size_t from = n->in[k]->index;
    if (--left[from]) continue;
    free(values[from]);
    values[from] = NULL;
  }
}

float *bf_float_watch(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads, bf_float_see *see, void *context) {
  float **values = bf_alloc(net->count, sizeof *values), *result = NULL;
  unsigned *left = bf_alloc(net->count, sizeof *left);
  bool ok = true;
  for (size_t i = 0; i < net->count && ok; i++) {
    const struct bf_float_node *n = net->nodes[i];
    uint64_t elements = count * bf_float_elements(n);
    left[i] = n->readers;
    values[i] = bf_alloc(elements, sizeof **values);
    if (i == 0) memcpy(values[0], images, elements * sizeof *images);
    struct bf_float_job job = {.node = n, .out = values[i], .images = count, .threads = threads};
    for (unsigned k = 0; k < n->nin; k++) job.in[k] = values[n->in[k]->index];
    if (i) bf_float_run_node(&job);
    ok = !see || see(context, n, values);
    forget_operands(n, values, left);
  }
  if (ok) {
    result = values[net->output->index];
    values[net->output->index] = NULL;
  }
  for (size_t i = 0; i < net->count; i++) free(values[i]);
  free(values);
  free(left);
  return result;
}

float *bf_float_run(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads) {
  return bf_float_watch(net, images, count, threads, NULL, NULL);
}
