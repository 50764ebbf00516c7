// SPDX-License-Identifier: Apache-2.0
// Import of ONNX models (.onnx): integer graphs, QLinear operators, QDQ pairs, QONNX, and float graphs with
// assumed bit widths. docs/onnx.md says what is supported and how it is written in .bfn.
#ifndef BF_ONNX_H
#define BF_ONNX_H

#include "base/bf_base.h"
#include "base/bf_diag.h"
#include "base/bf_npy.h"
#include "ir/graph.h"

#define BF_ONNX_MAX_RANK 8

// An input or output of the model and the value of the .bfn text that stands for it. The elements are the same, in
// another order: index i of the text's C order runs over the dimensions parts[order[0]], parts[order[1]], … (outermost
// first), where parts lists the factors of the model's dimensions in the model's order, those of size 1 left out.
struct bf_onnx_port {
  char *name;  // in the model
  char *text;  // in the .bfn text
  unsigned rank;
  uint64_t dims[BF_ONNX_MAX_RANK];  // in the model
  unsigned nparts;
  uint64_t parts[BF_ONNX_MAX_RANK];
  uint8_t order[BF_ONNX_MAX_RANK];
  double scale, offset;  // the model's value = scale * (element - zero of the text) + offset
};

struct bf_onnx_interface {
  struct bf_onnx_port *inputs, *outputs;
  size_t ninputs, noutputs;
};
void bf_onnx_interface_free(struct bf_onnx_interface *interface);

// A graph input that becomes a constant: the bytes of a TensorProto, whose own name does not matter.
struct bf_onnx_binding {
  const char *name;
  const void *data;
  size_t length;
};

struct bf_onnx_options {
  const struct bf_onnx_binding *bindings;
  size_t nbindings;
  unsigned assume_w, assume_a;  // bits assumed where a float graph says nothing, 2..16; 0: such a graph is refused
  struct bf_type input_type;    // of inputs whose type the model does not say; bits 0: see docs/onnx.md
  struct bf_onnx_interface *interface;  // if not NULL: receives what bf_onnx_interface_free frees
};

// Appends the network in canonical .bfn text to `bfn_text` and its constants to `weights`, as bf_tflite_import does:
// compiling that text with that archive is the import. `file` is only the name that diagnostics show; `options` may be
// NULL. False: at least one error was added to `diags` (one for each kind of obstacle), nothing to the others.
bool bf_onnx_import(const void *data, size_t length, const char *file, const struct bf_onnx_options *options,
                    struct bf_buf *bfn_text, struct bf_archive *weights, struct bf_diags *diags);

#endif
