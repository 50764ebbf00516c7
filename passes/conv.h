// SPDX-License-Identifier: Apache-2.0
// conv2d and dense seen as one convolution: geometry, weights, and what all its mappings share.
#ifndef BF_CONV_H
#define BF_CONV_H

#include "passes/builder.h"

struct bf_conv {
  uint32_t in4[4], out4[4], kernel[2], ic_group, groups, oc_group;
  int32_t stride[2], dilation[2], pad[2];
  const struct bf_tensor *x, *w, *bias;
};
void bf_conv_of(const struct bf_node *node, struct bf_conv *conv);
// Taps of a window: kernel y × x × channels of the group; tap t is the t-th weight of an output channel.
static inline uint32_t bf_conv_taps(const struct bf_conv *conv) { return conv->kernel[0] * conv->kernel[1] * conv->ic_group; }
struct bf_taps { uint32_t first, end; };
// Part p of `parts` nearly equal parts of the taps.
static inline struct bf_taps bf_conv_part(uint32_t taps, uint32_t p, uint32_t parts) {
  return (struct bf_taps){(uint32_t)((uint64_t)taps * p / parts), (uint32_t)((uint64_t)taps * (p + 1) / parts)};
}

// Zero point of the weights of output channel oc; those lie at w->data, channel after channel, as ky, kx, c within the group.
int64_t bf_conv_zero(const struct bf_conv *conv, uint32_t oc);
// Weights of one output channel: w[tap] - zero.
struct bf_conv_row { const int64_t *w; int64_t zero; };
struct bf_conv_row bf_conv_row(const struct bf_conv *conv, uint32_t oc);
static inline int64_t bf_conv_weight(const struct bf_conv_row *row, uint32_t tap) { return row->w[tap] - row->zero; }
// Content of memory that stands for the input's zero.
int64_t bf_conv_zero_u(const struct bf_tensor *x);
// What a load of x may bring: the contents of its memory, and the zero point as padding.
void bf_conv_x_range(const struct bf_conv *conv, uint64_t *lo, uint64_t *hi);
// Share of the input's zero point in the true sum: -zx * sum of w over the taps.
int64_t bf_conv_zero_term(const struct bf_conv *conv, uint32_t oc, struct bf_taps taps);

// How sums of x * w over taps, x >= 0, stay non-negative when they are added up in order: the smallest start, and the zero term.
struct bf_conv_start { int64_t init, zero_term; };
struct bf_conv_start bf_conv_start_of(const struct bf_conv *conv, uint32_t oc, struct bf_taps taps, uint64_t x_lo, uint64_t x_hi);

// Loads of the input: rows = output pixels (n, y, x, anything), tap = bf_conv_load_tap.
struct bf_fdesc bf_conv_input_fdesc(struct bf_lower *l, const struct bf_conv *conv);
uint32_t bf_conv_input_desc(struct bf_lower *l, const struct bf_conv *conv);
uint32_t bf_conv_load_tap(const struct bf_conv *conv, uint32_t oc, uint32_t tap);

// Taps that every region of `group` channels loads, so that all load the same and a multicast serves them (heap, a flag each); NULL
// where each better loads just those that it uses.
bool *bf_conv_common_loads(const struct bf_unit *unit, const struct bf_conv *conv, uint32_t group);

// Channels from oc up to the end of a group of `size`, within the convolution group.
uint32_t bf_conv_group_end(const struct bf_conv *conv, uint32_t oc, uint32_t size);

// The mappings (lower_pixel.c, lower_output.c, …), as the plan says.
void bf_lower_pixel(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan);
void bf_lower_output(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan);
void bf_lower_mac(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan);
void bf_lower_patterns(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan);
void bf_lower_shared(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan);

// Partial sums in memory, laid out [n, y, x, parts * channels], part p of channel c at p * channels + c. An element holds its
// partial sum of (content of x) * w plus bias[c]'s share; bias[c] is the sum over all parts, the share of x's zero point included:
// true sum of c (without the layer's own bias) = sum over parts of elements - bias[c]. hi: largest element of any channel of part p.
// Of some channels alone: `count` (0: all) from `first` on; then channels of the memory count from 0, bias is still that of all.
struct bf_partials { uint32_t mem, parts; unsigned bits; const int64_t *bias; const uint64_t *hi; uint32_t first, count; };
// Joins them, one output element a row: sums the parts, adds the layer's bias, requantizes (constants of the channel are loaded
// into the row where they differ between channels), stores. In log-depth levels through memory where that is cheaper.
void bf_lower_join(struct bf_lower *l, const struct bf_conv *conv, const struct bf_partials *partials);
// Requantizes one output element a row ([n, y, x, c]) and stores it. `acc`: content = true sum without the layer's bias, plus
// bias[c]; per-channel constants come from loads.
void bf_build_requant_rows(struct bf_lower *l, const struct bf_conv *conv, struct bf_val acc, const int64_t *bias);

#endif
