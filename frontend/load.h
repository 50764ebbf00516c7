// SPDX-License-Identifier: Apache-2.0
// Loading a network of any supported format by the suffix of its file: .bfn (with its .npz beside it), .tflite,
// .onnx, .bfir. Importers print canonical .bfn text; that text is what gets compiled.
#ifndef BF_LOAD_H
#define BF_LOAD_H

#include "base/bf_hash.h"
#include "base/bf_npy.h"
#include "ir/graph.h"

struct bf_load_options {
  uint32_t batch;               // images side by side; 0 means 1
  struct bf_buf *text;          // if not NULL: receives the .bfn text (not for .bfir)
  struct bf_archive *weights;   // if not NULL: receives the weight archive (caller frees; not for .bfir)
  const char *profiles;         // file with further `profile` sections, as `bfexplore precision` writes them (not for .bfir)
  unsigned assume_w, assume_a;  // .onnx: bits assumed where a float graph says nothing; 0: it is refused (others: a warning)
};

// A verified graph, or NULL and errors in diags. `options` may be NULL. The caller frees the graph.
struct bf_graph *bf_load_network(const char *path, const struct bf_load_options *options, struct bf_diags *diags);

// A hash over all that this call of bf_load_network would read, and over batch and assumed widths: equal ones load equal graphs. False if
// a file can't be read (loading tells why).
bool bf_load_digest(const char *path, const struct bf_load_options *options, struct bf_digest *digest);

#endif
