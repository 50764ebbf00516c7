// SPDX-License-Identifier: Apache-2.0
#include "passes/patterns.h"

#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"

struct bf_pattern_block bf_pattern_block_at(const struct bf_conv *conv, const struct bf_plan *plan, uint32_t oc, struct bf_conv_row *rows) {
  uint32_t left = (oc / conv->oc_group + 1) * conv->oc_group - oc;
  struct bf_pattern_block block = {oc, plan->keys, plan->group, rows};
  if (block.group > left) block.group = left;
  if (block.keys > left / block.group) block.keys = left / block.group;
  for (uint32_t i = 0; i < block.keys * block.group; i++) rows[i] = bf_conv_row(conv, oc + i);
  return block;
}

static bool used(const struct bf_pattern_block *block, uint32_t tap) {
  for (uint32_t i = 0; i < block->keys * block->group; i++)
    if (bf_conv_weight(&block->rows[i], tap)) return true;
  return false;
}

uint32_t bf_pattern_next(const struct bf_pattern_block *block, const struct bf_plan *plan, uint32_t from, uint32_t end, struct bf_pattern_taps *taps) {
  taps->count = 0;
  for (; from < end && taps->count < plan->taps; from++)
    if (used(block, from)) taps->at[taps->count++] = from;
  return from;
}

// Largest sums of negative and of positive weights of accumulator j, over all keys: with one base for all of them the additions can be shared.
static void reach(const struct bf_pattern_block *block, const struct bf_pattern_taps *taps, uint32_t j, struct bf_pattern_sums *sums) {
  uint64_t below = 0, above = 0;
  for (uint32_t k = 0; k < block->keys; k++) {
    const struct bf_conv_row *row = &block->rows[k * block->group + j];
    uint64_t size = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < taps->count; i++) {
      int64_t w = bf_conv_weight(row, taps->at[i]);
      sum += w;
      size += (uint64_t)(w < 0 ? -w : w);
    }
    uint64_t positive = (size + (uint64_t)sum) / 2, negative = size - positive;
    if (negative > below) below = negative;
    if (positive > above) above = positive;
  }
  sums->base[j] = below;
  sums->high[j] = below + above;
  sums->width[j] = (uint8_t)(sums->high[j] ? bf_bits(sums->high[j]) : 0);
}

bool bf_pattern_sums_of(const struct bf_pattern_block *block, const struct bf_pattern_taps *taps, struct bf_pattern_sums *sums) {
  memset(sums->columns, 0, sizeof sums->columns);
  sums->words = 0;
  for (uint32_t j = 0; j < block->group; j++) {
    reach(block, taps, j, sums);
    if (!sums->width[j]) continue;
    if (!sums->words || sums->columns[sums->words - 1] + sums->width[j] > AP_MAX_WIDTH) sums->words++;
    if (sums->words > BF_MAX_SUM_WORDS) return false;
    sums->word[j] = (uint8_t)(sums->words - 1);
    sums->offset[j] = (uint8_t)sums->columns[sums->words - 1];
    sums->columns[sums->words - 1] += sums->width[j];
  }
  return true;
}

static bool padded(const struct bf_conv *conv) {
  for (int i = 0; i < 2; i++) {
    int64_t last = (int64_t)(conv->out4[1 + i] - 1) * conv->stride[i] + (int64_t)(conv->kernel[i] - 1) * conv->dilation[i] - conv->pad[i];
    if (conv->pad[i] || last >= (int64_t)conv->in4[1 + i]) return true;
  }
  return false;
}

struct bf_pattern_planes bf_pattern_planes_of(const struct bf_conv *conv) {
  uint64_t lo, hi;
  bf_conv_x_range(conv, &lo, &hi);
  // b1 is stored as 0 or 2; only padding (1) makes use of the lower column.
  if (conv->x->type.kind == BF_TYPE_B && !padded(conv)) return (struct bf_pattern_planes){1, 1};
  return (struct bf_pattern_planes){0, bf_bits(hi)};
}

// Mean and largest figures over the regions that have been measured.
struct measure {
  const struct bf_conv *conv;
  const struct bf_plan *plan;
  unsigned columns, most, regions, widest, beside;  // widest accumulator; most columns beside accumulators
  struct bf_pattern_cost total;
};

static unsigned key_bits(uint32_t keys) { return keys > 1 ? bf_bits(keys - 1) : 0; }

// Columns of accumulators of which each has received `high`, over all planes.
static unsigned accumulators(const struct bf_pattern_block *block, const uint64_t *high, struct bf_pattern_planes planes, unsigned *widest) {
  unsigned columns = 0;
  for (uint32_t j = 0; j < block->group; j++) {
    unsigned width = bf_bits(high[j] * ((((uint64_t)1 << planes.count) - 1) << planes.first));
    columns += width;
    if (width > *widest) *widest = width;
  }
  return columns;
}

#define ADD_CYCLES 8     // of a bit, both operands
#define RIPPLE_CYCLES 4  // of a bit above the operand

// Largest sums of the accumulators, group of taps after group.
struct highs { uint64_t *items; size_t count, capacity; };

// Cycles of accumulator j's additions: plane after plane, in each all groups of taps; the content is at most what all that went before allow.
static double add_cycles(const struct highs *highs, const struct bf_pattern_block *block, uint32_t j, struct bf_pattern_planes planes) {
  uint64_t all = 0;
  double cycles = 0;
  for (size_t i = j; i < highs->count; i += block->group) all += highs->items[i];
  for (unsigned b = 0; b < planes.count; b++) {
    uint64_t before = ((all << b) - all) >> b;
    for (size_t i = j; i < highs->count; i += block->group) {
      uint64_t high = highs->items[i];
      if (!high) continue;
      before += high;
      cycles += ADD_CYCLES * bf_bits(high) + RIPPLE_CYCLES * (double)(bf_bits(before) - bf_bits(high));
    }
  }
  return cycles;
}

static bool measure_region(struct measure *m, const struct bf_pattern_block *block, struct bf_taps part) {
  struct bf_pattern_planes planes = bf_pattern_planes_of(m->conv);
  struct bf_pattern_taps taps;
  struct bf_pattern_sums sums;
  uint64_t high[BF_MAX_ACCUMULATORS] = {0};
  struct highs highs = {0};
  bool ok = true;
  unsigned word[BF_MAX_SUM_WORDS] = {0}, widest = 0, keys = key_bits(block->keys), sum_columns = 0;
  for (uint32_t t = part.first; t < part.end;) {
    t = bf_pattern_next(block, m->plan, t, part.end, &taps);
    if (!taps.count) break;
    if (!(ok = bf_pattern_sums_of(block, &taps, &sums))) break;
    double searches = (double)block->keys * (1u << taps.count) * sums.words * planes.count;
    m->total.searches += searches;
    m->total.search_cells += searches * (taps.count + keys);
    for (unsigned w = 0; w < sums.words; w++) {
      if (sums.columns[w] > word[w]) word[w] = sums.columns[w];
      m->total.written += sums.columns[w] * planes.count;
    }
    for (uint32_t j = 0; j < block->group; j++) {
      high[j] += sums.high[j];
      BF_PUSH(highs.items, highs.count, highs.capacity) = sums.high[j];
    }
  }
  for (uint32_t j = 0; j < block->group && ok; j++) m->total.additions += add_cycles(&highs, block, j, planes);
  free(highs.items);
  for (unsigned w = 0; w < BF_MAX_SUM_WORDS; w++) sum_columns += word[w];
  unsigned held = AP_FLAG_COLUMNS + accumulators(block, high, planes, &widest), summing = held + keys + 2 * m->plan->taps + sum_columns;
  // A requantization at the end has the columns of sums and planes to itself.
  unsigned finishing = m->plan->keys == 1 && m->plan->split == 1 ? held + widest + 40 : held;
  unsigned need = summing > finishing ? summing : finishing;
  if (need > m->most) m->most = need;
  if (widest > m->widest) m->widest = widest;
  if (summing - held > m->beside) m->beside = summing - held;
  m->regions++;
  return ok && need <= m->columns && widest <= AP_MAX_WIDTH;
}

bool bf_pattern_measure(const struct bf_conv *conv, const struct bf_plan *plan, unsigned columns, uint32_t stride, struct bf_pattern_cost *cost) {
  struct measure m = {.conv = conv, .plan = plan, .columns = columns};
  struct bf_conv_row *rows = bf_alloc((size_t)plan->keys * plan->group, sizeof *rows);
  uint32_t taps = bf_conv_taps(conv), number = 0;
  bool ok = true;
  for (uint32_t p = 0; p < plan->split && ok; p++)
    for (uint32_t oc = 0; oc < conv->out4[3] && ok;) {
      struct bf_pattern_block block = bf_pattern_block_at(conv, plan, oc, rows);
      if (number++ % stride == 0) ok = measure_region(&m, &block, bf_conv_part(taps, p, plan->split));
      oc += block.keys * block.group;
    }
  free(rows);
  // Partial sums of all parts are stored at the width of the widest; a region that was not measured may have one that is wider by a bit.
  unsigned spare = stride > 1 ? plan->group : 0, stored = AP_FLAG_COLUMNS + plan->group * m.widest + m.beside;
  if (plan->split > 1 || plan->keys > 1) m.most = stored > m.most ? stored : m.most;
  if (m.most + spare > columns) ok = false;
  *cost = m.total;
  cost->columns = m.most;
  cost->searches /= m.regions;
  cost->search_cells /= m.regions;
  cost->written /= m.regions;
  cost->additions /= m.regions;
  cost->cycles = 2 * cost->searches + cost->additions;
  return ok;
}
