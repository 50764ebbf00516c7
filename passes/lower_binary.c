// SPDX-License-Identifier: Apache-2.0
// Operators with two operands: add, sub, mul, maximum, minimum. A row is an output element. An operand with a dimension
// of 1 is loaded into all rows along it; a constant that is the same in all rows of a region costs no columns.
#include <math.h>
#include <stdlib.h>

#include "passes/lower_sum.h"

// One operand in a region: a value, or a number that all its rows share.
struct term {
  bool known;
  int64_t k;            // real value (without zero point) if known
  struct bf_val v;
};

// The rows of a region: all elements (channel < 0) or those of one channel.
struct scope { uint32_t out4[4]; int64_t channel; };

static uint32_t tap_of(const struct bf_fdesc *desc, const struct scope *s) {
  return s->channel >= 0 && desc->tap_count[3] > 1 ? (uint32_t)s->channel : 0;
}

static struct bf_fdesc scope_desc(struct bf_lower *l, const struct bf_tensor *x, const struct scope *s) {
  uint32_t x4[4], mem = bf_lower_mem(l, x);
  bf_shape4(x, x4);
  struct bf_fdesc desc = s->channel >= 0 ? bf_pixel_desc(mem, x4[3]) : bf_elementwise_desc(mem);
  for (int i = 0; i < 4; i++)
    if (x4[i] == 1 && s->out4[i] > 1) {
      desc.row_dim[i] = 255;
      desc.row_stride[i] = 0;
    }
  return desc;
}

// True if a constant has one value q in all rows of the region.
static bool known_value(const struct bf_tensor *x, const struct scope *s, int64_t *q) {
  if (!x->data) return false;
  uint64_t channels = x->shape[x->rank - 1];
  bool one = s->channel >= 0 && channels > 1;
  uint64_t first = one ? (uint64_t)s->channel : 0, step = one ? channels : 1;
  *q = x->data[first];
  for (uint64_t i = first; i < x->elements; i += step)
    if (x->data[i] != *q) return false;
  return true;
}

static struct term load_term(struct bf_lower *l, int i, const struct scope *s, int64_t bias) {
  const struct bf_tensor *x = l->node->inputs[i];
  struct term t = {0};
  int64_t q;
  if (known_value(x, s, &q)) {
    t.known = true;
    t.k = q - bias - bf_type_min(x->type);
    return t;
  }
  uint64_t lo, hi;
  bf_mem_range(x, &lo, &hi);
  struct bf_fdesc desc = scope_desc(l, x, s);
  t.v = bf_build_load(l, bf_lower_desc(l, desc), tap_of(&desc, s), lo, hi, i ? "b" : "a");
  t.v.bias = bias;
  return t;
}

static int64_t zero_content(const struct bf_tensor *x) { return bf_quant_zero(&x->quant, 0) - bf_type_min(x->type); }

// --- add, sub ----------------------------------------------------------------------------------------------------

static struct bf_val rescale(struct bf_lower *l, struct bf_val v, const struct bf_requant *rq, uint32_t channel) {
  uint32_t c = rq->count > 1 ? channel : 0;
  if (rq->mode == BF_REQUANT_TFLITE) {
    // The operand is shifted left first; the shift joins the multiplier.
    int32_t e = rq->shift[c];
    unsigned left = (unsigned)l->node->attrs.left_shift + (e > 0 ? (unsigned)e : 0);
    if (left >= 31) return bf_build_scale(l, v, rq->mult[c] * ((int64_t)1 << (left - 31)), 0, 0, 0, 0, 0);
    return bf_build_scale(l, v, rq->mult[c] * ((int64_t)1 << left), (int64_t)1 << 30, 31, e < 0 ? (unsigned)-e : 0, 0, 0);
  }
  struct bf_requant rule = *rq;  // its bounds are not used in the graph; float_rne wants to know how far it may go
  rule.out_zero = 0;
  rule.lo = INT64_MIN / 4;
  rule.hi = INT64_MAX / 4;
  if (rq->mode == BF_REQUANT_FLOAT_RNE) {
    rule.lo = (int64_t)rintf((float)((int64_t)v.lo - v.bias) * rq->fscale[c]);
    rule.hi = (int64_t)rintf((float)((int64_t)v.hi - v.bias) * rq->fscale[c]);
  }
  return bf_build_requant(l, v, &rule, channel, 0, 0);
}

// A constant is rescaled by building its code, reading the result off the interval, and dropping the code.
static void fold_constant(struct bf_lower *l, struct term *t, const struct bf_requant *rq, uint32_t channel) {
  struct bf_region *region = l->region;
  size_t ops = region->nops, fields = region->nfields;
  uint64_t content = t->k < 0 ? 0 : (uint64_t)t->k;
  struct bf_val v = bf_build_const(l, content, (int64_t)content - t->k, "constant");
  v = rescale(l, v, rq, channel);
  if (v.lo != v.hi) bf_lower_fail(l, NULL, "internal: the rescaled constant is not one number");
  t->k = (int64_t)v.lo - v.bias;
  while (region->nfields > fields) free(region->fields[--region->nfields].name);
  region->nops = ops;
}

static struct bf_val plus_constant(struct bf_val v, int64_t k) {
  v.bias -= k;
  return v;
}

// a - b as contents: a + (largest b) - b.
static struct bf_val subtract(struct bf_lower *l, const struct term *a, const struct term *b) {
  struct bf_val d;
  if (a->known) {
    d = bf_build_const(l, b->v.hi, (int64_t)b->v.hi - a->k, "difference");
  } else {
    d = bf_build_widen(l, a->v, "difference");
    uint64_t lift = b->v.hi > d.lo ? b->v.hi - d.lo : 0;
    bf_build_addk(l, &d, lift);
    d.bias += (int64_t)lift;
  }
  bf_build_mack(l, &d, &b->v, -1, false);
  d.bias -= b->v.bias;
  return d;
}

// Of an operand's content, by the code that rescales a constant.
static int64_t rescaled(struct bf_lower *l, void *context, int i, uint64_t content) {
  const uint32_t *channel = context;
  struct term t = {.known = true, .k = (int64_t)content - zero_content(l->node->inputs[i])};
  fold_constant(l, &t, &l->node->attrs.in_requant[i], *channel);
  return i && l->node->op == BF_OP_SUB ? -t.k : t.k;
}

#define MANY_CHANNELS 64  // with code of their own: one map each takes too long to find

static struct bf_val build_sum(struct bf_lower *l, const struct scope *s) {
  const struct bf_node *node = l->node;
  uint32_t channel = s->channel >= 0 ? (uint32_t)s->channel : 0;
  bool minus = node->op == BF_OP_SUB;
  struct term t[2];
  for (int i = 0; i < 2 && !l->failed; i++) {
    t[i] = load_term(l, i, s, zero_content(node->inputs[i]));
    if (t[i].known) fold_constant(l, &t[i], &node->attrs.in_requant[i], channel);
    else t[i].v = rescale(l, t[i].v, &node->attrs.in_requant[i], channel);
  }
  if (l->failed) return (struct bf_val){0};
  if (t[0].known && t[1].known) return bf_build_const(l, 0, -(minus ? t[0].k - t[1].k : t[0].k + t[1].k), "sum");
  if (t[1].known) return plus_constant(t[0].v, minus ? -t[1].k : t[1].k);
  if (minus) return subtract(l, &t[0], &t[1]);
  if (t[0].known) return plus_constant(t[1].v, t[0].k);
  struct bf_val sum = bf_build_widen(l, t[0].v, "sum");
  bf_build_add(l, &sum, &t[1].v);
  return sum;
}

// --- mul ---------------------------------------------------------------------------------------------------------

static struct bf_val build_product(struct bf_lower *l, const struct scope *s) {
  struct term t[2];
  for (int i = 0; i < 2; i++) t[i] = load_term(l, i, s, zero_content(l->node->inputs[i]));
  if (t[0].known && t[1].known) return bf_build_const(l, 0, -t[0].k * t[1].k, "product");
  if (t[0].known) return bf_build_scale(l, t[1].v, t[0].k, 0, 0, 0, 0, 0);
  if (t[1].known) return bf_build_scale(l, t[0].v, t[1].k, 0, 0, 0, 0, 0);
  return bf_build_mul(l, &t[0].v, &t[1].v);
}

// --- maximum, minimum --------------------------------------------------------------------------------------------

static int64_t between(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

// Against a constant they are a tighter clamp.
static struct bf_val build_choice(struct bf_lower *l, const struct scope *s, struct bf_requant *rq) {
  const struct bf_node *node = l->node;
  bool max = node->op == BF_OP_MAXIMUM;
  struct bf_type type = node->output->type;
  int64_t bias = -bf_type_min(type);  // on q itself: both operands mean the same
  struct term t[2];
  for (int i = 0; i < 2; i++) t[i] = load_term(l, i, s, bias);
  if (t[0].known && t[1].known) {
    int64_t q = (t[0].k > t[1].k) == max ? t[0].k : t[1].k;
    return bf_build_const(l, 0, -q, "chosen");
  }
  if (t[0].known || t[1].known) {
    int64_t k = between(t[0].known ? t[0].k : t[1].k, rq->lo, rq->hi);
    *(max ? &rq->lo : &rq->hi) = k;
    return t[0].known ? t[1].v : t[0].v;
  }
  unsigned bits = bf_mem_bits(type);
  struct bf_slice d = bf_val_low(l, &t[0].v, bits), b = bf_val_low(l, &t[1].v, bits);
  bf_fop_append(l->region, (struct bf_fop){.kind = max ? BF_FOP_MAX : BF_FOP_MIN, .d = d, .a = b});
  struct bf_val *low = &t[0].v;
  if (t[1].v.lo < low->lo) low->lo = t[1].v.lo;
  if (t[1].v.hi > low->hi) low->hi = t[1].v.hi;
  return *low;
}

static bool per_channel(const struct bf_node *node) {
  const struct bf_attrs *a = &node->attrs;
  bool inputs = bf_op_info(node->op)->attrs & BF_ATTR_INPUT_REQUANT;
  return a->requant.count > 1 || (inputs && (a->in_requant[0].count > 1 || a->in_requant[1].count > 1));
}

void bf_lower_binary(struct bf_lower *l) {
  const struct bf_node *node = l->node;
  struct scope s = {.channel = -1};
  bf_shape4(node->output, s.out4);
  uint32_t rows[4], count = 1;
  bf_shape4(node->output, rows);
  if (per_channel(node)) {
    count = rows[3];
    rows[3] = 1;
    s.channel = 0;
  }
  bf_lower_layer(l, "elementwise", 0, node->inputs[0]->type.bits);
  for (uint32_t c = 0; c < count && !l->failed; c++) {
    bf_lower_region(l, rows);
    struct bf_checkpoint begin = bf_checkpoint_of(l->region);
    if (s.channel >= 0) s.channel = c;
    struct bf_requant rq = node->attrs.requant;
    struct bf_val v = node->op == BF_OP_MUL                             ? build_product(l, &s)
                      : node->op == BF_OP_ADD || node->op == BF_OP_SUB ? build_sum(l, &s)
                                                                        : build_choice(l, &s, &rq);
    if (!l->failed) {
      struct bf_fdesc out = scope_desc(l, node->output, &s);
      uint32_t desc = bf_lower_desc(l, out), tap = tap_of(&out, &s);
      bf_build_requant_store(l, v, &rq, c, node->output->type, desc, tap);
      if ((node->op == BF_OP_ADD || node->op == BF_OP_SUB) && count <= MANY_CHANNELS) bf_sum_improve(l, &begin, rescaled, &c, &rq, c, desc, tap);
    }
    bf_lower_end_region(l, false);
  }
}
