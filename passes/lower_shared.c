// SPDX-License-Identifier: Apache-2.0
// Lowering of the scheme `shared` (passes/shared.h). A region that needs more columns than there are is made of fewer channels.
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "passes/shared.h"

#define REQUANT_COLUMNS 40  // beside the accumulators and one more of their width

struct layer {
  struct bf_lower *l;
  const struct bf_conv *conv;
  const struct bf_plan *plan;
  const bool *load;
  bool parts;                 // accumulators are stored, all `bits` wide
  unsigned bits;
  struct bf_val acc[BF_MAX_SHARED_CHANNELS];
};

static void clear(struct bf_region *region) {
  for (size_t i = 0; i < region->nfields; i++) free(region->fields[i].name);
  region->nfields = region->nops = 0;
}

static bool fits(const struct layer *y, const struct bf_region *region, uint32_t count) {
  unsigned columns = y->l->unit->machine->columns, all = bf_region_columns(region), own = 0, widest = 0;
  for (uint32_t c = 0; c < count; c++) {
    unsigned width = region->fields[y->acc[c].field].width;
    if (y->bits > width) all += y->bits - width;
    own += width;
    if (width > widest) widest = width;
  }
  return all <= columns && (y->parts || AP_FLAG_COLUMNS + own + widest + REQUANT_COLUMNS <= columns);
}

// Sums of the channels from oc on, before `end`, over `taps` in the region, as many channels as columns allow; returns how many.
static uint32_t accumulate(struct layer *y, struct bf_region *region, uint32_t desc, uint32_t oc, uint32_t end, struct bf_taps taps) {
  uint32_t count = end - oc, window = y->plan->taps, slots = y->plan->slots;
  for (;;) {
    struct bf_shared s = {.region = region, .conv = y->conv, .oc = oc, .count = count, .taps = taps, .window = window, .largest = y->plan->largest,
                          .slots = slots, .desc = desc, .load = y->load, .both = y->plan->both};
    struct bf_shared_size size = bf_shared_accumulate(&s, y->acc);
    bool ok = size.fits && !size.wrong;
    if (size.wrong) bf_lower_fail(y->l, NULL, "internal: common sums are not the weights'");
    if (!ok) bf_lower_fail(y->l, "use --mapping=output", "a sum of products needs more than 62 bits");
    if (!ok || fits(y, region, count) || (count == 1 && window == 1 && !slots)) return count;
    clear(region);
    if (count > 1) count = (count + 1) / 2;
    else if (slots) slots /= 2;
    else window = (window + 1) / 2;
  }
}

static void begin(const struct layer *y) {
  const uint32_t rows[4] = {y->conv->out4[0], y->conv->out4[1], y->conv->out4[2], 1};
  bf_lower_region_shared(y->l, rows, (uint64_t)y->plan->split * ((y->conv->out4[3] + y->plan->group - 1) / y->plan->group));
}

static void lower_whole(struct layer *y) {
  struct bf_lower *l = y->l;
  const struct bf_conv *conv = y->conv;
  const struct bf_taps taps = {0, bf_conv_taps(conv)};
  for (uint32_t oc = 0, count; oc < conv->out4[3] && !l->failed; oc += count) {
    begin(y);
    count = accumulate(y, l->region, bf_conv_input_desc(l, conv), oc, bf_conv_group_end(conv, oc, y->plan->group), taps);
    uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, l->node->output), conv->out4[3]));
    for (uint32_t i = 0; i < count && !l->failed; i++) {
      y->acc[i].bias -= bf_conv_zero_term(conv, oc + i, taps) + (conv->bias ? conv->bias->data[oc + i] : 0);
      bf_build_requant_store(l, y->acc[i], &l->node->attrs.requant, oc + i, l->node->output->type, out, oc + i);
    }
    bf_lower_end_region(l, false);
  }
}

// The sum of channel oc over `taps` into the columns of a stored one: modulo 2^bits, with the bias that makes its smallest value 0.
static void bring_down(struct layer *y, struct bf_val *acc, uint32_t oc, struct bf_taps taps) {
  uint64_t x_lo, x_hi, mask = ((uint64_t)1 << y->bits) - 1;
  struct bf_conv_row row = bf_conv_row(y->conv, oc);
  int64_t low = 0, high = 0;
  bf_conv_x_range(y->conv, &x_lo, &x_hi);
  for (uint32_t t = taps.first; t < taps.end; t++) {
    int64_t w = bf_conv_weight(&row, t);
    low += w * (int64_t)(w > 0 ? x_lo : x_hi);
    high += w * (int64_t)(w > 0 ? x_hi : x_lo);
  }
  uint64_t k = ((uint64_t)-low - (uint64_t)acc->bias) & mask;
  struct bf_slice d = {acc->field, acc->offset & 127, y->bits & 127};
  if (k) bf_fop_append(y->l->region, (struct bf_fop){.kind = BF_FOP_ADDK, .d = d, .imm = k});
  acc->bias = -low;
  acc->lo = 0;
  acc->hi = (uint64_t)(high - low);
}

// Partial sums in memory.
struct parts { uint32_t mem; uint64_t *hi; int64_t *bias; };

static void lower_part(struct layer *y, struct parts *parts, uint32_t p, uint32_t oc, uint32_t end) {
  struct bf_lower *l = y->l;
  struct bf_taps taps = bf_conv_part(bf_conv_taps(y->conv), p, y->plan->split);
  uint32_t channels = y->conv->out4[3], count;
  for (; oc < end && !l->failed; oc += count) {
    begin(y);
    uint32_t in = bf_conv_input_desc(l, y->conv), out = bf_lower_desc(l, bf_pixel_desc(parts->mem, y->plan->split * channels));
    count = accumulate(y, l->region, in, oc, end, taps);
    for (uint32_t i = 0; i < count; i++) {
      struct bf_val *acc = &y->acc[i];
      if (bf_bits(acc->hi) > y->bits) bring_down(y, acc, oc + i, taps);
      parts->bias[oc + i] += acc->bias;
      if (acc->hi > parts->hi[p]) parts->hi[p] = acc->hi;
      bf_build_store(l, bf_val_low(l, acc, y->bits), out, p * channels + oc + i);
    }
    bf_lower_end_region(l, false);
  }
}

// Parts of one block after the other: where they divide the clusters, a port sees one part only, and a multicast serves its CAPs.
static void lower_blocks(struct layer *y, struct parts *parts) {
  for (uint32_t oc = 0, end; oc < y->conv->out4[3] && !y->l->failed; oc = end) {
    end = bf_conv_group_end(y->conv, oc, y->plan->group);
    for (uint32_t p = 0; p < y->plan->split; p++) lower_part(y, parts, p, oc, end);
  }
}

// Width of stored sums: a bit more than the widest range of a true sum, for the bias. One that doesn't fit is brought down (lower_part).
static unsigned stored_bits(const struct layer *y) {
  uint64_t x_lo, x_hi, most = 1;
  bf_conv_x_range(y->conv, &x_lo, &x_hi);
  for (uint32_t oc = 0; oc < y->conv->out4[3]; oc++) {
    struct bf_conv_row row = bf_conv_row(y->conv, oc);
    for (uint32_t p = 0; p < y->plan->split; p++) {
      struct bf_taps taps = bf_conv_part(bf_conv_taps(y->conv), p, y->plan->split);
      uint64_t sum = 0;
      for (uint32_t t = taps.first; t < taps.end; t++) sum += (uint64_t)llabs(bf_conv_weight(&row, t)) * x_hi;
      if (sum > most) most = sum;
    }
  }
  return bf_bits(most) + 1;
}

static void lower_parts(struct layer *y) {
  struct bf_lower *l = y->l;
  uint32_t split = y->plan->split, channels = y->conv->out4[3];
  y->bits = stored_bits(y);
  const uint32_t shape[4] = {y->conv->out4[0], y->conv->out4[1], y->conv->out4[2], split * channels};
  struct parts parts = {.mem = bf_lower_temp(l, "partial", y->bits, shape), .hi = bf_alloc(split, sizeof *parts.hi),
                        .bias = bf_alloc(channels, sizeof *parts.bias)};
  for (uint32_t oc = 0; oc < channels; oc++) parts.bias[oc] = -bf_conv_zero_term(y->conv, oc, (struct bf_taps){0, bf_conv_taps(y->conv)});
  lower_blocks(y, &parts);
  if (l->region) l->region->barrier_after = true;
  struct bf_partials partials = {parts.mem, split, y->bits, parts.bias, parts.hi, 0, 0};
  if (!l->failed) bf_lower_join(l, y->conv, &partials);
  free(parts.hi);
  free(parts.bias);
}

void bf_lower_shared(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  struct layer *y = bf_alloc(1, sizeof *y);
  bool *load = bf_conv_common_loads(l->unit, conv, plan->group);
  *y = (struct layer){.l = l, .conv = conv, .plan = plan, .load = load, .parts = plan->split > 1};
  if (y->parts) lower_parts(y);
  else lower_whole(y);
  free(load);
  free(y);
}
