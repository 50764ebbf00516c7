// SPDX-License-Identifier: Apache-2.0
// A window sliding over an image, as convolutions and pooling have it. Internal to the importer.
#ifndef BF_TFLITE_WINDOW_H
#define BF_TFLITE_WINDOW_H

#include "frontend/tflite_lower.h"

struct bf_tfl_window {
  int64_t kernel[2], stride[2], dilation[2];  // y, x
};

// Checks it, and that the result has the size it gives. False: a problem was noted.
bool bf_tfl_check_window(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_window *w,
                         const struct bf_tfl_value *in, const struct bf_tfl_value *out);
// Prints stride, dilation and padding.
void bf_tfl_print_window(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_window *w);

#endif
