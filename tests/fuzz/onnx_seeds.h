// SPDX-License-Identifier: Apache-2.0
// Small ONNX models of the common styles, as lines for onnx_from_text.
#ifndef BF_FUZZ_ONNX_SEEDS_H
#define BF_FUZZ_ONNX_SEEDS_H

#include "base/bf_base.h"

// The i-th model and its name; NULL behind the last. All are imported without errors when widths are assumed; `assumed`
// tells whether they need that.
const char *onnx_seed(size_t i, const char **name, bool *assumed);

#endif
