// SPDX-License-Identifier: Apache-2.0
// What the mappings `output` and `mac` share: widths, products, and how channels of convolution groups lie in rows.
#include "passes/stored.h"

struct bf_stored bf_stored_of(const struct bf_conv *conv) {
  uint64_t below = 0, above = 0, x_lo, x_hi;
  uint32_t taps = bf_conv_taps(conv);
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++) {
    struct bf_conv_row row = bf_conv_row(conv, oc);
    for (uint32_t t = 0; t < taps; t++) {
      int64_t w = bf_conv_weight(&row, t);
      if (w < 0) below |= (uint64_t)-(w + 1) << 1 | 1;
      else above |= (uint64_t)w;
    }
  }
  bf_conv_x_range(conv, &x_lo, &x_hi);
  struct bf_stored s = {.x_bits = bf_mem_bits(conv->x->type), .w_bits = bf_bits(above)};
  if (below) {
    s.w_bits = bf_bits(above | below >> 1) + 1;
    s.offset = (int64_t)1 << (s.x_bits + s.w_bits - 1);
    s.product_hi = ((uint64_t)1 << (s.x_bits + s.w_bits)) - 1;
  } else {
    s.product_hi = x_hi * (((uint64_t)1 << s.w_bits) - 1);
  }
  return s;
}

double bf_stored_product_cycles(const struct bf_stored *s) { return bf_product_cycles(s->x_bits, s->w_bits) + (s->offset ? 6 : 0); }

uint32_t bf_lane_count(const struct bf_conv *conv) {
  if (conv->groups == 1) return 1;
  return conv->groups < conv->oc_group ? conv->groups : conv->oc_group;
}

struct bf_lane bf_lane_of(const struct bf_conv *conv, uint32_t i) {
  if (conv->groups == 1 || conv->groups < conv->oc_group)
    return (struct bf_lane){conv->oc_group, i * conv->oc_group, 1, i * conv->ic_group, 0};
  return (struct bf_lane){conv->groups, i, conv->oc_group, 0, conv->ic_group};
}

uint32_t bf_build_field(struct bf_lower *l, const char *name, unsigned width) {
  uint32_t field = bf_field_new(l->region, "%s", name);
  l->region->fields[field].width = (uint16_t)width;
  return field;
}

struct bf_val bf_build_product(struct bf_lower *l, const struct bf_stored *s, uint32_t x, uint32_t w, uint32_t product, uint32_t sign,
                               bool in_stream) {
  struct bf_slice sx = {x, 0, s->x_bits & 127}, sw = {w, 0, s->w_bits & 127}, d = {product, 0, (s->x_bits + s->w_bits) & 127};
  bf_fop_append(l->region, (struct bf_fop){.kind = s->offset ? BF_FOP_MULS : BF_FOP_MUL, .in_stream = in_stream, .d = d, .a = sx, .b = sw});
  struct bf_val v = {.field = product, .hi = s->product_hi, .bias = s->offset};
  if (!s->offset) return v;
  struct bf_slice top = {product, (s->x_bits + s->w_bits - 1) & 127, 1}, copy = {sign, 0, 1};
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_NOT, .in_stream = in_stream, .d = copy, .a = top});
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_COPY, .in_stream = in_stream, .d = top, .a = copy});
  return v;
}
