// SPDX-License-Identifier: Apache-2.0
// What all operators of an import share: obstacles, checked views of tensors, declarations of
// constants; and the import as a whole.
#include "frontend/tflite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/tflite_lower.h"

void bf_tfl_problem(struct bf_tfl_lower *lower, uint32_t op, const char *hint, const char *format, ...) {
  int64_t code = lower->model->ops[op].code;
  for (size_t i = 0; i < lower->nproblems; i++)
    if (lower->problems[i].format == format && lower->problems[i].code == code) {
      lower->problems[i].count++;
      return;
    }
  va_list args;
  va_start(args, format);
  char *message = bf_vformat(format, args);
  va_end(args);
  BF_PUSH(lower->problems, lower->nproblems, lower->problems_capacity) = (struct bf_tfl_problem){
      .format = format,
      .code = code,
      .hint = hint,
      .count = 1,
      .message = bf_arena_format(&lower->arena, "operator %u %s: %s", op,
                                 bf_tfl_op_label(&lower->arena, lower->model, op), message),
  };
  free(message);
}

const char *bf_tfl_op_label(struct bf_arena *arena, const struct bf_tfl_model *model, uint32_t op) {
  const struct bf_tfl_op *o = &model->ops[op];
  const char *name = bf_tfl_op_info(o->code).name;
  if (!name) name = bf_arena_format(arena, "of code %lld", (long long)o->code);
  else if (o->code == BF_TFL_OP_CUSTOM)
    name = bf_arena_format(arena, "CUSTOM \"%s\"", bf_tfl_printable(arena, o->custom_code));
  const char *output = "";
  if (o->outputs.count) output = bf_tfl_printable(arena, model->tensors[bf_fb_vector_i32(&o->outputs, 0)].name);
  return bf_arena_format(arena, "%s (output \"%s\")", name, output);
}

const char *bf_tfl_shape_text(struct bf_arena *arena, unsigned rank, const uint64_t *shape) {
  const char *text = "";
  for (unsigned i = 0; i < rank; i++)
    text = bf_arena_format(arena, "%s%s%llu", text, i ? ", " : "", (unsigned long long)shape[i]);
  return text;
}

float bf_tfl_scale(const struct bf_tfl_tensor *tensor, uint32_t i) {
  return tensor->scale.count ? bf_fb_vector_f32(&tensor->scale, i < tensor->scale.count ? i : 0) : 1;
}

bool bf_tfl_absent(const struct bf_tfl_lower *lower, uint32_t op, uint32_t i) {
  const struct bf_fb_vector *inputs = &lower->model->ops[op].inputs;
  return i >= inputs->count || bf_fb_vector_i32(inputs, i) < 0;
}

static const char *name_of(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor) {
  return bf_tfl_printable(&lower->arena, tensor->name);
}

// The whole shape, positive and within limits. False: a problem was noted.
static bool check_shape(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, uint64_t *shape,
                        uint64_t *elements) {
  const char *name = name_of(lower, tensor);
  if (tensor->dynamic) {
    bf_tfl_problem(lower, op, "convert the model with a fixed input shape", "tensor \"%s\" has a dynamic shape", name);
    return false;
  }
  if (tensor->sparse) {
    bf_tfl_problem(lower, op, "convert the model without sparsity encoding", "tensor \"%s\" is stored sparsely", name);
    return false;
  }
  if (tensor->rank < 1 || tensor->rank > 4) {
    bf_tfl_problem(lower, op, NULL, "tensor \"%s\" has %u dimensions, not 1 to 4", name, tensor->rank);
    return false;
  }
  *elements = 1;
  for (uint32_t i = 0; i < tensor->rank; i++) {
    shape[i] = tensor->shape[i] > 0 ? (uint64_t)tensor->shape[i] : 0;
    if (!shape[i]) {
      bf_tfl_problem(lower, op, NULL, "dimension %u of tensor \"%s\" is %d", i, name, tensor->shape[i]);
      return false;
    }
    if (!bf_mul_limit(*elements, shape[i], BF_MAX_ELEMENTS, elements)) {
      bf_tfl_problem(lower, op, NULL, "tensor \"%s\" has more than 2^31 elements", name);
      return false;
    }
  }
  return true;
}

static bool check_scales(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor) {
  if (tensor->custom_quantization) {
    bf_tfl_problem(lower, op, "scales and zero points work", "tensor \"%s\" has a custom quantization",
                   name_of(lower, tensor));
    return false;
  }
  for (uint32_t i = 0; i < tensor->scale.count; i++) {
    float scale = bf_fb_vector_f32(&tensor->scale, i);
    if (isfinite(scale) && scale > 0) continue;
    bf_tfl_problem(lower, op, NULL, "scale %u of tensor \"%s\" is %g", i, name_of(lower, tensor), scale);
    return false;
  }
  return true;
}

// The one zero point of a tensor, which its type must hold.
static bool check_zero(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, int64_t *zero) {
  const struct bf_fb_vector *list = &tensor->zero_point;
  *zero = list->count ? bf_fb_vector_i64(list, 0) : 0;
  for (uint32_t i = 1; i < list->count; i++)
    if (bf_fb_vector_i64(list, i) != *zero) {
      bf_tfl_problem(lower, op, "one zero point for the whole tensor works",
                     "tensor \"%s\" has a zero point per channel", name_of(lower, tensor));
      return false;
    }
  unsigned bits = bf_tfl_type_info(tensor->type)->bits;
  int64_t lo = tensor->type == BF_TFL_UINT8 ? 0 : -((int64_t)1 << (bits - 1));
  if (*zero >= lo && *zero < lo + ((int64_t)1 << bits)) return true;
  bf_tfl_problem(lower, op, NULL, "zero point %lld of tensor \"%s\" is outside its type", (long long)*zero,
                 name_of(lower, tensor));
  return false;
}

bool bf_tfl_view(struct bf_tfl_lower *lower, uint32_t op, int32_t index, struct bf_tfl_value *out) {
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[index];
  const struct bf_tfl_type_info *type = bf_tfl_type_info(tensor->type);
  uint64_t shape[4];
  if (tensor->type != BF_TFL_INT8 && tensor->type != BF_TFL_UINT8 && tensor->type != BF_TFL_INT16) {
    bf_tfl_problem(lower, op, "INT8, UINT8 and INT16 work: convert the model to full integer quantization",
                   "tensor \"%s\" is of type %s", name_of(lower, tensor), type ? type->name : "unknown");
    return false;
  }
  *out = (struct bf_tfl_value){.index = (uint32_t)index,
                               .text = lower->value[index],
                               .type = tensor->type,
                               .type_text = type->text,
                               .file_rank = tensor->rank};
  if (!check_shape(lower, op, tensor, shape, &out->elements) || !check_scales(lower, op, tensor) ||
      !check_zero(lower, op, tensor, &out->zero))
    return false;
  if (tensor->scale.count != 1) {
    bf_tfl_problem(lower, op, "one scale for the whole tensor works", "tensor \"%s\" has %u scales",
                   name_of(lower, tensor), tensor->scale.count);
    return false;
  }
  out->scale = bf_tfl_scale(tensor, 0);
  unsigned batch = tensor->rank > 1;
  if (batch && shape[0] != 1) {
    bf_tfl_problem(lower, op, "convert the model with batch size 1", "tensor \"%s\" has a batch of %llu",
                   name_of(lower, tensor), (unsigned long long)shape[0]);
    return false;
  }
  // The language takes shapes of one and three dimensions to lack the batch; [1, a, b] stands for itself.
  if (tensor->rank == 3) batch = 0;
  out->rank = tensor->rank - batch;
  memcpy(out->shape, shape + batch, out->rank * sizeof *shape);
  return true;
}

static const enum bf_dtype no_dtype = BF_DTYPE_COUNT;

static enum bf_dtype dtype_of(int64_t type) {
  switch (type) {
    case BF_TFL_INT4:
    case BF_TFL_INT8: return BF_DTYPE_I8;
    case BF_TFL_UINT8: return BF_DTYPE_U8;
    case BF_TFL_INT16: return BF_DTYPE_I16;
    case BF_TFL_INT32: return BF_DTYPE_I32;
    case BF_TFL_INT64: return BF_DTYPE_I64;
    default: return no_dtype;
  }
}

// Element `i` of a buffer in the file's order of bytes.
static int64_t element(const uint8_t *data, int64_t type, uint64_t i) {
  struct bf_fb_vector at = {.data = data};
  switch (type) {
    case BF_TFL_INT4: {  // two to a byte, the first in the low half
      unsigned nibble = data[i / 2] >> (i % 2 ? 4 : 0) & 15;
      return nibble < 8 ? (int64_t)nibble : (int64_t)nibble - 16;
    }
    case BF_TFL_INT8: return (int8_t)data[i];
    case BF_TFL_UINT8: return data[i];
    case BF_TFL_INT16: return (int16_t)(data[2 * i] | data[2 * i + 1] << 8);
    case BF_TFL_INT32: at.data += 4 * i; return bf_fb_vector_i32(&at, 0);
    default: at.data += 8 * i; return bf_fb_vector_i64(&at, 0);
  }
}

static void put(struct bf_array *array, uint64_t i, int64_t v) {
  switch (array->dtype) {
    case BF_DTYPE_I8: ((int8_t *)array->data)[i] = (int8_t)v; break;
    case BF_DTYPE_U8: ((uint8_t *)array->data)[i] = (uint8_t)v; break;
    case BF_DTYPE_I16: ((int16_t *)array->data)[i] = (int16_t)v; break;
    case BF_DTYPE_I32: ((int32_t *)array->data)[i] = (int32_t)v; break;
    default: ((int64_t *)array->data)[i] = v; break;
  }
}

// Adds a constant to the archive. `rows` > 1: the file has [rows][columns], the archive gets
// [columns][rows].
static bool add_array(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, const char *name,
                      unsigned rank, const uint64_t *shape, uint64_t rows) {
  struct bf_array array = {.dtype = dtype_of(tensor->type), .rank = rank, .elements = 1};
  const struct bf_tfl_type_info *type = bf_tfl_type_info(tensor->type);
  const struct bf_tfl_buffer *buffer = &lower->model->buffers[tensor->buffer];
  for (unsigned i = 0; i < rank; i++) {
    array.shape[i] = shape[i];
    array.elements *= shape[i];  // check_shape has bounded the product
  }
  uint64_t bytes = (array.elements * type->bits + 7) / 8;
  if (buffer->length != bytes) {
    bf_tfl_problem(lower, op, NULL, "tensor \"%s\" needs %llu bytes, its buffer has %llu", name_of(lower, tensor),
                   (unsigned long long)bytes, (unsigned long long)buffer->length);
    return false;
  }
  if (bytes > lower->budget) {
    bf_tfl_problem(lower, op, NULL, "the constants together are many times the size of the file");
    return false;
  }
  lower->budget -= bytes;
  array.data = bf_alloc(array.elements, bf_dtype_size(array.dtype));
  uint64_t columns = array.elements / rows;
  for (uint64_t i = 0; i < array.elements; i++)
    put(&array, i % columns * rows + i / columns, element(buffer->data, tensor->type, i));
  bf_archive_add(&lower->weights, name, array);
  return true;
}

static void add_scales(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor, const char *name) {
  struct bf_array array = {
      .dtype = BF_DTYPE_F32, .rank = 1, .shape = {tensor->scale.count}, .elements = tensor->scale.count};
  float *data = bf_alloc(array.elements, sizeof *data);
  for (uint32_t i = 0; i < tensor->scale.count; i++) data[i] = bf_tfl_scale(tensor, i);
  array.data = data;
  bf_archive_add(&lower->weights, name, array);
}

static bool is_constant(const struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor) {
  return lower->model->nbuffers && lower->model->buffers[tensor->buffer].data;
}

// Prints the declaration of a constant and adds it to the archive.
static bool declare(struct bf_tfl_lower *lower, uint32_t op, const struct bf_tfl_tensor *tensor, const char *name,
                    unsigned rank, const uint64_t *shape, uint64_t rows) {
  struct bf_buf *out = &lower->constants;
  char text[40];
  if (!add_array(lower, op, tensor, name, rank, shape, rows)) return false;
  bf_buf_printf(out, "  const %s: %s[%s]", name, bf_tfl_type_info(tensor->type)->text,
                bf_tfl_shape_text(&lower->arena, rank, shape));
  if (tensor->type == BF_TFL_INT32 || tensor->type == BF_TFL_INT64) {
    // A bias has the scale that its input and weights imply.
  } else if (tensor->scale.count > 1) {
    const char *scales = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_scale", name));
    add_scales(lower, tensor, scales);
    bf_buf_printf(out, " scale \"%s\"", scales);
  } else {
    bf_buf_printf(out, " scale %s", bf_float_text(text, bf_tfl_scale(tensor, 0)));
  }
  if (tensor->zero_point.count && bf_fb_vector_i64(&tensor->zero_point, 0))
    bf_buf_printf(out, " zero %lld", (long long)bf_fb_vector_i64(&tensor->zero_point, 0));
  bf_buf_printf(out, ";  # %s\n", name_of(lower, tensor));
  return true;
}

bool bf_tfl_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, struct bf_tfl_value *out) {
  if (bf_tfl_absent(lower, op, i)) {
    bf_tfl_problem(lower, op, NULL, "operand %u is missing", i);
    return false;
  }
  int32_t index = bf_fb_vector_i32(&lower->model->ops[op].inputs, i);
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[index];
  if (!bf_tfl_view(lower, op, index, out)) return false;
  if (!out->text && is_constant(lower, tensor))
    bf_tfl_problem(lower, op, "constants work as weights and biases; fold this one into the layer before",
                   "tensor \"%s\" is a constant where a computed one is needed", name_of(lower, tensor));
  else if (!out->text)
    bf_tfl_problem(lower, op, NULL, "tensor \"%s\" is used before anything computes it", name_of(lower, tensor));
  return out->text != NULL;
}

bool bf_tfl_result(struct bf_tfl_lower *lower, uint32_t op, struct bf_tfl_value *out) {
  const struct bf_fb_vector *outputs = &lower->model->ops[op].outputs;
  if (outputs->count != 1) {
    bf_tfl_problem(lower, op, NULL, "%u results instead of 1", outputs->count);
    return false;
  }
  return bf_tfl_view(lower, op, bf_fb_vector_i32(outputs, 0), out);
}

// A constant operand with sound shape and quantization.
static const struct bf_tfl_tensor *constant_operand(struct bf_tfl_lower *lower, uint32_t op, uint32_t i,
                                                    uint64_t *shape, int32_t *index) {
  uint64_t elements;
  int64_t zero;
  if (bf_tfl_absent(lower, op, i)) {
    bf_tfl_problem(lower, op, NULL, "operand %u is missing", i);
    return NULL;
  }
  *index = bf_fb_vector_i32(&lower->model->ops[op].inputs, i);
  const struct bf_tfl_tensor *tensor = &lower->model->tensors[*index];
  if (!is_constant(lower, tensor)) {
    bf_tfl_problem(lower, op, "constant weights work", "operand %u, tensor \"%s\", has no data in the file", i,
                   name_of(lower, tensor));
    return NULL;
  }
  if (dtype_of(tensor->type) == no_dtype) {
    const struct bf_tfl_type_info *type = bf_tfl_type_info(tensor->type);
    bf_tfl_problem(lower, op, "INT8, UINT8 and INT16 work: convert the model to full integer quantization",
                   "tensor \"%s\" is of type %s", name_of(lower, tensor), type ? type->name : "unknown");
    return NULL;
  }
  if (!check_shape(lower, op, tensor, shape, &elements) || !check_scales(lower, op, tensor) ||
      (tensor->type != BF_TFL_INT64 && !check_zero(lower, op, tensor, &zero)))
    return NULL;
  return tensor;
}

// Some converters leave a quantized_dimension that the shape does not have; the scales are per output
// channel all the same, and the reference kernels take them so.
static void check_dimension(struct bf_tfl_lower *lower, const struct bf_tfl_tensor *tensor, unsigned axis) {
  if (tensor->scale.count <= 1 || tensor->quantized_dimension == (int32_t)axis) return;
  if (!lower->odd_dimensions++) lower->odd_dimension = name_of(lower, tensor);
}

bool bf_tfl_declare_weights(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, unsigned rank, unsigned axis,
                            struct bf_tfl_weights *out) {
  int32_t index;
  const struct bf_tfl_tensor *tensor = constant_operand(lower, op, i, out->shape, &index);
  if (!tensor) return false;
  if (tensor->rank != rank || (axis == 3 && out->shape[0] != 1)) {
    bf_tfl_problem(lower, op, NULL, "weights \"%s\" of shape [%s]", name_of(lower, tensor),
                   bf_tfl_shape_text(&lower->arena, tensor->rank, out->shape));
    return false;
  }
  if (tensor->type == BF_TFL_INT32 || tensor->type == BF_TFL_INT64) {
    bf_tfl_problem(lower, op, "weights of 4, 8 and 16 bits work", "weights \"%s\" of type %s", name_of(lower, tensor),
                   bf_tfl_type_info(tensor->type)->name);
    return false;
  }
  out->tensor = tensor;
  out->channels = (uint32_t)out->shape[axis];
  out->per_channel = tensor->scale.count > 1;
  if (tensor->scale.count != 1 && tensor->scale.count != out->channels) {
    bf_tfl_problem(lower, op, NULL, "weights \"%s\" have %u scales for %u channels", name_of(lower, tensor),
                   tensor->scale.count, out->channels);
    return false;
  }
  check_dimension(lower, tensor, axis);
  if (!lower->constant[index]) {
    const char *name = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_w", lower->layer[op]));
    const uint64_t turned[4] = {out->shape[3], out->shape[1], out->shape[2], 1};
    bool turn = axis == 3;
    if (!declare(lower, op, tensor, name, rank, turn ? turned : out->shape, turn ? out->shape[1] * out->shape[2] : 1))
      return false;
    lower->constant[index] = name;
    lower->turned[index] = turn;
  } else if (lower->turned[index] != (axis == 3)) {
    bf_tfl_problem(lower, op, "give each its own copy", "weights \"%s\" are shared by layers of different kinds",
                   name_of(lower, tensor));
    return false;
  }
  out->text = lower->constant[index];
  return true;
}

bool bf_tfl_declare_bias(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint32_t channels, const char **text) {
  uint64_t shape[4];
  int32_t index;
  const struct bf_tfl_tensor *tensor = constant_operand(lower, op, i, shape, &index);
  if (!tensor) return false;
  if ((tensor->type != BF_TFL_INT32 && tensor->type != BF_TFL_INT64) || tensor->rank != 1 || shape[0] != channels) {
    bf_tfl_problem(lower, op, NULL, "bias \"%s\" of type %s and shape [%s] for %u channels", name_of(lower, tensor),
                   bf_tfl_type_info(tensor->type)->name, bf_tfl_shape_text(&lower->arena, tensor->rank, shape),
                   channels);
    return false;
  }
  check_dimension(lower, tensor, 0);
  if (!lower->constant[index]) {
    const char *name = bf_tfl_unique(lower, bf_arena_format(&lower->arena, "%s_b", lower->layer[op]));
    if (!declare(lower, op, tensor, name, 1, shape, 1)) return false;
    lower->constant[index] = name;
  }
  *text = lower->constant[index];
  return true;
}

bool bf_tfl_constant_ints(struct bf_tfl_lower *lower, uint32_t op, uint32_t i, uint64_t count, int64_t *out) {
  uint64_t shape[4], elements = 1;
  int32_t index;
  const struct bf_tfl_tensor *tensor = constant_operand(lower, op, i, shape, &index);
  if (!tensor) return false;
  for (uint32_t k = 0; k < tensor->rank; k++) elements *= shape[k];
  const struct bf_tfl_buffer *buffer = &lower->model->buffers[tensor->buffer];
  if ((tensor->type != BF_TFL_INT32 && tensor->type != BF_TFL_INT64) || elements != count ||
      buffer->length != count * bf_tfl_type_info(tensor->type)->bits / 8) {
    bf_tfl_problem(lower, op, NULL, "operand %u is not a list of %llu integers", i, (unsigned long long)count);
    return false;
  }
  for (uint64_t k = 0; k < count; k++) out[k] = element(buffer->data, tensor->type, k);
  return true;
}
