// SPDX-License-Identifier: Apache-2.0
// Sums over dimensions. A row is an output element, its terms are loaded one after the other. Where several dimensions
// are summed, one is summed at a time, as the rows of the sums that are still to be summed work side by side.
#include "passes/builder.h"

#define FEW_TAPS 8u  // up to here the detour over memory costs more than it saves

// Contents on their way to the output: in memory `mem` of shape `shape`, value = content - bias.
struct sums { uint32_t mem, shape[4]; uint64_t lo, hi; int64_t bias; };

static struct bf_fdesc sum_desc(const struct sums *in, unsigned axes, bool per_channel) {
  struct bf_fdesc d = per_channel ? bf_pixel_desc(in->mem, in->shape[3]) : bf_elementwise_desc(in->mem);
  for (int i = 0; i < 4; i++)
    if (axes >> i & 1) {
      d.row_dim[i] = 255;
      d.row_stride[i] = 0;
      d.tap_count[i] = in->shape[i];
      d.tap_step[i] = 1;
    }
  return d;
}

// The sum over all taps (of one channel) in the current region; two buffers alternate.
static struct bf_val accumulate(struct bf_lower *l, const struct sums *in, struct bf_fdesc desc, uint32_t first, uint32_t step,
                                uint32_t taps) {
  uint32_t id = bf_lower_desc(l, desc);
  unsigned bits = l->fields->mems[in->mem].bits;
  struct bf_val x[2], sum = bf_build_const(l, 0, 0, "sum");
  for (int i = 0; i < 2; i++) {
    x[i] = (struct bf_val){.field = bf_field_new(l->region, "x%d", i), .lo = in->lo, .hi = in->hi, .bias = in->bias};
    l->region->fields[x[i].field].width = (uint16_t)bits;
  }
  for (uint32_t t = 0; t <= taps && !l->failed; t++) {
    if (t < taps)
      bf_fop_append(l->region, (struct bf_fop){.kind = BF_FOP_LOADP, .in_stream = true, .d = {x[t & 1].field, 0, (uint16_t)bits},
                                               .desc = id, .tap = first + t * step});
    if (t) {
      bf_build_add(l, &sum, &x[(t - 1) & 1]);
      l->region->ops[l->region->nops - 1].in_stream = true;
    }
  }
  return sum;
}

static void rows_without(const uint32_t shape[4], unsigned axes, uint32_t rows[4]) {
  for (int i = 0; i < 4; i++) rows[i] = axes >> i & 1 ? 1 : shape[i];
}

// Sums over one dimension into memory of its own.
static void partial_sums(struct bf_lower *l, struct sums *s, int axis) {
  uint32_t rows[4], taps = s->shape[axis];
  rows_without(s->shape, 1u << axis, rows);
  bf_lower_region(l, rows);
  struct bf_val sum = accumulate(l, s, sum_desc(s, 1u << axis, false), 0, 1, taps);
  unsigned bits = bf_bits(sum.hi);
  const char *const names[4] = {"sums_n", "sums_y", "sums_x", "sums_c"};
  uint32_t mem = bf_lower_temp(l, names[axis], bits, rows);
  bf_build_store(l, bf_val_low(l, &sum, bits), bf_lower_desc(l, bf_elementwise_desc(mem)), 0);
  bf_lower_end_region(l, true);
  *s = (struct sums){.mem = mem, .lo = sum.lo, .hi = sum.hi, .bias = sum.bias};
  for (int i = 0; i < 4; i++) s->shape[i] = rows[i];
}

static void final_sums(struct bf_lower *l, const struct sums *s, unsigned axes, uint64_t taps) {
  const struct bf_node *node = l->node;
  const struct bf_requant *rq = &node->attrs.requant;
  uint32_t rows[4], count = 1, out_mem = bf_lower_mem(l, node->output);
  rows_without(s->shape, axes, rows);
  bool per_channel = rq->count > 1;
  if (per_channel) {
    count = rows[3];
    rows[3] = 1;
  }
  for (uint32_t c = 0; c < count && !l->failed; c++) {
    bf_lower_region(l, rows);
    struct bf_val sum = accumulate(l, s, sum_desc(s, axes, per_channel), c, count, (uint32_t)taps);
    struct bf_fdesc out = per_channel ? bf_pixel_desc(out_mem, count) : bf_elementwise_desc(out_mem);
    if (!l->failed) bf_build_requant_store(l, sum, rq, c, node->output->type, bf_lower_desc(l, out), c);
    bf_lower_end_region(l, false);
  }
}

void bf_lower_reduce(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  const struct bf_tensor *x = node->inputs[0];
  struct sums s = {.mem = bf_lower_mem(l, x), .bias = bf_quant_zero(&x->quant, 0) - bf_type_min(x->type)};
  bf_mem_range(x, &s.lo, &s.hi);
  bf_shape4(x, s.shape);
  bf_lower_layer(l, "elementwise", 0, x->type.bits);
  unsigned axes = node->attrs.axes << (4 - x->rank);
  uint64_t taps = 1;
  for (int i = 0; i < 4; i++)
    if (axes >> i & 1) taps *= s.shape[i];
  // The inner dimension first: its sums have the most rows beside each other anyway, and memory shrinks fastest by the longest.
  for (int i = 3; i >= 0 && !l->failed; i--) {
    if (!(axes >> i & 1) || s.shape[i] == taps || taps <= FEW_TAPS || s.shape[i] == 1) continue;
    if (s.shape[i] > 65536) break;
    taps /= s.shape[i];
    partial_sums(l, &s, i);
  }
  if (taps * (node->attrs.requant.count > 1 ? node->attrs.requant.count : 1) > 65536)
    bf_lower_fail(l, "sum in two steps", "%llu elements in one sum, at most 65536 along a dimension are possible",
                  (unsigned long long)taps);
  if (!l->failed) final_sums(l, &s, axes, taps);
}
