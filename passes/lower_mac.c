// SPDX-License-Identifier: Apache-2.0
// Mapping `mac`, that of BF-IMNA: a row is one product; activation and weight are loaded beside each other. Products are then added
// between rows: inside a CAP where the array adds pairs of rows (two-d), the rest through memory. A layer with more products than
// memory holds is done in portions of its output channels.
//
// Each tap (ky, kx) of the window is a region of its own; its rows are (y, x, channel, input channel), those of all images in turn. Input
// channels are filled up with weights of zero to whole trees of pairs.
#include <stdlib.h>

#include "passes/products.h"

// A portion: channels of the output from `first` on.
struct portion { uint32_t first, count; };

struct mac {
  const struct bf_conv *conv;
  const struct bf_products *p;
  uint32_t weights, mem;
  struct portion portion;
};

static struct bf_fdesc empty_desc(uint32_t mem) {
  struct bf_fdesc d = bf_elementwise_desc(mem);
  for (int i = 0; i < 4; i++) d.row_dim[i] = 255, d.row_stride[i] = 0;
  return d;
}

static void select_rows(struct bf_fdesc *d, int row, int dim, uint32_t stride) {
  d->row_dim[row] = stride ? (uint8_t)dim : 255;
  d->row_stride[row] = (int32_t)stride;
}

// The four row dimensions: (y, x, channel, input) or, where inputs take two, (x, channel, trees, input of a tree) of one y.
struct dims { int y, x, channel, tree, input; };
static struct dims dims_of(const struct bf_products *p) {
  return p->by_line ? (struct dims){-1, 0, 1, 2, 3} : (struct dims){0, 1, 2, -1, 3};
}

static uint32_t input_desc(struct bf_lower *l, const struct mac *m, const struct bf_lane *lane, uint32_t n, uint32_t y) {
  const struct bf_conv *conv = m->conv;
  struct dims at = dims_of(m->p);
  struct bf_fdesc d = empty_desc(bf_lower_mem(l, conv->x));
  d.origin[0] = (int32_t)n;
  d.origin[1] = (int32_t)y * conv->stride[0] - conv->pad[0];
  d.origin[2] = -conv->pad[1];
  d.origin[3] = (int32_t)lane->first_in;
  for (int i = 0; i < 2; i++) {
    d.tap_count[1 + i] = conv->kernel[i];
    d.tap_step[1 + i] = conv->dilation[i];
  }
  if (at.y >= 0) select_rows(&d, at.y, 1, (uint32_t)conv->stride[0]);
  select_rows(&d, at.x, 2, (uint32_t)conv->stride[1]);
  select_rows(&d, at.channel, 3, lane->step_in);
  if (at.tree >= 0) select_rows(&d, at.tree, 3, m->p->tree);
  select_rows(&d, at.input, 3, 1);
  d.pad_value = (uint64_t)bf_conv_zero_u(conv->x);
  return bf_lower_desc(l, d);
}

static uint32_t weight_desc(struct bf_lower *l, const struct mac *m, const struct bf_lane *lane) {
  struct dims at = dims_of(m->p);
  struct bf_fdesc d = empty_desc(m->weights);
  d.origin[0] = (int32_t)(lane->first + m->portion.first);
  for (int i = 0; i < 2; i++) {
    d.tap_count[1 + i] = m->conv->kernel[i];
    d.tap_step[1 + i] = 1;
  }
  select_rows(&d, at.channel, 0, lane->step);
  if (at.tree >= 0) select_rows(&d, at.tree, 3, m->p->tree);
  select_rows(&d, at.input, 3, 1);
  return bf_lower_desc(l, d);
}

// Sums of trees lie in the first rows of these; what the others hold goes where nothing reads it (behind the last image).
static uint32_t sum_desc(struct bf_lower *l, const struct mac *m, const struct bf_lane *lane, uint32_t n, uint32_t y) {
  struct dims at = dims_of(m->p);
  uint32_t channels = m->portion.count, window = m->conv->kernel[0] * m->conv->kernel[1];
  struct bf_fdesc d = empty_desc(m->mem);
  d.origin[0] = (int32_t)n;
  d.origin[1] = (int32_t)y;
  d.origin[3] = (int32_t)lane->first;
  d.tap_count[3] = window;
  d.tap_step[3] = (int32_t)(m->p->trees * channels);
  if (at.y >= 0) select_rows(&d, at.y, 1, 1);
  select_rows(&d, at.x, 2, 1);
  select_rows(&d, at.channel, 3, lane->step);
  if (at.tree >= 0) select_rows(&d, at.tree, 3, channels);
  if (m->p->tree == 1) select_rows(&d, at.input, 3, channels);
  else select_rows(&d, at.input, 0, m->conv->out4[0]);
  return bf_lower_desc(l, d);
}

static void multiply_and_add(struct bf_lower *l, const struct mac *m, uint32_t in, uint32_t weights, uint32_t out, uint32_t tap) {
  const struct bf_stored *s = &m->p->stored;
  uint32_t x = bf_build_field(l, "x", s->x_bits), w = bf_build_field(l, "w", s->w_bits);
  unsigned bits = l->fields->mems[m->mem].bits, narrow = s->x_bits + s->w_bits;
  uint32_t product = bf_build_field(l, "product", bits > narrow ? bits : narrow), sign = s->offset ? bf_build_field(l, "sign", 1) : 0;
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOAD, .d = {x, 0, s->x_bits & 127}, .desc = in, .tap = tap});
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOAD, .d = {w, 0, s->w_bits & 127}, .desc = weights, .tap = tap});
  struct bf_val v = bf_build_product(l, s, x, w, product, sign, false);
  if (bits > narrow)  // room for sums
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = {product, narrow & 127, (bits - narrow) & 127}});
  struct bf_slice all = bf_val_low(l, &v, bits);
  for (uint32_t distance = 1; distance < m->p->tree; distance *= 2) {
    struct bf_slice a = bf_val_slice(&v);
    v.hi *= 2;
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADDPAIR, .d = bf_val_slice(&v), .a = a, .imm = distance});
  }
  bf_build_store(l, all, out, tap);
}

// The products of one image, or of line y of it.
static void lower_lines(struct bf_lower *l, const struct mac *m, const struct bf_lane *lane, uint32_t n, uint32_t y) {
  const struct bf_conv *conv = m->conv;
  const struct bf_products *p = m->p;
  uint32_t channels = lane->count == conv->out4[3] ? m->portion.count : lane->count, window = conv->kernel[0] * conv->kernel[1];
  const uint32_t image[4] = {conv->out4[1], conv->out4[2], channels, p->trees * p->tree}, line[4] = {conv->out4[2], channels, p->trees, p->tree};
  for (uint32_t tap = 0; tap < window && !l->failed; tap++) {
    bf_lower_region_tiles(l, p->by_line ? line : image, l->unit->machine->rows / p->tree * p->tree);
    multiply_and_add(l, m, input_desc(l, m, lane, n, y), weight_desc(l, m, lane), sum_desc(l, m, lane, n, y), tap);
    bf_lower_end_region(l, false);
  }
}

static void lower_portion(struct bf_lower *l, const struct mac *m, const int64_t *bias) {
  const struct bf_conv *conv = m->conv;
  for (uint32_t i = 0; i < bf_lane_count(conv); i++) {
    struct bf_lane lane = bf_lane_of(conv, i);
    for (uint32_t n = 0; n < conv->out4[0]; n++)
      for (uint32_t y = 0; y < (m->p->by_line ? conv->out4[1] : 1) && !l->failed; y++) lower_lines(l, m, &lane, n, y);
  }
  if (l->failed) return;
  l->region->barrier_after = true;
  uint32_t parts = conv->kernel[0] * conv->kernel[1] * m->p->trees;
  uint64_t *hi = bf_alloc(parts, sizeof *hi);
  for (uint32_t i = 0; i < parts; i++) hi[i] = m->p->stored.product_hi * m->p->tree;
  struct bf_partials partials = {m->mem, parts, l->fields->mems[m->mem].bits, bias, hi, m->portion.first, m->portion.count};
  bf_lower_join(l, conv, &partials);
  if (!l->failed) l->region->barrier_after = true;
  free(hi);
}

static uint32_t products_memory(struct bf_lower *l, const struct mac *m) {
  const struct bf_conv *conv = m->conv;
  uint32_t window = conv->kernel[0] * conv->kernel[1];
  const uint32_t shape[4] = {conv->out4[0] * m->p->tree, conv->out4[1], conv->out4[2], window * m->p->trees * m->portion.count};
  return bf_lower_temp(l, m->portion.first + m->portion.count < conv->out4[3] || !m->portion.first ? "products" : "last_products",
                       bf_bits(m->p->stored.product_hi * m->p->tree), shape);
}

void bf_lower_mac(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  (void)plan;
  struct bf_products p = bf_products_of(l->unit, conv);
  const uint32_t shape[4] = {conv->out4[3], conv->kernel[0], conv->kernel[1], conv->ic_group};
  struct mac m = {.conv = conv, .p = &p, .weights = bf_lower_weights(l, conv->w, p.stored.w_bits, shape)};
  uint32_t taps = bf_conv_taps(conv);
  uint64_t products = (uint64_t)conv->kernel[0] * conv->kernel[1] * p.trees * p.tree;
  int64_t *bias = bf_alloc(conv->out4[3], sizeof *bias);
  for (uint32_t c = 0; c < conv->out4[3]; c++)
    bias[c] = (int64_t)products * p.stored.offset - bf_conv_zero_term(conv, c, (struct bf_taps){0, taps});
  for (uint32_t c = 0; c < conv->out4[3] && !l->failed; c += m.portion.count) {
    uint32_t left = conv->out4[3] - c, before = m.portion.count;
    m.portion = (struct portion){c, p.portion < left ? p.portion : left};
    if (m.portion.count != before) m.mem = products_memory(l, &m);
    lower_portion(l, &m, bias);
  }
  free(bias);
}
