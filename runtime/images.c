// SPDX-License-Identifier: Apache-2.0
// Border conversion: .npy arrays to and from the values of a tensor (runtime/session.h).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/session.h"

void ap_images_free(struct ap_images *images) {
  free(images->q);
  images->q = NULL;
}

static int64_t type_max(const struct ap_tensor *t) {
  return t->bits >= 63 ? INT64_MAX : t->bias + (int64_t)(((uint64_t)1 << t->bits) - 1);
}

static void shape_text(struct bf_buf *out, const uint64_t *shape, unsigned rank) {
  bf_buf_puts(out, "[");
  for (unsigned i = 0; i < rank; i++) {
    bf_buf_printf(out, "%s%llu", i > 0 ? ", " : "", (unsigned long long)shape[i]);
  }
  bf_buf_puts(out, "]");
}

// The shape of one image as a tensor of the compiled batch has it, the outermost dimension divided by the batch.
static unsigned image_shape(const struct ap_program *program, const struct ap_tensor *t, uint64_t shape[4]) {
  unsigned rank = t->rank >= 1 && t->rank <= 4 ? t->rank : 4;
  for (unsigned i = 0; i < rank; i++) {
    shape[i] = t->shape[4 - rank + i];
  }
  shape[0] /= program->batch;
  return rank;
}

static bool equal_dims(const uint64_t *a, const uint64_t *b, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    if (a[i] != b[i]) {
      return false;
    }
  }
  return true;
}

// Number of images in an array of this shape, 0 if the shape does not fit.
static uint64_t count_images(const struct bf_array *array, const uint64_t *shape, unsigned rank) {
  if (array->rank == rank && shape[0] > 0 && array->shape[0] % shape[0] == 0 &&
      equal_dims(array->shape + 1, shape + 1, rank - 1)) {
    return array->shape[0] / shape[0];
  }
  if (array->rank == rank + 1 && equal_dims(array->shape + 1, shape, rank)) {
    return array->shape[0];  // an outer dimension besides
  }
  if (shape[0] == 1 && rank > 1 && array->rank == rank - 1 && equal_dims(array->shape, shape + 1, rank - 1)) {
    return 1;  // one image without its batch dimension
  }
  return 0;
}

// Images as float models take them, channels first, where the program wants them last.
static bool channels_first(const struct bf_array *array, const uint64_t *shape, unsigned rank) {
  if (rank < 3 || array->rank < 3) {
    return false;
  }
  const uint64_t *given = array->shape + array->rank - 3, *wanted = shape + rank - 3;
  return given[0] == wanted[2] && equal_dims(given + 1, wanted, 2);
}

static void report_shape(const struct ap_tensor *t, const struct bf_array *array, const char *file,
                         const uint64_t *shape, unsigned rank, struct bf_diags *diags) {
  struct bf_buf given = {0}, wanted = {0}, hint = {0};
  shape_text(&given, array->shape, array->rank);
  shape_text(&wanted, shape, rank);
  bf_buf_puts(&hint, channels_first(array, shape, rank) ? "channels come last here: transpose the array"
                                                        : "the outermost dimension may be larger: that many images");
  bf_error_file(diags, file, bf_buf_cstr(&hint), "the array has shape %s, but input %s wants %s", bf_buf_cstr(&given),
                t->name, bf_buf_cstr(&wanted));
  bf_buf_free(&given);
  bf_buf_free(&wanted);
  bf_buf_free(&hint);
}

static bool quantize(const struct ap_tensor *t, double real, int64_t *q) {
  double v = real / (double)t->scale;
  if (isnan(v)) {
    return false;
  }
  v = round(v) + (double)t->zero;  // round() takes halves away from zero
  double low = (double)t->bias, high = (double)type_max(t);
  *q = v <= low ? t->bias : v >= high ? type_max(t) : (int64_t)v;
  return true;
}

static bool convert_values(const struct ap_tensor *t, const struct bf_array *array, const char *file, int64_t *q,
                           struct bf_diags *diags) {
  bool real = bf_dtype_is_float(array->dtype);
  for (uint64_t i = 0; i < array->elements; i++) {
    if (real) {
      if (!quantize(t, bf_array_real(array, i), &q[i])) {
        bf_error_file(diags, file, NULL, "element %llu is not a number", (unsigned long long)i);
        return false;
      }
      continue;
    }
    q[i] = bf_array_int(array, i);
    if (q[i] < t->bias || q[i] > type_max(t)) {
      bf_error_file(diags, file, NULL, "element %llu is %lld, outside the type %s of input %s", (unsigned long long)i,
                    (long long)q[i], t->type, t->name);
      return false;
    }
  }
  return true;
}

bool ap_images_convert(const struct ap_program *program, uint32_t tensor, const struct bf_array *array,
                       const char *file, struct ap_images *out, struct bf_diags *diags) {
  const struct ap_tensor *t = &program->tensors[tensor];
  uint64_t shape[4];
  unsigned rank = image_shape(program, t, shape);
  memset(out, 0, sizeof *out);
  if (array->dtype != BF_DTYPE_I8 && array->dtype != BF_DTYPE_U8 && array->dtype != BF_DTYPE_I16 &&
      array->dtype != BF_DTYPE_U16 && array->dtype != BF_DTYPE_F32) {
    bf_error_file(diags, file, "convert it to int8, uint8, int16, uint16 or float32", "the array holds %s, which no input takes",
                  bf_dtype_name(array->dtype));
    return false;
  }
  out->images = count_images(array, shape, rank);
  if (out->images == 0) {
    report_shape(t, array, file, shape, rank, diags);
    return false;
  }
  out->elements = array->elements / out->images;
  out->q = bf_alloc(array->elements > 0 ? array->elements : 1, sizeof *out->q);
  if (!convert_values(t, array, file, out->q, diags)) {
    ap_images_free(out);
    return false;
  }
  return true;
}

void ap_images_random(const struct ap_program *program, uint32_t tensor, uint64_t seed, uint64_t images,
                      struct ap_images *out) {
  const struct ap_tensor *t = &program->tensors[tensor];
  out->images = images;
  out->elements = ap_tensor_elements(t) / program->batch;
  uint64_t count = images * out->elements, state = seed ^ (uint64_t)tensor << 32;
  out->q = bf_alloc(count > 0 ? count : 1, sizeof *out->q);
  for (uint64_t i = 0; i < count; i++) {  // splitmix64
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    out->q[i] = (int64_t)((uint64_t)t->bias + (t->bits < 64 ? z & (((uint64_t)1 << t->bits) - 1) : z));
  }
}

static enum bf_dtype smallest_dtype(const struct ap_tensor *t) {
  int64_t low = t->bias, high = type_max(t);
  if (low >= 0) {
    return high <= UINT8_MAX ? BF_DTYPE_U8 : high <= UINT16_MAX ? BF_DTYPE_U16 : high <= INT32_MAX ? BF_DTYPE_I32 : BF_DTYPE_I64;
  }
  if (low >= INT8_MIN && high <= INT8_MAX) {
    return BF_DTYPE_I8;
  }
  if (low >= INT16_MIN && high <= INT16_MAX) {
    return BF_DTYPE_I16;
  }
  return low >= INT32_MIN && high <= INT32_MAX ? BF_DTYPE_I32 : BF_DTYPE_I64;
}

struct bf_array ap_images_array(const struct ap_program *program, uint32_t tensor, const struct ap_images *images) {
  const struct ap_tensor *t = &program->tensors[tensor];
  struct bf_array array = {.dtype = smallest_dtype(t), .elements = images->images * images->elements};
  array.rank = image_shape(program, t, array.shape);
  if (array.shape[0] == 0) {  // the batch is not the outermost dimension as written: one row an image
    array.rank = 2;
    array.shape[0] = 1;
    array.shape[1] = images->elements;
  }
  array.shape[0] *= images->images;
  array.data = bf_alloc(array.elements > 0 ? array.elements : 1, bf_dtype_size(array.dtype));
  for (uint64_t i = 0; i < array.elements; i++) {
    int64_t q = images->q[i];
    switch (bf_dtype_size(array.dtype)) {
      case 1: ((uint8_t *)array.data)[i] = (uint8_t)q; break;
      case 2: ((uint16_t *)array.data)[i] = (uint16_t)q; break;
      case 4: ((uint32_t *)array.data)[i] = (uint32_t)q; break;
      default: ((int64_t *)array.data)[i] = q; break;
    }
  }
  return array;
}
