// SPDX-License-Identifier: Apache-2.0
// How good a classifier is: runs the reference evaluator over images and counts.
#ifndef BFX_JUDGE_H
#define BFX_JUDGE_H

#include "ir/graph.h"
#include "isa/ledger.h"

struct bfx_judgement {
  uint64_t images, correct;
  double accuracy, low, high;  // of 0 to 1; 95 % interval (Wilson's score)
  double mse;                  // mean squared difference to the reference outputs, in their own unit
};
// Images are reals in the order of the program's only input; `reference` and the program's only output have `classes` numbers an image.
// Labels are indices of classes. The program is of batch 1; the JIT runs it, or, where there is none, the reference evaluator its graph,
// which gives the same. Results do not depend on `threads` (0: all processors). False: errors were added (the network has not one such input
// and output, or more or fewer cycles were executed than the static account says).
bool bfx_judge(const struct bf_graph *graph, const struct ap_program *program, const struct ap_technology *tech, const float *images,
               const uint8_t *labels, uint64_t count, const float *reference, uint64_t classes, unsigned threads,
               struct bfx_judgement *out, struct bf_diags *diags);
// The same of given outputs.
void bfx_judge_outputs(const float *outputs, const uint8_t *labels, uint64_t count, const float *reference, uint64_t classes,
                       struct bfx_judgement *out);
// Wilson's 95 % interval of `part` out of `all`.
void bfx_wilson(uint64_t part, uint64_t all, double *low, double *high);

#endif
