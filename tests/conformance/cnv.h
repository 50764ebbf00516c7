// SPDX-License-Identifier: Apache-2.0
// Networks of binary and ternary weights and activations, kept as model.json (layers) and raw files (weights, thresholds).
#ifndef CF_CNV_H
#define CF_CNV_H

#include "base/bf_diag.h"
#include "base/bf_npy.h"

// Appends the network in .bfn text, and its constants, read from the files beside `path`. Layer i is named act<i>, its pooling
// pool<i>, the last one logits; the input is `image`, u8, and the rule that makes the first activations of it is the table
// `input_table`. False: errors were added.
bool cnv_convert(const char *path, struct bf_buf *text, struct bf_archive *weights, struct bf_diags *diags);
// The rule of the input for pixel x, 0 to 255: clip(floor((2x/255 - 1) * 128 + 0.5), -128, 127).
int64_t cnv_input_rule(int64_t x);

#endif
