// SPDX-License-Identifier: Apache-2.0
// Mapping `pixel`: a row is an output pixel; weights are constants in the code; activations of a tap are loaded once for a
// group of output channels. The reduction may be split over CAPs; partial sums then meet through memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/conv.h"

// Sum of (x - zx)(w - zw) of one output channel over part of the taps, held as content = sum over u*w + start.init.
struct channel {
  struct bf_conv_start start;
  struct bf_val acc;
};

// Adds x, a tap's activation, to the sums of all channels.
static void add_tap(struct bf_lower *l, const struct bf_conv_row *rows, uint32_t count, uint32_t tap, const struct bf_val *x,
                    unsigned half, struct channel *ch) {
  for (uint32_t i = 0; i < count; i++) {
    int64_t w = bf_conv_weight(&rows[i], tap);
    if (w) bf_build_mack(l, &ch[i].acc, x, w * (1 << half), true);
  }
}

static bool tap_used(const struct bf_conv_row *rows, uint32_t count, uint32_t tap) {
  for (uint32_t i = 0; i < count; i++)
    if (bf_conv_weight(&rows[i], tap)) return true;
  return false;
}

#define UNUSED_PART 4  // one unused load in so many, at most
bool *bf_conv_common_loads(const struct bf_unit *unit, const struct bf_conv *conv, uint32_t group) {
  uint32_t taps = bf_conv_taps(conv), channels = conv->out4[3], all = 0;
  if (!unit->machine->multicast || conv->groups > 1 || group >= channels) return NULL;
  bool *load = bf_alloc(taps, sizeof *load);
  uint64_t used = 0, regions = 0;
  struct bf_conv_row *rows = bf_alloc(channels, sizeof *rows);
  for (uint32_t oc = 0; oc < channels; oc++) rows[oc] = bf_conv_row(conv, oc);
  for (uint32_t oc = 0, end; oc < channels; oc = end, regions++) {
    end = bf_conv_group_end(conv, oc, group);
    for (uint32_t t = 0; t < taps; t++) {
      bool here = tap_used(rows + oc, end - oc, t);
      all += here && !load[t];
      load[t] = load[t] || here;
      used += here;
    }
    // A multicast takes the time of one load; in energy, each CAP's counts.
    if (!(unit->joule > 0) && all == taps) break;
  }
  free(rows);
  if (!(unit->joule > 0) || UNUSED_PART * (all * regions - used) <= all * regions) return load;
  free(load);
  return NULL;
}

// 1 if the contents of x are even, so that the upper column alone tells them: b1 without padding.
static unsigned halved(const struct bf_node *node, const struct bf_conv *conv) {
  const int32_t *pad = node->attrs.pad;
  return conv->x->type.kind == BF_TYPE_B && !(pad[0] | pad[1] | pad[2] | pad[3]);
}

// Multiply-accumulates of `count` channels from `oc` over `taps`: x alternates between two buffers, so that the next
// tap is loaded while this one is added.
static void accumulate(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct bf_taps taps,
                       const bool *load, struct channel *ch) {
  uint64_t x_lo, x_hi;
  bf_conv_x_range(conv, &x_lo, &x_hi);
  uint32_t desc = bf_conv_input_desc(l, conv);
  unsigned bits = bf_mem_bits(conv->x->type);
  unsigned half = halved(l->node, conv);
  struct bf_val x[2];
  for (int i = 0; i < 2; i++) {
    x[i] = (struct bf_val){.field = bf_field_new(l->region, "x%d", i), .offset = (uint16_t)half, .lo = x_lo >> half, .hi = x_hi >> half};
    l->region->fields[x[i].field].width = (uint16_t)bits;
  }
  struct bf_conv_row *rows = bf_alloc(count, sizeof *rows);
  for (uint32_t i = 0; i < count; i++) {
    rows[i] = bf_conv_row(conv, oc + i);
    ch[i].start = bf_conv_start_of(conv, oc + i, taps, x_lo, x_hi);
    char name[24];
    snprintf(name, sizeof name, "acc%u", i);
    ch[i].acc = bf_build_const(l, (uint64_t)ch[i].start.init, ch[i].start.init, name);
  }
  unsigned which = 0;
  uint32_t pending = UINT32_MAX;
  for (uint32_t t = taps.first; t <= taps.end; t++) {
    bool used = t < taps.end && (load ? load[t] : tap_used(rows, count, t));
    if (used)
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true,
                                               .d = {x[which].field, 0, bits}, .desc = desc,
                                               .tap = bf_conv_load_tap(conv, oc, t)});
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
  ch->acc.bias -= b + ch->start.zero_term;
}

static void finish(struct bf_lower *l, uint32_t oc, struct bf_val acc, uint32_t desc) {
  bf_build_requant_store(l, acc, &l->node->attrs.requant, oc, l->node->output->type, desc, oc);
}

// Regions of the layer's epoch.
static uint64_t regions_of(const struct bf_lower *l, const struct bf_conv *conv) {
  const struct bf_plan *plan = &l->unit->choices[l->node->id].plan;
  return (uint64_t)plan->split * ((conv->out4[3] + plan->group - 1) / plan->group);
}

static void lower_whole(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct bf_taps taps,
                        const bool *load, struct channel *ch) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  bf_lower_region_shared(l, rows, regions_of(l, conv));
  accumulate(l, conv, oc, count, taps, load, ch);
  uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, l->node->output), conv->out4[3]));
  for (uint32_t i = 0; i < count && !l->failed; i++) {
    settle(conv, oc + i, &ch[i]);
    finish(l, oc + i, ch[i].acc, out);
  }
  bf_lower_end_region(l, false);
}

// Split reduction: partial sums of each part go to memory of `bits`, part p of channel oc at index p * OC + oc.
struct partial { uint64_t hi; int64_t bias; };

static void lower_part(struct bf_lower *l, const struct bf_conv *conv, uint32_t oc, uint32_t count, struct bf_taps taps,
                       const bool *load, struct channel *ch, uint32_t mem, uint32_t index, struct partial *partials, unsigned bits) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  bf_lower_region_shared(l, rows, regions_of(l, conv));
  accumulate(l, conv, oc, count, taps, load, ch);
  uint32_t desc = bf_lower_desc(l, bf_pixel_desc(mem, l->fields->mems[mem].shape[3]));
  for (uint32_t i = 0; i < count; i++) {
    partials[i] = (struct partial){ch[i].acc.hi, ch[i].acc.bias - ch[i].start.zero_term};
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
  bf_conv_x_range(conv, &x_lo, &x_hi);
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++)
    for (uint32_t p = 0; p < parts; p++) {
      struct bf_conv_row row = bf_conv_row(conv, oc);
      uint64_t sum = 0;
      for (uint32_t t = (uint32_t)((uint64_t)taps * p / parts); t < (uint64_t)taps * (p + 1) / parts; t++)
        sum += (uint64_t)llabs(row.w[t] - row.zero) * x_hi;
      if (sum > most) most = sum;
    }
  return bf_bits(most);
}

void bf_lower_pixel(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  uint32_t taps = bf_conv_taps(conv), channels = conv->out4[3], parts = plan->split;
  struct channel *ch = bf_alloc(plan->group, sizeof *ch);
  bool *load = bf_conv_common_loads(l->unit, conv, plan->group);
  if (parts <= 1) {
    for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
      end = bf_conv_group_end(conv, oc, plan->group);
      lower_whole(l, conv, oc, end - oc, (struct bf_taps){0, taps}, load, ch);
    }
    free(ch);
    free(load);
    return;
  }
  struct partial *partials = bf_alloc((size_t)parts * channels, sizeof *partials);
  unsigned bits = partial_bits(conv, parts, taps);
  const uint32_t shape[4] = {conv->out4[0], conv->out4[1], conv->out4[2], parts * channels};
  uint32_t mem = bf_lower_temp(l, "partial", bits, shape);
  // Parts of one block after the other: where they divide the clusters, a port sees one part only, and a multicast serves its CAPs.
  for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
    end = bf_conv_group_end(conv, oc, plan->group);
    for (uint32_t p = 0; p < parts && !l->failed; p++) {
      struct bf_taps part = bf_conv_part(taps, p, parts);
      lower_part(l, conv, oc, end - oc, part, load, ch, mem, p * channels + oc, &partials[(size_t)p * channels + oc], bits);
    }
  }
  if (l->region) l->region->barrier_after = true;
  for (uint32_t oc = 0, end; oc < channels && !l->failed; oc = end) {
    end = bf_conv_group_end(conv, oc, plan->group);
    lower_join(l, conv, oc, end - oc, mem, parts, partials);
  }
  free(partials);
  free(load);
  free(ch);
}
