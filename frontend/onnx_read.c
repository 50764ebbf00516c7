// SPDX-License-Identifier: Apache-2.0
// From bytes to messages, and from TensorProto to constants. The messages are checked where they are used; here only
// what concerns memory: how much unpacking may take, and that data have the length their shape asks for.
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_lower.h"

// Unpacked messages are larger than their bytes: an empty submessage of 2 bytes becomes a struct. Ordinary models
// need less than this.
#define MEMORY_PER_BYTE 24
#define MEMORY_MORE ((size_t)1 << 20)

// What an unpacking took and may take.
struct allowance {
  size_t left;
  bool exhausted;
};

static void *take(void *data, size_t size) {
  struct allowance *a = data;
  if (size > a->left) {
    a->exhausted = true;
    return NULL;
  }
  a->left -= size;
  return malloc(size ? size : 1);
}

static void give(void *data, void *pointer) { free(pointer); }

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *kind, const void *data, size_t length,
                                const char **why) {
  struct allowance allowance = {MEMORY_MORE, false};
  if (length <= (SIZE_MAX - MEMORY_MORE) / MEMORY_PER_BYTE) allowance.left += MEMORY_PER_BYTE * length;
  ProtobufCAllocator allocator = {take, give, &allowance};
  ProtobufCMessage *message = protobuf_c_message_unpack(kind, &allocator, length, data);
  *why = allowance.exhausted ? "it would take many times its size in memory" : "it is damaged, or no ONNX model";
  return message;
}

BfOnnx__Model *bf_onx_unpack(const void *data, size_t length, const char *file, struct bf_diags *diags) {
  const char *why;
  BfOnnx__Model *model = (BfOnnx__Model *)unpack(&bf_onnx__model__descriptor, data, length, &why);
  if (!model) bf_error_file(diags, file, NULL, "cannot read the model: %s", why);
  return model;
}

void bf_onx_free_model(BfOnnx__Model *model) {
  ProtobufCAllocator allocator = {take, give, NULL};
  bf_onnx__model__free_unpacked(model, &allocator);
}

bool bf_onx_int_type(int32_t type, unsigned *bits, bool *is_signed) {
  static const struct {
    uint8_t bits, is_signed;
  } types[] = {
      [BF_ONX_UINT8] = {8, 0},   [BF_ONX_INT8] = {8, 1},   [BF_ONX_UINT16] = {16, 0}, [BF_ONX_INT16] = {16, 1},
      [BF_ONX_INT32] = {32, 1},  [BF_ONX_INT64] = {64, 1}, [BF_ONX_BOOL] = {1, 0},    [BF_ONX_UINT32] = {32, 0},
      [BF_ONX_UINT64] = {64, 0}, [BF_ONX_UINT4] = {4, 0},  [BF_ONX_INT4] = {4, 1}};
  if (type < 0 || (size_t)type >= BF_COUNT(types) || !types[type].bits) return false;
  *bits = types[type].bits;
  *is_signed = types[type].is_signed;
  return true;
}

uint64_t bf_onx_elements(const struct bf_onx_shape *shape) {
  uint64_t n = 1;
  for (unsigned i = 0; i < shape->rank; i++) n *= shape->dims[i];
  return n;
}

static bool read_shape(const BfOnnx__Tensor *t, struct bf_onx_const *out, const char **why) {
  *why = "it has more than 8 dimensions";
  if (t->n_dims > BF_ONX_DIMS) return false;
  *why = "its shape is too large, or not positive";
  out->shape.rank = (unsigned)t->n_dims;
  out->count = 1;
  for (size_t i = 0; i < t->n_dims; i++) {
    if (t->dims[i] < 0 || !bf_mul_limit(out->count, (uint64_t)t->dims[i], BF_MAX_ELEMENTS, &out->count)) return false;
    out->shape.dims[i] = (uint64_t)t->dims[i];
  }
  return true;
}

static uint64_t little_endian(const uint8_t *p, unsigned bytes) {
  uint64_t v = 0;
  for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

static double half(uint16_t h) {
  int exponent = h >> 10 & 31;
  double m = (h & 1023) / 1024.0, v = exponent == 0 ? m * 0x1p-14 : (1 + m);
  for (int i = 15; exponent && i < exponent; i++) v *= 2;
  for (int i = exponent; exponent && i < 15; i++) v /= 2;
  if (exponent == 31) v = m != 0 ? 0.0 / 0.0 : 1.0 / 0.0;
  return h & 0x8000 ? -v : v;
}

static double real_at(const uint8_t *p, int32_t type) {
  if (type == BF_ONX_FLOAT16) return half((uint16_t)little_endian(p, 2));
  if (type == BF_ONX_FLOAT) {
    uint32_t bits = (uint32_t)little_endian(p, 4);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
  }
  uint64_t bits = little_endian(p, 8);
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

static int64_t int_at(const uint8_t *raw, uint64_t i, unsigned bits, bool is_signed) {
  uint64_t v = bits == 4 ? raw[i / 2] >> (i % 2 ? 4 : 0) & 15u : little_endian(raw + i * (bits / 8), bits / 8);
  if (is_signed && bits < 64 && v >> (bits - 1) & 1) return (int64_t)v - ((int64_t)1 << bits);
  return (int64_t)v;
}

static bool decode_raw(const BfOnnx__Tensor *t, unsigned bits, bool is_signed, struct bf_onx_const *out,
                       const char **why) {
  uint64_t bytes = (out->count * bits + 7) / 8;
  *why = "its data are of another length than its shape asks for";
  if (t->raw_data.len != bytes) return false;
  for (uint64_t i = 0; i < out->count; i++) {
    if (out->real) ((double *)out->real)[i] = real_at(t->raw_data.data + i * (bits / 8), out->type);
    else ((int64_t *)out->ints)[i] = int_at(t->raw_data.data, i, bits == 1 ? 8 : bits, is_signed);
  }
  return true;
}

static bool decode_fields(const BfOnnx__Tensor *t, struct bf_onx_const *out, const char **why) {
  size_t have = out->type == BF_ONX_FLOAT                                  ? t->n_float_data
                : out->type == BF_ONX_DOUBLE                               ? t->n_double_data
                : out->type == BF_ONX_INT64                                ? t->n_int64_data
                : out->type == BF_ONX_UINT64 || out->type == BF_ONX_UINT32 ? t->n_uint64_data
                                                                           : t->n_int32_data;
  *why = "its data are of another length than its shape asks for";
  if (have != out->count) return false;
  for (size_t i = 0; i < have; i++) {
    double *real = out->real ? (double *)out->real + i : NULL;
    int64_t *ints = out->ints ? (int64_t *)out->ints + i : NULL;
    switch (out->type) {
      case BF_ONX_FLOAT: *real = t->float_data[i]; break;
      case BF_ONX_DOUBLE: *real = t->double_data[i]; break;
      case BF_ONX_FLOAT16: *real = half((uint16_t)t->int32_data[i]); break;
      case BF_ONX_INT64: *ints = t->int64_data[i]; break;
      case BF_ONX_UINT64:
      case BF_ONX_UINT32: *ints = (int64_t)t->uint64_data[i]; break;
      default: *ints = t->int32_data[i]; break;
    }
  }
  return true;
}

static bool in_type(const struct bf_onx_const *c, unsigned bits, bool is_signed) {
  if (c->real || bits == 64) return true;
  int64_t lo = is_signed ? -((int64_t)1 << (bits - 1)) : 0, hi = lo + (((int64_t)1 << bits) - 1);
  for (uint64_t i = 0; i < c->count; i++)
    if (c->ints[i] < lo || c->ints[i] > hi) return false;
  return true;
}

bool bf_onx_decode(struct bf_onx_lower *l, const BfOnnx__Tensor *t, struct bf_onx_const *out, const char **why) {
  unsigned bits = 0;
  bool is_signed = false,
       real = t->data_type == BF_ONX_FLOAT || t->data_type == BF_ONX_DOUBLE || t->data_type == BF_ONX_FLOAT16;
  *out = (struct bf_onx_const){.type = t->data_type, .name = t->name && *t->name ? t->name : NULL};
  *why = "its data are in another file, which is not supported";
  if (t->n_external_data || t->data_location == 1) return false;
  *why = "its element type is not supported";
  if (!real && !bf_onx_int_type(t->data_type, &bits, &is_signed)) return false;
  if (real) bits = t->data_type == BF_ONX_DOUBLE ? 64 : t->data_type == BF_ONX_FLOAT ? 32 : 16;
  if (bits == 1) bits = 8;
  *why = "it is cut in segments, which is not supported";
  if (t->has_segment || !read_shape(t, out, why)) return false;
  // The data must be there before memory for them is.
  size_t limit = t->has_raw_data
                     ? t->raw_data.len * 8 / bits
                     : t->n_float_data + t->n_double_data + t->n_int32_data + t->n_int64_data + t->n_uint64_data;
  *why = "its data are of another length than its shape asks for";
  if (out->count > limit) return false;
  if (real) out->real = bf_arena_alloc(&l->arena, out->count + 1, sizeof *out->real);
  else out->ints = bf_arena_alloc(&l->arena, out->count + 1, sizeof *out->ints);
  if (!(t->has_raw_data ? decode_raw(t, bits, is_signed, out, why) : decode_fields(t, out, why))) return false;
  *why = "an element is outside its type";
  return in_type(out, bits, is_signed);
}

bool bf_onx_read_tensor(struct bf_onx_lower *l, const void *data, size_t length, struct bf_onx_const *out,
                        const char **why) {
  BfOnnx__Tensor *t = (BfOnnx__Tensor *)unpack(&bf_onnx__tensor__descriptor, data, length, why);
  if (!t) return false;
  bool ok = bf_onx_decode(l, t, out, why);
  out->name = NULL;
  ProtobufCAllocator allocator = {take, give, NULL};
  bf_onnx__tensor__free_unpacked(t, &allocator);
  return ok;
}
