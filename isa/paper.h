// SPDX-License-Identifier: Apache-2.0
// Closed runtime and energy formulas of the literature on associative processors, beside which our own counts stand.
//
// A RECONSTRUCTION: the tables of BF-IMNA (arXiv 2411.01417) and of the AP tutorial (arXiv 2203.00662) were recollected and are not
// confirmed. They leave out data movement, requantization and the width of the sums in the reduction (8 cycles a level whatever the
// width, which no ripple adder of the passes that are known reaches). Never quote them as published results.
#ifndef AP_PAPER_H
#define AP_PAPER_H

#include "isa/machine.h"

// The anchor of energy: joules a row and cycle of a 16 nm SRAM array at 1 V. Computed from unconfirmed peak figures.
#define AP_PAPER_ROW_CYCLE_J 5.41e-15

enum ap_paper_kind {
  AP_PAPER_NONE,      // costs nothing: reshapes, what the literature leaves out
  AP_PAPER_MATMUL,    // convolution and dense layers as matrix products on a 2D AP with segmentation
  AP_PAPER_ADD,
  AP_PAPER_MAX_POOL,
  AP_PAPER_AVG_POOL
};
struct ap_paper_layer {
  enum ap_paper_kind kind;
  unsigned bits_w, bits_a;  // of the two operands; the formulas' M where both are equal
  uint64_t rows;            // rows wanted: MACs of a matrix product, else elements of the result
  uint64_t terms;           // j: products of one sum; elements of a window
  bool relu;
  uint64_t outputs;         // rows of the ReLU
};
struct ap_paper_cost { uint64_t folds; double cycles, energy_j; };

// Cycles of one fold, cycles and energy of all folds = ceil(rows / (CAPs × rows of the machine)), one with unlimited CAPs.
//   matrix product  2M + 8M² + 8·log2(j) + 2M + log2(j)     addition  2M + 8M + M + 1      ReLU  4M + 1
//   max pooling     8M·(S−1) + 3M of a window of S          average pooling  8M·(S−1) + 3M
// With unequal widths 2M is the sum of both, M² their product. Energy: AP_PAPER_ROW_CYCLE_J × `rows` × cycles of the passes, which
// are 8M² + 8M for a product and its addition (the form that the anchor was fitted with), scaled by (vdd / 1 V)².
struct ap_paper_cost ap_paper_cost(const struct ap_paper_layer *layer, const struct ap_machine *machine, double vdd);
// Cycles that one fold of a matrix product takes, `terms` ≥ 1.
double ap_paper_matmul_cycles(unsigned bits_w, unsigned bits_a, uint64_t terms);

#endif
