// SPDX-License-Identifier: Apache-2.0
// Inside of the quantization. Internal.
#ifndef BF_QUANTIZE_INSIDE_H
#define BF_QUANTIZE_INSIDE_H

#include "quantize/quantize.h"

#define BF_HISTOGRAM 2048
#define BF_OUTPUT_BITS 16  // of the network's output

// The distribution of the numbers of a tensor.
struct bf_histogram {
  double lo, hi;  // least and largest, 0 included
  uint64_t count[BF_HISTOGRAM];
};

// real = scale * (q - zero). bits 0: stays float.
struct bf_format {
  unsigned bits;
  bool is_signed;
  float scale;
  int32_t zero;
};
int64_t bf_format_min(const struct bf_format *f);
int64_t bf_format_max(const struct bf_format *f);
struct bf_type bf_format_type(const struct bf_format *f);
struct bf_format bf_format_choose(const struct bf_histogram *h, unsigned bits, const struct bf_quantize_spec *spec);
// Each number becomes the nearest one that the format has.
void bf_format_apply(const struct bf_format *f, const float *in, float *out, uint64_t count);

struct bf_calibration {
  const struct bf_float_net *net;
  const float *images;
  uint64_t count;
  unsigned threads;
  struct bf_histogram **histograms;  // by node; of those that compute
  float **samples;                   // by node: inputs of some outputs, nsamples x depth; of layers, or NULL
  uint64_t *nsamples;
  float **factors;                   // by node: the inverse root of the inputs' second moments (quantize/factor.c), made when needed
  float **values;                    // by node: results for the first `nvalues` images, made when needed
  uint64_t nvalues;
};

// The factor of that layer, or NULL if it has none: several groups, or too many weights an output.
const float *bf_calibration_factor(struct bf_calibration *c, const struct bf_float_node *n);

// Weights of a layer in `bits` bits.
struct bf_layer_weights {
  unsigned bits;
  int32_t *q;     // out x depth; of 1 bit: -1 and 1
  float *scale;   // out
  double *bias;   // out: real numbers
};
// `in_scale` is the scale of what the layer reads: biases in units of in_scale * scale fit 31 bits.
void bf_layer_weights_make(const struct bf_float_node *n, unsigned bits, float in_scale, const float *factor,
                           struct bf_layer_weights *out);
void bf_layer_weights_free(struct bf_layer_weights *weights);
// As float numbers, out x depth; the caller frees them.
float *bf_layer_weights_real(const struct bf_float_node *n, const struct bf_layer_weights *weights);

// A network's formats and weights.
struct bf_quantize_plan {
  struct bf_calibration *calibration;
  const struct bf_quantize_spec *spec;
  struct bf_plan_node {
    struct bf_format format;   // of the result; of what does not compute: its operand's
    struct bf_format reads;    // layers: format of what they read, the operand requantized if it is another
    struct bf_layer_weights weights;
    unsigned demands;          // bit b: somebody wants it in b bits
  } *nodes;
};
void bf_quantize_plan_make(struct bf_quantize_plan *plan, struct bf_calibration *c, const struct bf_quantize_spec *spec);
// Runs the calibration images through the quantized network, in float, and corrects scales and biases on the way.
void bf_quantize_plan_correct(struct bf_quantize_plan *plan);
void bf_quantize_plan_free(struct bf_quantize_plan *plan);

void bf_quantize_plan_print(const struct bf_quantize_plan *plan, struct bf_buf *text, struct bf_archive *weights);

#endif
