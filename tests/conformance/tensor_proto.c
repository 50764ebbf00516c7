// SPDX-License-Identifier: Apache-2.0
// The protocol buffer wire format, as far as TensorProto needs it: dims 1, data_type 2, float_data 4, int32_data 5, int64_data 7,
// name 8, raw_data 9.
#include "tests/conformance/tensor_proto.h"

#include <stdlib.h>
#include <string.h>

struct span {
  const uint8_t *at, *end;
};

static bool varint(struct span *s, uint64_t *out) {
  *out = 0;
  for (unsigned shift = 0; s->at < s->end && shift < 64; shift += 7) {
    uint8_t byte = *s->at++;
    *out |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

// One field: its number and its bytes (a varint's are decoded again by whoever wants it).
static bool field(struct span *s, unsigned *number, unsigned *wire, struct span *value) {
  uint64_t key, length;
  if (!varint(s, &key)) return false;
  *number = (unsigned)(key >> 3);
  *wire = key & 7;
  value->at = s->at;
  if (*wire == 0) {
    if (!varint(s, &length)) return false;
  } else if (*wire == 1 || *wire == 5 || *wire == 2) {
    length = *wire == 1 ? 8 : 4;
    if (*wire == 2 && !varint(s, &length)) return false;
    value->at = s->at;
    if (length > (uint64_t)(s->end - s->at)) return false;
    s->at += length;
  } else {
    return false;
  }
  value->end = s->at;
  return true;
}

static bool add_dim(struct cf_proto *out, uint64_t dim) {
  if (out->rank == CF_PROTO_MAX_RANK || !bf_mul_limit(out->elements, dim, BF_MAX_ELEMENTS, &out->elements)) return false;
  out->dims[out->rank++] = dim;
  return true;
}

static unsigned width_of(int type) {
  static const unsigned widths[] = {0, 4, 1, 1, 2, 2, 4, 8};
  return type > 0 && type < (int)BF_COUNT(widths) ? widths[type] : 0;
}

static double element(const uint8_t *p, int type) {
  switch (type) {
  case CF_PROTO_FLOAT: { float v; memcpy(&v, p, 4); return v; }
  case CF_PROTO_UINT8: return *p;
  case CF_PROTO_INT8: return (int8_t)*p;
  case CF_PROTO_UINT16: { uint16_t v; memcpy(&v, p, 2); return v; }
  case CF_PROTO_INT16: { int16_t v; memcpy(&v, p, 2); return v; }
  case CF_PROTO_INT32: { int32_t v; memcpy(&v, p, 4); return v; }
  default: { int64_t v; memcpy(&v, p, 8); return (double)v; }
  }
}

// Raw data, packed floats or packed varints, whichever is there.
static bool read_values(struct cf_proto *out, struct span raw, struct span floats, struct span ints) {
  out->width = width_of(out->type);
  if (!out->width || !out->name) return false;
  out->values = bf_alloc(out->elements + 1, sizeof *out->values);
  struct span packed = raw.at ? raw : floats;
  if (packed.at) {
    if ((uint64_t)(packed.end - packed.at) != out->elements * out->width) return false;
    for (uint64_t i = 0; i < out->elements; i++) out->values[i] = element(packed.at + i * out->width, out->type);
    return true;
  }
  for (uint64_t i = 0; i < out->elements; i++) {
    uint64_t v;
    if (!varint(&ints, &v)) return false;
    out->values[i] = (double)(int64_t)v;
  }
  return true;
}

bool cf_proto_parse(const void *data, size_t length, struct cf_proto *out) {
  struct span s = {data, (const uint8_t *)data + length}, value, raw = {0}, floats = {0}, ints = {0};
  *out = (struct cf_proto){.elements = 1, .name = bf_strdup("")};
  bool good = true;
  for (unsigned number, wire; good && s.at < s.end;) {
    uint64_t v;
    good = field(&s, &number, &wire, &value);
    if (!good) break;
    switch (number) {
    case 1:
      do good = varint(&value, &v) && add_dim(out, v);
      while (good && wire == 2 && value.at < value.end);
      break;
    case 2: if ((good = varint(&value, &v))) out->type = (int)v; break;
    case 4: floats = value; break;
    case 5: case 7: ints = value; good = wire == 2; break;
    case 8: free(out->name); out->name = bf_strndup((const char *)value.at, (size_t)(value.end - value.at)); break;
    case 9: raw = value; break;
    }
  }
  if (good && read_values(out, raw, floats, ints)) return true;
  cf_proto_free(out);
  return false;
}

void cf_proto_free(struct cf_proto *proto) {
  free(proto->name);
  free(proto->values);
  *proto = (struct cf_proto){0};
}
