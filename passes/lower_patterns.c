// SPDX-License-Identifier: Apache-2.0
// Lowering of the scheme `patterns` (passes/patterns.h): bit plane after bit plane, the lowest first, so that early sums are narrow;
// in each plane all taps, in groups. Bits of the next group are loaded while this one is added.
#include <stdlib.h>
#include <string.h>

#include "passes/patterns.h"

// A group of taps of a region: its sums, and its first pattern (word after word, key after key).
struct step { struct bf_pattern_taps taps; struct bf_pattern_sums sums; uint32_t first; };

// A region while it is built.
struct region {
  struct bf_lower *l;
  const struct bf_conv *conv;
  const struct bf_plan *plan;
  struct bf_pattern_block block;
  struct bf_conv_row *rows;  // of the block
  struct step *steps;
  size_t nsteps, capacity;
  uint32_t keys;  // memory of the keys' numbers, BF_NO_INDEX: none yet
  uint32_t x[2], id, sum[BF_MAX_SUM_WORDS], desc[64];  // fields; descriptors by plane
  struct bf_val acc[BF_MAX_ACCUMULATORS];
};

static uint64_t field_sum(const struct bf_pattern_sums *sums, unsigned word, uint32_t j, int64_t value) {
  return sums->width[j] && sums->word[j] == word ? (uint64_t)value << sums->offset[j] : 0;
}

// Packed constants: sums never leave their columns, so that what a negative weight borrows from its neighbours is paid back by the base.
static void add_pattern(struct region *r, const struct step *step, unsigned word, uint32_t key) {
  unsigned columns = step->sums.columns[word];
  uint64_t mask = columns < 64 ? ((uint64_t)1 << columns) - 1 : UINT64_MAX;
  struct bf_pattern p = {.inputs = (uint8_t)step->taps.count, .key = (uint8_t)key};
  for (uint32_t j = 0; j < r->block.group; j++) {
    const struct bf_conv_row *row = &r->block.rows[key * r->block.group + j];
    p.base += field_sum(&step->sums, word, j, (int64_t)step->sums.base[j]);
    for (uint32_t i = 0; i < step->taps.count; i++)
      p.add[i] += field_sum(&step->sums, word, j, bf_conv_weight(row, step->taps.at[i]));
  }
  p.base &= mask;
  for (uint32_t i = 0; i < step->taps.count; i++) p.add[i] &= mask;
  struct bf_region *region = r->l->region;
  BF_PUSH(region->patterns, region->npatterns, region->patterns_capacity) = p;
}

static bool plan_steps(struct region *r, struct bf_taps part) {
  for (uint32_t t = part.first; t < part.end;) {
    struct step step = {.first = (uint32_t)r->l->region->npatterns};
    t = bf_pattern_next(&r->block, r->plan, t, part.end, &step.taps);
    if (!step.taps.count) break;
    if (!bf_pattern_sums_of(&r->block, &step.taps, &step.sums))
      return bf_lower_fail(r->l, "use --mapping=output", "the sums of %u accumulators are too wide", r->block.group);
    for (unsigned w = 0; w < step.sums.words; w++)
      for (uint32_t k = 0; k < r->block.keys; k++) add_pattern(r, &step, w, k);
    BF_PUSH(r->steps, r->nsteps, r->capacity) = step;
  }
  return true;
}

static uint32_t new_field(struct region *r, const char *name, unsigned number, unsigned width) {
  uint32_t field = bf_field_new(r->l->region, "%s%u", name, number);
  r->l->region->fields[field].width = (uint16_t)width;
  return field;
}

// Fields of planes, sums and accumulators, and the rows' keys.
static void make_fields(struct region *r, struct bf_pattern_planes planes) {
  unsigned words = 0, columns[BF_MAX_SUM_WORDS] = {0}, taps = 1;
  for (size_t i = 0; i < r->nsteps; i++) {
    const struct step *s = &r->steps[i];
    if (s->taps.count > taps) taps = s->taps.count;
    for (unsigned w = 0; w < s->sums.words; w++)
      if (s->sums.columns[w] > columns[w]) columns[w] = s->sums.columns[w];
    if (s->sums.words > words) words = s->sums.words;
  }
  for (unsigned i = 0; i < 2; i++) r->x[i] = new_field(r, "x", i, taps);
  for (unsigned w = 0; w < words; w++) r->sum[w] = new_field(r, "sums", w, columns[w]);
  for (uint32_t j = 0; j < r->block.group; j++) r->acc[j] = (struct bf_val){.field = new_field(r, "acc", j, 1)};
  for (unsigned b = planes.first; b < planes.first + planes.count; b++) {
    struct bf_fdesc d = bf_conv_input_fdesc(r->l, r->conv);
    d.row_dim[3] = 255;
    d.bit = (uint8_t)b;
    d.bits = 1;
    d.pad_value = d.pad_value >> b & 1;
    r->desc[b] = bf_lower_desc(r->l, d);
  }
}

// The numbers of all keys, in memory.
static uint32_t keys_const(struct region *r) {
  uint32_t keys = r->plan->keys;
  uint64_t *data = bf_alloc(keys, sizeof *data);
  for (uint32_t k = 0; k < keys; k++) data[k] = k;
  const uint32_t shape[4] = {1, 1, 1, keys};
  return bf_lower_const(r->l, "keys", bf_bits(keys - 1), 0, shape, data);
}

static void load_keys(struct region *r) {
  uint32_t keys = r->block.keys;
  if (keys == 1) return;
  if (r->keys == BF_NO_INDEX) r->keys = keys_const(r);
  struct bf_fdesc d = bf_pixel_desc(r->keys, 1);
  d.bits = (uint8_t)bf_bits(keys - 1);
  for (int i = 0; i < 3; i++) d.row_dim[i] = 255, d.row_stride[i] = 0;
  d.row_dim[3] = 3;
  d.row_stride[3] = 1;
  d.tap_step[3] = 0;
  r->id = bf_build_load(r->l, bf_lower_desc(r->l, d), 0, 0, keys - 1, "key").field;
}

static void load_bits(struct region *r, const struct step *step, unsigned plane, unsigned buffer) {
  for (uint32_t i = 0; i < step->taps.count; i++)
    bf_fop_append(r->l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = {r->x[buffer], i & 127, 1}, .desc = r->desc[plane],
                                                .tap = bf_conv_load_tap(r->conv, r->block.oc, step->taps.at[i])});
}

// Adds the sum of accumulator j, 2^plane times; the first of all is only copied.
static void add_sum(struct region *r, const struct bf_pattern_sums *sums, uint32_t j, unsigned plane) {
  struct bf_val *acc = &r->acc[j];
  struct bf_slice a = {r->sum[sums->word[j]], sums->offset[j] & 127, sums->width[j] & 127}, whole = {acc->field, 0, 0};
  struct bf_region *region = r->l->region;
  bool first = !acc->hi, copied = first && !plane;
  acc->hi += sums->high[j] << plane;
  acc->bias += (int64_t)(sums->base[j] << plane);
  unsigned width = bf_bits(acc->hi >> plane);
  if (plane + width > region->fields[acc->field].width) region->fields[acc->field].width = (uint16_t)(plane + width);
  if (first && plane) bf_fop_append(region, (struct bf_fop){.kind = BF_FOP_SETK, .d = whole});
  if (copied) bf_fop_append(region, (struct bf_fop){.kind = BF_FOP_COPY, .in_stream = true, .d = whole, .a = a});
  else
    bf_fop_append(region, (struct bf_fop){.kind = BF_FOP_ADD, .in_stream = true, .d = {acc->field, plane & 127, width & 127}, .a = a});
}

static void add_step(struct region *r, const struct step *step, unsigned plane, unsigned buffer) {
  uint32_t pattern = step->first;
  unsigned id_bits = r->block.keys > 1 ? bf_bits(r->block.keys - 1) : 0;
  for (unsigned w = 0; w < step->sums.words; w++)
    for (uint32_t k = 0; k < r->block.keys; k++)
      bf_fop_append(r->l->region, (struct bf_fop){.kind = BF_FOP_PATTERN, .in_stream = true, .d = {r->sum[w], 0, step->sums.columns[w] & 127},
                                                  .a = {r->x[buffer], 0, step->taps.count & 127}, .b = {r->id, 0, id_bits & 127}, .pattern = pattern++});
  for (uint32_t j = 0; j < r->block.group; j++)
    if (step->sums.width[j]) add_sum(r, &step->sums, j, plane);
}

// Accumulates the block's sums over the taps; afterwards content = sum of (content of x) * w + bias.
static bool accumulate(struct region *r, struct bf_taps part) {
  struct bf_pattern_planes planes = bf_pattern_planes_of(r->conv);
  if (!plan_steps(r, part)) return false;
  make_fields(r, planes);
  load_keys(r);
  size_t all = r->nsteps * planes.count;
  for (size_t i = 0; i <= all; i++) {
    if (i < all) load_bits(r, &r->steps[i % r->nsteps], planes.first + (unsigned)(i / r->nsteps), i & 1);
    if (i > 0) add_step(r, &r->steps[(i - 1) % r->nsteps], planes.first + (unsigned)((i - 1) / r->nsteps), (i - 1) & 1);
  }
  for (uint32_t j = 0; j < r->block.group; j++)
    if (!r->acc[j].hi) bf_fop_append(r->l->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = {r->acc[j].field, 0, 0}});
  return true;
}

static void begin(struct region *r, const struct bf_conv *conv, uint32_t keys) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], keys};
  uint32_t block = r->plan->keys * r->plan->group;
  bf_lower_region_shared(r->l, rows, (uint64_t)r->plan->split * ((conv->out4[3] + block - 1) / block));
}

// One region for each block: sums are requantized where they are.
static void lower_whole(struct region *r, const struct bf_conv *conv) {
  struct bf_lower *l = r->l;
  for (uint32_t oc = 0; oc < conv->out4[3] && !l->failed; oc += r->block.group) {
    r->nsteps = 0;
    r->block = bf_pattern_block_at(conv, r->plan, oc, r->rows);
    struct bf_taps taps = {0, bf_conv_taps(conv)};
    begin(r, conv, 1);
    if (!accumulate(r, taps)) return;
    uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, l->node->output), conv->out4[3]));
    for (uint32_t j = 0; j < r->block.group && !l->failed; j++) {
      r->acc[j].bias -= bf_conv_zero_term(conv, oc + j, taps) + (conv->bias ? conv->bias->data[oc + j] : 0);
      bf_build_requant_store(l, r->acc[j], &l->node->attrs.requant, oc + j, l->node->output->type, out, oc + j);
    }
    bf_lower_end_region(l, false);
  }
}

// Stores the accumulators of part p.
static void store(struct region *r, const struct bf_conv *conv, uint32_t p, unsigned bits, uint32_t mem) {
  struct bf_fdesc d = bf_pixel_desc(mem, r->plan->split * conv->out4[3]);
  if (r->block.keys > 1) {
    d.row_dim[3] = 3;
    d.row_stride[3] = (int32_t)r->block.group;
  }
  uint32_t desc = bf_lower_desc(r->l, d);
  for (uint32_t j = 0; j < r->block.group; j++)
    bf_build_store(r->l, bf_val_low(r->l, &r->acc[j], bits), desc, p * conv->out4[3] + r->block.oc + j);
}

// Bits of the largest element of any part, and the largest element of each.
static unsigned reach(const struct region *r, const struct bf_conv *conv, uint64_t *hi) {
  struct bf_pattern_planes planes = bf_pattern_planes_of(conv);
  uint64_t times = (((uint64_t)1 << planes.count) - 1) << planes.first, most = 1;
  for (uint32_t p = 0; p < r->plan->split; p++) {
    struct bf_taps part = bf_conv_part(bf_conv_taps(conv), p, r->plan->split);
    hi[p] = 0;
    for (uint32_t oc = 0; oc < conv->out4[3];) {
      struct bf_pattern_block block = bf_pattern_block_at(conv, r->plan, oc, r->rows);
      uint64_t sum[BF_MAX_ACCUMULATORS] = {0};
      struct bf_pattern_taps taps;
      struct bf_pattern_sums sums;
      for (uint32_t t = part.first; t < part.end;) {
        t = bf_pattern_next(&block, r->plan, t, part.end, &taps);
        if (!taps.count || !bf_pattern_sums_of(&block, &taps, &sums)) break;
        for (uint32_t j = 0; j < block.group; j++) sum[j] += sums.high[j];
      }
      for (uint32_t j = 0; j < block.group; j++)
        if (sum[j] * times > hi[p]) hi[p] = sum[j] * times;
      oc += block.keys * block.group;
    }
    if (hi[p] > most) most = hi[p];
  }
  return bf_bits(most);
}

// Partial sums of all parts and blocks go to memory; the join adds and requantizes them, one output element a row.
static void lower_parts(struct region *r, const struct bf_conv *conv) {
  struct bf_lower *l = r->l;
  uint32_t parts = r->plan->split, channels = conv->out4[3];
  uint64_t *hi = bf_alloc(parts, sizeof *hi);
  int64_t *bias = bf_alloc(channels, sizeof *bias);
  unsigned bits = reach(r, conv, hi);
  const uint32_t shape[4] = {conv->out4[0], conv->out4[1], conv->out4[2], parts * channels};
  uint32_t mem = bf_lower_temp(l, "partial", bits, shape);
  for (uint32_t oc = 0; oc < channels; oc++) bias[oc] = -bf_conv_zero_term(conv, oc, (struct bf_taps){0, bf_conv_taps(conv)});
  for (uint32_t p = 0; p < parts && !l->failed; p++)
    for (uint32_t oc = 0; oc < channels && !l->failed; oc += r->block.keys * r->block.group) {
      r->nsteps = 0;
      r->block = bf_pattern_block_at(conv, r->plan, oc, r->rows);
      begin(r, conv, r->block.keys);
      if (!accumulate(r, bf_conv_part(bf_conv_taps(conv), p, parts))) break;
      for (uint32_t i = 0; i < r->block.keys * r->block.group; i++) bias[oc + i] += r->acc[i % r->block.group].bias;
      store(r, conv, p, bits, mem);
      bf_lower_end_region(l, false);
    }
  if (l->region) l->region->barrier_after = true;
  struct bf_partials partials = {mem, parts, bits, bias, hi, 0, 0};
  if (!l->failed) bf_lower_join(l, conv, &partials);
  free(hi);
  free(bias);
}

void bf_lower_patterns(struct bf_lower *l, const struct bf_conv *conv, const struct bf_plan *plan) {
  struct region r = {.l = l, .conv = conv, .plan = plan, .keys = BF_NO_INDEX};
  r.rows = bf_alloc((size_t)plan->keys * plan->group, sizeof *r.rows);
  if (plan->keys == 1 && plan->split == 1) lower_whole(&r, conv);
  else lower_parts(&r, conv);
  free(r.rows);
  free(r.steps);
}
