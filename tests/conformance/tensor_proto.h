// SPDX-License-Identifier: Apache-2.0
// Tensors as ONNX tests keep them: one TensorProto a file.
#ifndef CF_TENSOR_PROTO_H
#define CF_TENSOR_PROTO_H

#include "base/bf_base.h"

#define CF_PROTO_MAX_RANK 8

// Element types (TensorProto.DataType) that hold quantized values or sums of them.
enum { CF_PROTO_FLOAT = 1, CF_PROTO_UINT8, CF_PROTO_INT8, CF_PROTO_UINT16, CF_PROTO_INT16, CF_PROTO_INT32, CF_PROTO_INT64 };

struct cf_proto {
  char *name;  // "" if it has none
  int type;
  unsigned rank, width;  // width: bytes of an element
  uint64_t dims[CF_PROTO_MAX_RANK], elements;
  double *values;
};

// False if the bytes are no tensor of one of the types above. Free with cf_proto_free.
bool cf_proto_parse(const void *data, size_t length, struct cf_proto *out);
void cf_proto_free(struct cf_proto *proto);

#endif
