// SPDX-License-Identifier: Apache-2.0
// Import of quantized TensorFlow Lite models (.tflite, schema version 3).
#ifndef BF_TFLITE_H
#define BF_TFLITE_H

#include "base/bf_base.h"
#include "base/bf_diag.h"
#include "base/bf_npy.h"

// Appends the network in canonical `.bfn` text (docs/language.md) to `bfn_text` and its
// constants to `weights`. Compiling that text with that archive is the import: there is no
// other way from a model to a graph.
//
// The text depends on the bytes of the model alone. `file` is only the name that diagnostics
// show. Of a model with several subgraphs the first is taken, with a warning. Operators that
// reach no output are left out, with a warning.
//
// False: at least one error was added to `diags`, and nothing to bfn_text and weights. One
// error per kind of obstacle: an unsupported operator or feature is named once, with its
// index, the name of its output tensor, and what would work; a damaged file gives one error
// with the byte offset of the damage.
bool bf_tflite_import(const void *data, size_t length, const char *file, struct bf_buf *bfn_text,
                      struct bf_archive *weights, struct bf_diags *diags);

#endif
