// SPDX-License-Identifier: Apache-2.0
// The study of real accuracy: a float classifier quantized to uniform and to mixed widths, its accuracy and its costs measured.
#ifndef BFX_STUDY_ACCURACY_H
#define BFX_STUDY_ACCURACY_H

#include "tools/bfexplore/study.h"

struct bfx_accuracy_options {
  const char *model, *records;    // an ONNX model of CIFAR-10 and records of it
  uint64_t images;                // of the records, the first ones
  uint64_t calibration;           // the first of these calibrate and rate; the others judge
  uint64_t rated;                 // the first of the calibration images, on which sensitivities are measured
  uint32_t bits;                  // bit b: uniform width b; the mixed networks choose among them
  unsigned budgets[4], nbudgets;  // mixed networks at the cycles of these uniform widths, which are among `bits`
};
// Fills rows {"profile","bits_avg","accuracy","ci_low","ci_high","logit_mse","cycles","energy_j","edp_js","edp_norm"}: float (no costs),
// uniform widths from wide to narrow, mixed ones. edp_norm: to the widest uniform one. False: errors were added.
bool bfx_accuracy_run(struct bfx_study *study, const struct bfx_accuracy_options *options);

#endif
