// SPDX-License-Identifier: Apache-2.0
// The .npy format. A header is a Python dictionary literal of three known keys; it is
// read by a small strict parser over a bounded cursor.
#include "base/bf_npy.h"

#include <stdlib.h>
#include <string.h>

struct dtype_row {
  const char *name, *descr;
  size_t size;
  bool is_float;
};

static const struct dtype_row dtypes[BF_DTYPE_COUNT] = {
    [BF_DTYPE_I8] = {"int8", "|i1", 1, false},     [BF_DTYPE_U8] = {"uint8", "|u1", 1, false},
    [BF_DTYPE_I16] = {"int16", "<i2", 2, false},   [BF_DTYPE_U16] = {"uint16", "<u2", 2, false},
    [BF_DTYPE_I32] = {"int32", "<i4", 4, false},   [BF_DTYPE_I64] = {"int64", "<i8", 8, false},
    [BF_DTYPE_F32] = {"float32", "<f4", 4, true},  [BF_DTYPE_F64] = {"float64", "<f8", 8, true},
};

size_t bf_dtype_size(enum bf_dtype dtype) {
  return dtypes[dtype].size;
}

const char *bf_dtype_name(enum bf_dtype dtype) {
  return dtypes[dtype].name;
}

bool bf_dtype_is_float(enum bf_dtype dtype) {
  return dtypes[dtype].is_float;
}

int64_t bf_array_int(const struct bf_array *array, uint64_t i) {
  switch (array->dtype) {
    case BF_DTYPE_I8: return ((const int8_t *)array->data)[i];
    case BF_DTYPE_U8: return ((const uint8_t *)array->data)[i];
    case BF_DTYPE_I16: return ((const int16_t *)array->data)[i];
    case BF_DTYPE_U16: return ((const uint16_t *)array->data)[i];
    case BF_DTYPE_I32: return ((const int32_t *)array->data)[i];
    case BF_DTYPE_I64: return ((const int64_t *)array->data)[i];
    default: return 0;
  }
}

double bf_array_real(const struct bf_array *array, uint64_t i) {
  switch (array->dtype) {
    case BF_DTYPE_F32: return (double)((const float *)array->data)[i];
    case BF_DTYPE_F64: return ((const double *)array->data)[i];
    default: return (double)bf_array_int(array, i);
  }
}

void bf_array_put(struct bf_array *array, uint64_t i, int64_t v) {
  switch (array->dtype) {
    case BF_DTYPE_I8: ((int8_t *)array->data)[i] = (int8_t)v; break;
    case BF_DTYPE_U8: ((uint8_t *)array->data)[i] = (uint8_t)v; break;
    case BF_DTYPE_I16: ((int16_t *)array->data)[i] = (int16_t)v; break;
    case BF_DTYPE_I32: ((int32_t *)array->data)[i] = (int32_t)v; break;
    default: ((int64_t *)array->data)[i] = v; break;
  }
}

struct bf_array bf_array_of_ints(unsigned rank, const uint64_t *shape, const int64_t *v) {
  struct bf_array array = {.dtype = BF_DTYPE_I8, .rank = rank, .elements = 1};
  for (unsigned i = 0; i < rank; i++) array.elements *= array.shape[i] = shape[i];
  static const struct {
    enum bf_dtype dtype;
    int64_t lo, hi;
  } types[] = {{BF_DTYPE_I8, INT8_MIN, INT8_MAX},
               {BF_DTYPE_U8, 0, UINT8_MAX},
               {BF_DTYPE_I16, INT16_MIN, INT16_MAX},
               {BF_DTYPE_I32, INT32_MIN, INT32_MAX},
               {BF_DTYPE_I64, INT64_MIN, INT64_MAX}};
  int64_t lo = 0, hi = 0;
  for (uint64_t i = 0; i < array.elements; i++) {
    if (v[i] < lo) lo = v[i];
    if (v[i] > hi) hi = v[i];
  }
  size_t t = 0;
  while (lo < types[t].lo || hi > types[t].hi) t++;
  array.dtype = types[t].dtype;
  array.data = bf_alloc(array.elements, bf_dtype_size(array.dtype));
  for (uint64_t i = 0; i < array.elements; i++) bf_array_put(&array, i, v[i]);
  return array;
}

void bf_array_free(struct bf_array *array) {
  free(array->data);
  *array = (struct bf_array){0};
}

// --- parsing ---

struct cursor {
  const char *at, *end;
  const char *why;  // set once, by the first failure
};

static bool fail(struct cursor *c, const char *why) {
  if (!c->why) c->why = why;
  return false;
}

static void skip_space(struct cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n')) c->at++;
}

static bool accept(struct cursor *c, char wanted) {
  skip_space(c);
  if (c->at == c->end || *c->at != wanted) return false;
  c->at++;
  return true;
}

// A quoted string without escapes, as [*text, *text + *length).
static bool quoted(struct cursor *c, const char **text, size_t *length) {
  skip_space(c);
  if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return fail(c, "damaged .npy header");
  char quote = *c->at++;
  *text = c->at;
  while (c->at < c->end && *c->at != quote) c->at++;
  if (c->at == c->end) return fail(c, "damaged .npy header");
  *length = (size_t)(c->at++ - *text);
  return true;
}

static bool text_is(const char *text, size_t length, const char *wanted) {
  return strlen(wanted) == length && memcmp(text, wanted, length) == 0;
}

static bool parse_descr(struct cursor *c, struct bf_array *out) {
  const char *text;
  size_t length;
  skip_space(c);
  if (c->at < c->end && *c->at == '[') return fail(c, "record arrays are not supported");
  if (!quoted(c, &text, &length)) return false;
  if (length && text[0] == '>') return fail(c, "big-endian arrays are not supported");
  for (int i = 0; i < BF_DTYPE_COUNT; i++) {
    const char *descr = dtypes[i].descr;
    bool same = text_is(text, length, descr);
    // Single bytes have no order; some writers say '<' all the same.
    same = same || (descr[0] == '|' && length == 3 && text[0] == '<' && !memcmp(text + 1, descr + 1, 2));
    if (same) {
      out->dtype = (enum bf_dtype)i;
      return true;
    }
  }
  return fail(c, "element type not supported (only int8, uint8, int16, uint16, int32, int64, "
                 "float32, float64)");
}

static bool parse_order(struct cursor *c, bool *fortran) {
  skip_space(c);
  size_t left = (size_t)(c->end - c->at);
  if (left >= 5 && !memcmp(c->at, "False", 5)) {
    *fortran = false;
    c->at += 5;
    return true;
  }
  if (left >= 4 && !memcmp(c->at, "True", 4)) {
    *fortran = true;
    c->at += 4;
    return true;
  }
  return fail(c, "damaged .npy header");
}

static bool parse_extent(struct cursor *c, uint64_t *out) {
  skip_space(c);
  if (c->at == c->end || *c->at < '0' || *c->at > '9') return fail(c, "damaged .npy header: shape");
  uint64_t value = 0;
  while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
    if (!bf_mul_limit(value, 10, UINT64_MAX / 2, &value)) return fail(c, "the shape is too large");
    value += (uint64_t)(*c->at++ - '0');
  }
  *out = value;
  return true;
}

static bool parse_shape(struct cursor *c, struct bf_array *out) {
  if (!accept(c, '(')) return fail(c, "damaged .npy header: shape");
  out->rank = 0;
  while (!accept(c, ')')) {
    if (out->rank == BF_NPY_MAX_RANK) return fail(c, "more than 8 dimensions");
    if (!parse_extent(c, &out->shape[out->rank++])) return false;
    if (accept(c, ',')) continue;
    if (!accept(c, ')')) return fail(c, "damaged .npy header: shape");
    break;
  }
  return true;
}

static bool parse_header(struct cursor *c, struct bf_array *out) {
  unsigned seen = 0;
  bool fortran = false;
  if (!accept(c, '{')) return fail(c, "damaged .npy header");
  while (!accept(c, '}')) {
    const char *key;
    size_t length;
    unsigned bit;
    if (!quoted(c, &key, &length)) return false;
    if (!accept(c, ':')) return fail(c, "damaged .npy header");
    bool ok;
    if (text_is(key, length, "descr")) bit = 1, ok = parse_descr(c, out);
    else if (text_is(key, length, "fortran_order")) bit = 2, ok = parse_order(c, &fortran);
    else if (text_is(key, length, "shape")) bit = 4, ok = parse_shape(c, out);
    else return fail(c, "damaged .npy header: unknown key");
    if (!ok) return false;
    if (seen & bit) return fail(c, "damaged .npy header: key twice");
    seen |= bit;
    if (accept(c, ',')) continue;
    if (!accept(c, '}')) return fail(c, "damaged .npy header");
    break;
  }
  if (seen != 7) return fail(c, "damaged .npy header: a key is missing");
  skip_space(c);
  if (c->at != c->end) return fail(c, "damaged .npy header");
  if (fortran && out->rank > 1)
    return fail(c, "Fortran order is not supported (save numpy.ascontiguousarray(a))");
  return true;
}

// Splits magic, version and header length from the rest.
static bool open_header(const unsigned char *bytes, size_t length, struct cursor *c, size_t *data) {
  if (length < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) return fail(c, "not a .npy file");
  unsigned major = bytes[6];
  if (major < 1 || major > 3 || bytes[7] != 0) return fail(c, "unknown version of the .npy format");
  size_t header = bytes[8] | (size_t)bytes[9] << 8, start = 10;
  if (major > 1) {
    if (length < 12) return fail(c, "truncated .npy header");
    header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    start = 12;
  }
  if (header > length - start) return fail(c, "truncated .npy header");
  c->at = (const char *)bytes + start;
  c->end = c->at + header;
  *data = start + header;
  return true;
}

static bool count_elements(struct bf_array *array) {
  bool empty = false;
  array->elements = 1;
  for (unsigned i = 0; i < array->rank; i++) empty |= array->shape[i] == 0;
  if (empty) {
    array->elements = 0;
    return true;
  }
  for (unsigned i = 0; i < array->rank; i++)
    if (!bf_mul_limit(array->elements, array->shape[i], BF_MAX_ELEMENTS, &array->elements)) return false;
  return true;
}

bool bf_npy_parse(const void *data, size_t length, struct bf_array *out, const char **why) {
  struct cursor c = {0};
  size_t start = 0;
  *out = (struct bf_array){0};
  bool ok = open_header(data, length, &c, &start) && parse_header(&c, out);
  if (ok && !count_elements(out)) ok = fail(&c, "the shape is too large");
  size_t bytes = ok ? (size_t)out->elements * bf_dtype_size(out->dtype) : 0;
  if (ok && bytes > length - start) ok = fail(&c, "truncated: fewer elements than its shape says");
  if (ok && bytes < length - start) ok = fail(&c, "more elements than its shape says");
  if (!ok) {
    *why = c.why;
    *out = (struct bf_array){0};
    return false;
  }
  out->data = bf_alloc(bytes, 1);
  if (bytes) memcpy(out->data, (const char *)data + start, bytes);
  return true;
}

// --- printing ---

void bf_npy_print(const struct bf_array *array, struct bf_buf *out) {
  struct bf_buf header = {0};
  bf_buf_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", dtypes[array->dtype].descr);
  for (unsigned i = 0; i < array->rank; i++)
    bf_buf_printf(&header, "%s%llu%s", i ? ", " : "", (unsigned long long)array->shape[i],
                  array->rank == 1 ? "," : "");
  bf_buf_puts(&header, "), }");
  while ((10 + header.length + 1) % 64) bf_buf_puts(&header, " ");
  bf_buf_puts(&header, "\n");
  bf_buf_append(out, "\x93NUMPY\x01\x00", 8);
  bf_buf_u16(out, (uint16_t)header.length);
  bf_buf_append(out, header.data, header.length);
  bf_buf_append(out, array->data, (size_t)array->elements * bf_dtype_size(array->dtype));
  bf_buf_free(&header);
}

// --- files ---

bool bf_npy_read(const char *path, struct bf_array *out, struct bf_diags *diags) {
  char *data;
  size_t length;
  const char *why;
  *out = (struct bf_array){0};
  if (!bf_diags_read(diags, path, NULL, &data, &length)) return false;
  bool ok = bf_npy_parse(data, length, out, &why);
  if (!ok) bf_error_file(diags, path, NULL, "%s", why);
  free(data);
  return ok;
}

bool bf_npy_write(const char *path, const struct bf_array *array, struct bf_diags *diags) {
  struct bf_buf buf = {0};
  bf_npy_print(array, &buf);
  bool ok = bf_diags_write(diags, path, buf.data, buf.length);
  bf_buf_free(&buf);
  return ok;
}
