// SPDX-License-Identifier: Apache-2.0
// Mutations of ONNX models that keep the encoding whole.
#ifndef BF_FUZZ_ONNX_MUTATE_H
#define BF_FUZZ_ONNX_MUTATE_H

#include "base/bf_base.h"

// Changes a node, name, attribute, shape or constant of the model in data[0..size). The new size; 0 if the bytes are no
// model, or the result has more than `most`.
size_t onnx_mutate(uint8_t *data, size_t size, size_t most, uint64_t *random);
// The words of the format: operators, then attributes; NULL behind the last.
const char *onnx_word(size_t i);

#endif
