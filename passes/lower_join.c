// SPDX-License-Identifier: Apache-2.0
// Partial sums in memory to outputs. On a level, radix parts that lie parts / radix apart are added, one sum a row, and stored; the
// last level requantizes. Numbers of parts that the radix doesn't divide are filled up with zeros: loads beyond the end.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/join.h"

// Adds elements tap, tap + step, … of desc, `count` of them up to hi[0], hi[1], …; two buffers alternate.
static struct bf_val add_parts(struct bf_lower *l, uint32_t desc, uint32_t tap, uint32_t step, uint32_t count, const uint64_t *hi) {
  unsigned bits = l->fields->mems[l->fields->descs[desc].mem].bits;
  struct bf_val sum = {.field = bf_field_new(l->region, "sum"), .hi = hi[0]};
  uint64_t all = 0;
  for (uint32_t k = 0; k < count; k++) all += hi[k];
  unsigned width = bf_bits(all) > bits ? bf_bits(all) : bits;
  l->region->fields[sum.field].width = (uint16_t)width;
  if (width > bits)
    bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_SETK, .d = {sum.field, bits & 127, (width - bits) & 127}});
  bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOAD, .d = {sum.field, 0, bits & 127}, .desc = desc, .tap = tap});
  struct bf_val x[2];
  for (int i = 0; i < 2 && count > 1u + (unsigned)i; i++) {
    x[i] = (struct bf_val){.field = bf_field_new(l->region, "part%d", i)};
    l->region->fields[x[i].field].width = (uint16_t)bits;
  }
  for (uint32_t k = 1; k <= count; k++) {
    if (k < count)
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = {x[~k & 1].field, 0, bits & 127}, .desc = desc,
                                               .tap = tap + k * step});
    if (k == 1 || !hi[k - 1]) continue;
    x[k & 1].hi = hi[k - 1];
    bf_build_add(l, &sum, &x[k & 1]);
    l->region->ops[l->region->nops - 1].in_stream = true;
  }
  return sum;
}

// What is left to join: parts of `channels` channels from `first` on.
struct join { uint32_t mem, parts, first, channels; unsigned bits, level; uint64_t *hi; };

// Memory for the sums of a level. Those of other channels, which are done, may be overwritten.
static uint32_t sums_memory(struct bf_lower *l, const struct join *j, unsigned bits, const uint32_t shape[4]) {
  struct bf_fprogram *p = l->fields;
  char *stem = bf_format("%s.sums%u", l->node->name, j->level);
  size_t length = strlen(stem);
  uint32_t found = BF_NO_INDEX;
  for (size_t i = 0; i < p->nmems && j->first; i++) {
    const struct bf_fmem *m = &p->mems[i];
    if (m->kind == BF_FMEM_TEMP && m->bits == bits && !memcmp(m->shape, shape, sizeof m->shape) && !strncmp(m->name, stem, length) &&
        (!m->name[length] || m->name[length] == '_'))
      found = (uint32_t)i;
  }
  free(stem);
  if (found != BF_NO_INDEX) return found;
  char name[40];
  snprintf(name, sizeof name, j->first ? "sums%u_%u" : "sums%u", j->level, j->first);
  return bf_lower_temp(l, name, bits, shape);
}

// What is added up in row group p when parts lie `left` apart: largest elements.
static void column(const struct join *j, uint32_t left, uint32_t radix, uint32_t p, uint64_t *hi) {
  for (uint32_t k = 0; k < radix; k++) hi[k] = p + k * left < j->parts ? j->hi[p + k * left] : 0;
}

static struct bf_fdesc parts_desc(const struct join *j, uint32_t apart, uint32_t radix) {
  struct bf_fdesc d = bf_elementwise_desc(j->mem);
  d.tap_count[3] = radix;
  d.tap_step[3] = (int32_t)apart;
  return d;
}

static void level(struct bf_lower *l, const struct bf_conv *conv, struct join *j, uint32_t radix) {
  uint32_t left = (j->parts + radix - 1) / radix, channels = j->channels;
  uint64_t *hi = bf_alloc(left, sizeof *hi), *at = bf_alloc(radix, sizeof *at), *most = bf_alloc(radix, sizeof *most), top = 0;
  for (uint32_t p = 0; p < left; p++) {
    column(j, left, radix, p, at);
    for (uint32_t k = 0; k < radix; k++) {
      hi[p] += at[k];
      if (at[k] > most[k]) most[k] = at[k];
    }
    if (hi[p] > top) top = hi[p];
  }
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], left * channels};
  bf_lower_region(l, rows);
  struct bf_val sum = add_parts(l, bf_lower_desc(l, parts_desc(j, left * channels, radix)), 0, 1, radix, most);
  unsigned bits = bf_bits(top);
  uint32_t mem = sums_memory(l, j, bits, rows);
  bf_build_store(l, bf_val_low(l, &sum, bits), bf_lower_desc(l, bf_elementwise_desc(mem)), 0);
  bf_lower_end_region(l, true);
  free(j->hi);
  free(at);
  free(most);
  *j = (struct join){mem, left, j->first, channels, bits, j->level + 1, hi};
}

static void finish_rows(struct bf_lower *l, const struct bf_conv *conv, const struct join *j, const struct bf_rows_rule *rule) {
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], j->channels};
  bf_lower_region(l, rows);
  struct bf_val sum = add_parts(l, bf_lower_desc(l, parts_desc(j, j->channels, j->parts)), 0, 1, j->parts, j->hi);
  bf_build_rows_rule(l, rule, sum);
  bf_lower_end_region(l, false);
}

static void finish_pixels(struct bf_lower *l, const struct bf_conv *conv, const struct join *j, const int64_t *bias) {
  const struct bf_node *node = l->node;
  const uint32_t rows[4] = {conv->out4[0], conv->out4[1], conv->out4[2], 1};
  for (uint32_t c = j->first; c < j->first + j->channels && !l->failed; c++) {
    bf_lower_region(l, rows);
    uint32_t in = bf_lower_desc(l, bf_pixel_desc(j->mem, j->parts * j->channels));
    uint32_t out = bf_lower_desc(l, bf_pixel_desc(bf_lower_mem(l, node->output), conv->out4[3]));
    struct bf_val sum = add_parts(l, in, c - j->first, j->channels, j->parts, j->hi);
    sum.bias = bias[c] - (conv->bias ? conv->bias->data[c] : 0);
    bf_build_requant_store(l, sum, &node->attrs.requant, c, node->output->type, out, c);
    bf_lower_end_region(l, false);
  }
}

void bf_lower_join(struct bf_lower *l, const struct bf_conv *conv, const struct bf_partials *partials) {
  struct join j = {.mem = partials->mem, .parts = partials->parts, .bits = partials->bits, .first = partials->first,
                   .channels = partials->count ? partials->count : conv->out4[3]};
  uint64_t all = 0;
  j.hi = bf_alloc(j.parts, sizeof *j.hi);
  memcpy(j.hi, partials->hi, j.parts * sizeof *j.hi);
  for (uint32_t p = 0; p < j.parts; p++) all += j.hi[p];
  struct bf_rows_rule rule;
  bool in_rows = bf_rows_rule_of(&rule, l->unit, l->node, conv, partials->bias, j.first, j.channels, 0, all);
  struct bf_join_shape shape = {.pixels = (double)conv->out4[0] * conv->out4[1] * conv->out4[2], .channels = j.channels, .parts = j.parts,
                                .bits = j.bits, .out_bits = bf_mem_bits(l->node->output->type)};
  shape.rows_cycles = in_rows ? rule.cycles : INFINITY;
  shape.code_cycles = bf_requant_code_cycles(&l->node->attrs.requant, all);
  struct bf_join_plan plan = bf_join_plan_of(l->unit, &shape);
  if (isinf(plan.cost.cycles)) bf_lower_fail(l, "use fewer output channels", "the partial sums cannot be joined");
  for (unsigned i = 0; i < plan.levels && !l->failed; i++) level(l, conv, &j, plan.radix[i]);
  if (!l->failed && plan.pixels) finish_pixels(l, conv, &j, partials->bias);
  else if (!l->failed) finish_rows(l, conv, &j, &rule);
  if (in_rows) bf_rows_rule_free(&rule);
  free(j.hi);
}
