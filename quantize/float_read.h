// SPDX-License-Identifier: Apache-2.0
// Inside of the reading of float networks: the importer's constants and problems, with nodes of a float network. Internal.
#ifndef BF_FLOAT_READ_H
#define BF_FLOAT_READ_H

#include "frontend/onnx_lower.h"
#include "quantize/float_net.h"

struct bf_float_reader {
  struct bf_onx_lower l;
  struct bf_float_net *net;
  struct bf_onx_map *nodes;  // by the model's name of a tensor
};

// A node whose result has the shape of `x`; not yet in the network.
struct bf_float_node *bf_float_node_new(struct bf_float_reader *r, enum bf_float_op op, struct bf_float_node *x);
// Makes it the first result of the ONNX node; adds it to the network if it is new. Always true.
bool bf_float_define(struct bf_float_reader *r, struct bf_float_node *node);
// Operand i as a node; NULL: a problem was noted.
struct bf_float_node *bf_float_operand(struct bf_float_reader *r, size_t i);

typedef bool bf_float_read_op(struct bf_float_reader *r);
#define BF_FLOAT_ONNX(op, function) bf_float_read_op bf_float_read_##function;
#include "quantize/float_onnx.def"

// Folds factors and addends into the layers before them and clamps into what computes. False: a problem was noted.
bool bf_float_fuse(struct bf_float_reader *r);

#endif
