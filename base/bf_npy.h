// SPDX-License-Identifier: Apache-2.0
// NumPy arrays: .npy files (format 1.0 to 3.0, C order, little endian) and .npz
// archives of them (zip, stored or deflated; read and written through libzip).
// Source: numpy.lib.format documentation, "NPY format".
#ifndef BF_NPY_H
#define BF_NPY_H

#include "base/bf_base.h"
#include "base/bf_diag.h"

enum bf_dtype {
  BF_DTYPE_I8, BF_DTYPE_U8, BF_DTYPE_I16, BF_DTYPE_U16, BF_DTYPE_I32, BF_DTYPE_I64,
  BF_DTYPE_F32, BF_DTYPE_F64, BF_DTYPE_COUNT
};
#define BF_NPY_MAX_RANK 8

struct bf_array {
  enum bf_dtype dtype;
  unsigned rank;
  uint64_t shape[BF_NPY_MAX_RANK];
  uint64_t elements;  // product of shape, checked against BF_MAX_ELEMENTS
  void *data;         // owned; elements × bf_dtype_size(dtype) bytes
};

size_t bf_dtype_size(enum bf_dtype dtype);
const char *bf_dtype_name(enum bf_dtype dtype);  // "int8", "float32", …
// Element `i` as an integer (integer dtypes) or as a real.
int64_t bf_array_int(const struct bf_array *array, uint64_t i);
double bf_array_real(const struct bf_array *array, uint64_t i);
bool bf_dtype_is_float(enum bf_dtype dtype);
// Sets element `i` of an array of int8, uint8, int16, int32 or int64 to the value, which its type holds.
void bf_array_put(struct bf_array *array, uint64_t i, int64_t value);
// An array of the smallest integer type that holds the values; rank and shape as given, within the limits. The caller frees it.
struct bf_array bf_array_of_ints(unsigned rank, const uint64_t *shape, const int64_t *values);
void bf_array_free(struct bf_array *array);

// Parse / print the bytes of one .npy. Hostile input gives false and *why
// (static text).
bool bf_npy_parse(const void *data, size_t length, struct bf_array *out, const char **why);
void bf_npy_print(const struct bf_array *array, struct bf_buf *out);

// Files, with diagnostics naming the file. False: at least one error was added.
bool bf_npy_read(const char *path, struct bf_array *out, struct bf_diags *diags);
bool bf_npy_write(const char *path, const struct bf_array *array, struct bf_diags *diags);

// An archive in memory: named arrays, in the order of the file or of adding.
struct bf_archive {
  struct bf_archive_item {
    char *name;  // without ".npy"
    struct bf_array array;
  } *items;
  size_t count, capacity;
};
const struct bf_array *bf_archive_find(const struct bf_archive *archive, const char *name);
// Takes ownership of array->data; copies name.
void bf_archive_add(struct bf_archive *archive, const char *name, struct bf_array array);
// The bytes of an archive; `name` is what diagnostics call it. Printing fails only without memory.
bool bf_npz_parse(const void *data, size_t length, const char *name, struct bf_archive *out, struct bf_diags *diags);
bool bf_npz_print(const struct bf_archive *archive, struct bf_buf *out);
bool bf_npz_read(const char *path, struct bf_archive *out, struct bf_diags *diags);
// Deterministic: same items, same bytes (fixed time stamps, stored or deflated).
bool bf_npz_write(const char *path, const struct bf_archive *archive, struct bf_diags *diags);
void bf_archive_free(struct bf_archive *archive);

#endif
