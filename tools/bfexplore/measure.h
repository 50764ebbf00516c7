// SPDX-License-Identifier: Apache-2.0
// Sensitivities measured on images: what lower bits of one layer do to the outputs of a float network.
#ifndef BFX_MEASURE_H
#define BFX_MEASURE_H

#include "quantize/quantize.h"
#include "tools/bfexplore/solve.h"

struct bfx_measures {
  size_t count;  // layers with weights, in order (bf_quantize_layer)
  struct bfx_measured {
    const char *name;                 // of the float network
    double value[BFX_MAX_BITS + 1];   // mean squared error of the outputs with this layer alone at that width; NAN: not measured
  } *layers;                          // owned
};
// Measures the widths of `bits` (bit b: width b) on the first `images` calibration images. `activation_bits` 0: as the weights. `progress`
// (may be NULL) is called before each layer.
void bfx_measure(struct bf_calibration *calibration, const struct bf_float_net *net, const struct bf_quantize_spec *spec, uint32_t bits,
                 unsigned activation_bits, uint64_t images, void (*progress)(size_t layer, size_t count), struct bfx_measures *out);
void bfx_measures_free(struct bfx_measures *measures);
// As `bfexplore precision --sensitivity` reads it.
void bfx_measures_json(const struct bfx_measures *measures, const char *network, uint64_t images, struct bf_buf *out);

#endif
