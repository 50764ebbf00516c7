// SPDX-License-Identifier: Apache-2.0
// Small ONNX models from lines of text, packed with the importer's schema. Words are separated by spaces:
//   input NAME TYPE DIMS            TYPE: f u8 s8 s32 s64 (f: float32)   DIMS: 1,2,5,5, or - for a scalar
//   const NAME TYPE DIMS VALUES     VALUES: numbers with commas, repeated as needed, or ~N: numbers in -N..N (0..N if
//   unsigned) node OP IN,IN,… OUT,… [ATTRIBUTE=VALUE]…
//                                   VALUE: 3 (int), 1,2 or 1, (ints), 0.5 (float), else a string
//   output NAME
#ifndef BF_FUZZ_ONNX_TEXT_H
#define BF_FUZZ_ONNX_TEXT_H

#include "base/bf_base.h"

// The bytes of the model. Aborts if the text is wrong.
void onnx_from_text(const char *text, struct bf_buf *out);

#endif
