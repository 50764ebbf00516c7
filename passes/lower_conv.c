// SPDX-License-Identifier: Apache-2.0
// conv2d and dense to field IR.
//
// pixel:  a row is an output pixel; weights are constants in the code; activations of a tap are loaded once for a
//         group of output channels. The reduction may be split over CAPs; partial sums then meet through memory.
// output: a row is an output element; its weights are loaded beside it and multiplied bit by bit.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/builder.h"

// Sum of (x - zx)(w - zw) of one output channel over part of the taps, held as content = sum over u*w + init.
struct channel {
  int64_t init, bias_term;  // smallest start that keeps the content non-negative; -zx * sum w
  struct bf_val acc;
};

struct taps { uint32_t first, end; };  // of kernel y * x * channels in the group

static void tap_at(const struct bf_conv *conv, uint32_t tap, uint32_t *ky, uint32_t *kx, uint32_t *c) {
  *c = tap % conv->ic_group;
  *kx = tap / conv->ic_group % conv->kernel[1];
  *ky = tap / conv->ic_group / conv->kernel[1];
}

// Weights of one output channel: w[tap] - zero.
struct row { const int64_t *w; int64_t zero; };

static struct row row_of(const struct bf_conv *conv, uint32_t oc) {
  uint64_t taps = (uint64_t)conv->kernel[0] * conv->kernel[1] * conv->ic_group;
  return (struct row){conv->w->data + oc * taps, bf_conv_zero(conv, oc)};
}

static int64_t zero_u(const struct bf_tensor *x) { return bf_quant_zero(&x->quant, 0) - bf_type_min(x->type); }

// What a load of x may bring: the contents of its memory, and the zero point as padding.
static void x_range(const struct bf_conv *conv, uint64_t *lo, uint64_t *hi) {
  bf_mem_range(conv->x, lo, hi);
  uint64_t pad = (uint64_t)zero_u(conv->x);
  if (pad < *lo) *lo = pad;
  if (pad > *hi) *hi = pad;
}

static struct channel analyse(const struct bf_conv *conv, uint32_t oc, struct taps taps, uint64_t x_lo, uint64_t x_hi) {
  struct channel ch = {0};
  struct row row = row_of(conv, oc);
  int64_t low = 0, lowest = 0, sum = 0;
  for (uint32_t t = taps.first; t < taps.end; t++) {
    int64_t w = row.w[t] - row.zero;
    low += w * (int64_t)(w > 0 ? x_lo : x_hi);
    if (low < lowest) lowest = low;
    sum += w;
  }
  ch.init = -lowest;
  ch.bias_term = -zero_u(conv->x) * sum;
  return ch;
}

static uint32_t input_desc(struct bf_lower *l, const struct bf_conv *conv) {
  struct bf_fdesc d = bf_pixel_desc(bf_lower_mem(l, conv->x), conv->in4[3]);
  for (int i = 0; i < 2; i++) {
    d.row_stride[1 + i] = conv->stride[i];
    d.origin[1 + i] = -conv->pad[i];
    d.tap_count[1 + i] = conv->kernel[i];
    d.tap_step[1 + i] = conv->dilation[i];
  }
  d.pad_value = (uint64_t)zero_u(conv->x);
  return bf_lower_desc(l, d);
}

static uint32_t load_tap(const struct bf_conv *conv, uint32_t oc, uint32_t tap) {
  uint32_t ky, kx, c;
  tap_at(conv, tap, &ky, &kx, &c);
  return (ky * conv->kernel[1] + kx) * conv->in4[3] + oc / conv->oc_group * conv->ic_group + c;
}

// Adds x, a tap's activation, to the sums of all channels.
static void add_tap(struct bf_lower *l, const struct row *rows, uint32_t count, uint32_t tap, const struct bf_val *x,
                    unsigned half, struct channel *ch) {
  for (uint32_t i = 0; i < count; i++) {
    int64_t w = rows[i].w[tap] - rows[i].zero;
    if (w) bf_build_mack(l, &ch[i].acc, x, w * (1 << half), true);
  }
}

static bool tap_used(const struct row *rows, uint32_t count, uint32_t tap) {
  for (uint32_t i = 0; i < count; i++)
    if (rows[i].w[tap] != rows[i].zero) return true;
  return false;
}

// 1 if the contents of x are even, so that the upper column alone tells them: b1 without padding.
static unsigned halved(const struct bf_node *node, const struct bf_conv *conv) {
  const int32_t *pad = node->attrs.pad;
  return conv->x->type.kind == BF_TYPE_B && !(pad[0] | pad[1] | pad[2] | pad[3]);
}

// Multiply-accumulates of `count` channels from `oc` over `taps`: x alternates between two buffers, so that the next
// tap is loaded while this one is added.
static void accumulate(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct taps taps,
                       struct channel *ch) {
  uint64_t x_lo, x_hi;
  x_range(conv, &x_lo, &x_hi);
  uint32_t desc = input_desc(l, conv);
  unsigned bits = bf_mem_bits(conv->x->type);
  unsigned half = halved(l->node, conv);
  struct bf_val x[2];
  for (int i = 0; i < 2; i++) {
    x[i] = (struct bf_val){.field = bf_field_new(l->region, "x%d", i), .offset = (uint16_t)half, .lo = x_lo >> half, .hi = x_hi >> half};
    l->region->fields[x[i].field].width = (uint16_t)bits;
  }
  struct row *rows = bf_alloc(count, sizeof *rows);
  for (uint32_t i = 0; i < count; i++) {
    rows[i] = row_of(conv, oc + i);
    ch[i] = analyse(conv, oc + i, taps, x_lo, x_hi);
    char name[24];
    snprintf(name, sizeof name, "acc%u", i);
    ch[i].acc = bf_build_const(l, (uint64_t)ch[i].init, ch[i].init, name);
  }
  unsigned which = 0;
  uint32_t pending = UINT32_MAX;
  for (uint32_t t = taps.first; t <= taps.end; t++) {
    bool used = t < taps.end && tap_used(rows, count, t);
    if (used)
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true,
                                               .d = {x[which].field, 0, bits}, .desc = desc,
                                               .tap = load_tap(conv, oc, t)});
    if ((used || t == taps.end) && pending != UINT32_MAX) add_tap(l, rows, count, pending, &x[which ^ 1], half, ch);
    if (used) {
      pending = t;
      which ^= 1;
    }
  }
  free(rows);
}

// Turns the bias of the content into that of the true sum: bias[oc] and the zero point's share join.
static void settle(const struct bf_conv *conv, uint32_t oc, struct channel *ch) {
  int64_t b = conv->bias ? conv->bias->data[oc] : 0;
  ch->acc.bias -= b + ch->bias_term;
}

static void finish(struct bf_lower *l, uint32_t oc, struct bf_val acc, uint32_t desc) {
  bf_build_requant_store(l, acc, &l->node->attrs.requant, oc, l->node->output->type, desc, oc);
}

static void lower_whole(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct taps taps,
                        struct channel *ch) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  bf_lower_region(l, rows);
  accumulate(l, conv, oc, count, taps, ch);
  uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, l->node->output), conv->out4[3]));
  for (uint32_t i = 0; i < count && !l->failed; i++) {
    settle(conv, oc + i, &ch[i]);
    finish(l, oc + i, ch[i].acc, out);
  }
  bf_lower_end_region(l, false);
}

// Split reduction: partial sums of each part go to memory of `bits`, part p of channel oc at index p * OC + oc.
struct partial { uint64_t hi; int64_t bias; };

static void lower_part(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct taps taps,
                       struct channel *ch, uint32_t mem, uint32_t index, struct partial *partials, unsigned bits) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  bf_lower_region(l, rows);
  accumulate(l, conv, oc, count, taps, ch);
  uint32_t desc = bf_lower_desc(l, bf_pixel_desc(mem, l->fields->mems[mem].shape[3]));
  for (uint32_t i = 0; i < count; i++) {
    partials[i] = (struct partial){ch[i].acc.hi, ch[i].acc.bias - ch[i].bias_term};
    bf_build_store(l, bf_val_low(l, &ch[i].acc, bits), desc, index + i);
  }
  bf_lower_end_region(l, false);
}

static void lower_join(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, uint32_t mem,
                       uint32_t parts, const struct partial *partials) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  uint32_t channels = conv->out4[3];
  bf_lower_region(l, rows);
  uint32_t in = bf_lower_desc(l, bf_pixel_desc(mem, l->fields->mems[mem].shape[3]));
  uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, l->node->output), channels));
  for (uint32_t i = oc; i < oc + count && !l->failed; i++) {
    struct bf_val sum = {0};
    for (uint32_t p = 0; p < parts; p++) {
      const struct partial *part = &partials[(size_t)p * channels + i];
      struct bf_val v = bf_build_load(l, in, p * channels + i, 0, part->hi, "part");
      v.bias = part->bias;
      if (!p) sum = bf_build_widen(l, v, "sum");
      else bf_build_add(l, &sum, &v);
    }
    sum.bias -= conv->bias ? conv->bias->data[i] : 0;
    finish(l, i, sum, out);
  }
  bf_lower_end_region(l, false);
}

static unsigned partial_bits(const struct bf_conv *conv, uint32_t parts, uint32_t taps) {
  uint64_t x_lo, x_hi, most = 1;
  x_range(conv, &x_lo, &x_hi);
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++)
    for (uint32_t p = 0; p < parts; p++) {
      struct row row = row_of(conv, oc);
      uint64_t sum = 0;
      for (uint32_t t = (uint32_t)((uint64_t)taps * p / parts); t < (uint64_t)taps * (p + 1) / parts; t++)
        sum += (uint64_t)llabs(row.w[t] - row.zero) * x_hi;
      if (sum > most) most = sum;
    }
  return bf_bits(most);
}

// Channels of one region: within a convolution group and the planned size.
static uint32_t group_end(const struct bf_conv *conv, uint32_t oc, uint32_t size) {
  uint32_t end = oc + size, limit = (oc / conv->oc_group + 1) * conv->oc_group;
  return end < limit ? end : limit;
}

static void lower_pixel(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  uint32_t taps = conv->kernel[0] * conv->kernel[1] * conv->ic_group, channels = conv->out4[3], parts = plan->split;
  struct channel *ch = bf_alloc(plan->group, sizeof *ch);
  if (parts <= 1) {
    for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
      end = group_end(conv, oc, plan->group);
      lower_whole(l, conv, oc, end - oc, (struct taps){0, taps}, ch);
    }
    free(ch);
    return;
  }
  struct partial *partials = bf_alloc((size_t)parts * channels, sizeof *partials);
  unsigned bits = partial_bits(conv, parts, taps);
  const uint32_t shape[4] = {conv->out4[0], conv->out4[1], conv->out4[2], parts * channels};
  uint32_t mem = bf_lower_temp(l, "partial", bits, shape);
  for (uint32_t p = 0; p < parts && !l->failed; p++)
    for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
      end = group_end(conv, oc, plan->group);
      struct taps part = {(uint32_t)((uint64_t)taps * p / parts), (uint32_t)((uint64_t)taps * (p + 1) / parts)};
      lower_part(l, conv, oc, end - oc, part, ch, mem, p * channels + oc, &partials[(size_t)p * channels + oc], bits);
    }
  if (l->region) l->region->barrier_after = true;
  for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
    end = group_end(conv, oc, plan->group);
    lower_join(l, conv, oc, end - oc, mem, parts, partials);
  }
  free(partials);
  free(ch);
}

// --- output mapping --------------------------------------------------------------------------------------------

static uint32_t weight_const(struct bf_lower *l, const struct bf_conv *conv, unsigned bits) {
  uint32_t shape[4] = {conv->out4[3], conv->kernel[0], conv->kernel[1], conv->ic_group};
  return bf_lower_weights(l, conv->w, bits, shape);
}

// Columns of a two's complement field that holds every w - zw.
static unsigned weight_bits(const struct bf_conv *conv) {
  uint32_t taps = conv->kernel[0] * conv->kernel[1] * conv->ic_group;
  uint64_t all = 0;
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++) {
    struct row row = row_of(conv, oc);
    for (uint32_t t = 0; t < taps; t++) {
      int64_t w = row.w[t] - row.zero;
      all |= (uint64_t)(w < 0 ? -(w + 1) : w);
    }
  }
  return bf_bits(all) + 1;
}

static uint32_t row_const(struct bf_lower *l, const char *name, const uint64_t *values, uint32_t channels, unsigned bits) {
  const uint32_t shape[4] = {1, 1, 1, channels};
  uint64_t *data = bf_alloc(channels, sizeof *data);
  memcpy(data, values, channels * sizeof *data);
  struct bf_fdesc d = bf_pixel_desc(bf_lower_const(l, name, bits, 0, shape, data), 1);
  for (int i = 0; i < 3; i++) d.row_dim[i] = 255, d.row_stride[i] = 0;
  d.row_dim[3] = 3;
  d.row_stride[3] = 1;
  d.tap_step[3] = 0;
  return bf_lower_desc(l, d);
}

// Start values and range of the accumulators: one bias for all rows.
static struct bf_val output_start(struct bf_lower *l, const struct bf_conv *conv, uint32_t taps, uint64_t x_lo, uint64_t x_hi) {
  uint32_t channels = conv->out4[3];
  int64_t bias = 0;
  uint64_t hi = 0, *starts = bf_alloc(channels, sizeof *starts);
  int64_t *b = bf_alloc(channels, sizeof *b);
  for (uint32_t oc = 0; oc < channels; oc++) {
    struct channel ch = analyse(conv, oc, (struct taps){0, taps}, x_lo, x_hi);
    b[oc] = (conv->bias ? conv->bias->data[oc] : 0) + ch.bias_term;
    if (ch.init - b[oc] > bias || !oc) bias = ch.init - b[oc];
  }
  for (uint32_t oc = 0; oc < channels; oc++) {
    starts[oc] = (uint64_t)(b[oc] + bias);
    uint64_t top = starts[oc];
    struct row row = row_of(conv, oc);
    for (uint32_t t = 0; t < taps; t++) {
      int64_t w = row.w[t] - row.zero;
      if (w > 0) top += (uint64_t)w * x_hi;
    }
    if (top > hi) hi = top;
  }
  uint32_t desc = row_const(l, "start", starts, channels, bf_bits(hi));
  struct bf_val acc = bf_build_load(l, desc, 0, 0, hi, "acc");
  acc.bias = bias;
  free(starts);
  free(b);
  return acc;
}

static void lower_output(struct bf_lower *l, const struct bf_conv *conv) {
  uint64_t x_lo, x_hi;
  x_range(conv, &x_lo, &x_hi);
  uint32_t taps = conv->kernel[0] * conv->kernel[1] * conv->ic_group;
  unsigned xb = bf_mem_bits(conv->x->type), wb = weight_bits(conv);
  bf_lower_region(l, conv->out4);
  struct bf_val acc = output_start(l, conv, taps, x_lo, x_hi);
  struct bf_fdesc wd = bf_elementwise_desc(weight_const(l, conv, wb));
  for (int i = 0; i < 4; i++) {
    wd.row_dim[i] = i == 3 ? 0 : 255;
    wd.row_stride[i] = i == 3;
    wd.tap_count[i] = i == 0 ? 1 : l->fields->mems[wd.mem].shape[i];
    wd.tap_step[i] = i > 0;
  }
  uint32_t in = input_desc(l, conv), weights = bf_lower_desc(l, wd);
  uint32_t x = bf_field_new(l->region, "x"), w = bf_field_new(l->region, "w"), p = bf_field_new(l->region, "product");
  l->region->fields[x].width = (uint16_t)xb;
  l->region->fields[w].width = (uint16_t)wb;
  l->region->fields[p].width = (uint16_t)(xb + wb);
  struct bf_slice sx = {x, 0, xb}, sw = {w, 0, wb}, sp = {p, 0, xb + wb};
  unsigned width = l->region->fields[acc.field].width;
  if (width < sp.width) sp.width = width & 127;  // the product mod 2^width of a sum that is known to fit
  for (uint32_t t = 0; t < taps; t++) {
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = sx, .desc = in, .tap = load_tap(conv, 0, t)});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = sw, .desc = weights, .tap = t});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_MULS, .in_stream = true, .d = {p, 0, xb + wb}, .a = sx, .b = sw});
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_ADDS, .in_stream = true, .d = {acc.field, 0, width}, .a = sp});
  }
  uint32_t out = bf_lower_desc(l, bf_elementwise_desc(bf_lower_mem(l, l->node->output)));
  bf_build_requant_store(l, acc, &l->node->attrs.requant, 0, l->node->output->type, out, 0);
  bf_lower_end_region(l, false);
}

void bf_lower_conv(struct bf_lower *l) {
  struct bf_conv conv;
  bf_conv_of(l->node, &conv);
  const struct bf_plan *plan = &l->unit->plans[l->node->id];
  uint64_t taps = (uint64_t)conv.kernel[0] * conv.kernel[1] * conv.in4[3];
  bool output = plan->mapping == BF_MAPPING_OUTPUT;
  bf_lower_layer(l, output ? "output" : "pixel", conv.w->type.bits, conv.x->type.bits);
  if (taps > 65536 || (uint64_t)plan->split * conv.out4[3] > 65536) {
    bf_lower_fail(l, "use fewer input channels", "%llu taps in a window, at most 65536 are possible", (unsigned long long)taps);
    return;
  }
  if (output) lower_output(l, &conv);
  else lower_pixel(l, &conv, plan);
}
