// SPDX-License-Identifier: Apache-2.0
// A plan as .bfn text and its archive.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bfn.h"
#include "ir/names.h"
#include "quantize/quantize_inside.h"

struct printer {
  const struct bf_quantize_plan *plan;
  struct bf_arena arena;
  struct bf_names names;
  struct bf_buf constants, layers;
  struct bf_archive *weights;
  struct copy {
    const struct bf_float_node *of;
    unsigned bits;
    const char *name;
  } *copies;  // operands requantized for layers
  size_t ncopies, copies_capacity;
};

static const char *unique(struct printer *p, const char *base, const char *suffix) {
  const char *name = bf_arena_format(&p->arena, "%s%s", base, suffix);
  for (unsigned i = 2; !bf_names_add(&p->names, name, 0); i++) name = bf_arena_format(&p->arena, "%s%s_%u", base, suffix, i);
  return name;
}

// ---- factors

// factor = mult / 2^shift with `precision` significant bits.
static void dyadic(double factor, unsigned precision, int64_t *mult, int64_t *shift) {
  int exponent;
  frexp(factor, &exponent);
  int s = (int)precision - exponent;
  s = s < 0 ? 0 : s > 62 ? 62 : s;
  double m = fmin(floor(ldexp(factor, s) + 0.5), 0x1p46);
  *mult = (int64_t)m;
  while (s > 1 && *mult && !(*mult & 1)) *mult /= 2, s--;  // shorter, and the same
  *shift = s;
}

// Enough that a result of that many bits is off by less than a 16th of a step.
static unsigned precision_of(const struct bf_format *f) { return f->bits + 4 < 8 ? 8 : f->bits + 4 > 18 ? 18 : f->bits + 4; }

static void put_list(struct printer *p, const char *layer, const char *suffix, uint64_t n, const int64_t *v) {
  bool equal = true;
  for (uint64_t i = 1; i < n; i++) equal &= v[i] == v[0];
  if (equal) {
    bf_buf_printf(&p->layers, "%" PRId64, v[0]);
    return;
  }
  const char *name = unique(p, layer, suffix);
  bf_archive_add(p->weights, name, bf_array_of_ints(1, &n, v));
  bf_buf_printf(&p->layers, "\"%s\"", name);
}

// " -> u4 scale 0.1 zero 2 requantize dyadic(mult …, shift …)": factors[i] results in steps of the format a unit of the sum.
static void put_result(struct printer *p, const char *layer, const struct bf_format *f, const double *factors, uint64_t n) {
  char type[8], scale[40];
  int64_t *mult = bf_alloc(n, sizeof *mult), *shift = bf_alloc(n, sizeof *shift);
  for (uint64_t i = 0; i < n; i++) dyadic(factors[i], precision_of(f), &mult[i], &shift[i]);
  bf_buf_printf(&p->layers, "\n      -> %s scale %s", bf_type_text(type, bf_format_type(f)), bf_float_text(scale, f->scale));
  if (f->zero) bf_buf_printf(&p->layers, " zero %d", f->zero);
  bf_buf_puts(&p->layers, " requantize dyadic(mult ");
  put_list(p, layer, "_m", n, mult);
  bf_buf_puts(&p->layers, ", shift ");
  put_list(p, layer, "_s", n, shift);
  bf_buf_puts(&p->layers, ");\n");
  free(mult);
  free(shift);
}

// The clamp, where the format does not make it.
static void put_clamp(struct printer *p, const struct bf_float_node *n, const struct bf_format *f) {
  char lo[40], hi[40];
  double least = (double)f->scale * (double)(bf_format_min(f) - f->zero), most = (double)f->scale * (double)(bf_format_max(f) - f->zero);
  bool low = (double)n->lo > least + (double)f->scale / 2, high = (double)n->hi < most - (double)f->scale / 2;
  if (!low && !high) return;
  if (n->lo == 0 && !high) {
    bf_buf_puts(&p->layers, ", activation relu");
    return;
  }
  bf_float_text(lo, low ? n->lo : (float)least);
  bf_float_text(hi, high ? n->hi : (float)most);
  bf_buf_printf(&p->layers, ", activation clamp(%s, %s)", lo, hi);
}

// ---- constants

static void add_floats(struct printer *p, const char *name, uint64_t n, const float *v) {
  float *data = bf_alloc(n, sizeof *data);
  memcpy(data, v, n * sizeof *data);
  bf_archive_add(p->weights, name, (struct bf_array){.dtype = BF_DTYPE_F32, .rank = 1, .shape = {n}, .elements = n, .data = data});
}

static const char *put_weights(struct printer *p, const struct bf_float_node *n, const struct bf_layer_weights *w) {
  const char *name = unique(p, n->name, "_w"), *scales = unique(p, name, "_scale");
  bool conv = n->op == BF_FLOAT_CONV;
  const uint64_t taps = (uint64_t)n->kernel[0] * (uint64_t)n->kernel[1];
  const uint64_t shape[4] = {n->c, conv ? (uint64_t)n->kernel[0] : n->depth, (uint64_t)n->kernel[1], n->depth / taps};
  int64_t *q = bf_alloc(n->c * n->depth, sizeof *q);
  for (uint64_t i = 0; i < n->c * n->depth; i++) q[i] = w->q[i];
  bf_archive_add(p->weights, name, bf_array_of_ints(conv ? 4 : 2, shape, q));
  add_floats(p, scales, n->c, w->scale);
  bf_buf_printf(&p->constants, "  const %s: %c%u[%" PRIu64 ", %" PRIu64, name, w->bits == 1 ? 'b' : 's', w->bits, shape[0], shape[1]);
  if (conv) bf_buf_printf(&p->constants, ", %" PRIu64 ", %" PRIu64, shape[2], shape[3]);
  bf_buf_printf(&p->constants, "] scale \"%s\";\n", scales);
  free(q);
  return name;
}

static const char *put_bias(struct printer *p, const struct bf_float_node *n, const struct bf_plan_node *node) {
  const char *name = unique(p, n->name, "_b");
  int64_t *q = bf_alloc(n->c, sizeof *q);
  for (uint64_t o = 0; o < n->c; o++) {
    double unit = (double)node->reads.scale * (double)node->weights.scale[o];
    q[o] = (int64_t)fmin(fmax(floor(node->weights.bias[o] / unit + 0.5), -0x1p31), 0x1p31 - 1);
  }
  bf_archive_add(p->weights, name, bf_array_of_ints(1, &n->c, q));
  bf_buf_printf(&p->constants, "  const %s: s32[%" PRIu64 "];\n", name, n->c);
  free(q);
  return name;
}

// ---- layers

// The operand in the format that the layer reads.
static const char *operand(struct printer *p, const struct bf_float_node *x, const struct bf_format *have, const struct bf_format *want) {
  if (have->bits == want->bits) return x->name;
  for (size_t i = 0; i < p->ncopies; i++)
    if (p->copies[i].of == x && p->copies[i].bits == want->bits) return p->copies[i].name;
  const char *name = unique(p, x->name, bf_arena_format(&p->arena, "_a%u", want->bits));
  double factor = (double)have->scale / (double)want->scale;
  bf_buf_printf(&p->layers, "  %s = requantize(%s)", name, x->name);
  put_result(p, name, want, &factor, 1);
  BF_PUSH(p->copies, p->ncopies, p->copies_capacity) = (struct copy){x, want->bits, name};
  return name;
}

static void put_pair(struct bf_buf *out, const char *name, const int32_t *v) {
  if (v[0] == v[1]) bf_buf_printf(out, ", %s %d", name, v[0]);
  else bf_buf_printf(out, ", %s [%d, %d]", name, v[0], v[1]);
}

static void put_window(struct bf_buf *out, const struct bf_float_node *n, bool kernel) {
  if (kernel) put_pair(out, "kernel", n->kernel);
  if (kernel || n->stride[0] != 1 || n->stride[1] != 1) put_pair(out, "stride", n->stride);
  if (n->dilation[0] != 1 || n->dilation[1] != 1) put_pair(out, "dilation", n->dilation);
  const int32_t *d = n->pad;
  if (d[0] || d[1] || d[2] || d[3]) bf_buf_printf(out, ", pad [%d, %d, %d, %d]", d[0], d[1], d[2], d[3]);
}

static void put_layer(struct printer *p, const struct bf_float_node *n, const struct bf_plan_node *node) {
  const char *x = operand(p, n->in[0], &p->plan->nodes[n->in[0]->index].format, &node->reads);
  const char *w = put_weights(p, n, &node->weights), *b = put_bias(p, n, node);
  bool depthwise = n->op == BF_FLOAT_CONV && n->groups > 1 && n->groups == n->in[0]->c;
  double *factors = bf_alloc(n->c, sizeof *factors);
  for (uint64_t o = 0; o < n->c; o++)
    factors[o] = (double)node->reads.scale * (double)node->weights.scale[o] / (double)node->format.scale;
  bf_buf_printf(&p->layers, "  %s = %s(%s, %s, %s", n->name, n->op == BF_FLOAT_DENSE ? "dense" : depthwise ? "depthwise_conv2d" : "conv2d", x, w, b);
  if (n->op == BF_FLOAT_CONV) put_window(&p->layers, n, false);
  if (n->groups > 1 && !depthwise) bf_buf_printf(&p->layers, ", groups %u", n->groups);
  put_clamp(p, n, &node->format);
  bf_buf_puts(&p->layers, ")");
  put_result(p, n->name, &node->format, factors, n->c);
  free(factors);
}

// Both operands times whole numbers, added, and shifted once.
static void put_add(struct printer *p, const struct bf_float_node *n, const struct bf_format *f) {
  double factor[2], largest;
  for (int k = 0; k < 2; k++) factor[k] = (double)p->plan->nodes[n->in[k]->index].format.scale / (double)f->scale;
  largest = fmax(factor[0], factor[1]);
  int exponent;
  frexp(largest, &exponent);
  int shift = (int)precision_of(f) - exponent;
  shift = shift < 0 ? 0 : shift > 40 ? 40 : shift;
  int64_t mult[2];
  for (int k = 0; k < 2; k++) mult[k] = (int64_t)fmin(floor(ldexp(factor[k], shift) + 0.5), 0x1p30);
  while (shift > 1 && !((mult[0] | mult[1]) & 1)) mult[0] /= 2, mult[1] /= 2, shift--;
  bf_buf_printf(&p->layers, "  %s = add(%s, %s, in0 dyadic(mult %" PRId64 ", shift 0), in1 dyadic(mult %" PRId64 ", shift 0)", n->name,
                n->in[0]->name, n->in[1]->name, mult[0], mult[1]);
  put_clamp(p, n, f);
  char type[8], scale[40];
  bf_buf_printf(&p->layers, ")\n      -> %s scale %s", bf_type_text(type, bf_format_type(f)), bf_float_text(scale, f->scale));
  if (f->zero) bf_buf_printf(&p->layers, " zero %d", f->zero);
  bf_buf_printf(&p->layers, " requantize dyadic(mult 1, shift %d);\n", shift);
}

// A sum over the whole image, or a convolution with ones.
static void put_average(struct printer *p, const struct bf_float_node *n, const struct bf_format *f) {
  const struct bf_float_node *x = n->in[0];
  double factor = (double)p->plan->nodes[x->index].format.scale / ((double)f->scale * n->kernel[0] * n->kernel[1]);
  bool whole = n->h == 1 && n->w == 1 && (uint64_t)n->kernel[0] == x->h && (uint64_t)n->kernel[1] == x->w;
  if (whole) {
    bf_buf_printf(&p->layers, "  %s = reduce_sum(%s", n->name, x->name);
  } else {
    const char *ones = unique(p, n->name, "_w");
    bf_buf_printf(&p->constants, "  const %s: u1[%" PRIu64 ", %d, %d, 1] = 1;\n", ones, n->c, n->kernel[0], n->kernel[1]);
    bf_buf_printf(&p->layers, "  %s = depthwise_conv2d(%s, %s", n->name, x->name, ones);
    put_window(&p->layers, n, false);
  }
  put_clamp(p, n, f);
  bf_buf_puts(&p->layers, ")");
  put_result(p, n->name, f, &factor, 1);
}

static void put_move(struct printer *p, const struct bf_float_node *n) {
  struct bf_buf *out = &p->layers;
  const int32_t *d = n->pad, *c = n->channel_pad;
  char lo[40], hi[40];
  const struct bf_format *f = &p->plan->nodes[n->index].format;
  static const char *const callees[BF_FLOAT_OPS] = {[BF_FLOAT_MAX_POOL] = "max_pool2d", [BF_FLOAT_CLIP] = "clamp", [BF_FLOAT_PAD] = "pad",
                                                    [BF_FLOAT_SLICE] = "slice", [BF_FLOAT_FLATTEN] = "flatten", [BF_FLOAT_UNFLATTEN] = "reshape"};
  bf_buf_printf(out, "  %s = %s(%s", n->name, callees[n->op], n->in[0]->name);
  if (n->op == BF_FLOAT_MAX_POOL) {
    put_window(out, n, true);
    put_clamp(p, n, f);
  } else if (n->op == BF_FLOAT_CLIP) {
    bf_float_text(lo, isinf(n->lo) ? (float)((double)f->scale * (double)(bf_format_min(f) - f->zero)) : n->lo);
    bf_float_text(hi, isinf(n->hi) ? (float)((double)f->scale * (double)(bf_format_max(f) - f->zero)) : n->hi);
    bf_buf_printf(out, ", lo %s, hi %s", lo, hi);
  } else if (n->op == BF_FLOAT_PAD) {
    bf_buf_printf(out, ", pads [[%d, %d], [%d, %d], [%d, %d]]", d[0], d[1], d[2], d[3], c[0], c[1]);
  } else if (n->op == BF_FLOAT_SLICE) {
    bf_buf_printf(out, ", begin [%d, %d, %d], count [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "], step [%d, %d, %d]", n->begin[0], n->begin[1],
                  n->begin[2], n->h, n->w, n->c, n->step[0], n->step[1], n->step[2]);
  } else if (n->op == BF_FLOAT_UNFLATTEN) {
    bf_buf_printf(out, ", shape [%s1, 1, %" PRIu64 "]", "_, ", n->c);
  }
  bf_buf_puts(out, ");\n");
}

static void put_node(struct printer *p, const struct bf_float_node *n) {
  const struct bf_plan_node *node = &p->plan->nodes[n->index];
  if (bf_float_layer(n)) put_layer(p, n, node);
  else if (n->op == BF_FLOAT_ADD) put_add(p, n, &node->format);
  else if (n->op == BF_FLOAT_AVERAGE) put_average(p, n, &node->format);
  else put_move(p, n);
}

static void put_input(struct bf_buf *text, const struct bf_float_net *net, const struct bf_format *f) {
  const struct bf_float_node *x = net->nodes[0];
  char type[8], scale[40];
  bf_buf_printf(text, "  input %s: %s[", x->name, bf_type_text(type, bf_format_type(f)));
  if (!x->flat) bf_buf_printf(text, "%" PRIu64 ", %" PRIu64 ", ", x->h, x->w);
  bf_buf_printf(text, "%" PRIu64 "] scale %s", x->c, bf_float_text(scale, f->scale));
  if (f->zero) bf_buf_printf(text, " zero %d", f->zero);
  bf_buf_puts(text, ";\n\n");
}

void bf_quantize_plan_print(const struct bf_quantize_plan *plan, struct bf_buf *text, struct bf_archive *weights) {
  struct printer p = {.plan = plan, .weights = weights};
  const struct bf_float_net *net = plan->calibration->net;
  for (size_t i = 0; i < net->count; i++) bf_names_add(&p.names, net->nodes[i]->name, 0);
  for (size_t i = 1; i < net->count; i++) put_node(&p, net->nodes[i]);
  const char *name = bf_bfn_reserved(net->name) ? "model" : net->name;
  bf_buf_printf(text, "bfn 1;\n\nnetwork %s {\n", name);
  put_input(text, net, &plan->nodes[0].format);
  bf_buf_append(text, p.constants.data, p.constants.length);
  bf_buf_puts(text, "\n");
  bf_buf_append(text, p.layers.data, p.layers.length);
  bf_buf_printf(text, "\n  output %s;\n}\n", net->output->name);
  bf_buf_free(&p.constants);
  bf_buf_free(&p.layers);
  bf_names_free(&p.names);
  free(p.copies);
  bf_arena_free(&p.arena);
}
