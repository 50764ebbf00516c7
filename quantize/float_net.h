// SPDX-License-Identifier: Apache-2.0
// Float networks: what is left of an ONNX model before it is quantized, and their evaluation. A node is an operator and its
// result. Images are [y, x, channel] without the batch; features are images of one pixel.
#ifndef BF_FLOAT_NET_H
#define BF_FLOAT_NET_H

#include "base/bf_base.h"
#include "base/bf_diag.h"
#include "base/bf_npy.h"

enum bf_float_op {
#define BF_FLOAT_OP(id, computes) BF_FLOAT_##id,
#include "quantize/float_ops.def"
  BF_FLOAT_OPS
};
bool bf_float_computes(enum bf_float_op op);

struct bf_float_node {
  enum bf_float_op op;
  size_t index;                     // in the network
  const char *name;                 // an identifier of the .bfn language, unique
  struct bf_float_node *in[2];
  unsigned nin, readers;            // readers: nodes that read it, the network's output counted as one
  uint64_t h, w, c;                 // of the result
  bool flat;                        // features in the model; h and w above 1: an image as features, which the model orders [c, y, x]
  int32_t kernel[2], stride[2], dilation[2], pad[4];  // CONV, MAX_POOL, AVERAGE; y, x; top, bottom, left, right (and PAD)
  uint32_t groups;                  // CONV
  uint64_t depth;                   // CONV, DENSE: weights of one output
  float *weights;                   // CONV [out, ky, kx, in / groups]; DENSE [out, in], inputs as here; AFFINE: factors of the channels
  float *bias;                      // CONV, DENSE, AFFINE: of the channels
  int32_t channel_pad[2];           // PAD: channels of zeros before and behind
  int32_t begin[3], step[3];        // SLICE: y, x, c; counts are h, w, c
  float lo, hi;                     // what the result is clamped to, may be infinite
};

struct bf_float_net {
  struct bf_arena arena;            // owns all below
  const char *name;
  const char *model_input;          // its name in the model
  struct bf_float_node **nodes;     // in order of execution; the first is the input
  size_t count, capacity;
  struct bf_float_node *output;
};

// Reads an ONNX model of float operators. NULL: at least one error was added (one for each kind of obstacle).
// The caller frees it with bf_float_net_free.
struct bf_float_net *bf_float_net_read(const void *data, size_t length, const char *file, struct bf_diags *diags);
// The same of a file; `hint` (may be NULL) goes with the error that it cannot be read.
struct bf_float_net *bf_float_net_load(const char *path, const char *hint, struct bf_diags *diags);
void bf_float_net_free(struct bf_float_net *net);
uint64_t bf_float_elements(const struct bf_float_node *node);
// Whether the node is a layer with weights, whose widths may be chosen.
bool bf_float_layer(const struct bf_float_node *node);
uint64_t bf_float_macs(const struct bf_float_node *node);

// The images of an array: [images, c, y, x] as in the model or [images, y, x, c]; of any number type, taken as the real numbers that
// the model wants. *out: images x elements of the input, [y, x, c]; the caller frees it. False: an error about `file` was added.
bool bf_float_images(const struct bf_float_net *net, const struct bf_array *array, const char *file, float **out,
                     uint64_t *images, struct bf_diags *diags);

// One node for `images` images side by side: `in` the operands, `out` the result, both images x elements. Sums are in float32, in an
// order that does not depend on the number of threads. `weights`, `bias`: instead of the node's own, if not NULL.
struct bf_float_job {
  const struct bf_float_node *node;
  const float *in[2];
  float *out;
  uint64_t images;
  unsigned threads;
  const float *weights, *bias;
};
void bf_float_run_node(const struct bf_float_job *job);
// The inputs of the outputs of a CONV or DENSE (of the group `group`) at one pixel of an image: depth numbers.
void bf_float_patch(const struct bf_float_node *node, const float *image, uint64_t y, uint64_t x, uint32_t group, float *patch);

// The network's outputs for the images: images x elements of the output; the caller frees them.
float *bf_float_run(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads);
// The same; see(context, node, values) comes behind each node, with the tensors that are alive then by their nodes' index. NULL: it gave
// false, which ends the run.
typedef bool bf_float_see(void *context, const struct bf_float_node *node, float *const *values);
float *bf_float_watch(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads, bf_float_see *see, void *context);

// Calls work(context, i) for i = 0 … count - 1 on up to `threads` threads (0: as many as there are processors).
void bf_parallel(uint64_t count, unsigned threads, void (*work)(void *context, uint64_t i), void *context);

#endif
