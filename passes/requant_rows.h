// SPDX-License-Identifier: Apache-2.0
// Requantization of one output element a row, with constants that may differ from channel to channel.
#ifndef BF_REQUANT_ROWS_H
#define BF_REQUANT_ROWS_H

#include "passes/conv.h"

enum bf_rows_kind {
  BF_ROWS_UNIFORM,  // constants in the code, behind an offset of the row where biases differ
  BF_ROWS_AFFINE,   // floor((content * mult[c] + add[c]) / 2^shift)
  BF_ROWS_COUNT,    // content is compared with the limits of the channel, one after the other
};
// How the sums of all channels become outputs; the same result as the rule of the node has, proven for every content in [lo, hi].
struct bf_rows_rule {
  enum bf_rows_kind kind;
  uint64_t lo, hi;        // of the content
  int64_t bias;           // UNIFORM: of the content plus add[c]; AFFINE: of the quotient
  uint64_t *add, add_hi;  // UNIFORM (NULL: none), AFFINE; heap
  uint64_t *mult, mult_hi;
  uint64_t p_lo, p_hi;    // AFFINE: of content * mult + add
  unsigned shift;
  uint64_t *limits;       // COUNT: limits[i * channels + c], content reaches threshold i unless the limit is above it
  uint32_t nlimits, first, channels;  // of the channels first, first + 1, …
  unsigned columns;       // that it needs beside the content's own
  double cycles;          // of the code, about
};
// The rule of `count` channels from `first` on, for sums of true value content - bias[c] (without the layer's own bias). False: rows can't hold its constants; let the
// code hold them.
bool bf_rows_rule_of(struct bf_rows_rule *rule, const struct bf_unit *unit, const struct bf_node *node, const struct bf_conv *conv,
                     const int64_t *bias, uint32_t first, uint32_t count, uint64_t lo, uint64_t hi);
void bf_rows_rule_free(struct bf_rows_rule *rule);
// Code of the rule: requantizes acc and stores it. The region's rows are the output's elements, of those channels.
void bf_build_rows_rule(struct bf_lower *l, const struct bf_rows_rule *rule, struct bf_val acc);
// Cycles of a requantization with constants in the code, for contents up to hi.
double bf_requant_code_cycles(const struct bf_requant *rq, uint64_t hi);
// Cycles of a product of two fields, as the microcode has it.
double bf_product_cycles(unsigned a, unsigned b);

#endif
