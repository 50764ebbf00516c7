// SPDX-License-Identifier: Apache-2.0
// Products of loaded activations and loaded weights, of which the mappings `output` and `mac` consist.
#ifndef BF_STORED_H
#define BF_STORED_H

#include "passes/requant_rows.h"

// Widths of x, of w (less its zero point) and what a product can be: content = x * w + offset in [0, product_hi]. offset 0: no weight is
// negative, and fields of w are unsigned; otherwise they are two's complement.
struct bf_stored { unsigned x_bits, w_bits; int64_t offset; uint64_t product_hi; };
struct bf_stored bf_stored_of(const struct bf_conv *conv);
// Cycles of a product, with the inversion of its sign.
double bf_stored_product_cycles(const struct bf_stored *stored);

// Channels in rows: row i of the lane is channel first + i * step of the output, and reads input channels from first_in + i * step_in
// on. A convolution has one lane; with groups, either the channels of a group are one, or a channel of all groups.
struct bf_lane { uint32_t count, first, step, first_in, step_in; };
uint32_t bf_lane_count(const struct bf_conv *conv);
struct bf_lane bf_lane_of(const struct bf_conv *conv, uint32_t i);

uint32_t bf_build_field(struct bf_lower *l, const char *name, unsigned width);
// product := x * w + offset. `sign`: a field of one column (offset 0: unused). As two's complement, the product's sign column is inverted.
struct bf_val bf_build_product(struct bf_lower *l, const struct bf_stored *stored, uint32_t x, uint32_t w, uint32_t product, uint32_t sign,
                               bool in_stream);

#endif
