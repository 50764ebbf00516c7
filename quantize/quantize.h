// SPDX-License-Identifier: Apache-2.0
// Post-training quantization: a float ONNX model, images and widths to a network in .bfn text. docs/quantize.md defines what is
// computed. The widths of a layer are those of its weights and of the activations that it reads.
#ifndef BF_QUANTIZE_H
#define BF_QUANTIZE_H

#include "base/bf_diag.h"
#include "base/bf_npy.h"
#include "ir/graph.h"
#include "quantize/float_net.h"

struct bf_widths {
  unsigned w, a;  // 1..16; 0: not given
};

enum bf_range_method { BF_RANGE_MSE, BF_RANGE_PERCENTILE, BF_RANGE_MAX };
enum bf_correction { BF_CORRECT_AFFINE, BF_CORRECT_BIAS, BF_CORRECT_NOTHING };
enum bf_rounding { BF_ROUND_COMPENSATED, BF_ROUND_NEAREST };

// What is wanted. bf_quantize_spec_init gives the defaults.
struct bf_quantize_spec {
  struct bf_widths all, first, last;  // of all layers, the first and the last one
  struct bf_layer_widths {
    char *name;                       // owned
    struct bf_widths widths;
    struct bf_range range;            // where it stands, for diagnostics
  } *layers;                          // owned; they precede `first` and `last`, which precede `all`
  size_t nlayers, capacity;
  unsigned residual;                  // bits of what additions and averages read, at least
  enum bf_range_method method;
  double percentile;                  // of BF_RANGE_PERCENTILE, in percent
  enum bf_rounding rounding;
  enum bf_correction correction;
};
void bf_quantize_spec_init(struct bf_quantize_spec *spec);
void bf_quantize_spec_free(struct bf_quantize_spec *spec);
// Reads "w4a4,first=w8a8,range=max" or "FILE,residual=16", where the file has a line for each layer, as profiles of the language
// have. False: errors were added.
bool bf_quantize_spec_parse(const char *text, struct bf_quantize_spec *spec, struct bf_diags *diags);
// Whether the text begins with widths: otherwise it begins with a file's name.
bool bf_widths_parse(const char *text, size_t length, struct bf_widths *out);
void bf_quantize_spec_add(struct bf_quantize_spec *spec, const char *layer, struct bf_widths widths, struct bf_range range);

// A float network with what the calibration images tell of it. Not changed after it is made, but for cached results: not for use
// by several threads at a time.
struct bf_calibration;
// Takes neither `net` nor `images` (images x elements of the input, [y, x, c]); both must outlive it. `threads` 0: all processors.
// NULL and an error: the network computes no finite numbers, or too many for this memory.
struct bf_calibration *bf_calibrate(const struct bf_float_net *net, const float *images, uint64_t count, unsigned threads,
                                    struct bf_diags *diags);
void bf_calibration_free(struct bf_calibration *calibration);

// The layers with weights, in order; NULL beyond the last. Their names are those of the quantized network's layers.
const struct bf_float_node *bf_quantize_layer(const struct bf_float_net *net, size_t index);
// Widths of that layer (of `count`) by the spec.
struct bf_widths bf_quantize_widths(const struct bf_quantize_spec *spec, const struct bf_float_node *layer, size_t index, size_t count);

// Appends the quantized network in .bfn text and its archive of constants; compiling the one with the other is the network. False and
// errors: the spec names a layer that there is not.
bool bf_quantize(struct bf_calibration *calibration, const struct bf_quantize_spec *spec, struct bf_buf *text,
                 struct bf_archive *weights, struct bf_diags *diags);

// What the outputs become when one layer alone is quantized to the widths and the rest stays in float32: the mean squared difference
// to the float network's outputs over the first `images` calibration images, in the square of the model's own unit.
double bf_quantize_sensitivity(struct bf_calibration *calibration, const struct bf_quantize_spec *spec, size_t layer,
                               struct bf_widths widths, uint64_t images);

// All of it for the command line: reads the model and the images (.npy), quantizes by `spec`, compiles. `text` and `weights` may be NULL.
// NULL: errors were added.
struct bf_graph *bf_quantize_load(const char *model, const char *spec, const char *images, uint32_t batch, struct bf_buf *text,
                                  struct bf_archive *weights, struct bf_diags *diags);

#endif
