// SPDX-License-Identifier: Apache-2.0
// Lower bounds. Work is counted in cycles of a row; a CAP does at most `rows` of them in a cycle. Whatever an estimate would have to guess is left out: the
// requantization (a power of two is free), fill-up rows, tiles that don't divide evenly, what the ports do between two tiles.
#include "passes/bound.h"

#include <math.h>
#include <stdlib.h>

#include "isa/isa.h"
#include "isa/ledger.h"
#include "isa/micro.h"
#include "passes/digits.h"
#include "passes/patterns.h"
#include "passes/shared.h"
#include "passes/stored.h"

#define MOST_BITS 64

// Cycles of instructions at their narrowest.
struct costs { double add[MOST_BITS + 1], multiply, search; };

static double cycles_of(const struct bf_unit *unit, enum ap_op op, unsigned d, unsigned a, unsigned b) {
  const uint8_t width[3] = {(uint8_t)d, (uint8_t)a, (uint8_t)b};
  const struct ap_technology *t = unit->tech;
  struct ap_micro micro;
  if (!ap_micro_generate(op, width, t ? ap_generator_features(unit->machine, t) : unit->machine->features, &micro)) return INFINITY;
  struct ap_micro_cost m = ap_micro_cost(&micro);
  ap_micro_free(&micro);
  return (double)m.compares * (t ? t->compare_cycles : 1) + (double)m.writes * (t ? t->write_cycles : 1);
}

// Of an addition or subtraction of `bits` columns, into no more columns.
static double least_add(const struct bf_unit *unit, unsigned bits) {
  double add = fmin(cycles_of(unit, AP_OP_ADD, bits, bits, 0), cycles_of(unit, AP_OP_SUB, bits, bits, 0));
  return fmin(add, cycles_of(unit, AP_OP_ADDPAIR, bits, bits, 0));
}

static struct costs costs_of(const struct bf_unit *unit, const struct bf_stored *s) {
  struct costs c = {.search = unit->tech ? unit->tech->compare_cycles + unit->tech->write_cycles : 2};
  // Wider additions never cost less; a table keeps that true whatever the microcode does.
  for (unsigned w = MOST_BITS; w > 0; w--) {
    c.add[w] = least_add(unit, w);
    if (w < MOST_BITS && c.add[w + 1] < c.add[w]) c.add[w] = c.add[w + 1];
  }
  unsigned all = s->x_bits + s->w_bits;
  c.multiply = all > MOST_BITS ? INFINITY : cycles_of(unit, s->offset ? AP_OP_MULS : AP_OP_MUL, all, s->x_bits, s->w_bits);
  return c;
}

// What the weights demand, summed over output channels.
struct demand {
  double digits, nonzero, most_nonzero, channels;
  double narrow;   // additions of the weights' own widths
  double present;  // taps that any channel uses
};

static struct demand demand_of(const struct bf_conv *conv, const struct costs *costs) {
  struct demand d = {0};
  uint32_t taps = bf_conv_taps(conv);
  bool *used = bf_alloc((size_t)taps + 1, sizeof *used);
  for (uint32_t oc = 0; oc < conv->out4[3]; oc++) {
    struct bf_conv_row row = bf_conv_row(conv, oc);
    double nonzero = 0;
    for (uint32_t t = 0; t < taps; t++) {
      int64_t w = bf_conv_weight(&row, t);
      if (!w) continue;
      used[t] = true;
      nonzero++;
      d.digits += bf_digits_count(w);
      d.narrow += costs->add[bf_bits((uint64_t)llabs(w))];
    }
    d.nonzero += nonzero;
    d.channels += nonzero > 0;
    if (nonzero > d.most_nonzero) d.most_nonzero = nonzero;
  }
  for (uint32_t t = 0; t < taps; t++) d.present += used[t];
  free(used);
  return d;
}

static unsigned x_columns(const struct bf_conv *conv) {
  uint64_t lo, hi;
  bf_conv_x_range(conv, &lo, &hi);
  return conv->x->type.kind == BF_TYPE_B ? 1 : bf_bits(hi);
}

// Row-cycles for each output pixel of one image after the other: each scheme's least.
static void row_work(const struct bf_unit *unit, const struct bf_conv *conv, const struct bf_stored *s, const struct costs *costs, const struct demand *d,
                     double work[BF_SCHEME_COUNT]) {
  unsigned bits = x_columns(conv), planes = bf_pattern_planes_of(conv).count;
  // The first digit of a sum could be a copy.
  work[BF_SCHEME_DIGITS] = (d->digits - d->channels) * costs->add[bits];
  double resident = fmin(BF_MAX_SHARED_CHANNELS, fmax(1, (double)(unit->machine->columns - AP_FLAG_COLUMNS) / bits));
  work[BF_SCHEME_SHARED] = d->nonzero * fmax(1 / resident, 1.0 / BF_MAX_SHARED_TAPS) * costs->add[bits];
  if (work[BF_SCHEME_SHARED] > work[BF_SCHEME_DIGITS]) work[BF_SCHEME_SHARED] = work[BF_SCHEME_DIGITS];
  double best = INFINITY, sums = fmin(BF_MAX_ACCUMULATORS, unit->machine->columns - AP_FLAG_COLUMNS);
  for (unsigned g = 1; g <= BF_MAX_PATTERN_TAPS; g++)
    best = fmin(best, planes * (d->narrow / g + d->nonzero / g * ldexp(1, (int)g - 1) * costs->search / sums));
  work[BF_SCHEME_PATTERNS] = fmax(0, best - d->channels * costs->add[MOST_BITS / 4]);
  double outputs = conv->out4[3], sum = fmax(0, d->present - 1) * costs->add[bf_bits(s->product_hi)];
  work[BF_SCHEME_STORED] = work[BF_SCHEME_PRODUCTS] = isfinite(costs->multiply) ? outputs * (d->present * costs->multiply + sum) : INFINITY;
}

// Output positions of one dimension whose tap at kernel position k lies inside the input.
static double inside(const struct bf_conv *conv, int dim, uint32_t k) {
  double count = 0;
  for (uint32_t o = 0; o < conv->out4[1 + dim]; o++) {
    int64_t at = (int64_t)o * conv->stride[dim] + (int64_t)k * conv->dilation[dim] - conv->pad[dim];
    count += at >= 0 && at < (int64_t)conv->in4[1 + dim];
  }
  return count;
}

// Elements of x that must be loaded: those at one kernel position with a weight other than 0, for each input channel.
static double loaded_elements(const struct bf_conv *conv) {
  double all = 0;
  uint32_t area = conv->kernel[0] * conv->kernel[1];
  for (uint32_t c = 0; c < conv->in4[3]; c++) {
    uint32_t group = c / conv->ic_group, within = c % conv->ic_group;
    bool found = false;
    for (uint32_t k = 0; k < area && !found; k++)
      for (uint32_t oc = group * conv->oc_group; oc < (group + 1) * conv->oc_group && !found; oc++) {
        struct bf_conv_row row = bf_conv_row(conv, oc);
        found = bf_conv_weight(&row, k * conv->ic_group + within) != 0;
        if (found) all += conv->out4[0] * inside(conv, 0, k / conv->kernel[1]) * inside(conv, 1, k % conv->kernel[1]);
      }
  }
  return all;
}

static double ports(const struct ap_machine *machine) {
  return machine->unlimited_caps ? INFINITY : (double)machine->clusters * machine->port_bits;
}

static bool reads_all(const struct bf_node *node) {
  return bf_op_elementwise(node->op) || node->op == BF_OP_TABLE || node->op == BF_OP_CLAMP || node->op == BF_OP_REQUANTIZE;
}

struct bf_bound bf_bound_of(const struct bf_unit *unit, const struct bf_node *node) {
  struct bf_bound b = {0};
  const struct ap_machine *machine = unit->machine;
  if (node->op == BF_OP_RESHAPE || node->op == BF_OP_SOFTMAX) return b;
  double bits = (double)node->output->elements * bf_mem_bits(node->output->type);
  for (uint32_t i = 0; i < node->ninputs && reads_all(node); i++)
    if (!node->inputs[i]->data) bits += (double)node->inputs[i]->elements * bf_mem_bits(node->inputs[i]->type);
  if (node->op == BF_OP_CONV2D || node->op == BF_OP_DENSE) {
    struct bf_conv conv;
    bf_conv_of(node, &conv);
    struct bf_stored stored = bf_stored_of(&conv);
    struct costs costs = costs_of(unit, &stored);
    struct demand d = demand_of(&conv, &costs);
    double pixels = (double)conv.out4[0] * conv.out4[1] * conv.out4[2], least = INFINITY;
    double rows = machine->unlimited_caps ? INFINITY : (double)machine->clusters * machine->caps_per_cluster * machine->rows;
    row_work(unit, &conv, &stored, &costs, &d, b.additions);
    for (int i = 0; i < BF_SCHEME_COUNT; i++) {
      b.additions[i] = isfinite(b.additions[i]) ? b.additions[i] * pixels / rows : INFINITY;
      least = fmin(least, b.additions[i]);
    }
    b.cycles = least;
    if (d.most_nonzero > BF_MAX_PATTERN_TAPS) b.depth = floor(log2(d.most_nonzero / BF_MAX_PATTERN_TAPS)) * costs.add[1];
    bits += loaded_elements(&conv) * x_columns(&conv);
  }
  b.movement = bits / ports(machine);
  b.cycles = fmax(b.cycles, fmax(b.movement, b.depth));
  return b;
}

double bf_bound_scheme(const struct bf_bound *bound, enum bf_scheme scheme) {
  double own = isfinite(bound->additions[scheme]) ? bound->additions[scheme] : 0;
  return fmax(own, fmax(bound->movement, bound->depth));
}
